//! Statements of one connection, by both of the wire's protocols.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use async_trait::async_trait;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::DataFrame;
use datafusion::sql::sqlparser::ast::Statement;
use datafusion_postgres::arrow_pg::datatypes::{arrow_schema_to_pg_fields, encode_recordbatch};
use datafusion_postgres::pgwire::api::portal::{Format, Portal};
use datafusion_postgres::pgwire::api::query::{ExtendedQueryHandler, SimpleQueryHandler};
use datafusion_postgres::pgwire::api::results::{
    DataRowEncoder, FieldFormat, FieldInfo, QueryResponse, Response, Tag,
};
use datafusion_postgres::pgwire::api::stmt::QueryParser;
use datafusion_postgres::pgwire::api::store::PortalStore;
use datafusion_postgres::pgwire::api::{ClientInfo, ClientPortalStore, Type};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::PgWireBackendMessage;
use datafusion_postgres::pgwire::messages::response::TransactionStatus;
use datafusion_postgres::pgwire::types::format::FormatOptions;
use futures::{Sink, StreamExt, stream};
use huiliu_engine::Session;
use serde_json::json;

use super::failure::{engine_error, fatal, hub_error, refuse, state};
use super::limit::{Limit, Running};
use super::parameter;
use super::server::Door;
use super::setting;
use crate::identity::Visitor;
use crate::sql::statement::{Request, classify};
use crate::sql::{Batches, Gate, Ticket};

/// The statements of one connection.
#[derive(Clone)]
pub(crate) struct Statements {
    door: Arc<Door>,
    running: Arc<Running>,
    visitor: Arc<OnceLock<Visitor>>,
    transaction: Arc<Mutex<Transaction>>,
    /// The snapshot that is read in the place of the newest one.
    pinned: Arc<Mutex<Option<i64>>>,
}

/// The session a transaction reads, from its first statement on.
#[derive(Default)]
struct Transaction {
    open: bool,
    session: Option<Arc<Session>>,
}

/// A prepared statement. Its plan only tells types: it is planned again each time it runs, so
/// that it reads the newest snapshot.
#[derive(Clone)]
pub(crate) struct Prepared {
    sql: Arc<str>,
    request: Request,
    plan: Option<Arc<LogicalPlan>>,
}

impl Statements {
    pub(crate) fn new(
        door: Arc<Door>,
        running: Arc<Running>,
        visitor: Arc<OnceLock<Visitor>>,
    ) -> Self {
        Self { door, running, visitor, transaction: Arc::default(), pinned: Arc::default() }
    }

    fn parse(&self, sql: &str) -> PgWireResult<Vec<Statement>> {
        self.door.gate.parse(sql).map_err(|e| hub_error(&e))
    }

    fn begin(&self, client: &(impl ClientInfo + ?Sized)) -> Limit {
        let longest = self.door.gate.limits().time;
        self.running.begin(setting::statement_timeout(client.metadata(), longest))
    }

    /// Whoever logged in, if still allowed to be here.
    async fn visitor(&self) -> PgWireResult<&Visitor> {
        let nobody = || refuse(state::NO_RIGHT, "log in first", "");
        let visitor = self.visitor.get().ok_or_else(nobody)?;
        match self.door.gate.accounts().is_still_in(visitor).await {
            Ok(true) => Ok(visitor),
            Ok(false) => Err(fatal(state::SHUTDOWN, "the account was changed", "log in again")),
            Err(error) => Err(hub_error(&error)),
        }
    }

    /// The newest session, or the one the open transaction began with.
    async fn session(&self, visitor: &Visitor) -> PgWireResult<Arc<Session>> {
        if let Some(session) = &self.transaction().session {
            return Ok(Arc::clone(session));
        }
        let pinned = *self.pinned.lock().unwrap_or_else(PoisonError::into_inner);
        let session = self.door.gate.session_at(pinned, &visitor.limits).await;
        let session = session.map_err(|e| hub_error(&e))?;
        let mut transaction = self.transaction();
        if transaction.open {
            transaction.session = Some(Arc::clone(&session));
        }
        Ok(session)
    }

