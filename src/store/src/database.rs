//! The hub's database, its connections and its transactions.

use std::path::Path;

use chrono::{DateTime, Utc};
use huiliu_sdk::{Error, Result};
use sqlx::{Pool, Postgres, SqlSafeStr, Sqlite, Transaction};

use crate::address::{PostgresAddress, StoreAddress};
use crate::sql::{Inner, Row, Value, for_postgres, for_sqlite};
use crate::{connect, schema};

pub(crate) use crate::fault::database_error;

/// The hub's database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) pools: Pools,
}

/// The connections. Of writers there is one, so that those of this process queue for it instead
/// of meeting a locked database or taking the readers' connections.
#[derive(Clone, Debug)]
pub(crate) enum Pools {
    Sqlite { writer: Pool<Sqlite>, reader: Pool<Sqlite> },
    Postgres { writer: Pool<Postgres>, reader: Pool<Postgres> },
}

/// Which database it is, for the few statements that differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

/// A write transaction. Writers follow one another: it waits for the one before when it begins,
/// so that what it checks stays true until it ends. Dropping it without [`Tx::commit`] undoes
/// everything.
pub struct Tx {
    inner: Transactions,
}

enum Transactions {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

/// Either a store or a transaction, for code that reads through both.
pub enum Reader<'a> {
    /// What is committed.
    Store(&'a Store),
    /// What the transaction sees.
    Tx(&'a mut Tx),
}

impl Store {
    /// Opens the SQLite database at `path`, making it and its tables when they are not there.
    /// The lake's files are expected under `data_path`.
    pub async fn open(path: &Path, data_path: &Path) -> Result<Self> {
        Self::prepared(connect::sqlite(path).await?, data_path).await
    }

    /// Opens the tables in a schema of a Postgres database, making both when they are not there.
    pub async fn open_postgres(address: &PostgresAddress, data_path: &Path) -> Result<Self> {
        Self::prepared(connect::postgres(address).await?, data_path).await
    }

    /// Opens the database at `address`; a file of SQLite is expected at `path`.
    pub async fn open_at(address: &StoreAddress, path: &Path, data_path: &Path) -> Result<Self> {
        match address {
            StoreAddress::Sqlite => Self::open(path, data_path).await,
            StoreAddress::Postgres(address) => Self::open_postgres(address, data_path).await,
        }
    }

    async fn prepared(pools: Pools, data_path: &Path) -> Result<Self> {
        let store = Self { pools };
        schema::prepare(&store, data_path).await?;
        Ok(store)
    }

    /// Starts a write transaction.
    pub async fn begin(&self) -> Result<Tx> {
        let failed = |e| database_error("begin a transaction", e);
        let inner = match &self.pools {
            Pools::Sqlite { writer, .. } => {
                Transactions::Sqlite(writer.begin_with("begin immediate").await.map_err(failed)?)
            }
            Pools::Postgres { writer, .. } => {
                // Each statement must see what was committed while this one waited.
                let mut tx = writer
                    .begin_with("begin isolation level read committed")
                    .await
                    .map_err(failed)?;
                sqlx::query("select pg_advisory_xact_lock(hashtextextended(current_schema(), 1))")
                    .execute(&mut *tx)
                    .await
                    .map_err(failed)?;
                Transactions::Postgres(tx)
            }
        };
        Ok(Tx { inner })
    }

    /// All rows of a query. `action` says what could not be done when it fails.
    pub async fn all(
        &self,
        action: &str,
        sql: impl SqlSafeStr,
        args: Vec<Value>,
    ) -> Result<Vec<Row>> {
        match &self.pools {
            Pools::Sqlite { reader, .. } => for_sqlite(sql, args)
                .fetch_all(reader)
                .await
                .map(|rows| rows.into_iter().map(|row| Row(Inner::Sqlite(row))).collect()),
            Pools::Postgres { reader, .. } => for_postgres(sql, args)
                .fetch_all(reader)
                .await
                .map(|rows| rows.into_iter().map(|row| Row(Inner::Postgres(row))).collect()),
        }
        .map_err(|e| database_error(action, e))
    }

    /// The first row of a query.
    pub async fn one(
        &self,
        action: &str,
        sql: impl SqlSafeStr,
        args: Vec<Value>,
    ) -> Result<Option<Row>> {
        match &self.pools {
            Pools::Sqlite { reader, .. } => for_sqlite(sql, args)
                .fetch_optional(reader)
                .await
                .map(|row| row.map(|row| Row(Inner::Sqlite(row)))),
            Pools::Postgres { reader, .. } => for_postgres(sql, args)
                .fetch_optional(reader)
                .await
                .map(|row| row.map(|row| Row(Inner::Postgres(row)))),
        }
        .map_err(|e| database_error(action, e))
    }

    /// Executes one statement in a transaction of its own and says how many rows it touched.
    pub async fn run(&self, action: &str, sql: impl SqlSafeStr, args: Vec<Value>) -> Result<u64> {
        let mut tx = self.begin().await?;
        let rows = tx.run(action, sql, args).await?;
        tx.commit().await?;
        Ok(rows)
    }

    /// Closes all connections; SQLite folds its write-ahead log into the file.
    pub async fn close(&self) {
        match &self.pools {
            Pools::Sqlite { writer, reader } => {
                reader.close().await;
                writer.close().await;
            }
            Pools::Postgres { writer, reader } => {
                reader.close().await;
                writer.close().await;
            }
        }
    }

    pub(crate) fn dialect(&self) -> Dialect {
        match self.pools {
            Pools::Sqlite { .. } => Dialect::Sqlite,
            Pools::Postgres { .. } => Dialect::Postgres,
        }
    }
}

impl Tx {
    pub(crate) fn dialect(&self) -> Dialect {
        match self.inner {
            Transactions::Sqlite(_) => Dialect::Sqlite,
            Transactions::Postgres(_) => Dialect::Postgres,
        }
    }

    /// All rows of a query. `action` says what could not be done when it fails.
    pub async fn all(
        &mut self,
        action: &str,
        sql: impl SqlSafeStr,
        args: Vec<Value>,
    ) -> Result<Vec<Row>> {
        match &mut self.inner {
            Transactions::Sqlite(tx) => for_sqlite(sql, args)
                .fetch_all(&mut **tx)
                .await
                .map(|rows| rows.into_iter().map(|row| Row(Inner::Sqlite(row))).collect()),
            Transactions::Postgres(tx) => for_postgres(sql, args)
                .fetch_all(&mut **tx)
                .await
                .map(|rows| rows.into_iter().map(|row| Row(Inner::Postgres(row))).collect()),
        }
        .map_err(|e| database_error(action, e))
    }

    /// The first row of a query, or of what a statement returns.
    pub async fn one(
        &mut self,
        action: &str,
        sql: impl SqlSafeStr,
        args: Vec<Value>,
    ) -> Result<Option<Row>> {
        match &mut self.inner {
            Transactions::Sqlite(tx) => for_sqlite(sql, args)
                .fetch_optional(&mut **tx)
                .await
                .map(|row| row.map(|row| Row(Inner::Sqlite(row)))),
            Transactions::Postgres(tx) => for_postgres(sql, args)
                .fetch_optional(&mut **tx)
                .await
                .map(|row| row.map(|row| Row(Inner::Postgres(row)))),
        }
        .map_err(|e| database_error(action, e))
    }

    /// Executes a statement and says how many rows it touched.
    pub async fn run(
        &mut self,
        action: &str,
        sql: impl SqlSafeStr,
        args: Vec<Value>,
    ) -> Result<u64> {
        match &mut self.inner {
            Transactions::Sqlite(tx) => {
                for_sqlite(sql, args).execute(&mut **tx).await.map(|done| done.rows_affected())
            }
            Transactions::Postgres(tx) => {
                for_postgres(sql, args).execute(&mut **tx).await.map(|done| done.rows_affected())
            }
        }
        .map_err(|e| database_error(action, e))
    }

    /// The time on the database's clock. For SQLite that is the clock of this machine.
    pub async fn now(&mut self) -> Result<DateTime<Utc>> {
        let sql = match self.inner {
            Transactions::Sqlite(_) => "select cast(unixepoch('subsec') * 1000 as integer)",
            Transactions::Postgres(_) => {
                "select cast(extract(epoch from clock_timestamp()) * 1000 as bigint)"
            }
        };
        let row = self.one("read its clock", sql, Vec::new()).await?;
        let millis = row.map(|row| row.get::<i64>(0)).transpose()?;
        millis
            .and_then(DateTime::from_timestamp_millis)
            .ok_or_else(|| Error::internal("the hub's database has no time"))
    }

    /// Makes everything done in this transaction durable, at once.
    pub async fn commit(self) -> Result<()> {
        match self.inner {
            Transactions::Sqlite(tx) => tx.commit().await,
            Transactions::Postgres(tx) => tx.commit().await,
        }
        .map_err(|e| database_error("commit", e))
    }
}

impl<'a> From<&'a Store> for Reader<'a> {
    fn from(store: &'a Store) -> Self {
        Self::Store(store)
    }
}

impl<'a> From<&'a mut Tx> for Reader<'a> {
    fn from(tx: &'a mut Tx) -> Self {
        Self::Tx(tx)
    }
}

impl Reader<'_> {
    /// All rows of a query.
    pub async fn all(
        &mut self,
        action: &str,
        sql: impl SqlSafeStr,
        args: Vec<Value>,
    ) -> Result<Vec<Row>> {
        match self {
            Self::Store(store) => store.all(action, sql, args).await,
            Self::Tx(tx) => tx.all(action, sql, args).await,
        }
    }

    /// The first row of a query.
    pub async fn one(
        &mut self,
        action: &str,
        sql: impl SqlSafeStr,
        args: Vec<Value>,
    ) -> Result<Option<Row>> {
        match self {
            Self::Store(store) => store.one(action, sql, args).await,
            Self::Tx(tx) => tx.one(action, sql, args).await,
        }
    }
}
