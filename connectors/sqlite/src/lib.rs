//! Reads and writes tables of SQLite databases: whole, by a cursor column, by the flag protocol of
//! front databases.
//!
//! Rows are read over connections that SQLite itself keeps from changing anything; those that mark
//! rows or write records are others. This crate must never import another connector, DataFusion or
//! anything of the hub's `src/`.

mod batch;
mod config;
mod cursor;
mod database;
mod discover;
mod flagged;
mod loader;
mod marking;
mod row;
mod schema;
mod sink;
mod source;
mod statement;
mod stored;
mod target;
mod value;

use std::sync::Arc;

use async_trait::async_trait;
use huiliu_sdk::{
    Bounds, Capabilities, ConfigErrors, Connector, Cx, Endpoint, LoadRequest, Loader, Probe,
    RawConfig, ReadRequest, Result, Sink, Source, Spec, StreamId, StreamSpec, Window, WriteRequest,
};

pub use config::{PushOptions, StreamOptions, SystemOptions};

/// The kind `sqlite`.
#[derive(Debug, Clone, Copy, Default)]
pub struct SqliteConnector;

impl Connector for SqliteConnector {
    fn spec(&self) -> Spec {
        Spec {
            kind: "sqlite",
            title: "SQLite database file",
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
            columns: Some(1_990),
            repeats_at_mark: true,
            notes: &[
                "rows are read over connections that cannot write; only marks of a flagged stream and \
                 pushes open the file for writing, and the file and its folder must let them",
                "a table that is written needs a unique index, that of the push's key",
                "another program that writes for longer than ten seconds holds marks and pushes up; \
                 they fail and are tried again",
                "text must be UTF-8; a database that keeps it as UTF-16 is refused",
                "SQLite itself keeps decimals of more than 15 digits exactly only in columns of text; \
                 declare those as `decimal(p,s)`",
            ],
            ..Bounds::default()
        }
    }

    fn configure(&self, raw: RawConfig) -> Result<Arc<dyn Endpoint>, ConfigErrors> {
        let settings = config::settings(&raw)?;
        Ok(Arc::new(SqliteEndpoint { settings: Arc::new(settings) }))
    }
}

struct SqliteEndpoint {
    settings: Arc<config::Settings>,
}

#[async_trait]
impl Endpoint for SqliteEndpoint {
    async fn probe(&self, cx: &Cx) -> Result<Probe> {
        cx.check()?;
        discover::probe(&self.settings).await
    }

    async fn discover(&self, cx: &Cx) -> Result<Vec<StreamSpec>> {
        discover::streams(&self.settings, cx).await
    }

    async fn source(&self, cx: &Cx, request: ReadRequest) -> Result<Box<dyn Source>> {
        source::start(&self.settings, cx, request).await
    }

    async fn window(&self, cx: &Cx, stream: &StreamId, window: &Window) -> Result<Box<dyn Source>> {
        source::start_window(&self.settings, cx, stream, window).await
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
