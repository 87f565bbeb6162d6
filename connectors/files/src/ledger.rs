//! Which files were read, by name, size and digest, never by their time.

use std::collections::{BTreeMap, BTreeSet};

use huiliu_sdk::{Checkpoint, Error, ErrorKind, Result, Scope, StreamId};
use serde::{Deserialize, Serialize};

const VERSION: u16 = 1;

/// What identifies the content of a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Fingerprint {
    pub(crate) size: u64,
    pub(crate) sha256: String,
}

/// A file that was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Taken {
    #[serde(flatten)]
    pub(crate) content: Fingerprint,
    /// Rows it had, with those that were refused. Older notes have no counts.
    #[serde(default)]
    pub(crate) rows: u64,
    /// Rows of it that were refused.
    #[serde(default)]
    pub(crate) refused: u64,
}

/// The files that were read.
///
/// A file that is gone keeps its entry: if it came back it would be old data, and reading it
/// again could put it over newer rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ledger {
    pub(crate) files: BTreeMap<String, Taken>,
    /// Those of the last read that found any. Their receipts may still be owed, if the hub ended
    /// between its commit and the receipt.
    #[serde(default)]
    pub(crate) latest: BTreeSet<String>,
}

impl Ledger {
    pub(crate) fn of_checkpoint(checkpoint: &Checkpoint) -> Result<Self> {
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
        Self::deserialize(&checkpoint.state).map_err(|_| unknown())
    }

    pub(crate) fn holds(&self, name: &str, content: &Fingerprint) -> bool {
        self.files.get(name).is_some_and(|taken| taken.content == *content)
    }

    pub(crate) fn add(&mut self, name: &str, taken: Taken) {
        self.files.insert(name.to_owned(), taken);
        self.latest.insert(name.to_owned());
    }

    pub(crate) fn checkpoint(&self, stream: &StreamId) -> Checkpoint {
        Checkpoint {
            scope: Scope::Stream(stream.clone()),
            version: VERSION,
            state: serde_json::json!({ "files": self.files, "latest": self.latest }),
        }
    }
}
