//! Keeping the lake in order: compaction, expiry, orphans; by command, by schedule, and after
//! each run as far as it is due.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use huiliu_core::duration::parse_duration;
use huiliu_core::policy::exit;
use huiliu_lake::{
    Compaction, CompactionPlan, CompactionPolicy, CompactionReport, CompactionTables, ExpiryRules,
    TableFiles, fault_point,
};
use huiliu_sdk::{Cx, Error, ErrorKind, Result, WriteMode};
use huiliu_store::{Balance, Lease, RunState, StepRow};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::hub::Hub;
use crate::lock::FolderLock;
use crate::run::RunReport;
use crate::stop::{broken_off, unbroken};

/// The word that names maintenance where a selector stands.
pub(crate) const SELECTOR: &str = "maintain";
/// How long a table's lease holds for one pass over it.
const LEASE_MS: i64 = 30 * 60 * 1000;
/// How often a compaction is tried when another writer was there first.
const ATTEMPTS: u32 = 3;
/// Passes over one table in one command; each has a limit of rows.
const PASSES: u32 = 1000;
/// So many snapshots must be due before a run ends with forgetting them.
const EXPIRE_AT_ONCE: usize = 20;

/// What maintenance is asked for.
#[derive(Debug, Clone, Default)]
pub struct MaintainOptions {
    /// Only this table, as `schema.table`.
    pub table: Option<String>,
    /// Say what is due and do nothing.
    pub dry_run: bool,
    /// Instead of the time in `config/hub.toml`.
    pub grace: Option<Duration>,
}

/// What was done to one table, or is due.
#[derive(Debug, Clone, Default, Serialize)]
pub struct TableUpkeep {
    /// The table, as `schema.table`.
    pub table: String,
    /// Why it was compacted.
    pub reasons: Vec<&'static str>,
    /// Its data files before.
    pub files_before: u64,
    /// Its data files after.
    pub files_after: u64,
    /// Size of the files that were written anew.
    pub bytes_before: i64,
    /// Size of the files that took their place.
    pub bytes_after: i64,
    /// Rows read.
    pub rows: u64,
    /// Superseded rows moved to history.
    pub moved: u64,
    /// Files of ended processes that were removed.
    pub orphans: u64,
    /// The last snapshot it made.
    pub snapshot_id: Option<i64>,
    /// How long it took.
    pub seconds: f64,
    /// Why it was left out or failed: code.
    pub code: Option<String>,
    /// Why it was left out or failed.
    pub message: Option<String>,
}

/// What maintenance did.
#[derive(Debug, Clone, Serialize)]
pub struct MaintainReport {
    /// The run it is recorded as; none when it only said what is due.
    pub run_id: Option<i64>,
    /// How it ended.
    pub state: RunState,
    /// The exit code that says the same.
    pub exit_code: u8,
    /// What was done to each table where something was to do.
    pub tables: Vec<TableUpkeep>,
    /// Snapshots that were forgotten.
    pub snapshots_expired: u64,
    /// Files put down for removal.
    pub files_forgotten: u64,
    /// Files removed whose time had come.
    pub files_removed: u64,
    /// The steps as recorded.
    #[serde(skip)]
    pub steps: Vec<StepRow>,
}

/// One pass of maintenance.
struct Upkeep<'a> {
    hub: &'a Hub,
    cx: &'a Cx,
    run_id: i64,
    policy: CompactionPolicy,
    grace: Duration,
    /// Whether a run does it in passing: only what is due, one pass, no look at the disk.
    in_passing: bool,
    report: MaintainReport,
}

