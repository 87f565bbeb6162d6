//! The city's micro portal, which lives in WeChat: applications and visits for a client's token.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;
use sqlx::sqlite::SqlitePool;
use tokio::time::Instant;

use super::answer::{
    Answer, Parameters, Refusal, header, number, parameters, since, unknown_address,
};
use super::listing::Listing;
use super::token::{LIFETIME, Tokens};

const LARGEST_PAGE: i64 = 1000;

const APPLICATIONS: Listing = Listing {
    table: "applications",
    columns: &[
        ("apply_no", "applyNo"),
        ("project_no", "projectNo"),
        ("task_code", "taskCode"),
        ("channel", "channel"),
        ("apply_time", "applyTime"),
        ("update_time", "updateTime"),
    ],
};
const VISITS: Listing = Listing {
    table: "visits",
    columns: &[
        ("visit_date", "visitDate"),
        ("channel", "channel"),
        ("visits", "visits"),
        ("update_time", "updateTime"),
    ],
};

/// What the service works with.
pub(super) struct Micro {
    pub(super) pool: SqlitePool,
    pub(super) client: String,
    pub(super) secret: String,
    pub(super) tokens: Mutex<Tokens>,
}

impl Micro {
    async fn list(&self, listing: &Listing, headers: &HeaderMap, query: Parameters) -> Answer {
        let is_known = header(headers, "authorization")
            .and_then(|text| text.strip_prefix("Bearer "))
            .is_some_and(|token| {
                let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
                tokens.is_valid(token, Instant::now())
            });
        if !is_known {
            return Err(Refusal::unauthorized("the token is missing, unknown or expired"));
        }
        let map = parameters(query)?;
        let page = number(&map, "page", 1, 1..=1_000_000)?;
        let size = number(&map, "size", 100, 1..=LARGEST_PAGE)?;
        let (total, list) = listing.page(&self.pool, since(&map)?, (page - 1) * size, size).await?;
        Ok(Json(json!({ "errcode": 0, "errmsg": "ok", "total": total, "list": list })))
    }
}

/// The service's addresses.
pub(super) fn routes(micro: Arc<Micro>) -> Router {
    Router::new()
        .route("/oauth2/token", post(token))
        .route("/wx/applications", get(applications))
        .route("/wx/visits", get(visits))
        .fallback(unknown_address)
        .with_state(micro)
}

/// A token by the client's own credentials, as OAuth 2.0 has it.
async fn token(State(micro): State<Arc<Micro>>, headers: HeaderMap, form: String) -> Answer {
    let expected = BASE64_STANDARD.encode(format!("{}:{}", micro.client, micro.secret));
    let given = header(&headers, "authorization").and_then(|text| text.strip_prefix("Basic "));
    if given != Some(expected.as_str()) {
        return Err(Refusal::unauthorized("client or secret is wrong"));
    }
    if !form.split('&').any(|pair| pair == "grant_type=client_credentials") {
        return Err(Refusal::bad("grant_type is not client_credentials"));
    }
    let mut tokens = micro.tokens.lock().unwrap_or_else(PoisonError::into_inner);
    let token = tokens.issue(&micro.secret, Instant::now());
    let seconds = LIFETIME.as_secs();
    Ok(Json(json!({ "access_token": token, "token_type": "Bearer", "expires_in": seconds })))
}

async fn applications(
    State(micro): State<Arc<Micro>>,
    headers: HeaderMap,
    query: Parameters,
) -> Answer {
    micro.list(&APPLICATIONS, &headers, query).await
}

async fn visits(State(micro): State<Arc<Micro>>, headers: HeaderMap, query: Parameters) -> Answer {
    micro.list(&VISITS, &headers, query).await
}
