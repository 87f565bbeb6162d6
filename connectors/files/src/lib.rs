//! Reads CSV files that are dropped into a folder, with or without control files.
//!
//! A file counts as read by its name, size and digest, never by its time. This crate must never
//! import another connector, DataFusion or anything of the hub's `src/`.

mod config;
mod control;
mod csv;
mod discover;
mod encoding;
mod folder;
mod ledger;
mod pattern;
mod schema;
mod source;

use std::sync::Arc;

use async_trait::async_trait;
use huiliu_sdk::{
    Capabilities, ConfigErrors, Connector, Cx, Endpoint, Error, Probe, RawConfig, ReadRequest,
    Result, Source, Spec, StreamSpec,
};

pub use config::{ControlOptions, Encoding, Format, StreamOptions, SystemOptions};

/// The kind `files`.
#[derive(Debug, Clone, Copy, Default)]
pub struct FilesConnector;

impl Connector for FilesConnector {
    fn spec(&self) -> Spec {
        Spec {
            kind: "files",
            title: "CSV files in a folder",
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

    fn configure(&self, raw: RawConfig) -> Result<Arc<dyn Endpoint>, ConfigErrors> {
        let settings = config::settings(&raw)?;
        Ok(Arc::new(FilesEndpoint { settings: Arc::new(settings) }))
    }
}

struct FilesEndpoint {
    settings: Arc<config::Settings>,
}

#[async_trait]
impl Endpoint for FilesEndpoint {
    async fn probe(&self, cx: &Cx) -> Result<Probe> {
        cx.check()?;
        let settings = Arc::clone(&self.settings);
        blocking(move || discover::probe(&settings)).await
    }

    async fn discover(&self, cx: &Cx) -> Result<Vec<StreamSpec>> {
        let (settings, cx) = (Arc::clone(&self.settings), cx.clone());
        blocking(move || discover::streams(&settings, &cx)).await
    }

    async fn source(&self, cx: &Cx, request: ReadRequest) -> Result<Box<dyn Source>> {
        cx.check()?;
        Ok(Box::new(source::start(&self.settings, cx, request)?))
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|cause| Error::internal("looking at the folder broke off").cause(cause))?
}
