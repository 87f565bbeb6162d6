//! XML: a repeated element for each record. No entities but the five and characters, no DTD, no
//! depth, and never more in memory than one record may have.

use std::io::{BufReader, Read};
use std::ops::ControlFlow;

use huiliu_sdk::{Error, ErrorKind, ROW_BYTES, Result};
use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};
use serde_json::Value;

use super::keyed::{self, Entries};
use super::{Flow, Receiver};
use crate::config::{Encoding, Stream};
use crate::content::Content;
use crate::encoding::Transcoder;
use crate::fault::{broken, damaged, over_limit};
use crate::limit::Budget;

const MAX_DEPTH: usize = 64;

const MAX_ATTRIBUTES: usize = 1000;

/// How much of the start of a file is asked for its encoding.
const DECLARATION_BYTES: u64 = 256;

/// Reads the elements that `record` names.
pub(super) fn read(content: &Content<'_>, stream: &Stream, receiver: &mut dyn Receiver) -> Flow {
    let name = content.name();
    let encoding = match stream.encoding {
        Some(encoding) => encoding,
        None => content.read(|input| declared(input, name))?,
    };
    let scan = |each: &mut dyn FnMut(u64, Entries) -> Flow| {
        content.read(|input| {
            let input = Transcoder::text(input, encoding, name)?;
            records(input, name, stream.record.as_deref().unwrap_or_default(), each)
        })
    };
    keyed::read(&scan, name, encoding, stream, receiver)
}

/// The encoding that a file says it has, by its mark or its declaration.
fn declared(input: &mut dyn Read, name: &str) -> Result<Encoding> {
    let mut start = Vec::new();
    input.take(DECLARATION_BYTES).read_to_end(&mut start).map_err(|cause| broken(name, cause))?;
    if let Some((encoding, _)) = crate::encoding::mark(&start) {
        return Ok(encoding);
    }
    let text = String::from_utf8_lossy(&start).to_ascii_lowercase();
    let declaration = text.trim_start().split("?>").next().unwrap_or_default();
    let word = declaration
        .starts_with("<?xml")
        .then(|| declaration.split_once("encoding"))
        .flatten()
        .and_then(|(_, rest)| rest.split(['"', '\'']).nth(1));
    match word {
        None | Some("utf-8" | "utf8" | "us-ascii") => Ok(Encoding::Utf8),
        Some("gbk" | "gb2312" | "gb18030") => Ok(Encoding::Gb18030),
        Some(_) => Err(Error::new(
            ErrorKind::Data,
            "E-ENCODING",
            format!("file {name} says that it has an encoding that is not known here"),
        )
        .hint("set `encoding` of the stream to what the file really has")),
    }
}

/// Where the reader is.
struct Walk<'a> {
    file: &'a str,
    /// The wanted element: its name, or the whole path to it.
    wanted: Vec<&'a str>,
    is_path: bool,
    path: Vec<String>,
    record: Option<Record>,
    position: u64,
}

/// A record being read.
struct Record {
    /// How deep its element is.
    depth: usize,
    entries: Vec<(String, Value)>,
    /// The text of each open element within, with whether it has elements itself.
    open: Vec<(String, bool)>,
    twice: Option<String>,
}

fn records(
    input: impl Read,
    file: &str,
    wanted: &str,
    each: &mut dyn FnMut(u64, Entries) -> Flow,
) -> Flow {
    let (input, budget) = Budget::new(input, ROW_BYTES);
    let mut reader = Reader::from_reader(BufReader::new(input));
    let mut walk = Walk {
        file,
        wanted: wanted.split('/').filter(|step| !step.is_empty()).collect(),
        is_path: wanted.contains('/'),
        path: Vec::new(),
        record: None,
        position: 0,
    };
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        let event = reader.read_event_into(&mut buffer);
        let done = match event.map_err(|cause| unfit(file, &cause, walk.position))? {
            Event::Start(start) => walk.start(&start).map(|()| None)?,
            Event::Empty(start) => {
                walk.start(&start)?;
                walk.end()
            }
            Event::End(_) => walk.end(),
            Event::Text(text) => walk.text(&text.xml10_content()),
            Event::CData(text) => walk.text(&text.xml10_content()),
            Event::GeneralRef(reference) => {
                let named = resolve_predefined_entity(&reference).map(str::to_owned);
                let numbered = reference.resolve_char_ref().ok().flatten().map(|c| c.to_string());
                let Some(text) = named.or(numbered) else {
                    return Err(refused(file, "uses an entity that it would have to define"));
                };
                walk.text(&text)
            }
            Event::DocType(_) => return Err(refused(file, "has a DTD")),
            Event::Eof => break,
            Event::Decl(_) | Event::Comment(_) | Event::PI(_) => None,
        };
        if walk.record.is_none() {
            budget.renew(ROW_BYTES);
        }
        if let Some(record) = done {
            walk.position += 1;
            let entries = match record.twice {
                None => Ok(record.entries),
                Some(name) => {
                    let reason = format!("the element `{name}` is there more than once");
                    let kept = Value::Object(record.entries.into_iter().collect());
                    Err((("E-FILE-RECORD", reason), kept.to_string().into_bytes()))
                }
            };
            if each(walk.position, entries)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }
    if !walk.path.is_empty() {
        return Err(damaged(file, "ends within an element"));
    }
    Ok(ControlFlow::Continue(()))
}

