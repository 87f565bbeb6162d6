//! Sheets of a workbook as offices keep them: a title, a header in two rows, a total, a note.

use huiliu_sdk::{Error, Result};
use rust_xlsxwriter::{Format, Workbook, Worksheet, XlsxError};

/// The number that Excel has for the first day of our calendar, 2017-01-01.
const FIRST_DAY: u32 = 42_736;

/// What stands in a cell.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Nothing,
    Text(String),
    Number(u32),
    /// A day of our calendar, kept as Excel keeps dates.
    Day(u32),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// A sheet that grows row by row.
pub(super) struct Sheet<'b> {
    sheet: &'b mut Worksheet,
    next: u32,
    plain: Format,
    date: Format,
}

impl<'b> Sheet<'b> {
    /// A sheet with a title over its header. A header `上/下` stands in two rows, and equal upper
    /// parts side by side are one cell.
    pub(super) fn new(
        book: &'b mut Workbook,
        name: &str,
        title: &str,
        headers: &[&str],
    ) -> Result<Self> {
        let sheet = book.add_worksheet();
        let plain = Format::new();
        let last = column(headers.len()) - 1;
        sheet.set_name(name).map_err(broken)?;
        sheet.merge_range(0, 0, 0, last, title, &plain).map_err(broken)?;
        let has_two = headers.iter().any(|header| header.contains('/'));
        let mut index = 0;
        while index < headers.len() {
            let at = column(index);
            let Some((upper, _)) = headers[index].split_once('/') else {
                let header = headers[index];
                if has_two {
                    sheet.merge_range(1, at, 2, at, header, &plain).map_err(broken)?;
                } else {
                    sheet.write_string(1, at, header).map_err(broken)?;
                }
                index += 1;
                continue;
            };
            let parts = headers[index..].iter().take_while(|header| {
                header.split_once('/').is_some_and(|(other, _)| other == upper)
            });
            let width = parts.count();
            if width > 1 {
                let end = column(index + width - 1);
                sheet.merge_range(1, at, 1, end, upper, &plain).map_err(broken)?;
            } else {
                sheet.write_string(1, at, upper).map_err(broken)?;
            }
            for (place, header) in (index..).zip(&headers[index..index + width]) {
                let lower = header.split_once('/').map_or("", |(_, lower)| lower);
                sheet.write_string(2, column(place), lower).map_err(broken)?;
            }
            index += width;
        }
        let date = Format::new().set_num_format("yyyy-mm-dd");
        Ok(Self { sheet, next: if has_two { 3 } else { 2 }, plain, date })
    }

    /// Adds a row.
    pub(super) fn row(&mut self, values: &[Value]) -> Result<()> {
        for (index, value) in values.iter().enumerate() {
            let (row, at) = (self.next, column(index));
            match value {
                Value::Nothing => continue,
                Value::Text(text) => self.sheet.write_string(row, at, text.as_str()),
                Value::Number(number) => self.sheet.write_number(row, at, *number),
                Value::Day(day) => {
                    self.sheet.write_number_with_format(row, at, day + FIRST_DAY, &self.date)
                }
            }
            .map_err(broken)?;
        }
        self.next += 1;
        Ok(())
    }

    /// Joins the first cells of the last `rows` rows, which begin with `text`.
    pub(super) fn join_first(&mut self, rows: u32, text: &str) -> Result<()> {
        if rows > 1 {
            let first = self.next - rows;
            self.sheet
                .merge_range(first, 0, self.next - 1, 0, text, &self.plain)
                .map_err(broken)?;
        }
        Ok(())
    }

    /// Ends the sheet with its total and a note.
    pub(super) fn end(mut self, total: u32, note: &str) -> Result<()> {
        self.row(&["合计".into(), Value::Number(total)])?;
        self.row(&[format!("注：{note}").into()])
    }
}

fn column(index: usize) -> u16 {
    u16::try_from(index).unwrap_or(u16::MAX)
}

/// An error of the library that writes workbooks.
pub(super) fn broken(cause: XlsxError) -> Error {
    Error::internal("a workbook of the city could not be written").cause(cause)
}
