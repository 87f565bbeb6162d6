//! The configuration: what an operator writes, checked without opening anything.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono_tz::Tz;
use huiliu_sdk::{
    ConfigErrors, DeclaredColumn, Deletes, Overlap, RawConfig, RawStream, ReadMode, StreamId,
    StreamSettings,
};
use huiliu_sqlkit::{check_name, check_select, optional, required};
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
    pub(crate) table: String,
    pub(crate) select: Option<Vec<String>>,
    pub(crate) key: Vec<String>,
    /// The cursor column of an incremental stream; none means that all is read every time.
    pub(crate) cursor: Option<String>,
    pub(crate) overlap: Overlap,
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
    for index in 0..raw.pushes.len() {
        faults.push_with_hint(
            format!("pushes[{index}]"),
            "a sqlite system takes no pushes",
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
    let settings = &raw.settings;
    let table: Option<String> = required(&raw.options, at, "table", faults);
    if let Some(table) = &table {
        check_name(&format!("{at}.table"), table, faults);
    }
    let select: Option<Vec<String>> = optional(&raw.options, at, "select", faults);
    check_select(select.as_deref(), settings, at, faults);
    let cursor = read_cursor(settings, at, faults);
    let overlap = settings.overlap(at, faults);
    let zone = settings.source_zone(at, hub_zone, faults);
    let columns = settings.declared_columns(at, faults);
    match settings.deletes {
        // Rows marked as deleted are rows like any other here; the hub reads the mark.
        Deletes::Ignore | Deletes::Soft => {}
        Deletes::KeyScan if settings.read == ReadMode::Full => {}
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
        zone,
        columns,
    })
}

fn read_cursor(settings: &StreamSettings, at: &str, faults: &mut ConfigErrors) -> Option<String> {
    match settings.read {
        ReadMode::Full => None,
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
        ReadMode::Flagged | ReadMode::Changes => {
            faults.push_with_hint(
                format!("{at}.read"),
                "a sqlite stream is read full or incremental",
                "use read = \"full\" or read = \"incremental\" with a cursor",
            );
            None
        }
    }
}
