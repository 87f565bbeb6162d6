//! Faults of a configuration.

use huiliu_connector_http::HttpConnector;
use huiliu_sdk::{Connector, ReadMode, StreamSettings};
use serde_json::{Value, json};

use crate::{RawPush, config, configure, stream, typed};

#[test]
fn all_faults_are_reported_at_once_with_their_places() {
    let system = json!({"url": "http://u:s3cret@h", "timeout": "ten", "tmeout": "1s",
        "auth": {"type": "bearer", "token": ["s3cret"]}});
    let streams = vec![
        stream(
            StreamSettings::default(),
            json!({"path": "/a", "method": "get", "pagination": {"type": "page", "page": 1, "page_size": 0}}),
        ),
        stream(
            StreamSettings {
                read: ReadMode::Incremental,
                key: vec!["no".into()],
                overlap: Some("x".into()),
                zone: Some("Mars".into()),
                columns: typed(&[("a", "texd")]),
                ..StreamSettings::default()
            },
            json!({"path": "b?c", "records": "list", "fields": {"x": 1, "y": ""}}),
        ),
        stream(
            StreamSettings { read: ReadMode::Flagged, ..StreamSettings::default() },
            json!({"path": "/a", "pagination": {"type": "pages"}}),
        ),
        stream(
            StreamSettings {
                read: ReadMode::Flagged,
                zone: Some("Mars".into()),
                ..StreamSettings::default()
            },
            json!({"path": "b", "records": "list", "fields": {"y": ""}, "pagination": {"type": "cursor", "param": "c", "next": "next", "size": "s"}}),
        ),
    ];
    let push = json!({"path": "/p", "batch": 5, "idempotency_header": "X Key", "lookup": {"path": "/p", "param": "id"}});
    let pushes = vec![RawPush { name: "p".into(), key: vec![], options: push }];
    let errors = configure(config(system, streams, pushes)).err().unwrap();
    let mut paths: Vec<&str> = errors.0.iter().map(|error| error.path.as_str()).collect();
    paths.sort_unstable();
    assert_eq!(
        paths,
        [
            "auth.token",
            "pushes[0].batch",
            "pushes[0].idempotency_header",
            "pushes[0].lookup.outcomes",
            "streams[0].method",
            "streams[0].pagination.page",
            "streams[0].pagination.page_size",
            "streams[1].fields.x",
            "streams[1].overlap",
            "streams[1].zone",
            "streams[2].pagination.type",
            "streams[2].read",
            "streams[3].fields.y",
            "streams[3].pagination.next",
            "streams[3].pagination.page_size",
            "streams[3].path",
            "streams[3].read",
            "streams[3].records",
            "streams[3].zone",
            "tmeout",
            "url",
        ]
    );
    let hint = errors.0.iter().find(|error| error.path == "tmeout").unwrap().hint.as_deref();
    assert_eq!(hint, Some("did you mean `timeout`?"));
    assert!(!format!("{errors:?}").contains("s3cret"));
}

#[test]
fn the_schemas_by_which_keys_are_checked_are_in_one_piece() {
    let spec = HttpConnector.spec();
    for schema in [spec.system_schema, spec.stream_schema, spec.push_schema] {
        assert!(!schema.to_string().contains("$ref"));
    }
}

#[test]
fn a_complete_configuration_is_accepted() {
    let system = json!({"url": "https://h/base/", "timeout": "30s", "max_response": "64MB",
        "requests_per_minute": 600, "attempts": 4,
        "auth": {"type": "login", "path": "/t", "body": {"k": "v"}, "token": "/token"}});
    let settings = StreamSettings {
        read: ReadMode::Incremental,
        cursor: Some("at".into()),
        ..StreamSettings::default()
    };
    let options = json!({"path": "/c", "method": "POST", "body": {}, "params": {"a": "b"},
        "records": "/l", "total": "/t", "success": [], "message": "/m", "since": "s",
        "pagination": {"type": "offset", "offset": "o", "page_size": 5}});
    let configured = configure(config(system, vec![stream(settings, options)], vec![]));
    assert!(configured.is_ok(), "{:?}", configured.err());
}

#[test]
fn faults_of_signatures_formats_and_pushes_are_reported_at_once() {
    let system = json!({"url": "https://h", "hosts": ["http://x/y", "ok.example:8443"],
        "headers": {"X Y": "1"},
        "auth": {"type": "api_key", "header": "a", "query": "b", "value": "v"},
        "sign": {"algorithm": "sm2", "text": "{timestmp}{parameters}", "key": "s3cret",
            "values": {"nonce": "1"}, "headers": {"x": "{time"}, "query": {"s": "{time}"},
            "exchange": {"path": "k", "secret": "x"}},
        "encrypt": {"cipher": {"mode": "cbc", "key": "s3cret"}, "request": "data"}});
    let settings = StreamSettings::default;
    let streams = vec![
        stream(
            settings(),
            json!({"path": "/a", "method": "POST", "body": {}, "form": {}, "xml": "{page}",
            "encoding": "klingon", "delimiter": ";", "nested": [{"pointer": "x"}]}),
        ),
        stream(
            settings(),
            json!({"path": "/a/{id}", "soap": {"version": "1.1"}, "format": "csv",
            "parent": {"stream": "nobody", "values": {"id": ""}}}),
        ),
        stream(
            settings(),
            json!({"path": "/a", "since": "s", "since_format": "sometimes", "since_zone": "Mars",
            "pagination": {"type": "cursor", "param": "c"},
            "job": {"handle": "h", "poll": "/p/{jbo}", "state": "/s", "done": ["d"], "interval": "x"}}),
        ),
    ];
    let push = |options: Value| RawPush { name: "p".into(), key: vec![], options };
    let pushes = vec![
        push(json!({"path": "/p", "xml": "<a/>", "soap": {"version": "1.2"}})),
        push(
            json!({"path": "/p", "record": "<r>{nobody}</r>", "fields": {"a": "b"}, "idempotency_field": "k"}),
        ),
        push(json!({"path": "/p", "form": {}, "method": "GET"})),
    ];
    let errors = configure(config(system, streams, pushes)).err().unwrap();
    let paths: std::collections::BTreeSet<&str> =
        errors.0.iter().map(|error| error.path.as_str()).collect();
    let expected = [
        "auth.header",
        "encrypt.cipher.iv",
        "encrypt.cipher.key",
        "encrypt.request",
        "headers.X Y",
        "hosts[0]",
        "pushes[0].record",
        "pushes[0].xml",
        "pushes[1].batch",
        "pushes[1].record",
        "pushes[2].method",
        "pushes[2].records",
        "sign",
        "sign.exchange.path",
        "sign.exchange.secret",
        "sign.headers.x",
        "sign.key",
        "sign.text",
        "sign.values.nonce",
        "streams[0].delimiter",
        "streams[0].encoding",
        "streams[0].form",
        "streams[0].nested[0].pointer",
        "streams[1].format",
        "streams[1].parent.values.id",
        "streams[1].xml",
        "streams[2].job.download",
        "streams[2].job.handle",
        "streams[2].job.interval",
        "streams[2].job.poll.path",
        "streams[2].pagination.next",
        "streams[2].since_format",
        "streams[2].since_zone",
    ];
    let missing: Vec<_> = expected.iter().filter(|path| !paths.contains(**path)).collect();
    assert!(missing.is_empty(), "{missing:?} of {paths:?}");
    assert!(!format!("{errors:?}").contains("s3cret"));
}
