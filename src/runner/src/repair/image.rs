//! Records as a target has them, or would have them.

use std::collections::BTreeMap;

use huiliu_engine::{Session, record_text, short_hash};
use huiliu_sdk::{Error, ErrorKind, Result};
use serde_json::Value;

/// Keys asked for at once.
const KEYS: usize = 1000;

/// A record by column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Image(pub(crate) BTreeMap<String, Option<String>>);

impl Image {
    /// The hash of its content.
    pub(crate) fn hash(&self) -> String {
        let parts: Vec<String> = self
            .0
            .iter()
            .map(|(name, value)| match value {
                Some(value) => format!("{name}={value}"),
                None => name.clone(),
            })
            .collect();
        short_hash(&parts.iter().map(String::as_str).collect::<Vec<&str>>())
    }

    /// As it is queued.
    pub(crate) fn record(&self) -> Vec<(String, Option<String>)> {
        self.0.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// Out of a queued record.
    pub(crate) fn of_json(bytes: &[u8]) -> Result<Self> {
        let body: BTreeMap<String, Value> = serde_json::from_slice(bytes)
            .map_err(|e| Error::internal("a kept record is not readable").cause(e))?;
        let text = |value: Value| match value {
            Value::Null => None,
            Value::String(text) => Some(text),
            other => Some(other.to_string()),
        };
        Ok(Self(body.into_iter().map(|(name, value)| (name, text(value))).collect()))
    }

    /// As it is kept.
    pub(crate) fn to_json(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(&self.0)
            .map_err(|e| Error::internal("a record could not be kept").cause(e))
    }
}

/// The key of a row as text, as records to push are named: an expression over `columns`.
pub(crate) fn key_expression(columns: &[String]) -> String {
    let parts: Vec<String> = columns
        .iter()
        .map(|column| {
            let column = format!("cast(\"{}\" as varchar)", column.replace('"', "\"\""));
            format!("replace(replace({column}, '\\', '\\\\'), '|', '\\|')")
        })
        .collect();
    parts.join(" || '|' || ")
}

/// The rows of `table` with one of `keys`, by key. Two rows of one key are an error.
pub(crate) async fn images(
    session: &Session,
    table: &str,
    columns: &[String],
    keys: &[&str],
) -> Result<BTreeMap<String, Image>> {
    images_with(session, table, columns, keys, "").await
}

/// The same with further columns: expressions, each with a comma before it.
pub(crate) async fn images_with(
    session: &Session,
    table: &str,
    columns: &[String],
    keys: &[&str],
    further: &str,
) -> Result<BTreeMap<String, Image>> {
    let key = key_expression(columns);
    let mut found = BTreeMap::new();
    for keys in keys.chunks(KEYS) {
        let list: Vec<String> =
            keys.iter().map(|key| format!("'{}'", key.replace('\'', "''"))).collect();
        let sql = format!(
            "select {key} as \"_key\"{further}, t.* from {} as t where {key} in ({})",
            quoted(table),
            list.join(", ")
        );
        for batch in session.collect(&sql, None).await? {
            for row in 0..batch.num_rows() {
                let mut image: BTreeMap<String, Option<String>> =
                    record_text(&batch, row)?.into_iter().collect();
                let key = image.remove("_key").flatten().unwrap_or_default();
                if found.insert(key.clone(), Image(image)).is_some() {
                    let message = format!("{table} has more than one row of `{key}`");
                    return Err(Error::new(ErrorKind::Data, "E-REPAIR-TWICE", message)
                        .hint("correct the model, or `key` of the push in the system file"));
                }
            }
        }
    }
    Ok(found)
}

/// `schema.table` as an identifier.
pub(crate) fn quoted(table: &str) -> String {
    let parts: Vec<String> =
        table.splitn(2, '.').map(|part| format!("\"{}\"", part.replace('"', "\"\""))).collect();
    parts.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(pairs: &[(&str, Option<&str>)]) -> Image {
        let pair =
            |(name, value): &(&str, Option<&str>)| ((*name).to_owned(), value.map(str::to_owned));
        Image(pairs.iter().map(pair).collect())
    }

    #[test]
    fn nothing_and_an_empty_text_are_two_contents() {
        let (nothing, empty) = (image(&[("a", None)]), image(&[("a", Some(""))]));
        assert_ne!(nothing.hash(), empty.hash());
        assert_eq!(nothing, Image::of_json(&nothing.to_json().unwrap()).unwrap());
        assert_eq!(empty.hash(), Image::of_json(&empty.to_json().unwrap()).unwrap().hash());
    }

    #[test]
    fn keys_are_written_as_records_to_push_are_named() {
        let two = key_expression(&["a".to_owned(), "b".to_owned()]);
        assert_eq!(
            two,
            "replace(replace(cast(\"a\" as varchar), '\\', '\\\\'), '|', '\\|') || '|' || \
             replace(replace(cast(\"b\" as varchar), '\\', '\\\\'), '|', '\\|')"
        );
    }
}
