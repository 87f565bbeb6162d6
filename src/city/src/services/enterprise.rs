//! The platform on which enterprises are started: bundles and their steps, for holders of a token.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use sqlx::sqlite::SqlitePool;
use tokio::time::Instant;

use super::answer::{Answer, Parameters, Refusal, number, parameters, since, unknown_address};
use super::listing::Listing;
use super::token::{LIFETIME, Tokens};

const LARGEST_PAGE: i64 = 1000;

const BUNDLES: Listing = Listing {
    table: "bundles",
    columns: &[
        ("bundle_id", "bundleId"),
        ("enterprise_name", "enterpriseName"),
        ("uscc", "uscc"),
        ("agent_name", "agentName"),
        ("agent_mobile", "agentMobile"),
        ("accept_time", "acceptTime"),
        ("state", "state"),
        ("update_time", "updateTime"),
    ],
};
const STEPS: Listing = Listing {
    table: "steps",
    columns: &[
        ("bundle_id", "bundleId"),
        ("step", "step"),
        ("department", "department"),
        ("finish_time", "finishTime"),
        ("update_time", "updateTime"),
    ],
};

/// What the service works with.
pub(super) struct Enterprise {
    pub(super) pool: SqlitePool,
    pub(super) client: String,
    pub(super) secret: String,
    pub(super) tokens: Mutex<Tokens>,
}

impl Enterprise {
    async fn list(&self, listing: &Listing, query: Parameters) -> Answer {
        let map = parameters(query)?;
        let is_known = map.get("access_token").is_some_and(|token| {
            let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
            tokens.is_valid(token, Instant::now())
        });
        if !is_known {
            return Err(Refusal::unauthorized("access_token is missing, unknown or expired"));
        }
        let page = number(&map, "page", 1, 1..=1_000_000)?;
        let size = number(&map, "size", 100, 1..=LARGEST_PAGE)?;
        let (total, list) = listing.page(&self.pool, since(&map)?, (page - 1) * size, size).await?;
        let data = json!({ "total": total, "list": list });
        Ok(Json(json!({ "success": true, "message": "ok", "data": data })))
    }
}

/// The service's addresses.
pub(super) fn routes(enterprise: Arc<Enterprise>) -> Router {
    Router::new()
        .route("/qykb/token", post(token))
        .route("/qykb/bundles", get(bundles))
        .route("/qykb/steps", get(steps))
        .fallback(unknown_address)
        .with_state(enterprise)
}

async fn token(
    State(enterprise): State<Arc<Enterprise>>,
    body: Result<Json<Value>, JsonRejection>,
) -> Answer {
    let Json(body) = body.map_err(|_| Refusal::bad("body is not JSON"))?;
    let is_known = body["client"].as_str() == Some(&enterprise.client)
        && body["secret"].as_str() == Some(&enterprise.secret);
    if !is_known {
        return Err(Refusal::unauthorized("client or secret is wrong"));
    }
    let token = enterprise
        .tokens
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .issue(&enterprise.secret, Instant::now());
    Ok(Json(json!({ "success": true, "token": token, "expiresIn": LIFETIME.as_secs() })))
}

async fn bundles(State(enterprise): State<Arc<Enterprise>>, query: Parameters) -> Answer {
    enterprise.list(&BUNDLES, query).await
}

async fn steps(State(enterprise): State<Arc<Enterprise>>, query: Parameters) -> Answer {
    enterprise.list(&STEPS, query).await
}
