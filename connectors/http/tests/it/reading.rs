//! Pages, tokens, cursors and values.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use arrow::array::AsArray;
use arrow::datatypes::{Decimal128Type, Int64Type};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use huiliu_sdk::{Cx, ErrorKind, ReadMode, StreamSettings};
use serde_json::{Value, json};

use crate::{config, configure, raw, read, read_from, reader, serve, stream, typed};

type Parameters = Query<HashMap<String, String>>;

/// What a paged server has and how it behaves.
#[derive(Clone)]
struct Paged {
    rows: usize,
    cap: usize,
    total: Option<usize>,
    asked: Arc<Mutex<Vec<HashMap<String, String>>>>,
}

fn paged(rows: usize, cap: usize, total: Option<usize>) -> Paged {
    Paged { rows, cap, total, asked: Arc::default() }
}

async fn list(State(paged): State<Paged>, Query(query): Parameters) -> Json<Value> {
    let number = |name: &str| query.get(name).and_then(|text| text.parse::<usize>().ok());
    let size = number("size").unwrap_or(10).min(paged.cap);
    let start = number("page").map(|page| (page - 1) * size).or(number("offset")).unwrap_or(0);
    let start =
        query.get("cursor").map_or(start, |token| token.trim_start_matches('t').parse().unwrap());
    let end = (start + size).min(paged.rows);
    let rows: Vec<Value> = (start..end.max(start))
        .map(|index| json!({"no": format!("c{index}"), "n": index}))
        .collect();
    paged.asked.lock().unwrap().push(query);
    let next = if end < paged.rows { json!(format!("t{end}")) } else { Value::Null };
    Json(json!({"code": 0, "data": {"list": rows, "total": paged.total, "next": next}}))
}

async fn start(paged: &Paged) -> String {
    serve(Router::new().route("/api/cases", get(list)).with_state(paged.clone())).await
}

fn options(pagination: Value, total: bool) -> Value {
    let mut options = json!({
        "path": "/api/cases", "records": "/data/list", "pagination": pagination,
        "success": [{"pointer": "/code", "equals": "0"}],
    });
    if total {
        options["total"] = json!("/data/total");
    }
    options
}

fn by_page(size: u32) -> Value {
    json!({"type": "page", "page": "page", "size": "size", "page_size": size})
}

async fn numbers_of(paged: &Paged, options: Value) -> huiliu_sdk::Result<Vec<String>> {
    let endpoint = reader(&start(paged).await, StreamSettings::default(), options);
    let read = read(endpoint.as_ref()).await?;
    assert_eq!(read.complete, Some(true));
    Ok(read.texts("no").into_iter().flatten().collect())
}

fn all(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("c{index}")).collect()
}

#[tokio::test]
async fn every_pagination_reads_every_record_once() {
    let ways = [
        by_page(10),
        json!({"type": "offset", "offset": "offset", "limit": "size", "page_size": 10}),
        json!({"type": "cursor", "param": "cursor", "next": "/data/next", "size": "size", "page_size": 10}),
    ];
    for way in ways {
        for rows in [0, 1, 9, 10, 11, 35] {
            for total in [true, false] {
                let server = paged(rows, 1000, total.then_some(rows));
                let read = numbers_of(&server, options(way.clone(), total)).await.unwrap();
                assert_eq!(read, all(rows), "{way} {rows} {total}");
            }
        }
    }
}

#[tokio::test]
async fn a_server_that_caps_the_page_size_is_read_to_the_end() {
    for (way, total) in [(by_page(100), true), (by_page(100), false)] {
        let server = paged(35, 10, total.then_some(35));
        assert_eq!(numbers_of(&server, options(way, total)).await.unwrap(), all(35), "{total}");
    }
    let way = json!({"type": "offset", "offset": "offset", "limit": "size", "page_size": 100});
    let server = paged(35, 10, Some(35));
    assert_eq!(numbers_of(&server, options(way, true)).await.unwrap(), all(35));
}

#[tokio::test]
async fn fewer_records_than_announced_is_an_error() {
    let error =
        numbers_of(&paged(35, 100, Some(36)), options(by_page(10), true)).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Data, "E-TRUNCATED"));
}

