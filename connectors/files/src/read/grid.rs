//! What CSV files and sheets have in common: rows above the header, a header in one or several
//! rows, rows that are no records.

use huiliu_sdk::{Error, ErrorKind, Result};

use crate::config::Stream;
use crate::pattern;

/// More columns than Excel has.
const MAX_COLUMNS: usize = 16_384;

/// Collects the header.
pub(super) struct Head {
    first: u32,
    rows: u32,
    names: Vec<Vec<String>>,
}

impl Head {
    pub(super) fn new(stream: &Stream) -> Self {
        Self { first: stream.header_row, rows: stream.header_rows, names: Vec::new() }
    }

    /// Looks at row `place`, counted from 1: gives the names of the columns once they are known.
    pub(super) fn take(
        &mut self,
        place: u32,
        texts: impl FnOnce() -> Result<Vec<String>>,
    ) -> Result<Option<Vec<String>>> {
        if place < self.first {
            return Ok(None);
        }
        let row = texts()?;
        if self.rows == 0 {
            return Ok(Some((1..=row.len()).map(|place| place.to_string()).collect()));
        }
        self.names.push(row);
        let is_last = place >= self.first + self.rows - 1;
        Ok(is_last.then(|| self.join()))
    }

    /// Whether row `place`, with which the header ended, is a record itself.
    pub(super) fn is_record(&self, place: u32) -> bool {
        self.rows == 0 && place >= self.first
    }

    /// The names of each column over all rows, joined with `/`; a name that spans rows counts once.
    fn join(&self) -> Vec<String> {
        let width = self.names.iter().map(Vec::len).max().unwrap_or(0);
        let name = |column: usize| {
            let mut parts: Vec<&str> = Vec::new();
            for row in &self.names {
                let part = row.get(column).map_or("", |name| name.trim());
                if !part.is_empty() && parts.last() != Some(&part) {
                    parts.push(part);
                }
            }
            parts.join("/")
        };
        (0..width).map(name).collect()
    }
}

/// Refuses names that are blank or there twice. They may be data where there is no header, so none
/// is repeated.
pub(super) fn check_names(names: &[String], file: &str) -> Result<()> {
    if names.len() > MAX_COLUMNS {
        return Err(unfit_header(format!("file {file} has more than {MAX_COLUMNS} columns")));
    }
    let mut places = std::collections::HashMap::with_capacity(names.len());
    for (index, name) in names.iter().enumerate() {
        let place = index + 1;
        if name.trim().is_empty() {
            return Err(unfit_header(format!("header {place} of file {file} is blank")));
        }
        if let Some(first) = places.insert(name.as_str(), place) {
            return Err(unfit_header(format!(
                "headers {first} and {place} of file {file} are the same"
            )));
        }
    }
    Ok(())
}

pub(super) fn unfit_header(message: String) -> Error {
    Error::new(ErrorKind::Schema, "E-HEADER", message).hint(
        "the header has to name each column once; check `header_row`, `header_rows` and \
         `delimiter`, or ask the sender",
    )
}

/// Whether the stream says that a row with this first value is no record.
pub(super) fn is_skipped(first: Option<&str>, stream: &Stream) -> bool {
    first.is_some_and(|first| stream.skip.iter().any(|skip| pattern::matches(skip, first)))
}
