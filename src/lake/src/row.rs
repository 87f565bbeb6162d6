//! Rows as the lake stores them: storage types and the columns the hub adds.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::buffer::{Buffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use huiliu_sdk::{Error, ErrorKind, Result, type_word};

/// The columns the hub adds to each row of `current` and `history`.
pub const META_COLUMNS: [&str; 6] =
    ["_run", "_seq", "_op", "_received_at", "_source_pos", "_row_hash"];

/// What the hub notes on every row of one commit.
#[derive(Debug, Clone, Copy)]
pub struct RowStamp {
    /// The run.
    pub run: i64,
    /// Number of the commit in its stream.
    pub seq: i64,
    /// Microseconds since 1970 UTC.
    pub received_at: i64,
}

/// The type under which the lake stores `data_type`.
fn storage_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8View | DataType::LargeUtf8 | DataType::Null => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
        DataType::Dictionary(_, value) => storage_type(value),
        DataType::Date64 => DataType::Date32,
        DataType::Timestamp(TimeUnit::Nanosecond, zone) => {
            DataType::Timestamp(TimeUnit::Nanosecond, zone.as_ref().map(|_| "UTC".into()))
        }
        DataType::Timestamp(_, zone) => {
            DataType::Timestamp(TimeUnit::Microsecond, zone.as_ref().map(|_| "UTC".into()))
        }
        other => other.clone(),
    }
}

/// The schema under which the lake stores rows of `schema`.
pub fn storage_schema(schema: &Schema) -> SchemaRef {
    let fields: Vec<Field> = schema
        .fields()
        .iter()
        .map(|field| Field::new(field.name(), storage_type(field.data_type()), true))
        .collect();
    Arc::new(Schema::new(fields))
}

/// `batch` with its columns in the types and order of `schema`; a column that is not there
/// becomes null.
pub fn storage_batch(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let mut columns = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let column = match batch.column_by_name(field.name()) {
            None => arrow::array::new_null_array(field.data_type(), batch.num_rows()),
            Some(column) if column.data_type() == field.data_type() => Arc::clone(column),
            Some(column) => {
                let options = arrow::compute::CastOptions { safe: false, ..Default::default() };
                arrow::compute::cast_with_options(column, field.data_type(), &options).map_err(
                    |e| {
                        Error::new(
                            ErrorKind::Schema,
                            "E-TYPE",
                            format!(
                                "column {} is {} and the lake holds {}",
                                field.name(),
                                type_word(column.data_type()),
                                type_word(field.data_type())
                            ),
                        )
                        .hint("declare the column's type in the system file")
                        .cause(e)
                    },
                )?
            }
        };
        columns.push(column);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}

/// The fields of [`META_COLUMNS`].
pub(crate) fn meta_fields() -> Vec<Field> {
    vec![
        Field::new("_run", DataType::Int64, true),
        Field::new("_seq", DataType::Int64, true),
        Field::new("_op", DataType::Utf8, true),
        Field::new(
            "_received_at",
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            true,
        ),
        Field::new("_source_pos", DataType::Utf8, true),
        Field::new("_row_hash", DataType::Binary, true),
    ]
}

/// The arrays of [`META_COLUMNS`] for rows written now.
pub(crate) fn meta_arrays(stamp: RowStamp, positions: ArrayRef, hashes: &[u128]) -> Vec<ArrayRef> {
    let rows = hashes.len();
    let bytes: Vec<u8> = hashes.iter().flat_map(|hash| hash.to_be_bytes()).collect();
    let ends = OffsetBuffer::from_repeated_length(size_of::<u128>(), rows);
    let hashes = BinaryArray::new(ends, Buffer::from_vec(bytes), None);
    vec![
        Arc::new(Int64Array::from_value(stamp.run, rows)),
        Arc::new(Int64Array::from_value(stamp.seq, rows)),
        Arc::new(StringArray::from_iter_values(std::iter::repeat_n("U", rows))),
        Arc::new(
            TimestampMicrosecondArray::from_value(stamp.received_at, rows).with_timezone("UTC"),
        ),
        positions,
        Arc::new(hashes),
    ]
}

/// The row hashes stored in a file's `_row_hash` column.
pub(crate) fn stored_hashes(column: &ArrayRef) -> Result<Vec<u128>> {
    let column = cast(column, &DataType::Binary)?;
    let hashes = column
        .as_any()
        .downcast_ref::<BinaryArray>()
        .ok_or_else(|| Error::internal("the stored row hashes are not binary"))?;
    Ok(hashes
        .iter()
        .map(|bytes| {
            bytes.and_then(|b| <[u8; 16]>::try_from(b).ok()).map_or(0, u128::from_be_bytes)
        })
        .collect())
}
