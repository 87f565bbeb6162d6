//! Files that are written: each comes back as it was, and is never seen before it is whole.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray,
};
use chrono::{DateTime, Utc};
use huiliu_sdk::{
    Cx, Endpoint, Error, ErrorKind, LoadMode, LoadRequest, ManualClock, Outcome, RawPush, StreamId,
    WriteBatch, WriteRequest,
};
use serde_json::{Value, json};
use zip::ZipArchive;

use crate::support::{Drops, configure, limited, raw, read, sha256};

fn batch() -> RecordBatch {
    RecordBatch::try_from_iter([
        ("id", Arc::new(StringArray::from(vec!["340501199001011234", "0002"])) as ArrayRef),
        ("name", Arc::new(StringArray::from(vec![Some("张\"三,\r\n<&> 😀"), None]))),
        ("n", Arc::new(Int64Array::from(vec![Some(9_007_199_254_740_993), Some(-5)]))),
        ("rate", Arc::new(Float64Array::from(vec![Some(0.1), None]))),
        ("ok", Arc::new(BooleanArray::from(vec![Some(true), None]))),
        ("day", Arc::new(Date32Array::from(vec![Some(17_683), None]))),
        ("at", Arc::new(TimestampMicrosecondArray::from(vec![Some(1_527_816_600_000_000), None]))),
        (
            "sum",
            Arc::new(
                Decimal128Array::from(vec![Some(1250), Some(-1)])
                    .with_precision_and_scale(12, 2)
                    .unwrap(),
            ),
        ),
    ])
    .unwrap()
}

fn at(text: &str) -> Cx {
    let now: DateTime<Utc> = text.parse().unwrap();
    Cx { clock: Arc::new(ManualClock::new(now)), ..limited(100) }
}

pub(crate) async fn load(
    endpoint: &dyn Endpoint,
    cx: &Cx,
    mode: LoadMode,
    batches: &[RecordBatch],
) -> Result<u64, Error> {
    let schema = batches.first().map_or_else(|| batch().schema(), RecordBatch::schema);
    let request = LoadRequest { push: StreamId::new("p"), schema, mode };
    let mut loader = endpoint.loader(cx, request).await?;
    for batch in batches {
        loader.write(cx, batch.clone()).await?;
    }
    loader.finish(cx).await
}

/// Types of the columns, which formats of text do not have.
fn typed() -> Value {
    json!({ "read": "incremental", "columns": {
        "n": { "type": "int" }, "rate": { "type": "float" }, "ok": { "type": "bool" },
        "day": { "type": "date" }, "at": { "type": "timestamp" },
        "sum": { "type": "decimal(12,2)" },
    } })
}

#[tokio::test]
async fn every_format_comes_back_as_it_was_written() {
    for (file, format, extra) in [
        ("a.csv", "csv", json!({})),
        ("a.csv.gz", "csv", json!({ "encoding": "gb18030", "delimiter": ";" })),
        ("b.csv", "csv", json!({ "encoding": "utf-16le", "delimiter": "\t" })),
        ("a.csv.zip", "csv", json!({ "encoding": "utf-16be", "quote": "'" })),
        ("a.xlsx", "xlsx", json!({})),
        ("a.xls", "xls", json!({ "sheet": "覆盖情况" })),
        ("a.xls.gz", "xls", json!({})),
        ("a.json", "json", json!({})),
        ("a.json.gz", "json", json!({})),
        ("a.json.zip", "json", json!({ "encoding": "gb18030" })),
        ("a.ndjson", "ndjson", json!({})),
        ("b.ndjson", "ndjson", json!({ "encoding": "utf-16le" })),
        ("a.xml", "xml", json!({ "record": "办件" })),
        ("b.xml", "xml", json!({ "record": "办件", "encoding": "gb18030" })),
        ("a.xml.zip", "xml", json!({ "record": "办件", "encoding": "utf-16be" })),
        ("a.xls.zip", "xls", json!({})),
        ("a.parquet", "parquet", json!({})),
        ("a.arrow", "arrow", json!({})),
    ] {
        let drops = Drops::new();
        let mut push = json!({ "file": file, "format": format });
        let mut stream = json!({ "pattern": "*", "format": format });
        for (key, value) in extra.as_object().unwrap() {
            push[key] = value.clone();
            stream[key] = value.clone();
        }
        let endpoint = drops.pushing(push);
        let whole = [batch(), batch()];
        let written = load(&*endpoint, &limited(9), LoadMode::Replace, &whole).await.unwrap();
        assert_eq!(written, 4);
        assert_eq!(drops.names(), [file], "nothing is left beside it");
        let endpoint = drops.endpoint(stream, typed());
        let back = read(&*endpoint, &limited(100), None, None).await.unwrap();
        assert!(back.rejected.is_empty(), "{format}: {:?}", back.rejected);
        for (column, expected) in [
            ("id", ["340501199001011234", "0002"]),
            ("name", ["张\"三,\r\n<&> 😀", "NULL"]),
            ("n", ["9007199254740993", "-5"]),
            ("rate", ["0.1", "NULL"]),
            ("ok", ["true", "NULL"]),
            ("day", ["2018-06-01", "NULL"]),
            ("at", ["2018-06-01T01:30:00", "NULL"]),
            ("sum", ["12.50", "-0.01"]),
        ] {
            assert_eq!(back.column(column)[2..], expected, "{file} {column}");
        }
    }
}

