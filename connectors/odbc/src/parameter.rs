//! Values of a batch as parameters of a statement.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{
    DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit,
    UInt8Type, UInt16Type,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use huiliu_sdk::Result;
use odbc_api::parameter::{InputParameter, VarBinaryBox, VarCharBox, VarWCharBox, WithDataType};
use odbc_api::{Bit, DataType as OdbcType, Nullable};

/// One value on its way into a statement.
pub(crate) type Parameter = Box<dyn InputParameter>;

/// The value of a column in a row. Times and decimals go as text that says what it is, which every
/// driver reads exactly.
pub(crate) fn parameter(array: &dyn Array, row: usize) -> Result<Parameter> {
    let is_null = array.is_null(row);
    let small = |value: i32| -> Parameter {
        Box::new(if is_null { Nullable::null() } else { Nullable::new(value) })
    };
    let float = |value: f64| -> Parameter {
        Box::new(if is_null { Nullable::null() } else { Nullable::new(value) })
    };
    let text = |data_type: OdbcType| -> Result<Parameter> {
        let value = shown(array, row)?.map_or_else(VarCharBox::null, VarCharBox::from_string);
        Ok(Box::new(WithDataType::new(value, data_type)))
    };
    Ok(match array.data_type() {
        DataType::Int8 => small(array.as_primitive::<Int8Type>().value(row).into()),
        DataType::Int16 => small(array.as_primitive::<Int16Type>().value(row).into()),
        DataType::Int32 => small(array.as_primitive::<Int32Type>().value(row)),
        DataType::UInt8 => small(array.as_primitive::<UInt8Type>().value(row).into()),
        DataType::UInt16 => small(array.as_primitive::<UInt16Type>().value(row).into()),
        DataType::Int64 => {
            let value = array.as_primitive::<Int64Type>().value(row);
            Box::new(if is_null { Nullable::null() } else { Nullable::new(value) })
        }
        DataType::Float32 => float(array.as_primitive::<Float32Type>().value(row).into()),
        DataType::Float64 => float(array.as_primitive::<Float64Type>().value(row)),
        DataType::Boolean => {
            let bit = Bit::from_bool(array.as_boolean().value(row));
            Box::new(if is_null { Nullable::null() } else { Nullable::new(bit) })
        }
        DataType::Decimal128(precision, scale) => text(OdbcType::Decimal {
            precision: usize::from(*precision),
            scale: i16::from(*scale),
        })?,
        DataType::Date32 => text(OdbcType::Date)?,
        DataType::Timestamp(TimeUnit::Microsecond, None) => {
            text(OdbcType::Timestamp { precision: 6 })?
        }
        DataType::Binary => {
            let bytes = (!is_null).then(|| array.as_binary::<i32>().value(row).to_vec());
            Box::new(bytes.map_or_else(VarBinaryBox::null, VarBinaryBox::from_vec))
        }
        _ => {
            let value = shown(array, row)?;
            let wide = |text: String| VarWCharBox::from_str_slice(&text);
            Box::new(value.map_or_else(VarWCharBox::null, wide))
        }
    })
}

/// A value as text; nothing for null.
fn shown(array: &dyn Array, row: usize) -> Result<Option<String>> {
    if array.is_null(row) {
        return Ok(None);
    }
    let options = FormatOptions::default().with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.6f"));
    Ok(Some(ArrayFormatter::try_new(array, &options)?.value(row).to_string()))
}
