//! Reading streams one after another, page by page.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use chrono_tz::Tz;
use huiliu_sdk::{Checkpoint, Cx, Error, Event, Result, Scope, Source};

use crate::plan::StreamPlan;
use crate::reading::{Reading, receipts};
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
    plans: Vec<Arc<StreamPlan>>,
    /// The checkpoint for which receipts were sent last.
    acknowledged: Option<Checkpoint>,
    failed: bool,
}

impl HttpSource {
    pub(crate) fn new(
        session: Arc<Session>,
        hub_zone: Tz,
        streams: Vec<Wanted>,
        row_limit: Option<u64>,
    ) -> Self {
        let plans = streams.iter().map(|wanted| Arc::clone(&wanted.plan)).collect();
        let (waiting, current, acknowledged, failed) = (streams.into(), None, None, false);
        Self { session, hub_zone, waiting, row_limit, current, plans, acknowledged, failed }
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
            let (zone, limit) = (self.hub_zone, self.row_limit);
            // The hub may have ended between its last commit and the receipts for it.
            if let (Some(receipt), Some(last), None) = (&wanted.plan.receipt, &wanted.resume, limit)
            {
                receipt.send(cx, &session, &receipts(last)).await?;
            }
            let streams = (wanted.plan, wanted.parent);
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

    /// Tells the system which records the hub has.
    async fn acknowledge(&mut self, cx: &Cx, checkpoint: &Checkpoint) -> Result<()> {
        let Scope::Stream(id) = &checkpoint.scope else { return Ok(()) };
        let plan = self.plans.iter().find(|plan| plan.id == *id);
        let Some(receipt) = plan.and_then(|plan| plan.receipt.as_ref()) else { return Ok(()) };
        if self.acknowledged.as_ref() == Some(checkpoint) {
            return Ok(());
        }
        let ids = receipts(checkpoint);
        receipt.send(cx, &self.session, &ids).await?;
        self.acknowledged = Some(checkpoint.clone());
        if let Some(reading) = self.current.as_mut().filter(|reading| reading.plan().id == *id) {
            reading.told(&ids);
        }
        Ok(())
    }
}
