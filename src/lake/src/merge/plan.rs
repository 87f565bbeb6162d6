//! What a merge is asked to do, and what comes of it.

use std::sync::{Arc, Mutex};

use huiliu_sdk::WriteMode;
use huiliu_store::Balance;

use super::KeySet;
use crate::TableChange;

/// Keys collected over several commits of one read.
pub type SharedKeys = Arc<Mutex<KeySet>>;

/// How rows enter a table.
#[derive(Debug, Clone, Default)]
pub struct MergePlan {
    /// What a row does to the table.
    pub mode: WriteMode,
    /// Columns that identify a row. Not used by `append`.
    pub key: Vec<String>,
    /// Of two rows of one key in one chunk, the greater cursor wins; without one, the later row.
    /// With it, `append` does not add rows that the table has.
    pub cursor: Option<String>,
    /// A row with a lower value here than the row the table holds goes straight to history.
    pub version: Option<String>,
    /// Columns that say which rows form a case: rows of a case that the table has and this
    /// commit does not bring are deleted.
    pub group: Vec<String>,
    /// Collects the keys of the read, so that [`super::Merge::sweep`] can delete the others.
    pub seen: Option<SharedKeys>,
    /// The day of a `snapshot` read, in days since 1970.
    pub taken_on: Option<i32>,
    /// Rows of one new file, if not as many as the lake likes.
    pub file_rows: Option<i64>,
    /// Superseded rows are no versions worth keeping, because they were computed.
    pub forget: bool,
}

/// A row whose key has a null and which therefore cannot be told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnkeyedRow {
    /// File, page or table it came from.
    pub origin: String,
    /// Position there.
    pub position: u64,
    /// The key column without value.
    pub column: String,
    /// The row as it came, for the quarantine.
    pub row: Vec<(String, Option<String>)>,
}

/// What a merge wants committed.
#[derive(Debug)]
pub struct MergeResult {
    /// The changes of the current and the history table.
    pub changes: Vec<TableChange>,
    /// What became of the rows.
    pub balance: Balance,
}