impl Hub {
    /// Brings the lake in order, as a run of its own.
    pub async fn maintain(
        &self,
        options: &MaintainOptions,
        job: Option<&str>,
        cancel: CancellationToken,
    ) -> Result<MaintainReport> {
        let cx = self.context(cancel);
        let mut upkeep = Upkeep::new(self, &cx, 0, options.grace, false)?;
        if let Some(table) = &options.table
            && self.lake().live_files(Some(table)).await?.is_empty()
        {
            let message = format!("the lake has no table {table}");
            return Err(Error::new(ErrorKind::Config, "E-SELECTOR", message)
                .hint("write it as schema.table; `huiliu query \"show tables\"` lists them"));
        }
        if options.dry_run {
            upkeep.foresee(options.table.as_deref()).await?;
            return Ok(upkeep.report);
        }
        let _lock = FolderLock::take(self.data(), &self.holder)?;
        let store = self.lake().store();
        store.end_leases().await?;
        store.close_abandoned_runs(&self.now()).await?;
        let run_id = store.start_run(job, SELECTOR, &self.holder, &self.now()).await?;
        upkeep.run_id = run_id;
        upkeep.tables(options.table.as_deref()).await?;
        if options.table.is_none() {
            upkeep.stray_folders().await?;
            upkeep.snapshots().await?;
        }
        let mut report = upkeep.report;
        report.run_id = Some(run_id);
        (report.state, report.exit_code) = outcome(&report.steps, cx.cancel.is_cancelled());
        store.finish_run(run_id, report.state, report.exit_code, &self.now()).await?;
        Ok(report)
    }

    /// Maintenance where a job names it as what it runs.
    pub(crate) async fn maintain_run(
        &self,
        job: Option<&str>,
        cancel: CancellationToken,
    ) -> Result<RunReport> {
        let report = self.maintain(&MaintainOptions::default(), job, cancel).await?;
        Ok(RunReport {
            run_id: report.run_id.unwrap_or_default(),
            state: report.state,
            exit_code: report.exit_code,
            steps: report.steps,
            plans: Vec::new(),
            unused_accepts: Vec::new(),
            audits: Vec::new(),
            repair: None,
            outbox: self.lake().store().outbox_counts().await?,
        })
    }

    /// What is due after a run, if the configuration wants it done then. The caller holds the
    /// data folder.
    pub(crate) async fn maintain_due(&self, run_id: i64, cx: &Cx) -> Result<Vec<StepRow>> {
        if !self.project.hub.maintenance.auto || cx.cancel.is_cancelled() {
            return Ok(Vec::new());
        }
        let mut upkeep = Upkeep::new(self, cx, run_id, None, true)?;
        upkeep.tables(None).await?;
        upkeep.snapshots().await?;
        Ok(upkeep.report.steps)
    }
}

/// How maintenance ended, by its steps. A table left out because somebody writes it is no
/// failure, unless there was nothing else.
fn outcome(steps: &[StepRow], cancelled: bool) -> (RunState, u8) {
    if cancelled {
        return (RunState::Cancelled, exit::INTERRUPTED);
    }
    let failed = steps.iter().filter(|step| step.state == "failed").count();
    let busy = steps.iter().filter(|step| step.code.as_deref() == Some("E-LEASE-BUSY")).count();
    match failed {
        0 if busy > 0 && busy == steps.len() => (RunState::Unchanged, exit::GUARDED),
        0 if steps.is_empty() => (RunState::Unchanged, exit::DONE),
        0 => (RunState::Succeeded, exit::DONE),
        failed if failed < steps.len() => (RunState::Partial, exit::PARTIAL),
        _ => (RunState::Failed, exit::FAILED),
    }
}

impl<'a> Upkeep<'a> {
    fn new(
        hub: &'a Hub,
        cx: &'a Cx,
        run_id: i64,
        grace: Option<Duration>,
        in_passing: bool,
    ) -> Result<Self> {
        let grace = match grace {
            Some(grace) => grace,
            None => parse_duration(&hub.project.hub.maintenance.grace)?,
        };
        let report = MaintainReport {
            run_id: None,
            state: RunState::Unchanged,
            exit_code: exit::DONE,
            tables: Vec::new(),
            snapshots_expired: 0,
            files_forgotten: 0,
            files_removed: 0,
            steps: Vec::new(),
        };
        let policy = CompactionPolicy::default();
        Ok(Self { hub, cx, run_id, policy, grace, in_passing, report })
    }