#[tokio::test]
async fn a_server_that_ignores_the_page_or_repeats_a_token_is_found_out() {
    let same =
        || async { Json(json!({"data": {"list": [{"no": "a"}, {"no": "b"}], "next": "t1"}})) };
    let url = serve(Router::new().route("/api/cases", get(same))).await;
    for way in [by_page(2), json!({"type": "cursor", "param": "cursor", "next": "/data/next"})] {
        let options = json!({"path": "/api/cases", "records": "/data/list", "pagination": way});
        let error = read(reader(&url, StreamSettings::default(), options).as_ref()).await.err();
        assert_eq!(error.map(|error| error.code()), Some("E-LOOP"));
    }
    // A short last page repeated beyond the end is the end.
    let options = json!({"path": "/api/cases", "records": "/data/list", "pagination": by_page(10)});
    let endpoint = reader(&url, StreamSettings::default(), options);
    assert_eq!(read(endpoint.as_ref()).await.unwrap().count(), 2);
}

#[tokio::test]
async fn a_preview_reads_only_what_it_needs_and_moves_no_cursor() {
    let server = paged(1000, 1000, Some(1000));
    let endpoint =
        reader(&start(&server).await, StreamSettings::default(), options(by_page(100), true));
    let read = read_from(endpoint.as_ref(), None, Some(7)).await.unwrap();
    assert_eq!((read.count(), read.complete), (7, Some(false)));
    assert_eq!(read.cursor(), Value::Null);
    assert_eq!(server.asked.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn an_incremental_read_starts_its_overlap_before_the_last_cursor() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let answer = move |Query(query): Parameters| async move {
        seen.lock().unwrap().push(query.get("updatedSince").cloned());
        Json(
            json!([{"no": "1", "at": "2018-06-12 09:00:00"}, {"no": "2", "at": "2018-06-12 08:00:00"}]),
        )
    };
    let url = serve(Router::new().route("/c", get(answer))).await;
    let settings = StreamSettings {
        read: ReadMode::Incremental,
        cursor: Some("at".into()),
        overlap: Some("10m".into()),
        columns: typed(&[("no", "text"), ("at", "timestamp")]),
        ..StreamSettings::default()
    };
    let endpoint = reader(&url, settings, json!({"path": "/c", "since": "updatedSince"}));
    let first = read(endpoint.as_ref()).await.unwrap();
    assert_eq!((first.complete, first.cursor()), (Some(true), json!("2018-06-12 09:00:00")));
    let second = read_from(endpoint.as_ref(), Some("2018-06-12 09:05:00"), None).await.unwrap();
    assert_eq!((second.complete, second.cursor()), (Some(false), json!("2018-06-12 09:05:00")));
    assert_eq!(*asked.lock().unwrap(), [None, Some("2018-06-12 08:55:00".to_owned())]);
}

#[tokio::test]
async fn an_expired_token_is_renewed_once_and_the_read_goes_on() {
    let logins = Arc::new(AtomicU32::new(0));
    let served = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&logins);
    let login = move |Json(body): Json<Value>| async move {
        if body["secret"] != "s3cret-word" {
            return Json(json!({"data": {}}));
        }
        let number = counted.fetch_add(1, Ordering::SeqCst) + 1;
        Json(json!({"data": {"token": format!("token-{number}")}}))
    };
    let current = Arc::clone(&logins);
    let cases = move |headers: HeaderMap, Query(query): Parameters| async move {
        // The first token dies after two pages.
        let number = served.fetch_add(1, Ordering::SeqCst);
        let wanted = if number < 2 { 1 } else { 2 };
        let token = headers.get("x-access-token").and_then(|value| value.to_str().ok());
        if token != Some(format!("token-{wanted}").as_str()) {
            return Err(StatusCode::UNAUTHORIZED);
        }
        assert!(current.load(Ordering::SeqCst) >= 1);
        let page: u32 = query["page"].parse().unwrap();
        let row = if page <= 4 { vec![json!({"no": page.to_string()})] } else { vec![] };
        Ok(Json(json!(row)))
    };
    let url = serve(Router::new().route("/token", post(login)).route("/cases", get(cases))).await;
    let system = |secret: &str| {
        json!({"url": url, "auth": {"type": "login", "path": "/token", "body": {"secret": secret},
            "token": "/data/token", "header": "x-access-token", "ttl": "25m"}})
    };
    let options = json!({"path": "/cases", "pagination": by_page(1)});
    let cases = |secret| {
        let streams = vec![stream(StreamSettings::default(), options.clone())];
        configure(config(system(secret), streams, vec![])).unwrap()
    };
    assert_eq!(read(cases("s3cret-word").as_ref()).await.unwrap().count(), 4);
    assert_eq!(logins.load(Ordering::SeqCst), 2);
    let error = read(cases("s3cret-wrong").as_ref()).await.err().unwrap();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Auth, "E-LOGIN"));
    assert!(!format!("{error:?}").contains("s3cret"));
}

