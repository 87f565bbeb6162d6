//! The order in which a chunk's rows are written.

use std::cmp::Ordering;

use arrow::array::{DynComparator, make_comparator};
use arrow::compute::SortOptions;
use huiliu_sdk::Result;

use super::chunk::{Chunk, column};

/// Orders rows of a chunk by their key, as a read of the whole table brings them.
///
/// A key mostly begins with what rows have in common, such as a division or a day. Rows that lie
/// together in a table then do so in its later files too: groups are met in runs rather than one
/// row at a time, pages compress, and row groups have narrow bounds.
pub(super) fn by_key(chunk: &Chunk<'_>, key: &[String], rows: &mut [usize]) -> Result<()> {
    rows.sort_unstable();
    let mut columns: Vec<DynComparator> = Vec::with_capacity(key.len());
    for name in key {
        let values = column(&chunk.data, name)?;
        columns.push(make_comparator(values, values, SortOptions::default())?);
    }
    let compare = |a: &usize, b: &usize| {
        let mut each = columns.iter().map(|column| column(*a, *b));
        each.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    };
    if !rows.is_sorted_by(|a, b| compare(a, b).is_le()) {
        rows.sort_unstable_by(compare);
    }
    Ok(())
}
