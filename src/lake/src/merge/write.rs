//! Rows with the hub's columns, on their way to the stage or to history.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, Int64Array, TimestampMicrosecondArray, UInt64Array, new_null_array,
};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use huiliu_sdk::{Result, WriteMode};

use super::Merge;
use super::chunk::{Chunk, mode_fields};
use crate::FileWriter;
use crate::parallel::in_haste;
use crate::row::{meta_arrays, meta_fields};

impl Merge {
    /// The chosen rows with the hub's columns.
    pub(super) fn stamped(&self, chunk: &Chunk<'_>, rows: &[usize]) -> Result<RecordBatch> {
        let as_it_is = rows.iter().copied().eq(0..chunk.data.num_rows());
        let taken = if as_it_is {
            chunk.data.clone()
        } else {
            let indices = UInt64Array::from_iter_values(rows.iter().map(|row| *row as u64));
            let columns = in_haste(&self.stage.haste, chunk.data.num_columns(), |column| {
                take(chunk.data.column(column), &indices, None)
            })?;
            RecordBatch::try_new(chunk.data.schema(), columns)?
        };
        let positions: ArrayRef = Arc::new(chunk.positions.text(rows.iter().copied())?);
        let hashes: Vec<u128> = rows.iter().map(|row| chunk.hashes[*row]).collect();
        let mut fields: Vec<Arc<Field>> = taken.schema().fields().iter().cloned().collect();
        let mut columns: Vec<ArrayRef> = taken.columns().to_vec();
        fields.extend(mode_fields(self.plan.mode).into_iter().map(Arc::new));
        columns.extend(self.mode_arrays(rows.len()));
        fields.extend(meta_fields().into_iter().map(Arc::new));
        columns.extend(meta_arrays(self.stamp, positions, &hashes));
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)?)
    }

    /// The columns a write mode adds, for rows that are new now.
    fn mode_arrays(&self, rows: usize) -> Vec<ArrayRef> {
        let now = || {
            let now = TimestampMicrosecondArray::from_value(self.stamp.received_at, rows);
            Arc::new(now.with_timezone("UTC")) as ArrayRef
        };
        match self.plan.mode {
            WriteMode::Snapshot => {
                let day = self.plan.taken_on.unwrap_or_default();
                vec![Arc::new(Date32Array::from_value(day, rows))]
            }
            WriteMode::Scd2 => {
                let open = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
                vec![now(), new_null_array(&open, rows)]
            }
            WriteMode::Append | WriteMode::Upsert | WriteMode::Replace => Vec::new(),
        }
    }

    pub(super) fn append(&mut self, chunk: &Chunk<'_>, rows: &[usize]) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let stamped = self.stamped(chunk, rows)?;
        let hashes: Vec<u128> = rows.iter().map(|row| chunk.hashes[*row]).collect();
        let keys: Option<Vec<u128>> =
            (!self.plan.key.is_empty()).then(|| rows.iter().map(|row| chunk.keys[*row]).collect());
        let versions = chunk
            .versions
            .as_ref()
            .map(|versions| rows.iter().map(|row| versions[*row].clone()).collect());
        self.stage.write(&stamped, &hashes, keys.as_deref(), versions)?;
        self.balance.written += rows.len() as u64;
        Ok(())
    }

    pub(super) fn write_older(&mut self, chunk: &Chunk<'_>, mut rows: Vec<usize>) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        rows.sort_unstable();
        self.write_history(&self.stamped(chunk, &rows)?)
    }

    pub(super) fn write_history(&mut self, rows: &RecordBatch) -> Result<()> {
        let run: ArrayRef = Arc::new(Int64Array::from_value(self.stamp.run, rows.num_rows()));
        let mut fields: Vec<Arc<Field>> = rows.schema().fields().iter().cloned().collect();
        let mut columns = rows.columns().to_vec();
        fields.push(Arc::new(Field::new("_superseded_run", run.data_type().clone(), true)));
        columns.push(run);
        let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?;
        let writer = match &mut self.history_writer {
            Some(writer) => writer,
            None => self.history_writer.insert(FileWriter::create(&self.history)?),
        };
        writer.write(&rows)
    }
}
