//! Every type comes as it is, or not at all.

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Float64Type, TimeUnit};
use huiliu_sdk::{OriginalValue, read_original};
use huiliu_testkit::hazard::hostile;
use serde_json::json;

use crate::support::{Database, limited, read};

const TYPES: &str = "\
    create type mood as enum ('好', 'bad'); create domain code as varchar(6) check (value <> ''); \
    create table t (id int, b bool, i2 int2, i4 int4, i8 int8, o oid, f4 float4, f8 float8, \
      n numeric(12,2), wide numeric(38,10), free numeric, big numeric(50,2), tx text, \
      vc varchar(9), ch char(4), nm name, ch1 \"char\", e mood, d code, u uuid, js json, jb jsonb, \
      ip inet, iv interval, tz timetz, tm time, bits bit(3), arr int[], rg int4range, by bytea, \
      da date, ts timestamp, tt timestamptz, mo xml); \
    insert into t values (1, true, -32768, 2147483647, -9223372036854775808, 4294967295, \
      'NaN', '-0', -1234567890.12, 1234567890123456789012345678.0123456789, \
      3.14159265358979323846264338327950288419716939937510582097494459230781640628620899, \
      123.45, '王\"芳🏛', '', 'a', 'nm', 'c', '好', '340500', \
      'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{\"a\": 9007199254740993}', \
      '{\"b\": 1e400, \"a\":2}', '10.0.0.1/8', '1 mon 2 days 03:04:05.6', '23:59:59.5+08', \
      '24:00:00', '101', '{1,null,3}', '[1,5)', '\\x00ff', '2018-06-12', \
      '2018-06-12 09:30:01.123456', '2018-06-12 09:30:01.123456+08', '<a>1</a>'), \
      (2, null, null, null, null, null, null, null, null, null, null, null, null, null, null, \
      null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, \
      null, null, null, null);";

