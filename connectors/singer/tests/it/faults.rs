//! A tap that misbehaves: each row of F12.

use huiliu_sdk::{ErrorKind, Scope};
use serde_json::json;

use crate::support::{
    columns, limited, partly, peak, read, record, request, row, schema, scripted, state, whole,
};

const ALL: usize = 1 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_state_comes_after_all_rows_before_it_whatever_their_stream() {
    let steps = json!([
        schema("a"),
        schema("b"),
        row("a", 1),
        row("b", 2),
        state(json!({ "at": 1 })),
        row("a", 3),
        row("a", 4),
        state(json!({ "at": 2 })),
        row("b", 5)
    ]);
    let endpoint = scripted(steps, vec![partly("a"), partly("b")], json!({}));
    let read = read(&*endpoint, &limited(100, ALL), request(&[("a", None), ("b", None)])).await;
    let first = ["schema a", "schema b", "rows a 1", "rows b 1", "state {\"at\":1}"];
    assert_eq!(read.steps[..5], first);
    assert_eq!(read.steps.last().unwrap(), "state {\"at\":2}");
    assert!(read.checkpoints.iter().all(|checkpoint| checkpoint.scope == Scope::Shared));
    assert_eq!(read.complete, [("a".to_owned(), false), ("b".to_owned(), false)]);
    assert_eq!(read.column("b", "id"), ["2", "5"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_is_no_json_is_told_by_its_number_and_not_by_its_content() {
    let steps = json!([schema("a"), row("a", 1), { "raw": "Traceback: 340503199001011234" }]);
    let endpoint = scripted(steps, vec![whole("a")], json!({}));
    let read = read(&*endpoint, &limited(100, ALL), request(&[("a", None)])).await;
    assert_eq!(read.code(), "E-SINGER-MESSAGE");
    let words = read.words();
    assert!(words.contains("line 3") && words.contains("no valid JSON"), "{words}");
    assert!(!words.contains("340503"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exit_after_a_state_fails_the_read_behind_what_the_state_covers() {
    let steps = json!([
        schema("a"), row("a", 1), state(json!({ "at": 1 })), row("a", 2),
        { "error": "CRITICAL api said 503" }, { "exit": 3 }
    ]);
    let endpoint = scripted(steps, vec![partly("a")], json!({}));
    let read = read(&*endpoint, &limited(100, ALL), request(&[("a", None)])).await;
    assert_eq!(read.steps, ["schema a", "rows a 1", "state {\"at\":1}"]);
    assert!(read.complete.is_empty());
    let error = read.error.unwrap();
    assert_eq!((error.code(), error.kind()), ("E-SINGER-EXIT", ErrorKind::Unreachable));
    assert!(error.message().contains("exit code 3"), "{error}");
    assert!(error.message().contains("CRITICAL api said 503"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_of_a_gigabyte_is_refused_and_never_held() {
    let steps = json!([schema("a"), { "long": 1_u64 << 30 }]);
    let endpoint = scripted(steps, vec![whole("a")], json!({ "line_mib": 8 }));
    let before = peak();
    let read = read(&*endpoint, &limited(100, ALL), request(&[("a", None)])).await;
    assert_eq!(read.code(), "E-SINGER-LINE");
    assert!(read.words().contains("longer than 8 MiB"), "{}", read.words());
    assert!(peak() - before < 64 << 20, "{} MiB more", (peak() - before) >> 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_and_people_on_the_standard_error_are_told_to_nobody() {
    let error = "ERROR login canary-password at ?t=canary%2Ftoken for 王芳 34050319900101123X";
    for (ending, told) in [(json!({ "exit": 1 }), "ERROR login"), (json!({}), "gave 40 warnings")] {
        let steps = json!([schema("a"), { "error": error, "times": 40 }, ending]);
        let endpoint = scripted(steps, vec![whole("a")], json!({}));
        let read = read(&*endpoint, &limited(100, ALL), request(&[("a", None)])).await;
        let words = read.words();
        assert!(words.contains(told), "{words}");
        for canary in ["canary", "王芳", "34050319"] {
            assert!(!words.contains(canary), "{canary}: {words}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_that_change_in_the_middle_are_announced_before_their_rows() {
    let mut wider = columns();
    wider["properties"]["n"] = json!({ "type": ["number", "null"], "multipleOf": 0.01 });
    let steps = json!([
        schema("a"), row("a", 1), schema("a"), row("a", 2),
        { "say": { "type": "SCHEMA", "stream": "a", "schema": wider, "key_properties": ["id"] } },
        record("a", json!({ "id": 3, "n": 1.5 }))
    ]);
    let endpoint = scripted(steps, vec![whole("a")], json!({}));
    let read = read(&*endpoint, &limited(100, ALL), request(&[("a", None)])).await;
    assert_eq!(read.steps[..4], ["schema a", "rows a 2", "schema a", "rows a 1"]);
    assert_eq!(read.column("a", "n"), ["1.50"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_is_bounded_by_the_batches_and_not_by_the_tap() {
    let text = "x".repeat(4000);
    let wide = record("a", json!({ "id": 1, "v": text }));
    let steps = json!([schema("a"), { "say": wide["say"], "times": 40_000 }]);
    let endpoint = scripted(steps, vec![whole("a")], json!({}));
    let cx = limited(16_384, 1 << 20);
    let mut source = endpoint.source(&cx, request(&[("a", None)])).await.unwrap();
    let before = peak();
    let mut rows = 0;
    while let Some(event) = source.next(&cx).await.unwrap() {
        if let huiliu_sdk::Event::Rows(batch) = event {
            assert!(batch.batch.get_array_memory_size() < 4 << 20);
            rows += batch.batch.num_rows();
        }
    }
    assert_eq!(rows, 40_000);
    // 160 MB went through.
    assert!(peak() - before < 48 << 20, "{} MiB more", (peak() - before) >> 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_or_catalog_that_is_none_is_told() {
    let streams = || vec![whole("a")];
    let missing = scripted(json!([]), streams(), json!({ "command": ["/none/tap-x"] }));
    let read_of = async |endpoint: &dyn huiliu_sdk::Endpoint| {
        read(endpoint, &limited(100, ALL), request(&[("a", None)])).await
    };
    let outcome = read_of(&*missing).await;
    assert_eq!(outcome.code(), "E-SINGER-START");
    assert!(outcome.words().contains("tap-x"));
    for (catalog, code) in [
        (json!({ "catalog": "hello" }), "E-SINGER-CATALOG"),
        (json!({ "catalog": { "streams": [] } }), "E-STREAM"),
        (json!({ "discover_exit": 1 }), "E-SINGER-EXIT"),
    ] {
        let endpoint = scripted(json!([]), streams(), json!({ "script": catalog }));
        assert_eq!(read_of(&*endpoint).await.code(), code);
    }
    let batch = json!([{ "say": { "type": "BATCH", "stream": "a" } }]);
    let endpoint = scripted(batch, streams(), json!({}));
    assert_eq!(read_of(&*endpoint).await.code(), "E-SINGER-BATCH");
}
