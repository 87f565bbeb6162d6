//! Excel 97 to 2003: records of the `Workbook` stream. Memory follows the bytes that are there,
//! not the sizes and counts that the file claims.

use std::io::Read;
use std::ops::ControlFlow;

use huiliu_sdk::Result;

use super::sheet::{self, Merge, Sheet, Shown, Value};
use super::{Flow, Receiver};
use crate::config::Stream;
use crate::content::Content;
use crate::fault::{broken, damaged, over_limit};

mod compound;
mod text;

use text::Segments;

/// Excel itself ends at some 16 million cells a sheet; files of this size have them all.
const MAX_BYTES: u64 = 256 << 20;

/// Reads the sheet that the stream asks for.
pub(super) fn read(content: &Content<'_>, stream: &Stream, receiver: &mut dyn Receiver) -> Flow {
    let name = content.name();
    let book = open(content)?;
    let book = Book::parse(&book, name)?;
    let place = sheet::choose(&book.sheets, stream, name)?;
    let (mut cells, merges) = book.cells(place)?;
    // Writers differ in whether they keep the order.
    cells.sort_by_key(|cell| (cell.row, cell.column));
    let mut sheet = Sheet::new(name, stream, receiver, book.from_1904, merges);
    let mut rest = cells.as_slice();
    while let Some(first) = rest.first() {
        let count = rest.iter().take_while(|cell| cell.row == first.row).count();
        let (row, after) = rest.split_at(count);
        rest = after;
        let mut values: Vec<Value> = Vec::new();
        for cell in row {
            values.resize(usize::from(cell.column), Value::Empty);
            values.push(book.value(&cell.held)?);
        }
        if sheet.row(u32::from(first.row), values)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    sheet.finish()
}

/// The stream of records.
fn open(content: &Content<'_>) -> Result<Vec<u8>> {
    let name = content.name();
    let bytes = content.read(|input| {
        let mut bytes = Vec::new();
        let read = input.take(MAX_BYTES + 1).read_to_end(&mut bytes);
        read.map(|_| bytes).map_err(|cause| broken(name, cause))
    })?;
    if bytes.len() as u64 > MAX_BYTES {
        let most = MAX_BYTES >> 20;
        return Err(over_limit(format!("file {name} is an xls file of more than {most} MiB")));
    }
    compound::stream(&bytes, "Workbook").ok_or_else(|| {
        damaged(name, "is no whole Excel workbook of 97 to 2003; older ones are not read")
    })
}

struct Cell {
    row: u16,
    column: u16,
    held: Held,
}

/// The value of a cell. Texts are kept once, however many cells show them.
enum Held {
    Shared(u32),
    Own(Value),
}

/// One record: its kind, its bytes, and those of the records that continue it.
struct Record<'a> {
    kind: u16,
    parts: Vec<&'a [u8]>,
}

impl<'a> Record<'a> {
    fn bytes(&self) -> &'a [u8] {
        self.parts.first().copied().unwrap_or_default()
    }
}

const BOF: u16 = 0x0809;
const END: u16 = 0x000a;
const CONTINUE: u16 = 0x003c;

/// Goes through records until their end, which a cut file lacks.
struct Records<'a> {
    bytes: &'a [u8],
}

impl<'a> Iterator for Records<'a> {
    type Item = Option<Record<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        let Some((kind, first)) = self.take() else {
            return (!self.bytes.is_empty()).then(|| {
                self.bytes = &[];
                None
            });
        };
        let mut parts = vec![first];
        while u16_at(self.bytes, 0) == Some(CONTINUE) {
            match self.take() {
                Some((_, part)) => parts.push(part),
                None => break,
            }
        }
        Some(Some(Record { kind, parts }))
    }
}

impl<'a> Records<'a> {
    fn take(&mut self) -> Option<(u16, &'a [u8])> {
        let (kind, length) = (u16_at(self.bytes, 0)?, usize::from(u16_at(self.bytes, 2)?));
        let data = self.bytes.get(4..4 + length)?;
        self.bytes = &self.bytes[4 + length..];
        Some((kind, data))
    }
}

struct Book<'a> {
    bytes: &'a [u8],
    file: &'a str,
    sheets: Vec<(String, bool)>,
    starts: Vec<u32>,
    styles: Vec<Shown>,
    texts: Vec<String>,
    from_1904: bool,
}

impl<'a> Book<'a> {
    fn parse(bytes: &'a [u8], file: &'a str) -> Result<Self> {
        let cut = || damaged(file, "is cut off within its workbook");
        let mut book = Self {
            bytes,
            file,
            sheets: Vec::new(),
            starts: Vec::new(),
            styles: Vec::new(),
            texts: Vec::new(),
            from_1904: false,
        };
        let mut codes = std::collections::HashMap::new();
        let mut formats: Vec<u32> = Vec::new();
        for record in (Records { bytes }) {
            let record = record.ok_or_else(cut)?;
            let data = record.bytes();
            match record.kind {
                BOF if u16_at(data, 0) != Some(0x0600) => {
                    return Err(damaged(file, "is of an Excel before 97; save it as xlsx"));
                }
                0x002f => return Err(damaged(file, "is encrypted")),
                0x0022 => book.from_1904 = u16_at(data, 0) == Some(1),
                0x041e => {
                    let id = u16_at(data, 0).ok_or_else(cut)?;
                    let code = text::long(data.get(2..).unwrap_or_default()).ok_or_else(cut)?;
                    codes.insert(u32::from(id), sheet::shown_by_code(&code));
                }
                0x00e0 => formats.push(u32::from(u16_at(data, 2).ok_or_else(cut)?)),
                // Charts and macros are no sheets.
                0x0085 if data.get(5) == Some(&0) => {
                    let name = text::short(data.get(6..).unwrap_or_default()).ok_or_else(cut)?;
                    book.starts.push(u32_at(data, 0).ok_or_else(cut)?);
                    book.sheets.push((name, data[4] & 3 != 0));
                }
                0x00fc => book.texts = Segments::new(&record.parts).shared().ok_or_else(cut)?,
                END => break,
                _ => {}
            }
        }
        let shown = |id: &u32| codes.get(id).copied().unwrap_or(sheet::shown_by_number(*id));
        book.styles = formats.iter().map(shown).collect();
        Ok(book)
    }

