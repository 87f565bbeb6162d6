//! Marking rows of a front database as fetched, after the hub has committed them.
//!
//! A row is marked only as it was read: what was sent again meanwhile, or added to its case, keeps
//! its flag and is read the next time. Where a version tells that, the statement that marks compares
//! it. Elsewhere the rows are read once more in the transaction that marks them, and compared here,
//! whole. That transaction is serializable, so that whoever changes a row between the two either
//! waits or is in the way, and then it is all done again.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use huiliu_sdk::{Checkpoint, Cx, Error, ErrorKind, Event, Relay, Result, Scope, Source, StreamId};
use odbc_api::{Connection, Cursor, Error as OdbcError};
use serde_json::Value;
use tokio::runtime::Handle;

use crate::config::Settings;
use crate::connection::{blocking, connect, execute};
use crate::fault::{fault, is_of_connection};
use crate::front::{Front, Seen};
use crate::source::values;
use crate::statement::Sql;
use crate::value::Parts;

/// Rows that one statement marks.
const ROWS_PER_STATEMENT: usize = 50;

/// Times that rows are marked when the department's own program holds them.
const ATTEMPTS: usize = 3;

/// Standard SQL; SQLite does not know it, where a transaction that writes is alone anyway.
const SERIALIZABLE: &str = "set transaction isolation level serializable";

/// Rows to mark once the hub has committed the batch they came in.
pub(crate) struct Marks {
    pub(crate) front: Arc<Front>,
    pub(crate) number: u64,
    pub(crate) rows: Vec<Seen>,
}

/// Batches that were offered and not acknowledged yet, oldest first.
#[derive(Default)]
pub(crate) struct Pending(Mutex<VecDeque<Arc<Marks>>>);

impl Pending {
    pub(crate) fn push(&self, marks: Marks) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(Arc::new(marks));
    }

    /// The oldest batch of `stream` up to number `last`.
    fn oldest(&self, stream: &StreamId, last: u64) -> Option<Arc<Marks>> {
        let pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = |marks: &&Arc<Marks>| marks.front.stream == *stream && marks.number <= last;
        pending.iter().find(wanted).cloned()
    }

    fn remove(&self, done: &Arc<Marks>) {
        let mut pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pending.retain(|marks| !Arc::ptr_eq(marks, done));
    }
}

/// A read of front databases: what the hub acknowledges is marked there.
pub(crate) struct FlaggedRelay {
    relay: Relay,
    settings: Arc<Settings>,
    pending: Arc<Pending>,
    /// None before the first batch and after a failure.
    marker: Option<Marker>,
}

impl FlaggedRelay {
    pub(crate) fn new(relay: Relay, settings: Arc<Settings>, pending: Arc<Pending>) -> Self {
        Self { relay, settings, pending, marker: None }
    }

    async fn mark(&mut self, cx: &Cx, stream: &StreamId, last: u64) -> Result<()> {
        while let Some(marks) = self.pending.oldest(stream, last) {
            let (settings, marker) = (Arc::clone(&self.settings), self.marker.take());
            let (runtime, rows) = (Handle::current(), Arc::clone(&marks));
            let marker = blocking(cx, move |cx| {
                let marker = marker.map_or_else(|| Marker::open(&settings), Ok)?;
                marker.apply(&rows, &|| runtime.block_on(cx.request()))?;
                Ok(marker)
            })
            .await?;
            self.marker = Some(marker);
            self.pending.remove(&marks);
        }
        Ok(())
    }
}

#[async_trait]
impl Source for FlaggedRelay {
    async fn next(&mut self, cx: &Cx) -> Result<Option<Event>> {
        self.relay.next(cx).await
    }

    /// Marks this batch and all before it, since the hub may commit several at once.
    async fn acknowledge(&mut self, cx: &Cx, checkpoint: &Checkpoint) -> Result<()> {
        let Scope::Stream(stream) = &checkpoint.scope else { return Ok(()) };
        let last = match checkpoint.state.get("batch") {
            Some(Value::Null) => u64::MAX,
            Some(number) => number.as_u64().unwrap_or(0),
            None => return Ok(()),
        };
        self.mark(cx, stream, last)
            .await
            .map_err(|error| error.context(format!("stream `{stream}`")))
    }
}