    /// Says what is due.
    async fn foresee(&mut self, only: Option<&str>) -> Result<()> {
        let before = self.before_grace();
        for table in self.hub.lake().live_files(only).await? {
            let plan = self.policy.plan(&table.facts());
            let orphans = self.hub.lake().orphans(&table.folder, before).await?.len() as u64;
            if plan.is_none() && orphans == 0 {
                continue;
            }
            let mut upkeep = described(&table);
            upkeep.orphans = orphans;
            if let Some(plan) = plan {
                foretell(&mut upkeep, &table, &plan);
            }
            self.report.tables.push(upkeep);
        }
        if only.is_none() {
            let due = self.hub.lake().expirable(&self.rules()).await?;
            self.report.snapshots_expired = due.len() as u64;
            self.report.files_removed = self.hub.lake().removable(before).await?;
        }
        Ok(())
    }

    /// All tables, those of one lease together.
    async fn tables(&mut self, only: Option<&str>) -> Result<()> {
        let tables = self.hub.lake().live_files(None).await?;
        let leases = self.lease_names(&tables).await?;
        let mut groups: BTreeMap<&str, Vec<&TableFiles>> = BTreeMap::new();
        for (table, lease) in tables.iter().zip(&leases) {
            let chosen = only.is_none_or(|only| only == full_name(table));
            let due = !self.in_passing || self.policy.plan(&table.facts()).is_some();
            if chosen && due {
                groups.entry(lease).or_default().push(table);
            }
        }
        for (name, tables) in groups {
            if self.cx.cancel.is_cancelled() {
                return Ok(());
            }
            let Some(lease) = self.lease(name, &full_name(tables[0])).await? else { continue };
            for table in tables {
                self.table(table, &lease).await?;
            }
            self.hub.lake().store().release_lease(&lease).await?;
        }
        Ok(())
    }

    /// The lease that covers each table: its stream's, or one of its own name.
    async fn lease_names(&self, tables: &[TableFiles]) -> Result<Vec<String>> {
        let mut streams: BTreeMap<String, String> = BTreeMap::new();
        for state in self.hub.lake().store().stream_states().await? {
            if let Some(table) = tables.iter().find(|table| table.table_id == state.table_id) {
                streams.insert(table.name.clone(), format!("{}.{}", state.system, state.stream));
            }
        }
        // A stream that never committed has a table and no state.
        for system in self.hub.project.systems.values() {
            let id = &system.config.id;
            for (stream, _) in &system.config.streams {
                let name = format!("{id}_{}", stream.name);
                streams.entry(name).or_insert_with(|| format!("{id}.{}", stream.name));
            }
        }
        let lease = |table: &TableFiles| {
            let of_stream = matches!(table.schema_name.as_str(), "current" | "history");
            let stream = streams.get(&table.name).filter(|_| of_stream);
            stream.cloned().unwrap_or_else(|| full_name(table))
        };
        Ok(tables.iter().map(lease).collect())
    }

