//! Marking rows of a front database as fetched, after the hub has committed them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use huiliu_sdk::{Checkpoint, Cx, Event, Relay, Result, Scope, Source, StreamId};
use sqlx::mysql::MySqlConnection;

use crate::config::Settings;
use crate::database::{Purpose, column, open, query, quote, unless_cancelled};
use crate::fault::{fault, number};
use crate::keyset::Comparable;

/// Rows that one statement marks. Each is found by its key, and all are locked for its time.
const ROWS_PER_STATEMENT: usize = 100;

/// Times a statement is sent when the department's own program holds the rows.
const ATTEMPTS: usize = 3;

/// A row as it was read.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) key: Vec<String>,
    pub(crate) flag: Option<String>,
    pub(crate) version: Option<String>,
}

/// Rows to mark once the hub has committed the batch they came in.
#[derive(Debug, Clone)]
pub(crate) struct Marks {
    pub(crate) stream: StreamId,
    pub(crate) number: u64,
    pub(crate) table: String,
    pub(crate) flag: String,
    pub(crate) done: String,
    pub(crate) key: Vec<Comparable>,
    /// How the version is written where it is compared, and how its value.
    pub(crate) version: (String, String),
    pub(crate) rows: Vec<Seen>,
}

impl Marks {
    async fn apply(&self, cx: &Cx, db: &mut MySqlConnection) -> Result<()> {
        let flag = column(&self.flag);
        let (side, bound) = &self.version;
        let mut terms: Vec<String> =
            self.key.iter().map(|column| format!("{} = {}", column.side, column.bound)).collect();
        terms.push(format!("{flag} <=> ?"));
        terms.push(format!("{side} <=> {bound}"));
        let one = format!("({})", terms.join(" and "));
        for rows in self.rows.chunks(ROWS_PER_STATEMENT) {
            let sql = format!(
                "update {} as t set {flag} = ? where {}",
                quote(&self.table),
                vec![one.as_str(); rows.len()].join(" or "),
            );
            for attempt in 1..=ATTEMPTS {
                cx.request().await?;
                let mut statement = query(sql.clone()).bind(&self.done);
                for row in rows {
                    for text in &row.key {
                        statement = statement.bind(text);
                    }
                    statement = statement.bind(&row.flag).bind(&row.version);
                }
                match statement.execute(&mut *db).await {
                    Ok(_) => break,
                    Err(cause)
                        if attempt < ATTEMPTS && matches!(number(&cause), Some(1205 | 1213)) => {}
                    Err(cause) => return Err(fault("marking rows as fetched", cause)),
                }
            }
        }
        Ok(())
    }
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
    db: Option<MySqlConnection>,
}

impl FlaggedRelay {
    pub(crate) fn new(relay: Relay, settings: Arc<Settings>, pending: Arc<Pending>) -> Self {
        Self { relay, settings, pending, db: None }
    }

    async fn mark(&mut self, cx: &Cx, stream: &StreamId, last: u64) -> Result<()> {
        while let Some(marks) = self.pending.oldest(stream, last) {
            let mut db = match self.db.take() {
                Some(db) => db,
                None => open(&self.settings, Purpose::Write).await?,
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
            Some(serde_json::Value::Null) => u64::MAX,
            Some(number) => number.as_u64().unwrap_or(0),
            None => return Ok(()),
        };
        unless_cancelled(cx, self.mark(cx, stream, last)).await
    }
}
