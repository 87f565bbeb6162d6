//! Cases: rows in, rows out, for every model, reconciliation, audit and metric of a project, in the
//! sqllogictest format.
//!
//! A case makes the tables that a model reads, as SQL, and asks for the model, for what a
//! reconciliation makes, for an audit or for `metrics.figures`. All models are views over what the
//! case made; reconciliations are computed from them when something is asked for, unless the case
//! made their table itself.

mod reconciled;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use chrono_tz::Tz;
use datafusion::catalog::{
    CatalogProvider, MemTable, MemoryCatalogProvider, MemorySchemaProvider, SchemaProvider,
};
use datafusion::datasource::ViewTable;
use datafusion::error::DataFusionError;
use datafusion::prelude::{SessionConfig, SessionContext};
use huiliu_sdk::{Error, Result};
use serde::Serialize;
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, Runner};

use self::reconciled::{Computed, Reconciler, set_now};
use crate::failure::engine_error;
use crate::function::{self, DomainFunctions};
use crate::ops::code_tables;
use crate::pipeline::Pipelines;
use crate::reconcile::ledger_views;
use crate::record_text;
use crate::session::Session;

/// Schemas in which a case may make tables.
const SCHEMAS: [&str; 8] =
    ["current", "history", "raw", "standard", "reconciled", "metrics", "codes", "audits"];

/// How a file of cases went.
#[derive(Debug, Clone, Serialize)]
pub struct CaseReport {
    /// The file.
    pub file: PathBuf,
    /// What is not as the file says; none when all is.
    pub fault: Option<String>,
}

/// Runs cases of one project.
#[derive(Debug, Clone)]
pub struct CaseRunner {
    pipelines: Arc<Pipelines>,
    functions: DomainFunctions,
    zone: Tz,
}

impl CaseRunner {
    /// A runner of cases for `pipelines`, whose wall times are of `zone`.
    pub fn new(pipelines: Pipelines, functions: DomainFunctions, zone: Tz) -> Self {
        Self { pipelines: Arc::new(pipelines), functions, zone }
    }

    /// Runs one file. With `update`, what came out is written into it as what is expected.
    pub async fn run(&self, file: &Path, update: bool) -> Result<CaseReport> {
        let bench = self.bench().await?;
        let open = move || {
            let bench = bench.clone();
            async move { Ok::<_, CaseFault>(bench) }
        };
        let mut runner = Runner::new(open);
        let fault = if update {
            runner
                .update_test_file(
                    file,
                    " ",
                    sqllogictest::default_validator,
                    sqllogictest::default_normalizer,
                    sqllogictest::default_column_validator,
                )
                .await
                .err()
                .map(|fault| fault.to_string())
        } else {
            runner.run_file_async(file).await.err().map(|fault| fault.display(false).to_string())
        };
        Ok(CaseReport { file: file.to_owned(), fault })
    }

    async fn bench(&self) -> Result<Bench> {
        let config = SessionConfig::new()
            .with_create_default_catalog_and_schema(false)
            .with_default_catalog_and_schema("huiliu", "standard")
            .with_target_partitions(1);
        let context = SessionContext::new_with_config(config);
        let failed = |e| engine_error("prepare a case", e);
        let catalog = Arc::new(MemoryCatalogProvider::new());
        for name in SCHEMAS {
            let schema = Arc::new(MemorySchemaProvider::new());
            if name == "codes" {
                for (name, table) in code_tables(&self.functions.codes)? {
                    schema.register_table(name, table).map_err(failed)?;
                }
            }
            catalog.register_schema(name, schema).map_err(failed)?;
        }
        let shared: Arc<dyn CatalogProvider> = Arc::clone(&catalog) as _;
        context.register_catalog("huiliu", shared);
        function::register(&context, &self.functions).map_err(failed)?;
        let session = Session::over(context);
        let reconciler = Reconciler::new(&self.pipelines, &self.functions, self.zone).await?;
        Ok(Bench {
            session: Arc::new(session),
            catalog,
            pipelines: Arc::clone(&self.pipelines),
            functions: self.functions.clone(),
            reconciler: Arc::new(reconciler),
            computed: Computed::new(),
            now: None,
        })
    }
}

