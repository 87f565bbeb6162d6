//! Parquet, packed by Snappy, which every reader knows.

use std::fs::File;
use std::io::{BufWriter, Write};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use huiliu_sdk::{Error, Result};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::{Rows, failed};

/// Bytes of a row group, which is held in memory.
const GROUP_BYTES: usize = 64 << 20;

pub(super) struct Parquet {
    writer: ArrowWriter<BufWriter<File>>,
}

impl Parquet {
    pub(super) fn new(schema: &SchemaRef, file: BufWriter<File>) -> Result<Self> {
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let writer = ArrowWriter::try_new(file, SchemaRef::clone(schema), Some(properties))
            .map_err(broken)?;
        Ok(Self { writer })
    }
}

fn broken(cause: ParquetError) -> Error {
    Error::internal("a Parquet file could not be written").cause(cause)
}

impl Rows for Parquet {
    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        self.writer.write(batch).map_err(broken)?;
        if self.writer.in_progress_size() > GROUP_BYTES {
            self.writer.flush().map_err(broken)?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.writer.into_inner().map_err(broken)?.flush().map_err(failed)
    }
}
