//! A Parquet file written row group by row group, its columns encoded side by side.

use std::fs::File;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use parquet::arrow::arrow_writer::{
    ArrowColumnWriter, ArrowRowGroupWriterFactory, ArrowWriter, compute_leaves,
};
use parquet::errors::Result;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;

use crate::parallel::{Haste, in_haste};

/// Rows of one row group; DuckDB's own vector-friendly size.
const ROW_GROUP_ROWS: usize = 122_880;
/// Bytes of one row group, which is in memory until it is complete.
const ROW_GROUP_BYTES: usize = 64 << 20;
/// Fewer rows are encoded before another thread would have begun.
const WORTH_A_THREAD: usize = 2048;

/// Writes batches of one schema to a file.
pub(crate) struct RowGroupWriter {
    file: SerializedFileWriter<File>,
    factory: ArrowRowGroupWriterFactory,
    schema: SchemaRef,
    /// The writers of each column, lists and structs having several; none between row groups.
    columns: Vec<Mutex<Vec<ArrowColumnWriter>>>,
    /// Rows of the row group at hand.
    rows: usize,
    /// Whether somebody waits for what is written.
    haste: Haste,
}

impl RowGroupWriter {
    pub(crate) fn new(
        file: File,
        schema: &SchemaRef,
        properties: WriterProperties,
        haste: Haste,
    ) -> Result<Self> {
        let writer = ArrowWriter::try_new(file, Arc::clone(schema), Some(properties))?;
        let (file, factory) = writer.into_serialized_writer()?;
        let schema = Arc::clone(schema);
        Ok(Self { file, factory, schema, columns: Vec::new(), rows: 0, haste })
    }

    /// Adds rows under the columns of the schema.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut start = 0;
        while start < batch.num_rows() {
            if self.columns.is_empty() {
                self.begin()?;
            }
            let rows = (ROW_GROUP_ROWS - self.rows).min(batch.num_rows() - start);
            self.encode(&batch.slice(start, rows))?;
            self.rows += rows;
            start += rows;
            if self.rows == ROW_GROUP_ROWS || self.bytes() >= ROW_GROUP_BYTES {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Bytes of the row group at hand.
    fn bytes(&self) -> usize {
        let of = |column: &Mutex<Vec<ArrowColumnWriter>>| {
            let writers = column.lock().unwrap_or_else(PoisonError::into_inner);
            writers.iter().map(ArrowColumnWriter::get_estimated_total_bytes).sum::<usize>()
        };
        self.columns.iter().map(of).sum()
    }

    /// Row groups that have left memory.
    pub(crate) fn flushed(&self) -> usize {
        self.file.flushed_row_groups().len()
    }

    /// Bytes that have left memory.
    pub(crate) fn bytes_written(&self) -> usize {
        self.file.bytes_written()
    }

    /// The file itself.
    pub(crate) fn inner(&self) -> &File {
        self.file.inner()
    }

    /// Ends the file and gives it back.
    pub(crate) fn into_inner(mut self) -> Result<File> {
        self.flush()?;
        self.file.into_inner()
    }

    fn begin(&mut self) -> Result<()> {
        let mut columns: Vec<Vec<ArrowColumnWriter>> = Vec::new();
        columns.resize_with(self.schema.fields().len(), Vec::new);
        let writers = self.factory.create_column_writers(self.flushed())?;
        for (leaf, writer) in writers.into_iter().enumerate() {
            let root = self.file.schema_descr().get_column_root_idx(leaf);
            columns[root].push(writer);
        }
        self.columns = columns.into_iter().map(Mutex::new).collect();
        self.rows = 0;
        Ok(())
    }

    fn encode(&self, batch: &RecordBatch) -> Result<()> {
        let encode = |column: usize| {
            let mut writers = self.columns[column].lock().unwrap_or_else(PoisonError::into_inner);
            let leaves = compute_leaves(self.schema.field(column), batch.column(column))?;
            for (writer, leaf) in writers.iter_mut().zip(&leaves) {
                writer.write(leaf)?;
            }
            Ok(())
        };
        if batch.num_rows() < WORTH_A_THREAD {
            return (0..self.columns.len()).try_for_each(encode);
        }
        in_haste(&self.haste, self.columns.len(), encode).map(drop)
    }

    fn flush(&mut self) -> Result<()> {
        if self.columns.is_empty() {
            return Ok(());
        }
        let columns = std::mem::take(&mut self.columns);
        let chunks = in_haste(&self.haste, columns.len(), |column| {
            let mut writers = columns[column].lock().unwrap_or_else(PoisonError::into_inner);
            writers.drain(..).map(ArrowColumnWriter::close).collect::<Result<Vec<_>>>()
        })?;
        let mut group = self.file.next_row_group()?;
        for chunk in chunks.into_iter().flatten() {
            chunk.append_to_row_group(&mut group)?;
        }
        group.close()?;
        Ok(())
    }
}
