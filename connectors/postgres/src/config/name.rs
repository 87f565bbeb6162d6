//! Names of tables as operators write them.

use std::fmt;

use huiliu_sdk::ConfigErrors;
use huiliu_sqlkit::check_name;

/// A table in its schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableName {
    pub(crate) schema: String,
    pub(crate) name: String,
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

/// Reads `table` or `schema.table`; a part that holds a dot is written in double quotes.
pub(super) fn table(
    path: &str,
    text: &str,
    default_schema: &str,
    faults: &mut ConfigErrors,
) -> Option<TableName> {
    let parts = split(text);
    let (schema, name) = match parts.as_deref() {
        Some([name]) => (default_schema.to_owned(), name.clone()),
        Some([schema, name]) => (schema.clone(), name.clone()),
        _ => {
            faults.push_with_hint(
                path,
                format!("`{text}` names no table"),
                "write `table` or `schema.table`; put a name that holds a dot in double quotes",
            );
            return None;
        }
    };
    (check_name(path, &schema, faults) & check_name(path, &name, faults))
        .then_some(TableName { schema, name })
}

fn split(text: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        let part;
        (part, rest) = match rest.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let end = rest.find('.').unwrap_or(rest.len());
                (rest[..end].to_owned(), &rest[end..])
            }
        };
        parts.push(part);
        if rest.is_empty() {
            return Some(parts);
        }
        rest = rest.strip_prefix('.')?;
    }
}

/// The text up to the closing quote, in which two quotes are one, and what follows.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut rest = text;
    loop {
        let end = rest.find('"')?;
        name.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(after) => {
                name.push('"');
                rest = after;
            }
            None => return Some((name, rest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_named_with_or_without_a_schema() {
        let read = |text: &str| {
            let mut faults = ConfigErrors::default();
            table("t", text, "public", &mut faults).map(|name| (name.schema, name.name))
        };
        let pair = |schema: &str, name: &str| Some((schema.to_owned(), name.to_owned()));
        assert_eq!(read("cases"), pair("public", "cases"));
        assert_eq!(read("front.cases"), pair("front", "cases"));
        assert_eq!(read("\"a.b\".\"c\"\"d\""), pair("a.b", "c\"d"));
        assert_eq!(read("办件 \"🏛\"; drop"), pair("public", "办件 \"🏛\"; drop"));
        for wrong in ["", ".", "a.", ".a", "a.b.c", "\"a", "\"a\"b"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
