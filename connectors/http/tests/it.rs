//! The connector against real servers on loopback.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "it/configuring.rs"]
mod configuring;
#[path = "it/conformance.rs"]
mod conformance;
#[path = "it/examples.rs"]
mod examples;
#[path = "it/failing.rs"]
mod failing;
#[path = "it/following.rs"]
mod following;
#[path = "it/formats.rs"]
mod formats;
#[path = "it/paging.rs"]
mod paging;
#[path = "it/reading.rs"]
mod reading;
#[path = "it/receipts.rs"]
mod receipts;
#[path = "../../../tests/private/server.rs"]
mod server;
#[path = "it/signing.rs"]
mod signing;
#[path = "it/tls.rs"]
mod tls;
#[path = "it/writing.rs"]
mod writing;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::AsArray;
use axum::Router;
use huiliu_connector_http::HttpConnector;
use huiliu_sdk::{
    Checkpoint, ColumnSpec, ConfigErrors, Connector, Cx, Endpoint, Event, RawConfig, RawPush,
    RawStream, ReadRequest, Rejected, Result, Rows, Scope, StreamId, StreamRequest, StreamSettings,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Starts `router` on loopback and returns its address.
async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}")
}

/// A server that sends the same bytes to whoever connects, and closes.
async fn raw(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = [0_u8; 4096];
            let read = socket.read(&mut request).await.unwrap();
            assert!(read > 0);
            socket.write_all(answer.as_bytes()).await.unwrap();
            socket.shutdown().await.unwrap();
        }
    });
    format!("http://{address}")
}

fn config(system: Value, streams: Vec<RawStream>, pushes: Vec<RawPush>) -> RawConfig {
    RawConfig {
        system: "province".into(),
        base_dir: PathBuf::from("."),
        hub_zone: chrono_tz::Asia::Shanghai,
        options: system,
        streams,
        pushes,
    }
}

fn configure(raw: RawConfig) -> Result<Arc<dyn Endpoint>, ConfigErrors> {
    HttpConnector.configure(raw)
}

fn stream(settings: StreamSettings, options: Value) -> RawStream {
    RawStream { settings: StreamSettings { name: "cases".into(), ..settings }, options }
}

fn typed(columns: &[(&str, &str)]) -> BTreeMap<String, ColumnSpec> {
    let spec = |kind: &str| ColumnSpec { data_type: Some(kind.into()), ..ColumnSpec::default() };
    columns.iter().map(|(name, kind)| ((*name).to_owned(), spec(kind))).collect()
}

/// A system of one stream.
fn reader(url: &str, settings: StreamSettings, options: Value) -> Arc<dyn Endpoint> {
    configure(config(json!({"url": url, "timeout": "2s"}), vec![stream(settings, options)], vec![]))
        .unwrap()
}

#[derive(Default)]
struct Read {
    schemas: Vec<Vec<String>>,
    rows: Vec<Rows>,
    rejected: Vec<Rejected>,
    notes: Vec<String>,
    checkpoint: Option<Checkpoint>,
    complete: Option<bool>,
}

impl Read {
    fn count(&self) -> usize {
        self.rows.iter().map(|rows| rows.batch.num_rows()).sum()
    }

    /// All values of a text column in their order.
    fn texts(&self, column: &str) -> Vec<Option<String>> {
        let mut texts = Vec::new();
        for rows in &self.rows {
            match rows.batch.column_by_name(column) {
                Some(array) => texts
                    .extend(array.as_string::<i32>().iter().map(|text| text.map(str::to_owned))),
                None => texts.extend(vec![None; rows.batch.num_rows()]),
            }
        }
        texts
    }

    fn cursor(&self) -> Value {
        self.checkpoint.as_ref().unwrap().state["cursor"].clone()
    }
}

async fn read_from(
    endpoint: &dyn Endpoint,
    cursor: Option<&str>,
    limit: Option<u64>,
) -> Result<Read> {
    let cx = Cx::new();
    let id = StreamId::new("cases");
    let resume = cursor.map(|cursor| Checkpoint {
        scope: Scope::Stream(id.clone()),
        version: 1,
        state: json!({ "cursor": cursor }),
    });
    let streams = vec![StreamRequest { stream: id, resume }];
    let mut source = endpoint.source(&cx, ReadRequest { streams, row_limit: limit }).await?;
    let mut read = Read::default();
    while let Some(event) = source.next(&cx).await? {
        match event {
            Event::Schema(_, schema) => read
                .schemas
                .push(schema.fields().iter().map(|field| field.name().clone()).collect()),
            Event::Rows(mut rows) => {
                assert_eq!(rows.positions.len(), rows.batch.num_rows());
                assert!(!read.schemas.is_empty(), "rows before a schema");
                read.rejected.append(&mut rows.rejected);
                read.rows.push(rows);
            }
            Event::Keys(..) => panic!("nobody asked for keys"),
            Event::Note(_, note) => read.notes.push(note),
            Event::Checkpoint(checkpoint) => read.checkpoint = Some(checkpoint),
            Event::End { complete, .. } => {
                assert!(read.checkpoint.is_some(), "an end before its checkpoint");
                read.complete = Some(complete);
            }
        }
    }
    Ok(read)
}

async fn read(endpoint: &dyn Endpoint) -> Result<Read> {
    read_from(endpoint, None, None).await
}
