//! Looking at a folder: which files belong together, and how they are read.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::Read;
use std::ops::ControlFlow;

use huiliu_sdk::{Cell, ColumnSpec, Cx, Probe, Result, StreamSpec, type_word};
use serde_json::{Value, json};

use crate::config::{Format, Settings, Stream};
use crate::content;
use crate::place::{Entry, Place};
use crate::read::{self, Field, Flow, Raw, Receiver, Refusal};

mod beside;
mod guess;

/// How many rows of a file are looked at.
const SAMPLE_ROWS: u64 = 10_000;

/// Rows of a trial with a header at some place.
const TRIAL_ROWS: u64 = 50;

/// Opens the folder and counts the files of the configured streams.
pub(crate) fn probe(settings: &Settings, cx: &Cx) -> Result<Probe> {
    let place = settings.place(cx)?;
    let takes = |name: &str| settings.streams.iter().any(|stream| stream.takes(name));
    let count = place.list(&takes)?.len();
    let files = if count == 1 { "file matches" } else { "files match" };
    Ok(Probe { summary: format!("folder readable, {count} {files}") })
}

/// Groups the files of the folder by the pattern of their names.
pub(crate) fn streams(settings: &Settings, cx: &Cx) -> Result<Vec<StreamSpec>> {
    let place = settings.place(cx)?;
    let mut groups: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
    for entry in place.list(&guess::is_data_file)? {
        groups.entry(pattern_of(&entry.name)).or_default().push(entry);
    }
    let mut streams = Vec::with_capacity(groups.len());
    for (pattern, entries) in groups {
        cx.check()?;
        streams.extend(describe(&*place, &pattern, &entries)?);
    }
    Ok(streams)
}

/// The name with each run of digits as `*`.
fn pattern_of(name: &str) -> String {
    let mut pattern = String::with_capacity(name.len());
    for c in name.chars() {
        let c = if c.is_ascii_digit() { '*' } else { c };
        if c != '*' || !pattern.ends_with('*') {
            pattern.push(c);
        }
    }
    pattern
}

/// What the files of one pattern hold, by the last of them; nothing if all are empty.
fn describe(place: &dyn Place, pattern: &str, entries: &[Entry]) -> Result<Option<StreamSpec>> {
    let total: u64 = entries.iter().map(|entry| entry.size).sum();
    let Some(entry) = entries.iter().rev().find(|entry| entry.size > 0) else { return Ok(None) };
    let Some(file) = place.open(&entry.name)? else { return Ok(None) };
    let format = guess::format(&file, &entry.name);
    let mut stream = Stream::plain(pattern, format);
    let mut options = json!({ "pattern": pattern, "format": format.name() });
    guess_text(&file, &entry.name, &mut stream, &mut options);
    if format.is_grid() {
        guess_header(&file, &entry.name, &mut stream, &mut options);
    }
    match beside::control(place, &entry.name)? {
        Some(control) => options["control"] = control,
        // Nobody says when such a file is whole.
        None => options["stable"] = json!("60s"),
    }
    // A file that cannot be read whole is listed all the same; running it says what is wrong.
    let sample = sample(&file, &entry.name, &stream, SAMPLE_ROWS).unwrap_or_default();
    let rows = match sample.is_whole {
        true => Some(sample.rows),
        false => sample.bytes_per_row().map(|bytes| entry.size / bytes),
    };
    Ok(Some(StreamSpec {
        name: stream_name(pattern),
        options,
        key: sample.key(),
        columns: sample.columns(),
        cursors: Vec::new(),
        changed: None,
        row_estimate: rows.map(|rows| rows * total / entry.size.max(1)),
    }))
}

/// Encoding, delimiter, and where the records are.
fn guess_text(file: &File, name: &str, stream: &mut Stream, options: &mut Value) {
    let start = content::each_first(file, name, stream, |content| {
        content.read(|input| {
            let mut start = Vec::new();
            // What cannot be read is told when it is run.
            drop(input.take(guess::SAMPLE_BYTES).read_to_end(&mut start));
            Ok(start)
        })
    });
    let Ok(Some(start)) = start else { return };
    if !stream.format.is_text() {
        return;
    }
    let (encoding, text) = guess::decode(&start);
    if stream.format != Format::Xml {
        stream.encoding = Some(encoding);
        options["encoding"] = json!(encoding.name());
    }
    match stream.format {
        Format::Csv => {
            let delimiter = guess::delimiter(&text);
            stream.delimiter = delimiter;
            if delimiter != b',' {
                options["delimiter"] = json!(char::from(delimiter).to_string());
            }
        }
        Format::Json => stream.record = guess::json_record(&text),
        Format::Xml => stream.record = guess::xml_record(&text),
        _ => {}
    }
    if let Some(record) = stream.record.as_ref().filter(|record| !record.is_empty()) {
        options["record"] = json!(record);
    }
}

