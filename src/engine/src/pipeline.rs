//! What `pipelines/` holds: models in dependency order, metrics, reconciliations, audits.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::sql::parser::DFParserBuilder;
use datafusion::sql::resolve::resolve_table_references;
use huiliu_core::audit::Audit;
use huiliu_core::model::{Metric, Model, ModelKind};
use huiliu_core::reconcile::Reconciliation;
use huiliu_sdk::{Error, ErrorKind, Result};
use sha2::{Digest, Sha256};

/// The models and metrics of a project.
#[derive(Debug, Clone, Default)]
pub struct Pipelines {
    /// The models, each after those it reads.
    pub models: Vec<Model>,
    /// The metrics by key.
    pub metrics: BTreeMap<String, Metric>,
    /// The reconciliations by name.
    pub reconciliations: BTreeMap<String, Reconciliation>,
    /// The audits by name.
    pub audits: BTreeMap<String, Audit>,
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
        Ok(Self { models: ordered, metrics, reads, ..Self::default() })
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

    /// With audits; SQL that cannot be parsed is an error that names the audit.
    pub fn with_audits(mut self, audits: Vec<Audit>) -> Result<Self> {
        for audit in audits {
            let tables = references(&audit.sql).map_err(|e| e.context(&audit.name))?;
            self.reads.insert(audit.name.clone(), tables);
            self.audits.insert(audit.name.clone(), audit);
        }
        Ok(self)
    }

    /// The reconciliation whose golden table is `table`.
    pub fn reconciliation_of(&self, table: &str) -> Option<&Reconciliation> {
        self.reconciliations.values().find(|rec| rec.table() == table)
    }

    /// The version of what `table` shows now: that of a stored table, or of what a view reads.
    pub(crate) fn content(
        &self,
        table: &str,
        versions: &BTreeMap<String, i64>,
        salt: &str,
    ) -> String {
        match self.model(table) {
            Some(model) if model.header.kind == ModelKind::View => {
                self.fingerprint(table, versions, salt)
            }
            _ => format!("{table}@{:?}", versions.get(table)),
        }
    }

    /// The model called `name`.
    pub fn model(&self, name: &str) -> Option<&Model> {
        self.models.iter().find(|model| model.name == name)
    }

    /// The tables a model or an audit names.
    pub fn reads(&self, model: &str) -> impl Iterator<Item = &str> {
        self.reads.get(model).into_iter().flatten().map(String::as_str)
    }

    /// A hash that changes when anything `table` is computed from changes: SQL of the views on
    /// the way, and the version of each stored table (`versions`) at their ends.
    pub fn fingerprint(&self, table: &str, versions: &BTreeMap<String, i64>, salt: &str) -> String {
        let mut hash = Sha256::new();
        hash.update(salt);
        let mut open = vec![table.to_owned()];
        let mut seen = BTreeSet::new();
        let mut parts = BTreeSet::new();
        while let Some(name) = open.pop() {
            if !seen.insert(name.clone()) {
                continue;
            }
            let opened = match (self.model(&name), self.audits.get(&name)) {
                (Some(model), _) if name == table || model.header.kind == ModelKind::View => {
                    Some((&model.sql, &model.header.key))
                }
                (_, Some(audit)) => Some((&audit.sql, &audit.header.key)),
                _ => None,
            };
            match opened {
                Some((sql, key)) => {
                    parts.insert(format!("{name}\0{sql}\0{key:?}"));
                    open.extend(self.reads(&name).map(str::to_owned));
                }
                None => {
                    // Repairs are a view of the ledger.
                    let ledger = self.reconciliations.values().find(|r| r.repairs() == name);
                    if let Some(rec) = ledger {
                        open.push(rec.differences());
                    }
                    // `raw` and `history` change with `current` or on their own; take both.
                    let (_, plain) = name.split_once('.').unwrap_or(("", &name));
                    for layer in ["current", "history"] {
                        let stored = format!("{layer}.{plain}");
                        if let Some(version) = versions.get(&stored) {
                            parts.insert(format!("{stored}@{version}"));
                        }
                    }
                    parts.insert(format!("{name}@{:?}", versions.get(&name)));
                }
            }
        }
        for part in parts {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        hex(&hash.finalize())
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
