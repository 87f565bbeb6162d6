//! Full and incremental reads.

use std::collections::BTreeSet;
use std::sync::Arc;

use huiliu_sdk::{Clock, Cx, ErrorKind, ManualClock, SystemClock};
use serde_json::{Value, json};

use crate::support::{Database, limited, read, request};

const CASES: &str = "create table cases (case_no text, cd_time datetime, note text)";

fn incremental() -> Value {
    json!({ "key": ["case_no"], "read": "incremental", "cursor": "cd_time" })
}

/// `count` rows, `ties` of them at each second.
fn fill(count: usize, ties: usize) -> String {
    format!(
        "{CASES}; with recursive n(i) as (values(0) union all select i + 1 from n where i + 1 < {count})
         insert into cases select printf('C%06d', {count} - i),
             datetime('2018-01-01', printf('+%d seconds', i / {ties})), '办件' || i from n"
    )
}

#[tokio::test]
async fn a_full_read_gives_all_rows_by_key() {
    let database = Database::with(&format!(
        "{CASES}; insert into cases values ('b', '2018-01-02 00:00:00', null),
             ('a', '2018-01-03 00:00:00', '一'), ('c', null, '')"
    ))
    .await;
    let outcome = database.read(json!({ "table": "cases" }), json!({ "key": ["case_no"] })).await;
    assert_eq!(outcome.column("case_no"), ["a", "b", "c"]);
    assert_eq!(outcome.column("note"), ["一", "NULL", ""]);
    assert_eq!(outcome.column("cd_time")[0], "2018-01-03T00:00:00");
    assert_eq!(outcome.positions, [2, 1, 3]);
    assert_eq!(outcome.complete, Some(true));
    assert_eq!(outcome.checkpoints.len(), 1);
}

#[tokio::test]
async fn an_empty_table_has_a_schema_a_checkpoint_and_an_end() {
    let database = Database::with(CASES).await;
    for settings in [json!({}), incremental()] {
        let outcome = database.read(json!({ "table": "cases" }), settings).await;
        assert_eq!(outcome.schema.as_ref().unwrap().fields().len(), 3);
        assert_eq!((outcome.len(), outcome.complete), (0, Some(true)));
        assert_eq!(outcome.state(), &json!({ "cursor": null }));
    }
}

#[tokio::test]
async fn a_second_read_gives_only_ties_of_the_last_row_and_what_is_new() {
    let mut database = Database::with(&fill(10, 2)).await;
    let options = json!({ "table": "cases" });
    let endpoint = database.endpoint(options, incremental());
    let first = read(&*endpoint, &limited(100), None, None).await.unwrap();
    assert_eq!((first.len(), first.complete), (10, Some(true)));
    assert_eq!(first.state(), &json!({ "cursor": "2018-01-01 00:00:04" }));

    let again = read(&*endpoint, &limited(100), first.resume(), None).await.unwrap();
    assert_eq!((again.len(), again.complete), (2, Some(false)));
    assert_eq!(again.state(), first.state());

    database.execute("insert into cases values ('new', '2018-01-01 00:00:09', 'x')").await;
    let more = read(&*endpoint, &limited(100), again.resume(), None).await.unwrap();
    assert_eq!(more.column("case_no"), ["C000001", "C000002", "new"]);
}

#[tokio::test]
async fn resuming_at_any_checkpoint_loses_nothing() {
    let database = Database::with(&fill(1_000, 7)).await;
    let endpoint = database.endpoint(json!({ "table": "cases" }), incremental());
    let whole = read(&*endpoint, &limited(10), None, None).await.unwrap();
    let all = whole.column("case_no");
    assert_eq!(all.len(), 1_000);
    assert!(whole.checkpoints.len() > 10, "{}", whole.checkpoints.len());
    for (before, checkpoint) in whole.checkpoints {
        let rest = read(&*endpoint, &limited(10), Some(checkpoint), None).await.unwrap();
        let seen: BTreeSet<&String> = all[..before].iter().collect();
        let rest = rest.column("case_no");
        let repeated = rest.iter().filter(|case| seen.contains(case)).count();
        assert!(repeated <= 7, "only rows of one second repeat, not {repeated}");
        let together: BTreeSet<&String> = all[..before].iter().chain(&rest).collect();
        assert_eq!(together.len(), 1_000);
    }
}

