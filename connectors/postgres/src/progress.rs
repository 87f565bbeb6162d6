//! How far a stream was read, in the source's own words.

use huiliu_sdk::{Checkpoint, Error, ErrorKind, Result, Scope, StreamId};
use serde_json::{Value, json};

use crate::horizon::Position;

const VERSION: u16 = 1;

/// How far a full read by ranges of the key came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RangeProgress {
    /// The least value of the key that was not read yet.
    pub(crate) after: String,
    pub(crate) ranges_done: u64,
}

/// How far an incremental read came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CursorProgress {
    /// Rows below this value have been read.
    pub(crate) mark: String,
    /// Whether the source held greater values that are not to be trusted yet.
    pub(crate) is_capped: bool,
}

/// A checkpoint of `stream`.
pub(crate) fn checkpoint(stream: &StreamId, state: Value) -> Checkpoint {
    Checkpoint { scope: Scope::Stream(stream.clone()), version: VERSION, state }
}

/// The state of a full read after some ranges of `key`, or at its end.
pub(crate) fn full_state(key: Option<&str>, progress: Option<&RangeProgress>) -> Value {
    match (key, progress) {
        (Some(key), Some(progress)) => json!({
            "mode": "full",
            "key": key,
            "after": [progress.after],
            "ranges_done": progress.ranges_done,
        }),
        _ => json!({ "mode": "full", "after": null }),
    }
}

/// The state of an incremental read.
pub(crate) fn cursor_state(
    column: &str,
    progress: Option<&CursorProgress>,
    position: Option<&Position>,
    without_cursor: u64,
) -> Value {
    let mut state = json!({
        "mode": "incremental",
        "column": column,
        "cursor": progress.map(|progress| progress.mark.as_str()),
    });
    if progress.is_some_and(|progress| progress.is_capped) {
        state["capped"] = true.into();
    }
    if let Some(position) = position {
        state["log"] = json!({ "cluster": position.cluster, "place": position.place });
    }
    if without_cursor > 0 {
        state["rows_without_cursor"] = without_cursor.into();
    }
    state
}

/// Where an interrupted full read by ranges of `key` goes on.
pub(crate) fn resume_full(
    checkpoint: Option<&Checkpoint>,
    key: Option<&str>,
) -> Result<Option<RangeProgress>> {
    let Some(state) = state(checkpoint, "full")? else { return Ok(None) };
    // Ranges of another key say nothing about this one, and a full read may start over.
    if state.get("key").and_then(Value::as_str) != key {
        return Ok(None);
    }
    let after = state.pointer("/after/0").and_then(Value::as_str);
    let ranges_done = state.get("ranges_done").and_then(Value::as_u64).unwrap_or(0);
    Ok(after.map(|after| RangeProgress { after: after.to_owned(), ranges_done }))
}

/// Where an incremental read goes on.
pub(crate) fn resume_cursor(
    checkpoint: Option<&Checkpoint>,
    column: &str,
) -> Result<Option<CursorProgress>> {
    let Some(state) = state(checkpoint, "incremental")? else { return Ok(None) };
    let Some(mark) = state.get("cursor").and_then(Value::as_str) else { return Ok(None) };
    if state.get("column").and_then(Value::as_str) != Some(column) {
        return Err(unreadable("was made by another cursor column"));
    }
    let is_capped = state.get("capped").and_then(Value::as_bool).unwrap_or(false);
    Ok(Some(CursorProgress { mark: mark.to_owned(), is_capped }))
}

/// Where the source's log stood at the last incremental read.
pub(crate) fn resume_position(checkpoint: Option<&Checkpoint>) -> Option<Position> {
    let log = checkpoint?.state.get("log")?;
    let text = |name: &str| log.get(name)?.as_str().map(str::to_owned);
    Some(Position { cluster: text("cluster")?, place: text("place")? })
}

fn state<'a>(checkpoint: Option<&'a Checkpoint>, mode: &str) -> Result<Option<&'a Value>> {
    let Some(checkpoint) = checkpoint else { return Ok(None) };
    if checkpoint.version != VERSION {
        return Err(unreadable(&format!("is of version {}", checkpoint.version)));
    }
    match checkpoint.state.get("mode").and_then(Value::as_str) {
        Some(found) if found == mode => Ok(Some(&checkpoint.state)),
        // The stream was read in another way before, which says nothing about this one.
        Some("full" | "incremental" | "flagged") => Ok(None),
        _ => Err(unreadable("is not of this kind of system")),
    }
}

fn unreadable(why: &str) -> Error {
    Error::new(ErrorKind::Data, "E-STATE", format!("the stream's checkpoint {why}"))
        .hint("run `huiliu state reset SYSTEM.STREAM --from-start --reason TEXT` to read the stream from the start")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_survives_a_checkpoint() {
        let stream = StreamId::new("s");
        let ranges = RangeProgress { after: "办件\"7".into(), ranges_done: 3 };
        let at = checkpoint(&stream, full_state(Some("id"), Some(&ranges)));
        assert_eq!(resume_full(Some(&at), Some("id")).unwrap(), Some(ranges));
        assert_eq!(resume_full(Some(&at), Some("other")).unwrap(), None);
        assert_eq!(resume_cursor(Some(&at), "c").unwrap(), None);
        let end = checkpoint(&stream, full_state(Some("id"), None));
        assert_eq!(resume_full(Some(&end), Some("id")).unwrap(), None);

        let cursor = CursorProgress { mark: "2018-06-12 09:00:00.1234".into(), is_capped: true };
        let place = Position { cluster: "7".into(), place: "0/1".into() };
        let at = checkpoint(&stream, cursor_state("c", Some(&cursor), Some(&place), 2));
        assert_eq!(resume_position(Some(&at)), Some(place));
        assert_eq!(resume_cursor(Some(&at), "c").unwrap(), Some(cursor));
        assert_eq!(resume_cursor(Some(&at), "d").unwrap_err().code(), "E-STATE");
        let mut foreign = at.clone();
        foreign.version = 9;
        assert_eq!(resume_cursor(Some(&foreign), "c").unwrap_err().code(), "E-STATE");
        foreign = checkpoint(&stream, json!({ "offset": 5 }));
        assert_eq!(resume_full(Some(&foreign), None).unwrap_err().code(), "E-STATE");
    }
}
