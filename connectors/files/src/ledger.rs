//! Which files were read, by name, size and digest.

use std::collections::BTreeMap;

use huiliu_sdk::{Checkpoint, Error, ErrorKind, Result, Scope, StreamId};
use serde::{Deserialize, Serialize};

const VERSION: u16 = 1;

/// What identifies the content of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fingerprint {
    pub(crate) size: u64,
    pub(crate) sha256: String,
}

/// The files that were read.
///
/// A file that is gone keeps its entry: if it came back it would be old data, and reading it
/// again could put it over newer rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ledger {
    files: BTreeMap<String, Fingerprint>,
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

    pub(crate) fn holds(&self, name: &str, fingerprint: &Fingerprint) -> bool {
        self.files.get(name) == Some(fingerprint)
    }

    pub(crate) fn add(&mut self, name: &str, fingerprint: Fingerprint) {
        self.files.insert(name.to_owned(), fingerprint);
    }

    pub(crate) fn checkpoint(&self, stream: &StreamId) -> Checkpoint {
        Checkpoint {
            scope: Scope::Stream(stream.clone()),
            version: VERSION,
            state: serde_json::json!({ "files": self.files }),
        }
    }
}
