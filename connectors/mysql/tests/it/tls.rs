#![allow(clippy::unwrap_used, clippy::expect_used)] // helpers stand outside of #[test] functions
//! A server with a certificate of an authority that nobody else knows.

use std::path::Path;
use std::time::{Duration, Instant};

use huiliu_sdk::{Error, ErrorKind, Result};
use serde_json::json;
use sqlx::{Connection, MySqlConnection};

use crate::server::Place;
use crate::support::{configure, limited, raw};

async fn started() -> Place {
    let mut place = Place::new("mysql");
    let data = format!("--datadir={}", place.path("server/data").display());
    place.prepare(
        Path::new("mariadb-install-db"),
        &["--no-defaults", "--auth-root-authentication-method=normal", &data],
    );
    let setting = |name: &str, file: &str| format!("--{name}={}", place.path(file).display());
    let arguments = [
        "--no-defaults".to_owned(),
        data,
        format!("--port={}", place.port),
        "--bind-address=localhost".into(),
        setting("socket", "server/socket"),
        setting("pid-file", "server/pid"),
        setting("ssl-cert", "server/certificate.pem"),
        setting("ssl-key", "server/key.pem"),
        "--require-secure-transport=ON".into(),
        "--skip-name-resolve=OFF".into(),
    ];
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    place.start(Path::new("/usr/sbin/mariadbd"), &arguments);
    let begin = Instant::now();
    let url = format!("mysql://root@localhost:{}/mysql", place.port);
    while MySqlConnection::connect(&url).await.is_err() {
        place.check();
        assert!(begin.elapsed() < Duration::from_secs(60), "the server does not answer");
        tokio::task::yield_now().await;
    }
    place
}

async fn probe(host: &str, port: u16, ca: Option<&Path>, verify: bool) -> Result<()> {
    let mut system = json!({ "url": format!("mysql://root@{host}:{port}/mysql") });
    if let Some(ca) = ca {
        system["ca"] = json!(ca);
    }
    if verify {
        system["tls"] = json!("verify");
    }
    let endpoint = configure(raw(system, Vec::new())).map_err(|faults| faults.0).unwrap();
    endpoint.probe(&limited(10)).await.map(|_| ())
}

fn is_refused(result: Result<()>) -> Error {
    let error = result.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unreachable, "E-MYSQL-TLS"), "{error:?}");
    assert!(error.hint_text().unwrap().contains("certificate"), "{error:?}");
    error
}

#[tokio::test]
async fn a_server_is_believed_only_with_the_certificate_and_name_it_should_have() {
    let place = started().await;
    let (ca, stranger) = (place.path("ca.pem"), place.path("stranger.pem"));
    for verify in [false, true] {
        probe("localhost", place.port, Some(&ca), verify).await.unwrap();
        is_refused(probe("localhost", place.port, Some(&stranger), verify).await);
        // The right authority, another name.
        is_refused(probe("127.0.0.1", place.port, Some(&ca), verify).await);
    }
    // Without a pin there are the authorities of this machine, which know nothing of it.
    is_refused(probe("localhost", place.port, None, true).await);
}
