//! Excel since 2007: parts of a zip archive, read as streams. Nothing is taken for what it claims:
//! sizes, counts and dimensions in the file are not looked at.

use std::fs::File;
use std::io::{BufReader, Read};
use std::ops::ControlFlow;

use huiliu_sdk::{ROW_BYTES, Result};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use zip::ZipArchive;
use zip::result::ZipError;

use super::sheet::{self, Merge, Shared, Sheet, Shown, Value};
use super::{Flow, Receiver};
use crate::config::Stream;
use crate::content::Content;
use crate::fault::{broken, damaged, not_aside, over_limit};
use crate::limit::{Budget, Limited};

mod cell;

use cell::{LAST_COLUMN, Xml, attribute, cell, next, place, rich_text, value};

/// Parts of an honest workbook.
const MAX_PARTS: usize = 10_000;

/// Reads the sheet that the stream asks for.
pub(super) fn read(content: &Content<'_>, stream: &Stream, receiver: &mut dyn Receiver) -> Flow {
    let name = content.name();
    let mut book = Book::open(content.file()?, name, stream.unpacked)?;
    let place = sheet::choose(&book.sheets, stream, name)?;
    let part = book.part_of(place)?;
    let styles = book.styles()?;
    let shared = book.shared()?;
    // What is joined stands behind the rows.
    let merges = book.merges(&part)?;
    let mut sheet = Sheet::new(name, stream, receiver, book.from_1904, merges);
    let flow = book.rows(&part, &shared, &styles, |row, values| sheet.row(row, values))?;
    if flow.is_break() {
        return Ok(flow);
    }
    sheet.finish()
}

struct Book<'a> {
    archive: ZipArchive<BufReader<File>>,
    file: &'a str,
    most: u64,
    sheets: Vec<(String, bool)>,
    /// The relation of each sheet to its part.
    relations: Vec<String>,
    from_1904: bool,
}

impl<'a> Book<'a> {
    fn open(file: File, name: &'a str, most: u64) -> Result<Self> {
        let archive = ZipArchive::new(BufReader::new(file)).map_err(|e| no_book(name, e))?;
        if archive.len() > MAX_PARTS {
            return Err(over_limit(format!("file {name} has more than {MAX_PARTS} parts")));
        }
        let mut book = Self {
            archive,
            file: name,
            most,
            sheets: Vec::new(),
            relations: Vec::new(),
            from_1904: false,
        };
        let (mut sheets, mut relations, mut from_1904) = (Vec::new(), Vec::new(), false);
        book.each_start("xl/workbook.xml", |start| {
            match start.local_name().as_ref() {
                "workbookPr" => {
                    let flag = attribute(start, "date1904");
                    from_1904 = matches!(flag.as_deref(), Some("1" | "true"));
                }
                "sheet" => {
                    let hidden = attribute(start, "state").is_some_and(|state| state != "visible");
                    sheets.push((attribute(start, "name").unwrap_or_default(), hidden));
                    relations.push(attribute(start, "id").unwrap_or_default());
                }
                _ => {}
            }
            Ok(())
        })?;
        (book.sheets, book.relations, book.from_1904) = (sheets, relations, from_1904);
        Ok(book)
    }

