//! What guards compare a read with.

use huiliu_sdk::Result;

use crate::args;
use crate::database::Store;

impl Store {
    /// How many rows the last good read of a stream had, if there was one.
    pub async fn last_row_count(&self, node: &str) -> Result<Option<u64>> {
        let row = self
            .one(
                "read the last balance of a stream",
                "select written + unchanged from huiliu_step
                 where node = ? and kind = 'stream' and state in ('succeeded', 'unchanged')
                 order by run_id desc limit 1",
                args![node],
            )
            .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(u64::try_from(row.get::<i64>(0)?).unwrap_or(0)))
    }
}
