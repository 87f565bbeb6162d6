//! Marking rows of a front database as fetched, after the hub has committed them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use huiliu_sdk::{Checkpoint, Cx, Event, Relay, Result, Scope, Source, StreamId};
use serde_json::Value;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, SqliteConnection};

use crate::config::Settings;
use crate::database::{Purpose, column, execute, fault, open, unless_cancelled};
use crate::flagged::{assigned, digest};
use crate::stored::Stored;

/// Rows that are marked in one transaction, which keeps other writers out.
const ROWS_PER_TRANSACTION: usize = 500;

/// A row as it was read.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) key: Vec<Stored>,
    pub(crate) flag: Stored,
    pub(crate) version: Option<Stored>,
    /// What stands for the values that tell its states apart.
    pub(crate) state: u64,
}

/// Rows to mark once the hub has committed the batch they came in.
#[derive(Debug, Clone)]
pub(crate) struct Marks {
    pub(crate) stream: StreamId,
    pub(crate) number: u64,
    /// The table as it stands in a statement.
    pub(crate) table: String,
    pub(crate) flag: String,
    pub(crate) done: String,
    pub(crate) key: Vec<String>,
    /// How a row is found: its number, or the columns of its primary key.
    pub(crate) place: Vec<String>,
    /// The columns whose values tell two states of a row apart.
    pub(crate) compared: Vec<String>,
    pub(crate) rows: Vec<Seen>,
}

impl Marks {
    async fn apply(&self, cx: &Cx, db: &mut SqliteConnection) -> Result<()> {
        for rows in self.rows.chunks(ROWS_PER_TRANSACTION) {
            cx.request().await?;
            // Nobody else writes between a look at a row and its mark.
            execute(db, "begin immediate").await?;
            for row in rows {
                for place in self.unchanged(db, row).await? {
                    self.mark(db, &place).await?;
                }
            }
            execute(db, "commit").await?;
        }
        Ok(())
    }

    /// Where the row is that still is what was read, its flag included.
    async fn unchanged(&self, db: &mut SqliteConnection, seen: &Seen) -> Result<Vec<Vec<Stored>>> {
        let compared: Vec<String> = self.compared.iter().map(|name| column(name)).collect();
        let keys: Vec<String> = self.key.iter().map(|name| column(name)).collect();
        let sql = format!(
            "select {}, {}, {} from {} as t where {}",
            self.place.join(", "),
            column(&self.flag),
            compared.join(", "),
            self.table,
            equal(&keys, &seen.key),
        );
        let query = sqlx::query(AssertSqlSafe(sql));
        let query = seen.key.iter().fold(query, |query, value| value.bind(query));
        let rows = query.fetch_all(db).await.map_err(failed)?;
        let mut places = Vec::new();
        for row in &rows {
            places.extend(self.same(row, seen)?);
        }
        Ok(places)
    }

    /// Where a row is, if it is what was read.
    fn same(&self, row: &SqliteRow, seen: &Seen) -> Result<Option<Vec<Stored>>> {
        let flag = self.place.len();
        let state: Vec<usize> = (flag + 1..=flag + self.compared.len()).collect();
        let is_same =
            Stored::of(row, flag)? == seen.flag && digest(&Stored::all(row, &state)?) == seen.state;
        if !is_same {
            return Ok(None);
        }
        let place: Vec<usize> = (0..flag).collect();
        Stored::all(row, &place).map(Some)
    }

    async fn mark(&self, db: &mut SqliteConnection, place: &[Stored]) -> Result<()> {
        let sql = format!(
            "update {} as t set {} where {}",
            self.table,
            assigned(&self.flag, &self.done),
            equal(&self.place, place),
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(self.done.clone());
        let query = place.iter().fold(query, |query, value| value.bind(query));
        query.execute(db).await.map(|_| ()).map_err(failed)
    }
}

fn failed(cause: sqlx::Error) -> huiliu_sdk::Error {
    fault("marking rows as fetched", cause)
}

/// Whether `columns` have these values.
fn equal(columns: &[String], values: &[Stored]) -> String {
    let terms: Vec<String> = (columns.iter().zip(values))
        .map(|(column, value)| format!("{column} = {}", value.placeholder()))
        .collect();
    terms.join(" and ")
}

/// Batches that were offered and not acknowledged yet, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Pending(Mutex<VecDeque<Marks>>);

impl Pending {
    pub(crate) fn push(&self, marks: Marks) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(marks);
    }

    /// The oldest batch of `stream` up to number `last`.
    fn oldest(&self, stream: &StreamId, last: u64) -> Option<Marks> {
        let pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pending.iter().find(|marks| &marks.stream == stream && marks.number <= last).cloned()
    }

    fn remove(&self, done: &Marks) {
        let mut pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pending.retain(|marks| marks.stream != done.stream || marks.number != done.number);
    }
}

/// A read of front databases: what the hub acknowledges is marked there.
pub(crate) struct FlaggedRelay {
    relay: Relay,
    settings: Arc<Settings>,
    pending: Arc<Pending>,
    db: Option<SqliteConnection>,
}

impl FlaggedRelay {
    pub(crate) fn new(relay: Relay, settings: Arc<Settings>, pending: Arc<Pending>) -> Self {
        Self { relay, settings, pending, db: None }
    }

    async fn mark(&mut self, cx: &Cx, stream: &StreamId, last: u64) -> Result<()> {
        while let Some(marks) = self.pending.oldest(stream, last) {
            let mut db = match self.db.take() {
                Some(db) => db,
                None => open(&self.settings.path, Purpose::Write).await?,
            };
            marks.apply(cx, &mut db).await?;
            self.pending.remove(&marks);
            // After a failure its state is unknown, so only a good connection is kept.
            self.db = Some(db);
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
        unless_cancelled(cx, self.mark(cx, stream, last)).await
    }
}
