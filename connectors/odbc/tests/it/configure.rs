//! What is refused before anything is opened, and what an operator is told when a driver is not there.

use huiliu_sdk::{Cx, ErrorKind};
use serde_json::{Value, json};

use crate::support::{Database, Kind, configured, refused};

const SECRET: &str = "p4ss-0123";

#[tokio::test]
async fn faults_of_a_configuration_are_told_at_once() {
    let database = Database::with(Kind::Sqlite, "create table t (id int)").await;
    let mut config = database.config(
        json!({ "table": "", "select": [] }),
        json!({ "read": "changes", "key": ["id"], "deletes": "key_scan", "overlap": "soon" }),
    );
    config.options = json!({
        "connection": SECRET, "statement_timeout": "0s",
        "dialect": { "quote": "ab", "timestamp": "x", "limit": "limit" },
    });
    let faults = refused(config);
    let paths: Vec<&str> = faults.0.iter().map(|fault| fault.path.as_str()).collect();
    for path in [
        "connection",
        "statement_timeout",
        "dialect.quote",
        "dialect.timestamp",
        "dialect.limit",
        "streams[0].table",
        "streams[0].select",
        "streams[0].read",
        "streams[0].deletes",
        "streams[0].overlap",
    ] {
        assert!(paths.contains(&path), "{path}: {paths:?}");
    }
    assert!(!format!("{faults:?}").contains(SECRET));
    database.drop().await;
}

#[tokio::test]
async fn faults_of_the_flag_protocol_are_told_at_their_places() {
    let database = Database::with(Kind::Sqlite, "create table t (id int)").await;
    let config = database.config(
        json!({ "table": "t", "flag_done": "0", "flag_batch": 0 }),
        json!({ "read": "flagged", "deletes": "key_scan" }),
    );
    let faults = refused(config);
    let paths: Vec<&str> = faults.0.iter().map(|fault| fault.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "streams[0].flag",
            "streams[0].key",
            "streams[0].deletes",
            "streams[0].flag_done",
            "streams[0].flag_batch",
        ]
    );
    database.drop().await;
}

async fn told(connection: String) -> (ErrorKind, String, String) {
    let database = Database::with(Kind::Sqlite, "create table t (id int)").await;
    let mut config = database.config(json!({ "table": "t" }), json!({ "key": ["id"] }));
    config.options = json!({ "connection": connection, "connect_timeout": "2s" });
    let error = configured(config).probe(&Cx::new()).await.err().unwrap();
    let said = format!("{error} {error:?} {}", error.hint_text().unwrap_or_default());
    assert!(!said.contains(SECRET), "{said}");
    (error.kind(), error.code().to_owned(), said)
}

#[tokio::test]
async fn a_driver_that_is_not_there_is_named_and_so_are_those_that_are() {
    let text = format!("Driver={{DM8 ODBC DRIVER}};Server=127.0.0.1;Uid=u;Pwd={SECRET}");
    let (kind, code, said) = told(text).await;
    assert_eq!((kind, code.as_str()), (ErrorKind::Config, "E-ODBC-DRIVER"), "{said}");
    assert!(said.contains("DM8 ODBC DRIVER") && said.contains("SQLite3"), "{said}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_not_reached_and_no_secret_is_told() {
    let text = format!(
        "Driver={{PostgreSQL Unicode}};Server=127.0.0.1;Port=1;Database=d;Uid=u;Pwd={SECRET}"
    );
    let (kind, code, said) = told(text).await;
    assert_eq!((kind, code.as_str()), (ErrorKind::Unreachable, "E-CONNECT"), "{said}");
}

#[tokio::test]
async fn a_table_or_column_that_is_not_there_is_named() {
    for kind in crate::support::KINDS {
        let database = Database::with(kind, "create table t (id int, v varchar(9))").await;
        let cases: [(Value, Value); 2] = [
            (json!({ "table": "missing" }), json!({ "key": ["id"] })),
            (json!({ "table": "t" }), json!({ "key": ["ID"] })),
        ];
        for (options, settings) in cases {
            let endpoint = configured(database.config(options, settings));
            let error =
                crate::support::read(&*endpoint, &Cx::new(), None, None).await.err().unwrap();
            assert!(error.to_string().contains("stream `s`"), "{kind:?}: {error}");
        }
        let endpoint =
            configured(database.config(json!({ "table": "t" }), json!({ "key": ["ID"] })));
        let error = crate::support::read(&*endpoint, &Cx::new(), None, None).await.err().unwrap();
        assert_eq!(error.code(), "E-COLUMN-MISSING", "{kind:?}");
        assert!(error.hint_text().unwrap().contains("`id`"), "{kind:?}");
        database.drop().await;
    }
}