    fn transaction(&self) -> std::sync::MutexGuard<'_, Transaction> {
        self.transaction.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Plans a reading statement through the gate.
    async fn plan(&self, sql: &str, limit: &Limit) -> PgWireResult<DataFrame> {
        let visitor = self.visitor().await?;
        let session = limit.wait(self.session(visitor)).await??;
        let planned = self.door.gate.plan(&session, sql, limit.deadline());
        limit.wait(planned).await?.map_err(|e| hub_error(&e))
    }

    /// Plans and notes a statement that is to run, with a place for it.
    async fn admit(&self, sql: &str, limit: &Limit) -> PgWireResult<(DataFrame, Ticket)> {
        let visitor = self.visitor().await?;
        let ticket = self.door.gate.admit(visitor).map_err(|e| hub_error(&e))?;
        Ok((self.plan(sql, limit).await?, ticket))
    }

    /// Notes what a statement is about to read; what cannot be noted is not read.
    async fn note(&self, sql: &str, frame: &DataFrame) -> PgWireResult<Option<Told>> {
        let visitor = self.visitor().await?;
        let plan = frame.logical_plan();
        let noted = self.door.gate.note(visitor, "postgres", sql, plan, None).await;
        let tables = noted.map_err(|e| hub_error(&e))?;
        Ok(tables.map(|tables| Told { visitor: visitor.clone(), tables, rows: 0 }))
    }

    /// Reads `snapshot` from now on, also in a transaction that began with another.
    fn pin(&self, snapshot: Option<i64>) {
        let mut pinned = self.pinned.lock().unwrap_or_else(PoisonError::into_inner);
        if *pinned != snapshot {
            *pinned = snapshot;
            self.transaction().session = None;
        }
    }

    /// Answers everything but reading statements.
    fn answer<C>(&self, client: &mut C, request: &Request) -> PgWireResult<Response>
    where
        C: ClientInfo + ClientPortalStore,
        C::PortalStore: PortalStore,
    {
        let done = |tag: &str| Ok(Response::Execution(Tag::new(tag)));
        match request {
            Request::Begin if self.transaction().open => done("BEGIN"),
            Request::Begin => {
                *self.transaction() = Transaction { open: true, session: None };
                Ok(Response::TransactionStart(Tag::new("BEGIN")))
            }
            Request::Commit | Request::Rollback => {
                *self.transaction() = Transaction::default();
                let failed = client.transaction_status() == TransactionStatus::Error;
                let commit = *request == Request::Commit && !failed;
                let tag = if commit { "COMMIT" } else { "ROLLBACK" };
                Ok(Response::TransactionEnd(Tag::new(tag)))
            }
            Request::Set { name, value } => {
                setting::set(client.metadata_mut(), name, value)?;
                self.pin(setting::snapshot(client.metadata()));
                done("SET")
            }
            Request::Reset(name) => {
                setting::reset(client.metadata_mut(), name.as_deref());
                self.pin(setting::snapshot(client.metadata()));
                done("RESET")
            }
            Request::Discard => {
                setting::reset(client.metadata_mut(), None);
                self.pin(None);
                done("DISCARD ALL")
            }
            Request::Show(name) => {
                let longest = self.door.gate.limits().time;
                let (name, value) = setting::show(client.metadata(), name, longest)?;
                one_value(&name, &value)
            }
            Request::Deallocate(name) => {
                if let Some(name) = name {
                    client.portal_store().rm_statement(name);
                }
                done("DEALLOCATE")
            }
            Request::Nothing(tag) => done(tag),
            Request::Read => Ok(Response::EmptyQuery),
        }
    }

