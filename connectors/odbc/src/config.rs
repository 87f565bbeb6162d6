//! The configuration: what an operator writes, checked without connecting.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono_tz::Tz;
use huiliu_sdk::{
    ConfigErrors, DeclaredColumn, Deletes, Overlap, RawConfig, RawPush, RawStream, ReadMode,
    StreamId, StreamSettings,
};
use huiliu_sqlkit::{Flags, check_name, check_select, optional, read_flags, required, timeout};
use schemars::JsonSchema;
use serde::Deserialize;

/// Keys of a system file with `kind = "odbc"`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct SystemOptions {
    /// The connection string, such as `Driver={DM8 ODBC DRIVER};Server=10.0.0.7;Uid=reader;Pwd=...`.
    /// Keep the password out of the file with `${secret:name}`.
    #[schemars(example = &"Driver={DM8 ODBC DRIVER};Server=10.0.0.7;Uid=reader;Pwd=${secret:housing}")]
    pub connection: String,
    /// What is written otherwise in this database's SQL.
    #[serde(default)]
    #[schemars(extend("default" = serde_json::Value::Null))]
    pub dialect: Option<Dialect>,
    /// How the driver hands over text. Default: utf16.
    #[serde(default)]
    #[schemars(example = &"gb18030", extend("default" = "utf16"))]
    pub text: Option<TextForm>,
    /// How long one statement may take, such as `30m`. Default: `10m`.
    #[serde(default)]
    #[schemars(example = &"30m", extend("default" = "10m"))]
    pub statement_timeout: Option<String>,
    /// How long to wait for a connection, such as `5s`. Default: `10s`.
    #[serde(default)]
    #[schemars(example = &"5s", extend("default" = "10s"))]
    pub connect_timeout: Option<String>,
}

/// What is written otherwise in the SQL of a database.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dialect {
    /// What stands around names: one character, or two such as `[]`. Default: `"`.
    #[serde(default)]
    #[schemars(example = &"[]", extend("default" = "\""))]
    pub quote: Option<String>,
    /// A wall time, with `{}` in place of `2018-06-12 09:00:00`. Default: `{ts '{}'}`, which each
    /// driver turns into its database's own.
    #[serde(default)]
    #[schemars(example = &"cast('{}' as datetime2)", extend("default" = DEFAULT_TIMESTAMP))]
    pub timestamp: Option<String>,
    /// What ends a query that wants only `{}` rows, such as `limit {}`; it stands behind `select`
    /// if it begins with `top`. Default: none, and a preview stops reading.
    #[serde(default)]
    #[schemars(example = &"limit {}")]
    pub limit: Option<String>,
}

/// The escape for wall times that every ODBC driver has to know.
const DEFAULT_TIMESTAMP: &str = "{ts '{}'}";

/// How a driver hands over text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TextForm {
    /// As wide characters, which every driver with Unicode can.
    #[default]
    Utf16,
    /// As bytes that are UTF-8.
    Utf8,
    /// As bytes that are GB18030 or GBK.
    Gb18030,
}

/// Keys of one stream of a system with `kind = "odbc"`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct StreamOptions {
    /// The table or view to read, as `table` or `schema.table`.
    #[schemars(example = &"housing.up_pro_accept")]
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

/// Keys of one push of a system with `kind = "odbc"`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct PushOptions {
    /// The table to write, as `table` or `schema.table`.
    #[schemars(example = &"housing.up_pro_fix")]
    pub to: String,
}

/// A checked system file. It holds the password, so it is never printed.
pub(crate) struct Settings {
    pub(crate) connection: String,
    pub(crate) quote: (char, char),
    pub(crate) timestamp: String,
    pub(crate) limit: Option<String>,
    pub(crate) text: TextForm,
    pub(crate) statement_timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) hub_zone: Tz,
    pub(crate) streams: Vec<Stream>,
    pub(crate) pushes: Vec<Push>,
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

/// A checked push.
#[derive(Debug, Clone)]
pub(crate) struct Push {
    pub(crate) id: StreamId,
    pub(crate) table: String,
    pub(crate) key: Vec<String>,
}

