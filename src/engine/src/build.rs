//! Building a model's table: run its SELECT, write the rows, say what to commit.

use std::collections::{HashMap, HashSet};

use arrow::array::{Array, BooleanArray};
use arrow::compute::{filter_record_batch, interleave};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use arrow::row::{RowConverter, SortField};
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use huiliu_core::model::Model;
use huiliu_lake::{Commit, FileWriter, TableChange, storage_batch, storage_schema};
use huiliu_sdk::{Error, ErrorKind, Result};
use xxhash_rust::xxh3::xxh3_128;

use crate::failure::engine_error;
use crate::session::{Engine, Session};

/// Rows of one file of a model's table.
pub(crate) const FILE_ROWS: i64 = 1_000_000;

/// A model's new rows, written and not committed.
#[derive(Debug)]
pub struct BuiltModel {
    /// What to commit.
    pub commit: Commit,
    /// Hash over everything the rows were computed from.
    pub fingerprint: String,
    /// Rows.
    pub row_count: i64,
    /// The rows themselves, when they were asked for.
    pub rows: Vec<RecordBatch>,
}

impl Engine {
    /// Builds the model's table from the latest snapshot, unless nothing it is computed from
    /// has changed since `last` (the fingerprint of its last build). With `keep_rows`, the rows
    /// come back too.
    pub async fn build(
        &self,
        model: &Model,
        last: Option<&str>,
        keep_rows: bool,
    ) -> Result<Option<BuiltModel>> {
        let versions = self.lake().table_versions().await?;
        let fingerprint = self.pipelines().origin(&model.name, &versions, self.files()).to_string();
        if last == Some(fingerprint.as_str()) {
            return Ok(None);
        }
        let session = self.session(None).await?;
        let mut selected = Selected::of(&session, model).await?;
        let (schema_name, table_name) =
            model.name.split_once('.').unwrap_or(("standard", &model.name));
        let mut tx = self.lake().store().begin().await?;
        let table =
            self.lake().ensure_table(&mut tx, schema_name, table_name, &selected.schema).await?;
        tx.commit().await?;
        let mut change = TableChange::new(table.clone());
        change.replace = true;
        let mut writer: Option<FileWriter> = None;
        let mut rows = Vec::new();
        let mut row_count = 0;
        while let Some(batch) = selected.next().await? {
            let mut open = match writer.take() {
                Some(open) => open,
                None => FileWriter::create(&table)?,
            };
            open.write(&batch)?;
            row_count += i64::try_from(batch.num_rows()).unwrap_or(i64::MAX);
            if open.rows() >= FILE_ROWS {
                change.added.push((open.finish()?, None));
            } else {
                writer = Some(open);
            }
            if keep_rows {
                rows.push(batch);
            }
        }
        if let Some(open) = writer {
            change.added.push((open.finish()?, None));
        }
        let commit = Commit {
            changes: vec![change],
            author: "huiliu".into(),
            message: format!("build {}", model.name),
        };
        Ok(Some(BuiltModel { commit, fingerprint, row_count, rows }))
    }
}

/// The rows of a model's SELECT as the lake stores them, their key checked.
pub(crate) struct Selected {
    /// The columns.
    pub(crate) schema: SchemaRef,
    stream: SendableRecordBatchStream,
    /// The rows that the table has, of which those stay whose keys do not come again.
    kept: Option<SendableRecordBatchStream>,
    /// Of those whose keys do come again, the values that stay.
    first: Option<FirstValues>,
    key: KeyCheck,
    action: String,
}

impl Selected {
    /// Starts to run the SELECT of `model` in `session`.
    pub(crate) async fn of(session: &Session, model: &Model) -> Result<Self> {
        let action = format!("model {}", model.name);
        let frame = session.query(&model.sql).await.map_err(|e| e.context(&action))?;
        let schema = storage_schema(frame.schema().as_arrow());
        let key = KeyCheck::new(&schema, &model.header.key, &model.name)?;
        let failed = |e| engine_error(&action, e);
        let stream = frame.execute_stream().await.map_err(failed)?;
        let (mut kept, mut first) = (None, None);
        if model.header.keep && session.context().table_exist(model.name.as_str()).unwrap_or(false)
        {
            let frame = session.query(&format!("select * from {}", model.name)).await?;
            if !model.header.first.is_empty() {
                let stream = frame.clone().execute_stream().await.map_err(failed)?;
                first = Some(FirstValues::read(stream, model, &schema, &key).await?);
            }
            kept = Some(frame.execute_stream().await.map_err(failed)?);
        }
        Ok(Self { schema, stream, kept, first, key, action })
    }

    /// The next rows, at least one; `None` after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<RecordBatch>> {
        while let Some(batch) = self.stream.next().await {
            let batch = batch.map_err(|e| engine_error(&self.action, e))?;
            if batch.num_rows() == 0 {
                continue;
            }
            let batch = storage_batch(&batch, &self.schema)?;
            self.key.check(&batch)?;
            return Ok(Some(match &self.first {
                Some(first) => first.put_into(&batch, &self.key)?,
                None => batch,
            }));
        }
        self.next_kept().await
    }

    async fn next_kept(&mut self) -> Result<Option<RecordBatch>> {
        let Some(kept) = &mut self.kept else { return Ok(None) };
        while let Some(batch) = kept.next().await {
            let batch = batch.map_err(|e| engine_error(&self.action, e))?;
            let batch = storage_batch(&batch, &self.schema)?;
            let stays = filter_record_batch(&batch, &self.key.unseen(&batch)?)?;
            if stays.num_rows() > 0 {
                return Ok(Some(stays));
            }
        }
        Ok(None)
    }
}