    /// The rows of `frame` as they come, until `limit`.
    fn rows(
        &self,
        frame: DataFrame,
        format: &Format,
        client: &(impl ClientInfo + ?Sized),
        turn: Turn,
    ) -> PgWireResult<Response> {
        let schema = frame.schema().as_arrow();
        check_formats(format, schema.fields().len())?;
        let options = Arc::new(FormatOptions::from_client_metadata(client.metadata()));
        let fields = Arc::new(arrow_schema_to_pg_fields(schema, format, Some(options))?);
        let header = Arc::clone(&fields);
        let flow = Flow {
            batches: self.door.gate.run(frame),
            gate: self.door.gate.clone(),
            left: self.door.gate.limits().rows,
            turn,
        };
        let rows = stream::unfold(Some(flow), |open| async move {
            let mut flow = open?;
            match flow.next().await {
                Ok(None) => None,
                Ok(Some(batch)) => Some((Ok(batch), Some(flow))),
                Err(error) => Some((Err(error), None)),
            }
        })
        .flat_map(move |batch| match batch {
            Ok(batch) => stream::iter(encode_recordbatch(Arc::clone(&header), batch)).left_stream(),
            Err(error) => stream::iter(std::iter::once(Err(error))).right_stream(),
        });
        Ok(Response::Query(QueryResponse::new(fields, rows)))
    }
}

#[async_trait]
impl SimpleQueryHandler for Statements {
    async fn do_query<C>(&self, client: &mut C, query: &str) -> PgWireResult<Vec<Response>>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let statements = self.parse(query)?;
        if statements.is_empty() {
            return Ok(vec![Response::EmptyQuery]);
        }
        // All are classified before the first one runs: a string with a forbidden statement in it
        // does nothing at all.
        let mut requests = Vec::with_capacity(statements.len());
        for statement in &statements {
            requests.push((statement.to_string(), classify(statement).map_err(|e| hub_error(&e))?));
        }
        let mut responses = Vec::with_capacity(requests.len());
        for (sql, request) in requests {
            check_not_aborted(client, &request)?;
            if request != Request::Read {
                responses.push(self.answer(client, &request)?);
                continue;
            }
            let limit = self.begin(client);
            let (frame, ticket) = self.admit(&sql, &limit).await?;
            let told = self.note(&sql, &frame).await?;
            let turn = Turn { limit, _ticket: ticket, told };
            responses.push(self.rows(frame, &Format::UnifiedText, client, turn)?);
        }
        Ok(responses)
    }
}

#[async_trait]
impl ExtendedQueryHandler for Statements {
    type Statement = Prepared;
    type QueryParser = Self;

    fn query_parser(&self) -> Arc<Self> {
        Arc::new(self.clone())
    }

    async fn do_query<C>(
        &self,
        client: &mut C,
        portal: &Portal<Prepared>,
        _max_rows: usize,
    ) -> PgWireResult<Response>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Prepared>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let prepared = &portal.statement.statement;
        check_not_aborted(client, &prepared.request)?;
        let Some(described) = &prepared.plan else {
            return self.answer(client, &prepared.request);
        };
        let limit = self.begin(client);
        let (mut frame, ticket) = self.admit(&prepared.sql, &limit).await?;
        if frame.logical_plan().schema().as_arrow().fields()
            != described.schema().as_arrow().fields()
        {
            return Err(refuse(
                state::UNSUPPORTED,
                "cached plan must not change result type",
                "a table of this statement changed; prepare it again",
            ));
        }
        let values = parameter::values(portal, described)?;
        if !portal.parameters.is_empty() {
            frame = frame.with_param_values(values).map_err(|e| engine_error(&e))?;
        }
        let told = self.note(&prepared.sql, &frame).await?;
        let turn = Turn { limit, _ticket: ticket, told };
        self.rows(frame, &portal.result_column_format, client, turn)
    }
}

#[async_trait]
impl QueryParser for Statements {
    type Statement = Prepared;

    async fn parse_sql<C>(
        &self,
        client: &C,
        sql: &str,
        _types: &[Option<Type>],
    ) -> PgWireResult<Option<Prepared>>
    where
        C: ClientInfo + Unpin + Send + Sync,
    {
        let mut statements = self.parse(sql)?;
        if statements.len() > 1 {
            let message = "cannot insert multiple commands into a prepared statement";
            return Err(refuse(state::SYNTAX, message, "send them one by one"));
        }
        let Some(statement) = statements.pop() else { return Ok(None) };
        let request = classify(&statement).map_err(|e| hub_error(&e))?;
        check_not_aborted(client, &request)?;
        let sql: Arc<str> = statement.to_string().into();
        let plan = if request == Request::Read {
            let limit = self.begin(client);
            let frame = self.plan(&sql, &limit).await?;
            Some(Arc::new(frame.logical_plan().clone()))
        } else {
            None
        };
        Ok(Some(Prepared { sql, request, plan }))
    }

