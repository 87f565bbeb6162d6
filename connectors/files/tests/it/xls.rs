#![allow(clippy::disallowed_methods)] // where the other reader is comes from the environment
//! Workbooks of 97 to 2003 that are written: each value comes back, here and elsewhere.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch,
    StringArray, Time64MicrosecondArray, TimestampMicrosecondArray,
};
use huiliu_sdk::{ErrorKind, LoadMode, Outcome};
use serde_json::{Value, json};

use crate::support::{self, Drops, limited, read};
use crate::writing::{load, push, texts};

/// The longest texts of a cell: pairs of units, and characters of one byte.
fn wide() -> String {
    format!("长{}", "😀".repeat(16_383))
}

fn narrow() -> String {
    "é".repeat(32_767)
}

fn batch() -> RecordBatch {
    let (wide, narrow) = (wide(), narrow());
    let names = vec![
        Some("340501199001011234"),
        Some("张\"三,\r\n<&> 😀"),
        Some(""),
        None,
        Some(wide.as_str()),
        Some(narrow.as_str()),
    ];
    let numbers =
        vec![Some(0), Some(-5), Some(i64::MAX), None, Some(999_999_999_999_999), Some(1 << 53)];
    let rates = vec![Some(0.1), Some(-2.5e-10), Some(1e300), None, Some(3.0), Some(1.25)];
    let flags = vec![Some(true), Some(false), None, None, Some(true), Some(false)];
    // 2018-06-01, the last day of Excel, the first that all count alike, the day before, 1850-01-01.
    let days =
        vec![Some(17_683), Some(2_932_896), Some(-25_508), None, Some(-25_509), Some(-43_829)];
    let moments = vec![
        Some(1_527_816_600_000_000),
        Some(1_527_816_600_250_000),
        Some(1_527_816_600_250_001),
        None,
        Some(1_527_811_200_000_000),
        Some(-3_786_825_600_000_000),
    ];
    // A row without any value would be none.
    let clocks =
        vec![Some(34_200_000_000), Some(0), None, Some(86_399_000_000), Some(1), Some(1_000_000)];
    let sums = vec![Some(1250), Some(-1), Some(99_999_999_999_999_999), None, Some(0), Some(100)];
    let sums = Decimal128Array::from(sums).with_precision_and_scale(18, 2).unwrap();
    RecordBatch::try_from_iter([
        ("姓名", Arc::new(StringArray::from(names)) as ArrayRef),
        ("n", Arc::new(Int64Array::from(numbers))),
        ("rate", Arc::new(Float64Array::from(rates))),
        ("ok", Arc::new(BooleanArray::from(flags))),
        ("day", Arc::new(Date32Array::from(days))),
        ("at", Arc::new(TimestampMicrosecondArray::from(moments))),
        ("clock", Arc::new(Time64MicrosecondArray::from(clocks))),
        ("sum", Arc::new(sums)),
    ])
    .unwrap()
}

/// The sheet as another program has it: its name and the cells of its rows.
fn elsewhere(path: &Path) -> (String, Vec<Vec<String>>) {
    let folder = std::env::var("HUILIU_TEST_FILES")
        .unwrap_or_else(|_| panic!("HUILIU_TEST_FILES must name the folder that `./test` makes"));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/sheet.py");
    let output = Command::new(format!("{folder}/xlrd/bin/python"))
        .arg(script)
        .arg(path)
        .output()
        .unwrap_or_else(|cause| panic!("{folder}/xlrd: {cause}"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    (
        serde_json::from_value(told["name"].clone()).unwrap(),
        serde_json::from_value(told["rows"].clone()).unwrap(),
    )
}

#[tokio::test]
async fn every_value_comes_back_from_an_old_workbook() {
    let drops = Drops::new();
    let options = json!({ "file": "a_{time}.xls", "format": "xls", "sheet": "办件 2018" });
    let outcomes = push(&*drops.pushing(options), &limited(9), batch()).await.unwrap();
    assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Accepted), "{outcomes:?}");
    let settings = json!({ "columns": {
        "n": { "type": "int" }, "rate": { "type": "float" }, "ok": { "type": "bool" },
        "day": { "type": "date" }, "at": { "type": "timestamp" },
        "sum": { "type": "decimal(18,2)" },
    } });
    let stream = json!({ "pattern": "*.xls", "format": "xls", "sheet": "办件 2018" });
    let endpoint = drops.endpoint(stream, settings);
    let back = read(&*endpoint, &limited(100), None, None).await.unwrap();
    assert!(back.rejected.is_empty(), "{:?}", back.rejected);
    let given = support::Outcome { batches: vec![batch()], ..support::Outcome::default() };
    for name in ["姓名", "n", "rate", "ok", "day", "at", "clock", "sum"] {
        let mut expected = given.column(name);
        if name == "姓名" {
            // As in any workbook, the empty text is no value.
            expected[2] = "NULL".into();
        }
        assert!(back.column(name) == expected, "{name}");
    }
}

