//! Reading a front database (前置库): cases that nobody fetched yet, whole, marked once they are
//! committed.
//!
//! Rows are marked one by one and only as they were read: a row that was sent again meanwhile, or
//! added to its case, keeps its flag and is read the next time. What was read and never marked is
//! read again. A batch of cases is held in memory before any of it is sent, so that no lock is held
//! on the file while the hub is at work: its own marks have to get in.

use std::hash::{DefaultHasher, Hash, Hasher};

use futures::StreamExt;
use huiliu_sdk::{Error, Event, Result, Rows};
use huiliu_sqlkit::Flags;
use serde_json::{Value, json};
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, SqliteConnection};

use crate::batch::Batch;
use crate::config::Stream;
use crate::cursor::noted;
use crate::database::{self, Purpose, column, execute, fault, quote};
use crate::marking::{Marks, Pending, Seen};
use crate::row::{decode, raw};
use crate::schema::{self, Layout, Table};
use crate::source::Outlet;
use crate::stored::Stored;

/// Full batches after which no further case is begun in one transaction.
const BATCHES_HELD: usize = 4;

/// Reads the cases of one stream that are new.
pub(crate) async fn read(
    outlet: &Outlet,
    db: &mut SqliteConnection,
    stream: &Stream,
    flags: &Flags,
    pending: &Pending,
) -> Result<()> {
    outlet.cx.request().await?;
    let table = schema::named(db, &stream.table).await?;
    if !table.is_table {
        return Err(Error::unsupported("a flagged read of what is not a table")
            .hint("name the table itself, whose rows can be marked"));
    }
    // A preview claims and marks nothing, and needs no right to.
    let mut writer = match outlet.row_limit {
        Some(_) => None,
        None => Some(writable(outlet).await?),
    };
    // What is claimed is read in the same transaction.
    let claims = flags.claimed.is_some() && writer.is_some();
    let db = match writer.as_mut().filter(|_| claims) {
        Some(writer) => writer,
        None => db,
    };
    let layout = schema::lay(&table, stream)?;
    let mut batch = Batch::new(stream, &layout, outlet.settings.hub_zone);
    let mut reading = Reading::new(outlet, stream, flags, &table, layout, claims)?;
    outlet.send(Event::Schema(stream.id.clone(), batch.builder.schema())).await?;
    reading.without_case(db, &mut batch).await?;
    let mut last: Option<Vec<Stored>> = None;
    let mut number = 0_u64;
    while let Some(found) = reading.cases(db, &mut batch, last.as_deref()).await? {
        for rows in found.rows {
            outlet.send(Event::Rows(rows)).await?;
        }
        if found.is_cut {
            break;
        }
        number += 1;
        let state = reading.state(number, &found.cases, &found.seen);
        // Noted before it is offered, so that it is there when the commit is acknowledged.
        pending.push(reading.marks(number, found.seen));
        outlet.send(Event::Checkpoint(noted(&stream.id, state))).await?;
        last = found.cases.into_iter().next_back();
    }
    let state = json!({ "batch": null, "cases": [] });
    outlet.send(Event::Checkpoint(noted(&stream.id, state))).await?;
    outlet.send(Event::End { stream: stream.id.clone(), complete: false }).await
}

/// A connection over which rows can be marked. What could not be marked would be read again for
/// ever, so that is found out first.
async fn writable(outlet: &Outlet) -> Result<SqliteConnection> {
    let mut db = database::open(&outlet.settings.path, Purpose::Write).await?;
    execute(&mut db, "begin immediate").await?;
    execute(&mut db, "rollback").await?;
    Ok(db)
}

/// Some cases, read.
struct Found {
    cases: Vec<Vec<Stored>>,
    rows: Vec<Rows>,
    /// Their rows that are to be marked.
    seen: Vec<Seen>,
    /// Whether a preview had enough before the end of the last case.
    is_cut: bool,
}

/// A condition, and what is bound to it in order.
#[derive(Clone)]
struct Condition {
    sql: String,
    values: Vec<Stored>,
}

