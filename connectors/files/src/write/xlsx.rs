//! Excel since 2007.

use std::fs::File;
use std::io::{BufWriter, Write};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use huiliu_sdk::{Error, Result};
use rust_xlsxwriter::{Format, Workbook, Worksheet, XlsxError};

use super::cells::{self, Cell};
use super::texts::{self, Kind};
use super::{Rows, failed};
use crate::config::Push;

/// Rows of a sheet; the header is one.
const MAX_ROWS: u32 = 1_048_576;

const MAX_COLUMNS: usize = 16_384;

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
            return Err(full("16,384 columns"));
        }
        let mut book = Workbook::new();
        let sheet = book.add_worksheet_with_constant_memory().map_err(broken)?;
        sheet.set_name(push.sheet.as_str()).map_err(broken)?;
        for (index, (name, _)) in columns.iter().enumerate() {
            sheet.write_string(0, column(index), name.as_str()).map_err(broken)?;
        }
        let date = Format::new().set_num_format(cells::DATE);
        let time = Format::new().set_num_format(cells::TIME);
        Ok(Self { book, file, columns, next: 1, date, time })
    }
}

fn column(index: usize) -> u16 {
    u16::try_from(index).unwrap_or(u16::MAX)
}

fn broken(cause: XlsxError) -> Error {
    Error::internal("an Excel file could not be written").cause(cause)
}

fn full(most: &str) -> Error {
    cells::full("xlsx", most, "csv or parquet")
}

impl Rows for Xlsx {
    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let Self { book, columns, next, date, time, .. } = self;
        let sheet: &mut Worksheet = book.worksheet_from_index(0).map_err(broken)?;
        let mut row = 0;
        texts::each_row(batch, |values| {
            if *next >= MAX_ROWS {
                return Err(full("1,048,576 rows, of which its header is one,"));
            }
            for (index, text) in values.iter().enumerate() {
                let Some(text) = text else { continue };
                let at = column(index);
                let written = match cells::cell(batch.column(index), row, &columns[index], text)? {
                    Cell::Date(day) => sheet.write_number_with_format(*next, at, day, date),
                    Cell::Time(day) => sheet.write_number_with_format(*next, at, day, time),
                    Cell::Bool(value) => sheet.write_boolean(*next, at, value),
                    Cell::Number(number) => sheet.write_number(*next, at, number),
                    Cell::Text(text) => sheet.write_string(*next, at, text),
                };
                written.map_err(broken)?;
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
