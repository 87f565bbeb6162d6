//! The columns of a file: what its header names, what the operator declares.

use huiliu_sdk::{ColumnType, Error, ErrorKind, Result};

use crate::config::Stream;
use crate::csv::Record;
use crate::encoding;

/// A column as [`huiliu_sdk::RowBuilder`] takes it: name, type, nullable.
pub(crate) type Column = (String, ColumnType, bool);

/// How the fields of a file become columns.
pub(crate) struct Layout {
    pub(crate) columns: Vec<Column>,
    /// The field of each column.
    pub(crate) fields: Vec<usize>,
    /// How many fields a record has.
    pub(crate) width: usize,
}

/// The columns of a stream that names its fields, which every file has alike.
pub(crate) fn named_columns(stream: &Stream) -> Vec<Column> {
    stream.fields.iter().map(|(name, _)| column(stream, name)).collect()
}

fn column(stream: &Stream, name: &str) -> Column {
    let declared = stream.columns.get(name);
    let kind = declared.and_then(|declared| declared.kind).unwrap_or(ColumnType::Text);
    (name.to_owned(), kind, declared.is_none_or(|declared| declared.nullable))
}

/// Lays a stream over the header of `file`.
pub(crate) fn layout(stream: &Stream, header: Option<&Record>, file: &str) -> Result<Layout> {
    let header = header
        .ok_or_else(|| unfit_header(format!("file {file} is empty and has no header line")))?;
    let names = header_names(stream, header, file)?;
    let mut columns = Vec::new();
    let mut fields = Vec::new();
    if stream.fields.is_empty() {
        for (index, name) in names.iter().enumerate() {
            columns.push(column(stream, name));
            fields.push(index);
        }
    }
    for (name, header) in &stream.fields {
        let index = names.iter().position(|found| found == header);
        fields.push(index.ok_or_else(|| missing(file, header))?);
        columns.push(column(stream, name));
    }
    for name in stream.key.iter().chain(stream.columns.keys()) {
        if !columns.iter().any(|(column, ..)| column == name) {
            return Err(missing(file, name));
        }
    }
    Ok(Layout { columns, fields, width: names.len() })
}

/// The names in the header. A file without header has data there, so none is repeated in an
/// error.
fn header_names(stream: &Stream, header: &Record, file: &str) -> Result<Vec<String>> {
    let mut names: Vec<String> = Vec::with_capacity(header.width());
    for (index, bytes) in header.fields().enumerate() {
        let place = index + 1;
        let Some(text) = encoding::field(bytes, stream.record_encoding()) else {
            return Err(Error::new(
                ErrorKind::Data,
                "E-ENCODING",
                format!("header {place} of file {file} is not {}", stream.encoding.name()),
            )
            .hint("correct `encoding` of the stream, or ask the sender"));
        };
        let name = text.trim();
        if name.is_empty() {
            return Err(unfit_header(format!("header {place} of file {file} is blank")));
        }
        if let Some(first) = names.iter().position(|taken| taken == name) {
            return Err(unfit_header(format!(
                "headers {} and {place} of file {file} are the same",
                first + 1
            )));
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

fn unfit_header(message: String) -> Error {
    Error::new(ErrorKind::Schema, "E-HEADER", message)
        .hint("the first line has to name each column once; check `delimiter` or ask the sender")
}

fn missing(file: &str, name: &str) -> Error {
    Error::new(
        ErrorKind::Schema,
        "E-COLUMN-MISSING",
        format!("the header of file {file} has no `{name}`"),
    )
    .hint("correct `fields`, `key` or `columns`, or `delimiter` and `encoding`")
}