/// Checks a whole system file and names every fault.
pub(crate) fn settings(raw: &RawConfig) -> Result<Settings, ConfigErrors> {
    let mut faults = ConfigErrors::default();
    let options = &raw.options;
    let connection: Option<String> = required(options, "", "connection", &mut faults);
    if connection.as_ref().is_some_and(|text| text.contains('\0') || !text.contains('=')) {
        faults.push_with_hint(
            "connection",
            "is not a connection string",
            "write it such as Driver={NAME};Server=HOST;Uid=USER;Pwd=${secret:NAME}",
        );
    }
    let dialect: Option<Dialect> = optional(options, "", "dialect", &mut faults);
    let dialect = dialect.unwrap_or_default();
    let text: Option<TextForm> = optional(options, "", "text", &mut faults);
    let statement_timeout =
        timeout(options, "statement_timeout", Duration::from_secs(600), &mut faults);
    let connect_timeout = timeout(options, "connect_timeout", Duration::from_secs(10), &mut faults);
    let mut streams = Vec::with_capacity(raw.streams.len());
    for (index, stream) in raw.streams.iter().enumerate() {
        let at = format!("streams[{index}]");
        streams.push(read_stream(stream, &at, raw.hub_zone, &mut faults));
    }
    let mut pushes = Vec::with_capacity(raw.pushes.len());
    for (index, push) in raw.pushes.iter().enumerate() {
        pushes.push(read_push(push, &format!("pushes[{index}]"), &mut faults));
    }
    let settings = Settings {
        connection: connection.unwrap_or_default(),
        quote: quote(dialect.quote.as_deref(), &mut faults),
        timestamp: template(&dialect, &mut faults),
        limit: limit(dialect.limit, &mut faults),
        text: text.unwrap_or_default(),
        statement_timeout,
        connect_timeout,
        hub_zone: raw.hub_zone,
        streams: streams.into_iter().flatten().collect(),
        pushes: pushes.into_iter().flatten().collect(),
    };
    faults.into_result(settings)
}

fn quote(given: Option<&str>, faults: &mut ConfigErrors) -> (char, char) {
    let marks: Vec<char> = given.unwrap_or("\"").chars().collect();
    match marks[..] {
        [one] if !one.is_alphanumeric() && one != '\'' => (one, one),
        [open, close] if !open.is_alphanumeric() && !close.is_alphanumeric() => (open, close),
        _ => {
            faults.push_with_hint(
                "dialect.quote",
                "is not what stands around a name",
                "write one character such as \\\" or `, or two such as []",
            );
            ('"', '"')
        }
    }
}

fn template(dialect: &Dialect, faults: &mut ConfigErrors) -> String {
    let template = dialect.timestamp.clone().unwrap_or_else(|| DEFAULT_TIMESTAMP.to_owned());
    if template.matches("{}").count() != 1 {
        faults.push("dialect.timestamp", "must have {} once, where the time stands");
    }
    template
}

fn limit(template: Option<String>, faults: &mut ConfigErrors) -> Option<String> {
    if template.as_ref().is_some_and(|template| template.matches("{}").count() != 1) {
        faults.push("dialect.limit", "must have {} once, where the number stands");
    }
    template
}

fn read_push(raw: &RawPush, at: &str, faults: &mut ConfigErrors) -> Option<Push> {
    let to: Option<String> = required(&raw.options, at, "to", faults);
    let to = to?;
    check_table(&format!("{at}.to"), &to, faults);
    Some(Push { id: StreamId::new(raw.name.as_str()), table: to, key: raw.key.clone() })
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
        check_table(&format!("{at}.table"), table, faults);
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
    let is_part = matches!(settings.read, ReadMode::Incremental | ReadMode::Changes);
    if settings.deletes == Deletes::KeyScan && is_part {
        faults.push_with_hint(
            format!("{at}.deletes"),
            "an odbc stream compares keys only when it is read whole",
            "use key_scan together with read = \"full\", or deletes = \"soft\"",
        );
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
                "an odbc stream is read full, incremental or flagged",
                "use read = \"incremental\" with a cursor",
            );
            None
        }
    }
}

fn check_table(path: &str, table: &str, faults: &mut ConfigErrors) {
    for part in table.split('.') {
        check_name(path, part, faults);
    }
}
