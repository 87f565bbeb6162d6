//! Attempts at an occurrence: begun under the job's lease and counted before the start, ended under
//! the same lease.

use huiliu_sdk::Result;

use super::{Occurrence, OccurrenceState};
use crate::database::{Dialect, Store, Tx};
use crate::lease::Lease;
use crate::{args, presence};

/// What came of the wish to begin an occurrence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begin {
    /// It is ours.
    Begun {
        /// The lease on the job.
        lease: Lease,
        /// The number of this attempt, from 1.
        attempt: i64,
    },
    /// Somebody else runs the job.
    Busy,
    /// It does not wait any more.
    Gone,
    /// The job is parked, from now on.
    Parked {
        /// How often in a row it began without an end.
        deaths: i64,
    },
}

/// How an attempt ended.
#[derive(Debug, Clone, Default)]
pub struct End {
    /// The run it made.
    pub run_id: Option<i64>,
    /// The exit code of that run.
    pub exit_code: Option<u8>,
    /// What went wrong: code.
    pub code: Option<String>,
    /// What went wrong.
    pub message: Option<String>,
    /// When it is tried again, UTC.
    pub again_at: Option<String>,
    /// Whether it did not even begin, so that the attempt does not count.
    pub did_not_begin: bool,
}

fn lease_name(job: &str) -> String {
    format!("job {job}")
}

impl Store {
    /// Begins an occurrence, unless somebody else runs its job or the job is parked. One that ends
    /// its process `park_after` times in a row is parked; 0 is never.
    pub async fn begin_occurrence(
        &self,
        occurrence: &Occurrence,
        holder: &str,
        hold_ms: i64,
        park_after: u32,
        now: &str,
    ) -> Result<Begin> {
        let Occurrence { job, scheduled_at } = occurrence;
        let mut tx = self.begin().await?;
        let found = tx
            .one(
                "read an occurrence",
                "select o.state, coalesce(j.deaths, 0), j.parked_at
                 from huiliu_occurrence o left join huiliu_job j on j.job = o.job
                 where o.job = ? and o.scheduled_at = ?",
                args![job, scheduled_at],
            )
            .await?;
        let Some(row) = found else { return Ok(Begin::Gone) };
        let state: String = row.get(0)?;
        if !matches!(state.as_str(), "queued" | "running") {
            return Ok(Begin::Gone);
        }
        let (deaths, parked_at): (i64, Option<String>) = (row.get(1)?, row.get(2)?);
        let taken = tx.take_job_lease(self.dialect(), job, holder, hold_ms).await?;
        let Some(lease) = taken else { return Ok(Begin::Busy) };
        if parked_at.is_some() || (park_after > 0 && deaths >= i64::from(park_after)) {
            tx.park(job, now).await?;
            tx.free_lease(&lease).await?;
            tx.commit().await?;
            return Ok(Begin::Parked { deaths });
        }
        tx.run(
            "count an attempt",
            "insert into huiliu_job (job, deaths) values (?, 1)
             on conflict (job) do update set deaths = huiliu_job.deaths + 1",
            args![job],
        )
        .await?;
        let row = tx
            .one(
                "begin an occurrence",
                "update huiliu_occurrence
                 set state = 'running', attempts = attempts + 1, not_before = null, epoch = ?,
                     holder = ?, started_at = ?, finished_at = null, code = null, message = null
                 where job = ? and scheduled_at = ? returning attempts",
                args![lease.epoch, holder, now, job, scheduled_at],
            )
            .await?;
        let attempt = row.map_or(Ok(1), |row| row.get(0))?;
        tx.commit().await?;
        Ok(Begin::Begun { lease, attempt })
    }

    /// Ends an occurrence as `state` whose process has died in the middle of it; false when somebody
    /// runs it or it does not run any more.
    pub async fn end_dead_occurrence(
        &self,
        occurrence: &Occurrence,
        holder: &str,
        hold_ms: i64,
        state: OccurrenceState,
        now: &str,
    ) -> Result<bool> {
        let Occurrence { job, scheduled_at } = occurrence;
        let mut tx = self.begin().await?;
        let taken = tx.take_job_lease(self.dialect(), job, holder, hold_ms).await?;
        let Some(lease) = taken else { return Ok(false) };
        let ended = tx
            .run(
                "end an occurrence",
                "update huiliu_occurrence set state = ?, finished_at = ?, stop = false
                 where job = ? and scheduled_at = ? and state = 'running'",
                args![state.as_str(), now, job, scheduled_at],
            )
            .await?;
        tx.free_lease(&lease).await?;
        tx.commit().await?;
        Ok(ended == 1)
    }

