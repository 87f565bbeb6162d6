//! Reading streams: a thread of its own decodes ahead of the caller, by at most a few batches.

use std::sync::Arc;

use futures::StreamExt;
use futures::stream::BoxStream;
use huiliu_sdk::{
    Checkpoint, Cx, Error, ErrorKind, Event, ReadRequest, Relay, Result, Source, StreamId, Window,
};
use sqlx::mysql::{MySqlConnection, MySqlRow};
use tokio::sync::mpsc;

use crate::batch::Batch;
use crate::config::{Mode, Settings, Stream};
use crate::database::{SILENCE, query};
use crate::fault::fault;
use crate::marking::{FlaggedRelay, Pending};
use crate::{flagged, full, incremental};

/// One stream to read.
pub(crate) struct Plan {
    pub(crate) stream: Stream,
    pub(crate) resume: Option<Checkpoint>,
    /// The part to read instead of what is new.
    pub(crate) window: Option<Window>,
}

/// Starts to read the streams, one after the other.
pub(crate) fn start(
    settings: &Arc<Settings>,
    cx: &Cx,
    request: &ReadRequest,
) -> Result<Box<dyn Source>> {
    cx.check()?;
    let mut plans = Vec::with_capacity(request.streams.len());
    for wanted in &request.streams {
        let known = settings.streams.iter().find(|stream| stream.id == wanted.stream);
        let stream = known.ok_or_else(|| {
            let message = format!("stream `{}` is not configured", wanted.stream);
            Error::new(ErrorKind::NotFound, "E-STREAM", message)
        })?;
        plans.push(Plan { stream: stream.clone(), resume: wanted.resume.clone(), window: None });
    }
    read(settings, cx, plans, request.row_limit)
}

/// Starts to read the part of a stream that lies in `window`.
pub(crate) fn start_window(
    settings: &Arc<Settings>,
    cx: &Cx,
    stream: &StreamId,
    window: &Window,
) -> Result<Box<dyn Source>> {
    cx.check()?;
    let with_cursor =
        |known: &&Stream| known.id == *stream && matches!(known.mode, Mode::Incremental { .. });
    let known = settings.streams.iter().find(with_cursor);
    let known =
        known.ok_or_else(|| Error::unsupported("reading a part of a stream without a cursor"))?;
    let plan = Plan { stream: known.clone(), resume: None, window: Some(window.clone()) };
    read(settings, cx, vec![plan], None)
}

fn read(
    settings: &Arc<Settings>,
    cx: &Cx,
    plans: Vec<Plan>,
    row_limit: Option<u64>,
) -> Result<Box<dyn Source>> {
    let flagged = plans.iter().any(|plan| matches!(plan.stream.mode, Mode::Flagged(_)));
    let pending = Arc::new(Pending::default());
    let (outlet_settings, cx) = (Arc::clone(settings), cx.clone());
    let marks = Arc::clone(&pending);
    let runtime = tokio::runtime::Handle::current();
    // Decoding is work for a thread, and the driver's rows arrive through a future.
    let relay = Relay::start(move |sender| {
        let outlet = Outlet { sender, cx, settings: outlet_settings, row_limit };
        runtime.block_on(Box::pin(run(outlet, plans, marks)));
    });
    if flagged {
        return Ok(Box::new(FlaggedRelay::new(relay, Arc::clone(settings), pending)));
    }
    Ok(Box::new(relay))
}

async fn run(outlet: Outlet, plans: Vec<Plan>, pending: Arc<Pending>) {
    for plan in &plans {
        let reading = async {
            match &plan.stream.mode {
                Mode::Full { chunk_rows, parallel } => {
                    Box::pin(full::read(&outlet, plan, *chunk_rows, *parallel)).await
                }
                Mode::Incremental { .. } => Box::pin(incremental::read(&outlet, plan)).await,
                Mode::Flagged(flags) => {
                    Box::pin(flagged::read(&outlet, plan, flags, &pending)).await
                }
            }
        };
        if let Err(error) = outlet.unless_stopped(reading).await.and_then(|done| done) {
            let error = error.context(format!("stream `{}`", plan.stream.id));
            // If nobody listens any more, nobody misses the error.
            drop(outlet.sender.send(Err(error)).await);
            return;
        }
    }
}

/// Where a reader puts its events.
#[derive(Clone)]
pub(crate) struct Outlet {
    sender: mpsc::Sender<Result<Event>>,
    pub(crate) cx: Cx,
    pub(crate) settings: Arc<Settings>,
    pub(crate) row_limit: Option<u64>,
}

impl Outlet {
    pub(crate) async fn send(&self, event: Event) -> Result<()> {
        self.cx.check()?;
        self.sender.send(Ok(event)).await.map_err(|_| Error::cancelled())
    }

    pub(crate) async fn checkpoint(&self, checkpoint: Checkpoint) -> Result<()> {
        self.send(Event::Checkpoint(checkpoint)).await
    }

    pub(crate) async fn end(&self, stream: &StreamId, complete: bool) -> Result<()> {
        self.send(Event::End { stream: stream.clone(), complete }).await
    }

    /// Sends what was collected.
    pub(crate) async fn flush(&self, batch: &mut Batch) -> Result<()> {
        match batch.take()? {
            Some(rows) => self.send(Event::Rows(rows)).await,
            None => Ok(()),
        }
    }

    /// Adds a row and sends the batch if that fills it; says whether it was sent.
    pub(crate) async fn push(
        &self,
        batch: &mut Batch,
        row: &MySqlRow,
        position: u64,
    ) -> Result<bool> {
        batch.push(row, position)?;
        let full = batch.is_full(&self.cx);
        if full {
            self.flush(batch).await?;
        }
        Ok(full)
    }

    /// Runs a statement that gives rows.
    pub(crate) async fn rows<'a>(
        &self,
        db: &'a mut MySqlConnection,
        sql: String,
        binds: Vec<String>,
    ) -> Result<Incoming<'a>> {
        self.cx.request().await?;
        let mut statement = query(sql);
        for text in binds {
            statement = statement.bind(text);
        }
        Ok(Incoming(statement.fetch(db)))
    }

    /// Runs a statement for its only row.
    pub(crate) async fn row(
        &self,
        db: &mut MySqlConnection,
        sql: String,
        binds: Vec<String>,
    ) -> Result<MySqlRow> {
        let mut rows = self.rows(db, sql, binds).await?;
        let first = rows.next().await?;
        // The end has to be taken off the wire as well.
        while rows.next().await?.is_some() {}
        first.ok_or_else(|| Error::internal("a statement gave no row"))
    }

    /// Waits for `step`, unless the caller asks to stop or goes away.
    pub(crate) async fn unless_stopped<T>(&self, step: impl Future<Output = T>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.cx.cancel.cancelled() => Err(Error::cancelled()),
            () = self.sender.closed() => Err(Error::cancelled()),
            done = step => Ok(done),
        }
    }
}

/// Rows on their way from the server.
pub(crate) struct Incoming<'a>(BoxStream<'a, sqlx::Result<MySqlRow>>);

impl Incoming<'_> {
    pub(crate) async fn next(&mut self) -> Result<Option<MySqlRow>> {
        match tokio::time::timeout(SILENCE, self.0.next()).await {
            Ok(next) => next.transpose().map_err(|cause| fault("reading rows", cause)),
            Err(_) => Err(Error::new(
                ErrorKind::Timeout,
                "E-MYSQL-TIMEOUT",
                "the server fell silent while rows were read",
            )
            .hint("check the network to the server, and what else the server is doing")),
        }
    }
}
