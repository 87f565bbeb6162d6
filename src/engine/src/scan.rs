//! Reading one whole table at one snapshot, batch by batch.

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::prelude::DataFrame;
use futures::StreamExt;
use huiliu_lake::META_COLUMNS;
use huiliu_sdk::{Error, ErrorKind, Result};

use crate::failure::engine_error;
use crate::session::Engine;

/// How often a table is looked at again while it is being written.
const LOOKS: u32 = 5;

/// The rows of one table at one snapshot. No more than a few batches are in memory.
pub struct TableScan {
    stream: SendableRecordBatchStream,
    table: String,
    snapshot: i64,
    version: i64,
}

impl Engine {
    /// Starts reading `table` (`schema.name`). Columns that the hub adds to received rows are left
    /// out.
    pub async fn scan(&self, table: &str) -> Result<TableScan> {
        let (schema, name) = table.split_once('.').unwrap_or(("standard", table));
        for _ in 0..LOOKS {
            let version = self.table_version(table).await?;
            let session = self.session(None).await?;
            // Version and snapshot must belong together, or a version would be sent twice.
            if self.table_version(table).await? != version {
                continue;
            }
            let quote = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
            let sql = format!("select * from {}.{}", quote(schema), quote(name));
            let mut frame = session.query(&sql).await?;
            if schema == "current" {
                frame = frame
                    .drop_columns(&META_COLUMNS)
                    .map_err(|e| engine_error(&format!("reading {table}"), e))?;
            }
            return TableScan::start(frame, table, session.snapshot(), version).await;
        }
        Err(Error::new(
            ErrorKind::Conflict,
            "E-LAKE-CONFLICT",
            format!("{table} is being written while it is read"),
        )
        .hint("run it again"))
    }

    /// The snapshot in which the content of `table` last changed.
    pub async fn table_version(&self, table: &str) -> Result<i64> {
        self.lake().table_versions().await?.get(table).copied().ok_or_else(|| {
            Error::new(ErrorKind::Config, "E-PUSH", format!("the lake has no table {table} yet"))
                .hint("`huiliu run` reads or builds it; check `from` in the system file")
        })
    }
}

impl TableScan {
    /// Starts to read the rows of `frame` as those of `table`.
    pub(crate) async fn start(
        frame: DataFrame,
        table: &str,
        snapshot: i64,
        version: i64,
    ) -> Result<Self> {
        let stream = frame
            .execute_stream()
            .await
            .map_err(|e| engine_error(&format!("reading {table}"), e))?;
        Ok(Self { stream, table: table.to_owned(), snapshot, version })
    }

    /// The columns of the batches.
    pub fn schema(&self) -> SchemaRef {
        self.stream.schema()
    }

    /// The snapshot that is read.
    pub fn snapshot(&self) -> i64 {
        self.snapshot
    }

    /// The snapshot in which the table had last changed.
    pub fn version(&self) -> i64 {
        self.version
    }

    /// The next rows, or `None` after the last.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>> {
        match self.stream.next().await {
            None => Ok(None),
            Some(Ok(batch)) => Ok(Some(batch)),
            Some(Err(error)) => Err(engine_error(&format!("reading {}", self.table), error)),
        }
    }
}
