//! Reading rows by a cursor column: from the last one seen, inclusive, in one snapshot.

use chrono::{NaiveDateTime, TimeZone, Utc};
use huiliu_sdk::{
    Error, ErrorKind, Event, Result, Window, future_cursors, missing_cursors, wall_text_believed,
};
use sqlx::mysql::MySqlConnection;

use crate::batch::{Batch, bytes_of, is_true, text_of};
use crate::config::Mode;
use crate::cursor::{at, back_by, mark_of, rewound};
use crate::database::{Purpose, column, execute, open, quote};
use crate::full::{SNAPSHOT, select};
use crate::keyset::Comparable;
use crate::schema::{Layout, layout};
use crate::source::{Outlet, Plan};
use crate::wire::Wire;

/// Batches after which a read offers a checkpoint.
const BATCHES_PER_CHECKPOINT: u64 = 8;

/// Reads one stream from its cursor on.
pub(crate) async fn read(outlet: &Outlet, plan: &Plan) -> Result<()> {
    let stream = &plan.stream;
    let Mode::Incremental { cursor, overlap, key_scan } = &stream.mode else {
        return Err(Error::internal("the stream has no cursor"));
    };
    let mark = plan.resume.as_ref().map(mark_of).transpose()?.flatten();
    let mut db = open(&outlet.settings, Purpose::Read).await?;
    let layout = layout(&mut db, stream, &[cursor]).await?;
    let cursor = Comparable::required(&layout.table, cursor)?;
    let low = mark.as_deref().map(|mark| back_by(mark, *overlap, &cursor)).transpose()?;
    let window = plan.window.as_ref().map(|window| ends(window, plan, &cursor)).transpose()?;
    let reading = Reading { outlet, plan, cursor, layout: &layout, mark, low, window };
    execute(&mut db, SNAPSHOT).await?;
    let newest = match plan.window {
        Some(_) => None,
        None => reading.newest(&mut db).await?,
    };
    let slots = layout.slots(stream, outlet.settings.hub_zone, None);
    let batch = Batch::new(stream.id.clone(), &stream.table, slots);
    outlet.send(Event::Schema(stream.id.clone(), batch.schema())).await?;
    let whole = reading.rows(&mut db, newest.as_ref(), batch).await?;
    let (reached, whole) = match whole {
        Whole::Yes => (newest.map(|newest| newest.reached), true),
        Whole::UpTo(passed) => (passed, false),
    };
    // A source without rows says nothing about how far it was read before.
    let reached = reached.or_else(|| reading.mark.clone());
    let complete = whole && plan.resume.is_none() && plan.window.is_none();
    if *key_scan && whole && !complete && plan.window.is_none() {
        reading.keys(&mut db).await?;
    }
    outlet.checkpoint(at(&stream.id, reached.as_deref())).await?;
    outlet.end(&stream.id, complete).await
}

/// One read.
struct Reading<'a> {
    outlet: &'a Outlet,
    plan: &'a Plan,
    layout: &'a Layout,
    cursor: Comparable,
    /// The cursor of the last committed checkpoint.
    mark: Option<String>,
    /// The same, moved back by the overlap: where the read starts.
    low: Option<String>,
    /// The part to read instead of what is new.
    window: Option<Window>,
}

/// The upper end of a read.
struct Newest {
    /// The greatest cursor that is believed.
    believed: String,
    /// Where the next read starts: never before this one did.
    reached: String,
}

/// Whether a read came to the end of what the source holds.
enum Whole {
    Yes,
    /// It stopped early, and can go on from this mark.
    UpTo(Option<String>),
}

