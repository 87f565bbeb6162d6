//! How far a stream was read: the value of its cursor as the server's own text.

use huiliu_sdk::{Checkpoint, Error, ErrorKind, Overlap, Result, Scope, StreamId, wall_text_back};
use serde_json::{Value, json};

use crate::keyset::Comparable;
use crate::wire::Wire;

const VERSION: u16 = 1;

/// A checkpoint of `stream`.
pub(crate) fn checkpoint(stream: &StreamId, state: Value) -> Checkpoint {
    Checkpoint { scope: Scope::Stream(stream.clone()), version: VERSION, state }
}

/// A checkpoint at a cursor.
pub(crate) fn at(stream: &StreamId, mark: Option<&str>) -> Checkpoint {
    checkpoint(stream, json!({ "cursor": mark }))
}

fn unknown(checkpoint: &Checkpoint) -> Error {
    Error::new(
        ErrorKind::Data,
        "E-STATE",
        format!("checkpoint of version {} cannot be read", checkpoint.version),
    )
    .hint("run `huiliu state reset` for the stream to read it from the start")
}

/// The cursor of the last committed checkpoint.
pub(crate) fn mark_of(checkpoint: &Checkpoint) -> Result<Option<String>> {
    match state(checkpoint, "cursor")? {
        Value::Null => Ok(None),
        Value::String(mark) => Ok(Some(mark.clone())),
        _ => Err(unknown(checkpoint)),
    }
}

/// The key behind which an interrupted full read goes on; none if the last one ended.
pub(crate) fn after_of(checkpoint: &Checkpoint) -> Result<Option<Vec<String>>> {
    match state(checkpoint, "after")? {
        Value::Null => Ok(None),
        Value::Array(values) if !values.is_empty() => values
            .iter()
            .map(|value| value.as_str().map(str::to_owned).ok_or_else(|| unknown(checkpoint)))
            .collect::<Result<_>>()
            .map(Some),
        _ => Err(unknown(checkpoint)),
    }
}

fn state<'a>(checkpoint: &'a Checkpoint, name: &str) -> Result<&'a Value> {
    if checkpoint.version != VERSION {
        return Err(unknown(checkpoint));
    }
    checkpoint.state.get(name).ok_or_else(|| unknown(checkpoint))
}

/// The error for a source whose cursor has gone back.
pub(crate) fn rewound(cursor: &str) -> Error {
    Error::new(
        ErrorKind::Conflict,
        "E-SOURCE-REWOUND",
        format!("the greatest `{cursor}` lies before the one that was already read"),
    )
    .hint(
        "the source was restored or its rows were deleted; ask its owner, then run \
         `huiliu state reset SYSTEM.STREAM` to read it from the start",
    )
}

/// The mark moved back by the overlap, as the source writes it.
pub(crate) fn back_by(mark: &str, overlap: Overlap, cursor: &Comparable) -> Result<String> {
    let moved = match (overlap, cursor.wire) {
        (Overlap::None, _) => Some(mark.to_owned()),
        (
            Overlap::Time(by),
            Wire::Date | Wire::Datetime { .. } | Wire::Timestamp { .. } | Wire::Text,
        ) => match wall_text_back(mark, by) {
            // Before a zero date there is nothing.
            None if !matches!(cursor.wire, Wire::Text) => Some(mark.to_owned()),
            moved => moved,
        },
        (Overlap::Count(by), Wire::Int { unsigned: false, .. }) => {
            number_back(mark, by, i64::MIN.into())
        }
        (Overlap::Count(by), Wire::Int { .. }) => number_back(mark, by, 0),
        (Overlap::Count(by), Wire::Decimal { .. }) => number_back(mark, by, i128::MIN),
        _ => None,
    };
    moved.ok_or_else(|| {
        let message = format!("the overlap does not fit the cursor `{}`", cursor.name);
        Error::new(ErrorKind::Config, "E-CURSOR", message)
            .hint("write a length of time such as 10m for times, and a whole number for numbers")
    })
}

/// A number in decimal digits moved back, but not below `least`.
fn number_back(mark: &str, by: u64, least: i128) -> Option<String> {
    let (whole, fraction) = mark.split_once('.').map_or((mark, None), |(a, b)| (a, Some(b)));
    let moved = match fraction {
        None => whole.parse::<i128>().ok()?.checked_sub(by.into())?.max(least).to_string(),
        // Below zero the fraction would have to move too; one more does no harm.
        Some(_) => whole.parse::<i128>().ok()?.checked_sub(i128::from(by) + 1)?.to_string(),
    };
    Some(moved)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlap_moves_what_it_fits_and_is_refused_elsewhere() {
        let cursor = |wire| Comparable {
            name: "c".into(),
            wire,
            side: String::new(),
            shown: String::new(),
            bound: String::new(),
        };
        let ten = Overlap::Time(chrono::Duration::minutes(10));
        let text = cursor(Wire::Text);
        assert_eq!(back_by("2018-06-12T09:05:00", ten, &text).unwrap(), "2018-06-12T08:55:00");
        assert_eq!(back_by("v17", ten, &text).unwrap_err().code(), "E-CURSOR");
        assert_eq!(back_by("v17", Overlap::None, &text).unwrap(), "v17");
        let zero = "0000-00-00 00:00:00";
        assert_eq!(back_by(zero, ten, &cursor(Wire::Datetime { digits: 0 })).unwrap(), zero);
        let number = cursor(Wire::Int { width: 8, unsigned: true });
        assert_eq!(back_by("12", Overlap::Count(5), &number).unwrap(), "7");
        assert_eq!(back_by("12", Overlap::Count(50), &number).unwrap(), "0");
        assert!(back_by("12", ten, &number).is_err());
        let signed = cursor(Wire::Int { width: 8, unsigned: false });
        assert_eq!(back_by("12", Overlap::Count(50), &signed).unwrap(), "-38");
        let decimal = cursor(Wire::Decimal { precision: 20, scale: 2 });
        assert_eq!(back_by("12.50", Overlap::Count(5), &decimal).unwrap(), "6");
    }

    #[test]
    fn states_come_back_or_are_refused() {
        let stream = StreamId::new("cases");
        assert_eq!(mark_of(&at(&stream, Some("7"))).unwrap().unwrap(), "7");
        assert_eq!(mark_of(&at(&stream, None)).unwrap(), None);
        let load = checkpoint(&stream, json!({ "after": ["1", "b"] }));
        assert_eq!(after_of(&load).unwrap().unwrap(), ["1", "b"]);
        assert_eq!(mark_of(&load).unwrap_err().code(), "E-STATE");
        let mut foreign = at(&stream, None);
        foreign.version = 9;
        assert_eq!(mark_of(&foreign).unwrap_err().code(), "E-STATE");
    }
}
