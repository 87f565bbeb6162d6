//! The mover: one stream from its source into the lake.
//!
//! Rows are merged in chunks as they arrive; files pile up unseen until a checkpoint, where one
//! transaction takes in data, deletes, history, quarantine, state and balance together. The
//! source is acknowledged after that.

use arrow::array::StringArray;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use huiliu_core::config::{Budget, QuietHours};
use huiliu_lake::{Commit, RowStamp, UnkeyedRow, Upsert, storage_schema};
use huiliu_sdk::{
    Cell, Checkpoint, Cx, Error, ErrorKind, Event, Ops, ReadRequest, Result, Rows, Source,
    StreamId, StreamRequest, StreamSettings, WriteMode, original,
};
use huiliu_store::{Balance, Lease, QuarantinedRow, RunState, StepRow, StreamState};

use crate::gate::quiet_error;
use crate::hub::Hub;
use crate::project::System;
use crate::rewind::check_state;
use crate::run::{Progress, RunOptions};
use crate::stop::{in_time, until_lost};

/// Rows merged at once.
const CHUNK_ROWS: usize = 65_536;
/// Bytes merged at once.
const CHUNK_BYTES: usize = 64 << 20;
/// Rows after which a checkpoint is committed.
const COMMIT_ROWS: u64 = 262_144;
/// A handful of bad rows is no rate.
const RATE_FROM: u64 = 11;

/// One stream on its way into the lake.
pub(crate) struct Mover<'a> {
    hub: &'a Hub,
    cx: &'a Cx,
    system: &'a System,
    settings: &'a StreamSettings,
    budget: Budget,
    step: StepRow,
    lease: Lease,
    state: Option<StreamState>,
    upsert: Option<Upsert>,
    schema: Option<SchemaRef>,
    table_id: i64,
    chunk: Vec<RecordBatch>,
    chunk_positions: Vec<String>,
    chunk_ops: Ops,
    chunk_bytes: usize,
    staged_rows: u64,
    quarantined: Vec<QuarantinedRow>,
    /// Balance of everything committed in this run.
    committed: Balance,
    /// Rows the source itself could not decode since the last commit.
    undecoded: u64,
    /// When the stream has to end at its next commit.
    quiet: Option<QuietHours>,
}

