//! The flag protocol of front databases.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use huiliu_sdk::{Checkpoint, Cx, Endpoint, ErrorKind, Event, Source};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

use crate::support::{Database, KINDS, Kind, configured, limited, read, request};

const FRONT: &str = "create table up (id int primary key, project_no varchar(30) not null, ver int, \
    note varchar(20), is_sync char(1) default '0')";

fn options() -> Value {
    json!({ "table": "up", "flag": "is_sync", "flag_batch": 2 })
}

fn settings() -> Value {
    json!({ "key": ["id"], "group": ["project_no"], "version": "ver", "read": "flagged" })
}

/// The same, with and without a version: it tells two states of a row apart, or all of it does.
fn both() -> [Value; 2] {
    let mut plain = settings();
    plain["version"] = Value::Null;
    [settings(), plain]
}

async fn front(kind: Kind, rows: &str) -> Database {
    Database::with(kind, &format!("{FRONT}; insert into up values {rows}")).await
}

const FIVE: &str = "(1, 'A', 1, 'a1', '0'), (2, 'A', 1, 'a2', '1'), (3, 'B', 1, 'b', '0'), \
    (4, 'C', 1, 'c', '0'), (5, 'D', 1, 'd', '1')";

async fn flags(database: &Database) -> Vec<String> {
    database.texts("select id || '=' || coalesce(is_sync, '-') from up order by id").await
}

/// Reads up to the first batch's checkpoint.
async fn first_batch(
    endpoint: &Arc<dyn Endpoint>,
    cx: &Cx,
) -> (Box<dyn Source>, Checkpoint, usize) {
    let mut source = endpoint.source(cx, request(None, None)).await.unwrap();
    let mut rows = 0;
    loop {
        match source.next(cx).await.unwrap().unwrap() {
            Event::Rows(batch) => rows += batch.batch.num_rows(),
            Event::Checkpoint(checkpoint) => return (source, checkpoint, rows),
            _ => {}
        }
    }
}

#[tokio::test]
async fn whole_cases_are_read_and_marked_only_when_acknowledged() {
    for kind in KINDS {
        for settings in both() {
            let database = front(kind, FIVE).await;
            let endpoint = configured(database.config(options(), settings));
            let outcome = read(&*endpoint, &limited(10), None, None).await.unwrap();
            assert_eq!(outcome.column("id"), ["1", "2", "3", "4"], "A comes whole, D is done");
            assert_eq!(outcome.complete, Some(false));
            assert_eq!(outcome.checkpoints[0].1.state["cases"], json!([["A"], ["B"]]));
            let schema = outcome.schema.as_ref().unwrap();
            assert!(schema.field_with_name("is_sync").is_err(), "the flag is not the hub's");
            assert_eq!(flags(&database).await, ["1=0", "2=1", "3=0", "4=0", "5=1"], "{kind:?}");

            let cx = limited(10);
            let (mut source, checkpoint, rows) = first_batch(&endpoint, &cx).await;
            assert_eq!(rows, 3, "nothing was marked, so all of it comes again");
            source.acknowledge(&cx, &checkpoint).await.unwrap();
            source.acknowledge(&cx, &checkpoint).await.unwrap();
            drop(source);
            assert_eq!(flags(&database).await, ["1=1", "2=1", "3=1", "4=0", "5=1"], "{kind:?}");
            let rest = read(&*endpoint, &limited(10), Some(checkpoint), None).await.unwrap();
            assert_eq!(rest.column("id"), ["4"], "{kind:?}");
            database.drop().await;
        }
    }
}

#[tokio::test]
async fn the_last_acknowledgement_marks_all_before_it() {
    for kind in KINDS {
        for settings in both() {
            let rows: Vec<String> =
                (0..300).map(|id| format!("({id}, 'c{:03}', 1, 'n', '0')", id / 2)).collect();
            let database = front(kind, &rows.join(", ")).await;
            let mut options = options();
            options["flag_batch"] = json!(60);
            let endpoint = configured(database.config(options, settings));
            let cx = limited(7);
            let mut source = endpoint.source(&cx, request(None, None)).await.unwrap();
            let mut checkpoints = Vec::new();
            while let Some(event) = source.next(&cx).await.unwrap() {
                if let Event::Checkpoint(checkpoint) = event {
                    checkpoints.push(checkpoint);
                }
            }
            assert_eq!(checkpoints.len(), 4, "{kind:?}: three batches and the end");
            source.acknowledge(&cx, &checkpoints[3]).await.unwrap();
            let open = database.texts("select id || '' from up where is_sync <> '1'").await;
            assert!(open.is_empty(), "{kind:?}: {open:?}");
            let none = read(&*endpoint, &limited(10), None, None).await.unwrap();
            assert_eq!((none.len(), none.complete), (0, Some(false)), "{kind:?}");
            drop(source);
            database.drop().await;
        }
    }
}

