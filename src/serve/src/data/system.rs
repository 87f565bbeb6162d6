//! Systems and their streams.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Counts, Push};

/// All systems: connected ones, and those the register knows.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Register {
    /// The systems; connected ones first.
    pub systems: Vec<System>,
    /// Entries of the register; 0 when there is none.
    pub departments: usize,
    /// Of them in service.
    pub live: usize,
    /// Of them on trial.
    pub trial: usize,
    /// Of them only known.
    pub survey: usize,
    /// Items (事项) integrated from systems in service.
    pub items: i64,
}

/// One system.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct System {
    /// Its id; none for one that is not connected.
    pub id: Option<String>,
    /// Its name, for people.
    pub title: String,
    /// Who answers for it.
    pub owner: String,
    /// What kind of connector reads it; none for one that is not connected.
    pub kind: Option<String>,
    /// `survey`, `trial` or `live`: as its file says; of one that is not connected, as the register
    /// says.
    pub stage: String,
    /// The stage of the register, where it has an entry. Another than `stage` is a finding.
    pub registered_stage: Option<String>,
    /// The day until which it must be integrated, as the register says.
    pub deadline: Option<String>,
    /// Items (事项) that are integrated.
    pub items: Option<i64>,
    /// When it last answered a read or took a push, UTC.
    pub last_contact: Option<String>,
}

/// One connected system with its streams and pushes.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SystemDetail {
    /// The system.
    #[serde(flatten)]
    pub system: System,
    /// References in its file that have no value yet, such as `env:CITY_URL`; it cannot be read
    /// until they have one.
    pub missing: Vec<String>,
    /// Connections it may have at once.
    pub connections: Option<u32>,
    /// Requests it may get a minute.
    pub requests_per_minute: Option<u32>,
    /// Its hours without reads, such as `08:00-18:00`.
    pub quiet_hours: Option<String>,
    /// Its streams.
    pub streams: Vec<Stream>,
    /// What is pushed to it.
    pub pushes: Vec<Push>,
}

/// How a stream stands against what is expected of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Freshness {
    /// Too little is known of its past, or no job reads it.
    Unknown,
    /// It brought something lately.
    Fresh,
    /// It is late, as it has been before.
    LateButUsual,
    /// It has never been late for so long.
    Missing,
}

/// One stream.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Stream {
    /// Its name, as `system.stream`.
    pub stream: String,
    /// The name of its system, for people.
    pub system_title: String,
    /// The lake's table, as `current.system_stream`.
    pub table: String,
    /// `full`, `incremental`, `flagged` or `changes`.
    pub read: String,
    /// How it stands.
    pub freshness: Freshness,
    /// When it last brought something, UTC.
    pub last_news: Option<String>,
    /// Seconds of working time since then; none when that is not known.
    pub silent_seconds: Option<i64>,
    /// Rows it brought on the last whole working day.
    pub rows: Option<u64>,
    /// The fewest and the most rows of the working days before that.
    pub usual_rows: Option<(u64, u64)>,
    /// When it was last committed, UTC.
    pub committed_at: Option<String>,
    /// What became of the rows of its last read.
    pub last_counts: Option<Counts>,
    /// Whether it waits for a person, because the process kept ending in the middle of it.
    pub is_parked: bool,
    /// Rows in quarantine.
    pub quarantined: u64,
}
