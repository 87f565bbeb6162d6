//! Rows on their way into the table: written to files that no snapshot names yet.
//!
//! Of the file being written every key is known. When it is full, its keys become a filter, and
//! later rows look for theirs in it as in a file of the table. So a read of any length needs the
//! memory of one file and five bytes for each row of the others.

use std::collections::HashMap;
use std::panic::resume_unwind;
use std::path::Path;

use arrow::record_batch::RecordBatch;
use huiliu_sdk::{Error, Result};

use super::KeyRange;
use super::latest::{Latest, Staged};
use super::target::{self, Found, Target};
use crate::file::Deleted;
use crate::filter::{FilterCache, KeyFilter};
use crate::hash::{Identity, RowHasher};
use crate::parallel::Haste;
use crate::{DeleteFileWriter, FileWriter, LakeTable, NewDataFile, NewDeleteFile};

/// Rows of one file.
const FILE_ROWS: i64 = 1 << 20;
/// Bytes of one file.
const FILE_BYTES: u64 = 256 << 20;

/// The rows of one commit.
pub(super) struct Stage {
    table: LakeTable,
    key: Vec<String>,
    file_rows: i64,
    /// Whether somebody waits for the rows to be written.
    pub(super) haste: Haste,
    writer: Option<FileWriter>,
    /// The keys of the file being written.
    latest: Latest,
    /// Its rows that later rows of this commit superseded.
    deleted: Vec<Deleted>,
    full: Vec<NewDataFile>,
    /// The same files as they are looked through.
    targets: Vec<Target>,
    rows: u64,
    /// Sum of the hashes of the rows that are not superseded.
    sum: u128,
}

impl Stage {
    /// Rows for `table`. A file is full with `file_rows` rows, if that is said.
    pub(super) fn new(table: LakeTable, key: Vec<String>, file_rows: Option<i64>) -> Self {
        Self {
            table,
            key,
            file_rows: file_rows.unwrap_or(FILE_ROWS),
            haste: Haste::default(),
            writer: None,
            latest: Latest::default(),
            deleted: Vec::new(),
            full: Vec::new(),
            targets: Vec::new(),
            rows: 0,
            sum: 0,
        }
    }

    /// The row of `key` in the file being written.
    pub(super) fn get(&self, key: u128) -> Option<Staged<'_>> {
        self.latest.get(key)
    }

    /// Whether a full file may hold one of `keys`.
    pub(super) fn may_hold<V>(&self, keys: &HashMap<u128, V, Identity>) -> bool {
        self.targets.iter().any(|target| target.may_hold(keys))
    }

    /// The rows of `wanted` that are in full files and not superseded.
    pub(super) fn find<V: Sync>(
        &self,
        hasher: &RowHasher,
        range: &KeyRange,
        wanted: &HashMap<u128, V, Identity>,
    ) -> Result<Vec<Found>> {
        target::find(&self.targets, hasher, range, wanted)
    }

    /// Where a full file is.
    pub(super) fn path(&self, file: usize) -> &Path {
        &self.targets[file].file.path
    }

    /// Rows that are not superseded, and the sum of their hashes.
    pub(super) fn content(&self) -> (u64, u128) {
        (self.rows, self.sum)
    }

    /// Marks the row of `key` in the file being written as superseded by `run`.
    pub(super) fn remove(&mut self, key: u128, run: i64) {
        if let Some((row, hash)) = self.latest.remove(key) {
            self.deleted.push(Deleted { position: row.into(), run });
            self.rows -= 1;
            self.sum = self.sum.wrapping_sub(hash);
        }
    }

    /// Marks rows of a full file, sorted by position and with these hashes, as superseded by `run`.
    pub(super) fn supersede(&mut self, file: usize, positions: &[u64], hashes: &[u128], run: i64) {
        self.targets[file].delete(positions, run);
        self.rows -= positions.len() as u64;
        for hash in hashes {
            self.sum = self.sum.wrapping_sub(*hash);
        }
    }

    /// Writes rows, each with its hash, and its key and version where it has any.
    pub(super) fn write(
        &mut self,
        rows: &RecordBatch,
        hashes: &[u128],
        keys: Option<&[u128]>,
        versions: Option<Vec<Box<[u8]>>>,
    ) -> Result<()> {
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => {
                let created = FileWriter::create(&self.table)?;
                self.writer.insert(created.with_haste(&self.haste))
            }
        };
        let first = u32::try_from(writer.rows()).map_err(|_| too_many())?;
        writer.write(rows)?;
        u32::try_from(writer.rows()).map_err(|_| too_many())?;
        self.rows += rows.num_rows() as u64;
        for hash in hashes {
            self.sum = self.sum.wrapping_add(*hash);
        }
        if let Some(keys) = keys {
            let mut versions = versions.map(Vec::into_iter);
            for ((key, hash), row) in keys.iter().zip(hashes).zip(first..) {
                let version = versions.as_mut().and_then(Iterator::next);
                self.latest.insert(*key, *hash, row, version);
            }
        }
        if writer.rows() >= self.file_rows || writer.bytes() >= FILE_BYTES {
            self.roll()?;
        }
        Ok(())
    }

    /// Ends the file being written.
    fn roll(&mut self) -> Result<()> {
        let Some(writer) = self.writer.take() else { return Ok(()) };
        let latest = std::mem::take(&mut self.latest);
        let is_keyed = !self.key.is_empty();
        // The filter is made while the disk takes in what is left of the file.
        let (file, filter) = std::thread::scope(|scope| {
            let filter =
                is_keyed.then(|| scope.spawn(|| KeyFilter::new(latest.keys(), latest.len())));
            let file = writer.finish();
            (file, filter.map(|made| made.join().unwrap_or_else(|panic| resume_unwind(panic))))
        });
        let file = file?;
        let mut deleted = std::mem::take(&mut self.deleted);
        deleted.sort_unstable_by_key(|row| row.position);
        self.targets.push(Target::of_stage(&file, deleted, filter));
        self.full.push(file);
        Ok(())
    }

    /// Ends the files and gives each with its delete file.
    pub(super) fn finish(
        mut self,
        filters: &FilterCache,
    ) -> Result<Vec<(NewDataFile, Option<NewDeleteFile>)>> {
        self.roll()?;
        let mut finished = Vec::with_capacity(self.full.len());
        for (file, target) in self.full.iter().zip(&self.targets) {
            let deletes = match target.deleted.as_slice() {
                [] => None,
                rows => Some(DeleteFileWriter::write(&self.table, &file.path, rows)?),
            };
            finished.push((file.clone(), deletes));
        }
        self.full.clear();
        for target in self.targets.drain(..) {
            target.keep_filter(filters);
        }
        Ok(finished)
    }
}

fn too_many() -> Error {
    Error::internal("a file has more rows than can be counted")
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Files that were not handed over by `finish` are in no snapshot.
        for file in &self.full {
            drop(std::fs::remove_file(&file.path));
        }
    }
}
