//! Excel 97 to 2003: records of the `Workbook` stream, read where they are. Memory follows neither
//! the size of the file nor the sizes and counts that it claims.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use huiliu_sdk::Result;

use super::sheet::{self, Merge, Shared, Sheet, Shown, Value};
use super::{Flow, Receiver};
use crate::config::Stream;
use crate::content::Content;
use crate::fault::{broken, damaged, not_aside, over_limit};

mod compound;
mod record;
mod text;

use record::{CONTINUE, Records};
use text::Segments;

/// Excel itself ends at some 16 million cells a sheet; files of this size have them all.
const MAX_BYTES: u64 = 256 << 20;

const MAX_SHEETS: usize = 10_000;

/// Bytes of cells that are held at once.
const GROUP: usize = 16 << 20;

/// Kinds of records.
const BOF: u16 = 0x0809;
const END: u16 = 0x000a;
const PASSWORD: u16 = 0x002f;
const DATE_1904: u16 = 0x0022;
const FORMAT: u16 = 0x041e;
const STYLE: u16 = 0x00e0;
const SHEET: u16 = 0x0085;
const SHARED_TEXTS: u16 = 0x00fc;
const MERGES: u16 = 0x00e5;

/// Kinds of records of cells, which begin with the row.
const NUMBER: u16 = 0x0203;
const COMPACT: u16 = 0x027e;
const COMPACTS: u16 = 0x00bd;
const SHARED_TEXT: u16 = 0x00fd;
const TEXT: u16 = 0x0204;
const RICH_TEXT: u16 = 0x00d6;
const BOOL: u16 = 0x0205;
const FORMULA: u16 = 0x0006;

/// The text that the formula before it has as result.
const RESULT: u16 = 0x0207;

/// Reads the sheet that the stream asks for.
pub(super) fn read(content: &Content<'_>, stream: &Stream, receiver: &mut dyn Receiver) -> Flow {
    let name = content.name();
    let book = Book::parse(open(content)?, name)?;
    let place = sheet::choose(&book.sheets, stream, name)?;
    let (rows, merges) = book.survey(place)?;
    let mut sheet = Sheet::new(name, stream, receiver, book.from_1904, merges);
    let mut rest = rows.as_slice();
    while !rest.is_empty() {
        let (group, after) = rest.split_at(group(rest));
        rest = after;
        for (row, cells) in book.cells(group)? {
            let row = u32::from(row);
            let (mut values, mut size) = (Vec::new(), 0);
            for (column, held) in cells {
                let value = book.value(held)?;
                sheet::grow(&mut size, &value, row, name)?;
                values.resize(usize::from(column), Value::Empty);
                values.push(value);
            }
            if sheet.row(row, values)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }
    sheet.finish()
}

/// The stream of records.
fn open(content: &Content<'_>) -> Result<compound::Stream> {
    let name = content.name();
    let failed = |cause| broken(name, cause);
    let file = content.file()?;
    if file.metadata().map_err(failed)?.len() > MAX_BYTES {
        let most = MAX_BYTES >> 20;
        return Err(over_limit(format!("file {name} is an xls file of more than {most} MiB")));
    }
    compound::stream(file, "Workbook").map_err(failed)?.ok_or_else(|| {
        damaged(name, "is no whole Excel workbook of 97 to 2003; older ones are not read")
    })
}

/// A row, and between where its records stand: writers differ in whether they keep the order.
struct Extent {
    row: u16,
    first: u64,
    last: u64,
    /// Bytes that its cells take at most, without the texts that cells share.
    size: usize,
}

/// How many of the rows are held at once.
fn group(rows: &[Extent]) -> usize {
    let mut size = 0_usize;
    let fits = |row: &&Extent| {
        size = size.saturating_add(row.size);
        size <= GROUP
    };
    rows.iter().take_while(fits).count().max(1)
}

/// The value of a cell. Texts that cells share are fetched when their row is given.
enum Held {
    Shared(u32),
    Own(Value),
}

/// Cells by row and column.
type Cells = BTreeMap<u16, BTreeMap<u16, Held>>;

struct Book<'a> {
    stream: compound::Stream,
    file: &'a str,
    sheets: Vec<(String, bool)>,
    starts: Vec<u32>,
    styles: Vec<Shown>,
    texts: Shared,
    from_1904: bool,
}

