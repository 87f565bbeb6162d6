//! 128-bit hashes of keys and rows, column by column.
//!
//! A row's hash is the sum of the hashes of its cells, each seeded by its column's name. So it
//! does not depend on the order of the columns, and a column that is added later and still empty
//! changes nothing. Whole numbers of all widths hash alike, and so do floats, so that a column
//! that gets a wider type changes nothing either.

use std::hash::{BuildHasherDefault, Hasher};

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type, UInt64Type};
use arrow::record_batch::RecordBatch;
use arrow::row::{RowConverter, SortField};
use huiliu_sdk::{Error, ErrorKind, Result};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128_with_seed};

use crate::parallel::{Haste, in_haste};

/// A hasher for what is a hash already.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Halve(u64);

/// The bits of a key's hash by which a map of a chunk's keys is ordered, from the top on. What is
/// looked up for one key after the other of such a map by these bits is met in order as well, and so
/// mostly near the processor.
#[allow(clippy::cast_possible_truncation)] // 32 of the bits
pub(crate) fn map_order(key: u128) -> u32 {
    // A map of a full chunk has 2^17 places.
    (key as u32).rotate_right(17)
}

/// Builds [`Halve`]s.
pub(crate) type Identity = BuildHasherDefault<Halve>;

impl Hasher for Halve {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    #[allow(clippy::cast_possible_truncation)] // the lower half of a hash is as good as all of it
    fn write_u128(&mut self, value: u128) {
        self.0 = value as u64;
    }
}

/// Rows hashed at once over all columns: their sums stay near the processor from one column to the
/// next.
const PIECE_ROWS: usize = 4096;

/// Hashes rows over some columns.
#[derive(Debug, Clone)]
pub(crate) struct RowHasher {
    columns: Vec<(String, u64)>,
}

impl RowHasher {
    /// Hashes the columns `names` as the content of a row, whatever their order.
    pub(crate) fn of_row(names: impl IntoIterator<Item = String>) -> Self {
        let seeded = |name: String| {
            let seed = xxh3_64(name.as_bytes());
            (name, seed)
        };
        Self { columns: names.into_iter().map(seeded).collect() }
    }

    /// Hashes the columns `names` as a key, in their order.
    pub(crate) fn of_key(names: &[String]) -> Self {
        Self { columns: names.iter().cloned().zip(1..).collect() }
    }

    /// The columns.
    pub(crate) fn columns(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|(name, _)| name.as_str())
    }

    /// The hash of each row of `batch`.
    pub(crate) fn hash(&self, batch: &RecordBatch) -> Result<Vec<u128>> {
        let columns = self.seeded(batch)?;
        let mut sums = vec![0_u128; batch.num_rows()];
        for (piece, sums) in sums.chunks_mut(PIECE_ROWS).enumerate() {
            add_piece(sums, piece, &columns)?;
        }
        Ok(sums)
    }

    /// The same, on a few threads when there is haste.
    pub(crate) fn hash_in(&self, haste: &Haste, batch: &RecordBatch) -> Result<Vec<u128>> {
        let columns = self.seeded(batch)?;
        let rows = batch.num_rows();
        let pieces = in_haste(haste, rows.div_ceil(PIECE_ROWS), |piece| {
            let mut sums = vec![0_u128; PIECE_ROWS.min(rows - piece * PIECE_ROWS)];
            add_piece(&mut sums, piece, &columns)?;
            Ok::<_, Error>(sums)
        })?;
        Ok(pieces.concat())
    }

    /// The columns of `batch`, each with its seed.
    fn seeded<'b>(&self, batch: &'b RecordBatch) -> Result<Vec<(&'b ArrayRef, u64)>> {
        let mut columns = Vec::with_capacity(self.columns.len());
        for (name, seed) in &self.columns {
            let column = batch.column_by_name(name).ok_or_else(|| {
                Error::new(ErrorKind::Schema, "E-COLUMN-MISSING", format!("no column {name}"))
            })?;
            columns.push((column, *seed));
        }
        Ok(columns)
    }
}

