//! Values nobody hopes for, and names.

use arrow::datatypes::{DataType, TimeUnit};
use huiliu_sdk::{Cell, read_original};
use huiliu_testkit::hazard::hostile;
use serde_json::json;

use crate::support::{Database, limited, read};

#[tokio::test]
async fn every_type_keeps_its_values_exactly() {
    let database = Database::with(
        "create table t (
             id int primary key, t tinyint(1), tu tinyint unsigned, s smallint, su smallint unsigned,
             m mediumint, i int, iu int unsigned, b bigint, bu bigint unsigned, z int(6) zerofill,
             f float, d double, n decimal(20,4), big decimal(65,30), y year, flag bit(1), bits bit(63),
             mask bit(64), day date, at datetime(6), span time, spanf time(3), c char(5), v varchar(20),
             e enum('', 'a'), st set('x', 'y'), j json, bin binary(3), bl blob, g point);
         set names utf8mb4;
         insert into t values (1, 2, 255, -32768, 65535, -8388608, -2147483648, 4294967295,
             -9223372036854775808, 18446744073709551615, 42, 1.5, 0.1, 1234567890123456.7891,
             12345678901234567890123456789012345.123456789012345678901234567890, 2024, b'1',
             9223372036854775807, 18446744073709551615, '1000-01-01', '9999-12-31 23:59:59.999999',
             '838:59:59', '-838:59:58.125', 'ab', '𠮷🏛', '', 'x,y', '{\"n\": 9007199254740993}',
             x'00ff', x'', point(1, 2));
         insert into t (id, y, span, e, bits) values (2, 0, '-00:00:01', 'a', 0)",
    )
    .await;
    let outcome = database.read(json!({ "table": "t" }), json!({ "key": ["id"] })).await;
    assert!(outcome.rejected.is_empty(), "{:?}", outcome.rejected);
    assert_eq!(outcome.complete, Some(true));
    let expected = [
        ("t", "2"),
        ("tu", "255"),
        ("s", "-32768"),
        ("su", "65535"),
        ("m", "-8388608"),
        ("i", "-2147483648"),
        ("iu", "4294967295"),
        ("b", "-9223372036854775808"),
        ("bu", "18446744073709551615"),
        ("z", "42"),
        ("f", "1.5"),
        ("d", "0.1"),
        ("n", "1234567890123456.7891"),
        ("big", "12345678901234567890123456789012345.123456789012345678901234567890"),
        ("y", "2024"),
        ("flag", "1"),
        ("bits", "9223372036854775807"),
        ("mask", "18446744073709551615"),
        ("day", "1000-01-01"),
        ("at", "9999-12-31T23:59:59.999999"),
        ("span", "838:59:59"),
        ("spanf", "-838:59:58.125"),
        ("c", "ab"),
        ("v", "𠮷🏛"),
        ("e", ""),
        ("st", "x,y"),
        ("j", "{\"n\": 9007199254740993}"),
        ("bin", "00ff00"),
        ("bl", ""),
        ("g", "000000000101000000000000000000f03f0000000000000040"),
    ];
    for (name, value) in expected {
        assert_eq!(outcome.column(name)[0], value, "{name}");
    }
    assert_eq!(outcome.column("y")[1], "0");
    assert_eq!(outcome.column("span")[1], "-00:00:01");
    assert_eq!(outcome.column("v")[1], "NULL");
    let schema = outcome.schema.unwrap();
    let kinds = [
        ("t", DataType::Int16),
        ("tu", DataType::Int32),
        ("i", DataType::Int32),
        ("iu", DataType::Int64),
        ("bu", DataType::Decimal128(20, 0)),
        ("f", DataType::Float32),
        ("big", DataType::Utf8),
        ("y", DataType::Int16),
        ("flag", DataType::Int64),
        ("day", DataType::Date32),
        ("at", DataType::Timestamp(TimeUnit::Microsecond, None)),
        ("g", DataType::Binary),
    ];
    for (name, kind) in kinds {
        assert_eq!(schema.field_with_name(name).unwrap().data_type(), &kind, "{name}");
    }
}

