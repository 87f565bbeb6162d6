//! Configurations.

use huiliu_sdk::RawPush;
use serde_json::json;

use crate::support::{configure, raw};

#[test]
fn all_faults_are_told_at_once_with_their_place() {
    let streams = vec![
        (json!({ "parallel": 99 }), json!({ "read": "incremental" })),
        (json!({ "table": 7, "select": ["a", "a"] }), json!({ "key": ["b"] })),
        (
            json!({ "table": "t", "flag_done": "0", "flag_batch": 0 }),
            json!({ "read": "flagged", "zone": "Moon/Crater", "deletes": "key_scan" }),
        ),
    ];
    let mut raw = raw(json!({ "url": "mysql://root:secret@db/?ssl-mode=disabled" }), streams);
    raw.pushes.push(RawPush { name: "p".into(), key: vec![], options: json!({}) });
    let faults = configure(raw).err().unwrap();
    let paths: Vec<&str> = faults.0.iter().map(|fault| fault.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "url",
            "url",
            "streams[0].table",
            "streams[0].cursor",
            "streams[1].table",
            "streams[1].select[1]",
            "streams[1].key",
            "streams[2].flag",
            "streams[2].key",
            "streams[2].deletes",
            "streams[2].flag_done",
            "streams[2].flag_batch",
            "streams[2].zone",
            "pushes[0].to",
        ]
    );
    assert!(!format!("{faults:?}").contains("secret"));
}

#[test]
fn what_is_no_database_address_is_refused_without_repeating_it() {
    for url in ["postgres://u:secret@h/d", "secret", "mysql://u:secret@h:notaport/d"] {
        let faults = configure(raw(json!({ "url": url }), vec![])).err().unwrap();
        assert_eq!(faults.0[0].path, "url");
        assert!(!format!("{faults:?}").contains("secret"));
    }
}
