//! The investment platform: projects by page, approvals by cursor, results of approvals in, and a
//! list of the results that it refused; answers are nested three times.

use std::sync::Arc;

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::HeaderMap;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Row, Sqlite, SqliteConnection, Transaction};

use super::answer::{Answer, Parameters, Refusal, header, number, parameters, unknown_address};
use super::listing::Listing;
use super::receive::{Inbox, records, waiting};

/// What the service works with.
pub(super) struct Platform {
    pub(super) pool: SqlitePool,
    pub(super) api_key: String,
}

const PROJECTS: &str = "select seq, invest_id, project_name, project_code, apply_date, status, \
    division_code, legal_person, invest_total, update_time from projects \
    where seq > $1 order by seq limit $2";
const PROJECT_NAMES: [&str; 9] = [
    "investId",
    "projectName",
    "projectCode",
    "applyDate",
    "status",
    "divisionCode",
    "legalPerson",
    "investTotal",
    "updateTime",
];
const APPROVALS: &str = "select seq, approval_id, invest_id, project_code, project_no, \
    item_name, state, update_time from approvals where seq > $1 order by seq limit $2";
const APPROVAL_NAMES: [&str; 7] =
    ["approvalId", "investId", "projectCode", "projectNo", "itemName", "state", "updateTime"];
const PAGE: i64 = 100;
const LARGEST_PAGE: i64 = 500;
const CURSOR_PREFIX: &str = "c";

const REFUSED: Listing = Listing {
    table: "refused",
    columns: &[
        ("approval_id", "approvalId"),
        ("seq_id", "seqId"),
        ("code", "code"),
        ("message", "msg"),
        ("refused_at", "refuseTime"),
    ],
};
const RESULTS: Inbox = Inbox {
    push: "results",
    id: "seqId",
    key: "approvalId",
    refused: 0,
    reason: ("5001", "审批事项编号缺失"),
};
/// Approvals that were last changed before this day are closed: the platform takes no results for
/// them any more.
const CLOSED_BEFORE: &str = "2018-07-01";
const CLOSED: (&str, &str) = ("5002", "审批事项已归档");

/// The service's addresses.
pub(super) fn routes(platform: Arc<Platform>) -> Router {
    Router::new()
        .route("/invest/projects", get(projects))
        .route("/invest/approvals", get(approvals))
        .route("/invest/results", post(results))
        .route("/invest/refused", get(refused))
        .fallback(unknown_address)
        .with_state(platform)
}

impl Platform {
    /// The answer for a wrong key: HTTP 200, the fault is in the body.
    fn check(&self, headers: &HeaderMap) -> Option<Json<Value>> {
        let is_known = header(headers, "ApiKey") == Some(self.api_key.as_str());
        (!is_known).then(|| Json(json!({ "code": "401", "msg": "ApiKey无效", "data": null })))
    }
}

fn nested(seq_id: Option<&String>, mut result: Value) -> Json<Value> {
    result["code"] = json!("200");
    let data = json!({ "code": "200", "seqId": seq_id, "result": result });
    Json(json!({ "code": "200", "msg": "成功", "data": data }))
}

async fn projects(
    State(platform): State<Arc<Platform>>,
    headers: HeaderMap,
    query: Parameters,
) -> Answer {
    if let Some(refused) = platform.check(&headers) {
        return Ok(refused);
    }
    let map = parameters(query)?;
    let page = number(&map, "pageNo", 1, 1..=1_000_000)?;
    let size = number(&map, "pageSize", PAGE, 1..=LARGEST_PAGE)?;
    let mut connection = platform.pool.acquire().await.map_err(Refusal::failed)?;
    let total: i64 = sqlx::query_scalar("select count(*) from projects")
        .fetch_one(&mut *connection)
        .await
        .map_err(Refusal::failed)?;
    let rows = rows(&mut connection, PROJECTS, (page - 1) * size, size).await?;
    let list = list(&rows, &PROJECT_NAMES)?;
    Ok(nested(map.get("seqId"), json!({ "total": total, "list": list })))
}

async fn approvals(
    State(platform): State<Arc<Platform>>,
    headers: HeaderMap,
    query: Parameters,
) -> Answer {
    if let Some(refused) = platform.check(&headers) {
        return Ok(refused);
    }
    let map = parameters(query)?;
    let limit = number(&map, "limit", PAGE, 1..=LARGEST_PAGE)?;
    let after = match map.get("cursor").filter(|cursor| !cursor.is_empty()) {
        Some(cursor) => {
            read_cursor(cursor).ok_or_else(|| Refusal::bad("cursor is not one of ours"))?
        }
        None => 0,
    };
    let mut connection = platform.pool.acquire().await.map_err(Refusal::failed)?;
    // One more than asked tells whether there is a next page.
    let mut rows = rows(&mut connection, APPROVALS, after, limit + 1).await?;
    let is_last = (rows.len() as u64) <= limit.unsigned_abs();
    if !is_last {
        rows.pop();
    }
    let next = match rows.last() {
        Some(row) if !is_last => Some(write_cursor(row.try_get(0).map_err(Refusal::failed)?)),
        _ => None,
    };
    let list = list(&rows, &APPROVAL_NAMES)?;
    Ok(nested(map.get("seqId"), json!({ "list": list, "next": next })))
}

