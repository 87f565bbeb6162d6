//! Parquet: a batch at a time, so that memory does not follow the size of row groups.

use std::fs::File;
use std::ops::ControlFlow;

use huiliu_sdk::{Error, Result};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;

use super::{Flow, Receiver, columnar};
use crate::config::Stream;
use crate::content::Content;
use crate::fault::{broken, damaged, over_limit};

/// Rows decoded at once. Batches of the hub are cut from them by their bytes.
const ROWS: usize = 1024;

/// What pages of one column may unpack to in a row group.
const MAX_CHUNK: i64 = 2 << 30;

/// Reads all row groups.
pub(super) fn read(content: &Content<'_>, stream: &Stream, receiver: &mut dyn Receiver) -> Flow {
    let name = content.name();
    let file = content.file()?;
    let size = file.metadata().map_err(|cause| broken(name, cause))?.len();
    let metadata =
        ArrowReaderMetadata::load(&file, Default::default()).map_err(|cause| unfit(name, cause))?;
    check(&metadata, size, name)?;
    let columns = columnar::announce(metadata.schema(), stream, name, receiver)?;
    let builder = ParquetRecordBatchReaderBuilder::<File>::new_with_metadata(file, metadata);
    let mask = ProjectionMask::roots(builder.parquet_schema(), columns.iter().copied());
    let reader = builder.with_projection(mask).with_batch_size(ROWS).build();
    // What is left are the wanted columns in the file's order.
    let left: Vec<usize> = (0..columns.len()).collect();
    let mut position = 1;
    for batch in reader.map_err(|cause| unfit(name, cause))? {
        let batch = batch.map_err(|_| damaged(name, "holds a page that cannot be read"))?;
        if columnar::give(&batch, &left, position, receiver)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        position += batch.num_rows() as u64;
    }
    Ok(ControlFlow::Continue(()))
}

/// Compares what the footer says with the file.
fn check(metadata: &ArrowReaderMetadata, size: u64, name: &str) -> Result<()> {
    let lies = || damaged(name, "has a footer that does not fit its content");
    for group in metadata.metadata().row_groups() {
        if group.num_rows() < 0 {
            return Err(lies());
        }
        for chunk in group.columns() {
            let start = chunk.dictionary_page_offset().unwrap_or(chunk.data_page_offset());
            let start = start.min(chunk.data_page_offset());
            let (packed, unpacked) = (chunk.compressed_size(), chunk.uncompressed_size());
            let end = start.checked_add(packed).and_then(|end| u64::try_from(end).ok());
            if start < 0 || packed < 0 || unpacked < 0 || end.is_none_or(|end| end > size) {
                return Err(lies());
            }
            if unpacked > MAX_CHUNK {
                let most = MAX_CHUNK >> 30;
                return Err(over_limit(format!(
                    "file {name} has a row group with more than {most} GiB in one column"
                )));
            }
        }
    }
    Ok(())
}

fn unfit(name: &str, cause: ParquetError) -> Error {
    match cause {
        ParquetError::NYI(what) => damaged(name, format!("cannot be read: {what}")),
        _ => damaged(name, "is no whole Parquet file"),
    }
}
