//! JSON Schema of a stream as columns.
//!
//! A type that says less than the lake's types is taken so that nothing is lost: what may be an
//! object or a list is kept as JSON text, what may be text and something else as text, a number of
//! a fixed step as a decimal.

use huiliu_sdk::{ColumnType, Error, ErrorKind, Result};
use serde_json::{Map, Value};

use crate::config::Stream;
use crate::number::{places, whole_digits};

/// How deep schemas may lie in each other.
const DEPTH: usize = 32;
/// Digits of a decimal.
const DIGITS: u8 = 38;

/// Kinds of JSON values, each a bit.
pub(crate) mod kinds {
    pub(crate) const NULL: u8 = 1;
    pub(crate) const BOOLEAN: u8 = 2;
    pub(crate) const INTEGER: u8 = 4;
    pub(crate) const NUMBER: u8 = 8;
    pub(crate) const STRING: u8 = 16;
    pub(crate) const OBJECT: u8 = 32;
    pub(crate) const ARRAY: u8 = 64;
    pub(crate) const ALL: u8 = 127;
}

/// One column of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) kind: ColumnType,
    /// The kinds of values the tap says it may have; all where the operator has declared a type.
    pub(crate) allowed: u8,
    /// Whether a record without it is none.
    pub(crate) required: bool,
}

impl Column {
    /// Whether a row without a value here is valid.
    pub(crate) fn is_nullable(&self) -> bool {
        self.allowed & kinds::NULL != 0 || !self.required
    }
}

/// The columns of a stream by its schema, in the order of `order`, those that are not in it last.
pub(crate) fn columns(schema: &Value, stream: &Stream, order: &[String]) -> Result<Vec<Column>> {
    let mut columns: Vec<Column> = all(schema)?
        .into_iter()
        .filter(|column| stream.wants(&column.name))
        .map(|column| declared(column, stream))
        .collect();
    if columns.is_empty() {
        return Err(no_columns());
    }
    let place = |column: &Column| order.iter().position(|name| *name == column.name);
    columns.sort_by_key(|column| place(column).unwrap_or(usize::MAX));
    Ok(columns)
}

fn no_columns() -> Error {
    Error::new(ErrorKind::Schema, "E-SINGER-SCHEMA", "the tap announces a stream without columns")
        .hint("look at `select`, and at the stream in the tap's own `--discover`")
}

/// The column as the operator has it.
fn declared(mut column: Column, stream: &Stream) -> Column {
    if let Some(kind) = stream.columns.get(&column.name).and_then(|declared| declared.kind) {
        column.kind = kind;
        column.allowed |= kinds::ALL & !kinds::NULL;
    }
    match stream.nullable.get(&column.name) {
        Some(true) => (column.allowed, column.required) = (column.allowed | kinds::NULL, false),
        Some(false) => (column.allowed, column.required) = (column.allowed & !kinds::NULL, true),
        None => {}
    }
    column
}

/// All columns of a schema.
pub(crate) fn all(schema: &Value) -> Result<Vec<Column>> {
    let properties = schema.get("properties").and_then(Value::as_object).ok_or_else(no_columns)?;
    let required: Vec<&str> = strings(schema.get("required"));
    let columns = properties.iter().map(|(name, property)| {
        let mut seen = Seen::default();
        look(property, schema, 0, &mut seen);
        Column {
            name: name.clone(),
            kind: seen.kind(),
            allowed: if seen.allowed == 0 { kinds::ALL } else { seen.allowed },
            required: required.contains(&name.as_str()),
        }
    });
    Ok(columns.collect())
}

fn strings(value: Option<&Value>) -> Vec<&str> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

/// What a property may hold.
#[derive(Default)]
struct Seen {
    allowed: u8,
    types: Vec<ColumnType>,
}

impl Seen {
    fn add(&mut self, allowed: u8, kind: ColumnType) {
        self.allowed |= allowed;
        if !self.types.contains(&kind) {
            self.types.push(kind);
        }
    }

    /// The one type that holds all of them.
    fn kind(&self) -> ColumnType {
        let first = match self.types.as_slice() {
            [] if self.allowed == 0 => return ColumnType::Json,
            [] => return ColumnType::Text,
            [only] => return *only,
            [first, ..] => *first,
        };
        if self.types.contains(&ColumnType::Json) {
            return ColumnType::Json;
        }
        self.types.iter().skip(1).fold(first, |held, next| wider(held, *next))
    }
}

