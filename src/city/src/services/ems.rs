//! The postal express: one gateway for forms that are signed over their sorted parameters.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use huiliu_sdk::{Clock, SystemClock};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sqlx::sqlite::SqlitePool;

use super::answer::{Answer, unknown_address};
use super::form::fields;
use super::listing::Listing;
use super::receive::Inbox;

const LARGEST_PAGE: i64 = 500;
/// How far from now the time of a request may be, in seconds.
const WINDOW: i64 = 300;

const TRACES: Listing = Listing {
    table: "traces",
    columns: &[
        ("waybill_no", "mailNo"),
        ("project_no", "orderNo"),
        ("trace_time", "procTime"),
        ("trace_code", "traceCode"),
        ("place", "orgName"),
        ("update_time", "updateTime"),
    ],
};
const ORDERS: Inbox = Inbox {
    push: "orders",
    id: "txLogisticID",
    key: "orderNo",
    refused: 30,
    reason: ("S07", "收件地址超出揽投范围"),
};

/// What the service works with.
pub(super) struct Ems {
    pub(super) pool: SqlitePool,
    pub(super) key: String,
    pub(super) secret: String,
}

/// The service's address.
pub(super) fn routes(ems: Arc<Ems>) -> Router {
    Router::new().route("/gateway", post(gateway)).fallback(unknown_address).with_state(ems)
}

fn failed(message: &str) -> Json<Value> {
    Json(json!({ "success": "F", "errorMsg": message }))
}

impl Ems {
    /// Why a form is not let in, if it is not. Refusals are told in the body, as everything else.
    fn fault(&self, form: &BTreeMap<String, String>) -> Option<&'static str> {
        let text = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        if text("app_key") != self.key {
            return Some("app_key错误");
        }
        if text("format") != "json" || text("version") != "V0.1" {
            return Some("format或version错误");
        }
        if (SystemClock.now().timestamp() - text("timestamp").parse::<i64>().unwrap_or(0)).abs()
            > WINDOW
        {
            return Some("timestamp超出范围");
        }
        // All other fields by name, each name before its value, and the secret at the end.
        let mut digest = Sha256::new();
        for (name, value) in form.iter().filter(|(name, _)| *name != "sign") {
            digest.update(name);
            digest.update(value);
        }
        digest.update(&self.secret);
        let sign = BASE64_STANDARD.encode(digest.finalize());
        (text("sign") != sign).then_some("sign错误")
    }
}

async fn gateway(State(ems): State<Arc<Ems>>, form: String) -> Answer {
    let form = fields(&form);
    if let Some(fault) = ems.fault(&form) {
        return Ok(failed(fault));
    }
    match form.get("method").map(String::as_str) {
        Some("ems.inland.order.create") => orders(&ems, &form).await,
        Some("ems.inland.trace.query") => traces(&ems, &form).await,
        _ => Ok(failed("method不存在")),
    }
}

async fn orders(ems: &Ems, form: &BTreeMap<String, String>) -> Answer {
    let info = form.get("gotInfo").map(String::as_str).unwrap_or_default();
    let Ok(Value::Array(records)) = serde_json::from_str::<Value>(info) else {
        return Ok(failed("gotInfo不是JSON数组"));
    };
    let verdicts = ORDERS.take(&ems.pool, &records).await?;
    let list: Vec<Value> = verdicts
        .iter()
        .map(|verdict| match verdict.refusal {
            None => json!({ "txLogisticID": verdict.id, "success": "T" }),
            Some((code, words)) => json!({
                "txLogisticID": verdict.id, "success": "F", "errorCode": code, "errorMsg": words,
            }),
        })
        .collect();
    Ok(Json(json!({ "success": "T", "list": list })))
}

async fn traces(ems: &Ems, form: &BTreeMap<String, String>) -> Answer {
    let number = |name: &str, default: i64| {
        form.get(name).map_or(Some(default), |text| text.parse::<i64>().ok())
    };
    let (Some(page @ 1..), Some(size @ 1..=LARGEST_PAGE)) =
        (number("pageNo", 1), number("size", 100))
    else {
        return Ok(failed("pageNo或size错误"));
    };
    let (total, list) = TRACES.page(&ems.pool, None, (page - 1) * size, size).await?;
    Ok(Json(json!({ "success": "T", "total": total, "traces": list })))
}
