//! The extended protocol, as psycopg speaks it.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use crate::psql::HOSTILE;
use crate::world::{World, add_cases};

const CONNECT: &str = "
import json, sys, psycopg
def connect(**options):
    return psycopg.connect(autocommit=True, **options)
";

#[tokio::test(flavor = "multi_thread")]
async fn parameters_are_bound_and_rows_come_back_in_text_and_binary() {
    let world = World::open().await;
    let printed = world
        .python(&format!(
            "{CONNECT}
db = connect()
for binary in (False, True):
    rows = db.execute(
        'select id, subject, days from current.cases where days >= %s and id < %s order by id',
        (97, 'K99'), prepare=True, binary=binary).fetchall()
    assert rows == [('K00097', '事项97', 97), ('K00098', '事项98', 98), ('K00099', '事项99', 99)], rows
cell = db.execute('select %s::bigint + 1, %s::text, %s::text', (41, '值', None)).fetchone()
assert cell == (42, '值', None), cell
assert db.execute('select count(*) from current.cases limit %s', (1,)).fetchone() == (100,)
for attempt in range(8):
    assert db.execute('select value from codes.divisions where code = %s',
                      ('340503000000',), prepare=True).fetchone() == ('花山区',)
assert db.execute('show server_version', prepare=True).fetchone() == ('16.6',)
db.execute(\"set extra_float_digits = 2\", prepare=True)
with psycopg.connect() as transaction:
    assert transaction.execute('select count(*) from current.cases').fetchone() == (100,)
    try:
        transaction.execute('select nothing from nowhere')
        raise SystemExit('answered')
    except psycopg.Error:
        pass
    try:
        transaction.execute('select 1')
        raise SystemExit('answered')
    except psycopg.errors.InFailedSqlTransaction:
        pass
    transaction.rollback()
    assert transaction.execute('select 1').fetchone() == (1,)
print('done')
"
        ))
        .await;
    assert_eq!(printed.trim(), "done");
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_statements_are_refused_by_the_extended_protocol_too() {
    let world = World::open().await;
    let statements = python_list(&HOSTILE);
    let printed = world
        .python(&format!(
            "{CONNECT}
db = connect()
for sql in {statements}:
    try:
        db.execute(sql.replace('%', '%%'), (), prepare=True)
        print('answered', sql)
    except psycopg.Error as error:
        state = error.diag.sqlstate
        if state is None or state == 'XX000' or db.closed:
            print(state, sql, error)
assert db.execute('select count(*) from current.cases').fetchone() == (100,)
print('done')
"
        ))
        .await;
    assert_eq!(printed.trim(), "done");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_statement_sees_new_snapshots() {
    let world = World::open().await;
    let program = format!(
        "{CONNECT}
db = connect()
while sys.stdin.readline():
    row = db.execute('select count(*) from current.cases', prepare=True).fetchone()
    print(row[0], flush=True)
"
    );
    let mut client = world
        .python_command()
        .args(["-c", &program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = client.stdin.take().unwrap();
    let mut lines = BufReader::new(client.stdout.take().unwrap()).lines();
    for (seq, expected) in [(2, "100"), (3, "110"), (4, "120")] {
        input.write_all(b"\n").await.unwrap();
        assert_eq!(lines.next_line().await.unwrap().unwrap(), expected);
        let from = 80 + seq * 10;
        add_cases(&world.engine, seq, from, from + 10).await;
    }
    drop(input);
    assert!(client.wait().await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_messages_and_cancel_requests_leave_the_door_open() {
    let world = World::with_timeout(Duration::from_secs(3)).await;
    let printed = world
        .python(&format!(
            "{CONNECT}
import threading
from psycopg import pq
db = connect()
db.pgconn.prepare(b'p', b'select 1, 2, 3', None)
result = db.pgconn.exec_prepared(b'p', [], None, 0)
assert result.status == pq.ExecStatus.TUPLES_OK
result = db.pgconn.exec_params(b'select $1::bigint', [b'one', b'two'], None, None, 0)
assert result.status == pq.ExecStatus.FATAL_ERROR, result.status
result = db.pgconn.exec_params(b'select $1::bigint', [b'no number'], None, None, 0)
assert result.status == pq.ExecStatus.FATAL_ERROR, result.status
deep = 'select ' + '(' * 5000 + '1' + ')' * 5000
for sql in (deep, 'select ' + '-' * 5000 + '1', 'select ' + '1+' * 1990 + '1', 'select ' + '1+' * 100000 + '1',
            'select ' + 'id||' * 1990 + 'id from current.cases', 'select ' + 'not ' * 3900 + 'true',
            'select 1' + ' union all select 1' * 900, 'select 1' + ' or 1=1' * 900 + ' from current.cases'):
    db = connect()
    try:
        db.execute(sql, prepare=True)
    except psycopg.Error:
        pass
# Ctrl-C.
db = connect()
timer = threading.Timer(0.5, db.cancel)
timer.start()
try:
    db.execute('select count(*) from generate_series(1, 1000000) a, generate_series(1, 1000000) b '
               'where (a.value * b.value) %% 7 = 3', (), prepare=True)
    raise SystemExit('answered')
except psycopg.errors.QueryCanceled:
    pass
assert db.execute('select 1').fetchone() == (1,)
print('done')
"
        ))
        .await;
    assert_eq!(printed.trim(), "done");
    assert_eq!(world.rows("select 1").await, "1");
}

/// A Python list of strings; none of them holds a quote of that kind or a backslash.
fn python_list(texts: &[&str]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| format!("'''{text} '''")).collect();
    format!("[{}]", quoted.join(", "))
}