#[tokio::test]
async fn every_type_comes_as_it_is() {
    let database = Database::with(TYPES).await;
    let outcome = database.read(json!({ "table": "t" }), json!({ "zone": "UTC" })).await;
    assert_eq!((outcome.len(), outcome.rejected.len(), outcome.complete), (2, 0, Some(true)));
    let first = |name: &str| outcome.column(name)[0].clone();
    for (name, value) in [
        ("b", "true"),
        ("i2", "-32768"),
        ("i4", "2147483647"),
        ("i8", "-9223372036854775808"),
        ("o", "4294967295"),
        ("f4", "NaN"),
        ("n", "-1234567890.12"),
        ("wide", "1234567890123456789012345678.0123456789"),
        (
            "free",
            "3.14159265358979323846264338327950288419716939937510582097494459230781640628620899",
        ),
        ("big", "123.45"),
        ("tx", "王\"芳🏛"),
        ("vc", ""),
        ("ch", "a   "),
        ("nm", "nm"),
        ("ch1", "c"),
        ("e", "好"),
        ("d", "340500"),
        ("u", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        ("js", "{\"a\": 9007199254740993}"),
        ("ip", "10.0.0.1/8"),
        ("iv", "1 mon 2 days 03:04:05.6"),
        ("tz", "23:59:59.5+08"),
        ("tm", "24:00:00"),
        ("bits", "101"),
        ("arr", "{1,NULL,3}"),
        ("rg", "[1,5)"),
        ("by", "00ff"),
        ("da", "2018-06-12"),
        // A wall time in UTC becomes one of the hub, which is in China.
        ("ts", "2018-06-12T17:30:01.123456"),
        ("tt", "2018-06-12T01:30:01.123456Z"),
        ("mo", "<a>1</a>"),
    ] {
        assert_eq!(first(name), value, "{name}");
    }
    assert!(first("jb").starts_with("{\"a\": 2, \"b\": 1000"));
    let negative_zero = outcome.batches[0]["f8"].as_primitive::<Float64Type>().value(0);
    assert_eq!(negative_zero.to_bits(), (-0.0_f64).to_bits());
    let schema = outcome.schema.as_ref().unwrap();
    for (name, data_type) in [
        ("i2", DataType::Int16),
        ("o", DataType::Int64),
        ("n", DataType::Decimal128(12, 2)),
        ("wide", DataType::Decimal128(38, 10)),
        ("free", DataType::Utf8),
        ("by", DataType::Binary),
        ("ts", DataType::Timestamp(TimeUnit::Microsecond, None)),
        ("tt", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
    ] {
        assert_eq!(schema.field_with_name(name).unwrap().data_type(), &data_type, "{name}");
    }
    for field in schema.fields().iter().skip(1) {
        assert_eq!(outcome.column(field.name())[1], "NULL", "{}", field.name());
    }
    database.drop().await;
}

const ODD: &str = "create table t (id int primary key, d date, s timestamp, z timestamptz, \
      n numeric(9,2)); \
    insert into t values (1, '2018-06-12', '2018-06-12', '2018-06-12', 1), \
      (2, 'infinity', null, null, null), (3, null, '-infinity', null, null), \
      (4, null, null, '0044-03-15 12:00:00+00 BC', null), (5, null, null, null, 'NaN'), \
      (6, '5874897-12-31', null, null, null), (7, null, '294276-12-31 23:59:59', null, null), \
      (8, '4713-01-01 BC', null, null, null), (9, '9999-12-31', '9999-12-31', null, null);";

#[tokio::test]
async fn values_the_lake_cannot_hold_follow_the_declared_policy() {
    let database = Database::with(ODD).await;
    let settings = || json!({ "key": ["id"] });
    let outcome = database.read(json!({ "table": "t" }), settings()).await;
    assert_eq!(outcome.sorted("id"), ["1", "9"]);
    assert!(outcome.rejected.iter().all(|rejected| rejected.code == "E-ODDITY"));
    let kept: Vec<String> = outcome
        .rejected
        .iter()
        .map(|rejected| {
            let row = read_original(&rejected.raw).unwrap();
            let value = row.into_iter().skip(1).find(|(_, value)| *value != OriginalValue::Null);
            match value {
                Some((_, OriginalValue::Text(text))) => text,
                _ => "?".into(),
            }
        })
        .collect();
    assert_eq!(kept[..4], ["infinity", "-infinity", "0044-03-15T12:00:00.000000Z BC", "NaN"]);
    assert_eq!(kept[6], "4713-01-01 BC");

    let options = json!({ "table": "t", "oddities": "null" });
    let outcome = database.read(options, settings()).await;
    assert_eq!((outcome.len(), outcome.rejected.len()), (9, 0));
    assert_eq!(outcome.column("d")[1], "NULL");
    assert_eq!(outcome.column("n")[4], "NULL");

    let options = json!({ "table": "t", "oddities": "text" });
    let outcome = database.read(options, settings()).await;
    assert_eq!((outcome.len(), outcome.rejected.len()), (9, 0));
    assert_eq!(outcome.column("s")[2], "-infinity");
    assert_eq!(outcome.column("z")[3], "0044-03-15 12:00:00+00 BC");
    assert_eq!(outcome.column("n")[0], "1.00");
    database.drop().await;
}

#[tokio::test]
async fn numbers_that_are_none_stay_text_where_any_number_fits() {
    let database = Database::with(
        "create table t (id int, free numeric, f float8); \
         insert into t values (1, 'NaN', '5e-324'), (2, 'Infinity', 'Infinity'), \
           (3, '-Infinity', '-Infinity'), (4, 1e130000, 'NaN');",
    )
    .await;
    let outcome = database.read(json!({ "table": "t" }), json!({})).await;
    assert_eq!(outcome.column("free")[..3], ["NaN", "Infinity", "-Infinity"]);
    assert_eq!(outcome.column("free")[3].len(), 130_001);
    let bits: Vec<u64> = outcome.batches[0]["f"]
        .as_primitive::<Float64Type>()
        .values()
        .iter()
        .map(|value| value.to_bits())
        .collect();
    assert_eq!(bits[..3], [1, f64::INFINITY.to_bits(), f64::NEG_INFINITY.to_bits()]);
    assert!(f64::from_bits(bits[3]).is_nan());
    database.drop().await;
}

#[tokio::test]
async fn json_comes_as_its_own_text_whatever_it_says() {
    let deep = format!("{}{}", "[".repeat(2000), "]".repeat(2000));
    let database = Database::with(&format!(
        "create table t (id int, j json); insert into t values (1, '{{\"a\":9007199254740993,\"a\":1e400}}'), \
         (2, '{deep}');"
    ))
    .await;
    let outcome = database.read(json!({ "table": "t" }), json!({})).await;
    assert_eq!(outcome.column("j"), ["{\"a\":9007199254740993,\"a\":1e400}", deep.as_str()]);
    database.drop().await;
}

#[tokio::test]
async fn declared_types_are_kept_or_the_row_is_refused() {
    let database = Database::with(
        "create table t (id int2, free numeric, txt text, at timestamptz); \
         insert into t values (1, 1.25, '2018-06-12 09:00:00', '2018-06-12 09:00:00+08'), \
         (2, 1.255, '2018-06-12 09:00:00', null), (3, 1, 'later', null), (4, null, null, null);",
    )
    .await;
    let columns = json!({
        "id": { "type": "int" }, "free": { "type": "decimal(9,2)", "nullable": false },
        "txt": { "type": "timestamp" }, "at": { "type": "timestamp" },
    });
    let outcome = database.read(json!({ "table": "t" }), json!({ "columns": columns })).await;
    assert_eq!(outcome.column("id"), ["1"]);
    assert_eq!(outcome.column("free"), ["1.25"]);
    assert_eq!(outcome.column("txt"), ["2018-06-12T09:00:00"]);
    assert_eq!(outcome.column("at"), ["2018-06-12T09:00:00"]);
    let codes: Vec<&str> = outcome.rejected.iter().map(|rejected| rejected.code).collect();
    assert_eq!(codes, ["E-ODDITY", "E-TYPE", "E-NULL"]);
    database.drop().await;
}

#[tokio::test]
async fn hostile_names_and_empty_tables_are_read() {
    let names =
        ["a\"; drop table x; --", "select", "办件🏛", "l".repeat(63).as_str()].map(str::to_owned);
    let columns: Vec<String> =
        names.iter().map(|name| format!("\"{}\" int", name.replace('"', "\"\""))).collect();
    let sql = format!(
        "create table x (a int); create schema \"s.\"\"1\"; create table \"s.\"\"1\".\"t;--\" ({}); \
         insert into \"s.\"\"1\".\"t;--\" values (1, 2, 3, null); create table empty ();",
        columns.join(", ")
    );
    let database = Database::with(&sql).await;
    let options = json!({ "table": "\"s.\"\"1\".\"t;--\"" });
    let outcome = database.read(options, json!({ "key": [names[0]] })).await;
    for (name, value) in names.iter().zip(["1", "2", "3", "NULL"]) {
        assert_eq!(outcome.column(name), [value]);
    }
    let outcome = database.read(json!({ "table": "x" }), json!({})).await;
    assert_eq!((outcome.len(), outcome.complete), (0, Some(true)));
    assert!(outcome.schema.is_some());
    database.drop().await;
}

/// G01: names of tables, keys and cursors, and the values of cursors, are never more than that.
#[tokio::test]
async fn three_hundred_hostile_names_and_marks_are_only_that() {
    let names = hostile(300);
    let quote = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let mut sql = "create table keep (a int); insert into keep values (1)".to_owned();
    for name in &names {
        let (quoted, text) = (quote(name), name.replace('\'', "''"));
        sql += &format!(
            "; create table {quoted} ({quoted} varchar(99) primary key); \
             insert into {quoted} values ('{text}')"
        );
    }
    let database = Database::with(&sql).await;
    for name in &names {
        let settings = json!({ "key": [name], "read": "incremental", "cursor": name });
        let endpoint = database.endpoint(json!({ "table": quote(name) }), settings);
        let outcome = read(&*endpoint, &limited(10), None, None).await.unwrap();
        assert_eq!(outcome.column(name), [name.as_str()]);
        // The mark is the same text once more.
        let again = read(&*endpoint, &limited(10), outcome.resume(), None).await.unwrap();
        assert_eq!(again.column(name), [name.as_str()]);
    }
    assert_eq!(database.read(json!({ "table": "keep" }), json!({})).await.len(), 1);
    database.drop().await;
}

#[tokio::test]
async fn a_huge_cell_is_refused_without_being_fetched() {
    let database = Database::with(
        "create table t (id int, body text); alter table t alter body set storage external; \
         insert into t values (1, 'small'), (2, repeat('x', 200000000)), (3, repeat('y', 3000000));",
    )
    .await;
    let outcome = database.read(json!({ "table": "t" }), json!({})).await;
    assert_eq!(outcome.column("id"), ["1", "3"]);
    assert_eq!(outcome.column("body")[1].len(), 3_000_000);
    assert_eq!(outcome.rejected.len(), 1);
    assert_eq!(outcome.rejected[0].code, "E-ROW-SIZE");
    assert!(outcome.rejected[0].raw.len() < 1000);
    database.drop().await;
}

#[tokio::test]
async fn text_that_is_no_text_is_refused_row_by_row() {
    let database = Database::made_by(
        "encoding 'SQL_ASCII' lc_collate 'C' lc_ctype 'C' template template0",
        "create table t (id int, a text); insert into t values (1, 'good'), (2, E'\\xB0\\xEC'), (3, 'fine')",
    )
    .await;
    let outcome = database.read(json!({ "table": "t" }), json!({})).await;
    assert_eq!(outcome.column("a"), ["good", "fine"]);
    assert_eq!(outcome.rejected[0].code, "E-ENCODING");
    let row = read_original(&outcome.rejected[0].raw).unwrap();
    assert!(row[1].1 == OriginalValue::Bytes(vec![0xb0, 0xec]));
    let endpoint = database.endpoint(json!({ "table": "t" }), json!({}));
    let preview = read(&*endpoint, &limited(1), None, Some(1)).await.unwrap();
    assert_eq!((preview.len(), preview.complete), (1, Some(false)));
    database.drop().await;
}
