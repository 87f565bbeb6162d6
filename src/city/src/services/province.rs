//! The provincial platform: gives out its cases by page, takes pushed ones.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::ser::{Error as _, SerializeMap};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Row, Sqlite, Transaction};
use tokio::time::Instant;

use super::answer::{
    Answer, Parameters, Refusal, header, number, parameters, since, unknown_address,
};
use super::listing::Listing;
use super::push::{known, push};
use super::receive::{Inbox, records, waiting};
use super::token::{LIFETIME, Tokens};

const PAGE: i64 = 1000;
const LARGEST_PAGE: i64 = 2000;
const LARGEST_BODY: usize = 8 * 1024 * 1024;
/// The request that is told to come back later.
const THROTTLED_REQUEST: u64 = 7;
const RECORDS: &str = "select record_id, project_no, task_code, task_name, org_code, org_name, \
    applicant_name, applicant_type, cert_type, cert_no, mobile, accept_date, promise_date, \
    result_type, result_date, division_code, update_time, data_version from cases \
    where seq > $1 order by seq limit $2";
const NAMES: [&str; 17] = [
    "recordId",
    "projectNo",
    "taskCode",
    "taskName",
    "orgCode",
    "orgName",
    "applicantName",
    "applicantType",
    "certType",
    "certNo",
    "mobile",
    "acceptDate",
    "promiseDate",
    "resultType",
    "resultDate",
    "divisionCode",
    "updateTime",
];

const STATISTICS: Listing = Listing {
    table: "city_statistics",
    columns: &[
        ("city_code", "cityCode"),
        ("city_name", "cityName"),
        ("stat_date", "statDate"),
        ("population", "population"),
        ("legal_persons", "legalPersons"),
        ("registered_persons", "registeredPersons"),
        ("registered_legal_persons", "registeredLegalPersons"),
        ("visits", "visits"),
        ("update_time", "updateTime"),
    ],
};

const ITEMS: Listing = Listing {
    table: "items",
    columns: &[
        ("item_id", "itemId"),
        ("task_code", "taskCode"),
        ("catalog_code", "catalogCode"),
        ("task_name", "taskName"),
        ("task_version", "taskVersion"),
        ("task_state", "taskState"),
        ("org_code", "orgCode"),
        ("update_time", "updateTime"),
    ],
};
const PUSHED_ITEMS: Inbox = Inbox {
    push: "items",
    id: "requestId",
    key: "itemId",
    refused: 20,
    reason: ("E307", "基本编码未在省级目录中登记"),
};

/// What the service works with.
pub(super) struct Province {
    pub(super) pool: SqlitePool,
    pub(super) app_key: String,
    pub(super) app_secret: String,
    pub(super) tokens: Mutex<Tokens>,
    pub(super) requests: AtomicU64,
    /// When the service started: the city's clock goes on from its present.
    pub(super) started: Instant,
}

/// The service's addresses.
pub(super) fn routes(province: Arc<Province>) -> Router {
    Router::new()
        .route("/api/token", post(token))
        .route("/api/cases", get(cases))
        .route("/api/cases/push", post(push).get(known))
        .route("/api/statistics/cities", get(statistics))
        .route("/api/items", get(items))
        .route("/api/items/push", post(push_items))
        .layer(from_fn_with_state(Arc::clone(&province), throttle))
        .route("/api/health", get(health))
        .fallback(unknown_address)
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(province)
}

impl Province {
    /// Refuses callers without a valid token.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        match header(headers, "x-access-token") {
            Some(token) if tokens.is_valid(token, Instant::now()) => Ok(()),
            _ => Err(Refusal::unauthorized("token is missing, unknown or expired")),
        }
    }
}

impl Province {
    async fn list(&self, listing: &Listing, headers: &HeaderMap, query: Parameters) -> Answer {
        self.check(headers)?;
        let map = parameters(query)?;
        let page = number(&map, "page", 1, 1..=1_000_000)?;
        let size = number(&map, "size", PAGE, 1..=LARGEST_PAGE)?;
        let (total, list) = listing.page(&self.pool, since(&map)?, (page - 1) * size, size).await?;
        Ok(Json(json!({ "code": "0", "message": "ok", "data": { "total": total, "list": list } })))
    }
}

async fn throttle(State(province): State<Arc<Province>>, request: Request, next: Next) -> Response {
    let number = province.requests.fetch_add(1, Ordering::Relaxed) + 1;
    if number != THROTTLED_REQUEST {
        return next.run(request).await;
    }
    let body = Json(json!({ "code": "429", "message": "too many requests" }));
    (StatusCode::TOO_MANY_REQUESTS, [("Retry-After", "1")], body).into_response()
}

async fn health() -> Json<Value> {
    Json(json!({ "code": "0", "message": "ok" }))
}

async fn token(
    State(province): State<Arc<Province>>,
    body: Result<Json<Value>, JsonRejection>,
) -> Answer {
    let Json(body) = body.map_err(|_| Refusal::bad("body is not JSON"))?;
    let (Some(key), Some(secret)) = (body["appKey"].as_str(), body["appSecret"].as_str()) else {
        return Err(Refusal::bad("appKey and appSecret are required"));
    };
    if key != province.app_key || secret != province.app_secret {
        return Err(Refusal::unauthorized("appKey or appSecret is wrong"));
    }
    let token = province
        .tokens
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .issue(secret, Instant::now());
    let data = json!({ "token": token, "expiresIn": LIFETIME.as_secs() });
    Ok(Json(json!({ "code": "0", "message": "ok", "data": data })))
}

