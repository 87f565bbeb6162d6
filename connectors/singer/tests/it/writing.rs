//! A target that misbehaves, and what becomes of the records it was sent.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::record_batch::RecordBatch;
use huiliu_sdk::{
    Cx, Endpoint, ErrorKind, LoadMode, LoadRequest, Outcome, Receipt, Result, StreamId, WriteBatch,
    WriteRequest,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{endpoint, fixture_command, merge};

/// A target of the folder `fixtures`, and the file in which it keeps what it is sent.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn endpoint(&self, ending: &str, push: Value) -> Arc<dyn Endpoint> {
        let file = self.folder.path().join("kept.jsonl");
        let config = json!({ "ending": ending, "file": file, "password": "canary-password" });
        let idle = if ending == "hang" { "1s" } else { "60s" };
        let system =
            json!({ "command": fixture_command("target.py"), "config": config, "idle": idle });
        let mut whole = json!({ "name": "p", "key": ["id"], "to": "cases" });
        merge(&mut whole, push);
        endpoint(system, vec![], vec![whole])
    }

    /// The types of the messages it was sent.
    fn kept(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder.path().join("kept.jsonl"));
        let text = text.unwrap_or_default();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.map(|line| line["type"].as_str().unwrap().to_owned()).collect()
    }
}

fn records(ids: &[Option<&str>]) -> WriteBatch {
    let ids: ArrayRef = Arc::new(StringArray::from(ids.to_vec()));
    let names: ArrayRef = Arc::new(StringArray::from(vec!["王芳"; ids.len()]));
    let keys = (0..ids.len()).map(|key| key.to_string()).collect();
    let batch = RecordBatch::try_from_iter([("id", ids), ("name", names)]).unwrap();
    WriteBatch { stream: StreamId::new("p"), batch, idempotency_keys: keys }
}

async fn write(endpoint: &dyn Endpoint, batch: WriteBatch) -> (Result<Receipt>, String) {
    let cx = Cx::new();
    let request = WriteRequest { push: StreamId::new("p") };
    let mut sink = endpoint.sink(&cx, request).await.unwrap();
    let receipt = sink.write(&cx, batch.clone()).await;
    (receipt, sink.lookup(&cx, &batch).await.unwrap_err().to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_accepted_when_the_target_repeats_the_state_behind_them() {
    let place = Place::new();
    let batch = records(&[Some("1"), None, Some("2")]);
    let (receipt, _) = write(&*place.endpoint("well", json!({})), batch).await;
    let outcomes = receipt.unwrap().outcomes;
    assert_eq!((&outcomes[0], &outcomes[2]), (&Outcome::Accepted, &Outcome::Accepted));
    assert!(matches!(&outcomes[1], Outcome::Rejected { message, .. } if message.contains("`id`")));
    assert_eq!(place.kept(), ["SCHEMA", "RECORD", "RECORD", "STATE"]);
    // It failed afterwards, with the records in place.
    let (receipt, _) = write(&*place.endpoint("late", json!({})), records(&[Some("1")])).await;
    assert_eq!(receipt.unwrap().outcomes, [Outcome::Accepted]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_target_does_not_confirm_is_unknown_and_the_reason_can_be_asked() {
    for (ending, told) in [
        ("mute", "repeated no STATE"),
        ("in the middle", "exit code 1"),
        ("hang", "has said nothing"),
    ] {
        let place = Place::new();
        let batch = || records(&[Some("1"), Some("2")]);
        let (receipt, reason) = write(&*place.endpoint(ending, json!({})), batch()).await;
        assert_eq!(receipt.unwrap().outcomes, [Outcome::Unknown, Outcome::Unknown], "{ending}");
        assert!(reason.contains(told), "{ending}: {reason}");
        assert!(!reason.contains("王芳") && !reason.contains("canary"), "{reason}");
        // Where a repetition has no effect, the reason is the answer.
        let repeatable = place.endpoint(ending, json!({ "repeatable": true }));
        let error = write(&*repeatable, batch()).await.0.unwrap_err();
        assert!(error.message().contains(told), "{ending}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_does_not_start_has_acted_on_nothing() {
    let system = json!({ "command": ["/none/target-x"] });
    let endpoint = endpoint(system, vec![], vec![json!({ "name": "p", "key": ["id"] })]);
    let error = write(&*endpoint, records(&[Some("1")])).await.0.unwrap_err();
    assert_eq!((error.code(), error.kind()), ("E-SINGER-START", ErrorKind::NotFound));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_was_given_up_has_reached_nobody() {
    let place = Place::new();
    let endpoint = place.endpoint("well", json!({}));
    let cx = Cx::new();
    let batch = records(&[Some("1"), Some("2")]).batch;
    for mode in [LoadMode::Append, LoadMode::Upsert, LoadMode::Replace] {
        let request = || LoadRequest { push: StreamId::new("p"), schema: batch.schema(), mode };
        let mut loader = endpoint.loader(&cx, request()).await.unwrap();
        loader.write(&cx, batch.clone()).await.unwrap();
        drop(loader);
        let mut loader = endpoint.loader(&cx, request()).await.unwrap();
        loader.write(&cx, batch.clone()).await.unwrap();
        loader.write(&cx, batch.clone()).await.unwrap();
        assert_eq!(loader.finish(&cx).await.unwrap(), 4);
    }
    let rows = ["SCHEMA", "RECORD", "RECORD", "RECORD", "RECORD"];
    let mut expected = rows.to_vec();
    expected.push("STATE");
    expected.extend(rows);
    expected.push("STATE");
    expected.extend(rows);
    expected.extend(["ACTIVATE_VERSION", "STATE"]);
    assert_eq!(place.kept(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_that_failed_is_no_refusal_so_that_nothing_is_added_twice_unasked() {
    for ending in ["mute", "in the middle", "late", "at once"] {
        let place = Place::new();
        let endpoint = place.endpoint(ending, json!({}));
        let cx = Cx::new();
        let batch = records(&[Some("1")]).batch;
        let (push, schema) = (StreamId::new("p"), batch.schema());
        let request = LoadRequest { push, schema, mode: LoadMode::Append };
        let mut loader = endpoint.loader(&cx, request).await.unwrap();
        loader.write(&cx, batch).await.unwrap();
        let error = loader.finish(&cx).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{ending}: {error}");
    }
}
