//! Sessions that show only the rows within somebody's limits.
//!
//! Rows are left out at the tables of the lake, before anything is computed from them; views are
//! planned over what is left. A table of which nobody can say whose its rows are is closed, and so is
//! what reads it.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{SchemaProvider, TableProvider};
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use huiliu_core::access::Limits;
use huiliu_sdk::Result;

use super::table::GuardedTable;
use crate::catalog::HubCatalog;
use crate::owner::{NOBODY, Owned, closed};
use crate::personal::Personal;
use crate::session::{Engine, Session};

impl Engine {
    /// A session that shows the rows within `limits`, nothing masked.
    pub async fn session_within(&self, snapshot: Option<i64>, limits: &Limits) -> Result<Session> {
        if limits.is_open() {
            return self.session(snapshot).await;
        }
        Ok(self.limited(snapshot, limits).await?.0)
    }

    /// Such a session, and what is known of personal data in its tables.
    pub(super) async fn limited(
        &self,
        snapshot: Option<i64>,
        limits: &Limits,
    ) -> Result<(Session, Arc<Personal>)> {
        if limits.is_open() {
            let open = self.session(snapshot).await?;
            let personal = self.personal(&open).await?;
            return Ok((open, personal));
        }
        let mut open = self.without_views(snapshot).await?;
        // What is known follows from the hub's tables, not from those that one viewer sees.
        let catalog = Arc::clone(&open.catalog);
        let own: Vec<_> =
            catalog.schemas().map(|(name, schema)| (name, schema.own_tables())).collect();
        let personal = self.personal_without_views(&mut open).await?;
        let mut within = HubCatalog::default();
        for (name, tables) in own {
            let Some(schema) = catalog.get(name) else { continue };
            let lake = schema.lake().map(|lake| -> Arc<dyn SchemaProvider> {
                Arc::new(LimitedSchema {
                    name: name.clone(),
                    inner: Arc::clone(lake),
                    personal: Arc::clone(&personal),
                    limits: limits.clone(),
                })
            });
            within.add(name, lake);
            let Some(schema) = within.get(name) else { continue };
            for (table, provider) in tables {
                let full_name = format!("{name}.{table}");
                match seen(&full_name, provider, &personal, limits) {
                    Some(provider) => schema.put(&table, provider),
                    None => schema.close(&table, NOBODY.to_owned()),
                }
            }
        }
        // The views of all versions are made for tables that can be seen; the others are refused too.
        let received = catalog.get("current").map(|schema| schema.lake_tables());
        for table in received.unwrap_or_default() {
            let name = format!("current.{table}");
            if matches!(personal.rows(&name, None, limits), Owned::Closed)
                && let Some(raw) = within.get("raw")
            {
                raw.close(&table, NOBODY.to_owned());
            }
        }
        let mut session = self.over(within, open.snapshot(), true)?;
        self.add_all_views(&mut session).await;
        Ok((session, personal))
    }
}

/// A table with the rows that are seen; none when it is closed.
fn seen(
    name: &str,
    table: Arc<dyn TableProvider>,
    personal: &Personal,
    limits: &Limits,
) -> Option<Arc<dyn TableProvider>> {
    match personal.rows(name, Some(&table.schema()), limits) {
        Owned::All => Some(table),
        Owned::Those(rows) => Some(Arc::new(GuardedTable::filtered(name.to_owned(), table, rows))),
        Owned::Closed => None,
    }
}

/// A schema of the lake with the rows that are seen.
#[derive(Debug)]
struct LimitedSchema {
    name: String,
    inner: Arc<dyn SchemaProvider>,
    personal: Arc<Personal>,
    limits: Limits,
}

impl LimitedSchema {
    fn is_closed(&self, name: &str) -> bool {
        let full_name = format!("{}.{name}", self.name);
        matches!(self.personal.rows(&full_name, None, &self.limits), Owned::Closed)
    }
}

#[async_trait]
impl SchemaProvider for LimitedSchema {
    fn table_names(&self) -> Vec<String> {
        let mut names = self.inner.table_names();
        names.retain(|name| !self.is_closed(name));
        names
    }

    async fn table(&self, name: &str) -> DataFusionResult<Option<Arc<dyn TableProvider>>> {
        let Some(table) = self.inner.table(name).await? else { return Ok(None) };
        let full_name = format!("{}.{name}", self.name);
        if self.is_closed(name) {
            return Err(DataFusionError::External(Box::new(closed(&full_name, NOBODY))));
        }
        Ok(seen(&full_name, table, &self.personal, &self.limits))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.inner.table_exist(name)
    }
}
