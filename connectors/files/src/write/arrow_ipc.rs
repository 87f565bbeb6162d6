//! Arrow IPC files.

use std::fs::File;
use std::io::{BufWriter, Write};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow_ipc::writer::FileWriter;
use huiliu_sdk::Result;

use super::{Rows, failed};

pub(super) struct Ipc {
    writer: FileWriter<BufWriter<File>>,
}

impl Ipc {
    pub(super) fn new(schema: &SchemaRef, file: BufWriter<File>) -> Result<Self> {
        Ok(Self { writer: FileWriter::try_new(file, schema)? })
    }
}

impl Rows for Ipc {
    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        Ok(self.writer.write(batch)?)
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.writer.finish()?;
        self.writer.into_inner()?.flush().map_err(failed)
    }
}
