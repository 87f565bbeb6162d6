#![allow(clippy::unwrap_used)] // helpers stand outside of #[test] functions
//! Records with outcomes, and whole tables.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray, UInt64Array,
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
    assert!(sink.is_repeatable());
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

/// The refused records: place, code, words.
fn refused(receipt: &Receipt) -> Vec<(usize, &str, &str)> {
    let outcomes = receipt.outcomes.iter().enumerate();
    outcomes
        .filter_map(|(row, outcome)| match outcome {
            Outcome::Rejected { code, message } => Some((row, code.as_str(), message.as_str())),
            _ => None,
        })
        .collect()
}

const SHOW: &str = "select id || '=' || ifnull(note, '-') from t order by id";

#[tokio::test]
async fn refused_records_are_named_and_the_others_are_written() {
    let mut database = Database::with(
        "create table other (code text unique);
         create table t (id int primary key, note varchar(5) not null unique,
             check (id < 200), foreign key (note) references other (code) deferrable initially deferred)",
    )
    .await;
    let rows: Vec<String> = (0..100).map(|id| format!("('n{id}')")).collect();
    database.execute(&format!("insert into other values {}", rows.join(", "))).await;
    let notes: Vec<String> = (0..100).map(|id| format!("n{id}")).collect();
    let mut rows: Vec<(i64, Option<&str>)> =
        (0..100).zip(&notes).map(|(id, note)| (id, Some(note.as_str()))).collect();
    rows[40].1 = None;
    rows[50].1 = Some("n3");
    rows[77].0 = 300;
    let endpoint = database.target("t", &["id"]);
    let receipt = write(&endpoint, pairs(&rows)).await.unwrap();
    assert_eq!(
        refused(&receipt),
        [
            (40, "1299", "column `note`: a value is missing where one is required"),
            (50, "2067", "another row has the same value where it must be unique"),
            (77, "275", "it breaks a check of the table"),
        ]
    );
    assert_eq!(database.texts("select cast(count(*) as text) from t").await, ["97"]);
    // Sent again, the effect is the same; the last record of a key wins.
    let again = write(&endpoint, pairs(&[(5, Some("n5")), (6, Some("n50")), (6, Some("n40"))]));
    assert!(again.await.unwrap().outcomes.iter().all(|outcome| *outcome == Outcome::Accepted));
    assert_eq!(
        database.texts("select note from t where id in (5, 6) order by id").await,
        ["n5", "n40"]
    );
    // What only the commit looks at is found out record by record.
    let receipt = write(&endpoint, pairs(&[(7, Some("x")), (8, Some("n50"))])).await.unwrap();
    assert_eq!(refused(&receipt), [(0, "787", "it refers to a row that does not exist")]);
    assert_eq!(
        database.texts("select note from t where id in (7, 8) order by id").await,
        ["n7", "n50"]
    );
}

#[tokio::test]
async fn a_trigger_that_undoes_everything_undoes_no_other_record() {
    let mut database = Database::with(
        "create table t (id int primary key, note text);
         create trigger stop before insert on t when new.note = 'canary-4711'
         begin select raise(rollback, 'never say canary-4711'); end",
    )
    .await;
    let endpoint = database.target("t", &["id"]);
    let rows = [(1, Some("a")), (2, Some("canary-4711")), (3, Some("c"))];
    let receipt = write(&endpoint, pairs(&rows)).await.unwrap();
    assert_eq!(refused(&receipt), [(1, "1811", "a trigger of the table refuses it")]);
    assert_eq!(database.texts(SHOW).await, ["1=a", "3=c"]);
    let rows = pairs(&[(4, Some("d")), (5, Some("canary-4711"))]);
    let error = load(&endpoint, rows, LoadMode::Append).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Data, "E-SQLITE-VALUE"));
    assert!(error.message().contains("a trigger of the table refuses it"), "{error}");
    assert_eq!(database.texts(SHOW).await, ["1=a", "3=c"]);
    assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
}

