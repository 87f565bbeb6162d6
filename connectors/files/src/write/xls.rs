//! Excel 97 to 2003: records of the `Workbook` stream, in the container of old Office files. Cells
//! and texts wait on disk, because where the sheet begins is known only when all texts are.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use huiliu_sdk::{Error, Result};

use super::cells::{self, Cell};
use super::texts::{self, Kind};
use super::{Output, Rows, failed};
use crate::config::Push;

mod compound;
mod shared;

use shared::Texts;

const MAX_COLUMNS: usize = 256;

/// Bytes of the cells and texts of a sheet; the container ends at 2 GiB.
const MAX_BYTES: u64 = (2 << 30) - (1 << 20);

/// The end of a part of the stream.
const END: &[u8] = &[0x0a, 0, 0, 0];

/// Styles of cells. Fifteen that Excel asks for stand before them.
const PLAIN: u16 = 15;
const DATE: u16 = 16;
const TIME: u16 = 17;

/// The first numbers of formats that are no built-in ones.
const DATE_FORMAT: u16 = 164;
const TIME_FORMAT: u16 = 165;

pub(super) struct Xls {
    output: Output,
    name: String,
    columns: Vec<(String, Kind)>,
    next: u32,
    cells: Spool,
    texts: Texts,
}

impl Xls {
    pub(super) fn new(push: &Push, schema: &SchemaRef, output: Output) -> Result<Self> {
        let columns = texts::columns(schema);
        if columns.len() > MAX_COLUMNS {
            return Err(full("256 columns"));
        }
        let cells = Spool::new().map_err(failed)?;
        let texts = Texts::new().map_err(failed)?;
        let name = push.sheet.clone();
        let mut xls = Self { output, name, columns: Vec::new(), next: 1, cells, texts };
        for (index, (name, _)) in columns.iter().enumerate() {
            xls.put(0, index, cells::text_cell("header", name)?).map_err(failed)?;
        }
        xls.columns = columns;
        Ok(xls)
    }

    fn put(&mut self, row: u16, column: usize, cell: Cell<'_>) -> io::Result<()> {
        let column = u16::try_from(column).map_err(io::Error::other)?;
        let (kind, style, value) = match cell {
            // As in any workbook, the empty text is no value.
            Cell::Text("") => return Ok(()),
            Cell::Text(text) => (0x00fd, PLAIN, self.texts.place(text)?.to_le_bytes().to_vec()),
            Cell::Bool(value) => (0x0205, PLAIN, vec![u8::from(value), 0]),
            Cell::Number(number) => (0x0203, PLAIN, number.to_le_bytes().to_vec()),
            Cell::Date(day) => (0x0203, DATE, day.to_le_bytes().to_vec()),
            Cell::Time(day) => (0x0203, TIME, day.to_le_bytes().to_vec()),
        };
        let mut data = halves(&[row, column, style]);
        data.extend(value);
        record(&mut self.cells, kind, &data)
    }

    fn close(self) -> io::Result<()> {
        let Self { mut output, name, columns, next, cells, texts } = self;
        let texts = texts.finish()?;
        let (top, bottom) = sheet(columns.len(), next)?;
        // The place of the sheet takes as many bytes whatever it is.
        let start = count(&globals(&name, 0)?) + texts.length + count(END);
        let globals = globals(&name, u32::try_from(start).map_err(io::Error::other)?)?;
        let size = start + count(&top) + cells.length + count(&bottom);
        let stream = globals
            .as_slice()
            .chain(texts.read()?)
            .chain(END)
            .chain(top.as_slice())
            .chain(cells.read()?)
            .chain(bottom.as_slice());
        compound::write(&mut output, stream, size)?;
        output.close()
    }
}

impl Rows for Xls {
    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut row = 0;
        texts::each_row(batch, |values| {
            let Ok(at) = u16::try_from(self.next) else {
                return Err(full("65,536 rows, of which its header is one,"));
            };
            for (index, text) in values.iter().enumerate() {
                let Some(text) = text else { continue };
                let cell = cells::cell(batch.column(index), row, &self.columns[index], text)?;
                self.put(at, index, cell).map_err(failed)?;
            }
            if self.cells.length + self.texts.length() > MAX_BYTES {
                return Err(full("2,047 MiB"));
            }
            self.next += 1;
            row += 1;
            Ok(())
        })
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.close().map_err(failed)
    }
}

fn full(most: &str) -> Error {
    cells::full("xls", most, "xlsx or csv")
}

/// What waits on disk for its place in the file.
struct Spool {
    file: BufWriter<File>,
    length: u64,
}

impl Spool {
    fn new() -> io::Result<Self> {
        let file = BufWriter::with_capacity(64 << 10, tempfile::tempfile()?);
        Ok(Self { file, length: 0 })
    }

