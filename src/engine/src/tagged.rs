//! Which columns of a table hold personal data, for those who show single records of it.

use huiliu_sdk::Result;

use crate::personal::Tags;
use crate::session::Engine;

impl Engine {
    /// The kinds of personal data in the columns of a table, as of the latest snapshot; of a table
    /// of which nothing is known, none.
    pub async fn personal_columns(&self, table: &str) -> Result<Tags> {
        let session = Box::pin(self.session(None)).await?;
        let personal = self.personal(&session).await;
        Ok(personal.tags(table).cloned().unwrap_or_default())
    }
}
