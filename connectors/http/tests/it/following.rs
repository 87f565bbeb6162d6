//! Children of parents, files made on request, and cursors in every form.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use huiliu_sdk::{
    Cx, Endpoint, ErrorKind, Event, ReadMode, ReadRequest, StreamId, StreamRequest, StreamSettings,
};
use serde_json::{Value, json};

use crate::{RawStream, Read, config, configure, read, read_from, reader, serve, stream, typed};

type Parameters = Query<HashMap<String, String>>;

fn projects(count: usize) -> Json<Value> {
    Json((0..count).map(|n| json!({"investId": format!("p/{n}"), "name": "x"})).collect())
}

fn family(url: &str, concurrency: u32) -> Arc<dyn Endpoint> {
    let parent = RawStream {
        settings: StreamSettings { name: "projects".into(), ..StreamSettings::default() },
        options: json!({"path": "/projects"}),
    };
    let child = stream(
        StreamSettings { columns: typed(&[("no", "text")]), ..StreamSettings::default() },
        json!({"path": "/projects/{id}/cases", "params": {"of": "{id}"},
            "parent": {"stream": "projects", "values": {"id": "investId"}, "concurrency": concurrency},
            "fields": {"project": "/_parent/id"}}),
    );
    configure(config(
        json!({"url": url, "timeout": "5s", "attempts": 1}),
        vec![parent, child],
        vec![],
    ))
    .unwrap()
}

#[tokio::test]
async fn each_parent_is_asked_for_its_children_in_order_and_not_too_many_at_once() {
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (now, peak) = (Arc::clone(&running), Arc::clone(&most));
    let cases = move |Path(id): Path<String>, Query(query): Parameters| async move {
        assert_eq!(query["of"], id);
        peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        now.fetch_sub(1, Ordering::SeqCst);
        let number: usize = id.trim_start_matches("p/").parse().unwrap();
        Json((0..number % 3).map(|n| json!({"no": format!("{id}-{n}")})).collect::<Value>())
    };
    let router = Router::new()
        .route("/projects", get(|| async { projects(20) }))
        .route("/projects/{id}/cases", get(cases));
    let url = serve(router).await;
    let endpoint = family(&url, 3);
    let read = read(endpoint.as_ref()).await.unwrap();
    let expected: Vec<(String, String)> = (0..20)
        .flat_map(|p| (0..p % 3).map(move |n| (format!("p/{p}-{n}"), format!("p/{p}"))))
        .collect();
    let numbers = read.texts("no").into_iter().flatten();
    let found: Vec<_> = numbers.zip(read.texts("project").into_iter().flatten()).collect();
    assert_eq!((found, read.complete), (expected, Some(true)));
    let most = most.load(Ordering::SeqCst);
    assert!((1..=3).contains(&most), "{most} at once");
    let streams = endpoint.discover(&Cx::new()).await.unwrap();
    assert_eq!(streams[1].columns.len(), 2);
}

