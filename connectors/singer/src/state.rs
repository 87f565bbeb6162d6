//! Checkpoints: the tap's own state, and what the hub has to know about it.
//!
//! Streams that are read together are committed one by one, so after a run that broke off each may
//! stand at another state. A state that has `bookmarks` is put together from those of all streams;
//! of any other the oldest is taken, from which nothing is missing.

use huiliu_sdk::{Checkpoint, Error, ErrorKind, Result, Scope};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

const VERSION: u16 = 1;

/// What a checkpoint holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// The tap's state, as it is.
    pub(crate) singer: Value,
    /// Grows from checkpoint to checkpoint, so that the older of two can be told.
    #[serde(default)]
    pub(crate) serial: u64,
    /// Whether the read had come to its end.
    #[serde(default)]
    pub(crate) ended: bool,
}

impl Kept {
    pub(crate) fn checkpoint(&self) -> Result<Checkpoint> {
        let state = serde_json::to_value(self)
            .map_err(|cause| Error::internal("a state could not be kept").cause(cause))?;
        Ok(Checkpoint { scope: Scope::Shared, version: VERSION, state })
    }

    fn read(checkpoint: &Checkpoint) -> Result<Self> {
        if checkpoint.version > VERSION {
            let message = "the checkpoint was written by a later version of this program";
            return Err(Error::new(ErrorKind::Config, "E-CHECKPOINT", message)
                .hint("run the later version, or start the stream over: huiliu state reset"));
        }
        Self::deserialize(&checkpoint.state).map_err(|cause| {
            Error::new(ErrorKind::Config, "E-CHECKPOINT", "the checkpoint is not one of a tap")
                .hint("start the stream over: huiliu state reset SYSTEM.STREAM")
                .cause(cause)
        })
    }

    fn bookmarks(&self) -> Option<&Map<String, Value>> {
        self.singer.get("bookmarks")?.as_object()
    }
}

/// One stream and where it stands.
pub(crate) struct Standing<'a> {
    /// The names under which the tap may keep its bookmark.
    pub(crate) names: [&'a str; 2],
    /// Whether every read begins at the start.
    pub(crate) is_full: bool,
    pub(crate) resume: Option<&'a Checkpoint>,
}

/// From where the tap goes on.
#[derive(Debug, PartialEq)]
pub(crate) struct Resume {
    /// What it is given; nothing where it begins at the start.
    pub(crate) state: Option<Value>,
    /// The serial of the next checkpoint.
    pub(crate) serial: u64,
    /// Of each stream, whether it is read from its start.
    pub(crate) fresh: Vec<bool>,
}

