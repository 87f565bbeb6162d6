//! The SQL that is sent, in the database's dialect.

use crate::config::{Settings, Stream};
use crate::layout::CursorKind;

/// A statement, or a part of one, with the texts of its parameters in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sql {
    pub(crate) text: String,
    pub(crate) values: Vec<String>,
}

impl Sql {
    /// Without parameters.
    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), values: Vec::new() }
    }

    /// All of `parts` in brackets, with `word` between them.
    pub(crate) fn joined(parts: impl IntoIterator<Item = Self>, word: &str) -> Self {
        let (mut texts, mut values) = (Vec::new(), Vec::new());
        for part in parts {
            texts.push(part.text);
            values.extend(part.values);
        }
        Self { text: format!("({})", texts.join(word)), values }
    }
}

/// A value as it stands in a statement; nothing for what is no value of its kind. Times and numbers
/// stand in the statement itself, since drivers disagree on what a text parameter is compared as.
pub(crate) fn bound(settings: &Settings, kind: CursorKind, text: &str) -> Option<Sql> {
    let plain = |allowed: &str| {
        text.chars().all(|c| c.is_ascii_digit() || allowed.contains(c))
            && text.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '.')
    };
    match kind {
        CursorKind::Text => Some(Sql { text: "?".to_owned(), values: vec![text.to_owned()] }),
        CursorKind::Number if plain("+-.eE") && text.parse::<f64>().is_ok() => {
            Some(Sql::plain(text))
        }
        CursorKind::Time if plain("-: .T") => {
            Some(Sql::plain(settings.timestamp.replace("{}", text)))
        }
        CursorKind::Number | CursorKind::Time => None,
    }
}

/// A name between the dialect's marks.
pub(crate) fn quote(settings: &Settings, name: &str) -> String {
    let (open, close) = settings.quote;
    let mut out = String::with_capacity(name.len() + 2);
    out.push(open);
    for c in name.chars() {
        out.push(c);
        if c == close {
            out.push(c);
        }
    }
    out.push(close);
    out
}

/// A table, with or without its schema.
pub(crate) fn table(settings: &Settings, name: &str) -> String {
    let parts: Vec<String> = name.split('.').map(|part| quote(settings, part)).collect();
    parts.join(".")
}

/// The rows of a stream for which `condition` holds, in the order of the cursor if there is one.
pub(crate) fn select(
    settings: &Settings,
    stream: &Stream,
    condition: Option<&str>,
    is_ordered: bool,
    row_limit: Option<u64>,
) -> String {
    let columns = match &stream.select {
        Some(names) => {
            names.iter().map(|name| quote(settings, name)).collect::<Vec<String>>().join(", ")
        }
        None => "*".to_owned(),
    };
    let limit = row_limit.and_then(|rows| {
        settings.limit.as_ref().map(|template| template.replace("{}", &rows.to_string()))
    });
    let (before, behind) = match limit {
        Some(limit) if limit.to_lowercase().starts_with("top") => (format!("{limit} "), None),
        Some(limit) => (String::new(), Some(limit)),
        None => (String::new(), None),
    };
    let mut sql = format!("select {before}{columns} from {}", table(settings, &stream.table));
    if let Some(condition) = condition {
        sql += &format!(" where {condition}");
    }
    if is_ordered && let Some(cursor) = &stream.cursor {
        sql += &format!(" order by {}", quote(settings, cursor));
    }
    if let Some(behind) = behind {
        sql += &format!(" {behind}");
    }
    sql
}

/// The greatest cursor of a table.
pub(crate) fn greatest(settings: &Settings, stream: &Stream, cursor: &str) -> String {
    let table = table(settings, &stream.table);
    format!("select max({}) from {table}", quote(settings, cursor))
}

/// Inserts one row.
pub(crate) fn insert(settings: &Settings, to: &str, columns: &[String]) -> String {
    let names: Vec<String> = columns.iter().map(|name| quote(settings, name)).collect();
    let marks = vec!["?"; columns.len()].join(", ");
    format!("insert into {} ({}) values ({marks})", table(settings, to), names.join(", "))
}

/// Changes the row of a key. `set` are the columns that are set, in the order of the parameters.
pub(crate) fn update(settings: &Settings, to: &str, set: &[&String], key: &[String]) -> String {
    let pair = |name: &String| format!("{} = ?", quote(settings, name));
    let set: Vec<String> = set.iter().map(|name| pair(name)).collect();
    let key: Vec<String> = key.iter().map(pair).collect();
    format!("update {} set {} where {}", table(settings, to), set.join(", "), key.join(" and "))
}
