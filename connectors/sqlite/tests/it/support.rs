#![allow(clippy::unwrap_used)] // test support stands outside of #[test] functions
//! A database file, a stream over it, and everything a read gives.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::SchemaRef;
use arrow::util::display::array_value_to_string;
use huiliu_connector_sqlite::SqliteConnector;
use huiliu_sdk::{
    BatchLimits, Checkpoint, ConfigErrors, Connector, Cx, Endpoint, Error, Event, RawConfig,
    RawPush, RawStream, ReadRequest, Rejected, StreamId, StreamRequest, StreamSettings,
};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, Row, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

pub(crate) struct Database {
    folder: TempDir,
    pub(crate) db: SqliteConnection,
}

impl Database {
    pub(crate) async fn with(sql: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = SqliteConnectOptions::new()
            .filename(folder.path().join("source.db"))
            .create_if_missing(true);
        let db = SqliteConnection::connect_with(&options).await.unwrap();
        let mut database = Self { folder, db };
        database.execute(sql).await;
        database
    }

    pub(crate) async fn execute(&mut self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut self.db).await.unwrap();
    }

    /// The first column of what a statement gives, as text.
    pub(crate) async fn texts(&mut self, sql: &str) -> Vec<String> {
        let rows = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).fetch_all(&mut self.db).await;
        rows.unwrap()
            .iter()
            .map(|row| {
                let text: Option<String> = row.try_get_unchecked(0).unwrap();
                text.unwrap_or_else(|| "NULL".into())
            })
            .collect()
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// An endpoint with one stream `s`; `options` are the connector's keys, `settings` the
    /// common ones.
    pub(crate) fn endpoint(&self, options: Value, settings: Value) -> Arc<dyn Endpoint> {
        let raw = raw(self.folder(), json!({ "path": "source.db" }), vec![(options, settings)]);
        SqliteConnector.configure(raw).map_err(|faults| faults.0).unwrap()
    }

    /// An endpoint with one push `p`.
    pub(crate) fn target(&self, table: &str, key: &[&str]) -> Arc<dyn Endpoint> {
        let mut raw = raw(self.folder(), json!({ "path": "source.db" }), vec![]);
        raw.pushes.push(RawPush {
            name: "p".into(),
            key: key.iter().map(|name| (*name).to_owned()).collect(),
            options: json!({ "to": table }),
        });
        configure(raw).map_err(|faults| faults.0).unwrap()
    }

    pub(crate) async fn read(&self, options: Value, settings: Value) -> Outcome {
        let endpoint = self.endpoint(options, settings);
        read(&*endpoint, &limited(16_384), None, None).await.unwrap()
    }
}

pub(crate) fn raw(folder: PathBuf, system: Value, streams: Vec<(Value, Value)>) -> RawConfig {
    RawConfig {
        system: "test".into(),
        base_dir: folder,
        hub_zone: chrono_tz::Asia::Shanghai,
        options: system,
        streams: streams.into_iter().map(|(options, settings)| stream(options, settings)).collect(),
        pushes: Vec::new(),
    }
}

fn stream(options: Value, mut settings: Value) -> RawStream {
    settings["name"] = json!("s");
    let settings: StreamSettings = serde_json::from_value(settings).unwrap();
    RawStream { settings, options }
}

pub(crate) fn configure(raw: RawConfig) -> Result<Arc<dyn Endpoint>, ConfigErrors> {
    SqliteConnector.configure(raw)
}

pub(crate) fn limited(rows: usize) -> Cx {
    Cx { limits: BatchLimits { rows, ..BatchLimits::default() }, ..Cx::new() }
}

/// Everything a read gave.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) schema: Option<SchemaRef>,
    pub(crate) batches: Vec<RecordBatch>,
    pub(crate) positions: Vec<u64>,
    pub(crate) rejected: Vec<Rejected>,
    /// Each checkpoint with the number of rows before it.
    pub(crate) checkpoints: Vec<(usize, Checkpoint)>,
    pub(crate) complete: Option<bool>,
    pub(crate) notes: Vec<String>,
}

impl Outcome {
    pub(crate) fn len(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    pub(crate) fn state(&self) -> &Value {
        &self.checkpoints.last().unwrap().1.state
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
                values.push(if array.is_null(row) {
                    "NULL".into()
                } else if let Some(text) = array.as_string_opt::<i32>() {
                    text.value(row).to_owned()
                } else {
                    array_value_to_string(array, row).unwrap()
                });
            }
        }
        values
    }
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
            Event::Schema(_, schema) => outcome.schema = Some(schema),
            Event::Rows(rows) => {
                assert_eq!(Some(rows.batch.schema()), outcome.schema);
                assert!(rows.batch.num_rows() + rows.rejected.len() <= cx.limits.rows);
                assert_eq!(rows.positions.len(), rows.batch.num_rows());
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