/// Puts the state together from which no stream misses anything.
pub(crate) fn resume(streams: &[Standing<'_>]) -> Result<Resume> {
    let kept: Vec<Option<Kept>> = streams
        .iter()
        .map(|stream| stream.resume.map(Kept::read).transpose())
        .collect::<Result<_>>()?;
    let serial = kept.iter().flatten().map(|kept| kept.serial + 1).max().unwrap_or(1);
    let from_start = |fresh| Resume { state: None, serial, fresh: vec![fresh; streams.len()] };
    let Some(oldest) = kept.iter().flatten().min_by_key(|kept| kept.serial) else {
        return Ok(from_start(true));
    };
    // A whole read that came to its end is not gone on with.
    let goes_on = |stream: &Standing<'_>, kept: &Kept| !(stream.is_full && kept.ended);
    if oldest.bookmarks().is_none() {
        let any = streams
            .iter()
            .zip(&kept)
            .any(|(stream, kept)| kept.as_ref().is_some_and(|kept| goes_on(stream, kept)));
        // It cannot be taken apart, so a stream that was never read takes the others along.
        if !any || oldest.singer.is_null() || kept.iter().any(Option::is_none) {
            return Ok(from_start(true));
        }
        let state = Some(oldest.singer.clone());
        return Ok(Resume { state, serial, fresh: vec![false; streams.len()] });
    }
    let mut bookmarks = oldest.bookmarks().cloned().unwrap_or_default();
    let mut fresh = Vec::with_capacity(streams.len());
    for (stream, kept) in streams.iter().zip(&kept) {
        for name in stream.names {
            bookmarks.shift_remove(name);
        }
        let own = kept.as_ref().filter(|kept| goes_on(stream, kept)).and_then(Kept::bookmarks);
        let mut is_fresh = true;
        for name in stream.names {
            let bookmark = own.and_then(|own| own.get(name));
            if let Some(bookmark) = bookmark.filter(|bookmark| !says_nothing(bookmark)) {
                bookmarks.insert(name.to_owned(), bookmark.clone());
                is_fresh = false;
            }
        }
        fresh.push(is_fresh);
    }
    let mut state = oldest.singer.clone();
    if let Some(state) = state.as_object_mut() {
        // Some taps pass over the streams before this one, which may have to be read again.
        state.shift_remove("currently_syncing");
        state.insert("bookmarks".to_owned(), Value::Object(bookmarks));
    }
    Ok(Resume { state: Some(state), serial, fresh })
}

/// Whether a bookmark is none yet.
fn says_nothing(bookmark: &Value) -> bool {
    bookmark.is_null() || bookmark.as_object().is_some_and(Map::is_empty)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kept(serial: u64, ended: bool, singer: Value) -> Checkpoint {
        Kept { singer, serial, ended }.checkpoint().unwrap()
    }

    fn resume_of(streams: &[(&str, bool, Option<&Checkpoint>)]) -> Resume {
        let standings: Vec<Standing<'_>> = streams
            .iter()
            .map(|(name, is_full, resume)| Standing {
                names: [name, name],
                is_full: *is_full,
                resume: *resume,
            })
            .collect();
        resume(&standings).unwrap()
    }

    #[test]
    fn each_stream_goes_on_from_its_own_bookmark() {
        let early =
            kept(3, false, json!({ "bookmarks": { "a": 1, "b": 1 }, "currently_syncing": "b" }));
        let late = kept(7, false, json!({ "bookmarks": { "a": 2, "b": 2 } }));
        let resume = resume_of(&[("a", false, Some(&late)), ("b", false, Some(&early))]);
        assert_eq!(resume.state, Some(json!({ "bookmarks": { "a": 2, "b": 1 } })));
        assert_eq!((resume.serial, resume.fresh), (8, vec![false, false]));
    }

    #[test]
    fn a_stream_that_was_reset_begins_at_its_start_and_takes_no_other_along() {
        let held = kept(3, true, json!({ "bookmarks": { "a": 1, "b": 1 } }));
        let resume = resume_of(&[("a", false, None), ("b", false, Some(&held))]);
        assert_eq!(resume.state, Some(json!({ "bookmarks": { "b": 1 } })));
        assert_eq!(resume.fresh, [true, false]);
    }

    #[test]
    fn a_whole_read_goes_on_only_where_the_last_one_broke_off() {
        let broken = kept(3, false, json!({ "bookmarks": { "a": { "last_pk": 5 } } }));
        let ended = kept(3, true, json!({ "bookmarks": { "a": { "last_pk": 9 } } }));
        let go_on = resume_of(&[("a", true, Some(&broken))]);
        assert_eq!(go_on.state, Some(json!({ "bookmarks": { "a": { "last_pk": 5 } } })));
        assert_eq!(go_on.fresh, [false]);
        let anew = resume_of(&[("a", true, Some(&ended))]);
        assert_eq!((anew.state, anew.fresh), (Some(json!({ "bookmarks": {} })), vec![true]));
    }

    #[test]
    fn a_state_of_another_form_is_taken_whole_or_not_at_all() {
        let (early, late) = (kept(3, false, json!({ "at": 1 })), kept(7, true, json!({ "at": 2 })));
        let oldest = resume_of(&[("a", false, Some(&late)), ("b", false, Some(&early))]);
        assert_eq!((oldest.state, oldest.fresh), (Some(json!({ "at": 1 })), vec![false, false]));
        let new = resume_of(&[("a", false, Some(&late)), ("b", false, None)]);
        assert_eq!((new.state, new.fresh), (None, vec![true, true]));
        let whole = resume_of(&[("a", true, Some(&late))]);
        assert_eq!((whole.state, whole.fresh), (None, vec![true]));
        let silent = resume_of(&[("a", false, Some(&kept(1, true, Value::Null)))]);
        assert_eq!((silent.state, silent.serial), (None, 2));
    }

    #[test]
    fn a_checkpoint_of_something_else_is_told() {
        let other = Checkpoint { scope: Scope::Shared, version: 1, state: json!({ "at": 1 }) };
        let code = |checkpoint: &Checkpoint| Kept::read(checkpoint).unwrap_err().code();
        assert_eq!(code(&other), "E-CHECKPOINT");
        assert_eq!(code(&Checkpoint { version: 2, ..other }), "E-CHECKPOINT");
    }
}
