//! Merging rows of a read into a table.
//!
//! Rows are compared with what the table holds by key and hash; new and changed rows are written
//! to new files, equal ones are dropped. Superseded rows stay where they are, marked in a delete
//! file together with the run that superseded them; `history` shows them from there, until
//! maintenance moves them. Copying them at once would mean decoding every page of the table for
//! a change of one row in a hundred.

mod again;
mod case;
mod chunk;
mod keyset;
mod latest;
mod meet;
mod order;
mod plan;
mod position;
mod stage;
mod target;
mod whole;
mod write;

use std::collections::HashMap;
use std::sync::PoisonError;

use arrow::array::Array;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use arrow::row::{RowConverter, SortField};
use huiliu_sdk::{Error, ErrorKind, Op, Ops, Result, WriteMode};
use huiliu_store::Balance;

use self::again::Held;
use self::case::Grouped;
use self::chunk::{Chunk, check_key_types, column, mode_fields};
use self::stage::Stage;
use self::target::{KeyRange, Target};
use crate::file::read_deletes;
use crate::filter::FilterCache;
use crate::hash::{Identity, RowHasher};
use crate::parallel::{Haste, side_by_side};
use crate::row::meta_fields;
use crate::{
    DeleteFileWriter, FileWriter, Lake, LakeTable, RowStamp, TableChange, fault_point,
    storage_batch, storage_schema,
};

pub use keyset::KeySet;
pub use plan::{MergePlan, MergeResult, SharedKeys, UnkeyedRow};
pub use position::Positions;

/// A merge in progress. Nothing is visible before its result is committed.
pub struct Merge {
    current: LakeTable,
    history: LakeTable,
    plan: MergePlan,
    stamp: RowStamp,
    data: SchemaRef,
    key_hasher: RowHasher,
    row_hasher: RowHasher,
    group_hasher: Option<RowHasher>,
    versions: Option<RowConverter>,
    targets: Vec<Target>,
    stage: Stage,
    /// Keys and cases of this commit, where cases are replaced whole.
    grouped: Grouped,
    /// Rows of an appended table that may come again.
    held: Held,
    history_writer: Option<FileWriter>,
    filters: FilterCache,
    live_rows: u64,
    balance: Balance,
}

/// One row of the chunk being merged. Its hash is left to the chunk: the map of a full chunk's rows
/// is in half the memory without.
#[derive(Clone, Copy)]
struct Incoming {
    row: usize,
    delete: bool,
}

type Winners = HashMap<u128, Incoming, Identity>;

impl Merge {
    /// The schemas of the `current` and the `history` table for rows of `data`.
    pub fn table_schemas(data: &Schema, mode: WriteMode) -> (Schema, Schema) {
        let mut fields: Vec<Field> =
            storage_schema(data).fields().iter().map(|field| field.as_ref().clone()).collect();
        fields.extend(mode_fields(mode));
        fields.extend(meta_fields());
        let current = Schema::new(fields.clone());
        fields.push(Field::new("_superseded_run", DataType::Int64, true));
        (current, Schema::new(fields))
    }

    /// Starts a merge of rows of `data` into `current`.
    pub async fn start(
        lake: &Lake,
        current: LakeTable,
        history: LakeTable,
        data: &Schema,
        mut plan: MergePlan,
        stamp: RowStamp,
    ) -> Result<Self> {
        let schema = storage_schema(data);
        if plan.mode == WriteMode::Append {
            plan.key.clear();
        }
        let named = plan.key.iter().chain(&plan.cursor).chain(&plan.version).chain(&plan.group);
        for column in named {
            if schema.field_with_name(column).is_err() {
                return Err(Error::new(
                    ErrorKind::Schema,
                    "E-COLUMN-MISSING",
                    format!("{} has no column {column}", current.name),
                )
                .hint("check the columns named in the system file against `huiliu discover`"));
            }
        }
        check_key_types(&schema, &plan.key)?;
        let versions = match &plan.version {
            None => None,
            Some(column) => {
                let kind = schema.field_with_name(column)?.data_type().clone();
                Some(RowConverter::new(vec![SortField::new(kind)])?)
            }
        };
        let filters = lake.filters().clone();
        let mut targets = Vec::new();
        if plan.mode != WriteMode::Append || plan.cursor.is_some() {
            for file in lake.data_files(&current).await? {
                let deleted = match &file.deletes {
                    Some((_, path)) => read_deletes(path)?,
                    None => Vec::new(),
                };
                targets.push(Target::new(file, deleted, &filters));
            }
        }
        let live_rows = targets
            .iter()
            .map(|t| u64::try_from(t.file.record_count).unwrap_or(0) - t.deleted.len() as u64)
            .sum();
        Ok(Self {
            key_hasher: RowHasher::of_key(&plan.key),
            row_hasher: RowHasher::of_row(schema.fields().iter().map(|f| f.name().clone())),
            group_hasher: (!plan.group.is_empty()).then(|| RowHasher::of_key(&plan.group)),
            versions,
            targets,
            stage: Stage::new(current.clone(), plan.key.clone(), plan.file_rows),
            grouped: Grouped::default(),
            held: Held::default(),
            history_writer: None,
            filters,
            live_rows,
            balance: Balance::default(),
            data: schema,
            current,
            history,
            plan,
            stamp,
        })
    }

