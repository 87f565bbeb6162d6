//! The one gate for analysts' SQL, whichever door it comes through.
//!
//! A statement is first classified by its syntax (`statement`). Everything else happens in a process
//! of its own (`child`), because planning computes too: there it is planned read-only on a session
//! that shows what its asker may see, its tables are compared with the list of those that may be
//! asked (`tables`), and it runs. The hub lends it that process (`children`) for a limited time and
//! number of rows, and not more than two at once to one user. What is read is noted in the audit
//! before it is given out.

mod child;
mod children;
mod dialect;
mod export;
mod fixed;
mod flow;
mod names;
mod nothing;
mod parameter;
mod reading;
mod session;
mod snapshot;
mod speaker;
pub(crate) mod statement;
mod tables;
mod threads;
mod wire;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::DataFrame;
use datafusion::sql::sqlparser::ast::Statement;
use huiliu_core::access::{Limits, Permission};
use huiliu_engine::{Engine, Session, Viewer, record_text};
use huiliu_sdk::{Error, ErrorKind, Result};
use huiliu_store::SealKey;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::time::Instant;

use self::children::{Batches, Children};
use self::dialect::ClientParser;
use self::names::{Met, Names};
use self::session::Sessions;
use self::snapshot::Snapshots;
use self::statement::{Request, check_size, classify};
use self::threads::Workers;
use self::wire::{Order, Run, Statement as Asked};
use crate::data::{Column, Table};
use crate::identity::{Accounts, Visitor};

pub use self::child::{Opened, serve_statements};
pub use self::children::Program;
pub use self::export::ExportFormat;
pub(crate) use self::fixed::FIXED;
pub(crate) use self::flow::{Flow, Stopped};
pub use self::reading::{StatementRead, read_by_statement};
pub(crate) use self::snapshot::Snapshot;
pub(crate) use self::speaker::{Speaker, USUAL};
pub(crate) use self::tables::{Listed, schemas};
pub(crate) use self::wire::Class;

/// The name of the hub's catalog, which clients see as the database.
pub(crate) const DATABASE: &str = "huiliu";

/// What a statement may take.
#[derive(Debug, Clone, Copy)]
pub struct GateLimits {
    /// How long one may run.
    pub time: Duration,
    /// How many rows one may give.
    pub rows: usize,
    /// How many of one user may run at once.
    pub at_once: usize,
}

impl Default for GateLimits {
    fn default() -> Self {
        Self { time: Duration::from_secs(60), rows: 1_000_000, at_once: 2 }
    }
}

/// The gate.
#[derive(Clone)]
pub struct Gate {
    inner: Arc<Inner>,
}

struct Inner {
    accounts: Accounts,
    viewer: Viewer,
    sessions: Sessions,
    snapshots: Snapshots,
    /// The tables that statements were told numbers of.
    met: Mutex<Met>,
    children: Children,
    workers: Workers,
    parser: ClientParser,
    limits: GateLimits,
    running: Arc<Mutex<HashMap<String, usize>>>,
}

/// A statement that was planned, at a snapshot that is kept for it.
#[derive(Clone)]
pub(crate) struct Planned {
    sql: String,
    limits: Limits,
    snapshot: Arc<Snapshot>,
    description: Arc<Description>,
    values: Vec<ScalarValue>,
}

/// What a statement gives, takes and reads.
pub(crate) struct Description {
    /// The columns of its rows.
    pub(crate) columns: SchemaRef,
    /// The types of its parameters, from `$1` on, as far as they are known.
    pub(crate) parameters: Vec<Option<DataType>>,
    /// The same columns as the statement's process told them.
    told: String,
    reads: BTreeMap<String, BTreeSet<String>>,
}

impl Planned {
    /// What it gives, takes and reads.
    pub(crate) fn description(&self) -> &Arc<Description> {
        &self.description
    }

    /// Its text.
    pub(crate) fn sql(&self) -> &str {
        &self.sql
    }

    /// The number of the snapshot that it reads.
    pub(crate) fn snapshot(&self) -> i64 {
        self.snapshot.number()
    }

    /// Binds values to its parameters.
    pub(crate) fn bind(&mut self, values: Vec<ScalarValue>) {
        self.values = values;
    }

