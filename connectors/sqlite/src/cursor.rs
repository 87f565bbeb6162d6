//! How far a stream was read: the value of its cursor, in the source's own words.
//!
//! Marks are compared by SQLite, never here, so that they order as the source orders them.

use chrono::NaiveDateTime;
use huiliu_sdk::{Checkpoint, Error, ErrorKind, Result, Scope, StreamId};
use serde_json::json;
use sqlx::sqlite::{SqliteArguments, SqliteRow, SqliteValueRef};
use sqlx::{Decode, Row, Sqlite, TypeInfo, ValueRef, query::Query};

const VERSION: u16 = 1;

/// A value of the cursor column. SQLite orders numbers before text, whatever they say.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Mark {
    Int(i64),
    Real(f64),
    Text(String),
}

impl Mark {
    /// The value at `index` of a row, or nothing for null.
    pub(crate) fn of_row(row: &SqliteRow, index: usize) -> Result<Option<Self>> {
        let unfit = |what: &str| {
            Error::new(ErrorKind::Data, "E-CURSOR", format!("the cursor column holds {what}"))
                .hint("choose a cursor of numbers or text, or read = \"full\"")
        };
        let value = row.try_get_raw(index).map_err(|_| unfit("no such column"))?;
        if value.is_null() {
            return Ok(None);
        }
        let kind = class(&value);
        Ok(Some(match kind {
            Class::Int => {
                Self::Int(<i64 as Decode<Sqlite>>::decode(value).map_err(|_| unfit("no number"))?)
            }
            Class::Real => {
                Self::Real(<f64 as Decode<Sqlite>>::decode(value).map_err(|_| unfit("no number"))?)
            }
            Class::Text => Self::Text(
                <String as Decode<Sqlite>>::decode(value)
                    .map_err(|_| unfit("text that is not UTF-8"))?,
            ),
            Class::Blob => return Err(unfit("bytes")),
        }))
    }

    /// The mark of the last committed checkpoint.
    pub(crate) fn of_checkpoint(checkpoint: &Checkpoint) -> Result<Option<Self>> {
        let unknown = || {
            Error::new(
                ErrorKind::Data,
                "E-STATE",
                format!("checkpoint of version {} cannot be read", checkpoint.version),
            )
            .hint(
                "read it from the start: `huiliu state reset SYSTEM.STREAM --from-start --reason \
                 TEXT`",
            )
        };
        if checkpoint.version != VERSION {
            return Err(unknown());
        }
        let Some(cursor) = checkpoint.state.get("cursor") else { return Err(unknown()) };
        if cursor.is_null() {
            return Ok(None);
        }
        let text = cursor.as_str().ok_or_else(unknown)?;
        let mark = match checkpoint.state.get("class").map(serde_json::Value::as_str) {
            None => Self::Text(text.to_owned()),
            Some(Some("integer")) => Self::Int(text.parse().map_err(|_| unknown())?),
            Some(Some("real")) => Self::Real(text.parse().map_err(|_| unknown())?),
            Some(_) => return Err(unknown()),
        };
        Ok(Some(mark))
    }

    /// Whether a read may be resumed here instead of at `passed`: it lies further on, and among
    /// values of the class the `newest` has. Text and numbers do not compare by their meaning.
    pub(crate) fn advances(&self, passed: Option<&Self>, newest: Option<&Self>) -> bool {
        let kin = |other: &Self| std::mem::discriminant(self) == std::mem::discriminant(other);
        let Some(passed) = passed else { return newest.is_some_and(kin) };
        newest.is_some_and(kin)
            && match (passed, self) {
                (Self::Int(passed), Self::Int(here)) => here > passed,
                (Self::Real(passed), Self::Real(here)) => here > passed,
                (Self::Text(passed), Self::Text(here)) => here > passed,
                // The class changed since, and rows of another class are read again anyway.
                _ => true,
            }
    }

    /// The mark moved back by `overlap`, if it is a wall time.
    pub(crate) fn back_by(&self, overlap: chrono::Duration) -> Self {
        let Self::Text(text) = self else { return self.clone() };
        if overlap.is_zero() {
            return self.clone();
        }
        Self::Text(earlier(text, overlap).unwrap_or_else(|| text.clone()))
    }

