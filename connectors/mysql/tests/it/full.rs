//! Whole tables, at once and in chunks.

use std::collections::BTreeSet;

use huiliu_sdk::{ErrorKind, Event};
use serde_json::{Value, json};

use crate::support::{Database, limited, read, request};

fn chunks(rows: u64) -> Value {
    json!({ "table": "t", "chunk_rows": rows })
}

/// A table of which the server knows how many rows it has.
async fn numbers(count: u32) -> Database {
    Database::with(&format!(
        "create table t (id bigint primary key, note varchar(20));
         insert into t select seq * 3, concat('n', seq) from seq_1_to_{count}; analyze table t"
    ))
    .await
}

#[tokio::test]
async fn a_chunked_read_goes_on_from_every_checkpoint_without_loss_or_repeat() {
    let database = numbers(1_000).await;
    let endpoint = database.endpoint(chunks(70), json!({ "key": ["id"] }));
    let whole = read(&*endpoint, &limited(16), None, None).await.unwrap();
    assert_eq!((whole.len(), whole.complete), (1_000, Some(true)));
    assert_eq!(whole.state(), &json!({ "after": null }));
    assert!(whole.checkpoints.len() > 10, "{}", whole.checkpoints.len());
    let ids = whole.column("id");
    for (rows, checkpoint) in &whole.checkpoints[..whole.checkpoints.len() - 1] {
        let rest = read(&*endpoint, &limited(16), Some(checkpoint.clone()), None).await.unwrap();
        assert_eq!(rest.column("id"), ids[*rows..]);
        assert_eq!(rest.complete, Some(false));
    }
    let again = read(&*endpoint, &limited(512), whole.resume(), None).await.unwrap();
    assert_eq!((again.len(), again.complete), (1_000, Some(true)));
}

#[tokio::test]
async fn keys_compare_by_the_servers_own_collation() {
    for (charset, collation) in [
        ("utf8mb4", "utf8mb4_general_ci"),
        ("utf8mb4", "utf8mb4_unicode_ci"),
        ("gbk", "gbk_chinese_ci"),
        ("latin1", "latin1_swedish_ci"),
    ] {
        let database = Database::with(&format!(
            "create table t (kind varchar(20) character set {charset} collate {collation}, n int,
                 primary key (kind, n));
             insert into t select elt(1 + seq % 6, 'a', 'B', 'c ', 'D', 'e', 'Z'), seq from seq_1_to_300;
             analyze table t"
        ))
        .await;
        let endpoint = database.endpoint(chunks(7), json!({ "key": ["kind", "n"] }));
        let whole = read(&*endpoint, &limited(5), None, None).await.unwrap();
        assert_eq!(whole.len(), 300, "{collation}");
        let distinct: BTreeSet<String> = whole.column("n").into_iter().collect();
        assert_eq!(distinct.len(), 300);
        let (rows, checkpoint) = whole.checkpoints[20].clone();
        let rest = read(&*endpoint, &limited(5), Some(checkpoint), None).await.unwrap();
        assert_eq!(rest.column("n"), whole.column("n")[rows..]);
    }
}

#[tokio::test]
async fn binary_decimal_and_time_keys_are_walked_too() {
    for kind in ["binary(4)", "decimal(30,10)", "datetime(6)", "bigint unsigned", "date"] {
        let value = match kind {
            "binary(4)" => "unhex(lpad(hex(seq * 7919), 8, '0'))",
            "datetime(6)" => "'2024-01-01' + interval seq * 1001 microsecond",
            "date" => "date('2000-01-01') + interval seq day",
            "bigint unsigned" => "18446744073709551615 - seq",
            _ => "seq + 0.0000000001",
        };
        let database = Database::with(&format!(
            "create table t (k {kind} primary key, seq int);
             insert into t select {value}, seq from seq_1_to_200; analyze table t"
        ))
        .await;
        let endpoint = database.endpoint(chunks(9), json!({ "key": ["k"] }));
        let whole = read(&*endpoint, &limited(50), None, None).await.unwrap();
        let distinct: BTreeSet<String> = whole.column("seq").into_iter().collect();
        assert_eq!((whole.len(), distinct.len()), (200, 200), "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parallel_read_gives_every_row_once_and_calls_itself_incomplete() {
    let database = numbers(2_000).await;
    let options = json!({ "table": "t", "chunk_rows": 300, "parallel": 3 });
    let endpoint = database.endpoint(options, json!({ "key": ["id"] }));
    let whole = read(&*endpoint, &limited(64), None, None).await.unwrap();
    let all: BTreeSet<String> = whole.column("id").into_iter().collect();
    assert_eq!((whole.len(), all.len(), whole.complete), (2_000, 2_000, Some(false)));
    for (rows, checkpoint) in &whole.checkpoints[..whole.checkpoints.len() - 1] {
        let before: BTreeSet<String> = whole.column("id")[..*rows].iter().cloned().collect();
        let rest = read(&*endpoint, &limited(64), Some(checkpoint.clone()), None).await.unwrap();
        let after: BTreeSet<String> = rest.column("id").into_iter().collect();
        assert!(before.is_disjoint(&after));
        assert_eq!(before.len() + after.len(), 2_000);
    }
}

#[tokio::test]
async fn a_read_sees_one_moment_of_the_source() {
    let mut database = numbers(3_000).await;
    let endpoint = database.endpoint(chunks(100), json!({ "key": ["id"] }));
    let cx = limited(10);
    let mut source = endpoint.source(&cx, request(None, None)).await.unwrap();
    let mut rows = 0;
    while let Some(event) = source.next(&cx).await.unwrap() {
        if let Event::Rows(batch) = event {
            if rows == 0 {
                database
                    .execute("insert into t values (100000, 'new'); delete from t where id = 8997")
                    .await;
            }
            rows += batch.batch.num_rows();
        }
    }
    assert_eq!(rows, 3_000);
}

#[tokio::test]
async fn empty_tables_views_and_limits_end_as_they_should() {
    let database = Database::with(
        "create table t (id int primary key, a text); create table m (a int) engine = myisam;
         insert into m values (1), (2); create view v as select * from m",
    )
    .await;
    let empty = database.read(json!({ "table": "t" }), json!({})).await;
    assert_eq!((empty.len(), empty.complete, empty.checkpoints.len()), (0, Some(true), 1));
    assert_eq!(empty.schema.unwrap().fields().len(), 2);
    for table in ["m", "v"] {
        let endpoint = database.endpoint(json!({ "table": table, "chunk_rows": 1 }), json!({}));
        let all = read(&*endpoint, &limited(10), None, None).await.unwrap();
        assert_eq!((all.len(), all.complete), (2, Some(true)));
        let some = read(&*endpoint, &limited(10), None, Some(1)).await.unwrap();
        assert_eq!((some.len(), some.complete), (1, Some(false)));
    }
}

#[tokio::test]
async fn a_cancelled_read_stops() {
    let database = numbers(3_000).await;
    let endpoint = database.endpoint(json!({ "table": "t" }), json!({}));
    let cx = limited(10);
    let mut source = endpoint.source(&cx, request(None, None)).await.unwrap();
    source.next(&cx).await.unwrap();
    cx.cancel.cancel();
    assert_eq!(source.next(&cx).await.unwrap_err().kind(), ErrorKind::Cancelled);
}