#[tokio::test]
async fn a_key_without_an_index_or_a_value_is_refused() {
    let mut database = Database::with(
        "create table none (id int, note text); create index plain on none (id);
         create unique index some on none (id) where note is not null;
         create table pair (id int, note text, primary key (id, note));
         create table second (id integer, note text unique, primary key (id));
         create view v as select * from second",
    )
    .await;
    for table in ["none", "pair", "v"] {
        let error = write(&database.target(table, &["id"]), pairs(&[(1, None)])).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Config, "E-SQLITE-KEY"), "{table}");
        assert!(error.hint_text().is_some());
    }
    // Only the push's own key is written over: what meets another row elsewhere is refused.
    let endpoint = database.target("second", &["id"]);
    let receipt = write(&endpoint, pairs(&[(1, Some("x")), (2, Some("x"))])).await.unwrap();
    assert_eq!(refused(&receipt).len(), 1);
    let endpoint = database.target("pair", &["id", "note"]);
    let receipt = write(&endpoint, pairs(&[(1, None), (1, Some("x"))])).await.unwrap();
    let words = "column `note`: a value is missing where one is required";
    assert_eq!(refused(&receipt), [(0, "value", words)]);
    assert_eq!(database.texts("select note from pair").await, ["x"]);
    let error = write(&database.target("nope", &["id"]), pairs(&[])).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::NotFound, "E-TABLE-MISSING"));
}

#[tokio::test]
async fn records_that_are_all_text_become_what_their_columns_are() {
    let mut database = Database::with(
        "create table t (id text primary key, n int(10), fee decimal(12,2), at datetime, ok boolean,
             code varchar(10), odd string)",
    )
    .await;
    let text = |values: [&str; 3]| -> ArrayRef { Arc::new(StringArray::from(values.to_vec())) };
    let batch = RecordBatch::try_from_iter([
        ("id", text(["1", "2", "3"])),
        ("n", text(["12", "many", "7"])),
        ("fee", text(["12.50", "1", "1.234"])),
        ("at", text(["2018-06-12 09:30:00", "2018-06-12", "2018-06-12T09:30:00"])),
        ("ok", text(["true", "0", "1"])),
        ("code", text(["007", "7", "7"])),
        ("odd", text(["x", "y", "z"])),
    ])
    .unwrap();
    let endpoint = database.target("t", &["id"]);
    let receipt = write(&endpoint, batch).await.unwrap();
    assert_eq!(
        refused(&receipt),
        [
            (1, "value", "column `n`: a text is no whole number"),
            (2, "value", "column `fee`: a number is finer than its column"),
        ]
    );
    let types =
        "select typeof(n) || ' ' || typeof(fee) || ' ' || typeof(at) || ' ' || ok || ' ' || code
                 from t";
    assert_eq!(database.texts(types).await, ["integer real text 1 007"]);
    let back = database.read(json!({ "table": "t" }), json!({})).await;
    assert_eq!(
        (back.column("fee"), back.column("ok")),
        (vec!["12.50".into()], vec!["true".into()])
    );
    // `string` is no type of SQLite's, and such a column keeps a number in place of its text.
    let odd = [("id", text(["4", "5", "6"])), ("odd", text(["007", "a7", "1e5"]))];
    let receipt = write(&endpoint, RecordBatch::try_from_iter(odd).unwrap()).await.unwrap();
    let words = "column `odd`: the column would keep this text as a number";
    assert_eq!(refused(&receipt), [(0, "value", words), (2, "value", words)]);
}

