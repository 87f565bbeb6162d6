//! Reading streams: one thread decodes ahead of the caller, by at most a few batches.

use std::sync::Arc;

use chrono_tz::Tz;
use futures::StreamExt;
use huiliu_sdk::{
    Cx, Error, ErrorKind, Event, Ops, ReadRequest, Rejected, Relay, Result, RowBuilder, Rows,
    StreamId, Window, future_cursors, missing_cursors,
};
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{AssertSqlSafe, Row, Sqlite, SqliteConnection, ValueRef};
use tokio::sync::mpsc;

use crate::config::{Settings, Stream};
use crate::cursor::{Mark, checkpoint};
use crate::database::{self, column, fault, quote};
use crate::row;
use crate::schema::{self, Layout};
use crate::statement;

/// Batches after which an incremental read offers a checkpoint.
const BATCHES_PER_CHECKPOINT: u64 = 8;

/// One stream to read.
struct Plan {
    stream: Stream,
    resume: Option<Mark>,
    /// The part to read instead of what is new.
    window: Option<[Mark; 2]>,
}

impl Plan {
    /// Where the read starts.
    fn low(&self) -> Result<Option<Mark>> {
        self.resume.as_ref().map(|mark| mark.back_by(self.stream.overlap)).transpose()
    }

    /// What is bound to its statement: where the read starts, and where a part of it ends.
    fn marks(&self) -> Result<Vec<Mark>> {
        match &self.window {
            Some(ends) => Ok(ends.to_vec()),
            None => Ok(self.low()?.into_iter().collect()),
        }
    }
}

/// Opens the database and starts to read the streams, one after the other.
pub(crate) async fn start(
    settings: &Arc<Settings>,
    cx: &Cx,
    request: ReadRequest,
) -> Result<Relay> {
    cx.check()?;
    let mut plans = Vec::with_capacity(request.streams.len());
    for wanted in &request.streams {
        let stream = settings.streams.iter().find(|s| s.id == wanted.stream).ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                "E-STREAM",
                format!("stream `{}` is not configured", wanted.stream),
            )
        })?;
        // A full read starts over, so it has no use for what an earlier one noted.
        let resume = match (&stream.cursor, &wanted.resume) {
            (Some(_), Some(checkpoint)) => Mark::of_checkpoint(checkpoint)
                .map_err(|error| error.context(format!("stream `{}`", stream.id)))?,
            _ => None,
        };
        plans.push(Plan { stream: stream.clone(), resume, window: None });
    }
    run(settings, cx, plans, request.row_limit).await
}

/// Opens the database and starts to read the part of a stream that lies in `window`.
pub(crate) async fn start_window(
    settings: &Arc<Settings>,
    cx: &Cx,
    stream: &StreamId,
    window: &Window,
) -> Result<Relay> {
    cx.check()?;
    let found = settings.streams.iter().find(|s| s.id == *stream && s.cursor.is_some());
    let found =
        found.ok_or_else(|| Error::unsupported("reading a part of a stream without a cursor"))?;
    let ends = [Mark::of_text(&window.from), Mark::of_text(&window.to)];
    let plan = Plan { stream: found.clone(), resume: None, window: Some(ends) };
    run(settings, cx, vec![plan], None).await
}

async fn run(
    settings: &Arc<Settings>,
    cx: &Cx,
    plans: Vec<Plan>,
    row_limit: Option<u64>,
) -> Result<Relay> {
    let db = database::open(&settings.path).await?;
    let (cx, hub_zone) = (cx.clone(), settings.hub_zone);
    let runtime = tokio::runtime::Handle::current();
    // Decoding is work for a thread, and the driver's rows arrive through a future.
    Ok(Relay::start(move |sender| {
        let outlet = Outlet { sender, cx, hub_zone, row_limit };
        runtime.block_on(Box::pin(outlet.run(db, plans)));
    }))
}

/// Where the reader puts its events.
struct Outlet {
    sender: mpsc::Sender<Result<Event>>,
    cx: Cx,
    hub_zone: Tz,
    row_limit: Option<u64>,
}

impl Outlet {
    async fn run(self, mut db: SqliteConnection, plans: Vec<Plan>) {
        for plan in &plans {
            if let Err(error) = self.read(&mut db, plan).await {
                let error = error.context(format!("stream `{}`", plan.stream.id));
                // If nobody listens any more, nobody misses the error.
                drop(self.sender.send(Err(error)).await);
                return;
            }
        }
    }

