//! The listener: binds, accepts, limits, stops.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use huiliu_sdk::{Error, ErrorKind, Result};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::connection;
use super::login::Gatekeeper;
use crate::sql::Gate;
use crate::tls::Tls;

/// Connections that may be logged in at once.
pub(crate) const MAX_CONNECTIONS: usize = 16;
/// Sockets beyond those: people who are logging in, and requests to cancel a statement.
const MAX_WAITING: usize = 16;
/// Pause after an accept that failed, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where the door listens, and how.
#[derive(Clone)]
pub struct PgOptions {
    /// The address. Only a loopback one without TLS.
    pub address: SocketAddr,
    /// TLS. With it, connections without are taken on loopback only.
    pub tls: Option<Tls>,
}

/// The door as it listens.
#[derive(Debug, Clone, Copy)]
pub struct PgServer {
    /// The bound address; its port is known even when port 0 was asked for.
    pub address: SocketAddr,
}

/// What all connections share.
pub(crate) struct Door {
    pub(crate) gate: Gate,
    pub(crate) gatekeeper: Gatekeeper,
    pub(crate) tls: Option<Tls>,
    /// Whether connections without TLS are refused.
    pub(crate) needs_tls: bool,
}

/// Binds the door. The future serves it until `cancel`, or until it is dropped; with
/// it all connections end.
pub async fn start(
    gate: Gate,
    options: PgOptions,
    cancel: CancellationToken,
) -> Result<(PgServer, impl Future<Output = ()> + Send + 'static)> {
    let PgOptions { address, tls } = options;
    let needs_tls = !address.ip().is_loopback();
    if needs_tls && tls.is_none() {
        return Err(Error::new(
            ErrorKind::Config,
            "E-PG-ADDRESS",
            format!("the Postgres door cannot listen on {address}: it speaks without TLS"),
        )
        .hint(
            "listen on 127.0.0.1 and put a tunnel in front of it, or give it a certificate: `tls` \
             under [serve] in config/hub.toml",
        ));
    }
    let gatekeeper = Gatekeeper::new(gate.accounts().clone());
    let door = Arc::new(Door { gate, gatekeeper, tls, needs_tls });
    let listener = TcpListener::bind(address).await.map_err(|e| bind_error(address, e))?;
    let address = listener.local_addr().map_err(|e| bind_error(address, e))?;
    Ok((PgServer { address }, accept(listener, door, cancel)))
}

async fn accept(listener: TcpListener, door: Arc<Door>, cancel: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = cancel.cancelled() => break,
            Some(ended) = connections.join_next(), if !connections.is_empty() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a connection of the Postgres door broke");
                }
            }
            accepted = listener.accept() => match accepted {
                Ok((socket, peer)) if connections.len() < MAX_CONNECTIONS + MAX_WAITING => {
                    let served = connection::serve(socket, peer, Arc::clone(&door));
                    connections.spawn_on(served, door.gate.connections());
                }
                Ok(_) => tracing::warn!("the Postgres door is full, a connection was dropped"),
                Err(error) => {
                    tracing::warn!(%error, "the Postgres door could not accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    connections.shutdown().await;
}

fn bind_error(address: SocketAddr, error: std::io::Error) -> Error {
    Error::new(
        ErrorKind::Config,
        "E-PG-ADDRESS",
        format!("the Postgres door could not listen on {address}"),
    )
    .hint("another process may hold the port; choose another one")
    .cause(error)
}
