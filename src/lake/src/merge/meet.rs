//! A chunk's rows meet those that are there: earlier ones of the same commit, and the table's.

use std::path::Path;
use std::sync::Arc;

use arrow::array::TimestampMicrosecondArray;
use arrow::datatypes::{Field, Schema};
use arrow::record_batch::RecordBatch;
use huiliu_sdk::{Result, WriteMode};

use super::chunk::{Chunk, Stored, column};
use super::target::{self, Found, KeyRange};
use super::{Incoming, Merge, Winners};
use crate::file::{NOT_KEPT, read_rows};
use crate::parallel::side_by_side;
use crate::row::stored_hashes;
use crate::storage_batch;

/// What becomes of a row whose key came earlier in the same commit.
enum Meeting {
    /// It says the same.
    Same,
    /// It is of an older version.
    Older,
    /// It deletes an older version.
    Late,
    /// It takes the earlier one's place.
    Newer,
}

impl Merge {
    /// Compares the chunk with earlier rows of this commit. Those it supersedes are marked, and
    /// what it does not need to bring leaves `winners`.
    pub(super) fn meet_staged(&mut self, chunk: &Chunk<'_>, winners: &mut Winners) -> Result<()> {
        let mut settled = Vec::new();
        let mut older = Vec::new();
        for (key, incoming) in winners.iter() {
            let Some(staged) = self.stage.get(*key) else { continue };
            match compare(chunk, *incoming, staged.hash, staged.version) {
                Meeting::Newer => {
                    self.stage.remove(*key, self.stamp.run);
                    self.count_replaced(*incoming);
                    continue;
                }
                Meeting::Older => older.push(incoming.row),
                Meeting::Late => {}
                Meeting::Same => self.balance.unchanged += 1,
            }
            settled.push(*key);
        }
        for key in settled {
            winners.remove(&key);
        }
        self.meet_full_files(chunk, winners, &mut older)?;
        self.balance.deduplicated += older.len() as u64;
        self.write_older(chunk, older)
    }

    /// The same for the files of this commit that are full, whose keys are not in memory.
    fn meet_full_files(
        &mut self,
        chunk: &Chunk<'_>,
        winners: &mut Winners,
        older: &mut Vec<usize>,
    ) -> Result<()> {
        let Some(first_key) = self.plan.key.first() else { return Ok(()) };
        if !self.stage.may_hold(winners) {
            return Ok(());
        }
        let range = KeyRange::new(first_key, column(&chunk.data, first_key)?)?;
        for rows in self.stage.find(&self.key_hasher, &range, winners)? {
            let stored = self.stored(self.stage.path(rows.target), &rows.positions)?;
            let (mut positions, mut hashes) = (Vec::new(), Vec::new());
            for (index, (position, key)) in rows.positions.iter().zip(&rows.keys).enumerate() {
                let Some(incoming) = winners.get(key).copied() else { continue };
                if stored.closed(index) {
                    continue;
                }
                let hash = stored.hashes[index];
                match compare(chunk, incoming, hash, stored.version(index)) {
                    Meeting::Newer => {
                        positions.push(*position);
                        hashes.push(hash);
                        self.count_replaced(incoming);
                        continue;
                    }
                    Meeting::Older => older.push(incoming.row),
                    Meeting::Late => {}
                    Meeting::Same => self.balance.unchanged += 1,
                }
                winners.remove(key);
            }
            self.stage.supersede(rows.target, &positions, &hashes, self.stamp.run);
        }
        Ok(())
    }

    /// A row of this commit that was counted as written gave way to `incoming`.
    fn count_replaced(&mut self, incoming: Incoming) {
        self.balance.written -= 1;
        self.balance.deduplicated += 1;
        if incoming.delete {
            self.balance.deleted += 1;
        }
    }

    /// Looks the chunk's keys up in the table's files. Unchanged rows leave `winners`;
    /// superseded and deleted ones are marked.
    pub(super) fn probe(&mut self, chunk: &Chunk<'_>, winners: &mut Winners) -> Result<()> {
        let Some(first_key) = self.plan.key.first() else { return Ok(()) };
        if self.targets.is_empty() || winners.is_empty() {
            return Ok(());
        }
        let range = KeyRange::new(first_key, column(&chunk.data, first_key)?)?;
        let found = target::find(&self.targets, &self.key_hasher, &range, winners)?;
        let stored = side_by_side(found.len(), |number| {
            let rows = &found[number];
            self.stored(&self.targets[rows.target].file.path, &rows.positions)
        })?;
        let mut older = Vec::new();
        for (rows, stored) in found.into_iter().zip(stored) {
            let mut superseded = Found { target: rows.target, ..Found::default() };
            for (index, (position, key)) in rows.positions.iter().zip(&rows.keys).enumerate() {
                let Some(incoming) = winners.get(key).copied() else { continue };
                if stored.closed(index) {
                    continue;
                }
                if chunk.is_late_delete(incoming, stored.version(index)) {
                    winners.remove(key);
                    continue;
                } else if incoming.delete {
                    self.balance.deleted += 1;
                } else if stored.hashes[index] == chunk.hashes[incoming.row] {
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
        // A late delivery of a case says nothing about rows that came to it since.
        if let Some(hasher) = self.group_hasher.as_ref().filter(|_| !older.is_empty()) {
            let cases = hasher.hash(&chunk.data)?;
            for row in &older {
                self.grouped.spare(cases[*row]);
            }
        }
        self.write_older(chunk, older)
    }

    /// What is stored with rows that were found: hash, version, whether the period is closed.
    fn stored(&self, path: &Path, positions: &[u64]) -> Result<Stored> {
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
        let batch = target::values_at(path, &columns, positions, &schema)?;
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
    pub(super) fn still_open(&self, rows: Found) -> Result<Found> {
        if self.plan.mode != WriteMode::Scd2 || rows.positions.is_empty() {
            return Ok(rows);
        }
        let stored = self.stored(&self.targets[rows.target].file.path, &rows.positions)?;
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
    pub(super) fn supersede(&mut self, rows: &Found) -> Result<u64> {
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
}

/// Compares a row with an earlier one of the same commit that has this hash and version.
fn compare(chunk: &Chunk<'_>, incoming: Incoming, hash: u128, version: Option<&[u8]>) -> Meeting {
    if incoming.delete {
        if chunk.is_late_delete(incoming, version) { Meeting::Late } else { Meeting::Newer }
    } else if hash == chunk.hashes[incoming.row] {
        Meeting::Same
    } else if chunk.version(incoming.row) < version {
        Meeting::Older
    } else {
        Meeting::Newer
    }
}