    /// Reads one stream in one transaction, whose snapshot its first statement pins.
    async fn read(&self, db: &mut SqliteConnection, plan: &Plan) -> Result<()> {
        self.cx.check()?;
        execute(db, "begin deferred").await?;
        let stream = &plan.stream;
        let layout = schema::layout(db, stream).await?;
        let newest = match &stream.cursor {
            Some(cursor) if plan.window.is_none() => self.newest(db, plan, cursor).await?,
            Some(cursor) => {
                // Numbers sort before any text, so there would be no rows in any window.
                let (greatest, _) = greatest(db, &stream.table, cursor, None, None).await?;
                if matches!(greatest, Some(Mark::Int(_) | Mark::Real(_))) {
                    return Err(Window::unfit(cursor));
                }
                None
            }
            None => None,
        };
        let builder = RowBuilder::new(&layout.columns, stream.zone, self.hub_zone);
        self.send(Event::Schema(stream.id.clone(), builder.schema())).await?;
        let batch = Batch {
            builder,
            rejected: Vec::new(),
            rejected_bytes: 0,
            origin: stream.table.as_str().into(),
            stream,
        };
        let whole = self.rows(db, plan, &layout, newest.as_ref(), batch).await?;
        execute(db, "rollback").await?;
        let (mark, complete) = match whole {
            Whole::Yes => (newest, plan.resume.is_none() && plan.window.is_none()),
            Whole::UpTo(passed) => (passed, false),
        };
        // An empty table says nothing about how far it was read before.
        let mark = mark.or_else(|| plan.resume.clone());
        self.send(Event::Checkpoint(checkpoint(&stream.id, mark.as_ref()))).await?;
        self.send(Event::End { stream: stream.id.clone(), complete }).await
    }

    /// Sends the rows of a stream and says whether they were all.
    async fn rows(
        &self,
        db: &mut SqliteConnection,
        plan: &Plan,
        layout: &Layout,
        newest: Option<&Mark>,
        mut batch: Batch<'_>,
    ) -> Result<Whole> {
        let part = match (&plan.window, &plan.resume) {
            (Some(_), _) => statement::Part::Window,
            (None, Some(mark)) => statement::Part::From(mark),
            (None, None) => statement::Part::Whole,
        };
        let statements = statement::read(&plan.stream, layout, &part, self.row_limit);
        let marks = plan.marks()?;
        let (sql, marks) = match statements.sort {
            Some(sort) => {
                let sort = bind(sqlx::query(AssertSqlSafe(sort)).persistent(false), marks);
                self.unless_stopped(sort.execute(&mut *db))
                    .await?
                    .map_err(|cause| fault("sorting rows", cause))?;
                (statements.rows, Vec::new())
            }
            None => (statements.rows, marks),
        };
        let query = bind(sqlx::query(AssertSqlSafe(sql)).persistent(false), marks);
        let mut rows = query.fetch(db);
        let (mut read, mut batches, mut loose) = (0_u64, 0_u64, 0_u64);
        let mut passed = plan.resume.clone();
        while let Some(next) = self.unless_stopped(rows.next()).await? {
            let next = next.map_err(|cause| fault("reading rows", cause))?;
            if self.row_limit.is_some_and(|limit| read >= limit) {
                self.flush(&mut batch).await?;
                return Ok(Whole::UpTo(passed));
            }
            read += 1;
            if let Some(cursor) = layout.cursor {
                loose += u64::from(is_null(&next, cursor)?);
            }
            batch.push(&next, layout, read)?;
            let full = batch.is_full(&self.cx);
            if full {
                self.flush(&mut batch).await?;
                batches += 1;
            }
            let due = full && batches >= BATCHES_PER_CHECKPOINT;
            let Some(cursor) = layout.cursor.filter(|_| due || self.row_limit == Some(read)) else {
                continue;
            };
            let Some(mark) = Mark::of_row(&next, cursor)? else { continue };
            if !mark.advances(passed.as_ref(), newest) {
                continue;
            }
            if due {
                let at = checkpoint(&plan.stream.id, Some(&mark));
                self.send(Event::Checkpoint(at)).await?;
                batches = 0;
            }
            passed = Some(mark);
        }
        self.flush(&mut batch).await?;
        if let Some(cursor) = plan.stream.cursor.as_ref().filter(|_| loose > 0) {
            let note = missing_cursors(cursor, loose);
            self.send(Event::Note(plan.stream.id.clone(), note)).await?;
        }
        Ok(Whole::Yes)
    }

    /// The greatest cursor in the table, refused if the source has gone back behind the last read.
    /// A cursor of the future is read like all rows and moves no mark.
    async fn newest(
        &self,
        db: &mut SqliteConnection,
        plan: &Plan,
        cursor: &str,
    ) -> Result<Option<Mark>> {
        let stream = &plan.stream;
        let marks = plan.low()?.zip(plan.resume.clone());
        let (newest, [gone_back, is_before]) =
            greatest(db, &stream.table, cursor, marks.clone(), None).await?;
        if gone_back {
            return Err(Error::new(
                ErrorKind::Conflict,
                "E-SOURCE-REWOUND",
                format!("the greatest `{cursor}` lies before the one that was already read"),
            )
            .hint(
                "the source was restored or its rows were deleted; ask its owner, then read it \
                 from the start: `huiliu state reset SYSTEM.STREAM --from-start --reason TEXT`",
            ));
        }
        // The file's writers are asked for no clock; they are on this machine or share its disk.
        let now = self.cx.clock.now();
        let cap = newest.as_ref().and_then(|mark| mark.believed(now, stream.zone));
        let (reached, is_before) = match cap {
            None => (newest, is_before),
            Some(cap) => {
                self.send(Event::Note(stream.id.clone(), future_cursors(cursor))).await?;
                let found = greatest(db, &stream.table, cursor, marks, Some(cap)).await?;
                (found.0, found.1[1])
            }
        };
        // The mark never moves back: rows between the two may be gone.
        Ok(if is_before { plan.resume.clone() } else { reached })
    }

