//! What the doors ask of the hub, answered with the runner's verbs.

mod difference;
mod figure;
mod operate;
mod overview;
mod published;
mod system;

use std::path::Path;
use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use chrono::DateTime;
use huiliu_core::access::Limits;
use huiliu_engine::{Session, Viewer};
use huiliu_runner::Hub as Runner;
use huiliu_sdk::{Error, ErrorKind, Result};
use huiliu_serve::data::{
    Alert, Breakdown, Change, Decided, Decision, Deed, Difference, DifferenceQuery, Figure, Hub,
    Job, JobRun, MetricDetail, Overview, Page, PageQuery, Part, Push, PushDay, PushQuery,
    PushRecord, QuarantineCount, QuarantineDetail, QuarantineQuery, QuarantinedRow, Reconciliation,
    Register, Repair, RepairPlan, RepairScope, Replayed, Run, RunDetail, RunRequest, Started,
    Stream, SystemDetail, Table, Trace, Upcoming,
};
use huiliu_serve::sql::Gate;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::figure::Trends;
use self::published::Published;

/// The hub as the doors see it.
pub(crate) struct Doors {
    hub: Arc<Runner>,
    gate: Gate,
    viewer: Viewer,
    published: Published,
    trends: Trends,
    cancel: CancellationToken,
    /// Runs that were started here.
    runs: std::sync::Mutex<JoinSet<()>>,
}

impl Doors {
    /// The doors' view of `hub`; runs that they start end with `cancel`.
    pub(crate) fn new(
        hub: Arc<Runner>,
        gate: Gate,
        project: &Path,
        cancel: CancellationToken,
    ) -> Self {
        let viewer = gate.viewer().clone();
        let published = Published::read(project);
        let (trends, runs) = (Trends::default(), std::sync::Mutex::default());
        Self { hub, gate, viewer, published, trends, cancel, runs }
    }

    /// Waits for the runs that were started here; `cancel` was set before.
    pub(crate) async fn finish(&self) {
        let mut runs = {
            let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *runs)
        };
        while runs.join_next().await.is_some() {}
    }

    /// A session that shows what people may see who have no limits; others are not let in where it
    /// is asked.
    async fn session(&self) -> Result<Arc<Session>> {
        self.gate.session(&Limits::default()).await
    }

    /// A stored instant as wall time in the hub's zone.
    fn local(&self, instant: &str) -> String {
        match DateTime::parse_from_rfc3339(instant) {
            Ok(time) => {
                let local = time.with_timezone(&self.hub.project.zone);
                local.format("%Y-%m-%d %H:%M:%S").to_string()
            }
            Err(_) => instant.to_owned(),
        }
    }
}

/// The runner's word for who does something, and why.
fn by(deed: &Deed) -> huiliu_runner::Deed<'_> {
    huiliu_runner::Deed { who: &deed.who, reason: &deed.reason }
}

