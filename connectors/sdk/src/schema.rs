//! JSON Schemas as connectors publish them, key by key.

use std::collections::BTreeSet;

use serde_json::Value;

/// One key of a schema, or of a table within it.
#[derive(Debug, Clone)]
pub struct SchemaKey<'a> {
    /// Where it stands, such as `control.suffix`; `[]` for each of a list, `*` for any name.
    pub path: String,
    /// The `type` that its table has to have, where there are several kinds of it.
    pub when: Option<&'a str>,
    /// Whether it has to be there.
    pub is_required: bool,
    said: &'a Value,
    branches: Vec<&'a Value>,
}

/// All keys of the schema `root`, those of tables in it behind their own.
pub fn schema_keys(root: &Value) -> Vec<SchemaKey<'_>> {
    let mut keys = Vec::new();
    collect(root, root, "", &mut keys);
    keys
}

/// What the keys of the schema `root` do not say of themselves, as `path: what`. A key has a
/// description, an example of a type it takes unless its own keys or its choices are listed, and a
/// default of such a type unless it has to be there.
pub fn schema_lacks(root: &Value) -> Vec<String> {
    let mut lacks = BTreeSet::new();
    for key in schema_keys(root) {
        let mut lack = |what: &str| {
            lacks.insert(format!("{}: {what}", key.path));
        };
        if key.description().is_empty() {
            lack("no description");
        }
        if key.is_tag() {
            continue;
        }
        let says_more = key.is_table() || key.holds_tables(root) || !key.choices().is_empty();
        if key.examples().is_empty() && !says_more {
            lack("no example");
        }
        if !key.examples().iter().all(|example| key.takes(example)) {
            lack("an example it does not take");
        }
        match key.default() {
            None if !key.is_required => lack("no default"),
            Some(default) if !default.is_null() && !key.takes(default) => {
                lack("a default it does not take");
            }
            _ => {}
        }
    }
    lacks.into_iter().collect()
}

/// All tables within `root`, but not `root` itself: their paths, and whether they refuse keys that
/// they do not describe.
pub fn schema_tables(root: &Value) -> Vec<(String, bool)> {
    let mut tables = Vec::new();
    for key in schema_keys(root) {
        for branch in key.branches {
            for table in branches(root, &branch["items"]).into_iter().chain([branch]) {
                if table["properties"].is_object() {
                    let is_closed = table["additionalProperties"] == Value::Bool(false);
                    tables.push((key.path.clone(), is_closed));
                }
            }
        }
    }
    tables
}

fn collect<'a>(root: &'a Value, schema: &'a Value, path: &str, keys: &mut Vec<SchemaKey<'a>>) {
    for branch in branches(root, schema) {
        let required = required(branch);
        let when = branch["properties"]["type"]["const"].as_str();
        for (name, said) in branch["properties"].as_object().into_iter().flatten() {
            let is_required = required.contains(&name.as_str());
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let when = when.filter(|_| name != "type");
            let branches = branches(root, said);
            keys.push(SchemaKey { path: path.clone(), when, is_required, said, branches });
            collect(root, said, &path, keys);
        }
        for (word, mark) in [("items", "[]"), ("additionalProperties", ".*")] {
            if branch[word].is_object() {
                collect(root, &branch[word], &format!("{path}{mark}"), keys);
            }
        }
    }
}

/// The keys that have to be there. Some only do unless another one is, such as `preset`.
fn required(schema: &Value) -> Vec<&str> {
    let alternatives = schema["anyOf"].as_array().into_iter().flatten();
    alternatives
        .filter(|one| !one["properties"].is_object())
        .chain([schema])
        .flat_map(|one| one["required"].as_array().into_iter().flatten())
        .filter_map(Value::as_str)
        .collect()
}

/// What a schema may be, without references and alternatives.
fn branches<'a>(root: &'a Value, schema: &'a Value) -> Vec<&'a Value> {
    let mut schema = schema;
    while let Some(pointer) = schema["$ref"].as_str().and_then(|target| target.strip_prefix('#')) {
        let Some(found) = root.pointer(pointer) else { break };
        schema = found;
    }
    let mut found = Vec::new();
    for word in ["anyOf", "oneOf"] {
        for branch in schema[word].as_array().into_iter().flatten() {
            found.extend(branches(root, branch));
        }
    }
    if found.is_empty() || schema["properties"].is_object() {
        found.push(schema);
    }
    found
}

