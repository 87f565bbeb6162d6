//! What the services share: JSON answers and the parameters of a request.

use std::collections::HashMap;
use std::str::FromStr;

use axum::Json;
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// Parameters as axum reads them, or why it could not.
pub(super) type Parameters = Result<Query<HashMap<String, String>>, QueryRejection>;

/// A refusal with its HTTP status, as JSON.
pub(super) struct Refusal {
    status: StatusCode,
    message: String,
}

impl Refusal {
    /// The caller made a mistake.
    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, message: message.into() }
    }

    /// The caller is not known.
    pub(super) fn unauthorized(message: impl Into<String>) -> Self {
        Self { status: StatusCode::UNAUTHORIZED, message: message.into() }
    }

    /// The service failed.
    pub(super) fn failed(_: sqlx::Error) -> Self {
        let message = "service failed".to_owned();
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, message }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let code = self.status.as_u16().to_string();
        (self.status, Json(json!({ "code": code, "message": self.message }))).into_response()
    }
}

/// An answer or a refusal, both JSON.
pub(super) type Answer = Result<Json<Value>, Refusal>;

/// The parameters, if they can be read.
pub(super) fn parameters(parameters: Parameters) -> Result<HashMap<String, String>, Refusal> {
    parameters.map(|Query(map)| map).map_err(|_| Refusal::bad("parameters are not readable"))
}

/// A number among the parameters, or what holds without it.
pub(super) fn number<T: FromStr + PartialOrd + Copy>(
    map: &HashMap<String, String>,
    name: &str,
    default: T,
    allowed: std::ops::RangeInclusive<T>,
) -> Result<T, Refusal> {
    let Some(text) = map.get(name) else { return Ok(default) };
    match text.parse() {
        Ok(value) if allowed.contains(&value) => Ok(value),
        _ => Err(Refusal::bad(format!("{name} is not a number in the allowed range"))),
    }
}

/// The time from which changes are asked for, if there is one.
pub(super) fn since(map: &HashMap<String, String>) -> Result<Option<&str>, Refusal> {
    let Some(text) = map.get("updatedSince").filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    match chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S") {
        // The comparison is by text, so the text must have exactly this form.
        Ok(moment) if moment.format("%Y-%m-%d %H:%M:%S").to_string() == *text => Ok(Some(text)),
        _ => Err(Refusal::bad("updatedSince is not of the form YYYY-MM-DD HH:MM:SS")),
    }
}

/// A header's text.
pub(super) fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// For addresses that do not exist.
pub(super) async fn unknown_address() -> Refusal {
    Refusal { status: StatusCode::NOT_FOUND, message: "no such address".to_owned() }
}
