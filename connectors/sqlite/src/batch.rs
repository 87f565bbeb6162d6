//! Rows collected for the next event.

use std::sync::Arc;

use chrono_tz::Tz;
use huiliu_sdk::{Cx, Ops, Rejected, Result, RowBuilder, Rows, StreamId};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::config::Stream;
use crate::database::fault;
use crate::row;
use crate::schema::Layout;

/// The rows collected so far.
pub(crate) struct Batch {
    pub(crate) builder: RowBuilder,
    rejected: Vec<Rejected>,
    rejected_bytes: usize,
    origin: Arc<str>,
    stream: StreamId,
}

impl Batch {
    pub(crate) fn new(stream: &Stream, layout: &Layout, hub_zone: Tz) -> Self {
        Self {
            builder: RowBuilder::new(&layout.columns, stream.zone, hub_zone),
            rejected: Vec::new(),
            rejected_bytes: 0,
            origin: stream.table.as_str().into(),
            stream: stream.id.clone(),
        }
    }

    /// Adds a row, or notes why it is refused.
    pub(crate) fn push(&mut self, row: &SqliteRow, layout: &Layout, ordinal: u64) -> Result<()> {
        let columns = &layout.columns;
        let position = match layout.rowid {
            // Row numbers below zero are legal and rare; they keep their bits.
            Some(_) => row
                .try_get_unchecked::<i64, _>(columns.len())
                .map_err(|cause| fault("reading a row number", cause))?
                .cast_unsigned(),
            None => ordinal,
        };
        let decimals = row::decimal_texts(row, columns)?;
        let (code, reason) = match row::cells(row, columns, &decimals)? {
            Ok(cells) => match self.builder.push(position, &cells) {
                Ok(()) => return Ok(()),
                Err(refused) => {
                    (refused.code, format!("column `{}`: {}", refused.column, refused.reason))
                }
            },
            Err(unfit) => (unfit.code, unfit.reason),
        };
        let raw = row::render(row, columns)?;
        self.rejected_bytes += raw.len();
        self.rejected.push(Rejected { position, code, reason, raw });
        Ok(())
    }

    pub(crate) fn is_full(&self, cx: &Cx) -> bool {
        self.builder.len() + self.rejected.len() >= cx.limits.rows
            || self.builder.bytes() + self.rejected_bytes >= cx.limits.bytes
    }

    /// The rows collected so far, if there are any.
    pub(crate) fn take(&mut self) -> Result<Option<Rows>> {
        if self.builder.is_empty() && self.rejected.is_empty() {
            return Ok(None);
        }
        let (batch, positions) = self.builder.finish()?;
        self.rejected_bytes = 0;
        Ok(Some(Rows {
            stream: self.stream.clone(),
            batch,
            ops: Ops::Upsert,
            origin: Arc::clone(&self.origin),
            positions,
            rejected: std::mem::take(&mut self.rejected),
        }))
    }
}
