//! What a reconciliation writes: files of the golden table, of the ledger, its events and the
//! coverage, all for one commit.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, StringArray};
use arrow::compute::{SortColumn, filter_record_batch, lexsort_to_indices, take_record_batch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use arrow::util::display::ArrayFormatter;
use futures::StreamExt;
use huiliu_core::reconcile::Reconciliation;
use huiliu_lake::{
    FileWriter, LakeTable, Merge, MergePlan, Positions, RowStamp, TableChange, storage_batch,
};
use huiliu_sdk::{Error, Ops, Result, WriteMode};
use huiliu_store::Balance;

use super::decide::{Decision, text_options};
use super::findings::joined_key;
use super::golden::{self, Golden};
use super::ledger::{self, Difference, DifferenceEvent, Ledger};
use super::matching::{self, Match};
use super::plan::Layout;
use super::rows::Entity;
use super::state::{has_table, quoted};
use super::{ReconcileRequest, coverage};
use crate::failure::engine_error;
use crate::hash::{Identity, add_column};
use crate::session::{Engine, Session};

/// Rows handed to a merge at once.
const CHUNK: usize = 1 << 16;

/// Where a reconciliation writes what it finds.
pub(super) trait Target {
    /// The columns of the golden table.
    fn schema(&self) -> &SchemaRef;
    /// Takes rows out of the golden table by the key in their columns.
    async fn remove(&mut self, keys: RecordBatch) -> Result<()>;
    /// Writes rows of the golden table.
    async fn golden(&mut self, batches: Vec<RecordBatch>) -> Result<()>;
    /// Writes what the run did to the ledger.
    async fn ledger(&mut self, ledger: Ledger) -> Result<()>;
    /// Writes which rows belong to which entity.
    async fn matches(&mut self, rows: &[Match]) -> Result<()>;
    /// Writes the coverage.
    async fn coverage(&mut self, batch: RecordBatch) -> Result<()>;
    /// Writes how many keys are in each class.
    async fn classes(&mut self, counts: &[u64]) -> Result<()>;
}

/// The tables of one reconciliation in the lake, being written.
pub(super) struct Output<'a> {
    engine: &'a Engine,
    request: ReconcileRequest<'a>,
    schema: SchemaRef,
    golden: Option<Merge>,
    differences: LakeTable,
    events: LakeTable,
    coverage: LakeTable,
    matches: LakeTable,
    classes: LakeTable,
    changes: Vec<TableChange>,
    rows: u64,
}

impl<'a> Output<'a> {
    /// Makes sure that the tables are there.
    pub(super) async fn new(
        engine: &'a Engine,
        request: ReconcileRequest<'a>,
        layout: &Layout,
    ) -> Result<Self> {
        let rec = request.reconciliation;
        let schema = golden::schema(rec, layout);
        let lake = engine.lake();
        let mut tx = lake.store().begin().await?;
        let mut tables = Vec::with_capacity(6);
        for (name, stored) in stored_tables(rec, &schema) {
            let (schema_name, table) = name.split_once('.').unwrap_or(("reconciled", &name));
            tables.push(lake.ensure_table(&mut tx, schema_name, table, &stored).await?);
        }
        tx.commit().await?;
        let [table, differences, events, coverage, matches, classes] =
            <[LakeTable; 6]>::try_from(tables)
                .map_err(|_| Error::internal("a reconciliation has six tables"))?;
        let mut output = Self {
            engine,
            request,
            schema,
            golden: None,
            differences,
            events,
            coverage,
            matches,
            classes,
            changes: Vec::new(),
            rows: 0,
        };
        let (schema, key) = (Arc::clone(&output.schema), rec.key.clone());
        output.golden = Some(output.merge(&table, &schema, key, WriteMode::Upsert).await?);
        Ok(output)
    }

    async fn merge(
        &self,
        table: &LakeTable,
        schema: &SchemaRef,
        key: Vec<String>,
        mode: WriteMode,
    ) -> Result<Merge> {
        let stamp =
            RowStamp { run: self.request.run, seq: 1, received_at: self.request.received_at };
        // What was computed can be computed again: no version of it is kept.
        let plan = MergePlan { mode, key, forget: true, ..MergePlan::default() };
        let (table, no_history) = (table.clone(), table.clone());
        Merge::start(self.engine.lake(), table, no_history, schema, plan, stamp).await
    }

    /// Where rows of this run come from.
    fn positions(&mut self, rows: usize) -> Positions {
        let mut positions = Positions::new();
        let from = self.rows;
        self.rows += rows as u64;
        let origin = format!("reconcile/{}", self.request.reconciliation.name);
        positions.push(origin.into(), (from..self.rows).collect());
        positions
    }

    async fn merge_golden(&mut self, batch: RecordBatch, ops: Ops) -> Result<()> {
        let positions = self.positions(batch.num_rows());
        let merge = self.golden.take();
        let mut merge = merge.ok_or_else(|| Error::internal("the golden table is finished"))?;
        let merged = tokio::task::spawn_blocking(move || {
            let result = merge.merge(&batch, &ops, &positions);
            (merge, result)
        });
        let (merge, result) =
            merged.await.map_err(|e| Error::internal("merging ended early").cause(e))?;
        self.golden = Some(merge);
        result?;
        Ok(())
    }

