//! Sending the outbox: every record is answered for, and none is sent under two keys.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use huiliu_core::config::{PushConfig, Stage};
use huiliu_lake::fault_point;
use huiliu_sdk::{Cx, Error, Outcome, Result, Sink, StreamId, WriteBatch, WriteRequest};
use huiliu_store::{OutboxRow, OutboxState, StepRow};
use serde_json::{Map, Value};

use crate::hub::Hub;
use crate::mover::{Guards, not_ready};
use crate::stop::in_time;

/// Records handed to a sink at once.
const BATCH: u32 = 1000;
/// How often records whose outcome is unknown are asked for again in one run.
const PASSES: u32 = 3;

impl Hub {
    /// Sends what waits for a push, within the limits of its system.
    pub(crate) async fn send_protected(
        &self,
        cx: &Cx,
        guards: &Guards,
        node: &str,
        step: StepRow,
    ) -> Result<(StepRow, bool)> {
        let system = node.split('.').nth(1).and_then(|id| self.project.systems.get(id));
        let Some(system) = system else { return self.send_push(cx, guards, node, step).await };
        let push = node.splitn(3, '.').nth(2).unwrap_or_default();
        let is_load = |config: &PushConfig| config.name == push && config.load.is_some();
        let store = self.lake().store();
        if !system.config.pushes.iter().any(is_load)
            && store.waiting(&system.config.id, push, 0, 1).await?.is_empty()
        {
            return Ok((step, false));
        }
        let protected = self.protect(cx, system, "run").await?;
        let sent = self.send_push(&protected.cx, guards, node, step).await;
        protected.end(self).await?;
        sent
    }

    /// Sends what waits for a push (`push.<system>.<name>`); says whether there was anything.
    /// In the balance, `read` is what was to be sent, `written` accepted, `filtered` rejected,
    /// `unchanged` still waiting.
    pub(crate) async fn send_push(
        &self,
        cx: &Cx,
        guards: &Guards,
        node: &str,
        mut step: StepRow,
    ) -> Result<(StepRow, bool)> {
        let mut parts = node.splitn(3, '.');
        let (Some(_), Some(system_id), Some(push)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(Error::internal("a push without a system"));
        };
        let system = self
            .project
            .systems
            .get(system_id)
            .ok_or_else(|| Error::internal("a push to an unknown system"))?;
        let whole = system.config.pushes.iter().find(|config| config.name == push);
        if let Some((config, mode)) = whole.and_then(|config| Some((config, config.load?))) {
            // A system on trial is never pushed to.
            if system.config.stage != Stage::Live {
                return Ok((step, false));
            }
            let sent = self.send_load(cx, guards, system, config, mode, step).await;
            return sent.map_err(|e| system.blame(node, e));
        }
        let store = self.lake().store();
        if store.waiting(system_id, push, 0, 1).await?.is_empty() {
            return Ok((step, false));
        }
        let endpoint =
            system.endpoint.as_ref().ok_or_else(|| system.blame(node, not_ready(system)))?;
        let request = WriteRequest { push: StreamId::new(push) };
        let silence = system.config.limits.silence();
        let sink = in_time(cx, silence, endpoint.sink(cx, request)).await;
        let mut sink = sink.map_err(|e| system.blame(node, e))?;
        for pass in 0..PASSES {
            let mut after = 0;
            let mut unknown = 0;
            loop {
                let rows = store.waiting(system_id, push, after, BATCH).await?;
                let Some(last) = rows.last() else { break };
                after = last.outbox_id;
                if pass == 0 {
                    step.balance.read += rows.len() as u64;
                    step.balance.unchanged += rows.len() as u64;
                }
                unknown += self
                    .send_batch(cx, silence, sink.as_mut(), push, &rows, &mut step)
                    .await
                    .map_err(|e| system.blame(node, e))?;
                cx.check()?;
            }
            if unknown == 0 {
                break;
            }
        }
        Ok((step, true))
    }

    async fn send_batch(
        &self,
        cx: &Cx,
        silence: Duration,
        sink: &mut dyn Sink,
        push: &str,
        rows: &[OutboxRow],
        step: &mut StepRow,
    ) -> Result<u64> {
        let store = self.lake().store();
        // Counted before anything leaves, so that a process that dies here still tells.
        let ids: Vec<i64> = rows.iter().map(|row| row.outbox_id).collect();
        let mut tx = store.begin().await?;
        tx.count_attempts(&ids).await?;
        tx.commit().await?;
        fault_point!("push::counted");
        let batch = WriteBatch {
            stream: StreamId::new(push),
            batch: self.records(rows)?,
            idempotency_keys: rows.iter().map(|row| row.idempotency_key.clone()).collect(),
        };
        let receipt = in_time(cx, silence, sink.write(cx, batch)).await?;
        fault_point!("push::sent");
        if receipt.outcomes.len() != rows.len() {
            return Err(Error::internal("the sink did not answer for every record"));
        }
        let now = self.now();
        let mut unknown = 0;
        let mut tx = store.begin().await?;
        for (row, outcome) in rows.iter().zip(&receipt.outcomes) {
            match outcome {
                Outcome::Accepted => {
                    tx.settle(row.outbox_id, OutboxState::Accepted, None, None, &now).await?;
                    step.balance.written += 1;
                    step.balance.unchanged -= 1;
                }
                Outcome::Rejected { code, message } => {
                    let (code, message) = (Some(code.as_str()), Some(message.as_str()));
                    tx.settle(row.outbox_id, OutboxState::Rejected, code, message, &now).await?;
                    step.balance.filtered += 1;
                    step.balance.unchanged -= 1;
                }
                Outcome::Pending { .. } | Outcome::Unknown => unknown += 1,
            }
        }
        tx.put_step(step).await?;
        fault_point!("push::settled");
        tx.commit().await?;
        fault_point!("push::durable");
        Ok(unknown)
    }

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
