//! Which columns of a file repeat their values.

use std::collections::HashSet;

use arrow::array::{Array, ArrayRef};
use arrow::record_batch::RecordBatch;
use huiliu_sdk::Result;

use crate::hash::{Identity, cell_hashes};

/// Rows looked at. A column of twenty thousand values still repeats some among so many.
const SAMPLE: usize = 8192;
/// Fewer rows say nothing, and their file is small anyway.
const TOO_FEW: usize = 64;

/// The columns of `batch` whose values hardly ever repeat. A dictionary of those is larger than the
/// values, and looking each one up is most of the work of writing them.
pub(crate) fn unrepeated(batch: &RecordBatch) -> Result<Vec<String>> {
    let sample = batch.slice(0, batch.num_rows().min(SAMPLE));
    let mut names = Vec::new();
    for (field, column) in sample.schema().fields().iter().zip(sample.columns()) {
        if !field.data_type().is_nested() && hardly_repeats(column)? {
            names.push(field.name().clone());
        }
    }
    Ok(names)
}

fn hardly_repeats(column: &ArrayRef) -> Result<bool> {
    let values = column.len() - column.logical_null_count();
    if values < TOO_FEW {
        return Ok(false);
    }
    let mut distinct: HashSet<u128, Identity> =
        HashSet::with_capacity_and_hasher(values, Identity::default());
    distinct.extend(cell_hashes(column)?);
    Ok(distinct.len() * 10 > values * 9)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};
    use arrow::datatypes::{Field, Schema};

    use super::*;

    #[test]
    fn columns_that_repeat_are_told_from_those_that_do_not() {
        let number = |modulo: i64| -> ArrayRef {
            Arc::new((0..20_000).map(|row| Some(row % modulo)).collect::<Int64Array>())
        };
        let texts: StringArray = (0..20_000).map(|row| Some(format!("case {row}"))).collect();
        let mostly_null: Int64Array =
            (0..20_000).map(|row| (row % 2000 == 0).then_some(row)).collect();
        let columns: [(&str, ArrayRef); 5] = [
            ("id", number(i64::MAX)),
            ("case_no", Arc::new(texts)),
            ("item", number(3000)),
            ("status", number(5)),
            ("rare", Arc::new(mostly_null)),
        ];
        let fields: Vec<Field> = columns
            .iter()
            .map(|(name, column)| Field::new(*name, column.data_type().clone(), true))
            .collect();
        let schema = Arc::new(Schema::new(fields));
        let arrays = columns.into_iter().map(|(_, column)| column).collect();
        let batch = RecordBatch::try_new(schema, arrays).unwrap();
        assert_eq!(unrepeated(&batch).unwrap(), ["id", "case_no"]);
        assert!(unrepeated(&batch.slice(0, 0)).unwrap().is_empty());
    }
}
