//! From the content of a file to rows, whatever its format.

use std::ops::ControlFlow;

use huiliu_sdk::{Cell, ColumnType, Result};

use crate::config::{Format, Stream};
use crate::content::Content;

mod arrow;
mod columnar;
mod csv;
mod grid;
mod json;
mod keyed;
mod parquet;
mod sheet;
mod xls;
mod xlsx;
mod xml;

/// A field that every row of a file has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: String,
    /// Its type, where the file says.
    pub(crate) kind: Option<ColumnType>,
}

/// Why a row is refused: a stable code, and the reason without the value.
pub(crate) type Refusal = (&'static str, String);

/// What is kept of a refused row.
pub(crate) enum Raw<'a> {
    /// One cell for each field.
    Cells(&'a [Cell<'a>]),
    /// The row as it stands in the file.
    Line(&'a [u8]),
}

/// Whether to go on.
pub(crate) type Flow = Result<ControlFlow<()>>;

/// Takes what a file holds.
pub(crate) trait Receiver {
    /// The fields of the rows that follow. A header is no row.
    fn header(&mut self, fields: &[Field]) -> Result<()>;

    /// A row, with one cell for each field.
    fn row(&mut self, position: u64, cells: &[Cell<'_>]) -> Flow;

    /// A row that cannot be read.
    fn refused(&mut self, position: u64, refusal: Refusal, raw: Raw<'_>) -> Flow;

    /// A row that the stream says is no record.
    fn skipped(&mut self, _position: u64) {}

    /// Something a person should know about the file.
    fn note(&mut self, _note: String) {}
}

/// Reads one content as the stream says.
pub(crate) fn read(content: &Content<'_>, stream: &Stream, receiver: &mut dyn Receiver) -> Flow {
    match stream.format {
        Format::Csv => csv::read(content, stream, receiver),
        Format::Xlsx => xlsx::read(content, stream, receiver),
        Format::Xls => xls::read(content, stream, receiver),
        Format::Json => json::read(content, stream, receiver),
        Format::Ndjson => json::read_lines(content, stream, receiver),
        Format::Xml => xml::read(content, stream, receiver),
        Format::Parquet => parquet::read(content, stream, receiver),
        Format::Arrow => arrow::read(content, stream, receiver),
    }
}

/// Fields without types.
pub(crate) fn untyped(names: Vec<String>) -> Vec<Field> {
    names.into_iter().map(|name| Field { name, kind: None }).collect()
}
