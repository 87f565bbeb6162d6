//! Records as rows of fixed columns, from their text without building values in between.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::fmt;

use huiliu_sdk::{Cell, ColumnType, RowBuilder, original, original_line};
use serde::Deserializer;
use serde::de::{DeserializeSeed, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::number::{fits_float, plain};
use crate::schema::{Column, kinds};

/// Fields without a column that are told by name.
const UNKNOWN_TOLD: usize = 10;

/// Why a record was refused, without its values.
pub(crate) struct Refusal {
    pub(crate) code: &'static str,
    pub(crate) reason: String,
}

fn refusal(code: &'static str, reason: impl Into<String>) -> Refusal {
    Refusal { code, reason: reason.into() }
}

/// Reads records into rows.
pub(crate) struct RecordReader {
    columns: Vec<Column>,
    places: HashMap<String, usize>,
}

impl RecordReader {
    pub(crate) fn new(columns: Vec<Column>) -> Self {
        let places = columns.iter().enumerate();
        let places = places.map(|(place, column)| (column.name.clone(), place)).collect();
        Self { columns, places }
    }

    pub(crate) fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Adds a record to `builder`, or says why it does not fit. Names of fields without a column
    /// go to `unknown`.
    pub(crate) fn push(
        &self,
        record: &RawValue,
        position: u64,
        builder: &mut RowBuilder,
        unknown: &mut BTreeSet<String>,
    ) -> Result<(), Refusal> {
        let fields = self.fields(record, unknown)?;
        let mut slots = Vec::with_capacity(fields.len());
        for (column, raw) in self.columns.iter().zip(fields) {
            slots.push(slot(column, raw)?);
        }
        let cells: Vec<Cell<'_>> = slots.iter().map(Slot::cell).collect();
        builder
            .push(position, &cells)
            .map_err(|error| refusal(error.code, format!("`{}`: {}", error.column, error.reason)))
    }

    /// What quarantine keeps of a record.
    pub(crate) fn original(&self, record: &RawValue) -> Vec<u8> {
        let Ok(fields) = self.fields(record, &mut BTreeSet::new()) else {
            return original_line(record.get().as_bytes());
        };
        let slots: Vec<Slot<'_>> = self.columns.iter().zip(fields).map(as_written).collect();
        let names = self.columns.iter().map(|column| column.name.as_str());
        original(names.zip(slots.iter().map(Slot::cell)))
    }

    /// The text of each column's value.
    fn fields<'r>(
        &self,
        record: &'r RawValue,
        unknown: &mut BTreeSet<String>,
    ) -> Result<Vec<Option<&'r str>>, Refusal> {
        let mut fields = vec![None; self.columns.len()];
        let fill = Fill { reader: self, fields: &mut fields, unknown, twice: None };
        let mut parser = serde_json::Deserializer::from_str(record.get());
        match parser.deserialize_map(fill) {
            Ok(None) => Ok(fields),
            Ok(Some(name)) => {
                // JSON allows it, and readers disagree on which one counts.
                Err(refusal("E-SINGER-RECORD", format!("the field `{name}` is there twice")))
            }
            Err(_) => Err(refusal("E-SINGER-RECORD", "the record is no object of fields")),
        }
    }
}

/// What quarantine keeps of a record whose columns nobody has announced.
pub(crate) fn original_without_columns(record: &RawValue) -> Vec<u8> {
    let Ok(fields) = serde_json::from_str::<Map<String, Value>>(record.get()) else {
        return original_line(record.get().as_bytes());
    };
    let texts: Vec<(String, Slot<'_>)> = fields
        .into_iter()
        .map(|(name, value)| {
            let slot = match value {
                Value::Null => Slot::Null,
                Value::Bool(value) => Slot::Bool(value),
                Value::String(text) => Slot::Text(text.into()),
                other => Slot::Text(other.to_string().into()),
            };
            (name, slot)
        })
        .collect();
    original(texts.iter().map(|(name, slot)| (name.as_str(), slot.cell())))
}

/// A value of a record.
enum Slot<'r> {
    Null,
    Bool(bool),
    Text(Cow<'r, str>),
}

impl Slot<'_> {
    fn cell(&self) -> Cell<'_> {
        match self {
            Self::Null => Cell::Null,
            Self::Bool(value) => Cell::Bool(*value),
            Self::Text(text) => Cell::Text(text),
        }
    }
}

/// What kind of value a text of JSON is.
fn kind_of(raw: &str) -> (u8, &'static str) {
    match raw.as_bytes().first() {
        Some(b'n') => (kinds::NULL, "null"),
        Some(b't' | b'f') => (kinds::BOOLEAN, "a truth value"),
        Some(b'"') => (kinds::STRING, "a text"),
        Some(b'{') => (kinds::OBJECT, "an object"),
        Some(b'[') => (kinds::ARRAY, "a list"),
        _ => {
            let is_whole = plain(raw).is_some_and(|plain| !plain.contains('.'));
            // A number without places is a whole one, however it is written.
            let kind = if is_whole { kinds::INTEGER | kinds::NUMBER } else { kinds::NUMBER };
            (kind, "a number")
        }
    }
}

