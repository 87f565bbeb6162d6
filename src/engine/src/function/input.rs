//! Arguments of a call seen row by row, whether they are columns or constants.

use datafusion::arrow::array::{
    Array, AsArray, Date32Array, Int64Array, LargeStringArray, StringArray, StringViewArray,
};
use datafusion::arrow::datatypes::{DataType, Date32Type, Int64Type};
use datafusion::common::internal_err;
use datafusion::error::Result;
use datafusion::logical_expr::ColumnarValue;
use datafusion::scalar::ScalarValue;

/// A text argument in any of Arrow's layouts.
pub(super) enum TextInput<'a> {
    Constant(Option<&'a str>),
    Utf8(&'a StringArray),
    LargeUtf8(&'a LargeStringArray),
    Utf8View(&'a StringViewArray),
}

impl<'a> TextInput<'a> {
    pub(super) fn new(value: &'a ColumnarValue) -> Result<Self> {
        match value {
            ColumnarValue::Scalar(scalar) => match scalar.try_as_str() {
                Some(text) => Ok(Self::Constant(text)),
                None => internal_err!("expected text, found {}", scalar.data_type()),
            },
            ColumnarValue::Array(array) => match array.data_type() {
                DataType::Utf8 => Ok(Self::Utf8(array.as_string())),
                DataType::LargeUtf8 => Ok(Self::LargeUtf8(array.as_string())),
                DataType::Utf8View => Ok(Self::Utf8View(array.as_string_view())),
                other => internal_err!("expected text, found {other}"),
            },
        }
    }

    pub(super) fn get(&self, row: usize) -> Option<&'a str> {
        match self {
            Self::Constant(text) => *text,
            Self::Utf8(array) => array.is_valid(row).then(|| array.value(row)),
            Self::LargeUtf8(array) => array.is_valid(row).then(|| array.value(row)),
            Self::Utf8View(array) => array.is_valid(row).then(|| array.value(row)),
        }
    }
}

/// A date argument, in days since 1970-01-01.
pub(super) enum DateInput<'a> {
    Constant(Option<i32>),
    Column(&'a Date32Array),
}

impl<'a> DateInput<'a> {
    pub(super) fn new(value: &'a ColumnarValue) -> Result<Self> {
        match value {
            ColumnarValue::Scalar(ScalarValue::Date32(day)) => Ok(Self::Constant(*day)),
            ColumnarValue::Array(array) if *array.data_type() == DataType::Date32 => {
                Ok(Self::Column(array.as_primitive::<Date32Type>()))
            }
            other => internal_err!("expected a date, found {}", other.data_type()),
        }
    }

    pub(super) fn get(&self, row: usize) -> Option<i32> {
        match self {
            Self::Constant(day) => *day,
            Self::Column(array) => array.is_valid(row).then(|| array.value(row)),
        }
    }
}

/// A whole number as argument.
pub(super) enum IntegerInput<'a> {
    Constant(Option<i64>),
    Column(&'a Int64Array),
}

impl<'a> IntegerInput<'a> {
    pub(super) fn new(value: &'a ColumnarValue) -> Result<Self> {
        match value {
            ColumnarValue::Scalar(ScalarValue::Int64(number)) => Ok(Self::Constant(*number)),
            ColumnarValue::Array(array) if *array.data_type() == DataType::Int64 => {
                Ok(Self::Column(array.as_primitive::<Int64Type>()))
            }
            other => internal_err!("expected a whole number, found {}", other.data_type()),
        }
    }

    pub(super) fn get(&self, row: usize) -> Option<i64> {
        match self {
            Self::Constant(number) => *number,
            Self::Column(array) => array.is_valid(row).then(|| array.value(row)),
        }
    }
}