#[tokio::test]
async fn what_changed_since_it_was_read_stays_new() {
    for kind in KINDS {
        for settings in both() {
            let rows = "(1, 'A', 1, 'a', '0'), (2, 'A', 1, 'x', '0'), (3, 'B', 1, 'b', '0'), \
                        (4, 'B', 1, 'y', '0')";
            let database = front(kind, rows).await;
            let endpoint = configured(database.config(options(), settings));
            let cx = limited(10);
            let (mut source, checkpoint, rows) = first_batch(&endpoint, &cx).await;
            assert_eq!(rows, 4);
            // Sent again with a higher version; vanished; added to a case that was read; set aside.
            database
                .execute(
                    "update up set ver = 2, note = 'new' where id = 1; delete from up where id = 2; \
                     insert into up values (9, 'A', 1, 'more', '0'); \
                     update up set is_sync = '9' where id = 4",
                )
                .await;
            source.acknowledge(&cx, &checkpoint).await.unwrap();
            assert_eq!(flags(&database).await, ["1=0", "3=1", "4=9", "9=0"], "{kind:?}");
            let again = read(&*endpoint, &limited(10), Some(checkpoint), None).await.unwrap();
            let ids: BTreeSet<String> = again.column("id").into_iter().collect();
            assert_eq!(ids, BTreeSet::from(["1".to_owned(), "9".to_owned()]), "{kind:?}");
            drop(source);
            database.drop().await;
        }
    }
}

/// The whole row is compared where nothing tells its version, also what no condition could name.
#[tokio::test]
async fn without_a_version_any_change_of_a_row_is_noticed() {
    for (kind, more) in [(Kind::Postgres, "f float8, b bytea"), (Kind::Sqlite, "f double, b blob")]
    {
        let (one, two) = match kind {
            Kind::Postgres => ("'\\x01'", "'\\x02'"),
            Kind::Sqlite => ("x'01'", "x'02'"),
        };
        let database = Database::with(
            kind,
            &format!(
                "create table up (id int primary key, is_sync char(1), w text, {more}); \
                 insert into up values (1, '0', 'a', 0.5, {one}), (2, '0', 'a', 0.5, {one}), \
                 (3, '0', 'a', 0.5, {one}), (4, '0', null, null, null)"
            ),
        )
        .await;
        let settings = json!({ "key": ["id"], "read": "flagged" });
        let mut options = options();
        options["flag_batch"] = json!(10);
        let endpoint = configured(database.config(options, settings));
        let cx = limited(10);
        let (mut source, checkpoint, rows) = first_batch(&endpoint, &cx).await;
        assert_eq!(rows, 4, "{kind:?}");
        let change = format!(
            "update up set f = 0.75 where id = 1; update up set b = {two} where id = 2; \
             update up set w = null where id = 3"
        );
        database.execute(&change).await;
        source.acknowledge(&cx, &checkpoint).await.unwrap();
        assert_eq!(flags(&database).await, ["1=0", "2=0", "3=0", "4=1"], "{kind:?}");
        drop(source);
        database.drop().await;
    }
}

/// Between the comparison and the mark nobody else can change a row.
#[tokio::test]
async fn a_row_that_is_sent_again_at_that_very_moment_stays_new() {
    let database = front(Kind::Postgres, "(1, 'A', 1, 'a', '0'), (2, 'A', 1, 'b', '0')").await;
    let [_, settings] = both();
    let endpoint = configured(database.config(options(), settings));
    let cx = limited(10);
    let (mut source, checkpoint, _) = first_batch(&endpoint, &cx).await;
    let mut db = PgConnection::connect(&database.url()).await.unwrap();
    let sending = "begin; update up set note = 'new' where id = 1";
    sqlx::raw_sql(sending).execute(&mut db).await.unwrap();
    let marking = tokio::spawn(async move { source.acknowledge(&cx, &checkpoint).await });
    let waiting = "select count(*)::text from pg_stat_activity \
                   where datname = current_database() and wait_event_type = 'Lock'";
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    for _ in 0..1_500 {
        ticks.tick().await;
        if database.texts(waiting).await == ["1"] {
            break;
        }
    }
    assert_eq!(database.texts(waiting).await, ["1"], "the mark waits for the other writer");
    sqlx::raw_sql("commit").execute(&mut db).await.unwrap();
    marking.await.unwrap().unwrap();
    assert_eq!(flags(&database).await, ["1=0", "2=1"]);
    db.close().await.unwrap();
    database.drop().await;
}