/// What was refused of the results that were pushed. Of the others nothing is said here: their
/// approvals have them.
async fn refused(
    State(platform): State<Arc<Platform>>,
    headers: HeaderMap,
    query: Parameters,
) -> Answer {
    if let Some(refused) = platform.check(&headers) {
        return Ok(refused);
    }
    let map = parameters(query)?;
    let page = number(&map, "pageNo", 1, 1..=1_000_000)?;
    let size = number(&map, "pageSize", PAGE, 1..=LARGEST_PAGE)?;
    let (total, list) = REFUSED.page(&platform.pool, None, (page - 1) * size, size).await?;
    Ok(nested(map.get("seqId"), json!({ "total": total, "list": list })))
}

/// Takes results of approvals over; that they were is said of each in the innermost of the three
/// answers, and nothing more.
async fn results(
    State(platform): State<Arc<Platform>>,
    headers: HeaderMap,
    body: Result<Json<Value>, JsonRejection>,
) -> Answer {
    if let Some(refused) = platform.check(&headers) {
        return Ok(refused);
    }
    let Json(body) = body.map_err(|_| Refusal::bad("body is not JSON, or too large"))?;
    let verdicts = RESULTS.take(&platform.pool, records(&body, "results")?).await?;
    let list: Vec<Value> = verdicts
        .iter()
        .map(|verdict| {
            let (code, words) = verdict.refusal.unwrap_or(("200", "成功"));
            json!({ "seqId": verdict.id, "approvalId": verdict.key, "code": code, "msg": words })
        })
        .collect();
    Ok(nested(None, json!({ "list": list })))
}

/// By night results become those of their approvals, and what is closed is refused. Says how many
/// were taken in, and how many refused.
pub(super) async fn by_night(
    transaction: &mut Transaction<'_, Sqlite>,
    at: &str,
) -> Result<(u64, u64), sqlx::Error> {
    let (mut taken_in, mut refused) = (0, 0);
    let results = waiting(transaction, RESULTS.push).await?;
    for result in results.iter().filter(|result| result.is_accepted) {
        let updated = sqlx::query(
            "update approvals set state = $1, update_time = $2 \
             where approval_id = $3 and update_time >= $4",
        )
        .bind(result.text("state"))
        .bind(at)
        .bind(&result.key)
        .bind(CLOSED_BEFORE)
        .execute(&mut **transaction)
        .await?;
        if updated.rows_affected() > 0 {
            taken_in += 1;
            continue;
        }
        refused += 1;
        let (code, words) = CLOSED;
        sqlx::query(
            "insert into refused (seq, approval_id, seq_id, code, message, refused_at) \
             select coalesce(max(seq), 0) + 1, $1, $2, $3, $4, $5 from refused",
        )
        .bind(&result.key)
        .bind(&result.id)
        .bind(code)
        .bind(words)
        .bind(at)
        .execute(&mut **transaction)
        .await?;
        sqlx::query("update pushed set result = 'rejected' where request_id = $1")
            .bind(&result.id)
            .execute(&mut **transaction)
            .await?;
    }
    Ok((taken_in, refused))
}

async fn rows(
    connection: &mut SqliteConnection,
    sql: &'static str,
    after: i64,
    limit: i64,
) -> Result<Vec<SqliteRow>, Refusal> {
    sqlx::query(sql).bind(after).bind(limit).fetch_all(connection).await.map_err(Refusal::failed)
}

/// Rows as objects; the first column, the row's number, stays inside.
fn list(rows: &[SqliteRow], names: &[&str]) -> Result<Vec<Value>, Refusal> {
    let mut list = Vec::with_capacity(rows.len());
    for row in rows {
        let mut object = serde_json::Map::new();
        for (column, name) in (1..).zip(names) {
            let text: String = row.try_get(column).map_err(Refusal::failed)?;
            object.insert((*name).to_owned(), Value::String(text));
        }
        list.push(Value::Object(object));
    }
    Ok(list)
}

fn write_cursor(seq: i64) -> String {
    format!("{CURSOR_PREFIX}{:012x}", seq ^ 0x5a5a_5a5a)
}

fn read_cursor(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(CURSOR_PREFIX).filter(|digits| digits.len() == 12)?;
    i64::from_str_radix(digits, 16).ok().map(|value| value ^ 0x5a5a_5a5a).filter(|seq| *seq > 0)
}
