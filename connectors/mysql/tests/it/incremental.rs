//! Reads by a cursor.

use std::collections::BTreeSet;

use huiliu_sdk::ErrorKind;
use serde_json::{Value, json};
use sqlx::{Connection, MySqlConnection};

use crate::support::{Database, limited, meddled, read, texts};

const CASES: &str = "create table cases (case_no varchar(20) primary key, cd_time datetime, note text, key (cd_time))";

fn incremental() -> Value {
    json!({ "key": ["case_no"], "read": "incremental", "cursor": "cd_time" })
}

async fn filled(count: u32, ties: u32) -> Database {
    Database::with(&format!(
        "{CASES}; insert into cases select concat('C', lpad({count} - seq, 6, '0')),
             '2018-01-01' + interval (seq - 1) div {ties} second, concat('办件', seq) from seq_1_to_{count}"
    ))
    .await
}

fn cases() -> Value {
    json!({ "table": "cases" })
}

#[tokio::test]
async fn ten_thousand_rows_of_one_cursor_value_are_all_read() {
    let mut database = filled(10_000, 10_000).await;
    let endpoint = database.endpoint(cases(), incremental());
    let first = read(&*endpoint, &limited(100), None, None).await.unwrap();
    assert_eq!((first.len(), first.complete), (10_000, Some(true)));
    database.execute("insert into cases values ('late', '2018-01-01 00:00:00', '')").await;
    let second = read(&*endpoint, &limited(100), first.resume(), None).await.unwrap();
    let distinct: BTreeSet<String> = second.column("case_no").into_iter().collect();
    assert_eq!((distinct.len(), second.complete), (10_001, Some(false)));
}

#[tokio::test]
async fn every_checkpoint_resumes_without_loss() {
    let database = filled(1_000, 7).await;
    let endpoint = database.endpoint(cases(), incremental());
    let whole = read(&*endpoint, &limited(5), None, None).await.unwrap();
    assert!(whole.checkpoints.len() > 15);
    for (rows, checkpoint) in &whole.checkpoints {
        let mut all: BTreeSet<String> = whole.column("case_no")[..*rows].iter().cloned().collect();
        let rest = read(&*endpoint, &limited(500), Some(checkpoint.clone()), None).await.unwrap();
        all.extend(rest.column("case_no"));
        assert_eq!(all.len(), 1_000);
        // Only the rows of the cursor value at which it stopped come again.
        assert!(rows + rest.len() <= 1_007, "{rows} + {}", rest.len());
    }
}

#[tokio::test]
async fn rows_without_cursor_are_read_every_time() {
    let mut database = Database::with(&format!(
        "{CASES}; insert into cases values ('a', null, ''), ('b', '2018-01-01 00:00:00', '')"
    ))
    .await;
    let endpoint = database.endpoint(cases(), incremental());
    let first = read(&*endpoint, &limited(100), None, None).await.unwrap();
    assert_eq!(first.state(), &json!({ "cursor": "2018-01-01 00:00:00" }));
    assert_eq!(first.notes, ["1 row has no `cd_time`; such rows are read again each time"]);
    database.execute("insert into cases values ('c', null, '')").await;
    let second = read(&*endpoint, &limited(100), first.resume(), None).await.unwrap();
    assert_eq!(second.column("case_no"), ["a", "c", "b"]);
}

#[tokio::test]
async fn a_source_that_went_back_is_a_conflict_and_an_emptied_one_is_not() {
    let mut database = filled(100, 1).await;
    let mut settings = incremental();
    settings["overlap"] = json!("10s");
    let endpoint = database.endpoint(cases(), settings);
    let first = read(&*endpoint, &limited(100), None, None).await.unwrap();
    database.execute("delete from cases where cd_time > '2018-01-01 00:01:30'").await;
    let within = read(&*endpoint, &limited(100), first.resume(), None).await.unwrap();
    assert_eq!(within.state(), first.state());
    database.execute("delete from cases where cd_time > '2018-01-01 00:00:50'").await;
    let error = read(&*endpoint, &limited(100), first.resume(), None).await.err().unwrap();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Conflict, "E-SOURCE-REWOUND"));
    assert!(error.hint_text().unwrap().contains("huiliu state reset"));
    database.execute("delete from cases").await;
    let empty = read(&*endpoint, &limited(100), first.resume(), None).await.unwrap();
    assert_eq!((empty.len(), empty.state()), (0, first.state()));
}

