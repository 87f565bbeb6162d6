//! `pg_catalog` for clients that look around, such as psql's `\dt`.
//!
//! It is shared by all sessions, so that the numbers (oid) by which clients refer to a table from
//! one statement to the next stay the same when a new snapshot brings a new session.

use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, SchemaProvider, TableFunction, TableProvider};
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::error::Result;
use datafusion::execution::SessionStateBuilder;
use datafusion::logical_expr::{LogicalPlanBuilder, ScalarUDF, col, lit};
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::context::EmptyContextProvider;
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::oid_type_planner::PgOidTypePlanner;
use datafusion_postgres::datafusion_pg_catalog::setup_pg_catalog;

/// The name of the hub's catalog, which clients see as the database.
pub(crate) const DATABASE: &str = "huiliu";
const PG_CATALOG: &str = "pg_catalog";

/// What makes a session look like Postgres.
pub(crate) struct PgCatalog {
    /// What `pg_catalog` describes: the catalog of the newest session.
    newest: Arc<NewestCatalog>,
    schema: Arc<dyn SchemaProvider>,
    functions: Vec<Arc<ScalarUDF>>,
    table_functions: Vec<Arc<TableFunction>>,
}

impl PgCatalog {
    pub(crate) fn new() -> Result<Self> {
        let config = SessionConfig::new()
            .with_create_default_catalog_and_schema(false)
            .with_default_catalog_and_schema(DATABASE, "standard");
        let template = SessionContext::new_with_config(config);
        let newest = Arc::new(NewestCatalog::default());
        let catalog: Arc<NewestCatalog> = Arc::clone(&newest);
        template.register_catalog(DATABASE, catalog);
        setup_pg_catalog(&template, DATABASE, EmptyContextProvider).map_err(|error| *error)?;
        let inner = newest.schema(PG_CATALOG).ok_or_else(|| {
            datafusion::error::DataFusionError::Internal("pg_catalog was not set up".into())
        })?;
        let schema: Arc<dyn SchemaProvider> = Arc::new(OneDatabase { inner });
        newest.put(&schema);
        let state = template.state();
        Ok(Self {
            newest,
            schema,
            functions: state.scalar_functions().values().cloned().collect(),
            table_functions: state.table_functions().values().cloned().collect(),
        })
    }

    /// Lets `pg_catalog` describe the tables of a session, which is the newest one.
    pub(crate) fn describe(&self, context: &SessionContext) {
        if let Some(hub) = context.catalog(DATABASE) {
            self.newest.show(&hub);
        }
    }

    /// Adds `pg_catalog` and the functions clients call to a session.
    pub(crate) fn install(&self, context: &SessionContext) {
        let Some(hub) = context.catalog(DATABASE) else { return };
        let schema = Arc::clone(&self.schema);
        context.register_catalog(DATABASE, Arc::new(DoorCatalog { hub, pg_catalog: schema }));
        for function in &self.functions {
            if !context.state().scalar_functions().contains_key(function.name()) {
                context.register_udf(function.as_ref().clone());
            }
        }
        for function in &self.table_functions {
            context.register_udtf(function.name(), Arc::clone(function.function()));
        }
        let shared = context.state_ref();
        let mut shared = shared.write();
        *shared = SessionStateBuilder::new_from_existing(shared.clone())
            .with_type_planner(Arc::new(PgOidTypePlanner))
            .build();
    }
}

/// The catalog of the newest session.
#[derive(Debug, Default)]
struct NewestCatalog {
    hub: RwLock<Option<Arc<dyn CatalogProvider>>>,
    pg_catalog: RwLock<Option<Arc<dyn SchemaProvider>>>,
}

impl NewestCatalog {
    fn show(&self, hub: &Arc<dyn CatalogProvider>) {
        *self.hub.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(hub));
    }

    fn put(&self, schema: &Arc<dyn SchemaProvider>) {
        let mut place = self.pg_catalog.write().unwrap_or_else(PoisonError::into_inner);
        *place = Some(Arc::clone(schema));
    }

    fn hub(&self) -> Option<Arc<dyn CatalogProvider>> {
        self.hub.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl CatalogProvider for NewestCatalog {
    fn schema_names(&self) -> Vec<String> {
        let mut names = self.hub().map(|hub| hub.schema_names()).unwrap_or_default();
        names.push(PG_CATALOG.to_owned());
        names
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        if name == PG_CATALOG {
            return self.pg_catalog.read().unwrap_or_else(PoisonError::into_inner).clone();
        }
        self.hub()?.schema(name)
    }

    fn register_schema(
        &self,
        _name: &str,
        schema: Arc<dyn SchemaProvider>,
    ) -> Result<Option<Arc<dyn SchemaProvider>>> {
        self.put(&schema);
        Ok(None)
    }
}

/// The catalog of one session, with `pg_catalog` beside its schemas.
#[derive(Debug)]
struct DoorCatalog {
    hub: Arc<dyn CatalogProvider>,
    pg_catalog: Arc<dyn SchemaProvider>,
}

impl CatalogProvider for DoorCatalog {
    fn schema_names(&self) -> Vec<String> {
        let mut names = self.hub.schema_names();
        names.push(PG_CATALOG.to_owned());
        names
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        if name == PG_CATALOG {
            return Some(Arc::clone(&self.pg_catalog));
        }
        self.hub.schema(name)
    }
}

/// `pg_catalog` without the database `postgres`, which it lists though there is none.
#[derive(Debug)]
struct OneDatabase {
    inner: Arc<dyn SchemaProvider>,
}

#[async_trait]
impl SchemaProvider for OneDatabase {
    fn table_names(&self) -> Vec<String> {
        self.inner.table_names()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let table = self.inner.table(name).await?;
        let Some(table) = table.filter(|_| name == "pg_database") else {
            return self.inner.table(name).await;
        };
        let plan = LogicalPlanBuilder::scan("databases", provider_as_source(table), None)?
            .filter(col("datname").eq(lit(DATABASE)))?
            .build()?;
        Ok(Some(Arc::new(ViewTable::new(plan, None))))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.inner.table_exist(name)
    }
}
