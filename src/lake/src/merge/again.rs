//! Rows that come again. A read goes on from a cursor that it includes, or from before it, so it
//! brings rows that the table has; a table that is only appended to must not get them twice.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::Array;
use arrow::compute::{filter, is_not_null};
use arrow::datatypes::Schema;
use huiliu_sdk::Result;

use super::Merge;
use super::chunk::{Chunk, column};
use super::target::{self, KeyRange};
use crate::hash::{Identity, RowHasher};
use crate::row::stored_hashes;

/// How many rows of each hash the table has that no row of this read was matched with.
pub(super) type Held = HashMap<u128, u64, Identity>;

const HASH: &str = "_row_hash";

impl Merge {
    /// The rows of a chunk that the table does not have yet. Rows are equal when all their columns
    /// are; of equal rows those are new that are more than the table has.
    pub(super) fn not_held(&mut self, chunk: &Chunk<'_>) -> Result<Vec<usize>> {
        let rows = 0..chunk.hashes.len();
        let Some(cursor) = self.plan.cursor.clone().filter(|_| !self.targets.is_empty()) else {
            return Ok(rows.collect());
        };
        for (hash, count) in self.look_up(chunk, &cursor)? {
            self.held.entry(hash).or_insert(count);
        }
        let mut fresh = Vec::with_capacity(chunk.hashes.len());
        for row in rows {
            match self.held.get_mut(&chunk.hashes[row]) {
                Some(left) if *left > 0 => {
                    *left -= 1;
                    self.balance.unchanged += 1;
                }
                _ => fresh.push(row),
            }
        }
        Ok(fresh)
    }

    /// How many rows the table has of each hash of the chunk. Only files and row groups whose
    /// bounds let them hold one of the chunk's cursors are looked at.
    fn look_up(&self, chunk: &Chunk<'_>, cursor: &str) -> Result<Held> {
        let mut held = Held::default();
        let mut count = |hashes: Vec<u128>| {
            for hash in hashes {
                *held.entry(hash).or_insert(0) += 1;
            }
        };
        let values = column(&chunk.data, cursor)?;
        let hasher = RowHasher::of_key(&[cursor.to_owned()]);
        let keys = hasher.hash(&chunk.data)?;
        let with_cursor = (0..values.len()).filter(|row| values.is_valid(*row));
        let wanted: HashMap<u128, (), Identity> = with_cursor.map(|row| (keys[row], ())).collect();
        if !wanted.is_empty() {
            let range = KeyRange::new(cursor, &filter(values, &is_not_null(values)?)?)?;
            let schema =
                Arc::new(Schema::new(vec![self.current.schema.field_with_name(HASH)?.clone()]));
            for rows in target::find(&self.targets, &hasher, &range, &wanted)? {
                let path = &self.targets[rows.target].file.path;
                let batch = target::values_at(path, &[HASH], &rows.positions, &schema)?;
                count(stored_hashes(column(&batch, HASH)?)?);
            }
        }
        // Rows without a cursor come with every read, and no bounds say where they are.
        let without = (0..values.len()).filter(|row| values.is_null(*row));
        let without: HashSet<u128, Identity> = without.map(|row| chunk.hashes[row]).collect();
        if !without.is_empty() {
            let found = target::visit_live(&self.targets, &[HASH], |batch, live| {
                let hashes = stored_hashes(column(batch, HASH)?)?;
                let met = hashes.into_iter().enumerate();
                let met = met.filter(|(row, hash)| live(*row) && without.contains(hash));
                Ok(met.map(|(_, hash)| hash).collect::<Vec<u128>>())
            })?;
            found.into_iter().flat_map(|(_, hashes)| hashes).for_each(count);
        }
        Ok(held)
    }
}
