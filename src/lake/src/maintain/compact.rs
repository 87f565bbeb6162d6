//! Compaction: the rows of chosen files are written anew, live ones to larger files of the same
//! table, superseded ones to its history.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Field, Schema};
use arrow::record_batch::RecordBatch;
use fail::fail_point;
use huiliu_sdk::{Error, ErrorKind, Result};

use super::checksum::{Checksum, Hasher};
use super::facts::LiveFile;
use super::policy::{CompactionPlan, CompactionPolicy};
use super::source::{DeadRow, read_ahead, read_dead};
use crate::filter::KeyFilter;
use crate::hash::RowHasher;
use crate::{
    Commit, FileWriter, Lake, LakeTable, NewDataFile, TableChange, fault_point, storage_batch,
};

/// What a compaction did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CompactionReport {
    /// Files it took the place of.
    pub files_before: u64,
    /// Files it wrote.
    pub files_after: u64,
    /// Size of the files it took the place of.
    pub bytes_before: i64,
    /// Size of the files it wrote, history included.
    pub bytes_after: i64,
    /// Rows read, deleted ones included.
    pub read: u64,
    /// Rows that stay in the table.
    pub kept: u64,
    /// Rows moved to history.
    pub moved: u64,
    /// Deleted rows that history had already.
    pub dropped: u64,
}

/// The tables of a compaction.
#[derive(Debug, Clone)]
pub struct CompactionTables {
    /// The table that is compacted.
    pub table: LakeTable,
    /// What takes its superseded rows; without it there must be none.
    pub history: Option<LakeTable>,
    /// What tells its live rows apart, if anything does.
    pub key: Vec<String>,
}

/// A compaction that is written and checked, and not committed.
#[derive(Debug)]
pub struct Compaction {
    /// What it did.
    pub report: CompactionReport,
    changes: Vec<TableChange>,
}

impl Compaction {
    /// Writes the files of `plan` anew. `stop` is asked often and ends the work with an error.
    ///
    /// This reads and writes Parquet and belongs on a blocking thread.
    pub fn write(
        lake: &Lake,
        tables: &CompactionTables,
        files: &[LiveFile],
        plan: &CompactionPlan,
        policy: &CompactionPolicy,
        stop: &dyn Fn() -> Result<()>,
    ) -> Result<Self> {
        let mut chosen = Vec::new();
        for id in plan.files() {
            let file = files.iter().find(|file| file.facts.data_file_id == id);
            chosen.push(file.ok_or_else(|| Error::internal("a plan names an unknown file"))?);
        }
        let mut rewrite = Rewrite::new(lake, tables, &chosen, policy)?;
        let paths: Vec<&Path> = chosen.iter().map(|file| file.path.as_path()).collect();
        std::thread::scope(|scope| {
            let batches = read_ahead(scope, paths);
            let mut open = None;
            for batch in batches {
                let (index, batch) = batch?;
                stop()?;
                while open.is_none_or(|at| at < index) {
                    let next = open.map_or(0, |at| at + 1);
                    rewrite.enter(chosen[next], next >= plan.join.len())?;
                    open = Some(next);
                }
                rewrite.take(&batch)?;
            }
            Ok::<_, Error>(())
        })?;
        rewrite.finish(&chosen)
    }

    /// The snapshot that brings it about. `author` says who asked for it.
    pub fn commit(&self, author: &str) -> Commit {
        let names: Vec<String> = self
            .changes
            .iter()
            .map(|change| format!("{}.{}", change.table.schema_name, change.table.name))
            .collect();
        Commit {
            changes: self.changes.clone(),
            author: author.to_owned(),
            message: format!("compact {}", names.join(", ")),
        }
    }

    /// Removes the files of a compaction that is not to be committed.
    pub fn discard(self) {
        for (file, _) in self.changes.iter().flat_map(|change| &change.added) {
            // In no snapshot; a leftover is an orphan and costs space only.
            drop(std::fs::remove_file(&file.path));
        }
    }
}

/// Files being written, rolled when they are full.
struct Output<'a> {
    table: &'a LakeTable,
    /// Hashes the keys where later merges may ask for them.
    hasher: Option<RowHasher>,
    writer: Option<FileWriter>,
    files: Vec<NewDataFile>,
    /// The keys of the file being written.
    keys: Vec<u128>,
    /// A filter for each file, if keys are hashed.
    filters: Vec<KeyFilter>,
    full_rows: i64,
}