    /// All of it, from the start.
    fn read(mut self) -> io::Result<BufReader<File>> {
        self.file.rewind()?;
        Ok(BufReader::with_capacity(64 << 10, self.file.into_inner()?))
    }
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Writes one record.
fn record(output: &mut impl Write, kind: u16, data: &[u8]) -> io::Result<()> {
    let length = u16::try_from(data.len()).map_err(io::Error::other)?;
    output.write_all(&halves(&[kind, length]))?;
    output.write_all(data)
}

fn halves(values: &[u16]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn count(bytes: &[u8]) -> u64 {
    bytes.len() as u64
}

/// A text whose characters have two bytes each, after the byte that says so.
fn wide(text: &str) -> Vec<u8> {
    let mut bytes = vec![1];
    bytes.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
    bytes
}

/// A text whose length is one byte.
fn short(text: &str) -> io::Result<Vec<u8>> {
    let length = u8::try_from(text.encode_utf16().count()).map_err(io::Error::other)?;
    Ok([vec![length], wide(text)].concat())
}

/// The begin of a part of the stream: written as Excel 97 does, for all later ones.
fn begin(part: u16) -> Vec<u8> {
    halves(&[0x0600, part, 0x0dbb, 0x07cc, 0x0041, 0, 0x0006, 0])
}

/// What the whole workbook has, up to its texts; its only sheet begins at `start`.
fn globals(sheet: &str, start: u32) -> io::Result<Vec<u8>> {
    let mut book = Vec::new();
    let into = &mut book;
    record(into, 0x0809, &begin(0x0005))?;
    // Text is UTF-16.
    record(into, 0x0042, &halves(&[1200]))?;
    // One window, which shows the first sheet.
    record(into, 0x003d, &halves(&[0, 0, 0x4000, 0x2000, 0x0038, 0, 0, 1, 600]))?;
    // Days are counted from 1900.
    record(into, 0x0022, &halves(&[0]))?;
    let mut font = halves(&[200, 0, 0x7fff, 400, 0, 0, 0]);
    font.extend(short("Arial")?);
    // Number 4 does not exist, so the four before it do.
    for _ in 0..4 {
        record(into, 0x0031, &font)?;
    }
    for (number, code) in [(DATE_FORMAT, cells::DATE), (TIME_FORMAT, cells::TIME)] {
        let length = u16::try_from(code.len()).map_err(io::Error::other)?;
        let format = [halves(&[number, length]), wide(code)].concat();
        record(into, 0x041e, &format)?;
    }
    // How many, their format, what they are, and what of them counts.
    for (times, format, is, counts) in [
        (1, 0, 0xfff5, 0),
        (14, 0, 0xfff5, 0xf400),
        (1, 0, 0x0001, 0),
        (1, DATE_FORMAT, 0x0001, 0x0400),
        (1, TIME_FORMAT, 0x0001, 0x0400),
    ] {
        let style = halves(&[0, format, is, 0x0020, counts, 0, 0, 0, 0, 0x20c0]);
        for _ in 0..times {
            record(into, 0x00e0, &style)?;
        }
    }
    // The style `Normal` is the first one.
    record(into, 0x0293, &halves(&[0x8000, 0xff00]))?;
    let place = [start.to_le_bytes().to_vec(), vec![0, 0], short(sheet)?].concat();
    record(into, 0x0085, &place)?;
    Ok(book)
}

/// What comes before the cells of the sheet, and what after them.
fn sheet(columns: usize, rows: u32) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let (mut top, mut bottom) = (Vec::new(), Vec::new());
    record(&mut top, 0x0809, &begin(0x0010))?;
    let columns = u16::try_from(columns).map_err(io::Error::other)?;
    let mut extent = [[0; 4], rows.to_le_bytes()].concat();
    extent.extend(halves(&[0, columns, 0]));
    record(&mut top, 0x0200, &extent)?;
    // Its view, as it is when nothing is set, and chosen.
    record(&mut bottom, 0x023e, &halves(&[0x06b6, 0, 0, 0x0040, 0, 0, 0, 0, 0]))?;
    bottom.extend(END);
    Ok((top, bottom))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workbook_says_where_its_sheet_begins() {
        let name = "覆盖情况😀";
        let (first, second) = (globals(name, 0).unwrap(), globals(name, 0x0102_0304).unwrap());
        assert_eq!(first.len(), second.len());
        let differing = first.iter().zip(&second).filter(|(a, b)| a != b).count();
        assert_eq!(differing, 4);
        // The name has six units, and stands last.
        assert_eq!(second[second.len() - 20..][..8], [4, 3, 2, 1, 0, 0, 6, 1]);
        assert!(globals(&"长".repeat(256), 0).is_err());
    }
}
