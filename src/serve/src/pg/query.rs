//! Statements of one connection, by both of the wire's protocols.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use async_trait::async_trait;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::sql::sqlparser::ast::Statement;
use datafusion_postgres::arrow_pg::datatypes::arrow_schema_to_pg_fields;
use datafusion_postgres::pgwire::api::portal::{Format, Portal};
use datafusion_postgres::pgwire::api::query::{ExtendedQueryHandler, SimpleQueryHandler};
use datafusion_postgres::pgwire::api::results::{
    DataRowEncoder, FieldFormat, FieldInfo, QueryResponse, Response, Tag,
};
use datafusion_postgres::pgwire::api::stmt::QueryParser;
use datafusion_postgres::pgwire::api::store::PortalStore;
use datafusion_postgres::pgwire::api::{ClientInfo, ClientPortalStore, DEFAULT_NAME, Type};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::PgWireBackendMessage;
use datafusion_postgres::pgwire::messages::extendedquery::Execute;
use datafusion_postgres::pgwire::messages::response::TransactionStatus;
use datafusion_postgres::pgwire::messages::simplequery::Query;
use datafusion_postgres::pgwire::types::format::FormatOptions;
use futures::{Sink, StreamExt, stream};

use super::failure::{fatal, hub_error, refuse, state, stopped_error};
use super::limit::{Limit, Running};
use super::parameter;
use super::rows;
use super::server::Door;
use super::setting;
use crate::identity::Visitor;
use crate::sql::statement::{Request, classify};
use crate::sql::{Description, Flow, Planned, Snapshot, Speaker};

/// The most places that a transaction may go back to.
const MAX_SAVEPOINTS: usize = 1_000;

/// The statements of one connection.
#[derive(Clone)]
pub(crate) struct Statements {
    door: Arc<Door>,
    running: Arc<Running>,
    visitor: Arc<OnceLock<Visitor>>,
    transaction: Arc<Mutex<Transaction>>,
    /// The snapshot that is read in the place of the newest one.
    pinned: Arc<Mutex<Option<i64>>>,
    /// Where tables are looked for, and what else a connection tells of itself.
    speaker: Arc<Mutex<Option<Speaker>>>,
}

/// The snapshot a transaction reads, from its first statement on.
#[derive(Default)]
struct Transaction {
    open: bool,
    snapshot: Option<Arc<Snapshot>>,
    /// The places it may go back to. It reads the same afterwards as before.
    savepoints: Vec<String>,
}

/// A prepared statement. Its description only tells types: it is planned again each time it runs,
/// so that it reads the newest snapshot.
#[derive(Clone)]
pub(crate) struct Prepared {
    sql: Arc<str>,
    request: Request,
    description: Option<Arc<Description>>,
}

impl Statements {
    pub(crate) fn new(
        door: Arc<Door>,
        running: Arc<Running>,
        visitor: Arc<OnceLock<Visitor>>,
    ) -> Self {
        let (transaction, pinned, speaker) = (Arc::default(), Arc::default(), Arc::default());
        Self { door, running, visitor, transaction, pinned, speaker }
    }

    fn parse(&self, sql: &str) -> PgWireResult<Vec<Statement>> {
        self.door.gate.parse(sql).map_err(|e| hub_error(&e))
    }

    /// Begins a statement under the settings of the connection, those it came with included.
    fn begin(&self, client: &(impl ClientInfo + ?Sized)) -> Limit {
        self.pin(setting::snapshot(client.metadata()));
        let speaker = self.visitor.get().map(|visitor| Speaker {
            user: visitor.user.clone(),
            process: client.pid_and_secret_key().0,
            path: setting::search_path(client.metadata()),
        });
        *self.speaker.lock().unwrap_or_else(PoisonError::into_inner) = speaker;
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

    /// The newest snapshot, or the one the open transaction began with.
    async fn snapshot(&self) -> PgWireResult<Arc<Snapshot>> {
        if let Some(snapshot) = &self.transaction().snapshot {
            return Ok(Arc::clone(snapshot));
        }
        let pinned = *self.pinned.lock().unwrap_or_else(PoisonError::into_inner);
        let snapshot = self.door.gate.snapshot(pinned).await.map_err(|e| hub_error(&e))?;
        let mut transaction = self.transaction();
        if transaction.open {
            transaction.snapshot = Some(Arc::clone(&snapshot));
        }
        Ok(snapshot)
    }

    fn transaction(&self) -> std::sync::MutexGuard<'_, Transaction> {
        self.transaction.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_transaction(&self) -> PgWireResult<std::sync::MutexGuard<'_, Transaction>> {
        let transaction = self.transaction();
        if transaction.open {
            return Ok(transaction);
        }
        let message = "savepoints can only be used in transaction blocks";
        Err(refuse(state::NO_TRANSACTION, message, "BEGIN one"))
    }

