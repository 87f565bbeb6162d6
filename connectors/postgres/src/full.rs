//! Reading a whole table, at once or by ranges of its key.

use std::sync::Arc;

use futures::{StreamExt, stream};
use huiliu_sdk::{Error, ErrorKind, Event, Relay, Result, Source};

use crate::catalog::{self, Declared, Table};
use crate::config::Stream;
use crate::database::{Session, get, rows, run};
use crate::decode::{Decoder, Manner};
use crate::layout::{self, Layout};
use crate::progress::{RangeProgress, checkpoint, full_state, resume_full};
use crate::ranges::{self, Range};
use crate::reader::{Outlet, Plan, Target, spawn};

/// Most ranges a table is cut into: as many as statistics usually tell apart.
const MOST_RANGES: u64 = 1000;

/// Reads all rows of a stream.
///
/// A read that goes by ranges can be taken up behind the last range that was committed. Its rows
/// are then of two states of the table, so it is not complete, and the next one starts over.
pub(crate) async fn read(outlet: &Outlet, plan: &Plan) -> Result<()> {
    let (stream, cx) = (&plan.stream, &outlet.cx);
    let mut session = outlet.open().await?;
    outlet.begin(&mut session.db).await?;
    let table = catalog::table(&mut session.db, cx, &stream.table).await?;
    let layout = Arc::new(layout::layout(stream, &table, outlet.settings.hub_zone)?);
    let by = match stream.key.first() {
        Some(key) => Some(table.column(key)?),
        None => None,
    };
    let resume = resume_full(plan.resume.as_ref(), by.map(|by| by.name.as_str()))?;
    let ranges = match (by, plan.row_limit) {
        (Some(by), None) => {
            let low = resume.as_ref().map(|resume| resume.after.as_str());
            cut(outlet, &mut session, stream, &table, by, low).await?
        }
        _ => vec![Range::default()],
    };
    outlet.send(Event::Schema(stream.id.clone(), Arc::clone(&layout.schema))).await?;

    let reading = Reading { outlet, plan, table: &table, layout: &layout, by };
    let manner = outlet.manner(stream, &session);
    let mut decoder = Decoder::new(&layout, &manner);
    let mut done = resume.as_ref().map_or(0, |resume| resume.ranges_done);
    let snapshot = reading.snapshot(&mut session, ranges.len()).await?;
    for round in ranges.chunks(if snapshot.is_some() { stream.parallel } else { 1 }) {
        match (&snapshot, round) {
            (Some(snapshot), [_, _, ..]) => reading.side_by_side(snapshot, round).await?,
            _ => {
                for range in round {
                    reading.one(&mut session, range, &mut decoder).await?;
                }
            }
        }
        done += round.len() as u64;
        let next = round.last().and_then(|range| range.high.clone());
        if let (Some(after), Some(by)) = (next, by) {
            let progress = RangeProgress { after, ranges_done: done };
            let state = full_state(Some(&by.name), Some(&progress));
            outlet.send(Event::Checkpoint(checkpoint(&stream.id, state))).await?;
        }
    }
    let complete = resume.is_none() && plan.row_limit.is_none();
    outlet.send(Event::Checkpoint(checkpoint(&stream.id, full_state(None, None)))).await?;
    outlet.send(Event::End { stream: stream.id.clone(), complete }).await
}

/// The ranges to read: one, unless the table is large or is to be read side by side.
async fn cut(
    outlet: &Outlet,
    session: &mut Session,
    stream: &Stream,
    table: &Table,
    by: &Declared,
    low: Option<&str>,
) -> Result<Vec<Range>> {
    let (db, cx) = (&mut session.db, &outlet.cx);
    let expected = ranges::estimate(db, cx, table, "").await?;
    let parts = expected.div_ceil(stream.chunk_rows).max(1);
    let count = parts.saturating_mul(stream.parallel as u64).min(MOST_RANGES);
    let bounds = ranges::bounds(db, cx, table, by, (count, expected), (low, None)).await?;
    Ok(ranges::between(low.map(str::to_owned), bounds, low.is_none()))
}

/// What all ranges of a read have in common.
struct Reading<'a> {
    outlet: &'a Outlet,
    plan: &'a Plan,
    table: &'a Table,
    layout: &'a Arc<Layout>,
    by: Option<&'a Declared>,
}