impl Output<'_> {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => self.writer.insert(FileWriter::create(self.table)?),
        };
        // Keys are hashed as they are written, in the types that the table has now.
        let batch = storage_batch(batch, &self.table.schema)?;
        writer.write(&batch)?;
        if let Some(hasher) = &self.hasher {
            self.keys.extend(hasher.hash(&batch)?);
        }
        if writer.rows() >= self.full_rows {
            self.roll()?;
        }
        Ok(())
    }

    fn roll(&mut self) -> Result<()> {
        if let Some(writer) = self.writer.take() {
            self.files.push(writer.finish()?);
            if self.hasher.is_some() {
                self.filters.push(KeyFilter::new(self.keys.iter().copied(), self.keys.len()));
                self.keys.clear();
            }
        }
        Ok(())
    }
}

impl Drop for Output<'_> {
    fn drop(&mut self) {
        // Files that were not handed over are in no snapshot.
        for file in &self.files {
            drop(std::fs::remove_file(&file.path));
        }
    }
}

/// A rewrite in progress.
struct Rewrite<'a> {
    lake: &'a Lake,
    live: Output<'a>,
    moved: Option<Output<'a>>,
    hasher: Hasher,
    /// Deleted rows of the file being read that are still to come, the first one last.
    dead: Vec<DeadRow>,
    /// Position of the next row in the file being read.
    position: u64,
    /// What the table must hold of these files afterwards, and what history must get.
    expect_live: Checksum,
    expect_moved: Checksum,
    report: CompactionReport,
}

impl<'a> Rewrite<'a> {
    fn new(
        lake: &'a Lake,
        tables: &'a CompactionTables,
        chosen: &[&LiveFile],
        policy: &CompactionPolicy,
    ) -> Result<Self> {
        let rows: i64 = chosen.iter().map(|file| file.facts.rows).sum();
        let bytes: i64 = chosen.iter().map(|file| file.facts.bytes).sum();
        // The new files are about as dense as the old ones.
        let fitting = policy.full_bytes / (bytes / rows.max(1)).max(1);
        let full_rows = policy.full_rows.min(fitting).max(1);
        let CompactionTables { table, history, key } = tables;
        let output = |table, hasher| Output {
            table,
            hasher,
            writer: None,
            files: Vec::new(),
            keys: Vec::new(),
            filters: Vec::new(),
            full_rows,
        };
        Ok(Self {
            lake,
            live: output(table, (!key.is_empty()).then(|| RowHasher::of_key(key))),
            moved: history.as_ref().map(|history| output(history, None)),
            hasher: Hasher::new(&table.schema)?,
            dead: Vec::new(),
            position: 0,
            expect_live: Checksum::default(),
            expect_moved: Checksum::default(),
            report: CompactionReport {
                files_before: chosen.len() as u64,
                bytes_before: bytes,
                ..CompactionReport::default()
            },
        })
    }

    /// Goes on to the next file, into a new one when it is to stay by itself.
    fn enter(&mut self, file: &LiveFile, apart: bool) -> Result<()> {
        if apart {
            self.live.roll()?;
        }
        self.position = 0;
        self.dead = match &file.deletes {
            Some((_, path)) => read_dead(path)?,
            None => Vec::new(),
        };
        if i64::try_from(self.dead.len()).ok() != Some(file.facts.deleted) {
            return Err(torn(&file.path, "its delete file does not have the rows it should"));
        }
        self.dead.reverse();
        Ok(())
    }

    fn take(&mut self, batch: &RecordBatch) -> Result<()> {
        let rows = batch.num_rows();
        let end = self.position + rows as u64;
        let hashes = self.hasher.hashes(batch)?;
        self.report.read += rows as u64;
        if self.dead.last().is_none_or(|row| row.position >= end) {
            self.position = end;
            for hash in hashes {
                self.expect_live.add(hash);
            }
            return self.live.write(batch);
        }
        let mut keep = vec![true; rows];
        let mut superseded = vec![false; rows];
        let mut runs = Vec::new();
        for (row, hash) in hashes.into_iter().enumerate() {
            let here = self.position + row as u64;
            let Some(dead) = self.dead.pop_if(|dead| dead.position == here) else {
                self.expect_live.add(hash);
                continue;
            };
            keep[row] = false;
            match dead.run {
                Some(run) => {
                    superseded[row] = true;
                    runs.push(run);
                    self.expect_moved.add(hash);
                }
                None => self.report.dropped += 1,
            }
        }
        self.position = end;
        self.live.write(&filter_record_batch(batch, &BooleanArray::from(keep))?)?;
        if runs.is_empty() {
            return Ok(());
        }
        let Some(moved) = &mut self.moved else {
            return Err(Error::internal("a table without history has superseded rows"));
        };
        let rows = filter_record_batch(batch, &BooleanArray::from(superseded))?;
        moved.write(&with_run(&rows, runs)?)
    }

