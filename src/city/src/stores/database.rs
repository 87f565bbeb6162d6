//! Making SQLite files fast: columns from the published lists, many rows in one statement.

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use huiliu_sdk::{Error, ErrorKind, Result};
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteLockingMode,
    SqliteSynchronous,
};
use sqlx::{Arguments, AssertSqlSafe, ConnectOptions, Connection, Encode, Sqlite, Type};

const COLUMNS: &str = include_str!("../../facts/up_columns.csv");
/// Rows beyond this no longer make a statement faster.
const ROWS_PER_STATEMENT: usize = 400;
const VARIABLES_PER_STATEMENT: usize = 32_766;

/// An error of a database, with what was tried on it.
pub(crate) fn failed(what: &str) -> impl FnOnce(sqlx::Error) -> Error + '_ {
    move |error| {
        Error::new(ErrorKind::Internal, "E-CITY-STORE", format!("could not {what}")).cause(error)
    }
}

/// A new database that is fast to fill and not yet safe against a crash.
pub(crate) async fn create(path: &Path) -> Result<SqliteConnection> {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Off)
        .synchronous(SqliteSynchronous::Off)
        .locking_mode(SqliteLockingMode::Exclusive)
        .pragma("cache_size", "-65536")
        .connect()
        .await
        .map_err(failed("create a database"))
}

/// Options to open a finished database.
pub(crate) fn existing(path: &Path) -> Result<SqliteConnectOptions> {
    Ok(SqliteConnectOptions::from_str("sqlite::memory:")
        .map_err(failed("read database options"))?
        .in_memory(false)
        .shared_cache(false)
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(std::time::Duration::from_secs(30)))
}

/// Commits what was loaded and makes the database an ordinary one.
pub(crate) async fn close(mut connection: SqliteConnection) -> Result<()> {
    for pragma in ["pragma locking_mode = normal", "pragma journal_mode = wal"] {
        execute(&mut connection, pragma.to_owned()).await?;
    }
    connection.close().await.map_err(failed("close a database"))
}

/// Runs one statement of ours.
pub(crate) async fn execute(connection: &mut SqliteConnection, sql: String) -> Result<()> {
    sqlx::query(AssertSqlSafe(sql))
        .execute(connection)
        .await
        .map_err(failed("prepare a database"))?;
    Ok(())
}

/// Creates one of the national tables with its published columns.
pub(crate) async fn create_national(connection: &mut SqliteConnection, table: &str) -> Result<()> {
    create_own_national(connection, table, "", &[]).await
}

/// Creates a department's own copy of a national table: its name ends with `suffix`, and further
/// columns stand behind the published ones.
pub(crate) async fn create_own_national(
    connection: &mut SqliteConnection,
    table: &str,
    suffix: &str,
    further: &[&str],
) -> Result<()> {
    let mut columns = Vec::new();
    // `int(10)` and `varchar(50)` hold no comma, so plain splitting is enough.
    for line in COLUMNS.lines() {
        let Some(rest) = line.strip_prefix(table).and_then(|rest| rest.strip_prefix(',')) else {
            continue;
        };
        let mut fields = rest.split(',');
        let (Some(name), Some(kind), Some(required)) =
            (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let rule = match (name, required) {
            ("row_guid", _) => " not null primary key",
            (_, "1") => " not null",
            _ => "",
        };
        columns.push(format!("{name} {kind}{rule}"));
    }
    columns.extend(further.iter().map(|column| (*column).to_owned()));
    execute(connection, format!("create table {table}{suffix} ({})", columns.join(", "))).await
}

/// A table that is no national one: its name, and its columns with their types.
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) columns: &'static [&'static str],
}

impl Table {
    /// Creates it, ready to be filled.
    pub(crate) async fn fill<'c>(
        &self,
        connection: &'c mut SqliteConnection,
    ) -> Result<Loader<'c>> {
        let Self { name, columns } = self;
        execute(connection, format!("create table {name} ({})", columns.join(", "))).await?;
        let names: Vec<&str> =
            columns.iter().filter_map(|column| column.split(' ').next()).collect();
        Loader::new(connection, name, &names).await
    }
}

