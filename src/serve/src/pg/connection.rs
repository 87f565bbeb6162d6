//! One connection: reads messages, hands them on, and outlives whatever a statement does.

use std::io;
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
use super::query::{Prepared, Statements};
use super::server::Door;

/// How long a login may take.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(15);
/// How much longer than its statement a message may take, for clients that do not read.
const GRACE: Duration = Duration::from_secs(5);

type Socket = Framed<MaybeTls, PgWireMessageServerCodec<Prepared>>;

/// Serves one connection until it ends.
pub(crate) async fn serve(socket: TcpStream, door: Arc<Door>) {
    if let Err(error) = talk(socket, &door).await {
        tracing::debug!(%error, "a connection of the Postgres door ended");
    }
}

async fn talk(socket: TcpStream, door: &Arc<Door>) -> io::Result<()> {
    let login_end = tokio::time::Instant::now() + LOGIN_TIMEOUT;
    let negotiated = tokio::time::timeout_at(login_end, negotiate_tls(socket, None)).await??;
    let Some(mut socket) = negotiated else { return Ok(()) };
    let running = Arc::new(Running::default());
    let login = Arc::new(door.gatekeeper.login(Arc::clone(&running)));
    let canceller = Arc::new(door.gatekeeper.canceller());
    let statements = Arc::new(Statements::new(Arc::clone(door), running));
    loop {
        let message = if login.is_done() {
            socket.next().await
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
        let handled = Box::pin(tokio::time::timeout(door.statement_timeout + GRACE, handled));
        let error: ErrorInfo = match handled.await {
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

async fn end(socket: &mut Socket, mut error: ErrorInfo) -> io::Result<()> {
    error.severity = "FATAL".to_owned();
    socket.send(PgWireBackendMessage::ErrorResponse(error.into())).await?;
    socket.close().await
}

fn broken() -> PgWireError {
    fatal(state::INTERNAL, "the statement broke the engine", "connect again; report the statement")
}
