//! Reads and writes PostgreSQL databases, by binary `copy` wherever whole rows move.
//!
//! This crate must never import another connector, DataFusion or anything of the hub's `src/`.

mod catalog;
mod column;
mod config;
mod database;
mod decode;
mod discover;
mod encode;
mod fault;
mod flagged;
mod full;
mod horizon;
mod incremental;
mod layout;
mod loader;
mod moment;
mod numeric;
mod original;
mod progress;
mod ranges;
mod reader;
mod sink;
mod source;
mod target;

use std::sync::Arc;

use async_trait::async_trait;
use huiliu_sdk::{
    Bounds, Capabilities, ConfigErrors, Connector, Cx, Endpoint, Error, ErrorKind, LoadRequest,
    Loader, Probe, RawConfig, ReadRequest, Result, Sink, Source, Spec, StreamId, StreamSpec,
    Window, WriteRequest,
};

pub use config::{PushOptions, StreamOptions, SystemOptions};

/// The kind `postgres`.
#[derive(Debug, Clone, Copy, Default)]
pub struct PostgresConnector;

impl Connector for PostgresConnector {
    fn spec(&self) -> Spec {
        Spec {
            kind: "postgres",
            title: "PostgreSQL database",
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
            columns: Some(1_600),
            repeats_at_mark: true,
            notes: &[
                "times beyond the lake's years, infinite ones and numbers that are none follow `oddities`",
                "what is pushed record by record replaces the row of its key, so the target needs a \
                 unique index over it",
            ],
            ..Bounds::default()
        }
    }

    fn configure(&self, raw: RawConfig) -> Result<Arc<dyn Endpoint>, ConfigErrors> {
        let settings = config::settings(&raw)?;
        Ok(Arc::new(PostgresEndpoint { settings: Arc::new(settings) }))
    }
}

struct PostgresEndpoint {
    settings: Arc<config::Settings>,
}

#[async_trait]
impl Endpoint for PostgresEndpoint {
    async fn probe(&self, cx: &Cx) -> Result<Probe> {
        discover::probe(&self.settings, cx).await
    }

    async fn discover(&self, cx: &Cx) -> Result<Vec<StreamSpec>> {
        discover::streams(&self.settings, cx).await
    }

    async fn source(&self, cx: &Cx, request: ReadRequest) -> Result<Box<dyn Source>> {
        cx.check()?;
        Ok(Box::new(source::start(&self.settings, &request)?))
    }

    async fn window(&self, cx: &Cx, stream: &StreamId, window: &Window) -> Result<Box<dyn Source>> {
        cx.check()?;
        Ok(Box::new(source::start_window(&self.settings, stream, window)?))
    }

    async fn sink(&self, cx: &Cx, request: WriteRequest) -> Result<Box<dyn Sink>> {
        cx.check()?;
        let push = self.push(&request.push)?;
        if push.key.is_empty() {
            return Err(Error::new(
                ErrorKind::Config,
                "E-COLUMN",
                format!("push `{}` has no key by which a record could replace itself", push.id),
            )
            .hint("name the key columns of the push"));
        }
        Ok(Box::new(sink::PostgresSink::new(&self.settings, push.clone())))
    }

    async fn loader(&self, cx: &Cx, request: LoadRequest) -> Result<Box<dyn Loader>> {
        let push = self.push(&request.push)?.clone();
        Ok(Box::new(loader::start(&self.settings, cx, push, request).await?))
    }
}

impl PostgresEndpoint {
    fn push(&self, id: &StreamId) -> Result<&config::Push> {
        self.settings.pushes.iter().find(|push| push.id == *id).ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "E-STREAM", format!("push `{id}` is not configured"))
        })
    }
}