    /// Rows the table had when this merge started; not counted for `append`.
    pub fn live_rows(&self) -> u64 {
        self.live_rows
    }

    /// What became of the rows so far.
    pub fn balance(&self) -> Balance {
        self.balance
    }

    /// By which a caller that does not wait for a chunk to be merged says so.
    pub fn haste(&self) -> Haste {
        self.stage.haste.clone()
    }

    /// Merges a chunk of rows and returns those that have no key.
    pub fn merge(
        &mut self,
        batch: &RecordBatch,
        ops: &Ops,
        positions: &Positions,
    ) -> Result<Vec<UnkeyedRow>> {
        let data = storage_batch(batch, &self.data)?;
        let hashes = self.row_hasher.hash_in(&self.stage.haste, &data)?;
        if self.plan.key.is_empty() {
            self.balance.read += hashes.len() as u64;
            let (keys, versions, version) = (Vec::new(), None, None);
            let chunk = Chunk { data, hashes, keys, versions, version, positions };
            let rows = self.not_held(&chunk)?;
            self.append(&chunk, &rows)?;
            return Ok(Vec::new());
        }
        let (keyed, unkeyed) = self.split_unkeyed(&data, positions)?;
        let keys = self.key_hasher.hash(&data)?;
        let versions = self.encode_versions(&data)?;
        let version = self.plan.version.as_ref().map(|name| column(&data, name).cloned());
        let version = version.transpose()?;
        let chunk = Chunk { data, hashes, keys, versions, version, positions };
        let mut winners = self.winners(&chunk, &keyed, ops)?;
        self.note_keys(&chunk, &winners)?;
        self.meet_staged(&chunk, &mut winners)?;
        if matches!(self.plan.mode, WriteMode::Upsert | WriteMode::Scd2) {
            self.probe(&chunk, &mut winners)?;
        }
        // A delete of a key that is not there has nothing to do.
        let mut fresh: Vec<usize> = winners.values().filter(|w| !w.delete).map(|w| w.row).collect();
        order::by_key(&chunk, &self.plan.key, &mut fresh)?;
        self.append(&chunk, &fresh)?;
        fault_point!("lake::staged");
        Ok(unkeyed)
    }

    /// Deletes the rows whose keys were not seen, and says how many they were.
    pub fn sweep(&mut self) -> Result<u64> {
        let Some(seen) = self.plan.seen.clone() else { return Ok(0) };
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut parts = seen.parts()?;
        let mut swept = 0;
        while let Some(part) = parts.next()? {
            // Keys of this read's own rows were seen too.
            let gone = |key: u128| part.lacks(key);
            let found = target::find_gone(&self.targets, &self.key_hasher, gone)?;
            for rows in found {
                swept += self.supersede(&self.still_open(rows)?)?;
            }
        }
        self.balance.deleted += swept;
        Ok(swept)
    }

    /// Ends the merge: completes the files and says what to commit.
    pub fn finish(mut self) -> Result<MergeResult> {
        self.replace_groups()?;
        let mut change = TableChange::new(self.current.clone());
        if self.equals_what_is_there()? {
            self.balance.unchanged += self.balance.written;
            self.balance.written = 0;
            self.stage = Stage::new(self.current.clone(), Vec::new(), None);
        } else if self.plan.mode == WriteMode::Replace {
            change.replace = !self.targets.is_empty();
            self.targets.clear();
        } else if self.plan.mode == WriteMode::Snapshot {
            self.retake_snapshot()?;
        }
        self.balance.check()?;
        let mut touched = std::mem::take(&mut self.targets);
        touched.retain(|target| target.touched);
        let written = side_by_side(touched.len(), |number| {
            let target = &touched[number];
            DeleteFileWriter::write(&self.current, &target.file.path, &target.deleted)
        })?;
        for (target, deletes) in touched.into_iter().zip(written) {
            let previous = target.file.deletes.map(|(id, _)| id);
            change.deleted.push((target.file.data_file_id, previous, deletes));
        }
        change.added = self.stage.finish(&self.filters)?;
        let mut changes = vec![change];
        if let Some(writer) = self.history_writer.take() {
            let mut history = TableChange::new(self.history);
            history.added.push((writer.finish()?, None));
            changes.push(history);
        }
        Ok(MergeResult { changes, balance: self.balance })
    }