#[tokio::test]
async fn children_go_on_where_an_earlier_read_broke_off() {
    let broken = Arc::new(AtomicU32::new(1));
    let (fails, asked) = (Arc::clone(&broken), Arc::new(AtomicU32::new(0)));
    let counted = Arc::clone(&asked);
    let cases = move |Path(id): Path<String>| async move {
        counted.fetch_add(1, Ordering::SeqCst);
        if id == "p/130" && fails.load(Ordering::SeqCst) == 1 {
            return Err(StatusCode::BAD_REQUEST);
        }
        Ok(Json(json!([{"no": id}])))
    };
    let router = Router::new()
        .route("/projects", get(|| async { projects(140) }))
        .route("/projects/{id}/cases", get(cases));
    let url = serve(router).await;
    let endpoint = family(&url, 2);
    let cx = Cx::new();
    let request = |resume| ReadRequest {
        streams: vec![StreamRequest { stream: StreamId::new("cases"), resume }],
        row_limit: None,
    };
    let mut source = endpoint.source(&cx, request(None)).await.unwrap();
    let (mut rows, mut mark, mut committed) = (Vec::new(), None, 0);
    let error = loop {
        match source.next(&cx).await {
            Ok(Some(Event::Rows(batch))) => rows.push(batch.batch.num_rows()),
            Ok(Some(Event::Checkpoint(checkpoint))) => {
                committed = rows.iter().sum();
                mark = Some(checkpoint);
            }
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.code(), "E-STATUS");
    assert!(error.message().contains("/projects/{id}/cases"), "{error}");
    assert!(!error.message().contains("p%2F") && !error.message().contains("p/1"), "{error}");
    assert_eq!(committed, 100);
    broken.store(0, Ordering::SeqCst);
    asked.store(0, Ordering::SeqCst);
    let mut source = endpoint.source(&cx, request(mark)).await.unwrap();
    let mut read = Read::default();
    while let Some(event) = source.next(&cx).await.unwrap() {
        match event {
            Event::Rows(rows) => read.rows.push(rows),
            Event::End { complete, .. } => read.complete = Some(complete),
            Event::Checkpoint(checkpoint) => read.checkpoint = Some(checkpoint),
            _ => {}
        }
    }
    // Not all rows came in this read, so that nothing may be taken for deleted.
    assert_eq!((read.count(), read.complete), (40, Some(false)));
    assert_eq!(asked.load(Ordering::SeqCst), 40);
    assert_eq!(read.checkpoint.unwrap().state, json!({"cursor": null}));
}

#[tokio::test]
async fn a_parent_without_its_value_is_an_error_and_one_that_leads_away_too() {
    for (parent, code) in
        [(json!([{"other": 1}]), "E-PARENT"), (json!([{"investId": ".."}]), "E-PLACE")]
    {
        let router = Router::new().route("/projects", get(move || async move { Json(parent) }));
        let url = serve(router).await;
        let error = read(family(&url, 1).as_ref()).await.err().unwrap();
        assert_eq!(error.code(), code);
    }
}

fn job(url: &str, job: Value) -> Arc<dyn Endpoint> {
    let mut all = json!({"handle": "/data/id", "poll": "/exports/{job}", "state": "/data/state",
        "done": ["done"], "failed": ["failed"], "interval": "10ms", "timeout": "300ms"});
    all.as_object_mut().unwrap().extend(job.as_object().unwrap().clone());
    let options = json!({"path": "/exports", "method": "POST", "body": {"what": "cases"}, "job": all,
        "format": "csv", "total": "/data/count", "success": [{"pointer": "/code", "equals": "0"}]});
    reader(url, StreamSettings::default(), options)
}

#[tokio::test]
async fn a_file_is_asked_for_waited_for_and_fetched() {
    let polls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&polls);
    let count = Arc::new(AtomicU32::new(2));
    let said = Arc::clone(&count);
    let submit = |Json(body): Json<Value>| async move {
        assert_eq!(body, json!({"what": "cases"}));
        Json(json!({"code": 0, "data": {"id": "j 1"}}))
    };
    let poll = move |Path(id): Path<String>| async move {
        assert_eq!(id, "j 1");
        let state = if counted.fetch_add(1, Ordering::SeqCst) < 2 { "running" } else { "done" };
        let count = said.load(Ordering::SeqCst);
        Json(json!({"code": 0, "data": {"state": state, "url": "/files/j1.csv", "count": count}}))
    };
    let router = Router::new()
        .route("/exports", post(submit))
        .route("/exports/{id}", get(poll))
        .route("/exports/{id}/file", get(|| async { "no\n1\n2\n" }))
        .route("/files/j1.csv", get(|| async { "no\n1\n2\n" }));
    let url = serve(router).await;
    for how in [json!({"download": "/exports/{job}/file"}), json!({"link": "/data/url"})] {
        polls.store(0, Ordering::SeqCst);
        let read = read(job(&url, how).as_ref()).await.unwrap();
        assert_eq!(read.texts("no"), [Some("1".to_owned()), Some("2".to_owned())]);
        assert_eq!((read.complete, polls.load(Ordering::SeqCst)), (Some(true), 3));
    }
    count.store(3, Ordering::SeqCst);
    let error = read(job(&url, json!({"link": "/data/url"})).as_ref()).await.err().unwrap();
    assert_eq!(error.code(), "E-TRUNCATED");
}

