//! Values come as they are, whatever the driver announced, or their row is set aside.

use huiliu_sdk::{ErrorKind, read_original};
use huiliu_testkit::hazard::hostile;
use serde_json::json;

use crate::support::{Database, KINDS, Kind, configured, limited, read};

#[tokio::test]
async fn every_type_keeps_its_values_exactly() {
    let database = Database::with(
        Kind::Postgres,
        "create table t (id bigint primary key, small smallint, money numeric(20,4), \
         wide numeric(38,0), real8 double precision, flag boolean, day date, at timestamp(6), \
         raw bytea, text text, none text); \
         insert into t values (9223372036854775807, -32768, 1234567890123456.7890, \
         99999999999999999999999999999999999999, 0.1, true, '2018-02-28', \
         '2018-06-12 09:00:00.123456', '\\x00ff'::bytea, E'王芳 🏛 a''b', null)",
    )
    .await;
    let outcome = database.read(json!({ "key": ["id"] })).await;
    assert!(outcome.rejected.is_empty(), "{:?}", outcome.rejected);
    for (name, value) in [
        ("id", "9223372036854775807"),
        ("small", "-32768"),
        ("money", "1234567890123456.7890"),
        ("wide", "99999999999999999999999999999999999999"),
        ("real8", "0.1"),
        ("day", "2018-02-28"),
        ("at", "2018-06-12T09:00:00.123456"),
        ("raw", "00ff"),
        ("text", "王芳 🏛 a'b"),
        ("none", "NULL"),
    ] {
        assert_eq!(outcome.column(name), [value], "{name}");
    }
    database.drop().await;
}

/// To the driver of SQLite decimals are text, and numerics are floats.
#[tokio::test]
async fn decimals_are_decimals_over_sqlite() {
    let database = Database::with(
        Kind::Sqlite,
        "create table t (id integer primary key, fee decimal(12,2), rate numeric(9,6)); \
         insert into t values (1, 12.5, 0.000001), (2, 9999999999.99, 3)",
    )
    .await;
    let outcome = database.read(json!({ "key": ["id"] })).await;
    assert!(outcome.rejected.is_empty(), "{:?}", outcome.rejected);
    assert_eq!(outcome.column("fee"), ["12.50", "9999999999.99"]);
    assert_eq!(outcome.column("rate"), ["0.000001", "3.000000"]);
    database.drop().await;
}

/// The driver of SQLite gives floats with 15 digits, which is its own doing: what SQLite itself writes
/// with enough digits comes whole over the same driver.
#[tokio::test]
async fn floats_keep_every_bit_over_sqlite_where_it_writes_them_itself() {
    let database = Database::with(
        Kind::Sqlite,
        "create table raw (id integer primary key, f double); \
         insert into raw values (1, 0.1), (2, 1.0 / 3.0), (3, 5e-324), (4, null); \
         create view t as select id, case when f is null then null else printf('%!.18g', f) end \
         as f from raw",
    )
    .await;
    let settings = json!({ "key": ["id"], "columns": { "f": { "type": "float" } } });
    let exact = database.read(settings).await;
    assert_eq!(exact.column("f"), ["0.1", "0.3333333333333333", "5e-324", "NULL"]);
    let config = database.config(json!({ "table": "raw" }), json!({ "key": ["id"] }));
    let cut = read(&*configured(config), &limited(10), None, None).await.unwrap();
    assert_eq!(cut.column("f")[1], "0.333333333333333");
    database.drop().await;
}

/// D05: what is longer than the driver said, or than anybody said, comes whole.
#[tokio::test]
async fn values_longer_than_announced_are_never_cut() {
    for kind in KINDS {
        // The driver of PostgreSQL announces 255 for a varchar without length and 8190 for text;
        // SQLite keeps what it is given, whatever was declared.
        let column = if kind == Kind::Postgres { "varchar" } else { "varchar(10)" };
        let database = Database::with(
            kind,
            &format!("create table t (id int primary key, v {column}, w text, b text)"),
        )
        .await;
        let lengths = [0, 1, 254, 255, 256, 4094, 4095, 4096, 8189, 8190, 8191, 100_000];
        for (id, length) in lengths.iter().enumerate() {
            let text = "办".repeat(*length);
            database.execute(&format!("insert into t values ({id}, '{text}', '{text}', '')")).await;
        }
        let outcome = database.read(json!({ "key": ["id"] })).await;
        assert_eq!(outcome.len(), lengths.len(), "{kind:?}: {:?}", outcome.rejected);
        let ids = outcome.column("id");
        for name in ["v", "w"] {
            for (id, text) in ids.iter().zip(outcome.column(name)) {
                let length = lengths[id.parse::<usize>().unwrap()];
                assert_eq!(text.chars().count(), length, "{kind:?} {name}");
                assert!(text.chars().all(|c| c == '办'), "{kind:?} {name}");
            }
        }
        // Empty text is text, and no value is none.
        assert!(outcome.column("b").iter().all(String::is_empty), "{kind:?}");
        database.drop().await;
    }
}

