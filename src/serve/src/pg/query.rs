//! Statements of one connection, by both of the wire's protocols.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use datafusion::common::tree_node::TreeNodeRecursion;
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

use super::failure::{engine_error, hub_error, refuse, state};
use super::limit::{Limit, Running};
use super::parameter;
use super::server::Door;
use super::setting;
use super::statement::{Request, check_size, classify};

/// The statements of one connection.
#[derive(Clone)]
pub(crate) struct Statements {
    door: Arc<Door>,
    running: Arc<Running>,
    transaction: Arc<Mutex<Transaction>>,
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
    pub(crate) fn new(door: Arc<Door>, running: Arc<Running>) -> Self {
        Self { door, running, transaction: Arc::default() }
    }

    fn parse(&self, sql: &str) -> PgWireResult<Vec<Statement>> {
        check_size(sql)?;
        self.door.parser.parse(sql).map_err(|e| refuse(state::SYNTAX, e.to_string(), ""))
    }

    fn begin(&self, client: &(impl ClientInfo + ?Sized)) -> Limit {
        let longest = self.door.statement_timeout;
        self.running.begin(setting::statement_timeout(client.metadata(), longest))
    }

    /// The newest session, or the one the open transaction began with.
    async fn session(&self) -> PgWireResult<Arc<Session>> {
        if let Some(session) = &self.transaction().session {
            return Ok(Arc::clone(session));
        }
        let session = self.door.sessions.newest().await.map_err(|e| hub_error(&e))?;
        let mut transaction = self.transaction();
        if transaction.open {
            transaction.session = Some(Arc::clone(&session));
        }
        Ok(session)
    }

    fn transaction(&self) -> std::sync::MutexGuard<'_, Transaction> {
        self.transaction.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Plans a reading statement through the engine's read-only gate.
    async fn plan(&self, sql: &str, limit: &Limit) -> PgWireResult<DataFrame> {
        let (statements, text) = (self.clone(), sql.to_owned());
        let planned = self.door.workers.compute(async move {
            let session = statements.session().await?;
            session.query(&text).await.map_err(|e| hub_error(&e))
        });
        let broken = || refuse(state::INTERNAL, "the statement broke the engine", "");
        let frame = limit.wait(planned).await?.ok_or_else(broken)??;
        check_tables(frame.logical_plan())?;
        Ok(frame)
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
            Request::Show(name) => {
                let longest = self.door.statement_timeout;
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
        limit: Limit,
    ) -> PgWireResult<Response> {
        let schema = frame.schema().as_arrow();
        check_formats(format, schema.fields().len())?;
        let options = Arc::new(FormatOptions::from_client_metadata(client.metadata()));
        let fields = Arc::new(arrow_schema_to_pg_fields(schema, format, Some(options))?);
        let batches = self.door.workers.run(frame);
        let header = Arc::clone(&fields);
        let rows = stream::unfold(Some((batches, limit)), |open| async move {
            let (mut batches, limit) = open?;
            match limit.wait(batches.next()).await {
                Ok(None) => None,
                Ok(Some(Ok(batch))) => Some((Ok(batch), Some((batches, limit)))),
                Ok(Some(Err(error))) => Some((Err(engine_error(&error)), None)),
                Err(stopped) => Some((Err(stopped), None)),
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
            requests.push((statement.to_string(), classify(statement)?));
        }
        let mut responses = Vec::with_capacity(requests.len());
        for (sql, request) in requests {
            check_not_aborted(client, &request)?;
            if request != Request::Read {
                responses.push(self.answer(client, &request)?);
                continue;
            }
            let limit = self.begin(client);
            let frame = self.plan(&sql, &limit).await?;
            responses.push(self.rows(frame, &Format::UnifiedText, client, limit)?);
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
        let mut frame = self.plan(&prepared.sql, &limit).await?;
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
        self.rows(frame, &portal.result_column_format, client, limit)
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
        let request = classify(&statement)?;
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

/// The engine's own settings tell paths and limits, which is nobody's business.
fn check_tables(plan: &LogicalPlan) -> PgWireResult<()> {
    let mut hidden = false;
    let walked = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            hidden |= scan.table_name.table() == "df_settings";
        }
        Ok(if hidden { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    walked.map_err(|e| engine_error(&e))?;
    if hidden {
        return Err(refuse(state::NO_RIGHT, "permission denied for table df_settings", ""));
    }
    Ok(())
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
