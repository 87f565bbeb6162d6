//! Merging rows of a read into a table.
//!
//! Rows are compared with what the table holds by key and hash; new and changed rows are written
//! to new files, equal ones are dropped. Superseded rows stay where they are, marked in a delete
//! file together with the run that superseded them; `history` shows them from there, until
//! maintenance moves them. Copying them at once would mean decoding every page of the table for
//! a change of one row in a hundred.

mod chunk;
mod keyset;
mod plan;
mod position;
mod stage;
mod target;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError};

use arrow::array::{
    Array, ArrayRef, Date32Array, Int64Array, TimestampMicrosecondArray, UInt64Array,
    new_null_array,
};
use arrow::compute::take_record_batch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use arrow::row::{RowConverter, SortField};
use fail::fail_point;
use huiliu_sdk::{Error, ErrorKind, Op, Ops, Result, WriteMode};
use huiliu_store::Balance;

use self::chunk::{Chunk, Stored, check_key_types, column, gather_marks, mode_fields, on_day};
use self::stage::Stage;
use self::target::{Found, KeyRange, Target};
use crate::file::{NOT_KEPT, read_deletes, read_rows};
use crate::filter::FilterCache;
use crate::hash::{Identity, RowHasher};
use crate::row::{meta_arrays, meta_fields, stored_hashes};
use crate::{
    DeleteFileWriter, FileWriter, Lake, LakeTable, RowStamp, TableChange, storage_batch,
    storage_schema,
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
    history_writer: Option<FileWriter>,
    filters: FilterCache,
    live_rows: u64,
    balance: Balance,
}

#[derive(Default)]
struct Grouped {
    groups: HashSet<u128, Identity>,
    keys: HashSet<u128, Identity>,
}

