//! One stream: what is read of the tap, and how.

use std::collections::BTreeMap;

use chrono_tz::Tz;
use huiliu_sdk::{ConfigErrors, DeclaredColumn, Deletes, RawStream, ReadMode, StreamId};
use schemars::JsonSchema;
use serde::Deserialize;

use super::CatalogUse;
use super::field::{join, optional};

/// Keys of one stream of a system with `kind = "singer"`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct StreamOptions {
    /// The stream as the tap calls it (`tap_stream_id`). Default: the stream's own name.
    #[serde(default)]
    #[schemars(example = &"public-up_pro_accept")]
    pub stream: Option<String>,
    /// The columns to read, the key among them. Default: all columns.
    #[serde(default)]
    #[schemars(example = serde_json::json!(["row_guid", "update_time"]))]
    pub select: Option<Vec<String>>,
    /// How the tap reads it. Default: `FULL_TABLE` with `read = "full"`, `INCREMENTAL` with
    /// `read = "incremental"` and a `cursor`, else what the tap itself says.
    #[serde(default)]
    #[schemars(example = &"LOG_BASED", extend("default" = serde_json::Value::Null))]
    pub replication: Option<Replication>,
}

/// How a tap reads a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Replication {
    /// Everything.
    FullTable,
    /// What changed, by a cursor.
    Incremental,
    /// The change log.
    LogBased,
}

impl Replication {
    /// The word as Singer has it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::FullTable => "FULL_TABLE",
            Self::Incremental => "INCREMENTAL",
            Self::LogBased => "LOG_BASED",
        }
    }
}

/// A checked stream.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    pub(crate) id: StreamId,
    /// Its name at the tap.
    pub(crate) name: String,
    pub(crate) select: Option<Vec<String>>,
    pub(crate) replication: Option<Replication>,
    pub(crate) key: Vec<String>,
    pub(crate) cursor: Option<String>,
    pub(crate) is_full: bool,
    pub(crate) zone: Tz,
    pub(crate) columns: BTreeMap<String, DeclaredColumn>,
    /// Columns of which the operator says whether they may be without a value.
    pub(crate) nullable: BTreeMap<String, bool>,
}

impl Stream {
    /// Whether a column is to be read.
    pub(crate) fn wants(&self, column: &str) -> bool {
        self.select.as_ref().is_none_or(|select| select.iter().any(|name| name == column))
    }
}

/// Checks a stream, whose faults are named under `at`.
pub(super) fn read(
    raw: &RawStream,
    at: &str,
    catalog: CatalogUse,
    hub_zone: Tz,
    faults: &mut ConfigErrors,
) -> Stream {
    let settings = &raw.settings;
    let name: Option<String> = optional(&raw.options, at, "stream", faults);
    if name.as_deref() == Some("") {
        faults.push(join(at, "stream"), "must not be empty");
    }
    let select: Option<Vec<String>> = optional(&raw.options, at, "select", faults);
    let used = (settings.key.iter().map(|name| ("key", name)))
        .chain(settings.cursor.iter().map(|name| ("cursor", name)))
        .chain(settings.group.iter().map(|name| ("group", name)))
        .chain(settings.version.iter().map(|name| ("version", name)))
        .chain(settings.deleted.iter().map(|name| ("deleted", name)))
        .chain(settings.columns.keys().map(|name| ("columns", name)));
    for (setting, column) in used {
        if select.as_ref().is_some_and(|select| !select.contains(column)) {
            faults.push_with_hint(
                join(at, setting),
                format!("column `{column}` is not selected"),
                "add it to `select`",
            );
        }
    }
    let replication: Option<Replication> = optional(&raw.options, at, "replication", faults);
    let is_full = match settings.read {
        ReadMode::Full => true,
        ReadMode::Incremental => false,
        ReadMode::Flagged | ReadMode::Changes => {
            faults.push_with_hint(
                join(at, "read"),
                "a singer stream is read full or incremental",
                "for a change log use read = \"incremental\" with replication = \"LOG_BASED\"",
            );
            false
        }
    };
    if is_full && replication.is_some_and(|method| method != Replication::FullTable) {
        faults.push_with_hint(
            join(at, "replication"),
            "does not go with read = \"full\"",
            "use read = \"incremental\"",
        );
    }
    if replication == Some(Replication::Incremental)
        && settings.cursor.is_none()
        && catalog != CatalogUse::None
    {
        faults.push_with_hint(
            join(at, "cursor"),
            "INCREMENTAL needs a cursor",
            "name the column that only grows; the tap's own one stands in `huiliu discover`",
        );
    }
    if !is_full && settings.deletes == Deletes::KeyScan {
        faults.push_with_hint(
            join(at, "deletes"),
            "a tap does not list the keys there are",
            "use read = \"full\"",
        );
    }
    if settings.overlap.is_some() {
        faults.push_with_hint(
            join(at, "overlap"),
            "a tap decides itself where it goes on",
            "remove it; look in the tap's manual for a setting of this kind",
        );
    }
    let nullable = settings.columns.iter();
    let nullable = nullable.filter_map(|(name, spec)| Some((name.clone(), spec.nullable?)));
    Stream {
        id: StreamId::new(settings.name.as_str()),
        name: name.unwrap_or_else(|| settings.name.clone()),
        select,
        replication,
        key: settings.key.clone(),
        cursor: settings.cursor.clone(),
        is_full,
        zone: settings.source_zone(at, hub_zone, faults),
        columns: settings.declared_columns(at, faults),
        nullable: nullable.collect(),
    }
}
