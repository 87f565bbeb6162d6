//! Analysts' SQL.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Deserialize;

use super::input;
use crate::data::Table;
use crate::identity::Visitor;
use crate::sql::ExportFormat;
use crate::web::{App, Failure};

/// The most rows of an answer, and how many it has when nobody says.
const ROWS: (u32, u32) = (10_000, 1_000);

/// A question.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    /// One SELECT.
    sql: String,
    /// At most this many rows, up to 10,000. Default: 1,000.
    #[schemars(range(min = 1, max = 10_000))]
    limit: Option<u32>,
}

pub(super) async fn query(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    input::Json(Question { sql, limit }): input::Json<Question>,
) -> Result<Json<Table>, Failure> {
    let limit = limit.unwrap_or(ROWS.1).clamp(1, ROWS.0);
    Ok(Json(Box::pin(app.sql().query(&visitor, &sql, limit as usize)).await?))
}

/// A question whose answer is a file.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ExportQuestion {
    /// One SELECT.
    sql: String,
    /// What kind of file.
    format: ExportFormat,
}

pub(super) async fn export(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    input::Json(ExportQuestion { sql, format }): input::Json<ExportQuestion>,
) -> Result<Response, Failure> {
    let file = Box::pin(app.sql().export(&visitor, &sql, format)).await?;
    let mut response = file.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static(format.disposition()));
    Ok(response)
}
