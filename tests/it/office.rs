//! A hub with one small system of its own: a database that tests edit, or a web service that
//! answers when a test wants it to.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use serde_json::Value;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor};

use crate::hub::Hub;

/// How long a test waits for something that must happen.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// The hub and its system file `office`.
pub(crate) struct Office {
    pub(crate) hub: Hub,
}

impl Office {
    /// A hub whose only system is `office`, described by `system` without its first lines.
    pub(crate) fn new(kind: &str, system: &str) -> Self {
        let hub = Hub::edited();
        for folder in ["config/systems", "pipelines"] {
            std::fs::remove_dir_all(hub.project().join(folder)).unwrap();
        }
        std::fs::create_dir_all(hub.project().join("config/systems")).unwrap();
        std::fs::remove_file(hub.project().join("config/jobs.toml")).unwrap();
        let office = Self { hub };
        office.describe(kind, system);
        office
    }

    /// Another system file.
    pub(crate) fn describe(&self, kind: &str, system: &str) {
        let head = format!(
            "version = 1\nkind = \"{kind}\"\ntitle = \"窗口\"\nowner = \"政务中心\"\nstage = \"live\"\n"
        );
        let file = self.hub.project().join("config/systems/office.toml");
        std::fs::write(file, head + system).unwrap();
    }

    /// The system's database.
    pub(crate) fn source(&self) -> PathBuf {
        self.hub.project().join("office.db")
    }

    /// Changes the system's database.
    pub(crate) async fn edit(&self, sql: &str) {
        execute(&self.source(), sql).await;
    }

    /// Runs everything; the step of a stream.
    pub(crate) fn run(&self, code: i32, stream: &str) -> Value {
        let report = self.hub.run_json(&["run"]).expect(code).json();
        crate::hub::step(&report, "streams", stream).clone()
    }

    /// One number from the hub's database.
    pub(crate) async fn number(&self, sql: &'static str) -> i64 {
        let mut database = crate::lake::sqlite(&self.hub.database()).await;
        crate::lake::number(&mut database, sql).await
    }
}

/// Executes statements in a database that is made when it is not there.
pub(crate) async fn execute(path: &std::path::Path, sql: &str) {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut database: SqliteConnection = options.connect().await.unwrap();
    database.execute(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await.unwrap();
}

/// A request that waits for its answer.
pub(crate) struct Asked(TcpStream);

impl Asked {
    /// Answers with a list of records.
    pub(crate) fn answer(mut self, status: &str, body: &str) {
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        // Who asked may be gone, which is what some tests are about.
        drop(self.0.write_all(answer.as_bytes()));
    }
}

/// A web service whose answers the test gives.
pub(crate) struct Service {
    pub(crate) url: String,
    asked: Receiver<Asked>,
}

impl Service {
    /// A service on a free port. Its thread ends with the test's process.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, asked): (Sender<Asked>, _) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
                if sender.send(Asked(stream)).is_err() {
                    return;
                }
            }
        });
        Self { url, asked }
    }

    /// The next request.
    pub(crate) fn next(&self) -> Asked {
        self.asked.recv_timeout(SOON).expect("nobody asked")
    }

    /// The next request, if it comes so soon.
    pub(crate) fn next_within(&self, time: Duration) -> Option<Asked> {
        self.asked.recv_timeout(time).ok()
    }

    /// Whether somebody asks who was not waited for.
    pub(crate) fn is_quiet(&self) -> bool {
        self.asked.try_recv().is_err()
    }

    /// A system file for it.
    pub(crate) fn system(&self, limits: &str) -> String {
        format!(
            "url = \"{}\"\nattempts = 1\n{limits}\n[[streams]]\nname = \"cases\"\npath = \"/cases\"\n\
             records = \"/list\"\nkey = [\"id\"]\nread = \"full\"\n[streams.fields]\nid = \"id\"\n",
            self.url
        )
    }
}
