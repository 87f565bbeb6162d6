//! Hashes of keys and of compared values, column by column.
//!
//! A row's hash is the sum of its cells' hashes, each seeded by its column. Keys have 128 bits,
//! because they stand for the key itself; values have 64, because they are only ever compared
//! between rows of one key.

use std::hash::{BuildHasherDefault, Hasher};

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type};
use arrow::row::{RowConverter, SortField};
use huiliu_sdk::Result;
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128_with_seed};

/// A hash that cells add to.
pub(crate) trait CellHash: Copy {
    /// The hash of a cell.
    fn of(bytes: &[u8], seed: u64) -> Self;
    /// Both together.
    fn plus(self, other: Self) -> Self;
}

impl CellHash for u64 {
    fn of(bytes: &[u8], seed: u64) -> Self {
        xxh3_64_with_seed(bytes, seed)
    }

    fn plus(self, other: Self) -> Self {
        self.wrapping_add(other)
    }
}

impl CellHash for u128 {
    fn of(bytes: &[u8], seed: u64) -> Self {
        xxh3_128_with_seed(bytes, seed)
    }

    fn plus(self, other: Self) -> Self {
        self.wrapping_add(other)
    }
}

/// A hasher for what is a hash already.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Halve(u64);

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

/// Adds the hashes of a column's cells to `sums`. A null adds nothing.
pub(crate) fn add_column<H: CellHash>(sums: &mut [H], column: &ArrayRef, seed: u64) -> Result<()> {
    match column.data_type() {
        DataType::Null => {}
        DataType::Utf8 => {
            let values = column.as_string::<i32>();
            add(sums, column, |row| H::of(values.value(row).as_bytes(), seed));
        }
        DataType::LargeUtf8 => {
            let values = column.as_string::<i64>();
            add(sums, column, |row| H::of(values.value(row).as_bytes(), seed));
        }
        DataType::Utf8View => {
            let values = column.as_string_view();
            add(sums, column, |row| H::of(values.value(row).as_bytes(), seed));
        }
        DataType::Boolean => {
            let values = column.as_boolean();
            add(sums, column, |row| H::of(&[u8::from(values.value(row))], seed));
        }
        kind if kind.is_integer()
            || matches!(kind, DataType::Date32 | DataType::Timestamp(..) | DataType::Time64(_)) =>
        {
            let wide = cast(column, &DataType::Int64)?;
            let values = wide.as_primitive::<Int64Type>().values();
            add(sums, column, |row| H::of(&values[row].to_le_bytes(), seed));
        }
        kind if kind.is_floating() => {
            let wide = cast(column, &DataType::Float64)?;
            let values = wide.as_primitive::<Float64Type>().values();
            add(sums, column, |row| {
                // Both zeros are one number.
                let value = if values[row] == 0.0 { 0.0 } else { values[row] };
                H::of(&value.to_le_bytes(), seed)
            });
        }
        DataType::Decimal128(..) => {
            let values = column.as_primitive::<Decimal128Type>().values();
            add(sums, column, |row| H::of(&values[row].to_le_bytes(), seed));
        }
        // Rare types: binary, lists, structs.
        other => {
            let converter = RowConverter::new(vec![SortField::new(other.clone())])?;
            let rows = converter.convert_columns(std::slice::from_ref(column))?;
            add(sums, column, |row| H::of(rows.row(row).as_ref(), seed));
        }
    }
    Ok(())
}

fn add<H: CellHash>(sums: &mut [H], column: &ArrayRef, hash: impl Fn(usize) -> H) {
    match column.logical_nulls() {
        None => {
            for (row, sum) in sums.iter_mut().enumerate() {
                *sum = sum.plus(hash(row));
            }
        }
        Some(nulls) => {
            for (row, sum) in sums.iter_mut().enumerate() {
                if nulls.is_valid(row) {
                    *sum = sum.plus(hash(row));
                }
            }
        }
    }
}

/// Spreads a hash again, so that equal rows of different systems do not cancel each other.
pub(crate) fn salted(hash: u64, salt: u64) -> u64 {
    xxh3_64_with_seed(&hash.to_le_bytes(), salt)
}
