#![allow(clippy::unwrap_used)] // helpers stand outside of #[test] functions
//! Errors of the right kind, without secrets and values.

use huiliu_sdk::{ErrorKind, Event};
use serde_json::{Value, json};

use crate::support::{Database, configure, limited, raw, read, request, server};

async fn failure(url: String, options: Value) -> huiliu_sdk::Error {
    let streams = vec![(json!({ "table": "t" }), json!({}))];
    let mut system = json!({ "url": url });
    for (key, value) in options.as_object().unwrap() {
        system[key] = value.clone();
    }
    let endpoint = configure(raw(system, streams)).map_err(|faults| faults.0).unwrap();
    endpoint.probe(&limited(10)).await.unwrap_err()
}

fn with_user(user: &str, database: &str) -> String {
    let server = server();
    let host = server.rsplit(['@', '/']).next().unwrap();
    format!("mysql://{user}@{host}/{database}")
}

#[tokio::test]
async fn a_wrong_password_is_an_auth_error_that_tells_no_secret() {
    let error = failure(with_user("huiliu_nobody:canary-4711", "mysql"), json!({})).await;
    assert_eq!((error.kind(), error.code()), (ErrorKind::Auth, "E-MYSQL-AUTH"));
    let told = format!("{error:?} {error}");
    assert!(!told.contains("canary") && !told.contains("huiliu_nobody"), "{told}");
}

#[tokio::test]
async fn missing_servers_databases_tables_and_columns_are_told_apart() {
    let error = failure("mysql://u:p@127.0.0.1:9/d".into(), json!({})).await;
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unreachable, "E-MYSQL-LOST"));
    let error = failure(format!("{}/huiliu_no_such_database", server()), json!({})).await;
    assert_eq!((error.kind(), error.code()), (ErrorKind::NotFound, "E-MYSQL-DATABASE"));
    let database = Database::with("create table t (Case_No int)").await;
    let endpoint = database.endpoint(json!({ "table": "nope" }), json!({}));
    let error = read(&*endpoint, &limited(10), None, None).await.err().unwrap();
    assert_eq!((error.kind(), error.code()), (ErrorKind::NotFound, "E-TABLE-MISSING"));
    let endpoint = database.endpoint(json!({ "table": "t" }), json!({ "key": ["case_no"] }));
    let error = read(&*endpoint, &limited(10), None, None).await.err().unwrap();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Schema, "E-COLUMN-MISSING"));
    assert!(error.hint_text().unwrap().contains("Case_No"));
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_tls_is_asked_for() {
    let error = failure(format!("{}/mysql", server()), json!({ "tls": "verify" })).await;
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unreachable, "E-MYSQL-TLS"));
}

#[tokio::test]
async fn addresses_at_which_no_database_is_are_refused() {
    for (host, options) in [
        ("169.254.169.254", json!({})),
        ("[::ffff:169.254.169.254]", json!({ "tls": "off" })),
        ("0.0.0.0", json!({ "tls": "off" })),
    ] {
        let error = failure(format!("mysql://u:p@{host}:3306/d"), options).await;
        assert_eq!((error.kind(), error.code()), (ErrorKind::Config, "E-FORBIDDEN-ADDRESS"));
    }
}

#[tokio::test]
async fn missing_rights_are_a_permission_error() {
    let mut database = Database::with("create table t (a int); create table other (a int)").await;
    let (user, name) = (database.name.clone(), database.name.clone());
    database
        .execute(&format!(
            "create or replace user `{user}` identified by 'pw-canary'; grant select on `{name}`.other to `{user}`"
        ))
        .await;
    let url = with_user(&format!("{user}:pw-canary"), &name);
    let streams = vec![(json!({ "table": "t" }), json!({}))];
    let endpoint = configure(raw(json!({ "url": url }), streams)).map_err(|f| f.0).unwrap();
    let error = read(&*endpoint, &limited(10), None, None).await.err().unwrap();
    database.execute(&format!("drop user `{user}`")).await;
    assert_eq!((error.kind(), error.code()), (ErrorKind::Permission, "E-MYSQL-PERMISSION"));
    assert!(!format!("{error:?} {error}").contains("canary"));
}

#[tokio::test]
async fn a_connection_killed_in_the_middle_is_unreachable() {
    let mut database = Database::with(
        "create table t (id int primary key, pad varchar(5000));
         insert into t select seq, repeat('x', 5000) from seq_1_to_20000",
    )
    .await;
    let endpoint = database.endpoint(json!({ "table": "t" }), json!({}));
    let cx = limited(10);
    let mut source = endpoint.source(&cx, request(None, None)).await.unwrap();
    let mut error = None;
    let mut killed = false;
    loop {
        match source.next(&cx).await {
            Ok(Some(Event::Rows(_))) if !killed => {
                let name = database.name.clone();
                let list = format!(
                    "select cast(id as char) from information_schema.processlist
                     where db = '{name}' and id <> connection_id()"
                );
                for id in database.texts(&list).await {
                    database.execute(&format!("kill {id}")).await;
                    killed = true;
                }
            }
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(cause) => {
                error = Some(cause);
                break;
            }
        }
    }
    let error = error.unwrap();
    assert!(killed);
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unreachable, "E-MYSQL-LOST"));
}
