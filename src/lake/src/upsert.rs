//! Upserts: rows of a read are compared with what the table holds by key and hash; new and
//! changed rows are appended, superseded ones are marked deleted and move to history.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, StringArray, UInt64Array};
use arrow::compute::{take, take_record_batch};
use arrow::datatypes::{Field, Schema};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use arrow::util::display::array_value_to_string;
use fail::fail_point;
use huiliu_sdk::{Error, ErrorKind, Op, Ops, Result};
use huiliu_store::Balance;

use crate::file::{read_columns, read_deletes, read_rows};
use crate::row::{RowHasher, meta_arrays, meta_fields, stored_hashes};
use crate::{
    DataFile, DeleteFileWriter, FileWriter, Lake, LakeTable, NewDataFile, RowStamp, TableChange,
    storage_batch, storage_schema,
};

/// A row whose key has a null and which therefore cannot be told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnkeyedRow {
    /// Its position in the source, as `origin:position`.
    pub position: String,
    /// The key column without value.
    pub column: String,
    /// The row as it came, for the quarantine.
    pub row: Vec<(String, Option<String>)>,
}

/// What an upsert wants committed.
#[derive(Debug)]
pub struct UpsertResult {
    /// The changes of the current and the history table.
    pub changes: Vec<TableChange>,
    /// What became of the rows.
    pub balance: Balance,
}

/// A data file this upsert looks into: one of the table's, or one it wrote itself.
struct Target {
    path: PathBuf,
    base: Option<DataFile>,
    staged: Option<NewDataFile>,
    /// Deleted positions, sorted; those before `base`'s own deletes included.
    deleted: Vec<u64>,
    touched: bool,
}

/// An upsert in progress. Nothing is visible before its result is committed.
pub struct Upsert {
    current: LakeTable,
    history: LakeTable,
    key: Vec<String>,
    cursor: Option<String>,
    stamp: RowStamp,
    key_hasher: RowHasher,
    row_hasher: RowHasher,
    data_columns: Vec<String>,
    targets: Vec<Target>,
    history_writer: Option<FileWriter>,
    balance: Balance,
}

/// One row of the chunk being merged.
#[derive(Clone, Copy)]
struct Incoming {
    row: usize,
    hash: u128,
    delete: bool,
}

impl Upsert {
    /// The schemas of the `current` and the `history` table for rows of `data`.
    pub fn table_schemas(data: &Schema) -> (Schema, Schema) {
        let mut fields: Vec<Field> =
            storage_schema(data).fields().iter().map(|field| field.as_ref().clone()).collect();
        fields.extend(meta_fields());
        let current = Schema::new(fields.clone());
        fields.push(Field::new("_superseded_run", arrow::datatypes::DataType::Int64, true));
        (current, Schema::new(fields))
    }

    /// Starts an upsert of rows of `data` into `current`. An empty `key` appends all rows.
    pub async fn start(
        lake: &Lake,
        current: LakeTable,
        history: LakeTable,
        data: &Schema,
        key: Vec<String>,
        cursor: Option<String>,
        stamp: RowStamp,
    ) -> Result<Self> {
        let schema = storage_schema(data);
        for column in key.iter().chain(&cursor) {
            if schema.field_with_name(column).is_err() {
                return Err(Error::new(
                    ErrorKind::Schema,
                    "E-COLUMN-MISSING",
                    format!("{} has no column {column}", current.name),
                )
                .hint("check `key` and `cursor` in the system file against `huiliu discover`"));
            }
        }
        // Sorted, so that a source that reorders its columns does not change every hash.
        let mut data_columns: Vec<String> =
            schema.fields().iter().map(|field| field.name().clone()).collect();
        data_columns.sort();
        let files = lake.data_files(&current).await?;
        let mut targets = Vec::with_capacity(files.len());
        for file in files {
            let deleted = match &file.deletes {
                Some((_, path)) => read_deletes(path)?,
                None => Vec::new(),
            };
            targets.push(Target {
                path: file.path.clone(),
                base: Some(file),
                staged: None,
                deleted,
                touched: false,
            });
        }
        Ok(Self {
            key_hasher: RowHasher::new(&schema, key.clone())?,
            row_hasher: RowHasher::new(&schema, data_columns.clone())?,
            current,
            history,
            key,
            cursor,
            stamp,
            data_columns,
            targets,
            history_writer: None,
            balance: Balance::default(),
        })
    }

    /// What became of the rows so far.
    pub fn balance(&self) -> Balance {
        self.balance
    }

