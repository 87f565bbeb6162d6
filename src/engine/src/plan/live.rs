//! Tables as their sources have them at this moment: read once into files beside the lake, and put
//! in the place of the lake's tables.

use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use arrow_ipc::writer::FileWriter;
use datafusion::common::ScalarValue;
use datafusion::datasource::file_format::arrow::ArrowFormat;
use datafusion::logical_expr::Expr;
use datafusion::prelude::{DataFrame, cast, ident, lit};
use huiliu_lake::Merge;
use huiliu_sdk::{Error, ErrorKind, Result, WriteMode};

use super::{PLANNED, Rehearsal};
use crate::failure::engine_error;
use crate::hash::add_column;
use crate::scratch::listing;

/// Files of one table, so that it is read on two threads.
const FILES: usize = 2;
/// Rows of a block of a file. A reader copies a block at a time, into memory that it has used before
/// as long as blocks are small.
const BLOCK_ROWS: usize = 2048;
/// The order in which rows came.
const ORDER: &str = "_seq";

/// Takes in the rows of one table.
pub struct LiveWriter {
    table: String,
    mode: WriteMode,
    key: Vec<String>,
    data: SchemaRef,
    /// Of the files: texts are bytes there, so that nothing but what is wanted of them is proved to
    /// be text again.
    schema: SchemaRef,
    files: Vec<(PathBuf, FileWriter<BufWriter<File>>)>,
    /// The key of each row. Sorted at the end, they tell which repeat, in half the memory and time
    /// of a set.
    keys: Vec<u128>,
    batches: usize,
    rows: i64,
}

/// The rows of one table, as its source had them.
pub struct LiveRows {
    table: String,
    mode: WriteMode,
    key: Vec<String>,
    data: SchemaRef,
    schema: SchemaRef,
    files: Vec<PathBuf>,
    /// How many.
    pub rows: u64,
    /// How many have the key of an earlier one, which they replace.
    pub repeated: u64,
}

impl Rehearsal<'_> {
    /// Begins to take in the rows of `current.table`, which have the columns `data`. With a `key`,
    /// the last row of each key stays.
    pub fn live_writer(
        &self,
        table: &str,
        data: &SchemaRef,
        mode: WriteMode,
        key: &[String],
    ) -> Result<LiveWriter> {
        let kept = |field: &Arc<Field>| {
            let kind = as_bytes(field.data_type());
            kind.map_or(Arc::clone(field), |kind| {
                Arc::new(field.as_ref().clone().with_data_type(kind))
            })
        };
        let mut fields: Vec<Arc<Field>> = data.fields().iter().map(kept).collect();
        fields.push(Arc::new(Field::new(ORDER, DataType::Int64, true)));
        let schema = Arc::new(Schema::new(fields));
        let mut files = Vec::with_capacity(FILES);
        for number in 0..FILES {
            let path = self.scratch.file(&format!("live-{table}-{number}.arrow"));
            let file = File::create(&path).map_err(unwritten)?;
            let writer = FileWriter::try_new(BufWriter::new(file), &schema).map_err(failed)?;
            files.push((path, writer));
        }
        Ok(LiveWriter {
            table: table.to_owned(),
            mode,
            key: key.to_vec(),
            data: Arc::clone(data),
            schema,
            files,
            keys: Vec::new(),
            batches: 0,
            rows: 0,
        })
    }

    /// Puts the rows in the place of the lake's table.
    pub fn put_live(&mut self, live: LiveRows) -> Result<()> {
        let name = format!("current.{}", live.table);
        let table = listing(&live.schema, &live.files, Arc::new(ArrowFormat), ".arrow")?;
        let failed = |e| engine_error("a table that was read for a plan", e);
        let mut frame = self.after.context().read_table(table).map_err(failed)?;
        frame = with_texts(frame, &live)?;
        if live.repeated > 0 {
            let key: Vec<_> = live.key.iter().map(ident).collect();
            let all: Vec<_> =
                live.schema.fields().iter().map(|field| ident(field.name())).collect();
            let mut order: Vec<_> = key.iter().map(|key| key.clone().sort(true, true)).collect();
            order.push(ident(ORDER).sort(false, true));
            frame = frame.distinct_on(key, all, Some(order)).map_err(failed)?;
        }
        let frame = with_hub_columns(frame, &live)?;
        self.after.put_table(&name, frame.into_view())?;
        self.versions.insert(name, PLANNED);
        Ok(())
    }

    /// Plans the views over what was put in the place of the lake's tables.
    pub async fn live_is_there(&mut self) {
        self.engine.add_views(&mut self.after).await;
    }
}