impl<'a> Book<'a> {
    fn parse(stream: compound::Stream, file: &'a str) -> Result<Self> {
        let mut sheets = Vec::new();
        let mut starts = Vec::new();
        let mut texts = Shared::default();
        let mut from_1904 = false;
        let mut codes = std::collections::HashMap::new();
        let mut formats: Vec<u32> = Vec::new();
        let mut records = Records::new(&stream, 0, file)?;
        while records.next()? {
            let data = records.data();
            let cut = || damaged(file, "is cut off within its workbook");
            match records.kind() {
                BOF if u16_at(data, 0) != Some(0x0600) => {
                    return Err(damaged(file, "is of an Excel before 97; save it as xlsx"));
                }
                PASSWORD => return Err(damaged(file, "is encrypted")),
                DATE_1904 => from_1904 = u16_at(data, 0) == Some(1),
                FORMAT => {
                    let id = u16_at(data, 0).ok_or_else(cut)?;
                    let code = Segments::new(&mut records, 2).text()?;
                    codes.insert(u32::from(id), sheet::shown_by_code(&code));
                }
                // Cells name styles by two bytes.
                STYLE if formats.len() <= usize::from(u16::MAX) => {
                    formats.push(u32::from(u16_at(data, 2).ok_or_else(cut)?));
                }
                // Charts and macros are no sheets.
                SHEET if data.get(5) == Some(&0) => {
                    starts.push(u32_at(data, 0).ok_or_else(cut)?);
                    let is_hidden = data[4] & 3 != 0;
                    sheets.push((Segments::new(&mut records, 6).short_text()?, is_hidden));
                    if sheets.len() > MAX_SHEETS {
                        let most = MAX_SHEETS;
                        return Err(over_limit(format!("file {file} has over {most} sheets")));
                    }
                }
                SHARED_TEXTS => texts = shared(&mut records, file)?,
                END => break,
                _ => {}
            }
        }
        let shown = |id: &u32| codes.get(id).copied().unwrap_or(sheet::shown_by_number(*id));
        let styles = formats.iter().map(shown).collect();
        Ok(Self { stream, file, sheets, starts, styles, texts, from_1904 })
    }

    /// The rows of a sheet and what is joined in it.
    fn survey(&self, place: usize) -> Result<(Vec<Extent>, Vec<Merge>)> {
        let start = u64::from(self.starts[place]);
        let mut records = Records::new(&self.stream, start, self.file)?;
        let mut rows: BTreeMap<u16, Extent> = BTreeMap::new();
        let (mut merges, mut depth, mut row) = (Vec::new(), 0_u32, None);
        while records.next()? {
            let (kind, at, data) = (records.kind(), records.at(), records.data());
            match kind {
                BOF => depth += 1,
                END if depth <= 1 => return Ok((rows.into_values().collect(), merges)),
                END => depth -= 1,
                // Charts within the sheet have records like its own.
                _ if depth > 1 => {}
                MERGES => {
                    merges.extend(data.get(2..).unwrap_or_default().chunks_exact(8).map(merge));
                    sheet::check_merges(&merges, self.file)?;
                }
                _ => {
                    if is_cell(kind) {
                        row = Some(u16_at(data, 0).ok_or_else(|| records.cut())?);
                    } else if !matches!(kind, RESULT | CONTINUE) {
                        continue;
                    }
                    let Some(row) = row else { continue };
                    let begun = Extent { row, first: at, last: at, size: 0 };
                    let extent = rows.entry(row).or_insert(begun);
                    extent.last = at;
                    // The most is that of numbers of four bytes with two for their style.
                    extent.size += 64 + 11 * data.len();
                }
            }
        }
        // A file that is cut exactly between two records shows it only here.
        Err(records.cut())
    }

