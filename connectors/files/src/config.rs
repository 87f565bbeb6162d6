//! The configuration: what an operator writes, checked without opening anything.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono_tz::Tz;
use huiliu_sdk::{
    ConfigErrors, DeclaredColumn, Deletes, RawConfig, RawStream, ReadMode, StreamId, StreamSettings,
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::encoding;

mod options;

use options::{flag_unfit, optional, required};

/// Keys of a system file with `kind = "files"`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct SystemOptions {
    /// The folder that holds the files, relative to the folder of the project's configuration.
    pub path: String,
}

/// Keys of one stream of a system with `kind = "files"`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct StreamOptions {
    /// Which files to read, by name: `*` is any run of characters, `?` is one.
    pub pattern: String,
    /// What the files are. Default: `csv`.
    #[serde(default)]
    pub format: Format,
    /// How the files' text is encoded. Default: `utf-8`.
    #[serde(default)]
    pub encoding: Encoding,
    /// The character between two fields. Default: a comma.
    #[serde(default)]
    pub delimiter: Option<String>,
    /// The character around a field that holds delimiters or line ends; empty for none.
    /// Default: `"`.
    #[serde(default)]
    pub quote: Option<String>,
    /// The text that means no value. Default: the empty text.
    #[serde(default)]
    pub null: Option<String>,
    /// The header's name of each column. Default: all columns of the header under its names.
    #[serde(default)]
    pub fields: BTreeMap<String, String>,
    /// The control file beside each data file. Without its control file a data file waits.
    #[serde(default)]
    pub control: Option<ControlOptions>,
}

/// A control file: lines of `key=value` beside the data file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ControlOptions {
    /// What its name ends with, in place of the data file's ending. Default: `.ctl`.
    #[serde(default = "default_suffix")]
    pub suffix: String,
    /// The key of the number of rows, header not counted. Default: `rows`.
    #[serde(default = "default_rows")]
    pub rows: String,
    /// The key of the SHA-256 digest of the data file. Default: `sha256`.
    #[serde(default = "default_digest")]
    pub digest: String,
}

impl Default for ControlOptions {
    fn default() -> Self {
        Self { suffix: default_suffix(), rows: default_rows(), digest: default_digest() }
    }
}

fn default_suffix() -> String {
    ".ctl".into()
}

fn default_rows() -> String {
    "rows".into()
}

fn default_digest() -> String {
    "sha256".into()
}

/// What a file is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Comma-separated values with a header line.
    #[default]
    Csv,
}

/// How text is encoded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Encoding {
    /// UTF-8.
    #[default]
    #[serde(rename = "utf-8")]
    Utf8,
    /// GB18030, which GBK and GB2312 are part of.
    #[serde(rename = "gb18030")]
    Gb18030,
    /// UTF-16, low byte first.
    #[serde(rename = "utf-16le")]
    Utf16Le,
    /// UTF-16, high byte first.
    #[serde(rename = "utf-16be")]
    Utf16Be,
}

impl Encoding {
    /// The name as it is written in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "utf-8",
            Self::Gb18030 => "gb18030",
            Self::Utf16Le => "utf-16le",
            Self::Utf16Be => "utf-16be",
        }
    }
}

/// A checked system file.
pub(crate) struct Settings {
    pub(crate) path: PathBuf,
    pub(crate) hub_zone: Tz,
    pub(crate) streams: Vec<Stream>,
}

/// A checked stream.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    pub(crate) id: StreamId,
    pub(crate) pattern: String,
    pub(crate) encoding: Encoding,
    pub(crate) delimiter: u8,
    pub(crate) quote: Option<u8>,
    pub(crate) null: String,
    /// Column and header name; empty means the header as it is.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) control: Option<ControlOptions>,
    pub(crate) key: Vec<String>,
    /// Whether files that were read are left out.
    pub(crate) incremental: bool,
    pub(crate) zone: Tz,
    pub(crate) columns: BTreeMap<String, DeclaredColumn>,
}

