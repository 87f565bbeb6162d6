//! CSV: records as bytes, one at a time, in bounded memory, decoded field by field.

use std::borrow::Cow;
use std::io::{self, Read};
use std::ops::ControlFlow;

use csv_core::ReadRecordResult;
use huiliu_sdk::{Cell, Error, ErrorKind, ROW_BYTES, Result};

use super::grid::{self, Head};
use super::{Flow, Raw, Receiver, untyped};
use crate::config::Stream;
use crate::content::Content;
use crate::encoding::{self, Transcoder, read_some, start_of};
use crate::fault::broken;

/// What a quote that is never closed may gather before it is taken for one.
const MAX_RECORD_BYTES: usize = ROW_BYTES;

const BUFFER_BYTES: usize = 64 << 10;

/// Reads the header and the records after it.
pub(super) fn read(content: &Content<'_>, stream: &Stream, receiver: &mut dyn Receiver) -> Flow {
    content.read(|input| read_records(input, content.name(), stream, receiver))
}

fn read_records(
    input: &mut dyn Read,
    name: &str,
    stream: &Stream,
    receiver: &mut dyn Receiver,
) -> Flow {
    let encoding = stream.record_encoding();
    let mut records = Records::open(input, name, stream)?;
    let mut head = Head::new(stream);
    let mut width = None;
    let mut place = 0_u32;
    while let Some(record) = records.next()? {
        place = place.saturating_add(1);
        let width = match width {
            Some(width) => width,
            None => {
                let Some(names) = head.take(place, || texts(record, stream, name))? else {
                    continue;
                };
                grid::check_names(&names, name)?;
                receiver.header(&untyped(names.clone()))?;
                width = Some(names.len());
                if !head.is_record(place) {
                    continue;
                }
                names.len()
            }
        };
        if give(record, width, stream, encoding, receiver)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    if width.is_none() {
        return Err(grid::unfit_header(format!("file {name} is empty and has no header line")));
    }
    Ok(ControlFlow::Continue(()))
}

/// The fields of a header as text. A file without header has data there, so none is repeated in
/// an error.
fn texts(record: &Record, stream: &Stream, file: &str) -> Result<Vec<String>> {
    let decoded = record.fields().enumerate().map(|(index, bytes)| {
        let text = encoding::field(bytes, stream.record_encoding());
        text.map(|text| text.trim().to_owned()).ok_or_else(|| {
            let (place, expected) = (index + 1, stream.text_encoding().name());
            Error::new(
                ErrorKind::Data,
                "E-ENCODING",
                format!("header {place} of file {file} is not {expected}"),
            )
            .hint("correct `encoding` of the stream, or ask the sender")
        })
    });
    decoded.collect()
}

fn give(
    record: &Record,
    width: usize,
    stream: &Stream,
    encoding: crate::config::Encoding,
    receiver: &mut dyn Receiver,
) -> Flow {
    let fields: Vec<&[u8]> = record.fields().collect();
    let texts: Vec<Option<Cow<'_, str>>> =
        fields.iter().map(|bytes| encoding::field(bytes, encoding)).collect();
    if !stream.skip.is_empty() {
        let first = texts.iter().flatten().map(|text| text.trim()).find(|text| !text.is_empty());
        if grid::is_skipped(first, stream) {
            receiver.skipped(record.line);
            return Ok(ControlFlow::Continue(()));
        }
    }
    if fields.len() != width {
        let reason = format!("{} fields where the header has {width}", fields.len());
        return receiver.refused(record.line, ("E-RAGGED", reason), Raw::Line(record.raw()));
    }
    let null = stream.null.as_deref();
    let cells: Vec<Cell<'_>> = (texts.iter().zip(&fields))
        .map(|(text, bytes)| match text {
            None => Cell::Bytes(bytes),
            Some(text) if Some(&**text) == null => Cell::Null,
            Some(text) => Cell::Text(text),
        })
        .collect();
    if let Some(place) = texts.iter().position(Option::is_none) {
        let expected = stream.text_encoding().name();
        let reason = format!("field {} is not {expected}", place + 1);
        return receiver.refused(record.line, ("E-ENCODING", reason), Raw::Cells(&cells));
    }
    receiver.row(record.line, &cells)
}

/// Gives the records of one file.
struct Records<'a> {
    file: &'a str,
    input: Box<dyn Read + 'a>,
    delimiter: u8,
    quote: Option<u8>,
    parser: csv_core::Reader,
    buffer: Vec<u8>,
    /// The part of `buffer` that is not parsed yet.
    filled: std::ops::Range<usize>,
    /// Line ends before the current record.
    lines: u64,
    record: Record,
}

/// One record as bytes.
#[derive(Default)]
struct Record {
    /// The line it begins in, counted from 1.
    line: u64,
    raw: Vec<u8>,
    values: Vec<u8>,
    ends: Vec<usize>,
    width: usize,
}

impl Record {
    /// Its fields, without quotes.
    fn fields(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends[..self.width].iter().map(move |end| {
            let field = &self.values[start..*end];
            start = *end;
            field
        })
    }

