//! Connecting, setting the session, quoting identifiers.

use std::net::SocketAddr;
use std::time::Duration;

use huiliu_sdk::{Cx, Error, ErrorKind, Result, check_addresses};
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use crate::config::Settings;
use crate::fault::fault;

const CONNECTING: &str = "connecting to the database";

/// How long a server may take to let us in.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a server may be silent in the middle of an answer.
pub(crate) const SILENCE: Duration = Duration::from_mins(15);

/// Zero dates can be read, nothing is cut or rounded into a column, and times are in UTC. The
/// hub may commit for minutes between two batches, in which the server must wait to send.
const SESSION: &str = "set session sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', \
     time_zone = '+00:00', net_write_timeout = 3600, net_read_timeout = 3600";

/// What a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Read,
    Write,
}

/// Opens a connection and sets its session.
pub(crate) async fn open(settings: &Settings, purpose: Purpose) -> Result<MySqlConnection> {
    let connect = settings.connect.clone().disable_statement_logging();
    let connecting = async {
        let mut db = dial(&connect).await?;
        prepare(&mut db, purpose).await.map_err(|cause| fault(CONNECTING, cause))?;
        Ok(db)
    };
    match tokio::time::timeout(CONNECT_TIMEOUT, Box::pin(connecting)).await {
        Ok(connected) => connected,
        Err(_) => Err(Error::new(
            ErrorKind::Unreachable,
            "E-MYSQL-LOST",
            "connecting to the database took too long",
        )
        .hint("check host and port in `url`, and the network to the server")),
    }
}

/// Connects, unless one of the host's addresses is refused. By TLS whoever answers proves to have the
/// host's name; without it nobody is connected to but the addresses that were checked.
async fn dial(options: &MySqlConnectOptions) -> Result<MySqlConnection> {
    let failed = |cause| fault(CONNECTING, cause);
    let host = options.get_host();
    let found = tokio::net::lookup_host((host, options.get_port())).await;
    let found: Vec<SocketAddr> = found.map_err(|cause| failed(cause.into()))?.collect();
    check_addresses(host, found.iter().map(SocketAddr::ip), true)
        .map_err(|refused| refused.of(CONNECTING))?;
    if !matches!(options.get_ssl_mode(), MySqlSslMode::Disabled) {
        return MySqlConnection::connect_with(options).await.map_err(failed);
    }
    let mut last = std::io::Error::from(std::io::ErrorKind::AddrNotAvailable).into();
    for address in found {
        let options = options.clone().host(&address.ip().to_string());
        match MySqlConnection::connect_with(&options).await {
            Err(cause @ sqlx::Error::Io(_)) => last = cause,
            connected => return connected.map_err(failed),
        }
    }
    Err(failed(last))
}

async fn prepare(db: &mut MySqlConnection, purpose: Purpose) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(SESSION).execute(&mut *db).await?;
    let isolation = "set session transaction isolation level repeatable read";
    sqlx::raw_sql(isolation).execute(&mut *db).await?;
    if purpose == Purpose::Read {
        sqlx::raw_sql("set session transaction read only").execute(&mut *db).await?;
    }
    Ok(())
}

/// Runs a statement that gives no rows.
pub(crate) async fn execute(db: &mut MySqlConnection, sql: &'static str) -> Result<()> {
    sqlx::raw_sql(sql).execute(db).await.map(|_| ()).map_err(|cause| fault(sql, cause))
}

/// A statement built of quoted names; whatever is a value is bound to it.
pub(crate) fn query(
    sql: String,
) -> sqlx::query::Query<'static, sqlx::MySql, sqlx::mysql::MySqlArguments> {
    // Statements with their own names or number of values are not worth keeping on the server.
    sqlx::query(AssertSqlSafe(sql)).persistent(false)
}

/// Waits for `step` unless the caller asks to stop.
pub(crate) async fn unless_cancelled<T>(
    cx: &Cx,
    step: impl Future<Output = Result<T>>,
) -> Result<T> {
    tokio::select! {
        biased;
        () = cx.cancel.cancelled() => Err(Error::cancelled()),
        done = step => done,
    }
}

/// Writes a name so that the server reads it as an identifier and as nothing else.
pub(crate) fn quote(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
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
        assert_eq!(quote("plain"), "`plain`");
        assert_eq!(quote("a`; drop table t; -- "), "`a``; drop table t; -- `");
        assert_eq!(column("办件🏛"), "t.`办件🏛`");
    }
}
