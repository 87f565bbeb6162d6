//! Streams one after the other, each in its own way.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use huiliu_sdk::{
    Checkpoint, Cx, Error, ErrorKind, Event, ReadRequest, Relay, Result, Scope, Source, StreamId,
    Window,
};

use crate::config::{Mode, Settings, Stream};
use crate::flagged::Flagged;
use crate::reader::{self, Plan};

/// A read in progress.
pub(crate) struct PostgresSource {
    settings: Arc<Settings>,
    waiting: VecDeque<Plan>,
    reading: Option<Reading>,
    /// Reads that ended and may still have to mark what they sent.
    ended: Vec<(StreamId, Box<Flagged>)>,
}

enum Reading {
    Ahead(Relay),
    Flagged(StreamId, Box<Flagged>),
}

/// Checks what is asked for. Connections are made when the first event is.
pub(crate) fn start(settings: &Arc<Settings>, request: &ReadRequest) -> Result<PostgresSource> {
    let mut waiting = VecDeque::with_capacity(request.streams.len());
    for wanted in &request.streams {
        let stream = settings.streams.iter().find(|stream| stream.id == wanted.stream);
        let stream = stream.ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                "E-STREAM",
                format!("stream `{}` is not configured", wanted.stream),
            )
        })?;
        waiting.push_back(Plan {
            stream: Arc::new(stream.clone()),
            resume: wanted.resume.clone(),
            row_limit: request.row_limit,
            window: None,
        });
    }
    Ok(PostgresSource::of(settings, waiting))
}

/// Checks what is asked for: the part of a stream that lies in `window`.
pub(crate) fn start_window(
    settings: &Arc<Settings>,
    stream: &StreamId,
    window: &Window,
) -> Result<PostgresSource> {
    let with_cursor =
        |known: &&Stream| known.id == *stream && matches!(known.mode, Mode::Incremental { .. });
    let known = settings.streams.iter().find(with_cursor);
    let known =
        known.ok_or_else(|| Error::unsupported("reading a part of a stream without a cursor"))?;
    let plan = Plan {
        stream: Arc::new(known.clone()),
        resume: None,
        row_limit: None,
        window: Some(window.clone()),
    };
    Ok(PostgresSource::of(settings, VecDeque::from([plan])))
}

impl PostgresSource {
    fn of(settings: &Arc<Settings>, waiting: VecDeque<Plan>) -> Self {
        Self { settings: Arc::clone(settings), waiting, reading: None, ended: Vec::new() }
    }
}

#[async_trait]
impl Source for PostgresSource {
    async fn next(&mut self, cx: &Cx) -> Result<Option<Event>> {
        loop {
            cx.check()?;
            let event = match &mut self.reading {
                Some(Reading::Ahead(relay)) => relay.next(cx).await?,
                Some(Reading::Flagged(_, flagged)) => Box::pin(flagged.next(cx)).await?,
                None => None,
            };
            if event.is_some() {
                return Ok(event);
            }
            if let Some(Reading::Flagged(stream, flagged)) = self.reading.take() {
                self.ended.push((stream, flagged));
            }
            let Some(plan) = self.waiting.pop_front() else { return Ok(None) };
            let stream = &plan.stream;
            self.reading = Some(match &stream.mode {
                Mode::Flagged(flag) => Reading::Flagged(
                    stream.id.clone(),
                    Box::new(Flagged::new(&self.settings, stream, flag, plan.row_limit)),
                ),
                Mode::Full | Mode::Incremental { .. } => {
                    Reading::Ahead(reader::start(&self.settings, cx, plan))
                }
            });
        }
    }

    async fn acknowledge(&mut self, cx: &Cx, checkpoint: &Checkpoint) -> Result<()> {
        let Scope::Stream(wanted) = &checkpoint.scope else { return Ok(()) };
        let reading = match &mut self.reading {
            Some(Reading::Flagged(stream, flagged)) => Some((&*stream, flagged)),
            _ => None,
        };
        let ended = self.ended.iter_mut().map(|(stream, flagged)| (&*stream, flagged));
        let found = reading.into_iter().chain(ended).find(|(stream, _)| *stream == wanted);
        match found {
            Some((_, flagged)) => Box::pin(flagged.acknowledge(cx, checkpoint)).await,
            None => Ok(()),
        }
    }
}