#[tokio::test]
async fn values_that_would_not_be_kept_are_refused() {
    let database = Database::with(
        "create table t (id integer primary key, n integer, score real, day date, ok boolean,
             fee decimal(20,4), at datetime)",
    )
    .await;
    let endpoint = database.target("t", &["id"]);
    let fee = Decimal128Array::from(vec![123_456, 1_234_567_890_123_456, 1]);
    let fee = fee.with_precision_and_scale(20, 4).unwrap();
    let micros = TimestampMicrosecondArray::from(vec![1_717_200_000_000_001; 3]);
    let batch = RecordBatch::try_from_iter([
        ("id", Arc::new(Int64Array::from(vec![1, 2, 3])) as ArrayRef),
        ("n", Arc::new(UInt64Array::from(vec![7, 7, u64::MAX])) as ArrayRef),
        ("score", Arc::new(Float64Array::from(vec![f64::INFINITY, 0.1, 0.1])) as ArrayRef),
        ("day", Arc::new(Date32Array::from(vec![19_000; 3])) as ArrayRef),
        ("ok", Arc::new(BooleanArray::from(vec![true; 3])) as ArrayRef),
        ("fee", Arc::new(fee) as ArrayRef),
        ("at", Arc::new(micros) as ArrayRef),
    ])
    .unwrap();
    let receipt = write(&endpoint, batch.clone()).await.unwrap();
    assert_eq!(
        refused(&receipt),
        [
            (1, "value", "column `fee`: a number has more digits than its column keeps"),
            (2, "value", "column `n`: a number is out of range"),
        ]
    );
    let back = database.read(json!({ "table": "t" }), json!({})).await;
    for name in ["score", "day", "ok", "at"] {
        let sent = batch.column_by_name(name).unwrap().slice(0, 1);
        let came = back.batches[0].column_by_name(name).unwrap();
        assert_eq!(came.as_ref(), sent.as_ref(), "{name}");
    }
    let nan = RecordBatch::try_from_iter([
        ("id", Arc::new(Int64Array::from(vec![9])) as ArrayRef),
        ("score", Arc::new(Float64Array::from(vec![f64::NAN])) as ArrayRef),
    ]);
    let receipt = write(&endpoint, nan.unwrap()).await.unwrap();
    assert_eq!(refused(&receipt), [(0, "value", "column `score`: SQLite has no such number")]);
    let unfit = RecordBatch::try_from_iter([
        ("id", Arc::new(Int64Array::from(vec![9])) as ArrayRef),
        ("score", Arc::new(Int64Array::from(vec![9])) as ArrayRef),
    ]);
    let error = write(&endpoint, unfit.unwrap()).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Schema, "E-SQLITE-FIT"));
    assert!(error.message().contains("`score`"), "{error}");
}

#[tokio::test]
async fn tables_are_appended_to_merged_and_replaced() {
    let mut database = Database::with(
        "create table t (id int primary key, note text); insert into t values (1, 'old'), (2, 'old')",
    )
    .await;
    let endpoint = database.target("t", &["id"]);
    let both = pairs(&[(2, Some("new")), (3, Some("new"))]);
    let error = load(&endpoint, both.clone(), LoadMode::Append).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Data, "E-SQLITE-VALUE"));
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
async fn a_dropped_load_leaves_the_table_as_it_was() {
    let mut database = Database::with(
        "create table t (id int primary key, note text); insert into t values (1, 'old')",
    )
    .await;
    let endpoint = database.target("t", &["id"]);
    let batch = pairs(&[(2, Some("new"))]);
    let mut loader = loader(&endpoint, &batch, LoadMode::Replace).await.unwrap();
    loader.write(&limited(10), batch.clone()).await.unwrap();
    assert_eq!(database.texts(SHOW).await, ["1=old"], "nothing is visible before the end");
    drop(loader);
    assert_eq!(database.texts(SHOW).await, ["1=old"]);
    // The file is let go of: it can be written again.
    assert_eq!(load(&endpoint, batch, LoadMode::Replace).await.unwrap(), 1);
    assert_eq!(database.texts(SHOW).await, ["2=new"]);
}

#[tokio::test]
async fn a_file_that_is_not_there_is_not_made() {
    let database = Database::with("create table t (id int primary key, note text)").await;
    let endpoint = database.target("t", &["id"]);
    std::fs::remove_file(database.folder().join("source.db")).unwrap();
    let error = write(&endpoint, pairs(&[(1, None)])).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::NotFound, "E-SQLITE-MISSING"));
    assert!(!database.folder().join("source.db").exists());
}
