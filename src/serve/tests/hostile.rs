//! Hundreds of statements that must do nothing, through each door and both protocols of the wire.

use serde_json::json;
use tonic::Code;

use crate::flyer::Flyer;
use crate::psql::HOSTILE;
use crate::site::Site;

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

/// All of them: each as it is, and dressed up.
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
    all.flat_map(|sql| dress.iter().map(|dressed| dressed(sql))).collect()
}

#[test]
fn there_are_more_than_three_hundred() {
    assert!(statements().len() > 300, "{}", statements().len());
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
