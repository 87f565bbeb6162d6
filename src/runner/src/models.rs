//! Building models, and queueing what is to be pushed from them in the same commit.

use std::collections::HashMap;

use huiliu_core::config::{PushConfig, Stage};
use huiliu_core::model::{Model, ModelKind};
use huiliu_engine::{BuiltModel, record_text};
use huiliu_lake::fault_point;
use huiliu_sdk::{Cx, Error, Result};
use huiliu_store::{Lease, ModelRow, NewestRow, OutboxRow, SealKey, StepRow, Tx};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::hub::Hub;
use crate::project::System;
use crate::stop::until_stopped;

/// How long the lease on a table holds while it is computed.
const LEASE_MS: i64 = 60 * 60 * 1000;

impl Hub {
    /// Builds a model of kind table; `None` when nothing it is computed from has changed. A
    /// view has nothing to build.
    pub(crate) async fn build_model(
        &self,
        cx: &Cx,
        name: &str,
        step: StepRow,
    ) -> Result<Option<StepRow>> {
        let pipelines = self.engine.pipelines();
        let model = pipelines
            .model(name)
            .ok_or_else(|| Error::internal(format!("no model is called {name}")))?;
        if model.header.kind == ModelKind::View {
            return Ok(None);
        }
        let store = self.lake().store();
        let last = store.models().await?.into_iter().find(|row| row.name == name);
        let fingerprint = last.as_ref().map(|row| row.fingerprint.as_str());
        let versions = self.lake().table_versions().await?;
        let wanted = pipelines.origin(name, &versions, &self.project.files).to_string();
        if fingerprint == Some(wanted.as_str()) {
            return Ok(None);
        }
        // Maintenance must not take the files being written for those of a dead process.
        let lease = self.table_lease(name).await?;
        let built = self.build_leased(cx, model, fingerprint, &lease, step).await;
        store.release_lease(&lease).await?;
        built
    }

    /// Takes the lease on a table that is computed, named like the table.
    pub(crate) async fn table_lease(&self, name: &str) -> Result<Lease> {
        self.lake().store().take_lease(name, &self.holder, LEASE_MS).await
    }

    async fn build_leased(
        &self,
        cx: &Cx,
        model: &Model,
        fingerprint: Option<&str>,
        lease: &Lease,
        mut step: StepRow,
    ) -> Result<Option<StepRow>> {
        let name = model.name.as_str();
        let pushed = self.pushes_from(name).next().is_some();
        let build = self.engine.build(model, fingerprint, pushed);
        let Some(built) = until_stopped(cx, build).await? else {
            return Ok(None);
        };
        let mut tx = self.lake().store().begin().await?;
        tx.check_lease(lease).await?;
        let snapshot_id = built.commit.write(&mut tx).await?;
        self.enqueue(&mut tx, &step, name, &built).await?;
        step.balance.read = u64::try_from(built.row_count).unwrap_or(0);
        step.balance.written = step.balance.read;
        step.snapshot_id = Some(snapshot_id);
        tx.put_model(&ModelRow {
            name: name.to_owned(),
            fingerprint: built.fingerprint,
            snapshot_id,
            row_count: built.row_count,
            run_id: step.run_id,
            built_at: self.now(),
        })
        .await?;
        tx.put_step(&step).await?;
        fault_point!("model::queued");
        tx.commit().await?;
        fault_point!("model::durable");
        Ok(Some(step))
    }

    /// The pushes that take single records from `model`: system, push, key. A system on trial is
    /// never pushed to.
    pub(crate) fn pushes_from(&self, model: &str) -> impl Iterator<Item = (&str, &str, &[String])> {
        self.project
            .systems
            .values()
            .filter(|system| system.config.stage == Stage::Live)
            .flat_map(|system| {
                system.config.pushes.iter().map(|push| (system.config.id.as_str(), push))
            })
            .filter(move |(_, push)| push.from == model && push.queues())
            .map(|(system, push)| (system, push.name.as_str(), push.key.as_slice()))
    }

    /// The pushes of whole tables by system. A system on trial is never pushed to.
    pub(crate) fn whole_pushes(&self) -> impl Iterator<Item = (&str, &PushConfig)> {
        let live = |system: &&System| system.config.stage == Stage::Live;
        self.project.systems.values().filter(live).flat_map(|system| {
            let pushes = system.config.pushes.iter().filter(|push| push.load.is_some());
            pushes.map(|push| (system.config.id.as_str(), push))
        })
    }

