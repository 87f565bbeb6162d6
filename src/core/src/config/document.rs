//! A TOML file whose values remember where they stand.

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde_json::Value;
use toml_edit::{Document as Parsed, Item, TableLike};

/// One fault in a file, ready to print.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Fault {
    /// The file.
    pub file: PathBuf,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// The line itself and the width to underline, when the fault has a place. Lines that may
    /// hold a secret are left out.
    #[serde(skip)]
    pub excerpt: Option<(String, usize)>,
}

/// Faults of any number of files.
#[derive(Debug, Clone, Default)]
pub struct Faults(pub Vec<Fault>);

impl Faults {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All faults as text for a terminal.
    pub fn render(&self) -> String {
        let mut out = String::new();
        for fault in &self.0 {
            out.push_str(&format!(
                "error: {}:{}:{}: {}\n",
                fault.file.display(),
                fault.line,
                fault.column,
                fault.message
            ));
            if let Some((line, width)) = &fault.excerpt {
                let number = fault.line.to_string();
                let pad = " ".repeat(number.len());
                let indent = " ".repeat(fault.column.saturating_sub(1));
                let carets = "^".repeat((*width).max(1));
                out.push_str(&format!("  {number} | {line}\n  {pad} | {indent}{carets}\n"));
            }
            if let Some(hint) = &fault.hint {
                out.push_str(&format!("  hint: {hint}\n"));
            }
        }
        out
    }
}

/// A parsed TOML file.
pub struct Document {
    file: PathBuf,
    text: String,
    parsed: Parsed<String>,
}

impl Document {
    /// Parses `text`, which came from `file`.
    pub fn parse(file: &Path, text: &str) -> Result<Self, Faults> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        match Parsed::parse(text.to_owned()) {
            Ok(parsed) => Ok(Self { file: file.to_owned(), text: text.to_owned(), parsed }),
            Err(error) => {
                let span = error.span().unwrap_or(0..0);
                let message = error.message().lines().collect::<Vec<_>>().join("; ");
                let hint =
                    "text stands in double quotes, a list in square brackets, one key on a line";
                Err(Faults(vec![fault_at(file, text, Some(span), message, Some(hint.to_owned()))]))
            }
        }
    }

    /// The values as JSON; dates and times become text.
    pub fn to_json(&self) -> Value {
        table_to_json(self.parsed.as_table())
    }

    /// The file's content as `T`, after checking it against `schema`.
    pub fn read<T: serde::de::DeserializeOwned>(&self, schema: &Value) -> Result<T, Faults> {
        let value = self.to_json();
        let mut faults = Faults::default();
        for (path, message, hint) in super::shape::check(schema, schema, &value, "") {
            faults.0.push(self.fault(&path, message, hint));
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        serde_json::from_value(value)
            .map_err(|error| Faults(vec![self.fault("", error.to_string(), None)]))
    }

    /// A fault at `path`, such as `streams[0].table`; where the path ends early, at its last
    /// part that exists.
    pub fn fault(&self, path: &str, message: String, hint: Option<String>) -> Fault {
        fault_at(&self.file, &self.text, self.span(path), message, hint)
    }

    fn span(&self, path: &str) -> Option<Range<usize>> {
        let mut item: &Item = self.parsed.as_item();
        let mut span = None;
        for part in split_path(path) {
            match part {
                Part::Key(key) => {
                    let table: &dyn TableLike = item.as_table_like()?;
                    let Some((found, value)) = table.get_key_value(&key) else { return span };
                    span = found.span().or_else(|| value.span()).or(span);
                    item = value;
                }
                Part::Index(index) => {
                    if let Some(tables) = item.as_array_of_tables() {
                        let table = tables.get(index)?;
                        span = table.span().or(span);
                        // Descend by hand: a table inside an array is no `Item`.
                        return self.span_in_table(table, path, index, span);
                    }
                    let value = item.as_array()?.get(index)?;
                    return value.span().or(span);
                }
            }
        }
        span
    }

    fn span_in_table(
        &self,
        table: &toml_edit::Table,
        path: &str,
        index: usize,
        fallback: Option<Range<usize>>,
    ) -> Option<Range<usize>> {
        let marker = format!("[{index}].");
        let Some((_, rest)) = path.split_once(&marker) else { return fallback };
        let mut span = fallback;
        let mut current: &dyn TableLike = table;
        for part in split_path(rest) {
            let Part::Key(key) = part else { return span };
            let Some((found, value)) = current.get_key_value(&key) else { return span };
            span = found.span().or_else(|| value.span()).or(span);
            let Some(next) = value.as_table_like() else { return span };
            current = next;
        }
        span
    }
}

