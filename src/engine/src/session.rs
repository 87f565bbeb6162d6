//! Sessions: DataFusion over the lake at one snapshot, with views, functions and limits.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use arrow::record_batch::RecordBatch;
use datafusion::catalog::{CatalogProvider, TableProvider};
use datafusion::datasource::ViewTable;
use datafusion::error::DataFusionError;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{DataFrame, SessionConfig, SessionContext};
use huiliu_core::model::ModelKind;
use huiliu_lake::Lake;
use huiliu_sdk::{Error, ErrorKind, Result};

use crate::catalog::HubCatalog;
use crate::distinct::{CountDistinctByGroups, CountWhereGroupsAre};
use crate::failure::engine_error;
use crate::function::{self, DomainFunctions};
use crate::memory::LendingPool;
use crate::ops::{code_tables, ops_tables, quarantine_tables};
use crate::origin::FileHashes;
use crate::personal::{Personal, Tags};
use crate::pipeline::Pipelines;
use crate::reconcile::ledger_views;

/// Schemas that hold tables of the lake.
const LAKE_SCHEMAS: [&str; 5] = ["current", "history", "standard", "reconciled", "metrics"];

/// Limits of the engine.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Memory of one session in bytes; beyond it queries spill.
    pub memory_bytes: usize,
    /// Folder for spilled data.
    pub spill: PathBuf,
    /// How many partitions one query runs in.
    pub partitions: usize,
    /// The zone of the lake's wall times.
    pub zone: chrono_tz::Tz,
}

/// The engine of one project.
#[derive(Debug, Clone)]
pub struct Engine {
    lake: Lake,
    pipelines: Arc<Pipelines>,
    functions: DomainFunctions,
    options: EngineOptions,
    /// Hashes of the calendar and the code tables.
    files: FileHashes,
    /// The tagged columns of streams, by `system_stream`.
    tagged: Arc<BTreeMap<String, Tags>>,
    /// What follows from them for all other tables, as of one snapshot.
    pub(crate) personal: Arc<Mutex<Option<Known>>>,
    /// The memory that all sessions share; without it each has its own.
    shared: Option<Arc<RuntimeEnv>>,
}

/// What is known of personal data in all tables, as of a snapshot.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) snapshot: i64,
    /// Tables of which nothing can be known.
    pub(crate) unknown: BTreeSet<String>,
    pub(crate) personal: Arc<Personal>,
}

/// DataFusion over the lake at one snapshot.
pub struct Session {
    pub(crate) context: SessionContext,
    pub(crate) catalog: Arc<HubCatalog>,
    pub(crate) snapshot: i64,
    pub(crate) unavailable: BTreeMap<String, String>,
    /// Whether it shows only some rows; then a view over what is closed is closed too.
    pub(crate) is_limited: bool,
}

impl Engine {
    /// An engine over `lake`. A hash of `files` must change when its file does, so that models are
    /// built again.
    pub fn new(
        lake: Lake,
        pipelines: Pipelines,
        functions: DomainFunctions,
        options: EngineOptions,
        files: FileHashes,
    ) -> Self {
        Self {
            lake,
            pipelines: Arc::new(pipelines),
            functions,
            options,
            files,
            tagged: Arc::default(),
            personal: Arc::default(),
            shared: None,
        }
    }

    /// The same engine, all of whose sessions share the memory of one.
    pub fn sharing_memory(self) -> Result<Self> {
        let shared = Some(self.runtime()?);
        Ok(Self { shared, ..self })
    }

    /// The same engine, knowing which columns of streams hold personal data, by `system_stream`.
    #[must_use]
    pub fn with_personal(self, tagged: BTreeMap<String, Tags>) -> Self {
        Self { tagged: Arc::new(tagged), personal: Arc::default(), ..self }
    }

    /// The tagged columns of streams, by `system_stream`.
    pub(crate) fn tagged(&self) -> &BTreeMap<String, Tags> {
        &self.tagged
    }

    /// The lake.
    pub fn lake(&self) -> &Lake {
        &self.lake
    }

    /// The models and metrics.
    pub fn pipelines(&self) -> &Pipelines {
        &self.pipelines
    }

    pub(crate) fn functions(&self) -> &DomainFunctions {
        &self.functions
    }

