//! The configuration: what an operator writes, checked without opening anything.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono_tz::Tz;
use huiliu_sdk::{ConfigErrors, DeclaredColumn, Deletes, RawConfig, RawStream, ReadMode, StreamId};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

/// Keys of a system file with `kind = "lines"`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct SystemOptions {
    /// The folder of the files, relative to the project's own.
    #[schemars(example = &"drops/land")]
    pub path: String,
}

/// Keys of one stream of a system with `kind = "lines"`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct StreamOptions {
    /// The file to read. Its columns are the fields of its first line, and those declared.
    #[schemars(example = &"cases.ndjson")]
    pub file: String,
}

/// Keys of one push to a system with `kind = "lines"`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct PushOptions {
    /// The file to which each record is added as a line.
    #[schemars(example = &"repairs.ndjson")]
    pub file: String,
    /// Bytes of the longest line that readers of the file take. Default: 65536.
    #[serde(default = "longest")]
    #[schemars(example = 4096)]
    pub longest: u64,
}

fn longest() -> u64 {
    65_536
}

/// A checked system file.
pub(crate) struct Settings {
    pub(crate) folder: PathBuf,
    pub(crate) hub_zone: Tz,
    pub(crate) streams: Vec<Stream>,
    pub(crate) pushes: Vec<Push>,
}

/// A checked stream.
#[derive(Clone)]
pub(crate) struct Stream {
    pub(crate) id: StreamId,
    pub(crate) path: PathBuf,
    /// Whether a read goes on behind the last line that was read.
    pub(crate) incremental: bool,
    pub(crate) key: Vec<String>,
    pub(crate) zone: Tz,
    pub(crate) columns: BTreeMap<String, DeclaredColumn>,
}

/// A checked push.
#[derive(Clone)]
pub(crate) struct Push {
    pub(crate) id: StreamId,
    pub(crate) path: PathBuf,
    pub(crate) longest: u64,
}

/// Checks a whole system file and names every fault.
pub(crate) fn settings(raw: &RawConfig) -> Result<Settings, ConfigErrors> {
    let mut faults = ConfigErrors::default();
    let folder = raw.base_dir.join(text(&raw.options, "", "path", &mut faults));
    let mut streams = Vec::with_capacity(raw.streams.len());
    for (index, raw_stream) in raw.streams.iter().enumerate() {
        let at = format!("streams[{index}].");
        let path = folder.join(file(&raw_stream.options, &at, &mut faults));
        streams.push(stream(raw_stream, path, &at, raw.hub_zone, &mut faults));
    }
    let mut pushes = Vec::with_capacity(raw.pushes.len());
    for (index, push) in raw.pushes.iter().enumerate() {
        let at = format!("pushes[{index}].");
        let path = folder.join(file(&push.options, &at, &mut faults));
        let longest = match push.options.get("longest") {
            None => longest(),
            Some(number) => number.as_u64().unwrap_or_else(|| {
                faults.push(format!("{at}longest"), "must be a whole number");
                longest()
            }),
        };
        pushes.push(Push { id: StreamId::new(push.name.as_str()), path, longest });
    }
    faults.into_result(Settings { folder, hub_zone: raw.hub_zone, streams, pushes })
}

fn stream(
    raw: &RawStream,
    path: PathBuf,
    at: &str,
    hub_zone: Tz,
    faults: &mut ConfigErrors,
) -> Stream {
    let settings = &raw.settings;
    if matches!(settings.read, ReadMode::Flagged | ReadMode::Changes) {
        let hint = "use read = \"incremental\" to read each line once, or read = \"full\"";
        faults.push_with_hint(format!("{at}read"), "lines are read full or incremental", hint);
    }
    if settings.deletes == Deletes::KeyScan && settings.read == ReadMode::Incremental {
        let hint = "use read = \"full\"";
        faults.push_with_hint(format!("{at}deletes"), "keys are compared in a full read", hint);
    }
    let place = at.trim_end_matches('.');
    Stream {
        id: StreamId::new(settings.name.as_str()),
        path,
        incremental: settings.read == ReadMode::Incremental,
        key: settings.key.clone(),
        zone: settings.source_zone(place, hub_zone, faults),
        columns: settings.declared_columns(place, faults),
    }
}

/// The name of a file in the folder.
fn file(options: &Value, at: &str, faults: &mut ConfigErrors) -> String {
    let name = text(options, at, "file", faults);
    if name.starts_with('.') || name.contains(['/', '\\', '\0']) {
        let hint = "name the folder in the system's `path`";
        faults.push_with_hint(format!("{at}file"), "must be a file of the folder itself", hint);
    }
    name
}

fn text(options: &Value, at: &str, key: &str, faults: &mut ConfigErrors) -> String {
    // No fault repeats the value, which may be a secret put in by reference.
    match options.get(key) {
        Some(Value::String(text)) if !text.is_empty() => return text.clone(),
        None | Some(Value::Null) => faults.push(format!("{at}{key}"), "is required"),
        Some(_) => faults.push(format!("{at}{key}"), "must be a text that is not empty"),
    }
    String::new()
}
