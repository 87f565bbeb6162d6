//! The names of all tables in the order in which the hub met them.
//!
//! Clients refer to a table from one statement to the next by its number in `pg_catalog` (oid), and
//! each may run in another process. All processes number the tables in this order.

use std::collections::BTreeSet;

use datafusion::catalog::CatalogProvider;

/// Tables by schema and name: those that were there first, those that came next, and so on.
pub(super) type Names = Vec<Vec<(String, String)>>;

/// The names that were met so far.
#[derive(Default)]
pub(super) struct Met {
    all: BTreeSet<(String, String)>,
    names: Names,
}

impl Met {
    /// All names, with those of `catalog` that are new at the end.
    pub(super) fn with(&mut self, catalog: &dyn CatalogProvider) -> Names {
        let mut found = BTreeSet::new();
        for schema in catalog.schema_names() {
            let tables = catalog.schema(&schema).map(|found| found.table_names());
            let tables = tables.unwrap_or_default().into_iter();
            found.extend(tables.map(|table| (schema.clone(), table)));
        }
        let new: Vec<(String, String)> = found.difference(&self.all).cloned().collect();
        if !new.is_empty() {
            self.all.extend(new.iter().cloned());
            self.names.push(new);
        }
        self.names.clone()
    }
}

/// Whether a statement may ask for numbers of tables.
pub(super) fn are_asked(sql: &str) -> bool {
    let sql = sql.to_ascii_lowercase();
    sql.contains("pg_") || sql.contains("reg")
}