/// The type that holds the values of both.
fn wider(a: ColumnType, b: ColumnType) -> ColumnType {
    use ColumnType::{Date, Decimal, Float, Int, Text, Timestamp};
    match (a, b) {
        (a, b) if a == b => a,
        (Int, Float) | (Float, Int) => Float,
        (Int, Decimal(_, scale)) | (Decimal(_, scale), Int) => Decimal(DIGITS, scale),
        (Decimal(_, a), Decimal(_, b)) => Decimal(DIGITS, a.max(b)),
        (Date, Timestamp) | (Timestamp, Date) => Timestamp,
        _ => Text,
    }
}

fn look(schema: &Value, root: &Value, depth: usize, seen: &mut Seen) {
    let Some(object) = schema.as_object().filter(|_| depth < DEPTH) else {
        // `true` allows everything, and so does what cannot be followed.
        return seen.add(kinds::ALL, ColumnType::Json);
    };
    if let Some(target) = object.get("$ref").and_then(Value::as_str) {
        let found = target.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
        return match found {
            Some(found) => look(found, root, depth + 1, seen),
            None => seen.add(kinds::ALL, ColumnType::Json),
        };
    }
    let branches: Vec<&Value> = ["anyOf", "oneOf", "allOf"]
        .iter()
        .filter_map(|word| object.get(*word).and_then(Value::as_array))
        .flatten()
        .collect();
    if !branches.is_empty() {
        for branch in branches {
            look(branch, root, depth + 1, seen);
        }
        return;
    }
    let types = match object.get("type") {
        Some(Value::String(one)) => vec![one.as_str()],
        several @ Some(Value::Array(_)) => strings(several),
        _ => types_of_values(object),
    };
    if types.is_empty() {
        return seen.add(kinds::ALL, ColumnType::Json);
    }
    for word in types {
        match word {
            "null" => seen.allowed |= kinds::NULL,
            "boolean" => seen.add(kinds::BOOLEAN, ColumnType::Bool),
            "integer" => seen.add(kinds::INTEGER, whole(object)),
            "number" => seen.add(kinds::INTEGER | kinds::NUMBER, number(object)),
            "string" => seen.add(kinds::STRING, text(object)),
            "object" => seen.add(kinds::OBJECT, ColumnType::Json),
            "array" => seen.add(kinds::ARRAY, ColumnType::Json),
            _ => seen.add(kinds::ALL, ColumnType::Json),
        }
    }
}

/// The types of the values of `enum` and `const`.
fn types_of_values(object: &Map<String, Value>) -> Vec<&'static str> {
    let listed = object.get("enum").and_then(Value::as_array).into_iter().flatten();
    let mut types: Vec<&str> = listed
        .chain(object.get("const"))
        .map(|value| match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_i64() => "integer",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        })
        .collect();
    types.sort_unstable();
    types.dedup();
    types
}

/// A whole number, by its bounds.
fn whole(object: &Map<String, Value>) -> ColumnType {
    let bounds = ["minimum", "maximum"].iter().filter_map(|word| object.get(*word));
    let bounds: Vec<String> =
        bounds.filter(|bound| bound.is_number()).map(Value::to_string).collect();
    let fits = |bound: &String| {
        let plain = crate::number::plain(bound);
        plain.is_some_and(|plain| {
            let whole = plain.split('.').next().unwrap_or_default();
            whole.parse::<i64>().is_ok()
        })
    };
    if bounds.iter().all(fits) {
        return ColumnType::Int;
    }
    let digits = bounds.iter().filter_map(|bound| whole_digits(bound)).max();
    match digits.and_then(|digits| u8::try_from(digits).ok()) {
        Some(digits) if digits <= DIGITS => ColumnType::Decimal(digits, 0),
        _ => ColumnType::Text,
    }
}

