//! Runs, jobs, quarantine, pushes, repairs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use huiliu_runner::{JobView, Progress, RepairOrder, RunOptions, Selection, WhyLeftOut};
use huiliu_sdk::{Error, ErrorKind, Result};
use huiliu_serve::data::{
    Alert, Counts, Cursor, Deed, Job, JobRun, LeftOut, OriginalColumn, Page, PageQuery, Push,
    PushDay, PushQuery, PushRecord, QuarantineCount, QuarantineDetail, QuarantineQuery,
    QuarantinedRow, Repair, RepairChange, RepairDifference, RepairPlan, RepairRecord, RepairScope,
    Replayed, Run, RunDetail, RunRequest, Started, Step,
};
use huiliu_store::{
    AuditEntry, OccurrenceRow, QuarantineFilter, QuarantineRow, RunRow, SentRow, StepRow,
};
use serde_json::json;
use tokio::sync::oneshot;

use super::{Doors, by, word, wrong};
use crate::inspect::mask;

/// How long to wait for the number of a run that was started; it waits itself for others that work
/// on the same.
const NUMBER_WAIT: Duration = Duration::from_secs(5);
/// The most records of a plan that are shown.
const SHOWN: usize = 500;

/// Tells the number of a run.
struct Number(Mutex<Option<oneshot::Sender<i64>>>);

impl Progress for Number {
    fn begun(&self, run: i64) {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(sender) = sender {
            // Whoever asked may have gone.
            sender.send(run).ok();
        }
    }

    fn started(&self, _node: &str) {}

    fn rows(&self, _node: &str, _rows: u64) {}

    fn finished(&self, _step: &StepRow) {}
}

impl Doors {
    pub(super) async fn run_page(&self, page: &PageQuery) -> Result<Page<Run>> {
        let before = page.cursor.as_deref().map(Cursor::number).transpose()?;
        let store = self.hub.lake().store();
        let mut rows = store.runs_before(before, page.limit() + 1).await?;
        let next = Cursor::cut(&mut rows, page.limit(), |row| row.run_id);
        Ok(Page { items: rows.into_iter().map(run).collect(), next, total: None })
    }

    pub(super) async fn one_run(&self, id: i64) -> Result<RunDetail> {
        let store = self.hub.lake().store();
        let row = store.run_of(id).await?.ok_or_else(|| {
            Error::new(ErrorKind::Config, "E-NO-RUN", format!("there is no run {id}"))
                .hint("`huiliu runs` lists them")
        })?;
        let steps: Vec<Step> = store.steps(Some(id)).await?.into_iter().map(step).collect();
        let is_even = |step: &&Step| matches!(step.kind.as_str(), "stream" | "replay");
        let balanced = steps.iter().filter(is_even).all(|step| step.counts.balanced);
        Ok(RunDetail { run_row: run(row), steps, balanced })
    }

    pub(super) async fn begin_run(&self, request: &RunRequest, deed: &Deed) -> Result<Started> {
        let RunRequest { selector, during_quiet_hours, whole, accept } = request.clone();
        let after = json!({
            "during_quiet_hours": during_quiet_hours, "whole": whole, "accept": accept,
        });
        self.note("run start", &selector, deed, after).await?;
        let options =
            RunOptions { during_quiet_hours, whole, accepted: accept, ..RunOptions::default() };
        self.begin(selector, options).await
    }

    pub(super) async fn begin_repair(
        &self,
        hash: &str,
        undo: bool,
        deed: &Deed,
    ) -> Result<Started> {
        let (who, reason) = (deed.who.clone(), deed.reason.clone());
        let order = RepairOrder { hash: hash.trim().to_owned(), undo, who, reason };
        let action = if undo { "repair undo" } else { "repair apply" };
        self.note(action, hash, deed, json!({})).await?;
        let options = RunOptions { repair: Some(order), ..RunOptions::default() };
        self.begin("push.*".to_owned(), options).await
    }

    /// Notes something before it is begun.
    async fn note(
        &self,
        action: &str,
        object: &str,
        deed: &Deed,
        after: serde_json::Value,
    ) -> Result<()> {
        let entry = AuditEntry {
            at: self.hub.now(),
            who: deed.who.clone(),
            action: action.to_owned(),
            object: object.to_owned(),
            reason: deed.reason.clone(),
            before: None,
            after: Some(after),
        };
        self.hub.lake().store().note(entry).await.map(drop)
    }