#[tokio::test]
async fn a_file_that_fails_never_comes_or_lies_elsewhere_is_an_error() {
    for (state, link, code, kind) in [
        ("failed", "/f", "E-JOB", ErrorKind::Data),
        ("running", "/f", "E-JOB-TIMEOUT", ErrorKind::Timeout),
        ("done", "http://elsewhere.example/f?s=s3cret", "E-FOREIGN-HOST", ErrorKind::Schema),
        ("done", "", "E-SHAPE", ErrorKind::Schema),
    ] {
        let submit = || async { Json(json!({"code": 0, "data": {"id": 7}})) };
        let poll =
            move || async move { Json(json!({"code": 0, "data": {"state": state, "url": link}})) };
        let url =
            serve(Router::new().route("/exports", post(submit)).route("/exports/{id}", get(poll)))
                .await;
        let error = read(job(&url, json!({"link": "/data/url"})).as_ref()).await.err().unwrap();
        assert_eq!((error.code(), error.kind()), (code, kind), "{state}");
        assert!(!format!("{error:?}").contains("s3cret"));
    }
}

#[tokio::test]
async fn the_cursor_is_asked_for_in_the_form_the_system_wants() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let answer = move |Query(query): Parameters| async move {
        seen.lock().unwrap().push(query.get("since").cloned());
        Json(json!([{"at": "2018-06-12 09:00:00"}]))
    };
    let url = serve(Router::new().route("/c", get(answer))).await;
    let cases = [
        (json!({}), "10m", Some("2018-06-12 08:50:00")),
        (json!({"since_inclusive": false}), "0s", Some("2018-06-12 08:59:59")),
        (json!({"since_format": "unix"}), "0s", Some("1528765200")),
        (
            json!({"since_format": "unix_ms", "since_inclusive": false}),
            "10m",
            Some("1528764599000"),
        ),
        (json!({"since_format": "%Y%m%d%H%M%S"}), "0s", Some("20180612090000")),
        (
            json!({"since_format": "%Y-%m-%dT%H:%M:%SZ", "since_zone": "UTC"}),
            "0s",
            Some("2018-06-12T01:00:00Z"),
        ),
    ];
    for (more, overlap, wanted) in cases {
        let settings = StreamSettings {
            read: ReadMode::Incremental,
            cursor: Some("at".into()),
            overlap: Some(overlap.into()),
            columns: typed(&[("at", "timestamp")]),
            ..StreamSettings::default()
        };
        let mut options = json!({"path": "/c", "since": "since"});
        options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let endpoint = reader(&url, settings, options);
        let read = read_from(endpoint.as_ref(), Some("2018-06-12 09:00:00"), None).await.unwrap();
        assert_eq!(read.complete, Some(false));
        assert_eq!(asked.lock().unwrap().pop().flatten().as_deref(), wanted, "{more}");
    }
    let settings = StreamSettings {
        read: ReadMode::Incremental,
        cursor: Some("at".into()),
        ..StreamSettings::default()
    };
    let options = json!({"path": "/c", "since": "since", "since_first": "2018-01-01 00:00:00"});
    let first = read(reader(&url, settings, options).as_ref()).await.unwrap();
    assert_eq!(first.complete, Some(false));
    assert_eq!(asked.lock().unwrap().pop().flatten().as_deref(), Some("2018-01-01 00:00:00"));
}

#[tokio::test]
async fn a_cursor_of_the_future_or_none_moves_no_mark_and_is_noted() {
    let answer = || async {
        Json(json!([
            {"at": "2018-06-12 09:00:00"}, {"at": "2999-01-01 00:00:00"}, {"at": null},
        ]))
    };
    let url = serve(Router::new().route("/c", get(answer))).await;
    let settings = StreamSettings {
        read: ReadMode::Incremental,
        cursor: Some("at".into()),
        columns: typed(&[("at", "timestamp")]),
        ..StreamSettings::default()
    };
    let endpoint = reader(&url, settings, json!({"path": "/c", "since": "since"}));
    let read = read(endpoint.as_ref()).await.unwrap();
    assert_eq!((read.count(), read.cursor()), (3, json!("2018-06-12 09:00:00")));
    assert_eq!(read.notes.len(), 2);
}
