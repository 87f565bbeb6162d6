use arrow::array::{Array, RecordBatch};
use arrow::util::display::array_value_to_string;
use serde_json::json;

use super::*;
use crate::schema;

const CHINA: chrono_tz::Tz = chrono_tz::Asia::Shanghai;

fn reader() -> RecordReader {
    RecordReader::new(
        schema::all(&json!({
            "properties": {
                "id": { "type": "integer" },
                "amount": { "type": ["number", "null"], "multipleOf": 0.01 },
                "ratio": { "type": ["number", "null"] },
                "name": { "type": ["string", "null"] },
                "day": { "type": ["string", "null"], "format": "date" },
                "at": { "type": ["string", "null"], "format": "date-time" },
                "tags": { "type": ["array", "null"] }
            },
            "required": ["id"]
        }))
        .unwrap(),
    )
}

fn push(text: &str) -> Result<RecordBatch, (&'static str, String)> {
    let reader = reader();
    let columns: Vec<(String, ColumnType, bool)> = reader
        .columns()
        .iter()
        .map(|column| (column.name.clone(), column.kind, column.is_nullable()))
        .collect();
    let mut builder = RowBuilder::new(&columns, CHINA, CHINA);
    let record: &RawValue = serde_json::from_str(text).unwrap();
    reader
        .push(record, 1, &mut builder, &mut BTreeSet::new())
        .map_err(|refusal| (refusal.code, refusal.reason))?;
    Ok(builder.finish().unwrap().0)
}

fn cells(text: &str) -> Vec<String> {
    let batch = push(text).unwrap();
    let text = |column: &std::sync::Arc<dyn Array>| {
        if column.is_null(0) { "-".into() } else { array_value_to_string(column, 0).unwrap() }
    };
    batch.columns().iter().map(text).collect()
}

#[test]
fn values_arrive_as_they_are_written() {
    let record = r#"{"id": 9007199254740993, "amount": 1234567890123456789012345678.10,
        "ratio": 0.1, "name": "\u738b\"", "day": "2018-06-12T00:00:00+00:00",
        "at": "2018-06-12T01:00:00Z", "tags": [1, {"a": 1.10}], "more": 1}"#;
    assert_eq!(
        cells(record),
        [
            "9007199254740993",
            "1234567890123456789012345678.10",
            "0.1",
            "王\"",
            "2018-06-12",
            "2018-06-12T09:00:00",
            "[1, {\"a\": 1.10}]"
        ]
    );
    assert_eq!(cells(r#"{"id": 1.0e1, "amount": 5}"#)[..2], ["10", "5.00"]);
}

#[test]
fn what_is_not_as_its_schema_says_is_refused_without_its_value() {
    for (record, code) in [
        (r#"{"name": "王芳"}"#, "E-NULL"),
        (r#"{"id": null}"#, "E-NULL"),
        (r#"{"id": "7"}"#, "E-TYPE"),
        (r#"{"id": 1.5}"#, "E-TYPE"),
        (r#"{"id": 9223372036854775808}"#, "E-TYPE"),
        (r#"{"id": 1, "amount": 1.005}"#, "E-TYPE"),
        (r#"{"id": 1, "ratio": 12345678901234567890.123456789}"#, "E-RANGE"),
        (r#"{"id": 1, "ratio": 1e400}"#, "E-RANGE"),
        (r#"{"id": 1, "name": "\ud800"}"#, "E-ENCODING"),
        (r#"{"id": 1, "name": "a\u0000"}"#, "E-NUL"),
        (r#"{"id": 1, "day": "2018-02-30"}"#, "E-TYPE"),
        (r#"{"id": 1, "tags": "王芳"}"#, "E-TYPE"),
        (r#"{"id": 1, "id": 2}"#, "E-SINGER-RECORD"),
        ("[1]", "E-SINGER-RECORD"),
    ] {
        let (found, reason) = push(record).unwrap_err();
        assert_eq!(found, code, "{record}: {reason}");
        assert!(!reason.contains("王芳"), "{reason}");
    }
}

#[test]
fn a_record_that_did_not_fit_is_kept_as_it_was() {
    let record: &RawValue =
        serde_json::from_str(r#"{"id": "x", "amount": 1.10, "tags": ["a"], "name": null}"#)
            .unwrap();
    let kept = String::from_utf8(reader().original(record)).unwrap();
    let expected = r#"{"id":"x","amount":"1.10","ratio":null,"name":null,"day":null,"at":null,"tags":"[\"a\"]"}"#;
    assert_eq!(kept, expected);
}
