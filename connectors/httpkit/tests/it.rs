//! The client against real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../../../tests/private/server.rs"]
mod server;
#[path = "it/tls.rs"]
mod tls;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use huiliu_httpkit::{Client, Method, Request, Settings, Url};
use huiliu_sdk::{Cx, ErrorKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn settings() -> Settings {
    Settings {
        timeout: Duration::from_millis(400),
        backoff: Duration::from_millis(2),
        tls: false,
        loopback: true,
        ..Settings::default()
    }
}

async fn serve(router: Router) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    Url::parse(&format!("http://{address}/")).unwrap()
}

/// A server that sends the same bytes to whoever connects, and closes.
async fn raw(answer: &'static str) -> (Url, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let hits = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&hits);
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            counted.fetch_add(1, Ordering::SeqCst);
            let mut request = [0_u8; 4096];
            let read = socket.read(&mut request).await.unwrap();
            assert!(read > 0);
            socket.write_all(answer.as_bytes()).await.unwrap();
            socket.shutdown().await.unwrap();
        }
    });
    (Url::parse(&format!("http://{address}/")).unwrap(), hits)
}

async fn fails(settings: Settings, url: Url) -> huiliu_httpkit::Failure {
    let client = Client::new(settings).unwrap();
    match client.send(&Cx::new(), &Request::new(Method::GET, url)).await {
        Ok(_) => panic!("the request succeeded"),
        Err(failure) => failure,
    }
}

#[tokio::test]
async fn each_status_has_its_kind() {
    for (status, kind, code) in [
        (401, ErrorKind::Auth, "E-AUTH"),
        (403, ErrorKind::Permission, "E-PERMISSION"),
        (404, ErrorKind::NotFound, "E-NOT-FOUND"),
        (409, ErrorKind::Conflict, "E-CONFLICT"),
        (422, ErrorKind::Data, "E-STATUS"),
        (429, ErrorKind::Throttled, "E-THROTTLED"),
        (500, ErrorKind::Unreachable, "E-STATUS"),
        (503, ErrorKind::Unreachable, "E-STATUS"),
    ] {
        let status = StatusCode::from_u16(status).unwrap();
        let url = serve(Router::new().route("/", get(move || async move { status }))).await;
        let failure = fails(settings(), url).await;
        assert_eq!((failure.error.kind(), failure.error.code()), (kind, code), "{status}");
    }
}

#[tokio::test]
async fn a_refused_connection_is_unreachable_and_not_lost() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let url = Url::parse(&format!("http://{address}/x?token=s3cret")).unwrap();
    let failure = fails(settings(), url).await;
    assert_eq!(failure.error.code(), "E-CONNECT");
    assert_eq!(failure.error.kind(), ErrorKind::Unreachable);
    assert!(!failure.lost);
    assert!(!format!("{:?}", failure.error).contains("s3cret"));
}

#[tokio::test]
async fn a_silent_server_times_out_and_the_outcome_is_lost() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    let failure = fails(Settings { attempts: 2, ..settings() }, url).await;
    assert_eq!(failure.error.kind(), ErrorKind::Timeout);
    assert!(failure.lost);
    drop(listener);
}

#[tokio::test]
async fn a_body_shorter_than_announced_is_tried_again_and_then_fails() {
    let (url, hits) =
        raw("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{}")
            .await;
    let failure = fails(settings(), url).await;
    assert_eq!(failure.error.code(), "E-CUT");
    assert_eq!(hits.load(Ordering::SeqCst), 4);
    let (url, _) = raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n").await;
    assert_eq!(fails(settings(), url).await.error.code(), "E-CUT");
}

#[tokio::test]
async fn a_request_that_is_not_idempotent_is_sent_once() {
    let (url, hits) = raw("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n").await;
    let client = Client::new(settings()).unwrap();
    let request = Request::new(Method::POST, url);
    assert!(client.send(&Cx::new(), &request).await.is_err());
    assert_eq!(hits.load(Ordering::SeqCst), 1);
    assert!(client.send(&Cx::new(), &request.idempotent(true)).await.is_err());
    assert_eq!(hits.load(Ordering::SeqCst), 5);
}

