//! Columns that are called otherwise at the source than in the lake.

use std::collections::BTreeMap;

use huiliu_sdk::StreamSettings;
use serde_json::{Map, Value};

/// The source's name of each column of the lake that has another one there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields(BTreeMap<String, String>);

impl Fields {
    /// Of pairs: name in the lake, name at the source.
    pub(super) fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(pairs.into_iter().filter(|(lake, there)| lake != there).collect())
    }

    /// Whether all columns have the same name on both sides.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The pairs: name in the lake, name at the source.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(lake, there)| (lake.as_str(), there.as_str()))
    }

    /// What the source calls a column of the lake.
    pub fn at_source(&self, lake: &str) -> String {
        self.0.get(lake).map_or(lake, String::as_str).to_owned()
    }

    /// Settings as the source's connector needs them.
    pub(crate) fn settings(&self, settings: &StreamSettings) -> StreamSettings {
        let all = |names: &[String]| names.iter().map(|name| self.at_source(name)).collect();
        let one = |name: &Option<String>| name.as_deref().map(|name| self.at_source(name));
        StreamSettings {
            key: all(&settings.key),
            group: all(&settings.group),
            cursor: one(&settings.cursor),
            version: one(&settings.version),
            deleted: one(&settings.deleted),
            columns: (settings.columns.iter())
                .map(|(name, spec)| (self.at_source(name), spec.clone()))
                .collect(),
            ..settings.clone()
        }
    }

    /// The connector's own keys that name columns, as the source needs them.
    pub(crate) fn options(&self, mut options: Value) -> Value {
        let translated = |value: &Value| match value {
            Value::String(name) => Value::String(self.at_source(name)),
            other => other.clone(),
        };
        for key in ["select", "flag"] {
            match options.get_mut(key) {
                Some(Value::Array(names)) => {
                    for name in names {
                        *name = translated(name);
                    }
                }
                Some(name) => *name = translated(name),
                None => {}
            }
        }
        options
    }
}

/// What becomes of a record on its way into a front database.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PushShape {
    /// Columns that have another name there.
    pub fields: Fields,
    /// Columns with one value in all records, such as the flag, under their names there.
    pub set: Map<String, Value>,
}

impl PushShape {
    /// Whether records go out as they are.
    pub fn is_plain(&self) -> bool {
        self.fields.is_empty() && self.set.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_key_that_names_a_column_is_translated() {
        let pairs = [("a", "A"), ("b", "bB"), ("same", "same")];
        let fields = Fields::new(pairs.map(|(lake, there)| (lake.to_owned(), there.to_owned())));
        assert_eq!(fields.iter().count(), 2);
        let settings: StreamSettings = serde_json::from_value(json!({
            "name": "a", "key": ["a", "c"], "group": ["b"], "cursor": "a", "version": "b",
            "deleted": "a", "deletes": "soft", "columns": { "a": { "tag": "name" } },
        }))
        .unwrap();
        let there = fields.settings(&settings);
        assert_eq!((there.name.as_str(), there.key), ("a", vec!["A".into(), "c".into()]));
        assert_eq!((there.group, there.cursor), (vec!["bB".into()], Some("A".into())));
        assert_eq!((there.version, there.deleted), (Some("bB".into()), Some("A".into())));
        assert_eq!(there.columns["A"].tag.as_deref(), Some("name"));
        assert_eq!((there.deletes, there.columns.len()), (settings.deletes, 1));
        let options = json!({ "table": "a", "select": ["a", "c"], "flag": "b", "flag_new": "a" });
        assert_eq!(
            fields.options(options),
            json!({ "table": "a", "select": ["A", "c"], "flag": "bB", "flag_new": "a" })
        );
    }
}
