//! Reading what changed since the last read, by a column that only grows.
//!
//! The lower bound is inclusive and lies `overlap` before the last mark. The new mark is found in
//! the same snapshot as the rows. Every value is compared by the source, in the column's own type.
//!
//! A transaction that is still open may commit rows below the mark later. The mark therefore is a
//! value of a row whose transaction is older than all that were open when the read began; rows of
//! younger ones are read and read once more the next time. Where the cursor is a time, the mark
//! also stays at the start of the oldest open transaction and never goes beyond the source's own
//! present: rows get the time at which their transaction began, or a later one. Clocks of clients
//! that run behind, and numbers that a session took from a sequence long before it used them, are
//! covered by `overlap` alone.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use chrono::{DateTime, NaiveDateTime, Utc};
use chrono_tz::Tz;
use huiliu_sdk::{
    Cx, Error, ErrorKind, Event, Overlap, Result, StreamId, Window, future_cursors,
    missing_cursors, wall_text_back, wall_text_believed,
};
use sqlx::PgConnection;

use crate::catalog::{self, Declared, Table};
use crate::config::Stream;
use crate::database::{Session, column, get, quote_table, rows};
use crate::decode::Decoder;
use crate::horizon::{self, Horizon};
use crate::layout;
use crate::progress::{CursorProgress, checkpoint, cursor_state, resume_cursor, resume_position};
use crate::ranges::{self, Range};
use crate::reader::{Outlet, Plan, Target};

/// Rows after which a checkpoint is offered.
const ROWS_PER_CHECKPOINT: u64 = 2_000_000;
/// Most ranges a read is cut into.
const MOST_RANGES: u64 = 1000;

/// What kind of value a cursor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Instant,
    WallTime,
    Date,
    /// A whole number that starts here.
    Int(&'static str),
    Numeric,
    Text,
}

fn class(declared: &Declared) -> Result<Class> {
    Ok(match declared.type_oid {
        1184 => Class::Instant,
        1114 => Class::WallTime,
        1082 => Class::Date,
        21 => Class::Int("-32768"),
        23 => Class::Int("-2147483648"),
        20 => Class::Int("-9223372036854775808"),
        26 => Class::Int("0"),
        1700 => Class::Numeric,
        25 | 1043 | 1042 | 19 => Class::Text,
        _ => {
            return Err(Error::new(
                ErrorKind::Config,
                "E-CURSOR",
                format!("column `{}` of type {} cannot be a cursor", declared.name, declared.shown),
            )
            .hint("choose a column of times, whole numbers or text, or read = \"full\""));
        }
    })
}

