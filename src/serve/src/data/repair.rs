//! Repairs: what would be corrected where, and what became of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a repair is asked to correct; everything without any.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RepairScope {
    /// Differences of this entity, such as `case`.
    pub entity: Option<String>,
    /// Differences of this system of a reconciliation.
    pub system: Option<String>,
    /// Differences of this rule.
    pub rule: Option<String>,
    /// Differences of this key.
    pub key: Option<String>,
}

/// What would be corrected where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RepairPlan {
    /// What it was asked for.
    pub scope: RepairScope,
    /// By which it is applied; none when there is nothing to correct.
    pub hash: Option<String>,
    /// How many records would be sent.
    pub count: u64,
    /// The first 500 of them; the hash is of all.
    pub records: Vec<RepairRecord>,
    /// Differences that it does not mend, and why.
    pub left_out: Vec<LeftOut>,
}

/// One record that would be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RepairRecord {
    /// The reconciliation whose differences it mends.
    pub reconciliation: String,
    /// The system in it.
    pub system: String,
    /// The push it goes through, as `system.push`.
    pub push: String,
    /// The record.
    pub key: String,
    /// `update`, or `insert` where the target has nothing.
    pub action: String,
    /// What the target said when the last repair of it was refused.
    pub refused_before: Option<String>,
    /// The differences it mends.
    pub differences: Vec<RepairDifference>,
    /// What would change at the target.
    pub changes: Vec<RepairChange>,
}

/// One difference that a repair mends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RepairDifference {
    /// The difference.
    pub difference_id: String,
    /// Its rule.
    pub rule: String,
    /// Its field.
    pub field: Option<String>,
    /// Whose value is taken.
    pub trusted: Option<String>,
    /// In which order the systems are trusted for the field.
    pub trust: Vec<String>,
}

/// One column of a record that would change; personal values masked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RepairChange {
    /// The column, as the push has it.
    pub column: String,
    /// What the target has.
    pub before: Option<String>,
    /// What it would get.
    pub after: Option<String>,
}

/// Differences that a plan does not mend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LeftOut {
    /// The system whose differences they are.
    pub system: String,
    /// Their rule.
    pub rule: String,
    /// `no_repairs`, `no_push`, `sent_by_itself`, `not_live`, `blocked`, `on_its_way`,
    /// `no_record` or `nothing_to_change`.
    pub why: String,
    /// The push, where there is one.
    pub push: Option<String>,
    /// How many differences.
    pub differences: u64,
    /// The key of one of them.
    pub example: String,
}

/// A repair as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Repair {
    /// By which it is known.
    pub hash: String,
    /// When it was planned, UTC.
    pub planned_at: String,
    /// When it was applied, UTC; none while it is a plan.
    pub applied_at: Option<String>,
    /// Who applied it.
    pub applied_by: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// Records: the sum of the next four.
    pub records: u64,
    /// Records that wait for the target.
    pub waiting: u64,
    /// Records that the target has.
    pub accepted: u64,
    /// Records that it refused.
    pub rejected: u64,
    /// Records of which nobody knows whether they arrived.
    pub unknown: u64,
    /// Records of which what was there before was sent back and accepted.
    pub undone: u64,
}