impl Reading<'_> {
    /// The name under which other connections can see what this one sees, if they are to.
    async fn snapshot(&self, session: &mut Session, ranges: usize) -> Result<Option<String>> {
        if self.plan.stream.parallel < 2 || ranges < 2 {
            return Ok(None);
        }
        let sql = "select pg_catalog.pg_export_snapshot()";
        let found = rows(&mut session.db, &self.outlet.cx, "sharing a snapshot", sql, &[]).await?;
        let name: String = match found.first() {
            Some(row) => get(row, 0)?,
            None => return Ok(None),
        };
        // It goes into a statement that takes no bound values.
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-') {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "E-UNSUPPORTED",
                "the server does not share snapshots as PostgreSQL does",
            )
            .hint("remove `parallel`"));
        }
        Ok(Some(name))
    }

    async fn one(&self, session: &mut Session, range: &Range, decoder: &mut Decoder) -> Result<()> {
        let stream = &self.plan.stream;
        range.bind(&mut session.db, &self.outlet.cx).await?;
        let mut rest = self.by.map(|by| range.filter(by)).unwrap_or_default();
        if let Some(limit) = self.plan.row_limit {
            rest += &format!(" limit {}", limit.min(i64::MAX.cast_unsigned()));
        }
        let origin: Arc<str> = self.table.name.to_string().into();
        let target = Target::Rows { stream: &stream.id, origin: &origin };
        let sql = self.layout.copy(&rest);
        self.outlet.copy(&mut session.db, &sql, decoder, &target, |_| {}).await
    }

    /// Reads ranges over a connection each and passes on what comes. All are read when it returns,
    /// so that a checkpoint behind them never covers half a range.
    async fn side_by_side(&self, snapshot: &str, ranges: &[Range]) -> Result<()> {
        let Some(by) = self.by else { return Ok(()) };
        let relays = ranges.iter().map(|range| {
            let piece = Piece {
                snapshot: format!("set transaction snapshot '{snapshot}'"),
                stream: Arc::clone(&self.plan.stream),
                layout: Arc::clone(self.layout),
                sql: self.layout.copy(&range.filter(by)),
                origin: origin(self.table, range).into(),
                range: range.clone(),
            };
            let relay = spawn(&self.outlet.settings, &self.outlet.cx, move |outlet| {
                Box::pin(async move {
                    let read = piece.read(&outlet).await;
                    (outlet, read)
                })
            });
            events(relay, self.outlet.cx.clone()).boxed()
        });
        let mut all = stream::select_all(relays);
        while let Some(event) = all.next().await {
            self.outlet.send(event?).await?;
        }
        Ok(())
    }
}

fn origin(table: &Table, range: &Range) -> String {
    // The ends are values of the key, which may be personal; the place among the ranges is not.
    let part = if range.low.is_none() { "first" } else { "later" };
    format!("{} ({part} range)", table.name)
}

/// One range read over a connection of its own.
struct Piece {
    snapshot: String,
    stream: Arc<Stream>,
    layout: Arc<Layout>,
    sql: String,
    origin: Arc<str>,
    range: Range,
}

impl Piece {
    async fn read(&self, outlet: &Outlet) -> Result<()> {
        let mut session = outlet.open().await?;
        let (db, cx) = (&mut session.db, &outlet.cx);
        outlet.begin(db).await?;
        run(db, cx, "taking the shared snapshot", &self.snapshot, &[]).await?;
        self.range.bind(db, cx).await?;
        let manner: Manner = outlet.manner(&self.stream, &session);
        let mut decoder = Decoder::new(&self.layout, &manner);
        let target = Target::Rows { stream: &self.stream.id, origin: &self.origin };
        outlet.copy(&mut session.db, &self.sql, &mut decoder, &target, |_| {}).await
    }
}

/// The events of a relay as a stream.
fn events(relay: Relay, cx: huiliu_sdk::Cx) -> impl futures::Stream<Item = Result<Event>> {
    stream::unfold(Some((relay, cx)), |state| async move {
        let (mut relay, cx) = state?;
        match relay.next(&cx).await {
            Ok(Some(event)) => Some((Ok(event), Some((relay, cx)))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    })
}
