//! The settings every stream has, whatever the connector.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ColumnSpec, ConfigErrors, DeclaredColumn, parse_type};

/// How a stream is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReadMode {
    /// Everything, every time.
    #[default]
    Full,
    /// Only rows whose cursor is at or after the last one seen.
    Incremental,
    /// Rows a front database (前置库) has not marked as fetched.
    Flagged,
    /// The source's change log.
    Changes,
}

/// How a stream is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WriteMode {
    /// Add rows.
    Append,
    /// One current row per key; superseded rows move to history.
    #[default]
    Upsert,
    /// The table becomes what was read.
    Replace,
    /// Every read is kept under its date.
    Snapshot,
    /// Rows carry their period of validity.
    Scd2,
}

/// What happens to rows that are gone from the source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Deletes {
    /// Nothing.
    #[default]
    Ignore,
    /// The source marks them itself, in the column that `deleted` names.
    Soft,
    /// All keys are compared at the end of a complete read.
    KeyScan,
}

/// What happens when the data are not what was agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// The lake follows the source.
    Evolve,
    /// The stream stops before anything is committed.
    Freeze,
    /// The rows concerned go to quarantine.
    Quarantine,
}

/// The contract of a stream: what is agreed about its columns, their types and its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// A column that is new or gone. `quarantine` sets aside rows with a value in a new column.
    /// Default: evolve.
    #[serde(default = "evolve")]
    pub columns: Policy,
    /// A column whose type changed. `evolve` follows a wider type; a narrower or other one always
    /// stops. `quarantine` sets aside rows whose value does not fit the old type. Default: freeze.
    #[serde(default = "freeze")]
    pub types: Policy,
    /// A row that does not fit its columns. `evolve` is no choice here. Default: quarantine.
    #[serde(default = "quarantine")]
    pub rows: Policy,
}

fn evolve() -> Policy {
    Policy::Evolve
}

fn freeze() -> Policy {
    Policy::Freeze
}

fn quarantine() -> Policy {
    Policy::Quarantine
}

impl Default for Contract {
    fn default() -> Self {
        Self { columns: evolve(), types: freeze(), rows: quarantine() }
    }
}

/// The settings of one stream that mean the same for every connector.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct StreamSettings {
    /// Name of the stream inside its system; the lake table is `<system>_<stream>`.
    #[schemars(example = &"cases")]
    pub name: String,
    /// Columns that identify one row.
    #[serde(default)]
    #[schemars(example = ["case_no"])]
    pub key: Vec<String>,
    /// How the stream is read.
    #[serde(default)]
    pub read: ReadMode,
    /// The column that only grows, for `read = "incremental"`.
    #[serde(default)]
    #[schemars(example = &"update_time")]
    pub cursor: Option<String>,
    /// How far before the last cursor the next read starts: a time such as `10m`, or, where the
    /// cursor is a number, a whole number such as `500`.
    #[serde(default)]
    #[schemars(example = &"10m")]
    pub overlap: Option<String>,
    /// How the stream is written.
    #[serde(default)]
    pub write: WriteMode,
    /// What happens to rows that are gone from the source.
    #[serde(default)]
    pub deletes: Deletes,
    /// The column that marks a row as deleted at the source, for `deletes = "soft"`: true, or not
    /// zero, or (for a time) not null.
    #[serde(default)]
    #[schemars(example = &"is_deleted")]
    pub deleted: Option<String>,
    /// Columns that say which rows belong together as one case. A read that delivers rows of a
    /// case delivers all of them; rows of it that the lake has and the read has not are deleted.
    #[serde(default)]
    #[schemars(example = ["case_no"])]
    pub group: Vec<String>,
    /// A column whose greater value is the newer row of a key, such as `dataver`. A row that is
    /// older than what the lake holds goes straight to history.
    #[serde(default)]
    #[schemars(example = &"dataver")]
    pub version: Option<String>,
    /// What is agreed about columns, types and rows.
    #[serde(default)]
    pub contract: Contract,
    /// Zone of the source's timestamps without zone, such as `Asia/Shanghai`.
    #[serde(default)]
    #[schemars(example = &"Asia/Shanghai")]
    pub zone: Option<String>,
    /// Type and personal-data tag by column.
    #[serde(default)]
    #[schemars(example = serde_json::json!({ "id_card": { "type": "text", "tag": "id_number" } }))]
    pub columns: BTreeMap<String, ColumnSpec>,
}

impl StreamSettings {
    /// The declared columns. Faults are named under `at`, such as `streams[0]`.
    pub fn declared_columns(
        &self,
        at: &str,
        faults: &mut ConfigErrors,
    ) -> BTreeMap<String, DeclaredColumn> {
        let mut columns = BTreeMap::new();
        for (name, spec) in &self.columns {
            let kind = spec.data_type.as_deref().and_then(|text| match parse_type(text) {
                Ok(kind) => Some(kind),
                Err(error) => {
                    faults.push_with_hint(
                        format!("{at}.columns.{name}.type"),
                        error.message(),
                        error.hint_text().unwrap_or_default(),
                    );
                    None
                }
            });
            let nullable = spec.nullable.unwrap_or(true);
            columns.insert(name.clone(), DeclaredColumn { kind, nullable });
        }
        columns
    }

    /// The zone of the source's times without zone; the hub's own where none is declared.
    pub fn source_zone(
        &self,
        at: &str,
        hub: chrono_tz::Tz,
        faults: &mut ConfigErrors,
    ) -> chrono_tz::Tz {
        let Some(text) = &self.zone else { return hub };
        text.parse().unwrap_or_else(|_| {
            faults.push_with_hint(
                format!("{at}.zone"),
                format!("`{text}` is not a time zone"),
                "use a name such as Asia/Shanghai",
            );
            hub
        })
    }
}
