//! Cells of a record, read from its text without building values in between.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use huiliu_sdk::{Cell, ColumnType, RowBuilder, original, original_line};
use serde::Deserializer;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::plan::Column;

/// Why a record was refused.
pub(crate) struct Refusal {
    pub(crate) code: &'static str,
    pub(crate) reason: String,
}

/// Reads records into rows of fixed columns.
pub(crate) struct RecordReader {
    names: Vec<String>,
    kinds: Vec<ColumnType>,
    /// By the first part of its place: the column, and the rest of the place.
    targets: HashMap<String, Vec<(usize, Vec<String>)>>,
    watched: Option<usize>,
    /// Code and reason for a record that is no object.
    misfit: (&'static str, &'static str),
}

impl RecordReader {
    /// A reader for `columns` that tells the text of column `watched` of each row.
    pub(crate) fn new(
        columns: &[Column],
        watched: Option<&str>,
        misfit: (&'static str, &'static str),
    ) -> Self {
        let mut targets: HashMap<String, Vec<(usize, Vec<String>)>> = HashMap::new();
        for (index, column) in columns.iter().enumerate() {
            if let Some((first, rest)) = column.place.0.split_first() {
                targets.entry(first.clone()).or_default().push((index, rest.to_vec()));
            }
        }
        let watched = columns.iter().position(|column| Some(column.name.as_str()) == watched);
        let names = columns.iter().map(|column| column.name.clone()).collect();
        let kinds = columns.iter().map(|column| column.kind).collect();
        Self { names, kinds, targets, watched, misfit }
    }

    /// What quarantine keeps of a refused record: its columns, or its text where it has none.
    pub(crate) fn original(&self, text: &str) -> Vec<u8> {
        let mut raws: Vec<Option<&str>> = vec![None; self.kinds.len()];
        let mut parser = serde_json::Deserializer::from_str(text);
        if (Fill { reader: self, raws: &mut raws }).deserialize(&mut parser).is_err() {
            return original_line(text.as_bytes());
        }
        let slots: Vec<Slot<'_>> = raws
            .into_iter()
            .zip(&self.kinds)
            // What is no valid text stays as it is written.
            .map(|(raw, kind)| {
                slot(raw, *kind).unwrap_or_else(|_| Slot::Text(raw.unwrap_or_default().into()))
            })
            .collect();
        original(self.names.iter().map(String::as_str).zip(slots.iter().map(Slot::cell)))
    }

    /// Adds the record to `builder`, or says why it does not fit. Returns the watched column's
    /// text, if it has one.
    pub(crate) fn push<'t>(
        &self,
        text: &'t str,
        position: u64,
        builder: &mut RowBuilder,
    ) -> Result<Option<Cow<'t, str>>, Refusal> {
        let mut raws: Vec<Option<&'t str>> = vec![None; self.kinds.len()];
        let mut parser = serde_json::Deserializer::from_str(text);
        Fill { reader: self, raws: &mut raws }
            .deserialize(&mut parser)
            .map_err(|_| Refusal { code: self.misfit.0, reason: self.misfit.1.into() })?;
        let mut slots = Vec::with_capacity(raws.len());
        for (raw, kind) in raws.into_iter().zip(&self.kinds) {
            slots.push(slot(raw, *kind)?);
        }
        let cells: Vec<Cell<'_>> = slots.iter().map(Slot::cell).collect();
        builder.push(position, &cells).map_err(|error| Refusal {
            code: error.code,
            reason: format!("{}: {}", error.column, error.reason),
        })?;
        drop(cells);
        Ok(self.watched.and_then(|index| match slots.swap_remove(index) {
            Slot::Text(text) => Some(text),
            Slot::Null | Slot::Bool(_) => None,
        }))
    }
}

enum Slot<'t> {
    Null,
    Bool(bool),
    /// The text of a string; the exact text of anything else.
    Text(Cow<'t, str>),
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

fn slot(raw: Option<&str>, kind: ColumnType) -> Result<Slot<'_>, Refusal> {
    let Some(raw) = raw else { return Ok(Slot::Null) };
    match raw.as_bytes().first() {
        Some(b'n') => Ok(Slot::Null),
        _ if kind == ColumnType::Json => Ok(Slot::Text(raw.into())),
        Some(b't') => Ok(Slot::Bool(true)),
        Some(b'f') => Ok(Slot::Bool(false)),
        Some(b'"') => Ok(Slot::Text(unquoted(raw)?)),
        _ => Ok(Slot::Text(raw.into())),
    }
}

fn unquoted(raw: &str) -> Result<Cow<'_, str>, Refusal> {
    if !raw.contains('\\') {
        let inner = raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"'));
        return Ok(inner.unwrap_or(raw).into());
    }
    serde_json::from_str::<String>(raw).map(Cow::Owned).map_err(|_| Refusal {
        code: "E-ENCODING",
        reason: "a text holds an escape that is no character".into(),
    })
}

/// The names of a record's fields in their order.
pub(crate) fn names(text: &str) -> Vec<String> {
    struct Names;
    impl<'de> Visitor<'de> for Names {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Vec<String>, A::Error> {
            let mut names = Vec::new();
            while let Some((name, _)) = access.next_entry::<String, IgnoredAny>()? {
                names.push(name);
            }
            Ok(names)
        }
    }
    // What is no object has no names; it is refused as a record later.
    serde_json::Deserializer::from_str(text).deserialize_map(Names).unwrap_or_default()
}

struct Fill<'f, 't> {
    reader: &'f RecordReader,
    raws: &'f mut Vec<Option<&'t str>>,
}

impl<'t> DeserializeSeed<'t> for Fill<'_, 't> {
    type Value = ();

    fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'t> Visitor<'t> for Fill<'_, 't> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'t>>(self, mut access: A) -> Result<(), A::Error> {
        while let Some(targets) = access.next_key_seed(Target(&self.reader.targets))? {
            let Some(targets) = targets else {
                access.next_value::<IgnoredAny>()?;
                continue;
            };
            let raw: &'t RawValue = access.next_value()?;
            for (index, rest) in targets {
                self.raws[*index] = within(raw.get(), rest);
            }
        }
        Ok(())
    }
}

/// A field's name, as the columns that want it.
struct Target<'f>(&'f HashMap<String, Vec<(usize, Vec<String>)>>);

impl<'t, 'f> DeserializeSeed<'t> for Target<'f> {
    type Value = Option<&'f Vec<(usize, Vec<String>)>>;

    fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'f> Visitor<'_> for Target<'f> {
    type Value = Option<&'f Vec<(usize, Vec<String>)>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.get(name))
    }
}

/// The value inside `raw` at `rest`, or nothing if the way there does not exist.
fn within<'t>(raw: &'t str, rest: &[String]) -> Option<&'t str> {
    let Some((first, rest)) = rest.split_first() else { return Some(raw) };
    let inner = match raw.as_bytes().first()? {
        b'{' => {
            let fields: HashMap<Cow<'_, str>, &'t RawValue> = serde_json::from_str(raw).ok()?;
            fields.get(first.as_str()).copied()?
        }
        b'[' => {
            let items: Vec<&'t RawValue> = serde_json::from_str(raw).ok()?;
            items.get(first.parse::<usize>().ok()?).copied()?
        }
        _ => return None,
    };
    within(inner.get(), rest)
}