/// A number, by its step.
fn number(object: &Map<String, Value>) -> ColumnType {
    let step = object.get("multipleOf").filter(|step| step.is_number());
    let Some(step) = step.map(Value::to_string) else { return ColumnType::Float };
    match places(&step).and_then(|places| i8::try_from(places).ok()) {
        Some(scale) if scale.unsigned_abs() <= DIGITS => ColumnType::Decimal(DIGITS, scale),
        _ => ColumnType::Text,
    }
}

/// Text, by its format.
fn text(object: &Map<String, Value>) -> ColumnType {
    match object.get("format").and_then(Value::as_str) {
        Some("date-time") => ColumnType::Timestamp,
        Some("date") => ColumnType::Date,
        Some("singer.decimal" | "x-singer.decimal") => {
            let digits = |word| object.get(word).and_then(Value::as_u64);
            let (precision, scale) = (digits("precision"), digits("scale"));
            match (precision.map(u8::try_from), scale.map(i8::try_from)) {
                (Some(Ok(precision)), Some(Ok(scale)))
                    if (1..=DIGITS).contains(&precision) && scale.unsigned_abs() <= precision =>
                {
                    ColumnType::Decimal(precision, scale)
                }
                _ => ColumnType::Text,
            }
        }
        _ => ColumnType::Text,
    }
}

#[cfg(test)]
mod tests {
    use huiliu_sdk::type_word;
    use serde_json::json;

    use super::*;

    fn word(property: Value) -> (String, bool) {
        let schema = json!({
            "properties": { "x": property },
            "definitions": { "list": { "type": ["null", "array"] } }
        });
        let column = all(&schema).unwrap().remove(0);
        (type_word(&column.kind.arrow()), column.allowed & kinds::NULL != 0)
    }

    #[test]
    fn every_type_of_json_schema_has_the_column_that_loses_nothing() {
        let huge: Value = serde_json::from_str("18446744073709551615").unwrap();
        for (property, kind, nullable) in [
            (json!({ "type": "integer" }), "int", false),
            (json!({ "type": ["null", "integer"], "minimum": -128, "maximum": 127 }), "int", true),
            (json!({ "type": "integer", "minimum": 0, "maximum": huge }), "decimal(20,0)", false),
            (json!({ "type": ["null", "number"] }), "float", true),
            (json!({ "type": "number", "multipleOf": 0.01 }), "decimal(38,2)", false),
            (
                serde_json::from_str(r#"{"type": "number", "multipleOf": 1e-10}"#).unwrap(),
                "decimal(38,10)",
                false,
            ),
            (json!({ "type": "string" }), "text", false),
            (json!({ "type": "string", "format": "date-time" }), "timestamp", false),
            (json!({ "type": "string", "format": "date" }), "date", false),
            (json!({ "type": "string", "format": "time" }), "text", false),
            (json!({ "type": "string", "format": "singer.decimal" }), "text", false),
            (
                json!({ "type": "string", "format": "x-singer.decimal", "precision": 12, "scale": 2 }),
                "decimal(12,2)",
                false,
            ),
            (json!({ "type": ["boolean", "null"] }), "bool", true),
            (json!({ "type": "object", "properties": {} }), "text", false),
            (json!({ "type": ["string", "array"] }), "text", false),
            (json!({ "type": ["integer", "string", "null"] }), "text", true),
            (
                json!({ "anyOf": [{ "type": "string", "format": "date-time" }, { "type": "null" }] }),
                "timestamp",
                true,
            ),
            (
                json!({ "anyOf": [{ "type": "string", "format": "date-time" }, { "type": "string" }] }),
                "text",
                false,
            ),
            (json!({ "oneOf": [{ "type": "integer" }, { "type": "number" }] }), "float", false),
            (json!({ "$ref": "#/definitions/list" }), "text", true),
            (json!({ "enum": ["a", "b", null] }), "text", true),
            (json!({ "type": "null" }), "text", true),
            (json!({}), "text", true),
            (json!(true), "text", true),
        ] {
            assert_eq!(word(property.clone()), (kind.to_owned(), nullable), "{property}");
        }
    }

    #[test]
    fn what_refers_to_itself_ends() {
        let schema = json!({ "properties": { "x": { "$ref": "#/properties/x" } } });
        assert_eq!(all(&schema).unwrap()[0].kind, ColumnType::Json);
        assert_eq!(all(&json!({})).unwrap_err().code(), "E-SINGER-SCHEMA");
    }
}
