//! Whether a file has arrived as a whole.

use chrono::{DateTime, Duration, Utc};

use crate::place::Entry;

/// Endings of files that somebody is still writing.
const UNFINISHED: [&str; 4] = [".tmp", ".part", ".partial", ".filepart"];

/// Whether the name says that the file is still being written, or belongs to an open program;
/// unless `pattern` asks for such names.
pub(crate) fn is_unfinished(name: &str, pattern: &str) -> bool {
    let ends = |ending: &&str| name.ends_with(*ending) && !pattern.ends_with(*ending);
    let starts = |start: &&str| name.starts_with(*start) && !pattern.starts_with(*start);
    UNFINISHED.iter().any(ends) || [".", "~$"].iter().any(starts)
}

/// Whether the file has stayed as it is for at least `stable`. Without a time of its last change
/// it cannot be told, so it has not.
pub(crate) fn is_settled(entry: &Entry, stable: Duration, now: DateTime<Utc>) -> bool {
    entry.changed.is_some_and(|changed| now - changed >= stable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_unfinished_files_are_known() {
        for name in ["a.csv.part", "a.tmp", ".a.csv.x1", "~$台账.xlsx", "a.csv.filepart"] {
            assert!(is_unfinished(name, "*"), "{name}");
        }
        assert!(!is_unfinished("a.csv", "*"));
        assert!(!is_unfinished("a.tmp", "*.tmp"));
    }
}
