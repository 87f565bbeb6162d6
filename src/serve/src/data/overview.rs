//! The first page: how everything stands, and what needs a person.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Alert, Figure, Job, Run, Stream};

/// How everything stands.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Overview {
    /// The name of the city or office.
    pub office: String,
    /// Now, as wall time in the hub's zone.
    pub at: String,
    /// Today in the hub's zone, `YYYY-MM-DD`.
    pub day: String,
    /// Whether today is a working day; none in years without a calendar.
    pub is_workday: Option<bool>,
    /// The lake's latest snapshot.
    pub snapshot: i64,
    /// All figures in the order of pages, with their trends.
    pub figures: Vec<Figure>,
    /// All streams with how fresh they are.
    pub streams: Vec<Stream>,
    /// The newest run, whatever became of it.
    pub last_run: Option<Run>,
    /// Runs of the last 24 hours that failed, in whole or in part, newest first.
    pub failed_runs: Vec<Run>,
    /// The alerts that are on.
    pub alerts: Vec<Alert>,
    /// Rows in quarantine, by stream.
    pub quarantine: Vec<QuarantineTotal>,
    /// Pushes with records of which nobody knows whether they arrived, or that do not add up.
    pub unknown_pushes: Vec<PushTotal>,
    /// Jobs that are parked.
    pub parked_jobs: Vec<Job>,
    /// Differences that are open, by reconciliation.
    pub differences: Vec<DifferenceTotal>,
}

/// Rows of a stream in quarantine.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct QuarantineTotal {
    /// The stream, as `system.stream`.
    pub stream: String,
    /// How many rows.
    pub rows: u64,
}

/// Records of a push that need a decision.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PushTotal {
    /// The push, as `system.push`.
    pub push: String,
    /// Records of which nobody knows whether they arrived.
    pub unknown: i64,
    /// Records that were handed over and are not accounted for; anything but 0 is wrong.
    pub missing: i64,
}

/// Differences of a reconciliation that are open.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct DifferenceTotal {
    /// The reconciliation.
    pub reconciliation: String,
    /// Its name, for people.
    pub title: String,
    /// How many are open.
    pub open: u64,
    /// Working days since the oldest was first seen; none in years without a calendar.
    pub oldest_workdays: Option<i64>,
}
