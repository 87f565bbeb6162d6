//! Values as the cells of a sheet: text stays text, so that no identifier is rounded and no text
//! is run as a formula.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Date32Type, TimeUnit, TimestampMicrosecondType};
use huiliu_sdk::{Error, ErrorKind, Result};

use super::texts::{self, Kind};

/// Characters of a cell.
const MAX_TEXT: usize = 32_767;

/// Digits that Excel keeps.
const MAX_DIGITS: usize = 15;

/// Days from Excel's day 0 to 1970-01-01, and the first day that all programs count alike.
const EPOCH: f64 = 25_569.0;
const FIRST_DAY: f64 = 61.0;

/// How cells show dates and times.
pub(super) const DATE: &str = "yyyy-mm-dd";
pub(super) const TIME: &str = "yyyy-mm-dd hh:mm:ss";

/// What stands in a cell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Cell<'a> {
    /// A day as Excel counts it.
    Date(f64),
    /// A day with a part of it.
    Time(f64),
    Bool(bool),
    Number(f64),
    Text(&'a str),
}

/// The cell for the value of row `row` of a column, which is not null and is `text` as text.
pub(super) fn cell<'a>(
    array: &dyn Array,
    row: usize,
    (name, kind): &(String, Kind),
    text: &'a str,
) -> Result<Cell<'a>> {
    if let Some(moment) = moment(array, row) {
        return Ok(moment);
    }
    if *kind == Kind::Bool {
        return Ok(Cell::Bool(text == "true"));
    }
    let is_short = || {
        array.data_type().is_floating()
            || text.bytes().filter(u8::is_ascii_digit).count() <= MAX_DIGITS
    };
    let number = || text.parse::<f64>().ok().filter(|number| number.is_finite() && is_short());
    match (*kind == Kind::Number).then(number).flatten() {
        Some(number) => Ok(Cell::Number(number)),
        None => text_cell(name, text),
    }
}

/// A cell of text, if it fits in one.
pub(super) fn text_cell<'a>(column: &str, text: &'a str) -> Result<Cell<'a>> {
    if text.encode_utf16().count() > MAX_TEXT {
        return Err(texts::unfit(column, "text that is too long for a cell"));
    }
    Ok(Cell::Text(text))
}

/// The day of a date or time as Excel counts it, where it does.
fn moment(array: &dyn Array, row: usize) -> Option<Cell<'static>> {
    let (days, is_date) = match array.data_type() {
        DataType::Date32 => (f64::from(array.as_primitive::<Date32Type>().value(row)), true),
        DataType::Timestamp(TimeUnit::Microsecond, None) => {
            let micros = array.as_primitive::<TimestampMicrosecondType>().value(row);
            // Excel shows milliseconds at most; what is finer stays text.
            let millis = (micros % 1000 == 0).then_some(micros / 1000)?;
            #[allow(clippy::cast_precision_loss)] // exact within the days that Excel knows
            (millis as f64 / 86_400_000.0, false)
        }
        _ => return None,
    };
    let serial = days + EPOCH;
    if !(FIRST_DAY..2_958_466.0).contains(&serial) {
        return None;
    }
    Some(if is_date { Cell::Date(serial) } else { Cell::Time(serial) })
}

/// A sheet of a file in `format` ends at `most`, such as 256 columns.
pub(super) fn full(format: &str, most: &str, other: &str) -> Error {
    let message = format!("a sheet of an {format} file has {most} at most");
    Error::new(ErrorKind::Unsupported, "E-SHEET-LIMIT", message).hint(format!(
        "choose another `format`, such as {other}, or select less in the query that is pushed"
    ))
}