/// One case at work.
#[derive(Clone)]
struct Bench {
    session: Arc<Session>,
    catalog: Arc<MemoryCatalogProvider>,
    pipelines: Arc<Pipelines>,
    functions: DomainFunctions,
    reconciler: Arc<Reconciler>,
    computed: Computed,
    /// What the case says the time is, in microseconds of wall time.
    now: Option<i64>,
}

/// What went wrong in a case.
#[derive(Debug)]
struct CaseFault(String);

impl std::fmt::Display for CaseFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CaseFault {}

impl From<Error> for CaseFault {
    fn from(error: Error) -> Self {
        let hint = error.hint_text().map(|hint| format!(" ({hint})")).unwrap_or_default();
        Self(format!("{error}{hint}"))
    }
}

impl Bench {
    async fn execute(&self, sql: &str) -> Result<Vec<RecordBatch>> {
        let failed = |e| engine_error("the case", e);
        let frame = self.session.context().sql(sql).await.map_err(failed)?;
        frame.collect().await.map_err(failed)
    }

    /// Plans the models anew over the tables that are there now, and tells those that cannot be.
    async fn plan_models(&self) -> Result<BTreeMap<String, String>> {
        let mut unavailable = BTreeMap::new();
        let models = self.pipelines.models.iter().map(|model| (&model.name, &model.sql));
        let audits = self.pipelines.audits.values().map(|audit| (&audit.name, &audit.sql));
        for (name, sql) in models.chain(audits) {
            let state = self.session.context().state();
            match state.create_logical_plan(sql).await {
                Ok(plan) => {
                    let view = Arc::new(ViewTable::new(plan, Some(sql.clone())));
                    self.put(name, view).map_err(|e| engine_error("plan a model", e))?;
                }
                Err(fault) => {
                    unavailable.insert(name.clone(), fault.strip_backtrace());
                }
            }
        }
        Ok(unavailable)
    }

    /// Computes the reconciliations whose tables are there, and plans the models that read them.
    async fn reconcile(&mut self) -> Result<BTreeMap<String, String>> {
        let mut unavailable = self.plan_models().await?;
        let pipelines = Arc::clone(&self.pipelines);
        for rec in pipelines.reconciliations.values() {
            let is_given = !self.computed.contains(&rec.table()) && self.has(&rec.table()).await;
            if is_given || !self.has_all(&rec.reads()).await {
                continue;
            }
            let failed = |e| engine_error("reconcile in a case", e);
            for (name, table) in self.reconciler.run(&self.session, rec, self.now).await? {
                self.put(&name, table).map_err(failed)?;
                self.computed.insert(name);
            }
            let zone = self.reconciler.zone();
            for (name, sql) in ledger_views(rec, &self.functions.calendar, zone) {
                let plan = self.session.context().state().create_logical_plan(&sql).await;
                let view = ViewTable::new(plan.map_err(failed)?, Some(sql));
                self.put(&name, Arc::new(view)).map_err(failed)?;
                self.computed.insert(name);
            }
            unavailable = self.plan_models().await?;
        }
        Ok(unavailable)
    }

    /// Takes back what was computed, so that a statement can make a table in its place.
    fn forget(&mut self) -> Result<()> {
        for name in std::mem::take(&mut self.computed) {
            let (schema, table) = name.split_once('.').unwrap_or(("standard", &name));
            if let Some(schema) = self.catalog.schema(schema) {
                schema.deregister_table(table).map_err(|e| engine_error("the case", e))?;
            }
        }
        Ok(())
    }

    fn put(
        &self,
        name: &str,
        table: Arc<dyn datafusion::catalog::TableProvider>,
    ) -> std::result::Result<(), DataFusionError> {
        let (schema, table_name) = name.split_once('.').unwrap_or(("standard", name));
        let Some(schema) = self.catalog.schema(schema) else { return Ok(()) };
        schema.deregister_table(table_name)?;
        schema.register_table(table_name.to_owned(), table)?;
        Ok(())
    }

