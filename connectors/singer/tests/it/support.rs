#![allow(clippy::unwrap_used)] // support stands outside of the test functions
#![allow(clippy::disallowed_methods)] // where the taps are comes from the environment
//! Systems over taps and targets, and everything a read gives.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use arrow::util::display::array_value_to_string;
use huiliu_connector_singer::SingerConnector;
use huiliu_sdk::{
    BatchLimits, Checkpoint, ConfigErrors, Connector, Cx, Endpoint, Error, Event, RawConfig,
    RawPush, RawStream, ReadRequest, Rejected, Source, StreamId, StreamRequest, StreamSettings,
};
use serde_json::{Value, json};

/// Nothing here takes that long, except where something hangs that should not.
pub(crate) const LONGEST: Duration = Duration::from_secs(120);

/// The program of a real tap or target.
pub(crate) fn installed(name: &str, program: &str) -> String {
    let folder = std::env::var("HUILIU_TEST_SINGER").unwrap_or_else(|_| {
        panic!("HUILIU_TEST_SINGER must name the folder of taps and targets; `./test` makes it")
    });
    let path = PathBuf::from(folder).join(name).join("bin").join(program);
    path.to_str().unwrap().to_owned()
}

fn fixture(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    path.to_str().unwrap().to_owned()
}

/// The command of a program of the folder `fixtures`.
pub(crate) fn fixture_command(name: &str) -> Vec<String> {
    vec![installed("target-jsonl", "python"), fixture(name)]
}

pub(crate) fn raw(system: Value, streams: Vec<Value>, pushes: Vec<Value>) -> RawConfig {
    let stream = |options: Value| {
        let settings: StreamSettings = serde_json::from_value(options.clone()).unwrap();
        RawStream { settings, options }
    };
    let push = |options: Value| RawPush {
        name: options["name"].as_str().unwrap().to_owned(),
        key: serde_json::from_value(options.get("key").cloned().unwrap_or(json!([]))).unwrap(),
        options,
    };
    RawConfig {
        system: "test".into(),
        base_dir: std::env::temp_dir(),
        hub_zone: chrono_tz::Asia::Shanghai,
        options: system,
        streams: streams.into_iter().map(stream).collect(),
        pushes: pushes.into_iter().map(push).collect(),
    }
}

pub(crate) fn configure(raw: RawConfig) -> Result<Arc<dyn Endpoint>, ConfigErrors> {
    SingerConnector.configure(raw)
}

pub(crate) fn endpoint(
    system: Value,
    streams: Vec<Value>,
    pushes: Vec<Value>,
) -> Arc<dyn Endpoint> {
    configure(raw(system, streams, pushes)).map_err(|faults| faults.0).unwrap()
}

/// The scripted tap with a stream `a` and a stream `b`, each of a number and a text, and `more`
/// keys of its system or, under `script`, of its script.
pub(crate) fn scripted(steps: Value, streams: Vec<Value>, mut more: Value) -> Arc<dyn Endpoint> {
    let entry = |name: &str| json!({ "tap_stream_id": name, "stream": name, "schema": columns() });
    let mut script = json!({ "catalog": { "streams": [entry("a"), entry("b")] }, "steps": steps });
    if let Some(of_script) = more.as_object_mut().unwrap().remove("script") {
        merge(&mut script, of_script);
    }
    let mut command = fixture_command("tap.py");
    command.push(script.to_string());
    let config = json!({ "password": "canary-password", "token": "canary/token" });
    let mut system = json!({ "command": command, "config": config });
    merge(&mut system, more);
    endpoint(system, streams, Vec::new())
}

pub(crate) fn merge(into: &mut Value, more: Value) {
    match more {
        Value::Object(entries) if into.is_object() => {
            for (key, value) in entries {
                merge(&mut into[key], value);
            }
        }
        value => *into = value,
    }
}

pub(crate) fn columns() -> Value {
    json!({
        "type": "object",
        "properties": { "id": { "type": "integer" }, "v": { "type": ["string", "null"] } },
        "required": ["id"]
    })
}

/// A stream that is read whole.
pub(crate) fn whole(name: &str) -> Value {
    json!({ "name": name, "key": ["id"] })
}

/// A stream of which the tap tells where it goes on.
pub(crate) fn partly(name: &str) -> Value {
    json!({ "name": name, "key": ["id"], "read": "incremental" })
}

pub(crate) fn schema(stream: &str) -> Value {
    json!({ "say": { "type": "SCHEMA", "stream": stream, "schema": columns(), "key_properties": ["id"] } })
}

pub(crate) fn record(stream: &str, record: Value) -> Value {
    json!({ "say": { "type": "RECORD", "stream": stream, "record": record } })
}

pub(crate) fn row(stream: &str, id: u64) -> Value {
    record(stream, json!({ "id": id, "v": "x" }))
}

