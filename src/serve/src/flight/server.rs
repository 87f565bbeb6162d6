//! The listener: binds, accepts, limits, stops.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arrow_flight::flight_service_server::FlightServiceServer;
use huiliu_sdk::{Error, ErrorKind, Result};
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::guard::{Client, Guard};
use super::service::Flight;
use crate::sql::Gate;
use crate::tls::Tls;
use crate::web::Rates;

/// Connections at once; each may have several calls.
const MAX_CONNECTIONS: usize = 32;
/// Calls at once over one connection.
const MAX_CALLS: u32 = 16;
/// How long a connection may be open before a good token came over it.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(15);
/// The most bytes of the headers of a call.
const MAX_HEADERS: u32 = 16 << 10;
/// The most bytes of a message from a client: a statement, or its parameters.
const MAX_MESSAGE: usize = 2 << 20;
/// How much a client may send before it is read.
const WINDOW: u32 = 256 << 10;
/// How often a client is asked whether it is still there, and how long it may take to say so.
const PING: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(20));
/// Pause after an accept that failed, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often old tickets and prepared statements are looked for.
const TIDY: Duration = Duration::from_secs(10);

/// Where the door listens, and how.
#[derive(Clone)]
pub struct FlightOptions {
    /// The address. Only a loopback one without TLS.
    pub address: SocketAddr,
    /// TLS. With it, nothing else is spoken.
    pub tls: Option<Tls>,
}

/// The door as it listens.
#[derive(Debug, Clone, Copy)]
pub struct FlightServer {
    /// The bound address; its port is known even when port 0 was asked for.
    pub address: SocketAddr,
}

/// Binds the door at `address`. The future serves it until `cancel`, or until it is dropped; with
/// it all connections end.
pub async fn start(
    gate: Gate,
    options: FlightOptions,
    cancel: CancellationToken,
) -> Result<(FlightServer, impl Future<Output = ()> + Send + 'static)> {
    let FlightOptions { address, tls } = options;
    if !address.ip().is_loopback() && tls.is_none() {
        return Err(Error::new(
            ErrorKind::Config,
            "E-FLIGHT-ADDRESS",
            format!("the Flight door cannot listen on {address}: it speaks without TLS"),
        )
        .hint(
            "listen on 127.0.0.1 and put a tunnel in front of it, or give it a certificate: `tls` \
             under [serve] in config/hub.toml",
        ));
    }
    let listener = TcpListener::bind(address).await.map_err(|e| bind_error(address, e))?;
    let address = listener.local_addr().map_err(|e| bind_error(address, e))?;
    Ok((FlightServer { address }, accept(listener, gate, tls, cancel)))
}

async fn accept(listener: TcpListener, gate: Gate, tls: Option<Tls>, cancel: CancellationToken) {
    let handle = gate.connections().clone();
    let (accounts, rates) = (gate.accounts().clone(), Arc::new(Rates::default()));
    let flight = Arc::new(Flight::new(gate));
    let service =
        FlightServiceServer::from_arc(Arc::clone(&flight)).max_decoding_message_size(MAX_MESSAGE);
    let mut connections = JoinSet::new();
    let mut tidy = tokio::time::interval(TIDY);
    loop {
        tokio::select! {
            biased;
            () = cancel.cancelled() => break,
            Some(ended) = connections.join_next(), if !connections.is_empty() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a connection of the Flight door broke");
                }
            }
            _ = tidy.tick() => flight.forget_old(),
            accepted = listener.accept() => match accepted {
                Ok((socket, peer)) if connections.len() < MAX_CONNECTIONS => {
                    let guard = Guard {
                        flight: service.clone(),
                        accounts: accounts.clone(),
                        rates: Arc::clone(&rates),
                        client: Arc::new(Client::new(peer.ip().to_string())),
                    };
                    let opened = open(socket, tls.clone(), guard, handle.clone());
                    connections.spawn_on(opened, &handle);
                }
                Ok(_) => tracing::warn!("the Flight door is full, a connection was dropped"),
                Err(error) => {
                    tracing::warn!(%error, "the Flight door could not accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    connections.shutdown().await;
}

/// Agrees on TLS, where it is spoken, and serves the connection. Whoever does not log in in time is
/// shown out, however far they came.
async fn open(socket: TcpStream, tls: Option<Tls>, guard: Guard, handle: Handle) {
    // Small messages wait for none to be sent with.
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "a connection of the Flight door ended");
        return;
    }
    let client = Arc::clone(&guard.client);
    let served = async {
        let Some(tls) = tls else { return talk(socket, guard, handle).await };
        match tls.flight().await.accept(socket).await {
            Ok(socket) => talk(socket, guard, handle).await,
            Err(error) => {
                tracing::debug!(%error, "a connection of the Flight door agreed on no TLS");
            }
        }
    };
    tokio::select! {
        () = served => {}
        () = stranger(&client) => {}
    }
}

/// Serves one connection until it ends; with it all its calls end.
async fn talk(
    socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    guard: Guard,
    handle: Handle,
) {
    let calls = Calls { handle, ended: CancellationToken::new() };
    let _end = calls.ended.clone().drop_guard();
    let connection = http2::Builder::new(calls)
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_CALLS)
        .max_header_list_size(MAX_HEADERS)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .keep_alive_interval(PING.0)
        .keep_alive_timeout(PING.1)
        .serve_connection(TokioIo::new(socket), guard);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection of the Flight door ended");
    }
}

/// Ends when nobody logged in over a connection in time.
async fn stranger(client: &Client) {
    tokio::time::sleep(LOGIN_TIMEOUT).await;
    if client.is_known() {
        std::future::pending::<()>().await;
    }
}

/// Runs the calls of a connection, until it ends.
#[derive(Clone)]
struct Calls {
    handle: Handle,
    ended: CancellationToken,
}

impl<F> Executor<F> for Calls
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, call: F) {
        self.handle.spawn(self.ended.clone().run_until_cancelled_owned(call));
    }
}

fn bind_error(address: SocketAddr, error: std::io::Error) -> Error {
    Error::new(
        ErrorKind::Config,
        "E-FLIGHT-ADDRESS",
        format!("the Flight door could not listen on {address}"),
    )
    .hint("another process may hold the port; choose another one")
    .cause(error)
}