    pub(crate) fn options(&self) -> &EngineOptions {
        &self.options
    }

    /// Hashes of the calendar and the code tables.
    pub fn files(&self) -> &FileHashes {
        &self.files
    }

    /// A session at `snapshot`, or at the latest one.
    pub async fn session(&self, snapshot: Option<i64>) -> Result<Session> {
        let mut session = self.without_views(snapshot).await?;
        self.add_all_views(&mut session).await;
        Ok(session)
    }

    /// Plans all views over the tables that the session has.
    pub(crate) async fn add_all_views(&self, session: &mut Session) {
        session.add_raw_views().await;
        self.add_views(session).await;
    }

    /// A session with tables only.
    pub(crate) async fn without_views(&self, snapshot: Option<i64>) -> Result<Session> {
        let lake = self.lake.at(snapshot).await?;
        let mut catalog = HubCatalog::default();
        for name in LAKE_SCHEMAS {
            catalog.add(name, lake.schema(name));
        }
        for name in ["raw", "ops", "quarantine", "codes", "audits"] {
            catalog.add(name, None);
        }
        self.fill(&catalog).await?;
        self.over(catalog, lake.snapshot(), false)
    }

    /// A session over the tables of `catalog`.
    pub(crate) fn over(
        &self,
        catalog: HubCatalog,
        snapshot: i64,
        is_limited: bool,
    ) -> Result<Session> {
        let catalog = Arc::new(catalog);
        let context = self.context()?;
        let shared: Arc<dyn CatalogProvider> = Arc::clone(&catalog) as _;
        context.register_catalog("huiliu", shared);
        function::register(&context, &self.functions)
            .map_err(|e| engine_error("register functions", e))?;
        Ok(Session { context, catalog, snapshot, unavailable: BTreeMap::new(), is_limited })
    }

    /// Plans the views of the pipelines over the tables that the session has now.
    pub(crate) async fn add_views(&self, session: &mut Session) {
        for rec in self.pipelines.reconciliations.values() {
            for (name, sql) in ledger_views(rec, &self.functions.calendar, self.options.zone) {
                session.add_view(&name, &sql).await;
            }
        }
        for model in &self.pipelines.models {
            if model.header.kind == ModelKind::View {
                session.add_view(&model.name, &model.sql).await;
            }
        }
        for audit in self.pipelines.audits.values() {
            session.add_view(&audit.name, &audit.sql).await;
        }
    }

    async fn fill(&self, catalog: &HubCatalog) -> Result<()> {
        let store = self.lake.store();
        for (schema, tables) in [
            ("ops", ops_tables(store, self.options.zone).await?),
            ("quarantine", quarantine_tables(store).await?),
            ("codes", code_tables(&self.functions.codes)?),
        ] {
            for (name, table) in tables {
                if let Some(schema) = catalog.get(schema) {
                    schema.put(&name, table);
                }
            }
        }
        Ok(())
    }

    pub(crate) fn context(&self) -> Result<SessionContext> {
        let config = SessionConfig::new()
            .with_create_default_catalog_and_schema(false)
            .with_default_catalog_and_schema("huiliu", "standard")
            .with_information_schema(true)
            .with_target_partitions(self.options.partitions);
        let runtime = match &self.shared {
            Some(shared) => Arc::clone(shared),
            None => self.runtime()?,
        };
        let state = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(runtime)
            .with_default_features()
            .with_optimizer_rule(Arc::new(CountDistinctByGroups))
            .with_physical_optimizer_rule(Arc::new(CountWhereGroupsAre));
        Ok(SessionContext::new_with_state(state.build()))
    }

    fn runtime(&self) -> Result<Arc<RuntimeEnv>> {
        let spill = DiskManagerBuilder::default()
            .with_mode(DiskManagerMode::Directories(vec![self.options.spill.clone()]));
        RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(LendingPool::new(self.options.memory_bytes)))
            .with_disk_manager_builder(spill)
            .build_arc()
            .map_err(|e| engine_error("start the engine", e))
    }
}

