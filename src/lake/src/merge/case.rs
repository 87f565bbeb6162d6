//! Cases that are replaced whole: rows of a case that a commit does not bring are deleted.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError};

use arrow::datatypes::{Field, Schema};
use arrow::record_batch::RecordBatch;
use huiliu_sdk::Result;

use super::{Merge, target};
use crate::hash::Identity;
use crate::storage_batch;

/// Keys and cases of one commit.
#[derive(Default)]
pub(super) struct Grouped {
    pub(super) groups: HashSet<u128, Identity>,
    pub(super) keys: HashSet<u128, Identity>,
    /// Cases of which nothing is deleted, because the key of one of their rows is not known.
    spared: HashSet<u128, Identity>,
    all_spared: bool,
}

impl Grouped {
    /// Keeps all rows of a case.
    pub(super) fn spare(&mut self, case: u128) {
        self.spared.insert(case);
    }
}

impl Merge {
    /// Notes keys that the source holds: [`Merge::sweep`] and the replacing of whole cases leave
    /// their rows alone.
    pub fn keys(&mut self, batch: &RecordBatch) -> Result<()> {
        if self.plan.seen.is_none() && self.group_hasher.is_none() {
            return Ok(());
        }
        let keys = self.key_hasher.hash(&self.only(batch, &self.plan.key)?)?;
        if self.group_hasher.is_some() {
            self.grouped.keys.extend(keys.iter().copied());
        }
        let Some(seen) = &self.plan.seen else { return Ok(()) };
        seen.lock().unwrap_or_else(PoisonError::into_inner).extend(keys)
    }

    /// Keeps all rows of cases of which a row came whose key is not known: it might be any of
    /// them. Without a batch of their columns, of all cases.
    pub fn spare_cases(&mut self, cases: Option<&RecordBatch>) -> Result<()> {
        let Some(hasher) = &self.group_hasher else { return Ok(()) };
        match cases {
            None => self.grouped.all_spared = true,
            Some(batch) => {
                let cases = hasher.hash(&self.only(batch, &self.plan.group)?)?;
                self.grouped.spared.extend(cases);
            }
        }
        Ok(())
    }

    /// The columns `names` of `batch` in the lake's types.
    fn only(&self, batch: &RecordBatch, names: &[String]) -> Result<RecordBatch> {
        let fields = names.iter().map(|name| self.data.field_with_name(name).cloned());
        let fields = fields.collect::<Result<Vec<Field>, _>>()?;
        storage_batch(batch, &Arc::new(Schema::new(fields)))
    }

    /// Deletes rows of cases that came in this commit without them.
    pub(super) fn replace_groups(&mut self) -> Result<()> {
        let Some(hasher) = &self.group_hasher else { return Ok(()) };
        if self.grouped.groups.is_empty() || self.grouped.all_spared {
            return Ok(());
        }
        let Grouped { groups, keys, spared, .. } = std::mem::take(&mut self.grouped);
        let found = target::find_in_groups(
            &self.targets,
            &self.key_hasher,
            hasher,
            |group| groups.contains(&group) && !spared.contains(&group),
            |key| !keys.contains(&key),
        )?;
        for rows in found {
            self.balance.deleted += self.supersede(&self.still_open(rows)?)?;
        }
        Ok(())
    }
}
