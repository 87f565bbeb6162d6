//! Rows on their way into the table: written to files that no snapshot names yet.

use std::collections::HashMap;

use arrow::record_batch::RecordBatch;
use huiliu_sdk::Result;

use crate::file::Deleted;
use crate::filter::{FilterCache, KeyFilter};
use crate::hash::Identity;
use crate::{DeleteFileWriter, FileWriter, LakeTable, NewDataFile, NewDeleteFile};

/// Rows of one file.
const FILE_ROWS: i64 = 1 << 20;
/// Bytes of one file.
const FILE_BYTES: u64 = 256 << 20;

/// A row of this commit that is the latest of its key.
#[derive(Debug, Clone)]
pub(super) struct Staged {
    file: usize,
    row: u64,
    pub(super) hash: u128,
    /// Its version, comparable as bytes, where the stream has one.
    pub(super) version: Option<Box<[u8]>>,
}

/// The rows of one commit.
pub(super) struct Stage {
    table: LakeTable,
    key: Vec<String>,
    writer: Option<FileWriter>,
    files: Vec<NewDataFile>,
    latest: HashMap<u128, Staged, Identity>,
    /// Rows of each file that later rows of this commit superseded.
    deleted: HashMap<usize, Vec<Deleted>>,
    rows: u64,
    /// Sum of the hashes of the rows that are not superseded.
    sum: u128,
}

impl Stage {
    pub(super) fn new(table: LakeTable, key: Vec<String>) -> Self {
        Self {
            table,
            key,
            writer: None,
            files: Vec::new(),
            latest: HashMap::default(),
            deleted: HashMap::default(),
            rows: 0,
            sum: 0,
        }
    }

    /// The row of this commit that has `key`.
    pub(super) fn get(&self, key: u128) -> Option<&Staged> {
        self.latest.get(&key)
    }

    /// The rows of this commit by key.
    pub(super) fn latest(&self) -> &HashMap<u128, Staged, Identity> {
        &self.latest
    }

    /// Rows that are not superseded, and the sum of their hashes.
    pub(super) fn content(&self) -> (u64, u128) {
        (self.rows, self.sum)
    }

    /// Marks the row of `key` as superseded by `run`.
    pub(super) fn remove(&mut self, key: u128, run: i64) {
        if let Some(staged) = self.latest.remove(&key) {
            let deleted = Deleted { position: staged.row, run };
            self.deleted.entry(staged.file).or_default().push(deleted);
            self.rows -= 1;
            self.sum = self.sum.wrapping_sub(staged.hash);
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
            None => self.writer.insert(FileWriter::create_keyed(&self.table, &self.key)?),
        };
        let first = u64::try_from(writer.rows()).unwrap_or(0);
        writer.write(rows)?;
        let file = self.files.len();
        self.rows += rows.num_rows() as u64;
        for hash in hashes {
            self.sum = self.sum.wrapping_add(*hash);
        }
        if let Some(keys) = keys {
            self.latest.reserve(keys.len());
            let mut versions = versions.map(Vec::into_iter);
            for ((key, hash), row) in keys.iter().zip(hashes).zip(first..) {
                let version = versions.as_mut().and_then(Iterator::next);
                self.latest.insert(*key, Staged { file, row, hash: *hash, version });
            }
        }
        if writer.rows() >= FILE_ROWS || writer.bytes() >= FILE_BYTES {
            self.roll()?;
        }
        Ok(())
    }

    fn roll(&mut self) -> Result<()> {
        if let Some(writer) = self.writer.take() {
            self.files.push(writer.finish()?);
        }
        Ok(())
    }

    /// Ends the files and gives each with its delete file.
    pub(super) fn finish(
        mut self,
        filters: &FilterCache,
    ) -> Result<Vec<(NewDataFile, Option<NewDeleteFile>)>> {
        self.roll()?;
        if !self.key.is_empty() {
            for (index, file) in self.files.iter().enumerate() {
                let keys = self.latest.iter().filter(|(_, staged)| staged.file == index);
                let count = usize::try_from(file.record_count).unwrap_or(0);
                let filter = KeyFilter::new(keys.map(|(key, _)| *key), count);
                filters.put(file.path.clone(), filter);
            }
        }
        let mut finished = Vec::with_capacity(self.files.len());
        for (index, file) in std::mem::take(&mut self.files).into_iter().enumerate() {
            let deletes = match self.deleted.remove(&index) {
                None => None,
                Some(mut rows) => {
                    rows.sort_unstable_by_key(|row| row.position);
                    Some(DeleteFileWriter::write(&self.table, &file.path, &rows)?)
                }
            };
            finished.push((file, deletes));
        }
        Ok(finished)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Files that were not handed over by `finish` are in no snapshot.
        for file in &self.files {
            drop(std::fs::remove_file(&file.path));
        }
    }
}