enum Part {
    Key(String),
    Index(usize),
}

fn split_path(path: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    for piece in path.split('.').filter(|piece| !piece.is_empty()) {
        let (key, rest) = piece.split_once('[').map_or((piece, None), |(k, r)| (k, Some(r)));
        if !key.is_empty() {
            parts.push(Part::Key(key.to_owned()));
        }
        for index in rest.into_iter().flat_map(|rest| rest.split('[')) {
            if let Ok(index) = index.trim_end_matches(']').parse() {
                parts.push(Part::Index(index));
            }
        }
    }
    parts
}

fn fault_at(
    file: &Path,
    text: &str,
    span: Option<Range<usize>>,
    message: String,
    hint: Option<String>,
) -> Fault {
    let Some(span) = span else {
        return Fault { file: file.to_owned(), line: 1, column: 1, message, hint, excerpt: None };
    };
    let start = floor_boundary(text, span.start);
    let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
    let line = text[..start].matches('\n').count() + 1;
    let column = text[line_start..start].chars().count() + 1;
    let end = floor_boundary(text, span.end.clamp(start, line_end));
    let width = text[start..end].chars().count();
    let whole = text[line_start..line_end].trim_end().to_owned();
    let excerpt = (!may_hold_secret(&whole)).then_some((whole, width));
    Fault { file: file.to_owned(), line, column, message, hint, excerpt }
}

fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// A line with a secret written out must not be repeated in a message.
fn may_hold_secret(line: &str) -> bool {
    let lower = line.to_ascii_lowercase();
    ["password", "secret", "token", "apikey", "api_key", "app_key", "value", "://"]
        .iter()
        .any(|word| lower.contains(word))
        && !line.contains("${")
}

fn table_to_json(table: &toml_edit::Table) -> Value {
    table.iter().map(|(key, item)| (key.to_owned(), item_to_json(item))).collect()
}

fn item_to_json(item: &Item) -> Value {
    match item {
        Item::None => Value::Null,
        Item::Value(value) => value_to_json(value),
        Item::Table(table) => table_to_json(table),
        Item::ArrayOfTables(tables) => tables.iter().map(table_to_json).collect(),
    }
}

fn value_to_json(value: &toml_edit::Value) -> Value {
    match value {
        toml_edit::Value::String(text) => Value::String(text.value().clone()),
        toml_edit::Value::Integer(number) => Value::from(*number.value()),
        toml_edit::Value::Float(number) => {
            serde_json::Number::from_f64(*number.value()).map_or(Value::Null, Value::Number)
        }
        toml_edit::Value::Boolean(flag) => Value::Bool(*flag.value()),
        toml_edit::Value::Datetime(time) => Value::String(time.value().to_string()),
        toml_edit::Value::Array(items) => items.iter().map(value_to_json).collect(),
        toml_edit::Value::InlineTable(table) => {
            table.iter().map(|(key, value)| (key.to_owned(), value_to_json(value))).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_point_at_keys_inside_arrays_of_tables() {
        let text = "version = 1\n[[streams]]\nname = \"a\"\n[[streams]]\nname = \"b\"\ntabel = 1\n";
        let document = Document::parse(Path::new("x.toml"), text).unwrap();
        let fault = document.fault("streams[1].tabel", "unknown key `tabel`".into(), None);
        assert_eq!((fault.line, fault.column), (6, 1));
        assert!(Faults(vec![fault]).render().contains("6 | tabel = 1\n    | ^^^^^"));
    }

    #[test]
    fn syntax_errors_have_a_place() {
        let faults = Document::parse(Path::new("x.toml"), "a = 1\nb = = 2\n").err().unwrap();
        assert_eq!(faults.0[0].line, 2);
    }
}
