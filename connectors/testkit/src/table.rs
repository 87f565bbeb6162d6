//! Rows to put into a system, and what a stream over them is.

use std::collections::BTreeMap;

use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use huiliu_sdk::{ColumnSpec, RawPush, RawStream, ReadMode, StreamSettings};
use serde_json::Value;

use crate::value::{Text, text};

/// Marks a column of bytes that are to be stored as text.
pub(crate) const BROKEN_TEXT: &str = "broken text";

/// A table.
#[derive(Debug, Clone)]
pub struct Table {
    /// Its name: small letters and `_`.
    pub name: String,
    /// Its rows.
    pub batch: RecordBatch,
    /// Columns that identify a row; empty where nothing does.
    pub key: Vec<String>,
    /// The column that grows with every change, if there is one.
    pub cursor: Option<String>,
}

impl Table {
    /// A table of these rows, keyed by `id`.
    pub fn new(name: &str, batch: RecordBatch) -> Self {
        Self { name: name.to_owned(), batch, key: vec!["id".to_owned()], cursor: None }
    }

    /// The same rows without a key.
    #[must_use]
    pub fn unkeyed(mut self) -> Self {
        self.key.clear();
        self
    }

    /// The common settings of a stream over it.
    pub fn settings(&self, read: ReadMode) -> StreamSettings {
        StreamSettings {
            name: self.name.clone(),
            key: self.key.clone(),
            read,
            cursor: self.cursor.clone().filter(|_| read == ReadMode::Incremental),
            ..StreamSettings::default()
        }
    }

    /// A stream over it with the connector's own keys.
    pub fn stream(&self, read: ReadMode, options: Value) -> RawStream {
        RawStream { settings: self.settings(read), options }
    }

    /// A push of it with the connector's own keys.
    pub fn push(&self, options: Value) -> RawPush {
        RawPush { name: self.name.clone(), key: self.key.clone(), options }
    }

    /// Declares the types of all columns, for systems that have none of their own.
    pub fn declare(&self, stream: &mut RawStream) {
        stream.settings.columns = self.columns();
    }

    /// All columns with the types that a configuration has for them.
    pub fn columns(&self) -> BTreeMap<String, ColumnSpec> {
        let schema = self.batch.schema();
        schema
            .fields()
            .iter()
            .map(|field| {
                let word = match field.data_type() {
                    _ if self.is_broken_text(field.name()) => "text".to_owned(),
                    DataType::Int32 | DataType::Int64 => "int".to_owned(),
                    other => huiliu_sdk::type_word(other),
                };
                (field.name().clone(), ColumnSpec { data_type: Some(word), ..Default::default() })
            })
            .collect()
    }

    /// Whether the bytes of a column are to be stored as text.
    pub fn is_broken_text(&self, column: &str) -> bool {
        let schema = self.batch.schema();
        schema.field_with_name(column).is_ok_and(|field| field.metadata().contains_key(BROKEN_TEXT))
    }

    /// Names of the columns.
    pub fn names(&self) -> Vec<String> {
        self.batch.schema().fields().iter().map(|field| field.name().clone()).collect()
    }

    /// The rows as text, value by value.
    pub fn rows(&self) -> Vec<Vec<Text>> {
        (0..self.batch.num_rows())
            .map(|row| self.batch.columns().iter().map(|array| text(array, row)).collect())
            .collect()
    }

    /// The values of one column as text.
    pub fn column(&self, name: &str) -> Vec<Text> {
        let array = self.batch.column_by_name(name).expect("the column is there");
        (0..array.len()).map(|row| text(array, row)).collect()
    }

    /// The values of `id`, sorted.
    pub fn ids(&self) -> Vec<String> {
        let mut ids: Vec<String> = self.column("id").into_iter().flatten().collect();
        ids.sort();
        ids
    }
}
