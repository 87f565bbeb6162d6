//! Configurations, and what a server says no to.

use huiliu_sdk::{Connector, ErrorKind};
use serde_json::json;

use crate::support::{Database, configured, limited, raw, read};

#[test]
fn all_faults_are_told_at_once_with_their_place() {
    let mut raw = raw("postgresql://a:secret@db.example/d?sslmode=prefer");
    raw.options["statement_timeout"] = json!("soon");
    let stream = |settings: serde_json::Value, options: serde_json::Value| huiliu_sdk::RawStream {
        settings: serde_json::from_value(settings).unwrap(),
        options,
    };
    raw.streams = vec![
        stream(json!({ "name": "a", "read": "incremental", "overlap": "soon" }), json!({})),
        stream(json!({ "name": "b", "read": "flagged" }), json!({ "table": "x.y.z" })),
        stream(json!({ "name": "c" }), json!({ "table": "t", "parallel": 0, "select": [] })),
    ];
    let faults = huiliu_connector_postgres::PostgresConnector.configure(raw).err().unwrap();
    let paths: Vec<&str> = faults.0.iter().map(|fault| fault.path.as_str()).collect();
    for path in [
        "url",
        "statement_timeout",
        "streams[0].table",
        "streams[0].overlap",
        "streams[0].cursor",
        "streams[1].table",
        "streams[1].flag",
        "streams[1].key",
        "streams[2].select",
        "streams[2].parallel",
    ] {
        assert!(paths.contains(&path), "{path} in {paths:?}");
    }
    assert!(faults.0.iter().all(|fault| !fault.message.contains("secret")));
}

#[tokio::test]
async fn what_the_server_refuses_has_its_own_kind() {
    let mut database = Database::with(
        "create table t (\"Case_No\" text); create table closed (a int); \
         insert into t values ('1');",
    )
    .await;
    let role = database.text("select 'role_' || current_database()").await;
    database
        .execute(&format!("create role {role} login password 'right'; grant select on t to {role}"))
        .await;
    let cx = limited(10);
    let error = |options, settings| {
        let endpoint = database.endpoint(options, settings);
        async move { read(&*endpoint, &limited(10), None, None).await.err().unwrap() }
    };
    let missing = error(json!({ "table": "T" }), json!({})).await;
    assert_eq!((missing.kind(), missing.code()), (ErrorKind::NotFound, "E-TABLE-MISSING"));
    assert!(missing.hint_text().unwrap().contains("public.t"));
    let column = error(json!({ "table": "t" }), json!({ "key": ["case_no"] })).await;
    assert_eq!((column.kind(), column.code()), (ErrorKind::Schema, "E-COLUMN-MISSING"));
    assert!(column.hint_text().unwrap().contains("Case_No"));

    let as_role = database.url().replace("postgres@", &format!("{role}@"));
    let mut config = database.config(json!({ "table": "closed" }), json!({}));
    config.options["url"] = json!(as_role);
    let closed = read(&*configured(config), &cx, None, None).await.err().unwrap();
    assert_eq!((closed.kind(), closed.code()), (ErrorKind::Permission, "E-PERMISSION"));

    let nowhere = raw(&database.url().replace("huiliu_pg_", "huiliu_nowhere_"));
    let nowhere = configured(nowhere).probe(&cx).await.unwrap_err();
    assert_eq!((nowhere.kind(), nowhere.code()), (ErrorKind::NotFound, "E-DATABASE-MISSING"));
    let unknown = raw(&database.url().replace("postgres@", "huiliu_no_such_user:wrong@"));
    let unknown = configured(unknown).probe(&cx).await.unwrap_err();
    assert_eq!((unknown.kind(), unknown.code()), (ErrorKind::Auth, "E-AUTH"));
    assert!(!unknown.to_string().contains("wrong"));
    let closed_port = configured(raw("postgresql://a@127.0.0.1:1/d")).probe(&cx).await.unwrap_err();
    assert_eq!((closed_port.kind(), closed_port.code()), (ErrorKind::Unreachable, "E-CONNECT"));
    let metadata =
        configured(raw("postgresql://a@169.254.169.254/d")).probe(&cx).await.unwrap_err();
    assert_eq!((metadata.kind(), metadata.code()), (ErrorKind::Config, "E-FORBIDDEN-ADDRESS"));

    database.execute(&format!("drop owned by {role}; drop role {role}")).await;
    database.drop().await;
}

