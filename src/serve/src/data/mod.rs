//! What the doors ask of the hub, and what it answers: plain data for the API and the console.
//!
//! The doors import neither the runner nor a connector. The program implements [`Hub`] with the
//! runner's verbs and hands it in. Times are UTC in RFC 3339 unless a field says otherwise; ratios
//! are decimal text in the unit of their metric, with whole numbers above and below the line.
//! Personal data in answers is masked.

mod account;
mod cursor;
mod difference;
mod figure;
mod job;
mod overview;
mod push;
mod quarantine;
mod repair;
mod run;
mod system;
mod table;

use async_trait::async_trait;
use huiliu_core::access::Limits;
use huiliu_sdk::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use account::{AuditQuery, AuditRecord, AuditState, Login, NewToken, NewUser, Token, User};
pub use cursor::Cursor;
pub use difference::{
    Class, Decided, DecidedField, DecidedSystem, Difference, DifferenceEvent, DifferenceQuery,
    OwnerCount, Reconciliation, Trace, TraceDetail, TraceEntry, UnknownCode,
};
pub use figure::{
    Breakdown, Change, ChangeStep, DefinitionVersion, Figure, FigurePoint, Group, MetricDetail,
    Part, PublishedValue,
};
pub use job::{Alert, Job, JobRun, Upcoming};
pub use overview::{DifferenceTotal, Overview, PushTotal, QuarantineTotal};
pub use push::{Decision, Push, PushDay, PushQuery, PushRecord};
pub use quarantine::{
    OriginalColumn, QuarantineCount, QuarantineDetail, QuarantineQuery, QuarantinedRow, Replayed,
};
pub use repair::{
    LeftOut, Repair, RepairChange, RepairDifference, RepairPlan, RepairRecord, RepairScope,
};
pub use run::{Counts, Run, RunDetail, RunRequest, Started, Step};
pub use system::{Freshness, Register, Stream, System, SystemDetail};
pub use table::{Column, Table};

/// The most lines of one page.
pub const MAX_PAGE: u32 = 500;
/// The lines of a page when nobody says how many.
pub const USUAL_PAGE: u32 = 50;

/// Which page of a list is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct PageQuery {
    /// Where the page before ended: its `next`. The first page without it.
    pub cursor: Option<String>,
    /// How many lines, at most 500. Default: 50.
    #[schemars(range(min = 1, max = 500))]
    pub limit: Option<u32>,
}

impl PageQuery {
    /// How many lines the page has at most.
    pub fn limit(&self) -> u32 {
        self.limit.unwrap_or(USUAL_PAGE).clamp(1, MAX_PAGE)
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Page<T> {
    /// Its lines.
    pub items: Vec<T>,
    /// The cursor of the next page; none when this is the last.
    pub next: Option<String>,
    /// How many lines all pages have together, where that is known.
    pub total: Option<u64>,
}

/// Who does something, and why, for the audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    /// Who.
    pub who: String,
    /// Why.
    pub reason: String,
}

/// What the doors ask of the hub.
///
/// Reading methods answer with personal data masked. Methods that take a [`Deed`] change something
/// and note it in the audit in the same transaction, or before they begin.
#[async_trait]
pub trait Hub: Send + Sync + 'static {
    /// The name of the city or office.
    fn office(&self) -> String;

    /// An instant (UTC, RFC 3339) as wall time in the hub's zone: `2018-12-13 08:30:00`.
    fn local_time(&self, instant: &str) -> String;

    /// The hub's zone.
    fn zone(&self) -> chrono_tz::Tz;

    /// What a code of an error means and what can be done, in Chinese.
    fn meaning(&self, code: &str) -> Option<(&'static str, &'static str)>;

    /// The first page: figures, freshness, what needs a person.
    async fn overview(&self) -> Result<Overview>;

    /// All systems, those of the register that are not connected too.
    async fn systems(&self) -> Result<Register>;

    /// One connected system by its id.
    async fn system(&self, id: &str) -> Result<SystemDetail>;

    /// All streams with how they stand.
    async fn streams(&self) -> Result<Vec<Stream>>;

    /// Runs, newest first.
    async fn runs(&self, page: &PageQuery) -> Result<Page<Run>>;

    /// One run with its steps; of one that goes on, as far as it has come.
    async fn run(&self, run: i64) -> Result<RunDetail>;

    /// Starts a run beside this call.
    async fn start_run(&self, request: &RunRequest, deed: &Deed) -> Result<Started>;

