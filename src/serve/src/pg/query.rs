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

use super::failure::{engine_error, fatal, hub_error, refuse, state};
use super::limit::{Limit, Running};
use super::parameter;
use super::server::Door;
use super::setting;
use crate::identity::Visitor;
use crate::sql::statement::{Request, classify};
use crate::sql::{Flow, Stopped};

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

    /// Begins a statement under the settings of the connection, those it came with included.
    fn begin(&self, client: &(impl ClientInfo + ?Sized)) -> Limit {
        self.pin(setting::snapshot(client.metadata()));
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

    /// Plans a statement that is to run, if there is a place for it.
    async fn admit(&self, sql: &str, limit: &Limit) -> PgWireResult<DataFrame> {
        let visitor = self.visitor().await?;
        let _place = self.door.gate.admit(visitor).map_err(|e| hub_error(&e))?;
        self.plan(sql, limit).await
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
                done("SET")
            }
            Request::Reset(name) => {
                setting::reset(client.metadata_mut(), name.as_deref());
                done("RESET")
            }
            Request::Discard => {
                setting::reset(client.metadata_mut(), None);
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

    /// The rows of a planned statement as they come, until `limit`. It begins when the first one is asked
    /// for, so that of several statements in one message one runs at a time.
    fn rows(
        &self,
        sql: &str,
        frame: DataFrame,
        format: &Format,
        client: &(impl ClientInfo + ?Sized),
        limit: Limit,
    ) -> PgWireResult<Response> {
        let schema = frame.schema().as_arrow();
        check_formats(format, schema.fields().len())?;
        let options = Arc::new(FormatOptions::from_client_metadata(client.metadata()));
        let fields = Arc::new(arrow_schema_to_pg_fields(schema, format, Some(options))?);
        let header = Arc::clone(&fields);
        let planned = Planned { statements: self.clone(), sql: sql.to_owned(), frame, limit };
        let rows = stream::unfold(Turn::Planned(Box::new(planned)), |turn| async move {
            let begun = match turn {
                Turn::Planned(planned) => Box::pin(planned.begin()).await.map(Box::new),
                Turn::Begun(begun) => Ok(begun),
                Turn::Over => return None,
            };
            let mut begun = match begun {
                Ok(begun) => begun,
                Err(error) => return Some((Err(error), Turn::Over)),
            };
            let (flow, limit) = begun.as_mut();
            match next(flow, limit).await {
                Ok(None) => None,
                Ok(Some(batch)) => Some((Ok(batch), Turn::Begun(begun))),
                Err(error) => Some((Err(error), Turn::Over)),
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
            let frame = self.admit(&sql, &limit).await?;
            responses.push(self.rows(&sql, frame, &Format::UnifiedText, client, limit)?);
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
        let mut frame = self.admit(&prepared.sql, &limit).await?;
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
        let format = &portal.result_column_format;
        self.rows(&prepared.sql, frame, format, client, limit)
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

/// A statement that has not begun.
struct Planned {
    statements: Statements,
    sql: String,
    frame: DataFrame,
    limit: Limit,
}

/// How far a statement is.
enum Turn {
    Planned(Box<Planned>),
    Begun(Box<(Flow, Limit)>),
    Over,
}

impl Planned {
    async fn begin(self) -> PgWireResult<(Flow, Limit)> {
        let Self { statements, sql, frame, limit } = self;
        let limit = statements.running.go_on(&limit)?;
        let visitor = statements.visitor().await?;
        let gate = &statements.door.gate;
        let ticket = gate.admit(visitor).map_err(|e| hub_error(&e))?;
        let started = gate.start(visitor, "postgres", &sql, frame, ticket).await;
        Ok((started.map_err(|e| hub_error(&e))?, limit))
    }
}

/// The next rows of a statement, unless it is stopped.
async fn next(flow: &mut Flow, limit: &Limit) -> PgWireResult<Option<RecordBatch>> {
    limit.wait(flow.next()).await?.map_err(|stopped| match stopped {
        Stopped::Hub(error) => hub_error(&error),
        Stopped::Engine(error) => engine_error(&error),
    })
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
