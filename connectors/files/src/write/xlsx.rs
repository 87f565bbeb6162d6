//! Excel: text stays text, so that no identifier is rounded and no text is run as a formula.

use std::fs::File;
use std::io::{BufWriter, Write};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Date32Type, SchemaRef, TimeUnit, TimestampMicrosecondType};
use huiliu_sdk::{Error, Result};
use rust_xlsxwriter::{Format, Workbook, Worksheet, XlsxError};

use super::texts::{self, Kind};
use super::{Rows, failed};
use crate::config::Push;
use crate::fault::over_limit;

/// Rows of a sheet; the header is one.
const MAX_ROWS: u32 = 1_048_576;

const MAX_COLUMNS: usize = 16_384;

/// Characters of a cell.
const MAX_TEXT: usize = 32_767;

/// Digits that Excel keeps.
const MAX_DIGITS: usize = 15;

/// Days from Excel's day 0 to 1970-01-01, and the first day that all programs count alike.
const EPOCH: f64 = 25_569.0;
const FIRST_DAY: f64 = 61.0;

pub(super) struct Xlsx {
    book: Workbook,
    file: BufWriter<File>,
    columns: Vec<(String, Kind)>,
    next: u32,
    date: Format,
    time: Format,
}

impl Xlsx {
    pub(super) fn new(push: &Push, schema: &SchemaRef, file: BufWriter<File>) -> Result<Self> {
        let columns = texts::columns(schema);
        if columns.len() > MAX_COLUMNS {
            return Err(over_limit(format!("a sheet has {MAX_COLUMNS} columns at most")));
        }
        let mut book = Workbook::new();
        let sheet = book.add_worksheet_with_constant_memory().map_err(broken)?;
        sheet.set_name(push.sheet.as_str()).map_err(broken)?;
        for (index, (name, _)) in columns.iter().enumerate() {
            sheet.write_string(0, column(index), name.as_str()).map_err(broken)?;
        }
        let date = Format::new().set_num_format("yyyy-mm-dd");
        let time = Format::new().set_num_format("yyyy-mm-dd hh:mm:ss");
        Ok(Self { book, file, columns, next: 1, date, time })
    }
}

fn column(index: usize) -> u16 {
    u16::try_from(index).unwrap_or(u16::MAX)
}

fn broken(cause: XlsxError) -> Error {
    Error::internal("an Excel file could not be written").cause(cause)
}

/// The day of a date or time as Excel counts it, where it does.
fn serial(array: &dyn Array, row: usize) -> Option<(f64, bool)> {
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
    (FIRST_DAY..2_958_466.0).contains(&serial).then_some((serial, is_date))
}

impl Rows for Xlsx {
    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let Self { book, columns, next, date, time, .. } = self;
        let sheet: &mut Worksheet = book.worksheet_from_index(0).map_err(broken)?;
        let mut row = 0;
        texts::each_row(batch, |values| {
            if *next >= MAX_ROWS {
                return Err(over_limit(format!("a sheet has {MAX_ROWS} rows at most")));
            }
            for (index, text) in values.iter().enumerate() {
                let Some(text) = text else { continue };
                let (name, kind) = &columns[index];
                let at = column(index);
                let is_short = batch.column(index).data_type().is_floating()
                    || text.bytes().filter(u8::is_ascii_digit).count() <= MAX_DIGITS;
                let number = || text.parse::<f64>().ok().filter(|n| n.is_finite() && is_short);
                if let Some((serial, is_date)) = serial(batch.column(index), row) {
                    let format = if is_date { &*date } else { &*time };
                    sheet.write_number_with_format(*next, at, serial, format).map_err(broken)?;
                } else if *kind == Kind::Bool {
                    sheet.write_boolean(*next, at, text == "true").map_err(broken)?;
                } else if let Some(number) = (*kind == Kind::Number).then(number).flatten() {
                    sheet.write_number(*next, at, number).map_err(broken)?;
                } else {
                    if text.encode_utf16().count() > MAX_TEXT {
                        return Err(texts::unfit(name, "text that is too long for a cell"));
                    }
                    sheet.write_string(*next, at, text.as_str()).map_err(broken)?;
                }
            }
            *next += 1;
            row += 1;
            Ok(())
        })
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.book.save_to_writer(&mut self.file).map_err(broken)?;
        self.file.flush().map_err(failed)
    }
}