    /// Rows with a complete key, and the others.
    fn split_unkeyed(
        &mut self,
        data: &RecordBatch,
        positions: &Positions,
    ) -> Result<(Vec<usize>, Vec<UnkeyedRow>)> {
        let mut columns = Vec::with_capacity(self.plan.key.len());
        for name in &self.plan.key {
            columns.push((name, column(data, name)?));
        }
        if columns.iter().all(|(_, column)| column.null_count() == 0) {
            return Ok(((0..data.num_rows()).collect(), Vec::new()));
        }
        let mut keyed = Vec::with_capacity(data.num_rows());
        let mut unkeyed = Vec::new();
        let cases = self.group_hasher.as_ref().map(|hasher| hasher.hash(data)).transpose()?;
        for row in 0..data.num_rows() {
            let Some((name, _)) = columns.iter().find(|(_, column)| column.is_null(row)) else {
                keyed.push(row);
                continue;
            };
            if let Some(case) = cases.as_ref().and_then(|cases| cases.get(row)) {
                self.grouped.spare(*case);
            }
            let mut values = Vec::new();
            for (field, array) in data.schema().fields().iter().zip(data.columns()) {
                let text = (!array.is_null(row))
                    .then(|| arrow::util::display::array_value_to_string(array, row))
                    .transpose()?;
                values.push((field.name().clone(), text));
            }
            self.balance.read += 1;
            self.balance.quarantined += 1;
            let (origin, position) = positions.get(row).unwrap_or(("", 0));
            unkeyed.push(UnkeyedRow {
                origin: origin.to_owned(),
                position,
                column: (*name).clone(),
                row: values,
            });
        }
        Ok((keyed, unkeyed))
    }

    fn encode_versions(&self, data: &RecordBatch) -> Result<Option<Vec<Box<[u8]>>>> {
        let (Some(converter), Some(name)) = (&self.versions, &self.plan.version) else {
            return Ok(None);
        };
        let rows = converter.convert_columns(std::slice::from_ref(column(data, name)?))?;
        Ok(Some(rows.iter().map(|row| row.as_ref().into()).collect()))
    }

    /// The row of each key that wins within the chunk; the losers go to history.
    fn winners(&mut self, chunk: &Chunk<'_>, keyed: &[usize], ops: &Ops) -> Result<Winners> {
        let mut winners = Winners::with_capacity_and_hasher(keyed.len(), Identity::default());
        let mut losers = Vec::new();
        for row in keyed.iter().copied() {
            let delete = match ops {
                Ops::Upsert => false,
                Ops::Delete => true,
                Ops::PerRow(each) => each.get(row) == Some(&Op::Delete),
            };
            if !delete {
                self.balance.read += 1;
            }
            let key = chunk.keys[row];
            let incoming = Incoming { row, delete };
            let Some(earlier) = winners.get_mut(&key) else {
                winners.insert(key, incoming);
                continue;
            };
            let loser = if self.is_older(chunk, row, earlier.row)? {
                incoming
            } else {
                std::mem::replace(earlier, incoming)
            };
            if !loser.delete {
                self.balance.deduplicated += 1;
                if chunk.hashes[loser.row] != chunk.hashes[earlier.row] {
                    losers.push(loser.row);
                }
            }
        }
        if !losers.is_empty() {
            losers.sort_unstable();
            self.write_history(&self.stamped(chunk, &losers)?)?;
        }
        Ok(winners)
    }

    /// Whether `row` comes before `other` by version or cursor; without either, the later row is
    /// newer.
    fn is_older(&self, chunk: &Chunk<'_>, row: usize, other: usize) -> Result<bool> {
        if let Some(versions) = &chunk.versions {
            return Ok(versions[row] < versions[other]);
        }
        let Some(cursor) = &self.plan.cursor else { return Ok(false) };
        let values = column(&chunk.data, cursor)?;
        let compare = arrow::array::make_comparator(
            values,
            values,
            arrow::compute::SortOptions { descending: false, nulls_first: true },
        )?;
        Ok(compare(row, other).is_lt())
    }

    /// Notes keys and cases that this read brought.
    fn note_keys(&mut self, chunk: &Chunk<'_>, winners: &Winners) -> Result<()> {
        if let Some(seen) = &self.plan.seen {
            let keys = winners.iter().filter(|(_, w)| !w.delete).map(|(key, _)| *key);
            seen.lock().unwrap_or_else(PoisonError::into_inner).extend(keys)?;
        }
        if let Some(hasher) = &self.group_hasher {
            self.grouped.groups.extend(hasher.hash(&chunk.data)?);
            self.grouped.keys.extend(winners.keys().copied());
        }
        Ok(())
    }
}
