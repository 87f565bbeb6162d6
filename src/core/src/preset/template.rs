//! What a preset says of one stream or push, before the operator's own keys.

use serde_json::{Map, Value, json};

use super::Spelling;
use super::family::{Family, Keys, Table, merged};
use super::fields::Fields;

/// How an operator varies a preset.
#[derive(Debug, Clone, Default)]
pub(super) struct Variant {
    /// What follows the table's name, such as `_rsj`.
    pub(super) suffix: String,
    /// How the source spells its columns, if not as usual.
    pub(super) names: Option<Spelling>,
    /// Columns of the preset that this table does not have.
    pub(super) without: Vec<String>,
}

impl Table {
    /// The table's name at the source.
    pub(super) fn table_name(&self, variant: &Variant) -> String {
        let table = match variant.names {
            Some(names) => names.table(&self.table),
            None => self.table.clone(),
        };
        table + &variant.suffix
    }

    /// The name of a stream over it.
    pub(super) fn stream_name(&self, suffix: &str) -> String {
        format!("{}{}", self.stream_name, suffix.to_lowercase())
    }

    /// The names of its columns at the source.
    pub(super) fn fields(&self, family: &Family, variant: &Variant) -> Vec<(String, String)> {
        let names = variant.names.unwrap_or(family.names);
        let columns = self.columns.iter().filter(|column| !variant.lacks(&column.name));
        columns
            .map(|column| {
                (column.name.clone(), names.column(&column.name, column.camel.as_deref()))
            })
            .collect()
    }

    /// The keys of a stream over it that is read in `mode`, or in the preset's own.
    pub(super) fn stream_keys(&self, variant: &Variant, mode: Option<&str>) -> Keys {
        let mode = mode.or_else(|| self.stream.get("read").and_then(Value::as_str));
        let added = match mode {
            Some("incremental") => &self.incremental,
            Some("flagged") => &self.flagged,
            _ => &Keys::new(),
        };
        // The flag itself is no column of the lake there.
        let flag = if mode == Some("flagged") { added.get("flag") } else { None };
        let flag = flag.and_then(Value::as_str);
        let columns = self.declared(|name| !variant.lacks(name) && Some(name) != flag);
        let name = self.stream_name(&variant.suffix);
        self.filled(variant, name, merged(&self.stream, added), columns)
    }

    /// The keys of a stream that reads back what became of pushed rows.
    pub(super) fn receipt_keys(&self, variant: &Variant, receipts: &Keys) -> Keys {
        let mut keys = self.stream.clone();
        // Only the mark changes there; the version is one of what was pushed.
        keys.remove("version");
        let selected = receipts.get("select").and_then(Value::as_array);
        let is_selected = |name: &str| {
            selected.is_none_or(|names| names.iter().any(|known| known.as_str() == Some(name)))
        };
        let columns = self.declared(|name| !variant.lacks(name) && is_selected(name));
        if let Some(push) = self.push.as_ref().and_then(|push| push.get("key")) {
            keys.insert("key".into(), push.clone());
        }
        let name = format!("{}_receipts", self.stream_name(&variant.suffix));
        self.filled(variant, name, merged(&keys, receipts), columns)
    }

    /// The keys of a push into it.
    pub(super) fn push_keys(&self, variant: &Variant) -> Option<Keys> {
        let mut keys = self.push.clone()?;
        keys.remove("set");
        keys.insert("name".into(), json!(self.stream_name(&variant.suffix)));
        keys.insert("to".into(), json!(self.table_name(variant)));
        Some(keys)
    }

    /// Columns that have one value in all records pushed into it.
    pub(super) fn set(&self) -> Map<String, Value> {
        let set = self.push.as_ref().and_then(|push| push.get("set"));
        set.and_then(Value::as_object).cloned().unwrap_or_default()
    }

    fn filled(&self, variant: &Variant, name: String, more: Keys, columns: Keys) -> Keys {
        let mut keys = Keys::new();
        keys.insert("name".into(), json!(name));
        keys.insert("description".into(), json!(self.title));
        keys.insert("table".into(), json!(self.table_name(variant)));
        keys.extend(more);
        if !columns.is_empty() {
            keys.insert("columns".into(), Value::Object(columns));
        }
        keys
    }

    fn declared(&self, is_wanted: impl Fn(&str) -> bool) -> Keys {
        let columns = self.columns.iter().filter(|column| is_wanted(&column.name));
        columns
            .filter(|column| !column.declared.is_empty())
            .map(|column| (column.name.clone(), Value::Object(column.declared.clone())))
            .collect()
    }
}

impl Variant {
    fn lacks(&self, column: &str) -> bool {
        self.without.iter().any(|name| name == column)
    }
}

/// The names of a source under the operator's own.
pub(super) fn fields(preset: Vec<(String, String)>, own: Vec<(String, String)>) -> Fields {
    let preset = preset.into_iter().filter(|(lake, _)| !own.iter().any(|(name, _)| name == lake));
    let preset: Vec<(String, String)> = preset.collect();
    Fields::new(preset.into_iter().chain(own))
}
