#![allow(clippy::unwrap_used)] // helpers stand outside of #[test] functions
//! The flag protocol of front databases.

use std::collections::BTreeSet;
use std::sync::Arc;

use huiliu_sdk::{Checkpoint, Cx, Endpoint, ErrorKind, Event, Source};
use serde_json::{Value, json};

use crate::support::{Database, limited, read, request};

const FRONT: &str = "create table up (id int primary key, project_no varchar(30) not null, ver int,
    note varchar(20), is_sync char(1) default '0')";

fn options() -> Value {
    json!({ "table": "up", "flag": "is_sync", "flag_batch": 2 })
}

fn settings() -> Value {
    json!({ "key": ["id"], "group": ["project_no"], "version": "ver", "read": "flagged" })
}

async fn front(rows: &str) -> Database {
    Database::with(&format!("{FRONT}; insert into up values {rows}")).await
}

const FIVE: &str = "(1, 'A', 1, 'a1', '0'), (2, 'A', 1, 'a2', '1'), (3, 'B', 1, 'b', '0'),
    (4, 'C', 1, 'c', '0'), (5, 'D', 1, 'd', '1')";

impl Database {
    async fn flags(&mut self) -> Vec<String> {
        self.texts("select id || '=' || ifnull(is_sync, '-') from up order by id").await
    }
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
    let mut database = front(FIVE).await;
    let endpoint = database.endpoint(options(), settings());
    let outcome = read(&*endpoint, &limited(10), None, None).await.unwrap();
    assert_eq!(outcome.column("id"), ["1", "2", "3", "4"], "case A comes whole, D is done");
    let schema = outcome.schema.as_ref().unwrap();
    assert!(schema.field_with_name("is_sync").is_err(), "our own marks change no row of the lake");
    assert_eq!(outcome.complete, Some(false));
    assert_eq!(outcome.checkpoints[0].1.state["cases"], json!([["A"], ["B"]]));
    let row = json!({ "key": ["1"], "version": "1" });
    assert_eq!(outcome.checkpoints[0].1.state["rows"][0], row);
    assert_eq!(database.flags().await, ["1=0", "2=1", "3=0", "4=0", "5=1"]);

    let cx = limited(10);
    let (mut source, checkpoint, rows) = first_batch(&endpoint, &cx).await;
    assert_eq!(rows, 3, "nothing was marked, so all of it comes again");
    source.acknowledge(&cx, &checkpoint).await.unwrap();
    source.acknowledge(&cx, &checkpoint).await.unwrap();
    drop(source);
    assert_eq!(database.flags().await, ["1=1", "2=1", "3=1", "4=0", "5=1"]);
    let rest = read(&*endpoint, &limited(10), Some(checkpoint), None).await.unwrap();
    assert_eq!(rest.column("id"), ["4"]);
}

#[tokio::test]
async fn the_last_acknowledgement_marks_all_before_it() {
    let mut database = front(FIVE).await;
    let endpoint = database.endpoint(options(), settings());
    let cx = limited(10);
    let mut source = endpoint.source(&cx, request(None, None)).await.unwrap();
    let mut last = None;
    while let Some(event) = source.next(&cx).await.unwrap() {
        if let Event::Checkpoint(checkpoint) = event {
            last = Some(checkpoint);
        }
    }
    source.acknowledge(&cx, &last.unwrap()).await.unwrap();
    assert_eq!(database.flags().await, ["1=1", "2=1", "3=1", "4=1", "5=1"]);
    let none = read(&*endpoint, &limited(10), None, None).await.unwrap();
    assert_eq!((none.len(), none.complete), (0, Some(false)));
}

#[tokio::test]
async fn what_changed_since_it_was_read_stays_new() {
    for version in [true, false] {
        let mut database = front(
            "(1, 'A', 1, 'a', '0'), (2, 'A', 1, 'x', '0'), (3, 'B', 1, 'b', '0'), (4, 'B', 1, 'y', '0')",
        )
        .await;
        let mut settings = settings();
        if !version {
            settings["version"] = Value::Null;
        }
        let endpoint = database.endpoint(options(), settings);
        let cx = limited(10);
        let (mut source, checkpoint, rows) = first_batch(&endpoint, &cx).await;
        assert_eq!(rows, 4);
        // Sent again with a higher version; vanished; added to a case that was read; set aside.
        database
            .execute(
                "update up set ver = 2, note = 'new' where id = 1; delete from up where id = 2;
                 insert into up values (9, 'A', 1, 'more', '0'); update up set is_sync = '9' where id = 4",
            )
            .await;
        source.acknowledge(&cx, &checkpoint).await.unwrap();
        assert_eq!(database.flags().await, ["1=0", "3=1", "4=9", "9=0"], "version: {version}");
        let again = read(&*endpoint, &limited(10), Some(checkpoint), None).await.unwrap();
        assert_eq!(again.column("id").into_iter().collect::<BTreeSet<_>>().len(), 2);
    }
}

