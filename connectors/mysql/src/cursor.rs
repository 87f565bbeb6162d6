//! How far a stream was read: the value of its cursor as the server's own text.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;
use huiliu_sdk::{Checkpoint, Error, ErrorKind, Result, Scope, StreamId};
use serde_json::{Value, json};

const VERSION: u16 = 1;

/// How far the source's clock a cursor may run ahead before it is taken for a mistake.
pub(crate) const AHEAD: chrono::Duration = chrono::Duration::minutes(5);

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
         `huiliu state reset SYSTEM.STREAM --from-start --reason TEXT` to read it from the start",
    )
}

/// How a wall time is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Form {
    separator: Option<char>,
    digits: usize,
}

fn parse(text: &str) -> Option<(NaiveDateTime, Form)> {
    let date = NaiveDate::parse_from_str(text.get(..10)?, "%Y-%m-%d").ok()?;
    let Some(separator) = text[10..].chars().next() else {
        return Some((date.and_time(NaiveTime::MIN), Form { separator: None, digits: 0 }));
    };
    let (clock, digits) = match text.len() {
        19 => ("%H:%M:%S", 0),
        21..=29 if text.as_bytes()[19] == b'.' => ("%H:%M:%S%.f", text.len() - 20),
        _ => return None,
    };
    let time = NaiveTime::parse_from_str(text.get(11..)?, clock).ok()?;
    let form = Form { separator: matches!(separator, ' ' | 'T').then_some(separator), digits };
    form.separator.map(|_| (date.and_time(time), form))
}

fn write(time: NaiveDateTime, form: Form) -> String {
    let date = time.format("%Y-%m-%d").to_string();
    let Some(separator) = form.separator else { return date };
    let seconds = format!("{date}{separator}{}", time.format("%H:%M:%S"));
    if form.digits == 0 {
        return seconds;
    }
    let nanos = time.format("%9f").to_string();
    format!("{seconds}.{}", nanos.get(..form.digits).unwrap_or_default())
}

/// A wall time moved back, in the same form: text compares as time only as long as it stays.
/// What is no wall time stays where it is.
pub(crate) fn back_by(mark: &str, overlap: chrono::Duration) -> String {
    if overlap.is_zero() {
        return mark.to_owned();
    }
    parse(mark)
        .and_then(|(time, form)| Some(write(time.checked_sub_signed(overlap)?, form)))
        .unwrap_or_else(|| mark.to_owned())
}

/// The latest cursor that is believed when the source's clock shows `now`, in the form of
/// `greatest`; nothing if `greatest` is believed itself. Times of the source are in `zone`.
pub(crate) fn believed(greatest: &str, now: DateTime<Utc>, zone: Tz) -> Option<String> {
    let (time, form) = parse(greatest)?;
    let latest =
        zone.from_utc_datetime(&now.naive_utc()).naive_local().checked_add_signed(AHEAD)?;
    (time > latest).then(|| write(latest, form))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlap_keeps_the_sources_form() {
        let ten = chrono::Duration::minutes(10);
        assert_eq!(back_by("2018-06-12 00:05:00", ten), "2018-06-11 23:55:00");
        assert_eq!(back_by("2018-06-12 09:05:00.120", ten), "2018-06-12 08:55:00.120");
        assert_eq!(back_by("2018-06-12T09:05:00", ten), "2018-06-12T08:55:00");
        assert_eq!(back_by("2018-06-12", ten), "2018-06-11");
        for kept in
            ["12/06/2018 09:05:00", "v17", "", "600", "0000-00-00 00:00:00", "二〇一八年六月"]
        {
            assert_eq!(back_by(kept, ten), kept);
        }
    }

    #[test]
    fn only_a_cursor_of_the_future_is_not_believed() {
        let now = Utc.with_ymd_and_hms(2026, 1, 1, 0, 0, 0).unwrap();
        let zone = chrono_tz::Asia::Shanghai;
        assert_eq!(believed("2026-01-01 08:04:59", now, zone), None);
        assert_eq!(believed("2099-01-01 00:00:00", now, zone).unwrap(), "2026-01-01 08:05:00");
        assert_eq!(believed("v17", now, zone), None);
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
