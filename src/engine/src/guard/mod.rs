//! What one person sees of the data: personal columns masked, rows of others left out.
//!
//! The guard stands at the tables, not in the query: whatever a statement does with a table, it
//! does it to masked values and to rows that its asker may see. So joins, aggregates, predicates and
//! messages cannot tell more. Nothing of what lies below a guarded table is shown by `EXPLAIN`
//! either, and nothing that the optimizer knows of it leaves it.

mod closed;
mod shown;
mod table;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, SchemaProvider, TableProvider};
use datafusion::error::Result as DataFusionResult;
use huiliu_sdk::Result;

use self::table::GuardedTable;
use crate::catalog::{HubCatalog, HubSchema};
use crate::failure::engine_error;
use crate::function;
use crate::personal::Personal;
use crate::session::{Engine, Session};

/// What stands for a personal number, so that rows can still be joined by it.
pub type Pseudonym = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// Schemas whose tables are nobody's in particular: code tables, and figures that are published.
const FOR_ALL: [&str; 2] = ["codes", "metrics"];

/// Who looks.
#[derive(Clone, Default)]
pub struct Viewer {
    /// Whether personal data is shown as it is.
    pub unmasked: bool,
    /// Rows that are seen; all without a filter.
    pub rows: Vec<RowFilter>,
    /// Gives each column of identity numbers one beside it, `<column>_pseudonym`.
    pub pseudonym: Option<Pseudonym>,
}

impl fmt::Debug for Viewer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Viewer")
            .field("unmasked", &self.unmasked)
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}

/// Which rows are seen. A table without the column is not seen at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowFilter {
    /// The column that says whose a row is.
    pub column: String,
    /// How its values begin, such as `340503` for a county and all below it.
    pub prefixes: Vec<String>,
}

impl Engine {
    /// A session at `snapshot`, or at the latest one, that shows what `viewer` may see.
    pub async fn session_for(&self, snapshot: Option<i64>, viewer: &Viewer) -> Result<Session> {
        let open = self.session(snapshot).await?;
        let personal = self.personal(&open).await;
        let context = self.context()?;
        function::register(&context, self.functions())
            .map_err(|e| engine_error("register functions", e))?;
        let viewer = Arc::new(viewer.clone());
        let guarded = |name: &String, schema: &Arc<HubSchema>| {
            let schema = GuardedSchema {
                name: name.clone(),
                inner: Arc::clone(schema),
                personal: Arc::clone(&personal),
                viewer: Arc::clone(&viewer),
            };
            (name.clone(), Arc::new(schema))
        };
        let schemas = open.catalog.schemas().map(|(name, schema)| guarded(name, schema)).collect();
        context.register_catalog("huiliu", Arc::new(GuardedCatalog { schemas }));
        let Session { snapshot, unavailable, .. } = open;
        // Nothing can be put into a guarded session's catalog.
        Ok(Session { context, catalog: Arc::new(HubCatalog::default()), snapshot, unavailable })
    }

    /// Which columns of which tables hold personal data, as of the session's snapshot.
    pub(crate) async fn personal(&self, session: &Session) -> Arc<Personal> {
        {
            let known = self.personal.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((_, personal)) = known.as_ref().filter(|(at, _)| *at == session.snapshot) {
                return Arc::clone(personal);
            }
        }
        let mut selects = Vec::new();
        let models = self.pipelines().models.iter().map(|model| (&model.name, &model.sql));
        let audits = self.pipelines().audits.values().map(|audit| (&audit.name, &audit.sql));
        for (name, sql) in models.chain(audits) {
            // What cannot be planned stays unknown, and of unknown tables all is hidden.
            if let Ok(plan) = session.context.state().create_logical_plan(sql).await {
                selects.push((name, plan));
            }
        }
        let mut personal = Personal::new(self.tagged());
        // Models read reconciliations and the other way round, so this goes on until nothing new
        // is learned; no chain is longer than there are tables.
        for _ in 0..=selects.len() + self.pipelines().reconciliations.len() {
            let before = personal.clone();
            for (name, select) in &selects {
                personal.learn(name, select);
            }
            for rec in self.pipelines().reconciliations.values() {
                personal.learn_reconciliation(rec);
            }
            if personal == before {
                break;
            }
        }
        let personal = Arc::new(personal);
        let mut known = self.personal.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some((session.snapshot, Arc::clone(&personal)));
        personal
    }
}

/// The schemas of a guarded session.
#[derive(Debug)]
struct GuardedCatalog {
    schemas: BTreeMap<String, Arc<GuardedSchema>>,
}

impl CatalogProvider for GuardedCatalog {
    fn schema_names(&self) -> Vec<String> {
        self.schemas.keys().cloned().collect()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let schema = Arc::clone(self.schemas.get(name)?);
        Some(schema)
    }
}

/// A schema whose tables are guarded.
#[derive(Debug)]
struct GuardedSchema {
    name: String,
    inner: Arc<HubSchema>,
    personal: Arc<Personal>,
    viewer: Arc<Viewer>,
}

#[async_trait]
impl SchemaProvider for GuardedSchema {
    fn table_names(&self) -> Vec<String> {
        self.inner.table_names()
    }

    async fn table(&self, name: &str) -> DataFusionResult<Option<Arc<dyn TableProvider>>> {
        let Some(table) = self.inner.table(name).await? else { return Ok(None) };
        let is_for_all = FOR_ALL.contains(&self.name.as_str());
        let rows = if is_for_all { &[][..] } else { &self.viewer.rows[..] };
        let schema = table.schema();
        // Whose the rows of such a table are cannot be told, so it is as if it was not there.
        if rows.iter().any(|filter| schema.field_with_name(&filter.column).is_err()) {
            return Ok(None);
        }
        let guarded =
            GuardedTable::new(&self.name, name, table, &self.personal, &self.viewer, rows);
        Ok(Some(Arc::new(guarded)))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.inner.table_exist(name)
    }
}

#[cfg(test)]
mod tests;