#[tokio::test]
async fn fixed_credentials_go_into_their_headers() {
    let answer = |headers: HeaderMap| async move {
        let text =
            |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        match text("apikey").or(text("authorization")).as_deref() {
            Some("k3y-of-city" | "Bearer t0ken" | "Basic dTpw") => Ok(Json(json!([{"no": 1}]))),
            _ => Err(StatusCode::UNAUTHORIZED),
        }
    };
    let url = serve(Router::new().route("/c", get(answer))).await;
    let with = |auth: Value| {
        let streams = vec![stream(StreamSettings::default(), json!({"path": "/c"}))];
        configure(config(json!({"url": url, "auth": auth}), streams, vec![])).unwrap()
    };
    for auth in [
        json!({"type": "api_key", "header": "ApiKey", "value": "k3y-of-city"}),
        json!({"type": "bearer", "token": "t0ken"}),
        json!({"type": "basic", "user": "u", "password": "p"}),
    ] {
        assert_eq!(read(with(auth).as_ref()).await.unwrap().count(), 1);
    }
    let wrong = with(json!({"type": "api_key", "header": "ApiKey", "value": "s3cret"}));
    for error in
        [read(wrong.as_ref()).await.err().unwrap(), wrong.probe(&Cx::new()).await.unwrap_err()]
    {
        assert_eq!(error.kind(), ErrorKind::Auth);
        assert!(!format!("{error:?}").contains("s3cret"));
    }
}