/// The first place at which a header makes sense of the rows below it.
fn guess_header(file: &File, name: &str, stream: &mut Stream, options: &mut Value) {
    for (rows, first) in (1..=2).flat_map(|rows| (1..=6).map(move |first| (rows, first))) {
        (stream.header_row, stream.header_rows) = (first, rows);
        let Ok(sample) = sample(file, name, stream, TRIAL_ROWS) else { continue };
        let speaks = |field: &Field| field.name.chars().any(char::is_alphabetic);
        if sample.refused == 0 && sample.fields.iter().all(speaks) {
            if first > 1 {
                options["header_row"] = json!(first);
            }
            if rows > 1 {
                options["header_rows"] = json!(rows);
            }
            return;
        }
    }
    (stream.header_row, stream.header_rows) = (1, 1);
}

fn sample(file: &File, name: &str, stream: &Stream, most: u64) -> Result<Sample> {
    let mut sample = Sample { most, is_whole: true, ..Sample::default() };
    let flow = content::each_first(file, name, stream, |content| {
        read::read(content, stream, &mut sample)
    })?;
    sample.is_whole = flow.is_some_and(|flow| flow.is_continue());
    Ok(sample)
}

/// The rows that were looked at.
#[derive(Default)]
struct Sample {
    most: u64,
    fields: Vec<Field>,
    rows: u64,
    refused: u64,
    bytes: u64,
    is_whole: bool,
    /// The values of each field so far, as long as none is missing or there twice.
    distinct: Vec<Option<HashSet<String>>>,
}

impl Sample {
    fn end(&mut self) -> Flow {
        self.rows += 1;
        Ok(if self.rows < self.most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    }

    fn bytes_per_row(&self) -> Option<u64> {
        (self.rows > 0).then(|| (self.bytes / self.rows).max(1))
    }

    fn columns(&self) -> Vec<(String, ColumnSpec)> {
        let spec = |field: &Field| {
            let kind = field.kind.map_or("text".into(), |kind| type_word(&kind.arrow()));
            (field.name.clone(), ColumnSpec { data_type: Some(kind), ..ColumnSpec::default() })
        };
        self.fields.iter().map(spec).collect()
    }

    /// The first field whose name is that of a number of something and whose values differ in a
    /// whole file.
    fn key(&self) -> Vec<String> {
        if !self.is_whole || self.rows < 2 {
            return Vec::new();
        }
        let fields = self.fields.iter().zip(&self.distinct);
        let mut likely = fields
            .filter(|(field, distinct)| distinct.is_some() && guess::is_identifier(&field.name));
        likely.next().map(|(field, _)| field.name.clone()).into_iter().collect()
    }
}

impl Receiver for Sample {
    fn header(&mut self, fields: &[Field]) -> Result<()> {
        self.fields = fields.to_vec();
        self.distinct = vec![Some(HashSet::new()); fields.len()];
        Ok(())
    }

    fn row(&mut self, _position: u64, cells: &[Cell<'_>]) -> Flow {
        for (cell, distinct) in cells.iter().zip(&mut self.distinct) {
            let text = match cell {
                Cell::Text(text) => (*text).to_owned(),
                Cell::Int(number) => number.to_string(),
                _ => String::new(),
            };
            self.bytes += text.len() as u64 + 1;
            let is_new =
                |known: &mut HashSet<String>| !text.is_empty() && known.insert(text.clone());
            if !distinct.as_mut().is_some_and(is_new) {
                *distinct = None;
            }
        }
        self.end()
    }

    fn refused(&mut self, _position: u64, _refusal: Refusal, _raw: Raw<'_>) -> Flow {
        self.refused += 1;
        self.end()
    }
}

/// The pattern without what no name has, `files` if nothing is left.
fn stream_name(pattern: &str) -> String {
    let stem = guess::stem(pattern);
    let words: Vec<&str> =
        stem.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    if words.is_empty() { "files".into() } else { words.join("_") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_become_stars_and_names_lose_them() {
        assert_eq!(pattern_of("cases_20180612_01.csv"), "cases_*_*.csv");
        assert_eq!(stream_name("cases_*_*.csv"), "cases");
        assert_eq!(stream_name("cases_*.csv.gz"), "cases");
        assert_eq!(stream_name("人社-办件*.csv"), "人社_办件");
        assert_eq!(stream_name("*.csv"), "files");
    }
}
