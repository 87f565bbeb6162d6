//! Writing and reading the lake's Parquet files.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion_ducklake::ColumnStat;
use datafusion_ducklake::stats_collect::{accumulate_nan_flags, compute_column_stats};
use datafusion_ducklake::table::{DELETE_FILE_PATH_FIELD_ID, DELETE_POS_FIELD_ID};
use huiliu_sdk::{Error, Result};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection, RowSelector,
};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use crate::parallel::Haste;
use crate::repeats::unrepeated;
use crate::row_groups::RowGroupWriter;
use crate::{LakeTable, io_error, parquet_error, planted, storage_batch};

/// Longest bound of a text or binary column. A document of many megabytes would be in the footer
/// otherwise.
pub(crate) const BOUND_BYTES: usize = 256;

/// A Parquet file that is complete on disk and in no snapshot yet.
#[derive(Debug, Clone)]
pub struct NewDataFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its size.
    pub size_bytes: i64,
    /// Size of its footer.
    pub footer_bytes: i64,
    /// Rows in it.
    pub record_count: i64,
    /// Bounds and null counts of its columns.
    pub statistics: Vec<ColumnStat>,
}

/// A delete file that is complete on disk and in no snapshot yet.
#[derive(Debug, Clone)]
pub struct NewDeleteFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its size.
    pub size_bytes: i64,
    /// Size of its footer.
    pub footer_bytes: i64,
    /// Positions in it.
    pub delete_count: i64,
}

/// A row of a data file that is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Deleted {
    /// Its position in the file.
    pub(crate) position: u64,
    /// The run that superseded it; [`NOT_KEPT`] when history does not want it.
    pub(crate) run: i64,
}

/// The run of deleted rows that are no superseded version of anything.
pub(crate) const NOT_KEPT: i64 = -1;

/// The column of a delete file that names the run. Readers of the format ignore it.
const DELETE_RUN: &str = "_run";

/// Its Parquet field id, in the range that the format reserves for such columns.
const DELETE_RUN_FIELD_ID: i32 = 2_147_483_000;

/// Brings what is written to disk while more is being written, so that the sync at the end has
/// little left to do.
#[derive(Default)]
struct Writeback {
    groups: usize,
    running: Option<std::thread::JoinHandle<std::io::Result<()>>>,
}

impl Writeback {
    /// Starts to write a row group back when one was added since.
    fn advance(&mut self, writer: &RowGroupWriter, path: &Path) -> Result<()> {
        let groups = writer.flushed();
        if groups == self.groups {
            return Ok(());
        }
        self.groups = groups;
        self.wait(path)?;
        if planted!("defect::no_fsync") {
            return Ok(());
        }
        let file = writer.inner().try_clone().map_err(|e| io_error("sync the file", path, e))?;
        self.running = Some(std::thread::spawn(move || file.sync_data()));
        Ok(())
    }

    /// An error of a write is told to one sync only, so none may be dropped.
    fn wait(&mut self, path: &Path) -> Result<()> {
        let Some(running) = self.running.take() else { return Ok(()) };
        running
            .join()
            .map_err(|_| Error::internal("syncing a file broke off"))?
            .map_err(|e| io_error("sync the file", path, e))
    }
}

/// Writes one data file of a table. Dropped before [`FileWriter::finish`], it removes the file.
pub struct FileWriter {
    path: PathBuf,
    /// Until there are rows, by which its columns are known.
    empty: Option<File>,
    writer: Option<RowGroupWriter>,
    writeback: Writeback,
    schema: SchemaRef,
    column_ids: Vec<i64>,
    nan_flags: Vec<Option<bool>>,
    rows: i64,
    haste: Haste,
}

impl FileWriter {
    /// Starts a file in the table's folder.
    pub fn create(table: &LakeTable) -> Result<Self> {
        std::fs::create_dir_all(&table.folder)
            .map_err(|e| io_error("make the folder", &table.folder, e))?;
        let path = table.folder.join(format!("{}.parquet", uuid::Uuid::new_v4()));
        let file = File::create_new(&path).map_err(|e| io_error("make the file", &path, e))?;
        Ok(Self {
            path,
            empty: Some(file),
            writer: None,
            writeback: Writeback::default(),
            schema: Arc::clone(&table.schema),
            column_ids: table.columns.iter().map(|column| column.column_id).collect(),
            nan_flags: vec![None; table.columns.len()],
            rows: 0,
            haste: Haste::default(),
        })
    }

    /// The same file, written on one thread as long as `haste` says that nobody waits for it.
    pub(crate) fn with_haste(mut self, haste: &Haste) -> Self {
        self.haste = haste.clone();
        self
    }

