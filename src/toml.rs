//! Values and comments as TOML text.

use serde_json::Value;

/// Longest line of comments.
const WIDTH: usize = 110;

/// A text in quotes.
pub(crate) fn quote(text: &str) -> String {
    toml_value(&Value::String(text.to_owned()))
}

/// Adds a comment, over as many lines as it takes.
pub(crate) fn comment(lines: &mut Vec<String>, text: &str) {
    let mut line = "#".to_owned();
    for word in text.split(' ') {
        if line.len() + word.len() > WIDTH && line.len() > 1 {
            lines.push(std::mem::replace(&mut line, "#  ".to_owned()));
        }
        line.push(' ');
        // A name may hold the end of a line, which would end the comment.
        line.extend(word.chars().map(|c| if c.is_control() { ' ' } else { c }));
    }
    lines.push(line);
}

/// A key as TOML, in quotes where it needs them.
pub(crate) fn toml_key(key: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !key.is_empty() && key.chars().all(is_bare) { key.to_owned() } else { quote(key) }
}

/// A JSON value as TOML on one line.
pub(crate) fn toml_value(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(toml_value).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(entries) => {
            let entries: Vec<String> = entries
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| format!("{} = {}", toml_key(key), toml_value(value)))
                .collect();
            format!("{{ {} }}", entries.join(", "))
        }
        // JSON leaves this one character as it is, and TOML does not take it.
        Value::String(_) => value.to_string().replace('\u{7f}', "\\u007f"),
        plain => plain.to_string(),
    }
}
