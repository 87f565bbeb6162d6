//! The settings of one stream.

use std::collections::BTreeMap;

use chrono_tz::Tz;
use huiliu_sdk::{ConfigErrors, DeclaredColumn, Deletes, Overlap, RawStream, ReadMode, StreamId};
use huiliu_sqlkit::{check_select, optional, required};
use schemars::JsonSchema;
use serde::Deserialize;

use super::name::{self, TableName};

/// Keys of one stream of a system with `kind = "postgres"`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct StreamOptions {
    /// The table or view to read, as `table` or `schema.table`.
    #[schemars(example = &"exchange.up_pro_accept")]
    pub table: String,
    /// The columns to read. Default: all columns of the table.
    #[serde(default)]
    #[schemars(example = ["row_guid", "case_no", "cd_time"])]
    pub select: Option<Vec<String>>,
    /// A full read of a table with more rows than this, by estimate, goes by ranges of its key,
    /// and an interrupted one goes on behind the last range. Default: 10,000,000.
    #[serde(default)]
    #[schemars(example = 2_000_000, extend("default" = 10_000_000))]
    pub chunk_rows: Option<u64>,
    /// Connections that read ranges of the key side by side, from 1 to 16. Default: 1.
    #[serde(default)]
    #[schemars(example = 4, extend("default" = 1))]
    pub parallel: Option<u64>,
    /// What happens to values the lake's types cannot hold (infinite times, years before Christ,
    /// numbers that are none): the row goes to `quarantine`, the value becomes `null`, or columns
    /// of such types are read as `text`. Default: quarantine.
    #[serde(default)]
    #[schemars(example = &"text", extend("default" = "quarantine"))]
    pub oddities: Option<Oddities>,
    /// For `read = "flagged"`: the column that says whether a row was fetched.
    #[serde(default)]
    #[schemars(example = &"is_sync")]
    pub flag: Option<String>,
    /// The flag of rows that are to be fetched. Default: `0`.
    #[serde(default)]
    #[schemars(example = &"N", extend("default" = "0"))]
    pub flag_new: Option<String>,
    /// Whether rows without a flag are to be fetched too. Default: false.
    #[serde(default)]
    #[schemars(example = true, extend("default" = false))]
    pub flag_null_is_new: Option<bool>,
    /// The flag that rows get once the hub holds them. Default: `1`.
    #[serde(default)]
    #[schemars(example = &"Y", extend("default" = "1"))]
    pub flag_done: Option<String>,
    /// The flag that rows get before they are read, so that other readers leave them alone.
    /// Default: none.
    #[serde(default)]
    #[schemars(example = &"2")]
    pub flag_claimed: Option<String>,
    /// Cases that are fetched at once. Default: 1000.
    #[serde(default)]
    #[schemars(example = 200, extend("default" = 1_000))]
    pub flag_batch: Option<u64>,
}

/// What becomes of values the lake's types cannot hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Oddities {
    /// The row goes to quarantine.
    #[default]
    Quarantine,
    /// The value becomes null.
    Null,
    /// Columns of types that can hold such values are read as text.
    Text,
}

/// A checked stream.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    pub(crate) id: StreamId,
    pub(crate) table: TableName,
    pub(crate) select: Option<Vec<String>>,
    pub(crate) key: Vec<String>,
    pub(crate) mode: Mode,
    pub(crate) chunk_rows: u64,
    pub(crate) parallel: usize,
    pub(crate) oddities: Oddities,
    pub(crate) key_scan: bool,
    pub(crate) zone: Tz,
    pub(crate) columns: BTreeMap<String, DeclaredColumn>,
}

/// How a stream is read.
#[derive(Debug, Clone)]
pub(crate) enum Mode {
    Full,
    Incremental { cursor: String, overlap: Overlap },
    Flagged(Flag),
}

impl Stream {
    /// The cursor column of an incremental stream.
    pub(crate) fn cursor(&self) -> Option<&String> {
        match &self.mode {
            Mode::Incremental { cursor, .. } => Some(cursor),
            Mode::Full | Mode::Flagged(_) => None,
        }
    }
}

/// How a front database says which rows are to be fetched.
#[derive(Debug, Clone)]
pub(crate) struct Flag {
    pub(crate) column: String,
    pub(crate) new: String,
    pub(crate) null_is_new: bool,
    pub(crate) done: String,
    pub(crate) claimed: Option<String>,
    pub(crate) batch: u64,
    /// The columns of a case.
    pub(crate) case: Vec<String>,
    pub(crate) version: Option<String>,
}

const DEFAULT_CHUNK_ROWS: u64 = 10_000_000;
const MOST_PARALLEL: u64 = 16;

