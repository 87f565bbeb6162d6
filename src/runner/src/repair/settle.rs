//! What the answers to repairs do to the ledger.

use std::collections::BTreeMap;

use huiliu_core::graph::{Graph, NodeKind};
use huiliu_core::reconcile::Reconciliation;
use huiliu_engine::reconcile::{Difference, event, read_differences};
use huiliu_sdk::Result;

use super::queue::differences_of;
use crate::hub::Hub;

/// What a repair came to for one difference.
struct Turn {
    /// When the difference had become what the repair was planned for.
    planned_for: i64,
    hash: String,
    is_undone: bool,
}

impl Hub {
    /// Marks the differences that repairs through `push` (as `system.push`) mended as fixed, and
    /// those of undone repairs as open again.
    pub(crate) async fn settle_repairs(&self, push: &str, run: i64) -> Result<()> {
        let (target, name) = push.split_once('.').unwrap_or((push, ""));
        let mut turns: BTreeMap<String, BTreeMap<String, Turn>> = BTreeMap::new();
        for (item, sent, undone) in self.lake().store().repairs_through(target, name).await? {
            if sent.state != "accepted" {
                continue;
            }
            let is_undone = undone.is_some_and(|undone| undone.state == "accepted");
            // The last repair of a difference counts.
            let of_rec = turns.entry(item.reconciliation.clone()).or_default();
            for (id, planned_for) in differences_of(&item) {
                of_rec.insert(id, Turn { planned_for, hash: item.hash.clone(), is_undone });
            }
        }
        for (name, turns) in turns {
            let Some(rec) = self.engine.pipelines().reconciliations.get(&name) else { continue };
            if self.built(rec).await?.is_none() {
                continue;
            }
            let session = self.engine.session(None).await?;
            let mut moved = Vec::new();
            for row in read_differences(&self.engine, &session, rec).await? {
                let Some(turn) = turns.get(&row.difference_id) else { continue };
                let hash = &turn.hash;
                if turn.is_undone && row.state == "fixed" {
                    moved.push((row, "open", format!("repair {hash} undone")));
                } else if !turn.is_undone
                    && row.state == "open"
                    && row.last_seen == turn.planned_for
                {
                    moved.push((row, "fixed", format!("repair {hash} accepted by {push}")));
                }
            }
            self.move_differences(rec, run, moved).await?;
        }
        Ok(())
    }

    /// Opens differences again that a repair had mended and that are still there although the
    /// system was read since, and had its time.
    pub(crate) async fn reopen_unconfirmed(&self, table: &str, run: i64) -> Result<()> {
        let Some(rec) = self.engine.pipelines().reconciliation_of(table) else { return Ok(()) };
        if rec.systems.iter().all(|system| system.correct.is_none()) {
            return Ok(());
        }
        let session = self.engine.session(None).await?;
        let mut rows = read_differences(&self.engine, &session, rec).await?;
        rows.retain(|row| row.state == "fixed" && row.rule == "mismatch");
        let mut moved = Vec::new();
        for system in &rec.systems {
            let mine: Vec<Difference> =
                rows.extract_if(.., |row| row.system == system.name).collect();
            if mine.is_empty() {
                continue;
            }
            let Some(read_at) = self.read_whole_since(&system.table).await? else { continue };
            let lag = system.lag_micros.unwrap_or(0);
            for row in mine.into_iter().filter(|row| row.last_seen + lag < read_at) {
                moved.push((row, "open", "mended, and read since as it was before".to_owned()));
            }
        }
        self.move_differences(rec, run, moved).await
    }

    /// When the last read began that brought all streams behind `table`, in microseconds of wall
    /// time; none if one of them was never read.
    async fn read_whole_since(&self, table: &str) -> Result<Option<i64>> {
        let mut oldest: Option<i64> = None;
        for stream in streams_behind(&self.project.graph, table) {
            let Some(began) = self.lake().store().last_read(&stream).await? else {
                return Ok(None);
            };
            let Some(began) = self.wall_micros(&began) else { return Ok(None) };
            oldest = Some(oldest.map_or(began, |oldest| oldest.min(began)));
        }
        Ok(oldest)
    }

    async fn move_differences(
        &self,
        rec: &Reconciliation,
        run: i64,
        moved: Vec<(Difference, &str, String)>,
    ) -> Result<()> {
        if moved.is_empty() {
            return Ok(());
        }
        let now = self.wall_time();
        let (mut rows, mut events) = (Vec::with_capacity(moved.len()), Vec::new());
        for (mut row, state, reason) in moved {
            let before = std::mem::replace(&mut row.state, state.to_owned());
            row.last_seen = now;
            row.last_run = run;
            let mut event = event(&row, Some(before), now);
            event.run = Some(run);
            event.reason = Some(reason);
            events.push(event);
            rows.push(row);
        }
        self.change_ledger(rec, &rows, &events, None).await
    }
}

/// The streams that `table` is computed from.
fn streams_behind(graph: &Graph, table: &str) -> Vec<String> {
    let node_of = |name: &str| graph.nodes().iter().find(|node| node.name == name);
    let maker = graph.nodes().iter().find(|node| node.makes.iter().any(|made| made == table));
    let mut open: Vec<&str> = maker.map(|node| node.name.as_str()).into_iter().collect();
    let mut seen: Vec<&str> = Vec::new();
    let mut streams = Vec::new();
    while let Some(name) = open.pop() {
        if seen.contains(&name) {
            continue;
        }
        seen.push(name);
        if node_of(name).is_some_and(|node| node.kind == NodeKind::Stream) {
            streams.push(name.to_owned());
        }
        open.extend(graph.needs(name));
    }
    streams
}
