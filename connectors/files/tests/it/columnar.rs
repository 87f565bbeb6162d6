//! Parquet and Arrow.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray,
    Float64Array, Int32Array, ListArray, RecordBatch, StringArray, TimestampMillisecondArray,
    TimestampNanosecondArray, UInt64Array,
};
use arrow::datatypes::{DataType, Int32Type, Schema, TimeUnit};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use huiliu_sdk::ErrorKind;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde_json::{Value, json};

use crate::support::{Drops, codes, limited, read};

fn of(format: &str) -> Value {
    json!({ "pattern": "*", "format": format })
}

fn batch() -> RecordBatch {
    let day = 17_683;
    let millis = 1_527_816_600_000_i64;
    RecordBatch::try_from_iter([
        ("id", Arc::new(Int32Array::from(vec![1, 2, 3])) as ArrayRef),
        ("name", Arc::new(StringArray::from(vec![Some("张三"), None, Some("nul\0")]))),
        ("kind", Arc::new(DictionaryArray::<Int32Type>::from_iter(["a", "b", "a"]))),
        ("big", Arc::new(UInt64Array::from(vec![u64::MAX, 0, 1]))),
        ("rate", Arc::new(Float64Array::from(vec![0.5, f64::NAN, 1.0]))),
        ("ok", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]))),
        ("day", Arc::new(Date32Array::from(vec![Some(day), None, Some(day)]))),
        ("at", Arc::new(TimestampMillisecondArray::from(vec![millis; 3]))),
        (
            "instant",
            Arc::new(TimestampMillisecondArray::from(vec![millis; 3]).with_timezone("UTC")),
        ),
        (
            "sum",
            Arc::new(
                Decimal128Array::from(vec![Some(1250), None, Some(-1)])
                    .with_precision_and_scale(12, 2)
                    .unwrap(),
            ),
        ),
        ("raw", Arc::new(BinaryArray::from(vec![b"\x00\xff".as_slice(), b"", b"x"]))),
    ])
    .unwrap()
}

fn parquet(batches: &[RecordBatch], compression: Compression) -> Vec<u8> {
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .set_max_row_group_row_count(Some(2))
        .build();
    let mut writer =
        ArrowWriter::try_new(Vec::new(), batches[0].schema(), Some(properties)).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.into_inner().unwrap()
}

fn arrow_file(batch: &RecordBatch, compression: Option<CompressionType>) -> Vec<u8> {
    let options = IpcWriteOptions::default().try_with_compression(compression).unwrap();
    let mut writer =
        FileWriter::try_new_with_options(Vec::new(), &batch.schema(), options).unwrap();
    writer.write(batch).unwrap();
    writer.write(batch).unwrap();
    writer.finish().unwrap();
    writer.into_inner().unwrap()
}

fn arrow_stream(batch: &RecordBatch) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(batch).unwrap();
    writer.finish().unwrap();
    writer.into_inner().unwrap()
}

#[tokio::test]
async fn types_of_the_file_arrive_as_they_are() {
    let zstd = Compression::ZSTD(ZstdLevel::default());
    let files = [
        ("parquet", parquet(&[batch()], Compression::SNAPPY)),
        ("parquet", parquet(&[batch()], Compression::LZ4_RAW)),
        ("parquet", parquet(&[batch()], Compression::GZIP(Default::default()))),
        ("parquet", parquet(&[batch()], Compression::BROTLI(Default::default()))),
        ("parquet", parquet(&[batch()], zstd)),
        ("arrow", arrow_file(&batch(), None)),
        ("arrow", arrow_file(&batch(), Some(CompressionType::LZ4_FRAME))),
        ("arrow", arrow_file(&batch(), Some(CompressionType::ZSTD))),
        ("arrow", arrow_stream(&batch())),
    ];
    for (format, content) in files {
        let outcome = Drops::with("a", content).read(of(format)).await.unwrap();
        let schema = &outcome.schemas[0];
        let kind = |name: &str| schema.field_with_name(name).unwrap().data_type().clone();
        assert_eq!(kind("id"), DataType::Int64);
        assert_eq!(kind("kind"), DataType::Utf8);
        assert_eq!(kind("big"), DataType::Decimal128(20, 0));
        assert_eq!(kind("sum"), DataType::Decimal128(12, 2));
        assert_eq!(kind("at"), DataType::Timestamp(TimeUnit::Microsecond, None));
        let first = |name: &str| outcome.column(name)[..2].to_vec();
        assert_eq!(first("id"), ["1", "2"]);
        assert_eq!(first("name"), ["张三", "NULL"]);
        assert_eq!(first("kind"), ["a", "b"]);
        assert_eq!(first("big"), ["18446744073709551615", "0"]);
        assert_eq!(first("rate"), ["0.5", "NaN"]);
        assert_eq!(first("ok"), ["true", "NULL"]);
        assert_eq!(first("day"), ["2018-06-01", "NULL"]);
        assert_eq!(first("at")[0], "2018-06-01T01:30:00");
        // An instant becomes wall time of the hub's zone.
        assert_eq!(first("instant")[0], "2018-06-01T09:30:00");
        assert_eq!(first("sum"), ["12.50", "NULL"]);
        assert_eq!(first("raw"), ["00ff", ""]);
        assert_eq!(codes(&outcome)[0], (3, "E-NUL"));
    }
}

