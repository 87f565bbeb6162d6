//! Connections, what is set for them, and quoted names.

use std::net::SocketAddr;

use huiliu_sdk::{Cx, Error, ErrorKind, Result, check_addresses};
use sqlx::postgres::{PgConnectOptions, PgRow, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, Row};

use crate::config::{Settings, TableName};
use crate::fault::fault;

/// What every session is set to, so that text means the same on every server.
const SESSION: &str = "select set_config('statement_timeout', $1, false), \
    set_config('TimeZone', $2, false), \
    set_config('DateStyle', 'ISO, YMD', false), \
    set_config('IntervalStyle', 'postgres', false), \
    set_config('bytea_output', 'hex', false), \
    set_config('extra_float_digits', '3', false), \
    set_config('client_encoding', 'UTF8', false), \
    set_config('idle_in_transaction_session_timeout', '0', false), \
    set_config('xmloption', 'content', false)";

const SERVER: &str = "select current_setting('server_version_num')::int4, \
    current_setting('server_version'), \
    current_setting('server_encoding') = 'SQL_ASCII'";

/// One connection and what is known of its server.
pub(crate) struct Session {
    pub(crate) db: PgConnection,
    /// Such as 150004.
    pub(crate) version: i32,
    pub(crate) version_text: String,
    /// Whether text may be anything, because the server does not check it.
    pub(crate) unchecked_text: bool,
}

/// Connects, as the settings say, and reads and writes wall times in `zone`.
pub(crate) async fn connect(settings: &Settings, cx: &Cx, zone: chrono_tz::Tz) -> Result<Session> {
    let options = settings.connect.clone().disable_statement_logging();
    let connecting = async {
        let mut db = dial(&options).await?;
        let failed = |cause| fault("preparing the connection", cause);
        sqlx::query(SESSION)
            .persistent(false)
            .bind(settings.statement_timeout.as_millis().to_string())
            .bind(zone.name())
            .execute(&mut db)
            .await
            .map_err(failed)?;
        let server =
            sqlx::query(SERVER).persistent(false).fetch_one(&mut db).await.map_err(failed)?;
        let unchecked_text = server.try_get(2).map_err(failed)?;
        if unchecked_text {
            // Asked for UTF-8, the server would end the whole read at the first text that is none.
            let sql = "select set_config('client_encoding', 'SQL_ASCII', false)";
            sqlx::query(sql).persistent(false).execute(&mut db).await.map_err(failed)?;
        }
        Ok(Session {
            version: server.try_get(0).map_err(failed)?,
            version_text: server.try_get(1).map_err(failed)?,
            unchecked_text,
            db,
        })
    };
    tokio::select! {
        biased;
        () = cx.cancel.cancelled() => Err(Error::cancelled()),
        connected = tokio::time::timeout(settings.connect_timeout, Box::pin(connecting)) => {
            connected.unwrap_or_else(|_| Err(Error::new(
                ErrorKind::Unreachable,
                "E-CONNECT",
                "connecting to the database took too long",
            )
            .hint("check the host and the port in `url`, or raise `connect_timeout`")))
        }
    }
}

/// Connects, unless one of the host's addresses is refused. By TLS whoever answers proves to have the
/// host's name; without it nobody is connected to but the addresses that were checked.
async fn dial(options: &PgConnectOptions) -> Result<PgConnection> {
    const DOING: &str = "connecting to the database";
    let failed = |cause| fault(DOING, cause);
    let host = options.get_host().trim_matches(['[', ']']);
    if options.get_socket().is_some() || host.starts_with('/') {
        return PgConnection::connect_with(options).await.map_err(failed);
    }
    let found = tokio::net::lookup_host((host, options.get_port())).await;
    let found: Vec<SocketAddr> = found.map_err(|cause| failed(cause.into()))?.collect();
    check_addresses(host, found.iter().map(SocketAddr::ip), true)
        .map_err(|refused| refused.of(DOING))?;
    if !matches!(options.get_ssl_mode(), PgSslMode::Disable) {
        return PgConnection::connect_with(options).await.map_err(failed);
    }
    let mut last = std::io::Error::from(std::io::ErrorKind::AddrNotAvailable).into();
    for address in found {
        let options = options.clone().host(&address.ip().to_string());
        match PgConnection::connect_with(&options).await {
            Err(cause @ sqlx::Error::Io(_)) => last = cause,
            connected => return connected.map_err(failed),
        }
    }
    Err(failed(last))
}

/// Ends `step` early when the caller asks to stop. The connection is of no more use then, and
/// dropping it ends the statement at the server.
pub(crate) async fn unless_cancelled<T>(cx: &Cx, step: impl Future<Output = T>) -> Result<T> {
    tokio::select! {
        biased;
        done = step => Ok(done),
        () = cx.cancel.cancelled() => Err(Error::cancelled()),
    }
}

/// Runs a statement made of quoted names and bound values.
pub(crate) async fn run(
    db: &mut PgConnection,
    cx: &Cx,
    what: &str,
    sql: &str,
    values: &[&str],
) -> Result<u64> {
    let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
    for value in values {
        query = query.bind(*value);
    }
    let done =
        unless_cancelled(cx, query.execute(db)).await?.map_err(|cause| fault(what, cause))?;
    Ok(done.rows_affected())
}

/// The rows of a statement made of quoted names and bound values.
pub(crate) async fn rows(
    db: &mut PgConnection,
    cx: &Cx,
    what: &str,
    sql: &str,
    values: &[Option<&str>],
) -> Result<Vec<PgRow>> {
    let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
    for value in values {
        query = query.bind(*value);
    }
    unless_cancelled(cx, query.fetch_all(db)).await?.map_err(|cause| fault(what, cause))
}

/// One value of a row.
pub(crate) fn get<'r, T>(row: &'r PgRow, index: usize) -> Result<T>
where
    T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    row.try_get(index).map_err(|cause| fault("reading an answer of the database", cause))
}

/// Writes a name so that PostgreSQL reads it as an identifier and as nothing else.
pub(crate) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A table in its schema, quoted.
pub(crate) fn quote_table(table: &TableName) -> String {
    format!("{}.{}", quote(&table.schema), quote(&table.name))
}

/// A column of the table that is read under the alias `t`.
pub(crate) fn column(name: &str) -> String {
    format!("t.{}", quote(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_stay_names() {
        assert_eq!(quote("plain"), "\"plain\"");
        assert_eq!(quote("a\"; drop table t; --"), "\"a\"\"; drop table t; --\"");
        assert_eq!(column("办件🏛"), "t.\"办件🏛\"");
    }
}
