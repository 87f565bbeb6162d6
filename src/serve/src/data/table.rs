//! Rows whose columns are known only when they are asked for.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type, as Arrow names it.
    pub data_type: String,
}

/// Rows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct Table {
    /// The columns.
    pub columns: Vec<Column>,
    /// The rows, each with a value for every column: whole numbers and truth values as such,
    /// everything else as text, nothing as null.
    pub rows: Vec<Vec<Value>>,
    /// Whether there are more rows than were asked for.
    pub is_cut: bool,
    /// The snapshot they are of.
    pub snapshot: i64,
}
