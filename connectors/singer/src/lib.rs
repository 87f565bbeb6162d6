//! Runs Singer taps as sources and Singer targets as sinks, without code for any of them.
//!
//! A tap or target is a child process in a group of its own: no shell reads its arguments, nothing
//! of our environment reaches it, its configuration is a private file for as long as it runs, and
//! what it says on its standard error is told only after secrets and personal data were taken out.
//! This crate must never import another connector, DataFusion or anything of the hub's `src/`.

mod catalog;
mod config;
mod discover;
mod encode;
mod fault;
mod folder;
mod line;
mod loader;
mod message;
mod number;
mod process;
mod reading;
mod record;
mod redact;
mod schema;
mod sink;
mod source;
mod state;
mod target;
mod words;

use std::sync::Arc;

use async_trait::async_trait;
use huiliu_sdk::{
    Bounds, Capabilities, ConfigErrors, Connector, Cx, Endpoint, Error, ErrorKind, LoadRequest,
    Loader, Probe, RawConfig, ReadRequest, Result, Sink, Source, Spec, StreamId, StreamSpec,
    WriteRequest,
};

pub use config::{CatalogUse, PushOptions, Replication, StreamOptions, SystemOptions};

/// The kind `singer`.
#[derive(Debug, Clone, Copy, Default)]
pub struct SingerConnector;

impl Connector for SingerConnector {
    fn spec(&self) -> Spec {
        Spec {
            kind: "singer",
            title: "Singer tap or target",
            capabilities: Capabilities {
                source: true,
                incremental: true,
                discover: true,
                sink: true,
                loader: true,
                shared: true,
                ..Capabilities::default()
            },
            system_schema: schemars::schema_for!(SystemOptions).to_value(),
            stream_schema: schemars::schema_for!(StreamOptions).to_value(),
            push_schema: schemars::schema_for!(PushOptions).to_value(),
        }
    }

    fn bounds(&self) -> Bounds {
        Bounds {
            // As most taps do; each one's manual says how it is.
            repeats_at_mark: true,
            bytes: Some(
                "Singer has no bytes: they are sent as their hexadecimal digits, and read as what the \
                 tap makes of them",
            ),
            notes: &[
                "a message is no longer than `line_mib`, or the read fails",
                "text that is no UTF-8 ends a read, since the message that holds it is none",
                "a target says of all records at once whether it has them, never of one",
            ],
            ..Bounds::default()
        }
    }

    fn configure(&self, raw: RawConfig) -> Result<Arc<dyn Endpoint>, ConfigErrors> {
        let settings = config::settings(&raw)?;
        Ok(Arc::new(SingerEndpoint { settings: Arc::new(settings) }))
    }
}

struct SingerEndpoint {
    settings: Arc<config::Settings>,
}

#[async_trait]
impl Endpoint for SingerEndpoint {
    async fn probe(&self, cx: &Cx) -> Result<Probe> {
        process::unless_cancelled(cx, discover::probe(&self.settings, cx)).await
    }

    async fn discover(&self, cx: &Cx) -> Result<Vec<StreamSpec>> {
        process::unless_cancelled(cx, discover::streams(&self.settings, cx)).await
    }

    async fn source(&self, cx: &Cx, request: ReadRequest) -> Result<Box<dyn Source>> {
        Ok(Box::new(source::start(&self.settings, cx, &request)?))
    }

    async fn sink(&self, cx: &Cx, request: WriteRequest) -> Result<Box<dyn Sink>> {
        cx.check()?;
        let push = self.push(&request.push)?;
        Ok(Box::new(sink::TargetSink::new(&self.settings, push)))
    }

    async fn loader(&self, cx: &Cx, request: LoadRequest) -> Result<Box<dyn Loader>> {
        cx.check()?;
        let push = self.push(&request.push)?;
        Ok(Box::new(loader::TargetLoader::new(&self.settings, cx, push, &request)?))
    }
}

impl SingerEndpoint {
    fn push(&self, id: &StreamId) -> Result<config::Push> {
        self.settings.pushes.iter().find(|push| push.id == *id).cloned().ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "E-STREAM", format!("push `{id}` is not configured"))
        })
    }
}
