//! Configurations, probes and lists of streams.

use huiliu_sdk::{Cx, ErrorKind, RawPush};
use serde_json::json;

use crate::support::{Drops, configure, csv, limited, raw, read, stream};

#[test]
fn all_faults_are_told_at_once_with_their_place() {
    let streams = vec![
        (json!({ "format": "xls2", "encoding": "big5", "delimiter": "，" }), json!({})),
        (
            json!({
                "pattern": "../*.csv", "delimiter": "", "quote": "''", "null": 0, "stable": "soon",
                "header_row": 0, "header_rows": 9, "skip": [""], "receipt": { "suffix": "/x" },
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
    raw.streams.extend([stream(
        json!({ "pattern": "*", "format": "xml", "sheet": "#0", "quote": "'" }),
        json!({}),
    )]);
    let push = json!({ "file": "../{hour}.xlsx", "format": "xls", "null": "", "sheet": "'a" });
    raw.pushes.push(RawPush { name: "p".into(), key: vec![], options: push });
    let faults = configure(raw).err().unwrap();
    let paths: Vec<&str> = faults.0.iter().map(|fault| fault.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "path",
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
            "streams[1].header_row",
            "streams[1].header_rows",
            "streams[1].skip",
            "streams[1].control.suffix",
            "streams[1].control.rows",
            "streams[1].receipt.suffix",
            "streams[1].stable",
            "streams[2].quote",
            "streams[2].control",
            "streams[2].read",
            "streams[2].overlap",
            "streams[2].deletes",
            "streams[2].zone",
            "streams[2].columns.a.type",
            "streams[3].sheet",
            "streams[3].sheet",
            "streams[3].quote",
            "streams[3].record",
            "pushes[0].file",
            "pushes[0].sheet",
            "pushes[0].null",
        ]
    );
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
async fn the_authority_of_a_store_is_a_file_beside_the_configuration_and_needs_https() {
    let folder = tempfile::tempdir().unwrap();
    let store = |endpoint: &str| {
        json!({ "path": "in", "s3": {
            "endpoint": endpoint, "bucket": "city", "access_key": "huiliu", "secret_key": "s3cret",
            "ca": "city.pem",
        } })
    };
    let streams = || vec![(json!({ "pattern": "*.csv" }), json!({}))];
    let plain = raw(folder.path().into(), store("http://localhost:9"), streams());
    let faults = configure(plain).err().unwrap();
    let paths: Vec<&str> = faults.0.iter().map(|fault| fault.path.as_str()).collect();
    assert_eq!(paths, ["s3.ca"]);
    let over_tls = raw(folder.path().into(), store("https://localhost:9"), streams());
    let endpoint = configure(over_tls).unwrap_or_else(|faults| panic!("{faults:?}"));
    let error = endpoint.probe(&Cx::new()).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Config, "E-TLS"), "{error:?}");
    assert!(error.to_string().contains(&folder.path().join("city.pem").display().to_string()));
}
