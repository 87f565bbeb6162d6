//! Names and values nobody hopes for.

use huiliu_sdk::ErrorKind;
use huiliu_testkit::hazard::hostile;
use serde_json::json;

use crate::support::{Database, limited, read};

#[tokio::test]
async fn hostile_identifiers_are_only_identifiers() {
    let names = [
        "select",
        "a\"b",
        "x\"; drop table keep; --",
        "办件 编号",
        "🏛️",
        "it's",
        "[b]",
        "`c`",
        "t",
    ];
    for name in names {
        let quoted = format!("\"{}\"", name.replace('"', "\"\""));
        let database = Database::with(&format!(
            "create table keep (a text); insert into keep values ('here');
             create table {quoted} ({quoted} text, \"order\" text);
             insert into {quoted} values ('1', '2018-01-01 00:00:00')"
        ))
        .await;
        let settings = json!({ "key": [name], "read": "incremental", "cursor": "order" });
        let options = json!({ "table": name, "select": ["order", name] });
        let endpoint = database.endpoint(options, settings);
        let outcome = read(&*endpoint, &limited(10), None, None).await.unwrap();
        assert_eq!(outcome.column(name), ["1"]);
        assert_eq!(outcome.schema.as_ref().unwrap().field(0).name(), "order");
        let again = read(&*endpoint, &limited(10), outcome.resume(), None).await.unwrap();
        assert_eq!(again.len(), 1);
        let kept = database.read(json!({ "table": "keep" }), json!({})).await;
        assert_eq!(kept.column("a"), ["here"]);
        assert!(endpoint.discover(&limited(10)).await.unwrap().iter().any(|s| s.name == name));
    }
}

/// G01: names of tables, keys and cursors, and the values of cursors, are never more than that.
#[tokio::test]
async fn three_hundred_hostile_names_and_marks_are_only_that() {
    let names = hostile(300);
    let mut sql = "create table keep (a int); insert into keep values (1)".to_owned();
    for name in &names {
        let quoted = format!("\"{}\"", name.replace('"', "\"\""));
        let text = format!("'{}'", name.replace('\'', "''"));
        sql += &format!(
            "; create table {quoted} ({quoted} text primary key); \
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

#[tokio::test]
async fn a_column_may_hide_the_row_number() {
    let database = Database::with(
        "create table t (rowid text, oid text); insert into t values ('b', 'y'), ('a', 'x')",
    )
    .await;
    let outcome = database.read(json!({ "table": "t" }), json!({})).await;
    assert_eq!(outcome.column("rowid"), ["b", "a"]);
    assert_eq!(outcome.positions, [1, 2]);
}

#[tokio::test]
async fn views_and_tables_without_row_number_are_read() {
    let database = Database::with(
        "create table t (a text primary key, b generated always as (a || '!')) without rowid;
         insert into t (a) values ('x'), ('y'); create view v as select a, 1 as n from t",
    )
    .await;
    let table = database.read(json!({ "table": "t" }), json!({ "key": ["a"] })).await;
    assert_eq!(table.column("b"), ["x!", "y!"]);
    assert_eq!(table.positions, [1, 2]);
    let view = database.read(json!({ "table": "v" }), json!({})).await;
    assert_eq!(view.column("n"), ["1", "1"]);
}

#[tokio::test]
async fn unfit_values_refuse_their_row_at_its_position() {
    let database = Database::with(
        "create table t (a text, n int, w datetime);
         insert into t values ('1', 1, '2018-01-01 00:00:00');
         insert into t values (x'ff00', 2, null);
         insert into t values (cast(x'd6d0b9fa' as text), 3, null);
         insert into t values ('4', 'many', null);
         insert into t values ('5', 5, '0000-00-00 00:00:00');
         insert into t values ('6', 1.5, null);
         insert into t values ('7', null, null)",
    )
    .await;
    let outcome = database.read(json!({ "table": "t" }), json!({})).await;
    assert_eq!(outcome.column("a"), ["1", "7"]);
    assert_eq!(outcome.positions, [1, 7]);
    let rejected: Vec<(u64, &str)> =
        outcome.rejected.iter().map(|row| (row.position, row.code)).collect();
    assert_eq!(
        rejected,
        [(2, "E-ENCODING"), (3, "E-ENCODING"), (4, "E-TYPE"), (5, "E-TYPE"), (6, "E-TYPE")]
    );
    let raws: Vec<&str> =
        outcome.rejected.iter().map(|row| std::str::from_utf8(&row.raw).unwrap()).collect();
    assert_eq!(raws[0], r#"{"a":{"hex":"ff00"},"n":"2","w":null}"#);
    assert_eq!(raws[1], r#"{"a":{"hex":"d6d0b9fa"},"n":"3","w":null}"#);
    assert_eq!(raws[2], r#"{"a":"4","n":"many","w":null}"#);
    assert!(outcome.rejected.iter().all(|row| row.reason.contains("column `")));
    assert!(!format!("{:?}", outcome.rejected).contains("many"));
}

#[tokio::test]
async fn every_storage_class_fits_its_column_exactly() {
    let database = Database::with(
        "create table t (t text, i int, f real, d decimal(12,2), b blob, day date, j json, any);
         insert into t values ('', -9223372036854775808, 0.1, 12.5, x'00ff', '2018-06-12', '{}', 7);
         insert into t values ('𠮷', 9223372036854775807, 3, 100, x'', null, null, 2.5)",
    )
    .await;
    let outcome = database.read(json!({ "table": "t" }), json!({})).await;
    assert!(outcome.rejected.is_empty(), "{:?}", outcome.rejected);
    assert_eq!(outcome.column("t"), ["", "𠮷"]);
    assert_eq!(outcome.column("i"), [i64::MIN.to_string(), i64::MAX.to_string()]);
    assert_eq!(outcome.column("f"), ["0.1", "3.0"]);
    assert_eq!(outcome.column("d"), ["12.50", "100.00"]);
    assert_eq!(outcome.column("b"), ["00ff", ""]);
    assert_eq!(outcome.column("day"), ["2018-06-12", "NULL"]);
    assert_eq!(outcome.column("any"), ["7", "2.5"]);
}

#[tokio::test]
async fn the_operators_type_overrides_the_declared_one() {
    let database = Database::with(
        "create table t (code int, at text, must text);
         insert into t values (1, '2018-06-12 01:00:00', 'x'), (2, null, null)",
    )
    .await;
    let settings = json!({
        "zone": "UTC",
        "columns": {
            "code": { "type": "text" }, "at": { "type": "timestamp" }, "must": { "nullable": false },
        },
    });
    let outcome = database.read(json!({ "table": "t" }), settings).await;
    assert_eq!(outcome.column("code"), ["1"]);
    assert_eq!(outcome.column("at"), ["2018-06-12T09:00:00"]);
    assert_eq!((outcome.rejected[0].position, outcome.rejected[0].code), (2, "E-NULL"));
}

#[tokio::test]
async fn a_cursor_of_bytes_is_refused() {
    let database = Database::with("create table t (c); insert into t values (x'00')").await;
    let settings = json!({ "read": "incremental", "cursor": "c" });
    let endpoint = database.endpoint(json!({ "table": "t" }), settings);
    let error = read(&*endpoint, &limited(10), None, None).await.err().unwrap();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Data, "E-CURSOR"));
}

#[tokio::test]
async fn errors_hold_no_values() {
    let database = Database::with(
        "create table t (id text, c text); insert into t values ('341024199001011234', '9'),
             ('341024199001011235', cast(x'fe341024' as text))",
    )
    .await;
    let settings = json!({ "read": "incremental", "cursor": "c" });
    let endpoint = database.endpoint(json!({ "table": "t" }), settings);
    let error = read(&*endpoint, &limited(10), None, None).await.err().unwrap();
    let told = format!("{error:?} {error}");
    assert!(!told.contains("341024"), "{told}");
}
