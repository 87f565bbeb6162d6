#![allow(clippy::unwrap_used, clippy::expect_used)] // test support stands outside of #[test]
//! A database of its own for each test, a stream over it, and everything a read gives.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::SchemaRef;
use arrow::util::display::array_value_to_string;
use huiliu_connector_postgres::PostgresConnector;
use huiliu_sdk::{
    BatchLimits, Checkpoint, Connector, Cx, Endpoint, Error, Event, Gate, RawConfig, RawPush,
    RawStream, ReadRequest, Rejected, Source, StreamId, StreamRequest, StreamSettings,
};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

/// A gate that changes the source just before the request of this number is sent.
pub(crate) struct Meddler {
    before: u32,
    requests: AtomicU32,
    url: String,
    sql: String,
}

#[async_trait::async_trait]
impl Gate for Meddler {
    async fn request(&self) -> Result<(), Error> {
        if self.requests.fetch_add(1, Ordering::Relaxed) + 1 == self.before {
            let mut db = PgConnection::connect(&self.url).await.unwrap();
            sqlx::raw_sql(AssertSqlSafe(self.sql.clone())).execute(&mut db).await.unwrap();
            db.close().await.unwrap();
        }
        Ok(())
    }
}

/// Reads in batches of ten rows, with `sql` done before the request of this number.
pub(crate) fn meddled(database: &Database, before: u32, sql: &str) -> Cx {
    let (requests, url, sql) = (AtomicU32::new(0), database.url(), sql.to_owned());
    Cx { gate: Arc::new(Meddler { before, requests, url, sql }), ..limited(10) }
}

static NEXT: AtomicU32 = AtomicU32::new(0);

fn server() -> String {
    #[allow(clippy::disallowed_methods)] // tests are told by the environment where the server is
    let told = std::env::var("HUILIU_TEST_PG_URL").ok();
    told.unwrap_or_else(|| "postgresql://postgres@127.0.0.1:5432/postgres".to_owned())
}

/// A database that is dropped at the end of the test.
pub(crate) struct Database {
    name: String,
    pub(crate) db: PgConnection,
}

impl Database {
    pub(crate) async fn with(sql: &str) -> Self {
        Self::made_by("", sql).await
    }

    pub(crate) async fn made_by(options: &str, sql: &str) -> Self {
        let name =
            format!("huiliu_pg_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut admin = PgConnection::connect(&server())
            .await
            .expect("a PostgreSQL server answers at HUILIU_TEST_PG_URL or 127.0.0.1:5432");
        for sql in
            [format!("drop database if exists {name}"), format!("create database {name} {options}")]
        {
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut admin).await.unwrap();
        }
        let db = PgConnection::connect(&address(&name)).await.unwrap();
        let mut database = Self { name, db };
        database.execute(sql).await;
        database
    }

    pub(crate) async fn execute(&mut self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut self.db).await.unwrap();
    }

    /// The single text of a query.
    pub(crate) async fn text(&mut self, sql: &str) -> String {
        let row = sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_one(&mut self.db).await.unwrap();
        row.try_get::<Option<String>, _>(0).unwrap().unwrap_or_else(|| "NULL".into())
    }

    pub(crate) fn url(&self) -> String {
        address(&self.name)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn config(&self, options: Value, mut settings: Value) -> RawConfig {
        settings["name"] = json!("s");
        let settings: StreamSettings = serde_json::from_value(settings).unwrap();
        let mut raw = raw(&self.url());
        raw.streams = vec![RawStream { settings, options }];
        raw
    }

    /// An endpoint with one stream `s`; `options` are the connector's keys, `settings` the
    /// common ones.
    pub(crate) fn endpoint(&self, options: Value, settings: Value) -> Arc<dyn Endpoint> {
        configured(self.config(options, settings))
    }

    pub(crate) fn target(&self, to: &str, key: &[&str]) -> Arc<dyn Endpoint> {
        let mut raw = raw(&self.url());
        let key = key.iter().map(|&name| name.to_owned()).collect();
        raw.pushes = vec![RawPush { name: "p".into(), key, options: json!({ "to": to }) }];
        configured(raw)
    }

    pub(crate) async fn read(&self, options: Value, settings: Value) -> Outcome {
        let endpoint = self.endpoint(options, settings);
        read(&*endpoint, &limited(16_384), None, None).await.unwrap()
    }

    /// Closes and drops the database. A test that fails leaves it for inspection.
    pub(crate) async fn drop(self) {
        self.db.close().await.unwrap();
        let mut admin = PgConnection::connect(&server()).await.unwrap();
        let sql = format!("drop database {} with (force)", self.name);
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut admin).await.unwrap();
    }
}

fn address(database: &str) -> String {
    let server = server();
    let (host, query) = server.split_once('?').unwrap_or((&server, ""));
    let (host, _) = host.rsplit_once('/').unwrap();
    if query.is_empty() {
        format!("{host}/{database}")
    } else {
        format!("{host}/{database}?{query}")
    }
}

pub(crate) fn raw(url: &str) -> RawConfig {
    RawConfig {
        system: "test".into(),
        base_dir: "/nowhere".into(),
        hub_zone: chrono_tz::Asia::Shanghai,
        options: json!({ "url": url }),
        streams: Vec::new(),
        pushes: Vec::new(),
    }
}

pub(crate) fn configured(raw: RawConfig) -> Arc<dyn Endpoint> {
    PostgresConnector.configure(raw).map_err(|faults| faults.0).unwrap()
}

pub(crate) fn limited(rows: usize) -> Cx {
    Cx { limits: BatchLimits { rows, ..BatchLimits::default() }, ..Cx::new() }
}

/// Everything a read gave.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) schema: Option<SchemaRef>,
    pub(crate) batches: Vec<RecordBatch>,
    pub(crate) keys: Vec<RecordBatch>,
    pub(crate) rejected: Vec<Rejected>,
    /// Each checkpoint with the number of batches before it.
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
        texts(&self.batches, name)
    }

    pub(crate) fn sorted(&self, name: &str) -> Vec<String> {
        let mut values = self.column(name);
        values.sort();
        values
    }
}

pub(crate) fn texts(batches: &[RecordBatch], name: &str) -> Vec<String> {
    let mut values = Vec::new();
    for batch in batches {
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
    drain(source.as_mut(), cx).await
}

pub(crate) async fn drain(source: &mut dyn Source, cx: &Cx) -> Result<Outcome, Error> {
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
                outcome.rejected.extend(rows.rejected);
                outcome.batches.push(rows.batch);
            }
            Event::Keys(_, keys) => outcome.keys.push(keys),
            Event::Note(_, note) => outcome.notes.push(note),
            Event::Checkpoint(checkpoint) => {
                outcome.checkpoints.push((outcome.batches.len(), checkpoint));
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