/// Reads the rows at and behind the last mark.
pub(crate) async fn read(
    outlet: &Outlet,
    plan: &Plan,
    cursor: &str,
    overlap: Overlap,
) -> Result<()> {
    let (stream, cx) = (&plan.stream, &outlet.cx);
    let resume = resume_cursor(plan.resume.as_ref(), cursor)?;
    let mut session = outlet.open().await?;
    let horizon = horizon::look(&mut session, cx).await?;
    let held = resume_position(plan.resume.as_ref()).filter(|_| resume.is_some());
    horizon.check(held.as_ref())?;
    outlet.begin(&mut session.db).await?;
    let table = catalog::table(&mut session.db, cx, &stream.table).await?;
    let layout = Arc::new(layout::layout(stream, &table, outlet.settings.hub_zone)?);
    let by = table.column(cursor)?;
    let class = class(by)?;
    let low = match &resume {
        Some(resume) => Some(lower(&mut session.db, cx, by, class, &resume.mark, overlap).await?),
        None => None,
    };
    let search = Search {
        table: &table,
        by,
        class,
        zone: stream.zone,
        resume: resume.as_ref(),
        low: low.as_deref(),
        horizon: &horizon,
    };
    let newest = search.newest(outlet, &mut session, &stream.id).await?;
    // Where nothing has moved, the checkpoint stays what it was.
    let log = held.filter(|_| newest == resume).or(horizon.position);
    let log = log.as_ref();
    let ranges = cut(outlet, &mut session, plan, &table, by, low, newest.as_ref()).await?;
    outlet.send(Event::Schema(stream.id.clone(), Arc::clone(&layout.schema))).await?;

    let place = layout.columns.iter().position(|laid| laid.name == cursor);
    let mut without_cursor = 0_u64;
    let mut count = |batch: &RecordBatch| {
        without_cursor += place.map_or(0, |place| batch.column(place).null_count() as u64);
    };
    let manner = outlet.manner(stream, &session);
    let mut decoder = Decoder::new(&layout, &manner);
    let origin: Arc<str> = table.name.to_string().into();
    let target = Target::Rows { stream: &stream.id, origin: &origin };
    for range in &ranges {
        range.bind(&mut session.db, cx).await?;
        let mut rest = range.filter(by);
        if let Some(limit) = plan.row_limit {
            rest += &format!(" limit {}", limit.min(i64::MAX.cast_unsigned()));
        }
        let sql = layout.copy(&rest);
        outlet.copy(&mut session.db, &sql, &mut decoder, &target, &mut count).await?;
        if let Some(mark) = range.high.clone() {
            let progress = CursorProgress { mark, is_capped: false };
            let state = cursor_state(cursor, Some(&progress), log, 0);
            outlet.send(Event::Checkpoint(checkpoint(&stream.id, state))).await?;
        }
    }
    if stream.key_scan && plan.row_limit.is_none() {
        keys(outlet, &mut session, stream, &table).await?;
    }
    if without_cursor > 0 {
        let note = missing_cursors(cursor, without_cursor);
        outlet.send(Event::Note(stream.id.clone(), note)).await?;
    }
    // A preview says nothing about how far the stream was read.
    let progress = if plan.row_limit.is_some() { resume.as_ref() } else { newest.as_ref() };
    let state = cursor_state(cursor, progress, log, without_cursor);
    outlet.send(Event::Checkpoint(checkpoint(&stream.id, state))).await?;
    let complete = resume.is_none() && plan.row_limit.is_none() && !stream.key_scan;
    outlet.send(Event::End { stream: stream.id.clone(), complete }).await
}

/// Reads the rows whose cursor lies in the plan's window.
pub(crate) async fn read_window(outlet: &Outlet, plan: &Plan, cursor: &str) -> Result<()> {
    let (stream, cx) = (&plan.stream, &outlet.cx);
    let window = plan.window.as_ref();
    let window = window.ok_or_else(|| Error::internal("a part without ends"))?;
    let mut session = outlet.open().await?;
    outlet.begin(&mut session.db).await?;
    let table = catalog::table(&mut session.db, cx, &stream.table).await?;
    let layout = Arc::new(layout::layout(stream, &table, outlet.settings.hub_zone)?);
    let by = table.column(cursor)?;
    let ends = match class(by)? {
        Class::Instant => {
            let Window { from, to } = window.in_utc(stream.zone);
            Window { from: from + "+00", to: to + "+00" }
        }
        Class::WallTime | Class::Date | Class::Text => window.clone(),
        Class::Int(_) | Class::Numeric => return Err(Window::unfit(cursor)),
    };
    outlet.send(Event::Schema(stream.id.clone(), Arc::clone(&layout.schema))).await?;
    let (low, high) = (Some(ends.from), Some(ends.to));
    let range = Range { low, high, with_nulls: false };
    range.bind(&mut session.db, cx).await?;
    let manner = outlet.manner(stream, &session);
    let mut decoder = Decoder::new(&layout, &manner);
    let origin: Arc<str> = table.name.to_string().into();
    let target = Target::Rows { stream: &stream.id, origin: &origin };
    let sql = layout.copy(&range.filter(by));
    outlet.copy(&mut session.db, &sql, &mut decoder, &target, |_| {}).await?;
    outlet.send(Event::End { stream: stream.id.clone(), complete: false }).await
}

/// What it takes to find the mark up to which a read comes.
struct Search<'a> {
    table: &'a Table,
    by: &'a Declared,
    class: Class,
    zone: Tz,
    resume: Option<&'a CursorProgress>,
    /// Where the read starts.
    low: Option<&'a str>,
    horizon: &'a Horizon,
}

/// What the source answers.
struct Found {
    /// The mark, unless there is no settled row and there was none before.
    progress: Option<CursorProgress>,
    greatest: String,
    is_before_low: bool,
    is_future: bool,
    now: DateTime<Utc>,
}

