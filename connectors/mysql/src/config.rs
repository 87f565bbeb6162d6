//! The configuration: what an operator writes, checked without touching the network.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;

use chrono_tz::Tz;
use huiliu_sdk::{
    ConfigErrors, DeclaredColumn, Deletes, Error, ErrorKind, Overlap, RawConfig, RawPush,
    RawStream, ReadMode, Result, StreamId,
};
use huiliu_sqlkit::{
    Flags, bounded, check_name, check_select, join, optional, read_flags, required,
};
use schemars::JsonSchema;
use serde::Deserialize;
use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};

/// Whether the connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tls {
    /// Encrypted, and the server proves that it is the host of the url.
    Verify,
    /// In plain text, for networks that are trusted as a whole.
    Off,
}

/// What becomes of dates that no calendar has, such as `0000-00-00` and `2024-00-10`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Oddities {
    /// The row goes to quarantine.
    #[default]
    Quarantine,
    /// The value is left out.
    Null,
    /// Columns of dates and times are read as text, exactly as the server writes them.
    Text,
}

/// Keys of a system file with `kind = "mysql"`.
#[derive(Clone, Deserialize, JsonSchema)]
pub struct SystemOptions {
    /// Where the database is: `mysql://user:password@host:port/database`, as `${env:NAME}`.
    #[schemars(example = &"mysql://huiliu:${secret:city_password}@10.1.2.3:3306/city")]
    pub url: String,
    /// Whether the connection is encrypted. Default: `verify`, except on this machine.
    #[serde(default)]
    #[schemars(example = &"off", extend("default" = serde_json::Value::Null))]
    pub tls: Option<Tls>,
    /// File with the certificates (PEM) of who signed the server's, relative to the folder of the
    /// configuration. Default: those the operating system trusts.
    #[serde(default)]
    #[schemars(example = &"certificates/city.pem")]
    pub ca: Option<String>,
}

/// Keys of one stream of a system with `kind = "mysql"`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct StreamOptions {
    /// The table or view to read.
    #[schemars(example = &"up_pro_accept")]
    pub table: String,
    /// The columns to read. Default: all columns of the table.
    #[serde(default)]
    #[schemars(example = ["row_guid", "case_no", "cd_time"])]
    pub select: Option<Vec<String>>,
    /// Rows between two points at which an interrupted full read goes on. Default: 5000000.
    #[serde(default)]
    #[schemars(example = 1_000_000, extend("default" = 5_000_000))]
    pub chunk_rows: Option<u64>,
    /// Connections that read a large table at once. Each sees a moment of its own, so that such a
    /// read does not tell which rows are gone. Default: 1.
    #[serde(default)]
    #[schemars(example = 4, extend("default" = 1))]
    pub parallel: Option<u32>,
    /// What becomes of dates that no calendar has.
    #[serde(default)]
    #[schemars(example = &"text", extend("default" = "quarantine"))]
    pub oddities: Oddities,
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

/// Keys of one push to a system with `kind = "mysql"`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct PushOptions {
    /// The table to write.
    #[schemars(example = &"up_pro_fix")]
    pub to: String,
}

/// A checked system file. It holds the password and never prints.
pub(crate) struct Settings {
    pub(crate) connect: MySqlConnectOptions,
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

/// A checked stream.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    pub(crate) id: StreamId,
    pub(crate) table: String,
    pub(crate) select: Option<Vec<String>>,
    pub(crate) key: Vec<String>,
    pub(crate) version: Option<String>,
    pub(crate) mode: Mode,
    pub(crate) zone: Tz,
    pub(crate) oddities: Oddities,
    pub(crate) columns: BTreeMap<String, DeclaredColumn>,
}

/// How a stream is read.
#[derive(Debug, Clone)]
pub(crate) enum Mode {
    Full { chunk_rows: u64, parallel: u32 },
    Incremental { cursor: String, overlap: Overlap, key_scan: bool },
    Flagged(Flags),
}

/// A checked push.
#[derive(Debug, Clone)]
pub(crate) struct Push {
    pub(crate) id: StreamId,
    pub(crate) table: String,
    pub(crate) key: Vec<String>,
}

const CHUNK_ROWS: u64 = 5_000_000;
const PARALLEL_AT_MOST: u32 = 8;

/// Checks a whole system file and names every fault.
pub(crate) fn settings(raw: &RawConfig) -> Result<Settings, ConfigErrors> {
    let mut faults = ConfigErrors::default();
    let connect = read_connection(raw, &mut faults);
    let mut streams = Vec::with_capacity(raw.streams.len());
    for (index, stream) in raw.streams.iter().enumerate() {
        let at = format!("streams[{index}]");
        streams.push(read_stream(stream, &at, raw.hub_zone, &mut faults));
    }
    let mut pushes = Vec::with_capacity(raw.pushes.len());
    for (index, push) in raw.pushes.iter().enumerate() {
        pushes.push(read_push(push, &format!("pushes[{index}]"), &mut faults));
    }
    faults.into_result(Settings {
        connect: connect.unwrap_or_default(),
        hub_zone: raw.hub_zone,
        streams: streams.into_iter().flatten().collect(),
        pushes: pushes.into_iter().flatten().collect(),
    })
}

