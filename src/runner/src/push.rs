//! Sending the outbox: every record is answered for, and none is sent under two keys.

mod desk;
mod receipt;
mod tally;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use huiliu_core::config::{ReceiptKeys, Stage};
use huiliu_lake::fault_point;
use huiliu_sdk::{Cx, Error, ErrorKind, Outcome, Result, Sink, StreamId, WriteBatch, WriteRequest};
use huiliu_store::{OutboxRow, OutboxState, StepRow};
use serde_json::{Map, Value};

use crate::hub::Hub;
use crate::mover::{GuardPlan, Guards, not_ready};
use crate::project::System;
use crate::stop::in_time;

pub use desk::Decision;

/// Records handed to a sink at once.
const BATCH: u32 = 1000;
/// How often records whose outcome is unknown are asked for again in one run.
const PASSES: u32 = 3;

/// One push on its way.
struct Push<'a> {
    hub: &'a Hub,
    cx: &'a Cx,
    system: &'a System,
    name: &'a str,
    /// Where the target says later what became of a record.
    receipts: Option<&'a ReceiptKeys>,
}

impl Hub {
    /// Sends what waits for a push (`push.<system>.<name>`), within the limits of its system;
    /// says whether there was anything. In the balance, `read` is what was to be sent, or got its
    /// receipt, `written` accepted, `filtered` rejected, `unchanged` still waiting.
    pub(crate) async fn send_push(
        &self,
        cx: &Cx,
        guards: &Guards,
        node: &str,
        step: &mut StepRow,
    ) -> Result<bool> {
        let mut parts = node.splitn(3, '.');
        let (Some(_), Some(system_id), Some(name)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(Error::internal("a push without a system"));
        };
        let system = self
            .project
            .systems
            .get(system_id)
            .ok_or_else(|| Error::internal("a push to an unknown system"))?;
        let config = system.config.pushes.iter().find(|config| config.name == name);
        let load = config.and_then(|config| Some((config, config.load?)));
        // A system on trial is never pushed to, not even what was queued before it went back there.
        if system.config.stage != Stage::Live {
            return Ok(false);
        }
        let receipts = config.and_then(|config| config.receipts.as_ref());
        let push = Push { hub: self, cx, system, name, receipts };
        if load.is_none() {
            push.decide(guards, node).await?;
            let has_receipts = push.take_receipts(step).await?;
            if push.waiting(0, 1).await?.is_empty() {
                let known = push.is_known(guards, node).await;
                known.map_err(|error| system.blame(node, error))?;
                self.check_sent(&system.config.id, name).await?;
                return Ok(has_receipts);
            }
        }
        let protected = self.protect(cx, system, "run").await?;
        let sent = match load {
            Some((config, mode)) => {
                self.send_load(&protected.cx, guards, system, config, mode, step).await
            }
            None => {
                let push = Push { hub: self, cx: &protected.cx, system, name, receipts };
                push.send(step).await.map(|()| true)
            }
        };
        protected.end(self).await?;
        let sent = sent.map_err(|error| system.blame(node, error))?;
        if load.is_none() {
            let known = push.is_known(guards, node).await;
            known.map_err(|error| system.blame(node, error))?;
            self.check_sent(&system.config.id, name).await?;
        }
        Ok(sent)
    }
}

