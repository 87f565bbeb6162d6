//! One catalog over everything that can be queried: lake tables, views, the hub's own tables.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, SchemaProvider, TableProvider};
use datafusion::error::Result;

/// The schemas of one session.
#[derive(Debug, Default)]
pub(crate) struct HubCatalog {
    schemas: BTreeMap<String, Arc<HubSchema>>,
}

/// One schema: tables of the session itself, then those of the lake.
#[derive(Debug)]
pub(crate) struct HubSchema {
    own: RwLock<BTreeMap<String, Arc<dyn TableProvider>>>,
    lake: Option<Arc<dyn SchemaProvider>>,
}

impl HubCatalog {
    /// Adds a schema over the lake's schema of the same name, if it has one.
    pub(crate) fn add(&mut self, name: &str, lake: Option<Arc<dyn SchemaProvider>>) {
        let schema = HubSchema { own: RwLock::default(), lake };
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
