//! The suite that every connector passes, over a real server on loopback.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use arrow::datatypes::DataType;
use async_trait::async_trait;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use huiliu_connector_http::HttpConnector;
use huiliu_sdk::{Connector, RawConfig, RawPush, RawStream, ReadMode};
use huiliu_testkit::{CANARY, Refused, System, Table, Trouble};
use serde_json::{Map, Value, json};

use crate::{config, serve};

huiliu_testkit::conformance!(suite: Registry);

/// Records of one table as they are sent, each with its `changed` where it has one.
type Records = Vec<(Option<String>, Vec<u8>)>;

#[derive(Default)]
struct Held {
    tables: BTreeMap<String, Records>,
    /// Keys of the records that were taken in.
    taken: BTreeSet<(String, String)>,
    has_vanished: bool,
}

type Shared = Arc<Mutex<Held>>;

/// A service that gives tables page by page and takes records in.
struct Registry {
    url: String,
    held: Shared,
}

fn enter(held: &Shared, headers: &HeaderMap) -> Result<(), StatusCode> {
    if held.lock().unwrap().has_vanished {
        return Err(StatusCode::BAD_GATEWAY);
    }
    let token = headers.get("authorization").and_then(|value| value.to_str().ok());
    match token == Some(&format!("Bearer {CANARY}")) {
        true => Ok(()),
        false => Err(StatusCode::UNAUTHORIZED),
    }
}

