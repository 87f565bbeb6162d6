//! Streams of one system that are read together, by one source.
//!
//! Each stream keeps its own mover, lease, state and balance. What they share is the source: it
//! speaks when all who take part have asked for it, each hears what is said of its stream, and a
//! checkpoint is said to all. Who has to read anew (columns that changed, an attempt that broke off)
//! asks again, and waits until the others have come to their end or ask as well.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use huiliu_sdk::{
    Checkpoint, Cx, Endpoint, Error, Event, ReadRequest, Result, Scope, Source, StreamId,
    StreamRequest,
};
use tokio::sync::{mpsc, oneshot};

use crate::stop::in_time;

/// Events that may wait for one stream; with their size this bounds memory.
const EVENTS_AHEAD: usize = 2;

/// What those who take part say.
enum Word {
    Ask(Ask),
    Leave,
}

struct Ask {
    stream: StreamRequest,
    answer: oneshot::Sender<Result<Box<dyn Source>>>,
}

/// A stream's place in a shared read.
pub(crate) struct Seat {
    words: mpsc::Sender<Word>,
}

impl Seat {
    /// What the shared source says of this stream, once all others have asked for it as well or
    /// are at their end.
    pub(crate) async fn source(&self, cx: &Cx, stream: StreamRequest) -> Result<Box<dyn Source>> {
        let (answer, opened) = oneshot::channel();
        let gone = |_| Error::internal("a shared read has ended");
        self.words.send(Word::Ask(Ask { stream, answer })).await.map_err(gone)?;
        tokio::select! {
            biased;
            () = cx.cancel.cancelled() => Err(Error::cancelled()),
            opened = opened => opened.map_err(|_| Error::internal("a shared read has ended"))?,
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        // There is room for one question and one farewell of each.
        drop(self.words.try_send(Word::Leave));
    }
}

/// Where the seats of a shared read are.
pub(crate) struct Table {
    words: mpsc::Receiver<Word>,
    seats: usize,
}

impl Table {
    /// A table for so many streams, and their seats.
    pub(crate) fn for_streams(count: usize) -> (Self, Vec<Seat>) {
        let (words, heard) = mpsc::channel(2 * count.max(1));
        let seats = (0..count).map(|_| Seat { words: words.clone() }).collect();
        (Self { words: heard, seats: count }, seats)
    }

    /// Opens sources and hands on what they say, until all have left. The system may say nothing
    /// for as long as `silence`.
    pub(crate) async fn serve(mut self, cx: &Cx, silence: Duration, endpoint: &dyn Endpoint) {
        loop {
            let asked = self.gather().await;
            if asked.is_empty() {
                return;
            }
            let streams = asked.iter().map(|ask| ask.stream.clone()).collect();
            let request = ReadRequest { streams, row_limit: None };
            match in_time(cx, silence, endpoint.source(cx, request)).await {
                Ok(source) => Box::pin(Round::begin(source, asked).run(cx, silence)).await,
                Err(error) => {
                    for ask in asked {
                        drop(ask.answer.send(Err(repeated(&error))));
                    }
                }
            }
        }
    }

    /// The questions of all who have not left.
    async fn gather(&mut self) -> Vec<Ask> {
        let mut asked = Vec::new();
        while asked.len() < self.seats {
            match self.words.recv().await {
                Some(Word::Ask(ask)) => asked.push(ask),
                Some(Word::Leave) => self.seats -= 1,
                None => break,
            }
        }
        asked
    }
}

/// One source and those who listen to it.
struct Round {
    source: Box<dyn Source>,
    listeners: Vec<Listener>,
    /// The checkpoints that were said and are not acknowledged, and the number of the first.
    said: std::collections::VecDeque<Checkpoint>,
    first: u64,
}

struct Listener {
    stream: StreamId,
    /// An event with the number of checkpoints said so far; nothing at the end.
    events: mpsc::Sender<Result<Option<(u64, Event)>>>,
    /// How many checkpoints it has committed. One who gave up keeps all later ones from being
    /// acknowledged.
    committed: Arc<AtomicU64>,
}

impl Round {
    fn begin(source: Box<dyn Source>, asked: Vec<Ask>) -> Self {
        let mut listeners = Vec::with_capacity(asked.len());
        for Ask { stream, answer } in asked {
            let (events, heard) = mpsc::channel(EVENTS_AHEAD);
            let committed = Arc::new(AtomicU64::new(0));
            let share = Share { events: heard, said: 0, committed: Arc::clone(&committed) };
            // Who has stopped waiting does not listen.
            drop(answer.send(Ok(Box::new(share))));
            listeners.push(Listener { stream: stream.stream, events, committed });
        }
        Self { source, listeners, said: std::collections::VecDeque::new(), first: 1 }
    }

