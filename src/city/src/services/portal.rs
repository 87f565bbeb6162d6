//! The city's portal: accounts and visits by page, for requests signed over their parameters.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use hmac::{Hmac, Mac};
use huiliu_sdk::{Clock, Error, Result, SystemClock};
use serde_json::json;
use sha2::Sha256;
use sqlx::sqlite::SqlitePool;

use super::answer::{Answer, Parameters, Refusal, number, parameters, since, unknown_address};
use super::listing::Listing;
use crate::seed::hex_of;

const LARGEST_PAGE: i64 = 2000;
/// How far from now the time of a request may be, in seconds. A nonce is known that long.
const WINDOW: i64 = 300;

const ACCOUNTS: Listing = Listing {
    table: "accounts",
    columns: &[
        ("account_id", "accountId"),
        ("user_type", "userType"),
        ("user_name", "userName"),
        ("cert_no", "certNo"),
        ("mobile", "mobile"),
        ("register_time", "registerTime"),
        ("cancel_time", "cancelTime"),
        ("status", "status"),
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
pub(super) struct Portal {
    pool: SqlitePool,
    app_id: String,
    key: Hmac<Sha256>,
    /// The nonces of the last minutes, each with the time of its request.
    nonces: Mutex<HashMap<String, i64>>,
}

impl Portal {
    /// The service for the application `app_id`, which signs by `secret`.
    pub(super) fn new(pool: SqlitePool, app_id: String, secret: &str) -> Result<Self> {
        let key = Hmac::new_from_slice(secret.as_bytes())
            .map_err(|_| Error::internal("the portal's key is no key"))?;
        Ok(Self { pool, app_id, key, nonces: Mutex::default() })
    }

    /// Refuses requests that are not signed, too old, or there a second time.
    fn check(&self, map: &HashMap<String, String>) -> Result<(), Refusal> {
        let text = |name: &str| map.get(name).map(String::as_str).unwrap_or_default();
        if text("appid") != self.app_id {
            return Err(Refusal::unauthorized("appid is not known"));
        }
        if !self.is_signed(map) {
            return Err(Refusal::unauthorized("sign does not fit the parameters"));
        }
        let now = SystemClock.now().timestamp();
        let time: i64 = text("timestamp").parse().unwrap_or_default();
        if (now - time).abs() > WINDOW {
            return Err(Refusal::unauthorized("timestamp is too far from now"));
        }
        let mut nonces = self.nonces.lock().unwrap_or_else(PoisonError::into_inner);
        nonces.retain(|_, seen| now - *seen <= WINDOW);
        match nonces.insert(text("nonce").to_owned(), time) {
            None => Ok(()),
            Some(_) => Err(Refusal::unauthorized("nonce was used before")),
        }
    }

    /// Whether `sign` is the HMAC of all other parameters that have a value, sorted by name.
    fn is_signed(&self, map: &HashMap<String, String>) -> bool {
        let sorted: BTreeMap<&String, &String> =
            map.iter().filter(|(name, value)| *name != "sign" && !value.is_empty()).collect();
        let pairs: Vec<String> =
            sorted.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mac = self.key.clone().chain_update(pairs.join("&"));
        map.get("sign").is_some_and(|sign| *sign == hex_of(&mac.finalize().into_bytes()))
    }

    async fn list(&self, listing: &Listing, query: Parameters) -> Answer {
        let map = parameters(query)?;
        self.check(&map)?;
        let page = number(&map, "pageNo", 1, 1..=1_000_000)?;
        let size = number(&map, "pageSize", 100, 1..=LARGEST_PAGE)?;
        let (count, rows) = listing.page(&self.pool, since(&map)?, (page - 1) * size, size).await?;
        Ok(Json(json!({ "code": 200, "msg": "ok", "data": { "count": count, "rows": rows } })))
    }
}

/// The service's addresses.
pub(super) fn routes(portal: Arc<Portal>) -> Router {
    Router::new()
        .route("/portal/accounts", get(accounts))
        .route("/portal/visits", get(visits))
        .fallback(unknown_address)
        .with_state(portal)
}

async fn accounts(State(portal): State<Arc<Portal>>, query: Parameters) -> Answer {
    portal.list(&ACCOUNTS, query).await
}

async fn visits(State(portal): State<Arc<Portal>>, query: Parameters) -> Answer {
    portal.list(&VISITS, query).await
}
