//! What concerns a table as a whole: refreshes and snapshots.

use huiliu_sdk::{Result, WriteMode};

use super::chunk::{column, gather_marks, on_day};
use super::{Merge, target};
use crate::file::NOT_KEPT;
use crate::row::stored_hashes;

impl Merge {
    /// Whether a whole refresh brought just what the table holds already.
    pub(super) fn equals_what_is_there(&self) -> Result<bool> {
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
    pub(super) fn retake_snapshot(&mut self) -> Result<()> {
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
}
