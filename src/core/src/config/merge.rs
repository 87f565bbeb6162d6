//! The JSON Schemas of whole files, for the checks here and for editors.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use huiliu_sdk::Spec;

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

/// The schema of `config/jobs.toml`.
pub fn jobs_schema() -> Value {
    schema_of::<JobsFile>()
}

/// The schema of a system file of one kind: what every system has, and this kind's own keys.
pub fn system_schema(spec: &Spec) -> Value {
    let mut definitions = Map::new();
    let mut system = object(schema_of::<SystemKeys>(), &spec.system_schema, &mut definitions);
    let stream = object(schema_of::<StreamKeys>(), &spec.stream_schema, &mut definitions);
    let push = object(schema_of::<PushKeys>(), &spec.push_schema, &mut definitions);
    if let Some(properties) = system.get_mut("properties").and_then(Value::as_object_mut) {
        if spec.capabilities.source {
            properties.insert(
                "streams".into(),
                json!({"type": "array", "description": "What is read.", "items": stream}),
            );
        }
        if spec.capabilities.sink {
            properties.insert(
                "pushes".into(),
                json!({"type": "array", "description": "What is written.", "items": push}),
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

/// Joins two object schemas into one that knows the keys of both and no others.
fn object(common: Value, own: &Value, definitions: &mut Map<String, Value>) -> Map<String, Value> {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for schema in [&common, own] {
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
