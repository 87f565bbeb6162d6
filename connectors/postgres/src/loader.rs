//! Writing a whole table in one transaction: batches are encoded while earlier ones travel.

use std::sync::Arc;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use huiliu_sdk::{Cx, Error, ErrorKind, LoadMode, LoadRequest, Loader, Result};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::config::{Push, Settings};
use crate::database::{self, quote, run};
use crate::encode::{self, Writing};
use crate::fault::fault;
use crate::target::{self, Target};

/// Encoded batches that may wait for the connection.
const CHUNKS_AHEAD: usize = 2;
/// The most bytes of one message. The server takes a message whole before it reads the rows in it,
/// so larger ones leave its cache in between.
const MESSAGE_BYTES: usize = 64 << 10;

enum Step {
    Send(Vec<u8>),
    /// All was sent: this many rows.
    Finish(u64),
}

/// A table being written. Dropped, it leaves the target as it was: the connection ends without
/// the end of the data, and the server rolls back.
pub(crate) struct PostgresLoader {
    columns: Arc<Vec<Writing>>,
    steps: mpsc::Sender<Step>,
    sender: Option<JoinHandle<Result<()>>>,
    rows: u64,
}

/// Connects, checks the columns and begins.
pub(crate) async fn start(
    settings: &Arc<Settings>,
    cx: &Cx,
    push: Push,
    request: LoadRequest,
) -> Result<PostgresLoader> {
    if request.mode == LoadMode::Upsert && push.key.is_empty() {
        return Err(Error::new(
            ErrorKind::Config,
            "E-COLUMN",
            format!("push `{}` has no key by which rows could replace others", push.id),
        )
        .hint("name the key columns of the push, or load it by append or replace"));
    }
    let (steps, waiting) = mpsc::channel(CHUNKS_AHEAD);
    let (ready, begun) = oneshot::channel();
    let (settings, own_cx) = (Arc::clone(settings), cx.clone());
    // The connection lives on a thread of its own, so that sending never waits for encoding.
    let sender = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|cause| Error::internal("a loader could not be started").cause(cause))?;
        runtime.block_on(Box::pin(transfer(&settings, &own_cx, &push, &request, ready, waiting)))
    });
    match begun.await {
        Ok(columns) => {
            Ok(PostgresLoader { columns: Arc::new(columns), steps, sender: Some(sender), rows: 0 })
        }
        // It ended before it began, and says why.
        Err(_) => Err(ended(sender).await),
    }
}

async fn ended(sender: JoinHandle<Result<()>>) -> Error {
    match sender.await {
        Ok(Err(error)) => error,
        Ok(Ok(())) => Error::internal("the loader ended too early"),
        Err(cause) => Error::internal("the loader broke off").cause(cause),
    }
}

#[async_trait]
impl Loader for PostgresLoader {
    async fn write(&mut self, cx: &Cx, batch: RecordBatch) -> Result<()> {
        cx.check()?;
        self.rows += batch.num_rows() as u64;
        let columns = Arc::clone(&self.columns);
        let encoded = tokio::task::spawn_blocking(move || {
            let mut bytes = Vec::with_capacity(batch.get_array_memory_size());
            encode::encode(&batch, &columns, &mut bytes).map(|()| bytes)
        })
        .await
        .map_err(|cause| Error::internal("the encoder broke off").cause(cause))??;
        self.step(cx, Step::Send(encoded)).await
    }

    async fn finish(mut self: Box<Self>, cx: &Cx) -> Result<u64> {
        let rows = self.rows;
        self.step(cx, Step::Finish(rows)).await?;
        let Some(sender) = self.sender.take() else {
            return Err(Error::internal("the loader has ended before"));
        };
        tokio::select! {
            biased;
            done = sender => match done {
                Ok(done) => done.map(|()| rows),
                Err(cause) => Err(Error::internal("the loader broke off").cause(cause)),
            },
            () = cx.cancel.cancelled() => Err(Error::cancelled()),
        }
    }
}

