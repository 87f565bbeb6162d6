//! Where the rows of a chunk came from.

use std::io::Write;
use std::sync::Arc;

use arrow::array::StringArray;
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use huiliu_sdk::{Error, Result};

/// The place of each row of a chunk: an origin (file, page, table) and a number in it.
#[derive(Debug, Clone, Default)]
pub struct Positions {
    pieces: Vec<Piece>,
    rows: usize,
}

#[derive(Debug, Clone)]
struct Piece {
    start: usize,
    origin: Arc<str>,
    numbers: Vec<u64>,
}

impl Positions {
    /// No rows yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds rows of one origin.
    pub fn push(&mut self, origin: Arc<str>, numbers: Vec<u64>) {
        let start = self.rows;
        self.rows += numbers.len();
        self.pieces.push(Piece { start, origin, numbers });
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The place of one row.
    pub fn get(&self, row: usize) -> Option<(&str, u64)> {
        let index = self.pieces.partition_point(|piece| piece.start <= row).checked_sub(1)?;
        let piece = self.pieces.get(index)?;
        Some((&piece.origin, *piece.numbers.get(row - piece.start)?))
    }

    /// The places of `rows` as `origin:number`.
    pub(crate) fn text(&self, rows: impl Iterator<Item = usize>) -> Result<StringArray> {
        let (expected, _) = rows.size_hint();
        let mut bytes: Vec<u8> = Vec::with_capacity(expected * 24);
        let mut ends: Vec<i32> = Vec::with_capacity(expected + 1);
        ends.push(0);
        for row in rows {
            let (origin, number) =
                self.get(row).ok_or_else(|| Error::internal("a row without a position"))?;
            bytes.extend_from_slice(origin.as_bytes());
            bytes.push(b':');
            append_number(&mut bytes, number);
            let end = i32::try_from(bytes.len())
                .map_err(|_| Error::internal("the positions of a chunk are too long"))?;
            ends.push(end);
        }
        let offsets = OffsetBuffer::new(ScalarBuffer::from(ends));
        Ok(StringArray::try_new(offsets, bytes.into(), None)?)
    }
}

fn append_number(bytes: &mut Vec<u8>, number: u64) {
    // Writing into memory cannot fail.
    drop(write!(bytes, "{number}"));
}