/// Creates the table of records that callers push, each under an id of theirs. Its rows are
/// numbered as they come, so that they can be worked on in that order; `is_done` says that they were.
pub(crate) async fn create_received(connection: &mut SqliteConnection) -> Result<()> {
    let columns = "request_id text primary key not null, push text not null, \
                   business_key text not null, body text not null, times_sent integer not null, \
                   result text not null, is_done integer not null default 0";
    execute(connection, format!("create table pushed ({columns})")).await
}

/// A count as SQLite holds it.
pub(crate) fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Puts rows into one table, cell by cell, in one transaction.
pub(crate) struct Loader<'c> {
    connection: &'c mut SqliteConnection,
    head: String,
    row: String,
    batch_sql: Arc<str>,
    batch_rows: usize,
    arguments: SqliteArguments,
    rows: usize,
    total: u64,
    failure: Option<sqlx::Error>,
}

impl<'c> Loader<'c> {
    /// For `table` and `columns`; `data_source='p34'` is a column with the same text everywhere.
    pub(crate) async fn new(
        connection: &'c mut SqliteConnection,
        table: &str,
        columns: &[&str],
    ) -> Result<Self> {
        execute(connection, "begin".to_owned()).await?;
        let mut names = Vec::new();
        let mut values = Vec::new();
        for column in columns {
            let (name, value) = column.split_once('=').unwrap_or((column, "?"));
            names.push(name);
            values.push(value);
        }
        let variables = values.iter().filter(|value| **value == "?").count().max(1);
        let batch_rows = (VARIABLES_PER_STATEMENT / variables).min(ROWS_PER_STATEMENT);
        let head = format!("insert into {table} ({}) values ", names.join(","));
        let row = format!("({})", values.join(","));
        let batch_sql = statement(&head, &row, batch_rows).into();
        let arguments = SqliteArguments::default();
        Ok(Self {
            connection,
            head,
            row,
            batch_sql,
            batch_rows,
            arguments,
            rows: 0,
            total: 0,
            failure: None,
        })
    }

    /// Adds a cell; `Arc<str>` is not copied here.
    pub(crate) fn cell<'v, T: Encode<'v, Sqlite> + Type<Sqlite>>(&mut self, value: T) {
        if let Err(error) = self.arguments.add(value) {
            self.failure.get_or_insert(sqlx::Error::Encode(error));
        }
    }

    /// Adds cells of text.
    pub(crate) fn cells<const N: usize>(&mut self, values: [&Arc<str>; N]) {
        for value in values {
            self.cell(Arc::clone(value));
        }
    }

    /// Ends a row.
    pub(crate) async fn end_row(&mut self) -> Result<()> {
        self.rows += 1;
        self.total += 1;
        if self.rows < self.batch_rows {
            return Ok(());
        }
        let sql = Arc::clone(&self.batch_sql);
        self.flush(sql).await
    }

    /// Commits and says how many rows there are.
    pub(crate) async fn finish(mut self) -> Result<u64> {
        if self.rows > 0 {
            let sql = statement(&self.head, &self.row, self.rows);
            self.flush(sql.into()).await?;
        }
        execute(self.connection, "commit".to_owned()).await?;
        Ok(self.total)
    }

    async fn flush(&mut self, sql: Arc<str>) -> Result<()> {
        self.rows = 0;
        let arguments = std::mem::take(&mut self.arguments);
        if let Some(error) = self.failure.take() {
            return Err(failed("prepare rows")(error));
        }
        sqlx::query_with(AssertSqlSafe(sql), arguments)
            .execute(&mut *self.connection)
            .await
            .map_err(failed("insert rows"))?;
        Ok(())
    }
}

fn statement(head: &str, row: &str, rows: usize) -> String {
    let mut sql = String::with_capacity(head.len() + (row.len() + 1) * rows);
    sql.push_str(head);
    for number in 0..rows {
        if number > 0 {
            sql.push(',');
        }
        sql.push_str(row);
    }
    sql
}
