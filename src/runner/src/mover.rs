//! The mover: one stream from its source into the lake.
//!
//! Rows are brought under the lake's columns by the stream's contract and merged in chunks as
//! they arrive; files pile up unseen until a checkpoint, where one transaction takes in data,
//! deletes, history, quarantine, state and balance together. The source is acknowledged after
//! that. `replace` and `snapshot` are committed once, at the end of a complete read.

mod aside;
mod chunk;
mod commit;
mod conform;
mod contract;
mod echo;
mod guard;
mod live;
mod take;

use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{Field, Schema, SchemaRef};
use huiliu_core::config::{QuietHours, StreamLimits};
use huiliu_lake::{Haste, KeySet, LakeTable, Merge, SharedKeys, UnkeyedRow, held_schema};
use huiliu_sdk::{
    Checkpoint, Cx, Deletes, Error, ErrorKind, Event, ReadMode, ReadRequest, Result, Source,
    StreamId, StreamRequest, StreamSettings, Window, WriteMode,
};
use huiliu_store::{Balance, Lease, QuarantinedRow, StepRow, StreamState};
use tokio::task::JoinHandle;

use self::chunk::Chunk;
use self::contract::Layout;
use self::echo::Echoes;
pub use self::guard::GuardPlan;
pub(crate) use self::guard::Guards;
pub(crate) use self::live::{LiveRead, read_live};
use crate::attempt::Job;
use crate::gate::{Quiet, quiet_error};
use crate::hub::Hub;
use crate::project::System;
use crate::rewind::check_state;
use crate::run::Progress;
use crate::stop::{in_time, until_lost};
use crate::together::Seat;

/// Rows after which a checkpoint is committed.
const COMMIT_ROWS: u64 = 1 << 20;
/// Bytes after which a checkpoint is committed.
const COMMIT_BYTES: u64 = 1 << 30;
/// How often one run begins a read anew because columns changed in the middle of it. Each time
/// the table has got those columns, so a source that ends ever changing them is a broken one.
const READS: u32 = 16;

/// One stream on its way into the lake.
struct Mover<'a> {
    hub: &'a Hub,
    cx: &'a Cx,
    system: &'a System,
    settings: &'a StreamSettings,
    limits: StreamLimits,
    guards: &'a Guards,
    step: StepRow,
    lease: Lease,
    state: Option<StreamState>,
    table_id: i64,
    /// The columns as the source announced them last.
    announced: Option<SchemaRef>,
    layout: Option<Arc<Layout>>,
    merge: Option<Merge>,
    /// The merge while it is at work on a chunk.
    merging: Option<JoinHandle<(Merge, Result<Vec<UnkeyedRow>>)>>,
    /// Of the merge at work: whether it is waited for.
    haste: Haste,
    chunk: Chunk,
    staged_rows: u64,
    staged_bytes: u64,
    checkpoint: Option<Checkpoint>,
    acknowledged: Option<Checkpoint>,
    /// Rows that came after `checkpoint`.
    since_checkpoint: u64,
    scan: Option<KeyScan>,
    /// Whether a row was set aside since the last commit of which not even the case is known.
    spares_all_cases: bool,
    /// Rows the table had when this read began.
    live_before: Option<u64>,
    /// Deletes of this read that a person accepted.
    excused: u64,
    quarantined: Vec<QuarantinedRow>,
    /// Balance of everything committed in this run.
    committed: Balance,
    /// Rows set aside before they were merged, since the last commit.
    set_aside: u64,
    notes: Vec<String>,
    /// When the stream has to end at its next commit.
    quiet: Option<QuietHours>,
    /// Whether the read forgets where the last one ended.
    from_start: bool,
    /// The part to read instead of what is new. It moves no checkpoint and deletes nothing.
    window: Option<&'a Window>,
    /// What pushes may bring back in this stream; none where the stream says nothing of it.
    echoes: Option<Echoes>,
    /// The stream's place in a read that others share.
    seat: Option<&'a Seat>,
}

/// The keys of one read, for `deletes = "key_scan"`.
struct KeyScan {
    seen: SharedKeys,
    /// Whether the source sent its keys apart from its rows.
    has_keys: bool,
    /// Rows that were set aside and whose keys are unknown: they are at the source, and would be
    /// taken for deleted.
    keyless: u64,
}

/// How a read ended.
enum Ended {
    Done,
    /// The table got new columns; the read begins anew under them.
    Again,
}

