//! Reads and writes tables of any database that has an ODBC driver.
//!
//! Values are asked for one by one and taken whole, whatever length the driver announced for their
//! column. Calls into a driver block, so each read and each write has a thread of its own. This
//! crate must never import another connector, DataFusion or anything of the hub's `src/`.

mod config;
mod connection;
mod cursor;
mod discover;
mod fault;
mod flagged;
mod front;
mod layout;
mod marking;
mod parameter;
mod source;
mod statement;
mod value;
mod write;

use std::sync::Arc;

use async_trait::async_trait;
use huiliu_sdk::{
    Bounds, Capabilities, ConfigErrors, Connector, Cx, Endpoint, Error, ErrorKind, LoadRequest,
    Loader, Probe, RawConfig, ReadRequest, Result, Sink, Source, Spec, StreamId, StreamSpec,
    WriteRequest,
};

pub use config::{PushOptions, StreamOptions, SystemOptions};

/// The kind `odbc`.
#[derive(Debug, Clone, Copy, Default)]
pub struct OdbcConnector;

impl Connector for OdbcConnector {
    fn spec(&self) -> Spec {
        Spec {
            kind: "odbc",
            title: "database with an ODBC driver",
            capabilities: Capabilities {
                source: true,
                incremental: true,
                flagged: true,
                discover: true,
                sink: true,
                idempotent_sink: true,
                loader: true,
                ..Capabilities::default()
            },
            system_schema: schemars::schema_for!(SystemOptions).to_value(),
            stream_schema: schemars::schema_for!(StreamOptions).to_value(),
            push_schema: schemars::schema_for!(PushOptions).to_value(),
        }
    }

    fn bounds(&self) -> Bounds {
        Bounds {
            // Most databases end sooner, and some later.
            columns: Some(1_600),
            repeats_at_mark: true,
            notes: &[
                "what a driver keeps back or changes nobody behind it can see: try each one with \
                 `preview` (the manual says what those of PostgreSQL and SQLite do)",
                "a statement that runs in the driver cannot be broken off; it ends with \
                 `statement_timeout`, where the driver knows one",
            ],
            ..Bounds::default()
        }
    }

    fn configure(&self, raw: RawConfig) -> Result<Arc<dyn Endpoint>, ConfigErrors> {
        let settings = config::settings(&raw)?;
        Ok(Arc::new(OdbcEndpoint { settings: Arc::new(settings) }))
    }
}

struct OdbcEndpoint {
    settings: Arc<config::Settings>,
}

impl OdbcEndpoint {
    fn push(&self, push: &StreamId) -> Result<config::Push> {
        let found = self.settings.pushes.iter().find(|known| known.id == *push);
        found.cloned().ok_or_else(|| {
            let message = format!("push `{push}` is not configured");
            Error::new(ErrorKind::NotFound, "E-STREAM", message)
        })
    }
}

#[async_trait]
impl Endpoint for OdbcEndpoint {
    async fn probe(&self, cx: &Cx) -> Result<Probe> {
        let settings = Arc::clone(&self.settings);
        connection::blocking(cx, move |_| discover::probe(&settings)).await
    }

    async fn discover(&self, cx: &Cx) -> Result<Vec<StreamSpec>> {
        let settings = Arc::clone(&self.settings);
        connection::blocking(cx, move |cx| discover::streams(&settings, cx)).await
    }

    async fn source(&self, cx: &Cx, request: ReadRequest) -> Result<Box<dyn Source>> {
        source::start(&self.settings, cx, &request)
    }

    async fn sink(&self, _cx: &Cx, request: WriteRequest) -> Result<Box<dyn Sink>> {
        let push = self.push(&request.push)?;
        Ok(Box::new(write::OdbcSink::new(&self.settings, push)))
    }

    async fn loader(&self, cx: &Cx, request: LoadRequest) -> Result<Box<dyn Loader>> {
        let push = self.push(&request.push)?;
        Ok(Box::new(write::OdbcLoader::start(&self.settings, cx, push, request.mode).await?))
    }
}
