//! Parameters of prepared statements: what clients bind, and as what the engine takes it.

use arrow_flight::FlightData;
use arrow_flight::decode::FlightRecordBatchStream;
use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::ScalarValue;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use huiliu_sdk::{Error, Result};
use tonic::Status;

use super::failure::wrong;

/// The most bytes of the parameters of a statement.
const MAX_BYTES: usize = 2 << 20;

/// The columns that a client is to bind.
pub(super) fn schema(types: &[Option<DataType>]) -> Schema {
    let field = |(at, known): (usize, &Option<DataType>)| {
        Field::new(format!("${}", at + 1), known.clone().unwrap_or(DataType::Utf8), true)
    };
    Schema::new(types.iter().enumerate().map(field).collect::<Vec<_>>())
}

/// The one row that a client binds; nothing where it binds none.
pub(super) async fn read(
    messages: impl Stream<Item = Result<FlightData, Status>> + Send,
) -> Result<Vec<ScalarValue>> {
    let mut messages = std::pin::pin!(messages);
    let (mut whole, mut bytes) = (Vec::new(), 0);
    while let Some(message) = messages.next().await {
        let message = message.map_err(|status| unreadable(status.message()))?;
        check(&message)?;
        bytes += message.data_header.len() + message.data_body.len();
        if bytes > MAX_BYTES {
            return Err(unreadable("they are too large"));
        }
        whole.push(Ok(message));
    }
    let batches = FlightRecordBatchStream::new_from_flight_data(stream::iter(whole));
    let batches: Vec<RecordBatch> =
        batches.try_collect().await.map_err(|_| unreadable("they are no batch of Arrow"))?;
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    if rows > 1 {
        let message = "several rows of parameters were bound";
        return Err(wrong(message, "a statement takes one row at a time"));
    }
    let Some(row) = batches.iter().find(|batch| batch.num_rows() == 1) else {
        return Ok(Vec::new());
    };
    let value = |column: &ArrayRef| ScalarValue::try_from_array(column, 0);
    let values = row.columns().iter().map(value).collect::<Result<Vec<_>, _>>();
    values.map_err(|_| unreadable("no statement takes such a type"))
}

/// Refuses what could claim more memory than it has bytes: compressed buffers say themselves how
/// large they become.
fn check(message: &FlightData) -> Result<()> {
    if message.data_header.is_empty() {
        return Ok(());
    }
    let header = arrow_ipc::root_as_message(&message.data_header);
    let header = header.map_err(|_| unreadable("they are no message of Arrow"))?;
    if header.header_as_schema().is_some() {
        return Ok(());
    }
    match header.header_as_record_batch() {
        Some(batch) if batch.compression().is_none() => Ok(()),
        Some(_) => Err(unreadable("they are compressed")),
        None => Err(unreadable("they are no plain columns")),
    }
}

fn unreadable(reason: &str) -> Error {
    let message = format!("the parameters cannot be taken: {reason}");
    wrong(message, "bind one row of plain values")
}

/// The values as what the engine takes them for.
pub(super) fn values(
    types: &[Option<DataType>],
    bound: &[ScalarValue],
) -> Result<Vec<ScalarValue>> {
    if types.len() != bound.len() {
        let message = format!("{} parameters were bound to {}", bound.len(), types.len());
        return Err(wrong(message, "bind one value for each `$1`, `$2` …"));
    }
    let value = |(at, (known, value)): (usize, (&Option<DataType>, &ScalarValue))| {
        let Some(known) = known else { return Ok(value.clone()) };
        value.cast_to(known).map_err(|_| {
            let message = format!("parameter ${} cannot be taken as {known}", at + 1);
            wrong(message, "bind a value of that type")
        })
    };
    types.iter().zip(bound).enumerate().map(value).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_flight::encode::FlightDataEncoderBuilder;
    use arrow_ipc::CompressionType;
    use arrow_ipc::writer::IpcWriteOptions;
    use datafusion::arrow::array::{ArrayRef, Int64Array, StringArray};

    use super::*;

    async fn sent(batch: RecordBatch, options: IpcWriteOptions) -> Result<Vec<ScalarValue>> {
        let encoder = FlightDataEncoderBuilder::new().with_options(options);
        let messages = encoder.build(stream::iter([Ok(batch)]));
        let messages: Vec<FlightData> = messages.try_collect().await.unwrap();
        read(stream::iter(messages.into_iter().map(Ok))).await
    }

    fn batch(numbers: Vec<i64>) -> RecordBatch {
        let text: ArrayRef = Arc::new(StringArray::from(vec!["值"; numbers.len()]));
        let numbers: ArrayRef = Arc::new(Int64Array::from(numbers));
        RecordBatch::try_from_iter([("a", numbers), ("b", text)]).unwrap()
    }

    #[tokio::test]
    async fn one_row_of_plain_values_is_bound() {
        let bound = sent(batch(vec![7]), IpcWriteOptions::default()).await.unwrap();
        assert_eq!(bound, [ScalarValue::from(7_i64), ScalarValue::from("值")]);
        let types = [Some(DataType::Int16), None];
        let taken = values(&types, &bound).unwrap();
        assert_eq!(taken, [ScalarValue::Int16(Some(7)), ScalarValue::from("值")]);
        assert!(values(&types[..1], &bound).is_err());
        assert!(values(&[None, Some(DataType::Int64)], &bound).is_err(), "text is no number");
    }

    #[tokio::test]
    async fn several_rows_and_compressed_ones_are_refused() {
        let told = sent(batch(vec![1, 2]), IpcWriteOptions::default()).await.unwrap_err();
        assert!(told.message().contains("several rows"), "{told}");
        let zstd = Some(CompressionType::ZSTD);
        let options = IpcWriteOptions::default().try_with_compression(zstd).unwrap();
        assert_eq!(sent(batch(vec![1]), options).await.unwrap_err().code(), "E-INPUT");
        let noise = FlightData { data_header: vec![7; 64].into(), ..FlightData::default() };
        assert!(read(stream::iter([Ok(noise)])).await.is_err());
    }
}