    /// Starts a run beside this call. What keeps it from beginning is told here; what happens to
    /// it later is in its steps.
    async fn begin(&self, selector: String, options: RunOptions) -> Result<Started> {
        let (begun, number) = oneshot::channel();
        let (ended, end) = oneshot::channel();
        let progress: Arc<dyn Progress> = Arc::new(Number(Mutex::new(Some(begun))));
        let (hub, cancel) = (Arc::clone(&self.hub), self.cancel.clone());
        let work = async move {
            let report = Box::pin(hub.run_with(&selector, None, options, cancel, progress)).await;
            let report = report.map(|report| report.run_id);
            if let Err(Err(error)) = ended.send(report) {
                tracing::error!(%error, code = error.code(), "a run could not begin");
            }
        };
        {
            let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
            while runs.try_join_next().is_some() {}
            runs.spawn(work);
        }
        tokio::select! {
            biased;
            Ok(run) = number => Ok(Started { run: Some(run) }),
            Ok(ended) = end => ended.map(|run| Started { run: Some(run) }),
            () = tokio::time::sleep(NUMBER_WAIT) => Ok(Started { run: None }),
        }
    }

    pub(super) async fn all_jobs(&self) -> Result<Vec<Job>> {
        Ok(self.hub.job_views().await?.into_iter().map(job).collect())
    }

    pub(super) async fn queue_job(&self, name: &str, deed: &Deed) -> Result<bool> {
        // A job that does not exist is told before anything is noted.
        self.hub.next_runs(Some(name), 1)?;
        self.note("jobs run", name, deed, json!({})).await?;
        self.hub.ask_for_job(name).await
    }

    pub(super) async fn quarantine_page(
        &self,
        query: &QuarantineQuery,
        page: &PageQuery,
    ) -> Result<Page<QuarantinedRow>> {
        let (stream, run) = (query.stream.clone(), query.run);
        let filter = Selection { stream, run, ids: Vec::new() }.filter(&self.hub)?;
        let before = page.cursor.as_deref().map(Cursor::number).transpose()?;
        let store = self.hub.lake().store();
        let mut rows = store.quarantined_before(&filter, before, page.limit() + 1).await?;
        let next = Cursor::cut(&mut rows, page.limit(), |row| row.quarantine_id);
        Ok(Page { items: rows.into_iter().map(quarantined_row).collect(), next, total: None })
    }

    pub(super) async fn quarantine_sums(&self) -> Result<Vec<QuarantineCount>> {
        let store = self.hub.lake().store();
        let counts = store.quarantine_counts(&QuarantineFilter::default()).await?;
        let count = |count: huiliu_store::QuarantineCount| QuarantineCount {
            stream: format!("{}.{}", count.system, count.stream),
            code: count.code,
            rows: u64::try_from(count.rows).unwrap_or(0),
        };
        Ok(counts.into_iter().map(count).collect())
    }

    pub(super) async fn one_quarantined(&self, id: i64) -> Result<QuarantineDetail> {
        let view = self.hub.quarantined_original(id).await?;
        let node = format!("{}.{}", view.row.system, view.row.stream);
        let settings = self.hub.find_stream(&node).map(|(_, settings)| settings).ok();
        let column = |(name, value): (String, Option<String>)| {
            let tag = match settings {
                Some(settings) => settings.columns.get(&name).and_then(|spec| spec.personal()),
                // Nobody says any more which columns are personal data.
                None => Some(""),
            };
            let value = value.map(|value| mask(tag, value));
            OriginalColumn { name, value, is_masked: tag.is_some() }
        };
        let columns = view.columns.map(|columns| columns.into_iter().map(column).collect());
        Ok(QuarantineDetail { row: quarantined_row(view.row), columns })
    }