    /// The record as it stands in the file, without its line end.
    fn raw(&self) -> &[u8] {
        let is_text = |byte: &u8| !matches!(byte, b'\r' | b'\n');
        let start = self.raw.iter().position(is_text).unwrap_or(self.raw.len());
        let end = self.raw.iter().rposition(is_text).map_or(start, |last| last + 1);
        &self.raw[start..end]
    }
}

impl<'a> Records<'a> {
    /// Reads the records of `input`, the content of file `name`, as `stream` says.
    fn open(input: &'a mut dyn Read, name: &'a str, stream: &Stream) -> Result<Self> {
        let start = start_of(input).map_err(|cause| broken(name, cause))?;
        let skip = encoding::check_mark(&start, stream.text_encoding(), name)?;
        let input = io::Cursor::new(start[skip..].to_vec()).chain(input);
        let input: Box<dyn Read> = if stream.splits_as_is() {
            Box::new(input)
        } else {
            Box::new(Transcoder::new(input, stream.text_encoding()))
        };
        let mut builder = csv_core::ReaderBuilder::new();
        builder.delimiter(stream.delimiter);
        match stream.quote {
            Some(quote) => builder.quote(quote),
            None => builder.quoting(false),
        };
        Ok(Self {
            file: name,
            input,
            delimiter: stream.delimiter,
            quote: stream.quote,
            parser: builder.build(),
            buffer: vec![0; BUFFER_BYTES],
            filled: 0..0,
            lines: 0,
            record: Record { values: vec![0; 4096], ends: vec![0; 64], ..Record::default() },
        })
    }

    /// The next record, or nothing at the end.
    fn next(&mut self) -> Result<Option<&Record>> {
        let record = &mut self.record;
        self.lines += line_ends(&record.raw);
        record.raw.clear();
        record.width = 0;
        let mut length = 0;
        loop {
            if self.filled.is_empty() {
                let read = read_some(&mut self.input, &mut self.buffer)
                    .map_err(|cause| broken(self.file, cause))?;
                self.filled = 0..read;
            }
            let at_end = self.filled.is_empty();
            if at_end && record.raw().is_empty() {
                return Ok(None);
            }
            // At the end of the file the parser would close an open quote by itself; a line end
            // closes all else, and becomes part of the value within quotes.
            let input = if at_end { b"\n" } else { &self.buffer[self.filled.clone()] };
            let (result, consumed, written, fields) = self.parser.read_record(
                input,
                &mut record.values[length..],
                &mut record.ends[record.width..],
            );
            length += written;
            record.width += fields;
            if !at_end {
                record.raw.extend_from_slice(&input[..consumed]);
                self.filled.start += consumed;
            } else if result == ReadRecordResult::InputEmpty {
                return Err(self.unclosed());
            }
            match result {
                ReadRecordResult::Record => break,
                ReadRecordResult::End | ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => record.values.resize(2 * record.values.len(), 0),
                ReadRecordResult::OutputEndsFull => record.ends.resize(2 * record.ends.len(), 0),
            }
            if record.raw.len() > MAX_RECORD_BYTES {
                return Err(self.oversized());
            }
        }
        if record.raw.len() > MAX_RECORD_BYTES {
            return Err(self.oversized());
        }
        record.line = self.lines + first_line(&record.raw);
        Ok(Some(&self.record))
    }

    fn oversized(&self) -> Error {
        let line = self.lines + first_line(&self.record.raw);
        Error::new(
            ErrorKind::Data,
            "E-ROW-SIZE",
            format!(
                "the record at line {line} of file {} is longer than {} MiB",
                self.file,
                MAX_RECORD_BYTES >> 20
            ),
        )
        .hint("check the file's quotes and line ends near that line")
    }

    fn unclosed(&self) -> Error {
        let line = self.lines + 1 + line_ends(&self.record.raw[..self.open_quote()]);
        Error::new(
            ErrorKind::Data,
            "E-QUOTE",
            format!("a quote opens at line {line} of file {} and is never closed", self.file),
        )
        .hint("the file is cut off or holds a stray quote; ask the sender to deliver it again")
    }

    /// Where the quote stands that is open at the end of the record: the first one after the
    /// last delimiter outside of quotes.
    fn open_quote(&self) -> usize {
        let raw = &self.record.raw;
        let mut opened = 0;
        let mut in_quotes = false;
        let mut at_start = true;
        for (at, byte) in raw.iter().enumerate() {
            let is_quote = Some(*byte) == self.quote;
            // A doubled quote closes and opens again, within the same field.
            if is_quote && (in_quotes || at_start || raw.get(at.wrapping_sub(1)) == Some(byte)) {
                in_quotes = !in_quotes;
                if at_start {
                    opened = at;
                }
            }
            let is_line_end = matches!(byte, b'\r' | b'\n');
            at_start = !in_quotes && (*byte == self.delimiter || at_start && is_line_end);
        }
        opened
    }
}

fn line_ends(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(*byte == b'\n')).sum()
}

/// The line in which the text of a record begins, counted from 1 at its first byte: line ends
/// before it belong to blank lines or to the record before.
fn first_line(raw: &[u8]) -> u64 {
    let text = raw.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(raw.len());
    1 + line_ends(&raw[..text])
}
