//! The schemas that editors read, and the page that people read, are those the program checks by.
//! They are of the program with all kinds of systems, so they are compared where it has them.
#![cfg(feature = "odbc")]

use std::collections::BTreeSet;

use serde_json::Value;

use crate::hub::{Hub, root};

#[test]
fn committed_schemas_are_the_programs_own() {
    let refresh = "refresh with: cargo run --features odbc -- schema --write config/schema";
    let printed = Hub::shipped().run(&["schema"]).expect(0).json();
    let printed = printed.as_object().unwrap();
    let mut committed = BTreeSet::new();
    for entry in std::fs::read_dir(root().join("config/schema")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let schema: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(Some(&schema), printed.get(&name), "{name}.json is stale; {refresh}");
        committed.insert(name);
    }
    let expected: BTreeSet<String> = printed.keys().cloned().collect();
    assert_eq!(committed, expected, "{refresh}");
}

/// Also those that all systems have, and those of the hub's own files.
#[test]
fn every_key_of_every_file_has_a_description_an_example_and_a_default() {
    let printed = Hub::shipped().run(&["schema"]).expect(0).json();
    let mut lacks = Vec::new();
    for (name, schema) in printed.as_object().unwrap() {
        let found = huiliu_sdk::schema_lacks(schema);
        lacks.extend(found.into_iter().map(|lack| format!("{name}: {lack}")));
    }
    assert!(lacks.is_empty(), "{lacks:#?}");
}

#[test]
fn the_page_about_connectors_is_the_programs_own() {
    let refresh = "refresh with: cargo run --features odbc -- connectors > docs/connectors.md";
    let printed = Hub::shipped().run(&["connectors"]).expect(0).out;
    let committed = std::fs::read_to_string(root().join("docs/connectors.md")).unwrap();
    assert!(printed.trim() == committed.trim(), "docs/connectors.md is stale; {refresh}");
}
