//! Connections, and the threads on which calls into drivers may block.

use std::time::Duration;

use huiliu_sdk::{Cx, Error, ErrorKind, Result};
use odbc_api::handles::StatementImpl;
use odbc_api::parameter::VarWCharBox;
use odbc_api::{Connection, ConnectionOptions, CursorImpl, Error as OdbcError, environment};

use crate::config::Settings;
use crate::fault::connecting;
use crate::statement::Sql;

/// Connects to the database.
pub(crate) fn connect(settings: &Settings) -> Result<Connection<'static>> {
    let environment = environment().map_err(|cause| {
        Error::new(ErrorKind::Config, "E-ODBC", "the ODBC driver manager cannot be used")
            .hint("install unixODBC 2.3 or newer")
            .cause(Plain(cause.to_string()))
    })?;
    let options = ConnectionOptions {
        login_timeout_sec: Some(u32::try_from(settings.connect_timeout.as_secs()).unwrap_or(10)),
        ..ConnectionOptions::default()
    };
    environment
        .connect_with_connection_string(&settings.connection, options)
        .map_err(|cause| connecting(&cause, &settings.connection))
}

/// What the driver manager says of itself; it has seen no connection string yet.
#[derive(Debug)]
struct Plain(String);

impl std::fmt::Display for Plain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Plain {}

/// Seconds as drivers count them.
pub(crate) fn seconds(timeout: Duration) -> Option<usize> {
    usize::try_from(timeout.as_secs()).ok()
}

/// Runs a statement; it gives a cursor if it asks for rows.
pub(crate) fn execute<'a>(
    db: &'a Connection<'static>,
    settings: &Settings,
    sql: &Sql,
) -> Result<Option<CursorImpl<StatementImpl<'a>>>, OdbcError> {
    let timeout = seconds(settings.statement_timeout);
    let wide = |text: &String| VarWCharBox::from_str_slice(text);
    let values: Vec<VarWCharBox> = sql.values.iter().map(wide).collect();
    if values.is_empty() {
        db.execute(&sql.text, (), timeout)
    } else {
        db.execute(&sql.text, values.as_slice(), timeout)
    }
}

/// Does `work` on a thread where it may block. A caller that asks to stop is not kept waiting: the
/// thread ends with the driver's next answer, for the context that `work` is given is cancelled
/// then, and also when the caller goes away.
pub(crate) async fn blocking<T: Send + 'static>(
    cx: &Cx,
    work: impl FnOnce(&Cx) -> Result<T> + Send + 'static,
) -> Result<T> {
    let inner = Cx { cancel: cx.cancel.child_token(), ..cx.clone() };
    let _end = inner.cancel.clone().drop_guard();
    let working = tokio::task::spawn_blocking(move || work(&inner));
    tokio::select! {
        biased;
        () = cx.cancel.cancelled() => Err(Error::cancelled()),
        done = working => done.unwrap_or_else(|cause| {
            Err(Error::new(ErrorKind::Internal, "E-PANIC", "the driver's thread broke off")
                .hint("please report it with the log of this run")
                .cause(cause))
        }),
    }
}