impl Reading<'_> {
    /// The greatest cursor, refused if the source has gone back behind where this read starts. A
    /// cursor of the future is read like all rows and moves no mark.
    async fn newest(&self, db: &mut MySqlConnection) -> Result<Option<Newest>> {
        let Some((greatest, gone_back)) = self.greatest(db, None).await? else { return Ok(None) };
        let sql = "select cast(utc_timestamp(6) as char)".to_owned();
        let now = text_of(&self.outlet.row(db, sql, Vec::new()).await?, 0)?.unwrap_or_default();
        let now = NaiveDateTime::parse_from_str(&now, "%Y-%m-%d %H:%M:%S%.f")
            .map_err(|cause| Error::internal("the server's clock cannot be read").cause(cause))?;
        let zone = match self.cursor.wire {
            Wire::Timestamp { .. } => chrono_tz::UTC,
            _ => self.plan.stream.zone,
        };
        let timed = matches!(
            self.cursor.wire,
            Wire::Date | Wire::Datetime { .. } | Wire::Timestamp { .. } | Wire::Text
        );
        let now = Utc.from_utc_datetime(&now);
        let cap = wall_text_believed(&greatest, now, zone).filter(|_| timed);
        let (greatest, gone_back) = match cap {
            None => (greatest, gone_back),
            Some(cap) => {
                self.note(future_cursors(&self.cursor.name)).await?;
                match self.greatest(db, Some(cap)).await? {
                    Some(found) => found,
                    None => return Ok(None),
                }
            }
        };
        if gone_back.before_low {
            return Err(rewound(&self.cursor.name));
        }
        let reached = match &self.mark {
            Some(mark) if gone_back.before_mark => mark.clone(),
            _ => greatest.clone(),
        };
        Ok(Some(Newest { believed: greatest, reached }))
    }

    async fn note(&self, note: String) -> Result<()> {
        self.outlet.send(Event::Note(self.plan.stream.id.clone(), note)).await
    }

    /// The greatest cursor up to `cap`, and how it lies to the last read's.
    async fn greatest(
        &self,
        db: &mut MySqlConnection,
        cap: Option<String>,
    ) -> Result<Option<(String, GoneBack)>> {
        let Comparable { side, bound, .. } = &self.cursor;
        let mut binds: Vec<String> = Vec::new();
        let before = match (&self.low, &self.mark) {
            (Some(low), Some(mark)) => {
                binds.extend([low.clone(), mark.clone()]);
                format!("max({side}) < {bound}, max({side}) < {bound}")
            }
            _ => "0, 0".to_owned(),
        };
        let table = quote(&self.layout.table.name);
        let mut sql = format!("select cast(max({side}) as char), {before} from {table} as t");
        if let Some(cap) = cap {
            sql += &format!(" where {side} <= {bound}");
            binds.push(cap);
        }
        let row = self.outlet.row(db, sql, binds).await?;
        let Some(greatest) = text_of(&row, 0)? else { return Ok(None) };
        let gone_back = GoneBack { before_low: is_true(&row, 1)?, before_mark: is_true(&row, 2)? };
        Ok(Some((greatest, gone_back)))
    }

    /// Sends the rows in the order of cursor and key. Nobody can say whether a row without a
    /// cursor is new, so it is read again every time.
    async fn rows(
        &self,
        db: &mut MySqlConnection,
        newest: Option<&Newest>,
        mut batch: Batch,
    ) -> Result<Whole> {
        let (sql, binds) = self.statement(newest);
        let width = batch.width();
        let mut rows = self.outlet.rows(db, sql, binds).await?;
        let (mut read, mut batches, mut loose) = (0_u64, 0_u64, 0_u64);
        let mut passed = self.mark.clone();
        while let Some(row) = rows.next().await? {
            if self.outlet.row_limit.is_some_and(|limit| read >= limit) {
                self.outlet.flush(&mut batch).await?;
                return Ok(Whole::UpTo(passed));
            }
            read += 1;
            loose += u64::from(bytes_of(&row, width)?.is_none());
            let sent = self.outlet.push(&mut batch, &row, read).await?;
            batches += u64::from(sent);
            let due = sent && batches >= BATCHES_PER_CHECKPOINT;
            if !due && self.outlet.row_limit != Some(read) {
                continue;
            }
            if !is_true(&row, width + 1)? {
                continue;
            }
            let Some(mark) = text_of(&row, width)? else { continue };
            if due && passed.as_ref() != Some(&mark) {
                self.outlet.checkpoint(at(&self.plan.stream.id, Some(&mark))).await?;
                batches = 0;
            }
            passed = Some(mark);
        }
        self.outlet.flush(&mut batch).await?;
        if loose > 0 {
            self.note(missing_cursors(&self.cursor.name, loose)).await?;
        }
        Ok(Whole::Yes)
    }

    /// Each row comes with its cursor as text, and whether a read may go on from there.
    fn statement(&self, newest: Option<&Newest>) -> (String, Vec<String>) {
        let Comparable { side, bound, shown, .. } = &self.cursor;
        let mut binds = Vec::new();
        let advances = match (newest, &self.mark) {
            (None, _) => "0".to_owned(),
            (Some(newest), None) => {
                binds.push(newest.believed.clone());
                format!("{side} <= {bound}")
            }
            (Some(newest), Some(mark)) => {
                binds.extend([newest.believed.clone(), mark.clone()]);
                format!("{side} <= {bound} and {side} > {bound}")
            }
        };
        let mut sql = select(self.layout, &[shown, &advances]);
        if let Some(window) = &self.window {
            sql += &format!(" where {side} >= {bound} and {side} < {bound}");
            binds.extend([window.from.clone(), window.to.clone()]);
        } else if let Some(low) = &self.low {
            sql += &format!(" where ({side} >= {bound} or {side} is null)");
            binds.push(low.clone());
        }
        let mut order = vec![side.clone()];
        order.extend(self.plan.stream.key.iter().map(|name| column(name)));
        sql += &format!(" order by {}", order.join(", "));
        if let Some(limit) = self.outlet.row_limit {
            sql += &format!(" limit {}", limit.saturating_add(1));
        }
        (sql, binds)
    }

    /// Sends the keys of all rows there are, as the same snapshot sees them.
    async fn keys(&self, db: &mut MySqlConnection) -> Result<()> {
        let stream = &self.plan.stream;
        let slots = self.layout.slots(stream, self.outlet.settings.hub_zone, Some(&stream.key));
        let mut batch = Batch::new(stream.id.clone(), &stream.table, slots);
        let key: Vec<String> = stream.key.iter().map(|name| column(name)).collect();
        let table = quote(&self.layout.table.name);
        let sql = format!("select {} from {table} as t", key.join(", "));
        let mut rows = self.outlet.rows(db, sql, Vec::new()).await?;
        let mut position = 0_u64;
        loop {
            let row = rows.next().await?;
            if let Some(row) = &row {
                position += 1;
                batch.push(row, position)?;
            }
            if (row.is_none() || batch.is_full(&self.outlet.cx))
                && let Some(keys) = batch.take()?
            {
                // A key left out here would count as deleted.
                if !keys.rejected.is_empty() {
                    return Err(Error::new(
                        ErrorKind::Data,
                        "E-KEY-SCAN",
                        "a key cannot be read, so nobody can say which rows are gone",
                    )
                    .hint("correct the row at the source, or use deletes = \"ignore\""));
                }
                self.outlet.send(Event::Keys(stream.id.clone(), keys.batch)).await?;
            }
            if row.is_none() {
                return Ok(());
            }
        }
    }
}

/// The ends of a window as the cursor's values; this connector's sessions are in UTC.
fn ends(window: &Window, plan: &Plan, cursor: &Comparable) -> Result<Window> {
    match cursor.wire {
        Wire::Timestamp { .. } => Ok(window.in_utc(plan.stream.zone)),
        Wire::Date | Wire::Datetime { .. } | Wire::Text => Ok(window.clone()),
        _ => Err(Window::unfit(&cursor.name)),
    }
}

/// How the source's greatest cursor lies to the last read's.
#[derive(Clone, Copy)]
struct GoneBack {
    before_low: bool,
    before_mark: bool,
}
