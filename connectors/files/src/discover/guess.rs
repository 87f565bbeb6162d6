//! Guesses by the start of a file, for people to check.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use quick_xml::events::Event;
use serde_json::Value;

use crate::config::{Encoding, Format};
use crate::content;
use crate::encoding::{self, Transcoder, start_of};

/// How much of a file is looked at.
pub(super) const SAMPLE_BYTES: u64 = 1 << 20;

const DELIMITERS: [u8; 4] = [b',', b'\t', b';', b'|'];

/// Endings of files that hold data, with what they are.
const ENDINGS: [(&str, Format); 16] = [
    ("csv", Format::Csv),
    ("txt", Format::Csv),
    ("tsv", Format::Csv),
    ("dat", Format::Csv),
    ("xlsx", Format::Xlsx),
    ("xlsm", Format::Xlsx),
    ("xls", Format::Xls),
    ("json", Format::Json),
    ("ndjson", Format::Ndjson),
    ("jsonl", Format::Ndjson),
    ("xml", Format::Xml),
    ("parquet", Format::Parquet),
    ("arrow", Format::Arrow),
    ("arrows", Format::Arrow),
    ("feather", Format::Arrow),
    ("ipc", Format::Arrow),
];

const PACKED: [&str; 2] = ["gz", "zip"];

fn split(name: &str) -> (&str, String) {
    let (stem, ending) = name.rsplit_once('.').unwrap_or((name, ""));
    (stem, ending.to_ascii_lowercase())
}

/// The name without its endings.
pub(super) fn stem(name: &str) -> &str {
    let (stem, ending) = split(name);
    if PACKED.contains(&ending.as_str()) { split(stem).0 } else { stem }
}

fn by_name(name: &str) -> Option<Format> {
    let (stem, ending) = split(name);
    let ending = if ending == "gz" { split(stem).1 } else { ending };
    ENDINGS.iter().find(|(known, _)| *known == ending).map(|(_, format)| *format)
}

pub(super) fn is_data_file(name: &str) -> bool {
    let is_archive = split(name).1 == "zip";
    !crate::arrival::is_unfinished(name, "") && (is_archive || by_name(name).is_some())
}

/// What a file is, by its first bytes where they say, else by its name.
pub(super) fn format(mut file: &File, name: &str) -> Format {
    let named = by_name(name);
    if split(name).1 == "zip" {
        let member = content::first_member(file, name);
        return member.as_deref().and_then(by_name).unwrap_or_default();
    }
    let start = file.seek(SeekFrom::Start(0)).and_then(|_| start_of(&mut file)).unwrap_or_default();
    for (mark, format) in [
        (b"PAR1".as_slice(), Format::Parquet),
        (b"ARROW1", Format::Arrow),
        (b"\xd0\xcf\x11\xe0", Format::Xls),
        (b"PK\x03\x04", Format::Xlsx),
    ] {
        if start.starts_with(mark) {
            return format;
        }
    }
    named.unwrap_or_default()
}

/// Guesses the encoding of the start of a file.
pub(super) fn decode(sample: &[u8]) -> (Encoding, String) {
    let (encoding, skip) = encoding::mark(sample).unwrap_or_else(|| {
        let is_utf8 = match std::str::from_utf8(sample) {
            Ok(_) => true,
            // The sample may end within a character.
            Err(error) => error.error_len().is_none(),
        };
        (if is_utf8 { Encoding::Utf8 } else { Encoding::Gb18030 }, 0)
    });
    let mut text = Vec::new();
    // Reading from memory does not fail.
    drop(Transcoder::new(&sample[skip..], encoding).read_to_end(&mut text));
    (encoding, String::from_utf8_lossy(&text).into_owned())
}

/// The character that is most often in each of the first lines.
pub(super) fn delimiter(text: &str) -> u8 {
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).take(20).collect();
    let count = |delimiter: u8| -> usize {
        let counts = lines.iter().map(|line| line.matches(char::from(delimiter)).count());
        let mut counts: Vec<usize> = counts.collect();
        counts.sort_unstable();
        counts.get(counts.len() / 2).copied().unwrap_or(0)
    };
    let best =
        DELIMITERS.into_iter().max_by_key(|delimiter| (count(*delimiter), *delimiter == b','));
    best.unwrap_or(b',')
}

/// The path to the first list of objects, of a document that is small enough to look at.
pub(super) fn json_record(text: &str) -> Option<String> {
    let json: Value = serde_json::from_str(text).ok()?;
    let mut level = vec![(String::new(), &json)];
    for _ in 0..4 {
        let mut next = Vec::new();
        for (path, value) in level {
            if value.as_array().and_then(|list| list.first()).is_some_and(Value::is_object) {
                return Some(path);
            }
            for (key, value) in value.as_object().into_iter().flatten() {
                let dot = if path.is_empty() { "" } else { "." };
                next.push((format!("{path}{dot}{key}"), value));
            }
        }
        level = next;
    }
    None
}

/// The element nearest to the root that is there more than once.
pub(super) fn xml_record(text: &str) -> Option<String> {
    let mut reader = quick_xml::Reader::from_str(text);
    let mut path: Vec<String> = Vec::new();
    let mut counts: HashMap<(usize, String), usize> = HashMap::new();
    // The sample may end within an element.
    while let Ok(event) = reader.read_event() {
        match event {
            Event::Start(start) => {
                path.push(start.local_name().as_ref().to_owned());
                if path.len() <= 5 {
                    *counts.entry((path.len(), path.join("/"))).or_default() += 1;
                }
            }
            Event::End(_) => drop(path.pop()),
            Event::Eof => break,
            _ => {}
        }
    }
    let mut found: Vec<((usize, String), usize)> = counts.into_iter().collect();
    found.sort();
    let several = found.iter().find(|((depth, _), count)| *depth > 1 && *count > 1);
    let second = || found.iter().find(|((depth, _), _)| *depth == 2);
    several.or_else(second).map(|((_, path), _)| path.clone())
}

/// Whether a name is that of a number of something.
pub(super) fn is_identifier(name: &str) -> bool {
    let lower = name.to_lowercase();
    let words = ["id", "no", "code", "guid", "uuid", "key"];
    let is_word = lower.split(|c: char| !c.is_alphanumeric()).any(|word| words.contains(&word));
    is_word
        || ["编号", "编码", "号码", "流水号", "主键", "序列号"]
            .iter()
            .any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_found_where_they_repeat() {
        assert_eq!(
            json_record(r#"{"code":0,"data":{"rows":[{"a":1}]}}"#).as_deref(),
            Some("data.rows")
        );
        assert_eq!(json_record(r#"[{"a":1}]"#).as_deref(), Some(""));
        assert_eq!(json_record("[1]"), None);
        let xml = "<d><head/><list><case><a>1</a></case><case/><case><b>";
        assert_eq!(xml_record(xml).as_deref(), Some("d/list/case"));
    }

    #[test]
    fn a_delimiter_is_in_most_lines() {
        assert_eq!(delimiter("台账, 2018年\na;b;c\n1;2;3\n"), b';');
        assert_eq!(delimiter("a,b\n"), b',');
        assert_eq!(delimiter("a\n"), b',');
    }
}
