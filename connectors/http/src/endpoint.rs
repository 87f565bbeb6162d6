//! One configured HTTP system.

use std::sync::Arc;

use async_trait::async_trait;
use chrono_tz::Tz;
use huiliu_httpkit::{Method, Request, Url};
use huiliu_sdk::{
    ColumnSpec, Cx, Endpoint, Error, ErrorKind, Probe, ReadRequest, Result, Sink, Source, StreamId,
    StreamSpec, WriteRequest,
};

use crate::guess;
use crate::pages::Pages;
use crate::plan::StreamPlan;
use crate::push::PushPlan;
use crate::session::Session;
use crate::sink::HttpSink;
use crate::source::{HttpSource, fetch};

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

    async fn describe(&self, cx: &Cx, plan: &StreamPlan) -> Result<StreamSpec> {
        let mut pages = Pages::new(plan, Some(SAMPLE));
        let page = fetch(cx, &self.session, plan, &pages.parameters(plan)).await?;
        pages.advance(plan, &page)?;
        let columns = guess::columns(&page, &plan.columns);
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
            row_estimate: pages.total,
        })
    }
}

#[async_trait]
impl Endpoint for HttpEndpoint {
    async fn probe(&self, cx: &Cx) -> Result<Probe> {
        let Some(plan) = self.streams.first() else {
            let request = Request::new(Method::GET, self.base.clone());
            return match self.session.send(cx, &request).await {
                Ok(answer) => Ok(Probe { summary: format!("HTTP {}", answer.status()) }),
                // Nobody promised that there is something at the base address itself.
                Err(failure) if matches!(failure.status, Some(404 | 405)) => {
                    Ok(Probe { summary: "answers, with nothing at its base address".to_owned() })
                }
                Err(failure) => Err(failure.error),
            };
        };
        let mut pages = Pages::new(plan, Some(1));
        let page = fetch(cx, &self.session, plan, &pages.parameters(plan)).await?;
        pages.advance(plan, &page)?;
        let summary = match pages.total {
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
            streams.push((Arc::clone(plan), wanted.resume));
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
