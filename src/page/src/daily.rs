//! What the daily page says.
//!
//! Moments are wall times of the hub's zone as text, `2018-12-13 07:31`; days are `2018-12-13`.

use serde::Serialize;

/// The daily page of an office.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Daily {
    /// Name of the hub.
    pub office: String,
    /// The day it is about.
    pub day: String,
    /// Whether that is a working day; none in years without a calendar.
    pub is_workday: Option<bool>,
    /// When it was made.
    pub written_at: String,
    /// The latest snapshot of the lake.
    pub snapshot: i64,
    /// The run that wrote it, or else the last one.
    pub run: Option<Run>,
    /// The figures, in the order they are shown.
    pub figures: Vec<Figure>,
    /// All streams.
    pub streams: Vec<Stream>,
    /// Everything but streams and pushes that failed or was held up when it last ran.
    pub stopped: Vec<Stopped>,
    /// The reconciliations.
    pub differences: Vec<Differences>,
    /// All pushes.
    pub pushes: Vec<Push>,
}

/// A run.
#[derive(Debug, Clone, Serialize)]
pub struct Run {
    /// Its number.
    pub number: i64,
    /// The job that started it; none when a person did.
    pub job: Option<String>,
    /// How it ended.
    pub state: StepState,
    /// When it began.
    pub started_at: String,
}

/// How a run or a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// In progress.
    Running,
    /// Done.
    Succeeded,
    /// Nothing to do.
    Unchanged,
    /// Some parts succeeded, some failed.
    Partial,
    /// Failed.
    Failed,
    /// Held up by something else.
    Blocked,
    /// Stopped on request.
    Cancelled,
}

/// One figure.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Figure {
    /// The metric's key.
    pub key: String,
    /// Its name.
    pub title: String,
    /// Whether it is a ratio in per cent; else a count.
    pub is_percent: bool,
    /// The value as it is published; none when there is nothing to count against, or when it was
    /// not computed yet.
    pub value: Option<String>,
    /// What counts; none when it was not computed yet.
    pub numerator: Option<i64>,
    /// What it is counted against.
    pub denominator: Option<i64>,
    /// What it means.
    pub definition: String,
    /// First day of that definition.
    pub valid_from: String,
    /// Who answers for it.
    pub owner: String,
    /// The snapshot it was computed from.
    pub snapshot: Option<i64>,
    /// How it moved since an earlier day.
    pub change: Option<Change>,
    /// The value at the end of each day that is known, oldest first, and now.
    pub trend: Vec<Point>,
}

/// How a figure moved.
#[derive(Debug, Clone, Serialize)]
pub struct Change {
    /// Since the end of this day.
    pub since: String,
    /// Below, at or above zero, exactly.
    pub sign: i8,
    /// The difference without its sign, rounded like the value.
    pub size: String,
    /// The value on that day.
    pub before: Option<String>,
    /// Whether the definition is another one since then.
    pub is_redefined: bool,
}

/// A value on a day.
#[derive(Debug, Clone, Serialize)]
pub struct Point {
    /// The day.
    pub day: String,
    /// The value as it was published.
    pub text: String,
    /// The value for drawing.
    pub height: f64,
}

/// What became of the rows of a step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Balance {
    /// Delivered by the source.
    pub read: u64,
    /// Written.
    pub written: u64,
    /// As the lake already had them.
    pub unchanged: u64,
    /// Superseded by another row of the same read.
    pub deduplicated: u64,
    /// Left out by a filter.
    pub filtered: u64,
    /// Set aside.
    pub quarantined: u64,
    /// What our own pushes had brought there, read back.
    pub echoed: u64,
    /// Removed; beside the sum.
    pub deleted: u64,
}

impl Balance {
    /// Whether everything read is accounted for.
    pub fn is_even(&self) -> bool {
        let Self { read, written, unchanged, deduplicated, filtered, quarantined, echoed, .. } =
            *self;
        read == written + unchanged + deduplicated + filtered + quarantined + echoed
    }
}

/// The last step of something.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// The run.
    pub run: i64,
    /// When it ended, or began when it has not ended.
    pub at: String,
    /// How it ended.
    pub state: StepState,
    /// What became of its rows.
    pub balance: Balance,
    /// Why it did not do its work.
    pub trouble: Option<Trouble>,
}