impl Push<'_> {
    /// For how long the target may say nothing.
    fn silence(&self) -> Duration {
        self.system.config.limits.silence()
    }

    async fn waiting(&self, after: i64, limit: u32) -> Result<Vec<OutboxRow>> {
        let store = self.hub.lake().store();
        store.waiting(&self.system.config.id, self.name, after, limit).await
    }

    async fn send(&self, step: &mut StepRow) -> Result<()> {
        let endpoint = self.system.endpoint.as_ref().ok_or_else(|| not_ready(self.system))?;
        let request = WriteRequest { push: StreamId::new(self.name) };
        let mut sink = in_time(self.cx, self.silence(), endpoint.sink(self.cx, request)).await?;
        // A record that cannot be repeated is in doubt from when it is counted until its answer.
        let at_once = if sink.is_repeatable() { BATCH } else { BATCH.min(sink.at_once().max(1)) };
        // Keys of records of which only a later run can know more.
        let mut later: HashSet<String> = HashSet::new();
        for pass in 0..PASSES {
            // Keys with a record whose end is open: what follows it waits, or the target would be
            // left with the older one.
            let mut held = later.clone();
            let mut after = 0;
            loop {
                let rows = self.waiting(after, at_once).await?;
                let Some(last) = rows.last() else { break };
                after = last.outbox_id;
                if pass == 0 {
                    step.balance.read += rows.len() as u64;
                    step.balance.unchanged += rows.len() as u64;
                }
                for mut rows in apart(rows) {
                    rows.retain(|row| !held.contains(&row.record_key));
                    if !rows.is_empty() {
                        let open = self.send_rows(sink.as_mut(), rows, step).await?;
                        held.extend(open.later.iter().chain(&open.soon).cloned());
                        later.extend(open.later);
                    }
                    self.cx.check()?;
                }
            }
            if held.len() == later.len() {
                break;
            }
        }
        Ok(())
    }

    /// Sends rows, or asks for those that went out before and must not go out twice; says of which
    /// keys the end is open.
    async fn send_rows(
        &self,
        sink: &mut dyn Sink,
        rows: Vec<OutboxRow>,
        step: &mut StepRow,
    ) -> Result<Open> {
        if sink.is_repeatable() {
            return self.send_batch(sink, &rows, step).await;
        }
        // An earlier run left them counted and without an answer.
        let (sent, fresh): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.attempts > 0);
        let mut open = Open::default();
        if !sent.is_empty() {
            let fates = vec![Fate::Known(Outcome::Unknown); sent.len()];
            // What the target does not have is sent in the next pass.
            open.add(self.ask_and_settle(sink, &sent, fates, false, step).await?);
        }
        if !fresh.is_empty() {
            open.add(self.send_batch(sink, &fresh, step).await?);
        }
        Ok(open)
    }

    async fn send_batch(
        &self,
        sink: &mut dyn Sink,
        rows: &[OutboxRow],
        step: &mut StepRow,
    ) -> Result<Open> {
        let store = self.hub.lake().store();
        // Counted before anything leaves, so that a process that dies here still tells.
        let ids: Vec<i64> = rows.iter().map(|row| row.outbox_id).collect();
        let mut tx = store.begin().await?;
        tx.count_attempts(&ids).await?;
        tx.commit().await?;
        fault_point!("push::counted");
        let batch = self.batch(rows)?;
        let is_repeatable = sink.is_repeatable();
        let written = in_time(self.cx, self.silence(), sink.write(self.cx, batch)).await;
        fault_point!("push::sent");
        let outcomes = match written {
            Ok(receipt) => receipt.outcomes,
            Err(error) => {
                // Where nothing was said at all, the records may have arrived; they stay counted.
                let is_unsent = error.kind() != ErrorKind::Cancelled && error.code() != "E-SILENT";
                if !is_repeatable && is_unsent {
                    let unsent = vec![Fate::Known(Outcome::Unsent); rows.len()];
                    self.settle(rows, &unsent, false, step).await?;
                }
                return Err(error);
            }
        };
        if outcomes.len() != rows.len() {
            return Err(Error::internal("the sink did not answer for every record"));
        }
        let fates: Vec<Fate> = outcomes.into_iter().map(Fate::Known).collect();
        if is_repeatable {
            return self.settle(rows, &fates, true, step).await;
        }
        self.ask_and_settle(sink, rows, fates, true, step).await
    }

    fn batch(&self, rows: &[OutboxRow]) -> Result<WriteBatch> {
        Ok(WriteBatch {
            stream: StreamId::new(self.name),
            batch: self.hub.records(rows)?,
            idempotency_keys: rows.iter().map(|row| row.idempotency_key.clone()).collect(),
        })
    }

    /// Asks the target for the records whose outcome is open, and keeps what became of all.
    /// `just_sent` says that this run has sent them.
    async fn ask_and_settle(
        &self,
        sink: &mut dyn Sink,
        rows: &[OutboxRow],
        mut fates: Vec<Fate>,
        just_sent: bool,
        step: &mut StepRow,
    ) -> Result<Open> {
        let open: Vec<usize> = (0..rows.len()).filter(|row| fates[*row].is_open()).collect();
        if open.is_empty() {
            return self.settle(rows, &fates, false, step).await;
        }
        let asked: Vec<OutboxRow> = open.iter().map(|row| rows[*row].clone()).collect();
        let batch = self.batch(&asked)?;
        let mut fault = None;
        match in_time(self.cx, self.silence(), sink.lookup(self.cx, &batch)).await {
            Ok(receipt) => {
                for (row, outcome) in open.into_iter().zip(receipt.outcomes) {
                    fates[row] = match outcome {
                        // The request whose answer was lost a moment ago may still be at work.
                        Outcome::Unsent if just_sent => Fate::Later,
                        Outcome::Pending { .. } => Fate::Later,
                        outcome => Fate::Known(outcome),
                    };
                }
            }
            Err(error) if error.kind() == ErrorKind::Unsupported => {}
            // Nothing was learnt; the next run asks again.
            Err(error) if is_passing(error.kind()) => {
                for row in open {
                    fates[row] = Fate::Later;
                }
                fault = Some(error);
            }
            Err(error) => tracing::warn!(%error, push = self.name, "the target could not be asked"),
        }
        let settled = self.settle(rows, &fates, false, step).await?;
        fault.map_or(Ok(settled), Err)
    }

    /// Keeps what became of records, and says of which keys the end is open.
    async fn settle(
        &self,
        rows: &[OutboxRow],
        fates: &[Fate],
        is_repeatable: bool,
        step: &mut StepRow,
    ) -> Result<Open> {
        let now = self.hub.now();
        let mut open = Open::default();
        let mut balance = step.balance;
        let mut tx = self.hub.lake().store().begin().await?;
        for (row, fate) in rows.iter().zip(fates) {
            let (id, key) = (row.outbox_id, row.record_key.clone());
            let Fate::Known(outcome) = fate else {
                open.later.insert(key);
                continue;
            };
            match outcome {
                // Its receipt says what became of it, and until then it waits without being sent.
                Outcome::Accepted if self.receipts.is_some() => {
                    // The receipt of an earlier attempt may have been read already.
                    tx.deliver(id, row.attempts > 0, &now).await?;
                }
                Outcome::Accepted => {
                    tx.settle(id, OutboxState::Accepted, None, None, &now).await?;
                    balance.written += 1;
                    balance.unchanged -= 1;
                }
                Outcome::Rejected { code, message } => {
                    let (code, message) = (Some(code.as_str()), Some(message.as_str()));
                    tx.settle(id, OutboxState::Rejected, code, message, &now).await?;
                    balance.filtered += 1;
                    balance.unchanged -= 1;
                }
                Outcome::Pending { .. } | Outcome::Unknown if is_repeatable => {
                    open.soon.insert(key);
                }
                Outcome::Pending { .. } | Outcome::Unknown => {
                    tx.settle(id, OutboxState::Unknown, Some("E-PUSH-UNKNOWN"), None, &now).await?;
                    open.later.insert(key);
                }
                Outcome::Unsent => {
                    tx.uncount_attempt(id).await?;
                    open.soon.insert(key);
                }
            }
        }
        let mut kept = step.clone();
        kept.balance = balance;
        tx.put_step(&kept).await?;
        fault_point!("push::settled");
        tx.commit().await?;
        fault_point!("push::durable");
        *step = kept;
        Ok(open)
    }

    /// Does with records of unknown outcome what a person has decided.
    async fn decide(&self, guards: &Guards, node: &str) -> Result<()> {
        let store = self.hub.lake().store();
        let ids = store.unknown_records(&self.system.config.id, self.name).await?;
        let (again, done) = plans(node, &ids);
        let (again, done) = (guards.accepts(&again), guards.accepts(&done));
        if ids.is_empty() || !(again || done) {
            return Ok(());
        }
        let now = self.hub.now();
        let mut tx = store.begin().await?;
        for id in ids {
            if done {
                tx.settle(id, OutboxState::Accepted, None, None, &now).await?;
            } else {
                tx.send_again(id).await?;
            }
        }
        tx.commit().await
    }

    /// Fails while there are records of which nobody knows whether they arrived.
    async fn is_known(&self, guards: &Guards, node: &str) -> Result<()> {
        let store = self.hub.lake().store();
        let ids = store.unknown_records(&self.system.config.id, self.name).await?;
        if ids.is_empty() {
            return Ok(());
        }
        let (again, done) = plans(node, &ids);
        let message = format!(
            "nobody knows whether {} records arrived at {}",
            ids.len(),
            self.system.config.id
        );
        let error = Error::new(ErrorKind::Conflict, "E-PUSH-UNKNOWN", message).hint(format!(
            "they are not sent again by themselves, because the target cannot tell a repeated \
             record; `huiliu push show {}` names them; look there; if all of them arrived: \
             `huiliu run {node} --accept {}`; if none: `huiliu run {node} --accept {}`, which sends \
             them again; else decide record by record with `huiliu push decide`",
            node.trim_start_matches("push."),
            done.hash,
            again.hash
        ));
        guards.stop(again);
        guards.stop(done);
        Err(error)
    }
}

