#![allow(clippy::unwrap_used)] // helpers stand outside of #[test] functions
//! Writing records and whole tables.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use huiliu_sdk::{
    Cx, Error, ErrorKind, LoadMode, LoadRequest, Outcome, StreamId, WriteBatch, WriteRequest,
};
use serde_json::json;

use crate::support::{Database, limited};

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    )
    .unwrap()
}

fn pairs(ids: &[i64], names: &[&str]) -> RecordBatch {
    batch(vec![
        ("id", Arc::new(Int64Array::from(ids.to_vec()))),
        ("name", Arc::new(StringArray::from(names.to_vec()))),
    ])
}

async fn load(
    database: &Database,
    to: &str,
    mode: LoadMode,
    batches: &[RecordBatch],
) -> Result<u64, Error> {
    let endpoint = database.target(to, &["id"]);
    let push = StreamId::new("p");
    let request = LoadRequest { push, schema: batches[0].schema(), mode };
    let cx = Cx::new();
    let mut loader = endpoint.loader(&cx, request).await?;
    for batch in batches {
        loader.write(&cx, batch.clone()).await?;
    }
    loader.finish(&cx).await
}

#[tokio::test]
async fn a_refused_record_leaves_the_others_written() {
    let mut database = Database::with(
        "create table t (id int primary key, name varchar(5) not null, at timestamptz, \
           fee numeric(5,2) check (fee >= 0));",
    )
    .await;
    let names = ["a", "too long", "n\0l", "b", "c", "a2"];
    let rows = batch(vec![
        ("id", Arc::new(Int64Array::from(vec![1, 2, 3, 4, 5_000_000_000, 1]))),
        ("name", Arc::new(StringArray::from(names.to_vec()))),
        ("at", Arc::new(TimestampMicrosecondArray::from(vec![0; 6]))),
        ("fee", Arc::new(StringArray::from(vec!["1.25", "1", "1", "-1", "1", "2"]))),
    ]);
    let endpoint = database.target("t", &["id"]);
    let cx = limited(100);
    let push = StreamId::new("p");
    let mut sink = endpoint.sink(&cx, WriteRequest { push: push.clone() }).await.unwrap();
    for _ in 0..2 {
        let idempotency_keys = (0..6).map(|key| key.to_string()).collect();
        let batch = WriteBatch { stream: push.clone(), batch: rows.clone(), idempotency_keys };
        let receipt = sink.write(&cx, batch).await.unwrap();
        let codes: Vec<&str> = receipt
            .outcomes
            .iter()
            .map(|outcome| match outcome {
                Outcome::Accepted => "",
                Outcome::Rejected { code, message } => {
                    assert!(!message.contains("too long\"") && !message.contains("5000000000"));
                    code.as_str()
                }
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(codes, ["", "22001", "22021", "23514", "22003", ""]);
    }
    let all =
        "select string_agg(id || name || fee || (at at time zone 'Asia/Shanghai'), ',') from t";
    assert_eq!(database.text(all).await, "1a22.001970-01-01 00:00:00");
    drop(sink);
    database.drop().await;
}

#[tokio::test]
async fn a_table_is_appended_merged_or_replaced_in_one_transaction() {
    let mut database = Database::with(
        "create table t (id int primary key, name text); insert into t values (1, 'old')",
    )
    .await;
    let all = "select string_agg(id || name, ',' order by id) from t";
    let one = [pairs(&[2], &["b"]), pairs(&[3, 4], &["王\"芳", ""])];
    assert_eq!(load(&database, "t", LoadMode::Append, &one).await.unwrap(), 3);
    assert_eq!(database.text(all).await, "1old,2b,3王\"芳,4");
    let again = load(&database, "t", LoadMode::Append, &one).await.unwrap_err();
    assert_eq!((again.kind(), again.code()), (ErrorKind::Data, "E-POSTGRES-DATA"));
    let two = [pairs(&[1, 5], &["new", "e"])];
    assert_eq!(load(&database, "t", LoadMode::Upsert, &two).await.unwrap(), 2);
    assert_eq!(database.text(all).await, "1new,2b,3王\"芳,4,5e");
    assert_eq!(load(&database, "t", LoadMode::Replace, &two[..1]).await.unwrap(), 2);
    assert_eq!(database.text(all).await, "1new,5e");

    let endpoint = database.target("t", &["id"]);
    let cx = Cx::new();
    let schema = two[0].schema();
    let request = LoadRequest { push: StreamId::new("p"), schema, mode: LoadMode::Replace };
    let mut loader = endpoint.loader(&cx, request).await.unwrap();
    loader.write(&cx, two[0].clone()).await.unwrap();
    drop(loader);
    // The lock of the dropped transaction is gone once this one gets it.
    database.execute("begin; lock table t in access exclusive mode; commit").await;
    assert_eq!(database.text(all).await, "1new,5e");
    database.drop().await;
}

#[tokio::test]
async fn what_does_not_fit_the_target_is_named_and_nothing_is_written() {
    let mut database = Database::with("create table t (id smallint primary key, name text)").await;
    let wide = [pairs(&[1, 70_000], &["a", "b"])];
    let error = load(&database, "t", LoadMode::Append, &wide).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Data, "E-RANGE"));
    assert!(error.message().contains("`id`"));
    let nul = [pairs(&[1], &["a\0"])];
    let error = load(&database, "t", LoadMode::Append, &nul).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Data, "E-NUL"));
    let other = [batch(vec![
        ("id", Arc::new(Int32Array::from(vec![1]))),
        ("Name", Arc::new(StringArray::from(vec!["a"]))),
    ])];
    let error = load(&database, "t", LoadMode::Append, &other).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Schema, "E-COLUMN-MISSING"));
    let error = load(&database, "gone", LoadMode::Append, &wide).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let statement = error.hint_text().unwrap().split_once("example: ").unwrap().1.to_owned();
    database.execute(&statement).await;
    assert_eq!(load(&database, "gone", LoadMode::Append, &wide).await.unwrap(), 2);
    assert_eq!(database.text("select count(*)::text from t").await, "0");
    database.drop().await;
}