    async fn flush(&self, batch: &mut Batch<'_>) -> Result<()> {
        match batch.take()? {
            Some(rows) => self.send(Event::Rows(rows)).await,
            None => Ok(()),
        }
    }

    async fn send(&self, event: Event) -> Result<()> {
        self.cx.check()?;
        self.sender.send(Ok(event)).await.map_err(|_| Error::cancelled())
    }

    /// Waits for `step`, unless the caller asks to stop or goes away.
    async fn unless_stopped<T>(&self, step: impl Future<Output = T>) -> Result<T> {
        tokio::select! {
            biased;
            done = step => Ok(done),
            () = self.cx.cancel.cancelled() => Err(Error::cancelled()),
            () = self.sender.closed() => Err(Error::cancelled()),
        }
    }
}

/// Whether a read came to the end of what the source holds.
enum Whole {
    Yes,
    /// It stopped early, and can go on from this mark.
    UpTo(Option<Mark>),
}

/// The rows collected for the next event.
struct Batch<'a> {
    builder: RowBuilder,
    rejected: Vec<Rejected>,
    rejected_bytes: usize,
    origin: Arc<str>,
    stream: &'a Stream,
}

impl Batch<'_> {
    fn push(&mut self, row: &SqliteRow, layout: &Layout, ordinal: u64) -> Result<()> {
        let columns = &layout.columns;
        let position = match layout.rowid {
            // Row numbers below zero are legal and rare; they keep their bits.
            Some(_) => row
                .try_get_unchecked::<i64, _>(columns.len())
                .map_err(|cause| fault("reading a row number", cause))?
                .cast_unsigned(),
            None => ordinal,
        };
        let decimals = row::decimal_texts(row, columns)?;
        let (code, reason) = match row::cells(row, columns, &decimals)? {
            Ok(cells) => match self.builder.push(position, &cells) {
                Ok(()) => return Ok(()),
                Err(refused) => {
                    (refused.code, format!("column `{}`: {}", refused.column, refused.reason))
                }
            },
            Err(unfit) => (unfit.code, unfit.reason),
        };
        let raw = row::render(row, columns)?;
        self.rejected_bytes += raw.len();
        self.rejected.push(Rejected { position, code, reason, raw });
        Ok(())
    }

    fn is_full(&self, cx: &Cx) -> bool {
        self.builder.len() + self.rejected.len() >= cx.limits.rows
            || self.builder.bytes() + self.rejected_bytes >= cx.limits.bytes
    }

    fn take(&mut self) -> Result<Option<Rows>> {
        if self.builder.is_empty() && self.rejected.is_empty() {
            return Ok(None);
        }
        let (batch, positions) = self.builder.finish()?;
        self.rejected_bytes = 0;
        Ok(Some(Rows {
            stream: self.stream.id.clone(),
            batch,
            ops: Ops::Upsert,
            origin: Arc::clone(&self.origin),
            positions,
            rejected: std::mem::take(&mut self.rejected),
        }))
    }
}

fn bind(
    query: Query<'_, Sqlite, SqliteArguments>,
    marks: Vec<Mark>,
) -> Query<'_, Sqlite, SqliteArguments> {
    marks.into_iter().fold(query, |query, mark| mark.bind(query))
}

fn is_null(row: &SqliteRow, index: usize) -> Result<bool> {
    let value = row.try_get_raw(index).map_err(|cause| fault("reading a value", cause))?;
    Ok(value.is_null())
}

async fn execute(db: &mut SqliteConnection, sql: &'static str) -> Result<()> {
    sqlx::query(sql).execute(db).await.map(|_| ()).map_err(|cause| fault(sql, cause))
}

/// The greatest cursor in the table, at most `cap`, and whether it lies before each of `marks`.
async fn greatest(
    db: &mut SqliteConnection,
    table: &str,
    cursor: &str,
    marks: Option<(Mark, Mark)>,
    cap: Option<Mark>,
) -> Result<(Option<Mark>, [bool; 2])> {
    let (table, column) = (quote(table), column(cursor));
    let failed = |cause| fault(format!("finding the greatest `{cursor}`"), cause);
    let before = if marks.is_some() { format!("max({column}) < ?") } else { "null".into() };
    let mut sql = format!("select max({column}), {before}, {before} from main.{table} as t");
    if cap.is_some() {
        sql += &format!(" where {column} <= ?");
    }
    let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
    for mark in marks.into_iter().flat_map(|(low, mark)| [low, mark]).chain(cap) {
        query = mark.bind(query);
    }
    let row = query.fetch_one(db).await.map_err(failed)?;
    let is = |index| row.try_get::<Option<bool>, _>(index).map(|is| is == Some(true));
    let before = [is(1).map_err(failed)?, is(2).map_err(failed)?];
    Ok((Mark::of_row(&row, 0)?, before))
}
