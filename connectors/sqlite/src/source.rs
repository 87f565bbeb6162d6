//! Reading streams: one thread decodes ahead of the caller, by at most a few batches.

use std::sync::Arc;

use futures::StreamExt;
use huiliu_sdk::{
    Cx, Error, ErrorKind, Event, ReadRequest, Relay, Result, Source, StreamId, Window,
    future_cursors, missing_cursors,
};
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{AssertSqlSafe, Row, Sqlite, SqliteConnection, ValueRef};
use tokio::sync::mpsc;

use crate::batch::Batch;
use crate::config::{Settings, Stream};
use crate::cursor::{Mark, checkpoint};
use crate::database::{self, Purpose, column, execute, fault, quote};
use crate::marking::{FlaggedRelay, Pending};
use crate::schema::{self, Layout};
use crate::{flagged, statement};

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
) -> Result<Box<dyn Source>> {
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
) -> Result<Box<dyn Source>> {
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
) -> Result<Box<dyn Source>> {
    let db = database::open(&settings.path, Purpose::Read).await?;
    let is_flagged = plans.iter().any(|plan| plan.stream.flags.is_some());
    let pending = Arc::new(Pending::default());
    let (cx, marks, held) = (cx.clone(), Arc::clone(&pending), Arc::clone(settings));
    let runtime = tokio::runtime::Handle::current();
    // Decoding is work for a thread, and the driver's rows arrive through a future.
    let relay = Relay::start(move |sender| {
        let outlet = Outlet { sender, cx, settings: held, row_limit };
        runtime.block_on(Box::pin(outlet.run(db, plans, &marks)));
    });
    // A preview is only a look: whoever acknowledges it changes nothing.
    if is_flagged && row_limit.is_none() {
        return Ok(Box::new(FlaggedRelay::new(relay, Arc::clone(settings), pending)));
    }
    Ok(Box::new(relay))
}

/// Where the reader puts its events.
pub(crate) struct Outlet {
    sender: mpsc::Sender<Result<Event>>,
    pub(crate) cx: Cx,
    pub(crate) settings: Arc<Settings>,
    pub(crate) row_limit: Option<u64>,
}

impl Outlet {
    async fn run(self, mut db: SqliteConnection, plans: Vec<Plan>, pending: &Pending) {
        for plan in &plans {
            let stream = &plan.stream;
            let done = match &stream.flags {
                Some(flags) => {
                    Box::pin(flagged::read(&self, &mut db, stream, flags, pending)).await
                }
                None => Box::pin(self.read(&mut db, plan)).await,
            };
            if let Err(error) = done {
                let error = error.context(format!("stream `{}`", stream.id));
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
        let batch = Batch::new(stream, &layout, self.settings.hub_zone);
        self.send(Event::Schema(stream.id.clone(), batch.builder.schema())).await?;
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
        mut batch: Batch,
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

    /// Sends what was collected.
    pub(crate) async fn flush(&self, batch: &mut Batch) -> Result<()> {
        match batch.take()? {
            Some(rows) => self.send(Event::Rows(rows)).await,
            None => Ok(()),
        }
    }

    pub(crate) async fn send(&self, event: Event) -> Result<()> {
        self.cx.check()?;
        self.sender.send(Ok(event)).await.map_err(|_| Error::cancelled())
    }

    /// Waits for `step`, unless the caller asks to stop or goes away.
    pub(crate) async fn unless_stopped<T>(&self, step: impl Future<Output = T>) -> Result<T> {
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
