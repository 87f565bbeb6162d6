//! Looking keys up in a table: what the lake holds of a few rows now.

use std::collections::HashMap;

use arrow::array::{Array, TimestampMicrosecondArray};
use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;
use huiliu_sdk::{Error, ErrorKind, Result};

use crate::file::{read_columns, read_deletes};
use crate::hash::RowHasher;
use crate::{Lake, LakeTable, storage_schema};

/// The row of a key that the lake holds. Not `Debug`, because it may hold personal data.
#[derive(Clone)]
pub struct StoredRow {
    /// When it was received, in microseconds since 1970 UTC.
    pub received_at: i64,
    /// The columns that were asked for, of this row alone.
    pub values: RecordBatch,
}

impl Lake {
    /// For each row of `batch` the live row of `table` with the same key, with its `columns`.
    /// Reads the key columns of all files of the table.
    pub async fn stored_rows(
        &self,
        table: &LakeTable,
        key: &[String],
        columns: &[String],
        batch: &RecordBatch,
    ) -> Result<Vec<Option<StoredRow>>> {
        let files = self.data_files(table).await?;
        let schema = key_schema(table, key)?;
        let mut found: Vec<Option<StoredRow>> = vec![None; batch.num_rows()];
        let hasher = RowHasher::of_key(key);
        let data = crate::storage_batch(batch, &storage_schema(&schema))?;
        let mut wanted: HashMap<u128, Vec<usize>> = HashMap::with_capacity(batch.num_rows());
        for (row, hash) in hasher.hash(&data)?.into_iter().enumerate() {
            wanted.entry(hash).or_default().push(row);
        }
        let mut names: Vec<&str> = key.iter().map(String::as_str).collect();
        names.push("_received_at");
        for column in columns {
            // A column that came later is not in older files, whose rows have no value there.
            if !names.contains(&column.as_str()) {
                names.push(column);
            }
        }
        for file in files {
            let mut deleted = match &file.deletes {
                Some((_, path)) => read_deletes(path)?.into_iter().peekable(),
                None => Vec::new().into_iter().peekable(),
            };
            let mut position = 0_u64;
            for read in read_columns(&file.path, &names)? {
                let read = read?;
                let hashes =
                    hasher.hash(&crate::storage_batch(&read, &storage_schema(&schema))?)?;
                for (row, hash) in hashes.into_iter().enumerate() {
                    let here = position;
                    position += 1;
                    if deleted.next_if(|deleted| deleted.position == here).is_some() {
                        continue;
                    }
                    for index in wanted.get(&hash).into_iter().flatten() {
                        found[*index] = Some(StoredRow {
                            received_at: received_at(&read, row)?,
                            values: read.slice(row, 1),
                        });
                    }
                }
            }
        }
        Ok(found)
    }
}

/// The key columns as the table has them.
fn key_schema(table: &LakeTable, key: &[String]) -> Result<Schema> {
    let mut fields = Vec::with_capacity(key.len());
    for name in key {
        let field = table.schema.field_with_name(name).map_err(|_| {
            let message = format!("{} has no column {name}", table.name);
            Error::new(ErrorKind::Schema, "E-COLUMN-MISSING", message)
        })?;
        fields.push(field.clone());
    }
    Ok(Schema::new(fields))
}

fn received_at(batch: &RecordBatch, row: usize) -> Result<i64> {
    let column = batch
        .column_by_name("_received_at")
        .and_then(|column| column.as_any().downcast_ref::<TimestampMicrosecondArray>())
        .ok_or_else(|| Error::internal("a lake file does not say when its rows were received"))?;
    Ok(if column.is_valid(row) { column.value(row) } else { i64::MIN })
}
