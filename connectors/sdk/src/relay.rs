//! A source whose reader works ahead of the caller on a thread of its own.

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::{Cx, Error, ErrorKind, Event, Result, Source};

/// Events that may wait for the caller; with [`crate::BatchLimits`] this bounds memory.
const EVENTS_AHEAD: usize = 2;

/// A read in progress on another thread, for connectors whose reading blocks or computes.
pub struct Relay {
    events: mpsc::Receiver<Result<Event>>,
    reader: Option<JoinHandle<()>>,
}

impl Relay {
    /// Runs `read` on a blocking thread. It sends what [`Source::next`] gives; a send that fails
    /// means that nobody listens any more and it should return.
    pub fn start(read: impl FnOnce(mpsc::Sender<Result<Event>>) + Send + 'static) -> Self {
        let (sender, events) = mpsc::channel(EVENTS_AHEAD);
        Self { events, reader: Some(tokio::task::spawn_blocking(move || read(sender))) }
    }
}

#[async_trait]
impl Source for Relay {
    async fn next(&mut self, cx: &Cx) -> Result<Option<Event>> {
        let event = tokio::select! {
            biased;
            () = cx.cancel.cancelled() => return Err(Error::cancelled()),
            event = self.events.recv() => event,
        };
        if let Some(event) = event {
            return event.map(Some);
        }
        // Silence is an end only if the reader came to its own.
        match self.reader.take() {
            Some(reader) => reader.await.map(|()| None).map_err(|cause| {
                let text = "the reader broke off";
                if cause.is_panic() {
                    Error::new(ErrorKind::Internal, "E-PANIC", text)
                        .hint("please report it with the log of this run")
                } else {
                    Error::internal(text).cause(cause)
                }
            }),
            None => Ok(None),
        }
    }
}