    /// Opens a part and gives its events to `scan`, which renews the budget where what it has read
    /// is no longer held; nothing if there is no such part.
    fn part<T>(
        &mut self,
        part: &str,
        scan: impl FnOnce(&mut Xml<'_>, &Budget) -> Result<T>,
    ) -> Result<Option<T>> {
        let (file, most) = (self.file, self.most);
        let Some(index) = self.archive.index_for_name(part) else { return Ok(None) };
        let part = self.archive.by_index(index).map_err(|e| no_book(file, e))?;
        let packed = part.compressed_size();
        let (input, budget) = Budget::new(Limited::new(part, most, Some(packed)), ROW_BYTES);
        let input: Box<dyn Read> = Box::new(input);
        let mut reader = Reader::from_reader(BufReader::with_capacity(64 << 10, input));
        scan(&mut reader, &budget).map(Some)
    }

    /// Gives the start of each element of a part to `each`.
    fn each_start(
        &mut self,
        part: &str,
        mut each: impl FnMut(&BytesStart<'_>) -> Result<()>,
    ) -> Result<()> {
        let file = self.file;
        let found = self.part(part, |xml, budget| {
            let mut buffer = Vec::new();
            loop {
                buffer.clear();
                budget.renew(ROW_BYTES);
                match next(xml, &mut buffer, file)? {
                    Event::Start(start) | Event::Empty(start) => each(&start)?,
                    Event::Eof => return Ok(()),
                    _ => {}
                }
            }
        })?;
        found.ok_or_else(|| damaged(file, format!("is no Excel workbook: it has no {part}")))
    }

    /// The part that holds a sheet.
    fn part_of(&mut self, place: usize) -> Result<String> {
        let (wanted, file) = (self.relations[place].clone(), self.file);
        let mut target = None;
        self.each_start("xl/_rels/workbook.xml.rels", |start| {
            if start.local_name().as_ref() == "Relationship"
                && attribute(start, "Id").as_ref() == Some(&wanted)
            {
                target = attribute(start, "Target");
            }
            Ok(())
        })?;
        let target = target.ok_or_else(|| damaged(file, "does not say where its sheet is"))?;
        Ok(match target.strip_prefix('/') {
            Some(whole) => whole.to_owned(),
            None => format!("xl/{target}"),
        })
    }

    /// What each style shows.
    fn styles(&mut self) -> Result<Vec<Shown>> {
        let mut codes = std::collections::HashMap::new();
        let mut styles = Vec::new();
        let file = self.file;
        // All of it is held, so the budget is not renewed.
        self.part("xl/styles.xml", |xml, _| {
            let mut buffer = Vec::new();
            let mut in_cells = false;
            loop {
                buffer.clear();
                let event = next(xml, &mut buffer, file)?;
                match &event {
                    Event::Start(start) | Event::Empty(start) => {
                        let format = || attribute(start, "numFmtId")?.parse::<u32>().ok();
                        match start.local_name().as_ref() {
                            "numFmt" => {
                                let code = attribute(start, "formatCode").unwrap_or_default();
                                codes.insert(format().unwrap_or(0), sheet::shown_by_code(&code));
                            }
                            "cellXfs" => in_cells = matches!(event, Event::Start(_)),
                            "xf" if in_cells => {
                                let id = format().unwrap_or(0);
                                let by_number = || sheet::shown_by_number(id);
                                styles.push(codes.get(&id).copied().unwrap_or_else(by_number));
                            }
                            _ => {}
                        }
                    }
                    Event::End(end) if end.local_name().as_ref() == "cellXfs" => in_cells = false,
                    Event::Eof => return Ok(()),
                    _ => {}
                }
            }
        })?;
        Ok(styles)
    }

    fn shared(&mut self) -> Result<Shared> {
        let file = self.file;
        let shared = self.part("xl/sharedStrings.xml", |xml, budget| {
            let mut shared = Shared::default();
            let mut buffer = Vec::new();
            loop {
                buffer.clear();
                budget.renew(ROW_BYTES);
                match next(xml, &mut buffer, file)? {
                    Event::Start(start) if start.local_name().as_ref() == "si" => {
                        rich_text(xml, "si", &mut shared.text, file)?;
                        shared.end().map_err(|e| not_aside(file, e))?;
                    }
                    Event::Empty(start) if start.local_name().as_ref() == "si" => {
                        shared.end().map_err(|e| not_aside(file, e))?;
                    }
                    Event::Eof => return Ok(shared),
                    _ => {}
                }
                shared.check(file)?;
            }
        })?;
        Ok(shared.unwrap_or_default())
    }

    fn merges(&mut self, part: &str) -> Result<Vec<Merge>> {
        let file = self.file;
        let mut merges = Vec::new();
        self.each_start(part, |start| {
            if start.local_name().as_ref() != "mergeCell" {
                return Ok(());
            }
            let area = attribute(start, "ref").unwrap_or_default();
            let (first, last) = area.split_once(':').unwrap_or((&area, &area));
            let (Some(first), Some(last)) = (place(first), place(last)) else {
                return Err(damaged(file, "has joined cells at a place that is none"));
            };
            let rows = (first.0.min(last.0), first.0.max(last.0));
            let columns = (first.1.min(last.1), first.1.max(last.1));
            merges.push(Merge { rows, columns, value: None });
            sheet::check_merges(&merges, file)
        })?;
        Ok(merges)
    }

    /// Gives each row of a sheet, counted from 0, to `each`.
    fn rows(
        &mut self,
        part: &str,
        shared: &Shared,
        styles: &[Shown],
        mut each: impl FnMut(u32, Vec<Value>) -> Flow,
    ) -> Flow {
        let file = self.file;
        let flow = self.part(part, |xml, budget| {
            let mut buffer = Vec::new();
            let (mut next_row, mut size) = (0, 0);
            let mut row: Option<(u32, Vec<Value>)> = None;
            loop {
                buffer.clear();
                if row.is_none() {
                    budget.renew(ROW_BYTES);
                }
                let event = next(xml, &mut buffer, file)?;
                match &event {
                    Event::Start(start) if start.local_name().as_ref() == "row" => {
                        let number = match attribute(start, "r").map(|r| r.parse::<u32>()) {
                            None => next_row,
                            Some(Ok(number)) if number > next_row => number - 1,
                            Some(_) => return Err(damaged(file, "has rows out of order")),
                        };
                        next_row = number + 1;
                        size = 0;
                        row = Some((number, Vec::new()));
                    }
                    Event::Start(start) | Event::Empty(start)
                        if start.local_name().as_ref() == "c" =>
                    {
                        let Some((number, values)) = &mut row else { continue };
                        let column = match attribute(start, "r") {
                            None => u32::try_from(values.len()).ok(),
                            Some(at) => place(&at).map(|(_, column)| column),
                        };
                        let column = column.filter(|column| *column <= LAST_COLUMN);
                        let Some(column) = column.filter(|c| *c as usize >= values.len()) else {
                            return Err(damaged(file, "has cells out of order"));
                        };
                        values.resize(column as usize, Value::Empty);
                        let kind = attribute(start, "t").unwrap_or_default();
                        let style = attribute(start, "s").and_then(|s| s.parse::<usize>().ok());
                        let shown = style.and_then(|style| styles.get(style).copied());
                        let value = if matches!(event, Event::Empty(_)) {
                            Value::Empty
                        } else {
                            let raw = cell(xml, file)?;
                            value(raw, &kind, shown.unwrap_or(Shown::Number), shared, file)?
                        };
                        // A text that all cells share is much longer than what names it.
                        sheet::grow(&mut size, &value, *number, file)?;
                        values.push(value);
                    }
                    Event::End(end) if end.local_name().as_ref() == "row" => {
                        let Some((number, values)) = row.take() else { continue };
                        if each(number, values)?.is_break() {
                            return Ok(ControlFlow::Break(()));
                        }
                    }
                    Event::Eof => return Ok(ControlFlow::Continue(())),
                    _ => {}
                }
            }
        })?;
        flow.ok_or_else(|| damaged(file, "lacks the part that holds its sheet"))
    }
}

fn no_book(file: &str, cause: ZipError) -> huiliu_sdk::Error {
    match cause {
        ZipError::Io(cause) => broken(file, cause),
        _ => damaged(file, "is no whole Excel workbook"),
    }
}