/// Why a view is closed.
fn refusal(error: &DataFusionError) -> String {
    match error.find_root() {
        DataFusionError::External(inner) if inner.is::<Error>() => {
            inner.downcast_ref::<Error>().map(|ours| ours.message().to_owned()).unwrap_or_default()
        }
        other => other.strip_backtrace().lines().next().unwrap_or_default().to_owned(),
    }
}

impl Session {
    /// A session over a context that has no lake.
    pub(crate) fn over(context: SessionContext) -> Self {
        let (catalog, unavailable) = (Arc::default(), BTreeMap::new());
        Self { context, catalog, snapshot: 0, unavailable, is_limited: false }
    }

    /// Puts a table in the place of the lake's. Views that were planned before do not see it.
    pub(crate) fn put_table(&self, name: &str, table: Arc<dyn TableProvider>) -> Result<()> {
        let (schema, table_name) = name.split_once('.').unwrap_or(("standard", name));
        let Some(schema) = self.catalog.get(schema) else {
            let message = format!("the lake has no schema {schema}");
            return Err(Error::new(ErrorKind::Config, "E-SCHEMA-NAME", message)
                .hint("use current, history, standard, reconciled or metrics"));
        };
        schema.put(table_name, table);
        Ok(())
    }

    /// The snapshot it reads.
    pub fn snapshot(&self) -> i64 {
        self.snapshot
    }

    /// DataFusion's own context.
    pub fn context(&self) -> &SessionContext {
        &self.context
    }

    /// Views that cannot be queried now, with the reason.
    pub fn unavailable(&self) -> &BTreeMap<String, String> {
        &self.unavailable
    }

    /// Plans one read-only statement.
    pub async fn query(&self, sql: &str) -> Result<DataFrame> {
        let options = SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false);
        self.context.sql_with_options(sql, options).await.map_err(|e| {
            let error = engine_error("the query", e);
            let missing = self.unavailable.iter().find(|(name, _)| sql.contains(name.as_str()));
            match missing {
                Some((name, reason)) => Error::new(
                    ErrorKind::Config,
                    "E-VIEW",
                    format!("the view {name} cannot be queried: {reason}"),
                )
                .hint("`huiliu run` reads the systems it needs"),
                None => error,
            }
        })
    }

    /// Runs one read-only statement and takes its rows, at most `limit`.
    pub async fn collect(&self, sql: &str, limit: Option<usize>) -> Result<Vec<RecordBatch>> {
        let mut frame = self.query(sql).await?;
        // Explaining and showing have plans that cannot be limited.
        let limitable = !matches!(
            frame.logical_plan(),
            LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) | LogicalPlan::DescribeTable(_)
        );
        if let Some(limit) = limit.filter(|_| limitable) {
            frame = frame.limit(0, Some(limit)).map_err(|e| engine_error("the query", e))?;
        }
        frame.collect().await.map_err(|e| engine_error("the query", e))
    }

    /// `raw.<table>`: every received version, current and superseded.
    async fn add_raw_views(&mut self) {
        let current = self.catalog.get("current");
        let tables = current.map(|schema| schema.lake_tables()).unwrap_or_default();
        for table in tables {
            let quoted = format!("\"{}\"", table.replace('"', "\"\""));
            let sql = format!(
                "select *, false as _superseded from current.{quoted} \
                 union all by name \
                 select * exclude (_superseded_run), true as _superseded from history.{quoted}"
            );
            self.add_view(&format!("raw.{table}"), &sql).await;
        }
    }

    async fn add_view(&mut self, name: &str, sql: &str) {
        let (schema, table) = name.split_once('.').unwrap_or(("standard", name));
        let planned = self.context.state().create_logical_plan(sql).await;
        match (planned, self.catalog.get(schema)) {
            (Ok(plan), Some(schema)) => {
                schema.put(table, Arc::new(ViewTable::new(plan, Some(sql.to_owned()))));
                self.unavailable.remove(name);
            }
            (Err(error), Some(schema)) if self.is_limited => {
                schema.close(table, refusal(&error));
            }
            (Err(error), _) => {
                let reason = error.strip_backtrace();
                let reason = reason.lines().next().unwrap_or_default().to_owned();
                self.unavailable.insert(name.to_owned(), reason);
            }
            (Ok(_), None) => {
                self.unavailable.insert(name.to_owned(), format!("no schema is called {schema}"));
            }
        }
    }
}
