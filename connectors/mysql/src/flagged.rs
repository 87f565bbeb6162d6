//! Reading a front database (前置库): cases that nobody fetched yet, whole, marked once they are
//! committed.
//!
//! Rows are marked one by one and only as they were read: a row that was sent again meanwhile, or
//! added to its case, keeps its flag and is read the next time. What was read and never marked is
//! read again. So nothing is lost wherever this process ends; what comes twice is equal.

use huiliu_sdk::{Error, Event, Result};
use huiliu_sqlkit::Flags;
use serde_json::{Value, json};
use sqlx::mysql::MySqlConnection;

use crate::batch::{Batch, is_true, text_of};
use crate::cursor::checkpoint;
use crate::database::{Purpose, column, execute, open, query, quote};
use crate::fault::fault;
use crate::full::{SNAPSHOT, select};
use crate::keyset::{self, Comparable, Condition};
use crate::marking::{Marks, Pending, Seen};
use crate::schema::{Layout, layout};
use crate::source::{Outlet, Plan};
use crate::wire::Wire;

/// Reads the cases of one stream that are new.
pub(crate) async fn read(
    outlet: &Outlet,
    plan: &Plan,
    flags: &Flags,
    pending: &Pending,
) -> Result<()> {
    let stream = &plan.stream;
    let mut db = open(&outlet.settings, Purpose::Write).await?;
    let used: Vec<&String> = std::iter::once(&flags.column).chain(&flags.group).collect();
    let layout = layout(&mut db, stream, &used).await?;
    let comparable = |names: &[String]| -> Result<Vec<Comparable>> {
        names.iter().map(|name| Comparable::required(&layout.table, name)).collect()
    };
    let version = match &stream.version {
        Some(version) => {
            let version = Comparable::required(&layout.table, version)?;
            Version { shown: version.shown, side: version.side, bound: version.bound }
        }
        None => fingerprint(&layout, &flags.column),
    };
    let mut reading = Reading {
        outlet,
        plan,
        flags,
        layout: &layout,
        group: comparable(&flags.group)?,
        key: comparable(&stream.key)?,
        version,
        position: 0,
    };
    let slots = layout.slots(stream, outlet.settings.hub_zone, None);
    let mut batch = Batch::new(stream.id.clone(), &stream.table, slots);
    outlet.send(Event::Schema(stream.id.clone(), batch.schema())).await?;
    reading.without_case(&mut db, &mut batch).await?;
    let mut last: Option<Vec<String>> = None;
    let mut number = 0_u64;
    loop {
        let Some(cases) = reading.cases(&mut db, last.as_deref()).await? else { break };
        let whole = reading.rows(&mut db, &cases, &mut batch).await?;
        outlet.flush(&mut batch).await?;
        execute(&mut db, "commit").await?;
        let Some(seen) = whole else { break };
        number += 1;
        let state = reading.state(number, &cases, &seen);
        // Noted before it is offered, so that it is there when the commit is acknowledged.
        pending.push(reading.marks(number, seen));
        outlet.checkpoint(checkpoint(&stream.id, state)).await?;
        last = cases.into_iter().next_back();
    }
    outlet.checkpoint(checkpoint(&stream.id, json!({ "batch": null, "cases": [] }))).await?;
    outlet.end(&stream.id, false).await
}

/// What tells two states of a row apart.
#[derive(Debug, Clone)]
struct Version {
    shown: String,
    side: String,
    bound: String,
}

/// Where the source keeps no version, a digest of all other columns stands for it.
fn fingerprint(layout: &Layout, flag: &str) -> Version {
    let parts: Vec<String> = layout
        .table
        .columns
        .iter()
        .filter(|declared| declared.name != flag)
        .map(|declared| {
            let name = column(&declared.name);
            match declared.wire {
                Some(Wire::Bytes | Wire::Bit { .. }) | None => {
                    format!("coalesce(hex({name}), '-')")
                }
                // As text a float has fewer digits than a double.
                Some(Wire::Float) => format!("quote(cast({name} + 0e0 as char))"),
                Some(_) => format!("quote(cast({name} as char))"),
            }
        })
        .collect();
    let side = format!("md5(concat_ws(',', {}))", parts.join(", "));
    Version { shown: side.clone(), side, bound: "?".to_owned() }
}

/// One read.
struct Reading<'a> {
    outlet: &'a Outlet,
    plan: &'a Plan,
    flags: &'a Flags,
    layout: &'a Layout,
    group: Vec<Comparable>,
    key: Vec<Comparable>,
    version: Version,
    position: u64,
}