/// The type in which a column of texts is kept.
fn as_bytes(kind: &DataType) -> Option<DataType> {
    match kind {
        DataType::Utf8 => Some(DataType::Binary),
        DataType::LargeUtf8 => Some(DataType::LargeBinary),
        DataType::Utf8View => Some(DataType::BinaryView),
        _ => None,
    }
}

/// The columns in the types in which they came.
fn with_texts(frame: DataFrame, live: &LiveRows) -> Result<DataFrame> {
    let column = |field: &Arc<Field>| match as_bytes(field.data_type()) {
        Some(_) => cast(ident(field.name()), field.data_type().clone()).alias(field.name()),
        None => ident(field.name()),
    };
    let mut columns: Vec<Expr> = live.data.fields().iter().map(column).collect();
    columns.push(ident(ORDER));
    frame.select(columns).map_err(|e| engine_error("a table that was read for a plan", e))
}

/// The columns that the hub adds to a table's rows; nothing is known of them before a run.
fn with_hub_columns(frame: DataFrame, live: &LiveRows) -> Result<DataFrame> {
    let failed = |e| engine_error("a table that was read for a plan", e);
    let mut columns = Vec::new();
    for field in Merge::table_schemas(&live.data, live.mode).0.fields() {
        let name = field.name();
        let is_ours = live.data.field_with_name(name).is_err() && name != ORDER;
        columns.push(if is_ours {
            lit(ScalarValue::try_from(field.data_type()).map_err(failed)?).alias(name)
        } else {
            ident(name)
        });
    }
    frame.select(columns).map_err(failed)
}

fn unwritten(error: std::io::Error) -> Error {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    let message = "a file for a plan could not be written";
    if matches!(error.kind(), StorageFull | QuotaExceeded) {
        let hint = "free some space, or plan with fewer streams; a plan keeps the rows it reads";
        return Error::new(ErrorKind::Unreachable, "E-DISK-FULL", message).hint(hint).cause(error);
    }
    Error::new(ErrorKind::Permission, "E-DATA", message)
        .hint("check the rights of the data folder and the disk that holds it")
        .cause(error)
}

/// An error of writing, which reaches us wrapped.
fn failed(error: ArrowError) -> Error {
    match error {
        ArrowError::IoError(_, error) => unwritten(error),
        other => other.into(),
    }
}

impl LiveWriter {
    /// Takes in rows, which have the columns of the table.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        if !self.key.is_empty() {
            let mut keys = vec![0_u128; batch.num_rows()];
            for (name, seed) in self.key.iter().zip(1..) {
                let column = batch.column_by_name(name).ok_or_else(|| {
                    let message = format!("the source has no column {name}, which is in the key");
                    Error::new(ErrorKind::Schema, "E-COLUMN-MISSING", message)
                        .hint("check `key` in the system file against `huiliu discover`")
                })?;
                add_column(&mut keys, column, seed)?;
            }
            self.keys.extend(keys);
        }
        let rows = i64::try_from(batch.num_rows()).unwrap_or(i64::MAX);
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
        for column in batch.columns() {
            columns.push(match as_bytes(column.data_type()) {
                Some(kind) => arrow::compute::cast(column, &kind)?,
                None => Arc::clone(column),
            });
        }
        columns.push(Arc::new(Int64Array::from_iter_values(self.rows..self.rows + rows)));
        self.rows += rows;
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        let place = self.batches % self.files.len();
        self.batches += 1;
        for from in (0..batch.num_rows()).step_by(BLOCK_ROWS) {
            let block = batch.slice(from, BLOCK_ROWS.min(batch.num_rows() - from));
            self.files[place].1.write(&block).map_err(failed)?;
        }
        Ok(())
    }

    /// Ends the files.
    pub fn finish(mut self) -> Result<LiveRows> {
        self.keys.sort_unstable();
        let repeated = self.keys.windows(2).filter(|pair| pair[0] == pair[1]).count() as u64;
        let mut files = Vec::with_capacity(self.files.len());
        for (path, mut writer) in self.files {
            writer.finish().map_err(failed)?;
            files.push(path);
        }
        Ok(LiveRows {
            table: self.table,
            mode: self.mode,
            key: self.key,
            data: self.data,
            schema: self.schema,
            files,
            rows: u64::try_from(self.rows).unwrap_or(0),
            repeated,
        })
    }
}