#[tokio::test]
async fn retry_after_is_respected() {
    let hits = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&hits);
    let router = Router::new().route(
        "/",
        get(move || async move {
            let mut headers = HeaderMap::new();
            if counted.fetch_add(1, Ordering::SeqCst) > 0 {
                return (StatusCode::OK, headers, "{}");
            }
            headers.insert("retry-after", "1".parse().unwrap());
            (StatusCode::TOO_MANY_REQUESTS, headers, "")
        }),
    );
    let client = Client::new(settings()).unwrap();
    let start = Instant::now();
    let answer = client.send(&Cx::new(), &Request::new(Method::GET, serve(router).await)).await;
    assert_eq!(answer.map(|answer| answer.status()).ok(), Some(200));
    assert!(start.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_redirect_is_refused_and_names_only_the_host() {
    let (url, hits) = raw(
        "HTTP/1.1 302 Found\r\nlocation: http://login.example/a?ticket=s3cret\r\ncontent-length: 0\r\n\r\n",
    )
    .await;
    let failure = fails(settings(), url).await;
    assert_eq!(failure.error.code(), "E-REDIRECT");
    assert!(failure.error.message().contains("login.example"));
    assert!(!format!("{:?}", failure.error).contains("s3cret"));
    assert_eq!(hits.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_answer_beyond_the_limit_is_refused_announced_or_not() {
    let small = Settings { max_response: 10, ..settings() };
    let (url, _) = raw("HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n12345678901").await;
    assert_eq!(fails(small.clone(), url).await.error.code(), "E-TOO-LARGE");
    let (url, _) = raw("HTTP/1.1 200 OK\r\n\r\n12345678901").await;
    assert_eq!(fails(small, url).await.error.code(), "E-TOO-LARGE");
}

#[tokio::test]
async fn a_cancelled_request_stops_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    let client = Client::new(Settings { timeout: Duration::from_secs(60), ..settings() }).unwrap();
    let cx = Cx::new();
    let request = Request::new(Method::GET, url);
    let (sent, ()) = tokio::join!(client.send(&cx, &request), async {
        let accepted = listener.accept().await;
        cx.cancel.cancel();
        drop(accepted);
    });
    assert_eq!(sent.err().map(|failure| failure.error.kind()), Some(ErrorKind::Cancelled));
}

#[tokio::test]
async fn content_that_is_not_json_is_told_apart() {
    let client = Client::new(settings()).unwrap();
    for (answer, code) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\n<html></html>", "E-CONTENT"),
        ("HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 2\r\n\r\n{}", "E-CONTENT"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\n{\"a\": s3cret}", "E-JSON"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", "E-JSON"),
    ] {
        let (url, _) = raw(answer).await;
        let Ok(answer) = client.send(&Cx::new(), &Request::new(Method::GET, url)).await else {
            panic!("no answer");
        };
        let error = answer.json::<serde_json::Value>().unwrap_err();
        assert_eq!(error.code(), code);
        assert!(!format!("{error:?}").contains("s3cret"));
    }
}

#[tokio::test]
async fn a_server_error_is_tried_again_unless_it_is_a_soap_fault() {
    for (answer, attempts) in [
        ("HTTP/1.1 500 No\r\ncontent-length: 2\r\n\r\nno", 4),
        ("HTTP/1.1 500 No\r\ncontent-type: text/xml\r\ncontent-length: 4\r\n\r\n<a/>", 1),
    ] {
        let (url, hits) = raw(answer).await;
        let failure = fails(settings(), url).await;
        assert_eq!((failure.error.code(), failure.status), ("E-STATUS", Some(500)));
        assert_eq!(hits.load(Ordering::SeqCst), attempts);
        let body = failure.answer.map(|answer| answer.body().clone()).unwrap_or_default();
        assert!(answer.as_bytes().ends_with(&body) && !body.is_empty());
    }
}

#[tokio::test]
async fn a_name_that_leads_to_this_machine_is_refused_unless_that_is_meant() {
    let (url, hits) = raw("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
    let port = url.port().unwrap();
    let elsewhere = Settings { loopback: false, ..settings() };
    for host in ["localhost", "127.0.0.1", "127.1", "[::ffff:127.0.0.1]"] {
        let url = Url::parse(&format!("http://{host}:{port}/?t=s3cret")).unwrap();
        assert!(huiliu_httpkit::is_loopback(&url));
        let failure = fails(elsewhere.clone(), url).await;
        assert_eq!(
            (failure.error.code(), failure.error.kind()),
            ("E-FORBIDDEN-ADDRESS", ErrorKind::Config)
        );
        assert!(!format!("{failure:?}").contains("s3cret"));
    }
    assert_eq!(hits.load(Ordering::SeqCst), 0);
    let metadata = Url::parse("http://169.254.169.254/latest/meta-data/").unwrap();
    assert_eq!(fails(settings(), metadata).await.error.code(), "E-FORBIDDEN-ADDRESS");
}

/// A server that sends `body` as gzip.
async fn packed(body: &[u8], keep: usize) -> Url {
    use std::io::Write;
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(body).unwrap();
    let mut packed = packer.finish().unwrap();
    packed.truncate(packed.len() - keep);
    let answer = move |headers: HeaderMap| async move {
        assert_eq!(headers["accept-encoding"], "gzip");
        ([("content-encoding", "gzip")], packed)
    };
    serve(Router::new().route("/", get(answer))).await
}

#[tokio::test]
async fn a_packed_body_is_expanded_within_the_limit_and_never_in_part() {
    let client = Client::new(settings()).unwrap();
    let url = packed(b"{\"a\":1}", 0).await;
    let answer = client.send(&Cx::new(), &Request::new(Method::GET, url)).await;
    assert_eq!(answer.map(|answer| answer.body().clone()).ok().as_deref(), Some(&b"{\"a\":1}"[..]));
    let small = Settings { max_response: 1 << 20, ..settings() };
    let bomb = packed(&vec![b' '; 20 << 20], 0).await;
    assert_eq!(fails(small, bomb).await.error.code(), "E-TOO-LARGE");
    assert_eq!(fails(settings(), packed(b"{\"a\":1}", 4).await).await.error.code(), "E-CUT");
    let (url, _) =
        raw("HTTP/1.1 200 OK\r\ncontent-encoding: br\r\ncontent-length: 2\r\n\r\n{}").await;
    assert_eq!(fails(settings(), url).await.error.code(), "E-CONTENT");
}

#[tokio::test]
async fn each_attempt_is_made_anew() {
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let noted = Arc::clone(&seen);
    let answer = move |headers: HeaderMap| async move {
        noted.lock().unwrap().push(headers["x-nonce"].clone());
        StatusCode::SERVICE_UNAVAILABLE
    };
    let url = serve(Router::new().route("/", get(answer))).await;
    let client = Client::new(Settings { attempts: 3, ..settings() }).unwrap();
    let count = AtomicU32::new(0);
    let make = || {
        let nonce = count.fetch_add(1, Ordering::SeqCst);
        let request = Request::new(Method::GET, url.clone());
        Ok(request.header("x-nonce".parse().unwrap(), nonce.into()))
    };
    assert!(client.send_made(&Cx::new(), make).await.is_err());
    assert_eq!(*seen.lock().unwrap(), ["0", "1", "2"]);
}
