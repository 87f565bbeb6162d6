#![allow(clippy::unwrap_used, clippy::expect_used)] // helpers stand outside of #[test] functions
//! A server with a certificate of an authority that nobody else knows.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use huiliu_sdk::{Cx, Error, ErrorKind, Result};
use serde_json::json;
use sqlx::{Connection, PgConnection};

use crate::server::Place;
use crate::support::{Database, configured, raw};

/// The programs of the newest server that is installed.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut found: Vec<PathBuf> = versions
        .map(|entry| entry.unwrap().path().join("bin"))
        .filter(|folder| folder.join("initdb").exists())
        .collect();
    found.sort_by_key(|folder| {
        let version = folder.parent().unwrap().file_name().unwrap().to_string_lossy().into_owned();
        version.parse::<u32>().unwrap_or(0)
    });
    found.pop().expect("no PostgreSQL server is installed; ./test installs it")
}

async fn started() -> Place {
    let mut place = Place::new("postgres");
    let programs = programs();
    let data = place.path("server/data").display().to_string();
    place.prepare(
        &programs.join("initdb"),
        &["-D", &data, "-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8"],
    );
    // Nobody is let in without TLS.
    std::fs::write(place.path("server/data/pg_hba.conf"), "hostssl all all all trust\n").unwrap();
    let port = place.port.to_string();
    let setting = |name: &str, value: &Path| format!("{name}={}", value.display());
    let certificate = setting("ssl_cert_file", &place.path("server/certificate.pem"));
    let key = setting("ssl_key_file", &place.path("server/key.pem"));
    let sockets = setting("unix_socket_directories", &place.path("server"));
    let arguments = [
        "-D",
        &data,
        "-p",
        &port,
        "-c",
        "listen_addresses=localhost",
        "-c",
        "ssl=on",
        "-c",
        &certificate,
        "-c",
        &key,
        "-c",
        &sockets,
        "-c",
        "fsync=off",
    ];
    place.start(&programs.join("postgres"), &arguments);
    let begin = Instant::now();
    let url = format!("postgresql://postgres@localhost:{}/postgres", place.port);
    while PgConnection::connect(&url).await.is_err() {
        place.check();
        assert!(begin.elapsed() < Duration::from_secs(60), "the server does not answer");
        tokio::task::yield_now().await;
    }
    place
}

async fn probe(host: &str, port: u16, ca: Option<&Path>, mode: &str) -> Result<()> {
    let mut raw = raw(&format!("postgresql://postgres@{host}:{port}/postgres{mode}"));
    if let Some(ca) = ca {
        raw.options["ca"] = json!(ca);
    }
    configured(raw).probe(&Cx::new()).await.map(|_| ())
}

fn is_refused(result: Result<()>) -> Error {
    let error = result.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unreachable, "E-TLS"), "{error:?}");
    assert!(error.hint_text().unwrap().contains("certificate"), "{error:?}");
    error
}

#[tokio::test]
async fn a_server_is_believed_only_with_the_certificate_and_name_it_should_have() {
    let place = started().await;
    let (ca, stranger) = (place.path("ca.pem"), place.path("stranger.pem"));
    for mode in ["", "?sslmode=verify-full", "?sslmode=verify-ca"] {
        probe("localhost", place.port, Some(&ca), mode).await.unwrap();
        is_refused(probe("localhost", place.port, Some(&stranger), mode).await);
    }
    // Without a pin there are the authorities of this machine, which know nothing of it.
    is_refused(probe("localhost", place.port, None, "?sslmode=verify-full").await);
    // The right authority, another name.
    is_refused(probe("127.0.0.1", place.port, Some(&ca), "?sslmode=verify-full").await);
    is_refused(probe("127.0.0.1", place.port, Some(&ca), "").await);
}

#[tokio::test]
async fn a_server_without_a_known_certificate_is_refused_where_one_is_asked_for() {
    let database = Database::with("").await;
    let place = Place::new("postgres");
    let ca = place.path("ca.pem");
    for (ca, mode) in [(None, "?sslmode=verify-full"), (Some(&ca), "")] {
        let mut raw = raw(&format!("{}{mode}", database.url()));
        if let Some(ca) = ca {
            raw.options["ca"] = json!(ca);
        }
        is_refused(configured(raw).probe(&Cx::new()).await.map(|_| ()));
    }
    database.drop().await;
}
