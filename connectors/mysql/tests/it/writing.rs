#![allow(clippy::unwrap_used)] // helpers stand outside of #[test] functions
//! Records with outcomes, and whole tables.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray,
};
use huiliu_sdk::{
    Endpoint, Error, ErrorKind, LoadMode, LoadRequest, Loader, Outcome, Receipt, StreamId,
    WriteBatch, WriteRequest,
};
use serde_json::json;

use crate::support::{Database, limited};

fn pairs(rows: &[(i64, Option<&str>)]) -> RecordBatch {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0)));
    let notes: ArrayRef = Arc::new(StringArray::from_iter(rows.iter().map(|row| row.1)));
    RecordBatch::try_from_iter([("id", ids), ("note", notes)]).unwrap()
}

async fn write(endpoint: &Arc<dyn Endpoint>, batch: RecordBatch) -> Result<Receipt, Error> {
    let cx = limited(10);
    let stream = StreamId::new("p");
    let mut sink = endpoint.sink(&cx, WriteRequest { push: stream.clone() }).await?;
    let idempotency_keys = (0..batch.num_rows()).map(|row| row.to_string()).collect();
    sink.write(&cx, WriteBatch { stream, batch, idempotency_keys }).await
}

async fn loader(
    endpoint: &Arc<dyn Endpoint>,
    batch: &RecordBatch,
    mode: LoadMode,
) -> Result<Box<dyn Loader>, Error> {
    let request = LoadRequest { push: StreamId::new("p"), schema: batch.schema(), mode };
    endpoint.loader(&limited(10), request).await
}

async fn load(
    endpoint: &Arc<dyn Endpoint>,
    batch: RecordBatch,
    mode: LoadMode,
) -> Result<u64, Error> {
    let cx = limited(10);
    let mut loader = loader(endpoint, &batch, mode).await?;
    loader.write(&cx, batch).await?;
    loader.finish(&cx).await
}

const SHOW: &str = "select concat(id, '=', ifnull(note, '-')) from t order by id";

#[tokio::test]
async fn refused_records_are_named_and_the_others_are_written() {
    let mut database =
        Database::with("create table t (id tinyint primary key, note varchar(5) not null)").await;
    let endpoint = database.target("t", &["id"]);
    let mut rows: Vec<(i64, Option<&str>)> = (1..=100).map(|id| (id, Some("ok"))).collect();
    rows[10].1 = Some("canary-too-long");
    rows[40].1 = None;
    rows[77].0 = 300;
    rows[99] = (1, Some("again"));
    let receipt = write(&endpoint, pairs(&rows)).await.unwrap();
    let refused: Vec<(usize, &str, &str)> = receipt
        .outcomes
        .iter()
        .enumerate()
        .filter_map(|(row, outcome)| match outcome {
            Outcome::Rejected { code, message } => Some((row, code.as_str(), message.as_str())),
            _ => None,
        })
        .collect();
    assert_eq!(refused[0], (10, "1406", "column `note`: a text is too long"));
    assert_eq!(refused[1], (40, "1048", "column `note`: a value is missing where one is required"));
    assert_eq!(refused[2], (77, "1264", "column `id`: a number is out of range"));
    assert_eq!(refused.len(), 3);
    assert_eq!(receipt.outcomes.iter().filter(|o| **o == Outcome::Accepted).count(), 97);
    assert_eq!(database.texts("select count(*) from t").await, ["96"]);
    assert_eq!(database.texts("select note from t where id = 1").await, ["again"], "last wins");
    // Sent twice, the effect is the same.
    let again = write(&endpoint, pairs(&[(5, Some("ok"))])).await.unwrap();
    assert_eq!(again.outcomes, [Outcome::Accepted]);
    assert_eq!(database.texts("select count(*) from t").await, ["96"]);
}

#[tokio::test]
async fn a_key_that_is_not_the_tables_only_one_is_refused() {
    let database = Database::with(
        "create table none (id int, note text); create table two (id int primary key, note varchar(9) unique);
         create table serial (serial int auto_increment primary key, id int unique, note text);
         create table m (id int primary key, note text) engine = myisam",
    )
    .await;
    for table in ["none", "two"] {
        let error = write(&database.target(table, &["id"]), pairs(&[(1, None)])).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Config, "E-MYSQL-KEY"), "{table}");
    }
    let error = write(&database.target("m", &["id"]), pairs(&[(1, None)])).await.unwrap_err();
    assert_eq!(error.code(), "E-MYSQL-ENGINE");
    let receipt = write(&database.target("serial", &["id"]), pairs(&[(1, None)])).await.unwrap();
    assert_eq!(receipt.outcomes, [Outcome::Accepted]);
}

#[tokio::test]
async fn tables_are_appended_to_merged_and_replaced() {
    let mut database =
        Database::with("create table t (id int primary key, note text); insert into t values (1, 'old'), (2, 'old')")
            .await;
    let endpoint = database.target("t", &["id"]);
    let both = pairs(&[(2, Some("new")), (3, Some("new"))]);
    let error = load(&endpoint, both.clone(), LoadMode::Append).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Data, "E-MYSQL-VALUE"));
    assert_eq!(database.texts(SHOW).await, ["1=old", "2=old"]);
    assert_eq!(load(&endpoint, both.clone(), LoadMode::Upsert).await.unwrap(), 2);
    assert_eq!(database.texts(SHOW).await, ["1=old", "2=new", "3=new"]);
    assert_eq!(load(&endpoint, both, LoadMode::Replace).await.unwrap(), 2);
    assert_eq!(database.texts(SHOW).await, ["2=new", "3=new"]);
    assert_eq!(load(&endpoint, pairs(&[(4, None)]), LoadMode::Append).await.unwrap(), 1);
    assert_eq!(database.texts(SHOW).await, ["2=new", "3=new", "4=-"]);
    assert_eq!(load(&endpoint, pairs(&[]), LoadMode::Replace).await.unwrap(), 0);
    assert!(database.texts(SHOW).await.is_empty());
}