#[tokio::test]
async fn every_type_survives_a_round_trip() {
    let mut database = Database::with(
        "create type mood as enum ('好', 'bad'); \
         create table a (id int primary key, b bool, i2 int2, i8 int8, f4 float4, f8 float8, \
           n numeric(12,2), wide numeric(38,10), free numeric, tx text, ch char(4), e mood, u uuid, \
           js json, jb jsonb, ip inet, iv interval, tz timetz, arr int[], by bytea, da date, \
           ts timestamp, tt timestamptz); \
         insert into a values (1, true, -32768, -9223372036854775808, 'NaN', '-Infinity', -0.05, \
           1234567890123456789012345678.0123456789, 3.140, '王', 'ab', '好', \
           'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{\"a\" : 1}', '{\"a\": 1}', '10.0.0.1', \
           '1 mon 2 days', '23:59:59.5+08', '{1,null}', '\\x00ff', '0001-01-01', \
           '9999-12-31 23:59:59.999999', '1969-12-31 23:59:59+00'); \
         insert into a (id) values (2); \
         create table b (like a including all);",
    )
    .await;
    for mode in [LoadMode::Append, LoadMode::Upsert, LoadMode::Replace] {
        let outcome = database.read(json!({ "table": "a" }), json!({ "key": ["id"] })).await;
        load(&database, "b", mode, &outcome.batches).await.unwrap();
        let differing = "select count(*)::text from (select x::text from a as x except select y::text from b as y) x";
        assert_eq!(database.text(differing).await, "0");
        assert_eq!(database.text("select count(*)::text from b").await, "2");
    }
    database.drop().await;
}
