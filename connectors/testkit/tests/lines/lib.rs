//! Files in a folder with one JSON object per line: read whole or from the last line on, and added to.

mod config;
mod sink;
mod source;

use std::sync::Arc;

use async_trait::async_trait;
use huiliu_sdk::{
    Bounds, Capabilities, ConfigErrors, Connector, Cx, Endpoint, Error, ErrorKind, Probe,
    RawConfig, ReadRequest, Result, Sink, Source, Spec, StreamSpec, WriteRequest,
};

use config::Settings;
pub use config::{PushOptions, StreamOptions, SystemOptions};

/// The kind `lines`.
#[derive(Debug, Clone, Copy, Default)]
pub struct LinesConnector;

impl Connector for LinesConnector {
    fn spec(&self) -> Spec {
        Spec {
            kind: "lines",
            title: "Files with one JSON object per line",
            capabilities: Capabilities {
                source: true,
                incremental: true,
                discover: true,
                sink: true,
                ..Capabilities::default()
            },
            system_schema: schemars::schema_for!(SystemOptions).to_value(),
            stream_schema: schemars::schema_for!(StreamOptions).to_value(),
            push_schema: schemars::schema_for!(PushOptions).to_value(),
        }
    }

    fn bounds(&self) -> Bounds {
        Bounds {
            bytes: Some("JSON has no bytes; they are written as text of their hexadecimal digits"),
            notes: &["a file is only added to; one with fewer lines than were read is refused"],
            ..Bounds::default()
        }
    }

    fn configure(&self, raw: RawConfig) -> Result<Arc<dyn Endpoint>, ConfigErrors> {
        let settings = config::settings(&raw)?;
        Ok(Arc::new(LinesEndpoint { settings: Arc::new(settings) }))
    }
}

struct LinesEndpoint {
    settings: Arc<Settings>,
}

impl LinesEndpoint {
    /// The names of the files in the folder.
    fn files(&self) -> Result<Vec<String>> {
        let folder = std::fs::read_dir(&self.settings.folder)
            .map_err(|cause| source::unreadable("the folder", cause))?;
        let names = folder.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<String> = names.filter(|name| name.ends_with(".ndjson")).collect();
        names.sort();
        Ok(names)
    }
}

#[async_trait]
impl Endpoint for LinesEndpoint {
    async fn probe(&self, cx: &Cx) -> Result<Probe> {
        cx.check()?;
        Ok(Probe { summary: format!("folder readable, {} files", self.files()?.len()) })
    }

    async fn discover(&self, cx: &Cx) -> Result<Vec<StreamSpec>> {
        cx.check()?;
        let describe = |file: String| StreamSpec {
            name: file.trim_end_matches(".ndjson").to_owned(),
            options: serde_json::json!({ "file": file }),
            columns: Vec::new(),
            key: Vec::new(),
            cursors: Vec::new(),
            changed: None,
            row_estimate: None,
        };
        Ok(self.files()?.into_iter().map(describe).collect())
    }

    async fn source(&self, cx: &Cx, request: ReadRequest) -> Result<Box<dyn Source>> {
        cx.check()?;
        Ok(Box::new(source::start(&self.settings, cx, request)?))
    }

    async fn sink(&self, cx: &Cx, request: WriteRequest) -> Result<Box<dyn Sink>> {
        cx.check()?;
        let push = self.settings.pushes.iter().find(|push| push.id == request.push);
        let push = push.ok_or_else(|| {
            let message = format!("push `{}` is not configured", request.push);
            Error::new(ErrorKind::NotFound, "E-STREAM", message)
        })?;
        Ok(Box::new(sink::LineSink::new(push.clone())))
    }
}