/// One read.
struct Reading<'a> {
    outlet: &'a Outlet,
    stream: &'a Stream,
    flags: &'a Flags,
    layout: Layout,
    claims: bool,
    /// The table as it stands in a statement.
    table: String,
    /// What every statement asks of a row, separated: the columns of the layout come first.
    asked: String,
    /// Where in a row stand: the flag, whether it is to be marked, its key, its case, its version,
    /// and what tells two states of it apart.
    flag: usize,
    fresh: usize,
    key: Vec<usize>,
    case: Vec<usize>,
    version: Option<usize>,
    state: Vec<usize>,
    /// How a row is found where it is marked: its number, or the columns of its primary key.
    place: Vec<String>,
    /// The columns whose values tell two states of a row apart.
    compared: Vec<String>,
    position: u64,
}

impl<'a> Reading<'a> {
    fn new(
        outlet: &'a Outlet,
        stream: &'a Stream,
        flags: &'a Flags,
        table: &Table,
        layout: Layout,
        claims: bool,
    ) -> Result<Self> {
        let mut names: Vec<String> = layout.columns.iter().map(|(name, ..)| column(name)).collect();
        // The row's number stands behind the columns of the layout, where there is one.
        names.extend(layout.rowid.map(|rowid| format!("t.{rowid}")));
        let mut ask = |name: &str| -> usize {
            let wanted = column(name);
            names.iter().position(|known| *known == wanted).unwrap_or_else(|| {
                names.push(wanted);
                names.len() - 1
            })
        };
        let flag = ask(&flags.column);
        let key: Vec<usize> = stream.key.iter().map(|name| ask(name)).collect();
        let case: Vec<usize> = flags.group.iter().map(|name| ask(name)).collect();
        // Where the source keeps no version, all columns but the flag stand for it. With the key
        // beside it no other row can be taken for this one.
        let compared: Vec<String> = match &flags.version {
            Some(version) => stream.key.iter().chain([version]).cloned().collect(),
            None => {
                let others = table.columns.iter().map(|column| &column.name);
                others.filter(|name| **name != flags.column).cloned().collect()
            }
        };
        let version = flags.version.as_ref().map(|name| ask(name));
        let state = compared.iter().map(|name| ask(name)).collect();
        let fresh = names.len();
        let place = match table.rowid {
            Some(rowid) => vec![format!("t.{rowid}")],
            None => table.primary_key().into_iter().map(|part| column(&part.name)).collect(),
        };
        if place.is_empty() {
            return Err(Error::internal("a table has neither row numbers nor a primary key"));
        }
        Ok(Self {
            outlet,
            stream,
            flags,
            layout,
            claims,
            table: format!("main.{}", quote(&stream.table)),
            asked: names.join(", "),
            flag,
            fresh,
            key,
            case,
            version,
            state,
            place,
            compared,
            position: 0,
        })
    }

    /// Whether the flag of a row under the alias `of` has one of `values`, or none if that counts.
    fn has_flag(&self, of: &str, values: &[&String]) -> Condition {
        let flag = format!("{of}.{}", quote(&self.flags.column));
        let values: Vec<Stored> = values.iter().flat_map(|value| forms(value)).collect();
        let mut sql = format!("{flag} in ({})", vec!["?"; values.len()].join(", "));
        if self.flags.null_is_new {
            sql = format!("({sql} or {flag} is null)");
        }
        Condition { sql, values }
    }

    /// Whether a row was not fetched yet. What an earlier run claimed and did not mark counts.
    fn fresh(&self, of: &str) -> Condition {
        let values: Vec<&String> =
            std::iter::once(&self.flags.new).chain(&self.flags.claimed).collect();
        self.has_flag(of, &values)
    }

    /// The columns of a case under the alias `of`, as one value.
    fn case_of(&self, of: &str) -> String {
        let names: Vec<String> =
            self.flags.group.iter().map(|name| format!("{of}.{}", quote(name))).collect();
        names.join(", ")
    }

