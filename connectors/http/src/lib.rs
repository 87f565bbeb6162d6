//! REST and SOAP, declared in a system file: streams that are read page by page, and pushes that
//! get an answer for each record. No code is written for any one system.
//!
//! A request is configured as a `call`, fed with the parameters of a page (`feed`, `pages`)
//! or with records (`sink`), surrounded with credentials and signatures by the `session`, and
//! its answer, whatever its form, becomes JSON in `body` before anything looks at it.
//!
//! All requests go through `huiliu-httpkit`. This crate must never import another connector,
//! an HTTP library or anything of the hub's `src/`.

mod auth;
mod body;
mod call;
mod config;
mod cursor;
mod encode;
mod endpoint;
mod faults;
mod feed;
mod guess;
mod hosts;
mod link;
mod moment;
mod outcome;
mod page;
mod pages;
mod plan;
mod pointer;
mod push;
mod quantity;
mod reading;
mod receipt;
mod record;
mod session;
mod setup;
mod sign;
mod since;
mod sink;
mod source;
mod success;
mod template;

use std::sync::Arc;

use huiliu_sdk::{Bounds, Capabilities, ConfigErrors, Connector, Endpoint, RawConfig, Spec};

/// The connector of kind `http`.
#[derive(Debug, Default, Clone, Copy)]
pub struct HttpConnector;

impl Connector for HttpConnector {
    fn spec(&self) -> Spec {
        Spec {
            kind: "http",
            title: "REST and SOAP over HTTP: paged lists in, records with answers out",
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

    fn bounds(&self) -> Bounds {
        Bounds {
            repeats_at_mark: true,
            bytes: Some("JSON has no bytes, so a column of them is refused when it is pushed"),
            notes: &[
                "`discover` asks for the first records of the streams that the file has, and says \
                 what columns they give; nobody can ask a service what else it offers, so streams \
                 are written by hand, from the ones that `huiliu init system` writes as comments",
                "an answer, a page with all its rows, is no larger than `max_response`",
                "a record sent twice has one effect where `idempotency_field` or \
                 `idempotency_header` is given; without them it is never sent again by itself",
            ],
            ..Bounds::default()
        }
    }

    fn configure(&self, raw: RawConfig) -> Result<Arc<dyn Endpoint>, ConfigErrors> {
        Ok(Arc::new(setup::endpoint(&raw)?))
    }
}
