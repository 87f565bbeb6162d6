//! A sheet of a workbook, whatever the version: merged cells, the header, values as Excel has them.

use std::borrow::Cow;
use std::ops::ControlFlow;

use huiliu_sdk::{Cell, ColumnType, Error, ErrorKind, ROW_BYTES, Result};

use super::grid::{self, Head};
use super::{Flow, Raw, Receiver, Refusal, untyped};
use crate::config::Stream;
use crate::fault::over_limit;
use crate::pattern;

mod moment;
mod shared;

use moment::moment;
pub(super) use moment::{Shown, shown_by_code, shown_by_number};
pub(super) use shared::Shared;

const MAX_MERGES: usize = 200_000;

/// From here on a number has more digits than Excel keeps.
const ROUNDED: f64 = 1e15;

/// What stands in a cell.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Empty,
    Text(String),
    Number(f64),
    /// A number that is shown as a date, a time, or both.
    Moment(f64, Shown),
    Bool(bool),
    /// An error of a formula, such as `#N/A`.
    Error,
    /// A formula whose result was not stored.
    Uncomputed,
}

impl Value {
    fn is_blank(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Text(text) => text.trim().is_empty(),
            _ => false,
        }
    }
}

/// Adds the text of one more cell to the bytes of row `row`, counted from 0, which a row may have
/// only so many of.
pub(super) fn grow(size: &mut usize, value: &Value, row: u32, file: &str) -> Result<()> {
    if let Value::Text(text) = value {
        *size += text.len();
    }
    if *size > ROW_BYTES {
        let place = row.saturating_add(1);
        return Err(over_limit(format!("row {place} of file {file} is longer than 64 MiB")));
    }
    Ok(())
}

/// A number as it would be typed.
fn number(value: f64) -> String {
    if value == 0.0 { "0".into() } else { value.to_string() }
}

/// Cells that are joined: rows and columns, counted from 0, and the value once it was met.
pub(super) struct Merge {
    pub(super) rows: (u32, u32),
    pub(super) columns: (u32, u32),
    pub(super) value: Option<Value>,
}

/// Refuses more joined cells than an honest sheet has.
pub(super) fn check_merges(merges: &[Merge], file: &str) -> Result<()> {
    if merges.len() > MAX_MERGES {
        return Err(over_limit(format!("file {file} has over {MAX_MERGES} joined cells")));
    }
    Ok(())
}

/// Takes the rows of a sheet.
pub(super) struct Sheet<'a> {
    file: &'a str,
    stream: &'a Stream,
    receiver: &'a mut dyn Receiver,
    from_1904: bool,
    /// By their first row; those before `next` have begun.
    merges: Vec<Merge>,
    next: usize,
    active: Vec<usize>,
    head: Head,
    /// The name of each column, if it has one.
    names: Option<Vec<Option<String>>>,
}

impl<'a> Sheet<'a> {
    pub(super) fn new(
        file: &'a str,
        stream: &'a Stream,
        receiver: &'a mut dyn Receiver,
        from_1904: bool,
        mut merges: Vec<Merge>,
    ) -> Self {
        merges.sort_by_key(|merge| merge.rows.0);
        let head = Head::new(stream);
        Self {
            file,
            stream,
            receiver,
            from_1904,
            merges,
            next: 0,
            active: Vec::new(),
            head,
            names: None,
        }
    }

    /// Takes row `row`, counted from 0.
    pub(super) fn row(&mut self, row: u32, mut values: Vec<Value>) -> Flow {
        self.fill(row, &mut values)?;
        let place = row.saturating_add(1);
        if self.names.is_none() {
            if values.iter().all(Value::is_blank) && self.stream.header_rows < 2 {
                return Ok(ControlFlow::Continue(()));
            }
            let texts: Vec<String> = values.iter().map(|value| self.text(value)).collect();
            let Some(names) = self.head.take(place, || Ok(texts))? else {
                return Ok(ControlFlow::Continue(()));
            };
            self.announce(names)?;
            if self.head.is_record(place) {
                return self.give(place, &values);
            }
            return Ok(ControlFlow::Continue(()));
        }
        if values.iter().all(Value::is_blank) {
            return Ok(ControlFlow::Continue(()));
        }
        if !self.stream.skip.is_empty() {
            let first = values.iter().find(|value| !value.is_blank());
            let first = first.map(|value| self.text(value));
            if grid::is_skipped(first.as_deref().map(str::trim), self.stream) {
                self.receiver.skipped(u64::from(place));
                return Ok(ControlFlow::Continue(()));
            }
        }
        self.give(place, &values)
    }

