//! Pushes and their receipts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A push with what became of its records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Push {
    /// Its name, as `system.push`.
    pub push: String,
    /// The name of the target, for people.
    pub system_title: String,
    /// The model whose rows are pushed.
    pub from: String,
    /// Whether the target says later, by receipts, what became of records.
    pub has_receipts: bool,
    /// The stage of the target; only to `live` ones is anything sent.
    pub stage: String,
    /// Records to be sent, or sent and not answered for yet.
    pub waiting: i64,
    /// Records that the target took over, whose receipt is to come.
    pub delivered: i64,
    /// Records that the target has.
    pub accepted: i64,
    /// Records that it refused.
    pub rejected: i64,
    /// Records of which nobody knows whether they arrived.
    pub unknown: i64,
}

/// What became of the records that were handed over for one push on one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PushDay {
    /// The push, as `system.push`.
    pub push: String,
    /// The day in the hub's zone, `YYYY-MM-DD`.
    pub day: String,
    /// Records handed over, as they were counted then.
    pub sent: i64,
    /// Records that the target has.
    pub accepted: i64,
    /// Records that it refused.
    pub rejected: i64,
    /// Records to be sent, or sent and not answered for yet.
    pub waiting: i64,
    /// Records of which nobody knows whether they arrived.
    pub unknown: i64,
    /// Records that are not accounted for; anything but 0 is wrong.
    pub missing: i64,
}

/// Which records are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct PushQuery {
    /// The push, as `system.push`; of all pushes without it.
    pub push: Option<String>,
    /// `waiting`, `delivered`, `accepted`, `rejected` or `unknown`.
    pub state: Option<String>,
}

/// One record that is or was sent, without its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PushRecord {
    /// Its number.
    pub id: i64,
    /// The push, as `system.push`.
    pub push: String,
    /// The business key of the record.
    pub key: String,
    /// Under which key it is sent; the same over all attempts.
    pub idempotency_key: String,
    /// `waiting`, `delivered`, `accepted`, `rejected` or `unknown`.
    pub state: String,
    /// How often it was sent.
    pub attempts: i64,
    /// The run that queued it.
    pub run: i64,
    /// When it was queued, UTC.
    pub created_at: String,
    /// The target's code, when it refused.
    pub code: Option<String>,
    /// What the target said.
    pub message: Option<String>,
    /// When the target answered, UTC.
    pub settled_at: Option<String>,
}

/// What becomes of a record of which nobody knows whether it arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// The target has it.
    Arrived,
    /// The target does not have it: it is sent again.
    Again,
    /// It is not sent again, whether it arrived or not.
    Dropped,
}
