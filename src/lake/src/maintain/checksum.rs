//! Counts and sums of row hashes, which do not depend on the order of rows.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, new_null_array};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use arrow::row::{RowConverter, SortField};
use huiliu_sdk::Result;
use xxhash_rust::xxh3::xxh3_128;

use super::source::read;
use crate::row::stored_hashes;

const HASH_COLUMN: &str = "_row_hash";

/// How many rows, and the sum of their hashes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Checksum {
    pub(super) rows: u64,
    pub(super) sum: u128,
}

/// Hashes rows of one table: by the hash they carry, or over all columns where they carry none.
pub(super) struct Hasher {
    schema: SchemaRef,
    converter: Option<RowConverter>,
}

impl Hasher {
    pub(super) fn new(schema: &SchemaRef) -> Result<Self> {
        let converter = if schema.field_with_name(HASH_COLUMN).is_ok() {
            None
        } else {
            let fields = schema.fields().iter();
            let fields = fields.map(|field| SortField::new(field.data_type().clone())).collect();
            Some(RowConverter::new(fields)?)
        };
        Ok(Self { schema: Arc::clone(schema), converter })
    }

    /// The hash of each row.
    pub(super) fn hashes(&self, batch: &RecordBatch) -> Result<Vec<u128>> {
        let column = |name: &str, data_type| {
            let found = batch.column_by_name(name).cloned();
            found.unwrap_or_else(|| new_null_array(data_type, batch.num_rows()))
        };
        let Some(converter) = &self.converter else {
            let field = self.schema.field_with_name(HASH_COLUMN)?;
            return stored_hashes(&column(HASH_COLUMN, field.data_type()));
        };
        let fields = self.schema.fields().iter();
        let columns: Vec<ArrayRef> =
            fields.map(|field| column(field.name(), field.data_type())).collect();
        let rows = converter.convert_columns(&columns)?;
        Ok(rows.iter().map(|row| xxh3_128(row.as_ref())).collect())
    }

    /// Adds the rows of a file, read from the disk.
    pub(super) fn add_file(&self, checksum: &mut Checksum, path: &Path) -> Result<()> {
        let only = [HASH_COLUMN];
        let columns = self.converter.is_none().then_some(only.as_slice());
        for batch in read(path, columns)? {
            for hash in self.hashes(&batch?)? {
                checksum.add(hash);
            }
        }
        Ok(())
    }
}

impl Checksum {
    pub(super) fn add(&mut self, hash: u128) {
        self.rows += 1;
        self.sum = self.sum.wrapping_add(hash);
    }
}
