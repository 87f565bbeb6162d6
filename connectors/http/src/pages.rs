//! Which page comes next, and when the pages end.

use std::collections::HashSet;

use huiliu_httpkit::Url;
use huiliu_sdk::{Error, ErrorKind, Result};
use serde_json::Value;

use crate::call::{Draft, Values};
use crate::config::PaginationOptions;
use crate::hosts::Hosts;
use crate::link;
use crate::page::Page;
use crate::plan::StreamPlan;
use crate::pointer::scalar;

/// What follows after a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// There may be another page.
    More,
    /// It was the last page.
    Last,
    /// It was the last page once more, as some servers answer beyond the end; it does not count.
    Repeat,
}

/// The position in a stream's pages.
pub(crate) struct Pages {
    size: Option<u64>,
    /// Pages received.
    pub(crate) received: u64,
    /// Records received.
    pub(crate) rows: u64,
    /// Records the server says there are, by the last page that said so.
    pub(crate) total: Option<u64>,
    last_print: Option<u64>,
    token: Option<String>,
    /// The address of the next page, where the server gives it.
    link: Option<Url>,
    used: HashSet<String>,
}

impl Pages {
    /// The position before the first page. No page asks for more than `cap` records.
    pub(crate) fn new(plan: &StreamPlan, cap: Option<u64>) -> Self {
        let size = match &plan.pagination {
            Some(
                PaginationOptions::Page { page_size, .. }
                | PaginationOptions::Offset { page_size, .. },
            ) => Some(*page_size),
            Some(
                PaginationOptions::Cursor { page_size, .. }
                | PaginationOptions::Link { page_size, .. },
            ) => *page_size,
            None => None,
        };
        let size = size.map(u64::from);
        Self {
            size: size.map(|size| cap.map_or(size, |cap| size.min(cap.max(1)))),
            received: 0,
            rows: 0,
            total: None,
            last_print: None,
            token: None,
            link: None,
            used: HashSet::new(),
        }
    }

    /// The request for the next page.
    pub(crate) fn draft(
        &self,
        plan: &StreamPlan,
        values: &Values,
        also: &[(String, Value)],
    ) -> Result<Draft> {
        let mut parameters = self.parameters(plan);
        parameters.extend_from_slice(also);
        let mut draft = plan.call.draft(values, &parameters)?;
        if let Some(link) = &self.link {
            // The link holds all parameters, as the server wants them.
            draft.url = link.clone();
        }
        Ok(draft)
    }

    fn parameters(&self, plan: &StreamPlan) -> Vec<(String, Value)> {
        let mut parameters = Vec::new();
        let size_name = match &plan.pagination {
            None => return parameters,
            Some(PaginationOptions::Page { page, size, first, .. }) => {
                parameters.push((page.clone(), (u64::from(*first) + self.received).into()));
                size
            }
            Some(PaginationOptions::Offset { offset, limit, .. }) => {
                parameters.push((offset.clone(), self.rows.into()));
                limit
            }
            Some(PaginationOptions::Cursor { param, size, .. }) => {
                if let Some(token) = &self.token {
                    parameters.push((param.clone(), token.as_str().into()));
                }
                size
            }
            Some(PaginationOptions::Link { size, .. }) => size,
        };
        if let (Some(name), Some(size)) = (size_name, self.size) {
            parameters.push((name.clone(), size.into()));
        }
        parameters
    }

    /// Takes note of `page`, which came from `url`, and says what follows.
    pub(crate) fn advance(
        &mut self,
        plan: &StreamPlan,
        hosts: &Hosts,
        url: &Url,
        page: &Page,
    ) -> Result<Step> {
        self.note_total(plan, page)?;
        let step = match &plan.pagination {
            None => Step::Last,
            Some(PaginationOptions::Cursor { .. }) => self.follow_token(plan, page)?,
            Some(PaginationOptions::Link { .. }) => self.follow_link(plan, hosts, url, page)?,
            Some(_) => self.count(plan, page)?,
        };
        if step != Step::Repeat {
            self.received += 1;
            self.rows += page.len() as u64;
            self.last_print = Some(page.print);
        }
        if step == Step::More && self.received >= plan.max_pages {
            let message = format!("{}: more than {} pages", page.request, plan.max_pages);
            return Err(Error::new(ErrorKind::Data, "E-PAGES", message)
                .hint("raise max_pages if the list is really that long"));
        }
        Ok(step)
    }

