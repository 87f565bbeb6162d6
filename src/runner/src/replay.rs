//! Rows in quarantine are tried again from their originals, without asking the source.
//!
//! A row that fits now is merged like any other. It never overwrites a newer version of its key
//! that arrived meanwhile: where the stream has a version or cursor column, the greater value is
//! newer; else, or when they are equal, what was received after the row was set aside is newer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Date32Array, UInt64Array, make_comparator};
use arrow::compute::{SortOptions, cast, is_not_null, take_record_batch};
use arrow::datatypes::{DataType, Date32Type, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use chrono::{DateTime, FixedOffset};
use huiliu_core::identifier::id_card_rounded;
use huiliu_lake::{
    Commit, LakeTable, Merge, MergePlan, Positions, RowStamp, StoredRow, storage_batch,
};
use huiliu_sdk::{
    Cell, ColumnType, ConfigErrors, Error, Op, Ops, OriginalValue, Policy, Result, RowBuilder,
    StreamSettings, WriteMode, read_original,
};
use huiliu_store::{Balance, Lease, QuarantineRow, RunState, SealedRow, StepRow, StreamState};
use serde::Serialize;
use serde_json::json;

use crate::audit::{Change, Deed};
use crate::hub::Hub;
use crate::quarantine::{Selection, split, unknown};
use crate::rewind::check_state;

/// Rows read from the database at once.
const PAGE: u32 = 2_000;
/// Rows tried at once.
const MOST: usize = 65_536;
/// The column of a table of snapshots that says of which day a row is.
const DAY: &str = "_snapshot";

/// What became of the rows of one stream that were tried again.
#[derive(Debug, Clone, Serialize)]
pub struct ReplayReport {
    /// The run that tried them.
    pub run_id: i64,
    /// Its step, with the balance.
    pub step: StepRow,
    /// Rows whose original is no row of columns; they cannot be tried again.
    pub not_replayable: u64,
}

/// A row with its original told apart.
struct Candidate {
    row: QuarantineRow,
    values: Vec<(String, OriginalValue)>,
}

/// Why a row stays.
struct Stay {
    id: i64,
    code: String,
    reason: String,
}

/// What one commit does.
#[derive(Default)]
struct Outcome {
    leaves: Vec<i64>,
    stays: Vec<Stay>,
    balance: Balance,
}

impl Hub {
    /// Tries the selected rows again, stream by stream.
    pub async fn replay(&self, wanted: &Selection, deed: &Deed<'_>) -> Result<Vec<ReplayReport>> {
        let mut streams: BTreeMap<(String, String), Option<BTreeSet<i64>>> = BTreeMap::new();
        for id in &wanted.ids {
            let found = self.lake().store().sealed_row(*id).await?.ok_or_else(|| unknown(*id))?;
            let name = (found.row.system, found.row.stream);
            streams
                .entry(name)
                .or_insert_with(|| Some(BTreeSet::new()))
                .get_or_insert_default()
                .insert(*id);
        }
        if let Some(node) = &wanted.stream {
            streams.entry(split(self, node)?).or_insert(None);
        }
        if wanted.ids.is_empty() && wanted.stream.is_none() {
            for count in self.lake().store().quarantine_counts(&wanted.filter(self)?).await? {
                streams.entry((count.system, count.stream)).or_insert(None);
            }
        }
        let mut reports = Vec::with_capacity(streams.len());
        for ((system, stream), ids) in streams {
            let node = format!("{system}.{stream}");
            reports.push(Box::pin(self.replay_stream(&node, ids.as_ref(), deed)).await?);
        }
        Ok(reports)
    }

    async fn replay_stream(
        &self,
        node: &str,
        ids: Option<&BTreeSet<i64>>,
        deed: &Deed<'_>,
    ) -> Result<ReplayReport> {
        self.find_stream(node)?;
        let (lock, lease) = self.hold_stream(node).await?;
        let watch =
            self.heartbeat.keep_lease(&lease, tokio_util::sync::CancellationToken::new())?;
        let store = self.lake().store();
        let selector = format!("replay {node}");
        let run_id = store.start_run(None, &selector, &self.holder, &self.now()).await?;
        let mut step = self.new_step(run_id, node, "replay");
        let mut not_replayable = 0;
        let replayed = self.replay_held(node, ids, deed, &lease, &mut step, &mut not_replayable);
        let replayed = Box::pin(replayed).await;
        let (state, exit) = match &replayed {
            Ok(()) => (RunState::Succeeded, huiliu_core::policy::exit::DONE),
            Err(error) => {
                step.code = Some(error.code().to_owned());
                step.message = Some(error.to_string());
                step.hint = error.hint_text().map(str::to_owned);
                (RunState::Failed, huiliu_core::policy::exit_code(error))
            }
        };
        step.state = state.as_str().to_owned();
        step.finished_at = Some(self.now());
        let mut tx = store.begin().await?;
        tx.put_step(&step).await?;
        tx.commit().await?;
        store.finish_run(run_id, state, exit, &self.now()).await?;
        drop(watch);
        store.release_lease(&lease).await?;
        drop(lock);
        replayed.map(|()| ReplayReport { run_id, step, not_replayable })
    }

    async fn replay_held(
        &self,
        node: &str,
        ids: Option<&BTreeSet<i64>>,
        deed: &Deed<'_>,
        lease: &Lease,
        step: &mut StepRow,
        not_replayable: &mut u64,
    ) -> Result<()> {
        let (system, settings) = self.find_stream(node)?;
        let store = self.lake().store();
        let (id, stream) = (&system.config.id, &settings.name);
        let mut state = store.stream_state(id, stream).await?;
        check_state(store, state.as_ref()).await?;
        // Rows of other columns have other hashes, so they are merged apart.
        let mut groups: BTreeMap<(Vec<String>, bool), Vec<Candidate>> = BTreeMap::new();
        let mut after = 0;
        loop {
            let page = store.sealed_rows(id, stream, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.row.quarantine_id;
            for sealed in page {
                if ids.is_some_and(|ids| !ids.contains(&sealed.row.quarantine_id)) {
                    continue;
                }
                let Some(candidate) = self.open_row(sealed)? else {
                    *not_replayable += 1;
                    step.balance.read += 1;
                    step.balance.quarantined += 1;
                    continue;
                };
                let names = candidate.values.iter().map(|(name, _)| name.clone()).collect();
                // Rows without a key were read already, so their times are in the hub's zone.
                let in_hub_zone = candidate.row.code == "E-NULL-KEY";
                groups.entry((names, in_hub_zone)).or_default().push(candidate);
            }
        }
        for ((names, in_hub_zone), candidates) in groups {
            let shape = Shape { names, in_hub_zone };
            for chunk in candidates.chunks(MOST) {
                let group = Group { node, settings, shape: &shape, candidates: chunk };
                state = Box::pin(self.replay_group(&group, state, deed, lease, step)).await?;
            }
        }
        Ok(())
    }

    fn open_row(&self, sealed: SealedRow) -> Result<Option<Candidate>> {
        let raw = self.key.open(&sealed.sealed)?;
        Ok(read_original(&raw).map(|values| Candidate { row: sealed.row, values }))
    }

    /// Tries rows of equal columns and commits what became of them.
    async fn replay_group(
        &self,
        group: &Group<'_>,
        state: Option<StreamState>,
        deed: &Deed<'_>,
        lease: &Lease,
        step: &mut StepRow,
    ) -> Result<Option<StreamState>> {
        let lake = self.lake();
        let name = group.node.replace('.', "_");
        let known = lake.table("current", &name).await?;
        let columns = group.columns(known.as_ref())?;
        let mut outcome = Outcome::default();
        let (batch, rows) = group.build(&columns, self.project.zone, &mut outcome)?;
        // Single rows enter even a table that is otherwise replaced as a whole.
        let mode = match group.settings.write {
            WriteMode::Append | WriteMode::Scd2 => group.settings.write,
            WriteMode::Upsert | WriteMode::Replace | WriteMode::Snapshot => WriteMode::Upsert,
        };
        let (current_schema, history_schema) = Merge::table_schemas(&batch.schema(), mode);
        let mut tx = lake.store().begin().await?;
        let current = lake.ensure_table(&mut tx, "current", &name, &current_schema).await?;
        let history = lake.ensure_table(&mut tx, "history", &name, &history_schema).await?;
        tx.commit().await?;
        let (batch, rows) = group.fitting(&current, batch, rows, &mut outcome)?;
        let key = group.key();
        let order = group.order(&batch);
        let (batch, rows) = if key.is_empty() {
            (batch, rows)
        } else {
            let asked: Vec<String> = order.iter().cloned().collect();
            let stored = lake.stored_rows(&current, &key, &asked, &batch).await?;
            group.newest(order.as_deref(), &stored, batch, rows, &mut outcome)?
        };
        let stamp = RowStamp {
            run: step.run_id,
            seq: state.as_ref().map_or(1, |state| state.seq + 1),
            received_at: self.clock.now().timestamp_micros(),
        };
        let positions = group.positions(&rows);
        let table_id = current.table_id;
        let plan = MergePlan { mode, key, cursor: order, ..MergePlan::default() };
        let mut merge = Merge::start(lake, current, history, &batch.schema(), plan, stamp).await?;
        let ops = group.ops(&batch)?;
        let merged = tokio::task::spawn_blocking(move || {
            let unkeyed = merge.merge(&batch, &ops, &positions)?;
            Ok::<_, Error>((merge.finish()?, unkeyed))
        });
        let (result, unkeyed) =
            merged.await.map_err(|e| Error::internal("merging rows ended early").cause(e))??;
        let unkeyed: BTreeSet<(&str, u64)> =
            unkeyed.iter().map(|row| (row.origin.as_str(), row.position)).collect();
        for index in rows {
            let row = &group.candidates[index].row;
            if unkeyed.contains(&(row.origin.as_str(), u64::try_from(row.position).unwrap_or(0))) {
                let reason = "a key column has no value".to_owned();
                outcome.stay(row.quarantine_id, "E-NULL-KEY", reason);
            } else {
                outcome.leaves.push(row.quarantine_id);
            }
        }
        outcome.balance.add(&result.balance);
        outcome.balance.check()?;
        let commit = Commit {
            changes: result.changes,
            author: format!("run {}", step.run_id),
            message: format!("replay {}", group.node),
        };
        self.commit_replay(group, &commit, &outcome, state, table_id, deed, lease, step).await
    }

    #[allow(clippy::too_many_arguments)] // one transaction needs them all, and nobody else does
    async fn commit_replay(
        &self,
        group: &Group<'_>,
        commit: &Commit,
        outcome: &Outcome,
        state: Option<StreamState>,
        table_id: i64,
        deed: &Deed<'_>,
        lease: &Lease,
        step: &mut StepRow,
    ) -> Result<Option<StreamState>> {
        let mut tx = self.lake().store().begin().await?;
        tx.check_lease(lease).await?;
        let mut next_state = state.clone();
        let mut done = step.clone();
        done.balance.add(&outcome.balance);
        if !commit.is_empty() {
            let snapshot_id = commit.write(&mut tx).await?;
            let (system, stream) = group.node.split_once('.').unwrap_or((group.node, ""));
            let next = StreamState {
                system: system.to_owned(),
                stream: stream.to_owned(),
                seq: state.as_ref().map_or(1, |state| state.seq + 1),
                table_id,
                snapshot_id,
                checkpoint: state.and_then(|state| state.checkpoint),
                run_id: step.run_id,
                updated_at: self.now(),
            };
            tx.advance_state(&next).await?;
            tx.log_commit(&next).await?;
            done.snapshot_id = Some(snapshot_id);
            next_state = Some(next);
        }
        for id in &outcome.leaves {
            tx.leave_quarantine(*id).await?;
        }
        for stay in &outcome.stays {
            tx.keep_in_quarantine(stay.id, &stay.code, &stay.reason).await?;
        }
        let after = Some(json!({ "run_id": step.run_id, "balance": outcome.balance }));
        let change =
            Change { action: "quarantine replay", object: group.node, before: None, after };
        self.note(&mut tx, deed, change).await?;
        tx.put_step(&done).await?;
        tx.commit().await?;
        *step = done;
        Ok(next_state)
    }
}

impl Outcome {
    fn stay(&mut self, id: i64, code: &str, reason: String) {
        self.stays.push(Stay { id, code: code.to_owned(), reason });
    }

    fn refuse(&mut self, id: i64, code: &str, reason: String) {
        self.stay(id, code, reason);
        self.balance.read += 1;
        self.balance.quarantined += 1;
    }
}

/// What rows that are merged together have in common.
struct Shape {
    names: Vec<String>,
    in_hub_zone: bool,
}

/// Rows of one stream and one shape.
struct Group<'a> {
    node: &'a str,
    settings: &'a StreamSettings,
    shape: &'a Shape,
    candidates: &'a [Candidate],
}

impl Group<'_> {
    /// The columns as they are declared now; else as the lake has them; else text. Without those
    /// that the contract keeps out of the table.
    fn columns(&self, table: Option<&LakeTable>) -> Result<Vec<(String, ColumnType, bool)>> {
        let mut faults = ConfigErrors::default();
        let declared = self.settings.declared_columns("columns", &mut faults);
        let evolves = self.settings.contract.columns == Policy::Evolve;
        let mut columns = Vec::with_capacity(self.shape.names.len());
        for name in &self.shape.names {
            let own = declared.get(name);
            let stored = table.and_then(|table| table.schema.field_with_name(name).ok());
            if !evolves && table.is_some() && stored.is_none() {
                continue;
            }
            let kind = own
                .and_then(|own| own.kind)
                .or_else(|| stored.and_then(|field| kind_of(field.data_type())))
                .unwrap_or(ColumnType::Text);
            columns.push((name.clone(), kind, own.is_none_or(|own| own.nullable)));
        }
        Ok(columns)
    }

    /// The rows that fit their columns, with the index of each.
    fn build(
        &self,
        columns: &[(String, ColumnType, bool)],
        hub_zone: chrono_tz::Tz,
        outcome: &mut Outcome,
    ) -> Result<(RecordBatch, Vec<usize>)> {
        let mut faults = ConfigErrors::default();
        let zone = if self.shape.in_hub_zone {
            hub_zone
        } else {
            self.settings.source_zone("zone", hub_zone, &mut faults)
        };
        let agreed: BTreeSet<&str> = columns.iter().map(|(name, ..)| name.as_str()).collect();
        let mut builder = RowBuilder::new(columns, zone, hub_zone);
        for (index, candidate) in self.candidates.iter().enumerate() {
            if let Some((code, reason)) = self.misfit(candidate, &agreed) {
                outcome.refuse(candidate.row.quarantine_id, code, reason);
                continue;
            }
            let values = candidate.values.iter();
            let cells: Vec<Cell<'_>> = values
                .filter(|(name, _)| agreed.contains(name.as_str()))
                .map(|(_, value)| value.cell())
                .collect();
            if let Err(refused) = builder.push(index as u64, &cells) {
                let reason = format!("column `{}`: {}", refused.column, refused.reason);
                outcome.refuse(candidate.row.quarantine_id, refused.code, reason);
            }
        }
        let (batch, positions) = builder.finish()?;
        let rows: Vec<usize> =
            positions.into_iter().map(|p| usize::try_from(p).unwrap_or(0)).collect();
        match self.settings.write {
            WriteMode::Snapshot => Ok((self.on_its_day(&batch, &rows, hub_zone)?, rows)),
            _ => Ok((batch, rows)),
        }
    }

    /// Why a row that can be decoded must stay, as when it was read.
    fn misfit(
        &self,
        candidate: &Candidate,
        agreed: &BTreeSet<&str>,
    ) -> Option<(&'static str, String)> {
        candidate.values.iter().find_map(|(name, value)| {
            if *value != OriginalValue::Null && !agreed.contains(name.as_str()) {
                let reason = format!("the column {name} is not agreed and has a value");
                return Some(("E-CONTRACT-COLUMN", reason));
            }
            let tag = self.settings.columns.get(name).and_then(|spec| spec.tag.as_deref());
            let OriginalValue::Text(text) = value else { return None };
            (tag == Some("id_number") && id_card_rounded(text)).then(|| {
                let reason = format!("the identity number in {name} was rounded by a spreadsheet");
                ("E-EXCEL-ROUNDED", reason)
            })
        })
    }

    /// The rows with the day on which their read was taken: a snapshot of that day lacks them.
    fn on_its_day(
        &self,
        batch: &RecordBatch,
        rows: &[usize],
        zone: chrono_tz::Tz,
    ) -> Result<RecordBatch> {
        let mut days = Vec::with_capacity(rows.len());
        for index in rows {
            let taken = set_aside_at(&self.candidates[*index].row.quarantined_at)?;
            days.push(Date32Type::from_naive_date(taken.with_timezone(&zone).date_naive()));
        }
        let days: ArrayRef = Arc::new(Date32Array::from(days));
        let mut fields: Vec<Arc<Field>> = batch.schema().fields().iter().cloned().collect();
        let mut columns = batch.columns().to_vec();
        fields.push(Arc::new(Field::new(DAY, DataType::Date32, true)));
        columns.push(days);
        Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
    }

    /// What tells rows of the table apart. Snapshots have each row once a day.
    fn key(&self) -> Vec<String> {
        let mut key = self.settings.key.clone();
        match self.settings.write {
            WriteMode::Append => key.clear(),
            WriteMode::Snapshot if !key.is_empty() => key.push(DAY.to_owned()),
            _ => {}
        }
        key
    }

    /// What the rows do: those that the source marks as deleted delete what the lake has of them.
    fn ops(&self, batch: &RecordBatch) -> Result<Ops> {
        let marks = self.settings.deleted.as_ref().and_then(|name| batch.column_by_name(name));
        let Some(marks) = marks else { return Ok(Ops::Upsert) };
        let deleted = match marks.data_type() {
            kind if kind.is_temporal() => is_not_null(marks)?,
            _ => cast(marks, &DataType::Boolean)?.as_boolean().clone(),
        };
        let op = |row: usize| {
            if deleted.is_valid(row) && deleted.value(row) { Op::Delete } else { Op::Upsert }
        };
        Ok(Ops::PerRow((0..batch.num_rows()).map(op).collect()))
    }

    /// The rows that also fit the columns the lake has.
    fn fitting(
        &self,
        table: &LakeTable,
        batch: RecordBatch,
        rows: Vec<usize>,
        outcome: &mut Outcome,
    ) -> Result<(RecordBatch, Vec<usize>)> {
        let mut fields = Vec::with_capacity(batch.num_columns());
        for field in batch.schema().fields() {
            fields.push(
                table
                    .schema
                    .field_with_name(field.name())?
                    .clone()
                    .with_metadata(std::collections::HashMap::new()),
            );
        }
        let schema: SchemaRef = Arc::new(Schema::new(fields));
        if storage_batch(&batch, &schema).is_ok() {
            return Ok((batch, rows));
        }
        let mut kept = Vec::new();
        for (at, index) in rows.iter().enumerate() {
            match storage_batch(&batch.slice(at, 1), &schema) {
                Ok(_) => kept.push(at),
                Err(error) => {
                    let id = self.candidates[*index].row.quarantine_id;
                    outcome.refuse(id, error.code(), error.message().to_owned());
                }
            }
        }
        pick(&batch, &rows, &kept)
    }

    /// The column whose greater value is the newer row.
    fn order(&self, batch: &RecordBatch) -> Option<String> {
        let order = self.settings.version.as_ref().or(self.settings.cursor.as_ref())?;
        batch.column_by_name(order).map(|_| order.clone())
    }

    /// Without the rows whose key has a newer version in the lake.
    fn newest(
        &self,
        order: Option<&str>,
        stored: &[Option<StoredRow>],
        batch: RecordBatch,
        rows: Vec<usize>,
        outcome: &mut Outcome,
    ) -> Result<(RecordBatch, Vec<usize>)> {
        let mut kept = Vec::new();
        for (at, (index, stored)) in rows.iter().zip(stored).enumerate() {
            let row = &self.candidates[*index].row;
            let newer = match stored {
                None => false,
                Some(stored) => is_newer(stored, order, &batch, at, &row.quarantined_at)?,
            };
            if newer {
                outcome.leaves.push(row.quarantine_id);
                outcome.balance.read += 1;
                outcome.balance.deduplicated += 1;
            } else {
                kept.push(at);
            }
        }
        pick(&batch, &rows, &kept)
    }

    fn positions(&self, rows: &[usize]) -> Positions {
        let mut positions = Positions::new();
        for index in rows {
            let row = &self.candidates[*index].row;
            positions
                .push(row.origin.as_str().into(), vec![u64::try_from(row.position).unwrap_or(0)]);
        }
        positions
    }
}

