//! What a tap is given: arguments, environment, files; and what is asked of it before it runs.

use std::path::Path;

use huiliu_sdk::Checkpoint;
use serde_json::{Value, json};

use crate::support::{
    Outcome, configure, endpoint, fixture_command, limited, merge, partly, raw, read, request, row,
    schema, scripted, state, whole,
};

const ALL: usize = 1 << 20;

/// Columns of the record by which the tap tells what it was given.
fn telling(stream: &str) -> Value {
    let mut schema = schema(stream);
    schema["say"]["schema"]["properties"]["given"] = json!({ "type": "string" });
    schema
}

fn given(outcome: &Outcome) -> Value {
    assert!(outcome.error.is_none(), "{:?}", outcome.error);
    serde_json::from_str(&outcome.column("a", "given")[0]).unwrap()
}

async fn told(streams: Vec<Value>, more: Value, resume: &[(&str, Option<Checkpoint>)]) -> Value {
    let steps = json!([telling("a"), { "tell": "a" }]);
    let endpoint = scripted(steps, streams, more);
    given(&read(&*endpoint, &limited(100, ALL), request(resume)).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tap_has_a_private_configuration_and_nothing_of_our_environment() {
    let more = json!({ "environment": { "EXTRA": "canary-variable" } });
    let given = told(vec![whole("a")], more, &[("a", None)]).await;
    assert_eq!(given["environment"], json!(["EXTRA", "HOME", "LANG", "PATH", "TMPDIR"]));
    assert_eq!((&given["mode"], &given["folder"]), (&json!("0o600"), &json!("0o700")));
    let works_in = std::env::temp_dir().canonicalize().unwrap();
    assert_eq!(given["works_in"], json!(works_in.to_str().unwrap()));
    let config = Path::new(given["config"].as_str().unwrap());
    assert!(!config.exists() && !config.parent().unwrap().exists(), "{config:?} is still there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_choice_reaches_the_tap_in_the_way_it_knows() {
    let mut stream = whole("mine");
    merge(&mut stream, json!({ "stream": "a", "select": ["id"] }));
    let steps = json!([telling("a"), { "tell": "a" }]);
    for way in ["catalog", "properties"] {
        let endpoint = scripted(steps.clone(), vec![stream.clone()], json!({ "catalog": way }));
        let read = read(&*endpoint, &limited(100, ALL), request(&[("mine", None)])).await;
        // Not even a column that was sent is read when it was not chosen.
        assert_eq!(
            (read.column("mine", "id"), read.column("mine", "v")),
            (vec!["1".into()], vec![])
        );
        assert!(read.notes.is_empty(), "{:?}", read.notes);
    }
    let given = told(vec![whole("a")], json!({ "catalog": "properties" }), &[("a", None)]).await;
    assert_eq!(given["catalog"], Value::Null);
    let [a, b] = given["properties"]["streams"].as_array().unwrap().as_slice() else { panic!() };
    assert_eq!((&a["selected"], &b["selected"]), (&json!(true), &json!(false)));
    assert_eq!(a["replication_method"], "FULL_TABLE");
    let given = told(vec![whole("a")], json!({ "catalog": "none" }), &[("a", None)]).await;
    assert_eq!((&given["catalog"], &given["properties"]), (&Value::Null, &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_comes_back_when_it_was_committed_and_each_stream_has_its_own() {
    let bookmarks = |a: u64, b: u64| json!({ "bookmarks": { "a": { "id": a }, "b": { "id": b } } });
    let steps = json!([
        schema("a"),
        schema("b"),
        row("a", 1),
        state(bookmarks(1, 1)),
        row("b", 2),
        state(bookmarks(1, 2))
    ]);
    let streams = || vec![partly("a"), partly("b")];
    let endpoint = scripted(steps, streams(), json!({}));
    let first = read(&*endpoint, &limited(100, ALL), request(&[("a", None), ("b", None)])).await;
    let (early, late) = (first.checkpoints[0].clone(), first.last().unwrap());
    let resume = [("a", Some(late.clone())), ("b", Some(early.clone()))];
    let given = told(streams(), json!({}), &resume).await;
    assert_eq!(given["state"], bookmarks(1, 1));
    let given = told(streams(), json!({}), &[("a", None), ("b", Some(late.clone()))]).await;
    assert_eq!(given["state"], json!({ "bookmarks": { "b": { "id": 2 } } }));
    // A run without a new state keeps the one it was given, and is newer.
    let silent = scripted(json!([schema("a")]), streams(), json!({}));
    let next = read(&*silent, &limited(100, ALL), request(&[("a", Some(late.clone()))])).await;
    let kept = next.last().unwrap();
    assert_eq!(kept.state["singer"]["bookmarks"]["a"], json!({ "id": 1 }));
    assert!(kept.state["serial"].as_u64() > late.state["serial"].as_u64());
    assert_eq!((&late.state["ended"], &early.state["ended"]), (&json!(true), &json!(false)));
}

#[test]
fn every_fault_of_a_configuration_is_told_at_its_place() {
    let faults = |system: Value, streams: Vec<Value>, pushes: Vec<Value>| -> Vec<String> {
        let faults = configure(raw(system, streams, pushes)).err().unwrap().0;
        faults.into_iter().map(|fault| format!("{}: {}", fault.path, fault.message)).collect()
    };
    let found = faults(json!({ "idle": "soon", "line_mib": 0 }), vec![], vec![]);
    assert_eq!(
        found,
        [
            "command: is required",
            "idle: `soon` is not a length of time",
            "line_mib: the minimum is 1"
        ]
    );
    let command = json!({ "command": ["tap-x --flag"], "environment": { "A B": "x" } });
    let found = faults(command, vec![], vec![]);
    assert_eq!(
        found,
        ["command[0]: is no name of a program", "environment: `A B` is no name of a variable"]
    );
    let tap = || json!({ "command": ["tap-x"] });
    let stream = json!({
        "name": "a", "key": ["id"], "select": ["v"], "read": "full", "replication": "INCREMENTAL",
        "overlap": "10m"
    });
    let found = faults(tap(), vec![stream], vec![json!({ "name": "p", "repeatable": true })]);
    assert_eq!(
        found,
        [
            "command: is either a tap, which has streams, or a target, which has pushes",
            "streams[0].key: column `id` is not selected",
            "streams[0].replication: does not go with read = \"full\"",
            "streams[0].cursor: INCREMENTAL needs a cursor",
            "streams[0].overlap: a tap decides itself where it goes on",
            "pushes[0].repeatable: needs a key"
        ]
    );
    let twice = vec![whole("a"), json!({ "name": "b", "key": ["id"], "stream": "a" })];
    assert_eq!(
        faults(tap(), twice, vec![]),
        ["streams[1].stream: a second stream reads `a` of the tap"]
    );
    // A secret of the wrong type is not repeated.
    let found = faults(json!({ "command": "canary", "config": "canary" }), vec![], vec![]);
    assert!(found.iter().all(|fault| !fault.contains("canary")), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_asks_and_a_discovery_lists() {
    let mut system = json!({ "script": { "catalog": { "streams": [{
        "tap_stream_id": "db-cases", "stream": "cases", "schema": {
            "properties": {
                "id": { "type": "integer" },
                "update_time": { "type": ["string", "null"], "format": "date-time" },
                "amount": { "type": "number", "multipleOf": 0.01 }
            }
        },
        "metadata": [{ "breadcrumb": [], "metadata": {
            "table-key-properties": ["id"], "row-count": 7
        } }]
    }] } } });
    let endpoint_of = |more: Value| scripted(json!([]), vec![], more);
    let cx = limited(100, ALL);
    let tap = endpoint_of(system.take());
    let probe = tap.probe(&cx).await.unwrap();
    assert!(probe.summary.ends_with(", 1 streams"), "{}", probe.summary);
    let stream = tap.discover(&cx).await.unwrap().remove(0);
    assert_eq!((stream.name.as_str(), stream.row_estimate), ("db-cases", Some(7)));
    assert_eq!(stream.options, json!({ "stream": "db-cases" }));
    assert_eq!(
        (stream.key, stream.cursors),
        (vec!["id".to_owned()], vec!["update_time".to_owned()])
    );
    assert_eq!(stream.changed.as_deref(), Some("update_time"));
    let kinds: Vec<_> =
        stream.columns.iter().map(|(_, spec)| spec.data_type.clone().unwrap()).collect();
    assert_eq!(kinds, ["int", "timestamp", "decimal(38,2)"]);
    let unlisted = endpoint_of(json!({ "catalog": "none" }));
    assert_eq!(unlisted.discover(&cx).await.unwrap_err().code(), "E-UNSUPPORTED");
    // A target knows `--help` at least.
    let command = json!({ "command": fixture_command("target.py") });
    let target = endpoint(command, vec![], vec![json!({ "name": "p", "key": ["id"] })]);
    assert!(target.probe(&cx).await.unwrap().summary.starts_with("python"));
}