    /// The open transaction, and which of its savepoints is called `name`.
    fn savepoint(
        &self,
        name: &str,
    ) -> PgWireResult<(std::sync::MutexGuard<'_, Transaction>, usize)> {
        let transaction = self.open_transaction()?;
        let place = transaction.savepoints.iter().position(|known| known == name);
        let none = || {
            let message = format!("savepoint \"{name}\" does not exist");
            refuse(state::NO_SUCH_PLACE, message, "")
        };
        let place = place.ok_or_else(none)?;
        Ok((transaction, place))
    }

    /// Lets a transaction that failed go on when what comes next takes it back to a savepoint.
    fn revive(&self, client: &mut (impl ClientInfo + ?Sized), next: Option<&Request>) {
        let is_way_back =
            matches!(next, Some(Request::RollbackTo(name)) if self.savepoint(name).is_ok());
        if is_way_back && client.transaction_status() == TransactionStatus::Error {
            client.set_transaction_status(TransactionStatus::Transaction);
        }
    }

    /// Plans a reading statement through the gate.
    async fn plan(&self, sql: &str, limit: &Limit) -> PgWireResult<Planned> {
        let visitor = self.visitor().await?;
        let snapshot = limit.wait(self.snapshot()).await??;
        let gate = &self.door.gate;
        let speaker = self.speaker.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let resolved;
        let sql = match &speaker {
            Some(speaker) => {
                let told = Box::pin(gate.resolve(speaker, &visitor.limits, sql));
                resolved = limit.wait(told).await?.map_err(|e| hub_error(&e))?;
                resolved.as_str()
            }
            None => sql,
        };
        let planned = gate.plan(snapshot, &visitor.limits, sql, limit.deadline());
        limit.wait(Box::pin(planned)).await?.map_err(|e| hub_error(&e))
    }

    /// Plans a statement that is to run, if there is a place for it.
    async fn admit(&self, sql: &str, limit: &Limit) -> PgWireResult<Planned> {
        let visitor = self.visitor().await?;
        let _place = self.door.gate.admit(visitor).map_err(|e| hub_error(&e))?;
        self.plan(sql, limit).await
    }

