//! Real targets: of files (target-jsonl) and of PostgreSQL (Meltano's SDK).

use std::sync::Arc;

use arrow::array::{ArrayRef, Decimal128Array, Int64Array, RecordBatch, StringArray};
use huiliu_sdk::{
    Cx, Endpoint, ErrorKind, LoadMode, LoadRequest, Outcome, StreamId, WriteBatch, WriteRequest,
};
use serde_json::{Value, json};

use crate::servers::Postgres;
use crate::support::{endpoint, installed};

fn rows(ids: std::ops::Range<i64>, name: &str) -> RecordBatch {
    let amounts = ids.clone().map(|id| Some(i128::from(id) * 101)).collect::<Decimal128Array>();
    let names = StringArray::from_iter_values(ids.clone().map(|_| name));
    RecordBatch::try_from_iter([
        ("id", Arc::new(Int64Array::from_iter_values(ids)) as ArrayRef),
        ("name", Arc::new(names)),
        ("amount", Arc::new(amounts.with_precision_and_scale(20, 2).unwrap())),
    ])
    .unwrap()
}

async fn write(endpoint: &dyn Endpoint, batch: RecordBatch) -> Vec<Outcome> {
    let cx = Cx::new();
    let push = StreamId::new("p");
    let mut sink = endpoint.sink(&cx, WriteRequest { push: push.clone() }).await.unwrap();
    let keys = (0..batch.num_rows()).map(|key| key.to_string()).collect();
    let batch = WriteBatch { stream: push, batch, idempotency_keys: keys };
    let receipt = sink.write(&cx, batch).await.unwrap();
    receipt.outcomes
}

async fn load(endpoint: &dyn Endpoint, mode: LoadMode, batch: RecordBatch) -> u64 {
    let cx = Cx::new();
    let (push, schema) = (StreamId::new("p"), batch.schema());
    let mut loader = endpoint.loader(&cx, LoadRequest { push, schema, mode }).await.unwrap();
    loader.write(&cx, batch).await.unwrap();
    loader.finish(&cx).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_of_files_has_every_record_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let command = [installed("target-jsonl", "target-jsonl")];
    let config = json!({ "destination_path": folder.path(), "do_timestamp_file": false });
    let push = json!({ "name": "p", "key": ["id"], "to": "cases" });
    let endpoint = endpoint(json!({ "command": command, "config": config }), vec![], vec![push]);
    endpoint.probe(&Cx::new()).await.unwrap();
    let outcomes =
        write(&*endpoint, rows(9_007_199_254_740_993..9_007_199_254_740_995, "王\"芳")).await;
    assert_eq!(outcomes, [Outcome::Accepted, Outcome::Accepted]);
    let text = std::fs::read_to_string(folder.path().join("cases.jsonl")).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), &lines[0]["name"]), (2, &json!("王\"芳")));
    assert_eq!(lines[0]["id"].to_string(), "9007199254740993");
    assert_eq!(lines[0]["amount"].to_string(), "9097271247288402.93");
}

fn postgres(config: Value, more: Value) -> Arc<dyn Endpoint> {
    let command = [installed("target-postgres", "target-postgres")];
    let mut push = json!({ "name": "p", "key": ["id"], "to": "cases" });
    crate::support::merge(&mut push, more);
    let mut whole = json!({ "default_target_schema": "out", "hard_delete": true });
    crate::support::merge(&mut whole, config);
    endpoint(json!({ "command": command, "config": whole }), vec![], vec![push])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_of_postgres_takes_records_and_whole_tables() {
    let database = Postgres::with("create schema out");
    let endpoint = postgres(database.config(), json!({ "repeatable": true }));
    assert!(!endpoint.probe(&Cx::new()).await.unwrap().summary.is_empty());
    // The same record twice is there once.
    for name in ["a", "b"] {
        assert_eq!(
            write(&*endpoint, rows(1..3, name)).await,
            [Outcome::Accepted, Outcome::Accepted]
        );
    }
    let all = || database.query("select id, name, amount from out.cases order by id");
    assert_eq!(all(), "1|b|1.01\n2|b|2.02");
    assert_eq!(load(&*endpoint, LoadMode::Upsert, rows(2..5, "c")).await, 3);
    assert_eq!(all(), "1|b|1.01\n2|c|2.02\n3|c|3.03\n4|c|4.04");
    assert_eq!(load(&*endpoint, LoadMode::Replace, rows(3..5, "d")).await, 2);
    assert_eq!(all(), "3|d|3.03\n4|d|4.04");
    let appending = postgres(database.config(), json!({ "to": "log" }));
    for _ in 0..2 {
        assert_eq!(load(&*appending, LoadMode::Append, rows(1..2, "e")).await, 1);
    }
    assert_eq!(database.query("select id, name from out.log"), "1|e\n1|e");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_cannot_write_is_told_without_its_password() {
    let database = Postgres::with("");
    let mut config = database.config();
    config["database"] = json!("canary_database");
    let endpoint = postgres(config, json!({ "repeatable": true }));
    let cx = Cx::new();
    let push = StreamId::new("p");
    let mut sink = endpoint.sink(&cx, WriteRequest { push: push.clone() }).await.unwrap();
    let batch =
        WriteBatch {
            stream: push, batch: rows(1..2, "王芳"), idempotency_keys: vec!["1".into()]
        };
    let error = sink.write(&cx, batch).await.unwrap_err();
    assert_eq!((error.code(), error.kind()), ("E-SINGER-EXIT", ErrorKind::Unreachable));
    let words = format!("{error:?}");
    assert!(words.contains("does not exist"), "{words}");
    assert!(!words.contains("canary") && !words.contains("王芳"), "{words}");
}
