//! From the bytes of a binary `copy` to batches, in place and column by column.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use chrono_tz::Tz;
use huiliu_sdk::{
    BatchLimits, Cell, ColumnType, Error, ErrorKind, Ops, Rejected, Result, RowBuilder, Rows,
    StreamId,
};

use crate::column::{Column, Odd};
use crate::layout::{Form, Layout, ROW_LIMIT};
use crate::original;

const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
/// Signature, flags and the length of an extension.
const HEADER: usize = 19;
/// Rows for which columns are made at first.
const FIRST_ROWS: usize = 1024;
/// Bytes of a batch that no caller can ask for, since text is counted in 32 bits.
const MOST_BYTES: usize = 1 << 30;

/// What to do next after bytes were taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fed {
    /// Bring more bytes.
    More,
    /// Take the batch and feed again.
    Full,
    /// There are no more rows.
    End,
}

/// How rows become batches.
pub(crate) struct Manner {
    pub(crate) source_zone: Tz,
    pub(crate) hub_zone: Tz,
    pub(crate) limits: BatchLimits,
    /// Whether a value that the lake cannot hold becomes null.
    pub(crate) odd_is_null: bool,
    /// Whether text has to be proved UTF-8 value by value.
    pub(crate) unchecked_text: bool,
}

/// A row's texts beside its columns.
pub(crate) type Note = Vec<Option<String>>;

enum Slot {
    Built(Column),
    /// The text waits for the end of the row.
    Parsed,
}

enum Refusal {
    Odd(Odd),
    Null,
    Size,
    Parsed { column: String, code: &'static str, reason: String },
}

/// Decodes one stream of bytes.
pub(crate) struct Decoder {
    layout: Arc<Layout>,
    slots: Vec<Slot>,
    parser: Option<RowBuilder>,
    /// Where the texts to parse lie in the row at hand.
    spans: Vec<Option<(usize, usize)>>,
    fields: usize,
    odd_is_null: bool,
    row_limit: usize,
    byte_limit: usize,
    rows: usize,
    bytes: usize,
    ordinal: u64,
    positions: Vec<u64>,
    rejected: Vec<Rejected>,
    notes: Vec<Note>,
    /// The beginning of a row whose end has not come yet.
    carry: Vec<u8>,
    has_header: bool,
    has_ended: bool,
}

/// What a decoder has gathered.
pub(crate) struct Gathered {
    pub(crate) batch: RecordBatch,
    pub(crate) positions: Vec<u64>,
    pub(crate) rejected: Vec<Rejected>,
    /// A note per row, refused ones included.
    pub(crate) notes: Vec<Note>,
}

impl Gathered {
    pub(crate) fn into_rows(self, stream: &StreamId, origin: &Arc<str>) -> Rows {
        Rows {
            stream: stream.clone(),
            batch: self.batch,
            ops: Ops::Upsert,
            origin: Arc::clone(origin),
            positions: self.positions,
            rejected: self.rejected,
        }
    }
}

enum Cut<'a> {
    Incomplete,
    Null,
    Value(&'a [u8]),
}

/// The value at `at`, and `at` behind it.
#[inline]
fn cut<'a>(data: &'a [u8], at: &mut usize) -> Result<Cut<'a>> {
    let Some(length) = data.get(*at..).and_then(|rest| rest.first_chunk::<4>()) else {
        return Ok(Cut::Incomplete);
    };
    let start = *at + 4;
    let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
        if length != &[0xff; 4] {
            return Err(broken());
        }
        *at = start;
        return Ok(Cut::Null);
    };
    let Some(value) = data.get(start..start + length) else {
        return Ok(Cut::Incomplete);
    };
    *at = start + length;
    Ok(Cut::Value(value))
}

fn broken() -> Error {
    Error::new(
        ErrorKind::Unreachable,
        "E-POSTGRES-STREAM",
        "the database sent bytes that are not the rows asked for",
    )
    .hint("check that `url` leads to a PostgreSQL server; try again")
}