const ODD: &str = "create table t (id int primary key, d date, dt datetime, ts timestamp null);
    insert into t values (1, '2024-01-31', '2024-01-31 08:00:00', '2024-01-31 08:00:00'),
        (2, '0000-00-00', null, null), (3, null, '0000-00-00 00:00:00', null),
        (4, '2024-00-10', null, null), (5, '2024-01-00', null, null), (6, '2024-02-30', null, null),
        (7, null, null, '0000-00-00 00:00:00'), (8, null, '2024-00-10 01:02:03', null)";

#[tokio::test]
async fn dates_of_no_calendar_follow_the_declared_policy() {
    let database = Database::with(ODD).await;
    let read = async |oddities: &str| {
        database.read(json!({ "table": "t", "oddities": oddities }), json!({})).await
    };
    let kept = read("quarantine").await;
    assert_eq!(kept.column("id"), ["1"]);
    assert_eq!(kept.rejected.len(), 7);
    assert!(kept.rejected.iter().all(|row| row.code == "E-ZERO-DATE"), "{:?}", kept.rejected);
    let original = read_original(&kept.rejected[2].raw).unwrap();
    let shown: Vec<(&str, Cell<'_>)> =
        original.iter().map(|(name, value)| (name.as_str(), value.cell())).collect();
    assert_eq!(shown[0], ("id", Cell::Text("4")));
    assert_eq!(shown[1], ("d", Cell::Text("2024-00-10")));
    assert_eq!(shown[2], ("dt", Cell::Null));

    let null = read("null").await;
    assert_eq!((null.len(), null.rejected.len()), (8, 0));
    assert_eq!(null.column("d")[1..6], ["NULL", "NULL", "NULL", "NULL", "NULL"]);
    assert_eq!(null.column("d")[0], "2024-01-31");

    let text = read("text").await;
    assert_eq!(
        text.column("d")[..6],
        ["2024-01-31", "0000-00-00", "NULL", "2024-00-10", "2024-01-00", "2024-02-30"]
    );
    assert_eq!(text.column("dt")[7], "2024-00-10 01:02:03");
    assert_eq!(text.column("ts")[6], "0000-00-00 00:00:00");
}

#[tokio::test]
async fn wall_times_move_to_the_hubs_zone_and_instants_stay() {
    let database = Database::with(
        "create table t (dt datetime, ts timestamp(3) null);
         insert into t values ('2024-06-01 01:00:00', '2024-06-01 01:00:00.125')",
    )
    .await;
    let outcome = database.read(json!({ "table": "t" }), json!({ "zone": "UTC" })).await;
    assert_eq!(outcome.column("dt"), ["2024-06-01T09:00:00"]);
    assert_eq!(outcome.column("ts"), ["2024-06-01T01:00:00.125Z"]);
    let outcome = database.read(json!({ "table": "t" }), json!({})).await;
    assert_eq!(outcome.column("dt"), ["2024-06-01T01:00:00"]);
}

#[tokio::test]
async fn text_of_other_charsets_arrives_as_unicode_and_bad_bytes_are_refused() {
    let database = Database::with(
        "create table t (id int, g varchar(20) character set gbk, l varchar(20) character set latin1,
             raw varbinary(20));
         set names utf8mb4;
         insert into t values (1, '办件编号', 'café', '好'), (2, '一', null, x'd6d0b9fa')",
    )
    .await;
    let settings = json!({ "columns": { "raw": { "type": "text" } } });
    let outcome = database.read(json!({ "table": "t" }), settings).await;
    assert_eq!(outcome.column("g"), ["办件编号"]);
    assert_eq!(outcome.column("l"), ["café"]);
    assert_eq!(outcome.column("raw"), ["好"]);
    assert_eq!((outcome.rejected[0].code, outcome.rejected[0].position), ("E-ENCODING", 2));
    let original = String::from_utf8(outcome.rejected[0].raw.clone()).unwrap();
    assert!(original.contains(r#"{"hex":"d6d0b9fa"}"#), "{original}");
}

#[tokio::test]
async fn the_operators_type_overrides_the_declared_one() {
    let database = Database::with(
        "create table t (id int, code int, at varchar(30), big bigint unsigned, must varchar(5));
         insert into t values (1, 7, '2018-06-12 01:00:00', 18446744073709551615, 'x'),
             (2, null, null, 1, null), (3, 3, 'soon', 1, 'y')",
    )
    .await;
    let settings = json!({ "zone": "UTC", "columns": {
        "code": { "type": "text" }, "at": { "type": "timestamp" }, "big": { "type": "text" },
        "must": { "nullable": false },
    }});
    let outcome = database.read(json!({ "table": "t" }), settings).await;
    assert_eq!(outcome.column("code"), ["7"]);
    assert_eq!(outcome.column("at"), ["2018-06-12T09:00:00"]);
    assert_eq!(outcome.column("big"), ["18446744073709551615"]);
    let rejected: Vec<(u64, &str)> =
        outcome.rejected.iter().map(|row| (row.position, row.code)).collect();
    assert_eq!(rejected, [(2, "E-NULL"), (3, "E-TYPE")]);
    assert!(!format!("{:?}", outcome.rejected).contains("soon"));
}

#[tokio::test]
async fn hostile_identifiers_are_only_identifiers() {
    for name in ["select", "a`b", "x`; drop table keep; --", "办件 编号", "?", "it's", "t", "a.b"]
    {
        let quoted = format!("`{}`", name.replace('`', "``"));
        let database = Database::with(&format!(
            "create table keep (a int); create table {quoted} ({quoted} varchar(9) primary key, `order` datetime);
             insert into {quoted} values ('1', '2018-01-01 00:00:00')"
        ))
        .await;
        let settings = json!({ "key": [name], "read": "incremental", "cursor": "order" });
        let endpoint =
            database.endpoint(json!({ "table": name, "select": ["order", name] }), settings);
        let outcome = read(&*endpoint, &limited(10), None, None).await.unwrap();
        assert_eq!(outcome.column(name), ["1"]);
        let again = read(&*endpoint, &limited(10), outcome.resume(), None).await.unwrap();
        assert_eq!(again.len(), 1);
        assert_eq!(database.read(json!({ "table": "keep" }), json!({})).await.len(), 0);
        assert!(endpoint.discover(&limited(10)).await.unwrap().iter().any(|s| s.name == name));
    }
}

/// G01: names of tables, keys and cursors, and the values of cursors, are never more than that.
#[tokio::test]
async fn three_hundred_hostile_names_and_marks_are_only_that() {
    let names = hostile(300);
    let mut sql = "create table keep (a int); insert into keep values (1)".to_owned();
    for name in &names {
        let quoted = format!("`{}`", name.replace('`', "``"));
        let text = format!("'{}'", name.replace('\\', "\\\\").replace('\'', "''"));
        sql += &format!(
            "; create table {quoted} ({quoted} varchar(99) primary key); \
             insert into {quoted} values ({text})"
        );
    }
    let database = Database::with(&sql).await;
    for name in &names {
        let settings = json!({ "key": [name], "read": "incremental", "cursor": name });
        let endpoint = database.endpoint(json!({ "table": name }), settings);
        let outcome = read(&*endpoint, &limited(10), None, None).await.unwrap();
        assert_eq!(outcome.column(name), [name.as_str()]);
        // The mark is the same text once more.
        let again = read(&*endpoint, &limited(10), outcome.resume(), None).await.unwrap();
        assert_eq!(again.column(name), [name.as_str()]);
    }
    assert_eq!(database.read(json!({ "table": "keep" }), json!({})).await.len(), 1);
    let endpoint = database.endpoint(json!({ "table": "keep" }), json!({}));
    let found = endpoint.discover(&limited(10)).await.unwrap();
    for name in &names {
        assert!(found.iter().any(|stream| stream.name == *name), "{name:?} is not found");
    }
}
