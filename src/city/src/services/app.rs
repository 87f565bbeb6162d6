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
use sqlx::{Sqlite, Transaction};

use super::answer::{Answer, Parameters, Refusal, header, number, parameters, unknown_address};
use super::listing::Listing;
use super::receive::{Inbox, records, waiting};

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

/// By night the interfaces that were pushed are offered as they were described. Says how many.
pub(super) async fn by_night(
    transaction: &mut Transaction<'_, Sqlite>,
    at: &str,
) -> Result<u64, sqlx::Error> {
    let mut taken_in = 0;
    let interfaces = waiting(transaction, PUSHED.push).await?;
    for interface in interfaces.iter().filter(|interface| interface.is_accepted) {
        let known = "update interfaces set interface_name = $3, provider = $4, \
            state_time = case state when 'published' then state_time else $5 end, \
            state = 'published' where interface_id = $1 and version = $2";
        let new = "insert into interfaces (seq, interface_id, version, interface_name, provider, \
            state, state_time) select coalesce(max(seq), 0) + 1, $1, $2, $3, $4, 'published', $5 \
            from interfaces";
        for statement in [known, new] {
            let done = sqlx::query(statement)
                .bind(&interface.key)
                .bind(interface.text("version"))
                .bind(interface.text("interfaceName"))
                .bind(interface.text("provider"))
                .bind(at)
                .execute(&mut **transaction)
                .await?;
            if done.rows_affected() > 0 {
                break;
            }
        }
        taken_in += 1;
    }
    Ok(taken_in)
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
