//! Jobs and their occurrences: each time of a job is one row, made once and done once.
//!
//! A row is made `queued` or `skipped`. Whoever takes the job's lease may begin the oldest queued
//! one; the attempt is counted before the start, and how it ended is stored only under the same
//! lease. So of many hubs one runs it, one that was overtaken stores nothing, and a job that kills
//! its process is found out.

mod attempt;
mod layout;

use huiliu_sdk::Result;
use serde::Serialize;

use crate::args;
use crate::database::{Store, Tx};
use crate::sql::Row;

pub use self::attempt::{Begin, End};
pub(crate) use self::layout::prepare;

/// One time at which a job is due.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Occurrence {
    /// The job.
    pub job: String,
    /// When it is due, UTC, RFC 3339.
    pub scheduled_at: String,
}

/// How an occurrence stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OccurrenceState {
    /// It waits for its turn.
    Queued,
    /// It runs.
    Running,
    /// It ended well.
    Done,
    /// It failed.
    Failed,
    /// It was left out, because the one before had not ended.
    Skipped,
    /// It was stopped, because its next time had come.
    Killed,
    /// It was stopped together with its hub.
    Cancelled,
    /// It was left out, because the job is parked.
    Parked,
}

impl OccurrenceState {
    /// The word it is stored as.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Killed => "killed",
            Self::Cancelled => "cancelled",
            Self::Parked => "parked",
        }
    }
}

/// What happens to an occurrence when one before it has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It is left out.
    Skip,
    /// It waits; one more is left out.
    QueueOne,
    /// It waits, however many do.
    QueueAll,
    /// The one before is stopped.
    Kill,
}

/// An occurrence to be made.
#[derive(Debug, Clone)]
pub struct NewOccurrence {
    /// Which.
    pub occurrence: Occurrence,
    /// How many times before it passed and are left out.
    pub missed: u32,
    /// What happens when one before it has not ended.
    pub admission: Admission,
}

/// A job as stored.
#[derive(Debug, Clone, Serialize)]
pub struct JobRow {
    /// Its name.
    pub job: String,
    /// The latest occurrence that was made, UTC.
    pub last_at: Option<String>,
    /// How often in a row it began without an end.
    pub deaths: i64,
    /// Since when it is parked, UTC.
    pub parked_at: Option<String>,
}

/// An occurrence as stored.
#[derive(Debug, Clone, Serialize)]
pub struct OccurrenceRow {
    /// Which.
    #[serde(flatten)]
    pub occurrence: Occurrence,
    /// How it stands: a word of [`OccurrenceState`].
    pub state: String,
    /// How often it began.
    pub attempts: i64,
    /// How many times before it passed and were left out.
    pub missed: i64,
    /// Whether it is to be stopped.
    pub stop: bool,
    /// Not before this time, UTC: it failed and is tried again.
    pub not_before: Option<String>,
    /// The last run it made.
    pub run_id: Option<i64>,
    /// The exit code of that run.
    pub exit_code: Option<i64>,
    /// What went wrong: code.
    pub code: Option<String>,
    /// What went wrong.
    pub message: Option<String>,
    /// Who runs or ran it.
    pub holder: Option<String>,
    /// When it was made, UTC.
    pub queued_at: Option<String>,
    /// When it last began, UTC.
    pub started_at: Option<String>,
    /// When it ended, UTC.
    pub finished_at: Option<String>,
}

macro_rules! select_occurrences {
    ($rest:literal) => {
        concat!(
            "select job, scheduled_at, state, attempts, missed, stop, not_before, run_id,
                    exit_code, code, message, holder, queued_at, started_at, finished_at
             from huiliu_occurrence ",
            $rest
        )
    };
}

impl Store {
    /// All jobs that ever had an occurrence.
    pub async fn jobs(&self) -> Result<Vec<JobRow>> {
        let sql = "select job, last_at, deaths, parked_at from huiliu_job order by job";
        let rows = self.all("list jobs", sql, args![]).await?;
        let job = |row: &Row| {
            let (deaths, parked_at) = (row.get(2)?, row.get(3)?);
            Ok(JobRow { job: row.get(0)?, last_at: row.get(1)?, deaths, parked_at })
        };
        rows.iter().map(job).collect()
    }

    /// The latest occurrence of a job that was due before `time`, UTC.
    pub async fn last_occurrence(&self, job: &str, time: &str) -> Result<Option<String>> {
        let sql = "select max(scheduled_at) from huiliu_occurrence
                   where job = ? and scheduled_at < ?";
        let row = self.one("read occurrences", sql, args![job, time]).await?;
        row.map_or(Ok(None), |row| row.get(0))
    }

    /// Makes occurrences, oldest first, and gives those that were not there before with the state
    /// that each got.
    pub async fn add_occurrences(
        &self,
        new: &[NewOccurrence],
        now: &str,
    ) -> Result<Vec<(Occurrence, OccurrenceState)>> {
        let mut tx = self.begin().await?;
        let mut added = Vec::new();
        for new in new {
            let state = tx.admit(&new.occurrence.job, new.admission).await?;
            if tx.add_occurrence(new, state, now).await? {
                if new.admission == Admission::Kill {
                    tx.stop_before(&new.occurrence).await?;
                }
                added.push((new.occurrence.clone(), state));
            }
        }
        tx.commit().await?;
        Ok(added)
    }

