//! Printing: results to stdout as text or JSON, errors to stderr.

use std::io::Write;

use arrow::record_batch::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use huiliu_core::config::Faults;
use huiliu_engine::record_text;
use huiliu_sdk::{Error, Result};
use serde_json::{Map, Value, json};

use crate::cli::{Language, Output};
use crate::language;

/// Prints results and errors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Printer {
    output: Output,
    language: Language,
}

impl Printer {
    pub(crate) fn new(output: Output, language: Language) -> Self {
        Self { output, language }
    }

    /// Whether results are JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.output == Output::Json
    }

    /// The text of the printer's language.
    pub(crate) fn pick(&self, en: &'static str, zh: &'static str) -> &'static str {
        match self.language {
            Language::En => en,
            Language::Zh => zh,
        }
    }

    /// One line of a result.
    pub(crate) fn line(&self, text: &str) {
        put(&mut std::io::stdout(), text);
    }

    /// One line beside the result, for a person who watches.
    pub(crate) fn note(&self, text: &str) {
        put(&mut std::io::stderr(), text);
    }

    /// A JSON result.
    pub(crate) fn json(&self, value: &Value) {
        match serde_json::to_string_pretty(value) {
            Ok(text) => self.line(&text),
            Err(error) => self.note(&format!("error: {error}")),
        }
    }

    /// Rows, as a table or as a JSON list of objects.
    pub(crate) fn rows(&self, batches: &[RecordBatch]) -> Result<()> {
        if self.is_json() {
            let mut rows = Vec::new();
            for batch in batches {
                for row in 0..batch.num_rows() {
                    rows.push(json_row(batch, row)?);
                }
            }
            self.json(&Value::Array(rows));
        } else if batches.iter().any(|batch| batch.num_columns() > 0) {
            self.line(&pretty_format_batches(batches)?.to_string());
        }
        Ok(())
    }

    /// All faults of the configuration.
    pub(crate) fn faults(&self, faults: &Faults) {
        if self.is_json() {
            self.json(&json!({ "faults": faults.0 }));
        }
        self.note(language::faults(faults, self.language).trim_end());
    }

    /// An error with its code, hint and, in Chinese, what its code means.
    pub(crate) fn error(&self, error: &Error) {
        let hint = error.hint_text();
        if self.is_json() {
            self.json(&json!({ "error": {
                "code": error.code(), "kind": error.kind(),
                "message": error.to_string(), "hint": hint,
            }}));
        }
        let text = language::failure(error.code(), &error.to_string(), hint, self.language);
        self.note(text.trim_end());
    }

    /// What went wrong in a step, indented under it.
    pub(crate) fn step_failure(&self, code: &str, message: &str, hint: Option<&str>) {
        let text = language::failure(code, message, hint, self.language);
        for line in text.lines() {
            self.line(&format!("    {line}"));
        }
    }
}

/// Writes a line. A reader that has gone away, as in `huiliu runs | head`, is no fault: the exit
/// code still says how the work went.
fn put(to: &mut dyn Write, text: &str) {
    match writeln!(to, "{text}").and_then(|()| to.flush()) {
        Ok(()) | Err(_) => {}
    }
}

/// A row as JSON: whole numbers and truth values as such, everything else as text.
fn json_row(batch: &RecordBatch, row: usize) -> Result<Value> {
    let schema = batch.schema();
    let mut object = Map::new();
    for ((name, text), field) in record_text(batch, row)?.into_iter().zip(schema.fields()) {
        let value = match text {
            None => Value::Null,
            Some(text) if field.data_type().is_integer() => {
                text.parse::<i64>().map_or(Value::String(text), Value::from)
            }
            Some(text) if *field.data_type() == arrow::datatypes::DataType::Boolean => {
                Value::Bool(text == "true")
            }
            Some(text) => Value::String(text),
        };
        object.insert(name, value);
    }
    Ok(Value::Object(object))
}
