//! Opening the database and starting write transactions.

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use huiliu_sdk::{Error, ErrorKind, Result};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};

use crate::schema;

/// The hub's database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    // One connection, so that writers queue here instead of meeting `database is locked`.
    pub(crate) writer: SqlitePool,
    pub(crate) reader: SqlitePool,
}

/// A write transaction. It takes the database's write lock when it begins; dropping it without
/// [`Tx::commit`] undoes everything.
pub struct Tx {
    inner: sqlx::Transaction<'static, sqlx::Sqlite>,
}

impl Store {
    /// Opens the database at `path`, making it and its tables when they are not there. The
    /// lake's files are expected under `data_path`.
    pub async fn open(path: &Path, data_path: &Path) -> Result<Self> {
        let options = SqliteConnectOptions::from_str("sqlite://")
            .map_err(|e| database_error("open", e))?
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(30));
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(Duration::from_secs(60))
            .connect_with(options.clone())
            .await
            .map_err(|e| {
                database_error("open", e).context(format!("the hub's database {}", path.display()))
            })?;
        let reader = SqlitePoolOptions::new()
            .max_connections(4)
            .connect_with(options.create_if_missing(false))
            .await
            .map_err(|e| database_error("open", e))?;
        let store = Self { writer, reader };
        schema::prepare(&store, data_path).await?;
        Ok(store)
    }

    /// Starts a write transaction.
    pub async fn begin(&self) -> Result<Tx> {
        let inner = self
            .writer
            .begin_with("BEGIN IMMEDIATE")
            .await
            .map_err(|e| database_error("begin a transaction", e))?;
        Ok(Tx { inner })
    }

    /// Connections for reading.
    pub fn reader(&self) -> &SqlitePool {
        &self.reader
    }

    /// Closes all connections; the write-ahead log is folded into the file.
    pub async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }
}

impl Tx {
    /// The connection that the transaction runs on.
    pub fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.inner
    }

    /// Makes everything done in this transaction durable, at once.
    pub async fn commit(self) -> Result<()> {
        self.inner.commit().await.map_err(|e| database_error("commit", e))
    }
}

/// Turns a database error into the hub's, without repeating values it may quote.
pub fn database_error(action: &str, error: sqlx::Error) -> Error {
    let (kind, code, hint) = match &error {
        sqlx::Error::Database(inner) => match inner.code().as_deref() {
            Some("13") => (
                ErrorKind::Unreachable,
                "E-DISK-FULL",
                "free some space: the step is tried again a few times, and the next run goes on from what \
                 was committed",
            ),
            Some("11" | "26") => (
                ErrorKind::Internal,
                "E-STORE-CORRUPT",
                "restore the database from a backup; the lake's files are not affected",
            ),
            Some("14") => (
                ErrorKind::Permission,
                "E-STORE-OPEN",
                "check that the data folder exists and may be written",
            ),
            Some("5" | "261" | "517") => {
                (ErrorKind::Conflict, "E-STORE-BUSY", "another process is writing; try again")
            }
            _ => (ErrorKind::Internal, "E-STORE", "this is a fault of the hub; please report it"),
        },
        sqlx::Error::Io(_) => {
            (ErrorKind::Unreachable, "E-STORE-IO", "check the disk that holds the data folder")
        }
        sqlx::Error::PoolTimedOut => {
            (ErrorKind::Timeout, "E-STORE-BUSY", "another task holds the database; try again")
        }
        _ => (ErrorKind::Internal, "E-STORE", "this is a fault of the hub; please report it"),
    };
    Error::new(kind, code, format!("the hub's database could not {action}")).hint(hint).cause(error)
}
