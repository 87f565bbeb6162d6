#![allow(clippy::unwrap_used)] // helpers stand outside of #[test] functions
//! Reading by a cursor.

use huiliu_sdk::ErrorKind;
use serde_json::json;

use crate::support::{Database, configured, limited, meddled, read, texts};

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
    assert_eq!(first.notes, ["1 row has no `c`; such rows are read again each time"]);
    database.execute("insert into t values (10003, '2018-06-12 09:00:00.1235')").await;
    let second = read(&*endpoint, &cx, first.resume(), None).await.unwrap();
    assert_eq!((second.len(), second.complete), (10002, Some(false)));
    assert!(!second.column("id").contains(&"10002".to_owned()));
    let third = read(&*endpoint, &cx, second.resume(), None).await.unwrap();
    assert_eq!(third.sorted("id"), ["10001", "10003"]);
    assert_eq!(third.state(), second.state(), "where nothing has moved, nothing is to be noted");

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
    // Rows that are gone within the overlap prove nothing.
    database.execute("delete from t where c = 50").await;
    let within = read(&*endpoint, &limited(10), first.resume(), None).await.unwrap();
    assert_eq!((within.len(), &within.state()["cursor"]), (1, &json!("50")));
    database.execute("delete from t where c = 45").await;
    let error = read(&*endpoint, &limited(10), first.resume(), None).await.err().unwrap();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Conflict, "E-SOURCE-REWOUND"));
    assert!(error.hint_text().unwrap().contains("huiliu state reset"));
    // An emptied front database is no rewound one: its mark stands.
    database.execute("delete from t").await;
    let empty = read(&*endpoint, &limited(10), first.resume(), None).await.unwrap();
    assert_eq!((empty.len(), &empty.state()["cursor"]), (0, &json!("50")));
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
        assert!(first.notes[0].contains("in the future"), "{:?}", first.notes);
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
    // Row 1 was the newest one that no open transaction was older than, and the bound includes it.
    assert_eq!(second.sorted("id"), ["1", "2", "3"]);
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

/// Rows of 2018, whose order does not depend on when the test runs.
async fn of_2018(kind: &str, values: &[&str]) -> Database {
    let mut database =
        Database::with(&format!("create table t (id int primary key, c {kind})")).await;
    for (id, value) in (1..).zip(values) {
        database.execute(&format!("insert into t values ({id}, '{value}')")).await;
    }
    database
}

#[tokio::test]
async fn text_of_the_future_does_not_carry_the_mark_away_either() {
    let kind = "varchar(30)";
    let mut database = of_2018(kind, &["2018-06-12 09:00:00", "2099-01-01 00:00:00"]).await;
    let endpoint =
        database.endpoint(json!({ "table": "t" }), settings(json!({ "overlap": "10m" })));
    let first = read(&*endpoint, &limited(10), None, None).await.unwrap();
    assert_eq!((first.len(), &first.state()["cursor"]), (2, &json!("2018-06-12 09:00:00")));
    assert!(first.notes[0].contains("in the future"), "{:?}", first.notes);
    database.execute("insert into t values (3, '2018-06-12 08:50:00')").await;
    database.execute("insert into t values (4, '2018-06-12 08:49:59')").await;
    let second = read(&*endpoint, &limited(10), first.resume(), None).await.unwrap();
    assert_eq!(second.sorted("id"), ["1", "2", "3"]);
    // Without the wrong row the mark is still no value that lies ahead.
    database.execute("delete from t where id = 2").await;
    let third = read(&*endpoint, &limited(10), second.resume(), None).await.unwrap();
    assert_eq!((third.sorted("id"), third.notes.len()), (vec!["1".into(), "3".into()], 0));
    database.drop().await;
}

#[tokio::test]
async fn a_cursor_finer_than_the_lakes_times_is_compared_as_the_source_writes_it() {
    for (kind, one, two) in [
        ("text collate \"C\"", "2018-06-12 09:00:00.123456788", "2018-06-12 09:00:00.123456789"),
        ("numeric(30,12)", "1528794000.123456789011", "1528794000.123456789012"),
        ("timestamp(6)", "2018-06-12 09:00:00.123456", "2018-06-12 09:00:00.123457"),
    ] {
        let mut database = of_2018(kind, &[one]).await;
        let columns = if kind.starts_with("text") {
            json!({ "columns": { "c": { "type": "text" } } })
        } else {
            json!({})
        };
        let endpoint = database.endpoint(json!({ "table": "t" }), settings(columns));
        let first = read(&*endpoint, &limited(10), None, None).await.unwrap();
        assert_eq!(first.state()["cursor"], one);
        database.execute(&format!("insert into t values (2, '{two}')")).await;
        let second = read(&*endpoint, &limited(10), first.resume(), None).await.unwrap();
        assert_eq!(second.sorted("id"), ["1", "2"]);
        let third = read(&*endpoint, &limited(10), second.resume(), None).await.unwrap();
        assert_eq!((third.sorted("id"), &third.state()["cursor"]), (vec!["2".into()], &json!(two)));
        database.drop().await;
    }
}

#[tokio::test]
async fn a_row_committed_between_mark_and_rows_is_in_the_next_read() {
    let mut database = of_2018("timestamp", &["2018-06-12 09:00:00"]).await;
    let endpoint =
        database.endpoint(json!({ "table": "t" }), settings(json!({ "overlap": "10m" })));
    let cx = meddled(&database, 2, "insert into t values (2, '2018-06-12 08:55:00')");
    let first = read(&*endpoint, &cx, None, None).await.unwrap();
    assert_eq!(first.column("id"), ["1"]);
    assert_eq!(database.text("select count(*)::text from t").await, "2");
    let second = read(&*endpoint, &limited(10), first.resume(), None).await.unwrap();
    assert_eq!(second.sorted("id"), ["1", "2"]);
    database.drop().await;
}

