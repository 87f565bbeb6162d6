#![allow(clippy::unwrap_used)] // helpers stand outside of #[test] functions
//! Reading by a cursor.

use huiliu_sdk::ErrorKind;
use serde_json::json;

use crate::support::{Database, limited, read, texts};

fn settings(extra: serde_json::Value) -> serde_json::Value {
    let mut settings = json!({ "read": "incremental", "cursor": "c", "key": ["id"] });
    for (name, value) in extra.as_object().unwrap() {
        settings[name] = value.clone();
    }
    settings
}

#[tokio::test]
async fn equal_and_missing_cursors_are_all_read_and_again_from_the_last() {
    let mut database = Database::with(
        "create table t (id int primary key, c timestamp(6)); \
         insert into t select g, '2018-06-12 09:00:00.1234' from generate_series(1, 10000) g; \
         insert into t values (10001, null), (10002, '2018-06-11');",
    )
    .await;
    let endpoint = database.endpoint(json!({ "table": "t" }), settings(json!({})));
    let cx = limited(999);
    let first = read(&*endpoint, &cx, None, None).await.unwrap();
    assert_eq!((first.len(), first.complete), (10002, Some(true)));
    assert_eq!(first.state()["cursor"], "2018-06-12 09:00:00.1234");
    assert_eq!(first.state()["rows_without_cursor"], 1);
    database.execute("insert into t values (10003, '2018-06-12 09:00:00.1235')").await;
    let second = read(&*endpoint, &cx, first.resume(), None).await.unwrap();
    assert_eq!((second.len(), second.complete), (10002, Some(false)));
    assert!(!second.column("id").contains(&"10002".to_owned()));
    let third = read(&*endpoint, &cx, second.resume(), None).await.unwrap();
    assert_eq!(third.sorted("id"), ["10001", "10003"]);

    let overlapping =
        database.endpoint(json!({ "table": "t" }), settings(json!({ "overlap": "1d" })));
    let again = read(&*overlapping, &cx, second.resume(), None).await.unwrap();
    assert_eq!(again.len(), 10002);
    let preview = read(&*endpoint, &cx, second.resume(), Some(1)).await.unwrap();
    assert_eq!(preview.state()["cursor"], second.state()["cursor"]);
    database.drop().await;
}

#[tokio::test]
async fn a_source_that_went_back_is_told() {
    let mut database = Database::with(
        "create table t (id int primary key, c bigint); insert into t values (1, 1), (2, 50);",
    )
    .await;
    let endpoint = database.endpoint(json!({ "table": "t" }), settings(json!({ "overlap": "10" })));
    let first = read(&*endpoint, &limited(10), None, None).await.unwrap();
    database.execute("insert into t values (3, 45), (4, 39)").await;
    let second = read(&*endpoint, &limited(10), first.resume(), None).await.unwrap();
    assert_eq!(second.sorted("id"), ["2", "3"]);
    let wrong = database.endpoint(json!({ "table": "t" }), settings(json!({ "overlap": "10m" })));
    let error = read(&*wrong, &limited(10), first.resume(), None).await.err().unwrap();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Config, "E-CURSOR"));
    for sql in ["delete from t where c = 50", "delete from t"] {
        database.execute(sql).await;
        let error = read(&*endpoint, &limited(10), first.resume(), None).await.err().unwrap();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Conflict, "E-SOURCE-REWOUND"));
        assert!(error.hint_text().unwrap().contains("huiliu state reset"));
    }
    database.drop().await;
}

