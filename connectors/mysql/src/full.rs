//! Reading whole tables: at once, or in chunks of the primary key between which an interrupted
//! read can go on.

use std::sync::Arc;

use huiliu_sdk::{Error, ErrorKind, Event, Result};
use serde_json::json;
use sqlx::mysql::{MySqlConnection, MySqlRow};
use tokio::task::JoinSet;

use crate::batch::{Batch, text_of};
use crate::cursor::{after_of, checkpoint};
use crate::database::{Purpose, column, execute, open, quote};
use crate::keyset::{self, Comparable, Condition};
use crate::schema::{Layout, layout};
use crate::source::{Outlet, Plan};
use crate::wire::Wire;

/// A moment of the tables that stays the same until the transaction ends.
pub(crate) const SNAPSHOT: &str = "start transaction with consistent snapshot, read only";

/// Reads one stream whole.
pub(crate) async fn read(
    outlet: &Outlet,
    plan: &Plan,
    chunk_rows: u64,
    parallel: u32,
) -> Result<()> {
    let stream = &plan.stream;
    let after = plan.resume.as_ref().map(after_of).transpose()?.flatten();
    let mut db = open(&outlet.settings, Purpose::Read).await?;
    let layout = layout(&mut db, stream, &[]).await?;
    let batch = new_batch(outlet, plan, &layout);
    outlet.send(Event::Schema(stream.id.clone(), batch.schema())).await?;
    let key = chunk_key(&layout, after.as_deref())?;
    let large = layout.table.row_estimate.is_some_and(|rows| rows > chunk_rows);
    let whole = match key {
        Some(key) if outlet.row_limit.is_none() && (large || after.is_some()) => {
            let chunks = Chunks { outlet, plan, layout: &layout, key, rows: chunk_rows };
            let ranges = parallel > 1
                && matches!(chunks.key[0].wire, Wire::Int { .. })
                && after.as_ref().is_none_or(|after| after.len() == 1);
            if ranges {
                drop(batch);
                chunks.parallel(db, after, parallel).await?;
                // Each connection has seen another moment.
                false
            } else {
                let fresh = after.is_none();
                execute(&mut db, SNAPSHOT).await?;
                chunks.one_by_one(&mut db, after, batch).await?;
                fresh
            }
        }
        _ => {
            execute(&mut db, SNAPSHOT).await?;
            at_once(outlet, plan, &layout, &mut db, batch).await?
        }
    };
    outlet.checkpoint(checkpoint(&stream.id, json!({ "after": null }))).await?;
    outlet.end(&stream.id, whole).await
}

/// The primary key, if the table can be read in its order. A read that was interrupted under a
/// key needs it again.
fn chunk_key(layout: &Layout, after: Option<&[String]>) -> Result<Option<Vec<Comparable>>> {
    let table = &layout.table;
    let key: Option<Vec<Comparable>> = table
        .primary_key()
        .iter()
        .map(|name| table.column(name).ok().and_then(Comparable::of))
        .collect();
    // Without transactions there is no moment that several statements could share.
    let key = key.filter(|key| !key.is_empty() && table.is_transactional());
    let fits = key.as_ref().is_some_and(|key| after.is_none_or(|after| after.len() <= key.len()));
    if after.is_some() && !fits {
        let message = format!("the primary key of table `{}` has changed", table.name);
        return Err(Error::new(ErrorKind::Data, "E-STATE", message)
            .hint("run `huiliu state reset` for the stream to read it from the start"));
    }
    Ok(key)
}

fn new_batch(outlet: &Outlet, plan: &Plan, layout: &Layout) -> Batch {
    let slots = layout.slots(&plan.stream, outlet.settings.hub_zone, None);
    Batch::new(plan.stream.id.clone(), &plan.stream.table, slots)
}

/// `select` of the columns to read, and of more expressions behind them.
pub(crate) fn select(layout: &Layout, more: &[&str]) -> String {
    let mut columns: Vec<String> =
        layout.columns.iter().map(|(declared, _)| column(&declared.name)).collect();
    columns.extend(more.iter().map(|text| (*text).to_owned()));
    format!("select {} from {} as t", columns.join(", "), quote(&layout.table.name))
}

/// Reads everything by one statement and says whether it came to the end.
async fn at_once(
    outlet: &Outlet,
    plan: &Plan,
    layout: &Layout,
    db: &mut MySqlConnection,
    mut batch: Batch,
) -> Result<bool> {
    let mut sql = select(layout, &[]);
    if let Some(limit) = outlet.row_limit {
        if !plan.stream.key.is_empty() {
            let key: Vec<String> = plan.stream.key.iter().map(|name| column(name)).collect();
            sql += &format!(" order by {}", key.join(", "));
        }
        // One more tells whether there is more.
        sql += &format!(" limit {}", limit.saturating_add(1));
    }
    let mut rows = outlet.rows(db, sql, Vec::new()).await?;
    let mut read = 0_u64;
    while let Some(row) = rows.next().await? {
        if outlet.row_limit.is_some_and(|limit| read >= limit) {
            outlet.flush(&mut batch).await?;
            return Ok(false);
        }
        read += 1;
        outlet.push(&mut batch, &row, read).await?;
    }
    outlet.flush(&mut batch).await?;
    Ok(true)
}

