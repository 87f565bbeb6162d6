//! One row of SQLite as cells: every value may be of any storage class.

use huiliu_sdk::{Cell, ColumnType, Error, Result, original};
use sqlx::sqlite::{SqliteRow, SqliteValueRef};
use sqlx::{Decode, Row, Sqlite, ValueRef};

use crate::cursor::{Class, class};
use crate::database::fault;

/// Why a row cannot be cells.
pub(crate) struct Unfit {
    pub(crate) code: &'static str,
    pub(crate) reason: String,
}

/// Text of the floats that stand in decimal columns, by column.
///
/// SQLite keeps decimals as floats; the shortest text that gives back the same float is what was
/// written, and a decimal column takes it only if it fits exactly.
pub(crate) fn decimal_texts(
    row: &SqliteRow,
    columns: &[(String, ColumnType, bool)],
) -> Result<Vec<(usize, String)>> {
    let mut texts = Vec::new();
    for (index, (_, kind, _)) in columns.iter().enumerate() {
        if !matches!(kind, ColumnType::Decimal(..)) {
            continue;
        }
        let value = raw(row, index)?;
        if !value.is_null() && class(&value) == Class::Real {
            texts.push((index, decode::<f64>(value)?.to_string()));
        }
    }
    Ok(texts)
}

/// The row's values as cells, or why it has to be refused.
pub(crate) fn cells<'r>(
    row: &'r SqliteRow,
    columns: &[(String, ColumnType, bool)],
    decimals: &'r [(usize, String)],
) -> Result<Result<Vec<Cell<'r>>, Unfit>> {
    let mut cells = Vec::with_capacity(columns.len());
    for (index, (name, kind, _)) in columns.iter().enumerate() {
        let value = raw(row, index)?;
        if value.is_null() {
            cells.push(Cell::Null);
            continue;
        }
        let is_text = matches!(kind, ColumnType::Text | ColumnType::Json);
        cells.push(match class(&value) {
            Class::Int => Cell::Int(decode(value)?),
            Class::Real => Cell::Float(decode(value)?),
            Class::Text => {
                let bytes: &[u8] = decode(value)?;
                match std::str::from_utf8(bytes) {
                    Ok(text) => Cell::Text(text),
                    Err(_) if matches!(kind, ColumnType::Binary) => Cell::Bytes(bytes),
                    Err(_) => return Ok(Err(encoding(name, "text that is not UTF-8"))),
                }
            }
            Class::Blob if is_text => return Ok(Err(encoding(name, "bytes instead of text"))),
            Class::Blob => Cell::Bytes(decode(value)?),
        });
    }
    for (index, text) in decimals {
        cells[*index] = Cell::Text(text);
    }
    Ok(Ok(cells))
}

fn encoding(column: &str, what: &str) -> Unfit {
    Unfit { code: "E-ENCODING", reason: format!("column `{column}` holds {what}") }
}

/// What quarantine keeps of a refused row: its columns as the database holds them.
pub(crate) fn render(row: &SqliteRow, columns: &[(String, ColumnType, bool)]) -> Result<Vec<u8>> {
    let mut values = Vec::with_capacity(columns.len());
    for (index, (name, ..)) in columns.iter().enumerate() {
        let value = raw(row, index)?;
        let cell = if value.is_null() {
            Cell::Null
        } else {
            match class(&value) {
                Class::Int => Cell::Int(decode(value)?),
                Class::Real => Cell::Float(decode(value)?),
                Class::Text | Class::Blob => Cell::Bytes(decode(value)?),
            }
        };
        values.push((name.as_str(), cell));
    }
    Ok(original(values))
}

/// A value as it stands in a row.
pub(crate) fn raw(row: &SqliteRow, index: usize) -> Result<SqliteValueRef<'_>> {
    row.try_get_raw(index).map_err(|cause| fault("reading a value", cause))
}

/// A value of a row in its own storage class.
pub(crate) fn decode<'r, T: Decode<'r, Sqlite>>(value: SqliteValueRef<'r>) -> Result<T> {
    // The driver fails here only when a value is asked for as two classes.
    T::decode(value).map_err(|_| Error::internal("a value changed its storage class"))
}