    /// Merges a chunk of rows, which came from `positions` (each as `origin:position`), and
    /// returns those that have no key.
    pub fn merge(
        &mut self,
        batch: &RecordBatch,
        ops: &Ops,
        positions: &StringArray,
    ) -> Result<Vec<UnkeyedRow>> {
        let data = storage_batch(batch, &storage_schema(&batch.schema()))?;
        let hashes = self.row_hasher.hash(&data)?;
        if self.key.is_empty() {
            self.balance.read += hashes.len() as u64;
            let rows: Vec<usize> = (0..hashes.len()).collect();
            self.append(&data, &rows, positions, &hashes)?;
            return Ok(Vec::new());
        }
        let (keyed, unkeyed) = self.split_unkeyed(&data, positions)?;
        let keys = self.key_hasher.hash(&data)?;
        let mut winners: HashMap<u128, Incoming> = HashMap::with_capacity(keyed.len());
        let mut collapsed = Vec::new();
        for row in keyed {
            let delete = match ops {
                Ops::Upsert => false,
                Ops::Delete => true,
                Ops::PerRow(each) => each.get(row) == Some(&Op::Delete),
            };
            if !delete {
                self.balance.read += 1;
            }
            let incoming = Incoming { row, hash: hashes[row], delete };
            let Some(earlier) = winners.get_mut(&keys[row]) else {
                winners.insert(keys[row], incoming);
                continue;
            };
            let loser = if self.is_older(&data, row, earlier.row)? {
                incoming
            } else {
                std::mem::replace(earlier, incoming)
            };
            if !loser.delete {
                self.balance.deduplicated += 1;
                if loser.hash != winners.get(&keys[row]).map_or(loser.hash, |w| w.hash) {
                    collapsed.push(loser.row);
                }
            }
        }
        if !collapsed.is_empty() {
            self.write_history(&self.stamped(&data, &collapsed, positions, &hashes)?)?;
        }
        self.probe(&mut winners)?;
        let mut fresh: Vec<usize> = winners.values().filter(|w| !w.delete).map(|w| w.row).collect();
        fresh.sort_unstable();
        self.append(&data, &fresh, positions, &hashes)?;
        fail_point!("lake::staged");
        Ok(unkeyed)
    }

    /// Rows with a complete key, and the others.
    fn split_unkeyed(
        &mut self,
        data: &RecordBatch,
        positions: &StringArray,
    ) -> Result<(Vec<usize>, Vec<UnkeyedRow>)> {
        let mut keyed = Vec::with_capacity(data.num_rows());
        let mut unkeyed = Vec::new();
        let mut columns = Vec::with_capacity(self.key.len());
        for name in &self.key {
            columns.push((name, column(data, name)?));
        }
        for row in 0..data.num_rows() {
            let Some((name, _)) = columns.iter().find(|(_, column)| column.is_null(row)) else {
                keyed.push(row);
                continue;
            };
            let mut values = Vec::new();
            for (field, array) in data.schema().fields().iter().zip(data.columns()) {
                let text = array.is_valid(row).then(|| array_value_to_string(array, row));
                values.push((field.name().clone(), text.transpose()?));
            }
            self.balance.read += 1;
            self.balance.quarantined += 1;
            unkeyed.push(UnkeyedRow {
                position: positions.value(row).to_owned(),
                column: (*name).clone(),
                row: values,
            });
        }
        Ok((keyed, unkeyed))
    }

    /// Whether `row` comes before `other` by the cursor; without one, the later row is newer.
    fn is_older(&self, data: &RecordBatch, row: usize, other: usize) -> Result<bool> {
        let Some(cursor) = &self.cursor else { return Ok(false) };
        let values = column(data, cursor)?;
        let compare = arrow::array::make_comparator(
            values,
            values,
            arrow::compute::SortOptions { descending: false, nulls_first: true },
        )?;
        Ok(compare(row, other).is_lt())
    }

    /// Looks the chunk's keys up in all files. Unchanged rows leave `winners`; superseded and
    /// deleted ones are marked and copied to history.
    fn probe(&mut self, winners: &mut HashMap<u128, Incoming>) -> Result<()> {
        for index in 0..self.targets.len() {
            let superseded = self.probe_file(index, winners)?;
            if superseded.is_empty() {
                continue;
            }
            let path = self.targets[index].path.clone();
            for rows in read_rows(&path, &superseded)? {
                self.write_history(&rows?)?;
            }
            let target = &mut self.targets[index];
            target.deleted.extend(superseded);
            target.deleted.sort_unstable();
            target.touched = true;
        }
        // A delete of a key that is not there has nothing to do.
        winners.retain(|_, incoming| !incoming.delete);
        Ok(())
    }