fn slot<'r>(column: &Column, raw: Option<&'r str>) -> Result<Slot<'r>, Refusal> {
    let name = &column.name;
    let lacking = || refusal("E-NULL", format!("`{name}`: no value where one is required"));
    let Some(raw) = raw else {
        return if column.required { Err(lacking()) } else { Ok(Slot::Null) };
    };
    let (kind, word) = kind_of(raw);
    if kind & column.allowed == 0 {
        return Err(match kind {
            kinds::NULL => lacking(),
            _ => refusal("E-TYPE", format!("`{name}`: {word}, which its schema does not have")),
        });
    }
    if kind == kinds::NULL {
        return Ok(Slot::Null);
    }
    if column.kind == ColumnType::Json {
        return Ok(Slot::Text(raw.into()));
    }
    match kind {
        kinds::BOOLEAN => Ok(Slot::Bool(raw.starts_with('t'))),
        kinds::STRING => {
            let text = unquoted(raw)
                .ok_or_else(|| refusal("E-ENCODING", format!("`{name}`: text of no encoding")))?;
            Ok(Slot::Text(if column.kind == ColumnType::Date { day_of(text) } else { text }))
        }
        kinds::OBJECT | kinds::ARRAY => Ok(Slot::Text(raw.into())),
        _ => numeric(column, raw).map(Slot::Text),
    }
}

fn numeric<'r>(column: &Column, raw: &'r str) -> Result<Cow<'r, str>, Refusal> {
    let name = &column.name;
    match column.kind {
        ColumnType::Int | ColumnType::Decimal(..) | ColumnType::Bool => plain(raw)
            .ok_or_else(|| refusal("E-RANGE", format!("`{name}`: number out of any range"))),
        ColumnType::Float if !fits_float(raw) => Err(refusal(
            "E-RANGE",
            format!("`{name}`: a float would round the number; declare it as decimal(p,s) or text"),
        )),
        _ => Ok(raw.into()),
    }
}

/// The day of a moment at midnight, as taps write days that they have read as moments.
fn day_of(text: Cow<'_, str>) -> Cow<'_, str> {
    let midnight = |rest: &str| {
        let rest = rest.strip_prefix(['T', ' ']).and_then(|rest| rest.strip_prefix("00:00:00"));
        let rest = rest.map(|rest| rest.trim_start_matches(['.', '0']));
        rest.is_some_and(|rest| matches!(rest, "" | "Z" | "+00:00"))
    };
    match text.split_at_checked(10) {
        Some((day, rest)) if midnight(rest) => day.to_owned().into(),
        _ => text,
    }
}

/// A value as it is kept of a record that did not fit.
fn as_written<'r>((column, raw): (&Column, Option<&'r str>)) -> Slot<'r> {
    let Some(raw) = raw else { return Slot::Null };
    match kind_of(raw).0 {
        kinds::NULL => Slot::Null,
        kinds::BOOLEAN if column.kind != ColumnType::Json => Slot::Bool(raw.starts_with('t')),
        kinds::STRING if column.kind != ColumnType::Json => {
            Slot::Text(unquoted(raw).unwrap_or_else(|| raw.into()))
        }
        _ => Slot::Text(raw.into()),
    }
}

fn unquoted(raw: &str) -> Option<Cow<'_, str>> {
    if !raw.contains('\\') {
        return raw.strip_prefix('"')?.strip_suffix('"').map(Cow::Borrowed);
    }
    serde_json::from_str::<String>(raw).ok().map(Cow::Owned)
}

struct Fill<'f, 'r> {
    reader: &'f RecordReader,
    fields: &'f mut Vec<Option<&'r str>>,
    unknown: &'f mut BTreeSet<String>,
    twice: Option<String>,
}

impl<'r> Visitor<'r> for Fill<'_, 'r> {
    /// The first field that is there twice.
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'r>>(mut self, mut access: A) -> Result<Self::Value, A::Error> {
        while let Some(place) = access.next_key_seed(Place(&self.reader.places))? {
            let value: &'r RawValue = access.next_value()?;
            match place {
                Ok(place) => {
                    let before = self.fields[place].replace(value.get());
                    if before.is_some() && self.twice.is_none() {
                        self.twice = Some(self.reader.columns[place].name.clone());
                    }
                }
                Err(name) if self.unknown.len() < UNKNOWN_TOLD => {
                    self.unknown.insert(name);
                }
                Err(_) => {}
            }
        }
        Ok(self.twice)
    }
}

/// A field's name as the place of its column, or itself where it has none.
struct Place<'f>(&'f HashMap<String, usize>);

impl<'r> DeserializeSeed<'r> for Place<'_> {
    type Value = Result<usize, String>;

    fn deserialize<D: Deserializer<'r>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Place<'_> {
    type Value = Result<usize, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.get(name).copied().ok_or_else(|| name.to_owned()))
    }
}

#[cfg(test)]
mod tests;
