//! How the hub works, and what an operator does.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use huiliu_sdk::{Error, ErrorKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::input::{self, Path, Query};
use crate::data::{
    Alert, Decision, Deed, Job, JobRun, Page, PageQuery, Push, PushDay, PushRecord,
    QuarantineCount, QuarantinedRow, Register, Repair, Replayed, Run, RunDetail, RunRequest,
    Started, Stream, SystemDetail, Upcoming,
};
use crate::identity::Visitor;
use crate::web::{App, Failure};

type Answer<T> = Result<Json<T>, Failure>;

/// The most characters of a reason.
const MAX_REASON: usize = 1_000;

/// Why something is done, for the audit.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Reason {
    /// Why.
    pub(super) reason: String,
}

/// A deed of a visitor, who must say why.
pub(super) fn deed(visitor: &Visitor, reason: &str) -> Result<Deed, Failure> {
    let reason = reason.trim();
    if reason.is_empty() || reason.chars().count() > MAX_REASON {
        let message = "say why, in at most 1000 characters";
        return Err(Error::new(ErrorKind::Config, "E-REASON", message)
            .hint("the reason is kept in the audit")
            .into());
    }
    Ok(Deed { who: visitor.user.clone(), reason: reason.to_owned() })
}

pub(super) async fn systems(State(app): State<Arc<App>>) -> Answer<Register> {
    Ok(Json(app.hub().systems().await?))
}

pub(super) async fn system(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Answer<SystemDetail> {
    Ok(Json(app.hub().system(&id).await?))
}

pub(super) async fn streams(State(app): State<Arc<App>>) -> Answer<Vec<Stream>> {
    Ok(Json(app.hub().streams().await?))
}

pub(super) async fn runs(
    State(app): State<Arc<App>>,
    Query(page): Query<PageQuery>,
) -> Answer<Page<Run>> {
    Ok(Json(app.hub().runs(&page).await?))
}

pub(super) async fn run(State(app): State<Arc<App>>, Path(id): Path<i64>) -> Answer<RunDetail> {
    Ok(Json(app.hub().run(id).await?))
}

/// A run to be started, and why.
#[derive(Deserialize, JsonSchema)]
pub(super) struct RunOrder {
    #[serde(flatten)]
    run: RunRequest,
    /// Why, for the audit.
    reason: String,
}

pub(super) async fn start_run(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    input::Json(RunOrder { run, reason }): input::Json<RunOrder>,
) -> Result<(StatusCode, Json<Started>), Failure> {
    let deed = deed(&visitor, &reason)?;
    Ok((StatusCode::ACCEPTED, Json(app.hub().start_run(&run, &deed).await?)))
}

pub(super) async fn jobs(State(app): State<Arc<App>>) -> Answer<Vec<Job>> {
    Ok(Json(app.hub().jobs().await?))
}

/// How many.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Count {
    /// How many, at most 500. Default: 20.
    #[schemars(range(min = 1, max = 500))]
    count: Option<u32>,
}

pub(super) async fn upcoming(
    State(app): State<Arc<App>>,
    Query(Count { count }): Query<Count>,
) -> Answer<Vec<Upcoming>> {
    let count = count.unwrap_or(20).clamp(1, 500);
    Ok(Json(app.hub().upcoming(count as usize).await?))
}

/// Whose history, and how much of it.
#[derive(Deserialize, JsonSchema)]
pub(super) struct HistoryQuery {
    /// The job; all without it.
    job: Option<String>,
    /// How many, at most 500. Default: 50.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<u32>,
}

pub(super) async fn job_history(
    State(app): State<Arc<App>>,
    Query(HistoryQuery { job, limit }): Query<HistoryQuery>,
) -> Answer<Vec<JobRun>> {
    let limit = limit.unwrap_or(50).clamp(1, 500);
    Ok(Json(app.hub().job_history(job.as_deref(), limit).await?))
}