    /// Merges a batch that is small enough to be done at once.
    async fn small(
        &mut self,
        table: &LakeTable,
        batch: RecordBatch,
        key: Vec<String>,
        mode: WriteMode,
    ) -> Result<Vec<TableChange>> {
        let mut merge = self.merge(table, &batch.schema(), key, mode).await?;
        let positions = self.positions(batch.num_rows());
        let merged = tokio::task::spawn_blocking(move || {
            merge.merge(&batch, &Ops::Upsert, &positions)?;
            merge.finish()
        });
        let result =
            merged.await.map_err(|e| Error::internal("merging ended early").cause(e))??;
        Ok(result.changes)
    }

    /// Ends the files.
    pub(super) async fn finish(mut self) -> Result<(Vec<TableChange>, Balance)> {
        let merge = self.golden.take();
        let merge = merge.ok_or_else(|| Error::internal("the golden table is finished"))?;
        let finished = tokio::task::spawn_blocking(move || merge.finish());
        let result =
            finished.await.map_err(|e| Error::internal("merging ended early").cause(e))??;
        let mut changes = result.changes;
        changes.append(&mut self.changes);
        Ok((changes, result.balance))
    }
}

impl Target for Output<'_> {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    async fn golden(&mut self, batches: Vec<RecordBatch>) -> Result<()> {
        for batch in batches {
            self.merge_golden(batch, Ops::Upsert).await?;
        }
        Ok(())
    }

    async fn remove(&mut self, keys: RecordBatch) -> Result<()> {
        self.merge_golden(keys, Ops::Delete).await
    }

    async fn ledger(&mut self, ledger: Ledger) -> Result<()> {
        if !ledger.events.is_empty() {
            self.changes.push(appended(&self.events, &ledger.events)?);
        }
        if ledger.written.is_empty() {
            return Ok(());
        }
        let batch = ledger::difference_batch(&ledger.written)?;
        let key = vec!["difference_id".to_owned()];
        let table = self.differences.clone();
        let change = self.small(&table, batch, key, WriteMode::Upsert).await?;
        self.changes.extend(change);
        Ok(())
    }

    async fn matches(&mut self, rows: &[Match]) -> Result<()> {
        let key = ["system", "row_id"].map(str::to_owned).to_vec();
        let table = self.matches.clone();
        let batch = matching::batch(rows)?;
        let change = self.small(&table, batch, key, WriteMode::Replace).await?;
        self.changes.extend(change);
        Ok(())
    }

    async fn classes(&mut self, counts: &[u64]) -> Result<()> {
        let batch = class_batch(self.request.reconciliation, counts)?;
        let table = self.classes.clone();
        let change = self.small(&table, batch, vec!["class".into()], WriteMode::Replace).await?;
        self.changes.extend(change);
        Ok(())
    }

    async fn coverage(&mut self, batch: RecordBatch) -> Result<()> {
        let key = ["field", "system", "code"].map(str::to_owned).to_vec();
        let table = self.coverage.clone();
        let change = self.small(&table, batch, key, WriteMode::Replace).await?;
        self.changes.extend(change);
        Ok(())
    }
}

/// The tables of a reconciliation and the columns they have in the lake. `golden` are those of the
/// golden table without the hub's own.
pub(super) fn stored_tables(rec: &Reconciliation, golden: &SchemaRef) -> [(String, Schema); 6] {
    let merged = |data: &Schema| Merge::table_schemas(data, WriteMode::Upsert).0;
    [
        (rec.table(), merged(golden)),
        (rec.differences(), merged(&ledger::difference_schema())),
        (rec.events(), ledger::event_schema().as_ref().clone()),
        (rec.coverage(), merged(&coverage::schema())),
        (rec.matches(), merged(&matching::schema())),
        (rec.class_counts(), merged(&class_schema())),
    ]
}

/// The keys of rows of the golden table that no system has any more.
pub(super) async fn gone(
    session: &Session,
    rec: &Reconciliation,
    gone: &HashSet<u128, Identity>,
) -> Result<Vec<RecordBatch>> {
    let mut found = Vec::new();
    if gone.is_empty() {
        return Ok(found);
    }
    let columns: Vec<String> = rec.key.iter().map(|column| quoted(column)).collect();
    let sql = format!("select {} from {}", columns.join(", "), quoted(&rec.table()));
    let failed = |e| engine_error("reading the golden table", e);
    let mut stream = session.query(&sql).await?.execute_stream().await.map_err(failed)?;
    while let Some(batch) = stream.next().await {
        let batch = batch.map_err(failed)?;
        let mut keys = vec![0_u128; batch.num_rows()];
        for (column, seed) in batch.columns().iter().zip(1..) {
            add_column(&mut keys, column, seed)?;
        }
        let mask: BooleanArray = keys.iter().map(|key| Some(gone.contains(key))).collect();
        let batch = filter_record_batch(&batch, &mask)?;
        if batch.num_rows() > 0 {
            found.push(batch);
        }
    }
    Ok(found)
}