    /// Ends the files, reads them again and compares.
    fn finish(mut self, chosen: &[&LiveFile]) -> Result<Compaction> {
        self.live.roll()?;
        if let Some(moved) = &mut self.moved {
            moved.roll()?;
        }
        fault_point!("maintain::rewritten");
        let expected: i64 = chosen.iter().map(|file| file.facts.rows).sum();
        if i64::try_from(self.report.read).ok() != Some(expected) || !self.dead.is_empty() {
            let path = &self.live.table.folder;
            return Err(torn(path, "its files do not have the rows they should"));
        }
        let moved_files = self.moved.as_ref().map_or(&[][..], |moved| &moved.files);
        self.compare("live", &self.live.files, self.expect_live)?;
        self.compare("superseded", moved_files, self.expect_moved)?;
        self.report.kept = self.expect_live.rows;
        self.report.moved = self.expect_moved.rows;
        let all = self.live.files.iter().chain(moved_files);
        self.report.files_after = self.live.files.len() as u64;
        self.report.bytes_after = all.map(|file| file.size_bytes).sum();
        let mut change = TableChange::new(self.live.table.clone());
        change.same_content = true;
        change.retired = chosen
            .iter()
            .map(|file| (file.facts.data_file_id, file.deletes.as_ref().map(|(id, _)| *id)))
            .collect();
        let filters = std::mem::take(&mut self.live.filters).into_iter();
        for (file, filter) in self.live.files.iter().zip(filters) {
            self.lake.filters().put(file.path.clone(), Arc::new(filter));
        }
        change.added =
            std::mem::take(&mut self.live.files).into_iter().map(|f| (f, None)).collect();
        let mut changes = vec![change];
        if let Some(moved) = &mut self.moved
            && !moved.files.is_empty()
        {
            let mut change = TableChange::new(moved.table.clone());
            // They were history already, read from the files of the table itself.
            change.same_content = true;
            let files = std::mem::take(&mut moved.files);
            change.added = files.into_iter().map(|file| (file, None)).collect();
            changes.push(change);
        }
        Ok(Compaction { report: self.report, changes })
    }

    fn compare(&self, what: &str, files: &[NewDataFile], expected: Checksum) -> Result<()> {
        let mut found = Checksum::default();
        for file in files {
            self.hasher.add_file(&mut found, &file.path)?;
        }
        fail_point!("maintain::sum", |_| Err(sum_error(self.live.table, what, expected, found)));
        if found == expected {
            return Ok(());
        }
        Err(sum_error(self.live.table, what, expected, found))
    }
}

/// Rows of a current table as its history holds them.
fn with_run(rows: &RecordBatch, runs: Vec<i64>) -> Result<RecordBatch> {
    let runs: ArrayRef = Arc::new(Int64Array::from(runs));
    let mut fields: Vec<Arc<Field>> = rows.schema().fields().iter().cloned().collect();
    let mut columns = rows.columns().to_vec();
    fields.push(Arc::new(Field::new("_superseded_run", runs.data_type().clone(), true)));
    columns.push(runs);
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

fn sum_error(table: &LakeTable, what: &str, expected: Checksum, found: Checksum) -> Error {
    let message = format!(
        "{}.{}: {} {what} rows were read and {} written, or their contents differ",
        table.schema_name, table.name, expected.rows, found.rows
    );
    Error::new(ErrorKind::Internal, "E-MAINTAIN-SUM", message)
        .hint("nothing was committed; run `huiliu doctor` and report this")
}

fn torn(path: &Path, what: &str) -> Error {
    Error::new(ErrorKind::Internal, "E-LAKE-TORN", format!("{}: {what}", path.display()))
        .hint("run `huiliu doctor`; restore the data folder from a backup")
}