impl SchemaKey<'_> {
    /// What it says of itself, in one line.
    pub fn description(&self) -> String {
        let text = self.said["description"].as_str().unwrap_or_default();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Examples of its value.
    pub fn examples(&self) -> &[Value] {
        self.said["examples"].as_array().map(Vec::as_slice).unwrap_or_default()
    }

    /// Its value where it is left out, which may be null for none.
    pub fn default(&self) -> Option<&Value> {
        self.said.get("default")
    }

    /// Whether it only tells which of several kinds a table is.
    pub fn is_tag(&self) -> bool {
        self.said["const"].is_string()
    }

    /// Whether it is a table whose keys are listed.
    pub fn is_table(&self) -> bool {
        self.branches.iter().any(|branch| branch["properties"].is_object())
    }

    /// Whether it is a list, or a table of any names, whose values are tables whose keys are listed.
    fn holds_tables(&self, root: &Value) -> bool {
        self.branches.iter().any(|branch| {
            ["items", "additionalProperties"].iter().any(|word| {
                let values = &branch[word];
                values.is_object()
                    && branches(root, values).iter().any(|value| value["properties"].is_object())
            })
        })
    }

    /// The words it can be, where it is one of several.
    pub fn choices(&self) -> Vec<&str> {
        let mut words: Vec<&str> = Vec::new();
        for branch in &self.branches {
            words.extend(branch["const"].as_str());
            let listed = branch["enum"].as_array().into_iter().flatten();
            words.extend(listed.filter_map(Value::as_str));
        }
        words
    }

    /// The JSON types it can have, without null.
    pub fn types(&self) -> Vec<&str> {
        let mut types: Vec<&str> = Vec::new();
        for branch in &self.branches {
            types.extend(branch["type"].as_str());
            let listed = branch["type"].as_array().into_iter().flatten();
            types.extend(listed.filter_map(Value::as_str));
        }
        types.retain(|name| *name != "null");
        types.dedup();
        types
    }

    /// Whether `value` is of a type that it takes, and one of its choices.
    pub fn takes(&self, value: &Value) -> bool {
        self.branches.iter().any(|branch| {
            if let Some(only) = branch.get("const") {
                return only == value;
            }
            if let Some(choices) = branch["enum"].as_array() {
                return choices.contains(value);
            }
            let fits = |name: &str| match name {
                "integer" => value.is_i64() || value.is_u64(),
                "number" => value.is_number(),
                "string" => value.is_string(),
                "boolean" => value.is_boolean(),
                "array" => value.is_array(),
                "object" => value.is_object(),
                "null" => value.is_null(),
                _ => false,
            };
            match &branch["type"] {
                Value::String(name) => fits(name),
                Value::Array(names) => names.iter().filter_map(Value::as_str).any(fits),
                _ => true,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_of_tables_lists_and_choices_are_found() {
        let root = json!({
            "type": "object",
            "required": ["path"],
            "properties": {
                "path": { "type": "string", "description": "The\nfolder." },
                "control": { "anyOf": [{ "$ref": "#/$defs/Control" }, { "type": "null" }] },
                "auth": { "oneOf": [{
                    "type": "object",
                    "properties": { "type": { "const": "bearer" }, "token": { "type": "string" } },
                    "required": ["type", "token"],
                }] },
            },
            "$defs": { "Control": {
                "type": "object",
                "properties": { "layout": { "enum": ["lines", "json"], "default": "lines" } },
                "additionalProperties": false,
            } },
        });
        let keys = schema_keys(&root);
        let mut paths: Vec<&str> = keys.iter().map(|key| key.path.as_str()).collect();
        paths.sort_unstable();
        let expected = ["auth", "auth.token", "auth.type", "control", "control.layout", "path"];
        assert_eq!(paths, expected);
        let key = |path: &str| keys.iter().find(|key| key.path == path).unwrap();
        assert!(key("path").is_required && key("path").description() == "The folder.");
        assert_eq!(key("control.layout").choices(), ["lines", "json"]);
        assert!(key("control").is_table() && key("control").takes(&Value::Null));
        assert_eq!((key("auth.token").when, key("auth.type").is_tag()), (Some("bearer"), true));
        assert_eq!(schema_tables(&root).len(), 2);
        assert!(schema_tables(&root).contains(&("control".to_owned(), true)));
        assert!(schema_tables(&root).contains(&("auth".to_owned(), false)));
    }

    #[test]
    fn what_a_schema_does_not_say_of_its_keys_is_listed() {
        let said = json!({ "type": "string", "description": "x", "examples": ["a"] });
        let mut bad = said.clone();
        bad["examples"] = json!([1]);
        bad["default"] = json!(2);
        let root = json!({
            "type": "object",
            "anyOf": [{ "required": ["name", "preset"] }, { "required": ["name", "table"] }],
            "properties": {
                "name": said,
                "table": said,
                "cursor": said,
                "bad": bad,
                "bare": { "type": "string", "default": null },
                "kind": { "const": "x" },
                "jobs": {
                    "type": "array", "description": "x", "default": [],
                    "items": { "type": "object", "properties": { "run": said }, "required": ["run"] },
                },
            },
        });
        let expected = [
            "bad: a default it does not take",
            "bad: an example it does not take",
            "bare: no description",
            "bare: no example",
            "cursor: no default",
            "kind: no description",
        ];
        assert_eq!(schema_lacks(&root), expected);
    }
}
