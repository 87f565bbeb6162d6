//! Flight SQL: which call asks for what.

use arrow_flight::flight_service_server::FlightService;
use arrow_flight::sql::{
    ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest,
    ActionCreatePreparedStatementResult, Any, Command, DoPutPreparedStatementResult,
    ProstMessageExt, TicketStatementQuery,
};
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightEndpoint, FlightInfo,
    HandshakeRequest, HandshakeResponse, IpcMessage, PollInfo, PutResult, SchemaAsIpc,
    SchemaResult, Ticket,
};
use arrow_ipc::writer::IpcWriteOptions;
use async_trait::async_trait;
use bytes::Bytes;
use datafusion::arrow::datatypes::Schema;
use datafusion::arrow::error::ArrowError;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use huiliu_sdk::{Error, ErrorKind, Result};
use prost::Message;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

use super::failure::{status, wrong};
use super::guard::Credentials;
use super::listing;
use super::parameter;
use super::rows::{Messages, of_batch};
use super::statement::{Description, Statements, pinned};
use crate::identity::Visitor;
use crate::sql::{Gate, in_time};

/// The header that names the snapshot to read, and in answers the one that is read.
const SNAPSHOT: &str = "huiliu-snapshot";
/// The actions there are.
const CREATE: &str = "CreatePreparedStatement";
const CLOSE: &str = "ClosePreparedStatement";

type Answers<T> = BoxStream<'static, Result<T, Status>>;

/// The service behind the guard.
pub(super) struct Flight {
    statements: Statements,
}

impl Flight {
    pub(super) fn new(gate: Gate) -> Self {
        Self { statements: Statements::new(gate) }
    }

    /// Forgets tickets and prepared statements that nobody came for.
    pub(super) fn forget_old(&self) {
        self.statements.forget_old();
    }

    async fn info(&self, call: &Call, descriptor: FlightDescriptor) -> Result<Answer<FlightInfo>> {
        let statements = &self.statements;
        let Call { visitor, snapshot } = call;
        let described = match command(&descriptor.cmd)? {
            Command::CommandStatementQuery(asked) => {
                check_no_transaction(asked.transaction_id.as_ref())?;
                Box::pin(statements.describe(visitor, &asked.query, *snapshot)).await?
            }
            Command::CommandPreparedStatementQuery(asked) => {
                let handle = &asked.prepared_statement_handle;
                Box::pin(statements.describe_prepared(visitor, handle, *snapshot)).await?
            }
            question => {
                let kind = question.type_url().to_owned();
                let Some(empty) = listing::answer(question, &[])? else { return Err(none(&kind)) };
                // What is asked is what its answer is taken with.
                let ticket = Ticket { ticket: descriptor.cmd.clone() };
                return Ok((info(&empty.schema(), ticket, descriptor)?, None));
            }
        };
        let Description { columns, snapshot, ticket } = described;
        let ticket = TicketStatementQuery { statement_handle: ticket.into() };
        let ticket = Ticket { ticket: ticket.as_any().encode_to_vec().into() };
        Ok((info(&columns, ticket, descriptor)?, Some(snapshot)))
    }

    async fn schema(&self, call: &Call, descriptor: FlightDescriptor) -> Result<SchemaResult> {
        let columns = match command(&descriptor.cmd)? {
            Command::CommandStatementQuery(asked) => {
                let columns = self.statements.columns(&call.visitor, &asked.query, call.snapshot);
                Box::pin(columns).await?
            }
            question => {
                let kind = question.type_url().to_owned();
                let empty = listing::answer(question, &[])?;
                empty.ok_or_else(|| none(&kind))?.schema()
            }
        };
        Ok(SchemaResult { schema: encoded(&columns)? })
    }

    async fn rows(&self, call: &Call, ticket: Ticket) -> Result<Answer<Messages>> {
        let Call { visitor, snapshot } = call;
        let question = match command(&ticket.ticket)? {
            Command::TicketStatementQuery(ticket) => {
                let ran = self.statements.run(visitor, &ticket.statement_handle);
                let (snapshot, rows) = Box::pin(ran).await?;
                return Ok((rows, Some(snapshot)));
            }
            question => question,
        };
        let kind = question.type_url().to_owned();
        let tables = if listing::asks_for_tables(&question) {
            self.statements.tables(visitor, *snapshot).await?
        } else {
            Vec::new()
        };
        let batch = listing::answer(question, &tables)?.ok_or_else(|| none(&kind))?;
        Ok((of_batch(batch), None))
    }

