//! Jobs, their times, and alerts.

use schemars::JsonSchema;
use serde::Serialize;

/// A job with how it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Job {
    /// Its name.
    pub job: String,
    /// When it runs, as written: five fields of cron.
    pub cron: String,
    /// The zone of that.
    pub zone: String,
    /// Whether it runs on working days only.
    pub workdays_only: bool,
    /// What it runs.
    pub run: String,
    /// When it runs next, RFC 3339 in its zone; none when that cannot be known.
    pub next: Option<String>,
    /// Why it has no next time, or soon will have none.
    pub warning: Option<String>,
    /// The time that waits or runs.
    pub open: Option<JobRun>,
    /// The last one that ran to an end.
    pub last: Option<JobRun>,
    /// Since when it is parked, UTC; a parked job does not run.
    pub parked_at: Option<String>,
    /// How often in a row its process ended in the middle of it.
    pub deaths: i64,
}

/// A time of a job that is to come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Upcoming {
    /// The job.
    pub job: String,
    /// When, RFC 3339 in its zone.
    pub at: String,
}

/// What became of one time of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct JobRun {
    /// The job.
    pub job: String,
    /// When it was due, UTC.
    pub scheduled_at: String,
    /// `queued`, `running`, `done`, `failed`, `skipped`, `killed`, `cancelled` or `parked`.
    pub state: String,
    /// How often it began.
    pub attempts: i64,
    /// How many times before it passed and were left out.
    pub missed: i64,
    /// The last run it made.
    pub run: Option<i64>,
    /// The exit code of that run.
    pub exit_code: Option<i64>,
    /// Error code.
    pub code: Option<String>,
    /// What went wrong.
    pub message: Option<String>,
    /// When it last began, UTC.
    pub started_at: Option<String>,
    /// When it ended, UTC.
    pub finished_at: Option<String>,
}

/// An alert that is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Alert {
    /// What kind it is, such as `stream_missing`.
    pub kind: String,
    /// What it is about: a job, a stream, an audit.
    pub object: String,
    /// What there is to say.
    pub detail: String,
    /// Since when, UTC.
    pub since: String,
}
