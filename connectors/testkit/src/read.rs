//! Reading a stream to its end, with every promise of the contract looked at on the way.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use chrono::{DateTime, Duration};
use huiliu_sdk::{
    BatchLimits, Checkpoint, Cx, Endpoint, Event, ManualClock, Ops, RawConfig, ReadRequest,
    Rejected, Result, Scope, Source, StreamId, StreamRequest,
};

use crate::value::{Text, texts};
use crate::{CANARY, System};

/// 2026-01-01 00:00:00 UTC, later than any time in the tables.
const NOW: i64 = 1_767_225_600;

static CONTEXTS: AtomicI64 = AtomicI64::new(0);

/// A context on a clock that stands still, a second later for each context.
pub fn cx() -> Cx {
    let now = DateTime::from_timestamp(NOW, 0).expect("a time of this century");
    let passed = Duration::seconds(CONTEXTS.fetch_add(1, Ordering::Relaxed));
    Cx { clock: Arc::new(ManualClock::new(now + passed)), ..Cx::new() }
}

/// A context for batches of so many rows.
pub fn limited(rows: usize) -> Cx {
    Cx { limits: BatchLimits { rows, ..BatchLimits::default() }, ..cx() }
}

/// The endpoint of a configuration that has no faults.
pub fn open<S: System>(system: &S, raw: RawConfig) -> Arc<dyn Endpoint> {
    match system.connector().configure(raw) {
        Ok(endpoint) => endpoint,
        Err(faults) => panic!("the configuration is refused: {:?}", faults.0),
    }
}

/// What to ask for to read one stream.
pub fn request(stream: &str, resume: Option<Checkpoint>) -> ReadRequest {
    let streams = vec![StreamRequest { stream: StreamId::new(stream), resume }];
    ReadRequest { streams, row_limit: None }
}

/// Everything a read gave.
#[derive(Debug, Default)]
pub struct Read {
    /// The schemas in their order.
    pub schemas: Vec<SchemaRef>,
    /// The rows.
    pub batches: Vec<RecordBatch>,
    /// Rows that were set aside.
    pub rejected: Vec<Rejected>,
    /// Each checkpoint with the number of batches before it.
    pub checkpoints: Vec<(usize, Checkpoint)>,
    /// What a person should know.
    pub notes: Vec<String>,
    /// Whether the rows are all the source holds, once the stream has ended.
    pub complete: Option<bool>,
}

impl Read {
    /// How many rows came.
    pub fn len(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// Whether no row came.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values of one column as text.
    pub fn column(&self, name: &str) -> Vec<Text> {
        column(&self.batches, name)
    }

    /// The values of `id`, sorted.
    pub fn ids(&self) -> Vec<String> {
        let mut ids: Vec<String> = self.column("id").into_iter().flatten().collect();
        ids.sort();
        ids
    }

    /// The last checkpoint.
    pub fn resume(&self) -> Option<Checkpoint> {
        self.checkpoints.last().map(|(_, checkpoint)| checkpoint.clone())
    }

    /// Takes the next event in and holds it to the contract.
    pub(crate) fn take(&mut self, stream: &StreamId, cx: &Cx, event: Event) {
        assert!(self.complete.is_none(), "nothing follows the end of a stream: {event:?}");
        match event {
            Event::Schema(of, schema) => {
                assert_eq!(of, *stream);
                self.schemas.push(schema);
            }
            Event::Rows(rows) => {
                assert_eq!(rows.stream, *stream);
                let count = rows.batch.num_rows();
                if !(count == 0 && rows.batch.num_columns() == 0) {
                    let schema = self.schemas.last().expect("columns are told before rows");
                    assert_eq!(&rows.batch.schema(), schema, "rows have the columns told last");
                }
                assert_eq!(rows.positions.len(), count, "each row has a position");
                if let Ops::PerRow(ops) = &rows.ops {
                    assert_eq!(ops.len(), count, "each row has an operation");
                }
                let most = cx.limits.rows;
                let rows_here = count + rows.rejected.len();
                assert!(rows_here <= most, "a batch of {rows_here} rows where {most} are allowed");
                for rejected in &rows.rejected {
                    assert!(
                        !rejected.reason.is_empty() && !rejected.raw.is_empty(),
                        "{rejected:?}"
                    );
                }
                self.rejected.extend(rows.rejected);
                self.batches.push(rows.batch);
            }
            Event::Keys(of, _) => assert_eq!(of, *stream),
            Event::Note(of, note) => {
                assert_eq!(of, *stream);
                assert!(!note.contains(CANARY), "a note holds the secret: {note}");
                self.notes.push(note);
            }
            Event::Checkpoint(checkpoint) => {
                if let Scope::Stream(of) = &checkpoint.scope {
                    assert_eq!(of, stream);
                }
                let state = checkpoint.state.to_string();
                assert!(!state.contains(CANARY), "a checkpoint holds the secret: {state}");
                self.checkpoints.push((self.batches.len(), checkpoint));
            }
            Event::End { stream: of, complete } => {
                assert_eq!(of, *stream);
                let saved =
                    self.checkpoints.last().is_some_and(|(at, _)| *at == self.batches.len());
                assert!(saved, "a checkpoint stands between the last rows and the end");
                assert!(!self.schemas.is_empty() || self.is_empty(), "an end without columns");
                self.complete = Some(complete);
            }
        }
    }
}

/// The values of one column of batches as text.
pub(crate) fn column(batches: &[RecordBatch], name: &str) -> Vec<Text> {
    texts(batches, &[name.to_owned()]).into_iter().flatten().collect()
}

/// Reads a stream to its end.
pub async fn read(
    endpoint: &dyn Endpoint,
    cx: &Cx,
    stream: &str,
    resume: Option<Checkpoint>,
) -> Result<Read> {
    let mut source = endpoint.source(cx, request(stream, resume)).await?;
    drain_after(source.as_mut(), cx, stream, Read::default()).await
}

/// Reads a stream up to its checkpoint of this number, and gives what came with the source.
pub(crate) async fn read_until(
    endpoint: &dyn Endpoint,
    cx: &Cx,
    stream: &str,
    checkpoint: usize,
) -> (Box<dyn Source>, Read) {
    let mut source = endpoint.source(cx, request(stream, None)).await.expect("a read can start");
    let id = StreamId::new(stream);
    let mut read = Read::default();
    while read.checkpoints.len() <= checkpoint {
        let event = source.next(cx).await.expect("a read goes well");
        read.take(&id, cx, event.expect("the checkpoint comes again"));
    }
    (source, read)
}

/// Reads what is left of a stream behind what `read` already holds.
pub(crate) async fn drain_after(
    source: &mut dyn Source,
    cx: &Cx,
    stream: &str,
    mut read: Read,
) -> Result<Read> {
    let stream = StreamId::new(stream);
    while let Some(event) = source.next(cx).await? {
        read.take(&stream, cx, event);
    }
    assert!(read.complete.is_some(), "a stream ends with its end");
    assert!(source.next(cx).await?.is_none(), "a read that has ended has no more events");
    Ok(read)
}