#[tokio::test]
async fn what_does_not_fit_sets_its_row_aside_and_the_others_come() {
    for kind in KINDS {
        let database = Database::with(
            kind,
            "create table t (id int primary key, v varchar(30)); \
             insert into t values (1, '12'), (2, 'twelve'), (3, '13')",
        )
        .await;
        let outcome =
            database.read(json!({ "key": ["id"], "columns": { "v": { "type": "int" } } })).await;
        assert_eq!(outcome.sorted("v"), ["12", "13"], "{kind:?}");
        assert_eq!(outcome.rejected.len(), 1, "{kind:?}");
        let refused = &outcome.rejected[0];
        assert!(refused.reason.contains("`v`") && !refused.reason.contains("twelve"));
        let kept = read_original(&refused.raw).unwrap();
        assert_eq!(kept[0].0, "id");
        database.drop().await;
    }
}

#[tokio::test]
async fn bytes_that_are_no_text_are_set_aside_and_gbk_is_read_where_it_is_declared() {
    let database = Database::with(
        Kind::Sqlite,
        "create table t (id integer primary key, v text); \
         insert into t values (1, 'plain'), (2, cast(x'cdf5b7bc' as text))",
    )
    .await;
    let text = |form: &str| {
        let mut config = database.config(json!({ "table": "t" }), json!({ "key": ["id"] }));
        config.options["text"] = json!(form);
        configured(config)
    };
    let utf8 = read(&*text("utf8"), &limited(10), None, None).await.unwrap();
    assert_eq!(utf8.column("v"), ["plain"]);
    assert_eq!((utf8.rejected.len(), utf8.rejected[0].code), (1, "E-ENCODING"));
    let gbk = read(&*text("gb18030"), &limited(10), None, None).await.unwrap();
    assert_eq!(gbk.column("v"), ["plain", "王芳"]);
    database.drop().await;
}

#[tokio::test]
async fn wall_times_move_to_the_hubs_zone() {
    for kind in KINDS {
        let database = Database::with(
            kind,
            "create table t (id int primary key, c timestamp); \
             insert into t values (1, '2018-06-12 01:00:00')",
        )
        .await;
        let outcome = database.read(json!({ "key": ["id"], "zone": "UTC" })).await;
        assert_eq!(outcome.column("c"), ["2018-06-12T09:00:00"], "{kind:?}");
        database.drop().await;
    }
}

#[tokio::test]
async fn hostile_names_are_only_names() {
    for kind in KINDS {
        let database = Database::with(
            kind,
            "create table \"a\"\"; drop\" (\"select\" int primary key, \"办'件\" varchar(9)); \
             insert into \"a\"\"; drop\" values (1, 'x')",
        )
        .await;
        let config = database.config(
            json!({ "table": "a\"; drop", "select": ["select", "办'件"] }),
            json!({ "key": ["select"] }),
        );
        let outcome = read(&*configured(config), &limited(10), None, None).await.unwrap();
        assert_eq!(outcome.column("办'件"), ["x"], "{kind:?}");
        database.drop().await;
    }
}

/// G01: names of tables, keys and cursors, and the values of cursors, are never more than that.
#[tokio::test]
async fn three_hundred_hostile_names_and_marks_are_only_that() {
    for kind in KINDS {
        let names = hostile(300);
        let mut sql = "create table keep (a int); insert into keep values (1)".to_owned();
        for name in &names {
            let quoted = format!("\"{}\"", name.replace('"', "\"\""));
            let text = name.replace('\'', "''");
            sql += &format!(
                "; create table {quoted} ({quoted} varchar(99) primary key); \
                 insert into {quoted} values ('{text}')"
            );
        }
        let database = Database::with(kind, &sql).await;
        for name in &names {
            let config = database.config(
                json!({ "table": name, "select": [name] }),
                json!({ "key": [name], "read": "incremental", "cursor": name }),
            );
            let endpoint = configured(config);
            let outcome = read(&*endpoint, &limited(10), None, None).await.unwrap();
            assert_eq!(outcome.column(name), [name.as_str()], "{kind:?}");
            // The mark is the same text once more.
            let again = read(&*endpoint, &limited(10), outcome.resume(), None).await.unwrap();
            assert_eq!(again.column(name), [name.as_str()], "{kind:?}");
        }
        assert_eq!(database.texts("select cast(a as varchar(9)) from keep").await, ["1"]);
        database.drop().await;
    }
}

/// The driver of SQLite cuts names at a dot; those of columns that are selected are known.
#[tokio::test]
async fn a_name_with_a_dot_is_whole_where_it_is_selected() {
    for kind in KINDS {
        let database = Database::with(
            kind,
            "create table t (id int primary key, \"dot.ted\" varchar(9)); \
             insert into t values (1, 'x')",
        )
        .await;
        let config = |select| database.config(json!({ "table": "t", "select": select }), json!({}));
        let endpoint = configured(config(json!(["id", "dot.ted"])));
        let outcome = read(&*endpoint, &limited(10), None, None).await.unwrap();
        assert_eq!(outcome.column("dot.ted"), ["x"], "{kind:?}");
        // SQLite would take the name of a column that is not there for a text.
        let endpoint = configured(config(json!(["id", "gone"])));
        let error = read(&*endpoint, &limited(10), None, None).await.err().unwrap();
        assert_eq!(error.code(), "E-COLUMN-MISSING", "{kind:?}: {error}");
        database.drop().await;
    }
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_given_up() {
    let database =
        Database::with(Kind::Postgres, "create view t as select 1 as id, pg_sleep(30)::text as v")
            .await;
    let mut config = database.config(json!({ "table": "t" }), json!({ "key": ["id"] }));
    config.options["statement_timeout"] = json!("1s");
    let error = read(&*configured(config), &limited(10), None, None).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    database.drop().await;
}