#[tokio::test]
async fn ties_wider_than_a_batch_are_never_split_by_a_checkpoint() {
    // One instant for all rows: no checkpoint before the end can make progress.
    let database = Database::with(&fill(500, 500)).await;
    let endpoint = database.endpoint(json!({ "table": "cases" }), incremental());
    let whole = read(&*endpoint, &limited(5), None, None).await.unwrap();
    assert_eq!(whole.len(), 500);
    for (_, checkpoint) in whole.checkpoints {
        let rest = read(&*endpoint, &limited(5), Some(checkpoint), None).await.unwrap();
        assert_eq!(rest.len(), 500);
    }
}

#[tokio::test]
async fn rows_without_cursor_are_read_every_time() {
    let mut database = Database::with(&format!(
        "{CASES}; insert into cases values ('a', null, ''), ('b', '2018-01-01 00:00:00', ''),
             ('c', '2018-01-02 00:00:00', '')"
    ))
    .await;
    let endpoint = database.endpoint(json!({ "table": "cases" }), incremental());
    let first = read(&*endpoint, &limited(100), None, None).await.unwrap();
    assert_eq!(first.column("case_no"), ["a", "b", "c"]);
    assert_eq!(first.notes, ["1 row has no `cd_time`; such rows are read again each time"]);
    database.execute("insert into cases values ('d', null, '')").await;
    let second = read(&*endpoint, &limited(100), first.resume(), None).await.unwrap();
    assert_eq!(second.column("case_no"), ["a", "d", "c"]);
}

#[tokio::test]
async fn only_rows_without_cursor_leave_no_mark() {
    let database =
        Database::with(&format!("{CASES}; insert into cases values ('a', null, '')")).await;
    let endpoint = database.endpoint(json!({ "table": "cases" }), incremental());
    let first = read(&*endpoint, &limited(100), None, None).await.unwrap();
    assert_eq!(first.state(), &json!({ "cursor": null }));
    let second = read(&*endpoint, &limited(100), first.resume(), None).await.unwrap();
    assert_eq!((second.len(), second.complete), (1, Some(true)));
}

#[tokio::test]
async fn numbers_among_text_cursors_are_read_every_time() {
    // A column of numeric affinity keeps `20180612` as a number, which sorts before all text.
    let mut database = Database::with(&format!(
        "{CASES}; insert into cases values ('a', 20180612, ''), ('b', '2018-01-01 00:00:00', '')"
    ))
    .await;
    let settings = json!({
        "key": ["case_no"], "read": "incremental", "cursor": "cd_time",
        "columns": { "cd_time": { "type": "text" } },
    });
    let endpoint = database.endpoint(json!({ "table": "cases" }), settings);
    let first = read(&*endpoint, &limited(100), None, None).await.unwrap();
    assert_eq!(first.state(), &json!({ "cursor": "2018-01-01 00:00:00" }));
    database.execute("insert into cases values ('c', '20180613', '')").await;
    let second = read(&*endpoint, &limited(100), first.resume(), None).await.unwrap();
    assert_eq!(second.column("case_no"), ["a", "c", "b"]);
}

#[tokio::test]
async fn a_numeric_cursor_compares_as_a_number() {
    for declared in ["integer", "real", ""] {
        let mut database = Database::with(&format!(
            "create table t (id text, version {declared});
             insert into t values ('a', 9), ('b', 10), ('c', 2)"
        ))
        .await;
        let settings = json!({ "read": "incremental", "cursor": "version" });
        let endpoint = database.endpoint(json!({ "table": "t" }), settings);
        let first = read(&*endpoint, &limited(100), None, None).await.unwrap();
        assert_eq!(first.column("id"), ["c", "a", "b"]);
        assert_eq!(first.state()["cursor"], json!("10"));
        database.execute("insert into t values ('d', 11)").await;
        let second = read(&*endpoint, &limited(100), first.resume(), None).await.unwrap();
        assert_eq!(second.column("id"), ["b", "d"]);
    }
}

#[tokio::test]
async fn overlap_reads_late_rows() {
    let mut database = Database::with(&format!(
        "{CASES}; insert into cases values ('a', '2018-01-01 10:00:00.500', '')"
    ))
    .await;
    let mut settings = incremental();
    settings["overlap"] = json!("10m");
    let endpoint = database.endpoint(json!({ "table": "cases" }), settings);
    let first = read(&*endpoint, &limited(100), None, None).await.unwrap();
    database
        .execute(
            "insert into cases values ('late', '2018-01-01 09:50:00.500', ''),
                 ('too late', '2018-01-01 09:50:00.499', '')",
        )
        .await;
    let second = read(&*endpoint, &limited(100), first.resume(), None).await.unwrap();
    assert_eq!(second.column("case_no"), ["late", "a"]);
    assert_eq!(second.state(), first.state());
}