    /// The cells of rows that follow each other.
    fn cells(&self, rows: &[Extent]) -> Result<Cells> {
        let mut cells = Cells::new();
        let (Some(top), Some(bottom)) = (rows.first(), rows.last()) else { return Ok(cells) };
        let first = rows.iter().map(|row| row.first).min().unwrap_or(0);
        let last = rows.iter().map(|row| row.last).max().unwrap_or(0);
        let mut records = Records::new(&self.stream, first, self.file)?;
        let (mut depth, mut formula) = (1_u32, None);
        while records.next()? && records.at() <= last {
            let (kind, data) = (records.kind(), records.data());
            match kind {
                BOF => depth += 1,
                END => depth = depth.saturating_sub(1),
                _ if depth > 1 => {}
                RESULT => {
                    let text = Segments::new(&mut records, 0).text()?;
                    if let Some((row, column)) = formula {
                        let row: &mut BTreeMap<u16, Held> = cells.entry(row).or_default();
                        row.insert(column, Held::Own(Value::Text(text)));
                    }
                }
                _ if is_cell(kind) => {
                    formula = None;
                    let (row, column) = self.place(data)?;
                    if !(top.row..=bottom.row).contains(&row) {
                        continue;
                    }
                    let of_row = cells.entry(row).or_default();
                    match kind {
                        TEXT | RICH_TEXT => {
                            let text = Segments::new(&mut records, 6).text()?;
                            of_row.insert(column, Held::Own(Value::Text(text)));
                        }
                        COMPACTS => {
                            self.compacts(data, column, of_row).ok_or_else(|| records.cut())?;
                        }
                        _ => {
                            formula = Some((row, column)).filter(|_| kind == FORMULA);
                            let held = self.cell(kind, data).ok_or_else(|| records.cut())?;
                            of_row.insert(column, held);
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(cells)
    }

    /// The row and column that a record of cells begins with.
    fn place(&self, data: &[u8]) -> Result<(u16, u16)> {
        let place = u16_at(data, 0).zip(u16_at(data, 2));
        place.ok_or_else(|| damaged(self.file, "is cut off within its workbook"))
    }

    /// Numbers of cells side by side; nothing if the record is too short.
    fn compacts(&self, data: &[u8], first: u16, cells: &mut BTreeMap<u16, Held>) -> Option<()> {
        let values = data.get(4..data.len().checked_sub(2)?)?;
        for (index, pair) in values.chunks_exact(6).enumerate() {
            let value = self.shown(compact(u32_at(pair, 2)?), u16_at(pair, 0)?);
            let column = first.checked_add(u16::try_from(index).ok()?)?;
            cells.insert(column, Held::Own(value));
        }
        Some(())
    }

    /// What a record of one cell holds; nothing if it is too short.
    fn cell(&self, kind: u16, data: &[u8]) -> Option<Held> {
        let style = u16_at(data, 4)?;
        Some(Held::Own(match kind {
            NUMBER => self.shown(f64_at(data, 6)?, style),
            COMPACT => self.shown(compact(u32_at(data, 6)?), style),
            SHARED_TEXT => return Some(Held::Shared(u32_at(data, 6)?)),
            BOOL => match *data.get(7)? {
                0 => Value::Bool(*data.get(6)? != 0),
                _ => Value::Error,
            },
            _ => {
                let result = data.get(6..14)?;
                match (&result[6..], result[0]) {
                    // The text follows in a record of its own.
                    ([0xff, 0xff], 0) => Value::Uncomputed,
                    ([0xff, 0xff], 1) => Value::Bool(result[2] != 0),
                    ([0xff, 0xff], 2) => Value::Error,
                    ([0xff, 0xff], _) => Value::Text(String::new()),
                    _ => self.shown(f64_at(data, 6)?, style),
                }
            }
        }))
    }

    fn shown(&self, number: f64, style: u16) -> Value {
        match self.styles.get(usize::from(style)) {
            None | Some(Shown::Number) => Value::Number(number),
            Some(shown) => Value::Moment(number, *shown),
        }
    }

    fn value(&self, held: Held) -> Result<Value> {
        let index = match held {
            Held::Own(value) => return Ok(value),
            Held::Shared(index) => index as usize,
        };
        match self.texts.get(index).map_err(|cause| not_aside(self.file, cause))? {
            Some(text) => Ok(Value::Text(text)),
            None => Err(damaged(self.file, "names a text that it does not hold")),
        }
    }
}

fn is_cell(kind: u16) -> bool {
    matches!(kind, NUMBER | COMPACT | COMPACTS | SHARED_TEXT | TEXT | RICH_TEXT | BOOL | FORMULA)
}

/// All texts of the table that cells share.
fn shared(records: &mut Records<'_>, file: &str) -> Result<Shared> {
    let mut texts = Shared::default();
    // The first number counts the cells.
    let mut segments = Segments::new(records, 4);
    for _ in 0..u32::from_le_bytes(segments.take()?) {
        texts.text = segments.text()?;
        texts.end().map_err(|cause| not_aside(file, cause))?;
        texts.check(file)?;
    }
    Ok(texts)
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
