//! Rows on their way to a client.
//!
//! A client that reads slowly holds up the plan, not the deadline: when it has passed, the plan
//! ends, and what the client finds after the batches that it had coming is why.

use std::sync::Arc;

use arrow_flight::FlightData;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::error::DataFusionError;
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use huiliu_engine::engine_error;
use huiliu_sdk::{Error, ErrorKind, Result};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tonic::Status;

use super::failure::status;
use crate::identity::{Accounts, Visitor};
use crate::sql::{Flow, in_time};

/// About how many bytes a message holds.
const MESSAGE: usize = 2 << 20;
/// The most bytes of one, which a single row may need; clients take no more.
const MAX_MESSAGE: usize = 15 << 20;

/// The messages of an answer.
pub(super) type Messages = BoxStream<'static, Result<FlightData, Status>>;

/// The columns of an answer as clients of any age know them: plain layouts, and no notes of ours.
pub(super) fn plain(schema: &Schema) -> SchemaRef {
    let field = |field: &FieldRef| Field::new(field.name(), plain_type(field.data_type()), true);
    Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>()))
}

fn plain_type(data_type: &DataType) -> DataType {
    let inner = |field: &FieldRef| {
        let plain = plain_type(field.data_type());
        Arc::new(Field::new(field.name(), plain, field.is_nullable()))
    };
    match data_type {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::Dictionary(_, values) => plain_type(values),
        DataType::List(field) | DataType::ListView(field) => DataType::List(inner(field)),
        DataType::LargeList(field) => DataType::LargeList(inner(field)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inner).collect()),
        other => other.clone(),
    }
}

fn as_plain(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| {
        if column.data_type() == field.data_type() {
            return Ok(Arc::clone(column));
        }
        cast(column, field.data_type())
    });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &rows)
}

/// The rows of a running statement as messages, until `deadline`, and as long as whoever asked may
/// be here. Dropping them ends the statement.
pub(super) fn messages(
    flow: Flow,
    schema: SchemaRef,
    deadline: Instant,
    accounts: Accounts,
    visitor: Visitor,
) -> Messages {
    let (sender, received) = mpsc::channel(1);
    let mut task = JoinSet::new();
    let columns = Arc::clone(&schema);
    task.spawn(async move {
        tokio::select! {
            ended = in_time(deadline, carry(flow, columns, sender)) => ended?,
            () = accounts.put_out(&visitor) => Err(gone()),
        }
    });
    let batches = stream::unfold(Carried { received, task }, |mut carried| async move {
        let batch = carried.next().await?;
        Some((batch, carried))
    });
    encoded(batches, schema)
}

/// A batch as messages.
pub(super) fn of_batch(batch: RecordBatch) -> Messages {
    let schema = batch.schema();
    encoded(stream::iter([Ok(batch)]), schema)
}

/// Batches that wait for the client, and the task that brings them.
struct Carried {
    received: mpsc::Receiver<RecordBatch>,
    task: JoinSet<Result<()>>,
}

impl Carried {
    /// The next batch, or why there is none; nothing after the last one.
    async fn next(&mut self) -> Option<Result<RecordBatch>> {
        if let Some(batch) = self.received.recv().await {
            return Some(Ok(batch));
        }
        match self.task.join_next().await? {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(Err(error)),
            Err(_panic) => Some(Err(Error::internal("the statement broke its task"))),
        }
    }
}

async fn carry(mut flow: Flow, schema: SchemaRef, sender: mpsc::Sender<RecordBatch>) -> Result<()> {
    while let Some(batch) = flow.next().await.map_err(Error::from)? {
        let plain = as_plain(&batch, &schema);
        let plain = plain.map_err(|e| engine_error("the query", DataFusionError::from(e)))?;
        if sender.send(plain).await.is_err() {
            break;
        }
    }
    Ok(())
}

fn encoded(
    batches: impl Stream<Item = Result<RecordBatch>> + Send + 'static,
    schema: SchemaRef,
) -> Messages {
    let batches = batches.map(|batch| batch.map_err(|error| FlightError::from(status(&error))));
    let encoder = FlightDataEncoderBuilder::new().with_schema(schema);
    let messages = encoder.with_max_flight_data_size(MESSAGE).build(batches);
    let checked = messages.map(|message| match message {
        Ok(message) if message.data_body.len() > MAX_MESSAGE => Err(status(&too_large())),
        message => message.map_err(Status::from),
    });
    checked.boxed()
}

fn too_large() -> Error {
    let message = format!("a row has more than {} MiB, which no message holds", MAX_MESSAGE >> 20);
    Error::new(ErrorKind::Data, "E-FLIGHT-MESSAGE", message).hint("ask for a part of the value")
}

fn gone() -> Error {
    Error::new(ErrorKind::Auth, "E-SIGN-IN-FIRST", "log in first")
        .hint("the account, its role or its token was changed meanwhile")
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{ArrayRef, DictionaryArray, StringViewArray};
    use datafusion::arrow::datatypes::Int32Type;

    use super::*;

    fn text(value: &str) -> RecordBatch {
        let column: ArrayRef = Arc::new(StringViewArray::from(vec![value]));
        RecordBatch::try_from_iter([("text", column)]).unwrap()
    }

    #[test]
    fn layouts_that_some_clients_do_not_know_are_not_sent() {
        let words: DictionaryArray<Int32Type> = ["a", "b", "a"].into_iter().collect();
        let view: ArrayRef = Arc::new(StringViewArray::from(vec!["x", "y", "z"]));
        let batch = RecordBatch::try_from_iter([("w", Arc::new(words) as _), ("v", view)]).unwrap();
        let schema = plain(&batch.schema());
        let types: Vec<&DataType> = schema.fields().iter().map(|f| f.data_type()).collect();
        assert_eq!(types, [&DataType::Utf8, &DataType::Utf8]);
        assert_eq!(as_plain(&batch, &schema).unwrap().num_rows(), 3);
        let empty = Arc::new(Schema::empty());
        let rows = RecordBatchOptions::new().with_row_count(Some(5));
        let nothing = RecordBatch::try_new_with_options(Arc::clone(&empty), vec![], &rows).unwrap();
        assert_eq!(as_plain(&nothing, &plain(&empty)).unwrap().num_rows(), 5);
    }

    #[tokio::test]
    async fn a_row_that_no_message_holds_is_refused() {
        let send = |batch: RecordBatch| {
            let schema = plain(&batch.schema());
            of_batch(as_plain(&batch, &schema).unwrap()).collect::<Vec<_>>()
        };
        assert!(send(text(&"x".repeat(MAX_MESSAGE - 1024))).await.iter().all(Result::is_ok));
        let refused = send(text(&"x".repeat(MAX_MESSAGE + 1))).await.pop().unwrap().unwrap_err();
        assert!(refused.message().starts_with("E-FLIGHT-MESSAGE"), "{refused}");
    }
}
