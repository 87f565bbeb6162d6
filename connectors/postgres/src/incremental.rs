//! Reading what changed since the last read, by a column that only grows.
//!
//! The lower bound is inclusive and lies `overlap` before the last mark. The new mark is found in
//! the same snapshot as the rows. Every value is compared by the source, in the column's own type.
//!
//! A transaction that is still open may commit rows below the mark later. Where the cursor is a
//! time, the mark therefore stays at the start of the oldest transaction that is open when the
//! read begins, and never goes beyond the source's own present: rows get the time at which their
//! transaction began, or a later one. Transactions of other servers (a replica is read), ones the
//! user may not see, clocks of clients that run behind, and numbers out of sequences are covered
//! by `overlap` alone, so it should be longer than the longest transaction.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use huiliu_sdk::{Cx, Error, ErrorKind, Event, Result};
use sqlx::PgConnection;

use crate::catalog::{self, Declared, Table};
use crate::config::{Overlap, Stream};
use crate::database::{Session, column, get, quote_table, rows};
use crate::decode::Decoder;
use crate::layout;
use crate::progress::{CursorProgress, checkpoint, cursor_state, resume_cursor};
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
    // Before the snapshot: a transaction that ends in between is in neither of the two.
    let settled = settled_until(&mut session.db, cx).await?;
    outlet.begin(&mut session.db).await?;
    let table = catalog::table(&mut session.db, cx, &stream.table).await?;
    let layout = Arc::new(layout::layout(stream, &table, outlet.settings.hub_zone)?);
    let by = table.column(cursor)?;
    let class = class(by)?;
    let newest =
        newest(&mut session, cx, stream, &table, by, class, resume.as_ref(), &settled).await?;
    let low = match &resume {
        Some(resume) => Some(lower(&mut session.db, cx, by, class, &resume.mark, overlap).await?),
        None => None,
    };
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
            let state = cursor_state(cursor, Some(&progress), 0);
            outlet.send(Event::Checkpoint(checkpoint(&stream.id, state))).await?;
        }
    }
    if stream.key_scan && plan.row_limit.is_none() {
        keys(outlet, &mut session, stream, &table).await?;
    }
    // A preview says nothing about how far the stream was read.
    let progress = if plan.row_limit.is_some() { resume.as_ref() } else { newest.as_ref() };
    let state = cursor_state(cursor, progress, without_cursor);
    outlet.send(Event::Checkpoint(checkpoint(&stream.id, state))).await?;
    let complete = resume.is_none() && plan.row_limit.is_none() && !stream.key_scan;
    outlet.send(Event::End { stream: stream.id.clone(), complete }).await
}

/// The instant before which everything the source ever held was committed or given up, as far as
/// this user can see.
async fn settled_until(db: &mut PgConnection, cx: &Cx) -> Result<String> {
    let sql = "select coalesce(min(a.xact_start), now())::text \
               from pg_catalog.pg_stat_activity a \
               where a.datname = current_database() and a.pid <> pg_backend_pid() \
               and a.usename is not null and a.xact_start is not null";
    let found = rows(db, cx, "looking for open transactions", sql, &[]).await?;
    match found.first() {
        Some(row) => get(row, 0),
        None => Err(Error::internal("the database did not say what time it is")),
    }
}

/// The mark up to which this read comes; refused if the source has gone back behind `resume`.
#[allow(clippy::too_many_arguments)] // one statement needs to know all of them
async fn newest(
    session: &mut Session,
    cx: &Cx,
    stream: &Stream,
    table: &Table,
    by: &Declared,
    class: Class,
    resume: Option<&CursorProgress>,
    settled: &str,
) -> Result<Option<CursorProgress>> {
    let (name, cast) = (column(&by.name), &by.cast);
    let cap = match class {
        Class::Instant => Some(format!("$2::text::timestamptz::{cast}")),
        Class::WallTime => Some(format!("($2::text::timestamptz at time zone $3::text)::{cast}")),
        Class::Date => {
            Some(format!("(($2::text::timestamptz at time zone $3::text)::date)::{cast}"))
        }
        Class::Int(_) | Class::Numeric | Class::Text => None,
    };
    // What is no number would be the greatest for ever.
    let numbers = match (class, session.version >= 140_000) {
        (Class::Numeric, true) => format!(" and {name} < 'Infinity'"),
        (Class::Numeric, false) => format!(" and {name} < 'NaN'"),
        _ => String::new(),
    };
    let (mark, capped) = match &cap {
        Some(cap) => (format!("least(m.c, {cap})"), format!("m.c > {cap}")),
        None => ("m.c".to_owned(), "false".to_owned()),
    };
    let sql = format!(
        "select ({mark})::text, {capped}, coalesce(m.c < $1::text::{cast}, false) \
         from (select {name} as c from {} as t where {name} is not null{numbers} \
         order by {name} desc limit 1) as m",
        quote_table(&table.name)
    );
    let mark = resume.map(|resume| resume.mark.as_str());
    let values = [mark, Some(settled), Some(stream.zone.name())];
    cx.request().await?;
    let what = format!("finding the greatest `{}`", by.name);
    let found = rows(&mut session.db, cx, &what, &sql, &values).await?;
    let (newest, is_behind) = match found.first() {
        Some(row) => {
            let progress = CursorProgress { mark: get(row, 0)?, is_capped: get(row, 1)? };
            (Some(progress), get::<bool>(row, 2)?)
        }
        None => (None, resume.is_some()),
    };
    // A mark that was capped never was a value of the source, which may well hold less.
    if is_behind && !resume.is_some_and(|resume| resume.is_capped) {
        return Err(Error::new(
            ErrorKind::Conflict,
            "E-SOURCE-REWOUND",
            format!("the greatest `{}` lies before the one that was already read", by.name),
        )
        .hint(
            "the source was restored or its rows were deleted; ask its owner, then run \
             `huiliu state reset SYSTEM.STREAM --from-start --reason TEXT` to read it from the start",
        ));
    }
    Ok(newest.or_else(|| resume.cloned()))
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
    let moved = match (class, overlap) {
        (_, Overlap::None) => return Ok(mark.to_owned()),
        (Class::Instant | Class::WallTime | Class::Date, Overlap::Time(by)) => {
            // A day moved back by minutes is the day before, which is read once more.
            format!("$1::text::{cast} - make_interval(secs => {})", by.num_seconds())
        }
        (Class::Int(least), Overlap::Count(count)) => {
            format!("greatest($1::text::numeric - {count}, {least})")
        }
        (Class::Numeric, Overlap::Count(count)) => format!("$1::text::numeric - {count}"),
        _ => {
            return Err(Error::new(
                ErrorKind::Config,
                "E-CURSOR",
                format!("the overlap does not fit the cursor `{}` of type {}", by.name, by.shown),
            )
            .hint("write a duration such as 10m for times and a whole number for numbers; text takes none"));
        }
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
