//! Values as text, the same wherever a record leaves the hub.

use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::DateTime;
use chrono_tz::Tz;
use huiliu_sdk::Result;

/// One row of a batch as text per column; null is `None`. Times are `YYYY-MM-DD HH:MM:SS`.
pub fn record_text(batch: &RecordBatch, row: usize) -> Result<Vec<(String, Option<String>)>> {
    let options = text_options();
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

/// How values are written as text.
pub fn text_options() -> FormatOptions<'static> {
    FormatOptions::default()
        .with_timestamp_format(Some("%Y-%m-%d %H:%M:%S"))
        .with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%:z"))
        .with_date_format(Some("%Y-%m-%d"))
}

/// The day of a stored instant in `zone`, as `YYYY-MM-DD`; text that is none stays as it is.
pub fn day_in(stored: &str, zone: Tz) -> String {
    DateTime::parse_from_rfc3339(stored).map_or_else(
        |_| stored.to_owned(),
        |moment| moment.with_timezone(&zone).format("%Y-%m-%d").to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_that_of_the_hubs_zone() {
        let zone = chrono_tz::Asia::Shanghai;
        assert_eq!(day_in("2018-12-12T16:00:00.000Z", zone), "2018-12-13");
        assert_eq!(day_in("2018-12-12T15:59:59.999Z", zone), "2018-12-12");
    }
}