/// A document says itself how it is encoded, to any reader.
#[tokio::test]
async fn text_says_how_it_is_encoded() {
    for (format, encoding, start) in [
        ("csv", "utf-16le", &b"\xff\xfea\0"[..]),
        ("csv", "utf-16be", b"\xfe\xff\0a"),
        ("csv", "gb18030", b"a\r\n"),
        ("xml", "gb18030", b"<?xml version=\"1.0\" encoding=\"GB18030\"?>\n"),
        ("xml", "utf-8", b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"),
        ("json", "utf-16be", b"\xfe\xff\0[\0\n"),
    ] {
        let drops = Drops::new();
        let push = json!({ "file": "a", "format": format, "encoding": encoding });
        let endpoint = drops.pushing(push);
        load(&*endpoint, &limited(9), LoadMode::Replace, &[texts(&["x"])]).await.unwrap();
        let written = std::fs::read(drops.path("a")).unwrap();
        assert!(written.starts_with(start), "{format} {encoding}: {written:?}");
    }
    // A character that the encoding does not have is told with its column.
    for format in ["csv", "json", "ndjson", "xml"] {
        let drops = Drops::new();
        let push = json!({ "file": "a", "format": format, "encoding": "gb18030" });
        let batch = texts(&["\u{e5e5}"]);
        let endpoint = drops.pushing(push);
        let error = load(&*endpoint, &limited(9), LoadMode::Replace, &[batch]).await.err().unwrap();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Data, "E-FILE-VALUE"), "{format}");
        assert!(error.message().contains("`a`"), "{format}: {error}");
        assert!(drops.names().is_empty(), "{format}");
    }
}

#[tokio::test]
async fn an_archive_holds_one_file_of_its_name() {
    for (file, member) in [("办件_1.csv.zip", "办件_1.csv"), ("办件.zip", "办件.csv")] {
        let drops = Drops::new();
        let endpoint = drops.pushing(json!({ "file": file, "control": {} }));
        load(&*endpoint, &limited(9), LoadMode::Replace, &[texts(&["x"])]).await.unwrap();
        let mut archive = ZipArchive::new(File::open(drops.path(file)).unwrap()).unwrap();
        assert_eq!(archive.len(), 1);
        assert_eq!(archive.by_index(0).unwrap().name().unwrap(), member);
        // The control file speaks of the archive as it is delivered.
        let digest = sha256(std::fs::read(drops.path(file)).unwrap());
        let control = file.replace(".zip", ".ctl");
        assert_eq!(drops.text(&control), format!("file={file}\nrows=1\nsha256={digest}\n"));
    }
}

#[test]
fn what_cannot_be_written_is_told_before_anything_is() {
    for (options, wanted) in [
        (json!({ "file": "a.zip", "format": "xlsx" }), "file"),
        (json!({ "file": "a.parquet.gz", "format": "parquet" }), "file"),
        (json!({ "file": "a", "encoding": "latin1" }), "encoding"),
        (json!({ "file": "a", "format": "xls", "encoding": "gb18030" }), "encoding"),
        (json!({ "file": "a", "quote": "" }), "quote"),
        (json!({ "file": "a", "quote": "'", "delimiter": "'" }), "delimiter"),
        (json!({ "file": "a", "format": "json", "quote": "'" }), "quote"),
    ] {
        let mut raw = raw("/nowhere".into(), json!({ "path": "drops" }), vec![]);
        raw.pushes.push(RawPush { name: "p".into(), key: vec![], options });
        let faults = configure(raw).err().unwrap();
        let paths: Vec<&str> = faults.0.iter().map(|fault| fault.path.as_str()).collect();
        assert_eq!(paths, [format!("pushes[0].{wanted}")]);
    }
}