pub(crate) fn state(value: Value) -> Value {
    json!({ "say": { "type": "STATE", "value": value } })
}

pub(crate) fn limited(rows: usize, bytes: usize) -> Cx {
    Cx { limits: BatchLimits { rows, bytes }, ..Cx::new() }
}

pub(crate) fn request(streams: &[(&str, Option<Checkpoint>)]) -> ReadRequest {
    let streams = streams.iter();
    let streams = streams.map(|(name, resume)| StreamRequest {
        stream: StreamId::new(*name),
        resume: resume.clone(),
    });
    ReadRequest { streams: streams.collect(), row_limit: None }
}

/// Everything a read gave.
#[derive(Default)]
pub(crate) struct Outcome {
    /// The events in their order, such as `rows a 2`.
    pub(crate) steps: Vec<String>,
    pub(crate) schemas: Vec<(String, SchemaRef)>,
    pub(crate) batches: Vec<(String, RecordBatch)>,
    pub(crate) rejected: Vec<Rejected>,
    pub(crate) notes: Vec<String>,
    pub(crate) checkpoints: Vec<Checkpoint>,
    pub(crate) complete: Vec<(String, bool)>,
    pub(crate) error: Option<Error>,
}

impl Outcome {
    pub(crate) fn last(&self) -> Option<Checkpoint> {
        self.checkpoints.last().cloned()
    }

    /// One column of a stream as text, `-` for no value.
    pub(crate) fn column(&self, stream: &str, name: &str) -> Vec<String> {
        let mut values = Vec::new();
        for (_, batch) in self.batches.iter().filter(|(of, _)| of == stream) {
            let Some(array) = batch.column_by_name(name) else { continue };
            for row in 0..array.len() {
                let is_null = array.is_null(row);
                let text = || array_value_to_string(array, row).unwrap();
                values.push(if is_null { "-".to_owned() } else { text() });
            }
        }
        values
    }

    pub(crate) fn code(&self) -> &'static str {
        self.error.as_ref().map_or("", Error::code)
    }

    /// Everything a person may see of it.
    pub(crate) fn words(&self) -> String {
        let error = self.error.as_ref().map_or_else(String::new, |error| format!("{error:?}"));
        format!("{error} {:?} {:?}", self.notes, self.rejected)
    }
}

/// Reads until the end or an error.
pub(crate) async fn read(endpoint: &dyn Endpoint, cx: &Cx, request: ReadRequest) -> Outcome {
    let mut outcome = Outcome::default();
    match endpoint.source(cx, request).await {
        Ok(mut source) => drain(source.as_mut(), cx, &mut outcome).await,
        Err(error) => outcome.error = Some(error),
    }
    outcome
}

pub(crate) async fn drain(source: &mut dyn Source, cx: &Cx, outcome: &mut Outcome) {
    loop {
        let next = tokio::time::timeout(LONGEST, source.next(cx)).await;
        let event = match next.expect("a read that says nothing") {
            Ok(Some(event)) => event,
            Ok(None) => return,
            Err(error) => {
                outcome.error = Some(error);
                return;
            }
        };
        take(event, cx, outcome);
    }
}

fn take(event: Event, cx: &Cx, outcome: &mut Outcome) {
    match event {
        Event::Schema(stream, schema) => {
            outcome.steps.push(format!("schema {stream}"));
            outcome.schemas.push((stream.to_string(), schema));
        }
        Event::Rows(rows) => {
            let stream = rows.stream.to_string();
            assert!(outcome.complete.is_empty(), "nothing follows the end");
            assert!(rows.batch.num_rows() + rows.rejected.len() <= cx.limits.rows);
            assert_eq!(rows.positions.len(), rows.batch.num_rows());
            let announced = outcome.schemas.iter().rev().find(|(of, _)| *of == stream);
            let fits = announced.is_some_and(|(_, schema)| *schema == rows.batch.schema());
            assert!(fits || rows.batch.num_columns() == 0, "rows come under their columns");
            outcome.steps.push(format!("rows {stream} {}", rows.batch.num_rows()));
            outcome.rejected.extend(rows.rejected);
            outcome.batches.push((stream, rows.batch));
        }
        Event::Keys(..) => panic!("nobody asked for keys"),
        Event::Note(_, note) => outcome.notes.push(note),
        Event::Checkpoint(checkpoint) => {
            outcome.steps.push(format!("state {}", checkpoint.state["singer"]));
            outcome.checkpoints.push(checkpoint);
        }
        Event::End { stream, complete } => {
            assert!(!outcome.checkpoints.is_empty(), "a checkpoint comes before the end");
            outcome.complete.push((stream.to_string(), complete));
        }
    }
}

/// The highest this process's memory was, in bytes.
pub(crate) fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}
