//! Rows as messages for a target: their columns as JSON Schema, their values without loss.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, SchemaRef, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::{DateTime, Offset, SecondsFormat, TimeZone};
use chrono_tz::Tz;
use huiliu_sdk::{Error, ErrorKind, Result};
use serde_json::{Map, Number, Value, json};

/// What a column becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Bool,
    Day,
    /// A wall time in the hub's zone.
    Wall,
    Instant,
}

fn kind(of: &DataType) -> Option<Kind> {
    Some(match of {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Kind::Text,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => Kind::Text,
        DataType::Time32(_) | DataType::Time64(_) | DataType::Null => Kind::Text,
        DataType::Boolean => Kind::Bool,
        DataType::Date32 => Kind::Day,
        DataType::Timestamp(_, None) => Kind::Wall,
        DataType::Timestamp(_, Some(_)) => Kind::Instant,
        kind if kind.is_numeric() => Kind::Number,
        _ => return None,
    })
}

/// Why a value or a column cannot be sent, without the value.
pub(crate) struct Unfit {
    pub(crate) column: String,
    pub(crate) reason: &'static str,
}

impl From<Unfit> for Error {
    fn from(Unfit { column, reason }: Unfit) -> Self {
        Self::new(ErrorKind::Data, "E-SINGER-VALUE", format!("column `{column}` {reason}"))
            .hint("change it in the query that is pushed")
    }
}

/// Writes the messages of one stream.
#[derive(Debug, Clone)]
pub(crate) struct Encoder {
    stream: String,
    key: Vec<String>,
    schema: SchemaRef,
    kinds: Vec<Kind>,
    zone: Tz,
}

impl Encoder {
    /// An encoder for rows of `schema` that are told apart by `key`. Wall times are in `zone`.
    pub(crate) fn new(stream: &str, key: &[String], schema: SchemaRef, zone: Tz) -> Result<Self> {
        let kinds = schema.fields().iter().map(|field| {
            kind(field.data_type()).ok_or_else(|| Unfit {
                column: field.name().clone(),
                reason: "has a type that Singer does not have",
            })
        });
        let kinds = kinds.collect::<std::result::Result<_, Unfit>>()?;
        if let Some(missing) = key.iter().find(|name| schema.field_with_name(name).is_err()) {
            return Err(Error::from(Unfit {
                column: missing.clone(),
                reason: "is in the key and not in the rows",
            }));
        }
        Ok(Self { stream: stream.to_owned(), key: key.to_vec(), schema, kinds, zone })
    }

    /// The columns, with their end of line.
    pub(crate) fn schema(&self) -> String {
        let fields = self.schema.fields().iter().zip(&self.kinds);
        let properties: Map<String, Value> = fields
            .map(|(field, kind)| {
                let is_key = self.key.contains(field.name());
                (field.name().clone(), property(field.data_type(), *kind, is_key))
            })
            .collect();
        let message = json!({
            "type": "SCHEMA",
            "stream": self.stream,
            "schema": { "type": "object", "properties": properties },
            "key_properties": self.key,
        });
        format!("{message}\n")
    }

    /// That all rows were sent under `version`.
    pub(crate) fn activate(&self, version: i64) -> String {
        let kind = "ACTIVATE_VERSION";
        format!("{}\n", json!({ "type": kind, "stream": self.stream, "version": version }))
    }

    /// A state that the target repeats once it has what came before.
    pub(crate) fn state(&self, marker: &str) -> String {
        let value = json!({ "bookmarks": { &self.stream: { "huiliu": marker } } });
        format!("{}\n", json!({ "type": "STATE", "value": value }))
    }

    /// Whether a line of the target repeats the state with `marker`.
    pub(crate) fn confirms(&self, line: &[u8], marker: &str) -> bool {
        let Ok(state) = serde_json::from_slice::<Value>(line) else { return false };
        let bookmark = state.get("bookmarks").and_then(|bookmarks| bookmarks.get(&self.stream));
        bookmark.and_then(|bookmark| bookmark.get("huiliu")).and_then(Value::as_str) == Some(marker)
    }

