//! What a system is told of the records that the hub has.

use std::sync::{Arc, Mutex};

use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::{get, post, put};
use axum::{Json, Router};
use huiliu_sdk::{
    Checkpoint, Cx, Endpoint, Event, ReadRequest, Result, Source, StreamId, StreamRequest,
    StreamSettings,
};
use serde_json::{Value, json};

use crate::{config, configure, reader, serve, stream};

/// What a server was asked, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn add(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

fn keyed() -> StreamSettings {
    StreamSettings { key: vec!["no".into()], ..StreamSettings::default() }
}

/// Five cases, and a place for receipts that fails as long as `broken` says so.
async fn system(log: &Log, broken: &Arc<Mutex<bool>>) -> String {
    let (listed, told, broken) = (log.clone(), log.clone(), Arc::clone(broken));
    let cases = move || async move {
        listed.add("list".into());
        Json((1..=5).map(|n| json!({"no": format!("c{n}")})).collect::<Value>())
    };
    let fetched = move |Json(body): Json<Value>| async move {
        if *broken.lock().unwrap() {
            return (StatusCode::FORBIDDEN, Json(json!({})));
        }
        told.add(body.to_string());
        (StatusCode::OK, Json(json!({"code": "0"})))
    };
    serve(Router::new().route("/cases", get(cases)).route("/fetched", post(fetched))).await
}

fn endpoint(url: &str) -> Arc<dyn Endpoint> {
    let options = json!({"path": "/cases", "receipt": {
        "path": "/fetched", "body": {"result": "1"}, "records": "/caseNos", "batch": 2,
        "success": [{"pointer": "/code", "equals": "0"}],
    }});
    reader(url, keyed(), options)
}

/// Reads to the end, and gives the last checkpoint with the source.
async fn read(
    endpoint: &dyn Endpoint,
    resume: Option<Checkpoint>,
    row_limit: Option<u64>,
) -> Result<(Box<dyn Source>, Checkpoint)> {
    let cx = Cx::new();
    let streams = vec![StreamRequest { stream: StreamId::new("cases"), resume }];
    let mut source = endpoint.source(&cx, ReadRequest { streams, row_limit }).await?;
    let mut last = None;
    while let Some(event) = source.next(&cx).await? {
        match event {
            Event::Checkpoint(checkpoint) => last = Some(checkpoint),
            Event::End { .. } => break,
            _ => {}
        }
    }
    Ok((source, last.unwrap()))
}

const ALL: [&str; 3] = [
    r#"{"result":"1","caseNos":["c1","c2"]}"#,
    r#"{"result":"1","caseNos":["c3","c4"]}"#,
    r#"{"result":"1","caseNos":["c5"]}"#,
];

#[tokio::test]
async fn a_system_is_told_what_was_committed_and_nothing_before() {
    let (log, broken) = (Log::default(), Arc::default());
    let endpoint = endpoint(&system(&log, &broken).await);
    let cx = Cx::new();
    let (mut source, checkpoint) = read(&*endpoint, None, None).await.unwrap();
    assert_eq!(log.take(), ["list"]);
    source.acknowledge(&cx, &checkpoint).await.unwrap();
    assert_eq!(log.take(), ALL);
    source.acknowledge(&cx, &checkpoint).await.unwrap();
    assert!(log.take().is_empty(), "once is enough");
    assert!(source.next(&cx).await.unwrap().is_none());
    // A preview takes nothing.
    let (mut source, shown) = read(&*endpoint, None, Some(2)).await.unwrap();
    source.acknowledge(&cx, &shown).await.unwrap();
    assert_eq!(log.take(), ["list"]);
}

/// The hub may end between its commit and the receipts, or the system may not take them.
#[tokio::test]
async fn receipts_that_are_owed_go_before_the_next_read() {
    let (log, broken) = (Log::default(), Arc::new(Mutex::new(true)));
    let endpoint = endpoint(&system(&log, &broken).await);
    let cx = Cx::new();
    let (mut source, checkpoint) = read(&*endpoint, None, None).await.unwrap();
    let error = source.acknowledge(&cx, &checkpoint).await.err().unwrap();
    assert!(error.message().contains("receipts of stream `cases`"), "{error}");
    log.take();
    let text = serde_json::to_string(&checkpoint).unwrap();
    let stored: Checkpoint = serde_json::from_str(&text).unwrap();
    assert!(read(&*endpoint, Some(stored.clone()), None).await.is_err());
    assert!(log.take().is_empty(), "nothing is read while they are owed");
    *broken.lock().unwrap() = false;
    read(&*endpoint, Some(stored), None).await.unwrap();
    assert_eq!(log.take(), [&ALL[..], &["list"]].concat());
}

#[tokio::test]
async fn each_record_can_be_told_by_a_request_of_its_own() {
    let log = Log::default();
    let (told, soap) = (log.clone(), log.clone());
    let by_path = move |Path(id): Path<String>| async move { told.add(id) };
    let by_soap = move |body: String| async move {
        soap.add(body);
        "<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\"><e:Body><r><code>0</code></r></e:Body></e:Envelope>"
    };
    let router = Router::new()
        .route(
            "/cases",
            get(|| async { Json(json!([{"no": "a/1", "id": 7}, {"no": "<2>", "id": 8}])) }),
        )
        .route("/cases/{id}/fetched", put(by_path))
        .route("/ws", post(by_soap));
    let url = serve(router).await;
    let cx = Cx::new();
    let receipts = [
        json!({"path": "/cases/{id}/fetched", "method": "PUT"}),
        json!({"path": "/ws", "xml": "<got>{id}</got>", "soap": {"version": "1.1", "action": "got"},
            "success": [{"pointer": "/r/code", "equals": "0"}]}),
        json!({"path": "/cases/{id}/fetched", "method": "PUT", "column": "id"}),
    ];
    let expected =
        [vec!["a/1", "<2>"], vec!["<got>a/1</got>", "<got>&lt;2&gt;</got>"], vec!["7", "8"]];
    for (receipt, expected) in receipts.into_iter().zip(expected) {
        let endpoint = reader(&url, keyed(), json!({"path": "/cases", "receipt": receipt}));
        let (mut source, checkpoint) = read(&*endpoint, None, None).await.unwrap();
        source.acknowledge(&cx, &checkpoint).await.unwrap();
        let told = log.take();
        assert_eq!(told.len(), 2, "{told:?}");
        for (told, expected) in told.iter().zip(expected) {
            assert!(told.contains(expected), "{told}");
        }
    }
}

#[test]
fn faults_of_a_receipt_are_told_at_their_places() {
    let options = json!({"path": "/cases", "receipt": {
        "path": "fetched", "field": "caseNo", "body": {}, "xml": "<a>{no}</a>",
    }});
    let settings =
        StreamSettings { key: vec!["a".into(), "b".into()], ..StreamSettings::default() };
    let raw = config(json!({"url": "http://127.0.0.1:1"}), vec![stream(settings, options)], vec![]);
    let faults = configure(raw).err().unwrap();
    let paths: Vec<&str> = faults.0.iter().map(|fault| fault.path.as_str()).collect();
    for key in ["column", "field", "xml", "path"] {
        let path = format!("streams[0].receipt.{key}");
        assert!(paths.contains(&path.as_str()), "{path}: {paths:?}");
    }
}