/// A word as it is written in JSON, such as of an enumeration.
fn word(value: impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

fn wrong(message: impl Into<String>, hint: &str) -> Error {
    Error::new(ErrorKind::Config, "E-INPUT", message).hint(hint)
}

#[async_trait]
impl Hub for Doors {
    fn office(&self) -> String {
        self.hub.project.hub.name.clone()
    }

    fn local_time(&self, instant: &str) -> String {
        self.local(instant)
    }

    fn zone(&self) -> chrono_tz::Tz {
        self.hub.project.zone
    }

    fn meaning(&self, code: &str) -> Option<(&'static str, &'static str)> {
        crate::language::meaning(code)
    }

    async fn overview(&self) -> Result<Overview> {
        Box::pin(self.everything()).await
    }

    async fn systems(&self) -> Result<Register> {
        self.register().await
    }

    async fn system(&self, id: &str) -> Result<SystemDetail> {
        self.one_system(id).await
    }

    async fn streams(&self) -> Result<Vec<Stream>> {
        self.all_streams().await
    }

    async fn runs(&self, page: &PageQuery) -> Result<Page<Run>> {
        self.run_page(page).await
    }

    async fn run(&self, run: i64) -> Result<RunDetail> {
        self.one_run(run).await
    }

    async fn start_run(&self, request: &RunRequest, deed: &Deed) -> Result<Started> {
        self.begin_run(request, deed).await
    }

    async fn reconciliations(&self) -> Result<Vec<Reconciliation>> {
        self.all_reconciliations().await
    }

    async fn differences(
        &self,
        query: &DifferenceQuery,
        page: &PageQuery,
    ) -> Result<Page<Difference>> {
        self.difference_page(query, page).await
    }

    async fn decided(&self, reconciliation: Option<&str>, key: &str) -> Result<Decided> {
        Box::pin(self.one_key(reconciliation, key)).await
    }

    async fn explain(
        &self,
        reconciliation: Option<&str>,
        key: &str,
        field: Option<&str>,
        deed: &Deed,
    ) -> Result<Vec<String>> {
        let rec = self.hub.reconciliation(reconciliation)?;
        let explained = Box::pin(self.hub.explain(rec, key, field, &by(deed))).await?;
        Ok(explained.into_iter().map(|row| row.difference.difference_id).collect())
    }

    async fn trace(&self, reconciliation: Option<&str>, key: &str) -> Result<Trace> {
        Box::pin(self.life(reconciliation, key)).await
    }

    async fn figures(&self) -> Result<Vec<Figure>> {
        Box::pin(self.all_figures()).await
    }

    async fn metric(&self, key: &str) -> Result<MetricDetail> {
        Box::pin(self.one_metric(key)).await
    }

    async fn breakdown(&self, key: &str, dimensions: &[String]) -> Result<Breakdown> {
        Box::pin(self.broken_down(key, dimensions)).await
    }

    async fn change(&self, key: &str, from: &str, to: Option<&str>) -> Result<Change> {
        Box::pin(self.moved(key, from, to)).await
    }

    async fn metric_rows(
        &self,
        key: &str,
        part: Part,
        page: &PageQuery,
        limits: &Limits,
    ) -> Result<Page<Table>> {
        Box::pin(self.counted_rows(key, part, page, limits)).await
    }

    async fn quarantine(
        &self,
        query: &QuarantineQuery,
        page: &PageQuery,
    ) -> Result<Page<QuarantinedRow>> {
        self.quarantine_page(query, page).await
    }

    async fn quarantine_counts(&self) -> Result<Vec<QuarantineCount>> {
        self.quarantine_sums().await
    }

    async fn quarantined(&self, id: i64) -> Result<QuarantineDetail> {
        self.one_quarantined(id).await
    }

    async fn replay(
        &self,
        ids: &[i64],
        stream: Option<&str>,
        deed: &Deed,
    ) -> Result<Vec<Replayed>> {
        Box::pin(self.try_again(ids, stream, deed)).await
    }

    async fn discard(&self, id: i64, deed: &Deed) -> Result<QuarantinedRow> {
        self.hub.discard(id, &by(deed)).await.map(operate::quarantined_row)
    }

    async fn pushes(&self) -> Result<Vec<Push>> {
        self.all_pushes().await
    }

    async fn push_days(&self) -> Result<Vec<PushDay>> {
        self.days_of_pushes().await
    }

    async fn push_records(&self, query: &PushQuery, page: &PageQuery) -> Result<Page<PushRecord>> {
        self.record_page(query, page).await
    }

    async fn decide(
        &self,
        push: &str,
        ids: &[i64],
        decision: Decision,
        deed: &Deed,
    ) -> Result<Vec<PushRecord>> {
        let decision = match decision {
            Decision::Arrived => huiliu_runner::Decision::Arrived,
            Decision::Again => huiliu_runner::Decision::Again,
            Decision::Dropped => huiliu_runner::Decision::Dropped,
        };
        let decided = self.hub.decide_records(push, ids, decision, &by(deed)).await?;
        Ok(decided.into_iter().map(operate::push_record).collect())
    }

    async fn repairs(&self) -> Result<Vec<Repair>> {
        self.all_repairs().await
    }

    async fn plan_repair(&self, scope: &RepairScope) -> Result<RepairPlan> {
        Box::pin(self.planned_repair(scope)).await
    }

    async fn apply_repair(&self, hash: &str, undo: bool, deed: &Deed) -> Result<Started> {
        self.begin_repair(hash, undo, deed).await
    }

    async fn jobs(&self) -> Result<Vec<Job>> {
        self.all_jobs().await
    }

    async fn upcoming(&self, count: usize) -> Result<Vec<Upcoming>> {
        let next = self.hub.next_runs(None, count)?;
        Ok(next.into_iter().map(|run| Upcoming { job: run.job, at: run.at.to_rfc3339() }).collect())
    }

    async fn job_history(&self, job: Option<&str>, limit: u32) -> Result<Vec<JobRun>> {
        let rows = self.hub.lake().store().occurrences(job, limit).await?;
        Ok(rows.into_iter().map(operate::job_run).collect())
    }

    async fn run_job(&self, job: &str, deed: &Deed) -> Result<bool> {
        self.queue_job(job, deed).await
    }

    async fn unpark_job(&self, job: &str, deed: &Deed) -> Result<()> {
        self.hub.unpark_job(job, &by(deed)).await
    }

    async fn alerts(&self) -> Result<Vec<Alert>> {
        let alerts = self.hub.lake().store().alerts().await?;
        Ok(alerts.into_iter().map(operate::alert).collect())
    }
}