#[tokio::test]
async fn columns_are_picked_and_types_declared() {
    let drops = Drops::with("a.parquet", parquet(&[batch()], Compression::SNAPPY));
    let mut options = of("parquet");
    options["fields"] = json!({ "n": "name", "s": "sum" });
    let endpoint = drops.endpoint(options, json!({ "columns": { "s": { "type": "text" } } }));
    let outcome = read(&*endpoint, &limited(1), None, None).await.unwrap();
    assert_eq!(outcome.column("s"), ["12.50", "NULL"]);
    assert_eq!(outcome.schemas[0].fields().len(), 2);
    let error = drops
        .read(json!({ "pattern": "*", "format": "parquet", "fields": { "x": "none" } }))
        .await
        .err()
        .unwrap();
    assert_eq!(error.code(), "E-COLUMN-MISSING");
}

#[tokio::test]
async fn what_a_column_of_the_lake_cannot_hold_is_told() {
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1)])]);
    let with_list = RecordBatch::try_from_iter([("l", Arc::new(list) as ArrayRef)]).unwrap();
    let drops = Drops::with("a", parquet(&[with_list], Compression::SNAPPY));
    let error = drops.read(of("parquet")).await.err().unwrap();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Schema, "E-COLUMN-TYPE"));

    let fine = TimestampNanosecondArray::from(vec![1_000, 1_001]);
    let days = Date32Array::from(vec![i32::MAX, 0]);
    let ids = Int32Array::from(vec![1, 2]);
    let odd = RecordBatch::try_from_iter([
        ("id", Arc::new(ids) as ArrayRef),
        ("at", Arc::new(fine)),
        ("day", Arc::new(days)),
    ])
    .unwrap();
    let outcome = Drops::with("a", arrow_file(&odd, None)).read(of("arrow")).await.unwrap();
    assert_eq!(outcome.len(), 0);
    assert_eq!(codes(&outcome), [(1, "E-RANGE"), (2, "E-RANGE"), (3, "E-RANGE"), (4, "E-RANGE")]);
}

#[tokio::test]
async fn a_file_without_rows_and_a_column_without_values_are_files() {
    let empty = RecordBatch::new_empty(Arc::new(Schema::new(batch().schema().fields().clone())));
    for (format, content) in [
        ("parquet", parquet(std::slice::from_ref(&empty), Compression::SNAPPY)),
        ("arrow", arrow_file(&empty, None)),
    ] {
        let outcome = Drops::with("a", content).read(of(format)).await.unwrap();
        assert_eq!((outcome.len(), outcome.schemas.len(), outcome.complete), (0, 1, Some(true)));
    }
    let nulls = arrow::array::new_null_array(&DataType::Null, 2);
    let nulls = RecordBatch::try_from_iter([("n", nulls)]).unwrap();
    let outcome =
        Drops::with("a", parquet(&[nulls], Compression::SNAPPY)).read(of("parquet")).await;
    assert_eq!(outcome.unwrap().column("n"), ["NULL", "NULL"]);
}

#[tokio::test]
async fn a_cut_or_changed_file_is_an_error_whatever_the_place() {
    let whole = [
        ("parquet", parquet(&[batch(), batch()], Compression::SNAPPY)),
        ("arrow", arrow_file(&batch(), Some(CompressionType::ZSTD))),
        ("arrow", arrow_stream(&batch())),
    ];
    for (format, content) in whole {
        for end in (0..content.len()).step_by(61) {
            let error = Drops::with("a", &content[..end]).read(of(format)).await.err();
            let error = error.unwrap_or_else(|| panic!("{format} cut at {end} is no whole file"));
            assert_ne!(error.code(), "E-PANIC", "{format} cut at {end}");
        }
        // Lengths that lie must not make the process ask for as much memory, or panic.
        for at in (0..content.len() - 8).step_by(37) {
            let mut changed = content.clone();
            changed[at..at + 8].copy_from_slice(&0x7fff_ffff_ffff_ff00_u64.to_le_bytes());
            if let Err(error) = Drops::with("a", changed).read(of(format)).await {
                assert_ne!(error.code(), "E-INTERNAL", "{format} changed at {at}: {error}");
            }
        }
    }
}

#[tokio::test]
async fn many_rows_come_in_bounded_batches() {
    let ids: Vec<i32> = (0..50_000).collect();
    let names: Vec<String> = ids.iter().map(|id| format!("办件{id}")).collect();
    let batch = RecordBatch::try_from_iter([
        ("id", Arc::new(Int32Array::from(ids)) as ArrayRef),
        ("name", Arc::new(StringArray::from(names))),
    ])
    .unwrap();
    let drops = Drops::with("a", arrow_file(&batch, None));
    let endpoint = drops.endpoint(of("arrow"), json!({}));
    let mut cx = limited(100_000);
    cx.limits.bytes = 64 << 10;
    let outcome = read(&*endpoint, &cx, None, None).await.unwrap();
    assert_eq!((outcome.len(), outcome.positions.last()), (100_000, Some(&100_000)));
    assert!(outcome.batches.iter().all(|batch| batch.num_rows() < 5_000));
}
