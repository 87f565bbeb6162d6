//! Rows over Arrow Flight: as fast as the client reads and not longer than allowed; and what a real
//! client makes of them.

use std::io::Write;
use std::time::{Duration, Instant};

use arrow::array::{Array, Int64Array};
use arrow_flight::decode::FlightRecordBatchStream;
use futures::StreamExt;
use huiliu_core::access::{Limits, Role};
use huiliu_serve::sql::GateLimits;
use tonic::{Code, Status};

use crate::flyer::Flyer;
use crate::world::{ANALYST, World, add_cases, add_user, by, token_of};

/// Rows enough for hours, and none before their end.
const ENDLESS: &str = "select count(*) from generate_series(1, 1000000) a, \
                       generate_series(1, 1000000) b where (a.value * b.value) % 7 = 3";
/// Rows enough for hours, at once.
const STREAM: &str = "select a.value, b.value, repeat('x', 100) as text \
                      from generate_series(1, 1000000) a, generate_series(1, 1000000) b";

fn limits(time: Duration) -> GateLimits {
    GateLimits { time, rows: usize::MAX, at_once: 1 }
}

/// How a stream ends, and about how many bytes came before.
async fn drain(mut rows: FlightRecordBatchStream) -> (usize, Option<Status>) {
    let mut bytes = 0;
    while let Some(batch) = rows.next().await {
        match batch {
            Ok(batch) => bytes += batch.num_rows() * 116,
            Err(error) => return (bytes, Some(Status::from(error))),
        }
    }
    (bytes, None)
}

