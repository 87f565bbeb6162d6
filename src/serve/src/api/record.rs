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
    DifferenceQuery, Page, PageQuery, Part, PushQuery, QuarantineQuery, RepairPlan, RepairScope,
};
use crate::identity::Visitor;
use crate::web::{App, Failure, ReadNote};

type Answer = Result<Response, Failure>;

/// A page, with how many records it shows.
fn noted<T: Serialize>(page: Page<T>) -> Response {
    let rows = page.items.len();
    noted_as(page, rows)
}

fn noted_as(answer: impl Serialize, rows: usize) -> Response {
    let mut response = Json(answer).into_response();
    response.extensions_mut().insert(ReadNote { rows });
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
    let rows = page.items.iter().map(|table| table.rows.len()).sum();
    Ok(noted_as(page, rows))
}

pub(super) async fn differences(
    State(app): State<Arc<App>>,
    Query(query): Query<DifferenceQuery>,
    Query(page): Query<PageQuery>,
) -> Answer {
    Ok(noted(app.hub().differences(&query, &page).await?))
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
    Ok(noted_as(app.hub().decided(of.as_deref(), &key).await?, 1))
}

pub(super) async fn trace(
    State(app): State<Arc<App>>,
    Path(key): Path<String>,
    Query(Of { of }): Query<Of>,
) -> Answer {
    let trace = app.hub().trace(of.as_deref(), &key).await?;
    let rows = trace.entries.len();
    Ok(noted_as(trace, rows))
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
    let rows = plan.records.len();
    Ok(noted_as(plan, rows))
}

pub(super) async fn quarantine(
    State(app): State<Arc<App>>,
    Query(query): Query<QuarantineQuery>,
    Query(page): Query<PageQuery>,
) -> Answer {
    Ok(noted(app.hub().quarantine(&query, &page).await?))
}

pub(super) async fn quarantined(State(app): State<Arc<App>>, Path(id): Path<i64>) -> Answer {
    Ok(noted_as(app.hub().quarantined(id).await?, 1))
}

pub(super) async fn push_records(
    State(app): State<Arc<App>>,
    Query(query): Query<PushQuery>,
    Query(page): Query<PageQuery>,
) -> Answer {
    Ok(noted(app.hub().push_records(&query, &page).await?))
}
