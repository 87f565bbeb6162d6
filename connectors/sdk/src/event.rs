//! What flows from a source: schemas, rows, checkpoints, ends.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use serde::{Deserialize, Serialize};

/// Name of a stream inside its system.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct StreamId(Arc<str>);

impl From<String> for StreamId {
    fn from(name: String) -> Self {
        Self(name.into())
    }
}

impl From<StreamId> for String {
    fn from(stream: StreamId) -> Self {
        stream.0.as_ref().to_owned()
    }
}

impl StreamId {
    /// The stream called `name`.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What one row does to the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// The row is the current state of its key.
    Upsert,
    /// The key is gone.
    Delete,
}

/// What the rows of a batch do to the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ops {
    /// All rows are upserts.
    Upsert,
    /// All rows are deletes; only key columns need values.
    Delete,
    /// One operation per row, as many as the batch has rows.
    PerRow(Vec<Op>),
}

/// A row the source delivered and the connector could not turn into its columns.
#[derive(Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Position in the source (line, offset or ordinal) under [`Rows::origin`].
    pub position: u64,
    /// Stable code, such as `E-ENCODING`.
    pub code: &'static str,
    /// Why, without the value.
    pub reason: String,
    /// The row as it came, by [`crate::original`], so that it can be tried again later. The hub
    /// stores it encrypted.
    pub raw: Vec<u8>,
}

impl fmt::Debug for Rejected {
    // The original may hold personal data, so it never prints.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rejected({} {} at {})", self.code, self.reason, self.position)
    }
}

/// A batch of rows of one stream.
#[derive(Debug, Clone)]
pub struct Rows {
    /// The stream they belong to.
    pub stream: StreamId,
    /// The rows.
    pub batch: RecordBatch,
    /// What they do.
    pub ops: Ops,
    /// Where the batch came from: a file name, a page, a table.
    pub origin: Arc<str>,
    /// Position of each row under `origin`, as many as the batch has rows.
    pub positions: Vec<u64>,
    /// Rows that could not be decoded; they are read, and go to quarantine.
    pub rejected: Vec<Rejected>,
}

/// What a checkpoint covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// One stream.
    Stream(StreamId),
    /// All streams of the source together.
    Shared,
}

/// A point from which reading can go on. Opaque to the hub, which commits only here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// What it covers.
    pub scope: Scope,
    /// Version of the layout of `state`, so that old ones can be upgraded.
    pub version: u16,
    /// The connector's own notes, human-readable.
    pub state: serde_json::Value,
}

/// The note on rows whose cursor lies ahead of the source's own clock.
pub fn future_cursors(cursor: &str) -> String {
    format!(
        "`{cursor}` lies in the future in some rows; they were read, do not move the mark, and are \
         read again each time until they are corrected or their time has come"
    )
}

/// The note on rows without a cursor.
pub fn missing_cursors(cursor: &str, rows: u64) -> String {
    let (noun, verb) = if rows == 1 { ("row", "has") } else { ("rows", "have") };
    format!("{rows} {noun} {verb} no `{cursor}`; such rows are read again each time")
}

/// One step of a source.
#[derive(Debug, Clone)]
pub enum Event {
    /// The columns of the rows that follow.
    Schema(StreamId, SchemaRef),
    /// Rows.
    Rows(Rows),
    /// Keys the source holds now, for `deletes = "key_scan"` of a stream that is not read whole:
    /// a batch of the key columns under their names. Keys of all batches before the stream's end
    /// together are all keys there are.
    Keys(StreamId, RecordBatch),
    /// Everything before this may be committed.
    Checkpoint(Checkpoint),
    /// Something a person should know about this read, although it goes on. No values of rows.
    Note(StreamId, String),
    /// The stream has no more rows now.
    End {
        /// The stream.
        stream: StreamId,
        /// Whether the rows of this read are all rows the source holds.
        complete: bool,
    },
}