    pub(super) async fn try_again(
        &self,
        ids: &[i64],
        stream: Option<&str>,
        deed: &Deed,
    ) -> Result<Vec<Replayed>> {
        let (stream, ids) = (stream.map(str::to_owned), ids.to_vec());
        let wanted = Selection { stream, run: None, ids };
        let reports = self.hub.replay(&wanted, &by(deed)).await?;
        let replayed = |report: huiliu_runner::ReplayReport| {
            let balance = report.step.balance;
            Replayed {
                stream: report.step.node,
                run: Some(report.run_id),
                tried: balance.read,
                settled: balance.read - balance.quarantined,
                kept: balance.quarantined + report.not_replayable,
            }
        };
        Ok(reports.into_iter().map(replayed).collect())
    }

    pub(super) async fn all_pushes(&self) -> Result<Vec<Push>> {
        let mut states: BTreeMap<(String, String), BTreeMap<String, i64>> = BTreeMap::new();
        for count in self.hub.lake().store().outbox_counts().await? {
            let push = states.entry((count.system, count.push)).or_default();
            *push.entry(count.state).or_default() += count.records;
        }
        let mut pushes = Vec::new();
        for (id, system) in &self.hub.project.systems {
            for config in &system.config.pushes {
                let counted = states.get(&(id.clone(), config.name.clone()));
                let count =
                    |state: &str| counted.and_then(|all| all.get(state)).copied().unwrap_or(0);
                pushes.push(Push {
                    push: format!("{id}.{}", config.name),
                    system_title: system.config.title.clone(),
                    from: config.from.clone(),
                    has_receipts: config.receipts.is_some(),
                    stage: word(system.config.stage),
                    waiting: count("waiting"),
                    delivered: count("delivered"),
                    accepted: count("accepted"),
                    rejected: count("rejected"),
                    unknown: count("unknown"),
                });
            }
        }
        Ok(pushes)
    }

    pub(super) async fn days_of_pushes(&self) -> Result<Vec<PushDay>> {
        let day_of = |at: &str| huiliu_engine::day_in(at, self.hub.project.zone);
        let mut days = self.hub.lake().store().push_days(None, day_of).await?;
        days.sort_by(|a, b| b.day.cmp(&a.day));
        let day = |day: huiliu_store::PushDay| PushDay {
            missing: day.missing(),
            push: format!("{}.{}", day.system, day.push),
            day: day.day,
            sent: day.sent,
            accepted: day.accepted,
            rejected: day.rejected,
            waiting: day.waiting,
            unknown: day.unknown,
        };
        Ok(days.into_iter().map(day).collect())
    }

    pub(super) async fn record_page(
        &self,
        query: &PushQuery,
        page: &PageQuery,
    ) -> Result<Page<PushRecord>> {
        let push =
            match &query.push {
                None => None,
                Some(push) => Some(push.split_once('.').ok_or_else(|| {
                    wrong(format!("`{push}` is no push"), "write it as system.push")
                })?),
            };
        let before = page.cursor.as_deref().map(Cursor::number).transpose()?;
        let store = self.hub.lake().store();
        let state = query.state.as_deref();
        let mut rows = store.sent_before(push, state, before, page.limit() + 1).await?;
        let next = Cursor::cut(&mut rows, page.limit(), |row| row.outbox_id);
        Ok(Page { items: rows.into_iter().map(push_record).collect(), next, total: None })
    }

    pub(super) async fn all_repairs(&self) -> Result<Vec<Repair>> {
        let repair = |status: huiliu_runner::RepairStatus| Repair {
            hash: status.repair.hash,
            planned_at: status.repair.planned_at,
            applied_at: status.repair.applied_at,
            applied_by: status.repair.applied_by,
            reason: status.repair.reason,
            records: status.records,
            waiting: status.waiting,
            accepted: status.accepted,
            rejected: status.rejected,
            unknown: status.unknown,
            undone: status.undone,
        };
        Ok(self.hub.repairs().await?.into_iter().map(repair).collect())
    }

    pub(super) async fn planned_repair(&self, scope: &RepairScope) -> Result<RepairPlan> {
        let RepairScope { entity, system, rule, key } = scope.clone();
        let asked = huiliu_runner::RepairScope { entity, system, rule, key };
        let plan = self.hub.plan_repair(asked).await?;
        let count = plan.records.len() as u64;
        Ok(RepairPlan {
            scope: scope.clone(),
            hash: plan.hash,
            count,
            records: plan.records.into_iter().take(SHOWN).map(repair_record).collect(),
            left_out: plan.left_out.into_iter().map(left_out).collect(),
        })
    }
}

