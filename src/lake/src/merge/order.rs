//! The order in which a chunk's rows are written.

use std::cmp::Ordering;

use arrow::array::{Array, ArrayRef, AsArray, DynComparator, make_comparator};
use arrow::compute::SortOptions;
use arrow::datatypes::Int64Type;
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
    let first = key.first().map(|name| column(&chunk.data, name)).transpose()?;
    let lead = first.map_or_else(Vec::new, leads);
    let mut each: Vec<(u64, usize)> =
        rows.iter().map(|row| (lead.get(*row).copied().unwrap_or(0), *row)).collect();
    let compare = |(lead, row): &(u64, usize), (other_lead, other): &(u64, usize)| {
        lead.cmp(other_lead).then_with(|| {
            let mut each = columns.iter().map(|column| column(*row, *other));
            each.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
        })
    };
    if !each.is_sorted_by(|a, b| compare(a, b).is_le()) {
        each.sort_unstable_by(compare);
        rows.iter_mut().zip(each).for_each(|(row, (_, sorted))| *row = sorted);
    }
    Ok(())
}

/// For each value a number that is never greater than that of a greater value, and tells most of them
/// apart: comparing two of these is much cheaper than comparing two values. None where there are nulls.
fn leads(values: &ArrayRef) -> Vec<u64> {
    if values.null_count() > 0 {
        return Vec::new();
    }
    if let Some(numbers) = values.as_primitive_opt::<Int64Type>() {
        return numbers.values().iter().map(|number| number.cast_unsigned() ^ (1 << 63)).collect();
    }
    let Some(texts) = values.as_string_opt::<i32>() else { return Vec::new() };
    let Some(first) = texts.iter().flatten().next().map(str::as_bytes) else { return Vec::new() };
    let mut common = first.len();
    for text in texts.iter().flatten() {
        let text = text.as_bytes();
        let is_same = text.get(..common).is_some_and(|start| start == &first[..common]);
        if !is_same {
            common = text.iter().zip(first).take_while(|(a, b)| a == b).count();
        }
    }
    let lead = |text: &str| {
        let mut bytes = [0; 8];
        let rest = text.as_bytes().iter().skip(common);
        bytes.iter_mut().zip(rest).for_each(|(byte, value)| *byte = *value);
        u64::from_be_bytes(bytes)
    };
    texts.iter().flatten().map(lead).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};

    use super::*;

    #[test]
    fn leads_are_in_the_order_of_their_values() {
        let words =
            ["", "a", "a\0", "a\0\0", "ab", "abcdefgh", "abcdefghi", "b", "办", "办件", "办结"];
        for prefix in ["", "CASE", "案件"] {
            let words: Vec<String> = words.iter().map(|word| format!("{prefix}{word}")).collect();
            for some in [&words[..], &words[1..4], &words[4..7], &words[8..], &words[3..4], &[]] {
                let array: ArrayRef = Arc::new(StringArray::from_iter_values(some));
                let lead = leads(&array);
                assert!(lead.len() == some.len() && lead.is_sorted(), "{some:?}: {lead:?}");
            }
        }
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![i64::MIN, -1, 0, 1, i64::MAX]));
        let lead = leads(&numbers);
        assert!(lead.is_sorted_by(|a, b| a < b), "{lead:?}");
        let nulls: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None]));
        assert!(leads(&nulls).is_empty());
    }
}
