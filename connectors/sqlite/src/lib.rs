//! Reads tables of SQLite databases: whole, or by a cursor column.
//!
//! A database is opened read-only, over one connection per read. This crate must never import
//! another connector, DataFusion or anything of the hub's `src/`.

mod config;
mod cursor;
mod database;
mod discover;
mod row;
mod schema;
mod source;
mod statement;

use std::sync::Arc;

use async_trait::async_trait;
use huiliu_sdk::{
    Bounds, Capabilities, ConfigErrors, Connector, Cx, Endpoint, Probe, RawConfig, ReadRequest,
    Result, Source, Spec, StreamId, StreamSpec, Window,
};

pub use config::{StreamOptions, SystemOptions};

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
                discover: true,
                ..Capabilities::default()
            },
            system_schema: schemars::schema_for!(SystemOptions).to_value(),
            stream_schema: schemars::schema_for!(StreamOptions).to_value(),
            push_schema: serde_json::json!({ "type": "object", "properties": {} }),
        }
    }

    fn bounds(&self) -> Bounds {
        Bounds {
            columns: Some(1_990),
            repeats_at_mark: true,
            notes: &[
                "the file is opened for reading only, over one connection for each read",
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
        let source = source::start(&self.settings, cx, request).await?;
        Ok(Box::new(source))
    }

    async fn window(&self, cx: &Cx, stream: &StreamId, window: &Window) -> Result<Box<dyn Source>> {
        Ok(Box::new(source::start_window(&self.settings, cx, stream, window).await?))
    }
}