/// Asks until the place of another statement is free; none after ten seconds.
async fn free_again(flyer: &mut Flyer) -> Option<Duration> {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(10) {
        match flyer.query("select 1").await {
            Ok(_) => return Some(began.elapsed()),
            Err(told) => assert!(told.message().starts_with("E-SQL-BUSY"), "{told}"),
        }
    }
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_client_holds_up_the_plan_and_not_the_deadline() {
    let world = World::with(limits(Duration::from_secs(3))).await;
    let mut flyer = Flyer::analyst(&world).await;
    let ticket = flyer.ticket(STREAM).await.unwrap();
    let mut rows = flyer.get(ticket).await.unwrap().into_inner();
    assert!(rows.next().await.unwrap().unwrap().num_rows() > 0);
    let told = flyer.query("select 1").await.unwrap_err();
    assert!(told.message().starts_with("E-SQL-BUSY"), "it still runs: {told}");
    assert!(free_again(&mut flyer).await.is_some(), "it ended though nobody read");
    let (bytes, end) = drain(rows).await;
    let end = end.expect("an end by time passed for a whole answer");
    assert_eq!(end.code(), Code::DeadlineExceeded, "{end}");
    assert!(end.message().starts_with("E-SQL-TIME"), "{end}");
    assert!(bytes < 24 << 20, "{bytes} bytes waited for the client");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_takes_too_long_ends() {
    let world = World::with(limits(Duration::from_millis(1500))).await;
    let mut flyer = Flyer::analyst(&world).await;
    for sql in [ENDLESS, STREAM] {
        let began = Instant::now();
        let told = flyer.query(sql).await.unwrap_err();
        assert_eq!(told.code(), Code::DeadlineExceeded, "{told}");
        assert!(began.elapsed() < Duration::from_secs(20));
    }
    assert_eq!(flyer.cells("select 1").await, ["1"], "the door goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_have_an_end() {
    let limits = GateLimits { time: Duration::from_secs(30), rows: 50_000, at_once: 2 };
    let world = World::with(limits).await;
    let mut flyer = Flyer::analyst(&world).await;
    let series = |rows: usize| format!("select value from generate_series(1, {rows})");
    assert_eq!(flyer.cells(&series(50_000)).await.len(), 50_000);
    let told = flyer.query(&series(50_001)).await.unwrap_err();
    assert!(told.message().starts_with("E-SQL-ROWS"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_ends_its_statement() {
    let world = World::with(limits(Duration::from_secs(60))).await;
    let mut flyer = Flyer::analyst(&world).await;
    for sql in [ENDLESS, STREAM] {
        let ticket = flyer.ticket(sql).await.unwrap();
        let rows = flyer.get(ticket).await.unwrap();
        assert!(flyer.ticket("select 1").await.unwrap_err().message().contains("E-SQL-BUSY"));
        drop(rows);
        let after = free_again(&mut flyer).await.expect("the statement goes on");
        assert!(after < Duration::from_secs(5), "{after:?}");
    }
    // The whole connection goes.
    let mut other = Flyer::analyst(&world).await;
    let ticket = other.ticket(ENDLESS).await.unwrap();
    let rows = other.get(ticket).await.unwrap();
    drop((rows, other));
    assert!(free_again(&mut flyer).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_statements_of_a_user_run_at_once_and_those_of_others_beside_them() {
    let world = World::open().await;
    let mut flyer = Flyer::analyst(&world).await;
    let (first, second) =
        (flyer.ticket(STREAM).await.unwrap(), flyer.ticket(STREAM).await.unwrap());
    let third = flyer.ticket("select 1").await.unwrap();
    let running = (flyer.get(first).await.unwrap(), flyer.get(second).await.unwrap());
    let told = flyer.all(third.clone()).await.unwrap_err();
    assert_eq!(told.code(), Code::ResourceExhausted, "{told}");
    assert!(world.refusal("select 1").await.contains("53300"), "at all doors together");
    add_user(&world.accounts, "other", Role::Analyst).await;
    let other = token_of(&world.accounts, "other").await;
    let mut other = Flyer::with(&world, &format!("Bearer {other}")).await;
    assert_eq!(other.cells("select 1").await, ["1"]);
    drop(running);
    assert!(free_again(&mut flyer).await.is_some());
    assert!(flyer.all(third).await.is_ok(), "what was refused for want of a place is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_disabled_is_out_within_a_second() {
    let world = World::with(limits(Duration::from_secs(60))).await;
    let mut flyer = Flyer::analyst(&world).await;
    for sql in [ENDLESS, STREAM] {
        let ticket = flyer.ticket(sql).await.unwrap();
        let rows = flyer.get(ticket).await.unwrap().into_inner();
        let drained = tokio::spawn(drain(rows));
        world.accounts.disable(ANALYST, &by()).await.unwrap();
        let began = Instant::now();
        let (_, end) = drained.await.unwrap();
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
        assert_eq!(end.unwrap().code(), Code::Unauthenticated);
        assert_eq!(flyer.query("select 1").await.unwrap_err().code(), Code::Unauthenticated);
        world.accounts.enable(ANALYST, &by()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_door_stops_within_a_second_though_statements_run() {
    let world = World::open().await;
    let mut flyer = Flyer::analyst(&world).await;
    let (busy, open) = (flyer.ticket(ENDLESS).await.unwrap(), flyer.ticket(STREAM).await.unwrap());
    let (busy, mut open) =
        (flyer.get(busy).await.unwrap().into_inner(), flyer.get(open).await.unwrap().into_inner());
    assert!(open.next().await.unwrap().is_ok());
    world.cancel.cancel();
    tokio::time::timeout(Duration::from_secs(1), world.flight_door).await.unwrap().unwrap();
    assert!(drain(busy).await.1.is_some());
    assert!(drain(open).await.1.is_some(), "a broken answer passed for a whole one");
    assert!(tokio::net::TcpStream::connect(world.flight.address).await.is_err());
}

/// Connects as analysts do.
const CONNECT: &str = "
import datetime, decimal, os, threading, time
import adbc_driver_flightsql
import adbc_driver_flightsql.dbapi as flight
from adbc_driver_manager import Error
def connect(**options):
    user = {'username': os.environ['PGUSER'], 'password': os.environ['PGPASSWORD']}
    return flight.connect(os.environ['FLIGHT'], db_kwargs=options or user, autocommit=True)
";

#[tokio::test(flavor = "multi_thread")]
async fn adbc_connects_lists_tables_and_reads_rows_of_all_types() {
    let world = World::open().await;
    let snapshot = world.engine.lake().latest_snapshot().await.unwrap();
    add_cases(&world.engine, 2, 100, 130).await;
    let printed = world
        .python(&format!(
            "{CONNECT}
bearer = {{adbc_driver_flightsql.DatabaseOptions.AUTHORIZATION_HEADER.value:
          'Bearer ' + os.environ['PGPASSWORD']}}
for options in ({{}}, bearer):
    with connect(**options) as db, db.cursor() as cursor:
        cursor.execute('select count(*) from current.cases')
        assert cursor.fetchone() == (130,)
db = connect()
objects = db.adbc_get_objects(depth='all', db_schema_filter='current').read_all().to_pylist()
assert [catalog['catalog_name'] for catalog in objects] == ['huiliu'], objects
tables = {{table['table_name']: [column['column_name'] for column in table['table_columns']]
          for schema in objects[0]['catalog_db_schemas'] for table in schema['db_schema_tables']}}
assert set(tables) == {{'cases', 'people'}}, tables
assert tables['cases'][:3] == ['id', 'subject', 'days'], tables
assert 'number_pseudonym' in tables['people'], tables
assert set(db.adbc_get_table_types()) == {{'TABLE', 'VIEW'}}
schema = db.adbc_get_table_schema('cases', db_schema_filter='current')
assert str(schema.field('days').type) == 'int64' and str(schema.field('id').type) == 'string', schema
info = db.adbc_get_info()
assert info['vendor_name'] == 'huiliu', info

cursor = db.cursor()
cursor.execute('''select cast(12.50 as decimal(10, 2)) as amount, date '2018-12-13' as day,
    arrow_cast('2018-12-13T08:00:00Z', 'Timestamp(Microsecond, Some(\"+08:00\"))') as moment,
    timestamp '2018-12-13 16:00:00.5' as wall, '汇流' as text, cast(null as varchar) as nothing,
    cast(7 as bigint) as whole, 0.5::double as part, true as truth, x'00ff' as bytes''')
table = cursor.fetch_arrow_table()
types = [str(field.type) for field in table.schema]
assert types == ['decimal128(10, 2)', 'date32[day]', 'timestamp[us, tz=+08:00]',
                 'timestamp[ns]', 'string', 'string', 'int64', 'double', 'bool', 'binary'], types
row = table.to_pylist()[0]
eight = datetime.timezone(datetime.timedelta(hours=8))
assert row['amount'] == decimal.Decimal('12.50') and row['day'] == datetime.date(2018, 12, 13)
assert row['moment'] == datetime.datetime(2018, 12, 13, 16, tzinfo=eight), row['moment']
assert row['wall'].isoformat() == '2018-12-13T16:00:00.500000', row['wall']
assert (row['text'], row['nothing'], row['whole'], row['part'], row['truth'], row['bytes']) == (
    '汇流', None, 7, 0.5, True, b'\\x00\\xff'), row

cursor.execute('select id, subject, days from current.cases where days >= $1 and id < $2 order by id',
               (97, 'K00100'))
assert cursor.fetchall() == [('K00097', '事项97', 97), ('K00098', '事项98', 98),
                             ('K00099', '事项99', 99)]
cursor.execute('select * from current.people')
shown = str(cursor.fetchall())
assert '张小明' not in shown and '340503198001010018' not in shown and '*' in shown, shown

old = connect(**bearer, **{{'adbc.flight.sql.rpc.call_header.huiliu-snapshot': '{snapshot}'}})
with old.cursor() as pinned:
    pinned.execute('select count(*) from current.cases')
    assert pinned.fetchone() == (100,)

for sql, code in (('drop table current.cases', 'E-SQL-READ-ONLY'), ('selec 1', 'E-SQL-SYNTAX'),
                  ('select * from nowhere.at_all', 'E-SQL')):
    try:
        db.cursor().execute(sql)
        raise SystemExit('answered ' + sql)
    except Error as error:
        assert code in str(error), error
for wrong in ({{'username': os.environ['PGUSER'], 'password': 'hl_000000000000_0'}},
              {{'adbc.flight.sql.authorization_header': 'Bearer nothing'}}):
    try:
        connect(**wrong).cursor().execute('select 1')
        raise SystemExit('came in')
    except Error as error:
        assert 'E-SIGN-IN' in str(error), error
print('done')
"
        ))
        .await;
    assert_eq!(printed.trim(), "done");
}

#[tokio::test(flavor = "multi_thread")]
async fn adbc_cancels_a_statement() {
    let world = World::with(limits(Duration::from_secs(60))).await;
    let printed = world
        .python(&format!(
            "{CONNECT}
db = connect()
cursor = db.cursor()
timer = threading.Timer(0.7, cursor.adbc_cancel)
timer.start()
try:
    cursor.execute(\"{ENDLESS}\")
    cursor.fetchone()
    raise SystemExit('answered')
except Error as error:
    assert 'ancel' in str(error), error
for attempt in range(100):
    try:
        other = db.cursor()
        other.execute('select 1')
        assert other.fetchone() == (1,)
        break
    except Error as error:
        assert 'E-SQL-BUSY' in str(error), error
        time.sleep(0.05)
else:
    raise SystemExit('it still runs')
print('done')
"
        ))
        .await;
    assert_eq!(printed.trim(), "done");
}

/// The rows of the measurement.
const MANY: i64 = 1_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_million_rows_come_whole_and_nearly_as_fast_as_the_engine_makes_them() {
    let world = World::open().await;
    add_cases(&world.engine, 2, 100, MANY).await;
    let sql = "select id, subject, days from current.cases";
    let mut flyer = Flyer::analyst(&world).await;
    let (mut engine, mut flight) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        let session = world.gate.session(&Limits::default()).await.unwrap();
        let began = Instant::now();
        let frame = session.query(sql).await.unwrap();
        let mut rows = 0;
        let mut batches = frame.execute_stream().await.unwrap();
        while let Some(batch) = batches.next().await {
            rows += batch.unwrap().num_rows();
        }
        engine.push(began.elapsed());
        assert_eq!(rows as i64, MANY);

        let began = Instant::now();
        let ticket = flyer.ticket(sql).await.unwrap();
        let mut stream = flyer.get(ticket).await.unwrap().into_inner();
        let (mut rows, mut days) = (0, 0);
        while let Some(batch) = stream.next().await {
            let batch = batch.unwrap();
            let column = batch.column_by_name("days").unwrap();
            let column = column.as_any().downcast_ref::<Int64Array>().unwrap();
            rows += column.len();
            days += column.values().iter().sum::<i64>();
        }
        flight.push(began.elapsed());
        assert_eq!((rows as i64, days), (MANY, MANY * (MANY - 1) / 2));
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort();
        times[times.len() / 2].as_secs_f64()
    };
    let (engine, flight) = (median(&mut engine), median(&mut flight));
    let rate = |seconds: f64| MANY as f64 / seconds;
    let ratio = engine / flight;
    writeln!(
        std::io::stderr(),
        "{MANY} rows: engine {:.0} rows/s, Flight {:.0} rows/s, ratio {ratio:.2}",
        rate(engine),
        rate(flight)
    )
    .unwrap();
    assert!(ratio > 0.1, "ten times as slow as the engine: {ratio:.2}");
}