    /// Stores how an attempt ended and gives the job's lease back; `E-LEASE-LOST` when somebody
    /// else has taken it over since.
    pub async fn end_occurrence(
        &self,
        occurrence: &Occurrence,
        lease: &Lease,
        state: OccurrenceState,
        end: &End,
        now: &str,
    ) -> Result<()> {
        let Occurrence { job, scheduled_at } = occurrence;
        let mut tx = self.begin().await?;
        tx.check_lease(lease).await?;
        tx.run(
            "end an occurrence",
            "update huiliu_occurrence
             set state = ?, run_id = ?, exit_code = ?, code = ?, message = ?, not_before = ?,
                 finished_at = ?, attempts = attempts - ?, stop = false
             where job = ? and scheduled_at = ?",
            args![
                state.as_str(),
                end.run_id,
                end.exit_code,
                &end.code,
                &end.message,
                &end.again_at,
                now,
                i64::from(end.did_not_begin),
                job,
                scheduled_at,
            ],
        )
        .await?;
        let forget = if end.did_not_begin {
            "update huiliu_job set deaths = deaths - 1 where job = ? and deaths > 0"
        } else {
            "update huiliu_job set deaths = 0 where job = ?"
        };
        tx.run("end an occurrence", forget, args![job]).await?;
        tx.free_lease(lease).await?;
        tx.commit().await
    }

    /// Ends the leases on jobs of processes that are gone. On SQLite only for the one service of a
    /// data folder; on Postgres the leases of other hubs that are connected stay.
    pub async fn end_job_leases(&self) -> Result<()> {
        let sql = match self.dialect() {
            Dialect::Sqlite => {
                "update huiliu_lease set holder = null, expires_at_ms = 0
                 where name like 'job %'"
            }
            Dialect::Postgres => concat!(
                "update huiliu_lease set holder = null, expires_at_ms = 0
                 where name like 'job %' and holder is not null and ",
                presence::gone!("huiliu_lease"),
            ),
        };
        self.run("end leases", sql, args![]).await?;
        Ok(())
    }
}

impl Tx {
    /// Takes the lease on a job, also from a hub that is gone; none when somebody runs the job.
    async fn take_job_lease(
        &mut self,
        dialect: Dialect,
        job: &str,
        holder: &str,
        hold_ms: i64,
    ) -> Result<Option<Lease>> {
        let name = lease_name(job);
        if dialect == Dialect::Postgres {
            let sql = concat!(
                "update huiliu_lease set holder = null, expires_at_ms = 0
                 where name = ?
                   and instance <> cast(current_setting('huiliu.instance') as bigint) and ",
                presence::gone!("huiliu_lease"),
            );
            self.run("end a lease", sql, args![&name]).await?;
        }
        match self.take_lease(&name, holder, hold_ms).await {
            Ok(lease) => Ok(Some(lease)),
            Err(error) if error.code() == "E-LEASE-BUSY" => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Lets a parked job run again; false when it was not parked.
    pub async fn unpark_job(&mut self, job: &str) -> Result<bool> {
        let sql = "update huiliu_job set deaths = 0, parked_at = null
                   where job = ? and (parked_at is not null or deaths > 0)";
        Ok(self.run("unpark a job", sql, args![job]).await? == 1)
    }

    async fn park(&mut self, job: &str, now: &str) -> Result<()> {
        self.run(
            "park a job",
            "update huiliu_job set parked_at = coalesce(parked_at, ?) where job = ?",
            args![now, job],
        )
        .await?;
        self.run(
            "park a job",
            "update huiliu_occurrence
             set state = 'parked', finished_at = ?, code = 'E-JOB-PARKED'
             where job = ? and state in ('queued', 'running')",
            args![now, job],
        )
        .await?;
        Ok(())
    }
}
