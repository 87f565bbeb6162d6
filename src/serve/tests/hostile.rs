//! Hundreds of statements that must do nothing, through each door and both protocols of the wire.

use std::collections::BTreeSet;

use serde_json::json;
use tonic::Code;

use crate::flyer::Flyer;
use crate::psql::HOSTILE;
use crate::site::Site;
use crate::statements::more;
use crate::world::{ANALYST, PEOPLE};

/// Functions and tables that other engines have, which would read files, settings or networks.
const FOREIGN: [&str; 24] = [
    "select * from read_parquet('/etc/passwd')",
    "select * from parquet_scan('/etc/passwd')",
    "select * from read_text('/etc/passwd')",
    "select * from glob('/**')",
    "select * from postgres_scan('host=127.0.0.1', 'public', 't')",
    "select * from url('http://169.254.169.254/')",
    "select * from parquet_metadata('/etc/passwd')",
    "select * from metadata_cache()",
    "select pg_ls_dir('/')",
    "select pg_read_binary_file('/etc/passwd')",
    "select lo_import('/etc/passwd')",
    "select dblink('host=127.0.0.1', 'select 1')",
    "select pg_sleep(1000)",
    "select pg_terminate_backend(1)",
    "select set_config('role', 'postgres', false)",
    "select * from huiliu_user",
    "select * from public.huiliu_user",
    "select * from main.huiliu_session",
    "select * from ducklake_snapshot",
    "select * from other.current.cases",
    "select * from sqlite_master",
    "select * from pg_catalog.pg_authid where rolpassword is not null limit 1 offset -1",
    "select * from ops.audit",
    "select * from ops.users",
];

/// Each as it is.
fn plain() -> Vec<String> {
    let listed = HOSTILE.iter().chain(&FOREIGN).map(|sql| (*sql).to_owned());
    listed.chain(more()).collect()
}

/// Each as it is, and some dressed up.
pub(crate) fn statements() -> Vec<String> {
    let dress: [fn(&str) -> String; 6] = [
        str::to_owned,
        |sql| sql.to_uppercase(),
        |sql| format!("/* read only */ {sql} -- select 1"),
        |sql| format!("explain analyze {sql}"),
        |sql| format!("select 1; {sql}"),
        |sql| format!("with x as (select 1) {sql}"),
    ];
    let all = HOSTILE.iter().chain(&FOREIGN);
    all.flat_map(|sql| dress.iter().map(|dressed| dressed(sql))).chain(more()).collect()
}

#[test]
fn there_are_more_than_three_hundred() {
    let different: BTreeSet<String> = plain().into_iter().collect();
    assert!(different.len() > 300, "{}", different.len());
    assert!(statements().len() > plain().len());
}

/// How a statement is sent.
type Body<'a> = &'a dyn Fn(&str) -> String;
/// A path, the headers it is asked with, and what is sent.
type Asked<'a> = (&'a str, &'a [(&'a str, &'a str)], Body<'a>);

/// What must not be in any answer: a line of a file of this machine, and the names of nobody.
fn is_clean(text: &str) -> bool {
    !text.contains("root:")
        && PEOPLE.iter().all(|(name, number)| !text.contains(name) && !text.contains(number))
}

#[tokio::test(flavor = "multi_thread")]
async fn no_statement_escapes_into_a_file_or_through_the_console() {
    let site = Site::open().await;
    let snapshot = site.world.engine.lake().latest_snapshot().await.unwrap();
    let authorization = format!("Bearer {}", site.world.token);
    let program = [("Authorization", authorization.as_str()), ("Content-Type", "application/json")];
    let session = site.login(ANALYST).await;
    let [cookie, csrf] = session.headers();
    let person = [cookie, csrf, ("Content-Type", "application/x-www-form-urlencoded")];
    let json = |format: &str, sql: &str| json!({ "sql": sql, "format": format }).to_string();
    let form = |format: &str, sql: &str| {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("sql", sql).append_pair("as", format).finish()
    };
    let doors: [Asked<'_>; 3] = [
        ("/api/v1/query/export", &program, &|sql| json("csv", sql)),
        ("/sql", &person, &|sql| form("", sql)),
        ("/sql/export", &person, &|sql| form("csv", sql)),
    ];
    // One after the other, since nobody runs more than two at once; from addresses of their own.
    for ((path, headers, body), place) in doors.into_iter().zip(2_u8..) {
        for sql in plain() {
            let answer = site.send_from(place, "POST", path, headers, &body(&sql)).await;
            let (status, text) = (answer.status, &answer.body);
            assert!((400..500).contains(&status), "{path}: {sql}: {status} {text}");
            assert_ne!(status, 429, "{path}: {sql}: it was not looked at");
            assert!(is_clean(text), "{path}: {sql}: {text}");
        }
        // The door was open all the while.
        let good = "select id, name from current.people order by id";
        let answer = site.send_from(place, "POST", path, headers, &body(good)).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        assert!(is_clean(&answer.body), "{path}: {}", answer.body);
    }
    assert_eq!(site.world.engine.lake().latest_snapshot().await.unwrap(), snapshot);
    assert_eq!(site.world.rows("select count(*) from current.cases").await, "100");
    assert!(!std::path::Path::new("/tmp/huiliu-door-test").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_statement_escapes_through_any_door() {
    let site = Site::open().await;
    let snapshot = site.world.engine.lake().latest_snapshot().await.unwrap();
    let authorization = format!("Bearer {}", site.world.token);
    let headers = [("Authorization", authorization.as_str())];
    for sql in statements() {
        let answer = site.json("POST", "/api/v1/query", &headers, &json!({ "sql": sql })).await;
        assert!((400..500).contains(&answer.status), "{sql}: {} {}", answer.status, answer.body);
        assert!(!answer.body.contains("root:"), "{sql}");
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("statements.json");
    std::fs::write(&file, json!(statements()).to_string()).unwrap();
    let printed = site
        .world
        .python(&format!(
            "
import json, psycopg
from psycopg import pq
statements = json.load(open('{}'))
db = psycopg.connect(autocommit=True).pgconn
def refused(result, sql):
    return result.status in (pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.NONFATAL_ERROR)
for sql in statements:
    result = db.exec_(sql.encode())
    assert refused(result, sql), ('simple', sql, result.status)
    result = db.exec_params(sql.encode(), [])
    assert refused(result, sql), ('extended', sql, result.status)
    result = db.prepare(b'', sql.encode())
    if not refused(result, sql):
        result = db.exec_prepared(b'', [])
    assert refused(result, sql), ('prepared', sql, result.status)
print('done', len(statements))
",
            file.display()
        ))
        .await;
    assert_eq!(printed.trim(), format!("done {}", statements().len()));
    let mut flyer = Flyer::analyst(&site.world).await;
    for sql in statements() {
        let told = [flyer.query(&sql).await.err(), flyer.prepared(&sql).await.err()];
        for told in told {
            let told = told.unwrap_or_else(|| panic!("answered over Flight: {sql}"));
            assert!(told.message().starts_with("E-"), "{sql}: {told}");
            assert!(![Code::Internal, Code::Unknown].contains(&told.code()), "{sql}: {told}");
            assert!(!told.message().contains("root:"), "{sql}: {told}");
        }
    }
    assert_eq!(site.world.engine.lake().latest_snapshot().await.unwrap(), snapshot);
    assert_eq!(site.world.rows("select count(*) from current.cases").await, "100");
    assert!(!std::path::Path::new("/tmp/huiliu-door-test").exists());
}
