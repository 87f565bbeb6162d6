//! Attempts at streams, counted before they begin, so that one that kills its process is found
//! out.

use huiliu_sdk::Result;

use crate::{Store, Tx, args};

impl Store {
    /// Notes that a stream is about to be read and says how often it began without an end, this
    /// time included.
    pub async fn begin_attempt(
        &self,
        system: &str,
        stream: &str,
        run: i64,
        now: &str,
    ) -> Result<i64> {
        let mut tx = self.begin().await?;
        let row = tx
            .one(
                "count an attempt",
                "insert into huiliu_attempt (system, stream, attempts, run_id, started_at)
                 values (?, ?, 1, ?, ?)
                 on conflict (system, stream) do update
                 set attempts = huiliu_attempt.attempts + 1, run_id = excluded.run_id,
                     started_at = excluded.started_at
                 returning attempts",
                args![system, stream, run, now],
            )
            .await?;
        tx.commit().await?;
        row.map_or(Ok(1), |row| row.get(0))
    }

    /// How often a stream began without an end.
    pub async fn attempts(&self, system: &str, stream: &str) -> Result<i64> {
        let row = self
            .one(
                "read attempts",
                "select attempts from huiliu_attempt where system = ? and stream = ?",
                args![system, stream],
            )
            .await?;
        row.map_or(Ok(0), |row| row.get(0))
    }

    /// Notes that the attempt came to an end, however it went.
    pub async fn end_attempt(&self, system: &str, stream: &str) -> Result<()> {
        let mut tx = self.begin().await?;
        tx.forget_attempts(system, stream).await?;
        tx.commit().await
    }
}

impl Tx {
    /// Forgets the attempts at a stream.
    pub async fn forget_attempts(&mut self, system: &str, stream: &str) -> Result<()> {
        self.run(
            "forget attempts",
            "delete from huiliu_attempt where system = ? and stream = ?",
            args![system, stream],
        )
        .await?;
        Ok(())
    }
}