/// The hashes of a column's cells that are not null.
pub(crate) fn cell_hashes(column: &ArrayRef) -> Result<impl Iterator<Item = u128>> {
    let mut hashes = vec![0_u128; column.len()];
    add_column(&mut hashes, column, 0)?;
    let nulls = column.logical_nulls();
    let is_value = move |row: usize| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
    Ok(hashes.into_iter().enumerate().filter(move |(row, _)| is_value(*row)).map(|(_, hash)| hash))
}

/// Adds the hashes of all cells of one piece of the rows.
fn add_piece(sums: &mut [u128], piece: usize, columns: &[(&ArrayRef, u64)]) -> Result<()> {
    columns.iter().try_for_each(|(column, seed)| {
        let cells = column.slice(piece * PIECE_ROWS, sums.len());
        add_column(sums, &cells, *seed)
    })
}

/// Adds the hashes of a column's cells. A null adds nothing.
fn add_column(sums: &mut [u128], column: &ArrayRef, seed: u64) -> Result<()> {
    match column.data_type() {
        DataType::Null => {}
        DataType::Utf8 => {
            let texts = column.as_string::<i32>();
            let bytes = texts.value_data();
            let ends = texts.value_offsets();
            add(sums, column, |row| {
                xxh3_128_with_seed(&bytes[position(ends[row])..position(ends[row + 1])], seed)
            });
        }
        DataType::Binary => {
            let values = column.as_binary::<i32>();
            add(sums, column, |row| xxh3_128_with_seed(values.value(row), seed));
        }
        DataType::Boolean => {
            let values = column.as_boolean();
            add(sums, column, |row| mix(u64::from(values.value(row)), seed));
        }
        DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::Date32
        | DataType::Timestamp(..)
        | DataType::Time64(_) => {
            let wide = cast(column, &DataType::Int64)?;
            let values = wide.as_primitive::<Int64Type>().values();
            add(sums, column, |row| mix(values[row].cast_unsigned(), seed));
        }
        DataType::UInt64 => {
            let values = column.as_primitive::<UInt64Type>().values();
            add(sums, column, |row| mix(values[row], seed));
        }
        DataType::Float32 | DataType::Float64 => {
            let wide = cast(column, &DataType::Float64)?;
            let values = wide.as_primitive::<Float64Type>().values();
            add(sums, column, |row| mix(values[row].to_bits(), seed));
        }
        DataType::Decimal128(..) => {
            let values = column.as_primitive::<Decimal128Type>().values();
            add(sums, column, |row| {
                let value = values[row].cast_unsigned();
                #[allow(clippy::cast_possible_truncation)] // the two halves are taken apart
                let (high, low) = ((value >> 64) as u64, value as u64);
                mix(low, seed).wrapping_add(mix(high, !seed))
            });
        }
        // Rare types: lists, structs, 256-bit decimals.
        other => {
            let converter = RowConverter::new(vec![SortField::new(other.clone())])?;
            let rows = converter.convert_columns(std::slice::from_ref(column))?;
            add(sums, column, |row| xxh3_128_with_seed(rows.row(row).as_ref(), seed));
        }
    }
    Ok(())
}

fn add(sums: &mut [u128], column: &ArrayRef, hash: impl Fn(usize) -> u128) {
    match column.logical_nulls() {
        None => {
            for (row, sum) in sums.iter_mut().enumerate() {
                *sum = sum.wrapping_add(hash(row));
            }
        }
        Some(nulls) => {
            for (row, sum) in sums.iter_mut().enumerate() {
                if nulls.is_valid(row) {
                    *sum = sum.wrapping_add(hash(row));
                }
            }
        }
    }
}

/// An offset into a string array; Arrow keeps them non-negative.
fn position(offset: i32) -> usize {
    usize::try_from(offset).unwrap_or(0)
}

