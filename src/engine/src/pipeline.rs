//! What `pipelines/` holds: models in dependency order, metrics.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::sql::parser::DFParserBuilder;
use datafusion::sql::resolve::resolve_table_references;
use huiliu_core::model::{Metric, Model, ModelKind};
use huiliu_core::reconcile::Reconciliation;
use huiliu_sdk::{Error, ErrorKind, Result};

use crate::origin::{FileHashes, Origin, short_hash};

/// The models and metrics of a project.
#[derive(Debug, Clone, Default)]
pub struct Pipelines {
    /// The models, each after those it reads.
    pub models: Vec<Model>,
    /// The metrics by key.
    pub metrics: BTreeMap<String, Metric>,
    /// The reconciliations by name.
    pub reconciliations: BTreeMap<String, Reconciliation>,
    reads: BTreeMap<String, BTreeSet<String>>,
}

/// The tables a statement names, as `schema.table`.
pub fn references(sql: &str) -> Result<BTreeSet<String>> {
    let wrong = |message: String| {
        Error::new(ErrorKind::Config, "E-SQL", message).hint("it must be one SELECT statement")
    };
    let mut statements = DFParserBuilder::new(sql)
        .build()
        .and_then(|mut parser| parser.parse_statements())
        .map_err(|e| wrong(e.strip_backtrace()))?;
    let statement = statements.pop_front().ok_or_else(|| wrong("there is no statement".into()))?;
    if !statements.is_empty() {
        return Err(wrong("there is more than one statement".into()));
    }
    let (tables, _) =
        resolve_table_references(&statement, true).map_err(|e| wrong(e.strip_backtrace()))?;
    Ok(tables
        .into_iter()
        .map(|table| format!("{}.{}", table.schema().unwrap_or("standard"), table.table()))
        .collect())
}

impl Pipelines {
    /// Orders `models`; a circle or SQL that cannot be parsed is an error that names the model.
    pub fn new(models: Vec<Model>, metrics: Vec<Metric>) -> Result<Self> {
        let mut reads = BTreeMap::new();
        for model in &models {
            let tables =
                references(&model.sql).map_err(|e| e.context(format!("model {}", model.name)))?;
            reads.insert(model.name.clone(), tables);
        }
        let names: BTreeSet<String> = models.iter().map(|model| model.name.clone()).collect();
        let mut ordered: Vec<Model> = Vec::with_capacity(models.len());
        let mut done = BTreeSet::new();
        let mut waiting = models;
        while !waiting.is_empty() {
            let (ready, rest): (Vec<Model>, Vec<Model>) = waiting.into_iter().partition(|model| {
                reads[&model.name]
                    .iter()
                    .all(|table| !names.contains(table) || done.contains(table))
            });
            if ready.is_empty() {
                let circle: Vec<&str> = rest.iter().map(|model| model.name.as_str()).collect();
                let message = format!("these models need each other: {}", circle.join(", "));
                return Err(Error::new(ErrorKind::Config, "E-GRAPH", message)
                    .hint("take one of the table names out of their SQL"));
            }
            done.extend(ready.iter().map(|model| model.name.clone()));
            ordered.extend(ready);
            waiting = rest;
        }
        let metrics = metrics.into_iter().map(|metric| (metric.key.clone(), metric)).collect();
        Ok(Self { models: ordered, metrics, reconciliations: BTreeMap::new(), reads })
    }

    /// With reconciliations; two that make the same tables are an error.
    pub fn with_reconciliations(mut self, reconciliations: Vec<Reconciliation>) -> Result<Self> {
        for rec in reconciliations {
            if let Some(other) =
                self.reconciliations.values().find(|other| other.entity == rec.entity)
            {
                let message = format!(
                    "the reconciliations {} and {} are both of the entity {}",
                    other.name, rec.name, rec.entity
                );
                return Err(Error::new(ErrorKind::Config, "E-GRAPH", message)
                    .hint("give one of them another `entity`"));
            }
            self.reconciliations.insert(rec.name.clone(), rec);
        }
        Ok(self)
    }

    /// The reconciliation whose golden table is `table`.
    pub fn reconciliation_of(&self, table: &str) -> Option<&Reconciliation> {
        self.reconciliations.values().find(|rec| rec.table() == table)
    }

    /// The model called `name`.
    pub fn model(&self, name: &str) -> Option<&Model> {
        self.models.iter().find(|model| model.name == name)
    }

    /// The tables a model names.
    pub fn reads(&self, model: &str) -> impl Iterator<Item = &str> {
        self.reads.get(model).into_iter().flatten().map(String::as_str)
    }

    /// What `table` is computed from: SQL of the views on the way, and the version of each stored
    /// table (`versions`) at their ends.
    pub fn origin(
        &self,
        table: &str,
        versions: &BTreeMap<String, i64>,
        files: &FileHashes,
    ) -> Origin {
        self.trace(vec![table.to_owned()], Some(table), versions, files)
    }

    /// What the rows of `table` come from, as they are stored: of a model that is a table, its version
    /// and not its SQL, which may not have been run yet.
    pub fn rows_origin(
        &self,
        table: &str,
        versions: &BTreeMap<String, i64>,
        files: &FileHashes,
    ) -> Origin {
        self.trace(vec![table.to_owned()], None, versions, files)
    }

    /// Follows the tables in `open` through views to stored tables. Of `own` it is the SQL that
    /// counts, even where it is stored.
    fn trace(
        &self,
        mut open: Vec<String>,
        own: Option<&str>,
        versions: &BTreeMap<String, i64>,
        files: &FileHashes,
    ) -> Origin {
        let mut origin = Origin { files: files.clone(), ..Origin::default() };
        let mut seen = BTreeSet::new();
        while let Some(name) = open.pop() {
            if !seen.insert(name.clone()) {
                continue;
            }
            match self.model(&name) {
                Some(model) if own == Some(&name) || model.header.kind == ModelKind::View => {
                    let key = model.header.key.join("\0");
                    let hash = short_hash(&[&model.sql, &key]);
                    origin.definitions.insert(name.clone(), hash);
                    open.extend(self.reads(&name).map(str::to_owned));
                }
                _ => {
                    // Repairs are a view of the ledger.
                    let ledger = self.reconciliations.values().find(|r| r.repairs() == name);
                    if let Some(rec) = ledger {
                        let systems: Vec<&str> = rec
                            .systems
                            .iter()
                            .filter(|system| system.repair)
                            .map(|system| system.name.as_str())
                            .collect();
                        origin.definitions.insert(name, short_hash(&systems));
                        open.push(rec.differences());
                        continue;
                    }
                    // `raw` and `history` change with `current` or on their own; take both.
                    let (_, plain) = name.split_once('.').unwrap_or(("", &name));
                    for layer in ["current", "history"] {
                        let stored = format!("{layer}.{plain}");
                        if let Some(version) = versions.get(&stored) {
                            origin.inputs.insert(stored, Some(*version));
                        }
                    }
                    // Code tables are among the files.
                    if !name.starts_with("codes.") {
                        let version = versions.get(&name).copied();
                        origin.inputs.insert(name, version);
                    }
                }
            }
        }
        origin
    }

    /// What a reconciliation depends on beside the rows of what it reads.
    pub(crate) fn reconcile_origin(
        &self,
        rec: &Reconciliation,
        method: &str,
        versions: &BTreeMap<String, i64>,
        files: &FileHashes,
    ) -> Origin {
        let mut origin = self.trace(rec.reads(), None, versions, files);
        origin.definitions.insert(rec.table(), short_hash(&[method, &rec.definition()]));
        origin
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