fn repair_record(record: huiliu_runner::RepairRecord) -> RepairRecord {
    let difference = |row: huiliu_runner::RepairDifference| RepairDifference {
        difference_id: row.difference_id,
        rule: row.rule,
        field: row.field,
        trusted: row.trusted,
        trust: row.trust,
    };
    let change = |change: huiliu_runner::RepairChange| {
        let tag = change.tag.as_deref();
        let shown = |value: Option<String>| value.map(|value| mask(tag, value));
        RepairChange {
            before: shown(change.before),
            after: shown(change.after),
            column: change.column,
        }
    };
    RepairRecord {
        reconciliation: record.reconciliation,
        system: record.system,
        push: record.push,
        key: record.key,
        action: record.action.to_owned(),
        refused_before: record.refused_before,
        differences: record.differences.into_iter().map(difference).collect(),
        changes: record.changes.into_iter().map(change).collect(),
    }
}

fn left_out(left: huiliu_runner::LeftOut) -> LeftOut {
    let why: WhyLeftOut = left.why;
    LeftOut {
        system: left.system,
        rule: left.rule,
        why: word(why),
        push: left.push,
        differences: left.differences,
        example: left.example,
    }
}

pub(super) fn run(row: RunRow) -> Run {
    Run {
        run: row.run_id,
        job: row.job,
        selector: row.selector,
        state: row.state,
        started_at: row.started_at,
        finished_at: row.finished_at,
        exit_code: row.exit_code,
    }
}

pub(super) fn counts(step: &StepRow) -> Counts {
    let balance = step.balance;
    Counts {
        read: balance.read,
        written: balance.written,
        unchanged: balance.unchanged,
        deduplicated: balance.deduplicated,
        filtered: balance.filtered,
        quarantined: balance.quarantined,
        echoed: balance.echoed,
        deleted: balance.deleted,
        balanced: balance.check().is_ok(),
    }
}

fn step(row: StepRow) -> Step {
    Step {
        counts: counts(&row),
        node: row.node,
        kind: row.kind,
        state: row.state,
        snapshot: row.snapshot_id,
        code: row.code,
        message: row.message,
        hint: row.hint,
        started_at: row.started_at,
        finished_at: row.finished_at,
    }
}

fn job(view: JobView) -> Job {
    Job {
        job: view.job,
        cron: view.cron,
        zone: view.zone,
        workdays_only: view.calendar.is_some(),
        run: view.run,
        next: view.next.map(|at| at.to_rfc3339()),
        warning: view.warning,
        open: view.open.map(job_run),
        last: view.last.map(job_run),
        parked_at: view.parked_at,
        deaths: view.deaths,
    }
}

pub(super) fn job_run(row: OccurrenceRow) -> JobRun {
    JobRun {
        job: row.occurrence.job,
        scheduled_at: row.occurrence.scheduled_at,
        state: row.state,
        attempts: row.attempts,
        missed: row.missed,
        run: row.run_id,
        exit_code: row.exit_code,
        code: row.code,
        message: row.message,
        started_at: row.started_at,
        finished_at: row.finished_at,
    }
}

pub(super) fn alert(alert: huiliu_store::Alert) -> Alert {
    Alert { kind: alert.kind, object: alert.object, detail: alert.detail, since: alert.since }
}

pub(super) fn quarantined_row(row: QuarantineRow) -> QuarantinedRow {
    QuarantinedRow {
        id: row.quarantine_id,
        run: row.run_id,
        stream: format!("{}.{}", row.system, row.stream),
        origin: row.origin,
        position: row.position,
        code: row.code,
        reason: row.reason,
        quarantined_at: row.quarantined_at,
    }
}

pub(super) fn push_record(row: SentRow) -> PushRecord {
    PushRecord {
        id: row.outbox_id,
        push: format!("{}.{}", row.system, row.push),
        key: row.record_key,
        idempotency_key: row.idempotency_key,
        state: row.state,
        attempts: row.attempts,
        run: row.run_id,
        created_at: row.created_at,
        code: row.code,
        message: row.message,
        settled_at: row.settled_at,
    }
}
