//! One way to ask the database: a text with `?` for each argument, which is bound; rows whose
//! columns are read by their place.

use chrono::{DateTime, Utc};
use huiliu_sdk::{Error, Result};
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Row as _, Sqlite};

use crate::database::{Store, Tx, database_error};

pub use sqlx::{AssertSqlSafe, SqlSafeStr};

/// An argument of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A whole number.
    Int(Option<i64>),
    /// Text.
    Text(Option<String>),
    /// Bytes.
    Bytes(Option<Vec<u8>>),
}

/// The arguments of a statement, each by [`Value::from`].
#[macro_export]
macro_rules! args {
    ($($value:expr),* $(,)?) => { ::std::vec![$($crate::Value::from($value)),*] };
}

macro_rules! value_from {
    ($($kind:ident: $($source:ty = $convert:expr),+;)+) => {$($(
        impl From<$source> for Value {
            fn from(value: $source) -> Self {
                Self::$kind(Some(($convert)(value)))
            }
        }
        impl From<Option<$source>> for Value {
            fn from(value: Option<$source>) -> Self {
                Self::$kind(value.map($convert))
            }
        }
    )+)+};
}

value_from! {
    Int: i64 = std::convert::identity, &i64 = |n: &i64| *n, i32 = i64::from, u32 = i64::from;
    Text: String = std::convert::identity, &String = String::clone, &str = str::to_owned;
    Bytes: Vec<u8> = std::convert::identity, &Vec<u8> = Vec::clone, &[u8] = <[u8]>::to_vec;
}

impl From<&Option<String>> for Value {
    fn from(value: &Option<String>) -> Self {
        Self::Text(value.clone())
    }
}

/// A row of a result.
pub struct Row(SqliteRow);

impl Row {
    /// The value in the column at `index`, from 0.
    pub fn get<T>(&self, index: usize) -> Result<T>
    where
        T: for<'r> sqlx::Decode<'r, Sqlite> + sqlx::Type<Sqlite>,
    {
        self.0.try_get(index).map_err(|e| database_error("read a row", e))
    }
}

fn bound<S: SqlSafeStr>(sql: S, args: Vec<Value>) -> Query<'static, Sqlite, SqliteArguments> {
    args.into_iter().fold(sqlx::query(sql), |query, value| match value {
        Value::Int(value) => query.bind(value),
        Value::Text(value) => query.bind(value),
        Value::Bytes(value) => query.bind(value),
    })
}

impl Store {
    /// All rows of a query. `action` says what could not be done when it fails.
    pub async fn all(
        &self,
        action: &str,
        sql: impl SqlSafeStr,
        args: Vec<Value>,
    ) -> Result<Vec<Row>> {
        let rows = bound(sql, args).fetch_all(self.reader()).await;
        Ok(rows.map_err(|e| database_error(action, e))?.into_iter().map(Row).collect())
    }

    /// The first row of a query.
    pub async fn one(
        &self,
        action: &str,
        sql: impl SqlSafeStr,
        args: Vec<Value>,
    ) -> Result<Option<Row>> {
        let row = bound(sql, args).fetch_optional(self.reader()).await;
        Ok(row.map_err(|e| database_error(action, e))?.map(Row))
    }

    /// Executes one statement in a transaction of its own and says how many rows it touched.
    pub async fn run(&self, action: &str, sql: impl SqlSafeStr, args: Vec<Value>) -> Result<u64> {
        let mut tx = self.begin().await?;
        let rows = tx.run(action, sql, args).await?;
        tx.commit().await?;
        Ok(rows)
    }
}

impl Tx {
    /// All rows of a query. `action` says what could not be done when it fails.
    pub async fn all(
        &mut self,
        action: &str,
        sql: impl SqlSafeStr,
        args: Vec<Value>,
    ) -> Result<Vec<Row>> {
        let rows = bound(sql, args).fetch_all(self.connection()).await;
        Ok(rows.map_err(|e| database_error(action, e))?.into_iter().map(Row).collect())
    }

    /// The first row of a query, or of what a statement returns.
    pub async fn one(
        &mut self,
        action: &str,
        sql: impl SqlSafeStr,
        args: Vec<Value>,
    ) -> Result<Option<Row>> {
        let row = bound(sql, args).fetch_optional(self.connection()).await;
        Ok(row.map_err(|e| database_error(action, e))?.map(Row))
    }

    /// Executes a statement and says how many rows it touched.
    pub async fn run(
        &mut self,
        action: &str,
        sql: impl SqlSafeStr,
        args: Vec<Value>,
    ) -> Result<u64> {
        let done = bound(sql, args).execute(self.connection()).await;
        Ok(done.map_err(|e| database_error(action, e))?.rows_affected())
    }

    /// The time on the database's clock. For SQLite that is the clock of this machine.
    pub async fn now(&mut self) -> Result<DateTime<Utc>> {
        let sql = "select cast(unixepoch('subsec') * 1000 as integer)";
        let row = self.one("read its clock", sql, Vec::new()).await?;
        let millis = row.map(|row| row.get::<i64>(0)).transpose()?;
        millis
            .and_then(DateTime::from_timestamp_millis)
            .ok_or_else(|| Error::internal("the hub's database has no time"))
    }
}
