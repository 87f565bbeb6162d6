//! Where the rows of a chunk came from.

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
        let mut at = 0;
        for row in rows {
            // Rows mostly come in order, so the piece is mostly the one of the row before.
            let is_there = |piece: &Piece| {
                row.checked_sub(piece.start).is_some_and(|offset| offset < piece.numbers.len())
            };
            if !self.pieces.get(at).is_some_and(is_there) {
                at = self.pieces.partition_point(|piece| piece.start <= row).saturating_sub(1);
            }
            let piece = self.pieces.get(at).filter(|piece| is_there(piece));
            let piece = piece.ok_or_else(|| Error::internal("a row without a position"))?;
            bytes.extend_from_slice(piece.origin.as_bytes());
            bytes.push(b':');
            append_number(&mut bytes, piece.numbers[row - piece.start]);
            let end = i32::try_from(bytes.len())
                .map_err(|_| Error::internal("the positions of a chunk are too long"))?;
            ends.push(end);
        }
        let offsets = OffsetBuffer::new(ScalarBuffer::from(ends));
        Ok(StringArray::try_new(offsets, bytes.into(), None)?)
    }
}

/// Appends the decimal digits; formatting would take as long as hashing the row.
fn append_number(bytes: &mut Vec<u8>, mut number: u64) {
    let mut digits = [b'0'; 20];
    let mut start = digits.len() - 1;
    loop {
        digits[start] = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
        if number == 0 {
            break;
        }
        start -= 1;
    }
    bytes.extend_from_slice(&digits[start..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_in_any_order_of_rows() {
        let mut positions = Positions::new();
        positions.push("甲".into(), vec![1, 0, 10]);
        positions.push("空".into(), Vec::new());
        positions.push("乙".into(), vec![u64::MAX, 99]);
        let text = positions.text([4, 0, 1, 2, 3].into_iter()).unwrap();
        let told: Vec<_> = text.iter().flatten().collect();
        assert_eq!(told, ["乙:99", "甲:1", "甲:0", "甲:10", "乙:18446744073709551615"]);
        assert!(positions.text(std::iter::once(5)).is_err());
        assert!(Positions::new().text(std::iter::once(0)).is_err());
    }
}
