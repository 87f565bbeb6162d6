//! The configuration: what an operator writes, checked without opening anything.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono_tz::Tz;
use huiliu_sdk::{
    ConfigErrors, DeclaredColumn, Deletes, Error, ErrorKind, Overlap, RawConfig, RawPush,
    RawStream, ReadMode, Result, StreamId, StreamSettings,
};
use huiliu_sqlkit::{Flags, check_name, check_select, join, optional, read_flags, required};
use schemars::JsonSchema;
use serde::Deserialize;

/// Keys of a system file with `kind = "sqlite"`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct SystemOptions {
    /// The database file, relative to the folder of the project's configuration.
    #[schemars(example = &"${env:CITY_FOLDER}/front.db")]
    pub path: String,
}

/// Keys of one stream of a system with `kind = "sqlite"`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct StreamOptions {
    /// The table or view to read.
    #[schemars(example = &"up_pro_accept")]
    pub table: String,
    /// The columns to read. Default: all columns of the table.
    #[serde(default)]
    #[schemars(example = ["row_guid", "case_no", "cd_time"])]
    pub select: Option<Vec<String>>,
    /// The column that says whether a row was fetched, for `read = "flagged"`.
    #[serde(default)]
    #[schemars(example = &"is_sync")]
    pub flag: Option<String>,
    /// Its value for rows that were not fetched yet. Default: 0.
    #[serde(default)]
    #[schemars(example = &"N", extend("default" = "0"))]
    pub flag_new: Option<String>,
    /// Whether a flag without value means the same.
    #[serde(default)]
    #[schemars(example = true)]
    pub flag_null_is_new: bool,
    /// Its value for rows that were fetched. Default: 1.
    #[serde(default)]
    #[schemars(example = &"Y", extend("default" = "1"))]
    pub flag_done: Option<String>,
    /// Its value for rows that are being fetched, if they are to be marked so first.
    #[serde(default)]
    #[schemars(example = &"2")]
    pub flag_claimed: Option<String>,
    /// Cases to fetch at once. Default: 1000.
    #[serde(default)]
    #[schemars(example = 200, extend("default" = 1_000))]
    pub flag_batch: Option<u32>,
}

/// Keys of one push to a system with `kind = "sqlite"`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct PushOptions {
    /// The table to write.
    #[schemars(example = &"up_pro_fix")]
    pub to: String,
}

/// A checked system file.
pub(crate) struct Settings {
    pub(crate) path: PathBuf,
    pub(crate) hub_zone: Tz,
    pub(crate) streams: Vec<Stream>,
    pub(crate) pushes: Vec<Push>,
}

impl Settings {
    pub(crate) fn push(&self, id: &StreamId) -> Result<&Push> {
        self.pushes.iter().find(|push| &push.id == id).ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "E-STREAM", format!("push `{id}` is not configured"))
        })
    }
}

/// A checked push.
#[derive(Debug, Clone)]
pub(crate) struct Push {
    pub(crate) id: StreamId,
    pub(crate) table: String,
    pub(crate) key: Vec<String>,
}

/// A checked stream.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    pub(crate) id: StreamId,
    pub(crate) table: String,
    pub(crate) select: Option<Vec<String>>,
    pub(crate) key: Vec<String>,
    /// The cursor column of an incremental stream; without one and without flags all is read every
    /// time.
    pub(crate) cursor: Option<String>,
    pub(crate) overlap: Overlap,
    /// The flag protocol of a front database.
    pub(crate) flags: Option<Flags>,
    pub(crate) zone: Tz,
    pub(crate) columns: BTreeMap<String, DeclaredColumn>,
}

/// Checks a whole system file and names every fault.
pub(crate) fn settings(raw: &RawConfig) -> Result<Settings, ConfigErrors> {
    let mut faults = ConfigErrors::default();
    let path: Option<String> = required(&raw.options, "", "path", &mut faults);
    if let Some(path) = &path {
        check_name("path", path, &mut faults);
    }
    let mut pushes = Vec::with_capacity(raw.pushes.len());
    for (index, push) in raw.pushes.iter().enumerate() {
        pushes.push(read_push(push, &format!("pushes[{index}]"), &mut faults));
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
        pushes: pushes.into_iter().flatten().collect(),
    })
}

fn read_push(raw: &RawPush, at: &str, faults: &mut ConfigErrors) -> Option<Push> {
    let table: String = required(&raw.options, at, "to", faults)?;
    check_name(&join(at, "to"), &table, faults);
    Some(Push { id: StreamId::new(raw.name.as_str()), table, key: raw.key.clone() })
}

fn read_stream(
    raw: &RawStream,
    at: &str,
    hub_zone: Tz,
    faults: &mut ConfigErrors,
) -> Option<Stream> {
    let settings = &raw.settings;
    let table: Option<String> = required(&raw.options, at, "table", faults);
    if let Some(table) = &table {
        check_name(&format!("{at}.table"), table, faults);
    }
    let select: Option<Vec<String>> = optional(&raw.options, at, "select", faults);
    check_select(select.as_deref(), settings, at, faults);
    let cursor = read_cursor(settings, at, faults);
    let flags = match settings.read {
        ReadMode::Flagged => read_flags(raw, at, faults),
        ReadMode::Full | ReadMode::Incremental | ReadMode::Changes => None,
    };
    let overlap = settings.overlap(at, faults);
    let zone = settings.source_zone(at, hub_zone, faults);
    let columns = settings.declared_columns(at, faults);
    match settings.deletes {
        // Rows marked as deleted are rows like any other here; the hub reads the mark.
        Deletes::Ignore | Deletes::Soft => {}
        // What a flagged stream cannot do is told with its flags.
        Deletes::KeyScan if matches!(settings.read, ReadMode::Full | ReadMode::Flagged) => {}
        Deletes::KeyScan => faults.push_with_hint(
            format!("{at}.deletes"),
            "a sqlite stream compares keys only when it is read whole",
            "use key_scan together with read = \"full\", or deletes = \"soft\"",
        ),
    }
    Some(Stream {
        id: StreamId::new(settings.name.as_str()),
        table: table?,
        select,
        key: settings.key.clone(),
        cursor,
        overlap,
        flags,
        zone,
        columns,
    })
}

fn read_cursor(settings: &StreamSettings, at: &str, faults: &mut ConfigErrors) -> Option<String> {
    match settings.read {
        ReadMode::Full | ReadMode::Flagged => None,
        ReadMode::Incremental => {
            if settings.cursor.as_deref().is_none_or(str::is_empty) {
                faults.push_with_hint(
                    format!("{at}.cursor"),
                    "an incremental stream needs a cursor column",
                    "name the column that only grows, such as cd_time",
                );
            }
            settings.cursor.clone()
        }
        ReadMode::Changes => {
            faults.push_with_hint(
                format!("{at}.read"),
                "a sqlite stream is read full, incremental or flagged",
                "use read = \"incremental\" with a cursor",
            );
            None
        }
    }
}
