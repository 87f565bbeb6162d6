#![allow(clippy::unwrap_used, clippy::print_stderr)] // helpers stand outside of #[test] functions
//! Reading a replica: one that lags, and one that takes over.

use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use huiliu_connector_postgres::PostgresConnector;
use huiliu_sdk::{Connector, ErrorKind, RawStream, StreamSettings};
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tempfile::TempDir;

use crate::support::{limited, raw, read};

/// The newest server programs of this machine.
fn programs() -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|folder| folder.join("initdb").exists() && folder.join("pg_basebackup").exists())
        .collect();
    found.sort();
    found.pop()
}

/// A primary server and its replica, private to the test.
struct Pair {
    folder: TempDir,
    programs: PathBuf,
    ports: [u16; 2],
}

impl Pair {
    fn start(programs: PathBuf) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listeners = [0, 1].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
        let ports = listeners.each_ref().map(|held| held.local_addr().unwrap().port());
        drop(listeners);
        let pair = Self { folder, programs, ports };
        if is_root() {
            let path = pair.folder.path().display().to_string();
            assert!(Command::new("chown").args(["postgres", &path]).status().unwrap().success());
        }
        let (primary, replica) = (pair.data(0), pair.data(1));
        pair.run(&format!("initdb -D {primary} -U postgres --auth=trust -E UTF8 --locale=C -N"));
        pair.begin(0);
        pair.run(&format!(
            "pg_basebackup -D {replica} -R -c fast -h 127.0.0.1 -p {} -U postgres --no-sync",
            pair.ports[0]
        ));
        pair.begin(1);
        pair
    }

    fn data(&self, server: usize) -> String {
        self.folder.path().join(["primary", "replica"][server]).display().to_string()
    }

    fn begin(&self, server: usize) {
        let (data, port) = (self.data(server), self.ports[server]);
        let sockets = self.folder.path().display();
        self.run(&format!(
            "pg_ctl -D {data} -l {data}.log -w -o '-p {port} -c listen_addresses=127.0.0.1 \
             -c unix_socket_directories={sockets} -c fsync=off' start"
        ));
    }

    /// Runs one of the server's programs as a user who may.
    fn run(&self, line: &str) {
        let line = format!("{}/{line} >/dev/null", self.programs.display());
        let mut command = if is_root() { Command::new("su") } else { Command::new("sh") };
        if is_root() {
            command.args(["postgres", "-s", "/bin/sh"]);
        }
        let status = command.args(["-c", &line]).current_dir("/").status().unwrap();
        assert!(status.success(), "{line}");
    }

    fn url(&self, server: usize) -> String {
        format!("postgresql://postgres@127.0.0.1:{}/postgres", self.ports[server])
    }

    async fn execute(&self, server: usize, sql: &str) {
        let mut db = PgConnection::connect(&self.url(server)).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut db).await.unwrap();
        db.close().await.unwrap();
    }

    async fn text(&self, server: usize, sql: &str) -> String {
        let mut db = PgConnection::connect(&self.url(server)).await.unwrap();
        let text =
            sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut db).await.unwrap();
        db.close().await.unwrap();
        text
    }

    /// Waits until the query says true.
    async fn wait(&self, server: usize, sql: &str) {
        let begin = std::time::Instant::now();
        while begin.elapsed() < std::time::Duration::from_secs(30) {
            if self.text(server, &format!("select ({sql})::text")).await == "true" {
                return;
            }
        }
        panic!("it never came true: {sql}");
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        for server in [1, 0] {
            if Path::new(&format!("{}/postmaster.pid", self.data(server))).exists() {
                self.run(&format!("pg_ctl -D {} -m immediate -w stop", self.data(server)));
            }
        }
        if is_root() {
            let path = self.folder.path().display().to_string();
            drop(Command::new("chown").args(["-R", "root", &path]).status());
        }
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

#[tokio::test]
async fn a_replica_that_lags_waits_and_one_that_takes_over_without_its_last_rows_is_told() {
    let Some(programs) = programs() else {
        eprintln!("skipped: no PostgreSQL server programs under /usr/lib/postgresql");
        return;
    };
    let pair = Pair::start(programs);
    let endpoint = |server: usize| {
        let settings = json!({ "name": "s", "read": "incremental", "cursor": "id", "key": ["id"] });
        let settings: StreamSettings = serde_json::from_value(settings).unwrap();
        let mut raw = raw(&pair.url(server));
        raw.streams =
            vec![RawStream { settings, options: json!({ "table": "t", "chunk_rows": 50 }) }];
        PostgresConnector.configure(raw).map_err(|faults| faults.0).unwrap()
    };
    let cx = limited(1000);
    pair.execute(0, "create table t (id int primary key, v text); insert into t values (1, 'a')")
        .await;
    pair.wait(1, "to_regclass('t') is not null and pg_last_wal_replay_lsn() is not null").await;

    // The replica is read like any server, and its mark waits for what its primary has open.
    let mut slow = PgConnection::connect(&pair.url(0)).await.unwrap();
    sqlx::raw_sql("begin; insert into t values (2, 'slow')").execute(&mut slow).await.unwrap();
    pair.execute(0, "insert into t values (3, 'fast')").await;
    pair.wait(1, "exists (select from t where id = 3)").await;
    let first = read(&*endpoint(1), &cx, None, None).await.unwrap();
    assert_eq!(
        (first.sorted("id"), &first.state()["cursor"]),
        (vec!["1".into(), "3".into()], &json!("1"))
    );
    sqlx::raw_sql("commit").execute(&mut slow).await.unwrap();
    slow.close().await.unwrap();
    pair.wait(1, "exists (select from t where id = 2)").await;
    let second = read(&*endpoint(1), &cx, first.resume(), None).await.unwrap();
    assert_eq!(second.sorted("id"), ["1", "2", "3"]);

    // Rows read from the primary are not there yet: a later try will find them.
    pair.execute(1, "select pg_wal_replay_pause()").await;
    pair.wait(1, "pg_get_wal_replay_pause_state() = 'paused'").await;
    pair.execute(0, "insert into t values (4, 'primary only'), (5, 'primary only')").await;
    let third = read(&*endpoint(0), &cx, second.resume(), None).await.unwrap();
    assert!(third.column("id").contains(&"5".to_owned()));
    let error = read(&*endpoint(1), &cx, third.resume(), None).await.err().unwrap();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unreachable, "E-REPLICA-BEHIND"));
    pair.execute(1, "select pg_wal_replay_resume()").await;
    let place = third.state()["log"]["place"].as_str().unwrap().to_owned();
    pair.wait(1, &format!("pg_last_wal_replay_lsn() >= '{place}'")).await;
    let fourth = read(&*endpoint(1), &cx, third.resume(), None).await.unwrap();
    assert_eq!(fourth.column("id"), ["5"]);

    // It takes over without the last rows, which were read already: they are lost at the source.
    pair.execute(1, "alter system set primary_conninfo = ''").await;
    pair.execute(1, "select pg_reload_conf()").await;
    pair.wait(1, "not exists (select from pg_stat_wal_receiver)").await;
    pair.execute(0, "insert into t select g, repeat('x', 1000) from generate_series(6, 300) g")
        .await;
    let fifth = read(&*endpoint(0), &cx, fourth.resume(), None).await.unwrap();
    assert!(fifth.column("id").contains(&"300".to_owned()));
    pair.execute(1, "select pg_promote()").await;
    pair.wait(1, "not pg_is_in_recovery()").await;
    let error = read(&*endpoint(1), &cx, fifth.resume(), None).await.err().unwrap();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Conflict, "E-SOURCE-REWOUND"));
}
