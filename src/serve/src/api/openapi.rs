//! The OpenAPI document, built from the list of operations.

use std::collections::BTreeMap;

use axum::Json;
use huiliu_core::access::Role;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::operation::{Describe, Operation, operations};
use crate::web::Need;

/// The document, OpenAPI 3.1.
pub fn openapi() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for operation in operations() {
        let method = operation.route.method.to_ascii_lowercase();
        let described = describe(operation, &mut generator);
        paths.entry(operation.route.path).or_default().insert(method, described);
    }
    let mut schemas = generator.take_definitions(true);
    schemas.insert("Problem".into(), problem());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Huiliu",
            "version": "1",
            "description": "The data hub of a city's government-service data office. Personal data \
                            is masked; every read of single records is noted in the audit.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer" },
                "session": { "type": "apiKey", "in": "cookie", "name": "huiliu" },
            },
        },
        "security": [{ "token": [] }, { "session": [] }],
    })
}

fn describe(operation: &Operation, generator: &mut SchemaGenerator) -> Value {
    let route = operation.route;
    let mut parameters: Vec<Value> = in_path(route.path);
    for describe in operation.queries.iter().flatten() {
        parameters.extend(in_query(*describe));
    }
    if route.method == "POST" && route.need != Need::Nothing && !route.need.only_reads() {
        parameters.push(json!({
            "name": "Idempotency-Key", "in": "header", "required": false,
            "description": "A word of your own; what is asked under it is done once.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 128 },
        }));
    }
    let answer = match operation.answer {
        Some(describe) => json!({
            "description": "Done.",
            "content": { "application/json": { "schema": describe(generator) } },
        }),
        None => json!({ "description": "Done." }),
    };
    let mut described = json!({
        "operationId": route.name,
        "summary": operation.summary,
        "description": whom(route.need),
        "responses": {
            "2XX": answer,
            "default": {
                "description": "Refused or failed.",
                "content": { "application/problem+json": {
                    "schema": { "$ref": "#/components/schemas/Problem" },
                } },
            },
        },
    });
    if !parameters.is_empty() {
        described["parameters"] = parameters.into();
    }
    if let Some(describe) = operation.body {
        described["requestBody"] = json!({
            "required": true,
            "content": { "application/json": { "schema": describe(generator) } },
        });
    }
    if route.need == Need::Nothing {
        described["security"] = json!([]);
    }
    described
}

/// Whom an operation is for, in words.
fn whom(need: Need) -> String {
    match need {
        Need::Nothing => "For anybody.".into(),
        Need::Login | Need::User => "For whoever is logged in.".into(),
        Need::Permission(permission) => {
            let roles = Role::ALL.into_iter().filter(|role| role.may(permission));
            let roles: Vec<&str> = roles.map(Role::as_str).collect();
            format!("Needs `{permission}`: for the roles {}.", roles.join(", "))
        }
    }
}

fn in_path(path: &str) -> Vec<Value> {
    let parts = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    parts
        .map(|name| {
            json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
        })
        .collect()
}

/// The fields of an object as parameters after `?`.
fn in_query(describe: Describe) -> Vec<Value> {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let schema = describe(&mut settings.into_generator()).to_value();
    let required: Vec<&str> = schema["required"]
        .as_array()
        .map(|names| names.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let Some(properties) = schema["properties"].as_object() else { return Vec::new() };
    properties
        .iter()
        .map(|(name, schema)| {
            let mut schema = schema.clone();
            let description = schema.as_object_mut().and_then(|all| all.remove("description"));
            json!({
                "name": name, "in": "query", "required": required.contains(&name.as_str()),
                "description": description, "schema": schema,
            })
        })
        .collect()
}

fn problem() -> Value {
    json!({
        "type": "object",
        "description": "What went wrong (RFC 9457).",
        "required": ["type", "title", "status", "code", "detail"],
        "properties": {
            "type": { "type": "string", "description": "`urn:huiliu:error:` and the code." },
            "title": { "type": "string", "description": "What it means, in the language asked for." },
            "status": { "type": "integer" },
            "code": { "type": "string", "description": "Stable, such as `E-FORBIDDEN`." },
            "detail": { "type": "string", "description": "What went wrong here, in English." },
            "hint": { "type": "string", "description": "What can be done." },
            "id": {
                "type": "string",
                "description": "The number under which the hub's log tells more.",
            },
        },
    })
}

pub(super) async fn document() -> Json<Value> {
    Json(openapi())
}