impl Walk<'_> {
    fn is_wanted(&self) -> bool {
        if self.is_path {
            self.path.iter().map(String::as_str).eq(self.wanted.iter().copied())
        } else {
            self.path.last().map(String::as_str) == self.wanted.first().copied()
        }
    }

    fn start(&mut self, start: &BytesStart<'_>) -> Result<()> {
        // Prefixes of namespaces differ between senders of the same records.
        self.path.push(start.local_name().as_ref().to_owned());
        if self.path.len() > MAX_DEPTH {
            let file = self.file;
            return Err(over_limit(format!("file {file} has elements deeper than {MAX_DEPTH}")));
        }
        if self.record.is_none() && self.is_wanted() {
            let record =
                Record { depth: self.path.len(), entries: vec![], open: vec![], twice: None };
            self.record = Some(record);
        } else if let Some(record) = &mut self.record
            && let Some((_, has_elements)) = record.open.last_mut()
        {
            *has_elements = true;
        }
        if let Some(record) = &mut self.record {
            record.open.push((String::new(), false));
        }
        self.attributes(start)
    }

    fn attributes(&mut self, start: &BytesStart<'_>) -> Result<()> {
        let Some(record) = &mut self.record else { return Ok(()) };
        let place = self.path[record.depth..].join("/");
        for (index, attribute) in start.attributes().with_checks(false).enumerate() {
            if index >= MAX_ATTRIBUTES {
                return Err(over_limit(format!(
                    "file {} has an element with more than {MAX_ATTRIBUTES} attributes",
                    self.file
                )));
            }
            let attribute =
                attribute.map_err(|_| refused(self.file, "has an attribute that is none"))?;
            let name = attribute.key.as_ref();
            if name.starts_with("xmlns") || name.starts_with("xsi:") {
                continue;
            }
            let value = attribute
                .normalized_value(quick_xml::XmlVersion::Implicit1_0)
                .map_err(|_| refused(self.file, "has an attribute that is none"))?;
            let slash = if place.is_empty() { "" } else { "/" };
            record.put(format!("{place}{slash}@{name}"), value.into_owned());
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Option<Record> {
        if let Some((open, _)) = self.record.as_mut().and_then(|record| record.open.last_mut()) {
            open.push_str(text);
        }
        None
    }

    /// Leaves an element; the record if it was that of one.
    fn end(&mut self) -> Option<Record> {
        if let Some(record) = &mut self.record
            && let Some((text, has_elements)) = record.open.pop()
        {
            let place = self.path[record.depth..].join("/");
            let text = text.trim();
            // The spaces between elements are no value; a record of plain text is one itself.
            if !has_elements && (!place.is_empty() || !text.is_empty()) {
                let place = if place.is_empty() { "text()".into() } else { place };
                record.put(place, text.to_owned());
            }
        }
        let depth = self.path.len();
        self.path.pop();
        self.record.take_if(|record| record.depth == depth)
    }
}

impl Record {
    fn put(&mut self, name: String, value: String) {
        if self.twice.is_none() && self.entries.iter().any(|(known, _)| *known == name) {
            self.twice = Some(name.clone());
        }
        self.entries.push((name, Value::String(value)));
    }
}

fn unfit(file: &str, cause: &quick_xml::Error, records: u64) -> Error {
    if let quick_xml::Error::Io(cause) = cause {
        return broken(file, crate::limit::shared(cause));
    }
    refused(file, &format!("is no well-formed XML after its record {records}"))
}

fn refused(file: &str, what: &str) -> Error {
    Error::new(ErrorKind::Data, "E-FILE-SYNTAX", format!("file {file} {what}"))
        .hint("ask the sender to deliver plain, well-formed XML; check `encoding`")
}