#[tokio::test]
async fn overlap_never_moves_a_checkpoint_back() {
    let database = Database::with(&fill(1_000, 1)).await;
    let mut settings = incremental();
    settings["overlap"] = json!("10m");
    let endpoint = database.endpoint(json!({ "table": "cases" }), settings);
    let first = read(&*endpoint, &limited(5), None, None).await.unwrap();
    let second = read(&*endpoint, &limited(5), first.resume(), None).await.unwrap();
    assert_eq!(second.len(), 601);
    for (_, checkpoint) in &second.checkpoints {
        assert_eq!(&checkpoint.state, first.state());
    }
}

#[tokio::test]
async fn a_row_of_the_future_does_not_carry_the_mark_away() {
    let mut database = Database::with(&format!(
        "{CASES}; insert into cases values ('a', '2018-01-01 10:00:00', ''),
             ('wrong', '2099-01-01 00:00:00', '')"
    ))
    .await;
    let endpoint = database.endpoint(json!({ "table": "cases" }), incremental());
    let first = read(&*endpoint, &limited(1), None, None).await.unwrap();
    assert_eq!(first.column("case_no"), ["a", "wrong"]);
    let mark = json!({ "cursor": "2018-01-01 10:00:00" });
    assert!(first.checkpoints.iter().all(|(_, checkpoint)| checkpoint.state == mark));
    assert!(first.notes[0].contains("in the future"), "{:?}", first.notes);
    database.execute("insert into cases values ('next', '2018-01-02 00:00:00', '')").await;
    let second = read(&*endpoint, &limited(100), first.resume(), None).await.unwrap();
    assert_eq!(second.column("case_no"), ["a", "next", "wrong"]);
    // The hub's own clock decides only what lies ahead, and neither way loses a row.
    for hours in [-1, 1] {
        let clock = ManualClock::new(SystemClock.now() + chrono::Duration::hours(hours));
        let cx = Cx { clock: Arc::new(clock), ..limited(100) };
        let again = read(&*endpoint, &cx, first.resume(), None).await.unwrap();
        assert_eq!(
            (again.column("case_no"), again.state()),
            (second.column("case_no"), second.state())
        );
    }
}

#[tokio::test]
async fn an_overlap_in_numbers_fits_a_numeric_cursor() {
    let mut database = Database::with(
        "create table t (id integer primary key, v text); insert into t values (10, 'a'), (20, 'b')",
    )
    .await;
    let settings = |overlap: &str| json!({ "key": ["id"], "read": "incremental", "cursor": "id", "overlap": overlap });
    let endpoint = database.endpoint(json!({ "table": "t" }), settings("10"));
    let first = read(&*endpoint, &limited(100), None, None).await.unwrap();
    database.execute("insert into t values (9, 'too late'), (11, 'late')").await;
    let second = read(&*endpoint, &limited(100), first.resume(), None).await.unwrap();
    assert_eq!(second.column("v"), ["a", "late", "b"]);
    let wrong = database.endpoint(json!({ "table": "t" }), settings("10m"));
    let error = read(&*wrong, &limited(100), first.resume(), None).await.err().unwrap();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Config, "E-CURSOR"));
}

#[tokio::test]
async fn a_cursor_finer_than_the_lakes_times_is_compared_as_the_source_writes_it() {
    let (one, two) = ("2018-06-12 09:00:00.123456788", "2018-06-12 09:00:00.123456789");
    let mut database =
        Database::with(&format!("create table t (id, c text); insert into t values (1, '{one}')"))
            .await;
    let settings = json!({ "read": "incremental", "cursor": "c" });
    let endpoint = database.endpoint(json!({ "table": "t" }), settings);
    let first = read(&*endpoint, &limited(100), None, None).await.unwrap();
    assert_eq!(first.state(), &json!({ "cursor": one }));
    database.execute(&format!("insert into t values (2, '{two}')")).await;
    let second = read(&*endpoint, &limited(100), first.resume(), None).await.unwrap();
    assert_eq!(
        (second.column("id"), second.state()),
        (vec!["1".into(), "2".into()], &json!({ "cursor": two }))
    );
}

