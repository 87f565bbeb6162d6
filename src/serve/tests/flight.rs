//! Arrow Flight SQL: who comes in, what is asked, what is refused.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::record_batch::RecordBatch;
use arrow_flight::sql::{
    ActionBeginTransactionRequest, ActionClosePreparedStatementRequest, CommandGetPrimaryKeys,
    CommandGetSqlInfo, CommandGetTables, CommandPreparedStatementQuery, CommandStatementUpdate,
    ProstMessageExt, SqlInfo, TicketStatementQuery,
};
use arrow_flight::{Action, Empty, FlightDescriptor, HandshakeRequest, Ticket};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chrono::TimeDelta;
use futures::stream;
use huiliu_core::access::Role;
use huiliu_sdk::ErrorKind;
use huiliu_serve::{FlightOptions, start_flight};
use prost::Message;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tonic::Code;

use crate::flyer::{Flyer, cells, ticket_of};
use crate::world::{ANALYST, PEOPLE, World, add_cases, add_user, by, token_of};

const COUNT: &str = "select count(*) from current.cases";

/// How often the audit has an action of this door.
async fn noted(world: &World, action: &str) -> usize {
    let rows = world.accounts.store().audit().await.unwrap();
    let is_here = |after: &Option<String>| {
        after.as_ref().is_some_and(|after| after.contains("\"door\":\"flight\""))
    };
    rows.iter().filter(|row| row.action == action && is_here(&row.after)).count()
}

