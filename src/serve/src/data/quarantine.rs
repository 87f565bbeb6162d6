//! Rows that did not fit.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which rows in quarantine are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct QuarantineQuery {
    /// Of this stream, as `system.stream`.
    pub stream: Option<String>,
    /// Set aside by this run.
    pub run: Option<i64>,
}

/// How many rows of a stream are in quarantine for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct QuarantineCount {
    /// The stream, as `system.stream`.
    pub stream: String,
    /// The code.
    pub code: String,
    /// How many rows.
    pub rows: u64,
}

/// A row in quarantine, without its original.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct QuarantinedRow {
    /// Its number.
    pub id: i64,
    /// The run that set it aside.
    pub run: i64,
    /// The stream, as `system.stream`.
    pub stream: String,
    /// File, page or table it came from.
    pub origin: String,
    /// Position there.
    pub position: i64,
    /// Stable code.
    pub code: String,
    /// Why, without the value.
    pub reason: String,
    /// When, UTC.
    pub quarantined_at: String,
}

/// A row in quarantine with its original, masked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct QuarantineDetail {
    /// What is known of it.
    #[serde(flatten)]
    pub row: QuarantinedRow,
    /// Its columns; none when it could not be told apart into columns, and then nothing of the
    /// original is shown.
    pub columns: Option<Vec<OriginalColumn>>,
}

/// One column of an original.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct OriginalColumn {
    /// Its name.
    pub name: String,
    /// Its value; masked where it is personal, or where nothing is known of the column.
    pub value: Option<String>,
    /// Whether it is masked.
    pub is_masked: bool,
}

/// What became of rows of a stream that were tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Replayed {
    /// The stream, as `system.stream`.
    pub stream: String,
    /// The run that tried them; none when there was nothing to try.
    pub run: Option<i64>,
    /// Rows that were tried.
    pub tried: u64,
    /// Rows that are in the lake now, or were there already.
    pub settled: u64,
    /// Rows that still do not fit.
    pub kept: u64,
}
