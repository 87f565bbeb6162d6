//! Rows on their way into quarantine, in the one form from which they can be tried again.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use arrow::util::display::array_value_to_string;
use chrono::{DateTime, SecondsFormat, TimeZone, Utc};
use chrono_tz::Tz;
use huiliu_sdk::{OriginalValue, Result, original};

/// The row at `row` as it came. Wall times get the offset of the hub's zone, in which they are
/// held, so that they mean the same when they are read again.
pub(super) fn original_row(batch: &RecordBatch, row: usize, zone: Tz) -> Result<Vec<u8>> {
    let schema = batch.schema();
    let mut values = Vec::with_capacity(batch.num_columns());
    for (field, array) in schema.fields().iter().zip(batch.columns()) {
        values.push((field.name().as_str(), value(&array.slice(row, 1), zone)?));
    }
    Ok(original(values.iter().map(|(name, value)| (*name, value.cell()))))
}

/// The one value of `array`.
fn value(array: &ArrayRef, zone: Tz) -> Result<OriginalValue> {
    if array.is_null(0) || *array.data_type() == DataType::Null {
        return Ok(OriginalValue::Null);
    }
    Ok(match array.data_type() {
        DataType::Boolean => OriginalValue::Bool(array.as_boolean().value(0)),
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => {
            let bytes = arrow::compute::cast(array, &DataType::Binary)?;
            OriginalValue::Bytes(bytes.as_binary::<i32>().value(0).to_vec())
        }
        DataType::Timestamp(unit, within) if *unit != TimeUnit::Nanosecond => {
            let micros = DataType::Timestamp(TimeUnit::Microsecond, within.clone());
            let micros = arrow::compute::cast(array, &micros)?;
            let micros = micros.as_primitive::<TimestampMicrosecondType>().value(0);
            let Some(utc) = DateTime::<Utc>::from_timestamp_micros(micros) else {
                return Ok(OriginalValue::Text(array_value_to_string(array, 0)?));
            };
            OriginalValue::Text(match within {
                Some(_) => utc.to_rfc3339_opts(SecondsFormat::AutoSi, true),
                None => match zone.from_local_datetime(&utc.naive_utc()).earliest() {
                    Some(local) => local.to_rfc3339_opts(SecondsFormat::AutoSi, false),
                    None => array_value_to_string(array, 0)?,
                },
            })
        }
        _ => OriginalValue::Text(array_value_to_string(array, 0)?),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{BinaryArray, Int64Array, StringArray, TimestampMicrosecondArray};
    use huiliu_sdk::read_original;

    use super::*;

    #[test]
    fn a_row_is_kept_so_that_it_reads_back() {
        let columns: [(&str, ArrayRef); 5] = [
            ("id", Arc::new(Int64Array::from(vec![7, i64::MAX]))),
            ("name", Arc::new(StringArray::from(vec![Some("一"), None]))),
            ("raw", Arc::new(BinaryArray::from_vec(vec![b"x", &[0xff, 0]]))),
            ("at", Arc::new(TimestampMicrosecondArray::from(vec![0, 1_528_767_000_000_001]))),
            ("on", Arc::new(arrow::array::Date32Array::from(vec![0, 17_694]))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let raw = original_row(&batch, 1, chrono_tz::Asia::Shanghai).unwrap();
        let back = read_original(&raw).unwrap();
        let texts: Vec<_> = back
            .iter()
            .map(|(_, value)| match value {
                OriginalValue::Text(text) => text.as_str(),
                OriginalValue::Null => "null",
                OriginalValue::Bytes(bytes) if bytes == &[0xff, 0] => "bytes",
                _ => "other",
            })
            .collect();
        assert_eq!(
            texts,
            [
                "9223372036854775807",
                "null",
                "bytes",
                "2018-06-12T01:30:00.000001+08:00",
                "2018-06-12"
            ]
        );
    }
}
