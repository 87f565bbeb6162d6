//! The columns of a file: what it names, what the operator declares.

use huiliu_sdk::{ColumnType, Error, ErrorKind, Result};

use crate::config::{Format, Stream};
use crate::read::Field;

/// A column as [`huiliu_sdk::RowBuilder`] takes it: name, type, nullable.
pub(crate) type Column = (String, ColumnType, bool);

/// How the fields of a file become columns.
pub(crate) struct Layout {
    pub(crate) columns: Vec<Column>,
    /// The field of each column.
    pub(crate) fields: Vec<usize>,
}

/// The columns that every file of a stream has alike, if that is known before the first file.
pub(crate) fn named_columns(stream: &Stream) -> Option<Vec<Column>> {
    // Files of these formats have types of their own.
    let is_typed = matches!(stream.format, Format::Parquet | Format::Arrow);
    if stream.fields.is_empty() || is_typed {
        return None;
    }
    Some(stream.fields.iter().map(|(name, _)| column(stream, name, None)).collect())
}

fn column(stream: &Stream, name: &str, kind: Option<ColumnType>) -> Column {
    let declared = stream.columns.get(name);
    let kind = declared.and_then(|declared| declared.kind).or(kind).unwrap_or(ColumnType::Text);
    (name.to_owned(), kind, declared.is_none_or(|declared| declared.nullable))
}

/// Lays a stream over the fields of `file`.
pub(crate) fn layout(stream: &Stream, found: &[Field], file: &str) -> Result<Layout> {
    let mut columns = Vec::new();
    let mut fields = Vec::new();
    if stream.fields.is_empty() {
        for (index, field) in found.iter().enumerate() {
            columns.push(column(stream, &field.name, field.kind));
            fields.push(index);
        }
    }
    for (name, header) in &stream.fields {
        let index = found.iter().position(|field| field.name == *header);
        let index = index.ok_or_else(|| missing(file, header))?;
        fields.push(index);
        columns.push(column(stream, name, found[index].kind));
    }
    for name in stream.key.iter().chain(stream.columns.keys()) {
        if !columns.iter().any(|(column, ..)| column == name) {
            return Err(missing(file, name));
        }
    }
    Ok(Layout { columns, fields })
}

fn missing(file: &str, name: &str) -> Error {
    Error::new(
        ErrorKind::Schema,
        "E-COLUMN-MISSING",
        format!("the header of file {file} has no `{name}`"),
    )
    .hint("correct `fields`, `key` or `columns`, or `header_row`, `delimiter` and `encoding`")
}