#[tokio::test]
async fn a_slow_statement_ends_in_time_and_a_killed_one_is_told() {
    let mut database = Database::with(
        "create view slow as select pg_sleep(30)::text as a; \
         create view long as select g as a, repeat('x', 200) as b \
         from generate_series(1, 5000) as g, generate_series(1, 10000);",
    )
    .await;
    let mut config = database.config(json!({ "table": "slow" }), json!({}));
    config.options["statement_timeout"] = json!("1s");
    let slow = read(&*configured(config), &limited(10), None, None).await.err().unwrap();
    assert_eq!((slow.kind(), slow.code()), (ErrorKind::Timeout, "E-TIMEOUT"));

    let endpoint = database.endpoint(json!({ "table": "long" }), json!({}));
    let cx = limited(1000);
    let mut source = endpoint.source(&cx, crate::support::request(None, None)).await.unwrap();
    source.next(&cx).await.unwrap();
    source.next(&cx).await.unwrap();
    database
        .execute(
            "select pg_terminate_backend(pid) from pg_stat_activity \
             where datname = current_database() and pid <> pg_backend_pid()",
        )
        .await;
    let error = loop {
        match source.next(&cx).await {
            Ok(event) => assert!(event.is_some(), "a killed read does not end well"),
            Err(error) => break error,
        }
    };
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unreachable, "E-CUT"));

    let mut source = endpoint.source(&cx, crate::support::request(None, None)).await.unwrap();
    source.next(&cx).await.unwrap();
    cx.cancel.cancel();
    assert_eq!(source.next(&cx).await.unwrap_err().kind(), ErrorKind::Cancelled);
    drop(source);
    database.drop().await;
}

#[tokio::test]
async fn discover_tells_keys_cursors_and_types() {
    let mut database = Database::with(
        "create schema front; \
         create table cases (id bigint primary key, made timestamp, update_time timestamp, \
           fee numeric(12,2), doc jsonb, at timestamptz); \
         create table front.\"办件.v3\" (b text not null, a int not null, unique (a, b)); \
         create view seen as select id from cases; \
         insert into cases select g from generate_series(1, 500) g; analyze cases;",
    )
    .await;
    let endpoint = database.endpoint(json!({ "table": "cases" }), json!({}));
    let probe = endpoint.probe(&limited(10)).await.unwrap();
    assert!(probe.summary.starts_with("PostgreSQL ") && probe.summary.ends_with(", 3 tables"));
    let streams = endpoint.discover(&limited(10)).await.unwrap();
    let names: Vec<&str> = streams.iter().map(|stream| stream.name.as_str()).collect();
    assert_eq!(names, ["front_办件.v3", "cases", "seen"]);
    assert_eq!(streams[0].options["table"], "front.\"办件.v3\"");
    assert_eq!(streams[0].key, ["a", "b"]);
    let cases = &streams[1];
    assert_eq!((cases.key.clone(), cases.row_estimate), (vec!["id".to_owned()], Some(500)));
    assert_eq!(cases.cursors, ["update_time", "made", "at"]);
    let types: Vec<Option<&str>> =
        cases.columns.iter().map(|(_, column)| column.data_type.as_deref()).collect();
    let wanted = ["int", "timestamp", "timestamp", "decimal(12,2)", "json"];
    assert_eq!(types[..5], wanted.map(Some));
    assert_eq!(types[5], None, "an instant stays one");
    database.execute("select 1").await;
    database.drop().await;
}
