//! The rows of one statement on their way out, whichever door they leave by.

use datafusion::arrow::record_batch::RecordBatch;
use huiliu_sdk::{Error, ErrorKind, Result};
use serde_json::json;
use tokio::time::Instant;

use super::wire::Class;
use super::{Batches, Gate, Planned, Ticket};
use crate::identity::Visitor;

/// Why no more rows come. The doors tell an error of the engine each in its own way.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// An error of the hub.
    Hub(Error),
    /// An error of the hub that travelled through the engine.
    Through(Error),
    /// An error of the engine, and its own words for it.
    Engine { error: Error, class: Class, text: String },
}

impl From<Stopped> for Error {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Hub(error) | Stopped::Engine { error, .. } => error,
            Stopped::Through(error) => error.context("the query"),
        }
    }
}

/// The rows of one running statement; dropping them ends it.
pub(crate) struct Flow {
    gate: Gate,
    batches: Batches,
    /// How many rows may still come.
    left: usize,
    told: Option<Told>,
    /// Its place among the user's statements, free again when it is dropped.
    _ticket: Ticket,
}

/// What the audit was told of a statement, and how many rows it has given.
struct Told {
    visitor: Visitor,
    door: &'static str,
    tables: String,
    rows: usize,
}

impl Gate {
    /// Notes what a planned statement is about to read, and starts it; what cannot be noted is not
    /// read.
    pub(crate) async fn start(
        &self,
        visitor: &Visitor,
        door: &'static str,
        planned: &Planned,
        deadline: Instant,
        ticket: Ticket,
    ) -> Result<Flow> {
        let tables = self.note(visitor, door, planned, None).await?;
        let told = tables.map(|tables| Told { visitor: visitor.clone(), door, tables, rows: 0 });
        let batches = Box::pin(self.run(planned, None, deadline)).await?;
        let left = self.limits().rows;
        Ok(Flow { gate: self.clone(), batches, left, told, _ticket: ticket })
    }
}

impl Flow {
    /// The next rows; none when all were given and the audit knows how many.
    pub(crate) async fn next(&mut self) -> Result<Option<RecordBatch>, Stopped> {
        let Some(batch) = self.batches.next().await else {
            if let Some(told) = self.told.take() {
                let what = json!({ "door": told.door, "rows": told.rows });
                let accounts = self.gate.accounts();
                let noted =
                    accounts.note_read(&told.visitor, "query rows", &told.tables, what).await;
                noted.map_err(Stopped::Hub)?;
            }
            return Ok(None);
        };
        let batch = batch?;
        if let Some(told) = &mut self.told {
            told.rows += batch.num_rows();
        }
        self.left = self.left.checked_sub(batch.num_rows()).ok_or_else(|| {
            let message = "the statement gives more rows than are given at once";
            let error = Error::new(ErrorKind::Data, "E-SQL-ROWS", message);
            Stopped::Hub(error.hint("ask for less, or take the lake's files"))
        })?;
        Ok(Some(batch))
    }
}
