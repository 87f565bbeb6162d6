//! Checks values against the generated JSON Schemas: all faults at once, with their paths.

use serde_json::{Map, Value};

/// One fault: path, message, hint.
pub(super) type Finding = (String, String, Option<String>);

/// Checks `value` against `schema`, whose `$ref`s point into `root`.
pub(super) fn check(root: &Value, schema: &Value, value: &Value, path: &str) -> Vec<Finding> {
    let schema = resolve(root, schema);
    let mut findings = Vec::new();
    for word in ["oneOf", "anyOf"] {
        if let Some(branches) = schema.get(word).and_then(Value::as_array) {
            findings.extend(check_branches(root, branches, value, path));
        }
    }
    for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
        findings.extend(check(root, part, value, path));
    }
    if let Some(finding) = check_type(schema, value, path) {
        findings.push(finding);
        return findings;
    }
    if let Some(finding) = check_choice(schema, value, path) {
        findings.push(finding);
    }
    if let (Some(object), Some(properties)) =
        (value.as_object(), schema.get("properties").and_then(Value::as_object))
    {
        findings.extend(check_object(root, schema, properties, object, path));
    } else if let (Some(object), Some(values)) =
        (value.as_object(), schema.get("additionalProperties").filter(|s| s.is_object()))
    {
        for (key, value) in object {
            findings.extend(check(root, values, value, &join(path, key)));
        }
    }
    if let (Some(items), Some(schema)) = (value.as_array(), schema.get("items")) {
        for (index, item) in items.iter().enumerate() {
            findings.extend(check(root, schema, item, &format!("{path}[{index}]")));
        }
    }
    findings
}

fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let mut schema = schema;
    // A chain of references is short; the bound only guards against a circle.
    for _ in 0..16 {
        let Some(target) = schema.get("$ref").and_then(Value::as_str) else { return schema };
        let Some(pointer) = target.strip_prefix('#') else { return schema };
        let Some(found) = root.pointer(pointer) else { return schema };
        schema = found;
    }
    schema
}

/// The branch that fits best decides: the one whose constant tag matches, else the one with
/// the fewest faults.
fn check_branches(root: &Value, branches: &[Value], value: &Value, path: &str) -> Vec<Finding> {
    let mut best: Option<Vec<Finding>> = None;
    for branch in branches {
        let resolved = resolve(root, branch);
        let findings = check(root, resolved, value, path);
        if findings.is_empty() {
            return findings;
        }
        if tag_matches(resolved, value) {
            return findings;
        }
        if best.as_ref().is_none_or(|best| findings.len() < best.len()) {
            best = Some(findings);
        }
    }
    let choices: Vec<&str> = branches
        .iter()
        .filter_map(|branch| resolve(root, branch).get("const").and_then(Value::as_str))
        .collect();
    if let (Some(given), false) = (value.as_str(), choices.is_empty()) {
        return vec![unknown_choice(path, given, &choices)];
    }
    best.unwrap_or_default()
}

fn tag_matches(schema: &Value, value: &Value) -> bool {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return false;
    };
    properties
        .iter()
        .any(|(key, property)| property.get("const").is_some_and(|tag| value.get(key) == Some(tag)))
}

fn check_type(schema: &Value, value: &Value, path: &str) -> Option<Finding> {
    let expected: Vec<&str> = match schema.get("type")? {
        Value::String(one) => vec![one.as_str()],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => return None,
    };
    let (found, fits) = match value {
        Value::Null => ("nothing", expected.contains(&"null")),
        Value::Bool(_) => ("true or false", expected.contains(&"boolean")),
        Value::Number(number) => {
            let whole = number.is_i64() || number.is_u64();
            ("a number", expected.contains(&"number") || (whole && expected.contains(&"integer")))
        }
        Value::String(_) => ("text", expected.contains(&"string")),
        Value::Array(_) => ("a list", expected.contains(&"array")),
        Value::Object(_) => ("a table", expected.contains(&"object")),
    };
    if fits {
        if let (Some(minimum), Some(number)) =
            (schema.get("minimum").and_then(Value::as_f64), value.as_f64())
            && number < minimum
        {
            return Some((path.to_owned(), format!("must be at least {minimum}"), None));
        }
        return None;
    }
    let expected = match expected.first() {
        Some(&"string") => "text",
        Some(&"integer") => "a whole number",
        Some(&"number") => "a number",
        Some(&"boolean") => "true or false",
        Some(&"array") => "a list",
        Some(&"object") => "a table",
        _ => "something else",
    };
    Some((path.to_owned(), format!("expected {expected}, found {found}"), None))
}

fn check_choice(schema: &Value, value: &Value, path: &str) -> Option<Finding> {
    if let (Some(choices), Some(given)) =
        (schema.get("enum").and_then(Value::as_array), value.as_str())
    {
        let choices: Vec<&str> = choices.iter().filter_map(Value::as_str).collect();
        return (!choices.contains(&given)).then(|| unknown_choice(path, given, &choices));
    }
    let wanted = schema.get("const")?;
    (wanted != value).then(|| {
        let wanted = wanted.as_str().map_or_else(|| wanted.to_string(), str::to_owned);
        (path.to_owned(), format!("expected `{wanted}`"), None)
    })
}

fn unknown_choice(path: &str, given: &str, choices: &[&str]) -> Finding {
    let hint = closest(given, choices.iter().copied())
        .map(|close| format!("did you mean `{close}`?"))
        .unwrap_or_else(|| format!("use one of: {}", choices.join(", ")));
    (path.to_owned(), format!("`{given}` is not one of the values it can have"), Some(hint))
}

fn check_object(
    root: &Value,
    schema: &Value,
    properties: &Map<String, Value>,
    object: &Map<String, Value>,
    path: &str,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let open = schema.get("additionalProperties").is_some_and(|extra| *extra != Value::Bool(false));
    for (key, value) in object {
        let path = join(path, key);
        match properties.get(key) {
            Some(schema) => findings.extend(check(root, schema, value, &path)),
            None if open => {}
            None => {
                let hint = closest(key, properties.keys().map(String::as_str))
                    .map(|close| format!("did you mean `{close}`?"))
                    .or_else(|| {
                        let known: Vec<&str> = properties.keys().map(String::as_str).collect();
                        Some(format!("known keys here: {}", known.join(", ")))
                    });
                findings.push((path, format!("unknown key `{key}`"), hint));
            }
        }
    }
    for required in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
        if let Some(key) = required.as_str().filter(|key| !object.contains_key(*key)) {
            let about = properties
                .get(key)
                .and_then(|property| property.get("description"))
                .and_then(Value::as_str)
                .map(str::to_owned);
            findings.push((path.to_owned(), format!("the key `{key}` is missing"), about));
        }
    }
    findings
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// The word nearest to `given`, when one is near enough to be meant.
pub fn closest<'a>(given: &str, words: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    words
        .map(|word| (strsim::damerau_levenshtein(given, word), word))
        .filter(|(distance, word)| *distance <= 1 + word.len().max(given.len()) / 4)
        .min()
        .map(|(_, word)| word)
}