impl Stream {
    /// Whether `name` is a data file of this stream.
    pub(crate) fn takes(&self, name: &str) -> bool {
        let is_control =
            self.control.as_ref().is_some_and(|control| name.ends_with(&control.suffix));
        !is_control && crate::pattern::matches(&self.pattern, name)
    }

    /// Whether records are found in the file's own bytes.
    pub(crate) fn splits_as_is(&self) -> bool {
        encoding::splits_as_is(self.encoding, self.delimiter, self.quote)
    }

    /// The encoding of the records as the parser gives them.
    pub(crate) fn record_encoding(&self) -> Encoding {
        if self.splits_as_is() { self.encoding } else { Encoding::Utf8 }
    }
}

/// Checks a whole system file and names every fault.
pub(crate) fn settings(raw: &RawConfig) -> Result<Settings, ConfigErrors> {
    let mut faults = ConfigErrors::default();
    let path: Option<String> = required(&raw.options, "", "path", &mut faults);
    if path.as_deref() == Some("") {
        faults.push("path", "must not be empty");
    }
    for index in 0..raw.pushes.len() {
        faults.push_with_hint(
            format!("pushes[{index}]"),
            "a files system takes no pushes",
            "remove the push or send it to another system",
        );
    }
    let mut streams = Vec::with_capacity(raw.streams.len());
    for (index, stream) in raw.streams.iter().enumerate() {
        let at = format!("streams[{index}]");
        streams.push(read_stream(stream, &at, raw.hub_zone, &mut faults));
    }
    faults.into_result(Settings {
        path: raw.base_dir.join(path.unwrap_or_default()),
        hub_zone: raw.hub_zone,
        streams: streams.into_iter().flatten().collect(),
    })
}

fn read_stream(
    raw: &RawStream,
    at: &str,
    hub_zone: Tz,
    faults: &mut ConfigErrors,
) -> Option<Stream> {
    let (options, settings) = (&raw.options, &raw.settings);
    let pattern: Option<String> = required(options, at, "pattern", faults);
    if let Some(pattern) = &pattern {
        check_pattern(pattern, at, faults);
    }
    if optional::<Format>(options, "format").is_err() {
        flag_unfit(at, "format", "use csv", faults);
    }
    let encoding = optional(options, "encoding").unwrap_or_else(|()| {
        flag_unfit(at, "encoding", "use utf-8, gb18030, utf-16le or utf-16be", faults);
        None
    });
    let delimiter = read_byte(options, at, "delimiter", faults).unwrap_or(Some(b','));
    if delimiter.is_none() {
        faults.push(format!("{at}.delimiter"), "must not be empty");
    }
    let quote = read_byte(options, at, "quote", faults).unwrap_or(Some(b'"'));
    if quote.is_some() && quote == delimiter {
        faults.push(format!("{at}.quote"), "must not be the delimiter");
    }
    let null: Option<String> = optional(options, "null").unwrap_or_else(|()| {
        flag_unfit(at, "null", "write the text that means no value", faults);
        None
    });
    let fields = read_fields(options, settings, at, faults);
    let control: Option<ControlOptions> = optional(options, "control").unwrap_or_else(|()| {
        flag_unfit(at, "control", "give suffix, rows and digest as text", faults);
        None
    });
    if let Some(control) = &control {
        check_control(control, at, faults);
    }
    let zone = check_settings(settings, at, hub_zone, faults);
    Some(Stream {
        id: StreamId::new(settings.name.as_str()),
        pattern: pattern?,
        encoding: encoding.unwrap_or_default(),
        delimiter: delimiter?,
        quote,
        null: null.unwrap_or_default(),
        fields,
        control,
        key: settings.key.clone(),
        incremental: settings.read == ReadMode::Incremental,
        zone,
        columns: settings.declared_columns(at, faults),
    })
}

fn check_pattern(pattern: &str, at: &str, faults: &mut ConfigErrors) {
    let path = format!("{at}.pattern");
    if pattern.is_empty() {
        faults.push(path, "must not be empty");
    } else if pattern.contains(['/', '\\', '\0']) {
        faults.push_with_hint(
            path,
            "must match names of files in the folder itself",
            "name the folder in the system's `path`",
        );
    }
}