/// Spreads a number over 128 bits. Each half is a bijection of the number.
fn mix(value: u64, seed: u64) -> u128 {
    let high = scramble(value ^ seed);
    let low = scramble(value.wrapping_add(seed.rotate_left(32)) ^ 0x9e37_79b9_7f4a_7c15);
    (u128::from(high) << 64) | u128::from(low)
}

/// The finalizer of SplitMix64.
fn scramble(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int16Array, Int64Array, StringArray};

    use super::*;

    fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true)))
            .unwrap()
    }

    fn row(columns: Vec<(&str, ArrayRef)>) -> u128 {
        let names: Vec<String> = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
        RowHasher::of_row(names).hash(&batch(columns)).unwrap()[0]
    }

    fn text(value: &str) -> ArrayRef {
        Arc::new(StringArray::from(vec![value]))
    }

    #[test]
    fn order_of_columns_width_of_numbers_and_empty_new_columns_change_nothing() {
        let narrow: ArrayRef = Arc::new(Int16Array::from(vec![-7]));
        let wide: ArrayRef = Arc::new(Int64Array::from(vec![-7]));
        let none: ArrayRef = Arc::new(StringArray::from(vec![None::<&str>]));
        let first = row(vec![("a", text("x")), ("b", narrow)]);
        assert_eq!(first, row(vec![("b", Arc::clone(&wide)), ("a", text("x"))]));
        assert_eq!(first, row(vec![("a", text("x")), ("b", wide), ("c", none)]));
    }

    #[test]
    fn values_that_move_to_another_column_change_the_hash() {
        assert_ne!(
            row(vec![("a", text("x")), ("b", text("y"))]),
            row(vec![("a", text("y")), ("b", text("x"))])
        );
        assert_ne!(row(vec![("a", text(""))]), row(vec![("b", text(""))]));
        let keys = RowHasher::of_key(&["a".into(), "b".into()]);
        let one = keys.hash(&batch(vec![("a", text("ab")), ("b", text("c"))])).unwrap();
        let two = keys.hash(&batch(vec![("a", text("a")), ("b", text("bc"))])).unwrap();
        assert_ne!(one, two);
    }

    #[test]
    fn rows_of_a_long_batch_hash_as_each_does_alone() {
        let count = 2 * PIECE_ROWS + 3;
        let texts: StringArray =
            (0..count).map(|row| (row % 3 != 0).then(|| format!("办件 {row}"))).collect();
        let numbers: Int64Array =
            (0_i64..).map(|row| (row % 5 != 0).then_some(row)).take(count).collect();
        let rows = batch(vec![("a", Arc::new(texts)), ("b", Arc::new(numbers))]);
        let hasher = RowHasher::of_row(["a".to_owned(), "b".to_owned()]);
        let hashes = hasher.hash(&rows).unwrap();
        assert_eq!(hashes.len(), count);
        for row in [0, 1, PIECE_ROWS - 1, PIECE_ROWS, 2 * PIECE_ROWS, count - 1] {
            assert_eq!(hasher.hash(&rows.slice(row, 1)).unwrap(), [hashes[row]], "row {row}");
        }
        assert_eq!(hasher.hash_in(&Haste::default(), &rows).unwrap(), hashes);
        assert!(hasher.hash_in(&Haste::default(), &rows.slice(0, 0)).unwrap().is_empty());
    }

    #[test]
    fn negative_zero_and_infinities_are_values_of_their_own() {
        use arrow::array::Float64Array;
        let hash = |value: f64| row(vec![("f", Arc::new(Float64Array::from(vec![value])) as _)]);
        assert_ne!(hash(0.0), hash(-0.0));
        assert_ne!(hash(f64::INFINITY), hash(f64::NEG_INFINITY));
        assert_eq!(hash(f64::NAN), hash(f64::NAN));
    }
}