    /// `metrics.figures` of the metrics whose tables are there, one row for each definition.
    async fn compute_figures(&self) -> Result<()> {
        let mut keys = Vec::new();
        let mut days = Vec::new();
        let mut values = Vec::new();
        let mut numerators = Vec::new();
        let mut denominators = Vec::new();
        for metric in self.pipelines.metrics.values() {
            if !self.has(&metric.from).await {
                continue;
            }
            for definition in &metric.definition {
                let figure = self.session.figure(metric, &definition.valid_from).await?;
                keys.push(metric.key.clone());
                days.push(definition.valid_from.clone());
                values.push(figure.value);
                numerators.push(figure.numerator);
                denominators.push(figure.denominator);
            }
        }
        let columns: [(&str, ArrayRef); 5] = [
            ("key", Arc::new(StringArray::from(keys))),
            ("valid_from", Arc::new(StringArray::from(days))),
            ("value", Arc::new(StringArray::from(values))),
            ("numerator", Arc::new(Int64Array::from(numerators))),
            ("denominator", Arc::new(Int64Array::from(denominators))),
        ];
        let batch = RecordBatch::try_from_iter_with_nullable(
            columns.into_iter().map(|(name, column)| (name, column, true)),
        )?;
        let failed = |e| engine_error("compute figures", e);
        let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).map_err(failed)?;
        self.put("metrics.figures", Arc::new(table)).map_err(failed)
    }

    async fn has(&self, table: &str) -> bool {
        self.session.context().table_provider(table).await.is_ok()
    }

    async fn has_all(&self, tables: &[String]) -> bool {
        for table in tables {
            if !self.has(table).await {
                return false;
            }
        }
        true
    }
}

#[async_trait]
impl AsyncDB for Bench {
    type Error = CaseFault;
    type ColumnType = DefaultColumnType;

    async fn run(
        &mut self,
        sql: &str,
    ) -> std::result::Result<DBOutput<Self::ColumnType>, Self::Error> {
        if let Some(now) = set_now(sql) {
            self.now = Some(now?);
            return Ok(DBOutput::StatementComplete(0));
        }
        let is_query = crate::references(sql).is_ok_and(|tables| !tables.is_empty())
            && !sql.trim_start().to_ascii_lowercase().starts_with("create");
        let mut unavailable = BTreeMap::new();
        if is_query {
            unavailable = self.reconcile().await?;
            if sql.contains("metrics.figures") {
                self.compute_figures().await?;
            }
        } else {
            self.forget()?;
        }
        let batches = self.execute(sql).await.map_err(|error| {
            let missing = unavailable.iter().find(|(name, _)| sql.contains(name.as_str()));
            match missing {
                Some((name, reason)) => CaseFault(format!("{name} cannot be planned: {reason}")),
                None => CaseFault::from(error),
            }
        })?;
        let Some(columns) = batches.first().map(RecordBatch::num_columns) else {
            return Ok(DBOutput::StatementComplete(0));
        };
        let mut rows = Vec::new();
        for batch in &batches {
            for row in 0..batch.num_rows() {
                let texts = record_text(batch, row)?.into_iter().map(|(_, value)| match value {
                    None => "NULL".to_owned(),
                    Some(text) if text.is_empty() => "(empty)".to_owned(),
                    Some(text) => text,
                });
                rows.push(texts.collect());
            }
        }
        Ok(DBOutput::Rows { types: vec![DefaultColumnType::Any; columns], rows })
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &str {
        "huiliu"
    }

    async fn sleep(duration: std::time::Duration) {
        tokio::time::sleep(duration).await;
    }

    /// Cases are SQL; commands of the system have no place in them.
    async fn run_command(command: std::process::Command) -> std::io::Result<std::process::Output> {
        let program = command.get_program().to_string_lossy().into_owned();
        Err(std::io::Error::other(format!("a case cannot run `{program}`")))
    }
}
