//! Statements: planned by one call, run by the next one, prepared for several.

use std::time::Duration;

use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::ScalarValue;
use huiliu_core::access::Limits;
use huiliu_sdk::{Error, ErrorKind, Result};
use tokio::time::Instant;

use super::failure::wrong;
use super::guard::DOOR;
use super::kept::Kept;
use super::parameter;
use super::rows::{Messages, messages, plain};
use crate::identity::Visitor;
use crate::sql::{self, Gate, Listed, in_time};

/// How many planned statements of a user may wait for their call, and how long.
const TICKETS: (usize, Duration) = (16, Duration::from_secs(60));
/// How many statements a user may have prepared, and how long they rest.
const PREPARED: (usize, Duration) = (64, Duration::from_secs(1_800));

/// The statements of all users.
pub(super) struct Statements {
    gate: Gate,
    planned: Kept<Planned>,
    prepared: Kept<Prepared>,
}

/// A statement that waits for the call that runs it, at the snapshot that it was planned on.
struct Planned {
    statement: sql::Planned,
    limits: Limits,
}

/// A statement that is planned each time it runs, so that it reads the newest snapshot.
#[derive(Clone)]
struct Prepared {
    sql: String,
    bound: Vec<ScalarValue>,
}

/// What a client learns of a statement before it runs.
pub(super) struct Description {
    /// The columns of its rows.
    pub(super) columns: SchemaRef,
    /// The snapshot it reads.
    pub(super) snapshot: i64,
    /// What runs it, once.
    pub(super) ticket: String,
}

/// What a client learns of a prepared statement.
pub(super) struct Handle {
    pub(super) handle: String,
    pub(super) columns: SchemaRef,
    pub(super) parameters: Schema,
}

impl Statements {
    pub(super) fn new(gate: Gate) -> Self {
        let planned = Kept::new(TICKETS.0, TICKETS.1);
        Self { gate, planned, prepared: Kept::new(PREPARED.0, PREPARED.1) }
    }