impl Decoder {
    pub(crate) fn new(layout: &Arc<Layout>, manner: &Manner) -> Self {
        let capacity = manner.limits.rows.min(FIRST_ROWS);
        let slots: Vec<Slot> = layout
            .columns
            .iter()
            .map(|laid| match laid.form {
                Form::Wire(wire) => Slot::Built(Column::new(wire, capacity, manner.unchecked_text)),
                Form::Parsed(_) => Slot::Parsed,
            })
            .collect();
        let parsed: Vec<(String, ColumnType, bool)> = layout
            .columns
            .iter()
            .filter_map(|laid| match laid.form {
                Form::Parsed(kind) => Some((laid.name.clone(), kind, laid.nullable)),
                Form::Wire(_) => None,
            })
            .collect();
        let parser = (!parsed.is_empty())
            .then(|| RowBuilder::new(&parsed, manner.source_zone, manner.hub_zone));
        Self {
            fields: slots.len() + layout.notes.len() + usize::from(layout.is_guarded()),
            layout: Arc::clone(layout),
            slots,
            parser,
            spans: Vec::with_capacity(parsed.len()),
            odd_is_null: manner.odd_is_null,
            row_limit: manner.limits.rows.max(1),
            byte_limit: manner.limits.bytes.clamp(1, MOST_BYTES),
            rows: 0,
            bytes: 0,
            ordinal: 0,
            positions: Vec::with_capacity(capacity),
            rejected: Vec::new(),
            notes: Vec::new(),
            carry: Vec::new(),
            has_header: false,
            has_ended: false,
        }
    }

    /// Goes on with the bytes of another statement; positions count on.
    pub(crate) fn restart(&mut self) {
        self.carry.clear();
        (self.has_header, self.has_ended) = (false, false);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows == 0 && self.rejected.is_empty()
    }

    /// Whether the end of the bytes was seen.
    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Takes bytes off `rest` and says what to do next.
    pub(crate) fn feed(&mut self, rest: &mut &[u8]) -> Result<Fed> {
        if self.carry.is_empty() {
            let (used, fed) = self.parse(rest)?;
            *rest = &rest[used..];
            if fed == Fed::More && !rest.is_empty() {
                self.carry.extend_from_slice(rest);
                *rest = &[];
            }
            return Ok(fed);
        }
        let mut carry = std::mem::take(&mut self.carry);
        carry.extend_from_slice(rest);
        *rest = &[];
        let (used, fed) = self.parse(&carry)?;
        carry.drain(..used);
        if carry.len() > 2 * ROW_LIMIT {
            return Err(Error::new(
                ErrorKind::Data,
                "E-ROW-SIZE",
                format!("a row is larger than {} MiB", ROW_LIMIT >> 20),
            )
            .hint("leave the column out with `select`"));
        }
        self.carry = carry;
        Ok(fed)
    }

    fn parse(&mut self, data: &[u8]) -> Result<(usize, Fed)> {
        let mut used = 0;
        if !self.has_header {
            let Some(size) = header(data)? else { return Ok((0, Fed::More)) };
            used = size;
            self.has_header = true;
        }
        while !self.has_ended {
            if self.rows + self.rejected.len() >= self.row_limit || self.bytes >= self.byte_limit {
                return Ok((used, Fed::Full));
            }
            match self.tuple(&data[used..])? {
                Some(size) => used += size,
                None => return Ok((used, Fed::More)),
            }
        }
        Ok((data.len(), Fed::End))
    }

    /// Decodes the row at the start of `data` and says how long it is, if it is all there.
    fn tuple(&mut self, data: &[u8]) -> Result<Option<usize>> {
        let Some(count) = data.first_chunk::<2>() else { return Ok(None) };
        let count = i16::from_be_bytes(*count);
        if count == -1 {
            self.has_ended = true;
            return Ok(Some(2));
        }
        if usize::try_from(count) != Ok(self.fields) {
            return Err(broken());
        }
        let mut at = 2;
        let mut refusal: Option<(usize, Refusal)> = None;
        self.spans.clear();
        for (index, slot) in self.slots.iter_mut().enumerate() {
            match (cut(data, &mut at)?, slot) {
                (Cut::Incomplete, _) => {
                    self.forget_row();
                    return Ok(None);
                }
                (Cut::Value(value), Slot::Built(column)) => {
                    if let Err(odd) = column.push(value) {
                        column.null();
                        if !self.odd_is_null || odd == Odd::Form {
                            refusal.get_or_insert((index, Refusal::Odd(odd)));
                        } else if !self.layout.columns[index].nullable {
                            refusal.get_or_insert((index, Refusal::Null));
                        }
                    }
                }
                (Cut::Null, Slot::Built(column)) => {
                    column.null();
                    if !self.layout.columns[index].nullable {
                        refusal.get_or_insert((index, Refusal::Null));
                    }
                }
                (Cut::Value(value), Slot::Parsed) => {
                    self.spans.push(Some((at - value.len(), at)));
                }
                (Cut::Null, Slot::Parsed) => self.spans.push(None),
            }
        }
        let mut note = Vec::with_capacity(self.layout.notes.len());
        for _ in 0..self.layout.notes.len() {
            match cut(data, &mut at)? {
                Cut::Incomplete => {
                    self.forget_row();
                    return Ok(None);
                }
                Cut::Null => note.push(None),
                Cut::Value(value) => note.push(Some(String::from_utf8_lossy(value).into_owned())),
            }
        }
        if self.layout.is_guarded() {
            match cut(data, &mut at)? {
                Cut::Incomplete => {
                    self.forget_row();
                    return Ok(None);
                }
                Cut::Value(size) => {
                    let size = size.try_into().map(i64::from_be_bytes).map_err(|_| broken())?;
                    if usize::try_from(size).is_ok_and(|size| size > ROW_LIMIT) {
                        refusal = Some((0, Refusal::Size));
                    }
                }
                Cut::Null => return Err(broken()),
            }
        }
        self.ordinal += 1;
        if refusal.is_none() && self.parser.is_some() {
            refusal = self.parse_texts(data);
        }
        match refusal {
            None => {
                self.rows += 1;
                self.positions.push(self.ordinal);
                self.bytes += at;
            }
            Some((index, refusal)) => {
                self.forget_row();
                self.refuse(&data[..at], index, &refusal);
            }
        }
        if !self.layout.notes.is_empty() {
            self.notes.push(note);
        }
        Ok(Some(at))
    }