    /// Adds rows; columns are matched by name.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let batch = storage_batch(batch, &self.schema)?;
        let columns = self.column_ids.len();
        accumulate_nan_flags(&mut self.nan_flags, &batch, columns);
        if batch.num_rows() > 0 {
            self.begin(&batch)?;
        }
        if let Some(writer) = &mut self.writer {
            writer.write(&batch).map_err(|e| parquet_error("write", &self.path, e))?;
            self.writeback.advance(writer, &self.path)?;
        }
        self.rows += i64::try_from(batch.num_rows()).unwrap_or(i64::MAX);
        Ok(())
    }

    /// Chooses by the first rows how columns are encoded.
    fn begin(&mut self, rows: &RecordBatch) -> Result<()> {
        if let Some(file) = self.empty.take() {
            let plain = unrepeated(rows)?;
            let haste = self.haste.clone();
            self.writer = Some(new_writer(file, &self.path, &self.schema, &plain, haste)?);
        }
        Ok(())
    }

    /// Rows written so far.
    pub fn rows(&self) -> i64 {
        self.rows
    }

    /// Bytes written so far, as far as they left memory.
    pub(crate) fn bytes(&self) -> u64 {
        self.writer.as_ref().map_or(0, |writer| writer.bytes_written() as u64)
    }

    /// Ends the file and syncs it to disk.
    pub fn finish(mut self) -> Result<NewDataFile> {
        self.begin(&RecordBatch::new_empty(Arc::clone(&self.schema)))?;
        let writer = self.writer.take().ok_or_else(|| Error::internal("the file is closed"))?;
        self.writeback.wait(&self.path)?;
        let (size_bytes, footer_bytes) = close(writer, &self.path)?;
        let opened = open(&self.path)?;
        let statistics = compute_column_stats(
            opened.schema(),
            opened.metadata(),
            &self.column_ids,
            self.rows,
            &self.nan_flags,
        );
        Ok(NewDataFile {
            path: std::mem::take(&mut self.path),
            size_bytes,
            footer_bytes,
            record_count: self.rows,
            statistics,
        })
    }
}

impl Drop for FileWriter {
    fn drop(&mut self) {
        if self.writer.take().is_some() || self.empty.take().is_some() {
            // Nothing refers to the file; a leftover costs space and no correctness.
            drop(std::fs::remove_file(&self.path));
        }
    }
}

/// Writes the file that lists the deleted positions of one data file.
pub(crate) struct DeleteFileWriter;

impl DeleteFileWriter {
    /// Writes the deleted rows, which must be sorted, of the data file at `data_file`.
    pub(crate) fn write(
        table: &LakeTable,
        data_file: &Path,
        rows: &[Deleted],
    ) -> Result<NewDeleteFile> {
        let with_id = |name: &str, data_type: DataType, id: i32| {
            Field::new(name, data_type, false)
                .with_metadata([("PARQUET:field_id".to_owned(), id.to_string())].into())
        };
        let schema = Arc::new(Schema::new(vec![
            with_id("file_path", DataType::Utf8, DELETE_FILE_PATH_FIELD_ID),
            with_id("pos", DataType::Int64, DELETE_POS_FIELD_ID),
            with_id(DELETE_RUN, DataType::Int64, DELETE_RUN_FIELD_ID),
        ]));
        let count = rows.len();
        let positions = rows.iter().map(|row| i64::try_from(row.position).unwrap_or(i64::MAX));
        let data_file = data_file.display().to_string();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(std::iter::repeat_n(data_file, count))),
            Arc::new(Int64Array::from_iter_values(positions)),
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.run))),
        ];
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns)?;
        let path = table.folder.join(format!("{}-delete.parquet", uuid::Uuid::new_v4()));
        let file = File::create_new(&path).map_err(|e| io_error("make the file", &path, e))?;
        let plain = ["pos".to_owned()];
        let mut writer = new_writer(file, &path, &schema, &plain, Haste::default())?;
        writer.write(&batch).map_err(|e| parquet_error("write", &path, e))?;
        let (size_bytes, footer_bytes) = close(writer, &path)?;
        let delete_count = i64::try_from(count).unwrap_or(i64::MAX);
        Ok(NewDeleteFile { path, size_bytes, footer_bytes, delete_count })
    }
}

/// Starts writing into `file`; the columns `plain` get no dictionary.
fn new_writer(
    file: File,
    path: &Path,
    schema: &SchemaRef,
    plain: &[String],
    haste: Haste,
) -> Result<RowGroupWriter> {
    let level = ZstdLevel::try_new(1).map_err(|e| parquet_error("write", path, e))?;
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        // Bounds in the catalog must be exact, because readers answer min and max from them, so
        // those that may have been shortened are left out there.
        .set_statistics_truncate_length(Some(BOUND_BYTES))
        .set_created_by(concat!("huiliu ", env!("CARGO_PKG_VERSION")).to_owned())
        // Hashes do not compress.
        .set_column_compression("_row_hash".into(), Compression::UNCOMPRESSED);
    for column in plain {
        let column = ColumnPath::from(column.clone());
        properties = properties.set_column_dictionary_enabled(column, false);
    }
    RowGroupWriter::new(file, schema, properties.build(), haste)
        .map_err(|e| parquet_error("write", path, e))
}

