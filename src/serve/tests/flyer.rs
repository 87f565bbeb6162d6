//! A client of the Flight door that sends what it is told to.

use std::time::Duration;

use arrow::record_batch::RecordBatch;
use arrow::util::display::array_value_to_string;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::{
    ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult, Any,
    CommandPreparedStatementQuery, CommandStatementQuery, ProstMessageExt,
};
use arrow_flight::{Action, FlightData, FlightDescriptor, FlightInfo, Ticket};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use prost::Message;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use crate::world::World;

pub(crate) struct Flyer {
    pub(crate) calls: FlightServiceClient<Channel>,
    /// What each call brings along.
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl Flyer {
    /// Over a connection of its own, with the token of the analyst.
    pub(crate) async fn analyst(world: &World) -> Self {
        Self::with(world, &format!("Bearer {}", world.token)).await
    }

    /// Over a connection of its own, with an `authorization`.
    pub(crate) async fn with(world: &World, authorization: &str) -> Self {
        let address = format!("http://{}", world.flight.address);
        let channel = Channel::from_shared(address).unwrap().connect().await.unwrap();
        let headers = vec![("authorization", authorization.to_owned())];
        Self { calls: FlightServiceClient::new(channel), headers }
    }

    /// A message with the headers.
    pub(crate) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        for (name, value) in &self.headers {
            request.metadata_mut().insert(*name, value.parse().unwrap());
        }
        request
    }

    /// What a command will give; asked again while too much was asked.
    pub(crate) async fn info(
        &mut self,
        command: &impl ProstMessageExt,
    ) -> Result<Response<FlightInfo>, Status> {
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        loop {
            ticks.tick().await;
            let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
            match self.calls.get_flight_info(self.request(descriptor)).await {
                Err(status) if status.message().starts_with("E-RATE") => {}
                answer => return answer,
            }
        }
    }

    /// The ticket of a statement.
    pub(crate) async fn ticket(&mut self, sql: &str) -> Result<Ticket, Status> {
        let asked = CommandStatementQuery { query: sql.to_owned(), transaction_id: None };
        Ok(ticket_of(self.info(&asked).await?.into_inner()))
    }

    /// The rows of a ticket as they come.
    pub(crate) async fn get(
        &mut self,
        ticket: Ticket,
    ) -> Result<Response<FlightRecordBatchStream>, Status> {
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        let answer = loop {
            ticks.tick().await;
            match self.calls.do_get(self.request(ticket.clone())).await {
                Err(status) if status.message().starts_with("E-RATE") => {}
                answer => break answer?,
            }
        };
        let rows = |messages: tonic::Streaming<FlightData>| {
            FlightRecordBatchStream::new_from_flight_data(messages.map_err(FlightError::from))
        };
        Ok(answer.map(rows))
    }

    /// All rows of a ticket.
    pub(crate) async fn all(&mut self, ticket: Ticket) -> Result<Vec<RecordBatch>, Status> {
        let rows = self.get(ticket).await?.into_inner();
        rows.try_collect().await.map_err(Status::from)
    }

    /// All rows of a statement.
    pub(crate) async fn query(&mut self, sql: &str) -> Result<Vec<RecordBatch>, Status> {
        let ticket = self.ticket(sql).await?;
        self.all(ticket).await
    }

    /// The cells of a statement that is answered.
    pub(crate) async fn cells(&mut self, sql: &str) -> Vec<String> {
        let answer = self.query(sql).await;
        cells(&answer.unwrap_or_else(|status| panic!("{sql}: {status}")))
    }

    /// Does one of the actions.
    pub(crate) async fn act(
        &mut self,
        kind: &str,
        message: &impl ProstMessageExt,
    ) -> Result<Option<Any>, Status> {
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        loop {
            ticks.tick().await;
            let body = message.as_any().encode_to_vec().into();
            let action = Action { r#type: kind.to_owned(), body };
            match self.calls.do_action(self.request(action)).await {
                Err(status) if status.message().starts_with("E-RATE") => {}
                Err(status) => return Err(status),
                Ok(answer) => {
                    let result = answer.into_inner().message().await?;
                    return Ok(result.map(|result| Any::decode(result.body).unwrap()));
                }
            }
        }
    }

    /// Prepares a statement.
    pub(crate) async fn prepare(
        &mut self,
        sql: &str,
    ) -> Result<ActionCreatePreparedStatementResult, Status> {
        let asked =
            ActionCreatePreparedStatementRequest { query: sql.to_owned(), transaction_id: None };
        let made = self.act("CreatePreparedStatement", &asked).await?;
        Ok(made.unwrap().unpack().unwrap().unwrap())
    }

    /// All rows of a statement that was prepared.
    pub(crate) async fn run(&mut self, handle: &Bytes) -> Result<Vec<RecordBatch>, Status> {
        let handle = handle.clone();
        let asked = CommandPreparedStatementQuery { prepared_statement_handle: handle };
        let ticket = ticket_of(self.info(&asked).await?.into_inner());
        self.all(ticket).await
    }

    /// Prepares a statement and runs it.
    pub(crate) async fn prepared(&mut self, sql: &str) -> Result<Vec<RecordBatch>, Status> {
        let handle = self.prepare(sql).await?.prepared_statement_handle;
        self.run(&handle).await
    }

    /// Puts a batch for a command.
    pub(crate) async fn put(
        &mut self,
        command: &impl ProstMessageExt,
        batch: RecordBatch,
    ) -> Result<(), Status> {
        let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
        let messages = FlightDataEncoderBuilder::new()
            .with_flight_descriptor(Some(descriptor))
            .build(stream::iter([Ok(batch)]))
            .map(Result::unwrap);
        let answer = self.calls.do_put(self.request(messages)).await?;
        answer.into_inner().message().await.map(drop)
    }
}

pub(crate) fn ticket_of(info: FlightInfo) -> Ticket {
    assert_eq!(info.endpoint.len(), 1);
    info.endpoint.into_iter().next().unwrap().ticket.unwrap()
}

/// All cells as text, row by row.
pub(crate) fn cells(batches: &[RecordBatch]) -> Vec<String> {
    let row = |batch: &RecordBatch, row: usize| -> Vec<String> {
        batch.columns().iter().map(|column| array_value_to_string(column, row).unwrap()).collect()
    };
    let rows = batches.iter().flat_map(|batch| (0..batch.num_rows()).map(move |at| (batch, at)));
    rows.flat_map(|(batch, at)| row(batch, at)).collect()
}
