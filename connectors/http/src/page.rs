//! One page of an answer: its records as slices of the body, the rest as values.

use std::fmt;
use std::hash::{DefaultHasher, Hasher};
use std::ops::Range;

use bytes::Bytes;
use huiliu_httpkit::Answer;
use huiliu_sdk::{Error, ErrorKind, Result};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::pointer::Pointer;

/// One page. Records are not parsed yet, because most of the work is in them.
pub(crate) struct Page {
    pub(crate) request: String,
    /// The answer with its headers; records may be in a body of their own.
    pub(crate) answer: Answer,
    body: Bytes,
    records: Vec<Range<usize>>,
    /// Whether the records' place holds a list.
    pub(crate) listed: bool,
    /// The answer without its records.
    pub(crate) rest: Value,
    /// Equal for pages with equal records.
    pub(crate) print: u64,
}

impl Page {
    /// Splits an answer whose records are at `place`. Where lists are loose, as in XML, a single
    /// record stands for a list of one, and nothing in its parent for an empty list.
    pub(crate) fn split(answer: &Answer, place: &Pointer, loose: bool) -> Result<Self> {
        let text = answer.text()?;
        let mut found = None;
        let mut parser = serde_json::Deserializer::from_str(text);
        let rest = Walk { place: &place.0, found: &mut found }
            .deserialize(&mut parser)
            .and_then(|rest| parser.end().map(|()| rest))
            .map_err(|error| answer.malformed(&error))?;
        let list = found.map(RawValue::get).unwrap_or("null");
        let start = answer.body().as_ptr() as usize;
        let mut hasher = DefaultHasher::new();
        let mut records = Vec::new();
        let listed = match list.as_bytes().first() {
            Some(b'[') => {
                let items: Vec<&RawValue> =
                    serde_json::from_str(list).map_err(|error| answer.malformed(&error))?;
                for item in items {
                    let text = item.get();
                    hasher.write(text.as_bytes());
                    let offset = text.as_ptr() as usize - start;
                    records.push(offset..offset + text.len());
                }
                true
            }
            // Many servers write null for an empty list.
            Some(b'n') if found.is_some() => true,
            _ if !loose => false,
            Some(b'n') => is_empty_parent(&rest, place),
            // The blanks of an empty element that is written on two lines.
            Some(b'"') if list.trim_matches('"').replace("\\n", "").trim().is_empty() => true,
            _ => {
                hasher.write(list.as_bytes());
                let offset = list.as_ptr() as usize - start;
                records.push(offset..offset + list.len());
                true
            }
        };
        Ok(Self {
            request: answer.request().to_owned(),
            answer: answer.clone(),
            body: answer.body().clone(),
            records,
            listed,
            rest,
            print: hasher.finish(),
        })
    }

    /// Puts `parent` into each record as the field `_parent`. What is no object stays as it is.
    #[must_use]
    pub(crate) fn stamped(mut self, parent: &Value) -> Self {
        let parent = parent.to_string();
        let mut body = String::new();
        let mut records = Vec::with_capacity(self.records.len());
        for index in 0..self.len() {
            let start = body.len();
            match self.record(index).strip_prefix('{') {
                Some(rest) => {
                    let comma = if rest.trim_start().starts_with('}') { "" } else { "," };
                    body.push_str(&format!("{{\"_parent\":{parent}{comma}{rest}"));
                }
                None => body.push_str(self.record(index)),
            }
            records.push(start..body.len());
        }
        self.body = body.into();
        self.records = records;
        self
    }

    /// How many records it has.
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// Fails if there is no list where the records should be.
    pub(crate) fn require_list(&self, place: &Pointer) -> Result<()> {
        if self.listed {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Schema,
            "E-SHAPE",
            format!("{}: no list at /{}", self.request, place.0.join("/")),
        )
        .hint(self.places_of_lists()))
    }

    /// Where the answer has lists of objects, so that `records` can be corrected at once.
    fn places_of_lists(&self) -> String {
        let mut places = Vec::new();
        lists(&self.rest, &mut String::new(), DEPTH, &mut places);
        let known = match &places[..] {
            [] => String::new(),
            places => format!("; there are lists at {}", places.join(", ")),
        };
        format!("check records{known}; set success so that refusals are told apart")
    }

    /// The text of record number `index`.
    pub(crate) fn record(&self, index: usize) -> &str {
        let bytes = self.records.get(index).and_then(|range| self.body.get(range.clone()));
        // The ranges were taken from text, so this is text again.
        bytes.and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }
}

/// How deep lists are looked for, and how many are named.
const DEPTH: usize = 6;
const MOST_LISTS: usize = 5;

/// Adds the pointers of lists of objects within `value`, which is at `at`.
fn lists(value: &Value, at: &mut String, depth: usize, places: &mut Vec<String>) {
    match value {
        _ if places.len() == MOST_LISTS => {}
        Value::Array(items) if items.first().is_some_and(Value::is_object) => {
            let is_root = at.is_empty();
            places.push(if is_root { "the answer itself".to_owned() } else { at.clone() });
        }
        Value::Object(fields) if depth > 0 => {
            for (name, field) in fields {
                let length = at.len();
                at.push('/');
                at.push_str(&name.replace('~', "~0").replace('/', "~1"));
                lists(field, at, depth - 1, places);
                at.truncate(length);
            }
        }
        _ => {}
    }
}

/// Whether the element that holds the records is there and empty. The root is not enough: it is
/// there whatever the place is called.
fn is_empty_parent(rest: &Value, place: &Pointer) -> bool {
    let Some((_, parent)) = place.0.split_last().filter(|(_, parent)| !parent.is_empty()) else {
        return false;
    };
    match Pointer(parent.to_vec()).get(rest) {
        Some(Value::Null | Value::Object(_)) => true,
        Some(Value::String(text)) => text.trim().is_empty(),
        _ => false,
    }
}

/// Walks down to a place, keeps what is there as it is written, and builds values of the rest.
struct Walk<'p, 'de> {
    place: &'p [String],
    found: &'p mut Option<&'de RawValue>,
}

impl<'de> DeserializeSeed<'de> for Walk<'_, 'de> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        if self.place.is_empty() {
            *self.found = Some(Deserialize::deserialize(deserializer)?);
            return Ok(Value::Null);
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_, 'de> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            let value = match self.place.split_first() {
                Some((first, rest)) if *first == key => {
                    access.next_value_seed(Walk { place: rest, found: &mut *self.found })?
                }
                _ => access.next_value()?,
            };
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let wanted = self.place.first().and_then(|part| part.parse::<usize>().ok());
        let rest = self.place.get(1..).unwrap_or_default();
        let mut items = Vec::new();
        loop {
            let item = if wanted == Some(items.len()) {
                access.next_element_seed(Walk { place: rest, found: &mut *self.found })?
            } else {
                access.next_element()?
            };
            match item {
                Some(item) => items.push(item),
                None => return Ok(Value::Array(items)),
            }
        }
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }
}
