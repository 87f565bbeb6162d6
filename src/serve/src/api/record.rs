//! Single records. `guard` notes that they were read before they are given out.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::input::{self, Path, Query};
use super::operate::deed;
use crate::data::{
    DifferenceQuery, PageQuery, Part, PushQuery, QuarantineQuery, RepairPlan, RepairScope,
};
use crate::identity::Visitor;
use crate::web::{App, Failure, ReadNote};

type Answer = Result<Response, Failure>;

/// An answer, with what the audit notes of it.
fn noted(answer: impl Serialize, note: ReadNote) -> Response {
    let mut response = Json(answer).into_response();
    response.extensions_mut().insert(note);
    response
}

/// Which rows of a figure.
#[derive(Deserialize, JsonSchema)]
pub(super) struct PartQuery {
    /// `numerator`, or `denominator`. Default: `numerator`.
    #[serde(default)]
    part: Part,
}

pub(super) async fn metric_rows(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(key): Path<String>,
    Query(PartQuery { part }): Query<PartQuery>,
    Query(page): Query<PageQuery>,
) -> Answer {
    let page = app.hub().metric_rows(&key, part, &page, &visitor.limits).await?;
    let note = ReadNote::of_rows(&key, &page);
    Ok(noted(page, note))
}

pub(super) async fn differences(
    State(app): State<Arc<App>>,
    Query(query): Query<DifferenceQuery>,
    Query(page): Query<PageQuery>,
) -> Answer {
    let page = app.hub().differences(&query, &page).await?;
    let note = ReadNote::of_differences(&page.items);
    Ok(noted(page, note))
}

/// Of which reconciliation.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Of {
    /// The reconciliation; needed when there are several.
    of: Option<String>,
}

pub(super) async fn decided(
    State(app): State<Arc<App>>,
    Path(key): Path<String>,
    Query(Of { of }): Query<Of>,
) -> Answer {
    let decided = app.hub().decided(of.as_deref(), &key).await?;
    let note = ReadNote::of_decided(&decided);
    Ok(noted(decided, note))
}

pub(super) async fn trace(
    State(app): State<Arc<App>>,
    Path(key): Path<String>,
    Query(Of { of }): Query<Of>,
) -> Answer {
    let trace = app.hub().trace(of.as_deref(), &key).await?;
    let note = ReadNote::of_trace(&trace, None);
    Ok(noted(trace, note))
}

/// Why differences are as they should be.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Explain {
    /// The reconciliation; needed when there are several.
    of: Option<String>,
    /// Only the differences of this field.
    field: Option<String>,
    /// Why, for the ledger and the audit.
    reason: String,
}

/// Differences that were explained.
#[derive(Serialize, JsonSchema)]
pub(super) struct Explained {
    /// Their numbers.
    explained: Vec<String>,
}

pub(super) async fn explain(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(key): Path<String>,
    input::Json(asked): input::Json<Explain>,
) -> Result<Json<Explained>, Failure> {
    let Explain { of, field, reason } = asked;
    let deed = deed(&visitor, &reason)?;
    let explained = app.hub().explain(of.as_deref(), &key, field.as_deref(), &deed).await?;
    Ok(Json(Explained { explained }))
}

pub(super) async fn plan_repair(
    State(app): State<Arc<App>>,
    input::Json(scope): input::Json<RepairScope>,
) -> Answer {
    let plan: RepairPlan = app.hub().plan_repair(&scope).await?;
    let note = ReadNote::of_repairs(&plan);
    Ok(noted(plan, note))
}

pub(super) async fn quarantine(
    State(app): State<Arc<App>>,
    Query(query): Query<QuarantineQuery>,
    Query(page): Query<PageQuery>,
) -> Answer {
    let page = app.hub().quarantine(&query, &page).await?;
    let note = ReadNote::of_quarantine(&page.items);
    Ok(noted(page, note))
}

pub(super) async fn quarantined(State(app): State<Arc<App>>, Path(id): Path<i64>) -> Answer {
    let detail = app.hub().quarantined(id).await?;
    let note = ReadNote::of_original(&detail);
    Ok(noted(detail, note))
}

pub(super) async fn push_records(
    State(app): State<Arc<App>>,
    Query(query): Query<PushQuery>,
    Query(page): Query<PageQuery>,
) -> Answer {
    let page = app.hub().push_records(&query, &page).await?;
    let note = ReadNote::of_pushed(&page.items);
    Ok(noted(page, note))
}
