//! Rows of a file on their way to the hub, in bounded batches.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use chrono_tz::Tz;
use huiliu_sdk::{
    Cell, Cx, Error, Event, Ops, Rejected, Result, RowBuilder, Rows, original, original_line,
};
use tokio::sync::mpsc;

use crate::config::Stream;
use crate::read::{Field, Flow, Raw, Receiver, Refusal};
use crate::schema::{self, Column, Layout};

/// Rows after which a pass without events looks whether it should stop.
const ROWS_PER_CHECK: u64 = 4096;

/// Where the reader puts its events.
pub(crate) struct Outlet {
    pub(crate) sender: mpsc::Sender<Result<Event>>,
    pub(crate) cx: Cx,
    pub(crate) hub_zone: Tz,
    pub(crate) row_limit: Option<u64>,
}

impl Outlet {
    pub(crate) fn send(&self, event: Event) -> Result<()> {
        self.cx.check()?;
        self.sender.blocking_send(Ok(event)).map_err(|_| Error::cancelled())
    }
}

/// How far the read of one stream has come.
#[derive(Default)]
pub(crate) struct Progress {
    schema: Option<SchemaRef>,
    /// Rows of all files.
    rows: u64,
}

impl Progress {
    /// Sends the schema if it is not the one that was sent last.
    pub(crate) fn announce(
        &mut self,
        outlet: &Outlet,
        stream: &Stream,
        columns: &[Column],
    ) -> Result<RowBuilder> {
        let builder = RowBuilder::new(columns, stream.zone, outlet.hub_zone);
        let schema = builder.schema();
        if self.schema.as_ref() != Some(&schema) {
            self.schema = Some(Arc::clone(&schema));
            outlet.send(Event::Schema(stream.id.clone(), schema))?;
        }
        Ok(builder)
    }
}

/// What a file had.
#[derive(Default)]
pub(crate) struct Counts {
    /// Rows, with those that were refused.
    pub(crate) rows: u64,
    pub(crate) refused: u64,
    /// Rows that are no records.
    pub(crate) skipped: u64,
    pub(crate) notes: Vec<String>,
}

/// Sends the rows of one content.
pub(crate) struct Delivery<'a> {
    outlet: &'a Outlet,
    stream: &'a Stream,
    progress: &'a mut Progress,
    counts: &'a mut Counts,
    file: &'a str,
    origin: Arc<str>,
    table: Option<(RowBuilder, Layout)>,
    rejected: Vec<Rejected>,
    rejected_bytes: usize,
}

impl<'a> Delivery<'a> {
    pub(crate) fn new(
        outlet: &'a Outlet,
        stream: &'a Stream,
        progress: &'a mut Progress,
        counts: &'a mut Counts,
        file: &'a str,
    ) -> Self {
        Self {
            outlet,
            stream,
            progress,
            counts,
            file,
            origin: file.into(),
            table: None,
            rejected: Vec::new(),
            rejected_bytes: 0,
        }
    }

    /// Sends what is left.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.flush()
    }

    fn flush(&mut self) -> Result<()> {
        let Some((builder, _)) = &mut self.table else { return Ok(()) };
        if builder.is_empty() && self.rejected.is_empty() {
            return Ok(());
        }
        let (batch, positions) = builder.finish()?;
        self.rejected_bytes = 0;
        self.outlet.send(Event::Rows(Rows {
            stream: self.stream.id.clone(),
            batch,
            ops: Ops::Upsert,
            origin: Arc::clone(&self.origin),
            positions,
            rejected: std::mem::take(&mut self.rejected),
        }))
    }

    /// Sets a row aside. `raw` is what quarantine keeps of it.
    fn set_aside(&mut self, position: u64, (code, reason): Refusal, raw: Vec<u8>) {
        self.counts.refused += 1;
        self.rejected_bytes += raw.len();
        self.rejected.push(Rejected { position, code, reason, raw });
    }

    /// Counts a row; false if no more are wanted.
    fn begin(&mut self) -> bool {
        if self.outlet.row_limit.is_some_and(|limit| self.progress.rows >= limit) {
            return false;
        }
        self.progress.rows += 1;
        self.counts.rows += 1;
        true
    }

    fn end(&mut self) -> Flow {
        let limits = self.outlet.cx.limits;
        let (rows, bytes) =
            self.table.as_ref().map_or((0, 0), |(builder, _)| (builder.len(), builder.bytes()));
        if rows + self.rejected.len() >= limits.rows || bytes + self.rejected_bytes >= limits.bytes
        {
            self.flush()?;
        }
        Ok(ControlFlow::Continue(()))
    }
}

impl Receiver for Delivery<'_> {
    fn header(&mut self, fields: &[Field]) -> Result<()> {
        self.flush()?;
        let layout = schema::layout(self.stream, fields, self.file)?;
        let builder = self.progress.announce(self.outlet, self.stream, &layout.columns)?;
        self.table = Some((builder, layout));
        Ok(())
    }

    fn row(&mut self, position: u64, cells: &[Cell<'_>]) -> Flow {
        if !self.begin() {
            return Ok(ControlFlow::Break(()));
        }
        let Some((builder, layout)) = &mut self.table else { return Err(no_header()) };
        let wanted: Vec<Cell<'_>> = layout.fields.iter().map(|field| cells[*field]).collect();
        if let Err(refused) = builder.push(position, &wanted) {
            let raw = kept(layout, cells);
            let reason = format!("column `{}`: {}", refused.column, refused.reason);
            self.set_aside(position, (refused.code, reason), raw);
        }
        self.end()
    }

    fn refused(&mut self, position: u64, refusal: Refusal, raw: Raw<'_>) -> Flow {
        if !self.begin() {
            return Ok(ControlFlow::Break(()));
        }
        let Some((_, layout)) = &self.table else { return Err(no_header()) };
        let raw = match raw {
            Raw::Cells(cells) => kept(layout, cells),
            Raw::Line(line) => original_line(line),
        };
        self.set_aside(position, refusal, raw);
        self.end()
    }

    fn skipped(&mut self, _position: u64) {
        self.counts.skipped += 1;
    }

    fn note(&mut self, note: String) {
        self.counts.notes.push(note);
    }
}

fn no_header() -> Error {
    Error::internal("rows came before their header")
}

fn kept(layout: &Layout, cells: &[Cell<'_>]) -> Vec<u8> {
    let columns = layout.columns.iter().zip(&layout.fields);
    original(columns.map(|((name, ..), field)| (name.as_str(), cells[*field])))
}

/// Counts the rows of a file and sends none.
pub(crate) struct Counting<'a> {
    pub(crate) cx: &'a Cx,
    pub(crate) rows: u64,
}

impl Counting<'_> {
    fn count(&mut self) -> Flow {
        self.rows += 1;
        if self.rows.is_multiple_of(ROWS_PER_CHECK) {
            self.cx.check()?;
        }
        Ok(ControlFlow::Continue(()))
    }
}

impl Receiver for Counting<'_> {
    fn header(&mut self, _fields: &[Field]) -> Result<()> {
        Ok(())
    }

    fn row(&mut self, _position: u64, _cells: &[Cell<'_>]) -> Flow {
        self.count()
    }

    fn refused(&mut self, _position: u64, _refusal: Refusal, _raw: Raw<'_>) -> Flow {
        self.count()
    }
}