#[tokio::test]
async fn a_row_of_the_future_does_not_carry_the_mark_away() {
    let mut database = Database::with(
        "create table t (id int primary key, c timestamptz, d timestamp); \
         insert into t values (1, now(), now()), (2, '2099-01-01', '2099-01-01'), \
           (3, 'infinity', 'infinity');",
    )
    .await;
    for cursor in ["c", "d"] {
        let endpoint = database.endpoint(
            json!({ "table": "t", "oddities": "null" }),
            settings(json!({ "cursor": cursor, "zone": "UTC" })),
        );
        let first = read(&*endpoint, &limited(10), None, None).await.unwrap();
        assert_eq!(first.len(), 3);
        let mark = first.state()["cursor"].as_str().unwrap().to_owned();
        let is_now =
            format!("select ('{mark}'::timestamptz <= now() + interval '5 minutes')::text");
        assert_eq!(database.text(&is_now).await, "true");
        assert_eq!(first.state()["capped"], true);
        database.execute("update t set c = now(), d = now() where id > 1").await;
        let second = read(&*endpoint, &limited(10), first.resume(), None).await.unwrap();
        assert_eq!(second.sorted("id"), ["2", "3"]);
        database.execute("update t set c = '2099-01-01', d = '2099-01-01' where id = 2").await;
    }
    database.drop().await;
}

#[tokio::test]
async fn the_mark_waits_for_an_open_transaction() {
    let mut database = Database::with(
        "create table t (id int primary key, c timestamptz not null default now()); \
         insert into t values (1, '2018-01-01');",
    )
    .await;
    let endpoint = database.endpoint(json!({ "table": "t" }), settings(json!({})));
    let mut other =
        <sqlx::PgConnection as sqlx::Connection>::connect(&database.url()).await.unwrap();
    sqlx::raw_sql("begin; insert into t values (2)").execute(&mut other).await.unwrap();
    database.execute("insert into t values (3)").await;
    let first = read(&*endpoint, &limited(10), None, None).await.unwrap();
    assert_eq!(first.sorted("id"), ["1", "3"]);
    sqlx::raw_sql("commit").execute(&mut other).await.unwrap();
    let second = read(&*endpoint, &limited(10), first.resume(), None).await.unwrap();
    assert_eq!(second.sorted("id"), ["2", "3"]);
    sqlx::Connection::close(other).await.unwrap();
    database.drop().await;
}

#[tokio::test]
async fn keys_of_all_rows_follow_the_rows() {
    let mut database = Database::with(
        "create table t (id int, part text, c int, primary key (id, part)); \
         insert into t select g, 'p', g from generate_series(1, 100) g;",
    )
    .await;
    let endpoint = database.endpoint(
        json!({ "table": "t" }),
        settings(json!({ "key": ["id", "part"], "deletes": "key_scan" })),
    );
    let first = read(&*endpoint, &limited(30), None, None).await.unwrap();
    database.execute("delete from t where id < 50").await;
    let second = read(&*endpoint, &limited(30), first.resume(), None).await.unwrap();
    assert_eq!(second.complete, Some(false));
    assert_eq!(second.column("id"), ["100"]);
    assert_eq!(second.keys[0].schema().fields().len(), 2);
    let keys = texts(&second.keys, "id");
    assert_eq!((keys.len(), keys[0].as_str()), (51, "50"));
    assert!(second.keys.iter().all(|keys| keys.num_rows() <= 30));
    database.drop().await;
}

#[tokio::test]
async fn much_to_read_is_offered_in_parts_that_can_be_resumed() {
    let database = Database::with(
        "create table t (id int primary key, c int); \
         insert into t select g, g / 3 from generate_series(1, 3000) g; analyze t;",
    )
    .await;
    let endpoint =
        database.endpoint(json!({ "table": "t", "chunk_rows": 500 }), settings(json!({})));
    let whole = read(&*endpoint, &limited(100), None, None).await.unwrap();
    assert_eq!(whole.len(), 3000);
    assert!(whole.checkpoints.len() >= 5);
    for (batches, checkpoint) in &whole.checkpoints {
        let rest = read(&*endpoint, &limited(100), Some(checkpoint.clone()), None).await.unwrap();
        let mut ids = texts(&whole.batches[..*batches], "id");
        ids.extend(rest.column("id"));
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 3000);
    }
    database.drop().await;
}
