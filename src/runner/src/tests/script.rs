//! A connector that plays a script, and a target that keeps what it is sent.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use arrow::array::{ArrayRef, Int32Array, Int64Array, StringArray};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use huiliu_sdk::{
    Capabilities, Cell, Checkpoint, Clock, ConfigErrors, Connector, Cx, Endpoint, Error, ErrorKind,
    Event, LoadRequest, Loader, Ops, Outcome, Probe, RawConfig, ReadRequest, Receipt, Rejected,
    Result, Rows, Scope, Sink, Source, Spec, StreamId, SystemClock, WriteBatch, WriteRequest,
    original,
};
use serde_json::json;

/// One step of a script.
#[derive(Clone)]
pub(super) enum Play {
    Say(Event),
    /// The hub's clock shows this from now on.
    At(DateTime<Utc>),
    Break,
    Panic,
}

/// How a load ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Finish {
    Well,
    /// The target takes the rows and the answer is lost.
    Lost,
    Refused,
    Short,
}

/// What all endpoints of one test share.
#[derive(Default)]
pub(super) struct Stage {
    reads: Mutex<BTreeMap<String, VecDeque<Vec<Play>>>>,
    pub(super) acknowledged: Mutex<Vec<Checkpoint>>,
    pub(super) finishes: Mutex<VecDeque<Finish>>,
    /// The rows of each load that became visible.
    pub(super) loaded: Mutex<Vec<RecordBatch>>,
    /// What each write of records is answered.
    pub(super) answers: Mutex<VecDeque<Answer>>,
    /// What each look-up finds; without any, the target cannot be asked.
    pub(super) known: Mutex<VecDeque<Vec<Outcome>>>,
    /// Whether nobody answers those who ask.
    pub(super) is_deaf: AtomicBool,
    /// Whether the target tells repeated records.
    pub(super) is_repeatable: AtomicBool,
    /// The idempotency keys of each write.
    pub(super) written: Mutex<Vec<Vec<String>>>,
    /// The hub's time; that of the machine while it is not set.
    pub(super) time: Mutex<Option<DateTime<Utc>>>,
}

/// What a target says to a write of records.
#[derive(Clone)]
pub(super) enum Answer {
    Outcomes(Vec<Outcome>),
    Refused,
}

impl Clock for Stage {
    fn now(&self) -> DateTime<Utc> {
        self.time.lock().unwrap().unwrap_or_else(|| SystemClock.now())
    }
}

impl Stage {
    /// What the next read of `stream` says; reads beyond the last say that again.
    pub(super) fn script(&self, stream: &str, reads: Vec<Vec<Play>>) {
        self.reads.lock().unwrap().insert(stream.to_owned(), reads.into());
    }

    fn read(&self, stream: &str) -> Vec<Play> {
        let mut reads = self.reads.lock().unwrap();
        let queue = reads.get_mut(stream).unwrap();
        if queue.len() > 1 { queue.pop_front().unwrap() } else { queue[0].clone() }
    }
}

/// The kind of system.
pub(super) struct Script(pub(super) Arc<Stage>);

impl Connector for Script {
    fn spec(&self) -> Spec {
        let capabilities = Capabilities {
            source: true,
            incremental: true,
            flagged: true,
            sink: true,
            loader: true,
            ..Default::default()
        };
        Spec {
            kind: "script",
            title: "a script",
            capabilities,
            system_schema: json!({}),
            stream_schema: json!({}),
            push_schema: json!({}),
        }
    }

    fn configure(&self, _raw: RawConfig) -> Result<Arc<dyn Endpoint>, ConfigErrors> {
        Ok(Arc::new(Place(Arc::clone(&self.0))))
    }
}

struct Place(Arc<Stage>);

#[async_trait]
impl Endpoint for Place {
    async fn probe(&self, _cx: &Cx) -> Result<Probe> {
        Ok(Probe { summary: "a script".into() })
    }

    async fn source(&self, _cx: &Cx, request: ReadRequest) -> Result<Box<dyn Source>> {
        let plays = self.0.read(request.streams[0].stream.as_str());
        Ok(Box::new(Reading { stage: Arc::clone(&self.0), plays: plays.into() }))
    }

    async fn sink(&self, _cx: &Cx, _request: WriteRequest) -> Result<Box<dyn Sink>> {
        Ok(Box::new(Writing { stage: Arc::clone(&self.0) }))
    }

    async fn loader(&self, _cx: &Cx, _request: LoadRequest) -> Result<Box<dyn Loader>> {
        Ok(Box::new(Loading { stage: Arc::clone(&self.0), batches: Vec::new() }))
    }
}

struct Reading {
    stage: Arc<Stage>,
    plays: VecDeque<Play>,
}

#[async_trait]
impl Source for Reading {
    async fn next(&mut self, cx: &Cx) -> Result<Option<Event>> {
        match self.plays.pop_front() {
            None => Ok(None),
            Some(Play::Say(event)) => Ok(Some(event)),
            Some(Play::At(time)) => {
                *self.stage.time.lock().unwrap() = Some(time);
                self.next(cx).await
            }
            Some(Play::Break) => Err(Error::new(ErrorKind::Unreachable, "E-CONNECT", "cut off")),
            Some(Play::Panic) => panic!("as the script says"),
        }
    }