impl Search<'_> {
    /// The mark up to which this read comes; refused if the source has gone back behind where it
    /// starts.
    async fn newest(
        &self,
        outlet: &Outlet,
        session: &mut Session,
        stream: &StreamId,
    ) -> Result<Option<CursorProgress>> {
        let Some(found) = self.look(outlet, session, None).await? else {
            // A front database whose rows were all taken away says nothing about how far it was
            // read before.
            return Ok(self.resume.cloned());
        };
        // A mark that was capped never was a value of the source, which may well hold less.
        if found.is_before_low && !self.resume.is_some_and(|resume| resume.is_capped) {
            return Err(Error::new(
                ErrorKind::Conflict,
                "E-SOURCE-REWOUND",
                format!(
                    "the greatest `{}` lies before the one that was already read",
                    self.by.name
                ),
            )
            .hint(
                "the source was restored or its rows were deleted; ask its owner, then read it \
                 from the start: `huiliu state reset SYSTEM.STREAM --from-start --reason TEXT`",
            ));
        }
        let believed = match self.class {
            Class::Text => wall_text_believed(&found.greatest, found.now, self.zone),
            _ => None,
        };
        if believed.is_some() || found.is_future {
            outlet.send(Event::Note(stream.clone(), future_cursors(&self.by.name))).await?;
        }
        let Some(believed) = believed else { return Ok(found.progress) };
        let found = self.look(outlet, session, Some(&believed)).await?;
        let progress = found.map_or_else(|| self.resume.cloned(), |found| found.progress);
        Ok(progress.map(|progress| CursorProgress { is_capped: true, ..progress }))
    }

    /// Asks the source, about values up to `cap` only if there is one. Nothing if it has none.
    async fn look(
        &self,
        outlet: &Outlet,
        session: &mut Session,
        cap: Option<&str>,
    ) -> Result<Option<Found>> {
        let (name, cast) = (column(&self.by.name), &self.by.cast);
        let present = |moment: &str| match self.class {
            Class::Instant => Some(format!("({moment})::{cast}")),
            Class::WallTime => Some(format!("(({moment}) at time zone $3::text)::{cast}")),
            Class::Date => Some(format!("((({moment}) at time zone $3::text)::date)::{cast}")),
            Class::Int(_) | Class::Numeric | Class::Text => None,
        };
        let mut values = vec![
            self.resume.map(|resume| resume.mark.as_str()),
            Some(self.horizon.instant.as_str()),
            Some(self.zone.name()),
            self.low,
            Some(self.horizon.transaction.as_str()),
        ];
        // What is no number would be the greatest for ever.
        let mut among = format!("{name} is not null");
        match (self.class, session.version >= 140_000) {
            (Class::Numeric, true) => among += &format!(" and {name} < 'Infinity'"),
            (Class::Numeric, false) => among += &format!(" and {name} < 'NaN'"),
            _ => {}
        }
        if cap.is_some() {
            among += &format!(" and {name} <= $6::text::{cast}");
            values.push(cap);
        }
        let table = quote_table(&self.table.name);
        let first = |what: &str, more: &str| {
            format!(
                "select {what} from {table} as t where {among}{more} order by {name} desc limit 1"
            )
        };
        // Only rows of tables say which transaction wrote them.
        let settled = match self.table.is_table {
            true => Horizon::settled("$5"),
            false => "true".to_owned(),
        };
        let reached = format!("greatest(s.c, $1::text::{cast})");
        let (mark, capped, future) = match (
            present("$2::text::timestamptz"),
            present("statement_timestamp() + interval '5 minutes'"),
        ) {
            (Some(open), Some(soon)) => {
                let capped = format!("coalesce({reached} > {open}, false)");
                (format!("least({reached}, {open})"), capped, format!("m.c > {soon}"))
            }
            _ => (reached.clone(), "false".to_owned(), "false".to_owned()),
        };
        let sql = format!(
            "select case when {reached} is not null then ({mark})::text end, {capped}, \
             coalesce(m.c < $4::text::{cast}, false), {future}, m.c::text, \
             to_char(statement_timestamp() at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') \
             from ({}) as m \
             cross join lateral (select case when m.ok then m.c else ({}) end as c offset 0) as s",
            first(&format!("{name} as c, {settled} as ok"), ""),
            // Looked for only if the greatest is not settled, which needs no second look at all.
            first(&name, &format!(" and {settled}")),
        );
        let cx = &outlet.cx;
        cx.request().await?;
        let what = format!("finding the greatest `{}`", self.by.name);
        let found = rows(&mut session.db, cx, &what, &sql, &values).await?;
        let Some(row) = found.first() else { return Ok(None) };
        let mark: Option<String> = get(row, 0)?;
        let is_capped = get(row, 1)?;
        let now: String = get(row, 5)?;
        let now = NaiveDateTime::parse_from_str(&now, "%Y-%m-%d %H:%M:%S")
            .map_err(|cause| Error::internal("the server's clock cannot be read").cause(cause))?;
        Ok(Some(Found {
            progress: mark.map(|mark| CursorProgress { mark, is_capped }),
            greatest: get(row, 4)?,
            is_before_low: get(row, 2)?,
            is_future: get(row, 3)?,
            now: now.and_utc(),
        }))
    }
}