    /// Takes parameters; everything else that clients put is a change.
    async fn put(&self, call: &Call, mut sent: Streaming<FlightData>) -> Result<PutResult> {
        let first = sent.message().await.map_err(|status| wrong(status.message(), ""))?;
        let Some(first) = first else { return Err(wrong("nothing was sent", "")) };
        let descriptor = first.flight_descriptor.clone().unwrap_or_default();
        let Command::CommandPreparedStatementQuery(asked) = command(&descriptor.cmd)? else {
            let message = "cannot execute a change: this door only reads";
            return Err(Error::new(ErrorKind::Permission, "E-SQL-READ-ONLY", message)
                .hint("only SELECT, EXPLAIN and SHOW are answered here"));
        };
        let handle = asked.prepared_statement_handle;
        let values = parameter::read(stream::iter([Ok(first)]).chain(sent)).await?;
        self.statements.bind(&call.visitor, &handle, values)?;
        let result = DoPutPreparedStatementResult { prepared_statement_handle: Some(handle) };
        Ok(PutResult { app_metadata: result.encode_to_vec().into() })
    }

    async fn act(&self, call: &Call, action: Action) -> Result<Option<arrow_flight::Result>> {
        let Call { visitor, snapshot } = call;
        match action.r#type.as_str() {
            CREATE => {
                let asked: ActionCreatePreparedStatementRequest = body(&action)?;
                check_no_transaction(asked.transaction_id.as_ref())?;
                let made = self.statements.prepare(visitor, &asked.query, *snapshot);
                let made = Box::pin(made).await?;
                let result = ActionCreatePreparedStatementResult {
                    prepared_statement_handle: made.handle.into(),
                    dataset_schema: encoded(&made.columns)?,
                    parameter_schema: encoded(&made.parameters)?,
                };
                Ok(Some(arrow_flight::Result { body: result.as_any().encode_to_vec().into() }))
            }
            CLOSE => {
                let asked: ActionClosePreparedStatementRequest = body(&action)?;
                self.statements.close(visitor, &asked.prepared_statement_handle);
                Ok(None)
            }
            other => Err(none(other)),
        }
    }
}

/// Who calls, and the snapshot that the call names.
struct Call {
    visitor: Visitor,
    snapshot: Option<i64>,
}

/// An answer, and the snapshot that it is of.
type Answer<T> = (T, Option<i64>);

/// A call that the guard has let through.
fn call<T>(request: &Request<T>) -> Result<Call, Status> {
    let visitor = request.extensions().get::<Visitor>().cloned();
    let visitor =
        visitor.ok_or_else(|| status(&Error::internal("a call came around the guard")))?;
    let header = request.metadata().get(SNAPSHOT).map(|value| value.to_str().unwrap_or_default());
    let snapshot = pinned(header).map_err(|e| status(&e))?;
    Ok(Call { visitor, snapshot })
}

fn told<T>(answer: Result<T>) -> Result<T, Status> {
    answer.map_err(|error| status(&error))
}

/// An answer that says which snapshot it is of.
fn marked<T>((answer, snapshot): Answer<T>) -> Response<T> {
    let mut response = Response::new(answer);
    if let Some(snapshot) = snapshot {
        let headers: &mut MetadataMap = response.metadata_mut();
        headers.insert(SNAPSHOT, snapshot.into());
    }
    response
}

fn command(bytes: &[u8]) -> Result<Command> {
    let any = Any::decode(bytes).map_err(|_| no_command())?;
    Command::try_from(any).map_err(|_| no_command())
}

fn body<M: ProstMessageExt>(action: &Action) -> Result<M> {
    let any = Any::decode(&*action.body).map_err(|_| no_command())?;
    any.unpack().ok().flatten().ok_or_else(no_command)
}

fn no_command() -> Error {
    wrong("this is no command of Flight SQL", "use a client for Flight SQL, such as ADBC or JDBC")
}

fn none(what: &str) -> Error {
    let what = what.rsplit('.').next().unwrap_or(what);
    Error::unsupported(format!("{what} over Flight SQL"))
}

