//! Merging what was taken in, and committing it: one transaction, or everything as it was.

use chrono::Datelike;
use huiliu_lake::{Commit, LakeTable, Merge, MergePlan, RowStamp, fault_point, planted};
use huiliu_sdk::{Checkpoint, Error, ErrorKind, ReadMode, Result, Source, WriteMode};
use huiliu_store::{Balance, RunState, StreamState};
use std::sync::Arc;

use super::Mover;
use super::contract::{Layout, plan};
use super::echo::Echoes;
use super::guard::{GuardPlan, deletes_many, percent_of, shrinks};
use crate::stop::{broken_off, in_time};

/// A handful of bad rows is no rate.
const RATE_FROM: u64 = 11;
/// Days from 0001-01-01 to 1970-01-01.
const EPOCH_DAYS: i32 = 719_163;

impl Mover<'_> {
    /// Hands the waiting chunk to the merge and goes on without waiting for it, so that the next
    /// one is gathered meanwhile.
    pub(super) async fn flush(&mut self) -> Result<()> {
        let Some(taken) = self.chunk.take()? else { return Ok(()) };
        self.staged_rows += taken.batch.num_rows() as u64;
        self.staged_bytes += taken.bytes as u64;
        let mut merge = self.take_merge().await?;
        self.haste = merge.haste();
        self.haste.set(false);
        self.merging = Some(tokio::task::spawn_blocking(move || {
            let result = merge.merge(&taken.batch, &taken.ops, &taken.positions);
            (merge, result)
        }));
        Ok(())
    }

    /// Merges all that waits. Until then `merge` may be away.
    pub(super) async fn settle(&mut self) -> Result<()> {
        self.flush().await?;
        self.await_merge().await
    }

    /// Waits for the chunk that is being merged.
    async fn await_merge(&mut self) -> Result<()> {
        self.haste.set(true);
        let Some(merging) = self.merging.take() else { return Ok(()) };
        let (merge, result) = merging.await.map_err(broken_off)?;
        self.merge = Some(merge);
        for row in result? {
            self.put_unkeyed(row)?;
        }
        Ok(())
    }

    /// The merge when it is at rest, begun if there is none.
    async fn take_merge(&mut self) -> Result<Merge> {
        self.await_merge().await?;
        match self.merge.take() {
            Some(merge) => Ok(merge),
            None => self.start_merge().await,
        }
    }

    /// Does `work` on the merge, on a blocking thread: it hashes, reads and writes Parquet.
    pub(super) async fn with_merge<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Merge) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let mut merge = self.take_merge().await?;
        let done = tokio::task::spawn_blocking(move || {
            let result = work(&mut merge);
            (merge, result)
        });
        let (merge, result) = done.await.map_err(broken_off)?;
        self.merge = Some(merge);
        result
    }

    /// Makes sure that there is a merge; without announced columns, under those of the table.
    /// `false` when there is no table either.
    pub(super) async fn ensure_merge(&mut self) -> Result<bool> {
        self.await_merge().await?;
        if self.merge.is_some() {
            return Ok(true);
        }
        if self.layout.is_none() {
            let Some(table) = self.table_columns().await? else { return Ok(false) };
            let (layout, _) = plan(self.settings.contract, Some(&table), &table);
            self.layout = Some(Arc::new(layout));
        }
        self.merge = Some(self.start_merge().await?);
        Ok(true)
    }

    /// The tables of the stream with the columns of `layout`.
    pub(super) async fn ensure_tables(
        &mut self,
        layout: &Layout,
    ) -> Result<(LakeTable, LakeTable)> {
        let lake = self.hub.lake();
        let name = self.table_name();
        let (current, history) = Merge::table_schemas(&layout.schema, self.settings.write);
        let mut tx = lake.store().begin().await?;
        let mut tables = Vec::with_capacity(2);
        for (schema, wanted) in [("current", current), ("history", history)] {
            let mut table = lake.ensure_table(&mut tx, schema, &name, &wanted).await?;
            if !layout.widened.is_empty() {
                table = lake.widen_columns(&mut tx, &table, &wanted).await?;
            }
            tables.push(table);
        }
        tx.commit().await?;
        match <[LakeTable; 2]>::try_from(tables) {
            Ok([current, history]) => Ok((current, history)),
            Err(_) => Err(Error::internal("a stream has two tables")),
        }
    }

    async fn start_merge(&mut self) -> Result<Merge> {
        let layout = self.layout.clone();
        let layout =
            layout.ok_or_else(|| Error::internal("the source sent rows before their columns"))?;
        let (current, history) = self.ensure_tables(&layout).await?;
        self.table_id = current.table_id;
        let stamp = RowStamp {
            run: self.step.run_id,
            seq: self.state.as_ref().map_or(1, |state| state.seq + 1),
            received_at: self.hub.clock.now().timestamp_micros(),
        };
        let settings = self.settings;
        let key = match settings.write {
            WriteMode::Append => Vec::new(),
            _ => settings.key.clone(),
        };
        // Whole reads that are appended are meant to be there once for each time they were made.
        let goes_on = settings.write != WriteMode::Append || settings.read != ReadMode::Full;
        let has = |column: &String| goes_on && layout.schema.field_with_name(column).is_ok();
        let today = self.hub.clock.now().with_timezone(&self.hub.project.zone).date_naive();
        let plan = MergePlan {
            mode: settings.write,
            key,
            cursor: settings.cursor.clone().filter(has),
            version: settings.version.clone(),
            group: settings.group.clone(),
            seen: self.scan.as_ref().map(|scan| Arc::clone(&scan.seen)),
            taken_on: (settings.write == WriteMode::Snapshot)
                .then(|| today.num_days_from_ce() - EPOCH_DAYS),
            file_rows: None,
            forget: false,
        };
        let lake = self.hub.lake();
        let merge = Merge::start(lake, current, history, &layout.schema, plan, stamp).await?;
        if self.live_before.is_none() {
            self.live_before = Some(merge.live_rows());
        }
        Ok(merge)
    }

    /// Commits everything up to the last checkpoint, and tells the source.
    pub(super) async fn commit_here(&mut self, source: &mut dyn Source) -> Result<()> {
        self.settle().await?;
        self.commit(self.checkpoint.clone()).await?;
        if let Some(checkpoint) = &self.checkpoint
            && self.acknowledged.as_ref() != Some(checkpoint)
        {
            fault_point!("mover::committed");
            let told = source.acknowledge(self.cx, checkpoint);
            in_time(self.cx, self.system.config.limits.silence(), told).await?;
            fault_point!("mover::acknowledged");
            self.acknowledged = Some(checkpoint.clone());
        }
        Ok(())
    }

    /// Ends what was staged in one transaction, or leaves everything as it was.
    async fn commit(&mut self, checkpoint: Option<Checkpoint>) -> Result<()> {
        if self.merge.is_none() && self.layout.is_some() && self.table_id == 0 {
            // An empty stream still gets its table, so that models can name it.
            self.merge = Some(self.start_merge().await?);
        }
        if let Some(merge) = &self.merge {
            let balance = merge.balance();
            self.check_guards(balance).await?;
        }
        let (changes, balance) = match self.merge.take() {
            None => (Vec::new(), Balance::default()),
            Some(mut merge) => {
                if self.spares_all_cases {
                    merge.spare_cases(None)?;
                    self.notes.push(
                        "nothing was deleted from cases, because not even the case of a row that \
                         was set aside is known"
                            .into(),
                    );
                }
                let finished = tokio::task::spawn_blocking(move || merge.finish());
                let result = finished.await.map_err(broken_off)??;
                fault_point!("mover::finished");
                (result.changes, result.balance)
            }
        };
        let commit = Commit {
            changes,
            author: format!("run {}", self.step.run_id),
            message: format!("sync {}", self.step.node),
        };
        let total = match self.check_commit(balance).await {
            Ok(total) => total,
            Err(error) => {
                commit.discard();
                return Err(error);
            }
        };
        let last = self.state.as_ref().and_then(|state| state.checkpoint.as_ref());
        let moved = self.state.is_none() || last != checkpoint.as_ref();
        let is_seen = self.echoes.as_ref().is_some_and(|echoes| !echoes.seen.is_empty());
        if !commit.is_empty() || !self.quarantined.is_empty() || moved || is_seen {
            self.write_commit(&commit, checkpoint, total).await?;
        }
        self.committed = total;
        self.set_aside = 0;
        self.spares_all_cases = false;
        (self.staged_rows, self.staged_bytes) = (0, 0);
        self.quarantined.clear();
        self.echoes.iter_mut().for_each(Echoes::clear);
        Ok(())
    }

    /// One transaction over data and bookkeeping. Tests break it off at each of its steps.
    async fn write_commit(
        &mut self,
        commit: &Commit,
        checkpoint: Option<Checkpoint>,
        total: Balance,
    ) -> Result<()> {
        let store = self.hub.lake().store();
        let now = self.hub.now();
        let mut next = StreamState {
            system: self.system.config.id.clone(),
            stream: self.settings.name.clone(),
            seq: self.state.as_ref().map_or(1, |state| state.seq + 1),
            table_id: self.table_id,
            snapshot_id: self.state.as_ref().map_or(0, |state| state.snapshot_id),
            checkpoint,
            run_id: self.step.run_id,
            updated_at: now.clone(),
        };
        if planted!("defect::state_first") {
            let mut early = store.begin().await?;
            early.advance_state(&next).await?;
            early.commit().await?;
        }
        let mut tx = store.begin().await?;
        tx.check_lease(&self.lease).await?;
        fault_point!("mover::begun");
        if !commit.is_empty() {
            next.snapshot_id = commit.write(&mut tx).await?;
        }
        if !planted!("defect::state_first") {
            tx.advance_state(&next).await?;
        }
        fault_point!("mover::state");
        tx.log_commit(&next).await?;
        fault_point!("mover::logged");
        let (system, stream) = (&self.system.config.id, &self.settings.name);
        tx.put_quarantine(self.step.run_id, system, stream, &self.quarantined, &now).await?;
        fault_point!("mover::quarantined");
        if let Some(echoes) = &self.echoes {
            tx.note_echoes(system, stream, self.step.run_id, &echoes.seen, &now).await?;
        }
        let mut step = self.step.clone();
        step.state = RunState::Running.as_str().to_owned();
        step.balance = total;
        if !commit.is_empty() {
            step.snapshot_id = Some(next.snapshot_id);
        }
        tx.put_step(&step).await?;
        fault_point!("mover::balanced");
        tx.commit().await?;
        fault_point!("mover::durable");
        self.step = step;
        self.state = Some(next);
        store.renew_lease(&self.lease, self.hub.heartbeat.hold_ms()).await
    }

    /// A commit whose answer was lost is there nevertheless; its balance is the one that holds.
    pub(super) async fn find_lost_commit(&mut self) {
        let store = self.hub.lake().store();
        let stored = store.stream_state(&self.system.config.id, &self.settings.name).await;
        let known = self.state.as_ref().map_or(0, |state| state.seq);
        let is_ours = |state: &StreamState| state.run_id == self.step.run_id && state.seq > known;
        let Ok(Some(state)) = stored else { return };
        if !is_ours(&state) {
            return;
        }
        let Ok(steps) = store.steps(Some(self.step.run_id)).await else { return };
        if let Some(step) = steps.into_iter().find(|step| step.node == self.step.node) {
            self.committed = step.balance;
            self.step.snapshot_id = step.snapshot_id;
            self.state = Some(state);
        }
    }

    /// Stops a commit after which much would be gone.
    async fn check_guards(&mut self, balance: Balance) -> Result<()> {
        let version = self.state.as_ref().map_or(0, |state| state.snapshot_id);
        let node = self.step.node.clone();
        let guard = self.limits.guard;
        if self.is_atomic() {
            let before = match self.settings.write {
                WriteMode::Replace => self.live_before.unwrap_or(0),
                _ => self.hub.lake().store().last_row_count(&node).await?.unwrap_or(0),
            };
            let after = balance.written + balance.unchanged;
            if !shrinks(&guard, before, after) {
                return Ok(());
            }
            let lost = percent_of(before - after, before);
            let message = format!(
                "{before} rows would become {after}, {lost:.1} % fewer (the guard allows {} %)",
                guard.shrink_percent
            );
            let plan = GuardPlan::build(&node, "shrink", version).rows(before, after).done();
            let advice = "look whether the source shows all its rows";
            return self.guards.pass(plan, ErrorKind::Data, "E-SHRINK", message, advice);
        }
        let live = self.live_before.unwrap_or(0);
        let deleted = self.committed.deleted + balance.deleted;
        if !deletes_many(&guard, live, deleted.saturating_sub(self.excused)) {
            return Ok(());
        }
        let message = format!(
            "{deleted} of {live} rows would be deleted, {:.1} % (the guard allows {} %)",
            percent_of(deleted, live),
            guard.delete_percent
        );
        let after = (live + balance.written).saturating_sub(deleted);
        let plan = GuardPlan::build(&node, "mass_delete", version)
            .rows(live, after)
            .deleted(deleted)
            .done();
        let advice = "look whether the source has really deleted them";
        self.guards.pass(plan, ErrorKind::Data, "E-MASS-DELETE", message, advice)?;
        // What was accepted covers this commit; more deletes in the same read are asked about.
        self.excused = deleted;
        Ok(())
    }

    /// Lets a commit with this balance pass, and says what the run has committed with it.
    async fn check_commit(&mut self, mut balance: Balance) -> Result<Balance> {
        // What is missing in cases that are replaced whole is known only now.
        self.check_guards(balance).await?;
        balance.read += self.set_aside;
        balance.quarantined += self.set_aside;
        if let Some(echoes) = &self.echoes {
            balance = echoes.counted(balance);
        }
        balance.check()?;
        let mut total = self.committed;
        total.add(&balance);
        self.check_budget(&total)?;
        Ok(total)
    }

    fn check_budget(&self, total: &Balance) -> Result<()> {
        let bad = total.quarantined;
        let budget = self.limits.budget;
        let rate = percent_of(bad, total.read);
        if bad <= budget.rows && (bad < RATE_FROM || rate <= budget.percent) {
            return Ok(());
        }
        let first = self.quarantined.first();
        let example = first.map_or_else(String::new, |row| {
            format!("; the first: {}:{} {}", row.origin, row.position, row.reason)
        });
        Err(Error::new(
            ErrorKind::Data,
            "E-QUARANTINE-BUDGET",
            format!("{bad} of {} rows do not fit ({rate:.2} %){example}", total.read),
        )
        .hint("nothing was committed; correct the columns in the system file, or raise the stream's `quarantine`"))
    }
}
