//! Rows that were computed from a table as it is, shown as its viewer sees them.
//!
//! What a figure counts is told by predicates over the values themselves, so its rows are found
//! without masks and masked afterwards, by the same code as a guarded table.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use huiliu_sdk::Result;

use super::Viewer;
use super::table::GuardedTable;
use crate::failure::engine_error;
use crate::session::{Engine, Session};

impl Engine {
    /// `rows` of the table or view `name`, as `viewer` sees them. They have all its columns.
    pub async fn shown(
        &self,
        session: &Session,
        name: &str,
        rows: Vec<RecordBatch>,
        viewer: &Viewer,
    ) -> Result<Vec<RecordBatch>> {
        const ACTION: &str = "show rows";
        let Some(first) = rows.first() else { return Ok(rows) };
        let personal = self.personal(session).await?;
        let inner =
            MemTable::try_new(first.schema(), vec![rows]).map_err(|e| engine_error(ACTION, e))?;
        let filters = if personal.is_for_all(name) { &[][..] } else { &viewer.rows[..] };
        let inner: Arc<dyn TableProvider> = Arc::new(inner);
        let known = |column: &str| inner.schema().field_with_name(column).is_ok();
        if filters.iter().any(|filter| !known(&filter.column)) {
            return Ok(Vec::new());
        }
        let guarded = GuardedTable::new(name.to_owned(), inner, &personal, viewer, filters);
        let frame = self.context()?.read_table(Arc::new(guarded));
        let frame = frame.map_err(|e| engine_error(ACTION, e))?;
        frame.collect().await.map_err(|e| engine_error(ACTION, e))
    }
}
