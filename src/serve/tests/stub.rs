//! A hub that has nothing: whoever is let in is told so.

use async_trait::async_trait;
use huiliu_core::access::Limits;
use huiliu_sdk::{Error, ErrorKind, Result};
use huiliu_serve::data::{
    Alert, Breakdown, Change, Decided, Decision, Deed, Difference, DifferenceQuery, Figure, Hub,
    Job, JobRun, MetricDetail, Overview, Page, PageQuery, Part, Push, PushDay, PushQuery,
    PushRecord, QuarantineCount, QuarantineDetail, QuarantineQuery, QuarantinedRow, Reconciliation,
    Register, Repair, RepairPlan, RepairScope, Replayed, Run, RunDetail, RunRequest, Started,
    Stream, SystemDetail, Table, Trace, Upcoming,
};

/// A hub that has nothing.
pub(crate) struct Nothing;

fn nothing<T>() -> Result<T> {
    Err(Error::new(ErrorKind::NotFound, "E-NO-ROW", "there is nothing").hint("this is a test"))
}

#[async_trait]
impl Hub for Nothing {
    fn office(&self) -> String {
        "政务服务中心".into()
    }

    fn local_time(&self, instant: &str) -> String {
        instant.to_owned()
    }

    fn zone(&self) -> chrono_tz::Tz {
        chrono_tz::Asia::Shanghai
    }

    fn meaning(&self, code: &str) -> Option<(&'static str, &'static str)> {
        (code == "E-NO-ROW").then_some(("没有这一行", "核对编号"))
    }

    async fn overview(&self) -> Result<Overview> {
        nothing()
    }

    async fn systems(&self) -> Result<Register> {
        nothing()
    }

    async fn system(&self, _: &str) -> Result<SystemDetail> {
        nothing()
    }

    async fn streams(&self) -> Result<Vec<Stream>> {
        nothing()
    }

    async fn runs(&self, _: &PageQuery) -> Result<Page<Run>> {
        nothing()
    }

    async fn run(&self, _: i64) -> Result<RunDetail> {
        nothing()
    }

    async fn start_run(&self, _: &RunRequest, _: &Deed) -> Result<Started> {
        nothing()
    }

    async fn reconciliations(&self) -> Result<Vec<Reconciliation>> {
        nothing()
    }

    async fn differences(&self, _: &DifferenceQuery, _: &PageQuery) -> Result<Page<Difference>> {
        nothing()
    }

    async fn decided(&self, _: Option<&str>, _: &str) -> Result<Decided> {
        nothing()
    }

    async fn explain(
        &self,
        _: Option<&str>,
        _: &str,
        _: Option<&str>,
        _: &Deed,
    ) -> Result<Vec<String>> {
        nothing()
    }

    async fn trace(&self, _: Option<&str>, _: &str) -> Result<Trace> {
        nothing()
    }

    async fn figures(&self) -> Result<Vec<Figure>> {
        nothing()
    }

    async fn metric(&self, _: &str) -> Result<MetricDetail> {
        nothing()
    }

    async fn breakdown(&self, _: &str, _: &[String]) -> Result<Breakdown> {
        nothing()
    }

    async fn change(&self, _: &str, _: &str, _: Option<&str>) -> Result<Change> {
        nothing()
    }

    async fn metric_rows(
        &self,
        _: &str,
        _: Part,
        _: &PageQuery,
        _: &Limits,
    ) -> Result<Page<Table>> {
        nothing()
    }

    async fn quarantine(&self, _: &QuarantineQuery, _: &PageQuery) -> Result<Page<QuarantinedRow>> {
        nothing()
    }

    async fn quarantine_counts(&self) -> Result<Vec<QuarantineCount>> {
        nothing()
    }

    async fn quarantined(&self, _: i64) -> Result<QuarantineDetail> {
        nothing()
    }

    async fn replay(&self, _: &[i64], _: Option<&str>, _: &Deed) -> Result<Vec<Replayed>> {
        nothing()
    }

    async fn discard(&self, _: i64, _: &Deed) -> Result<QuarantinedRow> {
        nothing()
    }

    async fn pushes(&self) -> Result<Vec<Push>> {
        nothing()
    }

    async fn push_days(&self) -> Result<Vec<PushDay>> {
        nothing()
    }

    async fn push_records(&self, _: &PushQuery, _: &PageQuery) -> Result<Page<PushRecord>> {
        nothing()
    }

    async fn decide(&self, _: &str, _: &[i64], _: Decision, _: &Deed) -> Result<Vec<PushRecord>> {
        nothing()
    }

    async fn repairs(&self) -> Result<Vec<Repair>> {
        nothing()
    }

    async fn plan_repair(&self, _: &RepairScope) -> Result<RepairPlan> {
        nothing()
    }

    async fn apply_repair(&self, _: &str, _: bool, _: &Deed) -> Result<Started> {
        nothing()
    }

    async fn jobs(&self) -> Result<Vec<Job>> {
        nothing()
    }

    async fn upcoming(&self, _: usize) -> Result<Vec<Upcoming>> {
        nothing()
    }

    async fn job_history(&self, _: Option<&str>, _: u32) -> Result<Vec<JobRun>> {
        nothing()
    }

    async fn run_job(&self, _: &str, _: &Deed) -> Result<bool> {
        nothing()
    }

    async fn unpark_job(&self, _: &str, _: &Deed) -> Result<()> {
        nothing()
    }

    async fn alerts(&self) -> Result<Vec<Alert>> {
        nothing()
    }
}