/// Whether a job was put into the queue.
#[derive(Serialize, JsonSchema)]
pub(super) struct Queued {
    /// False when it waits or runs already.
    queued: bool,
}

pub(super) async fn run_job(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(job): Path<String>,
    input::Json(Reason { reason }): input::Json<Reason>,
) -> Answer<Queued> {
    let queued = app.hub().run_job(&job, &deed(&visitor, &reason)?).await?;
    Ok(Json(Queued { queued }))
}

pub(super) async fn unpark_job(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(job): Path<String>,
    input::Json(Reason { reason }): input::Json<Reason>,
) -> Result<StatusCode, Failure> {
    app.hub().unpark_job(&job, &deed(&visitor, &reason)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn alerts(State(app): State<Arc<App>>) -> Answer<Vec<Alert>> {
    Ok(Json(app.hub().alerts().await?))
}

pub(super) async fn repairs(State(app): State<Arc<App>>) -> Answer<Vec<Repair>> {
    Ok(Json(app.hub().repairs().await?))
}

pub(super) async fn apply_repair(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(hash): Path<String>,
    input::Json(Reason { reason }): input::Json<Reason>,
) -> Result<(StatusCode, Json<Started>), Failure> {
    let started = app.hub().apply_repair(&hash, false, &deed(&visitor, &reason)?).await?;
    Ok((StatusCode::ACCEPTED, Json(started)))
}

pub(super) async fn undo_repair(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(hash): Path<String>,
    input::Json(Reason { reason }): input::Json<Reason>,
) -> Result<(StatusCode, Json<Started>), Failure> {
    let started = app.hub().apply_repair(&hash, true, &deed(&visitor, &reason)?).await?;
    Ok((StatusCode::ACCEPTED, Json(started)))
}

pub(super) async fn quarantine_counts(State(app): State<Arc<App>>) -> Answer<Vec<QuarantineCount>> {
    Ok(Json(app.hub().quarantine_counts().await?))
}

/// Rows to be tried again, and why.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplayOrder {
    /// Their numbers.
    #[serde(default)]
    ids: Vec<i64>,
    /// All of this stream, as `system.stream`, in the place of numbers.
    stream: Option<String>,
    /// Why, for the audit.
    reason: String,
}

pub(super) async fn replay(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    input::Json(order): input::Json<ReplayOrder>,
) -> Answer<Vec<Replayed>> {
    let ReplayOrder { ids, stream, reason } = order;
    let deed = deed(&visitor, &reason)?;
    if ids.is_empty() == stream.is_none() {
        let message = "name either rows or a stream";
        return Err(Error::new(ErrorKind::Config, "E-INPUT", message)
            .hint("`ids` or `stream`")
            .into());
    }
    Ok(Json(app.hub().replay(&ids, stream.as_deref(), &deed).await?))
}

pub(super) async fn discard(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(id): Path<i64>,
    input::Json(Reason { reason }): input::Json<Reason>,
) -> Answer<QuarantinedRow> {
    Ok(Json(app.hub().discard(id, &deed(&visitor, &reason)?).await?))
}

pub(super) async fn pushes(State(app): State<Arc<App>>) -> Answer<Vec<Push>> {
    Ok(Json(app.hub().pushes().await?))
}

pub(super) async fn push_days(State(app): State<Arc<App>>) -> Answer<Vec<PushDay>> {
    Ok(Json(app.hub().push_days().await?))
}

/// What becomes of records, and why.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DecisionOrder {
    /// Their numbers.
    ids: Vec<i64>,
    /// What becomes of them.
    decision: Decision,
    /// Why, for the audit.
    reason: String,
}

pub(super) async fn decide(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(push): Path<String>,
    input::Json(order): input::Json<DecisionOrder>,
) -> Answer<Vec<PushRecord>> {
    let DecisionOrder { ids, decision, reason } = order;
    let deed = deed(&visitor, &reason)?;
    Ok(Json(app.hub().decide(&push, &ids, decision, &deed).await?))
}
