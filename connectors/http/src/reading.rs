//! One stream being read: the next page is fetched while the records of one are read.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use chrono_tz::Tz;
use huiliu_sdk::{
    Checkpoint, ColumnType, Cx, Error, ErrorKind, Event, Ops, ReadMode, Rejected, Result,
    RowBuilder, Rows, Scope, original_line,
};
use serde_json::json;
use tokio::task::JoinSet;

use crate::cursor::{Greatest, earlier};
use crate::page::Page;
use crate::pages::{Pages, Step};
use crate::plan::{Column, StreamPlan};
use crate::pointer::Pointer;
use crate::record::{RecordReader, names};
use crate::session::Session;
use crate::source::fetch;

/// The layout of [`Checkpoint::state`]: `{"cursor": text or null}`.
const STATE_VERSION: u16 = 1;

/// A page of which some records are still to be read.
struct Open {
    page: Page,
    origin: Arc<str>,
    read: usize,
}

/// The rows of the columns known so far.
struct Table {
    reader: RecordReader,
    builder: RowBuilder,
}

/// One stream being read.
pub(crate) struct Reading {
    session: Arc<Session>,
    hub_zone: Tz,
    plan: Arc<StreamPlan>,
    resume: Option<String>,
    since: Option<String>,
    row_limit: Option<u64>,
    pages: Pages,
    ahead: JoinSet<Result<Page>>,
    open: Option<Open>,
    columns: Vec<Column>,
    table: Option<Table>,
    greatest: Greatest,
    rows: u64,
    ready: VecDeque<Event>,
    ended: bool,
}

impl Reading {
    pub(crate) fn new(
        session: Arc<Session>,
        hub_zone: Tz,
        plan: Arc<StreamPlan>,
        resume: Option<Checkpoint>,
        row_limit: Option<u64>,
    ) -> Result<Self> {
        let resume = match resume {
            Some(checkpoint) if checkpoint.version == STATE_VERSION => {
                checkpoint.state["cursor"].as_str().map(str::to_owned)
            }
            Some(checkpoint) => {
                return Err(Error::new(
                    ErrorKind::Config,
                    "E-CHECKPOINT",
                    format!("{}: checkpoint of unknown version {}", plan.id, checkpoint.version),
                )
                .hint("a newer version wrote it: upgrade, or read the stream from the start"));
            }
            None => None,
        };
        let since = match &resume {
            Some(cursor) if plan.read == ReadMode::Incremental => {
                let since = earlier(cursor, plan.overlap);
                Some(since.map_err(|error| error.context(&plan.id))?)
            }
            _ => None,
        };
        let cursor_kind =
            plan.columns.iter().find(|column| Some(&column.name) == plan.cursor.as_ref());
        let greatest = Greatest::new(
            cursor_kind.map_or(ColumnType::Text, |column| column.kind),
            resume.clone(),
        );
        Ok(Self {
            pages: Pages::new(&plan, row_limit),
            session,
            hub_zone,
            resume,
            since,
            row_limit,
            ahead: JoinSet::new(),
            open: None,
            columns: plan.columns.clone(),
            table: None,
            greatest,
            rows: 0,
            ready: VecDeque::new(),
            ended: false,
            plan,
        })
    }

    /// Starts fetching the next page. Dropping the reading stops it.
    pub(crate) fn fetch(&mut self, cx: &Cx) {
        let mut parameters = self.pages.parameters(&self.plan);
        if let (Some(name), Some(since)) = (&self.plan.since, &self.since) {
            parameters.push((name.clone(), since.as_str().into()));
        }
        let (cx, session, plan) = (cx.clone(), Arc::clone(&self.session), Arc::clone(&self.plan));
        self.ahead.spawn(async move { fetch(&cx, &session, &plan, &parameters).await });
    }