/// One row of the chunk being merged.
#[derive(Clone, Copy)]
struct Incoming {
    row: usize,
    hash: u128,
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
        if plan.mode != WriteMode::Append {
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
            stage: Stage::new(current.clone(), plan.key.clone()),
            grouped: Grouped::default(),
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

    /// Merges a chunk of rows and returns those that have no key.
    pub fn merge(
        &mut self,
        batch: &RecordBatch,
        ops: &Ops,
        positions: &Positions,
    ) -> Result<Vec<UnkeyedRow>> {
        let data = storage_batch(batch, &self.data)?;
        let hashes = self.row_hasher.hash(&data)?;
        if self.plan.key.is_empty() {
            self.balance.read += hashes.len() as u64;
            let chunk = Chunk { data, hashes, keys: Vec::new(), versions: None, positions };
            let rows: Vec<usize> = (0..chunk.hashes.len()).collect();
            self.append(&chunk, &rows)?;
            return Ok(Vec::new());
        }
        let (keyed, unkeyed) = self.split_unkeyed(&data, positions)?;
        let keys = self.key_hasher.hash(&data)?;
        let versions = self.encode_versions(&data)?;
        let chunk = Chunk { data, hashes, keys, versions, positions };
        let mut winners = self.winners(&chunk, &keyed, ops)?;
        self.note_keys(&chunk, &winners)?;
        self.meet_staged(&chunk, &mut winners)?;
        if matches!(self.plan.mode, WriteMode::Upsert | WriteMode::Scd2) {
            self.probe(&chunk, &mut winners)?;
        }
        // A delete of a key that is not there has nothing to do.
        let mut fresh: Vec<usize> = winners.values().filter(|w| !w.delete).map(|w| w.row).collect();
        fresh.sort_unstable();
        self.append(&chunk, &fresh)?;
        fail_point!("lake::staged");
        Ok(unkeyed)
    }

    /// Notes keys that the source holds, for [`Merge::sweep`].
    pub fn keys(&mut self, batch: &RecordBatch) -> Result<()> {
        let Some(seen) = &self.plan.seen else { return Ok(()) };
        let fields: Vec<Field> = self
            .plan
            .key
            .iter()
            .map(|name| self.data.field_with_name(name).cloned())
            .collect::<Result<_, _>>()?;
        let keys = self.key_hasher.hash(&storage_batch(batch, &Arc::new(Schema::new(fields)))?)?;
        seen.lock().unwrap_or_else(PoisonError::into_inner).extend(keys)
    }

    /// Deletes the rows whose keys were not seen, and says how many they were.
    pub fn sweep(&mut self) -> Result<u64> {
        let Some(seen) = self.plan.seen.clone() else { return Ok(0) };
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut parts = seen.parts()?;
        let mut swept = 0;
        while let Some(part) = parts.next()? {
            let staged = self.stage.latest();
            let gone = |key: u128| part.lacks(key) && !staged.contains_key(&key);
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
            self.stage = Stage::new(self.current.clone(), Vec::new());
        } else if self.plan.mode == WriteMode::Replace {
            change.replace = !self.targets.is_empty();
            self.targets.clear();
        } else if self.plan.mode == WriteMode::Snapshot {
            self.retake_snapshot()?;
        }
        self.balance.check()?;
        for target in std::mem::take(&mut self.targets) {
            if target.touched {
                let path = &target.file.path;
                let deletes = DeleteFileWriter::write(&self.current, path, &target.deleted)?;
                let previous = target.file.deletes.map(|(id, _)| id);
                change.deleted.push((target.file.data_file_id, previous, deletes));
            }
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
        for row in 0..data.num_rows() {
            let Some((name, _)) = columns.iter().find(|(_, column)| column.is_null(row)) else {
                keyed.push(row);
                continue;
            };
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
            let incoming = Incoming { row, hash: chunk.hashes[row], delete };
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
                if loser.hash != earlier.hash {
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

    /// Compares the chunk with earlier rows of this commit.
    fn meet_staged(&mut self, chunk: &Chunk<'_>, winners: &mut Winners) -> Result<()> {
        let mut settled = Vec::new();
        let mut older = Vec::new();
        for (key, incoming) in winners.iter() {
            let Some(staged) = self.stage.get(*key) else { continue };
            if incoming.delete {
                self.balance.written -= 1;
                self.balance.deduplicated += 1;
                self.balance.deleted += 1;
            } else if staged.hash == incoming.hash {
                self.balance.unchanged += 1;
                settled.push(*key);
                continue;
            } else if chunk.version(incoming.row) < staged.version.as_deref() {
                self.balance.deduplicated += 1;
                settled.push(*key);
                older.push(incoming.row);
                continue;
            } else {
                self.balance.written -= 1;
                self.balance.deduplicated += 1;
            }
            self.stage.remove(*key, self.stamp.run);
        }
        for key in settled {
            winners.remove(&key);
        }
        self.write_older(chunk, older)
    }

    /// Looks the chunk's keys up in the table's files. Unchanged rows leave `winners`;
    /// superseded and deleted ones are marked.
    fn probe(&mut self, chunk: &Chunk<'_>, winners: &mut Winners) -> Result<()> {
        let Some(first_key) = self.plan.key.first() else { return Ok(()) };
        if self.targets.is_empty() || winners.is_empty() {
            return Ok(());
        }
        let range = KeyRange::new(first_key, column(&chunk.data, first_key)?)?;
        let found = target::find(&self.targets, &self.key_hasher, &range, winners)?;
        let mut older = Vec::new();
        for rows in found {
            let stored = self.stored(&rows)?;
            let mut superseded = Found { target: rows.target, ..Found::default() };
            for (index, (position, key)) in rows.positions.iter().zip(&rows.keys).enumerate() {
                let Some(incoming) = winners.get(key).copied() else { continue };
                if stored.closed(index) {
                    continue;
                }
                if incoming.delete {
                    self.balance.deleted += 1;
                } else if stored.hashes[index] == incoming.hash {
                    self.balance.unchanged += 1;
                    winners.remove(key);
                    continue;
                } else if chunk.version(incoming.row) < stored.version(index) {
                    self.balance.deduplicated += 1;
                    winners.remove(key);
                    older.push(incoming.row);
                    continue;
                }
                superseded.positions.push(*position);
                superseded.keys.push(*key);
            }
            self.supersede(&superseded)?;
        }
        self.write_older(chunk, older)
    }

    /// What is stored with rows that were found: hash, version, whether the period is closed.
    fn stored(&self, rows: &Found) -> Result<Stored> {
        let mut columns = vec!["_row_hash"];
        columns.extend(self.plan.version.as_deref());
        if self.plan.mode == WriteMode::Scd2 {
            columns.push("_valid_to");
        }
        let fields: Vec<Field> = columns
            .iter()
            .map(|name| self.current.schema.field_with_name(name).cloned())
            .collect::<Result<_, _>>()?;
        let schema = Arc::new(Schema::new(fields));
        let path = &self.targets[rows.target].file.path;
        let batch = target::values_at(path, &columns, &rows.positions, &schema)?;
        let versions = match (&self.versions, &self.plan.version) {
            (Some(converter), Some(name)) => {
                let encoded =
                    converter.convert_columns(std::slice::from_ref(column(&batch, name)?))?;
                Some(encoded.iter().map(|row| row.as_ref().into()).collect())
            }
            _ => None,
        };
        Ok(Stored {
            hashes: stored_hashes(column(&batch, "_row_hash")?)?,
            versions,
            valid_to: batch.column_by_name("_valid_to").cloned(),
        })
    }

    /// Without the rows whose period of validity has ended.
    fn still_open(&self, rows: Found) -> Result<Found> {
        if self.plan.mode != WriteMode::Scd2 || rows.positions.is_empty() {
            return Ok(rows);
        }
        let stored = self.stored(&rows)?;
        let mut open = Found { target: rows.target, ..Found::default() };
        for (index, (position, key)) in rows.positions.into_iter().zip(rows.keys).enumerate() {
            if !stored.closed(index) {
                open.positions.push(position);
                open.keys.push(key);
            }
        }
        Ok(open)
    }

    /// Marks rows of the table as superseded and says how many. With periods of validity, the
    /// row goes on with its period closed.
    fn supersede(&mut self, rows: &Found) -> Result<u64> {
        if rows.positions.is_empty() {
            return Ok(0);
        }
        let run = if self.plan.mode == WriteMode::Scd2 {
            self.close_periods(rows)?;
            NOT_KEPT
        } else if self.plan.forget {
            NOT_KEPT
        } else {
            self.stamp.run
        };
        self.targets[rows.target].delete(&rows.positions, run);
        Ok(rows.positions.len() as u64)
    }

    fn close_periods(&mut self, rows: &Found) -> Result<()> {
        let path = self.targets[rows.target].file.path.clone();
        for batch in read_rows(&path, &rows.positions)? {
            let batch = storage_batch(&batch?, &self.current.schema)?;
            let hashes = stored_hashes(column(&batch, "_row_hash")?)?;
            let index = batch.schema().index_of("_valid_to")?;
            let mut columns = batch.columns().to_vec();
            columns[index] = Arc::new(
                TimestampMicrosecondArray::from_value(self.stamp.received_at, batch.num_rows())
                    .with_timezone("UTC"),
            );
            let closed = RecordBatch::try_new(batch.schema(), columns)?;
            self.stage.write(&closed, &hashes, None, None)?;
        }
        Ok(())
    }

    /// Deletes rows of cases that came in this commit without them.
    fn replace_groups(&mut self) -> Result<()> {
        let Some(hasher) = &self.group_hasher else { return Ok(()) };
        if self.grouped.groups.is_empty() {
            return Ok(());
        }
        let Grouped { groups, keys } = std::mem::take(&mut self.grouped);
        let found = target::find_in_groups(
            &self.targets,
            &self.key_hasher,
            hasher,
            |group| groups.contains(&group),
            |key| !keys.contains(&key),
        )?;
        for rows in found {
            self.balance.deleted += self.supersede(&self.still_open(rows)?)?;
        }
        Ok(())
    }

    /// Whether a whole refresh brought just what the table holds already.
    fn equals_what_is_there(&self) -> Result<bool> {
        let day = match self.plan.mode {
            WriteMode::Replace => None,
            WriteMode::Snapshot => self.plan.taken_on,
            _ => return Ok(false),
        };
        if self.plan.mode == WriteMode::Replace && self.stage.content().0 != self.live_rows {
            return Ok(false);
        }
        let mut columns = vec!["_row_hash"];
        columns.extend(day.map(|_| "_snapshot"));
        let sums = target::visit_live(&self.targets, &columns, |batch, live| {
            let hashes = stored_hashes(column(batch, "_row_hash")?)?;
            let taken = on_day(batch, day)?;
            let mut content = (0_u64, 0_u128);
            for (row, hash) in hashes.into_iter().enumerate() {
                if live(row) && taken(row) {
                    content = (content.0 + 1, content.1.wrapping_add(hash));
                }
            }
            Ok(content)
        })?;
        let mut there = (0, 0_u128);
        for (rows, sum) in sums.into_iter().flat_map(|(_, sums)| sums) {
            there = (there.0 + rows, there.1.wrapping_add(sum));
        }
        Ok(there == self.stage.content())
    }

    /// A second read of one day takes the place of the first.
    fn retake_snapshot(&mut self) -> Result<()> {
        let day = self.plan.taken_on;
        let rows =
            target::visit_live(&self.targets, &["_snapshot", "_row_hash"], |batch, live| {
                let taken = on_day(batch, day)?;
                Ok((0..batch.num_rows()).map(|row| live(row) && taken(row)).collect::<Vec<bool>>())
            })?;
        for (target, marks) in rows.into_iter().fold(Vec::new(), gather_marks) {
            let positions: Vec<u64> =
                (0_u64..).zip(marks).filter(|(_, mark)| *mark).map(|(at, _)| at).collect();
            self.targets[target].delete(&positions, NOT_KEPT);
        }
        Ok(())
    }

    /// The chosen rows with the hub's columns.
    fn stamped(&self, chunk: &Chunk<'_>, rows: &[usize]) -> Result<RecordBatch> {
        let all = rows.len() == chunk.data.num_rows();
        let taken = if all {
            chunk.data.clone()
        } else {
            let indices = UInt64Array::from_iter_values(rows.iter().map(|row| *row as u64));
            take_record_batch(&chunk.data, &indices)?
        };
        let positions: ArrayRef = Arc::new(chunk.positions.text(rows.iter().copied())?);
        let hashes: Vec<u128> = rows.iter().map(|row| chunk.hashes[*row]).collect();
        let mut fields: Vec<Arc<Field>> = taken.schema().fields().iter().cloned().collect();
        let mut columns: Vec<ArrayRef> = taken.columns().to_vec();
        fields.extend(mode_fields(self.plan.mode).into_iter().map(Arc::new));
        columns.extend(self.mode_arrays(rows.len()));
        fields.extend(meta_fields().into_iter().map(Arc::new));
        columns.extend(meta_arrays(self.stamp, positions, &hashes));
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)?)
    }

    /// The columns a write mode adds, for rows that are new now.
    fn mode_arrays(&self, rows: usize) -> Vec<ArrayRef> {
        let now = || {
            let now = TimestampMicrosecondArray::from_value(self.stamp.received_at, rows);
            Arc::new(now.with_timezone("UTC")) as ArrayRef
        };
        match self.plan.mode {
            WriteMode::Snapshot => {
                let day = self.plan.taken_on.unwrap_or_default();
                vec![Arc::new(Date32Array::from_value(day, rows))]
            }
            WriteMode::Scd2 => {
                let open = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
                vec![now(), new_null_array(&open, rows)]
            }
            WriteMode::Append | WriteMode::Upsert | WriteMode::Replace => Vec::new(),
        }
    }

    fn append(&mut self, chunk: &Chunk<'_>, rows: &[usize]) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let stamped = self.stamped(chunk, rows)?;
        let hashes: Vec<u128> = rows.iter().map(|row| chunk.hashes[*row]).collect();
        let keys: Option<Vec<u128>> =
            (!self.plan.key.is_empty()).then(|| rows.iter().map(|row| chunk.keys[*row]).collect());
        let versions = chunk
            .versions
            .as_ref()
            .map(|versions| rows.iter().map(|row| versions[*row].clone()).collect());
        self.stage.write(&stamped, &hashes, keys.as_deref(), versions)?;
        self.balance.written += rows.len() as u64;
        Ok(())
    }

    fn write_older(&mut self, chunk: &Chunk<'_>, mut rows: Vec<usize>) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        rows.sort_unstable();
        self.write_history(&self.stamped(chunk, &rows)?)
    }

    fn write_history(&mut self, rows: &RecordBatch) -> Result<()> {
        let run: ArrayRef = Arc::new(Int64Array::from_value(self.stamp.run, rows.num_rows()));
        let mut fields: Vec<Arc<Field>> = rows.schema().fields().iter().cloned().collect();
        let mut columns = rows.columns().to_vec();
        fields.push(Arc::new(Field::new("_superseded_run", run.data_type().clone(), true)));
        columns.push(run);
        let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?;
        let writer = match &mut self.history_writer {
            Some(writer) => writer,
            None => self.history_writer.insert(FileWriter::create(&self.history)?),
        };
        writer.write(&rows)
    }
}