/// The mark moved back by the overlap, as the source writes it.
async fn lower(
    db: &mut PgConnection,
    cx: &Cx,
    by: &Declared,
    class: Class,
    mark: &str,
    overlap: Overlap,
) -> Result<String> {
    let cast = &by.cast;
    let unfit = || {
        Error::new(
            ErrorKind::Config,
            "E-CURSOR",
            format!("the overlap does not fit the cursor `{}` of type {}", by.name, by.shown),
        )
        .hint(
            "write a length of time such as 10m for times, also for text like 2018-06-12 09:00:00, \
             and a whole number for numbers",
        )
    };
    let moved = match (class, overlap) {
        (_, Overlap::None) => return Ok(mark.to_owned()),
        (Class::Instant | Class::WallTime | Class::Date, Overlap::Time(by)) => {
            // A day moved back by minutes is the day before, which is read once more.
            let seconds = by.as_seconds_f64();
            format!("$1::text::{cast} - make_interval(secs => {seconds})")
        }
        (Class::Int(least), Overlap::Count(count)) => {
            format!("greatest($1::text::numeric - {count}, {least})")
        }
        (Class::Numeric, Overlap::Count(count)) => format!("$1::text::numeric - {count}"),
        (Class::Text, Overlap::Time(by)) => return wall_text_back(mark, by).ok_or_else(unfit),
        _ => return Err(unfit()),
    };
    let sql = format!("select (({moved})::{cast})::text");
    let found = rows(db, cx, "moving the mark back", &sql, &[Some(mark)]).await?;
    found.first().map_or_else(|| Ok(mark.to_owned()), |row| get(row, 0))
}

/// The ranges to read: one, unless there is much to read.
async fn cut(
    outlet: &Outlet,
    session: &mut Session,
    plan: &Plan,
    table: &Table,
    by: &Declared,
    low: Option<String>,
    newest: Option<&CursorProgress>,
) -> Result<Vec<Range>> {
    let (db, cx) = (&mut session.db, &outlet.cx);
    let whole = Range { low, high: None, with_nulls: true };
    let Some(newest) = newest.filter(|_| plan.row_limit.is_none()) else {
        return Ok(vec![whole]);
    };
    whole.bind(db, cx).await?;
    let expected = ranges::estimate(db, cx, table, &whole.filter(by)).await?;
    let size = ROWS_PER_CHECKPOINT.min(plan.stream.chunk_rows);
    let count = expected.div_ceil(size).min(MOST_RANGES);
    // Statistics speak of the whole table, of which the new rows are an end.
    let count = if whole.low.is_some() && count > 1 { MOST_RANGES } else { count };
    let ends = (whole.low.as_deref(), Some(newest.mark.as_str()));
    let bounds = ranges::bounds(db, cx, table, by, (count, expected), ends).await?;
    Ok(ranges::between(whole.low, bounds, true))
}

/// Sends all keys the snapshot holds.
async fn keys(
    outlet: &Outlet,
    session: &mut Session,
    stream: &Stream,
    table: &Table,
) -> Result<()> {
    let layout = Arc::new(layout::keys(stream, table, outlet.settings.hub_zone)?);
    let manner = outlet.manner(stream, session);
    let mut decoder = Decoder::new(&layout, &manner);
    let target = Target::Keys(&stream.id);
    outlet.copy(&mut session.db, &layout.copy(""), &mut decoder, &target, |_| {}).await
}
