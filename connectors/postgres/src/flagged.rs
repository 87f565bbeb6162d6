//! Reading a front database (前置库): rows are marked once the hub holds them.
//!
//! A read goes through the cases that have rows to fetch, in the order of the case, and delivers
//! all rows of each. Nothing depends on the marks of the same read, so it ends even if they come
//! late or never. A row is marked by its key and the version in which it was read: what was
//! changed, sent again or taken away in the meantime is left as it is and read the next time. A
//! process that dies before it could mark has its cases read again, which the hub sees as rows it
//! has. A batch of cases is held in memory while it is read.

mod statement;

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use futures::StreamExt;
use huiliu_sdk::{Checkpoint, Cx, Error, ErrorKind, Event, Result};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgConnection};

use crate::catalog;
use crate::config::{Flag, Oddities, Settings, Stream};
use crate::database::{self, Session, run, unless_cancelled};
use crate::decode::{Decoder, Fed, Gathered, Manner, Note};
use crate::fault::fault;
use crate::layout::{self, Layout};
use crate::progress::checkpoint;
use statement::Statements;

/// A read of one flagged stream.
pub(crate) struct Flagged {
    settings: Arc<Settings>,
    stream: Arc<Stream>,
    flag: Flag,
    row_limit: Option<u64>,
    open: Option<Open>,
    phase: Phase,
    events: VecDeque<Event>,
    batches: u64,
    /// What was sent and is not known to be held by the hub.
    unmarked: VecDeque<Sent>,
}

struct Open {
    session: Session,
    layout: Arc<Layout>,
    statements: Statements,
    origin: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    /// Cases behind this one.
    Cases(Option<Vec<String>>),
    /// Rows that belong to no case because a column of it has no value.
    Loose,
    Over,
}

struct Sent {
    state: Value,
    /// Per key column, and last the version of the row, one text per row.
    marks: Vec<Vec<String>>,
}

impl Flagged {
    pub(crate) fn new(
        settings: &Arc<Settings>,
        stream: &Arc<Stream>,
        flag: &Flag,
        row_limit: Option<u64>,
    ) -> Self {
        Self {
            settings: Arc::clone(settings),
            stream: Arc::clone(stream),
            flag: flag.clone(),
            row_limit,
            open: None,
            phase: Phase::Cases(None),
            events: VecDeque::new(),
            batches: 0,
            unmarked: VecDeque::new(),
        }
    }

    pub(crate) async fn next(&mut self, cx: &Cx) -> Result<Option<Event>> {
        loop {
            cx.check()?;
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            if self.phase == Phase::Over {
                return Ok(None);
            }
            let step = match self.open {
                None => self.start(cx).await,
                Some(_) => self.batch(cx).await,
            };
            step.map_err(|error| error.context(format!("stream `{}`", self.stream.id)))?;
        }
    }

    async fn start(&mut self, cx: &Cx) -> Result<()> {
        let mut session = database::connect(&self.settings, cx, chrono_tz::UTC).await?;
        let table = catalog::table(&mut session.db, cx, &self.stream.table).await?;
        if !table.is_table {
            return Err(Error::unsupported("a flagged read of what is not a table")
                .hint("name the table itself, whose rows can be marked"));
        }
        let layout = layout::layout(&self.stream, &table, self.settings.hub_zone)?;
        let statements = Statements::new(&self.flag, &self.stream.key, &table)?;
        if self.row_limit.is_none() {
            statements.check_right(&mut session.db, cx, &self.flag).await?;
        }
        let layout = Arc::new(layout.with_notes(statements.notes.clone()));
        let schema: SchemaRef = Arc::clone(&layout.schema);
        self.events.push_back(Event::Schema(self.stream.id.clone(), schema));
        let origin = table.name.to_string().into();
        self.open = Some(Open { session, layout, statements, origin });
        Ok(())
    }

    /// Reads the next cases, or ends.
    async fn batch(&mut self, cx: &Cx) -> Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let preview = self.row_limit.is_some();
        let after = match &self.phase {
            Phase::Cases(after) => after.as_deref(),
            Phase::Loose | Phase::Over => None,
        };
        let loose = self.phase == Phase::Loose;
        if self.flag.claimed.is_some() && !preview {
            let (sql, values) = open.statements.claim(&self.flag, loose, after);
            cx.request().await?;
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            run(&mut open.session.db, cx, "claiming rows", &sql, &values).await?;
        }
        let gathered = open
            .read(&self.flag, &self.stream, &self.settings, cx, (loose, after, self.row_limit))
            .await?;
        let notes: Vec<&Note> = gathered.iter().flat_map(|gathered| &gathered.notes).collect();
        let last = notes.last().and_then(|note| open.statements.case(note));
        let sent = sent(&open.statements, self.batches, &notes);
        let has_rows = !notes.is_empty();
        for gathered in gathered {
            let rows = gathered.into_rows(&self.stream.id, &open.origin);
            self.events.push_back(Event::Rows(rows));
        }
        if has_rows {
            self.batches += 1;
            let at = checkpoint(&self.stream.id, sent.state.clone());
            self.unmarked.push_back(sent);
            self.events.push_back(Event::Checkpoint(at));
        }
        self.phase = match (&self.phase, last) {
            _ if preview => Phase::Over,
            (Phase::Cases(_), Some(last)) => Phase::Cases(Some(last)),
            (Phase::Cases(_), None) => Phase::Loose,
            (Phase::Loose | Phase::Over, _) => Phase::Over,
        };
        if self.phase == Phase::Over {
            if !has_rows {
                let state = json!({ "mode": "flagged", "batches": self.batches, "cases": [] });
                self.unmarked.push_back(Sent { state: state.clone(), marks: Vec::new() });
                self.events.push_back(Event::Checkpoint(checkpoint(&self.stream.id, state)));
            }
            let stream = self.stream.id.clone();
            self.events.push_back(Event::End { stream, complete: false });
        }
        Ok(())
    }

    /// Marks what was sent up to `checkpoint`.
    pub(crate) async fn acknowledge(&mut self, cx: &Cx, checkpoint: &Checkpoint) -> Result<()> {
        let known = self.unmarked.iter().any(|sent| sent.state == checkpoint.state);
        let Some(open) = self.open.as_mut().filter(|_| known && self.row_limit.is_none()) else {
            return Ok(());
        };
        while let Some(sent) = self.unmarked.front() {
            open.mark(&self.flag, cx, &sent.marks)
                .await
                .map_err(|error| error.context(format!("stream `{}`", self.stream.id)))?;
            let is_last = sent.state == checkpoint.state;
            self.unmarked.pop_front();
            if is_last {
                break;
            }
        }
        Ok(())
    }
}