    async fn acknowledge(&mut self, _cx: &Cx, checkpoint: &Checkpoint) -> Result<()> {
        self.stage.acknowledged.lock().unwrap().push(checkpoint.clone());
        Ok(())
    }
}

struct Writing {
    stage: Arc<Stage>,
}

#[async_trait]
impl Sink for Writing {
    fn is_repeatable(&self) -> bool {
        self.stage.is_repeatable.load(Ordering::Relaxed)
    }

    async fn write(&mut self, _cx: &Cx, batch: WriteBatch) -> Result<Receipt> {
        let count = batch.idempotency_keys.len();
        self.stage.written.lock().unwrap().push(batch.idempotency_keys);
        match self.stage.answers.lock().unwrap().pop_front() {
            None => Ok(Receipt { outcomes: vec![Outcome::Accepted; count] }),
            Some(Answer::Outcomes(outcomes)) => Ok(Receipt { outcomes }),
            Some(Answer::Refused) => Err(Error::new(ErrorKind::Auth, "E-AUTH", "no entry")),
        }
    }

    async fn lookup(&mut self, _cx: &Cx, _batch: &WriteBatch) -> Result<Receipt> {
        if self.stage.is_deaf.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Unreachable, "E-CONNECT", "nobody is there"));
        }
        let known = self.stage.known.lock().unwrap().pop_front();
        let outcomes = known.ok_or_else(|| Error::unsupported("looking up"))?;
        Ok(Receipt { outcomes })
    }
}

struct Loading {
    stage: Arc<Stage>,
    batches: Vec<RecordBatch>,
}

#[async_trait]
impl Loader for Loading {
    async fn write(&mut self, _cx: &Cx, batch: RecordBatch) -> Result<()> {
        self.batches.push(batch);
        Ok(())
    }

    async fn finish(self: Box<Self>, _cx: &Cx) -> Result<u64> {
        let finish = self.stage.finishes.lock().unwrap().pop_front().unwrap_or(Finish::Well);
        if finish == Finish::Refused {
            return Err(Error::new(ErrorKind::Data, "E-TYPE", "no"));
        }
        let rows = self.batches.iter().map(|batch| batch.num_rows() as u64).sum();
        self.stage.loaded.lock().unwrap().extend(self.batches);
        match finish {
            Finish::Lost => Err(Error::new(ErrorKind::Timeout, "E-TIMEOUT", "no answer")),
            Finish::Short => Ok(rows - 1),
            _ => Ok(rows),
        }
    }
}

const STREAM: &str = "t";

pub(super) fn ints(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(values.into_iter().collect::<Vec<_>>().into_iter().map(Some).collect::<Int64Array>())
}

pub(super) fn small_ints(values: impl IntoIterator<Item = i32>) -> ArrayRef {
    Arc::new(values.into_iter().map(Some).collect::<Int32Array>())
}

pub(super) fn texts<'a>(values: impl IntoIterator<Item = &'a str>) -> ArrayRef {
    Arc::new(values.into_iter().map(Some).collect::<StringArray>())
}

pub(super) fn maybe_texts<'a>(values: impl IntoIterator<Item = Option<&'a str>>) -> ArrayRef {
    Arc::new(values.into_iter().collect::<StringArray>())
}

pub(super) fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, column)| (name, column, true)),
    )
    .unwrap()
}

/// `id` from a range and a text that is the same for all.
pub(super) fn items(ids: std::ops::Range<i64>, name: &str) -> RecordBatch {
    let names: Vec<&str> = ids.clone().map(|_| name).collect();
    batch(vec![("id", ints(ids)), ("name", texts(names))])
}

pub(super) fn schema(schema: SchemaRef) -> Play {
    Play::Say(Event::Schema(StreamId::new(STREAM), schema))
}

pub(super) fn rows(batch: RecordBatch) -> Play {
    rows_with(batch, Vec::new())
}

pub(super) fn rows_with(batch: RecordBatch, rejected: Vec<Rejected>) -> Play {
    let positions = (1..=batch.num_rows() as u64).collect();
    let (stream, origin) = (StreamId::new(STREAM), "script".into());
    Play::Say(Event::Rows(Rows { stream, batch, ops: Ops::Upsert, origin, positions, rejected }))
}

/// A row that could not be decoded, and whose key was.
pub(super) fn rejected(position: u64, id: &str) -> Rejected {
    let raw = original([("id", Cell::Text(id)), ("name", Cell::Bytes(&[0xff]))]);
    Rejected { position, code: "E-ENCODING", reason: "not text".into(), raw }
}

pub(super) fn keys(batch: RecordBatch) -> Play {
    Play::Say(Event::Keys(StreamId::new(STREAM), batch))
}

pub(super) fn checkpoint(number: u64) -> Play {
    let scope = Scope::Stream(StreamId::new(STREAM));
    Play::Say(Event::Checkpoint(Checkpoint { scope, version: 1, state: json!({ "at": number }) }))
}

pub(super) fn end(complete: bool) -> Play {
    Play::Say(Event::End { stream: StreamId::new(STREAM), complete })
}

/// A whole read of one batch.
pub(super) fn read_of(batch: RecordBatch) -> Vec<Play> {
    vec![schema(batch.schema()), rows(batch), checkpoint(1), end(true)]
}