    /// When something that begins now must be done.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.gate.limits().time
    }

    pub(super) fn forget_old(&self) {
        self.planned.forget_old();
        self.prepared.forget_old();
    }

    /// Plans a statement; planning takes one of the places that its user has.
    async fn plan(&self, visitor: &Visitor, sql: &str, snapshot: Option<i64>) -> Result<Planned> {
        let sql = self.gate.reading(sql)?;
        let _place = self.gate.admit(visitor)?;
        let deadline = self.deadline();
        let snapshot = in_time(deadline, self.gate.snapshot(snapshot)).await??;
        let planned = self.gate.plan(snapshot, &visitor.limits, &sql, deadline);
        Ok(Planned { statement: Box::pin(planned).await?, limits: visitor.limits.clone() })
    }

    /// The columns of a statement's rows.
    pub(super) async fn columns(
        &self,
        visitor: &Visitor,
        sql: &str,
        snapshot: Option<i64>,
    ) -> Result<SchemaRef> {
        let planned = Box::pin(self.plan(visitor, sql, snapshot)).await?;
        Ok(planned.columns())
    }

    /// Plans a statement and keeps it for the call that runs it.
    pub(super) async fn describe(
        &self,
        visitor: &Visitor,
        sql: &str,
        snapshot: Option<i64>,
    ) -> Result<Description> {
        let planned = Box::pin(self.plan(visitor, sql, snapshot)).await?;
        Ok(self.keep(visitor, planned))
    }

    fn keep(&self, visitor: &Visitor, planned: Planned) -> Description {
        let (columns, snapshot) = (planned.columns(), planned.statement.snapshot());
        Description { columns, snapshot, ticket: self.planned.put(&visitor.user, planned) }
    }

    /// Runs a planned statement: the snapshot it reads, and its rows.
    pub(super) async fn run(&self, visitor: &Visitor, ticket: &[u8]) -> Result<(i64, Messages)> {
        let place = self.gate.admit(visitor)?;
        // What was planned for somebody who may see more, or other rows, is not run.
        let planned = self.planned.take(&visitor.user, ticket);
        let planned = planned
            .filter(|planned| planned.limits == visitor.limits)
            .ok_or_else(|| unknown("ticket"))?;
        let (columns, snapshot) = (planned.columns(), planned.statement.snapshot());
        let deadline = self.deadline();
        let flow = self.gate.start(visitor, DOOR, &planned.statement, deadline, place);
        let flow = Box::pin(flow).await?;
        let accounts = self.gate.accounts().clone();
        Ok((snapshot, messages(flow, columns, deadline, accounts, visitor.clone())))
    }

    /// Prepares a statement.
    pub(super) async fn prepare(
        &self,
        visitor: &Visitor,
        sql: &str,
        snapshot: Option<i64>,
    ) -> Result<Handle> {
        let planned = Box::pin(self.plan(visitor, sql, snapshot)).await?;
        let columns = planned.columns();
        let parameters = parameter::schema(&planned.statement.description().parameters);
        let prepared = Prepared { sql: planned.statement.sql().to_owned(), bound: Vec::new() };
        Ok(Handle { handle: self.prepared.put(&visitor.user, prepared), columns, parameters })
    }

    /// Binds values to the parameters of a prepared statement.
    pub(super) fn bind(
        &self,
        visitor: &Visitor,
        handle: &[u8],
        values: Vec<ScalarValue>,
    ) -> Result<()> {
        let bound = self.prepared.using(&visitor.user, handle, |prepared| prepared.bound = values);
        bound.ok_or_else(|| unknown("prepared statement"))
    }

    /// Plans a prepared statement with what is bound to it, and keeps it for the call that runs it.
    pub(super) async fn describe_prepared(
        &self,
        visitor: &Visitor,
        handle: &[u8],
        snapshot: Option<i64>,
    ) -> Result<Description> {
        let prepared = self.prepared.using(&visitor.user, handle, |prepared| prepared.clone());
        let Prepared { sql, bound } = prepared.ok_or_else(|| unknown("prepared statement"))?;
        let mut planned = Box::pin(self.plan(visitor, &sql, snapshot)).await?;
        let values = parameter::values(&planned.statement.description().parameters, &bound)?;
        planned.statement.bind(values);
        Ok(self.keep(visitor, planned))
    }

    /// Forgets a prepared statement.
    pub(super) fn close(&self, visitor: &Visitor, handle: &[u8]) {
        // One that is forgotten already is closed as well.
        drop(self.prepared.take(&visitor.user, handle));
    }

    /// The tables that may be asked, with their columns.
    pub(super) async fn tables(
        &self,
        visitor: &Visitor,
        snapshot: Option<i64>,
    ) -> Result<Vec<Listed>> {
        let _place = self.gate.admit(visitor)?;
        in_time(self.deadline(), async {
            let session = self.gate.session_at(snapshot, &visitor.limits).await?;
            self.gate.tables(&session).await
        })
        .await?
    }
}

impl Planned {
    /// The columns of its rows, as clients know them.
    fn columns(&self) -> SchemaRef {
        plain(&self.statement.description().columns)
    }
}

fn unknown(what: &str) -> Error {
    let message = format!("there is no such {what} of yours, or not any more");
    Error::new(ErrorKind::NotFound, "E-FLIGHT-TICKET", message)
        .hint("a ticket is good once and for a minute; ask or prepare again")
}

/// The snapshot that a call names.
pub(super) fn pinned(header: Option<&str>) -> Result<Option<i64>> {
    let number = |text: &str| {
        let number = text.parse::<i64>().ok().filter(|number| *number >= 0);
        number.ok_or_else(|| wrong("`huiliu-snapshot` is no snapshot's number", "such as 42"))
    };
    header.map(number).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_a_number() {
        assert_eq!(pinned(None).unwrap(), None);
        assert_eq!(pinned(Some("42")).unwrap(), Some(42));
        for text in ["", "-1", "latest", "4 2", "99999999999999999999"] {
            assert_eq!(pinned(Some(text)).unwrap_err().code(), "E-INPUT", "{text}");
        }
    }
}
