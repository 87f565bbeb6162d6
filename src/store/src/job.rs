//! Occurrences of jobs: each one runs once.

use huiliu_sdk::Result;

use crate::database::{Store, database_error};

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
        let mut tx = self.begin().await?;
        let done = sqlx::query(
            "insert into huiliu_occurrence (job, scheduled_at) values (?, ?)
             on conflict do nothing",
        )
        .bind(&occurrence.job)
        .bind(&occurrence.scheduled_at)
        .execute(tx.connection())
        .await
        .map_err(|e| database_error("claim an occurrence", e))?;
        tx.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// The latest occurrence of a job that was claimed.
    pub async fn last_occurrence(&self, job: &str) -> Result<Option<String>> {
        sqlx::query_scalar("select max(scheduled_at) from huiliu_occurrence where job = ?")
            .bind(job)
            .fetch_one(self.reader())
            .await
            .map_err(|e| database_error("read occurrences", e))
    }
}
