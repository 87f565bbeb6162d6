//! `history` as it is read: rows that maintenance has moved there, and superseded rows that are
//! still in the files of `current`.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::DataFusionError;
use datafusion::datasource::TableType;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::TaskContext;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream};
use huiliu_sdk::{Error, Result};

use crate::file::{Deleted, NOT_KEPT, read_deletes, read_rows};
use crate::storage_batch;

/// Batches that may wait for the reader.
const BATCHES_AHEAD: usize = 2;

/// A data file of `current` and its delete file.
#[derive(Debug, Clone)]
pub(crate) struct Superseded {
    pub(crate) data_file_id: i64,
    pub(crate) data: PathBuf,
    pub(crate) deletes: PathBuf,
}

/// A table of `history`: what is stored there and what is still to be moved there.
#[derive(Debug)]
pub(crate) struct HistoryTable {
    stored: Arc<dyn TableProvider>,
    rest: StreamingTable,
}

impl HistoryTable {
    /// `stored` and the superseded rows of `files`.
    pub(crate) fn new(
        stored: Arc<dyn TableProvider>,
        files: Vec<Superseded>,
    ) -> DataFusionResult<Self> {
        let schema = stored.schema();
        let rows: Vec<Arc<dyn PartitionStream>> = if files.is_empty() {
            Vec::new()
        } else {
            vec![Arc::new(SupersededRows { schema: Arc::clone(&schema), files })]
        };
        let rest = StreamingTable::try_new(schema, rows)?;
        Ok(Self { stored, rest })
    }
}

#[async_trait]
impl TableProvider for HistoryTable {
    fn schema(&self) -> SchemaRef {
        self.stored.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        // Filters and limits are applied above, to both parts alike.
        let stored = self.stored.scan(state, projection, &[], None).await?;
        let rest = self.rest.scan(state, projection, &[], None).await?;
        UnionExec::try_new(vec![stored, rest])
    }
}

/// Reads the superseded rows of some files.
#[derive(Debug)]
struct SupersededRows {
    schema: SchemaRef,
    files: Vec<Superseded>,
}

impl PartitionStream for SupersededRows {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (schema, files) = (Arc::clone(&self.schema), self.files.clone());
        let mut builder = RecordBatchReceiverStream::builder(Arc::clone(&schema), BATCHES_AHEAD);
        let sender = builder.tx();
        builder.spawn_blocking(move || {
            for file in &files {
                let sent =
                    superseded_rows(file, &schema, |batch| sender.blocking_send(Ok(batch)).is_ok());
                if !sent.map_err(|e| DataFusionError::External(Box::new(e)))? {
                    // Nobody reads any more.
                    return Ok(());
                }
            }
            Ok(())
        });
        builder.build()
    }
}

/// Gives the superseded rows of a file to `take`, which says whether it wants more.
pub(crate) fn superseded_rows(
    file: &Superseded,
    schema: &SchemaRef,
    mut take: impl FnMut(RecordBatch) -> bool,
) -> Result<bool> {
    let mut kept: Vec<Deleted> = read_deletes(&file.deletes)?;
    kept.retain(|deleted| deleted.run != NOT_KEPT);
    if kept.is_empty() {
        return Ok(true);
    }
    let positions: Vec<u64> = kept.iter().map(|deleted| deleted.position).collect();
    let mut runs = kept.iter().map(|deleted| deleted.run);
    for batch in read_rows(&file.data, &positions)? {
        let batch = storage_batch(&batch?, schema)?;
        let superseded: ArrayRef =
            Arc::new(Int64Array::from_iter_values(runs.by_ref().take(batch.num_rows())));
        let mut columns = batch.columns().to_vec();
        let place = schema.index_of("_superseded_run").map_err(Error::from)?;
        columns[place] = superseded;
        if !take(RecordBatch::try_new(Arc::clone(schema), columns)?) {
            return Ok(false);
        }
    }
    Ok(true)
}
