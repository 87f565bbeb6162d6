//! Occurrences of jobs: each one runs once.

use huiliu_sdk::Result;

use crate::args;
use crate::database::Store;

/// One time at which a job is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occurrence {
    /// The job.
    pub job: String,
    /// When it is due, UTC, RFC 3339.
    pub scheduled_at: String,
}

impl Store {
    /// Claims an occurrence; false when another process already did.
    pub async fn claim_occurrence(&self, occurrence: &Occurrence) -> Result<bool> {
        let claimed = self
            .run(
                "claim an occurrence",
                "insert into huiliu_occurrence (job, scheduled_at) values (?, ?)
                 on conflict do nothing",
                args![&occurrence.job, &occurrence.scheduled_at],
            )
            .await?;
        Ok(claimed == 1)
    }

    /// The latest occurrence of a job that was claimed.
    pub async fn last_occurrence(&self, job: &str) -> Result<Option<String>> {
        let row = self
            .one(
                "read occurrences",
                "select max(scheduled_at) from huiliu_occurrence where job = ?",
                args![job],
            )
            .await?;
        row.map_or(Ok(None), |row| row.get(0))
    }
}
