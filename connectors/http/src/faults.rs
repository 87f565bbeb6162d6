//! Finding every fault of an options table at once, by the schema that is also published.
//!
//! Deserialising alone stops at the first fault and quotes values, which may be secrets.

use huiliu_sdk::ConfigErrors;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Reads `value` as a `T`, or adds all its faults to `errors`.
pub(crate) fn read<T: DeserializeOwned>(
    schema: &Value,
    value: &Value,
    path: &str,
    errors: &mut ConfigErrors,
) -> Option<T> {
    let before = errors.0.len();
    check(schema, value, path, errors);
    if errors.0.len() > before {
        return None;
    }
    match serde_json::from_value(value.clone()) {
        Ok(read) => Some(read),
        Err(_) => {
            errors.push(path, "is not what this connector understands");
            None
        }
    }
}

/// `key` under `path`.
pub(crate) fn under(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn check(schema: &Value, value: &Value, path: &str, errors: &mut ConfigErrors) {
    if let Some(variants) = schema["anyOf"].as_array() {
        // An optional table: anything but null must fit the part that is not null.
        if !value.is_null()
            && let Some(inner) = variants.iter().find(|variant| variant["type"] != "null")
        {
            check(inner, value, path, errors);
        }
        return;
    }
    if let Some(variants) = schema["oneOf"].as_array() {
        return check_choice(variants, value, path, errors);
    }
    if let Some(allowed) = schema["enum"].as_array() {
        let words: Vec<&str> = allowed.iter().filter_map(Value::as_str).collect();
        return check_word(&words, value, path, errors);
    }
    if !has_type(&schema["type"], value) {
        errors.push(path, format!("expected {}, found {}", expected(schema), kind(value)));
        return;
    }
    match value {
        Value::Object(_) => check_table(schema, value, path, errors),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                check(&schema["items"], item, &format!("{path}[{index}]"), errors);
            }
        }
        Value::Number(number) => {
            let number = number.as_f64().unwrap_or(f64::NAN);
            for (bound, over) in [("minimum", false), ("maximum", true)] {
                if let Some(limit) = schema[bound].as_f64()
                    && if over { number > limit } else { number < limit }
                {
                    errors.push(path, format!("the {bound} is {limit}"));
                }
            }
        }
        _ => {}
    }
}

fn check_table(schema: &Value, value: &Value, path: &str, errors: &mut ConfigErrors) {
    let Some(table) = value.as_object() else { return };
    let known = schema["properties"].as_object();
    for (key, item) in table {
        let here = under(path, key);
        if let Some(schema) = known.and_then(|known| known.get(key)) {
            check(schema, item, &here, errors);
        } else if schema["additionalProperties"] == Value::Bool(false) {
            let names = known.into_iter().flat_map(|known| known.keys().map(String::as_str));
            unknown(errors, &here, "key", key, names);
        } else if schema["additionalProperties"].is_object() {
            check(&schema["additionalProperties"], item, &here, errors);
        }
    }
    for required in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !table.contains_key(required) {
            errors.push(under(path, required), "is missing");
        }
    }
}

/// One of several words, or one of several tables told apart by their `type`.
fn check_choice(variants: &[Value], value: &Value, path: &str, errors: &mut ConfigErrors) {
    let tag = |variant: &Value| variant["properties"]["type"]["const"].as_str().map(str::to_owned);
    let tags: Vec<String> = variants.iter().filter_map(tag).collect();
    if tags.is_empty() {
        let words: Vec<&str> = variants
            .iter()
            .flat_map(|variant| {
                let listed = variant["enum"].as_array().into_iter().flatten();
                listed.chain([&variant["const"]]).filter_map(Value::as_str)
            })
            .collect();
        return check_word(&words, value, path, errors);
    }
    if !value.is_object() {
        errors.push(path, format!("expected a table, found {}", kind(value)));
        return;
    }
    let here = under(path, "type");
    let Some(word) = value["type"].as_str() else {
        errors.push_with_hint(here, "is missing", format!("use {}", tags.join(", ")));
        return;
    };
    match variants.iter().find(|variant| tag(variant).as_deref() == Some(word)) {
        Some(variant) => check_table(variant, value, path, errors),
        None => unknown(errors, &here, "type", word, tags.iter().map(String::as_str)),
    }
}

fn check_word(words: &[&str], value: &Value, path: &str, errors: &mut ConfigErrors) {
    match value.as_str() {
        Some(word) if words.contains(&word) => {}
        Some(word) => unknown(errors, path, "value", word, words.iter().copied()),
        None => errors.push(path, format!("expected text, found {}", kind(value))),
    }
}

fn unknown<'a>(
    errors: &mut ConfigErrors,
    path: &str,
    what: &str,
    word: &str,
    known: impl Iterator<Item = &'a str>,
) {
    let known: Vec<&str> = known.collect();
    let near = known
        .iter()
        .map(|name| (strsim::jaro_winkler(name, &word.to_ascii_lowercase()), name))
        .filter(|(score, _)| *score > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    let hint = match near {
        Some((_, name)) => format!("did you mean `{name}`?"),
        None => format!("use {}", known.join(", ")),
    };
    errors.push_with_hint(path, format!("unknown {what} `{word}`"), hint);
}

fn has_type(wanted: &Value, value: &Value) -> bool {
    let fits = |name: &str| match name {
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        _ => true,
    };
    match wanted {
        Value::String(name) => fits(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).any(fits),
        _ => true,
    }
}

fn expected(schema: &Value) -> &'static str {
    let name = match &schema["type"] {
        Value::Array(names) => names.first().and_then(Value::as_str),
        other => other.as_str(),
    };
    match name {
        Some("string") => "text",
        Some("integer") => "a whole number",
        Some("number") => "a number",
        Some("boolean") => "true or false",
        Some("array") => "a list",
        _ => "a table",
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
    }
}