impl PostgresLoader {
    async fn step(&mut self, cx: &Cx, step: Step) -> Result<()> {
        let sent = tokio::select! {
            biased;
            () = cx.cancel.cancelled() => return Err(Error::cancelled()),
            sent = self.steps.send(step) => sent,
        };
        match (sent, self.sender.take()) {
            (Ok(()), sender) => {
                self.sender = sender;
                Ok(())
            }
            (Err(_), Some(sender)) => Err(ended(sender).await),
            (Err(_), None) => Err(Error::internal("the loader has ended before")),
        }
    }
}

/// The whole transaction.
async fn transfer(
    settings: &Settings,
    cx: &Cx,
    push: &Push,
    request: &LoadRequest,
    ready: oneshot::Sender<Vec<Writing>>,
    mut steps: mpsc::Receiver<Step>,
) -> Result<()> {
    let mut session = database::connect(settings, cx, settings.hub_zone).await?;
    let db = &mut session.db;
    let target = target::look_up(db, cx, push, &request.schema).await?;
    let columns = (request.schema.fields().iter().zip(&target.columns))
        .map(|(field, column)| encode::writing(field.data_type(), column, settings.hub_zone))
        .collect::<Result<Vec<Writing>>>()?;
    let staged = columns.iter().any(|column| column.is_staged) || request.mode == LoadMode::Upsert;
    let insert = staged.then(|| insert(&target, &columns, request.mode));
    cx.request().await?;
    run(db, cx, "beginning to write", "begin", &[]).await?;
    if request.mode == LoadMode::Replace {
        // Readers go on seeing the old rows until the commit, unlike after a truncation.
        run(db, cx, "emptying the table", &format!("delete from {}", target.table), &[]).await?;
    }
    let into = if staged {
        run(db, cx, "preparing to write", &staging(&target, &columns), &[]).await?;
        "pg_temp.huiliu_load"
    } else {
        target.table.as_str()
    };
    let sql = format!("copy {into} ({}) from stdin (format binary)", target.names());
    let failed = |cause| fault("writing rows", cause);
    let mut copy = db.copy_in_raw(&sql).await.map_err(failed)?;
    copy.send(&encode::HEADER[..]).await.map_err(failed)?;
    if ready.send(columns).is_err() {
        return Err(Error::cancelled());
    }
    let rows = loop {
        match steps.recv().await {
            Some(Step::Send(bytes)) => {
                for part in bytes.chunks(MESSAGE_BYTES) {
                    copy.send(part).await.map_err(failed)?;
                }
            }
            Some(Step::Finish(rows)) => break rows,
            None => return Err(Error::cancelled()),
        }
    };
    copy.send(&encode::TRAILER[..]).await.map_err(failed)?;
    let copied = copy.finish().await.map_err(failed)?;
    if copied != rows {
        return Err(Error::internal(format!("the database took {copied} rows of {rows}")));
    }
    if let Some(insert) = insert {
        run(db, cx, "writing rows", &insert, &[]).await?;
    }
    run(db, cx, "committing the rows", "commit", &[]).await.map(drop)
}

fn staging(target: &Target, columns: &[Writing]) -> String {
    let columns: Vec<String> = (target.columns.iter().zip(columns))
        .map(|(column, writing)| {
            let name = quote(&column.name);
            if writing.is_staged { format!("null::text as {name}") } else { format!("t.{name}") }
        })
        .collect();
    format!(
        "create temp table huiliu_load on commit drop as select {} from {} as t with no data",
        columns.join(", "),
        target.table
    )
}

fn insert(target: &Target, columns: &[Writing], mode: LoadMode) -> String {
    let values: Vec<String> = (target.columns.iter().zip(columns))
        .map(|(column, writing)| {
            let name = format!("l.{}", quote(&column.name));
            if writing.is_staged { format!("{name}::{}", column.cast) } else { name }
        })
        .collect();
    target.insert(&values, "pg_temp.huiliu_load as l", mode)
}
