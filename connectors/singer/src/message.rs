//! Messages of Singer, one JSON object a line.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// One message.
pub(crate) enum Message<'l> {
    /// The columns of a stream.
    Schema { stream: Cow<'l, str>, schema: Value },
    /// A record, as it is written.
    Record { stream: Cow<'l, str>, record: &'l RawValue, version: Option<&'l str> },
    /// From where reading can go on.
    State(Value),
    /// What was sent under this version is all there is.
    Version { stream: Cow<'l, str>, version: &'l str },
    /// Records in a file of their own.
    Batch,
    /// What this program does not know.
    Other(Cow<'l, str>),
}

#[derive(Deserialize)]
struct Envelope<'l> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'l, str>,
    #[serde(borrow, default)]
    stream: Option<Cow<'l, str>>,
    #[serde(borrow, default)]
    schema: Option<&'l RawValue>,
    #[serde(borrow, default)]
    record: Option<&'l RawValue>,
    #[serde(borrow, default)]
    value: Option<&'l RawValue>,
    #[serde(borrow, default)]
    version: Option<&'l RawValue>,
}

/// Reads a line, or says what is wrong with it.
pub(crate) fn read(line: &[u8]) -> Result<Message<'_>, &'static str> {
    let envelope: Envelope<'_> = serde_json::from_slice(line).map_err(|cause| {
        if cause.is_data() { "is no Singer message" } else { "is no valid JSON" }
    })?;
    let Envelope { kind, stream, schema, record, value, version } = envelope;
    let version = version.map(RawValue::get);
    let lacking = "is a Singer message that lacks a part";
    Ok(match &*kind {
        "SCHEMA" => {
            let text = schema.ok_or(lacking)?.get();
            let schema = serde_json::from_str(text).map_err(|_| "has a schema that is none")?;
            Message::Schema { stream: stream.ok_or(lacking)?, schema }
        }
        "RECORD" => Message::Record {
            stream: stream.ok_or(lacking)?,
            record: record.ok_or(lacking)?,
            version,
        },
        "STATE" => {
            let text = value.map_or("null", RawValue::get);
            Message::State(serde_json::from_str(text).map_err(|_| "has a state that is none")?)
        }
        "ACTIVATE_VERSION" => {
            Message::Version { stream: stream.ok_or(lacking)?, version: version.ok_or(lacking)? }
        }
        "BATCH" => Message::Batch,
        _ => Message::Other(kind),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_told_from_other_json_and_from_none() {
        let line = br#"{"type": "RECORD", "stream": "a", "record": {"n": 1.10}, "version": 3}"#;
        let Ok(Message::Record { stream, record, version }) = read(line) else { panic!() };
        assert_eq!((&*stream, record.get(), version), ("a", r#"{"n": 1.10}"#, Some("3")));
        let state = read(br#"{"type": "STATE", "value": {"b": 9007199254740993}}"#);
        let Ok(Message::State(value)) = state else { panic!() };
        assert_eq!(value.to_string(), r#"{"b":9007199254740993}"#);
        assert!(matches!(read(br#"{"type": "LOG"}"#), Ok(Message::Other(_))));
        for (line, what) in [
            ("Traceback", "is no valid JSON"),
            (r#"{"type": "STATE", "value": {}"#, "is no valid JSON"),
            ("[1]", "is no Singer message"),
            ("{}", "is no Singer message"),
            (r#"{"type": "RECORD", "stream": "a"}"#, "is a Singer message that lacks a part"),
        ] {
            assert_eq!(read(line.as_bytes()).err(), Some(what), "{line}");
        }
    }
}