/// Reads one stream until its end. However it ends, `step` has what was committed.
pub(crate) async fn sync_stream(
    job: Job<'_>,
    cx: &Cx,
    system: &System,
    stream: &str,
    seat: Option<&Seat>,
    step: &mut StepRow,
) -> Result<()> {
    let hub = job.hub;
    let config = &system.config;
    let (settings, limits) = config
        .streams
        .iter()
        .find(|(settings, _)| settings.name == stream)
        .ok_or_else(|| Error::internal(format!("{} has no stream {stream}", config.id)))?;
    let store = hub.lake().store();
    let lease_name = format!("{}.{stream}", config.id);
    let hold_ms = hub.heartbeat.hold_ms();
    let lease = store.take_lease(&lease_name, &hub.holder, hold_ms).await?;
    let cx = &Cx { cancel: cx.cancel.child_token(), ..cx.clone() };
    let watch = hub.heartbeat.keep_lease(&lease, cx.cancel.clone())?;
    let state = store.stream_state(&config.id, stream).await?;
    let mut mover = Mover {
        hub,
        cx,
        system,
        settings,
        limits: *limits,
        guards: job.guards,
        step: step.clone(),
        lease,
        table_id: state.as_ref().map_or(0, |state| state.table_id),
        state,
        announced: None,
        layout: None,
        merge: None,
        merging: None,
        haste: Haste::default(),
        chunk: Chunk::new(),
        staged_rows: 0,
        staged_bytes: 0,
        checkpoint: None,
        acknowledged: None,
        since_checkpoint: 0,
        scan: None,
        spares_all_cases: false,
        live_before: None,
        excused: 0,
        quarantined: Vec::new(),
        committed: step.balance,
        set_aside: 0,
        notes: Vec::new(),
        quiet: system.config.limits.quiet().filter(|_| !job.during_quiet_hours),
        from_start: false,
        window: job.window,
        echoes: None,
        seat,
    };
    let result = match check_state(store, mover.state.as_ref()).await {
        Ok(()) if job.whole => mover.read_twice(job.progress).await,
        Ok(()) => mover.read(job.progress).await,
        Err(error) => Err(error),
    };
    if let Some(merging) = mover.merging.take().filter(|_| !cx.cancel.is_cancelled()) {
        // What it wrote goes before anybody else takes the stream up.
        drop(merging.await);
    }
    if result.is_err() {
        mover.find_lost_commit().await;
    }
    let lease = mover.lease.clone();
    mover.step.balance = mover.committed;
    if !mover.notes.is_empty() {
        mover.step.message = Some(mover.notes.join("; "));
    }
    *step = mover.step.clone();
    drop(mover);
    let result = until_lost(&watch, &lease, result);
    drop(watch);
    // How the read ended counts more than a lease that could not be given back and runs out.
    if let Err(error) = store.release_lease(&lease).await {
        tracing::warn!(%error, lease = lease.name, "a lease could not be given back");
    }
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
    .hint("set env: names in the environment or in the data folder's `env`, secret: names with `huiliu secret set`")
}