#[tokio::test]
async fn a_cursor_of_the_future_moves_no_mark() {
    let mut database = filled(10, 1).await;
    database.execute("insert into cases values ('wrong', '2099-01-01 00:00:00', '')").await;
    let endpoint = database.endpoint(cases(), incremental());
    let first = read(&*endpoint, &limited(3), None, None).await.unwrap();
    assert_eq!(first.len(), 11);
    assert_eq!(first.state(), &json!({ "cursor": "2018-01-01 00:00:09" }));
    assert!(first.notes[0].contains("in the future"), "{:?}", first.notes);
    database.execute("insert into cases values ('next', '2018-01-01 00:00:10', '')").await;
    let second = read(&*endpoint, &limited(100), first.resume(), None).await.unwrap();
    assert_eq!(second.column("case_no"), ["C000000", "next", "wrong"]);
}

#[tokio::test]
async fn overlap_reads_late_rows_and_moves_no_mark_back() {
    let mut database = filled(1_000, 1).await;
    let mut settings = incremental();
    settings["overlap"] = json!("10m");
    let endpoint = database.endpoint(cases(), settings);
    let first = read(&*endpoint, &limited(5), None, None).await.unwrap();
    database.execute("insert into cases values ('late', '2018-01-01 00:06:39', '')").await;
    let second = read(&*endpoint, &limited(5), first.resume(), None).await.unwrap();
    assert_eq!(second.len(), 602);
    assert!(second.checkpoints.iter().all(|(_, at)| &at.state == first.state()));
}

#[tokio::test]
async fn cursors_of_every_comparable_kind_are_compared_by_the_server() {
    for (kind, one, two, three) in [
        ("int", "9", "10", "11"),
        ("bigint unsigned", "9", "10", "18446744073709551615"),
        ("decimal(30,2)", "9.50", "10.00", "10.01"),
        ("date", "'2018-01-09'", "'2018-01-10'", "'2018-01-11'"),
        ("timestamp(6) null", "'2018-01-09'", "'2018-01-10 00:00:00.000001'", "'2018-01-11'"),
        ("varchar(30)", "'2018-01-09 10'", "'2018-01-10 09'", "'2018-01-11 08'"),
    ] {
        let mut database = Database::with(&format!(
            "create table t (id varchar(3), c {kind}); insert into t values ('a', {two}), ('b', {one})"
        ))
        .await;
        let settings = json!({ "read": "incremental", "cursor": "c" });
        let endpoint = database.endpoint(json!({ "table": "t" }), settings);
        let first = read(&*endpoint, &limited(10), None, None).await.unwrap();
        assert_eq!(first.column("id"), ["b", "a"], "{kind}");
        database.execute(&format!("insert into t values ('c', {three})")).await;
        let second = read(&*endpoint, &limited(10), first.resume(), None).await.unwrap();
        assert_eq!(second.column("id"), ["a", "c"], "{kind}");
    }
}

#[tokio::test]
async fn a_key_scan_tells_the_keys_the_source_holds() {
    let mut database = filled(100, 1).await;
    let mut settings = incremental();
    settings["deletes"] = json!("key_scan");
    let endpoint = database.endpoint(cases(), settings);
    let first = read(&*endpoint, &limited(100), None, None).await.unwrap();
    assert_eq!((first.complete, first.keys.len()), (Some(true), 0));
    database.execute("delete from cases where case_no < 'C000050' and case_no > 'C000000'").await;
    let second = read(&*endpoint, &limited(10), first.resume(), None).await.unwrap();
    assert_eq!((second.len(), second.complete), (1, Some(false)));
    let keys: BTreeSet<String> = texts(&second.keys, "case_no").into_iter().collect();
    let held: BTreeSet<String> =
        database.texts("select case_no from cases").await.into_iter().collect();
    assert_eq!(keys, held);
    assert_eq!(second.keys[0].num_columns(), 1);
    let some = read(&*endpoint, &limited(10), first.resume(), Some(0)).await.unwrap();
    assert!(some.keys.is_empty(), "a preview scans no keys");
}

