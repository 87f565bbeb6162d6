//! Places in a JSON document.

use serde_json::{Map, Value};

/// A JSON pointer, split at its slashes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Pointer(pub(crate) Vec<String>);

impl Pointer {
    /// Reads `/a/b`, or nothing for the whole document.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::default());
        }
        let rest = text.strip_prefix('/')?;
        Some(Self(rest.split('/').map(|part| part.replace("~1", "/").replace("~0", "~")).collect()))
    }

    /// Reads a pointer, or a plain name as the field of that name.
    pub(crate) fn field(text: &str) -> Option<Self> {
        if text.is_empty() {
            return None;
        }
        if text.starts_with('/') { Self::parse(text) } else { Some(Self(vec![text.to_owned()])) }
    }

    /// The value at this place.
    pub(crate) fn get<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        self.0.iter().try_fold(value, |value, part| match value {
            Value::Object(map) => map.get(part),
            Value::Array(items) => items.get(part.parse::<usize>().ok()?),
            _ => None,
        })
    }

    /// The scalar at this place as text.
    pub(crate) fn text(&self, value: &Value) -> Option<String> {
        self.get(value).and_then(scalar)
    }

    /// Puts `item` at this place; tables on the way there are made.
    pub(crate) fn put(&self, value: &mut Value, item: Value) {
        let mut place = value;
        for part in &self.0 {
            if !place.is_object() {
                *place = Value::Object(Map::new());
            }
            place = &mut place[part.as_str()];
        }
        *place = item;
    }
}

/// A scalar as exact text.
pub(crate) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pointer_reads_and_writes_its_place() {
        let mut document = json!({"a/b": [{"c": 1}]});
        let pointer = Pointer::parse("/a~1b/0/c").unwrap();
        assert_eq!(pointer.text(&document).as_deref(), Some("1"));
        Pointer::parse("/x/y").unwrap().put(&mut document, json!([1]));
        assert_eq!(document["x"]["y"], json!([1]));
        assert_eq!(Pointer::parse("a"), None);
    }
}
