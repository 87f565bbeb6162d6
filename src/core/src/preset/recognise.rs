//! Which preset a table of a source belongs to.

use super::family::{Family, Table};
use super::{Presets, Spelling};

/// A table that a preset describes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recognised {
    /// The preset's name.
    pub preset: String,
    /// The name of the table, if it is not the preset's with `suffix`.
    pub table: Option<String>,
    /// What follows the preset's name.
    pub suffix: String,
    /// How the columns are spelled, if not as the preset says.
    pub names: Option<Spelling>,
    /// Columns of the preset that the table does not have.
    pub without: Vec<String>,
    /// The way it is read that changes nothing at the source, if the preset's own does.
    pub read: Option<&'static str>,
    /// Whether the preset knows a flag.
    pub is_flagged: bool,
}

impl Presets {
    /// The preset of a table by its name and columns: the name is the preset's with or without
    /// something behind it, all columns of its key are there and at least half of all.
    pub fn recognise(&self, table: &str, columns: &[&str]) -> Option<Recognised> {
        let bare = table.rsplit('.').next().unwrap_or(table);
        let fitting = self.tables().filter(|(_, preset)| suffix(bare, &preset.table).is_some());
        let (family, preset) = fitting.max_by_key(|(_, preset)| preset.table.len())?;
        let spelling = Spelling::ALL
            .into_iter()
            .max_by_key(|names| (preset.known(*names, columns), *names == family.names))?;
        let known = preset.known(spelling, columns);
        let has_key = preset.key_columns().iter().all(|key| preset.has(key, spelling, columns));
        if !has_key || known * 2 < preset.columns.len() {
            return None;
        }
        Some(preset.recognised(family, table, spelling, columns))
    }
}

impl Table {
    fn recognised(
        &self,
        family: &Family,
        table: &str,
        spelling: Spelling,
        columns: &[&str],
    ) -> Recognised {
        let names = (spelling != family.names).then_some(spelling);
        let expected = names.map_or_else(|| self.table.clone(), |names| names.table(&self.table));
        let suffix = table.strip_prefix(&expected).map(str::to_owned);
        let own = self.stream.get("read").and_then(serde_json::Value::as_str);
        let missing =
            self.columns.iter().filter(|column| !self.has(&column.name, spelling, columns));
        Recognised {
            preset: self.name.clone(),
            table: suffix.is_none().then(|| table.to_owned()),
            suffix: suffix.unwrap_or_default(),
            names,
            without: missing.map(|column| column.name.clone()).collect(),
            read: (own == Some("flagged")).then_some("incremental"),
            is_flagged: self.flagged.contains_key("flag"),
        }
    }

    fn key_columns(&self) -> Vec<&str> {
        let keys = self.stream.get("key").and_then(serde_json::Value::as_array);
        keys.into_iter().flatten().filter_map(serde_json::Value::as_str).collect()
    }

    /// Whether a table has a column of the preset under its name at the source.
    fn has(&self, name: &str, spelling: Spelling, columns: &[&str]) -> bool {
        self.columns.iter().filter(|column| column.name == name).any(|column| {
            let there = spelling.column(name, column.camel.as_deref());
            columns.contains(&there.as_str())
        })
    }

    fn known(&self, spelling: Spelling, columns: &[&str]) -> usize {
        self.columns.iter().filter(|column| self.has(&column.name, spelling, columns)).count()
    }
}

/// What follows `preset` in the name of a table, whatever the case: nothing, or `_` and more.
fn suffix<'a>(table: &'a str, preset: &str) -> Option<&'a str> {
    let start = table.get(..preset.len())?;
    let rest = &table[preset.len()..];
    (start.eq_ignore_ascii_case(preset) && (rest.is_empty() || rest.starts_with('_')))
        .then_some(rest)
}
