//! An endpoint that goes wrong at a given step, for tests of whoever uses connectors.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use huiliu_sdk::{
    Checkpoint, Cx, Endpoint, Error, ErrorKind, Event, LoadRequest, Loader, Probe, ReadRequest,
    Receipt, Result, Sink, Source, StreamSpec, WriteBatch, WriteRequest,
};

/// What happens at the step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It fails with this kind.
    Fail(ErrorKind),
    /// The caller's work is cancelled just before.
    Cancel,
    /// It takes for ever, until the caller asks to stop.
    Stall,
    /// It fails after it was done, so that only its answer is lost.
    Forget,
}

/// Wraps an endpoint: its step of a given number, and each one after it, goes wrong. A step is one
/// call into the endpoint or into what it made.
pub struct Faulty {
    inner: Arc<dyn Endpoint>,
    steps: Steps,
}

#[derive(Clone)]
struct Steps {
    taken: Arc<AtomicUsize>,
    at: usize,
    fault: Fault,
}

impl Faulty {
    /// `inner`, whose step `at`, counted from 1, meets `fault`.
    pub fn new(inner: Arc<dyn Endpoint>, at: usize, fault: Fault) -> Self {
        Self { inner, steps: Steps { taken: Arc::default(), at, fault } }
    }

    /// How many steps were taken.
    pub fn steps(&self) -> usize {
        self.steps.taken.load(Ordering::Relaxed)
    }
}

impl Steps {
    async fn take<T>(&self, cx: &Cx, step: impl Future<Output = Result<T>>) -> Result<T> {
        let number = self.taken.fetch_add(1, Ordering::Relaxed) + 1;
        if number < self.at {
            return step.await;
        }
        let failed = |kind| Error::new(kind, "E-INTERNAL", format!("step {number} goes wrong"));
        match self.fault {
            Fault::Fail(kind) => Err(failed(kind)),
            Fault::Cancel => {
                cx.cancel.cancel();
                step.await
            }
            Fault::Stall => {
                cx.cancel.cancelled().await;
                Err(Error::cancelled())
            }
            Fault::Forget => {
                step.await?;
                Err(failed(ErrorKind::Unreachable))
            }
        }
    }
}

#[async_trait]
impl Endpoint for Faulty {
    async fn probe(&self, cx: &Cx) -> Result<Probe> {
        self.steps.take(cx, self.inner.probe(cx)).await
    }

    async fn discover(&self, cx: &Cx) -> Result<Vec<StreamSpec>> {
        self.steps.take(cx, self.inner.discover(cx)).await
    }

    async fn source(&self, cx: &Cx, request: ReadRequest) -> Result<Box<dyn Source>> {
        let inner = self.steps.take(cx, self.inner.source(cx, request)).await?;
        Ok(Box::new(FaultySource { inner, steps: self.steps.clone() }))
    }

    async fn sink(&self, cx: &Cx, request: WriteRequest) -> Result<Box<dyn Sink>> {
        let inner = self.steps.take(cx, self.inner.sink(cx, request)).await?;
        Ok(Box::new(FaultySink { inner, steps: self.steps.clone() }))
    }

    async fn loader(&self, cx: &Cx, request: LoadRequest) -> Result<Box<dyn Loader>> {
        let inner = self.steps.take(cx, self.inner.loader(cx, request)).await?;
        Ok(Box::new(FaultyLoader { inner, steps: self.steps.clone() }))
    }
}

struct FaultySource {
    inner: Box<dyn Source>,
    steps: Steps,
}

#[async_trait]
impl Source for FaultySource {
    async fn next(&mut self, cx: &Cx) -> Result<Option<Event>> {
        self.steps.take(cx, self.inner.next(cx)).await
    }

    async fn acknowledge(&mut self, cx: &Cx, checkpoint: &Checkpoint) -> Result<()> {
        self.steps.take(cx, self.inner.acknowledge(cx, checkpoint)).await
    }
}

struct FaultySink {
    inner: Box<dyn Sink>,
    steps: Steps,
}

#[async_trait]
impl Sink for FaultySink {
    fn is_repeatable(&self) -> bool {
        self.inner.is_repeatable()
    }

    fn at_once(&self) -> u32 {
        self.inner.at_once()
    }

    async fn write(&mut self, cx: &Cx, batch: WriteBatch) -> Result<Receipt> {
        self.steps.take(cx, self.inner.write(cx, batch)).await
    }

    async fn lookup(&mut self, cx: &Cx, batch: &WriteBatch) -> Result<Receipt> {
        self.steps.take(cx, self.inner.lookup(cx, batch)).await
    }
}

struct FaultyLoader {
    inner: Box<dyn Loader>,
    steps: Steps,
}

#[async_trait]
impl Loader for FaultyLoader {
    async fn write(&mut self, cx: &Cx, batch: RecordBatch) -> Result<()> {
        self.steps.take(cx, self.inner.write(cx, batch)).await
    }

    async fn finish(self: Box<Self>, cx: &Cx) -> Result<u64> {
        let Self { inner, steps } = *self;
        steps.take(cx, inner.finish(cx)).await
    }
}
