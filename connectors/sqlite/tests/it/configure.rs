//! Configurations.

use huiliu_sdk::{ErrorKind, RawPush};
use serde_json::json;

use crate::support::{Database, configure, limited, raw, read};

#[test]
fn all_faults_are_told_at_once_with_their_place() {
    let streams = vec![
        (json!({}), json!({ "read": "incremental" })),
        (json!({ "table": 7, "select": ["a", "a", ""] }), json!({ "key": ["b"] })),
        (
            json!({ "table": "t" }),
            json!({
                "read": "changes", "overlap": "soon", "zone": "Moon/Crater", "deletes": "key_scan",
                "columns": { "a": { "type": "varchar" } },
            }),
        ),
        (
            json!({ "table": "t", "flag_done": "0" }),
            json!({ "read": "flagged", "deletes": "key_scan" }),
        ),
    ];
    let mut raw = raw("/nowhere".into(), json!({ "path": "" }), streams);
    raw.pushes.push(RawPush { name: "p".into(), key: vec![], options: json!({}) });
    let faults = configure(raw).err().unwrap();
    let paths: Vec<&str> = faults.0.iter().map(|fault| fault.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "path",
            "pushes[0].to",
            "streams[0].table",
            "streams[0].cursor",
            "streams[1].table",
            "streams[1].select[1]",
            "streams[1].select[2]",
            "streams[1].key",
            "streams[2].read",
            "streams[2].overlap",
            "streams[2].zone",
            "streams[2].columns.a.type",
            "streams[2].deletes",
            "streams[3].flag",
            "streams[3].key",
            "streams[3].deletes",
            "streams[3].flag_done",
        ]
    );
}

#[tokio::test]
async fn configuring_touches_no_file_and_a_missing_file_is_not_found() {
    let streams = vec![(json!({ "table": "t" }), json!({}))];
    let raw = raw("/nowhere".into(), json!({ "path": "no.db" }), streams);
    let endpoint = configure(raw).map_err(|faults| faults.0).unwrap();
    let error = endpoint.probe(&limited(10)).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::NotFound, "E-SQLITE-MISSING"));
    assert!(error.hint_text().is_some());
    let error = read(&*endpoint, &limited(10), None, None).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn what_is_no_database_is_told_as_damaged() {
    let database = Database::with("create table t (a text)").await;
    let path = database.folder().join("other.db");
    std::fs::write(&path, "row_guid,case_no\n".repeat(200)).unwrap();
    let raw = raw(database.folder(), json!({ "path": "other.db" }), vec![]);
    let endpoint = configure(raw).map_err(|faults| faults.0).unwrap();
    let error = endpoint.probe(&limited(10)).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Data, "E-SQLITE-CORRUPT"));
}

#[tokio::test]
async fn a_missing_table_or_column_is_named() {
    let database = Database::with("create table t (Case_No text)").await;
    let endpoint = database.endpoint(json!({ "table": "nope" }), json!({}));
    let error = read(&*endpoint, &limited(10), None, None).await.err().unwrap();
    assert_eq!((error.kind(), error.code()), (ErrorKind::NotFound, "E-TABLE-MISSING"));

    let endpoint = database.endpoint(json!({ "table": "t" }), json!({ "key": ["case_no"] }));
    let error = read(&*endpoint, &limited(10), None, None).await.err().unwrap();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Schema, "E-COLUMN-MISSING"));
    assert!(error.hint_text().unwrap().contains("Case_No"));
}

#[tokio::test]
async fn text_in_utf_16_is_refused_before_it_is_misread() {
    let database = Database::with("pragma encoding = 'UTF-16le'; create table t (a text)").await;
    let endpoint = database.endpoint(json!({ "table": "t" }), json!({}));
    let error = endpoint.probe(&limited(10)).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unsupported, "E-SQLITE-ENCODING"));
}