fn basic(user: &str, token: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{token}")))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_the_door_in_each_way() {
    let world = World::open().await;
    let mut bearer = Flyer::analyst(&world).await;
    assert_eq!(bearer.cells(COUNT).await, ["100"]);
    assert_eq!(bearer.cells(COUNT).await, ["100"]);
    let named = format!("{ANALYST}/{}", &world.token[3..15]);
    for user in [ANALYST, named.as_str()] {
        let mut flyer = Flyer::with(&world, &basic(user, &world.token)).await;
        assert_eq!(flyer.cells(COUNT).await, ["100"]);
        let hello = stream::iter([HandshakeRequest::default()]);
        let answer = flyer.calls.handshake(flyer.request(hello)).await.unwrap();
        let given = answer.metadata().get("authorization").unwrap().to_str().unwrap();
        assert_eq!(given, format!("Bearer {}", world.token));
        flyer.headers = vec![("authorization", given.to_owned())];
        assert_eq!(flyer.cells(COUNT).await, ["100"]);
    }
    assert_eq!(noted(&world, "login").await, 3, "one of each connection");
    assert_eq!((noted(&world, "query").await, noted(&world, "query rows").await), (6, 6));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_tokens_are_refused_and_slowed_down() {
    let world = World::open().await;
    add_user(&world.accounts, "operator", Role::Operator).await;
    let operator = token_of(&world.accounts, "operator").await;
    let wrong = [
        "Bearer no-such-token".to_owned(),
        format!("Bearer {}", world.token.to_uppercase()),
        format!("Bearer {}", &world.token[..63]),
        basic("operator", &world.token),
        basic(&format!("{ANALYST}/000000000000"), &world.token),
        basic("", &world.token),
    ];
    for authorization in &wrong {
        let told = Flyer::with(&world, authorization).await.ticket(COUNT).await.unwrap_err();
        assert_eq!(told.code(), Code::Unauthenticated, "{authorization}");
        assert!(told.message().starts_with("E-SIGN-IN:"), "{told}");
        assert!(!told.message().contains(&world.token[10..]), "{told}");
    }
    assert_eq!(noted(&world, "login refused").await, wrong.len());
    let told = Flyer::with(&world, &format!("Bearer {operator}")).await.ticket(COUNT).await;
    let told = told.unwrap_err();
    assert_eq!(told.code(), Code::PermissionDenied, "an operator asks no SQL");
    assert!(told.message().starts_with("E-FORBIDDEN"), "{told}");

    let mut guesser = Flyer::with(&world, "Bearer hl_000000000000_0").await;
    let mut slowed = None;
    for _ in 0..60 {
        let told = guesser.ticket(COUNT).await.unwrap_err();
        if told.code() == Code::ResourceExhausted {
            slowed = Some(told);
            break;
        }
    }
    assert!(slowed.unwrap().message().starts_with("E-SIGN-IN-SLOW"));
    assert_eq!(noted(&world, "login refused").await, 50, "the audit is not flooded");
    let mut good = Flyer::analyst(&world).await;
    assert_eq!(good.cells(COUNT).await, ["100"], "nobody else is held up");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_ends_opens_nothing_more() {
    let world = World::open().await;
    let mut flyer = Flyer::analyst(&world).await;
    let ticket = flyer.ticket(COUNT).await.unwrap();
    let handle = flyer.prepare(COUNT).await.unwrap().prepared_statement_handle;
    world.accounts.revoke_token(&world.token[3..15], None, &by()).await.unwrap();
    assert_eq!(flyer.all(ticket).await.unwrap_err().code(), Code::Unauthenticated);
    assert_eq!(flyer.run(&handle).await.unwrap_err().code(), Code::Unauthenticated);

    let token = token_of(&world.accounts, ANALYST).await;
    let mut flyer = Flyer::with(&world, &format!("Bearer {token}")).await;
    assert_eq!(flyer.cells(COUNT).await, ["100"]);
    world.clock.advance(TimeDelta::days(91));
    assert_eq!(flyer.query(COUNT).await.unwrap_err().code(), Code::Unauthenticated, "expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_call_is_answered_without_a_token() {
    let world = World::open().await;
    let mut flyer = Flyer::with(&world, "").await;
    for authorization in ["", "Basic", "Digest abc"] {
        flyer.headers = vec![("authorization", authorization.to_owned())];
        let hello = stream::iter([HandshakeRequest::default()]);
        let nothing = stream::iter([arrow_flight::FlightData::default()]);
        let descriptor = || FlightDescriptor::new_cmd("");
        let action = Action { r#type: "CreatePreparedStatement".into(), body: "".into() };
        let mut calls = flyer.calls.clone();
        let told = [
            calls.handshake(flyer.request(hello)).await.err(),
            calls.list_flights(flyer.request(arrow_flight::Criteria::default())).await.err(),
            calls.get_flight_info(flyer.request(descriptor())).await.err(),
            calls.poll_flight_info(flyer.request(descriptor())).await.err(),
            calls.get_schema(flyer.request(descriptor())).await.err(),
            calls.do_get(flyer.request(Ticket::new(""))).await.err(),
            calls.do_put(flyer.request(nothing.clone())).await.err(),
            calls.do_exchange(flyer.request(nothing)).await.err(),
            calls.do_action(flyer.request(action)).await.err(),
            calls.list_actions(flyer.request(Empty {})).await.err(),
        ];
        for told in told {
            let told = told.expect("a call was answered");
            assert_eq!(told.code(), Code::Unauthenticated, "{told}");
            assert!(told.message().starts_with("E-SIGN-IN-FIRST"), "{told}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_good_once_and_for_its_user() {
    let world = World::open().await;
    add_user(&world.accounts, "other", Role::Analyst).await;
    let other = token_of(&world.accounts, "other").await;
    let mut flyer = Flyer::analyst(&world).await;
    let mut thief = Flyer::with(&world, &format!("Bearer {other}")).await;
    let ticket = flyer.ticket(COUNT).await.unwrap();
    let told = thief.all(ticket.clone()).await.unwrap_err();
    assert_eq!(told.code(), Code::NotFound, "{told}");
    assert!(told.message().starts_with("E-FLIGHT-TICKET"), "{told}");
    assert_eq!(cells(&flyer.all(ticket.clone()).await.unwrap()), ["100"], "it was left alone");
    assert_eq!(flyer.all(ticket).await.unwrap_err().code(), Code::NotFound, "once");
    let invented = TicketStatementQuery { statement_handle: "0".repeat(64).into() };
    let invented = Ticket::new(invented.as_any().encode_to_vec());
    assert_eq!(flyer.all(invented).await.unwrap_err().code(), Code::NotFound);

    let handle = flyer.prepare(COUNT).await.unwrap().prepared_statement_handle;
    assert_eq!(thief.run(&handle).await.unwrap_err().code(), Code::NotFound);
    let close = ActionClosePreparedStatementRequest { prepared_statement_handle: handle.clone() };
    thief.act("ClosePreparedStatement", &close).await.unwrap();
    assert_eq!(cells(&flyer.run(&handle).await.unwrap()), ["100"], "another one closes nothing");
    flyer.act("ClosePreparedStatement", &close).await.unwrap();
    assert_eq!(flyer.run(&handle).await.unwrap_err().code(), Code::NotFound, "closed");
    // One that many others were planned after has made way.
    let first = flyer.ticket(COUNT).await.unwrap();
    for _ in 0..16 {
        flyer.ticket("select 1").await.unwrap();
    }
    assert_eq!(flyer.all(first).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn masks_hold_and_the_audit_has_tables_columns_and_rows() {
    let world = World::open().await;
    let mut flyer = Flyer::analyst(&world).await;
    let shown = [
        flyer.cells("select * from current.people").await,
        flyer.cells("select name || number from current.people").await,
        flyer.cells("select number from raw.people where name like '%明' or true").await,
        cells(&flyer.prepared("select upper(name), number from current.people").await.unwrap()),
    ]
    .concat()
    .join("\n");
    for (name, number) in PEOPLE {
        assert!(!shown.contains(name) && !shown.contains(number), "{shown}");
    }
    let found = flyer.cells("select * from current.people where number = '340503198001010018'");
    assert!(found.await.is_empty(), "predicates see masks");
    let rows = world.accounts.store().audit().await.unwrap();
    let queries = rows.iter().filter(|row| row.action == "query" && row.object.contains("people"));
    assert_eq!(queries.count(), 5);
    let last = rows.iter().rev().find(|row| row.action == "query").unwrap();
    let what: serde_json::Value = serde_json::from_str(last.after.as_ref().unwrap()).unwrap();
    assert_eq!(what["door"], "flight");
    assert_eq!(what["sql"], "SELECT * FROM current.people WHERE number = ?");
    let given = rows.iter().find(|row| row.action == "query rows").unwrap();
    assert!(given.after.as_ref().unwrap().contains("\"rows\":3"), "{given:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_noted_is_not_given_out() {
    let world = World::open().await;
    let mut flyer = Flyer::analyst(&world).await;
    assert_eq!(flyer.cells(COUNT).await, ["100"]);
    let ticket = flyer.ticket(COUNT).await.unwrap();
    let store = world.accounts.store();
    store.run("break it", "alter table huiliu_audit rename to gone", vec![]).await.unwrap();
    let told = flyer.all(ticket).await.unwrap_err();
    assert_eq!(told.code(), Code::Unavailable, "{told}");
    assert!(told.message().starts_with("E-AUDIT-CLOSED"), "{told}");
    assert!(!told.message().contains("huiliu_audit"), "{told}");
    let told = Flyer::analyst(&world).await.query("select 1").await.unwrap_err();
    assert!(told.message().starts_with("E-AUDIT-CLOSED"), "no login either: {told}");
    store.run("mend it", "alter table gone rename to huiliu_audit", vec![]).await.unwrap();
    assert_eq!(flyer.cells(COUNT).await, ["100"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_and_what_is_not_there_are_refused_by_name() {
    let world = World::open().await;
    let mut flyer = Flyer::analyst(&world).await;
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let batch = RecordBatch::try_from_iter([("a", numbers)]).unwrap();
    for query in ["delete from current.cases", "select 1"] {
        let update = CommandStatementUpdate { query: query.into(), transaction_id: None };
        let told = flyer.put(&update, batch.clone()).await.unwrap_err();
        assert_eq!(told.code(), Code::PermissionDenied);
        assert!(told.message().starts_with("E-SQL-READ-ONLY"), "{told}");
    }
    let told = flyer.ticket("drop table current.cases").await.unwrap_err();
    assert_eq!(told.code(), Code::PermissionDenied);
    assert!(told.message().starts_with("E-SQL-READ-ONLY: cannot execute DROP"), "{told}");
    let told = flyer.ticket("select * from information_schema.df_settings").await.unwrap_err();
    assert!(told.message().starts_with("E-SQL-TABLE"), "{told}");
    let told = flyer.ticket("selec 1").await.unwrap_err();
    assert_eq!(told.code(), Code::InvalidArgument);
    assert!(told.message().starts_with("E-SQL-SYNTAX"), "{told}");
    let begin = flyer.act("BeginTransaction", &ActionBeginTransactionRequest {}).await;
    assert_eq!(begin.unwrap_err().code(), Code::Unimplemented);
    for noise in ["", "noise", "\u{7f}\u{1}"] {
        let descriptor = flyer.request(FlightDescriptor::new_cmd(noise.to_owned()));
        let told = flyer.calls.get_flight_info(descriptor).await.unwrap_err();
        assert!(told.message().starts_with("E-"), "{told}");
        let ticket = flyer.request(Ticket::new(noise.to_owned()));
        assert!(flyer.calls.do_get(ticket).await.is_err());
    }
    // More than a statement may be long, and more than a message may hold.
    let long = format!("select '{}'", "x".repeat(1 << 20));
    assert!(flyer.ticket(&long).await.unwrap_err().message().starts_with("E-SQL-SIZE"));
    let longer = format!("select '{}'", "x".repeat(3 << 20));
    assert_eq!(flyer.ticket(&longer).await.unwrap_err().code(), Code::OutOfRange);
    assert_eq!(flyer.cells(COUNT).await, ["100"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_are_prepared_and_bound() {
    let world = World::open().await;
    let mut flyer = Flyer::analyst(&world).await;
    let sql = "select id, days from current.cases where days >= $1 and id < $2 order by id";
    let made = flyer.prepare(sql).await.unwrap();
    let handle = made.prepared_statement_handle;
    let query = CommandPreparedStatementQuery { prepared_statement_handle: handle.clone() };
    let told = flyer.run(&handle).await.unwrap_err();
    assert!(told.message().contains("0 parameters were bound to 2"), "{told}");
    let row = |day: i64, id: &str| {
        let (day, id): (ArrayRef, ArrayRef) =
            (Arc::new(Int64Array::from(vec![day])), Arc::new(StringArray::from(vec![id])));
        RecordBatch::try_from_iter([("1", day), ("2", id)]).unwrap()
    };
    flyer.put(&query, row(97, "K99")).await.unwrap();
    let expected = ["K00097", "97", "K00098", "98", "K00099", "99"];
    assert_eq!(cells(&flyer.run(&handle).await.unwrap()), expected);
    flyer.put(&query, row(99, "' or true --")).await.unwrap();
    assert!(cells(&flyer.run(&handle).await.unwrap()).is_empty(), "a value is no SQL");
    add_cases(&world.engine, 2, 100, 110).await;
    flyer.put(&query, row(108, "K99")).await.unwrap();
    let newest = cells(&flyer.run(&handle).await.unwrap());
    assert_eq!(newest, ["K00108", "108", "K00109", "109"], "the newest snapshot");

    let number: ArrayRef = Arc::new(StringArray::from(vec!["no number"]));
    let wrong = RecordBatch::try_from_iter([("1", number.clone()), ("2", number)]).unwrap();
    flyer.put(&query, wrong).await.unwrap();
    let told = flyer.run(&handle).await.unwrap_err();
    assert!(told.message().contains("parameter $1 cannot be taken as Int64"), "{told}");
    let many = arrow::compute::concat_batches(&row(1, "a").schema(), &[row(1, "a"), row(2, "b")]);
    let told = flyer.put(&query, many.unwrap()).await.unwrap_err();
    assert!(told.message().contains("several rows"), "{told}");
    let unknown = CommandPreparedStatementQuery { prepared_statement_handle: "0".into() };
    assert_eq!(flyer.put(&unknown, row(1, "a")).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_pins_a_snapshot() {
    let world = World::open().await;
    let mut flyer = Flyer::analyst(&world).await;
    let old = world.engine.lake().latest_snapshot().await.unwrap();
    let new = add_cases(&world.engine, 2, 100, 130).await;
    let ticket = flyer.ticket(COUNT).await.unwrap();
    let answer = flyer.get(ticket).await.unwrap();
    let read = answer.metadata().get("huiliu-snapshot").unwrap().to_str().unwrap();
    assert_eq!(read, new.to_string());
    drop(answer);
    assert_eq!(flyer.cells(COUNT).await, ["130"]);
    let authorization = flyer.headers[0].clone();
    flyer.headers = vec![authorization.clone(), ("huiliu-snapshot", old.to_string())];
    assert_eq!(flyer.cells(COUNT).await, ["100"]);
    assert_eq!(cells(&flyer.prepared(COUNT).await.unwrap()), ["100"]);
    assert!(flyer.cells("select name from current.people").await.iter().all(|n| n.contains('*')));
    // What describes the newest tables to others still does.
    assert!(world.rows("\\dt current.*").await.contains("current|cases|table|"));
    for (snapshot, code) in
        [("999999", Code::NotFound), ("x", Code::InvalidArgument), ("-1", Code::InvalidArgument)]
    {
        flyer.headers = vec![authorization.clone(), ("huiliu-snapshot", snapshot.to_owned())];
        assert_eq!(flyer.query(COUNT).await.unwrap_err().code(), code, "{snapshot}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_there_is_can_be_listed() {
    let world = World::open().await;
    let mut flyer = Flyer::analyst(&world).await;
    let tables = CommandGetTables {
        db_schema_filter_pattern: Some("curr%".into()),
        include_schema: false,
        ..CommandGetTables::default()
    };
    let ticket = ticket_of(flyer.info(&tables).await.unwrap().into_inner());
    let listed = cells(&flyer.all(ticket.clone()).await.unwrap());
    let table = |name| ["huiliu", "current", name, "TABLE"];
    assert_eq!(listed, [table("cases"), table("people")].concat());
    assert_eq!(cells(&flyer.all(ticket).await.unwrap()), listed, "a question is no secret");
    let views = CommandGetTables { table_types: vec!["VIEW".into()], ..Default::default() };
    let ticket = ticket_of(flyer.info(&views).await.unwrap().into_inner());
    let views = cells(&flyer.all(ticket).await.unwrap());
    assert!(views.contains(&"people".to_owned()) && !views.contains(&"current".to_owned()));
    let keys = CommandGetPrimaryKeys { table: "cases".into(), ..Default::default() };
    let info = flyer.info(&keys).await.unwrap().into_inner();
    assert_eq!(info.clone().try_decode_schema().unwrap().fields().len(), 6);
    assert!(cells(&flyer.all(ticket_of(info)).await.unwrap()).is_empty());
    let about = CommandGetSqlInfo { info: vec![SqlInfo::FlightSqlServerReadOnly as u32] };
    let ticket = ticket_of(flyer.info(&about).await.unwrap().into_inner());
    assert!(cells(&flyer.all(ticket).await.unwrap())[1].contains("true"));
    assert_eq!(noted(&world, "query").await, 0, "questions about the catalog are not noted");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_loopback_addresses_are_served() {
    let world = World::open().await;
    let at = |address| FlightOptions { address, tls: None };
    for address in ["0.0.0.0:0", "[::]:0", "192.168.1.10:18081"] {
        let options = at(address.parse().unwrap());
        let refused = start_flight(world.gate.clone(), options, CancellationToken::new()).await;
        let error = refused.err().unwrap();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Config, "E-FLIGHT-ADDRESS"));
    }
    let taken =
        start_flight(world.gate.clone(), at(world.flight.address), CancellationToken::new()).await;
    assert_eq!(taken.err().unwrap().code(), "E-FLIGHT-ADDRESS", "the port is taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_thirty_two_connections_are_dropped_and_strangers_do_not_stay() {
    let world = World::open().await;
    let began = Instant::now();
    let mut open = Vec::new();
    for _ in 0..32 {
        open.push(TcpStream::connect(world.flight.address).await.unwrap());
    }
    // Settings come at once to whoever has a place.
    let mut byte = [0_u8; 1];
    open[31].read_exact(&mut byte).await.unwrap();
    let mut beyond = TcpStream::connect(world.flight.address).await.unwrap();
    assert_eq!(beyond.read(&mut byte).await.unwrap_or(0), 0, "there is no place for it");
    let mut rest = Vec::new();
    open[0].read_to_end(&mut rest).await.ok();
    let stayed = began.elapsed();
    assert!(stayed >= Duration::from_secs(10) && stayed < Duration::from_secs(25), "{stayed:?}");
    drop(open);
    let mut came_in = false;
    for _ in 0..50 {
        came_in |= Flyer::analyst(&world).await.query("select 1").await.is_ok();
    }
    assert!(came_in, "the places became free");
}