/// What is done with a record after it was sent or asked for.
#[derive(Clone)]
enum Fate {
    Known(Outcome),
    /// It stays counted and unanswered, so that the next run asks for it.
    Later,
}

impl Fate {
    fn is_open(&self) -> bool {
        matches!(self, Self::Known(Outcome::Unknown | Outcome::Pending { .. }))
    }
}

/// Keys of records whose end is open.
#[derive(Default)]
struct Open {
    /// They are sent or asked for again in this run.
    soon: HashSet<String>,
    /// They are not.
    later: HashSet<String>,
}

impl Open {
    fn add(&mut self, other: Self) {
        self.soon.extend(other.soon);
        self.later.extend(other.later);
    }
}

/// Cuts rows into parts, in order, in none of which a key is there twice: records of one key leave
/// one after the other.
fn apart(rows: Vec<OutboxRow>) -> Vec<Vec<OutboxRow>> {
    let mut parts: Vec<Vec<OutboxRow>> = Vec::new();
    let mut keys: HashSet<String> = HashSet::new();
    for row in rows {
        if !keys.insert(row.record_key.clone()) || parts.is_empty() {
            keys = HashSet::from([row.record_key.clone()]);
            parts.push(Vec::new());
        }
        if let Some(part) = parts.last_mut() {
            part.push(row);
        }
    }
    parts
}

