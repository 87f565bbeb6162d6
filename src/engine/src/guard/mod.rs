//! What one person sees of the data: personal columns masked, rows of others left out.
//!
//! The guard stands at the tables, not in the query: whatever a statement does with a table, it
//! does it to masked values and to rows that its asker may see. So joins, aggregates, predicates and
//! messages cannot tell more. Nothing of what lies below a guarded table is shown by `EXPLAIN`
//! either, and nothing that the optimizer knows of it leaves it. Masks stand at views too, rows are
//! left out below them: a view is computed from what its asker may see (`limited`).

mod closed;
mod limited;
mod shown;
mod table;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, SchemaProvider, TableProvider};
use datafusion::error::Result as DataFusionResult;
use huiliu_core::access::Limits;
use huiliu_sdk::Result;

use self::table::GuardedTable;
use crate::catalog::{HubCatalog, HubSchema};
use crate::failure::engine_error;
use crate::function;
use crate::personal::Personal;
use crate::session::{Engine, Session};

/// What stands for a personal number, so that rows can still be joined by it.
pub type Pseudonym = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// Who looks.
#[derive(Clone, Default)]
pub struct Viewer {
    /// Whether personal data is shown as it is.
    pub unmasked: bool,
    /// Which rows are seen.
    pub limits: Limits,
    /// Gives each column of identity numbers one beside it, `<column>_pseudonym`.
    pub pseudonym: Option<Pseudonym>,
}

impl Viewer {
    /// Whether nothing is hidden.
    fn sees_all(&self) -> bool {
        self.unmasked && self.limits.is_open()
    }
}

impl fmt::Debug for Viewer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Viewer")
            .field("unmasked", &self.unmasked)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// A session at `snapshot`, or at the latest one, that shows what `viewer` may see.
    pub async fn session_for(&self, snapshot: Option<i64>, viewer: &Viewer) -> Result<Session> {
        let (open, personal) = self.limited(snapshot, &viewer.limits).await?;
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
        let catalog = Arc::new(HubCatalog::default());
        // Nothing can be put into a guarded session's catalog.
        Ok(Session { context, catalog, ..open })
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
        let full_name = format!("{}.{name}", self.name);
        let guarded = GuardedTable::masked(full_name, table, &self.personal, &self.viewer);
        Ok(Some(Arc::new(guarded)))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.inner.table_exist(name)
    }
}

#[cfg(test)]
mod tests;