impl Mover<'_> {
    /// Reads what is new, and then all of an incremental stream. What the second read brings came
    /// too late for the first one and all before it, or was written between the two.
    async fn read_twice(&mut self, progress: &dyn Progress) -> Result<()> {
        let resumes = self.state.as_ref().is_some_and(|state| state.checkpoint.is_some());
        self.read(progress).await?;
        if self.settings.read != ReadMode::Incremental || !resumes {
            return Ok(());
        }
        if self.settings.write == WriteMode::Append {
            self.notes.push("not read whole, because appended rows would be there twice".into());
            return Ok(());
        }
        let notes = std::mem::take(&mut self.notes);
        let (written, deleted) = (self.committed.written, self.committed.deleted);
        self.from_start = true;
        self.read(progress).await?;
        let late = self.committed.written - written;
        let gone = self.committed.deleted - deleted;
        self.notes.retain(|note| !notes.contains(note));
        self.notes.splice(0..0, notes);
        if late > 0 {
            self.notes.push(format!(
                "late: {late} rows were new or changed behind the cursor; a longer `overlap` finds \
                 such rows sooner"
            ));
        }
        if gone > 0 {
            self.notes.push(format!("{gone} rows were gone"));
        }
        Ok(())
    }

    /// Reads the stream, anew if its columns change in a way that needs it.
    async fn read(&mut self, progress: &dyn Progress) -> Result<()> {
        let endpoint = self.system.endpoint.as_ref().ok_or_else(|| not_ready(self.system))?;
        for _ in 0..READS {
            self.begin();
            self.load_echoes().await?;
            let stream = StreamRequest {
                stream: StreamId::new(self.settings.name.as_str()),
                resume: self
                    .state
                    .as_ref()
                    .filter(|_| !self.from_start)
                    .and_then(|state| state.checkpoint.clone()),
            };
            let mut source = match (self.window, self.seat) {
                (Some(window), _) => {
                    let asked = endpoint.window(self.cx, &stream.stream, window);
                    in_time(self.cx, self.silence(), asked).await?
                }
                (None, Some(seat)) => seat.source(self.cx, stream).await?,
                (None, None) => {
                    let request = ReadRequest { streams: vec![stream], row_limit: None };
                    in_time(self.cx, self.silence(), endpoint.source(self.cx, request)).await?
                }
            };
            if let Ended::Done = self.drain(source.as_mut(), progress).await? {
                return Ok(());
            }
        }
        Err(Error::new(
            ErrorKind::Schema,
            "E-DRIFT",
            "the columns keep changing in the middle of reads",
        )
        .hint("declare the columns in the system file"))
    }

    /// How long the system may say nothing. In a shared read it may be silent about one stream
    /// while it speaks of others, and is watched as a whole.
    fn silence(&self) -> Duration {
        match self.seat {
            Some(_) => Duration::MAX,
            None => self.system.config.limits.silence(),
        }
    }

    /// Forgets what an earlier read left uncommitted.
    fn begin(&mut self) {
        self.announced = None;
        self.layout = None;
        self.merge = None;
        self.merging = None;
        self.chunk = Chunk::new();
        (self.staged_rows, self.staged_bytes) = (0, 0);
        (self.since_checkpoint, self.set_aside) = (0, 0);
        self.spares_all_cases = false;
        let kept = self.state.as_ref().and_then(|state| state.checkpoint.clone());
        self.checkpoint = kept.filter(|_| self.window.is_some());
        self.acknowledged = self.checkpoint.clone();
        self.live_before = None;
        self.quarantined.clear();
        self.notes.clear();
        self.scan =
            (self.settings.deletes == Deletes::KeyScan && self.window.is_none()).then(|| {
                let spill = self.hub.data.join("spill");
                let seen = Arc::new(std::sync::Mutex::new(KeySet::new(spill)));
                KeyScan { seen, has_keys: false, keyless: 0 }
            });
    }

    /// Whether the whole read is one commit.
    fn is_atomic(&self) -> bool {
        matches!(self.settings.write, WriteMode::Replace | WriteMode::Snapshot)
    }

    async fn drain(&mut self, source: &mut dyn Source, progress: &dyn Progress) -> Result<Ended> {
        let mut has_ended = false;
        let silence = self.silence();
        while let Some(event) = in_time(self.cx, silence, source.next(self.cx)).await? {
            match event {
                Event::Schema(_, schema) => {
                    if let Ended::Again = self.set_schema(source, schema).await? {
                        return Ok(Ended::Again);
                    }
                }
                Event::Rows(rows) => {
                    self.take(rows).await?;
                    progress.rows(&self.step.node, self.rows_so_far());
                }
                Event::Keys(_, keys) => self.take_keys(&keys).await?,
                Event::Note(_, note) => self.notes.push(note),
                Event::Checkpoint(_) if self.window.is_some() => {}
                Event::Checkpoint(next) => {
                    self.checkpoint = Some(next);
                    self.since_checkpoint = 0;
                    let due = self.staged_rows >= COMMIT_ROWS || self.staged_bytes >= COMMIT_BYTES;
                    let is_quiet = self.hub.is_quiet(self.quiet);
                    if (due || is_quiet) && !self.is_atomic() {
                        self.commit_here(source).await?;
                    }
                    if is_quiet {
                        let begun = if self.is_atomic() { Quiet::Discarded } else { Quiet::Kept };
                        return Err(quiet_error(self.system, self.quiet, begun));
                    }
                }
                Event::End { complete, .. } => {
                    self.end(complete).await?;
                    self.commit_here(source).await?;
                    has_ended = true;
                }
            }
            self.cx.check()?;
        }
        if !has_ended {
            return Err(Error::internal("the source stopped before the end of its stream"));
        }
        Ok(Ended::Done)
    }

    fn rows_so_far(&self) -> u64 {
        self.committed.read + self.set_aside + self.staged_rows + self.chunk.rows() as u64
    }

    /// The columns of the rows that follow. The contract says what they do to the table's.
    async fn set_schema(&mut self, source: &mut dyn Source, schema: SchemaRef) -> Result<Ended> {
        if self.announced.as_ref() == Some(&schema) {
            return Ok(Ended::Done);
        }
        self.settle().await?;
        let incoming = held_schema(&schema);
        contract::check_columns(self.settings, &incoming)?;
        let table = self.table_columns().await?;
        let (layout, drift) = contract::plan(self.settings.contract, table.as_ref(), &incoming);
        let goes_on = self.layout.as_ref().is_some_and(|held| held.schema == layout.schema);
        if !goes_on && self.merge.is_some() && self.since_checkpoint == 0 && !self.is_atomic() {
            self.commit_here(source).await?;
        }
        if let Some(drift) = drift {
            self.pass_drift(drift)?;
        }
        let layout = Arc::new(layout);
        self.announced = Some(schema);
        self.layout = Some(Arc::clone(&layout));
        if goes_on || self.merge.is_none() {
            return Ok(Ended::Done);
        }
        // Rows are staged that no checkpoint covers yet. Once the table has the columns, a new
        // read of them merges all of it under one layout.
        self.ensure_tables(&layout).await?;
        Ok(Ended::Again)
    }

    /// The columns of the table that are not the hub's, if there is one.
    async fn table_columns(&mut self) -> Result<Option<Schema>> {
        let name = self.table_name();
        let table = self.hub.lake().table("current", &name).await?;
        Ok(table.map(|table| data_columns(&table, self.settings.write)))
    }

    fn table_name(&self) -> String {
        format!("{}_{}", self.system.config.id, self.settings.name)
    }

    fn pass_drift(&self, drift: contract::Drift) -> Result<()> {
        let message = format!("the columns are not those agreed: {}", drift.what.join("; "));
        if !drift.can_follow {
            return Err(Error::new(ErrorKind::Schema, "E-DRIFT", message).hint(format!(
                "nothing was committed; declare {} under `columns` in the system file as the lake \
                 has it, or give the stream a new name to read it into a new table",
                drift.columns.join(", ")
            )));
        }
        let version = self.state.as_ref().map_or(0, |state| state.snapshot_id);
        let plan = GuardPlan::build(&self.step.node, "drift", version).changes(drift.what).done();
        let advice = "ask the source's owner, or change the stream's `contract`";
        self.guards.pass(plan, ErrorKind::Schema, "E-DRIFT", message, advice)
    }

    /// The end of the read: what a complete one means for the rows that it did not have.
    async fn end(&mut self, complete: bool) -> Result<()> {
        self.settle().await?;
        if let Some(layout) = self.layout.as_ref().filter(|layout| !layout.missing.is_empty()) {
            self.notes.push(format!(
                "the source no longer has {}; new rows have no value there",
                layout.missing.join(", ")
            ));
        }
        if self.is_atomic() {
            if !complete {
                return Err(Error::new(
                    ErrorKind::Data,
                    "E-INCOMPLETE",
                    "the read did not see all rows, and the table is written only as a whole",
                )
                .hint("the table stays as it was; look at what the source waits for, then run it again"));
            }
            self.ensure_merge().await?;
        }
        let Some(scan) = &self.scan else { return Ok(()) };
        let by_rows = complete && (self.settings.read == ReadMode::Full || !scan.has_keys);
        if by_rows && scan.keyless > 0 {
            self.notes.push(format!(
                "nothing was deleted, because the keys of {} rows that were set aside are not known",
                scan.keyless
            ));
        } else if by_rows || scan.has_keys {
            if self.ensure_merge().await? {
                self.with_merge(|merge| merge.sweep()).await?;
            }
        } else {
            self.notes.push("nothing was deleted, because the read did not see all rows".into());
        }
        Ok(())
    }
}

/// The columns of `table` that come from the source, as rows written by `mode` have them.
fn data_columns(table: &LakeTable, mode: WriteMode) -> Schema {
    let (own, _) = Merge::table_schemas(&Schema::empty(), mode);
    let fields = table.schema.fields().iter();
    let data = fields.filter(|field| own.field_with_name(field.name()).is_err());
    Schema::new(
        data.map(|field| Field::new(field.name(), field.data_type().clone(), true))
            .collect::<Vec<_>>(),
    )
}