#[tokio::test]
async fn a_table_without_rows_is_a_file_with_its_columns() {
    for (file, format) in
        [("a.csv", "csv"), ("a.xlsx", "xlsx"), ("a.xls", "xls"), ("a.parquet", "parquet")]
    {
        let drops = Drops::new();
        let endpoint = drops.pushing(json!({ "file": file, "format": format }));
        assert_eq!(load(&*endpoint, &limited(9), LoadMode::Replace, &[]).await.unwrap(), 0);
        let back = drops.read(json!({ "pattern": "*", "format": format })).await.unwrap();
        assert_eq!((back.len(), back.schemas[0].fields().len()), (0, 8), "{format}");
    }
}

#[tokio::test]
async fn nothing_is_seen_before_the_end_and_a_dropped_load_leaves_nothing() {
    let drops = Drops::with("a.csv", "old");
    let endpoint = drops.pushing(json!({ "file": "a.csv" }));
    let cx = limited(9);
    let schema = batch().schema();
    let request = LoadRequest { push: StreamId::new("p"), schema, mode: LoadMode::Replace };
    let mut loader = endpoint.loader(&cx, request).await.unwrap();
    loader.write(&cx, batch()).await.unwrap();
    assert_eq!(drops.text("a.csv"), "old");
    // What is being written is no data file for a reader.
    assert_eq!(drops.read(json!({ "pattern": "*" })).await.unwrap().origins.len(), 0);
    drop(loader);
    assert_eq!(drops.names(), ["a.csv"]);
    assert_eq!(drops.text("a.csv"), "old");
}

#[tokio::test]
async fn a_control_file_follows_its_data_and_is_the_one_a_stream_reads() {
    for control in [
        json!({}),
        json!({ "layout": "json", "algorithm": "md5" }),
        json!({ "layout": "line", "algorithm": "sm3" }),
        json!({ "layout": "xml", "rows": "记录数" }),
    ] {
        let drops = Drops::new();
        let push = json!({ "file": "办件_{date}.csv", "control": control });
        let endpoint = drops.pushing(push);
        let cx = at("2018-06-12T17:00:00Z");
        for _ in 0..2 {
            load(&*endpoint, &cx, LoadMode::Replace, &[batch()]).await.unwrap();
            assert_eq!(drops.names(), ["办件_20180613.csv", "办件_20180613.ctl"]);
        }
        let stream = json!({ "pattern": "*.csv", "control": control });
        assert_eq!(drops.read(stream).await.unwrap().len(), 2);
    }
    let drops = Drops::new();
    let endpoint = drops.pushing(json!({ "file": "a.csv", "control": {} }));
    load(&*endpoint, &limited(9), LoadMode::Replace, &[batch()]).await.unwrap();
    let digest = sha256(std::fs::read(drops.path("a.csv")).unwrap());
    assert_eq!(drops.text("a.ctl"), format!("file=a.csv\nrows=2\nsha256={digest}\n"));
}

#[tokio::test]
async fn rows_are_added_by_new_files_and_no_file_is_overwritten() {
    let drops = Drops::new();
    let endpoint = drops.pushing(json!({ "file": "a_{time}.csv" }));
    for second in ["00", "01"] {
        let cx = at(&format!("2018-06-12T01:00:{second}.250Z"));
        load(&*endpoint, &cx, LoadMode::Append, &[batch()]).await.unwrap();
    }
    assert_eq!(drops.names(), ["a_20180612090000250.csv", "a_20180612090001250.csv"]);
    let error = load(&*endpoint, &at("2018-06-12T01:00:01.250Z"), LoadMode::Append, &[batch()])
        .await
        .err()
        .unwrap();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Conflict, "E-FILE-EXISTS"));
    let error = load(&*endpoint, &limited(9), LoadMode::Upsert, &[batch()]).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(drops.names().len(), 2);
}

pub(crate) fn texts(values: &[&str]) -> RecordBatch {
    let array = Arc::new(StringArray::from(values.to_vec())) as ArrayRef;
    RecordBatch::try_from_iter([("a", array)]).unwrap()
}