    async fn enqueue(
        &self,
        tx: &mut Tx,
        step: &StepRow,
        model: &str,
        built: &BuiltModel,
    ) -> Result<()> {
        let now = self.now();
        for (system, push, key) in self.pushes_from(model) {
            let newest = self.lake().store().newest_records(system, push).await?;
            let mut queued = 0;
            let mut times: HashMap<String, u32> = HashMap::new();
            let mut returned = Vec::new();
            for batch in &built.rows {
                for row in 0..batch.num_rows() {
                    let record = record_text(batch, row)?;
                    let outgoing = Outgoing::of(system, push, key, record)?;
                    let again = outgoing.returned(newest.get(&outgoing.record_key));
                    let outgoing = outgoing.row(&self.key)?;
                    *times.entry(outgoing.record_key.clone()).or_default() += 1;
                    if tx.enqueue(step.run_id, system, push, &outgoing, &now).await? {
                        queued += 1;
                    } else if let Some(idempotency_key) = again {
                        returned.push(OutboxRow { idempotency_key, ..outgoing });
                    }
                }
            }
            // Rows that share a key have no order in which one could follow the other.
            returned.retain(|row| times.get(&row.record_key) == Some(&1));
            for row in &returned {
                queued += u64::from(tx.enqueue(step.run_id, system, push, row, &now).await?);
            }
            tx.count_dispatch(step.run_id, system, push, queued, &now).await?;
        }
        Ok(())
    }
}

/// A record that is to be pushed, not yet encrypted.
pub(crate) struct Outgoing {
    /// The business key.
    pub(crate) record_key: String,
    pub(crate) record_hash: String,
    /// Equal for equal records of one push.
    pub(crate) idempotency_key: String,
    payload: Vec<u8>,
}

impl Outgoing {
    pub(crate) fn of(
        system: &str,
        push: &str,
        key: &[String],
        record: Vec<(String, Option<String>)>,
    ) -> Result<Self> {
        let mut parts = Vec::with_capacity(key.len());
        for column in key {
            let value = record.iter().find(|(name, _)| name == column);
            let value = value.and_then(|(_, value)| value.as_deref()).ok_or_else(|| {
                Error::new(
                    huiliu_sdk::ErrorKind::Config,
                    "E-PUSH",
                    format!("push {system}.{push}: the key column {column} is missing or null"),
                )
                .hint("correct `key` in the system file, or the model it takes its rows from")
            })?;
            parts.push(value.replace('\\', "\\\\").replace('|', "\\|"));
        }
        let record_key = parts.join("|");
        let body: Map<String, Value> = record
            .into_iter()
            .map(|(name, value)| (name, value.map_or(Value::Null, Value::String)))
            .collect();
        let payload = serde_json::to_vec(&body)
            .map_err(|e| Error::internal("a record could not be queued").cause(e))?;
        let record_hash = hex(&Sha256::digest(&payload));
        let identity = format!("{system}\0{push}\0{record_key}\0{record_hash}");
        let idempotency_key = hex(&Sha256::digest(identity.as_bytes())[..16]);
        Ok(Self { record_key, record_hash, idempotency_key, payload })
    }

    /// An idempotency key of its own for equal records that are sent for different reasons.
    pub(crate) fn marked(&self, mark: &str) -> String {
        let identity = format!("{}\0{mark}", self.idempotency_key);
        hex(&Sha256::digest(identity.as_bytes())[..16])
    }

    /// The idempotency key under which it is sent again after `newest`, the last record of its
    /// key, has brought something else; none while the target has it.
    pub(crate) fn returned(&self, newest: Option<&NewestRow>) -> Option<String> {
        let other = newest.filter(|newest| newest.record_hash != self.record_hash)?;
        Some(self.marked(&format!("after {}", other.idempotency_key)))
    }

    /// As it is queued.
    pub(crate) fn row(self, key: &SealKey) -> Result<OutboxRow> {
        Ok(OutboxRow {
            outbox_id: 0,
            record_key: self.record_key,
            record_hash: self.record_hash,
            idempotency_key: self.idempotency_key,
            payload: key.seal(&self.payload)?,
            attempts: 0,
        })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
