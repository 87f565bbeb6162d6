//! Figures, and counts of differences.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use huiliu_core::access::Permission;
use schemars::JsonSchema;
use serde::Deserialize;

use super::input::{Path, Query};
use crate::data::{Breakdown, Change, Figure, MetricDetail, Overview, Reconciliation};
use crate::identity::Visitor;
use crate::web::{App, Failure};

type Answer<T> = Result<Json<T>, Failure>;

pub(super) async fn overview(State(app): State<Arc<App>>, visitor: Visitor) -> Answer<Overview> {
    let mut seen = app.hub().overview().await?;
    if !visitor.may(Permission::Figures) {
        seen.figures.clear();
        seen.differences.clear();
    }
    Ok(Json(seen))
}

pub(super) async fn figures(State(app): State<Arc<App>>) -> Answer<Vec<Figure>> {
    Ok(Json(app.hub().figures().await?))
}

pub(super) async fn metric(
    State(app): State<Arc<App>>,
    Path(key): Path<String>,
) -> Answer<MetricDetail> {
    Ok(Json(app.hub().metric(&key).await?))
}

/// By what a figure is broken down.
#[derive(Deserialize, JsonSchema)]
pub(super) struct By {
    /// Dimensions of the metric, separated by commas.
    by: String,
}

pub(super) async fn breakdown(
    State(app): State<Arc<App>>,
    Path(key): Path<String>,
    Query(By { by }): Query<By>,
) -> Answer<Breakdown> {
    let by: Vec<String> = by.split(',').map(|name| name.trim().to_owned()).collect();
    Ok(Json(app.hub().breakdown(&key, &by).await?))
}

/// Between which moments.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Moments {
    /// From a snapshot's number, or from the end of a day such as 2018-12-13.
    from: String,
    /// To a snapshot or a day; up to now without it.
    to: Option<String>,
}

pub(super) async fn change(
    State(app): State<Arc<App>>,
    Path(key): Path<String>,
    Query(Moments { from, to }): Query<Moments>,
) -> Answer<Change> {
    Ok(Json(app.hub().change(&key, &from, to.as_deref()).await?))
}

pub(super) async fn reconciliations(State(app): State<Arc<App>>) -> Answer<Vec<Reconciliation>> {
    Ok(Json(app.hub().reconciliations().await?))
}