    fn probe_file(
        &mut self,
        index: usize,
        winners: &mut HashMap<u128, Incoming>,
    ) -> Result<Vec<u64>> {
        let target = &self.targets[index];
        let mut columns: Vec<&str> = self.key.iter().map(String::as_str).collect();
        columns.push("_row_hash");
        let mut superseded = Vec::new();
        let mut position = 0_u64;
        let mut deleted = target.deleted.iter().copied().peekable();
        let mut unchanged = 0;
        let mut removed = 0;
        for batch in read_columns(&target.path, &columns)? {
            let batch = batch?;
            let keys = self.key_hasher.hash(&batch)?;
            let hashes = stored_hashes(column(&batch, "_row_hash")?)?;
            for (key, hash) in keys.into_iter().zip(hashes) {
                let here = position;
                position += 1;
                if deleted.next_if_eq(&here).is_some() {
                    continue;
                }
                let Some(incoming) = winners.get(&key).copied() else { continue };
                if incoming.delete {
                    removed += 1;
                    superseded.push(here);
                } else if incoming.hash == hash {
                    unchanged += 1;
                    winners.remove(&key);
                } else {
                    superseded.push(here);
                }
            }
        }
        self.balance.unchanged += unchanged;
        self.balance.deleted += removed;
        Ok(superseded)
    }

    /// The chosen rows with the hub's columns.
    fn stamped(
        &self,
        data: &RecordBatch,
        rows: &[usize],
        positions: &StringArray,
        hashes: &[u128],
    ) -> Result<RecordBatch> {
        let indices = UInt64Array::from_iter_values(rows.iter().map(|row| *row as u64));
        let taken = take_record_batch(data, &indices)?;
        let positions = take(positions, &indices, None)?;
        let hashes: Vec<u128> = rows.iter().map(|row| hashes[*row]).collect();
        let mut fields: Vec<Arc<Field>> = taken.schema().fields().iter().cloned().collect();
        let mut columns: Vec<ArrayRef> = taken.columns().to_vec();
        fields.extend(meta_fields().into_iter().map(Arc::new));
        columns.extend(meta_arrays(self.stamp, positions, &hashes));
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)?)
    }

    fn append(
        &mut self,
        data: &RecordBatch,
        rows: &[usize],
        positions: &StringArray,
        hashes: &[u128],
    ) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let stamped = self.stamped(data, rows, positions, hashes)?;
        let mut writer = FileWriter::create(&self.current)?;
        writer.write(&stamped)?;
        let file = writer.finish()?;
        self.balance.written += rows.len() as u64;
        self.targets.push(Target {
            path: file.path.clone(),
            base: None,
            staged: Some(file),
            deleted: Vec::new(),
            touched: false,
        });
        Ok(())
    }

    fn write_history(&mut self, rows: &RecordBatch) -> Result<()> {
        let run: ArrayRef = Arc::new(Int64Array::from_value(self.stamp.run, rows.num_rows()));
        let mut fields: Vec<Arc<Field>> = rows.schema().fields().iter().cloned().collect();
        let mut columns = rows.columns().to_vec();
        fields.push(Arc::new(Field::new("_superseded_run", run.data_type().clone(), true)));
        columns.push(run);
        let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?;
        if self.history_writer.is_none() {
            self.history_writer = Some(FileWriter::create(&self.history)?);
        }
        match &mut self.history_writer {
            Some(writer) => writer.write(&rows),
            None => Err(Error::internal("the history file is not open")),
        }
    }

    /// Ends the upsert: writes delete and history files and says what to commit.
    pub fn finish(mut self) -> Result<UpsertResult> {
        self.balance.check()?;
        let mut change = TableChange::new(self.current.clone());
        for target in std::mem::take(&mut self.targets) {
            let deletes = if target.touched {
                let positions =
                    target.deleted.iter().map(|p| i64::try_from(*p).unwrap_or(i64::MAX)).collect();
                Some(DeleteFileWriter::write(&self.current, &target.path, positions)?)
            } else {
                None
            };
            match (target.base, target.staged, deletes) {
                (Some(base), _, Some(deletes)) => {
                    let previous = base.deletes.map(|(id, _)| id);
                    change.deleted.push((base.data_file_id, previous, deletes));
                }
                (None, Some(staged), deletes) => change.added.push((staged, deletes)),
                _ => {}
            }
        }
        let mut changes = vec![change];
        if let Some(writer) = self.history_writer.take() {
            let mut history = TableChange::new(self.history.clone());
            history.added.push((writer.finish()?, None));
            changes.push(history);
        }
        Ok(UpsertResult { changes, balance: self.balance })
    }

    /// The columns that come from the source.
    pub fn data_columns(&self) -> &[String] {
        &self.data_columns
    }
}

impl Drop for Upsert {
    fn drop(&mut self) {
        // Files that were not handed over by `finish` are in no snapshot.
        for target in &self.targets {
            if let Some(staged) = &target.staged {
                drop(std::fs::remove_file(&staged.path));
            }
        }
    }
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    batch.column_by_name(name).ok_or_else(|| {
        Error::new(ErrorKind::Schema, "E-COLUMN-MISSING", format!("no column {name}"))
    })
}