/// Checks that a model's key is unique and not null, while its rows pass by.
struct KeyCheck {
    columns: Vec<String>,
    converter: Option<RowConverter>,
    seen: HashSet<u128>,
    model: String,
}

impl KeyCheck {
    fn new(schema: &arrow::datatypes::Schema, key: &[String], model: &str) -> Result<Self> {
        let mut fields = Vec::with_capacity(key.len());
        for column in key {
            let field = schema.field_with_name(column).map_err(|_| {
                let message =
                    format!("model {model} has the key column {column} and no such column");
                Error::new(ErrorKind::Config, "E-MODEL-KEY", message)
                    .hint("correct `key` in the model's header")
            })?;
            fields.push(SortField::new(field.data_type().clone()));
        }
        let converter = if fields.is_empty() { None } else { Some(RowConverter::new(fields)?) };
        Ok(Self { columns: key.to_vec(), converter, seen: HashSet::new(), model: model.to_owned() })
    }

    fn check(&mut self, batch: &RecordBatch) -> Result<()> {
        let Some(converter) = &self.converter else { return Ok(()) };
        let mut columns = Vec::with_capacity(self.columns.len());
        for name in &self.columns {
            if let Some(column) = batch.column_by_name(name) {
                if column.null_count() > 0 {
                    return Err(self.broken(&format!("the key column {name} is null")));
                }
                columns.push(std::sync::Arc::clone(column));
            }
        }
        for row in converter.convert_columns(&columns)?.iter() {
            if !self.seen.insert(xxh3_128(row.as_ref())) {
                return Err(self.broken("two rows have the same key"));
            }
        }
        Ok(())
    }

    /// Which rows of the table have keys that did not come again.
    fn unseen(&self, batch: &RecordBatch) -> Result<BooleanArray> {
        if self.converter.is_none() {
            return Ok(BooleanArray::from(vec![false; batch.num_rows()]));
        }
        let keys = self.keys(batch)?;
        Ok(keys.iter().map(|key| Some(!self.seen.contains(key))).collect())
    }

    /// A hash of each row's key; none without a key.
    fn keys(&self, batch: &RecordBatch) -> Result<Vec<u128>> {
        let Some(converter) = &self.converter else { return Ok(Vec::new()) };
        let columns = self.columns.iter().filter_map(|name| batch.column_by_name(name));
        let columns: Vec<_> = columns.cloned().collect();
        let rows = converter.convert_columns(&columns)?;
        Ok(rows.iter().map(|row| xxh3_128(row.as_ref())).collect())
    }

    fn broken(&self, what: &str) -> Error {
        Error::new(ErrorKind::Data, "E-MODEL-KEY", format!("model {}: {what}", self.model)).hint(
            format!(
                "run its SELECT with `group by {} having count(*) > 1` to see the rows",
                self.columns.join(", ")
            ),
        )
    }
}

/// What rows had first in the columns that a model names, by the keys of the rows.
struct FirstValues {
    /// Those columns, by their places.
    columns: Vec<usize>,
    /// Their values, as they are stored.
    batches: Vec<RecordBatch>,
    /// Where the values of each row are: the batch and the row.
    places: HashMap<u128, (usize, usize)>,
}

impl FirstValues {
    /// Reads them from the rows that the table of `model` has.
    async fn read(
        mut rows: SendableRecordBatchStream,
        model: &Model,
        schema: &SchemaRef,
        key: &KeyCheck,
    ) -> Result<Self> {
        let mut columns = Vec::with_capacity(model.header.first.len());
        for name in &model.header.first {
            columns.push(schema.index_of(name).map_err(|_| {
                let message = format!(
                    "model {} keeps the first values of {name} and has no such column",
                    model.name
                );
                Error::new(ErrorKind::Config, "E-MODEL-KEY", message)
                    .hint("correct `first` in the model's header")
            })?);
        }
        let mut first = Self { columns, batches: Vec::new(), places: HashMap::new() };
        while let Some(batch) = rows.next().await {
            let action = format!("model {}", model.name);
            let batch = batch.map_err(|e| engine_error(&action, e))?;
            let batch = storage_batch(&batch, schema)?;
            for (row, key) in key.keys(&batch)?.into_iter().enumerate() {
                first.places.insert(key, (first.batches.len(), row));
            }
            first.batches.push(batch.project(&first.columns)?);
        }
        Ok(first)
    }

    /// `batch` with these values in the rows that have them.
    fn put_into(&self, batch: &RecordBatch, key: &KeyCheck) -> Result<RecordBatch> {
        let keys = key.keys(batch)?;
        let mut columns = batch.columns().to_vec();
        for (number, place) in self.columns.iter().enumerate() {
            let mut sources: Vec<&dyn Array> = vec![batch.column(*place).as_ref()];
            sources.extend(self.batches.iter().map(|kept| kept.column(number).as_ref()));
            let source = |(row, key): (usize, &u128)| match self.places.get(key) {
                Some((kept, at)) if sources[kept + 1].is_valid(*at) => (kept + 1, *at),
                _ => (0, row),
            };
            let picked: Vec<(usize, usize)> = keys.iter().enumerate().map(source).collect();
            columns[*place] = interleave(&sources, &picked)?;
        }
        Ok(RecordBatch::try_new(batch.schema(), columns)?)
    }
}