async fn list(
    State(held): State<Shared>,
    Path(table): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Result<Bytes, StatusCode> {
    enter(&held, &headers)?;
    let held = held.lock().unwrap();
    let records = held.tables.get(&table).ok_or(StatusCode::NOT_FOUND)?;
    let since = query.get("since");
    let wanted: Vec<&[u8]> = (records.iter())
        .filter(|(changed, _)| since.is_none_or(|since| changed.as_ref() >= Some(since)))
        .map(|(_, record)| record.as_slice())
        .collect();
    let number = |name: &str| query[name].parse::<usize>().unwrap();
    let (page, size) = (number("page"), number("size"));
    let part: Vec<&[u8]> = wanted.iter().skip((page - 1) * size).take(size).copied().collect();
    let head = format!("{{\"total\":{},\"list\":[", wanted.len());
    Ok([head.as_bytes(), part.join(&b',').as_slice(), b"]}"].concat().into())
}

async fn take(
    State(held): State<Shared>,
    Path(table): Path<String>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Result<Json<Value>, StatusCode> {
    enter(&held, &headers)?;
    let mut held = held.lock().unwrap();
    let mut answers = Vec::new();
    for record in body["records"].as_array().unwrap() {
        let mut record = record.as_object().unwrap().clone();
        let key = record.remove("requestId").unwrap().as_str().unwrap().to_owned();
        if record.get("name").and_then(Value::as_str) == Some("=refused") {
            let message = "the name is not allowed";
            answers.push(json!({ "requestId": key, "result": "rejected", "code": "D07", "message": message }));
            continue;
        }
        answers.push(json!({ "requestId": key, "result": "accepted" }));
        if held.taken.insert((table.clone(), key)) {
            let changed = record.get("changed").and_then(Value::as_str).map(str::to_owned);
            let text = Value::Object(record).to_string().into_bytes();
            held.tables.entry(table.clone()).or_default().push((changed, text));
        }
    }
    Ok(Json(json!({ "data": answers })))
}

/// A value as the service writes it.
fn value(text: &str, kind: &DataType) -> Value {
    match kind {
        DataType::Utf8 | DataType::Binary | DataType::Date32 => text.into(),
        DataType::Timestamp(..) => text.replace('T', " ").into(),
        _ => serde_json::from_str(text).unwrap(),
    }
}

/// The bytes of a record, with what stands behind `hex:` as the bytes it means.
fn unhexed(record: &str) -> Vec<u8> {
    let Some((before, rest)) = record.split_once("hex:") else { return record.into() };
    let end = rest.find(|c: char| !c.is_ascii_hexdigit()).unwrap();
    let bytes = (0..end / 2).map(|at| u8::from_str_radix(&rest[2 * at..2 * at + 2], 16).unwrap());
    before.bytes().chain(bytes).chain(rest[end..].bytes()).collect()
}

fn system(url: &str, token: &str) -> RawConfig {
    let auth = json!({ "type": "bearer", "token": token });
    let options = json!({
        "url": url, "timeout": "10s", "attempts": 2, "max_response": "160MB", "auth": auth,
    });
    config(options, vec![], vec![])
}

#[async_trait]
impl System for Registry {
    async fn fresh() -> Self {
        let held = Shared::default();
        let router = Router::new()
            .route("/tables/{table}", get(list))
            .route("/push/{table}", post(take))
            .with_state(Arc::clone(&held));
        Self { url: serve(router).await, held }
    }

    fn connector(&self) -> Box<dyn Connector> {
        Box::new(HttpConnector)
    }

    fn config(&self) -> RawConfig {
        system(&self.url, CANARY)
    }

    fn stream(&self, table: &Table, read: ReadMode) -> RawStream {
        let pages = json!({ "type": "page", "page": "page", "size": "size", "page_size": 100 });
        let mut options = json!({
            "path": format!("/tables/{}", table.name), "records": "/list", "total": "/total",
            "pagination": pages,
        });
        if read == ReadMode::Incremental {
            options["since"] = json!("since");
        }
        let mut stream = table.stream(read, options);
        table.declare(&mut stream);
        stream
    }

    async fn put(&mut self, table: &Table) -> Result<(), Refused> {
        let schema = table.batch.schema();
        let mut records = Records::new();
        for row in table.rows() {
            let mut record = Map::new();
            for (field, text) in schema.fields().iter().zip(&row) {
                let value = match text {
                    None => Value::Null,
                    Some(hex) if table.is_broken_text(field.name()) => format!("hex:{hex}").into(),
                    Some(text) => value(text, field.data_type()),
                };
                record.insert(field.name().clone(), value);
            }
            let changed = record.get("changed").and_then(Value::as_str).map(str::to_owned);
            records.push((changed, unhexed(&Value::Object(record).to_string())));
        }
        self.held.lock().unwrap().tables.insert(table.name.clone(), records);
        Ok(())
    }

    async fn content(&mut self) -> String {
        format!("{:?}", self.held.lock().unwrap().tables)
    }

    async fn vanish(&mut self) {
        self.held.lock().unwrap().has_vanished = true;
    }

    fn troubled(&self, trouble: Trouble) -> Option<RawConfig> {
        Some(match trouble {
            Trouble::Unreachable => system("http://127.0.0.1:9", CANARY),
            Trouble::Login => system(&self.url, &format!("{CANARY}-old")),
            Trouble::Place => system(&format!("{}/nowhere", self.url), CANARY),
        })
    }

    fn push(&self, table: &Table, _whole: bool) -> RawPush {
        table.push(json!({
            "path": format!("/push/{}", table.name), "batch": 10, "records": "/records",
            "idempotency_field": "requestId",
            "outcomes": {
                "list": "/data", "id": "/requestId", "result": "/result", "accepted": ["accepted"],
                "rejected": ["rejected"], "code": "/code", "message": "/message",
            },
        }))
    }

    async fn target(&mut self, table: &Table) {
        let mut held = self.held.lock().unwrap();
        held.tables.insert(table.name.clone(), Records::new());
        held.taken.retain(|(of, _)| *of != table.name);
    }

    async fn written(&mut self, table: &Table) -> Vec<String> {
        let held = self.held.lock().unwrap();
        let id = |record: &[u8]| serde_json::from_slice::<Value>(record).unwrap()["id"].clone();
        let records = held.tables[&table.name].iter();
        records.map(|(_, record)| id(record).as_str().unwrap().to_owned()).collect()
    }
}
