//! How far a stream was read: the value of its cursor, in the driver's own words.

use huiliu_sdk::{Checkpoint, Error, ErrorKind, Overlap, Result, Scope, StreamId, wall_text_back};
use odbc_api::parameter::VarWCharBox;
use serde_json::{Value, json};

use crate::config::Settings;
use crate::layout::CursorKind;
use crate::statement;

const VERSION: u16 = 1;

/// A value of the cursor column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) text: String,
    kind: CursorKind,
}

impl Mark {
    pub(crate) fn new(text: String, kind: CursorKind) -> Self {
        Self { text, kind }
    }

    /// The mark of the last committed checkpoint.
    pub(crate) fn of_checkpoint(checkpoint: &Checkpoint) -> Result<Option<Self>> {
        let unknown = || {
            let message = format!("checkpoint of version {} cannot be read", checkpoint.version);
            Error::new(ErrorKind::Data, "E-STATE", message).hint(
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
        let kind = match checkpoint.state.get("kind").and_then(Value::as_str) {
            Some("number") => CursorKind::Number,
            Some("time") => CursorKind::Time,
            Some("text") => CursorKind::Text,
            _ => return Err(unknown()),
        };
        Ok(Some(Self::new(cursor.as_str().ok_or_else(unknown)?.to_owned(), kind)))
    }

    /// The mark moved back by `overlap`, which has to fit it.
    pub(crate) fn back_by(&self, overlap: Overlap) -> Result<Self> {
        let moved = match (self.kind, overlap) {
            (_, Overlap::None) => Some(self.text.clone()),
            (CursorKind::Time | CursorKind::Text, Overlap::Time(by)) => {
                wall_text_back(&self.text, by)
            }
            (CursorKind::Number, Overlap::Count(by)) => back_by_count(&self.text, by),
            _ => None,
        };
        let text = moved.ok_or_else(|| {
            let message = "the overlap does not fit the values of the cursor column";
            Error::new(ErrorKind::Config, "E-CURSOR", message).hint(
                "write a length of time such as 10m for times like 2018-06-12 09:00:00, and a \
                 whole number for numbers",
            )
        })?;
        Ok(Self { text, kind: self.kind })
    }

    /// The mark as it stands in a statement, and the parameter it takes.
    pub(crate) fn bound(&self, settings: &Settings) -> Result<(String, Option<VarWCharBox>)> {
        let bound = statement::bound(settings, self.kind, &self.text).ok_or_else(|| {
            let message = "the cursor holds a value that cannot be compared";
            Error::new(ErrorKind::Data, "E-CURSOR", message)
                .hint("choose a cursor of times, numbers or text, or read = \"full\"")
        })?;
        let parameter = bound.values.first().map(|text| VarWCharBox::from_str_slice(text));
        Ok((bound.text, parameter))
    }
}

/// A whole number, or one with digits behind the point that stay as they are, less `by`.
fn back_by_count(text: &str, by: u64) -> Option<String> {
    let (whole, rest) = text.split_once('.').map_or((text, None), |(w, r)| (w, Some(r)));
    let whole: i128 = whole.parse().ok()?;
    // Below zero the digits behind the point count the other way; one less is far enough back.
    let more = i128::from(text.starts_with('-') && rest.is_some());
    let less = whole.checked_sub(i128::from(by))?.checked_sub(more)?;
    let rest = rest.filter(|_| less >= 0);
    Some(rest.map_or_else(|| less.to_string(), |rest| format!("{less}.{rest}")))
}

/// A checkpoint at `mark`.
pub(crate) fn checkpoint(stream: &StreamId, mark: Option<&Mark>) -> Checkpoint {
    let state = match mark {
        None => json!({ "cursor": null }),
        Some(mark) => {
            let kind = match mark.kind {
                CursorKind::Number => "number",
                CursorKind::Time => "time",
                CursorKind::Text => "text",
            };
            json!({ "cursor": mark.text, "kind": kind })
        }
    };
    noted(stream, state)
}

/// A checkpoint with other notes than a mark.
pub(crate) fn noted(stream: &StreamId, state: Value) -> Checkpoint {
    Checkpoint { scope: Scope::Stream(stream.clone()), version: VERSION, state }
}

#[cfg(test)]
mod tests {
    use chrono_tz::Tz;

    use super::*;
    use crate::config::TextForm;

    fn settings() -> Settings {
        Settings {
            connection: String::new(),
            quote: ('[', ']'),
            timestamp: "cast('{}' as datetime2)".into(),
            limit: None,
            text: TextForm::Utf16,
            statement_timeout: std::time::Duration::from_secs(1),
            connect_timeout: std::time::Duration::from_secs(1),
            hub_zone: Tz::UTC,
            streams: Vec::new(),
            pushes: Vec::new(),
        }
    }

    #[test]
    fn marks_survive_a_checkpoint_and_move_back() {
        let stream = StreamId::new("cases");
        let time = Mark::new("2018-06-12 09:05:00.5".into(), CursorKind::Time);
        let back = Mark::of_checkpoint(&checkpoint(&stream, Some(&time))).unwrap();
        assert_eq!(back.as_ref(), Some(&time));
        assert_eq!(Mark::of_checkpoint(&checkpoint(&stream, None)).unwrap(), None);
        let ten = Overlap::parse("10m").unwrap();
        assert_eq!(time.back_by(ten).unwrap().text, "2018-06-12 08:55:00.5");
        for (text, back) in
            [("600", "100"), ("600.25", "100.25"), ("100.25", "-400"), ("-0.75", "-501")]
        {
            let number = Mark::new(text.into(), CursorKind::Number);
            assert_eq!(number.back_by(Overlap::Count(500)).unwrap().text, back);
            assert_eq!(number.back_by(ten).unwrap_err().code(), "E-CURSOR");
        }
    }

    #[test]
    fn nothing_but_times_and_numbers_gets_into_a_statement() {
        let settings = settings();
        let bound = |text: &str, kind| Mark::new(text.into(), kind).bound(&settings);
        let time = bound("2018-06-12 09:00:00", CursorKind::Time).unwrap();
        assert_eq!(time.0, "cast('2018-06-12 09:00:00' as datetime2)");
        assert_eq!(bound("-1.5e3", CursorKind::Number).unwrap().0, "-1.5e3");
        for (text, kind) in [
            ("1; drop table t", CursorKind::Number),
            ("2018'; --", CursorKind::Time),
            ("", CursorKind::Number),
            ("NaN", CursorKind::Number),
        ] {
            assert_eq!(bound(text, kind).err().unwrap().code(), "E-CURSOR", "{text}");
        }
        assert_eq!(bound("v'1", CursorKind::Text).unwrap().0, "?");
    }
}
