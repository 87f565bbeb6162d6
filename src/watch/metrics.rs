//! `/metrics`: the hub's figures for Prometheus, on a listener of their own.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use huiliu_runner::Hub;
use huiliu_sdk::{Error, ErrorKind, Result};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// What Prometheus expects the text to be called.
const FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A listener that is open.
pub(crate) struct Listener {
    listener: TcpListener,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

/// Opens the listener at `address`; nothing for `off`.
pub(crate) async fn open(address: &str) -> Result<Option<Listener>> {
    if address == "off" {
        return Ok(None);
    }
    let failed = |e: std::io::Error| {
        let message = format!("the figures cannot be shown at {address}");
        Error::new(ErrorKind::Permission, "E-ADDRESS", message)
            .hint("name a free address in [serve] metrics or with --metrics, or write off")
            .cause(e)
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok(Some(Listener { listener, address }))
}

/// Shows the figures until `cancel`.
pub(crate) async fn show(listener: Option<Listener>, hub: &Arc<Hub>, cancel: CancellationToken) {
    let Some(Listener { listener, .. }) = listener else { return };
    let router = Router::new().route("/metrics", get(figures)).with_state(Arc::clone(hub));
    tokio::select! {
        // Whoever is asking just then asks again; the end of the hub does not wait for him.
        () = cancel.cancelled() => {}
        served = axum::serve(listener, router).into_future() => {
            if let Err(error) = served {
                tracing::warn!(%error, "the figures are no longer shown");
            }
        }
    }
}

async fn figures(State(hub): State<Arc<Hub>>) -> Response {
    match hub.metrics().await {
        Ok(text) => ([(header::CONTENT_TYPE, FORMAT)], text).into_response(),
        Err(error) => {
            tracing::warn!(%error, code = error.code(), "the figures could not be gathered");
            (StatusCode::SERVICE_UNAVAILABLE, error.code().to_owned()).into_response()
        }
    }
}
