//! `pg_catalog` for clients that look around, such as psql's `\dt`.
//!
//! It is shared by all sessions, so that the numbers (oid) by which clients refer to a table from
//! one statement to the next stay the same when a new snapshot brings a new session. All processes
//! number the tables that the hub has met in the same order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, StringArray, new_null_array};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::{CatalogProvider, SchemaProvider, TableFunction, TableProvider};
use datafusion::common::{ScalarValue, TableReference};
use datafusion::datasource::{MemTable, ViewTable, provider_as_source};
use datafusion::error::Result;
use datafusion::execution::SessionStateBuilder;
use datafusion::logical_expr::{LogicalPlanBuilder, ScalarUDF, col, ident, lit};
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::context::EmptyContextProvider;
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::oid_type_planner::PgOidTypePlanner;
use datafusion_postgres::datafusion_pg_catalog::setup_pg_catalog;

use super::function;
use crate::sql::names::Names;
use crate::sql::{DATABASE, FIXED, nothing};

const PG_CATALOG: &str = "pg_catalog";

/// What makes a session look like Postgres.
pub(super) struct PgCatalog {
    /// What `pg_catalog` describes: the catalog of the newest session.
    newest: Arc<NewestCatalog>,
    schema: Arc<dyn SchemaProvider>,
    functions: Vec<Arc<ScalarUDF>>,
    /// Functions in the place of those that answer for another server.
    own_functions: Vec<ScalarUDF>,
    table_functions: Vec<Arc<TableFunction>>,
}

impl PgCatalog {
    pub(super) fn new() -> Result<Self> {
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
        let schema: Arc<dyn SchemaProvider> = Arc::new(Adapted { inner });
        newest.put(&schema);
        let state = template.state();
        Ok(Self {
            newest,
            schema,
            functions: state.scalar_functions().values().cloned().collect(),
            own_functions: function::all(),
            table_functions: state.table_functions().values().cloned().collect(),
        })
    }

    /// Gives each of `names` its number, before any session is described.
    pub(super) async fn number(&self, names: &Names) -> Result<()> {
        let mut met: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for next in names {
            for (schema, table) in next {
                met.entry(schema.clone()).or_default().insert(table.clone());
            }
            let bare: Arc<dyn CatalogProvider> = Arc::new(BareCatalog(met.clone()));
            self.newest.show(&bare);
            // Whoever reads this table numbers what is there.
            if let Some(tables) = self.schema.table("pg_class").await? {
                Box::pin(SessionContext::new().read_table(tables)?.collect()).await?;
            }
        }
        Ok(())
    }

    /// Lets `pg_catalog` describe the tables of a session, which is the newest one.
    pub(super) fn describe(&self, context: &SessionContext) {
        if let Some(hub) = context.catalog(DATABASE) {
            self.newest.show(&hub);
        }
    }