    /// Takes a lease; when somebody else has it, says so and goes without.
    async fn lease(&mut self, name: &str, table: &str) -> Result<Option<Lease>> {
        let holder = format!("{} (maintenance)", self.hub.holder);
        match self.hub.lake().store().take_lease(name, &holder, LEASE_MS).await {
            Ok(lease) => Ok(Some(lease)),
            Err(error) if error.code() == "E-LEASE-BUSY" => {
                let mut upkeep = TableUpkeep { table: table.to_owned(), ..TableUpkeep::default() };
                blame(&mut upkeep, &error);
                let step = self.hub.new_step(self.run_id, &node(table), SELECTOR);
                self.finish(step, upkeep, RunState::Unchanged).await?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// One table under its lease. What goes wrong with it is noted and leaves others alone.
    async fn table(&mut self, table: &TableFiles, lease: &Lease) -> Result<()> {
        let began = Instant::now();
        let name = full_name(table);
        let mut step = self.hub.new_step(self.run_id, &node(&name), SELECTOR);
        let mut upkeep = described(table);
        let mut result = unbroken(self.compact(&name, lease, &mut step, &mut upkeep)).await;
        if result.is_ok() && !self.in_passing {
            result = self.remove_orphans(&table.folder, lease, &mut upkeep).await;
        }
        upkeep.seconds = began.elapsed().as_secs_f64();
        let state = match result {
            Ok(()) if upkeep.snapshot_id.is_none() && upkeep.orphans == 0 => return Ok(()),
            Ok(()) => RunState::Succeeded,
            Err(error) if error.kind() == ErrorKind::Cancelled => RunState::Cancelled,
            Err(error) => {
                blame(&mut upkeep, &error);
                step.hint = error.hint_text().map(str::to_owned);
                RunState::Failed
            }
        };
        self.finish(step, upkeep, state).await
    }

    /// Compacts a table until nothing is due, or once in passing.
    async fn compact(
        &self,
        name: &str,
        lease: &Lease,
        step: &mut StepRow,
        upkeep: &mut TableUpkeep,
    ) -> Result<()> {
        let mut attempts = 0;
        for _ in 0..if self.in_passing { 1 } else { PASSES } {
            let Some(table) = self.hub.lake().live_files(Some(name)).await?.pop() else {
                return Ok(());
            };
            upkeep.files_after = table.files.len() as u64;
            let Some(plan) = self.policy.plan(&table.facts()) else { return Ok(()) };
            let compaction = self.rewrite(table, plan.clone()).await?;
            let report = compaction.report;
            match self.commit(&compaction, lease, step, &report).await {
                Ok(snapshot) => add(upkeep, &plan, &report, snapshot),
                Err(error) => {
                    // Of any other error nobody knows whether it came after the commit, which has
                    // the new files then; if it has not, they are found as orphans later.
                    if error.code() == "E-LAKE-CONFLICT" {
                        compaction.discard();
                    }
                    attempts += 1;
                    if error.code() != "E-LAKE-CONFLICT" || attempts >= ATTEMPTS {
                        return Err(error);
                    }
                }
            }
            self.hub.lake().store().renew_lease(lease, LEASE_MS).await?;
        }
        Ok(())
    }

    /// Writes the new files, on a blocking thread.
    async fn rewrite(&self, files: TableFiles, plan: CompactionPlan) -> Result<Compaction> {
        let lake = self.hub.lake();
        let gone = || Error::internal("a table that is maintained is not there");
        let table = lake.table(&files.schema_name, &files.name).await?.ok_or_else(gone)?;
        let (history, key) = match files.schema_name.as_str() {
            "current" => (lake.table("history", &files.name).await?, self.key(&files.name)),
            _ => (None, Vec::new()),
        };
        let tables = CompactionTables { table, history, key };
        let (lake, policy, cx) = (lake.clone(), self.policy, self.cx.clone());
        let written = tokio::task::spawn_blocking(move || {
            let stop = || cx.check();
            Compaction::write(&lake, &tables, &files.files, &plan, &policy, &stop)
        });
        written.await.map_err(broken_off)?
    }

    /// The key of the stream whose table of `current` is called `name`.
    fn key(&self, name: &str) -> Vec<String> {
        let systems = self.hub.project.systems.values();
        let mut streams = systems.flat_map(|system| {
            system.config.streams.iter().map(move |(stream, _)| (system, stream))
        });
        let found = streams
            .find(|(system, stream)| format!("{}_{}", system.config.id, stream.name) == name)
            .filter(|(_, stream)| stream.write != WriteMode::Append);
        found.map(|(_, stream)| stream.key.clone()).unwrap_or_default()
    }

    async fn commit(
        &self,
        compaction: &Compaction,
        lease: &Lease,
        step: &mut StepRow,
        report: &CompactionReport,
    ) -> Result<i64> {
        let mut balance = step.balance;
        balance.add(&Balance {
            read: report.read,
            written: report.kept + report.moved,
            filtered: report.dropped,
            deleted: report.moved,
            ..Balance::default()
        });
        balance.check()?;
        let mut tx = self.hub.lake().store().begin().await?;
        tx.check_lease(lease).await?;
        let author = format!("run {}", self.run_id);
        let snapshot = compaction.commit(&author).write(&mut tx).await?;
        let mut next = step.clone();
        next.balance = balance;
        next.snapshot_id = Some(snapshot);
        tx.put_step(&next).await?;
        fault_point!("maintain::balanced");
        tx.commit().await?;
        fault_point!("maintain::durable");
        *step = next;
        Ok(snapshot)
    }

    async fn remove_orphans(
        &self,
        folder: &Path,
        lease: &Lease,
        upkeep: &mut TableUpkeep,
    ) -> Result<()> {
        let lake = self.hub.lake();
        let orphans = lake.orphans(folder, self.before_grace()).await?;
        if orphans.is_empty() {
            return Ok(());
        }
        // A holder that slept past its lease must not touch what the next one writes.
        let mut tx = lake.store().begin().await?;
        tx.check_lease(lease).await?;
        drop(tx);
        lake.remove(&orphans)?;
        upkeep.orphans = orphans.len() as u64;
        Ok(())
    }

    /// Folders of Parquet files that no table has.
    async fn stray_folders(&mut self) -> Result<()> {
        let lake = self.hub.lake();
        let tables = lake.live_files(None).await?;
        for folder in lake.folders()? {
            if tables.iter().any(|table| same_folder(&table.folder, &folder)) {
                continue;
            }
            let inside = folder.strip_prefix(lake.root()).unwrap_or(&folder);
            let name = inside.display().to_string();
            let Some(lease) = self.lease(&name, &name).await? else { continue };
            let mut upkeep = TableUpkeep { table: name.clone(), ..TableUpkeep::default() };
            let result = self.remove_orphans(&folder, &lease, &mut upkeep).await;
            self.hub.lake().store().release_lease(&lease).await?;
            result?;
            if upkeep.orphans > 0 {
                let step = self.hub.new_step(self.run_id, &node(&name), SELECTOR);
                self.finish(step, upkeep, RunState::Succeeded).await?;
            }
        }
        Ok(())
    }

    /// Forgets old snapshots and removes files that were forgotten long enough ago.
    async fn snapshots(&mut self) -> Result<()> {
        let lake = self.hub.lake();
        let due = lake.expirable(&self.rules()).await?;
        let few = self.in_passing && due.len() < EXPIRE_AT_ONCE;
        let before = self.before_grace();
        let removable = lake.removable(before).await?;
        if (due.is_empty() || few) && removable == 0 {
            return Ok(());
        }
        let Some(lease) = self.lease("lake.snapshots", "snapshots").await? else { return Ok(()) };
        let mut step = self.hub.new_step(self.run_id, &node("snapshots"), SELECTOR);
        let due = if few { Vec::new() } else { due };
        let ended = unbroken(self.forget(&lease, &due, &step)).await;
        self.hub.lake().store().release_lease(&lease).await?;
        let Err(error) = ended else { return self.record(step, RunState::Succeeded).await };
        let mut upkeep = TableUpkeep { table: "snapshots".into(), ..TableUpkeep::default() };
        blame(&mut upkeep, &error);
        step.hint = error.hint_text().map(str::to_owned);
        self.finish(step, upkeep, RunState::Failed).await
    }

    /// Forgets the snapshots that are due, and removes the files whose time has come.
    async fn forget(&mut self, lease: &Lease, due: &[i64], step: &StepRow) -> Result<()> {
        let lake = self.hub.lake();
        if !due.is_empty() {
            let mut tx = lake.store().begin().await?;
            tx.check_lease(lease).await?;
            let expiry = lake.expire(&mut tx, due, self.hub.clock().now()).await?;
            tx.put_step(step).await?;
            tx.commit().await?;
            self.report.snapshots_expired = expiry.snapshots.len() as u64;
            self.report.files_forgotten = expiry.files;
            fault_point!("maintain::expired");
        }
        self.report.files_removed = lake.remove_forgotten(self.before_grace()).await?;
        Ok(())
    }

    fn rules(&self) -> ExpiryRules {
        let now = self.hub.clock().now();
        let config = &self.hub.project.hub.maintenance;
        ExpiryRules {
            now,
            keep_since: now - TimeDelta::days(i64::from(config.keep_days)),
            keep_snapshots: config.keep_snapshots,
            own_run: Some(self.run_id),
        }
    }

    fn before_grace(&self) -> chrono::DateTime<chrono::Utc> {
        let grace = TimeDelta::from_std(self.grace).unwrap_or(TimeDelta::MAX);
        self.hub.clock().now().checked_sub_signed(grace).unwrap_or(chrono::DateTime::UNIX_EPOCH)
    }

    async fn finish(
        &mut self,
        mut step: StepRow,
        upkeep: TableUpkeep,
        state: RunState,
    ) -> Result<()> {
        step.code.clone_from(&upkeep.code);
        step.message.clone_from(&upkeep.message);
        self.report.tables.push(upkeep);
        self.record(step, state).await
    }

    async fn record(&mut self, mut step: StepRow, state: RunState) -> Result<()> {
        step.state = state.as_str().to_owned();
        step.finished_at = Some(self.hub.now());
        let mut tx = self.hub.lake().store().begin().await?;
        tx.put_step(&step).await?;
        tx.commit().await?;
        self.report.steps.push(step);
        Ok(())
    }
}

fn full_name(table: &TableFiles) -> String {
    format!("{}.{}", table.schema_name, table.name)
}

/// The step of a table; models have steps of the same name in the same run.
fn node(table: &str) -> String {
    format!("{SELECTOR}.{table}")
}

fn described(table: &TableFiles) -> TableUpkeep {
    let files = table.files.len() as u64;
    TableUpkeep {
        table: full_name(table),
        files_before: files,
        files_after: files,
        ..TableUpkeep::default()
    }
}

fn foretell(upkeep: &mut TableUpkeep, table: &TableFiles, plan: &CompactionPlan) {
    upkeep.reasons = plan.reasons.iter().map(|reason| reason.as_str()).collect();
    let ids: Vec<i64> = plan.files().collect();
    for file in table.files.iter().filter(|file| ids.contains(&file.facts.data_file_id)) {
        upkeep.bytes_before += file.facts.bytes;
        upkeep.rows += u64::try_from(file.facts.rows).unwrap_or(0);
        upkeep.moved += u64::try_from(file.facts.deleted).unwrap_or(0);
    }
}

fn add(upkeep: &mut TableUpkeep, plan: &CompactionPlan, report: &CompactionReport, snapshot: i64) {
    for reason in &plan.reasons {
        if !upkeep.reasons.contains(&reason.as_str()) {
            upkeep.reasons.push(reason.as_str());
        }
    }
    upkeep.files_after = upkeep.files_after + report.files_after - report.files_before;
    upkeep.bytes_before += report.bytes_before;
    upkeep.bytes_after += report.bytes_after;
    upkeep.rows += report.read;
    upkeep.moved += report.moved;
    upkeep.snapshot_id = Some(snapshot);
}

fn blame(upkeep: &mut TableUpkeep, error: &Error) {
    upkeep.code = Some(error.code().to_owned());
    upkeep.message = Some(error.to_string());
}

/// Whether two paths name the same folder, whatever their endings.
fn same_folder(a: &Path, b: &Path) -> bool {
    a.components().eq(b.components())
}