/// Reads one stream until its end. However it ends, `step` has what was committed.
pub(crate) async fn sync_stream(
    hub: &Hub,
    cx: &Cx,
    system: &System,
    stream: &str,
    step: &mut StepRow,
    options: RunOptions,
    progress: &dyn Progress,
) -> Result<()> {
    let config = &system.config;
    let (settings, budget) = config
        .streams
        .iter()
        .find(|(settings, _)| settings.name == stream)
        .ok_or_else(|| Error::internal(format!("{} has no stream {stream}", config.id)))?;
    let endpoint = system.endpoint.as_ref().ok_or_else(|| not_ready(system))?;
    let store = hub.lake().store();
    let lease_name = format!("{}.{stream}", config.id);
    let now_ms = hub.clock.now().timestamp_millis();
    let hold_ms = hub.heartbeat.hold_ms();
    let lease = store.take_lease(&lease_name, &hub.holder, now_ms, hold_ms).await?;
    let cx = &Cx { cancel: cx.cancel.child_token(), ..cx.clone() };
    let watch = hub.heartbeat.keep_lease(&lease, cx.cancel.clone())?;
    let state = store.stream_state(&config.id, stream).await?;
    let request = ReadRequest {
        streams: vec![StreamRequest {
            stream: StreamId::new(stream),
            resume: state.as_ref().and_then(|state| state.checkpoint.clone()),
        }],
        row_limit: None,
    };
    let mut mover = Mover {
        hub,
        cx,
        system,
        settings,
        budget: *budget,
        step: step.clone(),
        lease,
        table_id: state.as_ref().map_or(0, |state| state.table_id),
        state,
        upsert: None,
        schema: None,
        chunk: Vec::new(),
        chunk_positions: Vec::new(),
        chunk_ops: Ops::Upsert,
        chunk_bytes: 0,
        staged_rows: 0,
        quarantined: Vec::new(),
        committed: step.balance,
        undecoded: 0,
        quiet: system.config.limits.quiet().filter(|_| !options.during_quiet_hours),
    };
    let result = match check_state(store, mover.state.as_ref()).await {
        Ok(()) => match in_time(cx, endpoint.source(cx, request)).await {
            Ok(mut source) => mover.drain(source.as_mut(), progress).await,
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    };
    let lease = mover.lease.clone();
    mover.step.balance = mover.committed;
    *step = mover.step.clone();
    drop(mover);
    let result = until_lost(&watch, &lease, result);
    drop(watch);
    store.release_lease(&lease).await?;
    result
}

/// The error for a system whose references have no value.
pub(crate) fn not_ready(system: &System) -> Error {
    let file = system.config.file.display();
    let missing = system.config.missing.iter();
    let lines: Vec<String> = missing
        .map(|missing| format!("{file}:{}: no value for {}", missing.line, missing.reference))
        .collect();
    Error::new(ErrorKind::Auth, "E-SECRET-MISSING", lines.join("; "))
    .hint("set env: names in the environment or in the data folder's `env`, secret: names in its `secrets`")
}

impl Mover<'_> {
    async fn drain(&mut self, source: &mut dyn Source, progress: &dyn Progress) -> Result<()> {
        let mut checkpoint = None;
        let mut committed_checkpoint = None;
        while let Some(event) = in_time(self.cx, source.next(self.cx)).await? {
            match event {
                Event::Schema(_, schema) => self.set_schema(schema).await?,
                Event::Rows(rows) => {
                    self.take(rows).await?;
                    progress.rows(&self.step.node, self.rows_so_far());
                }
                Event::Keys(..) => return Err(Error::unsupported("comparing keys")),
                Event::Checkpoint(next) => {
                    checkpoint = Some(next);
                    let is_quiet = self.hub.is_quiet(self.quiet);
                    if self.staged_rows >= COMMIT_ROWS || is_quiet {
                        self.flush().await?;
                        self.commit(checkpoint.clone()).await?;
                        committed_checkpoint = checkpoint.clone();
                        if let Some(checkpoint) = &checkpoint {
                            source.acknowledge(self.cx, checkpoint).await?;
                        }
                    }
                    if is_quiet {
                        return Err(quiet_error(self.system, self.quiet, true));
                    }
                }
                Event::End { .. } => {
                    self.flush().await?;
                    self.commit(checkpoint.clone()).await?;
                    if let Some(checkpoint) = &checkpoint
                        && committed_checkpoint.as_ref() != Some(checkpoint)
                    {
                        source.acknowledge(self.cx, checkpoint).await?;
                    }
                    committed_checkpoint = checkpoint.clone();
                }
            }
            self.cx.check()?;
        }
        Ok(())
    }

    fn rows_so_far(&self) -> u64 {
        self.committed.read
            + self.undecoded
            + self.upsert.as_ref().map_or(0, |upsert| upsert.balance().read)
            + self.chunk.iter().map(|batch| batch.num_rows() as u64).sum::<u64>()
    }

    /// The columns of the rows that follow; the lake's table gets those it lacks.
    async fn set_schema(&mut self, schema: SchemaRef) -> Result<()> {
        if self.schema.as_ref() == Some(&schema) {
            return Ok(());
        }
        self.flush().await?;
        if self.upsert.is_some() {
            return Err(Error::new(
                ErrorKind::Schema,
                "E-DRIFT",
                "the columns changed in the middle of a read",
            )
            .hint("run it again; if it happens again, declare the columns in the system file"));
        }
        self.schema = Some(schema);
        Ok(())
    }

    async fn start_upsert(&mut self) -> Result<Upsert> {
        let schema = self
            .schema
            .clone()
            .ok_or_else(|| Error::internal("the source sent rows before their columns"))?;
        let lake = self.hub.lake();
        let name = format!("{}_{}", self.system.config.id, self.settings.name);
        let (current, history) = Upsert::table_schemas(&schema);
        let mut tx = lake.store().begin().await?;
        let current = lake.ensure_table(&mut tx, "current", &name, &current).await?;
        let history = lake.ensure_table(&mut tx, "history", &name, &history).await?;
        tx.commit().await?;
        self.table_id = current.table_id;
        let stamp = RowStamp {
            run: self.step.run_id,
            seq: self.state.as_ref().map_or(1, |state| state.seq + 1),
            received_at: self.hub.clock.now().timestamp_micros(),
        };
        let key = match self.settings.write {
            WriteMode::Append => Vec::new(),
            _ => self.settings.key.clone(),
        };
        let cursor = self
            .settings
            .cursor
            .clone()
            .filter(|cursor| storage_schema(&schema).field_with_name(cursor).is_ok());
        Upsert::start(lake, current, history, &schema, key, cursor, stamp).await
    }

    async fn take(&mut self, rows: Rows) -> Result<()> {
        self.undecoded += rows.rejected.len() as u64;
        for rejected in rows.rejected {
            self.quarantined.push(QuarantinedRow {
                origin: rows.origin.to_string(),
                position: rejected.position,
                code: rejected.code.to_owned(),
                reason: rejected.reason,
                sealed: self.hub.key.seal(&rejected.raw)?,
            });
        }
        if rows.batch.num_rows() == 0 {
            return Ok(());
        }
        if !self.chunk.is_empty() && self.chunk_ops != rows.ops {
            self.flush().await?;
        }
        self.chunk_ops = rows.ops;
        self.chunk_bytes += rows.batch.get_array_memory_size();
        let origin = &rows.origin;
        self.chunk_positions.extend(rows.positions.iter().map(|p| format!("{origin}:{p}")));
        self.chunk.push(rows.batch);
        let pending: usize = self.chunk.iter().map(RecordBatch::num_rows).sum();
        let mixed = matches!(self.chunk_ops, Ops::PerRow(_));
        if pending >= CHUNK_ROWS || self.chunk_bytes >= CHUNK_BYTES || mixed {
            self.flush().await?;
        }
        Ok(())
    }

    /// Merges the waiting chunk. The work is on a blocking thread: it hashes, reads and writes
    /// Parquet.
    async fn flush(&mut self) -> Result<()> {
        let Some(first) = self.chunk.first() else { return Ok(()) };
        let batch = concat_batches(&first.schema(), &self.chunk)?;
        self.chunk.clear();
        self.chunk_bytes = 0;
        let positions = StringArray::from(std::mem::take(&mut self.chunk_positions));
        let ops = std::mem::replace(&mut self.chunk_ops, Ops::Upsert);
        self.staged_rows += batch.num_rows() as u64;
        let mut upsert = match self.upsert.take() {
            Some(upsert) => upsert,
            None => self.start_upsert().await?,
        };
        let merged = tokio::task::spawn_blocking(move || {
            let unkeyed = upsert.merge(&batch, &ops, &positions)?;
            Ok::<_, Error>((upsert, unkeyed))
        });
        let (upsert, unkeyed) = in_time(self.cx, async { Ok(merged.await) })
            .await?
            .map_err(|e| Error::internal("merging rows ended early").cause(e))??;
        self.upsert = Some(upsert);
        for row in unkeyed {
            self.set_aside_unkeyed(row)?;
        }
        Ok(())
    }

    fn set_aside_unkeyed(&mut self, row: UnkeyedRow) -> Result<()> {
        let (origin, position) = row.position.rsplit_once(':').unwrap_or((&row.position, "0"));
        let values = row
            .row
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_deref().map_or(Cell::Null, Cell::Text)));
        let original = original(values);
        self.quarantined.push(QuarantinedRow {
            origin: origin.to_owned(),
            position: position.parse().unwrap_or(0),
            code: "E-NULL-KEY".into(),
            reason: format!("the key column {} has no value", row.column),
            sealed: self.hub.key.seal(&original)?,
        });
        Ok(())
    }

    /// Ends what was staged in one transaction, or leaves everything as it was.
    async fn commit(&mut self, checkpoint: Option<Checkpoint>) -> Result<()> {
        if self.upsert.is_none() && self.schema.is_some() && self.table_id == 0 {
            // An empty stream still gets its table, so that models can name it.
            self.upsert = Some(self.start_upsert().await?);
        }
        let (changes, mut balance) = match self.upsert.take() {
            None => (Vec::new(), Balance::default()),
            Some(upsert) => {
                let finished = tokio::task::spawn_blocking(move || upsert.finish());
                let result = finished
                    .await
                    .map_err(|e| Error::internal("ending a commit failed early").cause(e))??;
                (result.changes, result.balance)
            }
        };
        balance.read += self.undecoded;
        balance.quarantined += self.undecoded;
        balance.check()?;
        let mut total = self.committed;
        total.add(&balance);
        self.check_budget(&total)?;
        let commit = Commit {
            changes,
            author: format!("run {}", self.step.run_id),
            message: format!("sync {}", self.step.node),
        };
        let last = self.state.as_ref().and_then(|state| state.checkpoint.as_ref());
        let moved = self.state.is_none() || last != checkpoint.as_ref();
        if commit.is_empty() && self.quarantined.is_empty() && !moved {
            self.committed = total;
            self.undecoded = 0;
            self.staged_rows = 0;
            return Ok(());
        }
        self.write_commit(&commit, checkpoint, total).await?;
        self.committed = total;
        self.undecoded = 0;
        self.staged_rows = 0;
        self.quarantined.clear();
        Ok(())
    }

    async fn write_commit(
        &mut self,
        commit: &Commit,
        checkpoint: Option<Checkpoint>,
        total: Balance,
    ) -> Result<()> {
        let store = self.hub.lake().store();
        let now = self.hub.now();
        let mut tx = store.begin().await?;
        tx.check_lease(&self.lease).await?;
        let snapshot_id = if commit.is_empty() {
            self.state.as_ref().map_or(0, |state| state.snapshot_id)
        } else {
            commit.write(&mut tx).await?
        };
        let next = StreamState {
            system: self.system.config.id.clone(),
            stream: self.settings.name.clone(),
            seq: self.state.as_ref().map_or(1, |state| state.seq + 1),
            table_id: self.table_id,
            snapshot_id,
            checkpoint,
            run_id: self.step.run_id,
            updated_at: now.clone(),
        };
        tx.advance_state(&next).await?;
        tx.log_commit(&next).await?;
        let (system, stream) = (&self.system.config.id, &self.settings.name);
        tx.put_quarantine(self.step.run_id, system, stream, &self.quarantined, &now).await?;
        let mut step = self.step.clone();
        step.state = RunState::Running.as_str().to_owned();
        step.balance = total;
        if !commit.is_empty() {
            step.snapshot_id = Some(snapshot_id);
        }
        tx.put_step(&step).await?;
        tx.commit().await?;
        self.step = step;
        self.state = Some(next);
        let now_ms = self.hub.clock.now().timestamp_millis();
        store.renew_lease(&self.lease, now_ms, self.hub.heartbeat.hold_ms()).await
    }

    fn check_budget(&self, total: &Balance) -> Result<()> {
        let bad = total.quarantined;
        #[allow(clippy::cast_precision_loss)] // row counts are far below 2^52
        let rate = bad as f64 * 100.0 / (total.read.max(1)) as f64;
        if bad <= self.budget.rows && (bad < RATE_FROM || rate <= self.budget.percent) {
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
