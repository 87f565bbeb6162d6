//! Reading a front database (前置库): cases that nobody fetched yet, whole, marked once they are
//! committed.
//!
//! One statement lists the cases, others read and claim them over a connection of their own, so that
//! nothing depends on the marks of the same read. All rows of a case come from one statement. What
//! was read and never marked is read again; what comes twice is equal.

use std::collections::VecDeque;
use std::sync::Arc;

use huiliu_sdk::{Event, Result};
use huiliu_sqlkit::Flags;
use odbc_api::{Connection, Cursor};
use serde_json::{Value, json};

use crate::config::Stream;
use crate::connection::{connect, execute};
use crate::cursor::noted;
use crate::fault::fault;
use crate::front::{Front, Seen, State};
use crate::layout::Layout;
use crate::marking::{Marks, Pending};
use crate::source::{Batch, Outlet, values};
use crate::statement::Sql;
use crate::value::Parts;

/// Cases that are listed ahead, so that the list of most reads has ended before their rows are read.
const AHEAD: usize = 10_000;

/// Cases that one statement asks for.
const CASES_PER_STATEMENT: usize = 50;

/// Reads the cases of one stream that are new.
pub(crate) fn read(
    outlet: &Outlet,
    db: &Connection<'static>,
    stream: &Stream,
    flags: &Flags,
    pending: &Pending,
) -> Result<()> {
    outlet.request()?;
    let front = Arc::new(Front::open(&outlet.settings, db, stream, flags)?);
    let is_preview = outlet.row_limit.is_some();
    if !is_preview {
        outlet.request()?;
        front.check_right(db)?;
    }
    let shown = front.shown();
    let batch = Batch::new(outlet, stream, &shown);
    let parts = Parts::new();
    let mut reading =
        Reading { outlet, db, front: &front, shown: &shown, batch, parts, position: 0 };
    outlet.send(Event::Schema(stream.id.clone(), reading.batch.builder.schema()))?;
    reading.loose()?;
    let listing = connect(&outlet.settings)?;
    outlet.request()?;
    let cursor = execute(&listing, &outlet.settings, &front.cases())
        .map_err(|cause| fault("listing cases", &cause))?;
    let mut cases = Cases { cursor, ahead: VecDeque::new(), parts: Parts::new() };
    let mut number = 0_u64;
    while !reading.is_over() {
        let batch = cases.take(&front, flags.batch)?;
        if batch.is_empty() {
            break;
        }
        if !is_preview {
            reading.claim(&batch)?;
        }
        let Some(seen) = reading.rows(&batch)? else { break };
        number += 1;
        let state = state(number, &batch, &seen);
        if !is_preview {
            // Noted before it is offered, so that it is there when the commit is acknowledged.
            pending.push(Marks { front: Arc::clone(&front), number, rows: seen });
        }
        outlet.send(Event::Checkpoint(noted(&stream.id, state)))?;
    }
    let over = json!({ "batch": null, "cases": [] });
    outlet.send(Event::Checkpoint(noted(&stream.id, over)))?;
    outlet.send(Event::End { stream: stream.id.clone(), complete: false })
}

/// What the hub keeps of a batch, for people.
fn state(number: u64, cases: &[Vec<String>], seen: &[Seen]) -> Value {
    let versions: Vec<Value> = (seen.iter())
        .filter_map(|row| match &row.state {
            State::Version(version) => Some(json!({ "key": row.key, "version": version })),
            State::Content(_) => None,
        })
        .collect();
    let mut state = json!({ "batch": number, "cases": cases });
    if !versions.is_empty() {
        state["rows"] = versions.into();
    }
    state
}

/// Cases on their way from the database.
struct Cases<C> {
    /// None once they have all come.
    cursor: Option<C>,
    ahead: VecDeque<Vec<String>>,
    parts: Parts,
}

