//! Rows that did not fit, in the one form in which they are kept and tried again.

use serde_json::{Map, Value};

use crate::{Cell, ROW_BYTES};

/// The key under which bytes that are not text are kept.
const HEX: &str = "hex";

/// The key under which a row is kept that cannot be told apart into columns.
const LINE: &str = "_line";

/// A row that cannot be told apart into columns, as it came. It cannot be tried again.
pub fn original_line(line: &[u8]) -> Vec<u8> {
    original([(LINE, Cell::Bytes(line))])
}

/// A value that is kept even of a row that is too large to be kept.
const SHORT: usize = 1024;

/// A row as it came: a JSON object of its columns. Numbers and times are kept as text, exactly as
/// the source wrote them; bytes that are no UTF-8 as `{"hex": "..."}`. Of a row that is too large
/// for the lake only its short values are kept, so it cannot be tried again.
pub fn original<'a>(values: impl IntoIterator<Item = (&'a str, Cell<'a>)>) -> Vec<u8> {
    let values: Vec<(&str, Cell<'_>)> = values.into_iter().collect();
    if values.iter().map(|(_, cell)| cell.bytes()).sum::<usize>() > ROW_BYTES {
        return original_line(outline(&values).as_bytes());
    }
    let mut row = Map::new();
    for (name, cell) in values {
        let value = match cell {
            Cell::Null => Value::Null,
            Cell::Text(text) => text.into(),
            Cell::Int(number) => number.to_string().into(),
            Cell::Float(number) => number.to_string().into(),
            Cell::Bool(value) => value.into(),
            Cell::Bytes(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => text.into(),
                Err(_) => Value::Object(Map::from_iter([(HEX.to_owned(), hex(bytes).into())])),
            },
        };
        row.insert(name.to_owned(), value);
    }
    Value::Object(row).to_string().into_bytes()
}

fn outline(values: &[(&str, Cell<'_>)]) -> String {
    let mut lines = Vec::with_capacity(values.len());
    for (name, cell) in values {
        let value = match cell {
            Cell::Null => String::new(),
            Cell::Int(number) => number.to_string(),
            Cell::Float(number) => number.to_string(),
            Cell::Bool(value) => value.to_string(),
            Cell::Text(text) if text.len() <= SHORT => (*text).to_owned(),
            Cell::Bytes(bytes) if bytes.len() <= SHORT => {
                String::from_utf8_lossy(bytes).into_owned()
            }
            Cell::Text(_) | Cell::Bytes(_) => format!("({} bytes, not kept)", cell.bytes()),
        };
        lines.push(format!("{name} = {value}"));
    }
    lines.join("\n")
}

/// The columns of a row that [`original`] kept; `None` when it is of another form, as rows are
/// that could not be told apart into columns.
pub fn read_original(raw: &[u8]) -> Option<Vec<(String, OriginalValue)>> {
    let Ok(Value::Object(row)) = serde_json::from_slice(raw) else { return None };
    if row.len() == 1 && row.contains_key(LINE) {
        return None;
    }
    row.into_iter()
        .map(|(name, value)| {
            let value = match value {
                Value::Null => OriginalValue::Null,
                Value::Bool(value) => OriginalValue::Bool(value),
                Value::String(text) => OriginalValue::Text(text),
                Value::Object(bytes) => OriginalValue::Bytes(unhex(bytes.get(HEX)?.as_str()?)?),
                Value::Number(_) | Value::Array(_) => return None,
            };
            Some((name, value))
        })
        .collect()
}

/// One value of a row that was kept.
#[derive(Clone, PartialEq, Eq)]
pub enum OriginalValue {
    /// No value.
    Null,
    /// Text, or a number or time as text.
    Text(String),
    /// A truth value.
    Bool(bool),
    /// Bytes that are no text.
    Bytes(Vec<u8>),
}

impl OriginalValue {
    /// The value as a source would give it.
    pub fn cell(&self) -> Cell<'_> {
        match self {
            Self::Null => Cell::Null,
            Self::Text(text) => Cell::Text(text),
            Self::Bool(value) => Cell::Bool(*value),
            Self::Bytes(bytes) => Cell::Bytes(bytes),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_row_that_is_too_large_its_short_values_are_kept() {
        let scan = vec![0x41_u8; ROW_BYTES + 1];
        let raw = original([("id", Cell::Int(7)), ("scan", Cell::Bytes(&scan))]);
        let text = String::from_utf8_lossy(&raw).into_owned();
        assert!(text.contains("id = 7") && text.contains("(67108865 bytes, not kept)"), "{text}");
        assert!(read_original(&raw).is_none());
    }

    #[test]
    fn a_row_comes_back_as_it_was() {
        let bytes = [0xff_u8, 0x00];
        let raw = original([
            ("id", Cell::Int(9_007_199_254_740_993)),
            ("name", Cell::Text("王\"芳")),
            ("gone", Cell::Null),
            ("raw", Cell::Bytes(&bytes)),
            ("ok", Cell::Bool(true)),
        ]);
        let back = read_original(&raw).unwrap_or_default();
        assert_eq!(back.len(), 5);
        assert!(back[0].1 == OriginalValue::Text("9007199254740993".into()));
        assert!(back[1].1.cell() == Cell::Text("王\"芳"));
        assert!(back[3].1 == OriginalValue::Bytes(bytes.to_vec()));
        assert!(read_original(b"1,2,3").is_none());
        assert!(read_original(&original_line(b"1,2,3")).is_none());
    }
}