pub(super) fn read(
    raw: &RawStream,
    at: &str,
    schema: &str,
    hub_zone: Tz,
    faults: &mut ConfigErrors,
) -> Option<Stream> {
    let settings = &raw.settings;
    let table: Option<String> = required(&raw.options, at, "table", faults);
    let table = table.and_then(|text| name::table(&format!("{at}.table"), &text, schema, faults));
    let select: Option<Vec<String>> = optional(&raw.options, at, "select", faults);
    check_select(select.as_deref(), settings, at, faults);
    let mode = mode(raw, at, faults);
    let chunk_rows = number(raw, at, "chunk_rows", DEFAULT_CHUNK_ROWS, u64::MAX, faults);
    let parallel = number(raw, at, "parallel", 1, MOST_PARALLEL, faults);
    let oddities: Option<Oddities> = optional(&raw.options, at, "oddities", faults);
    let zone = settings.source_zone(at, hub_zone, faults);
    let columns = settings.declared_columns(at, faults);
    let key_scan = settings.deletes == Deletes::KeyScan && settings.read == ReadMode::Incremental;
    if settings.deletes == Deletes::KeyScan && settings.key.is_empty() {
        faults.push_with_hint(
            format!("{at}.key"),
            "is needed to compare keys",
            "name the columns that identify a row",
        );
    }
    if settings.deletes == Deletes::KeyScan && settings.read == ReadMode::Flagged {
        faults.push_with_hint(
            format!("{at}.deletes"),
            "rows that were fetched may be gone, so keys say nothing in a flagged read",
            "use deletes = \"ignore\" or \"soft\"",
        );
    }
    Some(Stream {
        id: StreamId::new(settings.name.as_str()),
        table: table?,
        select,
        key: settings.key.clone(),
        mode: mode?,
        chunk_rows,
        parallel: usize::try_from(parallel).unwrap_or(1),
        oddities: oddities.unwrap_or_default(),
        key_scan,
        zone,
        columns,
    })
}

fn number(
    raw: &RawStream,
    at: &str,
    key: &str,
    default: u64,
    most: u64,
    faults: &mut ConfigErrors,
) -> u64 {
    let number: Option<u64> = optional(&raw.options, at, key, faults);
    let number = number.unwrap_or(default);
    if number == 0 || number > most {
        faults.push(format!("{at}.{key}"), format!("must be from 1 to {most}"));
        return default;
    }
    number
}

fn mode(raw: &RawStream, at: &str, faults: &mut ConfigErrors) -> Option<Mode> {
    let settings = &raw.settings;
    match settings.read {
        ReadMode::Full => Some(Mode::Full),
        ReadMode::Incremental => {
            let overlap = settings.overlap(at, faults);
            let Some(cursor) = settings.cursor.clone().filter(|cursor| !cursor.is_empty()) else {
                faults.push_with_hint(
                    format!("{at}.cursor"),
                    "an incremental stream needs a cursor column",
                    "name the column that only grows, such as cd_time",
                );
                return None;
            };
            Some(Mode::Incremental { cursor, overlap })
        }
        ReadMode::Flagged => flag(raw, at, faults).map(Mode::Flagged),
        ReadMode::Changes => {
            faults.push_with_hint(
                format!("{at}.read"),
                "a postgres stream is read full, incremental or flagged",
                "use read = \"incremental\" with a cursor",
            );
            None
        }
    }
}

fn flag(raw: &RawStream, at: &str, faults: &mut ConfigErrors) -> Option<Flag> {
    let settings = &raw.settings;
    let column: Option<String> = required(&raw.options, at, "flag", faults);
    let new: Option<String> = optional(&raw.options, at, "flag_new", faults);
    let done: Option<String> = optional(&raw.options, at, "flag_done", faults);
    let claimed: Option<String> = optional(&raw.options, at, "flag_claimed", faults);
    let null_is_new: Option<bool> = optional(&raw.options, at, "flag_null_is_new", faults);
    let batch = number(raw, at, "flag_batch", 1000, 100_000, faults);
    if settings.key.is_empty() {
        faults.push_with_hint(
            format!("{at}.key"),
            "a flagged stream needs a key, by which rows are marked as fetched",
            "name the columns that identify a row",
        );
    }
    let (new, done) = (new.unwrap_or_else(|| "0".into()), done.unwrap_or_else(|| "1".into()));
    if new == done || claimed.as_ref().is_some_and(|claimed| *claimed == new || *claimed == done) {
        faults.push(format!("{at}.flag"), "its values must differ from each other");
    }
    let case = if settings.group.is_empty() { &settings.key } else { &settings.group };
    Some(Flag {
        column: column?,
        new,
        null_is_new: null_is_new.unwrap_or(false),
        done,
        claimed,
        batch,
        case: case.clone(),
        version: settings.version.clone(),
    })
}