impl<C: Cursor> Cases<C> {
    /// The next cases, so many at most; none if there are no more.
    fn take(&mut self, front: &Front, count: usize) -> Result<Vec<Vec<String>>> {
        if self.ahead.len() < count {
            self.fill(front, count.max(AHEAD))?;
        }
        let count = count.min(self.ahead.len());
        Ok(self.ahead.drain(..count).collect())
    }

    fn fill(&mut self, front: &Front, most: usize) -> Result<()> {
        while self.ahead.len() < most {
            let Some(cursor) = &mut self.cursor else { break };
            let next = match cursor.next_row().map_err(|cause| fault("listing cases", &cause))? {
                Some(mut row) => Some(front.case(&mut row, &mut self.parts)?),
                None => None,
            };
            match next {
                Some(case) => self.ahead.push_back(case),
                // Some drivers keep a transaction open as long as there is a cursor.
                None => self.cursor = None,
            }
        }
        Ok(())
    }
}

/// One read.
struct Reading<'a> {
    outlet: &'a Outlet,
    db: &'a Connection<'static>,
    front: &'a Front,
    /// The columns that the hub gets.
    shown: &'a Layout,
    batch: Batch<'a>,
    parts: Parts,
    position: u64,
}

impl Reading<'_> {
    /// Whether a preview has all the rows it wants.
    fn is_over(&self) -> bool {
        self.outlet.row_limit.is_some_and(|limit| self.position >= limit)
    }

    /// New rows that name no case cannot be fetched as one. They are sent for the hub to set
    /// aside, and never marked.
    fn loose(&mut self) -> Result<()> {
        if !self.is_over() {
            let sql = self.front.loose();
            self.take(&sql, None)?;
        }
        self.outlet.flush(&mut self.batch)
    }

    /// Marks the new rows of `cases` as being fetched, if that is asked for.
    fn claim(&self, cases: &[Vec<String>]) -> Result<()> {
        for cases in cases.chunks(CASES_PER_STATEMENT) {
            let Some(sql) = self.front.claim(cases)? else { break };
            self.outlet.request()?;
            execute(self.db, &self.outlet.settings, &sql)
                .map(drop)
                .map_err(|cause| fault("claiming cases", &cause))?;
        }
        Ok(())
    }

    /// Sends all rows of `cases`, fetched before or not, and gives those that are to be marked;
    /// nothing if the read stopped early.
    fn rows(&mut self, cases: &[Vec<String>]) -> Result<Option<Vec<Seen>>> {
        let mut seen = Vec::new();
        let mut is_whole = true;
        for cases in cases.chunks(CASES_PER_STATEMENT) {
            let sql = self.front.rows(cases)?;
            if !self.take(&sql, Some(&mut seen))? {
                is_whole = false;
                break;
            }
        }
        self.outlet.flush(&mut self.batch)?;
        Ok(is_whole.then_some(seen))
    }

    /// Sends the rows of a query and notes in `seen` those that are fresh, where the query tells that.
    /// Says whether it came to the end.
    fn take(&mut self, sql: &Sql, mut seen: Option<&mut Vec<Seen>>) -> Result<bool> {
        let outlet = self.outlet;
        outlet.request()?;
        let found = execute(self.db, &outlet.settings, sql);
        let found = found.map_err(|cause| fault("reading rows", &cause))?;
        let Some(mut cursor) = found else { return Ok(true) };
        loop {
            outlet.cx.check()?;
            let next = cursor.next_row().map_err(|cause| fault("reading rows", &cause))?;
            let Some(mut row) = next else { return Ok(true) };
            if self.is_over() {
                return Ok(false);
            }
            self.position += 1;
            let layout = &self.front.layout;
            let mut values = values(&mut row, layout, &mut self.parts, &outlet.settings)?;
            if let Some(seen) = &mut seen
                && self.front.is_fresh(&mut row, &mut self.parts)?
            {
                // A row whose key could not be found again stays new.
                seen.extend(self.front.seen(&values));
            }
            values.remove(self.front.flag());
            self.batch.push(self.position, self.shown, &values);
            if self.batch.is_full(&outlet.cx) {
                outlet.flush(&mut self.batch)?;
            }
        }
    }
}
