//! JSON over HTTP, declared in a system file: streams that are read page by page, and pushes
//! that get an answer for each record.
//!
//! All requests go through `huiliu-httpkit`. This crate must never import another connector,
//! an HTTP library or anything of the hub's `src/`.

mod auth;
mod config;
mod cursor;
mod encode;
mod endpoint;
mod faults;
mod guess;
mod outcome;
mod page;
mod pages;
mod plan;
mod pointer;
mod push;
mod quantity;
mod reading;
mod record;
mod session;
mod setup;
mod sink;
mod source;

use std::sync::Arc;

use huiliu_sdk::{Capabilities, ConfigErrors, Connector, Endpoint, RawConfig, Spec};

/// The connector of kind `http`.
#[derive(Debug, Default, Clone, Copy)]
pub struct HttpConnector;

impl Connector for HttpConnector {
    fn spec(&self) -> Spec {
        Spec {
            kind: "http",
            title: "JSON over HTTP: paged lists in, records with answers out",
            capabilities: Capabilities {
                source: true,
                incremental: true,
                discover: true,
                sink: true,
                idempotent_sink: true,
                ..Capabilities::default()
            },
            system_schema: config::schema::<config::SystemOptions>(),
            stream_schema: config::schema::<config::StreamOptions>(),
            push_schema: config::schema::<config::PushOptions>(),
        }
    }

    fn configure(&self, raw: RawConfig) -> Result<Arc<dyn Endpoint>, ConfigErrors> {
        Ok(Arc::new(setup::endpoint(&raw)?))
    }
}
