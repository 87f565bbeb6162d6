#![allow(clippy::unwrap_used)] // helpers stand outside of #[test] functions
//! The flag protocol of front databases.

use huiliu_sdk::{ErrorKind, Event};
use serde_json::{Value, json};

use crate::support::{Database, configured, drain, limited, read, request};

const CASES: &str = "create table t (id int primary key, case_no text, ver int, is_sync char(1)); \
    insert into t select g, 'c' || (g / 3), 1, case when g % 7 = 0 then null else '0' end \
      from generate_series(0, 29) g; \
    update t set is_sync = '1' where id in (1, 28, 29, 27);";

fn options(extra: Value) -> Value {
    let mut options =
        json!({ "table": "t", "flag": "is_sync", "flag_null_is_new": true, "flag_batch": 4 });
    for (name, value) in extra.as_object().unwrap() {
        options[name] = value.clone();
    }
    options
}

fn settings() -> Value {
    json!({ "read": "flagged", "key": ["id"], "group": ["case_no"], "version": "ver" })
}

const OPEN: &str = "select count(*)::text from t where is_sync is distinct from '1'";

#[tokio::test]
async fn whole_cases_are_read_and_marked_once_they_are_held() {
    for claimed in [json!({}), json!({ "flag_claimed": "8" })] {
        let mut database = Database::with(CASES).await;
        let endpoint = database.endpoint(options(claimed), settings());
        let cx = limited(5);
        let mut source = endpoint.source(&cx, request(None, None)).await.unwrap();
        let outcome = drain(source.as_mut(), &cx).await.unwrap();
        // Case c9 has no row to fetch (28, 29 and 27 were), all others are read whole.
        assert_eq!((outcome.len(), outcome.complete), (27, Some(false)));
        assert!(outcome.column("id").contains(&"1".to_owned()));
        assert!(outcome.schema.as_ref().unwrap().field_with_name("is_sync").is_err());
        assert_ne!(database.text(OPEN).await, "0");
        let (_, third) = &outcome.checkpoints[1];
        assert_eq!(third.state["cases"].as_array().unwrap().len(), 4);
        source.acknowledge(&cx, third).await.unwrap();
        let left = database.text(OPEN).await;
        assert!(left != "0" && left != "26", "{left}");
        source.acknowledge(&cx, &outcome.resume().unwrap()).await.unwrap();
        assert_eq!(database.text(OPEN).await, "0");
        let again = read(&*endpoint, &cx, outcome.resume(), None).await.unwrap();
        assert_eq!((again.len(), again.checkpoints.len()), (0, 1));
        drop(source);
        database.drop().await;
    }
}

#[tokio::test]
async fn rows_that_changed_or_vanished_meanwhile_stay_as_they_are() {
    let mut database = Database::with(CASES).await;
    let endpoint = database.endpoint(options(json!({ "flag_batch": 100 })), settings());
    let cx = limited(100);
    let mut source = endpoint.source(&cx, request(None, None)).await.unwrap();
    let outcome = drain(source.as_mut(), &cx).await.unwrap();
    database
        .execute(
            "delete from t where id = 3; update t set ver = 2 where id = 4; \
             delete from t where id = 5; insert into t values (5, 'c1', 1, '0'), \
             (100, 'c1', 1, '0');",
        )
        .await;
    source.acknowledge(&cx, &outcome.resume().unwrap()).await.unwrap();
    let open = "select string_agg(id::text, ',' order by id) from t where is_sync <> '1'";
    assert_eq!(database.text(open).await, "4,5,100");
    let next = read(&*endpoint, &cx, outcome.resume(), None).await.unwrap();
    assert_eq!(next.sorted("id"), ["100", "4", "5"]);
    drop(source);
    database.drop().await;
}

#[tokio::test]
async fn a_read_that_died_before_it_marked_is_read_again() {
    let mut database = Database::with(CASES).await;
    let endpoint = database.endpoint(options(json!({ "flag_claimed": "8" })), settings());
    let cx = limited(100);
    let mut source = endpoint.source(&cx, request(None, None)).await.unwrap();
    let checkpoint = loop {
        match source.next(&cx).await.unwrap().unwrap() {
            Event::Checkpoint(checkpoint) => break checkpoint,
            event => assert!(!matches!(event, Event::End { .. })),
        }
    };
    assert_ne!(database.text("select count(*)::text from t where is_sync = '8'").await, "0");
    drop(source);
    let whole = read(&*endpoint, &cx, Some(checkpoint), None).await.unwrap();
    assert_eq!(whole.len(), 27);
    database.drop().await;
}

#[tokio::test]
async fn a_preview_changes_nothing_and_loose_rows_are_not_lost() {
    let mut database = Database::with(
        "create table t (id int primary key, case_no text, ver int, is_sync int); \
         insert into t values (1, null, 1, 0), (2, 'a', 1, 0), (3, null, 1, 1);",
    )
    .await;
    let endpoint = database.endpoint(options(json!({ "flag_claimed": "8" })), settings());
    let cx = limited(100);
    let preview = read(&*endpoint, &cx, None, Some(10)).await.unwrap();
    assert_eq!(preview.column("id"), ["2"]);
    assert_eq!(database.text("select count(*)::text from t where is_sync = 0").await, "2");
    let mut source = endpoint.source(&cx, request(None, None)).await.unwrap();
    let outcome = drain(source.as_mut(), &cx).await.unwrap();
    assert_eq!(outcome.sorted("id"), ["1", "2"]);
    source.acknowledge(&cx, &outcome.resume().unwrap()).await.unwrap();
    assert_eq!(database.text("select count(*)::text from t where is_sync = 1").await, "3");
    drop(source);
    database.drop().await;
}

#[tokio::test]
async fn rows_that_could_not_be_marked_are_not_read_at_all() {
    let mut database = Database::with(CASES).await;
    let role = format!("{}_front", database.name());
    database
        .execute(&format!("create role {role} login password 'x'; grant select on t to {role}"))
        .await;
    let url = database.url();
    let (_, host) = url.rsplit_once('@').unwrap();
    let mut config = database.config(options(json!({})), settings());
    config.options["url"] = json!(format!("postgresql://{role}:x@{host}"));
    let endpoint = configured(config);
    let error = read(&*endpoint, &limited(100), None, None).await.err().unwrap();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Permission, "E-PERMISSION"));
    let hint = error.hint_text().unwrap();
    let (_, grant) = hint.split_once("the database for: ").unwrap();
    // A preview marks nothing and may look.
    assert_ne!(read(&*endpoint, &limited(100), None, Some(3)).await.unwrap().len(), 0);
    database.execute(grant).await;
    assert_eq!(read(&*endpoint, &limited(100), None, None).await.unwrap().len(), 27);
    database.execute(&format!("drop owned by {role}; drop role {role}")).await;
    database.drop().await;
}