#[tokio::test]
async fn a_dropped_or_failed_load_leaves_the_table_as_it_was() {
    let mut database = Database::with(
        "create table t (id tinyint primary key, note text); insert into t values (1, 'old')",
    )
    .await;
    let endpoint = database.target("t", &["id"]);
    let batch = pairs(&[(2, Some("new"))]);
    let mut loader = loader(&endpoint, &batch, LoadMode::Replace).await.unwrap();
    loader.write(&limited(10), batch.clone()).await.unwrap();
    assert_eq!(database.texts(SHOW).await, ["1=old"], "nothing is visible before the end");
    drop(loader);
    assert_eq!(database.texts(SHOW).await, ["1=old"]);
    // The server lets go of the rows: they can be written again.
    let error =
        load(&endpoint, pairs(&[(9, None), (300, None)]), LoadMode::Replace).await.unwrap_err();
    assert_eq!(error.code(), "E-MYSQL-VALUE");
    assert!(error.message().contains("column `id`: a number is out of range"), "{error}");
    assert_eq!(database.texts(SHOW).await, ["1=old"]);
    assert_eq!(load(&endpoint, batch, LoadMode::Replace).await.unwrap(), 1);
    assert_eq!(database.texts(SHOW).await, ["2=new"]);
}

#[tokio::test]
async fn values_come_back_as_they_were_sent() {
    let mut database = Database::with(
        "create table t (id bigint unsigned primary key, fee decimal(10,2), score double, day date,
             at datetime(6), instant timestamp(6) null, raw blob, span time, note varchar(20) character set gbk)",
    )
    .await;
    let decimal = |values: Vec<i128>, precision, scale| -> ArrayRef {
        let array = Decimal128Array::from(values).with_precision_and_scale(precision, scale);
        Arc::new(array.unwrap())
    };
    let micros = TimestampMicrosecondArray::from(vec![1_717_200_000_000_001]);
    let batch = RecordBatch::try_from_iter([
        ("id", decimal(vec![u64::MAX.into()], 20, 0)),
        ("fee", decimal(vec![-1234], 10, 2)),
        ("score", Arc::new(Float64Array::from(vec![0.1])) as ArrayRef),
        ("day", Arc::new(Date32Array::from(vec![19_000])) as ArrayRef),
        ("at", Arc::new(micros.clone()) as ArrayRef),
        ("instant", Arc::new(micros.with_timezone("UTC")) as ArrayRef),
        ("raw", Arc::new(BinaryArray::from(vec![&[0xff_u8, 0][..]])) as ArrayRef),
        ("span", Arc::new(StringArray::from(vec!["-838:59:59"])) as ArrayRef),
        ("note", Arc::new(StringArray::from(vec!["办件"])) as ArrayRef),
    ])
    .unwrap();
    let endpoint = database.target("t", &["id"]);
    assert_eq!(load(&endpoint, batch.clone(), LoadMode::Append).await.unwrap(), 1);
    let back = database.read(json!({ "table": "t" }), json!({})).await;
    for (index, field) in batch.schema().fields().iter().enumerate() {
        let name = field.name();
        assert_eq!(back.batches[0].column(index).as_ref(), batch.column(index).as_ref(), "{name}");
    }
    database.execute("alter table t modify fee decimal(10,1)").await;
    let error = load(&endpoint, batch, LoadMode::Replace).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Schema, "E-MYSQL-FIT"));
    assert!(error.message().contains("`fee`"));
}

#[tokio::test]
async fn more_rows_than_one_statement_takes_are_written_whole() {
    let mut database = Database::with("create table t (id int primary key, note longtext)").await;
    let endpoint = database.target("t", &["id"]);
    let long = "长".repeat(2_000_000);
    let rows: Vec<(i64, Option<&str>)> = (0..5_000)
        .map(|id| (id, Some(if id % 1_000 == 7 { long.as_str() } else { "short" })))
        .collect();
    assert_eq!(load(&endpoint, pairs(&rows), LoadMode::Replace).await.unwrap(), 5_000);
    assert_eq!(
        database.texts("select concat(count(*), ' ', max(length(note))) from t").await,
        ["5000 6000000"]
    );
}

#[tokio::test]
async fn a_connection_killed_before_the_commit_is_an_error_and_writes_nothing() {
    let mut database = Database::with("create table t (id int primary key, note text)").await;
    let endpoint = database.target("t", &["id"]);
    let batch = pairs(&[(1, None)]);
    let mut loader = loader(&endpoint, &batch, LoadMode::Append).await.unwrap();
    loader.write(&limited(10), batch).await.unwrap();
    let list = format!(
        "select cast(id as char) from information_schema.processlist where db = '{}' and id <> connection_id()",
        database.name
    );
    for id in database.texts(&list).await {
        database.execute(&format!("kill {id}")).await;
    }
    let error = loader.finish(&limited(10)).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unreachable, "E-MYSQL-UNKNOWN"));
    assert!(database.texts(SHOW).await.is_empty());
}
