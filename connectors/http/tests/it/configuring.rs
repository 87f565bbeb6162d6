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
fn every_key_of_the_schemas_is_described() {
    fn walk(schema: &Value, path: &str) {
        for (key, value) in schema["properties"].as_object().into_iter().flatten() {
            let tag = value.get("const").is_some();
            assert!(tag || value["description"].is_string(), "{path}.{key} has no description");
            walk(value, &format!("{path}.{key}"));
        }
        for list in ["oneOf", "anyOf"] {
            for variant in schema[list].as_array().into_iter().flatten() {
                walk(variant, path);
            }
        }
    }
    let spec = HttpConnector.spec();
    for schema in [spec.system_schema, spec.stream_schema, spec.push_schema] {
        assert_eq!(schema["type"], "object");
        assert!(!schema.to_string().contains("$ref"));
        walk(&schema, "");
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