#[tokio::test]
async fn rows_of_one_key_are_told_apart_by_their_version() {
    for kind in KINDS {
        let states = "select ver || '=' || is_sync from up order by ver";
        for (settings, after) in
            both().into_iter().zip([["1=1", "2=1", "3=0"], ["1=0", "2=0", "3=0"]])
        {
            let table = FRONT.replace("int primary key", "int");
            let rows = "(1, 'A', 1, 'a', '0'), (1, 'A', 2, 'b', '0')";
            let sql = format!("{table}; insert into up values {rows}");
            let database = Database::with(kind, &sql).await;
            let endpoint = configured(database.config(options(), settings));
            let cx = limited(10);
            let (mut source, checkpoint, rows) = first_batch(&endpoint, &cx).await;
            assert_eq!(rows, 2);
            database.execute("insert into up values (1, 'A', 3, 'c', '0')").await;
            source.acknowledge(&cx, &checkpoint).await.unwrap();
            drop(source);
            // Without a version a mark would hit the third too, which nobody has read.
            assert_eq!(database.texts(states).await, after, "{kind:?}");
            let (mut source, checkpoint, rows) = first_batch(&endpoint, &cx).await;
            assert_eq!(rows, 3, "{kind:?}");
            source.acknowledge(&cx, &checkpoint).await.unwrap();
            drop(source);
            assert_eq!(database.texts(states).await, ["1=1", "2=1", "3=1"], "{kind:?}");
            database.drop().await;
        }
    }
}

#[tokio::test]
async fn claims_are_taken_over_after_a_restart() {
    for kind in KINDS {
        for settings in both() {
            let database = front(kind, FIVE).await;
            let mut options = options();
            options["flag_claimed"] = json!("2");
            let endpoint = configured(database.config(options, settings));
            let cx = limited(10);
            let (source, _, rows) = first_batch(&endpoint, &cx).await;
            drop(source);
            assert_eq!(rows, 3);
            assert_eq!(flags(&database).await[..3], ["1=2", "2=1", "3=2"], "{kind:?}");
            let (mut source, checkpoint, rows) = first_batch(&endpoint, &cx).await;
            assert_eq!(rows, 3, "what was claimed and never marked is read again");
            database.execute("update up set is_sync = '0' where id = 3").await;
            source.acknowledge(&cx, &checkpoint).await.unwrap();
            drop(source);
            let after = flags(&database).await;
            assert_eq!(after[..3], ["1=1", "2=1", "3=0"], "{kind:?}: 3 was sent again");
            database.drop().await;
        }
    }
}

#[tokio::test]
async fn flags_without_value_count_as_new_if_declared() {
    for kind in KINDS {
        let rows = "(1, 'A', null, 'a', null), (2, 'B', 1, 'b', '0'), (3, 'C', null, 'c', null)";
        for settings in both() {
            let database = front(kind, rows).await;
            let endpoint = configured(database.config(options(), settings.clone()));
            let some = read(&*endpoint, &limited(10), None, None).await.unwrap();
            assert_eq!(some.column("id"), ["2"], "{kind:?}");
            let mut options = options();
            options["flag_null_is_new"] = json!(true);
            let endpoint = configured(database.config(options, settings));
            let cx = limited(10);
            let (mut source, checkpoint, rows) = first_batch(&endpoint, &cx).await;
            assert_eq!(rows, 2, "{kind:?}");
            source.acknowledge(&cx, &checkpoint).await.unwrap();
            drop(source);
            assert_eq!(flags(&database).await, ["1=1", "2=1", "3=-"], "{kind:?}");
            database.drop().await;
        }
    }
}

#[tokio::test]
async fn rows_without_case_are_sent_and_never_marked() {
    for kind in KINDS {
        let database = Database::with(
            kind,
            "create table up (id int primary key, project_no varchar(30), is_sync int default 0); \
             insert into up values (1, null, 0), (2, 'A', 0), (3, null, 1)",
        )
        .await;
        let [_, settings] = both();
        let endpoint = configured(database.config(options(), settings));
        let cx = limited(10);
        let (mut source, checkpoint, rows) = first_batch(&endpoint, &cx).await;
        assert_eq!(rows, 2, "{kind:?}");
        source.acknowledge(&cx, &checkpoint).await.unwrap();
        drop(source);
        let flags = database.texts("select id || '=' || is_sync from up order by id").await;
        assert_eq!(flags, ["1=0", "2=1", "3=1"], "{kind:?}");
        database.drop().await;
    }
}