impl Engine {
    /// Writes rows of a ledger that exists, with the events that made them so; what to commit.
    pub async fn write_ledger(
        &self,
        rec: &Reconciliation,
        rows: &[Difference],
        events: &[DifferenceEvent],
        stamp: RowStamp,
    ) -> Result<Vec<TableChange>> {
        let gone = || Error::internal("the ledger is not there");
        let lake = self.lake();
        let named = async |table: String| {
            let (schema, name) = table.split_once('.').unwrap_or(("reconciled", &table));
            lake.table(schema, name).await?.ok_or_else(gone)
        };
        let ledger = named(rec.differences()).await?;
        let plan = MergePlan {
            mode: WriteMode::Upsert,
            key: vec!["difference_id".to_owned()],
            forget: true,
            ..MergePlan::default()
        };
        let schema = ledger::difference_schema();
        let (table, no_history) = (ledger.clone(), ledger);
        let mut merge = Merge::start(lake, table, no_history, &schema, plan, stamp).await?;
        let batch = ledger::difference_batch(rows)?;
        let mut positions = Positions::new();
        positions.push("ledger".into(), (0..batch.num_rows() as u64).collect());
        merge.merge(&batch, &Ops::Upsert, &positions)?;
        let mut changes = merge.finish()?.changes;
        changes.push(appended(&named(rec.events()).await?, events)?);
        Ok(changes)
    }
}

fn class_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("class", DataType::Utf8, true),
        Field::new("keys", DataType::Int64, true),
    ]))
}

/// How many keys are in each class, as a batch.
pub(super) fn class_batch(rec: &Reconciliation, counts: &[u64]) -> Result<RecordBatch> {
    let numbers = counts.iter().map(|count| i64::try_from(*count).ok());
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(rec.classes())),
        Arc::new(numbers.collect::<Int64Array>()),
    ];
    Ok(RecordBatch::try_new(class_schema(), columns)?)
}

/// Events as a file that is added to their table.
fn appended(table: &LakeTable, events: &[DifferenceEvent]) -> Result<TableChange> {
    let mut writer = FileWriter::create(table)?;
    writer.write(&ledger::event_batch(events)?)?;
    let mut change = TableChange::new(table.clone());
    change.added.push((writer.finish()?, None));
    Ok(change)
}

/// The rows of decided keys as batches, sorted by key, ready to be merged.
pub(super) fn chunks(
    golden: &Golden<'_>,
    decided: &[(&Entity, &Decision)],
) -> Result<Vec<RecordBatch>> {
    if decided.is_empty() {
        return Ok(Vec::new());
    }
    let rows = storage_batch(&golden.rows(decided)?, golden.schema)?;
    let columns: Vec<SortColumn> = (0..golden.rec.key.len())
        .map(|place| SortColumn { values: Arc::clone(rows.column(place)), options: None })
        .collect();
    let order = lexsort_to_indices(&columns, None)?;
    let mut chunks = Vec::with_capacity(rows.num_rows().div_ceil(CHUNK));
    for from in (0..rows.num_rows()).step_by(CHUNK) {
        let part = order.slice(from, CHUNK.min(rows.num_rows() - from));
        chunks.push(take_record_batch(&rows, &part)?);
    }
    Ok(chunks)
}

/// The keys in the columns of `batch` as text.
pub(super) fn key_texts(batch: &RecordBatch) -> Result<Vec<String>> {
    let options = text_options();
    let mut columns = Vec::with_capacity(batch.num_columns());
    for column in batch.columns() {
        columns.push(ArrayFormatter::try_new(column.as_ref(), &options)?);
    }
    let mut texts = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        let mut parts = Vec::with_capacity(columns.len());
        for column in &columns {
            parts.push(column.value(row).try_to_string()?);
        }
        texts.push(joined_key(parts));
    }
    Ok(texts)
}

/// All rows of the ledger.
pub async fn read_differences(
    engine: &Engine,
    session: &Session,
    rec: &Reconciliation,
) -> Result<Vec<Difference>> {
    let table = rec.differences();
    if !has_table(engine, &table).await? {
        return Ok(Vec::new());
    }
    let mut rows = Vec::new();
    for batch in session.collect(&format!("select * from {}", quoted(&table)), None).await? {
        rows.extend(ledger::differences(&batch)?);
    }
    Ok(rows)
}

/// What happened to the differences of one key, oldest first.
pub async fn read_events(
    engine: &Engine,
    session: &Session,
    rec: &Reconciliation,
    key: &str,
) -> Result<Vec<DifferenceEvent>> {
    let table = rec.events();
    if !has_table(engine, &table).await? {
        return Ok(Vec::new());
    }
    let sql = format!(
        "select * from {} where entity_key = '{}' order by at, difference_id",
        quoted(&table),
        key.replace('\'', "''")
    );
    let mut rows = Vec::new();
    for batch in session.collect(&sql, None).await? {
        rows.extend(ledger::events(&batch)?);
    }
    Ok(rows)
}