impl Reading<'_> {
    /// Whether a row was not fetched yet. What an earlier run claimed and did not mark counts.
    fn fresh(&self) -> Condition {
        let flag = column(&self.flags.column);
        let mut ways = vec![format!("{flag} = ?")];
        let mut binds = vec![self.flags.new.clone()];
        if let Some(claimed) = &self.flags.claimed {
            ways.push(format!("{flag} = ?"));
            binds.push(claimed.clone());
        }
        if self.flags.null_is_new {
            ways.push(format!("{flag} is null"));
        }
        Condition { sql: format!("({})", ways.join(" or ")), binds }
    }

    /// New rows that name no case cannot be fetched as one. They are sent for the hub to set
    /// aside, and never marked.
    async fn without_case(&mut self, db: &mut MySqlConnection, batch: &mut Batch) -> Result<()> {
        let mut open_ends = Vec::new();
        for column in &self.group {
            if self.layout.table.column(&column.name)?.nullable {
                open_ends.push(format!("{} is null", column.side));
            }
        }
        if open_ends.is_empty() {
            return Ok(());
        }
        let fresh = self.fresh();
        let ends = open_ends.join(" or ");
        let sql = format!("{} where {} and ({ends})", select(self.layout, &[]), fresh.sql);
        let mut rows = self.outlet.rows(db, sql, fresh.binds).await?;
        while let Some(row) = rows.next().await? {
            if self.outlet.row_limit.is_some_and(|limit| self.position >= limit) {
                break;
            }
            self.position += 1;
            self.outlet.push(batch, &row, self.position).await?;
        }
        drop(rows);
        self.outlet.flush(batch).await
    }

    /// The next new cases behind `last`, claimed if that is asked for. Afterwards the connection
    /// stands in the snapshot in which their rows are to be read.
    async fn cases(
        &self,
        db: &mut MySqlConnection,
        last: Option<&[String]>,
    ) -> Result<Option<Vec<Vec<String>>>> {
        if self.outlet.row_limit.is_some_and(|limit| self.position >= limit) {
            return Ok(None);
        }
        execute(db, SNAPSHOT).await?;
        let shown: Vec<&str> = self.group.iter().map(|column| column.shown.as_str()).collect();
        let order = keyset::order(&self.group);
        let named: Vec<String> =
            self.group.iter().map(|column| format!("{} is not null", column.side)).collect();
        let Condition { sql: fresh, mut binds } = self.fresh();
        let mut sql = format!(
            "select {} from {} as t where {fresh} and {}",
            shown.join(", "),
            quote(&self.layout.table.name),
            named.join(" and "),
        );
        if let Some(last) = last {
            let behind = keyset::behind(&self.group, last);
            sql += &format!(" and {}", behind.sql);
            binds.extend(behind.binds);
        }
        sql += &format!(" group by {order} order by {order} limit {}", self.flags.batch);
        let mut rows = self.outlet.rows(db, sql, binds).await?;
        let mut cases = Vec::new();
        while let Some(row) = rows.next().await? {
            let case = keyset::texts(&self.group, &row, 0)?;
            cases.push(case.ok_or_else(|| Error::internal("a case has no number"))?);
        }
        drop(rows);
        if cases.is_empty() {
            execute(db, "commit").await?;
            return Ok(None);
        }
        if let Some(claimed) =
            self.flags.claimed.as_ref().filter(|_| self.outlet.row_limit.is_none())
        {
            execute(db, "commit").await?;
            self.claim(db, claimed, &cases).await?;
            execute(db, SNAPSHOT).await?;
        }
        Ok(Some(cases))
    }

    async fn claim(
        &self,
        db: &mut MySqlConnection,
        claimed: &str,
        cases: &[Vec<String>],
    ) -> Result<()> {
        self.outlet.cx.request().await?;
        let (fresh, among) = (self.fresh(), keyset::among(&self.group, cases));
        let sql = format!(
            "update {} as t set {} = ? where {} and {}",
            quote(&self.layout.table.name),
            column(&self.flags.column),
            fresh.sql,
            among.sql,
        );
        let mut statement = query(sql).bind(claimed.to_owned());
        for text in fresh.binds.into_iter().chain(among.binds) {
            statement = statement.bind(text);
        }
        statement.execute(db).await.map(|_| ()).map_err(|cause| fault("claiming cases", cause))
    }

    /// Sends all rows of `cases`, fetched before or not, and notes what is to be marked; nothing
    /// if the read stopped early.
    async fn rows(
        &mut self,
        db: &mut MySqlConnection,
        cases: &[Vec<String>],
        batch: &mut Batch,
    ) -> Result<Option<Vec<Seen>>> {
        let flag = column(&self.flags.column);
        let fresh = self.fresh();
        // A comparison with null is null where the flag has no value.
        let to_mark = format!("coalesce({}, 0)", fresh.sql);
        let flag_text = format!("cast({flag} as char)");
        let mut more: Vec<&str> = vec![&to_mark, &flag_text, &self.version.shown];
        more.extend(self.key.iter().map(|column| column.shown.as_str()));
        let among = keyset::among(&self.group, cases);
        let order = format!("{}, {}", keyset::order(&self.group), keyset::order(&self.key));
        let sql = format!("{} where {} order by {order}", select(self.layout, &more), among.sql);
        let binds = fresh.binds.into_iter().chain(among.binds).collect();
        let mut rows = self.outlet.rows(db, sql, binds).await?;
        let from = batch.width();
        let mut seen = Vec::new();
        while let Some(row) = rows.next().await? {
            if self.outlet.row_limit.is_some_and(|limit| self.position >= limit) {
                return Ok(None);
            }
            self.position += 1;
            self.outlet.push(batch, &row, self.position).await?;
            if !is_true(&row, from)? {
                continue;
            }
            // A row without a key cannot be found again, so it stays new.
            let Some(key) = keyset::texts(&self.key, &row, from + 3)? else { continue };
            let flag = text_of(&row, from + 1)?;
            seen.push(Seen { key, flag, version: text_of(&row, from + 2)? });
        }
        Ok(Some(seen))
    }

    /// What the hub keeps of a batch, for people.
    fn state(&self, number: u64, cases: &[Vec<String>], seen: &[Seen]) -> Value {
        let mut state = json!({ "batch": number, "cases": cases });
        if self.plan.stream.version.is_some() {
            let rows: Vec<Value> =
                seen.iter().map(|row| json!({ "key": row.key, "version": row.version })).collect();
            state["rows"] = rows.into();
        }
        state
    }

    fn marks(&self, number: u64, seen: Vec<Seen>) -> Marks {
        Marks {
            stream: self.plan.stream.id.clone(),
            number,
            table: self.layout.table.name.clone(),
            flag: self.flags.column.clone(),
            done: self.flags.done.clone(),
            key: self.key.clone(),
            version: (self.version.side.clone(), self.version.bound.clone()),
            rows: seen,
        }
    }
}
