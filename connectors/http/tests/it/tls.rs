//! A system with a certificate of an authority of its own.

use std::path::Path;
use std::time::{Duration, Instant};

use huiliu_sdk::{Cx, ErrorKind, Result};
use serde_json::json;
use tokio::net::TcpStream;

use crate::server::Place;
use crate::{config, configure};

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

async fn probe(place: &Place, ca: &str) -> Result<String> {
    let url = format!("https://localhost:{}", place.port);
    let mut raw = config(json!({ "url": url, "ca": ca, "attempts": 1 }), vec![], vec![]);
    raw.base_dir = place.path("");
    let endpoint = configure(raw).unwrap_or_else(|faults| panic!("{faults:?}"));
    endpoint.probe(&Cx::new()).await.map(|probe| probe.summary)
}

#[tokio::test]
async fn a_system_is_believed_by_the_authority_that_its_file_names() {
    let place = started().await;
    assert_eq!(probe(&place, "ca.pem").await.unwrap(), "HTTP 200");
    let error = probe(&place, "stranger.pem").await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unreachable, "E-TLS"), "{error:?}");
    let error = probe(&place, "missing.pem").await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Config, "E-TLS"), "{error:?}");
    assert!(error.to_string().contains("missing.pem"), "{error:?}");
}

#[test]
fn an_authority_without_https_is_a_fault() {
    let system = json!({ "url": "http://10.1.2.3/api", "ca": "city.pem" });
    let faults = configure(config(system, vec![], vec![])).err().unwrap();
    let paths: Vec<&str> = faults.0.iter().map(|fault| fault.path.as_str()).collect();
    assert_eq!(paths, ["ca"]);
    // Other hosts are reached over https even where the system is not.
    let system = json!({ "url": "http://10.1.2.3/api", "ca": "city.pem", "hosts": ["files.city"] });
    assert!(configure(config(system, vec![], vec![])).is_ok());
}