    /// Binds the mark as the value it is.
    pub(crate) fn bind<'q>(
        self,
        query: Query<'q, Sqlite, SqliteArguments>,
    ) -> Query<'q, Sqlite, SqliteArguments> {
        match self {
            Self::Int(value) => query.bind(value),
            Self::Real(value) => query.bind(value),
            Self::Text(value) => query.bind(value),
        }
    }
}

/// A checkpoint at `mark`.
pub(crate) fn checkpoint(stream: &StreamId, mark: Option<&Mark>) -> Checkpoint {
    let state = match mark {
        None => json!({ "cursor": null }),
        Some(Mark::Text(text)) => json!({ "cursor": text }),
        Some(Mark::Int(value)) => json!({ "cursor": value.to_string(), "class": "integer" }),
        Some(Mark::Real(value)) => json!({ "cursor": value.to_string(), "class": "real" }),
    };
    Checkpoint { scope: Scope::Stream(stream.clone()), version: VERSION, state }
}

/// SQLite's storage classes of values that are not null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Int,
    Real,
    Text,
    Blob,
}

/// The storage class of a value that is not null.
pub(crate) fn class(value: &SqliteValueRef<'_>) -> Class {
    match value.type_info().name() {
        "INTEGER" => Class::Int,
        "REAL" => Class::Real,
        "TEXT" => Class::Text,
        _ => Class::Blob,
    }
}

/// `YYYY-MM-DD HH:MM:SS[.fff]` moved back, in the same layout; text compares as time does only
/// as long as the layout stays.
fn earlier(text: &str, overlap: chrono::Duration) -> Option<String> {
    let separator = char::from(*text.as_bytes().get(10)?);
    let parse = match separator {
        ' ' => "%Y-%m-%d %H:%M:%S%.f",
        'T' => "%Y-%m-%dT%H:%M:%S%.f",
        _ => return None,
    };
    let time = NaiveDateTime::parse_from_str(text, parse).ok()?.checked_sub_signed(overlap)?;
    let seconds = time.format(&format!("%Y-%m-%d{separator}%H:%M:%S")).to_string();
    let digits = match text.len() {
        19 => return Some(seconds),
        21..=29 if text.as_bytes()[19] == b'.' => text.len() - 20,
        _ => return None,
    };
    let nanos = time.format("%9f").to_string();
    Some(format!("{seconds}.{}", nanos.get(..digits)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlap_keeps_the_sources_layout() {
        let ten = chrono::Duration::minutes(10);
        let back = |text: &str| Mark::Text(text.into()).back_by(ten);
        assert_eq!(back("2018-06-12 00:05:00"), Mark::Text("2018-06-11 23:55:00".into()));
        assert_eq!(back("2018-06-12 09:05:00.120"), Mark::Text("2018-06-12 08:55:00.120".into()));
        assert_eq!(back("2018-06-12T09:05:00"), Mark::Text("2018-06-12T08:55:00".into()));
        for kept in ["2018-06-12", "12/06/2018 09:05:00", "v17", "", "二〇一八年六月十二日 九时"]
        {
            assert_eq!(back(kept), Mark::Text(kept.into()));
        }
        assert_eq!(Mark::Int(600).back_by(ten), Mark::Int(600));
    }

    #[test]
    fn marks_survive_a_checkpoint() {
        let stream = StreamId::new("cases");
        for mark in [Mark::Text("2018-06-12".into()), Mark::Int(-7), Mark::Real(0.1)] {
            let back = Mark::of_checkpoint(&checkpoint(&stream, Some(&mark))).unwrap();
            assert_eq!(back, Some(mark));
        }
        assert_eq!(Mark::of_checkpoint(&checkpoint(&stream, None)).unwrap(), None);
        let mut foreign = checkpoint(&stream, None);
        foreign.version = 9;
        assert_eq!(Mark::of_checkpoint(&foreign).unwrap_err().code(), "E-STATE");
    }
}
