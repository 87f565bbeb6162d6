//! One configured HTTP system.

use std::sync::Arc;

use async_trait::async_trait;
use chrono_tz::Tz;
use huiliu_httpkit::{Answer, Method, Url};
use huiliu_sdk::{
    ColumnSpec, Cx, Endpoint, Error, ErrorKind, Probe, ReadRequest, Result, Sink, Source, StreamId,
    StreamSpec, WriteRequest,
};

use crate::body::AnswerPlan;
use crate::call::{Draft, Values};
use crate::feed::{Feed, List, Reader};
use crate::guess;
use crate::page::Page;
use crate::plan::StreamPlan;
use crate::push::PushPlan;
use crate::session::Session;
use crate::sink::HttpSink;
use crate::source::{HttpSource, Wanted};

/// Records asked for to learn what a stream looks like.
const SAMPLE: u64 = 100;

/// One configured HTTP system.
pub(crate) struct HttpEndpoint {
    session: Arc<Session>,
    base: Url,
    hub_zone: Tz,
    streams: Vec<Arc<StreamPlan>>,
    pushes: Vec<Arc<PushPlan>>,
}

impl HttpEndpoint {
    pub(crate) fn new(
        session: Session,
        base: Url,
        hub_zone: Tz,
        streams: Vec<StreamPlan>,
        pushes: Vec<PushPlan>,
    ) -> Self {
        Self {
            session: Arc::new(session),
            base,
            hub_zone,
            streams: streams.into_iter().map(Arc::new).collect(),
            pushes: pushes.into_iter().map(Arc::new).collect(),
        }
    }

    fn parent_of(&self, plan: &StreamPlan) -> Option<Arc<StreamPlan>> {
        let parent = plan.parent.as_ref()?;
        self.streams.iter().find(|other| other.id.as_str() == parent.stream).cloned()
    }

    /// The first page of a stream with records in it, and how many records there are.
    async fn sample(
        &self,
        cx: &Cx,
        plan: &Arc<StreamPlan>,
        rows: u64,
    ) -> Result<(Option<Page>, Option<u64>)> {
        let reader = Reader {
            cx: cx.clone(),
            session: Arc::clone(&self.session),
            plan: Arc::clone(plan),
            parameters: Vec::new(),
            row_limit: Some(rows),
        };
        if let Some(parent) = self.parent_of(plan) {
            let mut feed = Feed::start(reader, Some(parent), None);
            while let Some(part) = feed.next(cx).await? {
                if part.page.len() > 0 {
                    return Ok((Some(part.page), None));
                }
            }
            return Ok((None, None));
        }
        let mut list = List::new(reader, Values::new());
        let page = list.next().await?;
        Ok((page, list.pages.total))
    }

    async fn describe(&self, cx: &Cx, plan: &Arc<StreamPlan>) -> Result<StreamSpec> {
        // Asking for a file would change something at the system.
        let (page, row_estimate) = match &plan.job {
            Some(_) => (None, None),
            None => self.sample(cx, plan, SAMPLE).await?,
        };
        let columns = guess::columns(page.as_ref(), &plan.columns);
        let timed = |(name, spec): &(String, ColumnSpec)| {
            (spec.data_type.as_deref() == Some("timestamp")).then(|| name.clone())
        };
        Ok(StreamSpec {
            name: plan.id.as_str().to_owned(),
            options: plan.options.clone(),
            cursors: columns.iter().filter_map(timed).collect(),
            changed: None,
            columns,
            key: plan.key.clone(),
            row_estimate,
        })
    }
}

#[async_trait]
impl Endpoint for HttpEndpoint {
    async fn probe(&self, cx: &Cx) -> Result<Probe> {
        let plain = |plan: &&Arc<StreamPlan>| plan.parent.is_none() && plan.job.is_none();
        let Some(plan) = self.streams.iter().find(plain) else {
            let request = Draft::new(Method::GET, self.base.clone());
            let read = |answer: &Answer| Ok(format!("HTTP {}", answer.status()));
            return match self.session.ask(cx, &request, &AnswerPlan::anything(), read).await {
                Ok(summary) => Ok(Probe { summary }),
                // Nobody promised that there is something at the base address itself.
                Err(failure) if matches!(failure.status, Some(404 | 405)) => {
                    Ok(Probe { summary: "answers, with nothing at its base address".to_owned() })
                }
                Err(failure) => Err(failure.error),
            };
        };
        let (_, total) = self.sample(cx, plan, 1).await?;
        let summary = match total {
            Some(total) => format!("stream {} has {total} records", plan.id),
            None => format!("stream {} answers", plan.id),
        };
        Ok(Probe { summary })
    }

    async fn discover(&self, cx: &Cx) -> Result<Vec<StreamSpec>> {
        let mut streams = Vec::new();
        for plan in &self.streams {
            let described = self.describe(cx, plan).await;
            streams.push(described.map_err(|error| error.context(&plan.id))?);
        }
        Ok(streams)
    }

    async fn source(&self, _cx: &Cx, request: ReadRequest) -> Result<Box<dyn Source>> {
        let mut streams = Vec::new();
        for wanted in request.streams {
            let plan = self.streams.iter().find(|plan| plan.id == wanted.stream);
            let plan = plan.ok_or_else(|| missing("stream", &wanted.stream))?;
            let (plan, parent) = (Arc::clone(plan), self.parent_of(plan));
            streams.push(Wanted { plan, parent, resume: wanted.resume });
        }
        let session = Arc::clone(&self.session);
        Ok(Box::new(HttpSource::new(session, self.hub_zone, streams, request.row_limit)))
    }

    async fn sink(&self, _cx: &Cx, request: WriteRequest) -> Result<Box<dyn Sink>> {
        let plan = self.pushes.iter().find(|plan| plan.id == request.push);
        let plan = plan.ok_or_else(|| missing("push", &request.push))?;
        Ok(Box::new(HttpSink::new(Arc::clone(&self.session), Arc::clone(plan))))
    }
}

fn missing(what: &str, id: &StreamId) -> Error {
    Error::new(ErrorKind::Config, "E-STREAM", format!("there is no {what} `{id}` in this system"))
}