#[tokio::test]
async fn a_preview_claims_and_marks_nothing() {
    for kind in KINDS {
        let database = front(kind, FIVE).await;
        let mut options = options();
        options["flag_claimed"] = json!("2");
        let endpoint = configured(database.config(options, settings()));
        let before = flags(&database).await;
        let some = read(&*endpoint, &limited(10), None, Some(1)).await.unwrap();
        assert_eq!((some.len(), some.complete), (1, Some(false)), "{kind:?}");
        let cx = limited(10);
        let mut source = endpoint.source(&cx, request(None, Some(9))).await.unwrap();
        let mut checkpoints = Vec::new();
        while let Some(event) = source.next(&cx).await.unwrap() {
            if let Event::Checkpoint(checkpoint) = event {
                checkpoints.push(checkpoint);
            }
        }
        source.acknowledge(&cx, checkpoints.last().unwrap()).await.unwrap();
        drop(source);
        assert_eq!(flags(&database).await, before, "{kind:?}");
        database.drop().await;
    }
}

#[tokio::test]
async fn keys_of_numbers_and_times_are_found_again_and_the_flag_need_not_be_selected() {
    for kind in KINDS {
        let database = Database::with(
            kind,
            "create table up (n numeric(12,2), c timestamp, v varchar(9), is_sync numeric(1,0)); \
             insert into up values (1.5, '2018-06-12 09:00:00', 'a', 0), \
             (-1.5, '2018-06-12 09:00:00', 'b', 0), (1.5, '2018-06-12 09:00:01', 'c', 5)",
        )
        .await;
        let mut options = options();
        options["select"] = json!(["c", "v", "n"]);
        let settings = json!({ "key": ["n", "c"], "read": "flagged" });
        let endpoint = configured(database.config(options, settings));
        let cx = limited(10);
        let (mut source, checkpoint, rows) = first_batch(&endpoint, &cx).await;
        assert_eq!(rows, 2, "{kind:?}");
        source.acknowledge(&cx, &checkpoint).await.unwrap();
        drop(source);
        let flags =
            "select v || '=' || cast(cast(is_sync as int) as varchar(9)) from up order by v";
        assert_eq!(database.texts(flags).await, ["a=1", "b=1", "c=5"], "{kind:?}");
        let rest = read(&*endpoint, &cx, None, None).await.unwrap();
        let schema = rest.schema.as_ref().unwrap();
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        assert_eq!((rest.len(), names), (0, vec!["c", "v", "n"]), "{kind:?}");
        database.drop().await;
    }
}

#[tokio::test]
async fn what_cannot_be_compared_is_refused_before_anything_is_read() {
    let cases = [
        (json!({}), json!({ "key": ["f"] }), "E-ODBC-COMPARE", "`f`"),
        (json!({ "flag_new": "N" }), json!({ "key": ["id"] }), "E-ODBC-COMPARE", "`N`"),
        (json!({ "flag": "gone" }), json!({ "key": ["id"] }), "E-COLUMN-MISSING", "`gone`"),
        (json!({}), json!({ "key": ["id"], "group": ["gone"] }), "E-COLUMN-MISSING", "`gone`"),
    ];
    for kind in KINDS {
        let database = Database::with(
            kind,
            "create table up (id int primary key, f double precision, is_sync int); \
             insert into up values (1, 1.5, 0)",
        )
        .await;
        for (more, settings, code, named) in cases.clone() {
            let (mut options, mut settings) = (options(), settings);
            for (key, value) in more.as_object().unwrap() {
                options[key] = value.clone();
            }
            settings["read"] = json!("flagged");
            let endpoint = configured(database.config(options, settings));
            let error = read(&*endpoint, &limited(10), None, None).await.err().unwrap();
            assert_eq!(error.code(), code, "{kind:?}: {error}");
            assert!(error.message().contains(named), "{kind:?}: {error}");
        }
        database.drop().await;
    }
}

#[tokio::test]
async fn rows_that_could_not_be_marked_are_not_read_at_all() {
    let database = front(Kind::Postgres, FIVE).await;
    let role = format!("{}_front", database.name());
    database
        .execute(&format!("create role {role} login password 'x'; grant select on up to {role}"))
        .await;
    let mut config = database.config(options(), settings());
    let connection = database.connection().replace("Uid=postgres", &format!("Uid={role};Pwd=x"));
    config.options = json!({ "connection": connection });
    let endpoint = configured(config);
    let error = read(&*endpoint, &limited(10), None, None).await.err().unwrap();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Permission, "E-PERMISSION"), "{error}");
    // A preview marks nothing and may look.
    assert_eq!(read(&*endpoint, &limited(10), None, Some(3)).await.unwrap().len(), 3);
    database.execute(&format!("grant update (is_sync) on up to {role}")).await;
    let cx = limited(10);
    let (mut source, checkpoint, rows) = first_batch(&endpoint, &cx).await;
    assert_eq!(rows, 3);
    source.acknowledge(&cx, &checkpoint).await.unwrap();
    drop(source);
    assert_eq!(flags(&database).await, ["1=1", "2=1", "3=1", "4=0", "5=1"]);
    database.execute(&format!("drop owned by {role}; drop role {role}")).await;
    database.drop().await;
}