fn read_connection(raw: &RawConfig, faults: &mut ConfigErrors) -> Option<MySqlConnectOptions> {
    let url: Option<String> = required(&raw.options, "", "url", faults);
    let tls: Option<Tls> = optional(&raw.options, "", "tls", faults);
    let ca: Option<String> = optional(&raw.options, "", "ca", faults);
    if ca.is_some() && tls == Some(Tls::Off) {
        faults.push_with_hint("ca", "has no use with tls = \"off\"", "remove one of the two");
    }
    let ca = ca.map(|ca| raw.base_dir.join(ca));
    let url = url?;
    let known = url.starts_with("mysql://") || url.starts_with("mariadb://");
    let parsed = MySqlConnectOptions::from_str(&url).ok().filter(|_| known);
    // The url may hold the password, so no fault repeats any of it.
    let Some(options) = parsed else {
        faults.push_with_hint(
            "url",
            "is not the address of a database",
            "write mysql://user:password@host:port/database",
        );
        return None;
    };
    if url.contains(['?', '#']) {
        faults.push_with_hint(
            "url",
            "takes no options",
            "use the keys `tls` and `ca`, and write ? and # in a password as %3F and %23",
        );
    }
    if options.get_database().is_none_or(str::is_empty) {
        faults.push_with_hint(
            "url",
            "names no database",
            "write it after the host: mysql://user:password@host:port/database",
        );
    }
    Some(secured(options, tls, ca))
}

/// Encryption as configured; by default whatever leaves this machine is encrypted and verified.
fn secured(
    options: MySqlConnectOptions,
    tls: Option<Tls>,
    ca: Option<PathBuf>,
) -> MySqlConnectOptions {
    let host = options.get_host().trim_start_matches('[').trim_end_matches(']').to_owned();
    let here = host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    let mode = match tls {
        Some(Tls::Off) => MySqlSslMode::Disabled,
        None if here && ca.is_none() => MySqlSslMode::Preferred,
        Some(Tls::Verify) | None => MySqlSslMode::VerifyIdentity,
    };
    let options = options
        .host(&host)
        .ssl_mode(mode)
        .charset("utf8mb4")
        // The session is set in one place, after connecting.
        .pipes_as_concat(false)
        .no_engine_substitution(false)
        .timezone(None);
    match ca {
        Some(ca) => options.ssl_ca(ca),
        None => options,
    }
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
        check_name(&join(at, "table"), table, faults);
    }
    let select: Option<Vec<String>> = optional(&raw.options, at, "select", faults);
    check_select(select.as_deref(), settings, at, faults);
    let mode = read_mode(raw, at, faults);
    let oddities = optional(&raw.options, at, "oddities", faults).unwrap_or_default();
    let zone = settings.source_zone(at, hub_zone, faults);
    let columns = settings.declared_columns(at, faults);
    Some(Stream {
        id: StreamId::new(settings.name.as_str()),
        table: table?,
        select,
        key: settings.key.clone(),
        version: settings.version.clone(),
        mode: mode?,
        zone,
        oddities,
        columns,
    })
}

fn read_mode(raw: &RawStream, at: &str, faults: &mut ConfigErrors) -> Option<Mode> {
    let settings = &raw.settings;
    match settings.read {
        ReadMode::Full => {
            let chunk_rows = bounded(&raw.options, at, "chunk_rows", 1..=u64::MAX, faults);
            let parallel =
                bounded(&raw.options, at, "parallel", 1..=u64::from(PARALLEL_AT_MOST), faults);
            Some(Mode::Full {
                chunk_rows: chunk_rows.unwrap_or(CHUNK_ROWS),
                parallel: parallel.and_then(|n| u32::try_from(n).ok()).unwrap_or(1),
            })
        }
        ReadMode::Incremental => {
            let cursor = settings.cursor.clone().filter(|cursor| !cursor.is_empty());
            if cursor.is_none() {
                faults.push_with_hint(
                    join(at, "cursor"),
                    "an incremental stream needs a cursor column",
                    "name the column that only grows, such as cd_time",
                );
            }
            let key_scan = settings.deletes == Deletes::KeyScan;
            if key_scan && settings.key.is_empty() {
                faults.push(join(at, "key"), "deletes = \"key_scan\" needs a key");
            }
            let overlap = settings.overlap(at, faults);
            Some(Mode::Incremental { cursor: cursor?, overlap, key_scan })
        }
        ReadMode::Flagged => read_flags(raw, at, faults).map(Mode::Flagged),
        ReadMode::Changes => {
            faults.push_with_hint(
                join(at, "read"),
                "a mysql stream is read full, incremental or flagged",
                "use read = \"incremental\" with a cursor",
            );
            None
        }
    }
}
