//! Records that do not fit, streams that nobody wants, and what counts as all rows.

use huiliu_sdk::read_original;
use serde_json::{Value, json};

use crate::support::{
    Outcome, limited, partly, read, record, request, row, schema, scripted, state, whole,
};

const ALL: usize = 1 << 20;

async fn read_of(steps: Value, stream: Value) -> Outcome {
    let endpoint = scripted(steps, vec![stream], json!({}));
    let read = read(&*endpoint, &limited(100, ALL), request(&[("a", None)])).await;
    assert!(read.error.is_none(), "{:?}", read.error);
    read
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_do_not_fit_are_set_aside_with_their_line_and_as_they_came() {
    let steps = json!([
        row("a", 1),
        schema("a"),
        row("a", 2),
        record("a", json!({ "v": "no key" })),
        record("a", json!({ "id": "three" })),
        record("a", json!({ "id": 4, "v": 5 })),
        record("a", json!({ "id": 6, "v": "\u{0}" })),
        record("a", json!([7]))
    ]);
    let read = read_of(steps, whole("a")).await;
    assert_eq!(read.column("a", "id"), ["2"]);
    let found: Vec<(u64, &str)> =
        read.rejected.iter().map(|row| (row.position, row.code)).collect();
    assert_eq!(
        found,
        [
            (1, "E-SINGER-ORDER"),
            (4, "E-NULL"),
            (5, "E-TYPE"),
            (6, "E-TYPE"),
            (7, "E-NUL"),
            (8, "E-SINGER-RECORD")
        ]
    );
    let kept = read_original(&read.rejected[0].raw).unwrap();
    assert_eq!(kept.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["id", "v"]);
    let kept = read_original(&read.rejected[2].raw).unwrap();
    assert!(kept[0].1.cell() == huiliu_sdk::Cell::Text("three"));
    assert!(read.rejected.iter().all(|row| !row.reason.contains("three")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operators_word_counts_more_than_the_taps() {
    let steps = json!([
        schema("a"),
        record("a", json!({ "id": "3", "v": "2018-06-12 09:00:00" })),
        record("a", json!({ "v": "2018-06-13 09:00:00" }))
    ]);
    let mut stream = json!({ "name": "a", "write": "append" });
    stream["columns"] =
        json!({ "id": { "type": "int", "nullable": true }, "v": { "type": "timestamp" } });
    let read = read_of(steps, stream).await;
    assert_eq!(read.column("a", "id"), ["3", "-"]);
    assert_eq!(read.column("a", "v"), ["2018-06-12T09:00:00", "2018-06-13T09:00:00"]);
    assert!(read.rejected.is_empty(), "{:?}", read.rejected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_wants_is_passed_over_and_told() {
    let steps = json!([
        schema("a"), schema("b"), row("b", 1), row("b", 2), row("c", 1),
        record("a", json!({ "id": 1, "surplus": 1 })), { "say": { "type": "LOG" } },
        { "raw": "" }
    ]);
    let read = read_of(steps, whole("a")).await;
    assert_eq!(read.column("a", "id"), ["1"]);
    let notes = read.notes.join("\n");
    for told in ["b (2), c (1)", "unknown kinds were passed over: LOG", "not read: surplus"] {
        assert!(notes.contains(told), "{notes}");
    }
    let silent = read_of(json!([]), whole("a")).await;
    assert!(silent.notes[0].contains("no columns"), "{:?}", silent.notes);
    assert_eq!(silent.complete, [("a".to_owned(), false)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_is_complete_only_when_the_tap_says_that_it_is() {
    let versioned = |id: u64, version: u64| {
        json!({ "say": {
            "type": "RECORD", "stream": "a", "record": { "id": id }, "version": version
        } })
    };
    let activate = |version: u64| json!({ "say": { "type": "ACTIVATE_VERSION", "stream": "a", "version": version } });
    for (steps, complete) in [
        (json!([schema("a"), row("a", 1)]), true),
        (json!([schema("a")]), true),
        (json!([schema("a"), activate(7), versioned(1, 7), activate(7)]), true),
        (json!([schema("a"), versioned(1, 7)]), false),
        (json!([schema("a"), versioned(1, 7), versioned(2, 8), activate(8)]), false),
    ] {
        let read = read_of(steps.clone(), whole("a")).await;
        assert_eq!(read.complete, [("a".to_owned(), complete)], "{steps}");
    }
    assert!(!read_of(json!([schema("a")]), partly("a")).await.complete[0].1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_read_that_goes_on_in_the_middle_is_not_complete() {
    let steps = json!([
        schema("a"),
        row("a", 1),
        state(json!({ "bookmarks": { "a": { "last_pk": 1 } } })),
        row("a", 2)
    ]);
    let endpoint = scripted(steps, vec![whole("a")], json!({}));
    let cx = limited(100, ALL);
    let first = read(&*endpoint, &cx, request(&[("a", None)])).await;
    assert!(first.complete[0].1);
    let again = read(&*endpoint, &cx, request(&[("a", first.last())])).await;
    assert!(again.complete[0].1, "one that had ended begins anew");
    let broken = Some(first.checkpoints[0].clone());
    let rest = read(&*endpoint, &cx, request(&[("a", broken)])).await;
    assert!(!rest.complete[0].1);
}