    /// All rows were taken.
    pub(super) fn finish(self) -> Flow {
        if self.names.is_none() {
            let file = self.file;
            return Err(grid::unfit_header(format!("the sheet of file {file} has no header")));
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Puts the value of joined cells into each of them.
    fn fill(&mut self, row: u32, values: &mut Vec<Value>) -> Result<()> {
        while self.merges.get(self.next).is_some_and(|merge| merge.rows.0 <= row) {
            self.active.push(self.next);
            self.next += 1;
        }
        let merges = &mut self.merges;
        self.active.retain(|at| {
            let is_active = merges[*at].rows.1 >= row;
            if !is_active {
                merges[*at].value = None;
            }
            is_active
        });
        let (mut size, mut joined) = (0, 0);
        for value in &*values {
            grow(&mut size, value, row, self.file)?;
        }
        for at in &self.active {
            let merge = &mut merges[*at];
            let (left, right) = (merge.columns.0 as usize, merge.columns.1 as usize);
            if merge.rows.0 == row {
                merge.value = values.get(left).cloned();
            }
            let Some(value) = merge.value.clone().filter(|value| !value.is_blank()) else {
                continue;
            };
            // Joined cells that overlap are held without a place in the row.
            grow(&mut joined, &value, row, self.file)?;
            if values.len() <= right {
                values.resize(right + 1, Value::Empty);
            }
            for cell in &mut values[left..=right] {
                if *cell == Value::Empty {
                    grow(&mut size, &value, row, self.file)?;
                    *cell = value.clone();
                }
            }
        }
        Ok(())
    }

    fn announce(&mut self, mut names: Vec<String>) -> Result<()> {
        while names.last().is_some_and(|name| name.trim().is_empty()) {
            names.pop();
        }
        let given: Vec<String> = names.iter().filter(|n| !n.trim().is_empty()).cloned().collect();
        if given.is_empty() {
            let file = self.file;
            return Err(grid::unfit_header(format!("the header of file {file} is blank")));
        }
        grid::check_names(&given, self.file)?;
        self.receiver.header(&untyped(given))?;
        let named = |name: String| Some(name).filter(|name| !name.trim().is_empty());
        self.names = Some(names.into_iter().map(named).collect());
        Ok(())
    }

    fn text(&self, value: &Value) -> String {
        match value {
            Value::Empty | Value::Error | Value::Uncomputed => String::new(),
            Value::Text(text) => text.trim().to_owned(),
            Value::Number(value) => number(*value),
            Value::Moment(value, shown) => {
                moment(*value, *shown, self.from_1904).unwrap_or_else(|| number(*value))
            }
            Value::Bool(value) => value.to_string(),
        }
    }

    fn give(&mut self, place: u32, values: &[Value]) -> Flow {
        let names = self.names.as_deref().unwrap_or_default();
        let mut refusal = None;
        let mut texts: Vec<Option<Cow<'_, str>>> = Vec::with_capacity(names.len());
        for (column, name) in names.iter().enumerate() {
            let value = values.get(column).unwrap_or(&Value::Empty);
            let Some(name) = name else {
                if !value.is_blank() {
                    refusal.get_or_insert_with(|| unnamed(column));
                }
                continue;
            };
            let kind = self.stream.kind_of(name);
            match convert(value, kind, self.from_1904) {
                Ok(text) => texts.push(text),
                Err((code, reason)) => {
                    refusal.get_or_insert((code, format!("column `{name}`: {reason}")));
                    texts.push(Some(self.text(value).into()));
                }
            }
        }
        let beyond = (names.len()..values.len()).find(|column| !values[*column].is_blank());
        if let Some(column) = beyond {
            refusal.get_or_insert_with(|| unnamed(column));
        }
        let null = self.stream.null.as_deref();
        let cells: Vec<Cell<'_>> = texts
            .iter()
            .map(|text| match text {
                Some(text) if Some(&**text) != null => Cell::Text(text),
                _ => Cell::Null,
            })
            .collect();
        match refusal {
            None => self.receiver.row(u64::from(place), &cells),
            Some(refusal) => self.receiver.refused(u64::from(place), refusal, Raw::Cells(&cells)),
        }
    }
}

/// A value as text in the form in which columns of all types read it.
fn convert(
    value: &Value,
    kind: Option<ColumnType>,
    from_1904: bool,
) -> Result<Option<Cow<'_, str>>, Refusal> {
    Ok(Some(match value {
        Value::Empty => return Ok(None),
        Value::Text(text) => text.as_str().into(),
        Value::Bool(value) => value.to_string().into(),
        Value::Number(value) if value.abs() >= ROUNDED && kind != Some(ColumnType::Float) => {
            let reason = "a number of more digits than Excel keeps; the last ones were lost".into();
            return Err(("E-EXCEL-ROUNDED", reason));
        }
        Value::Number(value) => number(*value).into(),
        Value::Moment(serial, shown) => moment(*serial, *shown, from_1904)
            .ok_or_else(|| ("E-RANGE", "a date that Excel does not know".to_owned()))?
            .into(),
        Value::Error => {
            return Err(("E-EXCEL-ERROR", "an error of a formula in place of a value".into()));
        }
        Value::Uncomputed => {
            return Err(("E-EXCEL-ERROR", "a formula whose result was not stored".into()));
        }
    }))
}

fn unnamed(column: usize) -> Refusal {
    ("E-RAGGED", format!("a value in column {}, which has no header", letters(column)))
}

/// The letters of a column, counted from 0.
fn letters(column: usize) -> String {
    let mut letters = Vec::new();
    let mut left = column + 1;
    while left > 0 {
        let digit = u8::try_from((left - 1) % 26).unwrap_or_default();
        letters.push(char::from(b'A' + digit));
        left = (left - 1) / 26;
    }
    letters.iter().rev().collect()
}

/// The place of the sheet that the stream asks for, among sheets of a name that are hidden or not.
pub(super) fn choose(sheets: &[(String, bool)], stream: &Stream, file: &str) -> Result<usize> {
    let unknown = |what: String| {
        Error::new(ErrorKind::Schema, "E-SHEET", format!("file {file} {what}"))
            .hint("let `sheet` be the name of one, a pattern of it, or its place such as #2")
    };
    let Some(wanted) = stream.sheet.as_deref() else {
        let first = sheets.iter().position(|(_, hidden)| !hidden);
        return first.ok_or_else(|| unknown("has no sheet that is not hidden".into()));
    };
    if let Some(place) = wanted.strip_prefix('#').and_then(|place| place.parse::<usize>().ok()) {
        let count = sheets.len();
        return (1..=count)
            .contains(&place)
            .then(|| place - 1)
            .ok_or_else(|| unknown(format!("has {count} sheets, and none at #{place}")));
    }
    if let Some(exact) = sheets.iter().position(|(name, _)| name == wanted) {
        return Ok(exact);
    }
    let fitting: Vec<usize> =
        (0..sheets.len()).filter(|at| pattern::matches(wanted, &sheets[*at].0)).collect();
    match fitting.as_slice() {
        [one] => Ok(*one),
        [] => Err(unknown(format!("has no sheet `{wanted}`"))),
        several => Err(unknown(format!("has {} sheets that fit `{wanted}`", several.len()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_have_letters() {
        for (column, name) in [(0, "A"), (25, "Z"), (26, "AA"), (701, "ZZ"), (16_383, "XFD")] {
            assert_eq!(letters(column), name);
        }
    }
}
