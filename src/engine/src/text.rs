//! Values as text, the same wherever a record leaves the hub.

use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use huiliu_sdk::Result;

/// One row of a batch as text per column; null is `None`. Times are `YYYY-MM-DD HH:MM:SS`.
pub fn record_text(batch: &RecordBatch, row: usize) -> Result<Vec<(String, Option<String>)>> {
    let options = FormatOptions::default()
        .with_timestamp_format(Some("%Y-%m-%d %H:%M:%S"))
        .with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%:z"))
        .with_date_format(Some("%Y-%m-%d"));
    let schema = batch.schema();
    let mut values = Vec::with_capacity(batch.num_columns());
    for (field, column) in schema.fields().iter().zip(batch.columns()) {
        let text = if column.is_null(row) {
            None
        } else {
            Some(ArrayFormatter::try_new(column, &options)?.value(row).try_to_string()?)
        };
        values.push((field.name().clone(), text));
    }
    Ok(values)
}