/// A table that is read in chunks.
struct Chunks<'a> {
    outlet: &'a Outlet,
    plan: &'a Plan,
    layout: &'a Layout,
    key: Vec<Comparable>,
    rows: u64,
}

impl Chunks<'_> {
    /// Reads chunk after chunk in the order of the key, all in one snapshot.
    async fn one_by_one(
        &self,
        db: &mut MySqlConnection,
        mut after: Option<Vec<String>>,
        mut batch: Batch,
    ) -> Result<()> {
        let shown: Vec<&str> = self.key.iter().map(|column| column.shown.as_str()).collect();
        let mut position = 0_u64;
        loop {
            let behind = after.as_deref().map(|after| keyset::behind(&self.key, after));
            let Condition { sql: condition, binds } = behind.unwrap_or_default();
            let mut sql = select(self.layout, &shown);
            if !condition.is_empty() {
                sql += &format!(" where {condition}");
            }
            sql += &format!(" order by {} limit {}", keyset::order(&self.key), self.rows);
            let mut rows = self.outlet.rows(db, sql, binds).await?;
            let mut count = 0_u64;
            let mut last: Option<MySqlRow> = None;
            while let Some(row) = rows.next().await? {
                count += 1;
                position += 1;
                self.outlet.push(&mut batch, &row, position).await?;
                last = Some(row);
            }
            drop(rows);
            self.outlet.flush(&mut batch).await?;
            let Some(last) = last.filter(|_| count >= self.rows) else { return Ok(()) };
            after = keyset::texts(&self.key, &last, batch.width())?;
            let state = json!({ "after": after });
            self.outlet.checkpoint(checkpoint(&self.plan.stream.id, state)).await?;
        }
    }

    /// Reads each chunk of the first key column in as many parts at once. What was read so far is
    /// known only when all parts of a chunk have come.
    async fn parallel(
        &self,
        mut db: MySqlConnection,
        after: Option<Vec<String>>,
        parts: u32,
    ) -> Result<()> {
        execute(&mut db, SNAPSHOT).await?;
        let first = &self.key[0];
        let sql = format!(
            "select cast(min({side}) as char), cast(max({side}) as char) from {} as t",
            quote(&self.layout.table.name),
            side = first.side,
        );
        let row = self.outlet.row(&mut db, sql, Vec::new()).await?;
        let number = |text: Option<String>| text.and_then(|text| text.parse::<i128>().ok());
        let (Some(least), Some(greatest)) = (number(text_of(&row, 0)?), number(text_of(&row, 1)?))
        else {
            return Ok(());
        };
        let mut below = match after {
            Some(after) => number(after.into_iter().next()).unwrap_or(least - 1),
            None => least - 1,
        };
        let mut idle = vec![db];
        for _ in 1..parts {
            let mut db = open(&self.outlet.settings, Purpose::Read).await?;
            execute(&mut db, SNAPSHOT).await?;
            idle.push(db);
        }
        let estimate = i128::from(self.layout.table.row_estimate.unwrap_or(0)).max(1);
        let width = ((greatest - least + 1) * i128::from(self.rows) / estimate).max(1);
        while below < greatest {
            let end = (below + width).min(greatest);
            self.chunk(&mut idle, below, end).await?;
            below = end;
            let state = json!({ "after": [end.to_string()] });
            self.outlet.checkpoint(checkpoint(&self.plan.stream.id, state)).await?;
        }
        Ok(())
    }

    /// Reads the keys above `below` up to `end`, a part on each connection.
    async fn chunk(&self, idle: &mut Vec<MySqlConnection>, below: i128, end: i128) -> Result<()> {
        let parts = i128::try_from(idle.len()).unwrap_or(1);
        let share = (end - below + parts - 1) / parts;
        let shared = Arc::new(select(self.layout, &[]));
        // Dropping the set ends what still reads.
        let mut tasks: JoinSet<Result<MySqlConnection>> = JoinSet::new();
        for (index, mut db) in (0_i128..).zip(std::mem::take(idle)) {
            let low = below + share * index;
            let high = (low + share).min(end);
            if low >= high {
                idle.push(db);
                continue;
            }
            let (side, bound) = (&self.key[0].side, &self.key[0].bound);
            let sql = format!("{shared} where {side} > {bound} and {side} <= {bound}");
            let outlet = self.outlet.clone();
            let mut batch = new_batch(&outlet, self.plan, self.layout);
            tasks.spawn(async move {
                let binds = vec![low.to_string(), high.to_string()];
                let mut rows = outlet.rows(&mut db, sql, binds).await?;
                let mut position = 0_u64;
                while let Some(row) = rows.next().await? {
                    position += 1;
                    outlet.push(&mut batch, &row, position).await?;
                }
                outlet.flush(&mut batch).await?;
                drop(rows);
                Ok(db)
            });
        }
        while let Some(done) = tasks.join_next().await {
            let db =
                done.map_err(|cause| Error::internal("a part of a read broke off").cause(cause))??;
            idle.push(db);
        }
        Ok(())
    }
}