/// Whether a target that could not be asked now may well be later.
fn is_passing(kind: ErrorKind) -> bool {
    use ErrorKind::{Cancelled, Throttled, Timeout, Unreachable};
    matches!(kind, Cancelled | Throttled | Timeout | Unreachable)
}

/// What can be done with records of unknown outcome: send them again, or take them as arrived.
fn plans(node: &str, ids: &[i64]) -> (GuardPlan, GuardPlan) {
    let count = ids.len() as u64;
    let of = |kind| {
        let last = ids.last().copied().unwrap_or(0);
        GuardPlan::build(node, kind, last).rows(count, count).done()
    };
    (of("push_again"), of("push_done"))
}

impl Hub {
    /// The queued records as one batch of text columns.
    fn records(&self, rows: &[OutboxRow]) -> Result<RecordBatch> {
        let mut bodies: Vec<Map<String, Value>> = Vec::with_capacity(rows.len());
        for row in rows {
            let plain = self.key.open(&row.payload)?;
            let body = serde_json::from_slice(&plain)
                .map_err(|e| Error::internal("a queued record is not readable").cause(e))?;
            bodies.push(body);
        }
        let mut names: Vec<String> = Vec::new();
        for name in bodies.iter().flat_map(Map::keys) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        let columns: Vec<ArrayRef> = names
            .iter()
            .map(|name| {
                let values = bodies.iter().map(|body| body.get(name).and_then(Value::as_str));
                Arc::new(values.collect::<StringArray>()) as ArrayRef
            })
            .collect();
        let fields: Vec<Field> =
            names.iter().map(|name| Field::new(name, DataType::Utf8, true)).collect();
        Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
    }
}
