//! Reads and writes tables of MariaDB and MySQL databases.
//!
//! Rows travel in the server's binary protocol and are decoded from its bytes straight into Arrow,
//! so that no driver rounds, refuses or reinterprets a value on the way. This crate must never
//! import another connector, DataFusion or anything of the hub's `src/`.

mod batch;
mod config;
mod cursor;
mod database;
mod discover;
mod fault;
mod flagged;
mod full;
mod incremental;
mod keyset;
mod loader;
mod marking;
mod schema;
mod sink;
mod slot;
mod source;
mod target;
mod value;
mod wire;

use std::sync::Arc;

use async_trait::async_trait;
use huiliu_sdk::{
    Bounds, Capabilities, ConfigErrors, Connector, Cx, Endpoint, LoadRequest, Loader, Probe,
    RawConfig, ReadRequest, Result, Sink, Source, Spec, StreamId, StreamSpec, Window, WriteRequest,
};

pub use config::{Oddities, PushOptions, StreamOptions, SystemOptions, Tls};

/// The kind `mysql`.
#[derive(Debug, Clone, Copy, Default)]
pub struct MySqlConnector;

impl Connector for MySqlConnector {
    fn spec(&self) -> Spec {
        Spec {
            kind: "mysql",
            title: "MariaDB and MySQL database",
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
            columns: Some(1_017),
            repeats_at_mark: true,
            notes: &[
                "the server sends and takes no row larger than its `max_allowed_packet`",
                "a read over several connections is not one moment of the table and calls itself \
                 incomplete",
                "a table that is written needs transactions (InnoDB) and one unique index, that of the \
                 push's key",
            ],
            ..Bounds::default()
        }
    }

    fn configure(&self, raw: RawConfig) -> Result<Arc<dyn Endpoint>, ConfigErrors> {
        let settings = config::settings(&raw)?;
        Ok(Arc::new(MySqlEndpoint { settings: Arc::new(settings) }))
    }
}

struct MySqlEndpoint {
    settings: Arc<config::Settings>,
}

#[async_trait]
impl Endpoint for MySqlEndpoint {
    async fn probe(&self, cx: &Cx) -> Result<Probe> {
        database::unless_cancelled(cx, discover::probe(&self.settings)).await
    }

    async fn discover(&self, cx: &Cx) -> Result<Vec<StreamSpec>> {
        database::unless_cancelled(cx, discover::streams(&self.settings, cx)).await
    }

    async fn source(&self, cx: &Cx, request: ReadRequest) -> Result<Box<dyn Source>> {
        source::start(&self.settings, cx, &request)
    }

    async fn window(&self, cx: &Cx, stream: &StreamId, window: &Window) -> Result<Box<dyn Source>> {
        source::start_window(&self.settings, cx, stream, window)
    }

    async fn sink(&self, cx: &Cx, request: WriteRequest) -> Result<Box<dyn Sink>> {
        let push = self.settings.push(&request.push)?;
        let sink = sink::TableSink::open(&self.settings, cx, push).await?;
        Ok(Box::new(sink))
    }

    async fn loader(&self, cx: &Cx, request: LoadRequest) -> Result<Box<dyn Loader>> {
        let push = self.settings.push(&request.push)?;
        let loader = loader::TableLoader::open(&self.settings, cx, push, &request).await?;
        Ok(Box::new(loader))
    }
}