#[tokio::test]
async fn rows_out_of_order_are_put_in_order() {
    let rows = 45_000;
    let numbers = || Arc::new(Int64Array::from_iter_values(0..rows)) as ArrayRef;
    let batch = RecordBatch::try_from_iter([("a", numbers()), ("b", numbers())]).unwrap();
    let drops = Drops::new();
    let endpoint = drops.pushing(json!({ "file": "a.xls", "format": "xls" }));
    let whole = LoadMode::Replace;
    load(&*endpoint, &limited(9), whole, std::slice::from_ref(&batch)).await.unwrap();
    // Cells of numbers take all as much room, so they can change places.
    let mut bytes = std::fs::read(drops.path("a.xls")).unwrap();
    let is_number = |at: &usize| bytes[*at..].starts_with(&[0x03, 0x02, 0x0e, 0x00]);
    let places: Vec<usize> = (0..bytes.len()).filter(is_number).collect();
    assert_eq!(places.len(), batch.num_rows() * 2);
    for (low, high) in places.iter().zip(places.iter().rev()).take(places.len() / 2) {
        for byte in 0..18 {
            bytes.swap(low + byte, high + byte);
        }
    }
    drops.put("a.xls", bytes);
    let settings = json!({ "columns": { "a": { "type": "int" }, "b": { "type": "int" } } });
    let endpoint = drops.endpoint(json!({ "pattern": "*.xls", "format": "xls" }), settings);
    let back = read(&*endpoint, &limited(10_000), None, None).await.unwrap();
    assert!(back.rejected.is_empty(), "{:?}", back.rejected);
    let given = support::Outcome { batches: vec![batch], ..support::Outcome::default() };
    assert!(back.column("a") == given.column("a") && back.column("b") == given.column("b"));
}

#[tokio::test]
async fn another_reader_finds_the_same_values_in_an_old_workbook() {
    let drops = Drops::new();
    let endpoint = drops.pushing(json!({ "file": "a.xls", "format": "xls", "sheet": "办件 2018" }));
    load(&*endpoint, &limited(9), LoadMode::Replace, &[batch()]).await.unwrap();
    let (name, rows) = elsewhere(&drops.path("a.xls"));
    assert_eq!(name, "办件 2018");
    let long = [format!("text {}", wide()), format!("text {}", narrow())];
    let expected = [
        ["text 姓名", "text n", "text rate", "text ok", "text day", "text at"],
        [
            "text 340501199001011234",
            "number 0.0",
            "number 0.1",
            "bool 1",
            "date 2018-06-01 00:00:00.000",
            "date 2018-06-01 01:30:00.000",
        ],
        [
            "text 张\"三,\r\n<&> 😀",
            "number -5.0",
            "number -2.5e-10",
            "bool 0",
            "date 9999-12-31 00:00:00.000",
            "date 2018-06-01 01:30:00.250",
        ],
        [
            "empty",
            "text 9223372036854775807",
            "number 1e+300",
            "empty",
            "date 1900-03-01 00:00:00.000",
            "text 2018-06-01 01:30:00.250001",
        ],
        ["empty"; 6],
        [
            long[0].as_str(),
            "number 999999999999999.0",
            "number 3.0",
            "bool 1",
            "text 1900-02-28",
            "date 2018-06-01 00:00:00.000",
        ],
        [
            long[1].as_str(),
            "text 9007199254740992",
            "number 1.25",
            "bool 0",
            "text 1850-01-01",
            "text 1850-01-01 00:00:00",
        ],
    ];
    assert_eq!(rows.len(), expected.len());
    for (row, expected) in rows.iter().zip(expected) {
        assert_eq!(row[..6], expected);
    }
    assert_eq!(rows[1][6..], ["text 09:30:00", "number 12.5"]);
    assert_eq!(rows[3][7], "text 999999999999999.99");
}

/// Texts that make a file of 10 MiB, whose container lists its sectors in more than its header.
fn many(rows: usize) -> RecordBatch {
    let values: Vec<String> = (0..rows).map(|row| format!("{row} {}", "办".repeat(60))).collect();
    texts(&values.iter().map(String::as_str).collect::<Vec<_>>())
}

#[tokio::test]
async fn a_sheet_is_full_at_its_last_row_and_the_error_says_what_to_do() {
    let drops = Drops::new();
    let endpoint = drops.pushing(json!({ "file": "a.xls", "format": "xls" }));
    let most = many(65_535);
    let last = many(1);
    load(&*endpoint, &limited(9), LoadMode::Replace, std::slice::from_ref(&most)).await.unwrap();
    let back = drops.read(json!({ "pattern": "*.xls", "format": "xls" })).await.unwrap();
    let given = support::Outcome { batches: vec![most.clone()], ..support::Outcome::default() };
    assert!(back.column("a") == given.column("a"));
    let (_, rows) = elsewhere(&drops.path("a.xls"));
    assert_eq!(rows.len(), 65_536);
    assert!(rows[65_535][0].starts_with("text 65534 办"));

    let error =
        load(&*endpoint, &limited(9), LoadMode::Replace, &[most, last]).await.err().unwrap();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unsupported, "E-SHEET-LIMIT"));
    assert!(error.message().contains("65,536 rows"), "{error}");
    assert!(error.hint_text().is_some_and(|hint| hint.contains("xlsx")), "{error:?}");
    // What was there before stays.
    assert_eq!(drops.names(), ["a.xls"]);
    assert_eq!(elsewhere(&drops.path("a.xls")).1.len(), 65_536);
}

#[tokio::test]
async fn a_sheet_of_an_old_workbook_has_256_columns() {
    let columns = |count: usize| {
        let value = || Arc::new(StringArray::from(vec!["x"])) as ArrayRef;
        RecordBatch::try_from_iter((0..count).map(|at| (format!("c{at}"), value()))).unwrap()
    };
    let drops = Drops::new();
    let endpoint = drops.pushing(json!({ "file": "a.xls", "format": "xls" }));
    load(&*endpoint, &limited(9), LoadMode::Replace, &[columns(256)]).await.unwrap();
    let back = drops.read(json!({ "pattern": "*.xls", "format": "xls" })).await.unwrap();
    assert_eq!((back.column("c0"), back.column("c255")), (vec!["x".into()], vec!["x".into()]));
    let error =
        load(&*endpoint, &limited(9), LoadMode::Replace, &[columns(257)]).await.err().unwrap();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unsupported, "E-SHEET-LIMIT"));
    assert!(error.message().contains("256 columns"), "{error}");
}
