//! What a report says: figures, tables and charts of a period.

use serde::Serialize;

/// A report, or one letter of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    /// Its title.
    pub title: String,
    /// Who issues it.
    pub issuer: String,
    /// For whom it is; none for everybody.
    pub addressee: Option<String>,
    /// The first day, `YYYY-MM-DD`.
    pub begin: String,
    /// The last day.
    pub end: String,
    /// When it was written.
    pub written_at: String,
    /// The snapshot that its tables were read from.
    pub snapshot: i64,
    /// What stands before the sections.
    pub text: Option<String>,
    /// Its sections.
    pub sections: Vec<Section>,
}

/// A section.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Section {
    /// Its heading.
    pub title: String,
    /// A paragraph.
    pub text: Option<String>,
    /// Figures with what proves them.
    pub figures: Vec<Proved>,
    /// A table.
    pub table: Option<Table>,
    /// How the table is drawn.
    pub chart: Option<Chart>,
}

/// A figure with what proves it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Proved {
    /// The metric's key.
    pub key: String,
    /// Its name.
    pub title: String,
    /// Whose part of the figure it is; none where it is the whole.
    pub of: Option<String>,
    /// Its value; none when the denominator is zero, or before it is computed.
    pub value: Option<String>,
    /// Whether it is a per cent.
    pub is_percent: bool,
    /// What counts, and what it is counted against.
    pub parts: Option<(i64, i64)>,
    /// What it means.
    pub definition: String,
    /// The snapshot it was computed from.
    pub snapshot: Option<i64>,
    /// The seal of this very figure, or of the whole one that it is a part of.
    pub seal: Option<i64>,
}

/// A table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Table {
    /// Its columns.
    pub columns: Vec<Column>,
    /// Its rows, as many cells as there are columns.
    pub rows: Vec<Vec<Option<String>>>,
    /// What stands in its place without rows.
    pub empty: String,
    /// The snapshot that it was read from.
    pub snapshot: i64,
}

/// A column.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Column {
    /// Its heading.
    pub title: String,
    /// Digits after the point of its numbers; none for text.
    pub digits: Option<u8>,
}

/// How a table is drawn, by positions of columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Chart {
    /// Lines for trends, else lying bars for ranks.
    pub is_line: bool,
    /// Along what.
    pub x: usize,
    /// The numbers.
    pub y: Vec<usize>,
}

impl Table {
    /// The numbers of a column, nothing where there is none.
    pub(crate) fn numbers(&self, column: usize) -> Vec<Option<f64>> {
        self.rows.iter().map(|row| row.get(column)?.as_deref()?.parse().ok()).collect()
    }

    /// A cell as text.
    pub(crate) fn text(&self, row: usize, column: usize) -> &str {
        let cell = self.rows.get(row).and_then(|row| row.get(column));
        cell.and_then(Option::as_deref).unwrap_or_default()
    }
}