    /// The stream's next event, or nothing after its end.
    pub(crate) async fn next(&mut self, cx: &Cx) -> Result<Option<Event>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            if let Some(open) = self.open.take() {
                if open.read < open.page.len() && !self.limit_reached() {
                    return self.read(cx, open).map(Some);
                }
                continue;
            }
            if self.ended {
                return Ok(None);
            }
            if self.limit_reached() || self.ahead.is_empty() {
                self.end()?;
                continue;
            }
            let joined = tokio::select! {
                joined = self.ahead.join_next() => joined,
                () = cx.cancel.cancelled() => return Err(Error::cancelled()),
            };
            let page = match joined {
                Some(Ok(page)) => page.map_err(|error| error.context(&self.plan.id))?,
                Some(Err(error)) => {
                    return Err(Error::internal("fetching a page stopped short").cause(error));
                }
                None => continue,
            };
            self.open(cx, page)?;
        }
    }

    fn limit_reached(&self) -> bool {
        self.row_limit.is_some_and(|limit| self.rows >= limit)
    }

    /// Takes a page in, and starts fetching the next.
    fn open(&mut self, cx: &Cx, page: Page) -> Result<()> {
        let step = self.pages.advance(&self.plan, &page)?;
        if step == Step::Repeat {
            return Ok(());
        }
        let limit_follows =
            self.row_limit.is_some_and(|limit| self.rows + page.len() as u64 >= limit);
        if step == Step::More && !limit_follows {
            self.fetch(cx);
        }
        self.know_columns(&page)?;
        let origin = format!("{} page {}", self.plan.path, self.pages.received).into();
        self.open = Some(Open { page, origin, read: 0 });
        Ok(())
    }

    /// Settles the columns before a page is read. Without declared columns they are those of the
    /// records, and a later page may bring more.
    fn know_columns(&mut self, page: &Page) -> Result<()> {
        let mut changed = self.table.is_none() && !self.columns.is_empty();
        let seen =
            if self.plan.columns.is_empty() || self.rows == 0 { seen(page) } else { Vec::new() };
        if self.plan.columns.is_empty() {
            for name in &seen {
                if !self.columns.iter().any(|column| column.name == *name) {
                    self.columns.push(Column {
                        name: name.clone(),
                        place: Pointer(vec![name.clone()]),
                        kind: ColumnType::Text,
                        nullable: true,
                    });
                    changed = true;
                }
            }
        }
        if self.rows == 0 && page.len() > 0 {
            self.require_columns(page, &seen)?;
        }
        if changed {
            let watched = self.plan.cursor.as_deref();
            let reader = RecordReader::new(&self.columns, watched);
            let builder = RowBuilder::new(&shape(&self.columns), self.plan.zone, self.hub_zone);
            self.ready.push_back(Event::Schema(self.plan.id.clone(), builder.schema()));
            self.table = Some(Table { reader, builder });
        }
        Ok(())
    }

    /// A key or cursor that no record has is a wrong name, not a missing value.
    fn require_columns(&self, page: &Page, seen: &[String]) -> Result<()> {
        for name in self.plan.key.iter().chain(&self.plan.cursor) {
            let column = self.columns.iter().find(|column| column.name == *name);
            let field = column.and_then(|column| column.place.0.first());
            if field.is_none_or(|field| !seen.contains(field)) {
                return Err(Error::new(
                    ErrorKind::Schema,
                    "E-COLUMN",
                    format!("{}: no record has a field for column `{name}`", page.request),
                )
                .hint("check key, cursor and fields"));
            }
        }
        Ok(())
    }

    /// Reads records of the open page into one batch.
    fn read(&mut self, cx: &Cx, mut open: Open) -> Result<Event> {
        let Some(table) = &mut self.table else {
            // Records without a single field: there is no column to put them in.
            let rejected = (open.read..open.page.len())
                .map(|index| {
                    let raw = original_line(open.page.record(index).as_bytes());
                    reject(index, "E-RECORD", "the record has no fields".into(), raw)
                })
                .collect();
            self.rows += (open.page.len() - open.read) as u64;
            let mut builder = RowBuilder::new(&[], self.plan.zone, self.hub_zone);
            let (batch, positions) = builder.finish()?;
            let (stream, origin) = (self.plan.id.clone(), open.origin);
            return Ok(Event::Rows(Rows {
                stream,
                batch,
                ops: Ops::Upsert,
                origin,
                positions,
                rejected,
            }));
        };
        let mut rejected = Vec::new();
        let mut rejected_bytes = 0;
        while open.read < open.page.len()
            && table.builder.len() + rejected.len() < cx.limits.rows.max(1)
            && table.builder.bytes() + rejected_bytes < cx.limits.bytes.max(1)
            && self.row_limit.is_none_or(|limit| self.rows < limit)
        {
            let text = open.page.record(open.read);
            match table.reader.push(text, open.read as u64 + 1, &mut table.builder) {
                Ok(Some(cursor)) => self.greatest.see(&cursor),
                Ok(None) => {}
                Err(refusal) => {
                    rejected_bytes += text.len();
                    let raw = table.reader.original(text);
                    rejected.push(reject(open.read, refusal.code, refusal.reason, raw));
                }
            }
            open.read += 1;
            self.rows += 1;
        }
        let (batch, positions) = table.builder.finish()?;
        let rows = Rows {
            stream: self.plan.id.clone(),
            batch,
            ops: Ops::Upsert,
            origin: Arc::clone(&open.origin),
            positions,
            rejected,
        };
        self.open = Some(open);
        Ok(Event::Rows(rows))
    }

    /// All pages are read, or as many rows as were wanted.
    fn end(&mut self) -> Result<()> {
        let previewed = self.limit_reached();
        if !previewed {
            self.pages.check_total(&self.plan)?;
            if self.table.is_none() && !self.columns.is_empty() {
                let builder = RowBuilder::new(&shape(&self.columns), self.plan.zone, self.hub_zone);
                self.ready.push_back(Event::Schema(self.plan.id.clone(), builder.schema()));
            }
        }
        // Records come in any order, so only after all of them the greatest cursor is safe.
        let cursor = if previewed { self.resume.as_deref() } else { self.greatest.text() };
        self.ready.push_back(Event::Checkpoint(Checkpoint {
            scope: Scope::Stream(self.plan.id.clone()),
            version: STATE_VERSION,
            state: json!({ "cursor": cursor }),
        }));
        let complete = !previewed && self.since.is_none();
        self.ready.push_back(Event::End { stream: self.plan.id.clone(), complete });
        self.ended = true;
        Ok(())
    }
}

fn shape(columns: &[Column]) -> Vec<(String, ColumnType, bool)> {
    columns.iter().map(|column| (column.name.clone(), column.kind, column.nullable)).collect()
}

/// The names of all fields of a page's records, in the order in which they appear.
pub(crate) fn seen(page: &Page) -> Vec<String> {
    let mut known = HashSet::new();
    let mut seen = Vec::new();
    for index in 0..page.len() {
        for name in names(page.record(index)) {
            if known.insert(name.clone()) {
                seen.push(name);
            }
        }
    }
    seen
}

fn reject(index: usize, code: &'static str, reason: String, raw: Vec<u8>) -> Rejected {
    Rejected { position: index as u64 + 1, code, reason, raw }
}