    /// Asks for a job to be run now by a service, beside its schedule; false when it waits or runs
    /// already.
    pub async fn ask_for_job(&self, job: &str, now: &str) -> Result<bool> {
        let mut tx = self.begin().await?;
        if tx.admit(job, Admission::Skip).await? != OccurrenceState::Queued {
            return Ok(false);
        }
        let occurrence = Occurrence { job: job.to_owned(), scheduled_at: now.to_owned() };
        let made = tx
            .run(
                "ask for a job",
                "insert into huiliu_occurrence (job, scheduled_at, state, queued_at)
                 values (?, ?, 'queued', ?) on conflict do nothing",
                args![&occurrence.job, now, now],
            )
            .await?;
        tx.commit().await?;
        Ok(made == 1)
    }

    /// The occurrences that wait or run, oldest first.
    pub async fn open_occurrences(&self) -> Result<Vec<OccurrenceRow>> {
        let sql =
            select_occurrences!("where state in ('queued', 'running') order by scheduled_at, job");
        let rows = self.all("list occurrences", sql, args![]).await?;
        rows.iter().map(occurrence_row).collect()
    }

    /// The latest occurrences, newest first.
    pub async fn occurrences(&self, job: Option<&str>, limit: u32) -> Result<Vec<OccurrenceRow>> {
        let sql = select_occurrences!(
            "where ?1 is null or job = ?1 order by scheduled_at desc, job limit ?2"
        );
        let rows = self.all("list occurrences", sql, args![job, limit]).await?;
        rows.iter().map(occurrence_row).collect()
    }

    /// The last occurrence of a job that ran to an end.
    pub async fn last_result(&self, job: &str) -> Result<Option<OccurrenceRow>> {
        let sql = select_occurrences!(
            "where job = ? and state in ('done', 'failed', 'killed', 'cancelled')
               and attempts > 0 order by scheduled_at desc limit 1"
        );
        let row = self.one("read the last result of a job", sql, args![job]).await?;
        row.as_ref().map(occurrence_row).transpose()
    }

    /// How many occurrences there are of each job and state.
    pub async fn occurrence_counts(&self) -> Result<Vec<(String, String, i64)>> {
        let sql = "select job, state, count(*) from huiliu_occurrence group by job, state
                   order by job, state";
        let rows = self.all("count occurrences", sql, args![]).await?;
        rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).collect()
    }

    /// Forgets occurrences that were due before `time` and have ended.
    pub async fn forget_occurrences(&self, time: &str) -> Result<u64> {
        let sql = "delete from huiliu_occurrence
                   where scheduled_at < ? and state not in ('queued', 'running')";
        self.run("forget occurrences", sql, args![time]).await
    }
}

impl Tx {
    async fn admit(&mut self, job: &str, admission: Admission) -> Result<OccurrenceState> {
        let row = self
            .one(
                "read what waits of a job",
                "select (select count(*) from huiliu_occurrence
                         where job = ?1 and state = 'queued'),
                        (select count(*) from huiliu_occurrence
                         where job = ?1 and state = 'running'),
                        (select count(*) from huiliu_job
                         where job = ?1 and parked_at is not null)",
                args![job],
            )
            .await?;
        let Some(row) = row else { return Ok(OccurrenceState::Queued) };
        let (queued, running, parked): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let waits = match admission {
            Admission::Skip => queued + running == 0,
            Admission::QueueOne | Admission::Kill => queued == 0,
            Admission::QueueAll => true,
        };
        Ok(match (parked, waits) {
            (0, true) => OccurrenceState::Queued,
            (0, false) => OccurrenceState::Skipped,
            _ => OccurrenceState::Parked,
        })
    }

    async fn add_occurrence(
        &mut self,
        new: &NewOccurrence,
        state: OccurrenceState,
        now: &str,
    ) -> Result<bool> {
        let Occurrence { job, scheduled_at } = &new.occurrence;
        let made = self
            .run(
                "make an occurrence",
                "insert into huiliu_occurrence (job, scheduled_at, state, missed, queued_at)
                 values (?, ?, ?, ?, ?) on conflict do nothing",
                args![job, scheduled_at, state.as_str(), new.missed, now],
            )
            .await?;
        self.run(
            "note the time of a job",
            "insert into huiliu_job (job, last_at) values (?, ?)
             on conflict (job) do update set last_at = excluded.last_at
             where huiliu_job.last_at is null or huiliu_job.last_at < excluded.last_at",
            args![job, scheduled_at],
        )
        .await?;
        Ok(made == 1)
    }

    async fn stop_before(&mut self, occurrence: &Occurrence) -> Result<()> {
        self.run(
            "stop a job",
            "update huiliu_occurrence set stop = true
             where job = ? and state = 'running' and scheduled_at < ?",
            args![&occurrence.job, &occurrence.scheduled_at],
        )
        .await?;
        Ok(())
    }
}

fn occurrence_row(row: &Row) -> Result<OccurrenceRow> {
    Ok(OccurrenceRow {
        occurrence: Occurrence { job: row.get(0)?, scheduled_at: row.get(1)? },
        state: row.get(2)?,
        attempts: row.get(3)?,
        missed: row.get(4)?,
        stop: row.get(5)?,
        not_before: row.get(6)?,
        run_id: row.get(7)?,
        exit_code: row.get(8)?,
        code: row.get(9)?,
        message: row.get(10)?,
        holder: row.get(11)?,
        queued_at: row.get(12)?,
        started_at: row.get(13)?,
        finished_at: row.get(14)?,
    })
}