    fn parse_texts(&mut self, data: &[u8]) -> Option<(usize, Refusal)> {
        let parser = self.parser.as_mut()?;
        let cells: Vec<Cell<'_>> = self
            .spans
            .iter()
            .map(|span| match span {
                None => Cell::Null,
                Some((from, to)) => match std::str::from_utf8(&data[*from..*to]) {
                    Ok(text) => Cell::Text(text),
                    Err(_) => Cell::Bytes(&data[*from..*to]),
                },
            })
            .collect();
        let refused = parser.push(self.ordinal, &cells).err()?;
        let (column, code, reason) = (refused.column, refused.code, refused.reason);
        Some((0, Refusal::Parsed { column, code, reason }))
    }

    /// Takes back what the row at hand has put into columns.
    fn forget_row(&mut self) {
        for slot in &mut self.slots {
            if let Slot::Built(column) = slot {
                column.truncate(self.rows);
            }
        }
    }

    fn refuse(&mut self, tuple: &[u8], index: usize, refusal: &Refusal) {
        let name = self.layout.columns.get(index).map_or("", |laid| laid.name.as_str());
        let (code, reason) = match refusal {
            Refusal::Odd(odd) => (odd.code(), format!("column `{name}`: {}", odd.reason())),
            Refusal::Null => ("E-NULL", format!("column `{name}`: no value where one is required")),
            Refusal::Size => {
                ("E-ROW-SIZE", format!("the row is larger than {} MiB", ROW_LIMIT >> 20))
            }
            Refusal::Parsed { column, code, reason } => {
                (*code, format!("column `{column}`: {reason}"))
            }
        };
        let raw = original::render(&self.layout, tuple);
        self.bytes += raw.len();
        self.rejected.push(Rejected { position: self.ordinal, code, reason, raw });
    }

    /// Takes the rows gathered so far.
    pub(crate) fn take(&mut self) -> Result<Gathered> {
        let mut parsed = match &mut self.parser {
            Some(parser) => parser.finish()?.0.columns().to_vec(),
            None => Vec::new(),
        }
        .into_iter();
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.slots.len());
        for slot in &mut self.slots {
            arrays.push(match slot {
                Slot::Built(column) => column.take()?,
                Slot::Parsed => {
                    parsed.next().ok_or_else(|| Error::internal("a column was not parsed"))?
                }
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        let schema = Arc::clone(&self.layout.schema);
        let batch = RecordBatch::try_new_with_options(schema, arrays, &options)?;
        (self.rows, self.bytes) = (0, 0);
        let next = Vec::with_capacity(self.positions.len());
        Ok(Gathered {
            batch,
            positions: std::mem::replace(&mut self.positions, next),
            rejected: std::mem::take(&mut self.rejected),
            notes: std::mem::take(&mut self.notes),
        })
    }
}

/// The length of what stands before the first row, if it is all there.
fn header(data: &[u8]) -> Result<Option<usize>> {
    let known = data.len().min(SIGNATURE.len());
    if data[..known] != SIGNATURE[..known] {
        return Err(broken());
    }
    let Some(rest) = data.get(SIGNATURE.len()..HEADER) else { return Ok(None) };
    let number = |at: usize| {
        rest[at..].first_chunk::<4>().map_or(u32::MAX, |bytes| u32::from_be_bytes(*bytes))
    };
    // The upper half of the flags changes what rows look like.
    if number(0) >> 16 != 0 || number(4) > 1 << 20 {
        return Err(broken());
    }
    let size = HEADER + usize::try_from(number(4)).map_err(|_| broken())?;
    Ok((data.len() >= size).then_some(size))
}
