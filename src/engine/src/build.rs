//! Building a model's table: run its SELECT, write the rows, say what to commit.

use std::collections::HashSet;

use arrow::record_batch::RecordBatch;
use arrow::row::{RowConverter, SortField};
use futures::StreamExt;
use huiliu_core::model::Model;
use huiliu_lake::{Commit, FileWriter, TableChange, storage_schema};
use huiliu_sdk::{Error, ErrorKind, Result};
use xxhash_rust::xxh3::xxh3_128;

use crate::failure::engine_error;
use crate::session::Engine;

/// Rows of one file of a model's table.
const FILE_ROWS: i64 = 1_000_000;

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
        let fingerprint = self.pipelines().fingerprint(&model.name, &versions, self.salt());
        if last == Some(fingerprint.as_str()) {
            return Ok(None);
        }
        let action = format!("model {}", model.name);
        let session = self.session(None).await?;
        let frame = session.query(&model.sql).await.map_err(|e| e.context(&action))?;
        let schema = storage_schema(frame.schema().as_arrow());
        let (schema_name, table_name) =
            model.name.split_once('.').unwrap_or(("standard", &model.name));
        let mut tx = self.lake().store().begin().await?;
        let table = self.lake().ensure_table(&mut tx, schema_name, table_name, &schema).await?;
        tx.commit().await?;
        let mut key = KeyCheck::new(&schema, &model.header.key, &model.name)?;
        let mut change = TableChange::new(table.clone());
        change.replace = true;
        let mut writer: Option<FileWriter> = None;
        let mut rows = Vec::new();
        let mut row_count = 0;
        let mut stream = frame.execute_stream().await.map_err(|e| engine_error(&action, e))?;
        while let Some(batch) = stream.next().await {
            let batch = batch.map_err(|e| engine_error(&action, e))?;
            if batch.num_rows() == 0 {
                continue;
            }
            let batch = huiliu_lake::storage_batch(&batch, &schema)?;
            key.check(&batch)?;
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

    fn broken(&self, what: &str) -> Error {
        Error::new(ErrorKind::Data, "E-MODEL-KEY", format!("model {}: {what}", self.model)).hint(
            format!(
                "run its SELECT with `group by {} having count(*) > 1` to see the rows",
                self.columns.join(", ")
            ),
        )
    }
}
