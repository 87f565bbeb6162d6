//! The listener: binds, accepts, limits, stops.
//!
//! A client that sends its request slowly, or none, holds a connection for some seconds only, and
//! one address does not get all connections.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, Request};
use huiliu_sdk::{Error, ErrorKind, Result};
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::guard::Address;
use crate::tls::Tls;

/// Connections at once.
const MAX_CONNECTIONS: usize = 512;
/// Connections of one address at once.
const MAX_OF_ADDRESS: usize = 128;
/// How long a client may take to agree on TLS.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the head of a request may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The most bytes of the head of a request.
const MAX_HEAD: usize = 32 << 10;
/// The most headers of a request.
const MAX_HEADERS: usize = 64;
/// How long answers that are being given may take when the hub stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// How long to wait when no connection can be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where the console and the API listen.
#[derive(Clone)]
pub struct WebOptions {
    /// The address. Only a loopback one without `behind_proxy` and without TLS.
    pub address: SocketAddr,
    /// Whether a gateway with TLS stands before it, whose word about the client's address counts.
    pub behind_proxy: bool,
    /// TLS of its own.
    pub tls: Option<Tls>,
}

/// The web, open.
#[derive(Debug, Clone, Copy)]
pub struct WebServer {
    /// The bound address; its port is known even when port 0 was asked for.
    pub address: SocketAddr,
}

/// Binds the web; what it gives serves `router` until `cancel`.
pub async fn serve(
    router: Router,
    options: WebOptions,
    cancel: CancellationToken,
) -> Result<(WebServer, impl Future<Output = ()> + Send + 'static)> {
    let WebOptions { address, behind_proxy, tls } = options;
    if !address.ip().is_loopback() && !behind_proxy && tls.is_none() {
        let message = format!("the web cannot listen on {address}: it speaks without TLS");
        return Err(Error::new(ErrorKind::Config, "E-WEB-ADDRESS", message).hint(
            "listen on 127.0.0.1; or give it a certificate, or put a gateway with TLS before it, in \
             config/hub.toml under [serve]: `tls` and `public_url`, or `public_url` and \
             `behind_proxy = true`",
        ));
    }
    let failed = |error: std::io::Error| {
        let message = format!("the web could not listen on {address}");
        Error::new(ErrorKind::Config, "E-WEB-ADDRESS", message)
            .hint("another process may hold the port; choose another one")
            .cause(error)
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((WebServer { address }, accept(listener, router, Manner { behind_proxy, tls }, cancel)))
}

/// How many connections each address has.
type Counts = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// How connections come.
#[derive(Clone)]
struct Manner {
    behind_proxy: bool,
    tls: Option<Tls>,
}

async fn accept(listener: TcpListener, router: Router, manner: Manner, cancel: CancellationToken) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let counts = Counts::default();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = cancel.cancelled() => break,
            Some(ended) = connections.join_next(), if !connections.is_empty() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a connection of the web broke");
                }
            }
            accepted = listener.accept() => match accepted {
                Ok((socket, peer)) => {
                    // A gateway is one address for everybody behind it.
                    let limit = if manner.behind_proxy { MAX_CONNECTIONS } else { MAX_OF_ADDRESS };
                    let Some(counted) = Counted::take(&counts, peer.ip(), limit) else { continue };
                    let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
                    let (router, cancel) = (router.clone(), cancel.clone());
                    let manner = manner.clone();
                    connections.spawn(async move {
                        open(socket, peer, router, manner, cancel).await;
                        drop((counted, place));
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the web could not accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(STOP_TIMEOUT, ended).await.is_err() {
        connections.shutdown().await;
    }
}

/// Agrees on TLS, where it is spoken, and serves the connection.
async fn open(
    socket: TcpStream,
    peer: SocketAddr,
    router: Router,
    Manner { behind_proxy, tls }: Manner,
    cancel: CancellationToken,
) {
    let Some(tls) = tls else {
        return talk(socket, peer, router, behind_proxy, cancel).await;
    };
    let agreed = async { tls.web().await.accept(socket).await };
    let agreed = tokio::select! {
        agreed = tokio::time::timeout(HANDSHAKE_TIMEOUT, agreed) => agreed,
        () = cancel.cancelled() => return,
    };
    match agreed {
        Ok(Ok(socket)) => talk(socket, peer, router, behind_proxy, cancel).await,
        Ok(Err(error)) => tracing::debug!(%error, "a connection of the web agreed on no TLS"),
        Err(_elapsed) => tracing::debug!("a connection of the web was too slow to agree on TLS"),
    }
}

async fn talk(
    socket: impl AsyncRead + AsyncWrite + Unpin + Send,
    peer: SocketAddr,
    router: Router,
    behind_proxy: bool,
    cancel: CancellationToken,
) {
    let service = Marked { inner: TowerToHyperService::new(router), peer, behind_proxy };
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .keep_alive(true)
        .serve_connection(TokioIo::new(socket), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = cancel.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection of the web ended");
    }
}

/// The router, with each request marked by where it came from.
struct Marked {
    inner: TowerToHyperService<Router>,
    peer: SocketAddr,
    behind_proxy: bool,
}

impl Service<Request<Incoming>> for Marked {
    type Response = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Response;
    type Error = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Error;
    type Future = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Future;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let address = address(self.peer, request.headers(), self.behind_proxy);
        request.extensions_mut().insert(Address(address));
        self.inner.call(request)
    }
}

/// From where a request came. A gateway adds the address it saw at the end of its header; what
/// stands before that anybody can write.
fn address(peer: SocketAddr, headers: &HeaderMap, behind_proxy: bool) -> String {
    let forwarded = headers.get_all("x-forwarded-for").iter().next_back();
    let forwarded = forwarded.and_then(|value| value.to_str().ok());
    let last = forwarded.and_then(|text| text.rsplit(',').next()).map(str::trim);
    let seen = last.and_then(|text| text.parse::<IpAddr>().ok()).filter(|_| behind_proxy);
    seen.unwrap_or_else(|| peer.ip()).to_string()
}

/// One connection of an address, counted until it is dropped.
struct Counted {
    counts: Counts,
    address: IpAddr,
}

impl Counted {
    fn take(counts: &Counts, address: IpAddr, limit: usize) -> Option<Self> {
        let mut all = counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = all.entry(address).or_default();
        if *count >= limit {
            return None;
        }
        *count += 1;
        Some(Self { counts: Arc::clone(counts), address })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut all = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = all.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gateways_word_counts_only_behind_one() {
        let peer: SocketAddr = "127.0.0.1:5000".parse().unwrap();
        let mut headers = HeaderMap::new();
        assert_eq!(address(peer, &headers, true), "127.0.0.1");
        headers.insert("x-forwarded-for", "6.6.6.6, 10.1.2.3".parse().unwrap());
        assert_eq!(address(peer, &headers, true), "10.1.2.3");
        assert_eq!(address(peer, &headers, false), "127.0.0.1");
        headers.insert("x-forwarded-for", "6.6.6.6, <script>".parse().unwrap());
        assert_eq!(address(peer, &headers, true), "127.0.0.1");
    }

    #[test]
    fn one_address_does_not_get_all_connections() {
        let counts = Counts::default();
        let address: IpAddr = "10.0.0.1".parse().unwrap();
        let held: Vec<Counted> =
            (0..3).map(|_| Counted::take(&counts, address, 3).unwrap()).collect();
        assert!(Counted::take(&counts, address, 3).is_none());
        assert!(Counted::take(&counts, "10.0.0.2".parse().unwrap(), 3).is_some());
        drop(held);
        assert!(counts.lock().unwrap().is_empty());
    }
}
