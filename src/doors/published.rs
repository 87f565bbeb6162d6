//! What the office itself published of its figures, as `pipelines/reports/2018.csv` says.

use std::collections::BTreeMap;
use std::path::Path;

use huiliu_core::code_table::CodeTable;
use huiliu_serve::data::PublishedValue;

/// Where it is written, in the project.
const FILE: &str = "pipelines/reports/2018.csv";

/// Published values by metric.
#[derive(Default)]
pub(super) struct Published(BTreeMap<String, PublishedValue>);

impl Published {
    /// Reads the file; a project without one published nothing.
    pub(super) fn read(project: &Path) -> Self {
        let Ok(text) = std::fs::read_to_string(project.join(FILE)) else { return Self::default() };
        let parsed = CodeTable::parse("2018", &text.replacen("key,value", "code,value", 1));
        let table = match parsed {
            Ok(table) => table,
            Err(error) => {
                tracing::warn!(%error, file = FILE, "published figures cannot be read");
                return Self::default();
            }
        };
        let keys = table.rows().filter_map(|row| row.first());
        let value = |key: &String| {
            let field = |name: &str| table.field(key, name).unwrap_or_default().to_owned();
            let value = table.value(key)?.to_owned();
            Some((
                key.clone(),
                PublishedValue { value, period: field("as_of"), source: field("source") },
            ))
        };
        Self(keys.filter_map(value).collect())
    }

    /// What was published of a metric.
    pub(super) fn of(&self, key: &str) -> Option<PublishedValue> {
        self.0.get(key).cloned()
    }
}
