//! What a connector says of its keys, and how it checks them.

use std::collections::BTreeSet;

use huiliu_sdk::{ColumnSpec, RawPush, ReadMode, Spec, schema_lacks, schema_tables};
use serde_json::{Value, json};

use crate::{System, hazard};

fn schemas(spec: &Spec) -> [(&'static str, &Value); 3] {
    [("system", &spec.system_schema), ("stream", &spec.stream_schema), ("push", &spec.push_schema)]
}

/// Every key has a description, an example of a type it takes unless its choices are listed, and a
/// default of such a type unless it is required.
pub async fn every_key_has_a_description_an_example_and_a_default<S: System>() {
    let system = S::fresh().await;
    let spec = system.connector().spec();
    let mut lacks = Vec::new();
    for (name, schema) in schemas(&spec) {
        assert_eq!(schema["type"], "object", "the schema of a {name} is that of a table");
        lacks.extend(schema_lacks(schema).into_iter().map(|lack| format!("{name} {lack}")));
    }
    assert!(lacks.is_empty(), "{lacks:#?}");
    system.end().await;
}

/// The hub closes the tables of system, streams and pushes; those within them close themselves.
pub async fn keys_that_are_not_described_are_refused<S: System>() {
    let system = S::fresh().await;
    let spec = system.connector().spec();
    for (name, schema) in schemas(&spec) {
        for (path, is_closed) in schema_tables(schema) {
            assert!(is_closed, "{name} {path} takes keys that it does not describe");
        }
    }
    system.end().await;
}

/// Faults of the system's, of a stream's and of a push's own keys and of the common settings are
/// all told by one call, each at its place, and none repeats a value.
pub async fn all_faults_of_a_configuration_are_told_at_once<S: System>() {
    let system = S::fresh().await;
    let connector = system.connector();
    let spec = connector.spec();
    let mut raw = system.config();
    let mut expected = BTreeSet::new();
    leave_out(&mut raw.options, &spec.system_schema, "", &mut expected);
    if spec.capabilities.source {
        let mut stream = system.stream(&hazard::cases(0, 1), ReadMode::Full);
        leave_out(&mut stream.options, &spec.stream_schema, "streams[0].", &mut expected);
        raw.streams.push(stream.clone());
        let mut timed = system.stream(&hazard::cases(0, 1), ReadMode::Full);
        timed.settings.name = "timed".to_owned();
        timed.settings.zone = Some("Moon/Crater".to_owned());
        let column = ColumnSpec { data_type: Some("varchar".to_owned()), ..Default::default() };
        timed.settings.columns.insert("id".to_owned(), column);
        timed.settings.read = ReadMode::Changes;
        raw.streams.push(timed);
        for place in ["zone", "columns.id.type", "read"] {
            expected.insert(format!("streams[1].{place}"));
        }
        let mut both = stream;
        both.settings.name = "both".to_owned();
        both.settings.zone = Some("Moon/Crater".to_owned());
        raw.streams.push(both);
        expected.insert("streams[2].zone".to_owned());
    }
    if spec.capabilities.sink || spec.capabilities.loader {
        let mut push = system.push(&hazard::cases(0, 1), !spec.capabilities.sink);
        leave_out(&mut push.options, &spec.push_schema, "pushes[0].", &mut expected);
        raw.pushes.push(push);
    } else {
        let options = json!({});
        raw.pushes.push(RawPush { name: "p".to_owned(), key: Vec::new(), options });
        expected.insert("pushes[0]".to_owned());
    }
    let Err(faults) = connector.configure(raw) else { panic!("such a configuration is taken") };
    let told: BTreeSet<String> = faults.0.iter().map(|fault| fault.path.clone()).collect();
    let untold: Vec<&String> = expected.difference(&told).collect();
    assert!(untold.is_empty(), "not told: {untold:?}; told: {told:?}");
    for fault in &faults.0 {
        assert!(!fault.message.is_empty(), "{fault:?}");
        assert!(!format!("{fault:?}").contains(crate::CANARY), "a fault holds the secret");
    }
    system.end().await;
}

/// Takes out every key that has to be there, and notes where that is to be told.
fn leave_out(options: &mut Value, schema: &Value, at: &str, expected: &mut BTreeSet<String>) {
    for key in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        options.as_object_mut().expect("a table of keys").remove(key);
        expected.insert(format!("{at}{key}"));
    }
}