    /// Adds `pg_catalog` and the functions clients call to a session.
    pub(super) fn install(&self, context: &SessionContext) {
        let Some(hub) = context.catalog(DATABASE) else { return };
        let schema = Arc::clone(&self.schema);
        context.register_catalog(DATABASE, Arc::new(DoorCatalog { hub, pg_catalog: schema }));
        for function in &self.functions {
            if !context.state().scalar_functions().contains_key(function.name()) {
                context.register_udf(function.as_ref().clone());
            }
        }
        for function in &self.own_functions {
            context.register_udf(function.clone());
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

/// Names of tables, and no tables.
#[derive(Debug)]
struct BareCatalog(BTreeMap<String, BTreeSet<String>>);

impl CatalogProvider for BareCatalog {
    fn schema_names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        Some(Arc::new(BareSchema(self.0.get(name)?.clone())))
    }
}

#[derive(Debug)]
struct BareSchema(BTreeSet<String>);

#[async_trait]
impl SchemaProvider for BareSchema {
    fn table_names(&self) -> Vec<String> {
        self.0.iter().cloned().collect()
    }

    async fn table(&self, _name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        Ok(None)
    }

    fn table_exist(&self, name: &str) -> bool {
        self.0.contains(name)
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

/// `pg_catalog` as the hub has it: without the database `postgres`, without the rows about another
/// server's own tables, and with what clients ask of it besides.
#[derive(Debug)]
struct Adapted {
    inner: Arc<dyn SchemaProvider>,
}

#[async_trait]
impl SchemaProvider for Adapted {
    fn table_names(&self) -> Vec<String> {
        self.inner.table_names()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let Some(table) = self.inner.table(name).await? else { return Ok(None) };
        if nothing::TABLES.contains(&name) {
            return Ok(Some(Arc::new(MemTable::try_new(table.schema(), vec![Vec::new()])?)));
        }
        let adapted: Arc<dyn TableProvider> = match name {
            "pg_class" => with_lists(name, table, &["relacl", "reloptions"])?,
            "pg_database" => {
                let database = col("datname").eq(lit(DATABASE));
                let plan = scan(name, table)?.filter(database)?.build()?;
                Arc::new(ViewTable::new(plan, None))
            }
            "pg_namespace" => with_lists(name, table, &["nspacl"])?,
            "pg_settings" => settings(&table.schema())?,
            _ => table,
        };
        Ok(Some(adapted))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.inner.table_exist(name)
    }
}

fn scan(name: &str, table: Arc<dyn TableProvider>) -> Result<LogicalPlanBuilder> {
    let name = TableReference::partial(PG_CATALOG, name);
    LogicalPlanBuilder::scan(name, provider_as_source(table), None)
}

/// A table with columns that are lists without a value, in the place of its own that are none.
fn with_lists(
    name: &str,
    table: Arc<dyn TableProvider>,
    lists: &[&str],
) -> Result<Arc<dyn TableProvider>> {
    let schema = table.schema();
    let kept = schema.fields().iter().filter(|field| !lists.contains(&field.name().as_str()));
    let kept = kept.map(|field| ident(field.name()));
    let none = ScalarValue::new_null_list(DataType::Utf8, true, 1);
    let none = lists.iter().map(|list| lit(none.clone()).alias(*list));
    let plan = scan(name, table)?.project(kept.chain(none))?.build()?;
    Ok(Arc::new(ViewTable::new(plan, None)))
}

/// The settings that are the same for everybody, as a table that tells their names and values.
fn settings(schema: &SchemaRef) -> Result<Arc<dyn TableProvider>> {
    let column = |name: &str, kind: &DataType| -> ArrayRef {
        match name {
            "name" => Arc::new(StringArray::from_iter_values(FIXED.map(|(name, _)| name))),
            "setting" => Arc::new(StringArray::from_iter_values(FIXED.map(|(_, value)| value))),
            _ => new_null_array(kind, FIXED.len()),
        }
    };
    let columns = schema.fields().iter().map(|field| column(field.name(), field.data_type()));
    let rows = RecordBatch::try_new(Arc::clone(schema), columns.collect())?;
    Ok(Arc::new(MemTable::try_new(Arc::clone(schema), vec![vec![rows]])?))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::util::pretty::pretty_format_batches;

    use super::*;

    async fn numbers(names: &Names) -> String {
        let catalog = PgCatalog::new().unwrap();
        catalog.number(names).await.unwrap();
        let met = names.iter().flatten();
        let mut tables: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        met.for_each(|(schema, table)| {
            tables.entry(schema.clone()).or_default().insert(table.clone());
        });
        let shown: Arc<dyn CatalogProvider> = Arc::new(BareCatalog(tables));
        catalog.newest.show(&shown);
        let spaces = catalog.schema.table("pg_namespace").await.unwrap().unwrap();
        let spaces = SessionContext::new().read_table(spaces).unwrap();
        let spaces = spaces.select_columns(&["oid", "nspname"]).unwrap();
        pretty_format_batches(&spaces.collect().await.unwrap()).unwrap().to_string()
    }

    #[tokio::test]
    async fn what_comes_later_moves_no_number() {
        let first = vec![("raw".to_owned(), "cases".to_owned())];
        let later = vec![("current".to_owned(), "cases".to_owned())];
        let before = numbers(&vec![first.clone()]).await;
        let after = numbers(&vec![first, later]).await;
        let of = |text: &str, name: &str| {
            text.lines().find(|line| line.contains(name)).map(str::to_owned)
        };
        assert!(of(&before, "raw").is_some(), "{before}");
        let number = |text: &str, name: &str| {
            let line = of(text, name)?;
            line.split('|').nth(1)?.trim().parse::<i64>().ok()
        };
        assert_eq!(number(&before, " raw"), number(&after, " raw"), "{after}");
        assert!(number(&after, " current") > number(&after, " raw"), "{after}");
    }
}
