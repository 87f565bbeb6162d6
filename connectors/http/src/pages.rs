//! Which page comes next, and when the pages end.

use std::collections::HashSet;

use huiliu_sdk::{Error, ErrorKind, Result};
use serde_json::Value;

use crate::config::PaginationOptions;
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
    largest: usize,
    last_print: Option<u64>,
    token: Option<String>,
    used: HashSet<String>,
}

impl Pages {
    /// The position before the first page. No page asks for more than `cap` records.
    pub(crate) fn new(plan: &StreamPlan, cap: Option<u64>) -> Self {
        let size = match &plan.pagination {
            Some(
                PaginationOptions::Page { page_size, .. }
                | PaginationOptions::Offset { page_size, .. },
            ) => Some(u64::from(*page_size)),
            Some(PaginationOptions::Cursor { page_size, .. }) => page_size.map(u64::from),
            None => None,
        };
        Self {
            size: size.map(|size| cap.map_or(size, |cap| size.min(cap.max(1)))),
            received: 0,
            rows: 0,
            total: None,
            largest: 0,
            last_print: None,
            token: None,
            used: HashSet::new(),
        }
    }

    /// The parameters that ask for the next page.
    pub(crate) fn parameters(&self, plan: &StreamPlan) -> Vec<(String, Value)> {
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
        };
        if let (Some(name), Some(size)) = (size_name, self.size) {
            parameters.push((name.clone(), size.into()));
        }
        parameters
    }

    /// Takes note of `page` and says what follows.
    pub(crate) fn advance(&mut self, plan: &StreamPlan, page: &Page) -> Result<Step> {
        if let Some(total) = plan.total.as_ref() {
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
        }
        let step = match &plan.pagination {
            None => Step::Last,
            Some(PaginationOptions::Cursor { .. }) => self.follow(plan, page)?,
            Some(_) => self.count(page)?,
        };
        if step != Step::Repeat {
            self.received += 1;
            self.rows += page.len() as u64;
            self.largest = self.largest.max(page.len());
            self.last_print = Some(page.print);
        }
        Ok(step)
    }

    /// By token: the list ends where no token follows.
    fn follow(&mut self, plan: &StreamPlan, page: &Page) -> Result<Step> {
        let token = plan.next.get(&page.rest).and_then(scalar).filter(|token| !token.is_empty());
        let Some(token) = token else { return Ok(Step::Last) };
        if !self.used.insert(token.clone()) {
            return Err(looping(page, "the page's next token was used before"));
        }
        self.token = Some(token);
        Ok(Step::More)
    }

    /// By number or offset: the list ends at the total, or where pages get shorter. A first page
    /// that is short does not end it, because servers cap the page size without a word.
    fn count(&self, page: &Page) -> Result<Step> {
        if page.len() == 0 {
            return Ok(Step::Last);
        }
        let full = self.size.is_some_and(|size| page.len() as u64 >= size);
        if self.last_print == Some(page.print) {
            if self.total.is_none() && !full {
                return Ok(Step::Repeat);
            }
            return Err(looping(page, "the server sent the same page twice"));
        }
        let rows = self.rows + page.len() as u64;
        match self.total {
            Some(total) if rows >= total => Ok(Step::Last),
            None if page.len() < self.largest => Ok(Step::Last),
            _ => Ok(Step::More),
        }
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
