//! How far a stream was read: the value of its cursor, in the source's own words.
//!
//! Marks are compared by SQLite, never here, so that they order as the source orders them.

use std::cmp::Ordering;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use huiliu_sdk::{
    Checkpoint, Error, ErrorKind, Overlap, Result, Scope, StreamId, wall_text_back,
    wall_text_believed,
};
use serde_json::{Value, json};
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

    /// The mark that a person writes: a number where it reads as one.
    pub(crate) fn of_text(text: &str) -> Self {
        match (text.parse(), text.parse()) {
            (Ok(value), _) => Self::Int(value),
            (_, Ok(value)) => Self::Real(value),
            _ => Self::Text(text.to_owned()),
        }
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
        let mark = match checkpoint.state.get("class").map(Value::as_str) {
            None => Self::Text(text.to_owned()),
            Some(Some("integer")) => Self::Int(text.parse().map_err(|_| unknown())?),
            Some(Some("real")) => Self::Real(text.parse().map_err(|_| unknown())?),
            Some(_) => return Err(unknown()),
        };
        Ok(Some(mark))
    }

    /// Whether a read may be resumed here instead of at `passed`: it lies further on, but not beyond
    /// the `newest`, and among values of its class. Text and numbers do not compare by their
    /// meaning.
    pub(crate) fn advances(&self, passed: Option<&Self>, newest: Option<&Self>) -> bool {
        // Values of two classes do not compare at all.
        let reaches = |low: &Self, high: &Self| match (low, high) {
            (Self::Int(low), Self::Int(high)) => Some(low.cmp(high)),
            (Self::Real(low), Self::Real(high)) => low.partial_cmp(high),
            (Self::Text(low), Self::Text(high)) => Some(low.cmp(high)),
            _ => None,
        };
        let believed = newest.and_then(|newest| reaches(self, newest)).is_some_and(Ordering::is_le);
        // Where the class has changed since, rows of another class are read again anyway.
        let is_new = passed.and_then(|passed| reaches(passed, self)).is_none_or(Ordering::is_lt);
        believed && is_new
    }

    /// The mark moved back by `overlap`, which has to fit it.
    pub(crate) fn back_by(&self, overlap: Overlap) -> Result<Self> {
        let moved = match (self, overlap) {
            (_, Overlap::None) => Some(self.clone()),
            (Self::Text(text), Overlap::Time(by)) => wall_text_back(text, by).map(Self::Text),
            (Self::Int(value), Overlap::Count(by)) => {
                let by = i64::try_from(by).unwrap_or(i64::MAX);
                Some(Self::Int(value.saturating_sub(by)))
            }
            #[allow(clippy::cast_precision_loss)] // such a cursor is no exact number itself
            (Self::Real(value), Overlap::Count(by)) => Some(Self::Real(value - by as f64)),
            _ => None,
        };
        moved.ok_or_else(|| {
            let message = "the overlap does not fit the values of the cursor column";
            Error::new(ErrorKind::Config, "E-CURSOR", message).hint(
                "write a length of time such as 10m for times like 2018-06-12 09:00:00, and a \
                 whole number for numbers",
            )
        })
    }

    /// The latest mark that is believed when the clock shows `now`; nothing if this one is.
    pub(crate) fn believed(&self, now: DateTime<Utc>, zone: Tz) -> Option<Self> {
        match self {
            Self::Text(text) => wall_text_believed(text, now, zone).map(Self::Text),
            Self::Int(_) | Self::Real(_) => None,
        }
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
    noted(stream, state)
}

/// A checkpoint with other notes than a mark.
pub(crate) fn noted(stream: &StreamId, state: Value) -> Checkpoint {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlap_moves_what_it_fits_and_is_refused_elsewhere() {
        let ten = Overlap::Time(chrono::Duration::minutes(10));
        let text = |text: &str| Mark::Text(text.into());
        let moved = text("2018-06-12T09:05:00").back_by(ten).unwrap();
        assert_eq!(moved, text("2018-06-12T08:55:00"));
        assert_eq!(text("v17").back_by(Overlap::None).unwrap(), text("v17"));
        assert_eq!(Mark::Int(12).back_by(Overlap::Count(50)).unwrap(), Mark::Int(-38));
        for (mark, overlap) in
            [(text("v17"), ten), (Mark::Int(600), ten), (text("2018-06-12"), Overlap::Count(1))]
        {
            assert_eq!(mark.back_by(overlap).unwrap_err().code(), "E-CURSOR");
        }
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
