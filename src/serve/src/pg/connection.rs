//! One connection: reads messages, hands them on, and outlives whatever a statement does.

use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use datafusion_postgres::pgwire::api::ClientInfo;
use datafusion_postgres::pgwire::api::NoopHandler;
use datafusion_postgres::pgwire::error::{ErrorInfo, PgWireError};
use datafusion_postgres::pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};
use datafusion_postgres::pgwire::tokio::server::{
    MaybeTls, PgWireMessageServerCodec, negotiate_tls, process_error, process_message,
};
use futures::{FutureExt, SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_util::codec::Framed;

use super::failure::{fatal, state};
use super::limit::Running;
use super::login::Login;
use super::query::{Prepared, Statements};
use super::server::Door;

/// How long a login may take.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(15);
/// Bytes of an answer that are sent in one go.
const ANSWER_BYTES: usize = 64 << 10;
/// How much longer than its statement a message may take, for clients that do not read.
const GRACE: Duration = Duration::from_secs(5);

type Socket = Framed<MaybeTls, PgWireMessageServerCodec<Prepared>>;

/// Serves one connection until it ends.
pub(crate) async fn serve(socket: TcpStream, peer: SocketAddr, door: Arc<Door>) {
    if let Err(error) = talk(socket, peer, &door).await {
        tracing::debug!(%error, "a connection of the Postgres door ended");
    }
}

async fn talk(socket: TcpStream, peer: SocketAddr, door: &Arc<Door>) -> io::Result<()> {
    let login_end = tokio::time::Instant::now() + LOGIN_TIMEOUT;
    let negotiated = async {
        let acceptor = match &door.tls {
            Some(tls) => Some(tls.postgres().await),
            None => None,
        };
        negotiate_tls(socket, acceptor).await
    };
    let negotiated = tokio::time::timeout_at(login_end, negotiated).await??;
    let Some(mut socket) = negotiated else { return Ok(()) };
    socket.set_backpressure_boundary(ANSWER_BYTES);
    // What came before TLS was agreed on may be from somebody else (CVE-2021-23214).
    if socket.is_secure() && !socket.read_buffer().is_empty() {
        return Ok(());
    }
    let running = Arc::new(Running::default());
    let login = Arc::new(door.gatekeeper.login(peer.ip().to_string(), Arc::clone(&running)));
    let canceller = Arc::new(door.gatekeeper.canceller());
    let statements = Arc::new(Statements::new(Arc::clone(door), running, login.visitor()));
    loop {
        let message = if login.is_done() {
            tokio::select! {
                message = socket.next() => message,
                () = put_out(door, &login) => return end(&mut socket, gone().into()).await,
            }
        } else {
            tokio::time::timeout_at(login_end, socket.next()).await?
        };
        let message = match message {
            None | Some(Ok(PgWireFrontendMessage::Terminate(_))) => return Ok(()),
            Some(Ok(message)) => message,
            Some(Err(error)) => return end(&mut socket, error.into()).await,
        };
        let extended = message.is_extended_query();
        let is_cancel = matches!(message, PgWireFrontendMessage::CancelRequest(_));
        // Older clients ask without TLS that a statement be cancelled; that tells nothing.
        if door.needs_tls && !socket.is_secure() && !is_cancel {
            return end(&mut socket, plain().into()).await;
        }
        let handled = AssertUnwindSafe(process_message(
            message,
            &mut socket,
            Arc::clone(&login),
            Arc::clone(&statements),
            Arc::clone(&statements),
            Arc::new(NoopHandler),
            Arc::clone(&canceller),
        ))
        .catch_unwind();
        // A boxed future: the statement's whole plan and stream live in it.
        let longest = door.gate.limits().time + GRACE;
        let handled = Box::pin(tokio::time::timeout(longest, handled));
        let handled = tokio::select! {
            handled = handled => handled,
            () = put_out(door, &login) => return end(&mut socket, gone().into()).await,
        };
        let error: ErrorInfo = match handled {
            Ok(Ok(Ok(()))) if is_cancel => return Ok(()),
            Ok(Ok(Ok(()))) => continue,
            Ok(Ok(Err(error))) => error.into(),
            Ok(Err(_panic)) => {
                tracing::error!("a statement broke the engine; its connection was closed");
                broken().into()
            }
            Err(_elapsed) => return Ok(()),
        };
        // Before the login nothing may leave the connection open, whatever went wrong.
        if error.is_fatal() || !login.is_done() {
            return end(&mut socket, error).await;
        }
        process_error(&mut socket, PgWireError::UserError(Box::new(error)), extended).await?;
        tracing::trace!(status = ?socket.transaction_status(), "a statement failed");
    }
}

/// Ends when whoever logged in may not be here any more; never before a login.
async fn put_out(door: &Door, login: &Login) {
    match login.visitor().get() {
        Some(visitor) => door.gate.accounts().put_out(visitor).await,
        None => std::future::pending().await,
    }
}

async fn end(socket: &mut Socket, mut error: ErrorInfo) -> io::Result<()> {
    error.severity = "FATAL".to_owned();
    socket.send(PgWireBackendMessage::ErrorResponse(error.into())).await?;
    socket.close().await
}

fn gone() -> PgWireError {
    fatal(state::SHUTDOWN, "terminating connection: the account was changed", "log in again")
}

fn plain() -> PgWireError {
    fatal(state::NOT_SO, "this door is open over TLS only", "connect with sslmode=verify-full")
}

fn broken() -> PgWireError {
    fatal(state::INTERNAL, "the statement broke the engine", "connect again; report the statement")
}
