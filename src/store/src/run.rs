//! Runs and their steps, with the balance of each.

use huiliu_sdk::{Error, ErrorKind, Result};
use serde::Serialize;
use sqlx::Row;

use crate::database::{Store, Tx, database_error};

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
    /// Rows removed from the current table; they stand beside the sum.
    pub deleted: u64,
}

impl Balance {
    /// Fails with `E-BALANCE` unless everything read is accounted for.
    pub fn check(&self) -> Result<()> {
        let accounted =
            self.written + self.unchanged + self.deduplicated + self.filtered + self.quarantined;
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
    /// `stream`, `replay`, `model`, `metric` or `push`.
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
        let run_id = sqlx::query_scalar(
            "insert into huiliu_run (job, selector, state, holder, started_at)
             values (?, ?, 'running', ?, ?) returning run_id",
        )
        .bind(job)
        .bind(selector)
        .bind(holder)
        .bind(now)
        .fetch_one(tx.connection())
        .await
        .map_err(|e| database_error("record a run", e))?;
        tx.commit().await?;
        Ok(run_id)
    }

    /// Records how a run ended.
    pub async fn finish_run(&self, run: i64, state: RunState, exit: u8, now: &str) -> Result<()> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "update huiliu_run set state = ?, exit_code = ?, finished_at = ? where run_id = ?",
        )
        .bind(state.as_str())
        .bind(i64::from(exit))
        .bind(now)
        .bind(run)
        .execute(tx.connection())
        .await
        .map_err(|e| database_error("record the end of a run", e))?;
        tx.commit().await
    }

    /// Marks runs that a dead process left open as failed.
    pub async fn close_abandoned_runs(&self, now: &str) -> Result<u64> {
        let mut tx = self.begin().await?;
        let closed = sqlx::query(
            "update huiliu_run set state = 'failed', finished_at = ?, exit_code = 3
             where state = 'running'",
        )
        .bind(now)
        .execute(tx.connection())
        .await
        .map_err(|e| database_error("close abandoned runs", e))?
        .rows_affected();
        sqlx::query(
            "update huiliu_step set state = 'failed', finished_at = ?, code = 'E-ABANDONED',
                    message = 'the process ended before the step did'
             where state = 'running'",
        )
        .bind(now)
        .execute(tx.connection())
        .await
        .map_err(|e| database_error("close abandoned steps", e))?;
        tx.commit().await?;
        Ok(closed)
    }

    /// The latest runs, newest first.
    pub async fn runs(&self, limit: u32) -> Result<Vec<RunRow>> {
        let rows = sqlx::query(
            "select run_id, job, selector, state, started_at, finished_at, exit_code
             from huiliu_run order by run_id desc limit ?",
        )
        .bind(limit)
        .fetch_all(self.reader())
        .await
        .map_err(|e| database_error("list runs", e))?;
        Ok(rows
            .iter()
            .map(|row| RunRow {
                run_id: row.get(0),
                job: row.get(1),
                selector: row.get(2),
                state: row.get(3),
                started_at: row.get(4),
                finished_at: row.get(5),
                exit_code: row.get(6),
            })
            .collect())
    }

    /// The steps of one run, or of all runs, in the order they began.
    pub async fn steps(&self, run: Option<i64>) -> Result<Vec<StepRow>> {
        let rows = sqlx::query(
            "select run_id, node, kind, state, read, written, unchanged, deduplicated, filtered,
                    quarantined, deleted, snapshot_id, code, message, hint, started_at, finished_at
             from huiliu_step where ?1 is null or run_id = ?1 order by run_id, started_at, node",
        )
        .bind(run)
        .fetch_all(self.reader())
        .await
        .map_err(|e| database_error("list steps", e))?;
        Ok(rows.iter().map(step_row).collect())
    }
}

fn step_row(row: &sqlx::sqlite::SqliteRow) -> StepRow {
    let count = |index: usize| u64::try_from(row.get::<i64, _>(index)).unwrap_or(0);
    StepRow {
        run_id: row.get(0),
        node: row.get(1),
        kind: row.get(2),
        state: row.get(3),
        balance: Balance {
            read: count(4),
            written: count(5),
            unchanged: count(6),
            deduplicated: count(7),
            filtered: count(8),
            quarantined: count(9),
            deleted: count(10),
        },
        snapshot_id: row.get(11),
        code: row.get(12),
        message: row.get(13),
        hint: row.get(14),
        started_at: row.get(15),
        finished_at: row.get(16),
    }
}

impl Tx {
    /// Records a step as it stands now.
    pub async fn put_step(&mut self, step: &StepRow) -> Result<()> {
        let count = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let balance = &step.balance;
        sqlx::query(
            "insert or replace into huiliu_step
               (run_id, node, kind, state, read, written, unchanged, deduplicated, filtered,
                quarantined, deleted, snapshot_id, code, message, hint, started_at, finished_at)
             values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(step.run_id)
        .bind(&step.node)
        .bind(&step.kind)
        .bind(&step.state)
        .bind(count(balance.read))
        .bind(count(balance.written))
        .bind(count(balance.unchanged))
        .bind(count(balance.deduplicated))
        .bind(count(balance.filtered))
        .bind(count(balance.quarantined))
        .bind(count(balance.deleted))
        .bind(step.snapshot_id)
        .bind(&step.code)
        .bind(&step.message)
        .bind(&step.hint)
        .bind(&step.started_at)
        .bind(&step.finished_at)
        .execute(self.connection())
        .await
        .map_err(|e| database_error("record a step", e))?;
        Ok(())
    }
}
