#![allow(clippy::unwrap_used)] // support stands outside of the test functions
//! A folder of files, a stream over it, and everything a read gives.

use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use arrow::util::display::array_value_to_string;
use huiliu_connector_files::FilesConnector;
use huiliu_sdk::{
    BatchLimits, Checkpoint, ConfigErrors, Connector, Cx, Endpoint, Error, Event, RawConfig,
    RawPush, RawStream, ReadRequest, Rejected, StreamId, StreamRequest, StreamSettings,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

pub(crate) struct Drops {
    folder: TempDir,
}

impl Drops {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn with(name: &str, content: impl AsRef<[u8]>) -> Self {
        let drops = Self::new();
        drops.put(name, content);
        drops
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("drops").join(name)
    }

    pub(crate) fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub(crate) fn endpoint(&self, options: Value, settings: Value) -> Arc<dyn Endpoint> {
        std::fs::create_dir_all(self.path("")).unwrap();
        let base = self.folder.path().to_owned();
        let raw = raw(base, json!({ "path": "drops" }), vec![(options, settings)]);
        FilesConnector.configure(raw).map_err(|faults| faults.0).unwrap()
    }

    /// An endpoint with one push `p`.
    pub(crate) fn pushing(&self, options: Value) -> Arc<dyn Endpoint> {
        std::fs::create_dir_all(self.path("")).unwrap();
        let mut raw = raw(self.folder.path().to_owned(), json!({ "path": "drops" }), vec![]);
        raw.pushes.push(RawPush { name: "p".into(), key: vec![], options });
        FilesConnector.configure(raw).map_err(|faults| faults.0).unwrap()
    }

    /// A copy of a file of the folder `tests/data`.
    pub(crate) fn fixture(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
        Self::with(name, std::fs::read(path).unwrap())
    }

    /// The names in the folder, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path("")).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    pub(crate) fn text(&self, name: &str) -> String {
        String::from_utf8(std::fs::read(self.path(name)).unwrap()).unwrap()
    }

    pub(crate) async fn read(&self, options: Value) -> Result<Outcome, Error> {
        let endpoint = self.endpoint(options, json!({ "read": "incremental" }));
        read(&*endpoint, &limited(16_384), None, None).await
    }
}

pub(crate) fn csv() -> Value {
    json!({ "pattern": "*.csv" })
}

pub(crate) fn sha256(content: impl AsRef<[u8]>) -> String {
    Sha256::digest(content).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

pub(crate) fn raw(base: PathBuf, system: Value, streams: Vec<(Value, Value)>) -> RawConfig {
    RawConfig {
        system: "test".into(),
        base_dir: base,
        hub_zone: chrono_tz::Asia::Shanghai,
        options: system,
        streams: streams.into_iter().map(|(options, settings)| stream(options, settings)).collect(),
        pushes: Vec::new(),
    }
}

pub(crate) fn stream(options: Value, mut settings: Value) -> RawStream {
    settings["name"] = json!("s");
    let settings: StreamSettings = serde_json::from_value(settings).unwrap();
    RawStream { settings, options }
}

pub(crate) fn configure(raw: RawConfig) -> Result<Arc<dyn Endpoint>, ConfigErrors> {
    FilesConnector.configure(raw)
}

pub(crate) fn limited(rows: usize) -> Cx {
    Cx { limits: BatchLimits { rows, ..BatchLimits::default() }, ..Cx::new() }
}

/// Everything a read gave.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) schemas: Vec<SchemaRef>,
    pub(crate) batches: Vec<RecordBatch>,
    pub(crate) origins: Vec<String>,
    pub(crate) positions: Vec<u64>,
    pub(crate) rejected: Vec<Rejected>,
    pub(crate) notes: Vec<String>,
    /// Each checkpoint with the number of rows before it.
    pub(crate) checkpoints: Vec<(usize, Checkpoint)>,
    pub(crate) complete: Option<bool>,
}

impl Outcome {
    pub(crate) fn len(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    pub(crate) fn resume(&self) -> Option<Checkpoint> {
        self.checkpoints.last().map(|(_, checkpoint)| checkpoint.clone())
    }

    /// One column as text, `NULL` for null.
    pub(crate) fn column(&self, name: &str) -> Vec<String> {
        let mut values = Vec::new();
        for batch in &self.batches {
            let array = batch.column_by_name(name).unwrap();
            for row in 0..array.len() {
                let null = array.is_null(row);
                values.push(if null {
                    "NULL".into()
                } else {
                    array_value_to_string(array, row).unwrap()
                });
            }
        }
        values
    }
}

/// The rejected rows as position and code.
pub(crate) fn codes(outcome: &Outcome) -> Vec<(u64, &str)> {
    outcome.rejected.iter().map(|row| (row.position, row.code)).collect()
}

pub(crate) fn request(resume: Option<Checkpoint>, row_limit: Option<u64>) -> ReadRequest {
    let streams = vec![StreamRequest { stream: StreamId::new("s"), resume }];
    ReadRequest { streams, row_limit }
}

/// Reads to the end and checks the order of events on the way.
pub(crate) async fn read(
    endpoint: &dyn Endpoint,
    cx: &Cx,
    resume: Option<Checkpoint>,
    row_limit: Option<u64>,
) -> Result<Outcome, Error> {
    let mut source = endpoint.source(cx, request(resume, row_limit)).await?;
    let mut outcome = Outcome::default();
    let mut last_is_checkpoint = false;
    while let Some(event) = source.next(cx).await? {
        assert!(outcome.complete.is_none(), "nothing follows the end");
        let is_checkpoint = matches!(event, Event::Checkpoint(_));
        match event {
            Event::Schema(_, schema) => outcome.schemas.push(schema),
            Event::Rows(rows) => {
                assert_eq!(Some(&rows.batch.schema()), outcome.schemas.last());
                assert!(rows.batch.num_rows() + rows.rejected.len() <= cx.limits.rows);
                assert_eq!(rows.positions.len(), rows.batch.num_rows());
                outcome.origins.push(rows.origin.to_string());
                outcome.positions.extend(rows.positions);
                outcome.rejected.extend(rows.rejected);
                outcome.batches.push(rows.batch);
            }
            Event::Keys(..) => panic!("nobody asked for keys"),
            Event::Note(_, note) => outcome.notes.push(note),
            Event::Checkpoint(checkpoint) => {
                let rows = outcome.len() + outcome.rejected.len();
                outcome.checkpoints.push((rows, checkpoint));
            }
            Event::End { complete, .. } => {
                assert!(last_is_checkpoint, "a checkpoint comes before the end");
                outcome.complete = Some(complete);
            }
        }
        last_is_checkpoint = is_checkpoint;
    }
    assert!(outcome.complete.is_some(), "a stream ends");
    Ok(outcome)
}