    /// Whether a row belongs to one of the next cases behind `last` that have fresh rows.
    fn in_next_cases(&self, last: Option<&[Stored]>) -> Condition {
        let (ours, theirs) = (self.case_of("t"), self.case_of("n"));
        let Condition { sql: fresh, mut values } = self.fresh("n");
        let named: Vec<String> =
            self.flags.group.iter().map(|name| format!("n.{} is not null", quote(name))).collect();
        let mut wanted = format!("{fresh} and {}", named.join(" and "));
        if let Some(last) = last {
            let bound: Vec<&str> = last.iter().map(Stored::placeholder).collect();
            wanted += &format!(" and ({theirs}) > ({})", bound.join(", "));
            values.extend(last.iter().cloned());
        }
        let sql = format!(
            "({ours}) in (select {theirs} from {} as n where {wanted} \
             group by {theirs} order by {theirs} limit {})",
            self.table, self.flags.batch
        );
        Condition { sql, values }
    }

    /// New rows that name no case cannot be fetched as one. They are sent for the hub to set
    /// aside, and never marked.
    async fn without_case(&mut self, db: &mut SqliteConnection, batch: &mut Batch) -> Result<()> {
        let ends: Vec<String> =
            self.flags.group.iter().map(|name| format!("{} is null", column(name))).collect();
        let fresh = self.fresh("t");
        let sql = format!(
            "select {} from {} as t where {} and ({})",
            self.asked,
            self.table,
            fresh.sql,
            ends.join(" or ")
        );
        self.outlet.cx.request().await?;
        let query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
        let query = fresh.values.iter().fold(query, |query, value| value.bind(query));
        let mut rows = query.fetch(db);
        while let Some(row) = self.outlet.unless_stopped(rows.next()).await? {
            let row = row.map_err(|cause| fault("reading rows", cause))?;
            if self.outlet.row_limit.is_some_and(|limit| self.position >= limit) {
                break;
            }
            self.position += 1;
            batch.push(&row, &self.layout, self.position)?;
            if batch.is_full(&self.outlet.cx) {
                self.outlet.flush(batch).await?;
            }
        }
        drop(rows);
        self.outlet.flush(batch).await
    }

    /// The next new cases behind `last` with all their rows, fetched before or not; nothing if
    /// there are none.
    async fn cases(
        &mut self,
        db: &mut SqliteConnection,
        batch: &mut Batch,
        last: Option<&[Stored]>,
    ) -> Result<Option<Found>> {
        if self.outlet.row_limit.is_some_and(|limit| self.position >= limit) {
            return Ok(None);
        }
        self.outlet.cx.request().await?;
        let next = self.in_next_cases(last);
        if self.claims {
            execute(db, "begin immediate").await?;
            self.claim(db, &next).await?;
        } else {
            execute(db, "begin deferred").await?;
        }
        let found = self.rows(db, batch, next).await?;
        execute(db, "commit").await?;
        Ok(Some(found).filter(|found| !found.cases.is_empty()))
    }

    async fn claim(&self, db: &mut SqliteConnection, next: &Condition) -> Result<()> {
        let Some(claimed) = &self.flags.claimed else { return Ok(()) };
        let unclaimed = self.has_flag("t", &[&self.flags.new]);
        let sql = format!(
            "update {} as t set {} where {} and {}",
            self.table,
            assigned(&self.flags.column, claimed),
            unclaimed.sql,
            next.sql
        );
        let query = sqlx::query(AssertSqlSafe(sql)).persistent(false).bind(claimed.clone());
        let values = unclaimed.values.iter().chain(&next.values);
        let query = values.fold(query, |query, value| value.bind(query));
        query.execute(db).await.map(|_| ()).map_err(|cause| fault("claiming cases", cause))
    }

