//! A read on a thread of its own: the connection, the decoding and the events.

use std::pin::pin;
use std::sync::Arc;

use futures::StreamExt;
use huiliu_sdk::{Checkpoint, Cx, Error, ErrorKind, Event, Relay, Result, StreamId, Window};
use sqlx::PgConnection;
use tokio::sync::mpsc;

use crate::config::{Mode, Oddities, Settings, Stream};
use crate::database::{self, Session, run};
use crate::decode::{Decoder, Fed, Manner};
use crate::fault::fault;
use crate::{full, incremental};

/// One stream to read.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) stream: Arc<Stream>,
    pub(crate) resume: Option<Checkpoint>,
    pub(crate) row_limit: Option<u64>,
    /// The part to read instead of what is new.
    pub(crate) window: Option<Window>,
}

/// Where a reader puts its events.
pub(crate) struct Outlet {
    pub(crate) sender: mpsc::Sender<Result<Event>>,
    pub(crate) cx: Cx,
    pub(crate) settings: Arc<Settings>,
}

/// What becomes of the batches of one statement.
pub(crate) enum Target<'a> {
    Rows { stream: &'a StreamId, origin: &'a Arc<str> },
    Keys(&'a StreamId),
}

/// Starts to read one stream.
pub(crate) fn start(settings: &Arc<Settings>, cx: &Cx, plan: Plan) -> Relay {
    spawn(settings, cx, move |outlet| {
        Box::pin(async move {
            let stream = Arc::clone(&plan.stream);
            let read = match &stream.mode {
                Mode::Full => full::read(&outlet, &plan).await,
                Mode::Incremental { cursor, .. } if plan.window.is_some() => {
                    incremental::read_window(&outlet, &plan, cursor).await
                }
                Mode::Incremental { cursor, overlap } => {
                    incremental::read(&outlet, &plan, cursor, *overlap).await
                }
                Mode::Flagged(_) => Err(Error::unsupported("reading flags ahead")),
            };
            (outlet, read.map_err(|error| error.context(format!("stream `{}`", stream.id))))
        })
    })
}

type Reading = std::pin::Pin<Box<dyn Future<Output = (Outlet, Result<()>)>>>;

/// Runs `read` on a thread with a runtime of its own, so that waiting for the socket does not
/// wake another thread for every few rows.
pub(crate) fn spawn(
    settings: &Arc<Settings>,
    cx: &Cx,
    read: impl FnOnce(Outlet) -> Reading + Send + 'static,
) -> Relay {
    let (settings, cx) = (Arc::clone(settings), cx.clone());
    Relay::start(move |sender| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(cause) => {
                let error = Error::internal("a reader could not be started").cause(cause);
                // If nobody listens any more, nobody misses the error.
                drop(sender.blocking_send(Err(error)));
                return;
            }
        };
        runtime.block_on(async {
            let (outlet, read) = read(Outlet { sender, cx, settings }).await;
            if let Err(error) = read {
                drop(outlet.sender.send(Err(error)).await);
            }
        });
    })
}

impl Outlet {
    /// Connects and begins a transaction that sees one state of the database throughout.
    pub(crate) async fn open(&self) -> Result<Session> {
        database::connect(&self.settings, &self.cx, chrono_tz::UTC).await
    }

    /// Begins a transaction that sees one state of the database throughout.
    pub(crate) async fn begin(&self, db: &mut PgConnection) -> Result<()> {
        let sql = "begin isolation level repeatable read read only";
        run(db, &self.cx, "beginning to read", sql, &[]).await.map(drop)
    }

    pub(crate) fn manner(&self, stream: &Stream, session: &Session) -> Manner {
        Manner {
            source_zone: stream.zone,
            hub_zone: self.settings.hub_zone,
            limits: self.cx.limits,
            odd_is_null: stream.oddities == Oddities::Null,
            unchecked_text: session.unchecked_text,
        }
    }

    pub(crate) async fn send(&self, event: Event) -> Result<()> {
        self.cx.check()?;
        self.sender.send(Ok(event)).await.map_err(|_| Error::cancelled())
    }

    /// Waits until the caller asks to stop or goes away.
    async fn stopped(&self) {
        tokio::select! {
            () = self.cx.cancel.cancelled() => {}
            () = self.sender.closed() => {}
        }
    }

    /// Runs one `copy` and sends its batches. All are sent when it returns.
    pub(crate) async fn copy(
        &self,
        db: &mut PgConnection,
        sql: &str,
        decoder: &mut Decoder,
        target: &Target<'_>,
        mut watch: impl FnMut(&arrow::array::RecordBatch),
    ) -> Result<()> {
        self.cx.request().await?;
        decoder.restart();
        // Made once: the stop is looked at only when the socket has nothing to give.
        let mut stop = pin!(self.stopped());
        let mut chunks = tokio::select! {
            biased;
            opened = db.copy_out_raw(sql) => opened.map_err(|cause| fault("reading rows", cause))?,
            () = &mut stop => return Err(Error::cancelled()),
        };
        loop {
            let chunk = tokio::select! {
                biased;
                chunk = chunks.next() => chunk,
                () = &mut stop => return Err(Error::cancelled()),
            };
            let Some(chunk) = chunk else { break };
            let chunk = chunk.map_err(|cause| fault("reading rows", cause))?;
            let mut rest = &chunk[..];
            while decoder.feed(&mut rest)? == Fed::Full {
                self.emit(decoder, target, &mut watch).await?;
            }
        }
        if !decoder.has_ended() {
            return Err(Error::new(
                ErrorKind::Unreachable,
                "E-CUT",
                "the rows ended before their end was announced",
            )
            .hint("check the network and whether the database was restarted; try again"));
        }
        self.emit(decoder, target, &mut watch).await
    }

    async fn emit(
        &self,
        decoder: &mut Decoder,
        target: &Target<'_>,
        watch: &mut impl FnMut(&arrow::array::RecordBatch),
    ) -> Result<()> {
        if decoder.is_empty() {
            return Ok(());
        }
        let gathered = decoder.take()?;
        watch(&gathered.batch);
        match target {
            Target::Rows { stream, origin } => {
                self.send(Event::Rows(gathered.into_rows(stream, origin))).await
            }
            // A key the lake cannot hold cannot be among its rows either.
            Target::Keys(stream) => self.send(Event::Keys((*stream).clone(), gathered.batch)).await,
        }
    }
}
