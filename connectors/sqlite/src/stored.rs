//! Values as SQLite holds them: taken out of rows to find these again, or on their way in.

use std::hash::{Hash, Hasher};

use huiliu_sdk::Result;
use serde_json::Value;
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Sqlite, ValueRef};

use crate::cursor::{Class, class};
use crate::row::{decode, raw};

/// A value in its storage class.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Stored {
    Null,
    Int(i64),
    Real(f64),
    Text(String),
    /// Text that is not UTF-8.
    Garbled(Vec<u8>),
    Blob(Vec<u8>),
}

impl Stored {
    /// The value at `index` of a row.
    pub(crate) fn of(row: &SqliteRow, index: usize) -> Result<Self> {
        let value = raw(row, index)?;
        if value.is_null() {
            return Ok(Self::Null);
        }
        Ok(match class(&value) {
            Class::Int => Self::Int(decode(value)?),
            Class::Real => Self::Real(decode(value)?),
            Class::Blob => Self::Blob(decode(value)?),
            Class::Text => match String::from_utf8(decode(value)?) {
                Ok(text) => Self::Text(text),
                Err(garbled) => Self::Garbled(garbled.into_bytes()),
            },
        })
    }

    /// The values of some places of a row.
    pub(crate) fn all(row: &SqliteRow, places: &[usize]) -> Result<Vec<Self>> {
        places.iter().map(|index| Self::of(row, *index)).collect()
    }

    pub(crate) fn is_null(&self) -> bool {
        *self == Self::Null
    }

    /// How it stands in a statement, where it is bound to the one `?`.
    pub(crate) fn placeholder(&self) -> &'static str {
        match self {
            // The driver binds only UTF-8 as text; as text, bytes stay as they are.
            Self::Garbled(_) => "cast(? as text)",
            _ => "?",
        }
    }

    /// Binds the value in its storage class.
    pub(crate) fn bind<'q>(
        &self,
        query: Query<'q, Sqlite, SqliteArguments>,
    ) -> Query<'q, Sqlite, SqliteArguments> {
        match self {
            Self::Null => query.bind(None::<i64>),
            Self::Int(value) => query.bind(*value),
            Self::Real(value) => query.bind(*value),
            Self::Text(value) => query.bind(value.clone()),
            Self::Garbled(value) | Self::Blob(value) => query.bind(value.clone()),
        }
    }

    /// As people see it in the state of a stream.
    pub(crate) fn shown(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Int(value) => value.to_string().into(),
            Self::Real(value) => value.to_string().into(),
            Self::Text(value) => value.as_str().into(),
            Self::Garbled(value) | Self::Blob(value) => {
                String::from_utf8_lossy(value).into_owned().into()
            }
        }
    }
}

impl Hash for Stored {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::mem::discriminant(self).hash(state);
        match self {
            Self::Null => {}
            Self::Int(value) => value.hash(state),
            Self::Real(value) => value.to_bits().hash(state),
            Self::Text(value) => value.hash(state),
            Self::Garbled(value) | Self::Blob(value) => value.hash(state),
        }
    }
}