    /// Reads `snapshot` from now on, also in a transaction that began with another.
    fn pin(&self, snapshot: Option<i64>) {
        let mut pinned = self.pinned.lock().unwrap_or_else(PoisonError::into_inner);
        if *pinned != snapshot {
            *pinned = snapshot;
            self.transaction().snapshot = None;
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
                *self.transaction() = Transaction { open: true, ..Transaction::default() };
                Ok(Response::TransactionStart(Tag::new("BEGIN")))
            }
            Request::Commit | Request::Rollback => {
                *self.transaction() = Transaction::default();
                let failed = client.transaction_status() == TransactionStatus::Error;
                let commit = *request == Request::Commit && !failed;
                let tag = if commit { "COMMIT" } else { "ROLLBACK" };
                Ok(Response::TransactionEnd(Tag::new(tag)))
            }
            Request::Savepoint(name) => {
                let mut transaction = self.open_transaction()?;
                transaction.savepoints.retain(|known| known != name);
                if transaction.savepoints.len() == MAX_SAVEPOINTS {
                    let message = format!("a transaction has at most {MAX_SAVEPOINTS} savepoints");
                    return Err(refuse(state::TOO_LONG, message, "release some"));
                }
                transaction.savepoints.push(name.clone());
                done("SAVEPOINT")
            }
            Request::Release(name) => {
                let (mut transaction, place) = self.savepoint(name)?;
                transaction.savepoints.truncate(place);
                done("RELEASE")
            }
            Request::RollbackTo(name) => {
                let (mut transaction, place) = self.savepoint(name)?;
                transaction.savepoints.truncate(place + 1);
                done("ROLLBACK")
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
        planned: Planned,
        format: &Format,
        client: &(impl ClientInfo + ?Sized),
        limit: Limit,
    ) -> PgWireResult<Response> {
        let schema = &planned.description().columns;
        check_formats(format, schema.fields().len())?;
        let options = Arc::new(FormatOptions::from_client_metadata(client.metadata()));
        let fields = Arc::new(arrow_schema_to_pg_fields(schema, format, Some(options))?);
        let header = Arc::clone(&fields);
        let waiting = Waiting { statements: self.clone(), planned, limit };
        let rows = stream::unfold(Turn::Waiting(Box::new(waiting)), |turn| async move {
            let begun = match turn {
                Turn::Waiting(waiting) => Box::pin(waiting.begin()).await.map(Box::new),
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
            Ok(batch) => stream::iter(rows::encoded(Arc::clone(&header), batch)).left_stream(),
            Err(error) => stream::iter(std::iter::once(Err(error))).right_stream(),
        });
        Ok(Response::Query(QueryResponse::new(fields, rows)))
    }
}

#[async_trait]
impl SimpleQueryHandler for Statements {
    async fn on_query<C>(&self, client: &mut C, query: Query) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        // The wire crate looks at the status before it asks for the answer.
        if client.transaction_status() == TransactionStatus::Error {
            let statements = self.parse(&query.query).unwrap_or_default();
            let first = statements.first().and_then(|first| classify(first).ok());
            self.revive(client, first.as_ref());
        }
        self._on_query(client, query).await
    }

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
            let planned = self.admit(&sql, &limit).await?;
            responses.push(self.rows(planned, &Format::UnifiedText, client, limit)?);
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

    async fn on_execute<C>(&self, client: &mut C, message: Execute) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Prepared>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let name = message.name.as_deref().unwrap_or(DEFAULT_NAME);
        let portal = client.portal_store().get_portal(name);
        let portal = portal.as_ref().and_then(|portal| portal.value());
        self.revive(client, portal.map(|portal| &portal.statement.statement.request));
        self._on_execute(client, message).await
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
        let Some(described) = &prepared.description else {
            return self.answer(client, &prepared.request);
        };
        let limit = self.begin(client);
        let mut planned = self.admit(&prepared.sql, &limit).await?;
        if planned.description().columns.fields() != described.columns.fields() {
            return Err(refuse(
                state::UNSUPPORTED,
                "cached plan must not change result type",
                "a table of this statement changed; prepare it again",
            ));
        }
        planned.bind(parameter::values(portal, &described.parameters)?);
        self.rows(planned, &portal.result_column_format, client, limit)
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
        let description = if request == Request::Read {
            let limit = self.begin(client);
            Some(Arc::clone(self.plan(&sql, &limit).await?.description()))
        } else {
            None
        };
        Ok(Some(Prepared { sql, request, description }))
    }

    fn get_parameter_types(&self, statement: &Prepared) -> PgWireResult<Vec<Type>> {
        let description = statement.description.as_ref();
        description.map_or(Ok(Vec::new()), |known| parameter::wire_types(&known.parameters))
    }

    fn get_result_schema(
        &self,
        statement: &Prepared,
        format: Option<&Format>,
    ) -> PgWireResult<Vec<FieldInfo>> {
        match (&statement.description, &statement.request) {
            (Some(description), _) => {
                let schema = &description.columns;
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
struct Waiting {
    statements: Statements,
    planned: Planned,
    limit: Limit,
}

/// How far a statement is.
enum Turn {
    Waiting(Box<Waiting>),
    Begun(Box<(Flow, Limit)>),
    Over,
}

impl Waiting {
    async fn begin(self) -> PgWireResult<(Flow, Limit)> {
        let Self { statements, planned, limit } = self;
        let limit = statements.running.go_on(&limit)?;
        let visitor = statements.visitor().await?;
        let gate = &statements.door.gate;
        let ticket = gate.admit(visitor).map_err(|e| hub_error(&e))?;
        let started = gate.start(visitor, "postgres", &planned, limit.deadline(), ticket);
        let started = limit.wait(Box::pin(started)).await?;
        Ok((started.map_err(|e| hub_error(&e))?, limit))
    }
}

/// The next rows of a statement, unless it is stopped.
async fn next(flow: &mut Flow, limit: &Limit) -> PgWireResult<Option<RecordBatch>> {
    limit.wait(flow.next()).await?.map_err(|stopped| stopped_error(&stopped))
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
    let ends = matches!(request, Request::Commit | Request::Rollback | Request::RollbackTo(_));
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
