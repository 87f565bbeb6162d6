//! One catalog over everything that can be queried: lake tables, views, the hub's own tables.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, SchemaProvider, TableProvider};
use datafusion::error::{DataFusionError, Result};

use crate::owner::closed;

/// The schemas of one session.
#[derive(Debug, Default)]
pub(crate) struct HubCatalog {
    schemas: BTreeMap<String, Arc<HubSchema>>,
}

/// One schema: tables of the session itself, then those of the lake.
#[derive(Debug)]
pub(crate) struct HubSchema {
    name: String,
    own: RwLock<BTreeMap<String, Arc<dyn TableProvider>>>,
    /// Views that its viewer may not see, and why.
    closed: RwLock<BTreeMap<String, String>>,
    lake: Option<Arc<dyn SchemaProvider>>,
}

impl HubCatalog {
    /// Adds a schema over the lake's schema of the same name, if it has one.
    pub(crate) fn add(&mut self, name: &str, lake: Option<Arc<dyn SchemaProvider>>) {
        let (own, closed) = (RwLock::default(), RwLock::default());
        let schema = HubSchema { name: name.to_owned(), own, closed, lake };
        self.schemas.insert(name.to_owned(), Arc::new(schema));
    }

    /// All schemas by name.
    pub(crate) fn schemas(&self) -> impl Iterator<Item = (&String, &Arc<HubSchema>)> {
        self.schemas.iter()
    }

    /// The schema called `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&Arc<HubSchema>> {
        self.schemas.get(name)
    }
}

impl HubSchema {
    /// Adds a table of the session itself.
    pub(crate) fn put(&self, name: &str, table: Arc<dyn TableProvider>) {
        let mut own = self.own.write().unwrap_or_else(PoisonError::into_inner);
        own.insert(name.to_owned(), table);
        self.closed.write().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// Refuses a view of the session itself.
    pub(crate) fn close(&self, name: &str, why: String) {
        self.closed.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), why);
    }

    /// Why a view is refused.
    fn refusal(&self, name: &str) -> Option<String> {
        self.closed.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// The tables of the session itself.
    pub(crate) fn own_tables(&self) -> BTreeMap<String, Arc<dyn TableProvider>> {
        self.own.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The lake's schema.
    pub(crate) fn lake(&self) -> Option<&Arc<dyn SchemaProvider>> {
        self.lake.as_ref()
    }

    /// The lake's tables in this schema.
    pub(crate) fn lake_tables(&self) -> Vec<String> {
        self.lake.as_ref().map(|lake| lake.table_names()).unwrap_or_default()
    }
}

impl CatalogProvider for HubCatalog {
    fn schema_names(&self) -> Vec<String> {
        self.schemas.keys().cloned().collect()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let schema = Arc::clone(self.schemas.get(name)?);
        Some(schema)
    }
}

#[async_trait]
impl SchemaProvider for HubSchema {
    fn table_names(&self) -> Vec<String> {
        let own = self.own.read().unwrap_or_else(PoisonError::into_inner);
        let names: BTreeSet<String> = own.keys().cloned().chain(self.lake_tables()).collect();
        names.into_iter().collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let own = {
            let own = self.own.read().unwrap_or_else(PoisonError::into_inner);
            own.get(name).cloned()
        };
        if let Some(why) = self.refusal(name) {
            let name = format!("{}.{name}", self.name);
            return Err(DataFusionError::External(Box::new(closed(&name, &why))));
        }
        match (own, &self.lake) {
            (Some(table), _) => Ok(Some(table)),
            (None, Some(lake)) => lake.table(name).await,
            (None, None) => Ok(None),
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        let own = self.own.read().unwrap_or_else(PoisonError::into_inner);
        own.contains_key(name) || self.lake.as_ref().is_some_and(|lake| lake.table_exist(name))
    }
}
