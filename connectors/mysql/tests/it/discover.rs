//! Probes and lists of streams.

use serde_json::json;

use crate::support::{Database, limited};

#[tokio::test]
async fn tables_are_listed_with_types_keys_and_cursors() {
    let database = Database::with(
        "create table pairs (b int, a varchar(9), made datetime, at timestamp default now() on update now(),
             cd_time varchar(20), fee decimal(12,2), big bigint unsigned, primary key (b, a));
         insert into pairs (b, a) values (1, 'x'), (2, 'y');
         create view seen as select a from pairs",
    )
    .await;
    let endpoint = database.endpoint(json!({ "table": "pairs" }), json!({}));
    let summary = endpoint.probe(&limited(10)).await.unwrap().summary;
    assert!(summary.contains("2 tables") && summary.starts_with('M'), "{summary}");
    let streams = endpoint.discover(&limited(10)).await.unwrap();
    let names: Vec<&str> = streams.iter().map(|stream| stream.name.as_str()).collect();
    assert_eq!(names, ["pairs", "seen"]);
    let pairs = &streams[0];
    assert_eq!(pairs.options, json!({ "table": "pairs" }));
    assert_eq!(pairs.key, ["b", "a"]);
    assert_eq!(pairs.cursors, ["at", "cd_time", "made"]);
    assert_eq!(pairs.changed.as_deref(), Some("at"));
    let kinds: Vec<&str> =
        pairs.columns.iter().map(|(_, spec)| spec.data_type.as_deref().unwrap()).collect();
    assert_eq!(
        kinds,
        ["int", "text", "timestamp", "timestamp", "text", "decimal(12,2)", "decimal(20,0)"]
    );
    assert!(pairs.row_estimate.is_some());
    assert!(streams[1].key.is_empty() && streams[1].row_estimate.is_none());
}
