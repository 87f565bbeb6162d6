//! The JSON Schemas of whole files, for the checks here and for editors.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use huiliu_sdk::Spec;

use crate::preset::{PushPresetKeys, StreamPresetKeys, SystemPresetKeys};

use super::alerts::AlertsFile;
use super::hub::HubConfig;
use super::job::JobsFile;
use super::system::{PushKeys, StreamKeys, SystemKeys};

/// The schema of `T`.
pub(crate) fn schema_of<T: JsonSchema>() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.meta_schema = None;
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

/// The schema of `config/hub.toml`.
pub fn hub_schema() -> Value {
    schema_of::<HubConfig>()
}

/// The schema of `config/alerts.toml`.
pub fn alerts_schema() -> Value {
    schema_of::<AlertsFile>()
}

/// The schema of `config/jobs.toml`.
pub fn jobs_schema() -> Value {
    schema_of::<JobsFile>()
}

/// Whether streams of a kind of system are tables, which presets can name.
pub(super) fn reads_tables(spec: &Spec) -> bool {
    spec.stream_schema.pointer("/properties/table").is_some()
}

/// Whether pushes of a kind of system go into tables, which presets can name.
pub(super) fn writes_tables(spec: &Spec) -> bool {
    spec.push_schema.pointer("/properties/to").is_some()
}

/// The schema of a system file of one kind: what every system has, and this kind's own keys. A
/// stream or push with a preset does without the keys that the preset gives.
pub fn system_schema(spec: &Spec) -> Value {
    system_schema_with(spec, given_by_presets)
}

/// The schema of such a file once its presets are put in.
pub(super) fn expanded_schema(spec: &Spec) -> Value {
    system_schema_with(spec, |_, _| {})
}

/// Lets `preset` stand in place of the keys that every preset gives.
fn given_by_presets(schema: &mut Map<String, Value>, given: &[&str]) {
    let Some(Value::Array(all)) = schema.remove("required") else { return };
    let is_given = |key: &Value| key.as_str().is_some_and(|key| given.contains(&key));
    let mut others: Vec<Value> = all.iter().filter(|key| !is_given(key)).cloned().collect();
    others.push("preset".into());
    schema.insert("anyOf".into(), json!([{ "required": others }, { "required": all }]));
}

fn system_schema_with(spec: &Spec, loosen: fn(&mut Map<String, Value>, &[&str])) -> Value {
    let mut definitions = Map::new();
    let mut system = vec![schema_of::<SystemKeys>(), spec.system_schema.clone()];
    let mut stream = vec![schema_of::<StreamKeys>(), spec.stream_schema.clone()];
    let mut push = vec![schema_of::<PushKeys>(), spec.push_schema.clone()];
    if reads_tables(spec) {
        system.push(schema_of::<SystemPresetKeys>());
        stream.push(schema_of::<StreamPresetKeys>());
    }
    if writes_tables(spec) {
        push.push(schema_of::<PushPresetKeys>());
    }
    let mut system = object(&system, &mut definitions);
    let mut stream = object(&stream, &mut definitions);
    let mut push = object(&push, &mut definitions);
    if reads_tables(spec) {
        loosen(&mut stream, &["name", "table"]);
    }
    if writes_tables(spec) {
        loosen(&mut push, &["name", "to"]);
    }
    if let Some(properties) = system.get_mut("properties").and_then(Value::as_object_mut) {
        if spec.capabilities.source {
            properties.insert(
                "streams".into(),
                json!({
                    "type": "array", "description": "What is read.", "default": [], "items": stream,
                }),
            );
        }
        if spec.capabilities.sink {
            properties.insert(
                "pushes".into(),
                json!({
                    "type": "array", "description": "What is written.", "default": [], "items": push,
                }),
            );
        }
        properties.insert(
            "kind".into(),
            json!({"const": spec.kind, "description": format!("Kind of system: {}", spec.title)}),
        );
    }
    system.insert("$defs".into(), Value::Object(definitions));
    system.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
    system.insert("title".into(), format!("Huiliu system of kind {}", spec.kind).into());
    Value::Object(system)
}

/// Joins object schemas into one that knows the keys of all and no others.
fn object(parts: &[Value], definitions: &mut Map<String, Value>) -> Map<String, Value> {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for schema in parts {
        for (key, property) in
            schema.get("properties").and_then(Value::as_object).into_iter().flatten()
        {
            properties.insert(key.clone(), property.clone());
        }
        for key in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
            required.push(key.clone());
        }
        for (name, definition) in
            schema.get("$defs").and_then(Value::as_object).into_iter().flatten()
        {
            definitions.insert(name.clone(), definition.clone());
        }
    }
    let mut joined = Map::new();
    joined.insert("type".into(), "object".into());
    joined.insert("properties".into(), Value::Object(properties));
    joined.insert("required".into(), Value::Array(required));
    joined.insert("additionalProperties".into(), Value::Bool(false));
    joined
}