    fn cells(&self, place: usize) -> Result<(Vec<Cell>, Vec<Merge>)> {
        let cut = || damaged(self.file, "is cut off within its sheet");
        let start = self.starts[place] as usize;
        let bytes = self.bytes.get(start..).ok_or_else(cut)?;
        let (mut cells, mut merges, mut depth) = (Vec::new(), Vec::new(), 0_u32);
        let mut has_ended = false;
        for record in (Records { bytes }) {
            let record = record.ok_or_else(cut)?;
            match record.kind {
                BOF => depth += 1,
                // Charts within the sheet have records like its own.
                END if depth <= 1 => {
                    has_ended = true;
                    break;
                }
                END => depth -= 1,
                _ if depth > 1 => {}
                0x00e5 => merges
                    .extend(record.bytes().get(2..).unwrap_or_default().chunks_exact(8).map(merge)),
                _ => self.cell(&record, &mut cells).ok_or_else(cut)?,
            }
        }
        // A file that is cut exactly between two records shows it only here.
        if has_ended { Ok((cells, merges)) } else { Err(cut()) }
    }

    /// Takes the cells of a record, if it is one of cells; nothing if it is too short.
    fn cell(&self, record: &Record<'_>, cells: &mut Vec<Cell>) -> Option<()> {
        let data = record.bytes();
        let mut put = |column: u16, held| {
            cells.push(Cell { row: u16_at(data, 0)?, column, held });
            Some(())
        };
        let column = u16_at(data, 2);
        let style = u16_at(data, 4);
        match record.kind {
            0x0203 => put(column?, Held::Own(self.shown(f64_at(data, 6)?, style?))),
            0x027e => put(column?, Held::Own(self.shown(compact(u32_at(data, 6)?), style?))),
            0x00bd => {
                let values = data.get(4..data.len().checked_sub(2)?)?;
                for (index, pair) in values.chunks_exact(6).enumerate() {
                    let value = self.shown(compact(u32_at(pair, 2)?), u16_at(pair, 0)?);
                    put(column?.checked_add(u16::try_from(index).ok()?)?, Held::Own(value))?;
                }
                Some(())
            }
            0x00fd => put(column?, Held::Shared(u32_at(data, 6)?)),
            0x0204 | 0x00d6 => put(column?, Held::Own(Value::Text(text::long(data.get(6..)?)?))),
            0x0205 => {
                let is_error = *data.get(7)? != 0;
                let value = if is_error { Value::Error } else { Value::Bool(*data.get(6)? != 0) };
                put(column?, Held::Own(value))
            }
            0x0006 => {
                let result = data.get(6..14)?;
                let value = match (&result[6..], result[0]) {
                    // The text follows in a record of its own.
                    ([0xff, 0xff], 0) => Value::Uncomputed,
                    ([0xff, 0xff], 1) => Value::Bool(result[2] != 0),
                    ([0xff, 0xff], 2) => Value::Error,
                    ([0xff, 0xff], _) => Value::Text(String::new()),
                    _ => self.shown(f64_at(data, 6)?, style?),
                };
                put(column?, Held::Own(value))
            }
            0x0207 => {
                let text = Segments::new(&record.parts).text()?;
                if let Some(Cell { held: Held::Own(value), .. }) = cells.last_mut() {
                    *value = Value::Text(text);
                }
                Some(())
            }
            _ => Some(()),
        }
    }

    fn shown(&self, number: f64, style: u16) -> Value {
        match self.styles.get(usize::from(style)) {
            None | Some(Shown::Number) => Value::Number(number),
            Some(shown) => Value::Moment(number, *shown),
        }
    }

    fn value(&self, held: &Held) -> Result<Value> {
        match held {
            Held::Own(value) => Ok(value.clone()),
            Held::Shared(index) => match self.texts.get(*index as usize) {
                Some(text) => Ok(Value::Text(text.clone())),
                None => Err(damaged(self.file, "names a text that it does not hold")),
            },
        }
    }
}

fn merge(area: &[u8]) -> Merge {
    let at = |place| u32::from(u16_at(area, place).unwrap_or_default());
    let (top, bottom, left, right) = (at(0), at(2), at(4), at(6));
    // Excel ends at 256 columns here.
    let columns = (left.min(255), right.min(255));
    Merge { rows: (top, bottom), columns: (columns.0.min(columns.1), columns.1), value: None }
}

/// A number in the four bytes that most numbers fit in.
fn compact(bits: u32) -> f64 {
    let number = if bits & 2 == 0 {
        f64::from_bits(u64::from(bits & !3) << 32)
    } else {
        f64::from(bits.cast_signed() >> 2)
    };
    if bits & 1 == 0 { number } else { number / 100.0 }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn f64_at(bytes: &[u8], at: usize) -> Option<f64> {
    let number = f64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?);
    number.is_finite().then_some(number)
}
