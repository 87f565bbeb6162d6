//! What editing the pipelines would do, computed beside the lake: a rehearsal builds tables,
//! reconciles and counts figures on the latest snapshot, each on top of the ones before, and commits
//! nothing.

mod compare;
mod figure;
mod live;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::prelude::DataFrame;
use huiliu_core::model::{Metric, Model};
use huiliu_core::reconcile::Reconciliation;
use huiliu_sdk::{Error, ErrorKind, Result};
use serde::Serialize;

use self::compare::{Compare, common_key};
use crate::build::Selected;
use crate::failure::engine_error;
use crate::metric::Figure;
use crate::origin::Origin;
use crate::personal::Personal;
use crate::reconcile::{ReconcileReport, ReconcileRequest};
use crate::scan::TableScan;
use crate::scratch::{Scratch, ScratchTable};
use crate::session::{Engine, Session};

pub use compare::{Cell, Example, RowKind, TableDiff};
pub use figure::{FigureMove, StoredFigure};
pub use live::{LiveRows, LiveWriter};

/// The version of a table that is only planned. No table of the lake has it.
pub const PLANNED: i64 = -1;

/// How often the lake is looked at again while it is being written.
const LOOKS: u32 = 5;

/// Tables as they would be, over the lake at one snapshot.
pub struct Rehearsal<'a> {
    engine: &'a Engine,
    /// The lake as it is.
    before: Session,
    /// The lake with the planned tables in it.
    after: Session,
    scratch: Scratch,
    versions: BTreeMap<String, i64>,
    personal: Personal,
    examples: usize,
}

/// What would come of a model.
#[derive(Debug, Clone, Serialize)]
pub struct ModelDraft {
    /// What becomes of its rows.
    pub diff: TableDiff,
    /// The columns of its SELECT.
    #[serde(skip)]
    pub columns: Vec<String>,
}

/// What would come of a reconciliation.
#[derive(Debug, Clone, Serialize)]
pub struct ReconcileDraft {
    /// What becomes of the rows of its golden table.
    pub diff: TableDiff,
    /// What was found.
    pub report: ReconcileReport,
    /// Keys in each class so far.
    pub classes_before: BTreeMap<String, u64>,
}

impl Engine {
    /// Begins a rehearsal on the latest snapshot. `examples` is how many rows of each kind are
    /// shown of a table that changes.
    pub async fn rehearse(&self, examples: usize) -> Result<Rehearsal<'_>> {
        for _ in 0..LOOKS {
            let before = self.session(None).await?;
            let versions = self.lake().table_versions().await?;
            // Versions and snapshot must belong together.
            if self.lake().latest_snapshot().await? != before.snapshot() {
                continue;
            }
            let after = self.session(Some(before.snapshot())).await?;
            let scratch = Scratch::new(&self.options().spill)?;
            return Ok(Rehearsal {
                engine: self,
                before,
                after,
                scratch,
                versions,
                personal: Personal::new(self.tagged()),
                examples,
            });
        }
        Err(Error::new(ErrorKind::Conflict, "E-LAKE-CONFLICT", "the lake is being written")
            .hint("run it again"))
    }
}

