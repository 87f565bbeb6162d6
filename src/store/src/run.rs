//! Runs and their steps, with the balance of each.

use huiliu_sdk::{Error, ErrorKind, Result};
use serde::Serialize;

use crate::database::{Dialect, Store, Tx};
use crate::sql::Row;
use crate::{args, presence};

/// How a run or a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// In progress.
    Running,
    /// Done.
    Succeeded,
    /// Failed.
    Failed,
    /// Some steps succeeded, some failed.
    Partial,
    /// Not run, because something it needs failed.
    Blocked,
    /// Nothing to do.
    Unchanged,
    /// Stopped on request.
    Cancelled,
}

impl RunState {
    /// The word it is stored as.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Partial => "partial",
            Self::Blocked => "blocked",
            Self::Unchanged => "unchanged",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What became of the rows of one step. Everything read is accounted for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Balance {
    /// Rows the source delivered.
    pub read: u64,
    /// Rows written to the current table.
    pub written: u64,
    /// Rows equal to what the lake already had.
    pub unchanged: u64,
    /// Rows that another row of the same key in the same read superseded.
    pub deduplicated: u64,
    /// Rows a filter left out.
    pub filtered: u64,
    /// Rows that did not fit, kept aside.
    pub quarantined: u64,
    /// Rows that a push of ours had brought there and that came back.
    pub echoed: u64,
    /// Rows removed from the current table; they stand beside the sum.
    pub deleted: u64,
}

impl Balance {
    /// Fails with `E-BALANCE` unless everything read is accounted for.
    pub fn check(&self) -> Result<()> {
        let accounted = self.written
            + self.unchanged
            + self.deduplicated
            + self.filtered
            + self.quarantined
            + self.echoed;
        if self.read == accounted {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Internal,
            "E-BALANCE",
            format!("{} rows were read and {accounted} are accounted for", self.read),
        )
        .hint("nothing was committed; please report this with `huiliu runs` output"))
    }

    /// Adds another balance to this one.
    pub fn add(&mut self, other: &Self) {
        self.read += other.read;
        self.written += other.written;
        self.unchanged += other.unchanged;
        self.deduplicated += other.deduplicated;
        self.filtered += other.filtered;
        self.quarantined += other.quarantined;
        self.echoed += other.echoed;
        self.deleted += other.deleted;
    }
}

/// One run as stored.
#[derive(Debug, Clone, Serialize)]
pub struct RunRow {
    /// Its number.
    pub run_id: i64,
    /// The job that started it, if one did.
    pub job: Option<String>,
    /// What it was asked to run.
    pub selector: String,
    /// How it stands.
    pub state: String,
    /// When it began, UTC.
    pub started_at: String,
    /// When it ended, UTC.
    pub finished_at: Option<String>,
    /// Its exit code.
    pub exit_code: Option<i64>,
}

/// One step of a run as stored.
#[derive(Debug, Clone, Serialize)]
pub struct StepRow {
    /// The run.
    pub run_id: i64,
    /// What it worked on.
    pub node: String,
    /// `stream`, `replay`, `model`, `reconcile`, `audit`, `metric`, `push` or `maintain`.
    pub kind: String,
    /// How it stands.
    pub state: String,
    /// What became of its rows.
    #[serde(flatten)]
    pub balance: Balance,
    /// The snapshot it made, if it wrote.
    pub snapshot_id: Option<i64>,
    /// Error code.
    pub code: Option<String>,
    /// Error message.
    pub message: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// When it began, UTC.
    pub started_at: String,
    /// When it ended, UTC.
    pub finished_at: Option<String>,
}

macro_rules! select_steps {
    ($rest:literal) => {
        concat!(
            "select run_id, node, kind, state, read, written, unchanged, deduplicated,
                    filtered, quarantined, deleted, snapshot_id, code, message, hint,
                    started_at, finished_at, echoed
             from huiliu_step ",
            $rest
        )
    };
}

impl Store {
    /// Records that a run begins and returns its number.
    pub async fn start_run(
        &self,
        job: Option<&str>,
        selector: &str,
        holder: &str,
        now: &str,
    ) -> Result<i64> {
        let mut tx = self.begin().await?;
        let row = tx
            .one(
                "record a run",
                "insert into huiliu_run (job, selector, state, holder, started_at)
                 values (?, ?, 'running', ?, ?) returning run_id",
                args![job, selector, holder, now],
            )
            .await?
            .ok_or_else(|| Error::internal("a run got no number"))?;
        let run_id = row.get(0)?;
        tx.commit().await?;
        Ok(run_id)
    }

    /// When the last read of a stream began that came to a good end, UTC.
    pub async fn last_read(&self, stream: &str) -> Result<Option<String>> {
        let row = self
            .one(
                "read when a stream was read",
                "select max(started_at) from huiliu_step
                 where node = ? and kind = 'stream' and state in ('succeeded', 'unchanged')",
                args![stream],
            )
            .await?;
        row.map_or(Ok(None), |row| row.get(0))
    }

    /// Records how a run ended.
    pub async fn finish_run(&self, run: i64, state: RunState, exit: u8, now: &str) -> Result<()> {
        self.run(
            "record the end of a run",
            "update huiliu_run set state = ?, exit_code = ?, finished_at = ? where run_id = ?",
            args![state.as_str(), exit, now, run],
        )
        .await?;
        Ok(())
    }

