//! Looking at a folder, without reading more than the start of a few files.

use std::collections::BTreeMap;
use std::io::Read;

use huiliu_sdk::{ColumnSpec, Cx, Probe, Result, StreamSpec};
use serde_json::json;

use crate::config::{ControlOptions, Encoding, Settings};
use crate::encoding::{self, Transcoder};
use crate::folder::{Folder, broken};

/// How much of a file is looked at.
const SAMPLE_BYTES: u64 = 64 << 10;

const CONTROL_SUFFIX: &str = ".ctl";

const DELIMITERS: [char; 4] = [',', '\t', ';', '|'];

/// Opens the folder and counts the files of the configured streams.
pub(crate) fn probe(settings: &Settings) -> Result<Probe> {
    let folder = Folder::open(&settings.path)?;
    let takes = |name: &str| settings.streams.iter().any(|stream| stream.takes(name));
    let count = folder.names(takes)?.len();
    let files = if count == 1 { "file matches" } else { "files match" };
    Ok(Probe { summary: format!("folder readable, {count} {files}") })
}

/// Groups the files of the folder by the pattern of their names.
pub(crate) fn streams(settings: &Settings, cx: &Cx) -> Result<Vec<StreamSpec>> {
    let folder = Folder::open(&settings.path)?;
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for name in folder.names(is_data_file)? {
        groups.entry(pattern_of(&name)).or_default().push(name);
    }
    let mut streams = Vec::with_capacity(groups.len());
    for (pattern, names) in groups {
        cx.check()?;
        streams.extend(describe(&folder, &pattern, &names)?);
    }
    Ok(streams)
}

fn is_data_file(name: &str) -> bool {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending).to_ascii_lowercase();
    !name.starts_with('.') && ["csv", "txt", "tsv", "dat"].contains(&ending.as_str())
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

/// What the files of one pattern hold, by the start of the last of them; nothing if all are
/// empty.
fn describe(folder: &Folder, pattern: &str, names: &[String]) -> Result<Option<StreamSpec>> {
    let mut total = 0;
    let mut sample = Vec::new();
    let mut sampled = "";
    for name in names {
        let file = folder.file(name)?;
        let size = file.metadata().map_err(|cause| broken(name, cause))?.len();
        total += size;
        if size > 0 {
            sample.clear();
            sampled = name;
            file.take(SAMPLE_BYTES)
                .read_to_end(&mut sample)
                .map_err(|cause| broken(name, cause))?;
        }
    }
    if sample.is_empty() {
        return Ok(None);
    }
    let (encoding, text) = decode(&sample);
    let header = text.lines().next().unwrap_or_default();
    let delimiter = DELIMITERS
        .into_iter()
        .max_by_key(|delimiter| (header.matches(*delimiter).count(), *delimiter == ','))
        .unwrap_or(',');
    let columns = header
        .split(delimiter)
        .map(|name| name.trim().trim_matches('"').to_owned())
        .map(|name| (name, ColumnSpec { data_type: Some("text".into()), ..Default::default() }))
        .collect();

    let mut options = json!({ "pattern": pattern, "format": "csv", "encoding": encoding.name() });
    if delimiter != ',' {
        options["delimiter"] = json!(delimiter.to_string());
    }
    let stem = sampled.rsplit_once('.').map_or(sampled, |(stem, _)| stem);
    if !folder.names(|name| name == format!("{stem}{CONTROL_SUFFIX}"))?.is_empty() {
        let ControlOptions { suffix, rows, digest } = ControlOptions::default();
        options["control"] = json!({ "suffix": suffix, "rows": rows, "digest": digest });
    }
    let lines = sample.iter().filter(|byte| **byte == b'\n').count().max(1) as u64;
    let row_estimate =
        Some((total * lines / sample.len() as u64).saturating_sub(names.len() as u64));
    Ok(Some(StreamSpec {
        name: stream_name(pattern),
        options,
        columns,
        key: Vec::new(),
        cursors: Vec::new(),
        changed: None,
        row_estimate,
    }))
}

/// Guesses the encoding of the start of a file.
fn decode(sample: &[u8]) -> (Encoding, String) {
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

/// The pattern without what no name has, `files` if nothing is left.
fn stream_name(pattern: &str) -> String {
    let stem = pattern.rsplit_once('.').map_or(pattern, |(stem, _)| stem);
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
        assert_eq!(stream_name("人社-办件*.csv"), "人社_办件");
        assert_eq!(stream_name("*.csv"), "files");
    }
}
