//! Reading streams one after another, page by page.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use chrono_tz::Tz;
use huiliu_sdk::{Checkpoint, Cx, Error, Event, Result, Source};
use serde_json::Value;

use crate::page::Page;
use crate::plan::StreamPlan;
use crate::reading::Reading;
use crate::session::Session;

/// Reads streams one after another.
pub(crate) struct HttpSource {
    session: Arc<Session>,
    hub_zone: Tz,
    waiting: VecDeque<(Arc<StreamPlan>, Option<Checkpoint>)>,
    row_limit: Option<u64>,
    current: Option<Box<Reading>>,
    failed: bool,
}

impl HttpSource {
    pub(crate) fn new(
        session: Arc<Session>,
        hub_zone: Tz,
        streams: Vec<(Arc<StreamPlan>, Option<Checkpoint>)>,
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
            let Some((plan, resume)) = self.waiting.pop_front() else { return Ok(None) };
            let session = Arc::clone(&self.session);
            let mut reading = Reading::new(session, self.hub_zone, plan, resume, self.row_limit)?;
            reading.fetch(cx);
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

/// Fetches one page: a complete answer in which the stream's conditions hold.
pub(crate) async fn fetch(
    cx: &Cx,
    session: &Session,
    plan: &StreamPlan,
    parameters: &[(String, Value)],
) -> Result<Page> {
    let answer = session.send(cx, &plan.request(parameters)).await?;
    let page = Page::split(&answer, &plan.records)?;
    plan.success.check(session, &page.request, &page.rest)?;
    page.require_list(&plan.records)?;
    Ok(page)
}
