//! Links, tokens in headers, flags and caps.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::extract::Query;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use huiliu_sdk::{ErrorKind, StreamSettings};
use serde_json::{Value, json};

use crate::{config, configure, read, reader, serve, stream};

type Parameters = Query<HashMap<String, String>>;

fn page_of(query: &HashMap<String, String>) -> usize {
    query.get("page").map_or(1, |page| page.parse().unwrap())
}

fn rows(page: usize) -> Value {
    (0..2).map(|n| json!({"no": format!("p{page}n{n}")})).collect()
}

async fn numbers(url: &str, options: Value) -> huiliu_sdk::Result<Vec<String>> {
    let endpoint = reader(url, StreamSettings::default(), options);
    Ok(read(endpoint.as_ref()).await?.texts("no").into_iter().flatten().collect())
}

fn expected(pages: usize) -> Vec<String> {
    (1..=pages).flat_map(|page| (0..2).map(move |n| format!("p{page}n{n}"))).collect()
}

#[tokio::test]
async fn the_link_header_is_followed_to_the_end() {
    let answer = |Query(query): Parameters| async move {
        let page = page_of(&query);
        assert_eq!(query.get("size").map(String::as_str), Some("2"));
        let mut headers = HeaderMap::new();
        headers.append("link", r#"</c?page=1&size=2>; rel="first""#.parse().unwrap());
        if page < 3 {
            let next = format!(r#"<c?page={}&size=2>; rel="next""#, page + 1);
            headers.append("link", next.parse().unwrap());
        }
        (headers, Json(rows(page)))
    };
    let url = serve(Router::new().route("/c", get(answer))).await;
    let options =
        json!({"path": "/c", "pagination": {"type": "link", "size": "size", "page_size": 2}});
    assert_eq!(numbers(&url, options).await.unwrap(), expected(3));
}

#[tokio::test]
async fn a_link_in_the_body_is_followed_and_a_total_checked() {
    let answer = |Query(query): Parameters| async move {
        let page = page_of(&query);
        let next = if page < 3 { json!(format!("?page={}", page + 1)) } else { Value::Null };
        Json(json!({"list": rows(page), "links": {"next": next}, "total": 6}))
    };
    let url = serve(Router::new().route("/c", get(answer))).await;
    let options = |total: &str| {
        json!({"path": "/c", "records": "/list", "total": total,
            "pagination": {"type": "link", "next": "/links/next"}})
    };
    assert_eq!(numbers(&url, options("/total")).await.unwrap(), expected(3));
    assert_eq!(numbers(&url, options("/count")).await.unwrap_err().code(), "E-SHAPE");
}

#[tokio::test]
async fn a_link_that_leads_back_or_to_another_host_is_refused() {
    let next = Arc::new(Mutex::new(String::new()));
    let given = Arc::clone(&next);
    let answer = move || async move {
        Json(json!({"list": [{"no": 1}], "next": given.lock().unwrap().clone()}))
    };
    let url = serve(Router::new().route("/c", get(answer))).await;
    let options =
        json!({"path": "/c", "records": "/list", "pagination": {"type": "link", "next": "/next"}});
    for (link, code) in [
        ("/c", "E-LOOP"),
        ("http://elsewhere.example/c?ticket=s3cret", "E-FOREIGN-HOST"),
        ("http://169.254.169.254/latest", "E-FOREIGN-HOST"),
        ("file:///etc/passwd", "E-FOREIGN-HOST"),
    ] {
        *next.lock().unwrap() = link.to_owned();
        let error = numbers(&url, options.clone()).await.unwrap_err();
        assert_eq!(error.code(), code, "{link}");
        assert!(!format!("{error:?}").contains("s3cret"));
    }
}

#[tokio::test]
async fn an_allowed_host_gets_no_credentials() {
    let other = |headers: HeaderMap| async move {
        assert!(headers.get("authorization").is_none() && headers.get("x-fixed").is_none());
        Json(json!({"list": rows(2)}))
    };
    let other = serve(Router::new().route("/more", get(other))).await;
    let next = format!("{other}/more");
    let first = move |headers: HeaderMap| async move {
        assert_eq!(headers["authorization"], "Bearer t0ken-of-city");
        assert_eq!(headers["x-fixed"], "yes-it-is");
        Json(json!({"list": rows(1), "next": next}))
    };
    let url = serve(Router::new().route("/c", get(first))).await;
    let host = other.trim_start_matches("http://");
    let options =
        json!({"path": "/c", "records": "/list", "pagination": {"type": "link", "next": "/next"}});
    let system = json!({"url": url, "hosts": [host], "headers": {"X-Fixed": "yes-it-is"},
        "auth": {"type": "bearer", "token": "t0ken-of-city"}});
    let streams = vec![stream(StreamSettings::default(), options)];
    let endpoint = configure(config(system, streams, vec![])).unwrap();
    assert_eq!(read(endpoint.as_ref()).await.unwrap().count(), 4);
}

#[tokio::test]
async fn a_redirect_is_followed_only_where_links_may_lead() {
    let moved = |to: String| {
        get(move || async move { (StatusCode::FOUND, [("location", to)], "").into_response() })
    };
    let router = Router::new()
        .route("/near", moved("/c".into()))
        .route("/far", moved("http://elsewhere.example/c?ticket=s3cret".into()))
        .route("/round", moved("/round".into()))
        .route("/c", get(|| async { Json(rows(1)) }));
    let url = serve(router).await;
    assert_eq!(numbers(&url, json!({"path": "/near"})).await.unwrap(), expected(1));
    for path in ["/far", "/round"] {
        let error = numbers(&url, json!({"path": path})).await.unwrap_err();
        assert_eq!((error.code(), error.kind()), ("E-REDIRECT", ErrorKind::Schema));
        assert!(!format!("{error:?}").contains("s3cret"));
    }
}

#[tokio::test]
async fn a_token_may_come_in_a_header() {
    let answer = |Query(query): Parameters| async move {
        let page = page_of(&query);
        let next = if page < 3 { (page + 1).to_string() } else { String::new() };
        ([("x-next", next)], Json(rows(page)))
    };
    let url = serve(Router::new().route("/c", get(answer))).await;
    let pagination = json!({"type": "cursor", "param": "page", "next_header": "X-Next"});
    let options = json!({"path": "/c", "pagination": pagination});
    assert_eq!(numbers(&url, options).await.unwrap(), expected(3));
}

#[tokio::test]
async fn a_short_page_in_the_middle_is_not_the_end() {
    let answer = |Query(query): Parameters| async move {
        let page = page_of(&query);
        let full = rows(page);
        Json(match page {
            2 => json!([full[0]]),
            1 | 3 => full,
            _ => json!([]),
        })
    };
    let url = serve(Router::new().route("/c", get(answer))).await;
    let options =
        json!({"path": "/c", "pagination": {"type": "page", "page": "page", "page_size": 2}});
    let read = numbers(&url, options).await.unwrap();
    assert_eq!(read, ["p1n0", "p1n1", "p2n0", "p3n0", "p3n1"]);
}

#[tokio::test]
async fn the_servers_own_word_on_more_pages_counts() {
    let answer = |Query(query): Parameters| async move {
        let page = page_of(&query);
        let list = if query.contains_key("empty") && page == 2 { json!([]) } else { rows(page) };
        Json(json!({"list": list, "more": page < 3}))
    };
    let url = serve(Router::new().route("/c", get(answer))).await;
    let options = |params: Value| {
        json!({"path": "/c", "records": "/list", "more": "/more", "params": params,
            "pagination": {"type": "page", "page": "page", "page_size": 2}})
    };
    assert_eq!(numbers(&url, options(json!({}))).await.unwrap(), expected(3));
    let error = numbers(&url, options(json!({"empty": "1"}))).await.unwrap_err();
    assert_eq!(error.code(), "E-LOOP");
}

#[tokio::test]
async fn more_pages_than_the_cap_are_an_error() {
    let answer = |Query(query): Parameters| async move { Json(rows(page_of(&query))) };
    let url = serve(Router::new().route("/c", get(answer))).await;
    let options = json!({"path": "/c", "max_pages": 7,
        "pagination": {"type": "page", "page": "page", "page_size": 2}});
    let error = numbers(&url, options).await.unwrap_err();
    assert_eq!((error.code(), error.kind()), ("E-PAGES", ErrorKind::Data));
}