/// Ends a file, syncs it, and returns its size and that of its footer.
fn close(writer: RowGroupWriter, path: &Path) -> Result<(i64, i64)> {
    let file = writer.into_inner().map_err(|e| parquet_error("write", path, e))?;
    if !planted!("defect::no_fsync") {
        file.sync_all().map_err(|e| io_error("sync the file", path, e))?;
    }
    let size = file.metadata().map_err(|e| io_error("read the size of", path, e))?.len();
    let footer = footer_length(path, size)?;
    let size = i64::try_from(size).map_err(|_| Error::internal("a file is too large"))?;
    Ok((size, i64::from(footer)))
}

/// The footer's length stands in the four bytes before the closing magic.
fn footer_length(path: &Path, size: u64) -> Result<u32> {
    use std::io::{Read, Seek, SeekFrom};
    let mut file = File::open(path).map_err(|e| io_error("open", path, e))?;
    let mut tail = [0_u8; 4];
    file.seek(SeekFrom::Start(size.saturating_sub(8)))
        .and_then(|_| file.read_exact(&mut tail))
        .map_err(|e| io_error("read", path, e))?;
    Ok(u32::from_le_bytes(tail))
}

/// Folders from that of a table to the data folder: table, schema, lake, data.
const LEVELS: usize = 4;

/// Syncs the folder of a table, so that the names of new files in it survive a power loss, and
/// the folders above it up to the data folder, which may be as new.
pub(crate) fn sync_with_parents(folder: &Path) -> Result<()> {
    if planted!("defect::no_fsync") {
        return Ok(());
    }
    folder.ancestors().take(LEVELS).try_for_each(sync_folder)
}

fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder)
        .and_then(|opened| opened.sync_all())
        .map_err(|e| io_error("sync the folder", folder, e))
}

fn open(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>> {
    let file = File::open(path).map_err(|e| io_error("open the lake file", path, e))?;
    ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| parquet_error("open", path, e))
}

/// Reads some columns of a data file; a column the file does not have is left out.
pub(crate) fn read_columns(path: &Path, columns: &[&str]) -> Result<ParquetRecordBatchReader> {
    let builder = open(path)?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
    builder
        .with_projection(mask)
        .with_batch_size(8192)
        .build()
        .map_err(|e| parquet_error("read", path, e))
}

/// Reads the rows at `positions`, which must be sorted, with all columns of the file.
pub(crate) fn read_rows(path: &Path, positions: &[u64]) -> Result<ParquetRecordBatchReader> {
    read_at(open(path)?, path, positions)
}

/// Reads some columns of the rows at `positions`, which must be sorted; a column the file does
/// not have is left out.
pub(crate) fn read_columns_at(
    path: &Path,
    columns: &[&str],
    positions: &[u64],
) -> Result<ParquetRecordBatchReader> {
    let builder = open(path)?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
    read_at(builder.with_projection(mask), path, positions)
}

fn read_at(
    builder: ParquetRecordBatchReaderBuilder<File>,
    path: &Path,
    positions: &[u64],
) -> Result<ParquetRecordBatchReader> {
    let mut selectors = Vec::with_capacity(positions.len() * 2);
    let mut next = 0_u64;
    for position in positions {
        let gap = usize::try_from(position.saturating_sub(next)).unwrap_or(usize::MAX);
        if gap > 0 {
            selectors.push(RowSelector::skip(gap));
        }
        selectors.push(RowSelector::select(1));
        next = position + 1;
    }
    builder
        .with_row_selection(RowSelection::from(selectors))
        .with_batch_size(8192)
        .build()
        .map_err(|e| parquet_error("read", path, e))
}

/// The rows listed in a delete file.
pub(crate) fn read_deletes(path: &Path) -> Result<Vec<Deleted>> {
    let mut deleted = Vec::new();
    for batch in read_columns(path, &["pos", DELETE_RUN])? {
        let batch = batch?;
        let runs = numbers(&batch, DELETE_RUN);
        for (row, position) in positions(&batch)?.enumerate() {
            let run = runs.map_or(NOT_KEPT, |runs| runs.value(row));
            deleted.push(Deleted { position, run });
        }
    }
    Ok(deleted)
}

/// The positions listed in a delete file.
pub(crate) fn read_positions(path: &Path) -> Result<Vec<u64>> {
    let mut deleted = Vec::new();
    for batch in read_columns(path, &["pos"])? {
        deleted.extend(positions(&batch?)?);
    }
    Ok(deleted)
}

fn positions(batch: &RecordBatch) -> Result<impl Iterator<Item = u64>> {
    let found = numbers(batch, "pos");
    let found = found.ok_or_else(|| Error::internal("a delete file has no positions"))?;
    Ok(found.values().iter().map(|position| u64::try_from(*position).unwrap_or(0)))
}

fn numbers<'b>(batch: &'b RecordBatch, column: &str) -> Option<&'b Int64Array> {
    batch.column_by_name(column)?.as_primitive_opt::<Int64Type>()
}
