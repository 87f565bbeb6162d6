#![allow(clippy::unwrap_used)] // test support stands outside of #[test] functions
#![allow(clippy::disallowed_methods)] // the server's address comes from the environment
//! A database of its own on a real server, a stream over it, and everything a read gives.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef, TimestampMicrosecondType};
use arrow::util::display::array_value_to_string;
use huiliu_connector_mysql::MySqlConnector;
use huiliu_sdk::{
    BatchLimits, Checkpoint, ConfigErrors, Connector, Cx, Endpoint, Error, Event, Gate, RawConfig,
    RawPush, RawStream, ReadRequest, Rejected, StreamId, StreamRequest, StreamSettings,
};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, MySqlConnection, Row};

/// A gate that changes the source just before the request of this number is sent.
struct Meddler {
    before: u32,
    requests: AtomicU32,
    url: String,
    sql: String,
}

#[async_trait::async_trait]
impl Gate for Meddler {
    async fn request(&self) -> Result<(), Error> {
        if self.requests.fetch_add(1, Ordering::Relaxed) + 1 == self.before {
            let mut db = MySqlConnection::connect(&self.url).await.unwrap();
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

/// Address of the server without a database.
pub(crate) fn server() -> String {
    let url = std::env::var("HUILIU_TEST_MYSQL_URL");
    let url = url.unwrap_or_else(|_| "mysql://root@127.0.0.1:3306".to_owned());
    let scheme = url.find("://").unwrap() + 3;
    match url[scheme..].find('/') {
        Some(slash) => url[..scheme + slash].to_owned(),
        None => url,
    }
}

pub(crate) struct Database {
    pub(crate) name: String,
    pub(crate) db: MySqlConnection,
}

impl Database {
    pub(crate) async fn with(sql: &str) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("huiliu_my_{}_{number}", std::process::id());
        let url = server();
        let mut db = MySqlConnection::connect(&url).await.unwrap_or_else(|cause| {
            panic!("no MariaDB or MySQL server answers; set HUILIU_TEST_MYSQL_URL: {cause}")
        });
        let create = format!(
            "drop database if exists `{name}`; create database `{name}` character set utf8mb4;
             use `{name}`; set session sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00'"
        );
        sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut db).await.unwrap();
        let mut database = Self { name, db };
        database.execute(sql).await;
        database
    }

    pub(crate) async fn execute(&mut self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut self.db).await.unwrap();
    }

    /// The first column of what a statement gives, as text.
    pub(crate) async fn texts(&mut self, sql: &str) -> Vec<String> {
        let rows = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        let rows = rows.fetch_all(&mut self.db).await.unwrap();
        rows.iter()
            .map(|row| {
                let bytes: Option<Vec<u8>> = row.try_get_unchecked(0).unwrap();
                bytes.map_or("NULL".into(), |bytes| String::from_utf8(bytes).unwrap())
            })
            .collect()
    }

    pub(crate) fn url(&self) -> String {
        format!("{}/{}", server(), self.name)
    }

    pub(crate) fn raw(&self, options: Value, settings: Value) -> RawConfig {
        raw(json!({ "url": self.url() }), vec![(options, settings)])
    }

    /// An endpoint with one stream `s`.
    pub(crate) fn endpoint(&self, options: Value, settings: Value) -> Arc<dyn Endpoint> {
        configure(self.raw(options, settings)).map_err(|faults| faults.0).unwrap()
    }

    /// An endpoint with one push `p`.
    pub(crate) fn target(&self, table: &str, key: &[&str]) -> Arc<dyn Endpoint> {
        let mut raw = raw(json!({ "url": self.url() }), vec![]);
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

impl Drop for Database {
    fn drop(&mut self) {
        // A thread with a runtime of its own: this may run inside of one.
        // A test may have made a user of the same name.
        let sql = format!("drop database if exists `{0}`; drop user if exists `{0}`", self.name);
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async move {
                let mut db = MySqlConnection::connect(&server()).await.unwrap();
                // A transaction that a failed test left open must not hold this up for long.
                sqlx::raw_sql("set session lock_wait_timeout = 5").execute(&mut db).await.unwrap();
                drop(sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut db).await);
            });
        });
        drop(dropping.join());
    }
}

pub(crate) fn raw(system: Value, streams: Vec<(Value, Value)>) -> RawConfig {
    RawConfig {
        system: "test".into(),
        base_dir: "/nowhere".into(),
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
    MySqlConnector.configure(raw)
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
        texts(&self.batches, name)
    }
}

/// One column of batches as text, `NULL` for null.
pub(crate) fn texts(batches: &[RecordBatch], name: &str) -> Vec<String> {
    let mut values = Vec::new();
    for batch in batches {
        let array = batch.column_by_name(name).unwrap();
        for row in 0..array.len() {
            values.push(if array.is_null(row) {
                "NULL".into()
            } else if let Some(text) = array.as_string_opt::<i32>() {
                text.value(row).to_owned()
            } else if let DataType::Timestamp(_, Some(_)) = array.data_type() {
                let instant = array.as_primitive::<TimestampMicrosecondType>();
                format!("{:?}Z", instant.value_as_datetime(row).unwrap())
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

/// Reads to the end and checks the order of events on the way. Nothing is acknowledged.
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
                outcome.rejected.extend(rows.rejected);
                outcome.batches.push(rows.batch);
            }
            Event::Keys(_, batch) => outcome.keys.push(batch),
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
