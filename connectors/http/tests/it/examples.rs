//! The examples of the documentation are configurations that are accepted.

use huiliu_sdk::{RawPush, RawStream, StreamSettings};
use serde_json::{Map, Value};

use crate::{config, configure};

const DOCUMENT: &str = include_str!("../../../../docs/connectors-http.md");

/// Splits a table of a file into the common settings and the connector's own keys.
fn own(table: &Value, common: &[&str]) -> Value {
    let mut own: Map<String, Value> = table.as_object().unwrap().clone();
    own.retain(|key, _| !common.contains(&key.as_str()));
    Value::Object(own)
}

fn stream(table: &Value) -> RawStream {
    let settings: StreamSettings = serde_json::from_value(table.clone()).unwrap();
    let known = serde_json::to_value(&settings).unwrap();
    let common: Vec<&str> = known.as_object().unwrap().keys().map(String::as_str).collect();
    RawStream { settings, options: own(table, &common) }
}

#[test]
fn every_example_of_the_documentation_is_accepted() {
    let mut examples = 0;
    for block in DOCUMENT.split("```toml\n").skip(1) {
        let text = block.split("```").next().unwrap();
        let sm2 = "3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8";
        let mut file = text.replace("${secret:sm2_key}", sm2);
        while let Some((before, rest)) = file.split_once("${secret:") {
            file = format!("{before}0123456789abcdef{}", rest.split_once('}').unwrap().1);
        }
        let file: Value = toml_edit::de::from_str(&file).unwrap_or_else(|e| panic!("{e}: {text}"));
        let list = |key: &str| file[key].as_array().cloned().unwrap_or_default();
        let pushes = list("pushes")
            .iter()
            .map(|push| RawPush {
                name: push["name"].as_str().unwrap().into(),
                key: vec![],
                options: own(push, &["name", "from", "key"]),
            })
            .collect();
        let streams = list("streams").iter().map(stream).collect();
        let configured = configure(config(own(&file, &["streams", "pushes"]), streams, pushes));
        assert!(configured.is_ok(), "{:?}: {text}", configured.err());
        examples += 1;
    }
    assert!(examples >= 6, "only {examples} examples were found");
}
