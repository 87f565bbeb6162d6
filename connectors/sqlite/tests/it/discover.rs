//! Probes and lists of streams.

use serde_json::json;

use crate::support::{Database, limited};

#[tokio::test]
async fn a_probe_counts_tables() {
    let database = Database::with("create table a (x); create view b as select * from a").await;
    let endpoint = database.endpoint(json!({ "table": "a" }), json!({}));
    let summary = endpoint.probe(&limited(10)).await.unwrap().summary;
    assert!(summary.starts_with("SQLite 3.") && summary.ends_with(", 2 tables"), "{summary}");
}

#[tokio::test]
async fn tables_are_listed_with_types_keys_and_cursors() {
    let database = Database::with(
        "create table up_pro_accept (
             row_guid varchar(50) not null, task_version int(10), fee decimal(12,2),
             accept_date datetime, cd_time text, is_sync tinyint, photo blob, score double,
             primary key (row_guid, task_version));
         insert into up_pro_accept (row_guid) values ('1'), ('2'), ('3');
         create table pairs (b text, a text, primary key (a, b)) without rowid;
         create view recent as select row_guid from up_pro_accept",
    )
    .await;
    let endpoint = database.endpoint(json!({ "table": "t" }), json!({}));
    let streams = endpoint.discover(&limited(10)).await.unwrap();
    let names: Vec<&str> = streams.iter().map(|stream| stream.name.as_str()).collect();
    assert_eq!(names, ["pairs", "recent", "up_pro_accept"]);

    let accept = &streams[2];
    assert_eq!(accept.options, json!({ "table": "up_pro_accept" }));
    let types: Vec<(&str, &str)> = accept
        .columns
        .iter()
        .map(|(name, spec)| (name.as_str(), spec.data_type.as_deref().unwrap()))
        .collect();
    assert_eq!(
        types,
        [
            ("row_guid", "text"),
            ("task_version", "int"),
            ("fee", "decimal(12,2)"),
            ("accept_date", "timestamp"),
            ("cd_time", "text"),
            ("is_sync", "int"),
            ("photo", "binary"),
            ("score", "float"),
        ]
    );
    assert_eq!(accept.key, ["row_guid", "task_version"]);
    assert_eq!(accept.cursors, ["cd_time", "accept_date"]);
    assert_eq!(accept.changed.as_deref(), Some("cd_time"));
    assert_eq!(accept.row_estimate, Some(3));
    assert_eq!(streams[0].key, ["a", "b"]);
    assert_eq!((streams[0].row_estimate, streams[1].row_estimate), (None, None));
}