impl Open {
    async fn read(
        &mut self,
        flag: &Flag,
        stream: &Stream,
        settings: &Settings,
        cx: &Cx,
        (loose, after, row_limit): (bool, Option<&[String]>, Option<u64>),
    ) -> Result<Vec<Gathered>> {
        let manner = Manner {
            source_zone: stream.zone,
            hub_zone: settings.hub_zone,
            limits: cx.limits,
            odd_is_null: stream.oddities == Oddities::Null,
            unchecked_text: self.session.unchecked_text,
        };
        let mut decoder = Decoder::new(&self.layout, &manner);
        let db = &mut self.session.db;
        let what = "reading rows";
        run(db, cx, what, "begin isolation level repeatable read read only", &[]).await?;
        self.statements.bind(db, cx, flag, after).await?;
        let rest = self.statements.rest(flag, loose, after.is_some(), row_limit);
        cx.request().await?;
        let gathered = collect(db, cx, &self.layout.copy(&rest), &mut decoder).await?;
        run(db, cx, what, "rollback", &[]).await?;
        Ok(gathered)
    }

    async fn mark(&mut self, flag: &Flag, cx: &Cx, marks: &[Vec<String>]) -> Result<()> {
        if marks.first().is_none_or(Vec::is_empty) {
            return Ok(());
        }
        cx.request().await?;
        let sql = self.statements.mark(flag);
        let mut query = sqlx::query(AssertSqlSafe(sql))
            .persistent(false)
            .bind(&flag.done)
            .bind(&flag.new)
            .bind(flag.claimed.as_deref());
        for column in marks {
            query = query.bind(column);
        }
        unless_cancelled(cx, query.execute(&mut self.session.db))
            .await?
            .map_err(|cause| fault("marking rows as fetched", cause))?;
        Ok(())
    }
}

/// What a batch was, for its checkpoint and for the marks.
fn sent(statements: &Statements, batch: u64, notes: &[&Note]) -> Sent {
    let mut marks = vec![Vec::new(); statements.marks()];
    // Per case its columns and the versions of its rows.
    let mut cases: Vec<(Note, Note)> = Vec::new();
    for note in notes {
        let case = statements.case_as_read(note);
        let version = statements.version(note);
        match cases.last_mut().filter(|(last, _)| *last == case) {
            Some((_, versions)) => {
                if !versions.contains(&version) {
                    versions.push(version);
                }
            }
            None => cases.push((case, vec![version])),
        }
        if let Some(mark) = statements.mark_of(note) {
            for (column, text) in marks.iter_mut().zip(mark) {
                column.push(text);
            }
        }
    }
    let cases: Vec<Value> = cases
        .into_iter()
        .map(|(case, versions)| match versions.iter().any(Option::is_some) {
            true => json!({ "case": case, "versions": versions }),
            false => json!({ "case": case }),
        })
        .collect();
    Sent { state: json!({ "mode": "flagged", "batch": batch, "cases": cases }), marks }
}

async fn collect(
    db: &mut PgConnection,
    cx: &Cx,
    sql: &str,
    decoder: &mut Decoder,
) -> Result<Vec<Gathered>> {
    let failed = |cause| fault("reading rows", cause);
    let mut all = Vec::new();
    let mut chunks = unless_cancelled(cx, db.copy_out_raw(sql)).await?.map_err(failed)?;
    while let Some(chunk) = unless_cancelled(cx, chunks.next()).await? {
        let chunk = chunk.map_err(failed)?;
        let mut rest = &chunk[..];
        while decoder.feed(&mut rest)? == Fed::Full {
            all.push(decoder.take()?);
        }
    }
    if !decoder.has_ended() {
        return Err(Error::new(
            ErrorKind::Unreachable,
            "E-CUT",
            "the rows ended before their end was announced",
        ));
    }
    if !decoder.is_empty() {
        all.push(decoder.take()?);
    }
    Ok(all)
}
