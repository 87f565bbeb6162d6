//! Records and whole tables on their way into a database.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray,
};
use huiliu_sdk::{Cx, LoadMode, LoadRequest, Outcome, StreamId, WriteBatch, WriteRequest};

use crate::support::{Database, KINDS, Kind};

fn records(rows: &[(i64, Option<&str>)]) -> RecordBatch {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0)));
    let texts: ArrayRef = Arc::new(rows.iter().map(|row| row.1).collect::<StringArray>());
    RecordBatch::try_from_iter_with_nullable([("id", ids, false), ("v", texts, true)]).unwrap()
}

fn batch(batch: RecordBatch) -> WriteBatch {
    let keys = (0..batch.num_rows()).map(|row| row.to_string()).collect();
    WriteBatch { stream: StreamId::new("p"), batch, idempotency_keys: keys }
}

const TABLE: &str = "create table t (id int primary key, v varchar(5) check (v <> 'bad'))";

#[tokio::test]
async fn each_record_has_its_outcome_and_is_there_once() {
    for kind in KINDS {
        let database = Database::with(kind, TABLE).await;
        let cx = Cx::new();
        let target = database.target(&["id"]);
        let request = WriteRequest { push: StreamId::new("p") };
        let mut sink = target.sink(&cx, request).await.unwrap();
        assert!(sink.is_repeatable());
        let sent = records(&[(1, Some("甲")), (2, Some("bad")), (3, None)]);
        for _ in 0..2 {
            let receipt = sink.write(&cx, batch(sent.clone())).await.unwrap();
            let [Outcome::Accepted, Outcome::Rejected { code, message }, Outcome::Accepted] =
                &receipt.outcomes[..]
            else {
                panic!("{kind:?}: {:?}", receipt.outcomes);
            };
            assert!(code.starts_with("23") || code.starts_with("HY"), "{kind:?}: {code}");
            assert!(!message.contains("bad"), "{message}");
        }
        let changed = sink.write(&cx, batch(records(&[(1, Some("乙"))]))).await.unwrap();
        assert_eq!(changed.outcomes, [Outcome::Accepted]);
        let sql = "select coalesce(v, '-') from t order by id";
        assert_eq!(database.texts(sql).await, ["乙", "-"], "{kind:?}");
        drop(sink);
        database.drop().await;
    }
}

#[tokio::test]
async fn every_type_arrives_exactly() {
    let database = Database::with(
        Kind::Postgres,
        "create table t (id bigint primary key, money numeric(20,4), f double precision, b boolean, \
         day date, at timestamp, v text)",
    )
    .await;
    let cx = Cx::new();
    let decimals = Decimal128Array::from(vec![12_345_678_901_234_567_890_i128])
        .with_precision_and_scale(20, 4)
        .unwrap();
    let columns: [(&str, ArrayRef); 7] = [
        ("id", Arc::new(Int64Array::from(vec![i64::MAX]))),
        ("money", Arc::new(decimals)),
        ("f", Arc::new(Float64Array::from(vec![0.1]))),
        ("b", Arc::new(BooleanArray::from(vec![true]))),
        ("day", Arc::new(Date32Array::from(vec![17_590]))),
        ("at", Arc::new(TimestampMicrosecondArray::from(vec![1_528_794_000_123_456]))),
        ("v", Arc::new(StringArray::from(vec!["王芳 🏛 'x'"]))),
    ];
    let target = database.target(&["id"]);
    let request = WriteRequest { push: StreamId::new("p") };
    let mut sink = target.sink(&cx, request).await.unwrap();
    for _ in 0..2 {
        let sent = RecordBatch::try_from_iter(columns.clone()).unwrap();
        let receipt = sink.write(&cx, batch(sent)).await.unwrap();
        assert_eq!(receipt.outcomes, [Outcome::Accepted]);
    }
    let sql = "select concat_ws('|', id, money, f, b, day, at, v) from t";
    assert_eq!(
        database.texts(sql).await,
        [
            "9223372036854775807|1234567890123456.7890|0.1|t|2018-02-28|2018-06-12 09:00:00.123456|王芳 🏛 'x'"
        ]
    );
    drop(sink);
    database.drop().await;
}

#[tokio::test]
async fn a_whole_table_is_there_at_once_or_not_at_all() {
    for kind in KINDS {
        let database = Database::with(kind, TABLE).await;
        let cx = Cx::new();
        let target = database.target(&["id"]);
        let load = async |mode, parts: &[RecordBatch], is_ended: bool| {
            let request = LoadRequest { push: StreamId::new("p"), schema: parts[0].schema(), mode };
            let mut loader = target.loader(&cx, request).await.unwrap();
            for part in parts {
                loader.write(&cx, part.clone()).await?;
            }
            if is_ended { loader.finish(&cx).await } else { Ok(0) }
        };
        let sql = "select coalesce(v, '-') from t order by id";
        let two = [records(&[(1, Some("a"))]), records(&[(2, Some("b"))])];
        assert_eq!(load(LoadMode::Append, &two, true).await.unwrap(), 2);
        assert_eq!(database.texts(sql).await, ["a", "b"], "{kind:?}");
        let more = [records(&[(2, Some("c")), (3, Some("d"))])];
        assert_eq!(load(LoadMode::Upsert, &more, true).await.unwrap(), 2);
        assert_eq!(database.texts(sql).await, ["a", "c", "d"], "{kind:?}");
        // One that is dropped leaves everything as it was, and so does one that is refused.
        load(LoadMode::Replace, &two, false).await.unwrap();
        assert_eq!(database.texts(sql).await, ["a", "c", "d"], "{kind:?}");
        let bad = [records(&[(7, Some("bad"))])];
        let error = load(LoadMode::Replace, &bad, true).await.err().unwrap();
        assert!(!error.to_string().contains("bad"), "{error}");
        assert_eq!(database.texts(sql).await, ["a", "c", "d"], "{kind:?}");
        assert_eq!(load(LoadMode::Replace, &two, true).await.unwrap(), 2);
        assert_eq!(database.texts(sql).await, ["a", "b"], "{kind:?}");
        database.drop().await;
    }
}
