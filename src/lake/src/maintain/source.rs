//! Reading data files whole, on a thread of their own, and delete files with their runs.

use std::fs::File;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use arrow::array::{Array, Int64Array};
use arrow::record_batch::RecordBatch;
use huiliu_sdk::{Error, Result};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use crate::{io_error, parquet_error};

/// Rows read at once.
const BATCH_ROWS: usize = 8192;
/// Batches that may wait for being written; they bound the memory.
const WAITING: usize = 4;

/// A deleted row of a data file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DeadRow {
    pub(super) position: u64,
    /// The run that superseded it. None when history does not want the row: it has it already,
    /// or the row is no version of anything.
    pub(super) run: Option<i64>,
}

pub(super) fn open(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>> {
    let file = File::open(path).map_err(|e| io_error("open the lake file", path, e))?;
    ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| parquet_error("open", path, e))
}

/// Some columns of a file, those it has; all of them without a list.
pub(super) fn read(path: &Path, columns: Option<&[&str]>) -> Result<ParquetRecordBatchReader> {
    let builder = open(path)?.with_batch_size(BATCH_ROWS);
    let builder = match columns {
        None => builder,
        Some(names) => {
            let mask = ProjectionMask::columns(builder.parquet_schema(), names.iter().copied());
            builder.with_projection(mask)
        }
    };
    builder.build().map_err(|e| parquet_error("read", path, e))
}

/// The deleted rows that a delete file lists, by position.
pub(super) fn read_dead(path: &Path) -> Result<Vec<DeadRow>> {
    let mut dead = Vec::new();
    for batch in read(path, Some(&["pos", "_run"]))? {
        let batch = batch?;
        let numbers = |name: &str| {
            batch.column_by_name(name).and_then(|c| c.as_any().downcast_ref::<Int64Array>())
        };
        let positions =
            numbers("pos").ok_or_else(|| Error::internal("a delete file has no positions"))?;
        let runs = numbers("_run");
        for row in 0..batch.num_rows() {
            dead.push(DeadRow {
                position: u64::try_from(positions.value(row)).unwrap_or(0),
                run: runs
                    .filter(|runs| runs.is_valid(row))
                    .map(|runs| runs.value(row))
                    .filter(|run| *run >= 0),
            });
        }
    }
    dead.sort_unstable_by_key(|row| row.position);
    dead.dedup_by_key(|row| row.position);
    Ok(dead)
}

/// Reads files one after the other on a thread of `scope`; the batches of each come with its
/// place in `paths`. The thread ends when the receiver is dropped.
pub(super) fn read_ahead<'scope, 'env>(
    scope: &'scope std::thread::Scope<'scope, 'env>,
    paths: Vec<&'env Path>,
) -> Receiver<Result<(usize, RecordBatch)>> {
    let (sender, receiver) = sync_channel(WAITING);
    scope.spawn(move || send_all(&paths, &sender));
    receiver
}

fn send_all(paths: &[&Path], sender: &SyncSender<Result<(usize, RecordBatch)>>) {
    for (index, path) in paths.iter().enumerate() {
        let reader = match read(path, None) {
            Ok(reader) => reader,
            Err(error) => {
                drop(sender.send(Err(error)));
                return;
            }
        };
        for batch in reader {
            let batch = batch.map(|batch| (index, batch)).map_err(|error| {
                parquet_error("read", path, parquet::errors::ParquetError::from(error))
            });
            let failed = batch.is_err();
            if sender.send(batch).is_err() || failed {
                return;
            }
        }
    }
}