    fn get_parameter_types(&self, statement: &Prepared) -> PgWireResult<Vec<Type>> {
        statement.plan.as_ref().map_or(Ok(Vec::new()), |plan| parameter::wire_types(plan))
    }

    fn get_result_schema(
        &self,
        statement: &Prepared,
        format: Option<&Format>,
    ) -> PgWireResult<Vec<FieldInfo>> {
        match (&statement.plan, &statement.request) {
            (Some(plan), _) => {
                let schema = plan.schema().as_arrow();
                let format = format.unwrap_or(&Format::UnifiedText);
                check_formats(format, schema.fields().len())?;
                arrow_schema_to_pg_fields(schema, format, None)
            }
            (None, Request::Show(name)) => Ok(vec![text_field(name)]),
            (None, _) => Ok(Vec::new()),
        }
    }
}

/// What goes with a statement while it runs.
struct Turn {
    limit: Limit,
    /// Its place among the user's statements, free again when it is dropped.
    _ticket: Ticket,
    told: Option<Told>,
}

/// What the audit was told of a statement, and how many rows it has given.
struct Told {
    visitor: Visitor,
    tables: String,
    rows: usize,
}

/// The rows of one statement on their way to the client.
struct Flow {
    batches: Batches,
    gate: Gate,
    /// How many rows may still come.
    left: usize,
    turn: Turn,
}

impl Flow {
    async fn next(&mut self) -> PgWireResult<Option<RecordBatch>> {
        let Some(batch) = self.turn.limit.wait(self.batches.next()).await? else {
            if let Some(told) = self.turn.told.take() {
                let what = json!({ "door": "postgres", "rows": told.rows });
                let accounts = self.gate.accounts();
                let noted =
                    accounts.note_read(&told.visitor, "query rows", &told.tables, what).await;
                noted.map_err(|error| hub_error(&error))?;
            }
            return Ok(None);
        };
        let batch = batch.map_err(|error| engine_error(&error))?;
        if let Some(told) = &mut self.turn.told {
            told.rows += batch.num_rows();
        }
        self.left = self.left.checked_sub(batch.num_rows()).ok_or_else(|| {
            let hint = "ask for less, or take the lake's files";
            refuse(state::TOO_LONG, "the statement gives more rows than are given at once", hint)
        })?;
        Ok(Some(batch))
    }
}

fn check_formats(format: &Format, columns: usize) -> PgWireResult<()> {
    match format {
        Format::Individual(formats) if formats.len() != columns => Err(refuse(
            state::PROTOCOL,
            format!("{} result formats were given for {columns} columns", formats.len()),
            "",
        )),
        _ => Ok(()),
    }
}

fn check_not_aborted(client: &(impl ClientInfo + ?Sized), request: &Request) -> PgWireResult<()> {
    let ends = matches!(request, Request::Commit | Request::Rollback);
    if client.transaction_status() == TransactionStatus::Error && !ends {
        return Err(refuse(
            state::ABORTED,
            "current transaction is aborted, commands ignored until end of transaction block",
            "ROLLBACK it",
        ));
    }
    Ok(())
}

fn text_field(name: &str) -> FieldInfo {
    FieldInfo::new(name.to_owned(), None, None, Type::VARCHAR, FieldFormat::Text)
}

fn one_value(name: &str, value: &str) -> PgWireResult<Response> {
    let fields = Arc::new(vec![text_field(name)]);
    let mut row = DataRowEncoder::new(Arc::clone(&fields));
    row.encode_field(&Some(value))?;
    let row = Ok(row.take_row());
    Ok(Response::Query(QueryResponse::new(fields, stream::iter([row]))))
}
