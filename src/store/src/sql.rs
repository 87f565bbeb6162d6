//! One way to ask both databases.
//!
//! A statement is one text for SQLite and Postgres. What the text may hold:
//!
//! - `?` for each argument, in order (or `?1`, `?2`, ... when one is used twice). All arguments
//!   are bound; a text that is put together at run time is marked with [`AssertSqlSafe`].
//! - `insert ... on conflict (..) do update set x = excluded.x` and `returning`, which both know.
//! - `true` and `false`, not 1 and 0; `cast(sum(x) as bigint)`, because Postgres sums to numeric;
//!   no maximum of two values (use `case`), no date functions: times are [`Value::Time`], and the
//!   database's own clock is [`Tx::now`].
//!
//! In Postgres a statement that fails ends its transaction: nothing more can be done in it but
//! dropping it.

use chrono::{DateTime, NaiveDateTime, Utc};
use huiliu_sdk::Result;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgArguments, PgRow, PgTypeInfo, PgValueFormat, PgValueRef};
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Database, Decode, Encode, Postgres, Row as _, Sqlite, Type};

use crate::database::database_error;

pub use sqlx::{AssertSqlSafe, SqlSafeStr};

/// An argument of a statement. A missing value has a type as well, because Postgres asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A whole number.
    Int(Option<i64>),
    /// Text.
    Text(Option<String>),
    /// Bytes.
    Bytes(Option<Vec<u8>>),
    /// True or false.
    Bool(Option<bool>),
    /// An instant.
    Time(Option<DateTime<Utc>>),
}

/// The arguments of a statement, each by [`Value::from`].
#[macro_export]
macro_rules! args {
    ($($value:expr),* $(,)?) => {
        ::std::vec::Vec::<$crate::Value>::from([$($crate::Value::from($value)),*])
    };
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
    Int: i64 = std::convert::identity, &i64 = |n: &i64| *n, i32 = i64::from, u32 = i64::from,
        u8 = i64::from;
    Text: String = std::convert::identity, &String = String::clone, &str = str::to_owned;
    Bytes: Vec<u8> = std::convert::identity, &Vec<u8> = Vec::clone, &[u8] = <[u8]>::to_vec;
    Bool: bool = std::convert::identity;
    Time: DateTime<Utc> = std::convert::identity;
}

impl From<&Option<String>> for Value {
    fn from(value: &Option<String>) -> Self {
        Self::Text(value.clone())
    }
}

/// A row of a result.
pub struct Row(pub(crate) Inner);

pub(crate) enum Inner {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    /// The value in the column at `index`, from 0.
    pub fn get<T: FromColumn>(&self, index: usize) -> Result<T> {
        T::from_column(self, index).map_err(|e| database_error("read a row", e))
    }
}

/// What a column can be read as: `i64`, `String`, `Vec<u8>`, `bool`, `DateTime<Utc>`, or an
/// `Option` of these.
pub trait FromColumn: Sized + sealed::Sealed {
    #[doc(hidden)]
    fn from_column(row: &Row, index: usize) -> std::result::Result<Self, sqlx::Error>;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! from_column {
    ($($kind:ty),+) => {$(
        impl sealed::Sealed for $kind {}
        impl FromColumn for $kind {
            fn from_column(row: &Row, index: usize) -> std::result::Result<Self, sqlx::Error> {
                match &row.0 {
                    Inner::Sqlite(row) => row.try_get(index),
                    Inner::Postgres(row) => row.try_get(index),
                }
            }
        }
    )+};
}

from_column!(
    i64,
    String,
    Vec<u8>,
    bool,
    Option<i64>,
    Option<String>,
    Option<Vec<u8>>,
    Option<bool>
);

impl sealed::Sealed for DateTime<Utc> {}
impl FromColumn for DateTime<Utc> {
    fn from_column(row: &Row, index: usize) -> std::result::Result<Self, sqlx::Error> {
        match &row.0 {
            Inner::Sqlite(row) => row.try_get(index).map(|Time(time)| time),
            Inner::Postgres(row) => row.try_get(index).map(|Time(time)| time),
        }
    }
}

impl sealed::Sealed for Option<DateTime<Utc>> {}
impl FromColumn for Option<DateTime<Utc>> {
    fn from_column(row: &Row, index: usize) -> std::result::Result<Self, sqlx::Error> {
        let time: Option<Time> = match &row.0 {
            Inner::Sqlite(row) => row.try_get(index)?,
            Inner::Postgres(row) => row.try_get(index)?,
        };
        Ok(time.map(|Time(time)| time))
    }
}

/// An instant as the databases hold it: text in UTC in SQLite, a timestamp in Postgres. Decoded
/// here, because sqlx panics on values of Postgres that lie outside what chrono can hold.
struct Time(DateTime<Utc>);

const SQLITE_TIME: &str = "%Y-%m-%d %H:%M:%S%.3f+00";

/// From 1970-01-01 to 2000-01-01, which Postgres counts from.
const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;

const TIMESTAMP: PgTypeInfo = PgTypeInfo::with_oid(Oid(1114));
const TIMESTAMPTZ: PgTypeInfo = PgTypeInfo::with_oid(Oid(1184));

impl Type<Sqlite> for Time {
    fn type_info() -> <Sqlite as Database>::TypeInfo {
        <String as Type<Sqlite>>::type_info()
    }

