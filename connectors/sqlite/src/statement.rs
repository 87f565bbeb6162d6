//! The SQL that reads a stream.

use crate::config::Stream;
use crate::cursor::Mark;
use crate::database::{column, quote};
use crate::schema::Layout;

/// What to run to read a stream; the mark to start at is bound to the first of the two.
pub(crate) struct Statements {
    /// Notes the row numbers in reading order.
    pub(crate) sort: Option<String>,
    /// Gives the rows.
    pub(crate) rows: String,
}

/// Which rows to read.
pub(crate) enum Part<'a> {
    Whole,
    /// From this mark on.
    From(&'a Mark),
    /// Between two marks, the first inclusive.
    Window,
}

/// The statements that read a part of `stream`, ordered by cursor and key.
///
/// Sorting whole rows makes SQLite write all of them to temporary files. So where rows have
/// numbers, only the numbers are sorted into a temporary table, whose own row numbers follow the
/// order, and the rows are fetched in that order. It takes a quarter of the time, and personal
/// data other than cursor and key stay where they are.
pub(crate) fn read(
    stream: &Stream,
    layout: &Layout,
    part: &Part<'_>,
    row_limit: Option<u64>,
) -> Statements {
    let table = format!("main.{}", quote(&stream.table));
    let mut columns: Vec<String> = layout.columns.iter().map(|(name, ..)| column(name)).collect();
    let rowid = layout.rowid.map(|rowid| format!("t.{rowid}"));
    columns.extend(rowid.clone());
    let columns = columns.join(", ");

    let cursor = stream.cursor.as_deref().map(column);
    let mut rest = String::new();
    match (&cursor, part) {
        (Some(cursor), Part::From(mark)) => rest += &from_mark(cursor, mark),
        (Some(cursor), Part::Window) => rest += &format!(" where {cursor} >= ? and {cursor} < ?"),
        _ => {}
    }
    let mut order: Vec<String> =
        cursor.into_iter().chain(stream.key.iter().map(|name| column(name))).collect();
    let sorted = !order.is_empty();
    order.extend(rowid.clone());
    if !order.is_empty() {
        rest += &format!(" order by {}", order.join(", "));
    }
    if let Some(limit) = row_limit {
        // One more tells whether there is more.
        rest += &format!(" limit {}", limit.saturating_add(1).min(i64::MAX.cast_unsigned()));
    }
    match rowid {
        Some(rowid) if sorted => Statements {
            sort: Some(format!(
                "create temp table reading_order as select {rowid} as r from {table} as t{rest}"
            )),
            rows: format!(
                "select {columns} from temp.reading_order as o \
                 cross join {table} as t on {rowid} = o.r order by o.rowid"
            ),
        },
        _ => Statements { sort: None, rows: format!("select {columns} from {table} as t{rest}") },
    }
}

/// Nobody can say whether a row without a cursor is new, so it is read again. The same holds for
/// numbers where the others have text: they sort before any text. The terms are ranges of their
/// own, so that an index on the cursor serves each.
fn from_mark(cursor: &str, mark: &Mark) -> String {
    let numbers = match mark {
        Mark::Text(_) => format!(" or {cursor} < ''"),
        Mark::Int(_) | Mark::Real(_) => String::new(),
    };
    let bound = if has_exclusive_bound() { ">" } else { ">=" };
    format!(" where ({cursor} {bound} ? or {cursor} is null{numbers})")
}

/// A defect that tests plant to see that they would notice it; no release has it.
fn has_exclusive_bound() -> bool {
    fail::fail_point!("defect::exclusive_cursor", |_: Option<String>| true);
    false
}