impl Rehearsal<'_> {
    /// The snapshot it stands on.
    pub fn snapshot(&self) -> i64 {
        self.before.snapshot()
    }

    /// The versions of the tables, [`PLANNED`] for those that would be others.
    pub fn versions(&self) -> &BTreeMap<String, i64> {
        &self.versions
    }

    /// What `table` would be computed from.
    pub fn origin(&self, table: &str) -> Origin {
        self.engine.pipelines().origin(table, &self.versions, self.engine.files())
    }

    /// What the rows of `table` would come from.
    pub fn rows_origin(&self, table: &str) -> Origin {
        self.engine.pipelines().rows_origin(table, &self.versions, self.engine.files())
    }

    /// Takes note of a model that is a view or stays as it is: which of its columns are personal.
    pub async fn pass_model(&mut self, model: &Model) {
        // A SELECT that cannot be planned shows nothing.
        if let Ok(frame) = self.after.query(&model.sql).await {
            self.personal.learn(&model.name, frame.logical_plan());
        }
    }

    /// Takes note of a reconciliation: which columns of its tables are personal.
    pub fn pass_reconciliation(&mut self, rec: &Reconciliation) {
        self.personal.learn_reconciliation(rec);
    }

    /// The kind of personal data in a column of a table. A table that a rehearsal has not come to may
    /// hold some in all columns.
    pub fn personal(&self, table: &str, column: &str) -> Option<&str> {
        self.personal.tag(table, column)
    }

    /// Builds the table of a model.
    pub async fn model(&mut self, model: &Model) -> Result<ModelDraft> {
        self.pass_model(model).await;
        let mut selected = Selected::of(&self.after, model).await?;
        let mut writer =
            self.scratch.table(self.engine.lake(), &model.name, &selected.schema).await?;
        while let Some(batch) = selected.next().await? {
            writer.write(&batch)?;
        }
        let columns = selected.schema.fields().iter().map(|field| field.name().clone()).collect();
        drop(selected);
        let diff = self.compare(&model.name, &model.header.key, writer.finish()?, true).await?;
        self.engine.add_views(&mut self.after).await;
        Ok(ModelDraft { diff, columns })
    }

    /// Looks at a reconciliation. Its tables become those of the rehearsal where they are others.
    pub async fn reconcile(&mut self, request: ReconcileRequest<'_>) -> Result<ReconcileDraft> {
        let rec = request.reconciliation;
        self.pass_reconciliation(rec);
        let drafted = self
            .engine
            .draft_reconcile(&self.after, &self.scratch, &self.versions, request)
            .await?;
        let classes_before = self.classes(&rec.class_counts()).await?;
        let mut golden = TableDiff::default();
        for (name, table) in drafted.tables {
            let is_golden = name == rec.table();
            let key: &[String] = if is_golden { &rec.key } else { &[] };
            let diff = self.compare(&name, key, table, false).await?;
            if is_golden {
                golden = diff;
            }
        }
        self.engine.add_views(&mut self.after).await;
        Ok(ReconcileDraft { diff: golden, report: drafted.report, classes_before })
    }

    async fn classes(&self, table: &str) -> Result<BTreeMap<String, u64>> {
        let mut classes = BTreeMap::new();
        if !self.versions.contains_key(table) {
            return Ok(classes);
        }
        let sql = format!("select class, keys from {}", quoted(table));
        for batch in self.before.collect(&sql, None).await? {
            for row in 0..batch.num_rows() {
                let mut values = crate::record_text(&batch, row)?.into_iter().map(|(_, v)| v);
                let mut next = || values.next().flatten().unwrap_or_default();
                let (class, keys) = (next(), next());
                classes.insert(class, keys.parse().unwrap_or(0));
            }
        }
        Ok(classes)
    }

    /// Compares a planned table with the one that is there, and puts it in its place: `always`, or
    /// where it is another one.
    async fn compare(
        &mut self,
        name: &str,
        key: &[String],
        table: ScratchTable,
        always: bool,
    ) -> Result<TableDiff> {
        let provider = table.provider()?;
        let before = match self.versions.contains_key(name) {
            true => Some(self.before.query(&format!("select * from {}", quoted(name))).await?),
            false => None,
        };
        let after = self.after.context().read_table(Arc::clone(&provider));
        let after = after.map_err(|e| engine_error(&format!("comparing {name}"), e))?;
        let held: Option<SchemaRef> = before.as_ref().map(schema_of);
        let options = self.engine.options();
        let compare = Compare {
            table: name,
            key: common_key(key, held.as_ref()),
            examples: self.examples,
            spill: &options.spill,
            limit: options.memory_bytes / 4,
        };
        let diff = compare.run(before, after).await?;
        if always || !diff.is_same() {
            self.after.put_table(name, provider)?;
        }
        // A column that is new and empty gives the table no new version.
        if always || diff.rows_before.is_none() || diff.rows() > 0 {
            self.versions.insert(name.to_owned(), PLANNED);
        }
        Ok(diff)
    }

    /// The figure of `metric` on the tables as they would be.
    pub async fn figure(&self, metric: &Metric, day: &str) -> Result<Figure> {
        self.after.figure(metric, day).await
    }

    /// Reads columns of a table as it would be.
    pub async fn scan(&self, table: &str, columns: &[String]) -> Result<TableScan> {
        let columns: Vec<String> = columns.iter().map(|column| quoted_name(column)).collect();
        let sql = format!("select {} from {}", columns.join(", "), quoted(table));
        let frame = self.after.query(&sql).await?;
        TableScan::start(frame, table, self.snapshot(), PLANNED).await
    }
}

fn schema_of(frame: &DataFrame) -> SchemaRef {
    Arc::clone(frame.schema().inner())
}

fn quoted_name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn quoted(table: &str) -> String {
    table.split('.').map(quoted_name).collect::<Vec<String>>().join(".")
}