    fn compatible(info: &<Sqlite as Database>::TypeInfo) -> bool {
        use sqlx::TypeInfo as _;
        <String as Type<Sqlite>>::compatible(info) || info.name() == "DATETIME"
    }
}

impl<'r> Decode<'r, Sqlite> for Time {
    fn decode(value: <Sqlite as Database>::ValueRef<'r>) -> Result<Self, BoxDynError> {
        let text = <&str as Decode<Sqlite>>::decode(value)?;
        Ok(Self(NaiveDateTime::parse_from_str(text, SQLITE_TIME)?.and_utc()))
    }
}

impl Type<Postgres> for Time {
    fn type_info() -> PgTypeInfo {
        TIMESTAMPTZ
    }

    // Our connections speak UTC, and both types count microseconds.
    fn compatible(info: &PgTypeInfo) -> bool {
        *info == TIMESTAMPTZ || *info == TIMESTAMP
    }
}

impl Encode<'_, Postgres> for Time {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let micros = self.0.timestamp_micros() - POSTGRES_EPOCH_MICROS;
        buffer.extend(&micros.to_be_bytes());
        Ok(IsNull::No)
    }
}

impl<'r> Decode<'r, Postgres> for Time {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        if value.format() != PgValueFormat::Binary {
            return Err("an instant came as text".into());
        }
        let micros = i64::from_be_bytes(value.as_bytes()?.try_into()?);
        micros
            .checked_add(POSTGRES_EPOCH_MICROS)
            .and_then(DateTime::from_timestamp_micros)
            .map(Self)
            .ok_or_else(|| "an instant is out of range".into())
    }
}

pub(crate) fn for_sqlite<S: SqlSafeStr>(
    sql: S,
    args: Vec<Value>,
) -> Query<'static, Sqlite, SqliteArguments> {
    args.into_iter().fold(sqlx::query(sql), |query, value| match value {
        Value::Int(value) => query.bind(value),
        Value::Text(value) => query.bind(value),
        Value::Bytes(value) => query.bind(value),
        Value::Bool(value) => query.bind(value),
        Value::Time(value) => query.bind(value.map(|time| time.format(SQLITE_TIME).to_string())),
    })
}

pub(crate) fn for_postgres<S: SqlSafeStr>(
    sql: S,
    args: Vec<Value>,
) -> Query<'static, Postgres, PgArguments> {
    let sql = numbered(sql.into_sql_str().as_str());
    args.into_iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, value| match value {
        Value::Int(value) => query.bind(value),
        // Text of Postgres holds every character but this one.
        Value::Text(value) => query.bind(value.map(|text| text.replace('\0', "\u{fffd}"))),
        Value::Bytes(value) => query.bind(value),
        Value::Bool(value) => query.bind(value),
        Value::Time(value) => query.bind(value.map(Time)),
    })
}

/// `sql` with `$1`, `$2`, ... in place of `?` outside quotes.
fn numbered(sql: &str) -> String {
    let mut out = String::with_capacity(sql.len() + 16);
    let mut quote = None;
    let mut count = 0_u32;
    let mut chars = sql.chars().peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, '?') => {
                out.push('$');
                if !chars.peek().is_some_and(char::is_ascii_digit) {
                    count += 1;
                    out.push_str(&count.to_string());
                }
                continue;
            }
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            _ => {}
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_numbered_outside_quotes_only() {
        assert_eq!(numbered("a = ? and b = ?"), "a = $1 and b = $2");
        assert_eq!(numbered("'it''s ?' || \"?\" || ?"), "'it''s ?' || \"?\" || $1");
        assert_eq!(numbered("?1 is null or x = ?1"), "$1 is null or x = $1");
    }

    #[test]
    fn missing_values_keep_their_type() {
        assert_eq!(
            args![None::<i64>, "a", Some(true), 7_u32],
            vec![
                Value::Int(None),
                Value::Text(Some("a".into())),
                Value::Bool(Some(true)),
                Value::Int(Some(7))
            ]
        );
        assert_eq!(args![], Vec::<Value>::new());
    }
}
