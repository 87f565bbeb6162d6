//! Arrow values as JSON values: exact, and as the lake shows them; and records as text.

use std::str::FromStr;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::temporal_conversions::{
    date32_to_datetime, timestamp_ms_to_datetime, timestamp_ns_to_datetime,
    timestamp_s_to_datetime, timestamp_us_to_datetime,
};
use csv::WriterBuilder;
use huiliu_httpkit::HeaderValue;
use huiliu_sdk::{Error, ErrorKind, Result};
use serde_json::{Map, Number, Value};

use crate::call::Body;
use crate::pointer::scalar;

/// Records as lines of JSON.
pub(crate) fn json_lines(records: &[Value]) -> Body {
    let mut text = String::new();
    for record in records {
        text += &record.to_string();
        text.push('\n');
    }
    Body::Text { kind: HeaderValue::from_static("application/x-ndjson"), text }
}

/// Records as CSV below the names of their fields, which are the same in all.
pub(crate) fn comma_separated(records: &[Value], delimiter: u8) -> Result<Body> {
    let unwritten = || Error::internal("records do not become CSV");
    let mut writer = WriterBuilder::new().delimiter(delimiter).from_writer(Vec::new());
    let names = records.first().and_then(Value::as_object).into_iter().flat_map(Map::keys);
    writer.write_record(names).map_err(|error| unwritten().cause(error))?;
    for record in records {
        let values = record.as_object().into_iter().flat_map(Map::values);
        let texts = values.map(|value| scalar(value).unwrap_or_default());
        writer.write_record(texts).map_err(|error| unwritten().cause(error))?;
    }
    let bytes = writer.into_inner().map_err(|_| unwritten())?;
    let text = String::from_utf8(bytes).map_err(|_| unwritten())?;
    Ok(Body::Text { kind: HeaderValue::from_static("text/csv; charset=utf-8"), text })
}

/// The value of `array` in row `row`.
pub(crate) fn value(name: &str, array: &dyn Array, row: usize) -> Result<Value> {
    if array.is_null(row) {
        return Ok(Value::Null);
    }
    let value = match array.data_type() {
        DataType::Null => Value::Null,
        DataType::Utf8 => array.as_string::<i32>().value(row).into(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row).into(),
        DataType::Utf8View => array.as_string_view().value(row).into(),
        DataType::Boolean => array.as_boolean().value(row).into(),
        DataType::Int8 => array.as_primitive::<Int8Type>().value(row).into(),
        DataType::Int16 => array.as_primitive::<Int16Type>().value(row).into(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).into(),
        DataType::UInt8 => array.as_primitive::<UInt8Type>().value(row).into(),
        DataType::UInt16 => array.as_primitive::<UInt16Type>().value(row).into(),
        DataType::UInt32 => array.as_primitive::<UInt32Type>().value(row).into(),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().value(row).into(),
        DataType::Float32 => {
            float(name, f64::from(array.as_primitive::<Float32Type>().value(row)))?
        }
        DataType::Float64 => float(name, array.as_primitive::<Float64Type>().value(row))?,
        DataType::Decimal128(..) => {
            let text = array.as_primitive::<Decimal128Type>().value_as_string(row);
            Value::Number(Number::from_str(&text).map_err(|_| unfit(name))?)
        }
        DataType::Date32 => {
            let day = date32_to_datetime(array.as_primitive::<Date32Type>().value(row));
            day.ok_or_else(|| unfit(name))?.format("%Y-%m-%d").to_string().into()
        }
        DataType::Timestamp(unit, _) => {
            let moment = match unit {
                TimeUnit::Second => {
                    timestamp_s_to_datetime(array.as_primitive::<TimestampSecondType>().value(row))
                }
                TimeUnit::Millisecond => timestamp_ms_to_datetime(
                    array.as_primitive::<TimestampMillisecondType>().value(row),
                ),
                TimeUnit::Microsecond => timestamp_us_to_datetime(
                    array.as_primitive::<TimestampMicrosecondType>().value(row),
                ),
                TimeUnit::Nanosecond => timestamp_ns_to_datetime(
                    array.as_primitive::<TimestampNanosecondType>().value(row),
                ),
            };
            moment.ok_or_else(|| unfit(name))?.format("%Y-%m-%d %H:%M:%S%.f").to_string().into()
        }
        other => {
            return Err(Error::new(
                ErrorKind::Schema,
                "E-TYPE",
                format!("column `{name}` of type {other} cannot be sent as JSON"),
            ));
        }
    };
    Ok(value)
}

fn float(name: &str, value: f64) -> Result<Value> {
    Number::from_f64(value).map(Value::Number).ok_or_else(|| unfit(name))
}

fn unfit(name: &str) -> Error {
    Error::new(
        ErrorKind::Data,
        "E-RANGE",
        format!("column `{name}` holds a value that JSON cannot hold"),
    )
}