#[tokio::test]
async fn a_row_that_took_the_place_of_one_that_was_read_stays_new() {
    let mut database = Database::with(
        "create table up (no text, project_no text, is_sync text);
         insert into up values ('n1', 'A', '0'), ('n2', 'B', '0')",
    )
    .await;
    let settings = json!({ "key": ["no"], "group": ["project_no"], "read": "flagged" });
    let endpoint = database.endpoint(options(), settings);
    let cx = limited(10);
    let (mut source, checkpoint, rows) = first_batch(&endpoint, &cx).await;
    assert_eq!(rows, 2);
    // Deleted and inserted again: another row has the number that it had.
    database
        .execute(
            "delete from up where no = 'n2'; insert into up values ('n3', 'B', '0');
             insert into up values ('n2', 'C', '0')",
        )
        .await;
    source.acknowledge(&cx, &checkpoint).await.unwrap();
    let flags = database.texts("select no || '=' || is_sync from up order by no").await;
    assert_eq!(flags, ["n1=1", "n2=0", "n3=0"]);
}

#[tokio::test]
async fn claims_are_taken_over_after_a_restart() {
    let mut database = front(FIVE).await;
    let mut options = options();
    options["flag_claimed"] = json!("2");
    let endpoint = database.endpoint(options, settings());
    let cx = limited(10);
    let (source, _, rows) = first_batch(&endpoint, &cx).await;
    drop(source);
    assert_eq!(rows, 3);
    assert_eq!(database.flags().await[..3], ["1=2", "2=1", "3=2"]);
    let (mut source, checkpoint, rows) = first_batch(&endpoint, &cx).await;
    assert_eq!(rows, 3, "what was claimed and never marked is read again");
    database.execute("update up set is_sync = '0' where id = 3").await;
    source.acknowledge(&cx, &checkpoint).await.unwrap();
    assert_eq!(database.flags().await[..3], ["1=1", "2=1", "3=0"], "3 was sent again");
}

#[tokio::test]
async fn flags_without_value_count_as_new_if_declared() {
    let mut database =
        front("(1, 'A', null, 'a', null), (2, 'B', 1, 'b', '0'), (3, 'C', null, 'c', null)").await;
    let endpoint = database.endpoint(options(), settings());
    let some = read(&*endpoint, &limited(10), None, None).await.unwrap();
    assert_eq!(some.column("id"), ["2"]);
    let mut options = options();
    options["flag_null_is_new"] = json!(true);
    let endpoint = database.endpoint(options, settings());
    let cx = limited(10);
    let (mut source, checkpoint, rows) = first_batch(&endpoint, &cx).await;
    assert_eq!(rows, 2);
    source.acknowledge(&cx, &checkpoint).await.unwrap();
    assert_eq!(database.flags().await, ["1=1", "2=1", "3=-"]);
}

#[tokio::test]
async fn rows_without_case_are_sent_and_never_marked() {
    let mut database = Database::with(
        "create table up (id int primary key, project_no varchar(30), is_sync int default 0);
         insert into up values (1, null, 0), (2, 'A', 0), (3, null, 1)",
    )
    .await;
    let mut settings = settings();
    settings["version"] = Value::Null;
    let endpoint = database.endpoint(options(), settings);
    let cx = limited(10);
    let (mut source, checkpoint, rows) = first_batch(&endpoint, &cx).await;
    assert_eq!(rows, 2);
    source.acknowledge(&cx, &checkpoint).await.unwrap();
    assert_eq!(database.flags().await, ["1=0", "2=1", "3=1"]);
}