#[tokio::test]
async fn text_that_a_spreadsheet_would_run_is_treated_as_declared() {
    let rows = texts(&["=1+1", "+86", "-x", "@a", "\tb", "＝1", "x=1", "5"]);
    let written = |policy: &'static str| {
        let rows = rows.clone();
        async move {
            let drops = Drops::new();
            let endpoint = drops.pushing(json!({ "file": "a.csv", "formulas": policy }));
            let done = load(&*endpoint, &limited(9), LoadMode::Replace, &[rows]).await;
            done.map(|_| drops.text("a.csv"))
        }
    };
    assert_eq!(
        written("quote").await.unwrap(),
        "a\r\n\"'=1+1\"\r\n\"'+86\"\r\n\"'-x\"\r\n\"'@a\"\r\n\"'\tb\"\r\n\"'＝1\"\r\nx=1\r\n5\r\n"
    );
    assert_eq!(
        written("keep").await.unwrap(),
        "a\r\n=1+1\r\n+86\r\n-x\r\n@a\r\n\tb\r\n＝1\r\nx=1\r\n5\r\n"
    );
    let error = written("refuse").await.err().unwrap();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Data, "E-FILE-VALUE"));
    assert!(!error.message().contains("1+1"), "{error}");

    // In a workbook text is text.
    for format in ["xlsx", "xls"] {
        let drops = Drops::new();
        let endpoint = drops.pushing(json!({ "file": "a", "format": format }));
        let rows = std::slice::from_ref(&rows);
        load(&*endpoint, &limited(9), LoadMode::Replace, rows).await.unwrap();
        let back = drops.read(json!({ "pattern": "*", "format": format })).await.unwrap();
        assert_eq!(back.column("a")[..2], ["=1+1", "+86"], "{format}");
    }
}

pub(crate) async fn push(
    endpoint: &dyn Endpoint,
    cx: &Cx,
    batch: RecordBatch,
) -> Result<Vec<Outcome>, Error> {
    let request = WriteRequest { push: StreamId::new("p") };
    let mut sink = endpoint.sink(cx, request).await.unwrap();
    assert!(!sink.is_repeatable());
    let keys = (0..batch.num_rows()).map(|row| row.to_string()).collect();
    let batch = WriteBatch { stream: StreamId::new("p"), batch, idempotency_keys: keys };
    sink.write(cx, batch).await.map(|receipt| receipt.outcomes)
}

#[tokio::test]
async fn records_are_pushed_as_a_file_of_their_own_with_an_answer_for_each() {
    let drops = Drops::new();
    let endpoint = drops.pushing(json!({ "file": "a_{time}.xml", "format": "xml" }));
    let cx = at("2018-06-12T01:00:00Z");
    let outcomes = push(&*endpoint, &cx, texts(&["x", "\u{1}", "y"])).await.unwrap();
    assert_eq!((&outcomes[0], &outcomes[2]), (&Outcome::Accepted, &Outcome::Accepted));
    assert!(matches!(&outcomes[1], Outcome::Rejected { code, .. } if code == "E-FILE-VALUE"));
    let stream = json!({ "pattern": "*.xml", "format": "xml", "record": "record" });
    assert_eq!(drops.read(stream).await.unwrap().column("a"), ["x", "y"]);
    // Another one at the same moment takes nothing away.
    let error = push(&*endpoint, &cx, texts(&["z"])).await.err().unwrap();
    assert_eq!(error.code(), "E-FILE-EXISTS");
    assert_eq!(drops.names().len(), 1);

    let endpoint = drops.pushing(json!({ "file": "a.csv" }));
    let error = push(&*endpoint, &cx, texts(&["z"])).await.err().unwrap();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Config, "E-PUSH-FILE"));
}

#[tokio::test]
async fn values_that_a_format_cannot_hold_stop_the_file() {
    let endless = RecordBatch::try_from_iter([(
        "n",
        Arc::new(Float64Array::from(vec![f64::INFINITY])) as ArrayRef,
    )])
    .unwrap();
    let long = "长".repeat(32_768);
    let named =
        RecordBatch::try_from_iter([("1 x", Arc::new(StringArray::from(vec!["x"])) as ArrayRef)])
            .unwrap();
    for (format, batch, code) in [
        ("json", endless, "E-FILE-VALUE"),
        ("xlsx", texts(&[&long]), "E-FILE-VALUE"),
        ("xls", texts(&[&long]), "E-FILE-VALUE"),
        ("xml", texts(&["\u{b}"]), "E-FILE-VALUE"),
        ("xml", named, "E-XML-NAME"),
    ] {
        let drops = Drops::new();
        let endpoint = drops.pushing(json!({ "file": "a", "format": format }));
        let error = load(&*endpoint, &limited(9), LoadMode::Replace, &[batch]).await.err().unwrap();
        assert_eq!(error.code(), code, "{format}");
        assert!(drops.names().is_empty(), "{format}");
    }
}

#[tokio::test]
async fn what_is_written_is_for_others_to_read() {
    use std::os::unix::fs::PermissionsExt;
    let drops = Drops::new();
    let endpoint = drops.pushing(json!({ "file": "a.csv" }));
    load(&*endpoint, &limited(9), LoadMode::Replace, &[batch()]).await.unwrap();
    let mode = std::fs::metadata(drops.path("a.csv")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
}