    async fn run(mut self, cx: &Cx, silence: Duration) {
        let ended = self.hand_on_all(cx, silence).await;
        for listener in &self.listeners {
            let last = match &ended {
                Ok(()) => Ok(None),
                Err(error) => Err(repeated(error)),
            };
            drop(listener.events.send(last).await);
        }
        for listener in &self.listeners {
            listener.events.closed().await;
        }
        if let Err(error) = self.acknowledge(cx, silence).await {
            tracing::warn!(%error, "the source of a shared read could not be told of its end");
        }
    }

    async fn hand_on_all(&mut self, cx: &Cx, silence: Duration) -> Result<()> {
        while self.listeners.iter().any(|listener| !listener.events.is_closed()) {
            match in_time(cx, silence, self.source.next(cx)).await? {
                Some(event) => self.hand_on(event).await?,
                None => break,
            }
            self.acknowledge(cx, silence).await?;
        }
        Ok(())
    }

    async fn hand_on(&mut self, event: Event) -> Result<()> {
        let stream = match &event {
            Event::Schema(stream, _)
            | Event::Keys(stream, _)
            | Event::Note(stream, _)
            | Event::End { stream, .. } => Some(stream),
            Event::Rows(rows) => Some(&rows.stream),
            Event::Checkpoint(checkpoint) => {
                if checkpoint.scope != Scope::Shared {
                    return Err(Error::internal("a shared read has a checkpoint of one stream"));
                }
                self.said.push_back(checkpoint.clone());
                None
            }
        };
        let number = self.first - 1 + self.said.len() as u64;
        let Some(stream) = stream else {
            for listener in &self.listeners {
                // Who has given up does not hear it.
                drop(listener.events.send(Ok(Some((number, event.clone())))).await);
            }
            return Ok(());
        };
        let listener = self.listeners.iter().find(|listener| listener.stream == *stream);
        let listener = listener
            .ok_or_else(|| Error::internal("the source speaks of a stream nobody asked for"))?;
        drop(listener.events.send(Ok(Some((number, event)))).await);
        Ok(())
    }

    /// Tells the source what all have committed.
    async fn acknowledge(&mut self, cx: &Cx, silence: Duration) -> Result<()> {
        let committed = self.listeners.iter();
        let committed = committed.map(|listener| listener.committed.load(Ordering::Acquire)).min();
        let mut last = None;
        while self.first <= committed.unwrap_or(0) {
            last = self.said.pop_front();
            self.first += 1;
        }
        match last {
            Some(last) => in_time(cx, silence, self.source.acknowledge(cx, &last)).await,
            None => Ok(()),
        }
    }
}

/// What one stream hears of a shared source.
struct Share {
    events: mpsc::Receiver<Result<Option<(u64, Event)>>>,
    /// Checkpoints heard so far.
    said: u64,
    committed: Arc<AtomicU64>,
}

#[async_trait]
impl Source for Share {
    async fn next(&mut self, cx: &Cx) -> Result<Option<Event>> {
        let heard = tokio::select! {
            biased;
            () = cx.cancel.cancelled() => return Err(Error::cancelled()),
            heard = self.events.recv() => heard,
        };
        let heard = heard.ok_or_else(|| Error::internal("a shared read broke off"))??;
        Ok(heard.map(|(said, event)| {
            self.said = said;
            event
        }))
    }

    /// The mover acknowledges the last checkpoint that it was given.
    async fn acknowledge(&mut self, _cx: &Cx, _checkpoint: &Checkpoint) -> Result<()> {
        self.committed.store(self.said, Ordering::Release);
        Ok(())
    }
}

/// An error for one more of those whom it concerns.
pub(crate) fn repeated(error: &Error) -> Error {
    let mut again = Error::new(error.kind(), error.code(), error.to_string());
    if let Some(hint) = error.hint_text() {
        again = again.hint(hint);
    }
    match error.retry_after().and_then(|wait| u64::try_from(wait.as_millis()).ok()) {
        Some(wait) => again.retry_after_ms(wait),
        None => again,
    }
}
