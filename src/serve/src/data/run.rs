//! Runs and their steps.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Run {
    /// Its number.
    pub run: i64,
    /// The job that started it, if one did.
    pub job: Option<String>,
    /// What it was asked to run.
    pub selector: String,
    /// `running`, `succeeded`, `failed`, `partial`, `blocked`, `unchanged` or `cancelled`.
    pub state: String,
    /// When it began, UTC.
    pub started_at: String,
    /// When it ended, UTC; none while it goes on.
    pub finished_at: Option<String>,
    /// Its exit code.
    pub exit_code: Option<i64>,
}

/// What became of the rows of one step. `read` is the sum of the six after it, or `balanced` is
/// false.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Counts {
    /// Rows the source delivered.
    pub read: u64,
    /// Rows written to the current table.
    pub written: u64,
    /// Rows equal to what the lake already had.
    pub unchanged: u64,
    /// Rows that another of the same key in the same read superseded.
    pub deduplicated: u64,
    /// Rows a filter left out.
    pub filtered: u64,
    /// Rows that did not fit, kept aside.
    pub quarantined: u64,
    /// Rows that a push of ours had brought there and that came back.
    pub echoed: u64,
    /// Rows removed from the current table; they stand beside the sum.
    pub deleted: u64,
    /// Whether everything read is accounted for.
    pub balanced: bool,
}

/// One step of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Step {
    /// What it works on, such as `city_operation.cases`.
    pub node: String,
    /// `stream`, `replay`, `model`, `reconcile`, `audit`, `metric`, `push`, `report` or `maintain`.
    pub kind: String,
    /// As of a run.
    pub state: String,
    /// What became of its rows. Of streams and replays they must balance; of a push `read` is what
    /// was to be sent, `written` accepted, `filtered` rejected, `unchanged` waiting.
    pub counts: Counts,
    /// The snapshot it made, if it wrote.
    pub snapshot: Option<i64>,
    /// Error code.
    pub code: Option<String>,
    /// What went wrong.
    pub message: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// When it began, UTC.
    pub started_at: String,
    /// When it ended, UTC; none while it goes on.
    pub finished_at: Option<String>,
}

/// One run with its steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RunDetail {
    /// The run.
    #[serde(flatten)]
    pub run_row: Run,
    /// Its steps in the order in which they began.
    pub steps: Vec<Step>,
    /// Whether the rows of all its streams and replays are accounted for.
    pub balanced: bool,
}

/// A run to be started.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunRequest {
    /// What: names with `*`, `+` before for what they need, `+` after for what needs them.
    pub selector: String,
    /// Read systems in their quiet hours too.
    #[serde(default)]
    pub during_quiet_hours: bool,
    /// Read incremental streams from the start once more.
    #[serde(default)]
    pub whole: bool,
    /// Hashes of plans that guards stopped and that may pass.
    #[serde(default)]
    pub accept: Vec<String>,
}

/// Something that goes on beside the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Started {
    /// The run's number; none when it was not known in time, and then `GET /runs` shows it.
    pub run: Option<i64>,
}
