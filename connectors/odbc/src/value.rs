//! Single values, taken whole.
//!
//! A value is asked for again and again until the driver has given all of it, so nothing depends on
//! the length that the driver announced for its column.

use std::hash::{Hash, Hasher};

use encoding_rs::{Encoding, GB18030, UTF_8};
use huiliu_sdk::{Cell, Error, ErrorKind, ROW_BYTES, Result};
use odbc_api::buffers::Indicator;
use odbc_api::parameter::{Binary, Text, VarCell, VarKind, WideText};
use odbc_api::{CursorRow, Nullable};

use crate::config::TextForm;
use crate::fault::fault;
use crate::layout::Form;

/// Elements that a driver gives at once.
const PART: usize = 4096;

/// Elements that it gives at once of a value that has turned out to be long. Some drivers convert
/// the whole value anew for each part, so a long one is taken in few parts.
const LONG_PART: usize = 4 << 20;

/// One value of a row.
#[derive(Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Text(String),
    Float(f64),
    Bytes(Vec<u8>),
    /// Bytes that are no text in the encoding of the source.
    Garbled(Vec<u8>),
    /// More bytes than a row may have; the rest was left with the driver.
    TooLarge,
}

impl Value {
    /// The value as a row takes it.
    pub(crate) fn cell(&self) -> Cell<'_> {
        match self {
            Self::Null | Self::TooLarge => Cell::Null,
            Self::Text(text) => Cell::Text(text),
            Self::Float(number) => Cell::Float(*number),
            Self::Bytes(bytes) | Self::Garbled(bytes) => Cell::Bytes(bytes),
        }
    }

    /// Adds the value to a digest of its row.
    pub(crate) fn digest(&self, into: &mut impl Hasher) {
        std::mem::discriminant(self).hash(into);
        match self {
            Self::Text(text) => text.hash(into),
            Self::Float(number) => number.to_bits().hash(into),
            Self::Bytes(bytes) | Self::Garbled(bytes) => bytes.hash(into),
            Self::Null | Self::TooLarge => {}
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) | Self::Garbled(bytes) => bytes.len(),
            Self::Null | Self::Float(_) | Self::TooLarge => 0,
        }
    }
}

/// Room for the parts of values, kept over rows.
pub(crate) struct Parts {
    narrow: Vec<u8>,
    wide: Vec<u16>,
}

impl Parts {
    pub(crate) fn new() -> Self {
        Self { narrow: vec![0; PART], wide: vec![0; PART] }
    }

    /// The value of a column, from 1.
    pub(crate) fn value(
        &mut self,
        row: &mut CursorRow<'_>,
        column: u16,
        form: Form,
        text: TextForm,
    ) -> Result<Value> {
        match (form, text) {
            (Form::Float, _) => {
                let mut number = Nullable::<f64>::null();
                row.get_data(column, &mut number).map_err(|cause| failed(&cause))?;
                Ok(number.into_opt().map_or(Value::Null, Value::Float))
            }
            (Form::Bytes, _) => {
                let whole = whole::<Binary>(row, column, &mut self.narrow)?;
                Ok(whole.map_or_else(|missing| missing, Value::Bytes))
            }
            (Form::Text, TextForm::Utf16) => {
                let whole = whole::<WideText>(row, column, &mut self.wide)?;
                Ok(whole.map_or_else(|missing| missing, |units| of_utf16(&units)))
            }
            (Form::Text, TextForm::Utf8) => self.narrow_text(row, column, UTF_8),
            (Form::Text, TextForm::Gb18030) => self.narrow_text(row, column, GB18030),
        }
    }

    fn narrow_text(
        &mut self,
        row: &mut CursorRow<'_>,
        column: u16,
        encoding: &'static Encoding,
    ) -> Result<Value> {
        let whole = whole::<Text>(row, column, &mut self.narrow)?;
        Ok(whole.map_or_else(|missing| missing, |bytes| of_bytes(bytes, encoding)))
    }
}

/// All of a value, or why there is none.
fn whole<K: VarKind>(
    row: &mut CursorRow<'_>,
    column: u16,
    part: &mut [K::Element],
) -> Result<std::result::Result<Vec<K::Element>, Value>> {
    let mut value: Vec<K::Element> = Vec::new();
    let mut long: Vec<K::Element> = Vec::new();
    loop {
        let part = if value.is_empty() {
            part.fill(K::ZERO);
            &mut *part
        } else {
            long.clear();
            long.resize((2 * value.len()).min(LONG_PART), K::ZERO);
            &mut long[..]
        };
        let mut cell = VarCell::<&mut [K::Element], K>::from_buffer(part, Indicator::NoTotal);
        row.get_data(column, &mut cell).map_err(|cause| failed(&cause))?;
        let Some(given) = cell.as_slice() else { return Ok(Err(Value::Null)) };
        if given.is_empty() && !cell.is_complete() {
            return Err(truncated());
        }
        value.extend_from_slice(given);
        if cell.is_complete() {
            return Ok(Ok(value));
        }
        if size_of_val(value.as_slice()) > 2 * ROW_BYTES {
            return Ok(Err(Value::TooLarge));
        }
    }
}

/// A driver that says there is more and gives nothing.
fn truncated() -> Error {
    Error::new(ErrorKind::Data, "E-TRUNC", "the driver keeps back a part of a value").hint(
        "raise the driver's own limit for long values in `connection`, such as MaxLongVarcharSize",
    )
}

fn failed(cause: &odbc_api::Error) -> Error {
    fault("reading a value", cause)
}

fn of_utf16(units: &[u16]) -> Value {
    match String::from_utf16(units) {
        Ok(text) => Value::Text(text),
        Err(_) => Value::Garbled(units.iter().flat_map(|unit| unit.to_be_bytes()).collect()),
    }
}

fn of_bytes(bytes: Vec<u8>, encoding: &'static Encoding) -> Value {
    match encoding.decode_without_bom_handling_and_without_replacement(&bytes) {
        Some(text) => Value::Text(text.into_owned()),
        None => Value::Garbled(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_decoded_strictly() {
        assert_eq!(of_bytes("王芳".into(), UTF_8), Value::Text("王芳".into()));
        assert_eq!(of_bytes(vec![0xcd, 0xf5], GB18030), Value::Text("王".into()));
        assert_eq!(of_bytes(vec![0xcd, 0xf5], UTF_8), Value::Garbled(vec![0xcd, 0xf5]));
        let wide: Vec<u16> = "办🏛".encode_utf16().collect();
        assert_eq!(of_utf16(&wide), Value::Text("办🏛".into()));
        assert_eq!(of_utf16(&[0xd800]), Value::Garbled(vec![0xd8, 0x00]));
    }
}
