//! The province's app: interfaces and monthly activity by offset, and interfaces that are pushed,
//! for bearers of the token.

use std::sync::Arc;

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::HeaderMap;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use sqlx::sqlite::SqlitePool;

use super::answer::{Answer, Parameters, Refusal, header, number, parameters, unknown_address};
use super::listing::Listing;
use super::receive::{Inbox, records};

const LARGEST_PAGE: i64 = 500;

const INTERFACES: Listing = Listing {
    table: "interfaces",
    columns: &[
        ("interface_id", "interfaceId"),
        ("version", "version"),
        ("interface_name", "interfaceName"),
        ("provider", "provider"),
        ("state", "state"),
        ("state_time", "stateTime"),
    ],
};
const ACTIVITY: Listing = Listing {
    table: "activity",
    columns: &[
        ("city_code", "cityCode"),
        ("month", "month"),
        ("active_users", "activeUsers"),
        ("is_complete", "isComplete"),
    ],
};

const PUSHED: Inbox = Inbox {
    push: "interfaces",
    id: "requestId",
    key: "interfaceId",
    refused: 0,
    reason: ("4001", "接口编号缺失"),
};

/// What the service works with.
pub(super) struct App {
    pub(super) pool: SqlitePool,
    pub(super) token: String,
}

impl App {
    fn check(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let bearer = header(headers, "authorization").and_then(|text| text.strip_prefix("Bearer "));
        if bearer == Some(self.token.as_str()) {
            return Ok(());
        }
        Err(Refusal::unauthorized("the bearer is not known"))
    }

    async fn list(&self, listing: &Listing, headers: &HeaderMap, query: Parameters) -> Answer {
        self.check(headers)?;
        let map = parameters(query)?;
        let offset = number(&map, "offset", 0, 0..=1_000_000)?;
        let limit = number(&map, "limit", 100, 1..=LARGEST_PAGE)?;
        let (total, items) = listing.page(&self.pool, None, offset, limit).await?;
        Ok(Json(json!({ "total": total, "items": items })))
    }
}

/// The service's addresses.
pub(super) fn routes(app: Arc<App>) -> Router {
    Router::new()
        .route("/v1/interfaces", get(interfaces).put(publish))
        .route("/v1/activity", get(activity))
        .fallback(unknown_address)
        .with_state(app)
}

async fn interfaces(State(app): State<Arc<App>>, headers: HeaderMap, query: Parameters) -> Answer {
    app.list(&INTERFACES, &headers, query).await
}

async fn activity(State(app): State<Arc<App>>, headers: HeaderMap, query: Parameters) -> Answer {
    app.list(&ACTIVITY, &headers, query).await
}

/// Takes interfaces that are to be offered; each version is one record.
async fn publish(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Result<Json<Value>, JsonRejection>,
) -> Answer {
    app.check(&headers)?;
    let Json(body) = body.map_err(|_| Refusal::bad("body is not JSON, or too large"))?;
    let verdicts = PUSHED.take(&app.pool, records(&body, "interfaces")?).await?;
    let acks: Vec<Value> = verdicts
        .iter()
        .map(|verdict| {
            let ack = if verdict.refusal.is_none() { "accepted" } else { "refused" };
            let (code, words) = verdict.refusal.unwrap_or(("0", "ok"));
            json!({ "requestId": verdict.id, "ack": ack, "code": code, "message": words })
        })
        .collect();
    Ok(Json(json!({ "acks": acks })))
}