/// Why something did not do its work.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Trouble {
    /// The stable code.
    pub code: String,
    /// What that means.
    pub meaning: String,
    /// What can be done.
    pub todo: String,
    /// Whether a guard stopped it and waits for a person.
    pub is_guard: bool,
    /// Whether it only waits for something else that failed.
    pub is_blocked: bool,
    /// Whether it only waits for a better hour.
    pub is_postponed: bool,
}

/// One stream.
#[derive(Debug, Clone, Serialize)]
pub struct Stream {
    /// `system.stream`.
    pub node: String,
    /// The system's name.
    pub system: String,
    /// Who answers for the system.
    pub owner: String,
    /// How it was last read; none before the first time.
    pub last: Option<Step>,
    /// Rows that wait in quarantine.
    pub quarantine: u64,
    /// Whether it was read when it should have been.
    pub timing: Timing,
    /// Whether it brings new rows as often as it used to.
    pub news: News,
}

/// Whether something was done when the schedule said.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Timing {
    /// The job of the latest time it was due; none when no job does it.
    pub job: Option<String>,
    /// The latest time it was due.
    pub due_at: Option<String>,
    /// When it was last done well.
    pub done_at: Option<String>,
    /// Whether it was not done since it was due.
    pub is_late: bool,
    /// For how many working days it has been waiting; none in years without a calendar.
    pub late_workdays: Option<i64>,
}

/// When a stream last brought something new.
#[derive(Debug, Clone, Default, Serialize)]
pub struct News {
    /// The last day on which it did.
    pub last_day: Option<String>,
    /// Working days since then.
    pub workdays: Option<i64>,
    /// The longest pause of the last weeks, in working days; none while too little is known.
    pub usual: Option<i64>,
}

impl News {
    /// Whether the stream has been without anything new for longer than it used to.
    pub fn is_long_ago(&self) -> bool {
        self.workdays.zip(self.usual).is_some_and(|(now, usual)| now > usual)
    }
}

/// Something that failed or was held up.
#[derive(Debug, Clone, Serialize)]
pub struct Stopped {
    /// What.
    pub node: String,
    /// In which run, and why.
    pub step: Step,
}

/// A reconciliation as it stands.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Differences {
    /// Its name.
    pub title: String,
    /// How many entities were compared.
    pub keys: u64,
    /// When the systems were last compared; none before the first time.
    pub compared_at: Option<String>,
    /// Entities in each class.
    pub classes: Vec<Class>,
    /// The kinds of differences, most open ones first.
    pub kinds: Vec<Kind>,
    /// Who answers for them, most open ones first.
    pub owners: Vec<Owner>,
}

/// Entities of one class.
#[derive(Debug, Clone, Serialize)]
pub struct Class {
    /// Its name.
    pub title: String,
    /// How many.
    pub keys: u64,
    /// Whether that is above its warn level.
    pub is_above_level: bool,
}

/// Differences of one rule and field.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Kind {
    /// Its name.
    pub title: String,
    /// Open ones.
    pub open: u64,
    /// Those a person explained, or that a push mended.
    pub settled: u64,
    /// Opened, or opened again, today.
    pub opened_today: u64,
    /// Closed today.
    pub closed_today: u64,
}

/// Differences of one department.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Owner {
    /// The department.
    pub name: String,
    /// Open ones of each kind, in the order of [`Differences::kinds`].
    pub open: Vec<u64>,
    /// Those a person explained, or that a push mended.
    pub settled: u64,
    /// Opened, or opened again, today.
    pub opened_today: u64,
    /// Closed today.
    pub closed_today: u64,
    /// Working days since the oldest open one was first seen; none in years without a calendar, or
    /// when none is open.
    pub oldest_workdays: Option<i64>,
}

impl Owner {
    /// All open ones.
    pub fn all_open(&self) -> u64 {
        self.open.iter().sum()
    }
}

/// One push.
#[derive(Debug, Clone, Serialize)]
pub struct Push {
    /// `system.push`.
    pub node: String,
    /// The target's name.
    pub system: String,
    /// Who answers for the target.
    pub owner: String,
    /// Its records.
    pub outbox: Outbox,
    /// How it last ran.
    pub last: Option<Step>,
    /// Whether it ran when it should have.
    pub timing: Timing,
}

/// Records of a push by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Outbox {
    /// To be sent.
    pub waiting: i64,
    /// Attempts that those took in vain.
    pub vain_attempts: i64,
    /// The target has them.
    pub accepted: i64,
    /// The target refused them.
    pub rejected: i64,
    /// Nobody knows whether they arrived, and they must not be sent twice.
    pub unknown: i64,
}
