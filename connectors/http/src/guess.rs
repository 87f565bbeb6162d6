//! Guessing columns from a page of records, for people who set up a stream.

use chrono::{NaiveDate, NaiveDateTime};
use huiliu_sdk::ColumnSpec;
use serde_json::Value;

use crate::page::Page;
use crate::plan::Column;
use crate::pointer::Pointer;
use crate::reading::seen;

/// The columns of a page, if there is one: those declared, or else the fields of its records.
pub(crate) fn columns(page: Option<&Page>, declared: &[Column]) -> Vec<(String, ColumnSpec)> {
    let texts =
        page.into_iter().flat_map(|page| (0..page.len()).map(move |index| page.record(index)));
    let records: Vec<Value> =
        texts.map(|text| serde_json::from_str(text).unwrap_or(Value::Null)).collect();
    let places: Vec<(String, Pointer)> = if declared.is_empty() {
        page.map(seen)
            .unwrap_or_default()
            .into_iter()
            .map(|name| (name.clone(), Pointer(vec![name])))
            .collect()
    } else {
        declared.iter().map(|column| (column.name.clone(), column.place.clone())).collect()
    };
    places
        .into_iter()
        .map(|(name, place)| {
            let values = records.iter().filter_map(|record| place.get(record));
            let data_type = Some(kind(values.filter(|value| !value.is_null())).to_owned());
            (name, ColumnSpec { data_type, ..ColumnSpec::default() })
        })
        .collect()
}

/// The narrowest type that fits all values; text if there is none.
fn kind<'v>(values: impl Iterator<Item = &'v Value>) -> &'static str {
    let mut common = None;
    for value in values {
        let this = one(value);
        common = match common {
            None => Some(this),
            Some(held) if held == this => Some(held),
            Some("int" | "float") if matches!(this, "int" | "float") => Some("float"),
            Some(_) => return "text",
        };
    }
    common.unwrap_or("text")
}

fn one(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_i64() => "int",
        Value::Number(_) => "float",
        Value::Array(_) | Value::Object(_) => "json",
        Value::Null => "text",
        Value::String(text) => {
            let timed = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"]
                .iter()
                .any(|format| NaiveDateTime::parse_from_str(text, format).is_ok());
            if timed {
                "timestamp"
            } else if NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok() {
                "date"
            } else {
                "text"
            }
        }
    }
}