fn pick(batch: &RecordBatch, rows: &[usize], kept: &[usize]) -> Result<(RecordBatch, Vec<usize>)> {
    let indices = UInt64Array::from_iter_values(kept.iter().map(|at| *at as u64));
    let rows = kept.iter().map(|at| rows[*at]).collect();
    Ok((take_record_batch(batch, &indices)?, rows))
}

/// Whether the lake's row of the same key is newer than row `at` of `batch`, which was set aside
/// at `set_aside`.
fn is_newer(
    stored: &StoredRow,
    order: Option<&str>,
    batch: &RecordBatch,
    at: usize,
    set_aside: &str,
) -> Result<bool> {
    if let Some(order) = order
        && let (Some(theirs), Some(ours)) =
            (stored.values.column_by_name(order), batch.column_by_name(order))
    {
        let theirs = cast(theirs, ours.data_type())?;
        let options = SortOptions { descending: false, nulls_first: true };
        let compared = make_comparator(&theirs, ours, options)?(0, at);
        if compared.is_ne() {
            return Ok(compared.is_gt());
        }
    }
    Ok(stored.received_at >= set_aside_at(set_aside)?.timestamp_micros())
}

fn set_aside_at(text: &str) -> Result<DateTime<FixedOffset>> {
    DateTime::parse_from_rfc3339(text)
        .map_err(|e| Error::internal("a row does not say when it was set aside").cause(e))
}

/// The type an operator would declare for a column of the lake.
fn kind_of(data_type: &DataType) -> Option<ColumnType> {
    Some(match data_type {
        DataType::Utf8 => ColumnType::Text,
        DataType::Boolean => ColumnType::Bool,
        DataType::Date32 => ColumnType::Date,
        DataType::Timestamp(..) => ColumnType::Timestamp,
        DataType::Decimal128(precision, scale) => ColumnType::Decimal(*precision, *scale),
        DataType::Binary => ColumnType::Binary,
        other if other.is_integer() => ColumnType::Int,
        other if other.is_floating() => ColumnType::Float,
        _ => return None,
    })
}