/// A connection that marks rows, in transactions of its own.
struct Marker {
    db: Connection<'static>,
    settings: Arc<Settings>,
    /// Whether the database knows [`SERIALIZABLE`].
    serializes: bool,
}

impl Marker {
    fn open(settings: &Arc<Settings>) -> Result<Self> {
        let db = connect(settings)?;
        db.set_autocommit(false).map_err(|cause| failed(&cause))?;
        let told = execute(&db, settings, &Sql::plain(SERIALIZABLE)).map(drop);
        let serializes = match told {
            Ok(()) => true,
            Err(cause) if is_of_connection(&cause) => return Err(failed(&cause)),
            Err(_) => false,
        };
        db.rollback().map_err(|cause| failed(&cause))?;
        Ok(Self { db, settings: Arc::clone(settings), serializes })
    }

    /// Marks all rows of a batch that still are what was read.
    fn apply(&self, marks: &Marks, ask: &dyn Fn() -> Result<()>) -> Result<()> {
        let all: HashSet<&Seen> = marks.rows.iter().collect();
        for rows in marks.rows.chunks(ROWS_PER_STATEMENT) {
            let mut attempts = 1;
            while let Err(error) = self.mark(&marks.front, rows, &all, ask) {
                // If it cannot be taken back, the connection is gone and with it what was begun.
                drop(self.db.rollback());
                if attempts == ATTEMPTS || error.kind() != ErrorKind::Conflict {
                    return Err(error);
                }
                attempts += 1;
            }
        }
        Ok(())
    }

    fn mark(
        &self,
        front: &Front,
        rows: &[Seen],
        all: &HashSet<&Seen>,
        ask: &dyn Fn() -> Result<()>,
    ) -> Result<()> {
        let same: Vec<&Seen> = if front.is_told_by_version() {
            rows.iter().collect()
        } else {
            ask()?;
            self.begin(front)?;
            self.unchanged(front, rows, all)?
        };
        if !same.is_empty() {
            ask()?;
            self.run(&front.mark(&same)?)?;
        }
        self.db.commit().map_err(|cause| failed(&cause))
    }

    /// Begins a transaction in which what is read stays as it is until it ends.
    fn begin(&self, front: &Front) -> Result<()> {
        if self.serializes {
            return self.run(&Sql::plain(SERIALIZABLE));
        }
        // Two that have read and then both want to write would wait for each other.
        self.run(&front.touch())
    }

    /// Those of `rows` that are there as they were read. `all` is what came in the same batch: where
    /// several rows have one key, each of them has to be known before any is marked.
    fn unchanged<'a>(
        &self,
        front: &Front,
        rows: &'a [Seen],
        all: &HashSet<&Seen>,
    ) -> Result<Vec<&'a Seen>> {
        let found = execute(&self.db, &self.settings, &front.current(rows)?);
        let found = found.map_err(|cause| failed(&cause))?;
        let mut cursor =
            found.ok_or_else(|| Error::internal("a query has given no rows and no end"))?;
        let mut parts = Parts::new();
        let mut current: HashSet<Seen> = HashSet::new();
        while let Some(mut row) = cursor.next_row().map_err(|cause| failed(&cause))? {
            let values = values(&mut row, &front.layout, &mut parts, &self.settings)?;
            current.extend(front.seen(&values));
        }
        let mut unknown: HashSet<(&[String], Option<&str>)> = HashSet::new();
        for row in &current {
            if !all.contains(row) {
                unknown.insert(row.place());
            }
        }
        let mut same = Vec::with_capacity(rows.len());
        for row in rows {
            if current.contains(row) && !unknown.contains(&row.place()) {
                same.push(row);
            }
        }
        Ok(same)
    }

    fn run(&self, sql: &Sql) -> Result<()> {
        execute(&self.db, &self.settings, sql).map(drop).map_err(|cause| failed(&cause))
    }
}

fn failed(cause: &OdbcError) -> Error {
    fault("marking rows as fetched", cause)
}
