//! What psql shows, and what it may not do.

use std::process::Stdio;
use std::time::{Duration, Instant};

use huiliu_serve::sql::GateLimits;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use crate::world::{World, add_cases};

#[tokio::test(flavor = "multi_thread")]
async fn psql_lists_databases_schemas_and_tables() {
    let world = World::open().await;
    let databases = world.rows("\\l").await;
    assert_eq!(databases.lines().count(), 1, "{databases}");
    assert!(databases.starts_with("huiliu|"), "{databases}");

    let schemas = world.rows("\\dn").await;
    let schemas: Vec<&str> = schemas.lines().filter_map(|line| line.split('|').next()).collect();
    assert_eq!(
        schemas,
        [
            "audits",
            "codes",
            "current",
            "history",
            "metrics",
            "ops",
            "quarantine",
            "raw",
            "reconciled",
            "standard"
        ]
    );

    assert!(world.rows("\\dt current.*").await.contains("current|cases|table|"));
    let tables = world.rows("\\dt").await;
    for name in ["codes|divisions", "ops|runs", "ops|steps", "quarantine|rows", "metrics|figures"] {
        assert!(tables.contains(&format!("{name}|table|")), "{name} is not in\n{tables}");
    }
    assert!(!tables.contains("ducklake"), "{tables}");
    assert!(world.rows("\\dv").await.contains("raw|cases|view|"));

    let columns = world.psql(&["-c", "\\d current.cases"]).await;
    let columns = String::from_utf8(columns.stdout).unwrap();
    for column in ["id", "subject", "days", "bigint"] {
        assert!(columns.contains(column), "{column} is not in\n{columns}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_reads_tables_views_figures_and_codes() {
    let world = World::open().await;
    assert_eq!(world.rows("select count(*) from current.cases").await, "100");
    assert_eq!(world.rows("select count(*) from raw.cases").await, "100");
    assert_eq!(world.rows("select subject from current.cases where id = 'K00042'").await, "事项42");
    let figure = "select key, title, value, numerator, denominator from metrics.figures";
    assert_eq!(world.rows(figure).await, "on_time|按期办结率|98.50|197|200");
    let division = "select value from codes.divisions where code = '340503000000'";
    assert_eq!(world.rows(division).await, "花山区");
    assert_eq!(world.rows("select count(*) from ops.runs").await, "0");
    assert_eq!(world.rows("select mask_name('张三丰')").await, "张**");
    assert_eq!(world.rows("select 1; select 2").await, "1\n2");
    assert_eq!(
        world.rows("show tables").await.lines().filter(|l| l.contains("|cases|")).count(),
        3
    );
    let expanded = world.psql(&["-x", "-c", figure]).await;
    let expanded = String::from_utf8(expanded.stdout).unwrap();
    assert!(expanded.contains("-[ RECORD 1 ]"), "{expanded}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chatter_of_clients_is_answered() {
    let world = World::open().await;
    for (sql, answer) in [
        ("set client_encoding to 'UTF8'", "SET"),
        ("set extra_float_digits = 3", "SET"),
        ("set application_name = 'psql'", "SET"),
        ("set time zone 'Asia/Shanghai'", "SET"),
        ("set session characteristics as transaction read only", "SET"),
        ("begin; commit", "BEGIN\nCOMMIT"),
        ("begin isolation level repeatable read read only; rollback", "BEGIN\nROLLBACK"),
        ("show transaction isolation level", "repeatable read"),
        ("show server_version", "16.6"),
        ("show search_path", "standard"),
        ("show statement_timeout", "30000ms"),
        ("discard all", "DISCARD ALL"),
        ("reset all", "RESET"),
        ("select current_database()", "huiliu"),
    ] {
        assert_eq!(world.rows(sql).await, answer, "{sql}");
    }
}

pub(crate) const HOSTILE: [&str; 40] = [
    "create table t (a int)",
    "create table t as select 1",
    "select 1 into t",
    "create external table t stored as csv location '/etc/passwd'",
    "create view standard.v as select 1",
    "create schema s",
    "create database d",
    "create function f() returns int return 1",
    "create role r",
    "drop table current.cases",
    "drop schema current cascade",
    "alter table current.cases add column x int",
    "truncate current.cases",
    "insert into current.cases values ('x', 'y', 1)",
    "update current.cases set days = 0",
    "delete from current.cases",
    "with gone as (delete from current.cases returning *) select * from gone",
    "merge into current.cases c using current.cases d on c.id = d.id when matched then delete",
    "explain analyze delete from current.cases",
    "explain insert into current.cases values ('x', 'y', 1)",
    "copy (select 1) to '/tmp/huiliu-door-test'",
    "copy current.cases from '/etc/passwd'",
    "copy current.cases to stdout",
    "select * from '/etc/passwd'",
    "select * from \"/etc/passwd.csv\"",
    "select * from read_csv('/etc/passwd')",
    "select pg_read_file('/etc/passwd')",
    "prepare p as select 1",
    "execute p",
    "declare c cursor for select 1",
    "call f()",
    "set datafusion.execution.target_partitions = 1000",
    "set datafusion.runtime.memory_limit = '100G'",
    "set default_transaction_read_only = off",
    "set role postgres",
    "begin read write",
    "grant all on current.cases to public",
    "vacuum",
    "lock table current.cases",
    "select * from information_schema.df_settings",
];

#[tokio::test(flavor = "multi_thread")]
async fn hostile_statements_are_refused_and_change_nothing() {
    let world = World::open().await;
    let snapshot = world.engine.lake().latest_snapshot().await.unwrap();
    for sql in HOSTILE {
        let refusal = world.refusal(sql).await;
        assert!(refusal.contains("ERROR:"), "{sql}: {refusal}");
        assert!(!refusal.contains("XX000"), "{sql}: {refusal}");
        assert!(!refusal.contains("root:"), "{sql}: {refusal}");
    }
    let hidden = "select 1; drop table current.cases; select 2";
    assert!(world.refusal(hidden).await.contains("25006"));
    assert_eq!(world.engine.lake().latest_snapshot().await.unwrap(), snapshot);
    assert_eq!(world.rows("select count(*) from current.cases").await, "100");
    assert!(!std::path::Path::new("/tmp/huiliu-door-test").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_snapshot_is_seen_on_the_same_connection() {
    let world = World::open().await;
    let mut psql = world
        .psql_command()
        .args(["-At", "-q"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = psql.stdin.take().unwrap();
    let mut lines = BufReader::new(psql.stdout.take().unwrap()).lines();
    let count = b"select count(*) from current.cases;\n";
    input.write_all(count).await.unwrap();
    assert_eq!(lines.next_line().await.unwrap().unwrap(), "100");
    add_cases(&world.engine, 2, 100, 130).await;
    input.write_all(count).await.unwrap();
    assert_eq!(lines.next_line().await.unwrap().unwrap(), "130");

    input.write_all(b"begin;\n").await.unwrap();
    input.write_all(count).await.unwrap();
    assert_eq!(lines.next_line().await.unwrap().unwrap(), "130");
    add_cases(&world.engine, 3, 130, 140).await;
    input.write_all(count).await.unwrap();
    assert_eq!(
        lines.next_line().await.unwrap().unwrap(),
        "130",
        "a transaction reads one snapshot"
    );
    input.write_all(b"commit;\n").await.unwrap();
    input.write_all(count).await.unwrap();
    assert_eq!(lines.next_line().await.unwrap().unwrap(), "140");
    drop(input);
    assert!(psql.wait().await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_can_be_pinned_for_a_connection() {
    let world = World::open().await;
    let before = world.engine.lake().latest_snapshot().await.unwrap();
    add_cases(&world.engine, 2, 100, 150).await;
    let count = "select count(*) from current.cases";
    let pin = format!("set huiliu.snapshot = {before}");
    let statements = [
        "show huiliu.snapshot",
        count,
        &pin,
        "show huiliu.snapshot",
        count,
        "begin",
        count,
        "set huiliu.snapshot = 'latest'",
        count,
        "commit",
        &pin,
        count,
        "reset huiliu.snapshot",
        count,
        &pin,
        "discard all",
        count,
    ];
    let arguments = statements.into_iter().flat_map(|statement| ["-c", statement]);
    let output = world.psql(&["-Atq"].into_iter().chain(arguments).collect::<Vec<_>>()).await;
    let said = String::from_utf8(output.stdout).unwrap();
    let is_number = |line: &&str| line.bytes().all(|byte| byte.is_ascii_digit());
    let numbers: Vec<&str> = said.lines().filter(is_number).collect();
    let before = before.to_string();
    let expected = ["150", &before, "100", "100", "150", "100", "150", "150"];
    assert_eq!(numbers, expected, "{said}");
    assert_eq!(world.rows(count).await, "150", "another connection reads the newest");
    let mut psql = world.psql_command();
    psql.env("PGOPTIONS", format!("-c huiliu.snapshot={before}")).args(["-At", "-c", count]);
    assert_eq!(psql.output().await.unwrap().stdout, b"100\n", "pinned when it connects");
    for wrong in ["-1", "'yesterday'", "99999999999999999999"] {
        let refusal = world.refusal(&format!("set huiliu.snapshot = {wrong}")).await;
        assert!(refusal.contains("22023"), "{wrong}: {refusal}");
    }
    let refusal = world.refusal(&format!("set huiliu.snapshot = 999999; {count}")).await;
    assert!(refusal.contains("999999"), "{refusal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_statements_of_one_message_run_one_after_the_other() {
    let world = World::open().await;
    let each: Vec<String> = (1..=5)
        .map(|number| format!("select {number}, count(*) from generate_series(1, 300000)"))
        .collect();
    let expected: Vec<String> = (1..=5).map(|number| format!("{number}|300000")).collect();
    assert_eq!(world.rows(&each.join("; ")).await, expected.join("\n"));
    // What comes after one that fails does not run.
    let refusal = world
        .refusal(&format!("select 1; select 1 / (value - 2) from generate_series(1, 3); {ENDLESS}"))
        .await;
    assert!(refusal.contains("ivide by zero") || refusal.contains("ivision"), "{refusal}");
}

/// Rows enough for hours.
const ENDLESS: &str = "select count(*) from generate_series(1, 1000000) a, \
                       generate_series(1, 1000000) b where (a.value * b.value) % 7 = 3";

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_takes_too_long_is_cancelled() {
    // So many rows that only the time can end it.
    let limits = GateLimits { time: Duration::from_millis(1500), rows: usize::MAX, at_once: 2 };
    let world = World::with(limits).await;
    let began = Instant::now();
    assert!(world.refusal(ENDLESS).await.contains("57014"));
    assert!(began.elapsed() < Duration::from_secs(20));
    let streamed = "select a.value, b.value from generate_series(1, 1000000) a, \
                    generate_series(1, 1000000) b";
    let refusal = world.refusal(streamed).await;
    assert!(refusal.contains("57014"), "rows flow, and still it ends: {refusal}");
    assert_eq!(world.rows("select 1").await, "1", "the door goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_never_pauses_stops_nobody_else() {
    let world = World::with_timeout(Duration::from_secs(5)).await;
    let busy = "select count(*) from generate_series(1, 200000) a, \
                generate_series(1, 200000) b where a.value * b.value = -1";
    let began = Instant::now();
    let (refusal, other) = tokio::join!(world.refusal(busy), world.rows("select 1"));
    assert!(refusal.contains("57014"), "{refusal}");
    assert_eq!(other, "1");
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[tokio::test(flavor = "multi_thread")]
async fn deep_large_and_endless_statements_end_and_hold_up_nobody() {
    let world = World::with_timeout(Duration::from_secs(2)).await;
    let nested = |depth: usize| format!("select {}1{}", "(".repeat(depth), ")".repeat(depth));
    let endless = "with recursive n(i) as (select 1 union all select i + 1 from n) \
                   select count(*) from n";
    for (sql, refused) in [
        (nested(50_000), "words and signs"),
        (nested(2_000), "ERROR"),
        ("select count(*) from generate_series(1, 9000000000)".to_owned(), "57014"),
        (endless.to_owned(), "57014"),
    ] {
        let began = Instant::now();
        let (refusal, other) = tokio::join!(world.refusal(&sql), world.rows("select 1"));
        let shown: String = sql.chars().take(60).collect();
        assert!(refusal.contains(refused), "{shown}: {refusal}");
        assert_eq!(other, "1", "{shown}");
        assert!(began.elapsed() < Duration::from_secs(20), "{shown}");
    }
    // A pattern is matched in time that grows with the text alone.
    let pattern = "select repeat('a', 100000) || '!' ~ '^(a+)+$' as matched";
    assert_eq!(world.rows(pattern).await, "f");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shorter_timeout_can_be_asked_for() {
    let world = World::open().await;
    let began = Instant::now();
    let refusal = world.refusal(&format!("set statement_timeout = '500ms'; {ENDLESS}")).await;
    assert!(refusal.contains("57014"), "{refusal}");
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_door_stops_within_a_second_though_a_statement_runs() {
    let world = World::open().await;
    let mut psql = world.psql_command();
    psql.args(["-c", "select 1", "-c", ENDLESS]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut psql = psql.spawn().unwrap();
    let mut lines = BufReader::new(psql.stdout.take().unwrap()).lines();
    lines.next_line().await.unwrap();
    world.cancel.cancel();
    tokio::time::timeout(Duration::from_secs(1), world.door).await.unwrap().unwrap();
    assert!(!psql.wait().await.unwrap().success());
    assert!(tokio::net::TcpStream::connect(world.server.address).await.is_err());
}
