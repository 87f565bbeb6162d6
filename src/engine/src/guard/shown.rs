//! Rows that were computed from a table as it is, shown as its viewer sees them.
//!
//! What a figure counts is told by predicates over the values themselves, so its rows are found
//! without masks and masked afterwards, by the same code as a guarded table.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use datafusion::datasource::MemTable;
use huiliu_sdk::Result;

use super::Viewer;
use super::table::GuardedTable;
use crate::failure::engine_error;
use crate::session::{Engine, Session};

impl Engine {
    /// `rows` of the table or view `name` as `viewer` sees them. They have all its columns, and come
    /// from a session within the viewer's limits.
    pub async fn shown(
        &self,
        session: &Session,
        name: &str,
        rows: Vec<RecordBatch>,
        viewer: &Viewer,
    ) -> Result<Vec<RecordBatch>> {
        const ACTION: &str = "show rows";
        let Some(first) = rows.first() else { return Ok(rows) };
        let mut open = self.without_views(Some(session.snapshot())).await?;
        let personal = Box::pin(self.personal_without_views(&mut open)).await?;
        let inner =
            MemTable::try_new(first.schema(), vec![rows]).map_err(|e| engine_error(ACTION, e))?;
        let guarded = GuardedTable::masked(name.to_owned(), Arc::new(inner), &personal, viewer);
        let frame = self.context()?.read_table(Arc::new(guarded));
        let frame = frame.map_err(|e| engine_error(ACTION, e))?;
        frame.collect().await.map_err(|e| engine_error(ACTION, e))
    }
}