    /// Marks runs that a dead process left open as failed. Only for a process that holds the
    /// data folder's lock; other hubs that are connected to the same Postgres are left alone.
    pub async fn close_abandoned_runs(&self, now: &str) -> Result<u64> {
        let (steps, runs) = match self.dialect() {
            Dialect::Sqlite => (
                "update huiliu_step set state = 'failed', finished_at = ?, code = 'E-ABANDONED',
                        message = 'the process ended before the step did'
                 where state = 'running'",
                "update huiliu_run set state = 'failed', finished_at = ?, exit_code = 3
                 where state = 'running'",
            ),
            Dialect::Postgres => (
                concat!(
                    "update huiliu_step set state = 'failed', finished_at = ?,
                            code = 'E-ABANDONED',
                            message = 'the process ended before the step did'
                     where state = 'running' and exists (
                       select 1 from huiliu_run r where r.run_id = huiliu_step.run_id and ",
                    presence::gone!("r"),
                    ")"
                ),
                concat!(
                    "update huiliu_run set state = 'failed', finished_at = ?, exit_code = 3
                     where state = 'running' and ",
                    presence::gone!("huiliu_run"),
                ),
            ),
        };
        let mut tx = self.begin().await?;
        tx.run("close abandoned steps", steps, args![now]).await?;
        let closed = tx.run("close abandoned runs", runs, args![now]).await?;
        tx.commit().await?;
        Ok(closed)
    }

    /// The latest runs, newest first.
    pub async fn runs(&self, limit: u32) -> Result<Vec<RunRow>> {
        let rows = self
            .all(
                "list runs",
                "select run_id, job, selector, state, started_at, finished_at, exit_code
                 from huiliu_run order by run_id desc limit ?",
                args![limit],
            )
            .await?;
        rows.iter().map(run_row).collect()
    }

    /// The steps of one run, or of all runs, in the order they began.
    pub async fn steps(&self, run: Option<i64>) -> Result<Vec<StepRow>> {
        let sql =
            select_steps!("where ?1 is null or run_id = ?1 order by run_id, started_at, node");
        let rows = self.all("list steps", sql, args![run]).await?;
        rows.iter().map(step_row).collect()
    }

    /// The last step of each node, replays aside.
    pub async fn last_steps(&self) -> Result<Vec<StepRow>> {
        let sql = select_steps!(
            "where (run_id, node) in (select max(run_id), node from huiliu_step
                                      where kind <> 'replay' group by node)
             order by node"
        );
        let rows = self.all("list the last steps", sql, args![]).await?;
        rows.iter().map(step_row).collect()
    }

    /// The steps of one kind that began at `time` or later, in the order they began.
    pub async fn steps_since(&self, kind: &str, time: &str) -> Result<Vec<StepRow>> {
        let sql = select_steps!("where kind = ? and started_at >= ? order by run_id, started_at");
        let rows = self.all("list steps", sql, args![kind, time]).await?;
        rows.iter().map(step_row).collect()
    }

    /// When the first run began, UTC; nothing before it.
    pub async fn first_run_at(&self) -> Result<Option<String>> {
        let sql = "select min(started_at) from huiliu_run";
        let row = self.one("read the first run", sql, args![]).await?;
        row.map_or(Ok(None), |row| row.get(0))
    }
}

pub(crate) fn run_row(row: &Row) -> Result<RunRow> {
    Ok(RunRow {
        run_id: row.get(0)?,
        job: row.get(1)?,
        selector: row.get(2)?,
        state: row.get(3)?,
        started_at: row.get(4)?,
        finished_at: row.get(5)?,
        exit_code: row.get(6)?,
    })
}

fn step_row(row: &Row) -> Result<StepRow> {
    let count = |index| row.get::<i64>(index).map(|count| u64::try_from(count).unwrap_or(0));
    Ok(StepRow {
        run_id: row.get(0)?,
        node: row.get(1)?,
        kind: row.get(2)?,
        state: row.get(3)?,
        balance: Balance {
            read: count(4)?,
            written: count(5)?,
            unchanged: count(6)?,
            deduplicated: count(7)?,
            filtered: count(8)?,
            quarantined: count(9)?,
            deleted: count(10)?,
            echoed: count(17)?,
        },
        snapshot_id: row.get(11)?,
        code: row.get(12)?,
        message: row.get(13)?,
        hint: row.get(14)?,
        started_at: row.get(15)?,
        finished_at: row.get(16)?,
    })
}

impl Tx {
    /// Records a step as it stands now.
    pub async fn put_step(&mut self, step: &StepRow) -> Result<()> {
        let count = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let balance = &step.balance;
        self.run(
            "record a step",
            "insert into huiliu_step
               (run_id, node, kind, state, read, written, unchanged, deduplicated, filtered,
                quarantined, echoed, deleted, snapshot_id, code, message, hint, started_at,
                finished_at)
             values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
             on conflict (run_id, node) do update set
               kind = excluded.kind, state = excluded.state, read = excluded.read,
               written = excluded.written, unchanged = excluded.unchanged,
               deduplicated = excluded.deduplicated, filtered = excluded.filtered,
               quarantined = excluded.quarantined, echoed = excluded.echoed,
               deleted = excluded.deleted,
               snapshot_id = excluded.snapshot_id, code = excluded.code,
               message = excluded.message, hint = excluded.hint,
               started_at = excluded.started_at, finished_at = excluded.finished_at",
            args![
                step.run_id,
                &step.node,
                &step.kind,
                &step.state,
                count(balance.read),
                count(balance.written),
                count(balance.unchanged),
                count(balance.deduplicated),
                count(balance.filtered),
                count(balance.quarantined),
                count(balance.echoed),
                count(balance.deleted),
                step.snapshot_id,
                &step.code,
                &step.message,
                &step.hint,
                &step.started_at,
                &step.finished_at,
            ],
        )
        .await?;
        Ok(())
    }
}