/// One ASCII character: nothing if the key is absent, `Some(None)` if it is the empty text.
fn read_byte(
    options: &serde_json::Value,
    at: &str,
    key: &str,
    faults: &mut ConfigErrors,
) -> Option<Option<u8>> {
    let text: Result<Option<String>, ()> = optional(options, key);
    match text.as_ref().map(|text| text.as_deref().map(str::as_bytes)) {
        Ok(None) => None,
        Ok(Some([])) => Some(None),
        Ok(Some([byte])) if byte.is_ascii() && !matches!(byte, b'\r' | b'\n' | 0) => {
            Some(Some(*byte))
        }
        _ => {
            flag_unfit(at, key, "use one ASCII character that is no line end", faults);
            None
        }
    }
}

fn read_fields(
    options: &serde_json::Value,
    settings: &StreamSettings,
    at: &str,
    faults: &mut ConfigErrors,
) -> Vec<(String, String)> {
    let path = format!("{at}.fields");
    let map = match optional::<serde_json::Map<String, serde_json::Value>>(options, "fields") {
        Ok(None) => return Vec::new(),
        Ok(Some(map)) => map,
        Err(()) => {
            flag_unfit(at, "fields", "write fields = { column = \"表头\" }", faults);
            return Vec::new();
        }
    };
    let mut fields: Vec<(String, String)> = Vec::with_capacity(map.len());
    for (column, header) in map {
        match header.as_str().map(str::trim) {
            Some(header) if !header.is_empty() => {
                if fields.iter().any(|(_, taken)| taken == header) {
                    faults.push(
                        format!("{path}.{column}"),
                        format!("header `{header}` is taken by another column"),
                    );
                }
                fields.push((column, header.to_owned()));
            }
            _ => faults.push(format!("{path}.{column}"), "must be the name of a header"),
        }
    }
    let used = (settings.key.iter().map(|name| ("key", name)))
        .chain(settings.columns.keys().map(|name| ("columns", name)));
    for (setting, name) in used {
        if !fields.is_empty() && !fields.iter().any(|(column, _)| column == name) {
            faults.push_with_hint(
                format!("{at}.{setting}"),
                format!("column `{name}` is not one of `fields`"),
                "add it to `fields`",
            );
        }
    }
    fields
}

fn check_control(control: &ControlOptions, at: &str, faults: &mut ConfigErrors) {
    if control.suffix.is_empty() || control.suffix.contains(['/', '\\', '\0']) {
        faults.push(format!("{at}.control.suffix"), "must be the end of a file name");
    }
    for (key, value) in [("rows", &control.rows), ("digest", &control.digest)] {
        if value.trim().is_empty() || value.contains('=') {
            faults.push(format!("{at}.control.{key}"), "must be a key of the control file");
        }
    }
}

fn check_settings(
    settings: &StreamSettings,
    at: &str,
    hub_zone: Tz,
    faults: &mut ConfigErrors,
) -> Tz {
    if matches!(settings.read, ReadMode::Flagged | ReadMode::Changes) {
        faults.push_with_hint(
            format!("{at}.read"),
            "a files stream is read full or incremental",
            "use read = \"incremental\" to read each file once, or read = \"full\"",
        );
    }
    if settings.overlap.is_some() {
        faults.push_with_hint(
            format!("{at}.overlap"),
            "a files stream has no overlap",
            "remove it: a changed file is read again as a whole",
        );
    }
    // Rows marked as deleted are rows like any other here; the hub reads the mark.
    if settings.deletes == Deletes::KeyScan && settings.read != ReadMode::Full {
        faults.push_with_hint(
            format!("{at}.deletes"),
            "a files stream compares keys only when it is read whole",
            "use key_scan together with read = \"full\", or deletes = \"soft\"",
        );
    }
    settings.source_zone(at, hub_zone, faults)
}