#[tokio::test]
async fn values_stay_exact_and_rows_that_do_not_fit_keep_their_bytes() {
    let body = r#"{"list": [
        {"id": 9007199254740993, "amount": 1.10, "name": "张\u4e09", "deep": {"a": [1, 2.50]}},
        {"id": 1.5, "amount": 2, "name": null},
        {"id": 3, "amount": "bad"},
        [1]]}"#;
    let url = serve(Router::new().route("/c", get(move || async move { body }))).await;
    let settings = StreamSettings {
        columns: typed(&[("id", "int"), ("amount", "decimal(10,2)")]),
        ..StreamSettings::default()
    };
    let fields = json!({"id": "id", "amount": "amount", "name": "name", "second": "/deep/a/1", "deep": "deep"});
    let endpoint =
        reader(&url, settings, json!({"path": "/c", "records": "/list", "fields": fields}));
    let read = read(endpoint.as_ref()).await.unwrap();
    assert_eq!(read.schemas, [["id", "amount", "name", "second", "deep"]]);
    assert_eq!(read.count(), 1);
    let batch = &read.rows[0].batch;
    assert_eq!(batch.column(0).as_primitive::<Int64Type>().value(0), 9_007_199_254_740_993);
    assert_eq!(batch.column(1).as_primitive::<Decimal128Type>().value(0), 110);
    assert_eq!(read.texts("name"), [Some("张三".to_owned())]);
    assert_eq!(read.texts("second"), [Some("2.50".to_owned())]);
    assert_eq!(read.texts("deep"), [Some(r#"{"a": [1, 2.50]}"#.to_owned())]);
    let refused: Vec<_> = read
        .rejected
        .iter()
        .map(|row| (row.position, row.code, std::str::from_utf8(&row.raw).unwrap()))
        .collect();
    assert_eq!(
        refused,
        [
            (2, "E-TYPE", r#"{"id":"1.5","amount":"2","name":null,"second":null,"deep":null}"#),
            (3, "E-TYPE", r#"{"id":"3","amount":"bad","name":null,"second":null,"deep":null}"#),
            (4, "E-RECORD", r#"{"_line":"[1]"}"#),
        ]
    );
}

#[tokio::test]
async fn undeclared_columns_are_those_of_the_records_and_may_grow() {
    let answer = |Query(query): Parameters| async move {
        Json(match query["page"].as_str() {
            "1" => json!([{"z": 1.0, "a": [1]}, {"a": "x", "b": true}]),
            "2" => json!([{"a": "y", "new": 1}]),
            _ => json!([]),
        })
    };
    let url = serve(Router::new().route("/c", get(answer))).await;
    let options = json!({"path": "/c", "pagination": by_page(2)});
    let endpoint = reader(&url, StreamSettings::default(), options);
    let read = read(endpoint.as_ref()).await.unwrap();
    assert_eq!(read.schemas, [vec!["z", "a", "b"], vec!["z", "a", "b", "new"]]);
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(read.texts("z"), [some("1.0"), None, None]);
    assert_eq!(read.texts("a"), [some("[1]"), some("x"), some("y")]);
    assert_eq!(read.texts("b"), [None, some("true"), None]);
    assert_eq!(read.texts("new"), [None, None, some("1")]);
}

#[tokio::test]
async fn a_post_carries_its_page_in_the_body() {
    let answer = |Json(body): Json<Value>| async move {
        let page = body["query"]["page"].as_u64().unwrap();
        assert_eq!(body["dept"], "x");
        Json(if page <= 3 { json!([{"no": page}]) } else { json!([]) })
    };
    let url = serve(Router::new().route("/c", post(answer))).await;
    let pagination = json!({"type": "page", "page": "/query/page", "page_size": 1});
    let options =
        json!({"path": "/c", "method": "POST", "body": {"dept": "x"}, "pagination": pagination});
    let endpoint = reader(&url, StreamSettings::default(), options);
    assert_eq!(read(endpoint.as_ref()).await.unwrap().count(), 3);
}

#[tokio::test]
async fn probing_and_discovering_tell_what_is_there() {
    let server = paged(35, 1000, Some(35));
    let endpoint =
        reader(&start(&server).await, StreamSettings::default(), options(by_page(10), true));
    let cx = Cx::new();
    assert_eq!(endpoint.probe(&cx).await.unwrap().summary, "stream cases has 35 records");
    assert_eq!(server.asked.lock().unwrap()[0]["size"], "1");
    let streams = endpoint.discover(&cx).await.unwrap();
    let types: Vec<_> = streams[0]
        .columns
        .iter()
        .map(|(name, spec)| (name.as_str(), spec.data_type.as_deref().unwrap()))
        .collect();
    assert_eq!(types, [("no", "text"), ("n", "int")]);
    assert_eq!(streams[0].row_estimate, Some(35));
}

#[tokio::test]
async fn batches_keep_the_callers_limit() {
    let server = paged(35, 1000, Some(35));
    let endpoint =
        reader(&start(&server).await, StreamSettings::default(), options(by_page(20), true));
    let mut cx = Cx::new();
    cx.limits.rows = 8;
    let streams = vec![huiliu_sdk::StreamRequest {
        stream: huiliu_sdk::StreamId::new("cases"),
        resume: None,
    }];
    let request = huiliu_sdk::ReadRequest { streams, row_limit: None };
    let mut source = endpoint.source(&cx, request).await.unwrap();
    let mut sizes = Vec::new();
    while let Some(event) = source.next(&cx).await.unwrap() {
        if let huiliu_sdk::Event::Rows(rows) = event {
            sizes.push((rows.batch.num_rows(), rows.origin.to_string(), rows.positions[0]));
        }
    }
    let expected = [(8, 1, 1), (8, 1, 9), (4, 1, 17), (8, 2, 1), (7, 2, 9)]
        .map(|(rows, page, first)| (rows, format!("/api/cases page {page}"), first));
    assert_eq!(sizes, expected);
}

#[tokio::test]
async fn an_empty_list_written_as_null_is_empty() {
    let url = raw("HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\n{\"list\":null}").await;
    let options = json!({"path": "/c", "records": "/list"});
    let endpoint = reader(&url, StreamSettings::default(), options);
    let read = read(endpoint.as_ref()).await.unwrap();
    assert_eq!((read.count(), read.complete), (0, Some(true)));
}
