//! One stream being read: pages come in, rows and checkpoints go out.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use chrono_tz::Tz;
use huiliu_sdk::{
    Checkpoint, ColumnType, Cx, Error, ErrorKind, Event, Ops, ReadMode, Rejected, Result,
    RowBuilder, Rows, Scope, future_cursors, missing_cursors, original_line,
};
use serde_json::{Value, json};

use crate::cursor::Greatest;
use crate::feed::{Feed, Part, Reader};
use crate::page::Page;
use crate::plan::{Column, StreamPlan};
use crate::pointer::Pointer;
use crate::record::{RecordReader, names};
use crate::session::Session;

/// The layout of [`Checkpoint::state`]: `{"cursor": text or null}`, and in the midst of a parent's
/// children `after`, the last parent that was read, and `seen`, the greatest cursor until there.
/// `receipts` are the records that were read since the checkpoint that was acknowledged last.
const STATE_VERSION: u16 = 1;

/// Where an earlier read stopped.
#[derive(Default)]
struct Resume {
    cursor: Option<String>,
    after: Option<Value>,
    seen: Option<String>,
}

impl Resume {
    fn of(checkpoint: Option<Checkpoint>, plan: &StreamPlan) -> Result<Self> {
        let Some(checkpoint) = checkpoint else { return Ok(Self::default()) };
        if checkpoint.version != STATE_VERSION {
            return Err(Error::new(
                ErrorKind::Config,
                "E-CHECKPOINT",
                format!("{}: checkpoint of unknown version {}", plan.id, checkpoint.version),
            )
            .hint("a newer version wrote it: upgrade, or read the stream from the start"));
        }
        let text = |key: &str| checkpoint.state[key].as_str().map(str::to_owned);
        let after = Some(checkpoint.state["after"].clone()).filter(|after| !after.is_null());
        Ok(Self { cursor: text("cursor"), after, seen: text("seen") })
    }
}

