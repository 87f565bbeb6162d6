//! Answers that are no answers.

use axum::routing::get;
use axum::{Json, Router};
use huiliu_sdk::{
    Cx, Error, ErrorKind, Event, ReadRequest, StreamId, StreamRequest, StreamSettings,
};
use serde_json::json;

use crate::{config, configure, raw, read, reader, serve, stream};

/// The error of a read, after checking that no row came out and no secret is in it.
async fn error_of(url: &str) -> Error {
    let system = json!({"url": url, "timeout": "500ms", "max_response": "64KB", "attempts": 2,
        "auth": {"type": "bearer", "token": "s3cret-token"}});
    let options = json!({"path": "/c", "records": "/list", "params": {"key": "s3cret-param"},
        "success": [{"pointer": "/code", "equals": "0"}], "message": "/msg"});
    let streams = vec![stream(StreamSettings::default(), options)];
    let endpoint = configure(config(system, streams, vec![])).unwrap();
    let cx = Cx::new();
    let streams = vec![StreamRequest { stream: StreamId::new("cases"), resume: None }];
    let mut source = endpoint.source(&cx, ReadRequest { streams, row_limit: None }).await.unwrap();
    loop {
        match source.next(&cx).await {
            Ok(Some(Event::Rows(_))) => panic!("rows of a broken answer"),
            Ok(Some(_)) => {}
            Ok(None) => panic!("a broken answer ended well"),
            Err(error) => {
                let text = format!("{error} {error:?}");
                assert!(!text.contains("s3cret"), "{text}");
                assert!(source.next(&cx).await.is_err(), "a failed read went on");
                return error;
            }
        }
    }
}

#[tokio::test]
async fn broken_answers_are_told_apart_and_yield_no_rows() {
    let answers = [
        (
            "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>",
            "E-CONTENT",
            ErrorKind::Schema,
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 90\r\n\r\n{\"code\":0,\"list\":[{\"a\":1},",
            "E-CUT",
            ErrorKind::Unreachable,
        ),
        ("HTTP/1.1 200 OK\r\n\r\n{\"code\":0,\"list\":[{\"a\":1},", "E-JSON", ErrorKind::Data),
        ("HTTP/1.1 200 OK\r\n\r\n{\"code\":0,\"list\":[{\"a\":1}]} {", "E-JSON", ErrorKind::Data),
        ("HTTP/1.1 200 OK\r\ncontent-length: 70000\r\n\r\n", "E-TOO-LARGE", ErrorKind::Data),
        ("HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n", "E-AUTH", ErrorKind::Auth),
        (
            "HTTP/1.1 302 Found\r\nlocation: http://sso.example/?t=s3cret\r\ncontent-length: 0\r\n\r\n",
            "E-REDIRECT",
            ErrorKind::Schema,
        ),
        (
            "HTTP/1.1 503 Busy\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n",
            "E-STATUS",
            ErrorKind::Unreachable,
        ),
        ("HTTP/1.1 200 OK\r\n\r\n{\"code\":0,\"data\":[]}", "E-SHAPE", ErrorKind::Schema),
    ];
    for (answer, code, kind) in answers {
        let error = error_of(&raw(answer).await).await;
        assert_eq!((error.code(), error.kind()), (code, kind), "{answer}");
    }
}

#[tokio::test]
async fn a_refusal_inside_a_good_status_is_quoted_without_secrets() {
    let url =
        raw("HTTP/1.1 200 OK\r\n\r\n{\"code\":1003,\"msg\":\"no right for s3cret-token\"}").await;
    let error = error_of(&url).await;
    assert_eq!(error.code(), "E-REMOTE");
    for part in ["/code", "`1003`", "no right for ***", "GET http://127.0.0.1:"] {
        assert!(error.message().contains(part), "{error}");
    }
}

#[tokio::test]
async fn a_key_that_no_record_has_is_an_error() {
    let url = serve(Router::new().route("/c", get(|| async { Json(json!([{"no": 1}])) }))).await;
    let settings = StreamSettings { key: vec!["number".into()], ..StreamSettings::default() };
    let endpoint = reader(&url, settings, json!({"path": "/c"}));
    let error = read(endpoint.as_ref()).await.err().unwrap();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Schema, "E-COLUMN"));
}

#[tokio::test]
async fn a_cancelled_read_stops_at_once() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let endpoint = reader(&url, StreamSettings::default(), json!({"path": "/c"}));
    let cx = Cx::new();
    let streams = vec![StreamRequest { stream: StreamId::new("cases"), resume: None }];
    let mut source = endpoint.source(&cx, ReadRequest { streams, row_limit: None }).await.unwrap();
    let (next, ()) = tokio::join!(source.next(&cx), async {
        let accepted = listener.accept().await;
        cx.cancel.cancel();
        drop(accepted);
    });
    assert_eq!(next.err().map(|error| error.kind()), Some(ErrorKind::Cancelled));
}

/// Who does not know where the records are is told where lists are.
#[tokio::test]
async fn a_wrong_place_of_the_records_is_told_with_the_right_ones() {
    let body =
        json!({"code": 0, "data": {"a/b": [{"no": 1}], "words": ["x"], "page": {"rows": [{}]}}});
    let url = serve(Router::new().route("/c", get(move || async move { Json(body) }))).await;
    let options = json!({"path": "/c", "records": "/list"});
    let endpoint = reader(&url, StreamSettings::default(), options);
    let error = read(&*endpoint).await.err().unwrap();
    assert_eq!(error.code(), "E-SHAPE");
    let hint = error.hint_text().unwrap();
    assert!(hint.contains("lists at /data/a~1b, /data/page/rows;"), "{hint}");
}