    /// The rows of a batch, one message each with its end of line.
    pub(crate) fn rows(
        &self,
        batch: &RecordBatch,
        version: Option<i64>,
        mut each: impl FnMut(usize, std::result::Result<String, Unfit>) -> Result<()>,
    ) -> Result<()> {
        if batch.schema_ref().fields() != self.schema.fields() {
            return Err(Error::internal("a batch has other columns than were announced"));
        }
        let options = FormatOptions::new();
        let formatters: Vec<ArrayFormatter<'_>> = (batch.columns().iter())
            .map(|column| Ok(ArrayFormatter::try_new(column, &options)?))
            .collect::<Result<_>>()?;
        let stream = Value::from(self.stream.as_str()).to_string();
        let version = version.map_or_else(String::new, |version| format!(",\"version\":{version}"));
        for row in 0..batch.num_rows() {
            let record = self.record(batch, &formatters, row);
            let message = record.map(|record| {
                format!(
                    "{{\"type\":\"RECORD\",\"stream\":{stream}{version},\"record\":{record}}}\n"
                )
            });
            each(row, message)?;
        }
        Ok(())
    }

    fn record(
        &self,
        batch: &RecordBatch,
        formatters: &[ArrayFormatter<'_>],
        row: usize,
    ) -> std::result::Result<String, Unfit> {
        let mut record = String::from("{");
        let columns = batch.columns().iter().zip(self.schema.fields());
        for (((column, field), kind), formatter) in columns.zip(&self.kinds).zip(formatters) {
            let unfit = |reason| Unfit { column: field.name().clone(), reason };
            if record.len() > 1 {
                record.push(',');
            }
            record.push_str(&Value::from(field.name().as_str()).to_string());
            record.push(':');
            if column.is_null(row) {
                if self.key.contains(field.name()) {
                    return Err(unfit("is in the key and has no value"));
                }
                record.push_str("null");
                continue;
            }
            let text = || {
                formatter
                    .value(row)
                    .try_to_string()
                    .map_err(|_| unfit("holds a value that is none"))
            };
            match kind {
                Kind::Bool => record.push_str(&text()?),
                Kind::Number => {
                    let text = text()?;
                    // Infinity and the like are no JSON.
                    if serde_json::from_str::<Number>(&text).is_err() {
                        return Err(unfit("holds a number that JSON does not have"));
                    }
                    record.push_str(&text);
                }
                Kind::Text | Kind::Day => record.push_str(&Value::from(text()?).to_string()),
                Kind::Wall | Kind::Instant => {
                    let zone = (*kind == Kind::Wall).then_some(self.zone);
                    let moment = moment(column, row, zone);
                    let moment = moment.ok_or_else(|| unfit("holds a time that does not exist"))?;
                    record.push_str(&Value::from(moment).to_string());
                }
            }
        }
        record.push('}');
        Ok(record)
    }
}

/// A time with the offset of its zone; without `zone` the value is one of UTC.
fn moment(column: &ArrayRef, row: usize, zone: Option<Tz>) -> Option<String> {
    let DataType::Timestamp(unit, _) = column.data_type() else { return None };
    let instant = match unit {
        TimeUnit::Second => {
            DateTime::from_timestamp(column.as_primitive::<TimestampSecondType>().value(row), 0)
        }
        TimeUnit::Millisecond => DateTime::from_timestamp_millis(
            column.as_primitive::<TimestampMillisecondType>().value(row),
        ),
        TimeUnit::Microsecond => DateTime::from_timestamp_micros(
            column.as_primitive::<TimestampMicrosecondType>().value(row),
        ),
        TimeUnit::Nanosecond => Some(DateTime::from_timestamp_nanos(
            column.as_primitive::<TimestampNanosecondType>().value(row),
        )),
    }?;
    let Some(zone) = zone else {
        return Some(instant.to_rfc3339_opts(SecondsFormat::AutoSi, true));
    };
    let wall = zone.from_local_datetime(&instant.naive_utc()).earliest()?;
    // The offsets of old times have seconds, for which there is no room.
    if wall.offset().fix().local_minus_utc() % 60 != 0 {
        return Some(wall.to_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true));
    }
    Some(wall.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

fn property(of: &DataType, kind: Kind, is_key: bool) -> Value {
    let word = match kind {
        Kind::Bool => "boolean",
        Kind::Number if of.is_integer() => "integer",
        Kind::Number => match of {
            DataType::Decimal128(_, 0) | DataType::Decimal256(_, 0) => "integer",
            _ => "number",
        },
        Kind::Text | Kind::Day | Kind::Wall | Kind::Instant => "string",
    };
    let types = if is_key { json!([word]) } else { json!([word, "null"]) };
    let mut property = json!({ "type": types });
    match (kind, of) {
        (Kind::Day, _) => property["format"] = "date".into(),
        (Kind::Wall | Kind::Instant, _) => property["format"] = "date-time".into(),
        (_, DataType::Decimal128(_, scale @ 1..) | DataType::Decimal256(_, scale @ 1..)) => {
            let places = usize::from(scale.unsigned_abs()) - 1;
            let step = format!("0.{}1", "0".repeat(places));
            if let Ok(step) = serde_json::from_str::<Number>(&step) {
                property["multipleOf"] = Value::Number(step);
            }
        }
        _ => {}
    }
    property
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        Date32Array, Decimal128Array, Float64Array, Int64Array, ListArray, StringArray,
        TimestampMicrosecondArray,
    };
    use arrow::datatypes::Int32Type;

    use super::*;

    fn lines(
        batch: &RecordBatch,
        key: &[String],
    ) -> (Value, Vec<std::result::Result<String, String>>) {
        let zone = chrono_tz::Asia::Shanghai;
        let encoder = Encoder::new("p", key, batch.schema(), zone).unwrap();
        let mut lines = Vec::new();
        let add = |_: usize, line: std::result::Result<String, Unfit>| {
            lines.push(line.map_err(|unfit| format!("{} {}", unfit.column, unfit.reason)));
            Ok(())
        };
        encoder.rows(batch, Some(5), add).unwrap();
        (serde_json::from_str(&encoder.schema()).unwrap(), lines)
    }

    #[test]
    fn values_leave_as_they_are() {
        let amount = Decimal128Array::from(vec![Some(1_234_567_890_123_456_789_012_i128), None]);
        let batch = RecordBatch::try_from_iter([
            ("id", Arc::new(Int64Array::from(vec![9_007_199_254_740_993, 2])) as ArrayRef),
            ("amount", Arc::new(amount.with_precision_and_scale(38, 2).unwrap())),
            ("name", Arc::new(StringArray::from(vec![Some("王\"\n"), None]))),
            ("day", Arc::new(Date32Array::from(vec![Some(17_694), None]))),
            (
                "at",
                Arc::new(TimestampMicrosecondArray::from(vec![Some(1_528_794_000_000_000), None])),
            ),
            ("ratio", Arc::new(Float64Array::from(vec![Some(0.1), Some(f64::NAN)]))),
        ])
        .unwrap();
        let (schema, lines) = lines(&batch, &["id".to_owned()]);
        let record = r#"{"id":9007199254740993,"amount":12345678901234567890.12,"name":"王\"\n","day":"2018-06-12","at":"2018-06-12T09:00:00+08:00","ratio":0.1}"#;
        let expected =
            format!("{{\"type\":\"RECORD\",\"stream\":\"p\",\"version\":5,\"record\":{record}}}\n");
        assert_eq!(lines[0], Ok(expected));
        assert_eq!(lines[1], Err("ratio holds a number that JSON does not have".to_owned()));
        let properties = &schema["schema"]["properties"];
        assert_eq!(properties["id"], json!({ "type": ["integer"] }));
        assert_eq!(
            properties["amount"].to_string(),
            r#"{"type":["number","null"],"multipleOf":0.01}"#
        );
        assert_eq!(properties["at"], json!({ "type": ["string", "null"], "format": "date-time" }));
        assert_eq!(schema["key_properties"], json!(["id"]));
    }

    #[test]
    fn what_singer_cannot_say_is_told_by_its_column() {
        let lists = ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1)])]);
        let batch = RecordBatch::try_from_iter([("tags", Arc::new(lists) as ArrayRef)]).unwrap();
        let zone = chrono_tz::UTC;
        let error = Encoder::new("p", &[], batch.schema(), zone).unwrap_err();
        assert_eq!(error.code(), "E-SINGER-VALUE");
        assert!(error.message().contains("`tags`"));
        let keyless = RecordBatch::try_from_iter([(
            "id",
            Arc::new(Int64Array::from(vec![None::<i64>])) as ArrayRef,
        )]);
        let (_, lines) = lines(&keyless.unwrap(), &["id".to_owned()]);
        assert_eq!(lines[0], Err("id is in the key and has no value".to_owned()));
    }

    #[test]
    fn only_the_state_of_the_same_marker_confirms() {
        let schema = Arc::new(arrow::datatypes::Schema::empty());
        let encoder = Encoder::new("p", &[], schema, chrono_tz::UTC).unwrap();
        let message: Value = serde_json::from_str(&encoder.state("m2")).unwrap();
        let echo = message["value"].to_string();
        assert!(encoder.confirms(echo.as_bytes(), "m2"));
        assert!(!encoder.confirms(echo.as_bytes(), "m1"));
        assert!(!encoder.confirms(b"{}", "m2") && !encoder.confirms(b"INFO", "m2"));
    }
}
