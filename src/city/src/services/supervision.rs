//! Electronic supervision: takes cases, gives out the cards that it issued, for a user with a
//! password.

use std::sync::Arc;

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::HeaderMap;
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use sqlx::sqlite::SqlitePool;

use super::answer::{
    Answer, Parameters, Refusal, header, number, parameters, since, unknown_address,
};
use super::listing::Listing;
use super::receive::{Inbox, records};

const LARGEST_PAGE: i64 = 2000;

const ALERTS: Listing = Listing {
    table: "alerts",
    columns: &[
        ("alert_id", "alertId"),
        ("project_no", "projectNo"),
        ("rule", "rule"),
        ("level", "level"),
        ("issue_time", "issueTime"),
        ("update_time", "updateTime"),
    ],
};
const CASES: Inbox = Inbox {
    push: "cases",
    id: "msgId",
    key: "projectNo",
    refused: 10,
    reason: ("JC03", "办理部门未纳入监察"),
};

/// What the service works with.
pub(super) struct Supervision {
    pub(super) pool: SqlitePool,
    pub(super) user: String,
    pub(super) password: String,
}

impl Supervision {
    fn check(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let expected = BASE64_STANDARD.encode(format!("{}:{}", self.user, self.password));
        let given = header(headers, "authorization").and_then(|text| text.strip_prefix("Basic "));
        if given == Some(expected.as_str()) {
            return Ok(());
        }
        Err(Refusal::unauthorized("user or password is wrong"))
    }
}

/// The service's addresses.
pub(super) fn routes(supervision: Arc<Supervision>) -> Router {
    Router::new()
        .route("/jc/alerts", get(alerts))
        .route("/jc/cases", post(cases))
        .fallback(unknown_address)
        .with_state(supervision)
}

async fn alerts(
    State(supervision): State<Arc<Supervision>>,
    headers: HeaderMap,
    query: Parameters,
) -> Answer {
    supervision.check(&headers)?;
    let map = parameters(query)?;
    let offset = number(&map, "start", 0, 0..=10_000_000)?;
    let limit = number(&map, "rows", 100, 1..=LARGEST_PAGE)?;
    let (total, rows) = ALERTS.page(&supervision.pool, since(&map)?, offset, limit).await?;
    Ok(Json(json!({ "status": "OK", "total": total, "rows": rows })))
}

async fn cases(
    State(supervision): State<Arc<Supervision>>,
    headers: HeaderMap,
    body: Result<Json<Value>, JsonRejection>,
) -> Answer {
    supervision.check(&headers)?;
    let Json(body) = body.map_err(|_| Refusal::bad("body is not JSON, or too large"))?;
    let verdicts = CASES.take(&supervision.pool, records(&body, "cases")?).await?;
    let acks: Vec<Value> = verdicts
        .iter()
        .map(|verdict| match verdict.refusal {
            None => json!({ "msgId": verdict.id, "ack": "Y" }),
            Some((code, words)) => {
                json!({ "msgId": verdict.id, "ack": "N", "errorCode": code, "errorText": words })
            }
        })
        .collect();
    Ok(Json(json!({ "status": "OK", "acks": acks })))
}
