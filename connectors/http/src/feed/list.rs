//! One list, page by page.

use huiliu_sdk::{Cx, Result};

use super::{Outlet, Part, Reader};
use crate::call::{Draft, Values};
use crate::page::Page;
use crate::pages::{Pages, Step};
use crate::plan::StreamPlan;
use crate::session::Session;

/// One list being read.
pub(crate) struct List {
    reader: Reader,
    values: Values,
    pub(crate) pages: Pages,
    ended: bool,
}

impl List {
    /// The list of the stream, or that of one parent's `values`.
    pub(crate) fn new(reader: Reader, values: Values) -> Self {
        let pages = Pages::new(&reader.plan, reader.row_limit);
        Self { reader, values, pages, ended: false }
    }

    /// The next page, or nothing at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Page>> {
        let Reader { cx, session, plan, parameters, row_limit } = &self.reader;
        if self.ended || row_limit.is_some_and(|limit| self.pages.rows >= limit) {
            return Ok(None);
        }
        let draft = self.pages.draft(plan, &self.values, parameters)?;
        let page = fetch(cx, session, plan, &draft).await?;
        let step = self.pages.advance(plan, session.hosts(), &draft.url, &page)?;
        self.ended = step != Step::More;
        if self.ended && row_limit.is_none_or(|limit| self.pages.rows < limit) {
            self.pages.check_total(plan)?;
        }
        Ok((step != Step::Repeat).then_some(page))
    }
}

/// Reads the stream's list.
pub(crate) async fn run(reader: Reader, outlet: &Outlet) -> Result<()> {
    let path = reader.plan.path.clone();
    let mut list = List::new(reader, Values::new());
    while let Some(room) = outlet.room().await {
        let Some(page) = list.next().await? else { break };
        let origin = format!("{path} page {}", list.pages.received).into();
        room.send(Part { page, origin, mark: None });
    }
    Ok(())
}

/// Fetches one page: a complete answer in which the stream's conditions hold.
pub(crate) async fn fetch(
    cx: &Cx,
    session: &Session,
    plan: &StreamPlan,
    draft: &Draft,
) -> Result<Page> {
    let read = |answer: &huiliu_httpkit::Answer| {
        let page = Page::split(answer, &plan.records, plan.answer.lists_are_loose())?;
        plan.success.check(session, &page.request, &page.rest)?;
        page.require_list(&plan.records)?;
        Ok(page)
    };
    Ok(session.ask(cx, draft, &plan.answer, read).await?)
}