/// There are no transactions; a header pins a snapshot.
fn check_no_transaction(id: Option<&impl AsRef<[u8]>>) -> Result<()> {
    match id {
        Some(id) if !id.as_ref().is_empty() => Err(none("a transaction")),
        _ => Ok(()),
    }
}

fn info(schema: &Schema, ticket: Ticket, descriptor: FlightDescriptor) -> Result<FlightInfo> {
    let endpoint = FlightEndpoint::new().with_ticket(ticket);
    let info = FlightInfo::new().try_with_schema(schema).map_err(schema_error)?;
    Ok(info.with_endpoint(endpoint).with_descriptor(descriptor))
}

fn encoded(schema: &Schema) -> Result<Bytes> {
    let options = IpcWriteOptions::default();
    let message: Result<IpcMessage, ArrowError> = SchemaAsIpc::new(schema, &options).try_into();
    message.map(|message| message.0).map_err(schema_error)
}

fn schema_error(error: ArrowError) -> Error {
    Error::internal("the columns could not be told").cause(error)
}

#[async_trait]
impl FlightService for Flight {
    type HandshakeStream = Answers<HandshakeResponse>;
    type ListFlightsStream = Answers<FlightInfo>;
    type DoGetStream = Messages;
    type DoPutStream = Answers<PutResult>;
    type DoActionStream = Answers<arrow_flight::Result>;
    type ListActionsStream = Answers<ActionType>;
    type DoExchangeStream = Messages;

    /// Gives whoever came with a name and a token that token back, as what the next calls bring.
    async fn handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        call(&request)?;
        let credentials = Credentials::of(request.metadata().as_ref());
        let bearer = credentials.and_then(|found| format!("Bearer {}", found.token).parse().ok());
        let bearer = bearer.ok_or_else(|| status(&Error::internal("a token cannot be told")))?;
        let answer = stream::iter([Ok(HandshakeResponse::default())]);
        let mut response = Response::new(answer.boxed());
        response.metadata_mut().insert("authorization", bearer);
        Ok(response)
    }

    async fn get_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let call = call(&request)?;
        let answer = Box::pin(self.info(&call, request.into_inner())).await;
        told(answer).map(marked)
    }

    async fn get_schema(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<SchemaResult>, Status> {
        let call = call(&request)?;
        let answer = Box::pin(self.schema(&call, request.into_inner())).await;
        told(answer).map(Response::new)
    }

    async fn do_get(&self, request: Request<Ticket>) -> Result<Response<Messages>, Status> {
        let call = call(&request)?;
        let answer = Box::pin(self.rows(&call, request.into_inner())).await;
        told(answer).map(marked)
    }

    async fn do_put(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoPutStream>, Status> {
        let call = call(&request)?;
        let put = Box::pin(self.put(&call, request.into_inner()));
        let put = told(in_time(self.statements.deadline(), put).await.flatten())?;
        Ok(Response::new(stream::iter([Ok(put)]).boxed()))
    }

    async fn do_action(
        &self,
        request: Request<Action>,
    ) -> Result<Response<Self::DoActionStream>, Status> {
        let call = call(&request)?;
        let answer = told(Box::pin(self.act(&call, request.into_inner())).await)?;
        Ok(Response::new(stream::iter(answer.map(Ok)).boxed()))
    }

    async fn list_actions(
        &self,
        _request: Request<Empty>,
    ) -> Result<Response<Self::ListActionsStream>, Status> {
        let action = |(kind, description): (&str, &str)| {
            Ok(ActionType { r#type: kind.into(), description: description.into() })
        };
        let actions = [(CREATE, "Prepares a statement."), (CLOSE, "Forgets a prepared one.")];
        Ok(Response::new(stream::iter(actions.map(action)).boxed()))
    }

    async fn list_flights(
        &self,
        _request: Request<Criteria>,
    ) -> Result<Response<Self::ListFlightsStream>, Status> {
        Err(status(&none("a list of flights")))
    }

    async fn poll_flight_info(
        &self,
        _request: Request<FlightDescriptor>,
    ) -> Result<Response<PollInfo>, Status> {
        Err(status(&none("polling")))
    }

    async fn do_exchange(
        &self,
        _request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        Err(status(&none("an exchange")))
    }
}