#[tokio::test]
async fn a_cursor_that_cannot_be_compared_is_refused() {
    let database = Database::with("create table t (c double)").await;
    let settings = json!({ "read": "incremental", "cursor": "c" });
    let endpoint = database.endpoint(json!({ "table": "t" }), settings);
    let error = read(&*endpoint, &limited(10), None, None).await.err().unwrap();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Schema, "E-MYSQL-COMPARE"));
}

#[tokio::test]
async fn a_row_committed_between_mark_and_rows_is_in_the_next_read() {
    let database = filled(1, 1).await;
    let mut settings = incremental();
    settings["overlap"] = json!("10m");
    let endpoint = database.endpoint(cases(), settings);
    let cx = meddled(&database, 3, "insert into cases values ('late', '2017-12-31 23:55:00', '')");
    let first = read(&*endpoint, &cx, None, None).await.unwrap();
    assert_eq!(first.column("case_no"), ["C000000"]);
    let second = read(&*endpoint, &limited(10), first.resume(), None).await.unwrap();
    assert_eq!(second.column("case_no"), ["late", "C000000"]);
}

#[tokio::test]
async fn numbers_that_become_visible_out_of_order_are_found_by_a_counted_overlap() {
    let mut database = Database::with(
        "create table t (id bigint unsigned auto_increment primary key, v text) engine = innodb;
         insert into t (v) values ('a'), ('b')",
    )
    .await;
    let settings = |overlap: &str| json!({ "key": ["id"], "read": "incremental", "cursor": "id", "overlap": overlap });
    let endpoint = database.endpoint(json!({ "table": "t" }), settings("100"));
    let mut slow = MySqlConnection::connect(&database.url()).await.unwrap();
    sqlx::raw_sql("start transaction").execute(&mut slow).await.unwrap();
    sqlx::raw_sql("insert into t (v) values ('slow')").execute(&mut slow).await.unwrap();
    database.execute("insert into t (v) values ('fast')").await;
    let first = read(&*endpoint, &limited(10), None, None).await.unwrap();
    assert_eq!(first.column("v"), ["a", "b", "fast"]);
    sqlx::raw_sql("commit").execute(&mut slow).await.unwrap();
    let second = read(&*endpoint, &limited(10), first.resume(), None).await.unwrap();
    assert_eq!(second.column("v"), ["a", "b", "slow", "fast"]);
    let wrong = database.endpoint(json!({ "table": "t" }), settings("10m"));
    let error = read(&*wrong, &limited(10), first.resume(), None).await.err().unwrap();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Config, "E-CURSOR"));
    slow.close().await.unwrap();
}

#[tokio::test]
async fn a_cursor_finer_than_the_lakes_times_is_compared_as_the_source_writes_it() {
    for (kind, one, two) in [
        ("varchar(40)", "2018-06-12 09:00:00.123456788", "2018-06-12 09:00:00.123456789"),
        ("decimal(30,12)", "1528794000.123456789011", "1528794000.123456789012"),
        ("datetime(6)", "2018-06-12 09:00:00.123456", "2018-06-12 09:00:00.123457"),
    ] {
        let mut database = Database::with(&format!(
            "create table t (id int primary key, c {kind}); insert into t values (1, '{one}')"
        ))
        .await;
        let settings = json!({ "key": ["id"], "read": "incremental", "cursor": "c" });
        let endpoint = database.endpoint(json!({ "table": "t" }), settings);
        let first = read(&*endpoint, &limited(10), None, None).await.unwrap();
        assert_eq!(first.state(), &json!({ "cursor": one }));
        database.execute(&format!("insert into t values (2, '{two}')")).await;
        let second = read(&*endpoint, &limited(10), first.resume(), None).await.unwrap();
        assert_eq!(second.column("id"), ["1", "2"]);
        let third = read(&*endpoint, &limited(10), second.resume(), None).await.unwrap();
        assert_eq!(
            (third.column("id"), third.state()),
            (vec!["2".into()], &json!({ "cursor": two }))
        );
    }
}
