//! Writing: each record becomes a line at the end of a file.

use std::fs::OpenOptions;
use std::io::Write;

use arrow::array::{Array, RecordBatch};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use async_trait::async_trait;
use huiliu_sdk::{Cx, Error, Outcome, Receipt, Result, Sink, WriteBatch};
use serde_json::{Map, Value};

use super::config::Push;
use super::source::unreadable;

/// Adds records to one file.
pub(crate) struct LineSink {
    push: Push,
}

impl LineSink {
    pub(crate) fn new(push: Push) -> Self {
        Self { push }
    }
}

#[async_trait]
impl Sink for LineSink {
    /// A record that is sent twice stands in two lines.
    fn is_repeatable(&self) -> bool {
        false
    }

    async fn write(&mut self, cx: &Cx, batch: WriteBatch) -> Result<Receipt> {
        cx.check()?;
        let push = self.push.clone();
        let adding = tokio::task::spawn_blocking(move || add(&push, &batch.batch));
        let outcomes =
            adding.await.map_err(|cause| Error::internal("broke off").cause(cause))??;
        Ok(Receipt { outcomes })
    }
}

fn add(push: &Push, batch: &RecordBatch) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::with_capacity(batch.num_rows());
    let mut lines = Vec::new();
    for row in 0..batch.num_rows() {
        let line = line(batch, row)?;
        if line.len() as u64 > push.longest {
            outcomes.push(Outcome::Rejected {
                code: "longest".to_owned(),
                message: format!("the line has {} bytes", line.len()),
            });
            continue;
        }
        lines.extend_from_slice(line.as_bytes());
        lines.push(b'\n');
        outcomes.push(Outcome::Accepted);
    }
    let file = OpenOptions::new().append(true).create(true).open(&push.path);
    let mut file = file.map_err(|cause| unreadable("the file", cause))?;
    if file.write_all(&lines).and_then(|()| file.sync_all()).is_err() {
        // Some of the lines may be there.
        outcomes = outcomes.into_iter().map(unknown).collect();
    }
    Ok(outcomes)
}

fn unknown(outcome: Outcome) -> Outcome {
    if outcome == Outcome::Accepted { Outcome::Unknown } else { outcome }
}

fn line(batch: &RecordBatch, row: usize) -> Result<String> {
    let mut record = Map::new();
    for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
        let value = match array.is_null(row) {
            true => Value::Null,
            false => {
                let formatter = ArrayFormatter::try_new(array, &FormatOptions::default())?;
                formatter.value(row).try_to_string()?.into()
            }
        };
        record.insert(field.name().clone(), value);
    }
    Ok(Value::Object(record).to_string())
}