    async fn rows(
        &mut self,
        db: &mut SqliteConnection,
        batch: &mut Batch,
        next: Condition,
    ) -> Result<Found> {
        let fresh = self.fresh("t");
        let keys: Vec<String> = self.stream.key.iter().map(|name| column(name)).collect();
        // A comparison with null is null where the flag has no value.
        let sql = format!(
            "select {}, coalesce({}, 0) from {} as t where {} order by {}, {}",
            self.asked,
            fresh.sql,
            self.table,
            next.sql,
            self.case_of("t"),
            keys.join(", ")
        );
        let query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
        let values = fresh.values.iter().chain(&next.values);
        let query = values.fold(query, |query, value| value.bind(query));
        let mut found =
            Found { cases: Vec::new(), rows: Vec::new(), seen: Vec::new(), is_cut: false };
        let mut rows = query.fetch(db);
        while let Some(row) = self.outlet.unless_stopped(rows.next()).await? {
            let row = row.map_err(|cause| fault("reading rows", cause))?;
            if self.outlet.row_limit.is_some_and(|limit| self.position >= limit) {
                found.is_cut = true;
                break;
            }
            let case = Stored::all(&row, &self.case)?;
            if found.cases.last() != Some(&case) {
                if found.rows.len() >= BATCHES_HELD {
                    break;
                }
                found.cases.push(case);
            }
            self.position += 1;
            batch.push(&row, &self.layout, self.position)?;
            if batch.is_full(&self.outlet.cx) {
                found.rows.extend(batch.take()?);
            }
            found.seen.extend(self.seen(&row)?);
        }
        drop(rows);
        found.rows.extend(batch.take()?);
        Ok(found)
    }

    /// What has to be known of a row to mark it; nothing if it is not to be marked, or could not
    /// be found again.
    fn seen(&self, row: &SqliteRow) -> Result<Option<Seen>> {
        if decode::<i64>(raw(row, self.fresh)?)? == 0 {
            return Ok(None);
        }
        let key = Stored::all(row, &self.key)?;
        if key.iter().any(Stored::is_null) {
            return Ok(None);
        }
        let version = self.version.map(|index| Stored::of(row, index)).transpose()?;
        let state = digest(&Stored::all(row, &self.state)?);
        Ok(Some(Seen { key, flag: Stored::of(row, self.flag)?, version, state }))
    }

    /// What the hub keeps of a batch, for people.
    fn state(&self, number: u64, cases: &[Vec<Stored>], seen: &[Seen]) -> Value {
        let shown = |values: &[Stored]| -> Value { values.iter().map(Stored::shown).collect() };
        let cases: Vec<Value> = cases.iter().map(|case| shown(case)).collect();
        let mut state = json!({ "batch": number, "cases": cases });
        if self.version.is_some() {
            let version = |row: &Seen| row.version.as_ref().map_or(Value::Null, Stored::shown);
            let rows: Vec<Value> = seen
                .iter()
                .map(|row| json!({ "key": shown(&row.key), "version": version(row) }))
                .collect();
            state["rows"] = rows.into();
        }
        state
    }

    fn marks(&self, number: u64, seen: Vec<Seen>) -> Marks {
        Marks {
            stream: self.stream.id.clone(),
            number,
            table: self.table.clone(),
            flag: self.flags.column.clone(),
            done: self.flags.done.clone(),
            key: self.stream.key.clone(),
            place: self.place.clone(),
            compared: self.compared.clone(),
            rows: seen,
        }
    }
}

/// What a flag may be in the table: a column without a type keeps numbers apart from text.
fn forms(value: &str) -> Vec<Stored> {
    let mut forms = vec![Stored::Text(value.to_owned())];
    forms.extend(whole(value).map(Stored::Int));
    forms
}

/// The whole number that a flag is written as.
fn whole(value: &str) -> Option<i64> {
    value.parse().ok().filter(|number: &i64| number.to_string() == value)
}

/// Sets the flag of a row under the alias `t` to `value`, which is bound to the one `?`. Where the
/// flag is a number it stays one.
pub(crate) fn assigned(flag: &str, value: &str) -> String {
    let name = quote(flag);
    match whole(value) {
        Some(number) => {
            let now = column(flag);
            format!("{name} = case typeof({now}) when 'integer' then {number} else ? end")
        }
        None => format!("{name} = ?"),
    }
}

/// What stands for the values of a row while this process lives.
pub(crate) fn digest(values: &[Stored]) -> u64 {
    let mut hasher = DefaultHasher::new();
    values.hash(&mut hasher);
    hasher.finish()
}
