//! Configurations, probes and lists of streams.

use encoding_rs::GB18030;
use huiliu_sdk::{Connector, ErrorKind, RawPush};
use serde_json::json;

use crate::support::{Drops, configure, csv, limited, raw, read};

#[test]
fn all_faults_are_told_at_once_with_their_place() {
    let streams = vec![
        (json!({ "format": "xml", "encoding": "big5", "delimiter": "，" }), json!({})),
        (
            json!({
                "pattern": "../*.csv", "delimiter": "", "quote": "''", "null": 0,
                "fields": { "a": "甲", "b": "甲", "c": "" },
                "control": { "suffix": "", "rows": "a=b" },
            }),
            json!({ "key": ["z"] }),
        ),
        (
            json!({ "pattern": "*", "delimiter": "|", "quote": "|", "control": { "md5": "x" } }),
            json!({
                "read": "flagged", "overlap": "10m", "zone": "Moon/Crater", "deletes": "key_scan",
                "columns": { "a": { "type": "varchar" } },
            }),
        ),
    ];
    let mut raw = raw("/nowhere".into(), json!({}), streams);
    raw.pushes.push(RawPush { name: "p".into(), key: vec![], options: json!({}) });
    let faults = configure(raw).err().unwrap();
    let paths: Vec<&str> = faults.0.iter().map(|fault| fault.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "path",
            "pushes[0]",
            "streams[0].pattern",
            "streams[0].format",
            "streams[0].encoding",
            "streams[0].delimiter",
            "streams[1].pattern",
            "streams[1].delimiter",
            "streams[1].quote",
            "streams[1].null",
            "streams[1].fields.b",
            "streams[1].fields.c",
            "streams[1].key",
            "streams[1].control.suffix",
            "streams[1].control.rows",
            "streams[2].quote",
            "streams[2].control",
            "streams[2].read",
            "streams[2].overlap",
            "streams[2].deletes",
            "streams[2].zone",
            "streams[2].columns.a.type",
        ]
    );
}

#[test]
fn schemas_describe_every_key() {
    let spec = huiliu_connector_files::FilesConnector.spec();
    assert!(spec.system_schema["properties"]["path"]["description"].is_string());
    let properties = spec.stream_schema["properties"].as_object().unwrap();
    assert_eq!(properties.len(), 8);
    for (key, property) in properties {
        assert!(property["description"].is_string(), "{key}");
    }
    assert_eq!(spec.stream_schema["required"], json!(["pattern"]));
}

#[tokio::test]
async fn a_missing_folder_is_not_found() {
    let raw = raw("/nowhere".into(), json!({ "path": "no" }), vec![(csv(), json!({}))]);
    let endpoint = configure(raw).map_err(|faults| faults.0).unwrap();
    let error = endpoint.probe(&limited(10)).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::NotFound, "E-FILE-MISSING"));
    let error = read(&*endpoint, &limited(10), None, None).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_probe_counts_data_files() {
    let drops = Drops::with("a1.csv", "a\n");
    drops.put("a2.csv", "a\n");
    drops.put("a2.ctl", "");
    drops.put("deeper.csv/x.csv", "a\n");
    let endpoint = drops.endpoint(csv(), json!({}));
    let probe = endpoint.probe(&limited(10)).await.unwrap();
    assert_eq!(probe.summary, "folder readable, 2 files match");
}

#[tokio::test]
async fn files_are_listed_by_the_pattern_of_their_names() {
    let drops = Drops::with("cases_20180611.csv", GB18030.encode("编号;姓名\n1;张三\n").0);
    drops.put("cases_20180612.csv", GB18030.encode("编号;姓名\n2;李四\n3;王五\n").0);
    drops.put("cases_20180612.ctl", "rows=2\n");
    drops.put("items.txt", "\u{feff}code\tname\n");
    drops.put("notes.pdf", "x");
    let endpoint = drops.endpoint(csv(), json!({}));
    let streams = endpoint.discover(&limited(10)).await.unwrap();
    assert_eq!(streams.len(), 2);
    assert_eq!(streams[0].name, "cases");
    assert_eq!(
        streams[0].options,
        json!({
            "pattern": "cases_*.csv", "format": "csv", "encoding": "gb18030", "delimiter": ";",
            "control": { "suffix": ".ctl", "rows": "rows", "digest": "sha256" },
        })
    );
    let columns: Vec<&str> = streams[0].columns.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(columns, ["编号", "姓名"]);
    assert_eq!(streams[0].row_estimate, Some(3));
    assert_eq!(streams[1].options["encoding"], json!("utf-8"));
    assert_eq!(streams[1].columns[0].0, "code");
}
