//! Reading streams one after another, page by page.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use chrono_tz::Tz;
use huiliu_sdk::{Checkpoint, Cx, Error, Event, Result, Source};

use crate::plan::StreamPlan;
use crate::reading::Reading;
use crate::session::Session;

/// A stream to read.
pub(crate) struct Wanted {
    pub(crate) plan: Arc<StreamPlan>,
    pub(crate) parent: Option<Arc<StreamPlan>>,
    pub(crate) resume: Option<Checkpoint>,
}

/// Reads streams one after another.
pub(crate) struct HttpSource {
    session: Arc<Session>,
    hub_zone: Tz,
    waiting: VecDeque<Wanted>,
    row_limit: Option<u64>,
    current: Option<Box<Reading>>,
    failed: bool,
}

impl HttpSource {
    pub(crate) fn new(
        session: Arc<Session>,
        hub_zone: Tz,
        streams: Vec<Wanted>,
        row_limit: Option<u64>,
    ) -> Self {
        Self { session, hub_zone, waiting: streams.into(), row_limit, current: None, failed: false }
    }

    async fn advance(&mut self, cx: &Cx) -> Result<Option<Event>> {
        loop {
            cx.check()?;
            if let Some(reading) = &mut self.current {
                if let Some(event) = reading.next(cx).await? {
                    return Ok(Some(event));
                }
                self.current = None;
            }
            let Some(wanted) = self.waiting.pop_front() else { return Ok(None) };
            let session = Arc::clone(&self.session);
            let streams = (wanted.plan, wanted.parent);
            let (zone, limit) = (self.hub_zone, self.row_limit);
            let reading = Reading::start(cx, session, zone, streams, wanted.resume, limit)?;
            self.current = Some(Box::new(reading));
        }
    }
}

#[async_trait]
impl Source for HttpSource {
    async fn next(&mut self, cx: &Cx) -> Result<Option<Event>> {
        // Going on after a failure could end a stream as complete that is not.
        if self.failed {
            return Err(Error::internal("the read failed before and cannot go on"));
        }
        let next = self.advance(cx).await;
        self.failed = next.is_err();
        next
    }
}
