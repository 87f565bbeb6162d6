//! What a table was computed from, part by part, so that it can be said why it is computed again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use huiliu_sdk::{Error, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The file of working days among the [`FileHashes`].
pub const CALENDAR: &str = "calendar";

/// Hashes of the files that SQL reads without naming a table of the lake: the calendar
/// ([`CALENDAR`]) and the code tables (`codes.NAME`).
pub type FileHashes = BTreeMap<String, String>;

/// What something was computed from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Hashes of its own definition and of the views on the way, by name.
    pub definitions: BTreeMap<String, String>,
    /// The calendar and the code tables.
    pub files: FileHashes,
    /// The version of each stored table it reads; none for one that is not there.
    pub inputs: BTreeMap<String, Option<i64>>,
}

/// Why something is computed again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Cause {
    /// What kind of thing is another one.
    pub kind: CauseKind,
    /// Which.
    pub of: String,
}

/// What kind of thing is another one than the last time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CauseKind {
    /// It was never computed.
    New,
    /// The last time was noted in a way that cannot be read any more.
    Unknown,
    /// SQL, a reconciliation's file or a metric's definition.
    Definition,
    /// A code table, or the calendar.
    File,
    /// Rows of a table it reads.
    Input,
    /// Entities that were given time are due.
    Time,
}

impl Cause {
    pub(crate) fn new(kind: CauseKind, of: impl Into<String>) -> Self {
        Self { kind, of: of.into() }
    }
}

impl Origin {
    /// Reads what [`fmt::Display`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// What is another thing than in `last`, in order; nothing when they are equal.
    pub fn causes(&self, last: &Self) -> Vec<Cause> {
        let mut causes = Vec::new();
        note(CauseKind::Definition, &last.definitions, &self.definitions, &mut causes);
        note(CauseKind::File, &last.files, &self.files, &mut causes);
        note(CauseKind::Input, &last.inputs, &self.inputs, &mut causes);
        causes
    }
}

/// Notes the names under which the two maps hold something else.
fn note<V: PartialEq>(
    kind: CauseKind,
    last: &BTreeMap<String, V>,
    now: &BTreeMap<String, V>,
    causes: &mut Vec<Cause>,
) {
    let names: BTreeSet<&String> = last.keys().chain(now.keys()).collect();
    let differs = |name: &&String| last.get(*name) != now.get(*name);
    causes.extend(names.into_iter().filter(differs).map(|name| Cause::new(kind, name)));
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&json(self).map_err(|_| fmt::Error)?)
    }
}

/// A value that is stored as the text of its JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|e| Error::internal("an origin could not be written").cause(e))
}

/// A hash over parts of a definition, long enough to tell versions of one thing apart.
pub fn short_hash(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
        hash.update([0]);
    }
    hash.finalize()[..12].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(sql: &str, codes: &str, version: Option<i64>) -> Origin {
        let one = |name: &str, hash: &str| BTreeMap::from([(name.to_owned(), hash.to_owned())]);
        Origin {
            definitions: one("standard.items", sql),
            files: one("codes.divisions", codes),
            inputs: BTreeMap::from([("current.items".to_owned(), version)]),
        }
    }

    #[test]
    fn what_changed_is_named_by_kind() {
        let last = origin("a", "b", Some(1));
        assert!(last.causes(&last).is_empty());
        let named = |now: &Origin| -> Vec<(CauseKind, String)> {
            now.causes(&last).into_iter().map(|cause| (cause.kind, cause.of)).collect()
        };
        let input = |of: &str| (CauseKind::Input, of.to_owned());
        assert_eq!(named(&origin("a", "b", Some(2))), [input("current.items")]);
        assert_eq!(named(&origin("a", "b", None)), [input("current.items")]);
        let all = named(&origin("x", "y", Some(1)));
        assert_eq!(all[0], (CauseKind::Definition, "standard.items".to_owned()));
        assert_eq!(all[1], (CauseKind::File, "codes.divisions".to_owned()));
        let mut more = last.clone();
        more.inputs.insert("current.more".into(), Some(7));
        assert_eq!(named(&more), [input("current.more")]);
    }

    #[test]
    fn it_reads_what_it_wrote_and_nothing_else() {
        let origin = origin("a", "b", None);
        assert_eq!(Origin::parse(&origin.to_string()), Some(origin));
        assert_eq!(Origin::parse("9f86d081884c7d65"), None);
    }
}