    fn note_total(&mut self, plan: &StreamPlan, page: &Page) -> Result<()> {
        let Some(total) = plan.total.as_ref() else { return Ok(()) };
        let said = total.text(&page.rest).and_then(|text| text.parse().ok());
        // Some servers say it on the first page only.
        self.total = Some(said.or(self.total).ok_or_else(|| {
            Error::new(
                ErrorKind::Schema,
                "E-SHAPE",
                format!("{}: no count at /{}", page.request, total.0.join("/")),
            )
            .hint("check total")
        })?);
        Ok(())
    }

    /// By token: the list ends where no token follows.
    fn follow_token(&mut self, plan: &StreamPlan, page: &Page) -> Result<Step> {
        let in_header = plan.next_header.as_deref().and_then(|name| page.answer.header(name));
        let in_body = plan.next.as_ref().and_then(|next| next.get(&page.rest)).and_then(scalar);
        let token = in_body.or(in_header.map(str::to_owned)).filter(|token| !token.is_empty());
        let Some(token) = token else { return Ok(Step::Last) };
        if !self.used.insert(token.clone()) {
            return Err(looping(page, "the page's next token was used before"));
        }
        self.token = Some(token);
        Ok(Step::More)
    }

    /// By link: the list ends where no link follows.
    fn follow_link(
        &mut self,
        plan: &StreamPlan,
        hosts: &Hosts,
        url: &Url,
        page: &Page,
    ) -> Result<Step> {
        let text = match &plan.next {
            Some(next) => next.text(&page.rest),
            None => link::next(page.answer.headers("link")).map(str::to_owned),
        };
        let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(Step::Last) };
        let target = url.join(&text).map_err(|_| {
            let message = format!("{}: the link to the next page is no address", page.request);
            Error::new(ErrorKind::Schema, "E-SHAPE", message).hint("check pagination.next")
        })?;
        hosts.check(&page.request, &target)?;
        self.used.insert(url.to_string());
        if self.used.contains(target.as_str()) {
            return Err(looping(page, "the link to the next page leads back"));
        }
        self.link = Some(target);
        Ok(Step::More)
    }

    /// By number or offset: the list ends at the total, where the server says so, or at an empty
    /// page. A short page does not end it, because servers cap the page size without a word and
    /// leave out records after they have cut the page.
    fn count(&self, plan: &StreamPlan, page: &Page) -> Result<Step> {
        let more = plan.more.as_ref().and_then(|place| place.text(&page.rest));
        let more = more.map(|text| matches!(text.as_str(), "true" | "1" | "Y" | "y"));
        if page.len() == 0 {
            if more == Some(true) {
                return Err(looping(page, "an empty page, and the server says there are more"));
            }
            return Ok(Step::Last);
        }
        if self.last_print == Some(page.print) {
            let full = self.size.is_some_and(|size| page.len() as u64 >= size);
            if self.total.is_none() && more.is_none() && !full {
                return Ok(Step::Repeat);
            }
            return Err(looping(page, "the server sent the same page twice"));
        }
        let rows = self.rows + page.len() as u64;
        Ok(match (more, self.total) {
            (Some(false), _) => Step::Last,
            (_, Some(total)) if rows >= total => Step::Last,
            _ => Step::More,
        })
    }

    /// Fails if the server said there are more or fewer records than it sent.
    pub(crate) fn check_total(&self, plan: &StreamPlan) -> Result<()> {
        match self.total {
            Some(total) if total != self.rows => Err(Error::new(
                ErrorKind::Data,
                "E-TRUNCATED",
                format!("{}: {} records read, the server says {total}", plan.path, self.rows),
            )
            .hint("the list may have changed while it was read: run again")),
            _ => Ok(()),
        }
    }
}

fn looping(page: &Page, what: &str) -> Error {
    Error::new(ErrorKind::Data, "E-LOOP", format!("{}: {what}", page.request))
        .hint("check the parameter names under pagination")
}
