#![allow(clippy::unwrap_used)] // test support stands outside of #[test] functions
//! Databases behind ODBC drivers, streams over them, and everything a read gives.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::SchemaRef;
use arrow::util::display::array_value_to_string;
use huiliu_connector_odbc::OdbcConnector;
use huiliu_sdk::{
    BatchLimits, Checkpoint, ConfigErrors, Connector, Cx, Endpoint, Error, Event, RawConfig,
    RawPush, RawStream, ReadRequest, Rejected, StreamId, StreamRequest, StreamSettings,
};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// The drivers that are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Postgres,
    Sqlite,
}

pub(crate) const KINDS: [Kind; 2] = [Kind::Postgres, Kind::Sqlite];

/// Executes a list of statements, or prints the first column of a query's rows.
const SQLITE: &str = "
import json, sqlite3, sys
sql = json.load(sys.stdin)
db = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
rows = []
if isinstance(sql, str):
    rows = [row[0] for row in db.execute(sql)]
else:
    for one in sql:
        db.executescript(one)
db.close()
print(json.dumps(rows))
";

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A database of its own.
pub(crate) struct Database {
    pub(crate) kind: Kind,
    name: String,
    folder: TempDir,
}

fn server() -> String {
    std::env::var_os("HUILIU_TEST_PG_URL").map_or_else(
        || "postgresql://postgres@127.0.0.1:5432/postgres".to_owned(),
        |url| url.into_string().unwrap(),
    )
}

impl Database {
    pub(crate) async fn with(kind: Kind, sql: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("huiliu_odbc_{}_{number}", std::process::id());
        if kind == Kind::Postgres {
            on_postgres(&server(), &format!("create database {name}")).await;
        }
        let database = Self { kind, name, folder };
        database.execute(sql).await;
        database
    }

    pub(crate) fn url(&self) -> String {
        let server = server();
        let (host, _) = server.rsplit_once('/').unwrap();
        format!("{host}/{}", self.name)
    }

    pub(crate) fn connection(&self) -> String {
        match self.kind {
            Kind::Sqlite => {
                let path = self.folder.path().join("s.db");
                format!("Driver={{SQLite3}};Database={};NoCreat=1", path.display())
            }
            Kind::Postgres => {
                let url = server();
                let host = url.rsplit_once('@').unwrap().1.split('/').next().unwrap().to_owned();
                let (host, port) = host.split_once(':').unwrap_or((&host, "5432"));
                format!(
                    "Driver={{PostgreSQL Unicode}};Server={host};Port={port};Database={};\
                     Uid=postgres;UseDeclareFetch=1;Fetch=100",
                    self.name
                )
            }
        }
    }

    pub(crate) async fn execute(&self, sql: &str) {
        self.try_execute(&[sql.to_owned()]).await.unwrap();
    }

    /// Executes the statements, or says which the database does not take.
    pub(crate) async fn try_execute(&self, statements: &[String]) -> Result<(), sqlx::Error> {
        match self.kind {
            Kind::Postgres => {
                let mut db = PgConnection::connect(&self.url()).await?;
                for sql in statements {
                    sqlx::raw_sql(AssertSqlSafe(sql.clone())).execute(&mut db).await?;
                }
                db.close().await
            }
            Kind::Sqlite => self.on_sqlite(&json!(statements)).await.map(drop),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Has another process execute statements, or one query, and gives the first column of its rows.
    ///
    /// Not this one, where the driver's SQLite is: two of them in one process break each other's
    /// locks.
    async fn on_sqlite(&self, sql: &Value) -> Result<Vec<String>, sqlx::Error> {
        let python = std::env::var_os("HUILIU_TEST_PYTHON").unwrap_or_else(|| "python3".into());
        let mut child = Command::new(python)
            .args(["-c", SQLITE])
            .arg(self.folder.path().join("s.db"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut input = child.stdin.take().unwrap();
        let sql = sql.to_string();
        let writing = async move { input.write_all(sql.as_bytes()).await };
        let (written, output) = tokio::join!(writing, child.wait_with_output());
        let output = output?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(sqlx::Error::Protocol(said));
        }
        written?;
        Ok(serde_json::from_slice(&output.stdout).unwrap())
    }

    /// The texts of a query's first column.
    pub(crate) async fn texts(&self, sql: &str) -> Vec<String> {
        match self.kind {
            Kind::Postgres => {
                let mut db = PgConnection::connect(&self.url()).await.unwrap();
                let sql = AssertSqlSafe(sql.to_owned());
                sqlx::query_scalar(sql).fetch_all(&mut db).await.unwrap()
            }
            Kind::Sqlite => self.on_sqlite(&json!(sql)).await.unwrap(),
        }
    }

    pub(crate) fn config(&self, options: Value, mut settings: Value) -> RawConfig {
        settings["name"] = json!("s");
        let settings: StreamSettings = serde_json::from_value(settings).unwrap();
        RawConfig {
            system: "test".into(),
            base_dir: self.folder.path().to_owned(),
            hub_zone: chrono_tz::Asia::Shanghai,
            options: json!({ "connection": self.connection() }),
            streams: vec![RawStream { settings, options }],
            pushes: Vec::new(),
        }
    }

    /// An endpoint with one stream `s` over the table `t`.
    pub(crate) fn endpoint(&self, settings: Value) -> Arc<dyn Endpoint> {
        configured(self.config(json!({ "table": "t" }), settings))
    }

    /// An endpoint with one push `p` into the table `t`.
    pub(crate) fn target(&self, key: &[&str]) -> Arc<dyn Endpoint> {
        let mut config = self.config(json!({ "table": "t" }), json!({ "key": key }));
        config.streams.clear();
        let key = key.iter().map(|name| (*name).to_owned()).collect();
        config.pushes.push(RawPush { name: "p".into(), key, options: json!({ "to": "t" }) });
        configured(config)
    }

    /// Everything a read gives.
    pub(crate) async fn read(&self, settings: Value) -> Outcome {
        read(&*self.endpoint(settings), &limited(1000), None, None).await.unwrap()
    }

    pub(crate) async fn drop(self) {
        if self.kind == Kind::Postgres {
            on_postgres(&server(), &format!("drop database {} with (force)", self.name)).await;
        }
    }
}

async fn on_postgres(url: &str, sql: &str) {
    let mut db = PgConnection::connect(url)
        .await
        .unwrap_or_else(|e| panic!("{e}; tests need PostgreSQL at HUILIU_TEST_PG_URL"));
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut db).await.unwrap();
    db.close().await.unwrap();
}

pub(crate) fn configured(config: RawConfig) -> Arc<dyn Endpoint> {
    OdbcConnector.configure(config).map_err(|faults| faults.0).unwrap()
}

pub(crate) fn refused(config: RawConfig) -> ConfigErrors {
    OdbcConnector.configure(config).err().unwrap()
}

pub(crate) fn limited(rows: usize) -> Cx {
    Cx { limits: BatchLimits { rows, ..BatchLimits::default() }, ..Cx::new() }
}

/// Everything a read gave.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) schema: Option<SchemaRef>,
    pub(crate) batches: Vec<RecordBatch>,
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

    /// The same, sorted.
    pub(crate) fn sorted(&self, name: &str) -> Vec<String> {
        let mut values = self.column(name);
        values.sort();
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
