//! What guards compare a read with.

use huiliu_sdk::Result;

use crate::database::{Store, database_error};

impl Store {
    /// How many rows the last good read of a stream had, if there was one.
    pub async fn last_row_count(&self, node: &str) -> Result<Option<u64>> {
        let rows: Option<i64> = sqlx::query_scalar(
            "select written + unchanged from huiliu_step
             where node = ? and kind = 'stream' and state in ('succeeded', 'unchanged')
             order by run_id desc limit 1",
        )
        .bind(node)
        .fetch_optional(self.reader())
        .await
        .map_err(|e| database_error("read the last balance of a stream", e))?;
        Ok(rows.map(|rows| u64::try_from(rows).unwrap_or(0)))
    }
}
