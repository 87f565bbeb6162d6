//! Rows collected for the next event.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::compute::filter;
use arrow::datatypes::{Field, Schema, SchemaRef};
use huiliu_sdk::{Cx, Error, ErrorKind, Ops, Rejected, Result, Rows, StreamId, original};
use sqlx::mysql::MySqlRow;
use sqlx::{Decode, MySql, Row};

use crate::fault::fault;
use crate::slot::{Refusal, Slot};
use crate::wire::Shown;

/// The bytes of a value as the protocol sends them. The driver's own test for null would also
/// take zero dates for it.
pub(crate) fn bytes_of(row: &MySqlRow, index: usize) -> Result<Option<&[u8]>> {
    let value = row.try_get_raw(index).map_err(|cause| fault("reading a value", cause))?;
    Ok(<&[u8] as Decode<MySql>>::decode(value).ok())
}

/// A value that the statement turned into text.
pub(crate) fn text_of(row: &MySqlRow, index: usize) -> Result<Option<String>> {
    let Some(bytes) = bytes_of(row, index)? else { return Ok(None) };
    let text = std::str::from_utf8(bytes).map_err(|_| {
        Error::new(ErrorKind::Data, "E-ENCODING", "a value to compare is not UTF-8")
    })?;
    Ok(Some(text.to_owned()))
}

/// A truth value that the statement computed; whole numbers are little-endian, whatever width.
pub(crate) fn is_true(row: &MySqlRow, index: usize) -> Result<bool> {
    Ok(bytes_of(row, index)?.is_some_and(|bytes| bytes.iter().any(|byte| *byte != 0)))
}

/// Rows collected so far.
pub(crate) struct Batch {
    stream: StreamId,
    origin: Arc<str>,
    slots: Vec<Slot>,
    schema: SchemaRef,
    /// Whether each row is kept; the others are in `rejected`.
    kept: Vec<bool>,
    positions: Vec<u64>,
    rejected: Vec<Rejected>,
    bytes: usize,
}

impl Batch {
    pub(crate) fn new(stream: StreamId, table: &str, slots: Vec<Slot>) -> Self {
        let fields: Vec<Field> = slots.iter().map(Slot::field).collect();
        Self {
            stream,
            origin: table.into(),
            slots,
            schema: Arc::new(Schema::new(fields)),
            kept: Vec::new(),
            positions: Vec::new(),
            rejected: Vec::new(),
            bytes: 0,
        }
    }

    pub(crate) fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Columns the batch takes from the left of each row.
    pub(crate) fn width(&self) -> usize {
        self.slots.len()
    }

    /// Adds a row, or notes why it is refused.
    pub(crate) fn push(&mut self, row: &MySqlRow, position: u64) -> Result<()> {
        let mut refused: Option<(usize, Refusal)> = None;
        for (index, slot) in self.slots.iter_mut().enumerate() {
            match slot.push(bytes_of(row, index)?) {
                Ok(size) => self.bytes += size,
                Err(refusal) => {
                    refused.get_or_insert((index, refusal));
                }
            }
        }
        self.kept.push(refused.is_none());
        let Some((index, refusal)) = refused else {
            self.positions.push(position);
            return Ok(());
        };
        let raw = self.original(row)?;
        self.bytes += raw.len();
        let reason = format!("column `{}`: {}", self.slots[index].name, refusal.reason);
        self.rejected.push(Rejected { position, code: refusal.code, reason, raw });
        Ok(())
    }

    fn original(&self, row: &MySqlRow) -> Result<Vec<u8>> {
        let mut shown = Vec::with_capacity(self.slots.len());
        for (index, slot) in self.slots.iter().enumerate() {
            let bytes = bytes_of(row, index)?;
            shown.push(match bytes {
                None => Shown::Null,
                Some(bytes) => {
                    slot.wire.show(bytes).map_or_else(|| Shown::Bytes(bytes.to_vec()), Shown::fit)
                }
            });
        }
        let names = self.slots.iter().map(|slot| slot.name.as_str());
        Ok(original(names.zip(shown.iter().map(Shown::cell))))
    }

    pub(crate) fn is_full(&self, cx: &Cx) -> bool {
        self.kept.len() >= cx.limits.rows || self.bytes >= cx.limits.bytes
    }

    /// The rows collected so far, if there are any.
    pub(crate) fn take(&mut self) -> Result<Option<Rows>> {
        if self.kept.is_empty() {
            return Ok(None);
        }
        let kept = std::mem::take(&mut self.kept);
        let positions = std::mem::take(&mut self.positions);
        let rejected = std::mem::take(&mut self.rejected);
        self.bytes = 0;
        let mut arrays: Vec<ArrayRef> =
            self.slots.iter_mut().map(Slot::finish).collect::<Result<_>>()?;
        if !rejected.is_empty() {
            let kept = BooleanArray::from(kept);
            arrays = arrays.iter().map(|array| filter(array, &kept)).collect::<Result<_, _>>()?;
        }
        let options = RecordBatchOptions::new().with_row_count(Some(positions.len()));
        let batch = RecordBatch::try_new_with_options(self.schema(), arrays, &options)?;
        Ok(Some(Rows {
            stream: self.stream.clone(),
            batch,
            ops: Ops::Upsert,
            origin: Arc::clone(&self.origin),
            positions,
            rejected,
        }))
    }
}
