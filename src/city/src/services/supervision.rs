//! Electronic supervision: takes cases, says later by message what became of them, gives out the
//! cards that it issued, for a user with a password.

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
use sqlx::{Sqlite, Transaction};

use super::answer::{
    Answer, Parameters, Refusal, header, number, parameters, since, unknown_address,
};
use super::listing::Listing;
use super::receive::{Inbox, Waiting, records, waiting};
use crate::world::now;

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
const STATES: Listing = Listing {
    table: "states",
    columns: &[
        ("msg_id", "msgId"),
        ("project_no", "projectNo"),
        ("state", "state"),
        ("error_code", "errorCode"),
        ("error_text", "errorText"),
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
const UNNUMBERED: (&str, &str) = ("JC01", "缺少办件编号");
const YELLOW: &str = "黄牌";
const RED: &str = "红牌";

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

    async fn list(&self, listing: &Listing, headers: &HeaderMap, query: Parameters) -> Answer {
        self.check(headers)?;
        let map = parameters(query)?;
        let offset = number(&map, "start", 0, 0..=10_000_000)?;
        let limit = number(&map, "rows", 100, 1..=LARGEST_PAGE)?;
        let (total, rows) = listing.page(&self.pool, since(&map)?, offset, limit).await?;
        Ok(Json(json!({ "status": "OK", "total": total, "rows": rows })))
    }
}

/// The service's addresses.
pub(super) fn routes(supervision: Arc<Supervision>) -> Router {
    Router::new()
        .route("/jc/alerts", get(alerts))
        .route("/jc/cases", post(cases))
        .route("/jc/states", get(states))
        .fallback(unknown_address)
        .with_state(supervision)
}

async fn alerts(
    State(supervision): State<Arc<Supervision>>,
    headers: HeaderMap,
    query: Parameters,
) -> Answer {
    supervision.list(&ALERTS, &headers, query).await
}

async fn states(
    State(supervision): State<Arc<Supervision>>,
    headers: HeaderMap,
    query: Parameters,
) -> Answer {
    supervision.list(&STATES, &headers, query).await
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
            // What is about no case is refused at once, all else is looked at by night.
            Some(_) if verdict.key.is_empty() => {
                let (code, words) = UNNUMBERED;
                json!({ "msgId": verdict.id, "ack": "N", "errorCode": code, "errorText": words })
            }
            _ => json!({ "msgId": verdict.id, "ack": "P" }),
        })
        .collect();
    Ok(Json(json!({ "status": "OK", "acks": acks })))
}

/// By night each message gets its state, and a case that has broken its promise its card. Says how
/// many got one.
pub(super) async fn by_night(
    transaction: &mut Transaction<'_, Sqlite>,
    at: &str,
) -> Result<(u64, u64), sqlx::Error> {
    let (mut answered, mut cards) = (0, 0);
    let cases = waiting(transaction, CASES.push).await?;
    for case in cases.iter().filter(|case| !case.key.is_empty()) {
        let refusal = (!case.is_accepted).then_some(CASES.reason);
        sqlx::query(
            "insert into states (seq, msg_id, project_no, state, error_code, error_text, \
             update_time) select coalesce(max(seq), 0) + 1, $1, $2, $3, $4, $5, $6 from states",
        )
        .bind(&case.id)
        .bind(&case.key)
        .bind(if refusal.is_some() { "N" } else { "Y" })
        .bind(refusal.map(|(code, _)| code))
        .bind(refusal.map(|(_, words)| words))
        .bind(at)
        .execute(&mut **transaction)
        .await?;
        answered += 1;
        if case.is_accepted {
            cards += issue(transaction, case, at).await?;
        }
    }
    Ok((answered, cards))
}

/// Issues the card that comes with a case whose promise is broken, unless it has that or a graver
/// one.
async fn issue(
    transaction: &mut Transaction<'_, Sqlite>,
    case: &Waiting,
    at: &str,
) -> Result<u64, sqlx::Error> {
    let level = case.text("card");
    let rule = match level.as_str() {
        RED => "严重超期",
        YELLOW => "超期",
        _ => return Ok(0),
    };
    if !is_late(&case.text("promiseTime"), &case.text("resultTime"), &now().text()) {
        return Ok(0);
    }
    let issued = sqlx::query(
        "insert into alerts (seq, alert_id, project_no, rule, level, issue_time, update_time) \
         select coalesce(max(seq), 0) + 1, printf('JC%08d', coalesce(max(seq), 0) + 1), \
         $1, $2, $3, $4, $4 from alerts \
         having not exists (select 1 from alerts where project_no = $1 and level in ($3, $5))",
    )
    .bind(&case.key)
    .bind(rule)
    .bind(&level)
    .bind(at)
    .bind(RED)
    .execute(&mut **transaction)
    .await?;
    Ok(issued.rows_affected())
}

/// Whether the day of the promise is over; a case without a result is not finished `now`.
fn is_late(promise: &str, result: &str, now: &str) -> bool {
    let until = if result.is_empty() { now } else { result };
    !promise.is_empty() && until.get(..10) > promise.get(..10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_is_kept_until_the_end_of_its_day() {
        let now = "2018-12-13 18:00:00";
        assert!(!is_late("2018-12-07 17:30:00", "2018-12-07 18:00:00", now));
        assert!(is_late("2018-12-07 17:30:00", "2018-12-10 09:00:00", now));
        assert!(is_late("2018-12-12 17:30:00", "", now));
        assert!(!is_late("2018-12-13 17:30:00", "", now) && !is_late("", "", now));
    }
}