#[tokio::test]
async fn a_clock_that_steps_back_is_covered_by_the_overlap_and_beyond_it_by_a_whole_read() {
    let mut database = of_2018("timestamp", &["2018-06-12 09:00:00"]).await;
    let endpoint =
        database.endpoint(json!({ "table": "t" }), settings(json!({ "overlap": "10m" })));
    let first = read(&*endpoint, &limited(10), None, None).await.unwrap();
    database
        .execute("insert into t values (2, '2018-06-12 08:50:00'), (3, '2018-06-12 08:49:59')")
        .await;
    let second = read(&*endpoint, &limited(10), first.resume(), None).await.unwrap();
    assert_eq!(second.sorted("id"), ["1", "2"]);
    assert_eq!(second.state()["cursor"], first.state()["cursor"]);
    let whole = read(&*endpoint, &limited(10), None, None).await.unwrap();
    assert_eq!((whole.len(), whole.complete), (3, Some(true)));
    database.drop().await;
}

#[tokio::test]
async fn numbers_of_a_sequence_that_become_visible_out_of_order_are_all_read() {
    let mut database = Database::with(
        "create table t (id bigserial primary key, v text); insert into t (v) values ('a'), ('b');",
    )
    .await;
    // Who may see little of other sessions still sees which transactions are open.
    let role = format!("{}_reader", database.name());
    database
        .execute(&format!("create role {role} login password 'x'; grant select on t to {role}"))
        .await;
    let url = database.url();
    let (_, host) = url.rsplit_once('@').unwrap();
    let mut restricted =
        database.config(json!({ "table": "t" }), settings(json!({ "cursor": "id" })));
    restricted.options["url"] = json!(format!("postgresql://{role}:x@{host}"));
    let plain = database.config(json!({ "table": "t" }), settings(json!({ "cursor": "id" })));
    for config in [plain, restricted] {
        let endpoint = configured(config);
        let next = database.text("select max(id)::text from t").await.parse::<i64>().unwrap();
        let mut slow = <sqlx::PgConnection as sqlx::Connection>::connect(&url).await.unwrap();
        let insert = "insert into t (v) values ('slow')";
        sqlx::raw_sql("begin").execute(&mut slow).await.unwrap();
        sqlx::raw_sql(insert).execute(&mut slow).await.unwrap();
        database.execute("insert into t (v) values ('fast')").await;
        let first = read(&*endpoint, &limited(10), None, None).await.unwrap();
        let fast = (next + 2).to_string();
        assert!(first.column("id").contains(&fast), "what is there is read");
        assert_eq!(first.state()["cursor"], json!(next.to_string()), "and the mark waits");
        sqlx::raw_sql("commit").execute(&mut slow).await.unwrap();
        sqlx::Connection::close(slow).await.unwrap();
        let second = read(&*endpoint, &limited(10), first.resume(), None).await.unwrap();
        assert_eq!(second.sorted("id"), [next, next + 1, next + 2].map(|id| id.to_string()));
        let third = read(&*endpoint, &limited(10), second.resume(), None).await.unwrap();
        assert_eq!(third.column("id"), [fast]);
    }
    database.execute(&format!("drop owned by {role}; drop role {role}")).await;
    database.drop().await;
}

#[tokio::test]
async fn a_log_shorter_than_before_is_a_source_that_went_back() {
    let database = of_2018("int", &["1", "2"]).await;
    let endpoint = database.endpoint(json!({ "table": "t" }), settings(json!({})));
    let first = read(&*endpoint, &limited(10), None, None).await.unwrap();
    assert!(first.state()["log"]["place"].as_str().unwrap().contains('/'));
    let mut resume = first.resume().unwrap();
    resume.state["log"]["place"] = json!("FFFFFFFF/0");
    let error = read(&*endpoint, &limited(10), Some(resume.clone()), None).await.err().unwrap();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Conflict, "E-SOURCE-REWOUND"));
    // Another cluster counts its own log.
    resume.state["log"]["cluster"] = json!("1");
    let moved = read(&*endpoint, &limited(10), Some(resume), None).await.unwrap();
    assert_eq!(moved.column("id"), ["2"]);
    database.drop().await;
}

#[tokio::test]
async fn a_collation_that_ignores_case_pages_by_its_own_order() {
    let database = Database::with(
        "create collation ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false); \
         create table t (id text collate ci primary key, c text collate ci); \
         insert into t select case when g % 2 = 0 then upper(md5(g::text)) else md5(g::text) end, \
           case when g % 3 = 0 then 'Ab' else 'aB' end from generate_series(1, 3000) g; analyze t;",
    )
    .await;
    let options = json!({ "table": "t", "chunk_rows": 500 });
    let whole = database.read(options.clone(), json!({ "key": ["id"] })).await;
    let mut ids = whole.sorted("id");
    ids.dedup();
    assert_eq!((ids.len(), whole.complete), (3000, Some(true)));
    assert!(whole.checkpoints.len() > 3, "{}", whole.checkpoints.len());
    let endpoint = database.endpoint(options, settings(json!({})));
    let first = read(&*endpoint, &limited(100), None, None).await.unwrap();
    let again = read(&*endpoint, &limited(100), first.resume(), None).await.unwrap();
    assert_eq!((first.len(), again.len()), (3000, 3000), "all cursors are equal to it");
    database.drop().await;
}