    /// All reconciliations as they stand.
    async fn reconciliations(&self) -> Result<Vec<Reconciliation>>;

    /// Differences of a reconciliation, oldest first.
    async fn differences(
        &self,
        query: &DifferenceQuery,
        page: &PageQuery,
    ) -> Result<Page<Difference>>;

    /// Why a key is in its class: what each system says, what was taken, what happened.
    async fn decided(&self, reconciliation: Option<&str>, key: &str) -> Result<Decided>;

    /// Notes why the differences of a key are as they should be, of one field or of all. Gives the
    /// numbers of those that were explained.
    async fn explain(
        &self,
        reconciliation: Option<&str>,
        key: &str,
        field: Option<&str>,
        deed: &Deed,
    ) -> Result<Vec<String>>;

    /// The whole life of one record over all systems.
    async fn trace(&self, reconciliation: Option<&str>, key: &str) -> Result<Trace>;

    /// All figures as they were computed last, in the order of pages.
    async fn figures(&self) -> Result<Vec<Figure>>;

    /// One metric: figure, definitions, trend, dimensions.
    async fn metric(&self, key: &str) -> Result<MetricDetail>;

    /// A figure broken down by dimensions of its metric.
    async fn breakdown(&self, key: &str, by: &[String]) -> Result<Breakdown>;

    /// Why a figure moved from one snapshot or day to another; up to now without `to`.
    async fn change(&self, key: &str, from: &str, to: Option<&str>) -> Result<Change>;

    /// The rows a figure counts within `limits`, a page at a time, at the snapshot of the first page.
    async fn metric_rows(
        &self,
        key: &str,
        part: Part,
        page: &PageQuery,
        limits: &Limits,
    ) -> Result<Page<Table>>;

    /// Rows in quarantine, newest first.
    async fn quarantine(
        &self,
        query: &QuarantineQuery,
        page: &PageQuery,
    ) -> Result<Page<QuarantinedRow>>;

    /// How many rows are in quarantine by stream and code.
    async fn quarantine_counts(&self) -> Result<Vec<QuarantineCount>>;

    /// One row in quarantine with its original, masked.
    async fn quarantined(&self, id: i64) -> Result<QuarantineDetail>;

    /// Tries rows again: those of `ids`, or all of a stream.
    async fn replay(&self, ids: &[i64], stream: Option<&str>, deed: &Deed)
    -> Result<Vec<Replayed>>;

    /// Takes a row out of quarantine for good.
    async fn discard(&self, id: i64, deed: &Deed) -> Result<QuarantinedRow>;

    /// All pushes with what became of their records.
    async fn pushes(&self) -> Result<Vec<Push>>;

    /// What became of what was handed over, by target and day, newest day first.
    async fn push_days(&self) -> Result<Vec<PushDay>>;

    /// Records that were sent, with their receipts, newest first.
    async fn push_records(&self, query: &PushQuery, page: &PageQuery) -> Result<Page<PushRecord>>;

    /// Decides about records of which nobody knows whether they arrived.
    async fn decide(
        &self,
        push: &str,
        ids: &[i64],
        decision: Decision,
        deed: &Deed,
    ) -> Result<Vec<PushRecord>>;

    /// Repairs that were planned or applied.
    async fn repairs(&self) -> Result<Vec<Repair>>;

    /// What would be corrected where. Sends nothing.
    async fn plan_repair(&self, scope: &RepairScope) -> Result<RepairPlan>;

    /// Starts the run that applies the plan of this hash, or takes it back.
    async fn apply_repair(&self, hash: &str, undo: bool, deed: &Deed) -> Result<Started>;

    /// All jobs with how they stand.
    async fn jobs(&self) -> Result<Vec<Job>>;

    /// The next times of all jobs, earliest first.
    async fn upcoming(&self, count: usize) -> Result<Vec<Upcoming>>;

    /// What became of the times of a job, or of all, newest first.
    async fn job_history(&self, job: Option<&str>, limit: u32) -> Result<Vec<JobRun>>;

    /// Puts a job into the queue, to run as soon as it may. False when it waits or runs already.
    async fn run_job(&self, job: &str, deed: &Deed) -> Result<bool>;

    /// Lets a parked job run again.
    async fn unpark_job(&self, job: &str, deed: &Deed) -> Result<()>;

    /// The alerts that are on.
    async fn alerts(&self) -> Result<Vec<Alert>>;
}