/// The records of which a checkpoint says that the system is to be told.
pub(crate) fn receipts(checkpoint: &Checkpoint) -> Vec<String> {
    let listed = checkpoint.state["receipts"].as_array().into_iter().flatten();
    listed.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// A page of which some records are still to be read.
struct Open {
    part: Part,
    read: usize,
}

/// The rows of the columns known so far.
struct Table {
    reader: RecordReader,
    builder: RowBuilder,
}

/// One stream being read.
pub(crate) struct Reading {
    hub_zone: Tz,
    plan: Arc<StreamPlan>,
    feed: Feed,
    resume: Resume,
    /// Whether rows are left out that the system has.
    partial: bool,
    row_limit: Option<u64>,
    open: Option<Open>,
    columns: Vec<Column>,
    table: Option<Table>,
    greatest: Greatest,
    rows: u64,
    /// Records of which the system is to be told.
    owed: Vec<String>,
    ready: VecDeque<Event>,
    ended: bool,
}

impl Reading {
    /// Starts reading. Dropping it stops that.
    pub(crate) fn start(
        cx: &Cx,
        session: Arc<Session>,
        hub_zone: Tz,
        streams: (Arc<StreamPlan>, Option<Arc<StreamPlan>>),
        resume: Option<Checkpoint>,
        row_limit: Option<u64>,
    ) -> Result<Self> {
        let (plan, parent) = streams;
        let resume = Resume::of(resume, &plan)?;
        let since = plan.since.as_ref().filter(|_| plan.read == ReadMode::Incremental);
        let from = match since {
            Some(since) => since
                .value(resume.cursor.as_deref(), plan.overlap)
                .map_err(|error| error.context(&plan.id))?
                .map(|value| (since.name.clone(), value)),
            None => None,
        };
        let cursor_kind =
            plan.columns.iter().find(|column| Some(&column.name) == plan.cursor.as_ref());
        let kind = cursor_kind.map_or(ColumnType::Text, |column| column.kind);
        let start = resume.seen.clone().or_else(|| resume.cursor.clone());
        let greatest = Greatest::new(kind, plan.zone, cx.clock.now(), start);
        let partial = from.is_some() || resume.after.is_some();
        let reader = Reader {
            cx: cx.clone(),
            session,
            plan: Arc::clone(&plan),
            parameters: from.into_iter().collect(),
            row_limit,
        };
        Ok(Self {
            hub_zone,
            feed: Feed::start(reader, parent, resume.after.clone()),
            resume,
            partial,
            row_limit,
            open: None,
            columns: plan.columns.clone(),
            table: None,
            greatest,
            rows: 0,
            owed: Vec::new(),
            ready: VecDeque::new(),
            ended: false,
            plan,
        })
    }

    /// These records have got their receipt.
    pub(crate) fn told(&mut self, ids: &[String]) {
        if self.owed.starts_with(ids) {
            self.owed.drain(..ids.len());
        }
    }

    pub(crate) fn plan(&self) -> &StreamPlan {
        &self.plan
    }

    /// The stream's next event, or nothing after its end.
    pub(crate) async fn next(&mut self, cx: &Cx) -> Result<Option<Event>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            if let Some(open) = self.open.take() {
                if open.read < open.part.page.len() && !self.limit_reached() {
                    return self.read(cx, open).map(Some);
                }
                self.mark(open.part.mark);
                continue;
            }
            if self.ended {
                return Ok(None);
            }
            if self.limit_reached() {
                self.end()?;
                continue;
            }
            match self.feed.next(cx).await.map_err(|error| error.context(&self.plan.id))? {
                Some(part) => {
                    self.know_columns(&part.page)?;
                    self.open = Some(Open { part, read: 0 });
                }
                None => self.end()?,
            }
        }
    }

    /// Says what is odd about the cursors of an incremental read.
    fn note_cursors(&mut self) {
        let Some(cursor) = self.plan.cursor.as_deref() else { return };
        if self.plan.read != ReadMode::Incremental {
            return;
        }
        let future = self.greatest.future.then(|| future_cursors(cursor));
        let missing = self.greatest.missing;
        let missing = (missing > 0).then(|| missing_cursors(cursor, missing));
        for note in [future, missing].into_iter().flatten() {
            self.ready.push_back(Event::Note(self.plan.id.clone(), note));
        }
    }

    /// Everything up to the parent `after` may be committed.
    fn mark(&mut self, after: Option<Value>) {
        if let (Some(after), true) = (after, self.table.is_some() && self.row_limit.is_none()) {
            let state = json!({
                "cursor": self.resume.cursor, "after": after, "seen": self.greatest.text(),
            });
            self.checkpoint(state);
        }
    }

    fn checkpoint(&mut self, mut state: Value) {
        if self.plan.receipt.is_some() && self.row_limit.is_none() {
            state["receipts"] = json!(self.owed);
        }
        self.ready.push_back(Event::Checkpoint(Checkpoint {
            scope: Scope::Stream(self.plan.id.clone()),
            version: STATE_VERSION,
            state,
        }));
    }

    fn limit_reached(&self) -> bool {
        self.row_limit.is_some_and(|limit| self.rows >= limit)
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
            let reader = RecordReader::new(&self.columns, watched, self.plan.answer.misfit());
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
            let page = &open.part.page;
            let rejected = (open.read..page.len())
                .map(|index| {
                    let raw = original_line(page.record(index).as_bytes());
                    reject(index, "E-RECORD", "the record has no fields".into(), raw)
                })
                .collect();
            self.rows += (page.len() - open.read) as u64;
            let mut builder = RowBuilder::new(&[], self.plan.zone, self.hub_zone);
            let (batch, positions) = builder.finish()?;
            let (stream, origin) = (self.plan.id.clone(), Arc::clone(&open.part.origin));
            open.read = open.part.page.len();
            self.open = Some(open);
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
        while open.read < open.part.page.len()
            && table.builder.len() + rejected.len() < cx.limits.rows.max(1)
            && table.builder.bytes() + rejected_bytes < cx.limits.bytes.max(1)
            && self.row_limit.is_none_or(|limit| self.rows < limit)
        {
            let text = open.part.page.record(open.read);
            match table.reader.push(text, open.read as u64 + 1, &mut table.builder) {
                Ok(cursor) => self.greatest.see(cursor.as_deref()),
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
        if let Some(receipt) = &self.plan.receipt {
            self.owed.extend(receipt.ids(&batch)?);
        }
        let rows = Rows {
            stream: self.plan.id.clone(),
            batch,
            ops: Ops::Upsert,
            origin: Arc::clone(&open.part.origin),
            positions,
            rejected,
        };
        self.open = Some(open);
        Ok(Event::Rows(rows))
    }

    /// All pages are read, or as many rows as were wanted.
    fn end(&mut self) -> Result<()> {
        let previewed = self.limit_reached();
        if !previewed && self.table.is_none() && !self.columns.is_empty() {
            let builder = RowBuilder::new(&shape(&self.columns), self.plan.zone, self.hub_zone);
            self.ready.push_back(Event::Schema(self.plan.id.clone(), builder.schema()));
        }
        self.note_cursors();
        // Records come in any order, so only after all of them the greatest cursor is safe.
        let cursor = if previewed { self.resume.cursor.as_deref() } else { self.greatest.text() };
        self.checkpoint(json!({ "cursor": cursor }));
        let complete = !previewed && !self.partial;
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
