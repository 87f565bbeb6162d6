//! Reconciliations, their differences, and the life of one record.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A reconciliation as it stands.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Reconciliation {
    /// Its name.
    pub name: String,
    /// Its name, for people.
    pub title: String,
    /// The golden table.
    pub table: String,
    /// The run that last looked; none before the first.
    pub last_run: Option<i64>,
    /// When that was, UTC.
    pub last_run_at: Option<String>,
    /// Keys.
    pub keys: u64,
    /// Keys by class, in the order of the reconciliation; `unkeyed` counts rows without key.
    pub classes: Vec<Class>,
    /// Differences by state: `open`, `explained`, `fixed`, `closed`.
    pub states: BTreeMap<String, u64>,
    /// Differences that are not closed by owner, rule and field.
    pub by_owner: Vec<OwnerCount>,
    /// Codes that no code table knows.
    pub unknown_codes: Vec<UnknownCode>,
    /// The systems that are compared: id and name for people.
    pub systems: Vec<(String, String)>,
}

/// Keys of one class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Class {
    /// The class, such as `missing_in_province`.
    pub class: String,
    /// How many keys.
    pub keys: u64,
    /// Whether that is above its warn level.
    pub is_above_level: bool,
}

/// Differences of one kind that one owner has to look after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct OwnerCount {
    /// Who.
    pub owner: String,
    /// The rule.
    pub rule: String,
    /// The field, for a mismatch.
    pub field: Option<String>,
    /// How many are not closed.
    pub differences: u64,
    /// Working days since the oldest was first seen; none in years without a calendar.
    pub oldest_workdays: Option<i64>,
}

/// A code that no code table knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct UnknownCode {
    /// The system that has it.
    pub system: String,
    /// The field.
    pub field: String,
    /// The code.
    pub code: String,
    /// Rows that have it.
    pub rows: u64,
}

/// Which differences are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct DifferenceQuery {
    /// The reconciliation; needed when there are several.
    pub reconciliation: Option<String>,
    /// `open`, `explained`, `fixed` or `closed`. All but closed without it.
    pub state: Option<String>,
    /// A rule, such as `missing_in_province`.
    pub rule: Option<String>,
    /// A field, for mismatches.
    pub field: Option<String>,
    /// Who answers for them.
    pub owner: Option<String>,
    /// The system whose differences they are.
    pub system: Option<String>,
    /// One key.
    pub key: Option<String>,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Difference {
    /// Stays the same for the same rule, key, field and system.
    pub difference_id: String,
    /// The key as text, its columns joined by `|`.
    pub key: String,
    /// `missing_in_SYSTEM`, `duplicate_key`, `mismatch` or `unkeyed`.
    pub rule: String,
    /// The field, for a mismatch.
    pub field: Option<String>,
    /// The system whose difference it is.
    pub system: String,
    /// Who answers for it.
    pub owner: Option<String>,
    /// What that system says; masked where it is personal.
    pub found: Option<String>,
    /// What the golden table says; masked where it is personal.
    pub expected: Option<String>,
    /// Whose value that is.
    pub expected_from: Option<String>,
    /// `open`, `explained`, `fixed` or `closed`.
    pub state: String,
    /// How a person explained it.
    pub reason: Option<String>,
    /// When it was first seen, wall time in the hub's zone.
    pub first_seen: String,
    /// When it last became what it is, wall time.
    pub last_seen: String,
    /// When it closed, wall time.
    pub closed_at: Option<String>,
    /// The run that first saw it.
    pub first_run: i64,
    /// The run in which it became what it is.
    pub last_run: i64,
    /// How often it came back after it had closed.
    pub reopened: i64,
    /// Working days from when it was first seen until it closed, or until today.
    pub age_workdays: Option<i64>,
}

/// Something that happened to a difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DifferenceEvent {
    /// The difference.
    pub difference_id: String,
    /// When, wall time in the hub's zone.
    pub at: String,
    /// Its rule.
    pub rule: String,
    /// Its field.
    pub field: Option<String>,
    /// Its system.
    pub system: String,
    /// Its state before; none when it is new.
    pub from_state: Option<String>,
    /// Its state since.
    pub to_state: String,
    /// The run, where there was one.
    pub run: Option<i64>,
    /// Who, where it was a person.
    pub who: Option<String>,
    /// Why, where a person said so.
    pub reason: Option<String>,
}

/// What one system has of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DecidedSystem {
    /// The system.
    pub system: String,
    /// Its name, for people.
    pub title: String,
    /// Whether it has the key.
    pub is_present: bool,
    /// How many rows.
    pub copies: i64,
    /// The row that was taken.
    pub row: Option<String>,
    /// The run that received it.
    pub run: Option<String>,
}

/// What the systems say of one field.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct DecidedField {
    /// The field.
    pub field: String,
    /// Its name, for people.
    pub title: String,
    /// The value taken; masked where it is personal.
    pub value: Option<String>,
    /// Whose it is.
    pub from: Option<String>,
    /// Whether some system says something else; none where nothing is compared.
    pub differs: Option<bool>,
    /// What each system says, by system; only of compared fields.
    pub values: BTreeMap<String, Option<String>>,
}

/// Everything about one key.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Decided {
    /// The reconciliation.
    pub reconciliation: String,
    /// The key.
    pub key: String,
    /// Its class.
    pub class: String,
    /// The run that last computed it.
    pub run: Option<String>,
    /// What each system has.
    pub systems: Vec<DecidedSystem>,
    /// What was taken, and what each system says.
    pub fields: Vec<DecidedField>,
    /// Its differences, closed ones too.
    pub differences: Vec<Difference>,
    /// What happened to them, oldest first.
    pub events: Vec<DifferenceEvent>,
}

/// The life of one record.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Trace {
    /// The reconciliation.
    pub reconciliation: String,
    /// The key.
    pub key: String,
    /// What happened, oldest first.
    pub entries: Vec<TraceEntry>,
}

/// Something that happened to a record.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TraceEntry {
    /// When, wall time in the hub's zone.
    pub at: String,
    /// `version`, `decision`, `difference` or `push`.
    pub kind: String,
    /// The stream, table or push.
    pub of: String,
    /// The run, where there is one.
    pub run: Option<i64>,
    /// Details, in order.
    pub details: Vec<TraceDetail>,
}

/// One detail of an entry.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TraceDetail {
    /// Its name.
    pub name: String,
    /// Its value: text, a number, or for a decided field `{"value": …, "from": …}`; masked where it
    /// is personal.
    pub value: Value,
}
