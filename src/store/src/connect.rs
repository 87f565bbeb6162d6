//! Connections to either database.

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use huiliu_sdk::{Error, ErrorKind, Result};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use crate::address::PostgresAddress;
use crate::database::{Pools, database_error};
use crate::fault::CORRUPT;
use crate::presence;

const READERS: u32 = 4;
const WAIT_FOR_WRITER: Duration = Duration::from_secs(60);
const WAIT_FOR_POSTGRES: Duration = Duration::from_secs(15);

pub(crate) async fn sqlite(path: &Path) -> Result<Pools> {
    let failed =
        |e| database_error("open", e).context(format!("the hub's database {}", path.display()));
    let options = SqliteConnectOptions::from_str("sqlite://")
        .map_err(failed)?
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(30));
    let writer = sqlite_writer(options.clone()).await.map_err(failed)?;
    let reader = SqlitePoolOptions::new()
        .max_connections(READERS)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(options.create_if_missing(false))
        .await
        .map_err(failed)?;
    check_pages(&reader).await?;
    Ok(Pools::Sqlite { writer, reader })
}

/// Connections to a file of SQLite for another reader of it. They are made when they are first asked
/// for, on the threads that ask.
pub fn sqlite_readers(file: &Path) -> SqlitePool {
    SqlitePoolOptions::new()
        .max_connections(READERS)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_lazy_with(SqliteConnectOptions::new().filename(file).read_only(true))
}

/// The same to a schema of Postgres. Its sockets belong to the threads that ask first, so no others
/// may.
pub fn postgres_readers(address: &PostgresAddress) -> Result<PgPool> {
    let options = PgConnectOptions::from_str(&address.url_with_schema())
        .map_err(|e| database_error("open", e))?;
    Ok(PgPoolOptions::new()
        .max_connections(READERS)
        .acquire_timeout(WAIT_FOR_POSTGRES)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_lazy_with(options))
}

/// The pool of the one writing connection. A transaction that SQLite itself took back, such as on a
/// full disk, leaves a connection whose driver thinks that it goes on and refuses every next one;
/// such a connection is made anew.
///
/// As in all our pools, connections neither age nor rest too long: the driver's task that looks for
/// such may begin to count from below zero, and then never ends
/// (<https://github.com/launchbadge/sqlx/issues/3645>).
pub(crate) async fn sqlite_writer(options: SqliteConnectOptions) -> sqlx::Result<SqlitePool> {
    SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(WAIT_FOR_WRITER)
        .idle_timeout(None)
        .max_lifetime(None)
        .before_acquire(|connection, _| {
            let is_clean = !connection.is_in_transaction();
            Box::pin(async move { Ok(is_clean) })
        })
        .connect_with(options)
        .await
}

/// Looks at every page, so that a damaged file is refused before something is built on it.
async fn check_pages(reader: &SqlitePool) -> Result<()> {
    let found: String = sqlx::query_scalar("pragma quick_check(1)")
        .fetch_one(reader)
        .await
        .map_err(|e| database_error("open", e))?;
    if found == "ok" {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Internal, "E-STORE-CORRUPT", "the hub's database is damaged")
        .hint(CORRUPT))
}

pub(crate) async fn postgres(address: &PostgresAddress) -> Result<Pools> {
    let failed = |e| database_error("open", e);
    let instance = presence::number();
    let options = PgConnectOptions::from_str(&address.url_with_schema())
        .map_err(failed)?
        .application_name("huiliu")
        .options([
            // A commit that was reported must survive the server's crash, whatever its default.
            ("synchronous_commit", "on"),
            ("lock_timeout", "60s"),
            // Nor must one that stopped in a transaction, whose connection stays: no transaction
            // of the hub waits for anything but the database.
            ("idle_in_transaction_session_timeout", "20s"),
            ("timezone", "UTC"),
            // A hub that vanishes in a transaction must not hold up the others for hours.
            ("tcp_keepalives_idle", "30"),
            ("tcp_keepalives_interval", "10"),
            ("tcp_keepalives_count", "3"),
        ])
        .options([(presence::SETTING, instance)]);
    make_schema(&options, address.schema()).await?;
    // The writer's connection is kept: it shows the others that this hub is there. The lock is
    // shared, so that a new connection need not wait until the server misses a lost one.
    let writer = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(WAIT_FOR_WRITER)
        .idle_timeout(None)
        .max_lifetime(None)
        .after_connect(move |connection, _| {
            Box::pin(async move {
                sqlx::query("select pg_advisory_lock_shared($1, $2)")
                    .bind(presence::LOCK_CLASS)
                    .bind(instance)
                    .execute(connection)
                    .await
                    .map(|_| ())
            })
        })
        .connect_with(options.clone())
        .await
        .map_err(failed)?;
    let reader = PgPoolOptions::new()
        .max_connections(READERS)
        .acquire_timeout(WAIT_FOR_POSTGRES)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(options)
        .await
        .map_err(failed)?;
    Ok(Pools::Postgres { writer, reader })
}

/// Makes the schema when it is not there. It connects by itself, because a pool tries a server
/// that does not answer until its time is over, and then no longer knows why.
async fn make_schema(options: &PgConnectOptions, schema: &str) -> Result<()> {
    let failed = |e| database_error("open", e);
    let connecting = tokio::time::timeout(WAIT_FOR_POSTGRES, options.connect());
    let mut connection = connecting
        .await
        .map_err(|_| failed(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())))?
        .map_err(failed)?;
    let found: bool = sqlx::query_scalar("select to_regnamespace($1) is not null")
        .bind(schema)
        .fetch_one(&mut connection)
        .await
        .map_err(failed)?;
    if !found {
        // The name is plain (see the address), so it can stand in the text.
        let create = format!("create schema if not exists {schema}");
        sqlx::query(AssertSqlSafe(create)).execute(&mut connection).await.map_err(failed)?;
    }
    connection.close().await.map_err(failed)
}
