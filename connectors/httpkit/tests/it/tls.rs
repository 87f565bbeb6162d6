//! A system with a certificate of an authority that nobody else knows.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use axum::Router;
use huiliu_httpkit::{Client, Failure, Method, Request, Settings, Url};
use huiliu_sdk::{Cx, ErrorKind};
use tokio::net::TcpStream;

use crate::serve;
use crate::server::Place;

/// A server that answers each request with a page about its TLS.
async fn started() -> Place {
    let mut place = Place::new("nobody");
    let openssl = Path::new("openssl");
    place.prepare(openssl, &["version"]);
    let port = place.port.to_string();
    let arguments =
        ["s_server", "-accept", &port, "-cert", "certificate.pem", "-key", "key.pem", "-www"];
    place.start(openssl, &arguments);
    let begin = Instant::now();
    while TcpStream::connect(("127.0.0.1", place.port)).await.is_err() {
        place.check();
        assert!(begin.elapsed() < Duration::from_secs(60), "the server does not answer");
        tokio::task::yield_now().await;
    }
    place
}

async fn ask(host: &str, port: u16, ca: Option<PathBuf>) -> Result<u16, Failure> {
    let settings = Settings { attempts: 1, ca, loopback: true, ..Settings::default() };
    let client = Client::new(settings)?;
    let url = Url::parse(&format!("https://{host}:{port}/")).unwrap();
    let request = Request::new(Method::GET, url);
    client.send(&Cx::new(), &request).await.map(|answer| answer.status())
}

fn is_refused(result: Result<u16, Failure>) {
    let failure = result.unwrap_err();
    let error = &failure.error;
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unreachable, "E-TLS"), "{error:?}");
    assert!(error.hint_text().unwrap().contains("certificate"), "{error:?}");
    assert!(!failure.lost, "nothing was sent");
}

#[tokio::test]
async fn a_system_is_believed_only_with_the_certificate_and_name_it_should_have() {
    let place = started().await;
    let (ca, stranger) = (place.path("ca.pem"), place.path("stranger.pem"));
    assert_eq!(ask("localhost", place.port, Some(ca.clone())).await.unwrap(), 200);
    is_refused(ask("localhost", place.port, Some(stranger)).await);
    // The authorities of this machine know nothing of it.
    assert!(ask("localhost", place.port, None).await.is_err());
    // The right authority, another name.
    is_refused(ask("127.0.0.1", place.port, Some(ca)).await);
}

#[tokio::test]
async fn a_system_without_tls_is_refused_where_an_authority_is_named() {
    let place = Place::new("nobody");
    let url = serve(Router::new()).await;
    is_refused(ask("127.0.0.1", url.port().unwrap(), Some(place.path("ca.pem"))).await);
}

#[tokio::test]
async fn a_file_without_certificates_is_told_before_anything_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let odd = folder.path().join("odd.pem");
    let text = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    std::fs::write(&odd, text).unwrap();
    for file in [folder.path().join("missing.pem"), empty, odd] {
        let failure = ask("localhost", 1, Some(file.clone())).await.unwrap_err();
        let error = failure.error;
        assert_eq!((error.kind(), error.code()), (ErrorKind::Config, "E-TLS"), "{error:?}");
        assert!(error.message().contains(&file.display().to_string()), "{error:?}");
    }
}