async fn cases(
    State(province): State<Arc<Province>>,
    headers: HeaderMap,
    query: Parameters,
) -> Result<Json<Pages>, Refusal> {
    province.check(&headers)?;
    let map = parameters(query)?;
    let page = number(&map, "page", 1, 1..=1_000_000)?;
    let size = number(&map, "size", PAGE, 1..=LARGEST_PAGE)?;
    let (skipped, all) = range(&province.pool, since(&map)?).await?;
    let rows = sqlx::query(RECORDS)
        .bind(skipped + (page - 1) * size)
        .bind(size)
        .fetch_all(&province.pool)
        .await
        .map_err(Refusal::failed)?;
    let list = rows.into_iter().map(Record).collect();
    let data = Page { total: all - skipped, page, size, list };
    Ok(Json(Pages { code: "0", message: "ok", data }))
}

async fn statistics(
    State(province): State<Arc<Province>>,
    headers: HeaderMap,
    query: Parameters,
) -> Answer {
    province.list(&STATISTICS, &headers, query).await
}

async fn items(
    State(province): State<Arc<Province>>,
    headers: HeaderMap,
    query: Parameters,
) -> Answer {
    province.list(&ITEMS, &headers, query).await
}

async fn push_items(
    State(province): State<Arc<Province>>,
    headers: HeaderMap,
    body: Result<Json<Value>, JsonRejection>,
) -> Answer {
    province.check(&headers)?;
    let Json(body) = body.map_err(|_| Refusal::bad("body is not JSON, or too large"))?;
    let verdicts = PUSHED_ITEMS.take(&province.pool, records(&body, "records")?).await?;
    let data: Vec<Value> = verdicts
        .iter()
        .map(|verdict| {
            let result = if verdict.refusal.is_none() { "accepted" } else { "rejected" };
            let (code, words) = verdict.refusal.unwrap_or(("0", "ok"));
            json!({ "requestId": verdict.id, "result": result, "code": code, "message": words })
        })
        .collect();
    Ok(Json(json!({ "code": "0", "message": "ok", "data": data })))
}

/// Takes the place of what the province has of an item.
const KNOWN_ITEM: &str = "update items set task_code = $2, catalog_code = $3, task_name = $4, \
    task_version = $5, task_state = $6, org_code = $7, update_time = $8 where item_id = $1";
const NEW_ITEM: &str = "insert into items (seq, item_id, task_code, catalog_code, task_name, \
    task_version, task_state, org_code, update_time) \
    select coalesce(max(seq), 0) + 1, $1, $2, $3, $4, $5, $6, $7, $8 from items";
/// Numbers the items anew in the order of their changes, which pages go by.
const RENUMBER: [&str; 5] = [
    "create temporary table numbers (old integer primary key, new integer not null)",
    "insert into numbers select seq, row_number() over (order by update_time, seq) from items",
    "update items set seq = -(select new from numbers where old = items.seq)",
    "update items set seq = -seq",
    "drop table numbers",
];

/// By night the items that were pushed and accepted become the province's own. Says how many.
pub(super) async fn items_by_night(
    transaction: &mut Transaction<'_, Sqlite>,
    at: &str,
) -> Result<u64, sqlx::Error> {
    let mut taken_in = 0;
    let items = waiting(transaction, PUSHED_ITEMS.push).await?;
    for item in items.iter().filter(|item| item.is_accepted) {
        for statement in [KNOWN_ITEM, NEW_ITEM] {
            let mut query = sqlx::query(statement).bind(&item.key);
            for name in
                ["taskCode", "catalogCode", "taskName", "taskVersion", "taskState", "orgCode"]
            {
                query = query.bind(item.text(name));
            }
            let done = query.bind(at).execute(&mut **transaction).await?;
            if done.rows_affected() > 0 {
                break;
            }
        }
        taken_in += 1;
    }
    if taken_in > 0 {
        for statement in RENUMBER {
            sqlx::query(statement).execute(&mut **transaction).await?;
        }
    }
    Ok(taken_in)
}

/// An answer of records, written straight from the rows: there are hundreds of thousands.
#[derive(Serialize)]
struct Pages {
    code: &'static str,
    message: &'static str,
    data: Page,
}

#[derive(Serialize)]
struct Page {
    total: i64,
    page: i64,
    size: i64,
    list: Vec<Record>,
}

struct Record(SqliteRow);

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(NAMES.len() + 1))?;
        for (column, name) in NAMES.iter().enumerate() {
            let text: Option<&str> = self.0.try_get(column).map_err(S::Error::custom)?;
            map.serialize_entry(name, &text)?;
        }
        let version: i64 = self.0.try_get(NAMES.len()).map_err(S::Error::custom)?;
        map.serialize_entry("dataVersion", &version)?;
        map.end()
    }
}

/// How many records are older than `since`, and how many there are: the numbers have no gap.
async fn range(pool: &SqlitePool, since: Option<&str>) -> Result<(i64, i64), Refusal> {
    let all: i64 = sqlx::query_scalar("select coalesce(max(seq), 0) from cases")
        .fetch_one(pool)
        .await
        .map_err(Refusal::failed)?;
    let Some(since) = since else { return Ok((0, all)) };
    let first: Option<i64> = sqlx::query_scalar(
        "select seq from cases where update_time >= $1 order by update_time, seq limit 1",
    )
    .bind(since)
    .fetch_optional(pool)
    .await
    .map_err(Refusal::failed)?;
    Ok((first.map_or(all, |first| first - 1), all))
}