#[tokio::test]
async fn a_collation_that_ignores_case_loses_no_row() {
    let mut database = Database::with(
        "create table t (id text collate nocase, c text collate nocase);
         insert into t values ('a', 'b'), ('B', 'C'), ('c', 'a'), ('D', 'B'), ('e', 'c')",
    )
    .await;
    let settings = json!({ "key": ["id"], "read": "incremental", "cursor": "c" });
    let endpoint = database.endpoint(json!({ "table": "t" }), settings);
    let whole = read(&*endpoint, &limited(1), None, None).await.unwrap();
    assert_eq!(whole.column("id"), ["c", "a", "D", "B", "e"]);
    database.execute("insert into t values ('f', 'C')").await;
    let second = read(&*endpoint, &limited(100), whole.resume(), None).await.unwrap();
    assert_eq!(second.column("id"), ["B", "e", "f"], "all that equal the mark in the source");
}

#[tokio::test]
async fn a_source_that_went_back_is_a_conflict() {
    let mut database = Database::with(&fill(10, 1)).await;
    let endpoint = database.endpoint(json!({ "table": "cases" }), incremental());
    let first = read(&*endpoint, &limited(100), None, None).await.unwrap();
    let mut overlapping = incremental();
    overlapping["overlap"] = json!("10s");
    let patient = database.endpoint(json!({ "table": "cases" }), overlapping);
    database.execute("delete from cases where cd_time >= '2018-01-01 00:00:05'").await;
    // Rows that are gone within the overlap prove nothing.
    let within = read(&*patient, &limited(100), first.resume(), None).await.unwrap();
    assert_eq!(within.state(), first.state());
    let error = read(&*endpoint, &limited(100), first.resume(), None).await.err().unwrap();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Conflict, "E-SOURCE-REWOUND"));
    assert!(error.hint_text().is_some());

    // An emptied front database is no rewound one: its mark stands.
    database.execute("delete from cases").await;
    let empty = read(&*endpoint, &limited(100), first.resume(), None).await.unwrap();
    assert_eq!((empty.len(), empty.complete), (0, Some(false)));
    assert_eq!(empty.state(), first.state());
}

#[tokio::test]
async fn a_row_limit_ends_a_read_early_and_says_so() {
    let database = Database::with(&fill(10, 1)).await;
    let endpoint = database.endpoint(json!({ "table": "cases" }), incremental());
    let some = read(&*endpoint, &limited(3), None, Some(4)).await.unwrap();
    assert_eq!((some.len(), some.complete), (4, Some(false)));
    assert_eq!(some.state(), &json!({ "cursor": "2018-01-01 00:00:03" }));
    let rest = read(&*endpoint, &limited(100), some.resume(), None).await.unwrap();
    assert_eq!(rest.len(), 7);
    let all = read(&*endpoint, &limited(3), None, Some(10)).await.unwrap();
    assert_eq!((all.len(), all.complete), (10, Some(true)));
    let none = read(&*endpoint, &limited(3), None, Some(0)).await.unwrap();
    assert_eq!((none.len(), none.complete), (0, Some(false)));
}

#[tokio::test]
async fn a_read_sees_one_moment_of_the_source() {
    let mut database =
        Database::with(&format!("pragma journal_mode = wal; {}", fill(5_000, 1))).await;
    let endpoint = database.endpoint(json!({ "table": "cases" }), incremental());
    let cx = limited(10);
    let mut source = endpoint.source(&cx, request(None, None)).await.unwrap();
    let mut rows = 0;
    let mut last = None;
    while let Some(event) = source.next(&cx).await.unwrap() {
        if let huiliu_sdk::Event::Rows(batch) = &event {
            if rows == 0 {
                // The reader is a few batches ahead at most, so this falls into the read.
                database
                    .execute("insert into cases values ('new', '2030-01-01 00:00:00', '')")
                    .await;
            }
            rows += batch.batch.num_rows();
        }
        if let huiliu_sdk::Event::Checkpoint(checkpoint) = event {
            last = Some(checkpoint);
        }
    }
    assert_eq!(rows, 5_000);
    let more = read(&*endpoint, &limited(10), last, None).await.unwrap();
    assert_eq!(more.column("case_no"), ["C000001", "new"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_rows_come_in_bounded_batches() {
    let database = Database::with(&fill(100_000, 3)).await;
    let endpoint = database.endpoint(json!({ "table": "cases" }), incremental());
    let mut cx = limited(4_096);
    cx.limits.bytes = 64 << 10;
    let outcome = read(&*endpoint, &cx, None, None).await.unwrap();
    assert_eq!(outcome.len(), 100_000);
    for batch in &outcome.batches {
        assert!(batch.num_rows() <= 2_500, "bytes bound the batch too: {}", batch.num_rows());
    }
}