#[tokio::test]
async fn a_flag_stays_the_number_or_the_text_that_it_is() {
    for (declared, values) in [
        ("is_sync int", ["0", "1"]),
        ("is_sync text", ["'0'", "'1'"]),
        ("is_sync", ["0", "1"]),
        ("is_sync", ["'0'", "'1'"]),
    ] {
        let [new, done] = values;
        let mut database = Database::with(&format!(
            "create table up (id int primary key, project_no text, {declared});
             insert into up values (1, 'A', {new}), (2, 'B', {done})"
        ))
        .await;
        let settings = json!({ "key": ["id"], "read": "flagged" });
        let endpoint = database.endpoint(options(), settings);
        let cx = limited(10);
        let (mut source, checkpoint, rows) = first_batch(&endpoint, &cx).await;
        assert_eq!(rows, 1, "{declared} {new}");
        source.acknowledge(&cx, &checkpoint).await.unwrap();
        drop(source);
        let count = format!("select cast(count(*) as text) from up where is_sync = {done}");
        assert_eq!(database.texts(&count).await, ["2"], "{declared} {new}");
    }
}

#[tokio::test]
async fn keys_of_several_columns_and_bytes_that_are_no_text_are_found_again() {
    let mut database = Database::with(
        "create table up (a text, b, c text, is_sync text, primary key (a, b)) without rowid;
         insert into up values ('x', 1, 'A', '0'), ('x', 1.5, 'A', '0'), ('x', x'00ff', 'B', '0'),
             (cast(x'fe41' as text), '1', cast(x'ff' as text), '0')",
    )
    .await;
    let settings = json!({ "key": ["a", "b"], "group": ["c"], "read": "flagged" });
    let endpoint = database.endpoint(json!({ "table": "up", "flag": "is_sync" }), settings);
    let cx = limited(10);
    let mut source = endpoint.source(&cx, request(None, None)).await.unwrap();
    let (mut last, mut came, mut aside) = (None, 0, 0);
    while let Some(event) = source.next(&cx).await.unwrap() {
        match event {
            Event::Rows(rows) => {
                came += rows.batch.num_rows();
                aside += rows.rejected.len();
            }
            Event::Checkpoint(checkpoint) => last = Some(checkpoint),
            _ => {}
        }
    }
    assert_eq!((came, aside), (2, 2), "bytes among text are set aside");
    source.acknowledge(&cx, &last.unwrap()).await.unwrap();
    assert_eq!(database.texts("select is_sync from up").await, ["1"; 4]);
}

#[tokio::test]
async fn a_preview_claims_and_marks_nothing() {
    let mut database = front(FIVE).await;
    let mut options = options();
    options["flag_claimed"] = json!("2");
    let endpoint = database.endpoint(options, settings());
    let before = database.flags().await;
    let some = read(&*endpoint, &limited(10), None, Some(1)).await.unwrap();
    assert_eq!((some.len(), some.complete), (1, Some(false)));
    let cx = limited(10);
    let mut source = endpoint.source(&cx, request(None, Some(100))).await.unwrap();
    while let Some(event) = source.next(&cx).await.unwrap() {
        if let Event::Checkpoint(checkpoint) = event {
            source.acknowledge(&cx, &checkpoint).await.unwrap();
        }
    }
    assert_eq!(database.flags().await, before);
}

#[tokio::test]
async fn no_lock_is_held_while_a_batch_waits_to_be_taken() {
    // Not a log but a journal: here a reader would keep every writer out.
    let rows: Vec<String> = (0..400).map(|id| format!("({id}, 'P{id:03}', 1, 'x', '0')")).collect();
    let mut database = front(&rows.join(", ")).await;
    let mut options = options();
    options["flag_batch"] = json!(50);
    let endpoint = database.endpoint(options, settings());
    let cx = limited(10);
    let mut source = endpoint.source(&cx, request(None, None)).await.unwrap();
    let mut marked = 0;
    while let Some(event) = source.next(&cx).await.unwrap() {
        if let Event::Checkpoint(checkpoint) = event {
            source.acknowledge(&cx, &checkpoint).await.unwrap();
            database.execute("update up set note = note where id = 0").await;
            marked += 1;
        }
    }
    assert!(marked > 8, "{marked}");
    let left = "select cast(count(*) as text) from up where is_sync = '0'";
    assert_eq!(database.texts(left).await, ["0"]);
}

#[tokio::test]
async fn what_could_not_be_marked_is_not_read() {
    let database = Database::with(&format!("{FRONT}; create view v as select * from up")).await;
    let options = json!({ "table": "v", "flag": "is_sync" });
    let endpoint = database.endpoint(options, settings());
    let error = read(&*endpoint, &limited(10), None, None).await.err().unwrap();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unsupported, "E-UNSUPPORTED"));
    assert!(error.hint_text().is_some());
}