    fn asked(&self) -> Asked {
        let (sql, limits) = (self.sql.clone(), self.limits.clone());
        Asked { sql, snapshot: self.snapshot.number(), limits }
    }
}

/// A statement that may run; the user's place is free again when it is dropped.
pub(crate) struct Ticket {
    user: String,
    running: Arc<Mutex<HashMap<String, usize>>>,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = running.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                running.remove(&self.user);
            }
        }
    }
}

impl Gate {
    /// A gate to what `engine` knows; statements run in processes of `program`, which knows the same.
    pub fn new(
        engine: Engine,
        accounts: Accounts,
        limits: GateLimits,
        program: Program,
    ) -> Result<Self> {
        let viewer = viewer(accounts.key());
        let workers = Workers::new().map_err(|e| {
            Error::internal("the threads of the doors could not be started").cause(e)
        })?;
        let inner = Inner {
            accounts,
            viewer: viewer.clone(),
            snapshots: Snapshots::new(engine.clone()),
            sessions: Sessions::new(engine, viewer)?,
            met: Mutex::default(),
            children: Children::new(program, workers.connections().clone()),
            workers,
            parser: ClientParser::new(),
            limits,
            running: Arc::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Answers one reading statement with at most `limit` rows.
    pub async fn query(&self, visitor: &Visitor, sql: &str, limit: usize) -> Result<Table> {
        self.query_as(visitor, sql, limit, "web").await
    }

    async fn query_as(
        &self,
        visitor: &Visitor,
        sql: &str,
        limit: usize,
        door: &str,
    ) -> Result<Table> {
        let sql = self.reading(sql)?;
        let ticket = self.admit(visitor)?;
        let deadline = Instant::now() + self.inner.limits.time;
        let snapshot = in_time(deadline, self.snapshot(None)).await??;
        let planned = Box::pin(self.plan(snapshot, &visitor.limits, &sql, deadline)).await?;
        let limit = limit.min(self.inner.limits.rows);
        let mut batches = Box::pin(self.run(&planned, Some(limit + 1), deadline)).await?;
        let (mut found, mut rows) = (0, Vec::new());
        // To the end, which is near: the process is kept for the next statement.
        while let Some(batch) = in_time(deadline, batches.next()).await? {
            let batch = batch?;
            let wanted = batch.num_rows().min(limit - rows.len());
            found += batch.num_rows();
            for row in 0..wanted {
                rows.push(json_row(&batch, row)?);
            }
        }
        drop((batches, ticket));
        // Whoever was put out while it ran gets nothing of it.
        if !self.inner.accounts.is_still_in(visitor).await? {
            return Err(Error::new(ErrorKind::Auth, "E-SIGN-IN-FIRST", "log in first")
                .hint("the account, its role or its session was changed meanwhile"));
        }
        self.note(visitor, door, &planned, Some(rows.len())).await?;
        let (columns, snapshot) = (columns(&planned.description.columns), planned.snapshot());
        Ok(Table { columns, rows, is_cut: found > limit, snapshot })
    }

    /// The text of a single statement that only reads.
    pub(crate) fn reading(&self, sql: &str) -> Result<String> {
        let mut statements = self.parse(sql)?;
        let only = match (statements.pop(), statements.is_empty()) {
            (Some(only), true) => only,
            _ => {
                let message = "one statement is answered at a time";
                return Err(
                    Error::new(ErrorKind::Config, "E-SQL", message).hint("send exactly one SELECT")
                );
            }
        };
        match classify(&only)? {
            Request::Read => Ok(only.to_string()),
            _ => Err(statement::refused(&only)),
        }
    }

    /// The statements of a text.
    pub(crate) fn parse(&self, sql: &str) -> Result<Vec<Statement>> {
        check_size(sql)?;
        self.inner.parser.parse(sql).map_err(|e| {
            Error::new(ErrorKind::Config, "E-SQL-SYNTAX", e.to_string())
                .hint("see where the text breaks off")
        })
    }

    /// A place for one more statement of a user who may ask.
    pub(crate) fn admit(&self, visitor: &Visitor) -> Result<Ticket> {
        visitor.require(Permission::Query)?;
        let at_once = self.inner.limits.at_once;
        let mut running = self.inner.running.lock().unwrap_or_else(PoisonError::into_inner);
        let count = running.entry(visitor.user.clone()).or_default();
        if *count >= at_once {
            let message = format!("{at_once} statements of {} run already", visitor.user);
            return Err(Error::new(ErrorKind::Throttled, "E-SQL-BUSY", message)
                .hint("wait for one to end, or cancel it"));
        }
        *count += 1;
        Ok(Ticket { user: visitor.user.clone(), running: Arc::clone(&self.inner.running) })
    }

    /// What people may see who have no limits.
    pub fn viewer(&self) -> &Viewer {
        &self.inner.viewer
    }

    /// A session at the latest snapshot that shows what people with these limits may see.
    pub async fn session(&self, limits: &Limits) -> Result<Arc<Session>> {
        // A new one plans all views, which would hold up whoever shares the thread.
        let (inner, limits) = (Arc::clone(&self.inner), limits.clone());
        let made = self.inner.workers.compute(async move { inner.sessions.newest(&limits).await });
        made.await.ok_or_else(|| Error::internal("a session could not be made"))?
    }

    /// A session at `snapshot`, or at the latest one, that shows what people with these limits may
    /// see.
    pub(crate) async fn session_at(
        &self,
        snapshot: Option<i64>,
        limits: &Limits,
    ) -> Result<Arc<Session>> {
        let Some(snapshot) = snapshot else { return self.session(limits).await };
        let (inner, limits) = (Arc::clone(&self.inner), limits.clone());
        let made =
            self.inner.workers.compute(async move { inner.sessions.at(snapshot, &limits).await });
        made.await.ok_or_else(|| Error::internal("a session could not be made"))?
    }

    /// The tables of a session that hold data and may be asked.
    pub(crate) async fn tables(&self, session: &Arc<Session>) -> Result<Vec<Listed>> {
        let session = Arc::clone(session);
        let listed = self.inner.workers.compute(async move { tables::list(&session).await });
        listed.await.ok_or_else(|| Error::internal("the tables could not be listed"))?
    }

    /// A snapshot, or the latest one, kept until what is given is dropped.
    pub(crate) async fn snapshot(&self, number: Option<i64>) -> Result<Arc<Snapshot>> {
        match number {
            Some(number) => self.inner.snapshots.at(number).await,
            None => self.inner.snapshots.newest().await,
        }
    }

    /// Has one reading statement planned and what it reads checked.
    pub(crate) async fn plan(
        &self,
        snapshot: Arc<Snapshot>,
        limits: &Limits,
        sql: &str,
        deadline: Instant,
    ) -> Result<Planned> {
        let (sql, limits) = (sql.to_owned(), limits.clone());
        let statement =
            Asked { sql: sql.clone(), snapshot: snapshot.number(), limits: limits.clone() };
        let planned = async {
            let names = self.names(&sql).await?;
            let order = Order::Describe { statement, names };
            self.inner.children.describe(&order, deadline).await.map_err(Error::from)
        };
        let described = in_time(deadline, Box::pin(planned)).await??;
        let wrong = |e| Error::internal("a statement's columns cannot be read").cause(e);
        let parameters = wire::schema_of(&described.parameters).map_err(wrong)?;
        let description = Arc::new(Description {
            columns: wire::schema_of(&described.columns).map_err(wrong)?,
            parameters: wire::parameter_types(&parameters),
            told: described.columns,
            reads: described.reads,
        });
        Ok(Planned { sql, limits, snapshot, description, values: Vec::new() })
    }

    /// Starts a planned statement, of which at most `rows` are computed.
    async fn run(
        &self,
        planned: &Planned,
        rows: Option<usize>,
        deadline: Instant,
    ) -> Result<Batches> {
        let values = wire::values_text(&planned.values);
        let values = values.map_err(|e| huiliu_engine::engine_error("the query", e))?;
        let started = async {
            let columns = planned.description.told.clone();
            let (statement, names) = (planned.asked(), self.names(&planned.sql).await?);
            let run = Run { statement, names, columns, values, rows };
            self.inner.children.run(&Order::Run(Box::new(run)), deadline).await
        };
        in_time(deadline, Box::pin(started)).await?
    }

    /// The names of tables that a statement may ask numbers of.
    async fn names(&self, sql: &str) -> Result<Names> {
        if !names::are_asked(sql) {
            return Ok(Names::new());
        }
        let session = self.session(&Limits::default()).await?;
        let Some(catalog) = session.context().catalog(DATABASE) else { return Ok(Names::new()) };
        let mut met = self.inner.met.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(met.with(catalog.as_ref()))
    }

    /// The threads that serve connections.
    pub(crate) fn connections(&self) -> &Handle {
        self.inner.workers.connections()
    }

    pub(crate) fn limits(&self) -> GateLimits {
        self.inner.limits
    }

    /// The accounts of those who ask.
    pub fn accounts(&self) -> &Accounts {
        &self.inner.accounts
    }

    /// Notes who reads which columns of which tables, and gives the tables; questions about the
    /// catalog alone are not noted.
    pub(crate) async fn note(
        &self,
        visitor: &Visitor,
        door: &str,
        planned: &Planned,
        rows: Option<usize>,
    ) -> Result<Option<String>> {
        let read = &planned.description.reads;
        if read.is_empty() {
            return Ok(None);
        }
        let names: Vec<&str> = read.keys().map(String::as_str).collect();
        let names = names.join(", ");
        let what = json!({
            "door": door, "sql": statement::shape(&planned.sql), "columns": read, "rows": rows,
        });
        self.inner.accounts.note_read(visitor, "query", &names, what).await?;
        Ok(Some(names))
    }
}

/// What people may see who have no limits: personal data masked for everybody, numbers beside it to
/// join by.
fn viewer(key: &SealKey) -> Viewer {
    let key = key.clone();
    let pseudonym = move |plain: &str| key.person_pseudonym(plain);
    Viewer { unmasked: false, limits: Limits::default(), pseudonym: Some(Arc::new(pseudonym)) }
}

/// Waits for `work` until `deadline`.
pub(crate) async fn in_time<T>(deadline: Instant, work: impl Future<Output = T>) -> Result<T> {
    tokio::time::timeout_at(deadline, work).await.map_err(|_| {
        Error::new(ErrorKind::Timeout, "E-SQL-TIME", "canceling statement due to statement timeout")
            .hint("ask for less at once, or let a model compute it during a run")
    })
}

/// The first `limit` rows of a frame. Explaining and describing have plans that cannot be cut.
fn cut(frame: DataFrame, limit: usize) -> Result<DataFrame> {
    let is_whole = matches!(
        frame.logical_plan(),
        LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) | LogicalPlan::DescribeTable(_)
    );
    if is_whole {
        return Ok(frame);
    }
    frame.limit(0, Some(limit)).map_err(|e| huiliu_engine::engine_error("the query", e))
}

/// Rows as a table of JSON values.
pub fn table_of(batches: &[RecordBatch], snapshot: i64) -> Result<Table> {
    let mut table = Table { snapshot, ..Table::default() };
    if let Some(first) = batches.first() {
        table.columns = columns(&first.schema());
    }
    for batch in batches {
        for row in 0..batch.num_rows() {
            table.rows.push(json_row(batch, row)?);
        }
    }
    Ok(table)
}

fn columns(schema: &Schema) -> Vec<Column> {
    let column = |field: &Arc<Field>| Column {
        name: field.name().clone(),
        data_type: field.data_type().to_string(),
    };
    schema.fields().iter().map(column).collect()
}

/// A row as JSON: whole numbers and truth values as such, everything else as text.
fn json_row(batch: &RecordBatch, row: usize) -> Result<Vec<Value>> {
    let schema = batch.schema();
    let cells = record_text(batch, row)?.into_iter().zip(schema.fields());
    let value = |((_, text), field): ((String, Option<String>), &Arc<Field>)| match text {
        None => Value::Null,
        Some(text) if field.data_type().is_integer() => {
            text.parse::<i64>().map_or(Value::String(text), Value::from)
        }
        Some(text) if *field.data_type() == DataType::Boolean => Value::Bool(text == "true"),
        Some(text) => Value::String(text),
    };
    Ok(cells.map(value).collect())
}
