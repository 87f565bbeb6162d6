//! Files in a folder: CSV, Excel, JSON, XML, Parquet and Arrow, read with or without control
//! files, and written.
//!
//! A file counts as read by its name, size and digest, never by its time. What a file claims
//! about itself is not believed: sizes are counted, places checked, archives unpacked within
//! limits. This crate must never import another connector, DataFusion or anything of the hub's
//! `src/`.

mod arrival;
mod config;
mod content;
mod control;
mod delivery;
mod digest;
mod discover;
mod encoding;
mod fault;
mod ledger;
mod limit;
mod pattern;
mod place;
mod read;
mod receipt;
mod schema;
mod source;
mod write;

use std::sync::Arc;

use async_trait::async_trait;
use huiliu_sdk::{
    Bounds, Capabilities, ConfigErrors, Connector, Cx, Endpoint, Error, ErrorKind, LoadRequest,
    Loader, Probe, RawConfig, ReadRequest, Result, Sink, Source, Spec, StreamId, StreamSpec,
    WriteRequest,
};

pub use config::{
    Addressing, Algorithm, ControlOptions, Encoding, Format, Formulas, Layout, PushOptions,
    ReceiptOptions, S3Options, SftpOptions, StreamOptions, SystemOptions, Twins,
};

/// The kind `files`.
#[derive(Debug, Clone, Copy, Default)]
pub struct FilesConnector;

impl Connector for FilesConnector {
    fn spec(&self) -> Spec {
        Spec {
            kind: "files",
            title: "Files in a folder: CSV, Excel, JSON, XML, Parquet, Arrow",
            capabilities: Capabilities {
                source: true,
                incremental: true,
                discover: true,
                sink: true,
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
            bytes: Some(
                "only Parquet and Arrow keep bytes; the other formats are written with their \
                 hexadecimal digits, which are read as text",
            ),
            notes: &[
                "a file counts as read by its name, size and digest; one that has changed is read \
                 again as a whole",
                "CSV, Excel and XML cannot tell the empty text from no value; for CSV `null` can be a \
                 text that says so",
                "a sheet of an `xlsx` file has 16,384 columns and 1,048,576 rows at most, one of an \
                 `xls` file 256 and 65,536, and a text in either 32,767 characters",
            ],
            ..Bounds::default()
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
        let (settings, cx) = (Arc::clone(&self.settings), cx.clone());
        blocking(move || discover::probe(&settings, &cx)).await
    }

    async fn discover(&self, cx: &Cx) -> Result<Vec<StreamSpec>> {
        let (settings, cx) = (Arc::clone(&self.settings), cx.clone());
        blocking(move || discover::streams(&settings, &cx)).await
    }

    async fn source(&self, cx: &Cx, request: ReadRequest) -> Result<Box<dyn Source>> {
        cx.check()?;
        Ok(Box::new(source::start(&self.settings, cx, request)?))
    }

    async fn sink(&self, cx: &Cx, request: WriteRequest) -> Result<Box<dyn Sink>> {
        cx.check()?;
        let push = self.push(&request.push)?;
        Ok(Box::new(write::FileSink::new(&self.settings, push)))
    }

    async fn loader(&self, cx: &Cx, request: LoadRequest) -> Result<Box<dyn Loader>> {
        cx.check()?;
        let push = self.push(&request.push)?;
        let (settings, cx) = (Arc::clone(&self.settings), cx.clone());
        let loader = blocking(move || write::FileLoader::start(&settings, &cx, push, &request));
        Ok(Box::new(loader.await?))
    }
}

impl FilesEndpoint {
    fn push(&self, id: &StreamId) -> Result<config::Push> {
        self.settings.pushes.iter().find(|push| push.id == *id).cloned().ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "E-STREAM", format!("push `{id}` is not configured"))
        })
    }
}

pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|cause| Error::internal("work on the folder broke off").cause(cause))?
}
