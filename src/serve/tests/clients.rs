//! The drivers that tools come with, as they are: pgjdbc, SQLAlchemy, psycopg and npm `pg`; and what
//! Superset sends over them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, StringArray, TimestampMicrosecondArray,
};
use tokio::process::Command;

use crate::world::{World, receive};

/// The first of January 2018 in days since 1970.
const FIRST_DAY: i32 = 17_532;
const HOUR: i64 = 3_600_000_000;
/// Longer than any of these scripts needs, which ask hundreds of statements each.
const PATIENCE: Duration = Duration::from_secs(240);

/// A world with 250 payments, one an hour.
async fn world() -> World {
    let world = World::open().await;
    let first = i64::from(FIRST_DAY) * 24 * HOUR;
    let each = 0..250_i64;
    let days = (0..250_i32).map(|number| FIRST_DAY + number / 24);
    let fees = each.clone().map(|number| i128::from(number) * 100 + 25);
    let fees = Decimal128Array::from_iter_values(fees).with_precision_and_scale(12, 2).unwrap();
    let notes = each.clone().map(|number| (number % 3 != 0).then(|| format!("备注{number}")));
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "id",
            Arc::new(StringArray::from_iter_values(
                each.clone().map(|number| format!("P{number:03}")),
            )),
        ),
        (
            "paid",
            Arc::new(TimestampMicrosecondArray::from_iter_values(
                each.clone().map(|number| first + number * HOUR),
            )),
        ),
        ("day", Arc::new(Date32Array::from_iter_values(days))),
        ("fee", Arc::new(fees)),
        ("done", Arc::new(BooleanArray::from_iter(each.map(|number| Some(number % 2 == 1))))),
        ("note", Arc::new(StringArray::from_iter(notes))),
    ];
    receive(&world.engine, 1, "payments", columns).await;
    world
}

/// What the test runner says where something is.
fn given(variable: &str) -> PathBuf {
    let path = std::env::var_os(variable);
    path.unwrap_or_else(|| panic!("{variable} must be set; `./test` sets it")).into()
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

/// Runs a client that says `done` when all was as it should be.
async fn assert_done(mut command: Command) {
    command.env("TZ", "UTC");
    let output = tokio::time::timeout(PATIENCE, command.output()).await;
    let output = output.expect("the client hangs").unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && printed.trim() == "done", "{printed}\n{errors}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_over_jdbc_look_around_and_ask() {
    let world = world().await;
    let mut java = world.client("java");
    java.args(["-Xmx256m", "-Duser.timezone=UTC", "-cp"]).arg(given("HUILIU_TEST_PGJDBC"));
    java.arg(script("Jdbc.java"));
    assert_done(java).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlalchemy_reflects_and_asks() {
    let world = world().await;
    // Superset brings psycopg2, which writes values into the statement itself.
    for driver in ["psycopg", "psycopg2"] {
        let mut python = world.client(given("HUILIU_TEST_SERVE").join("alchemy/bin/python"));
        python.arg(script("alchemy.py")).arg(driver);
        assert_done(python).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn psycopg_sends_values_of_all_kinds_and_goes_on_after_errors() {
    let world = world().await;
    let mut python = world.python_command();
    python.arg(script("values.py"));
    assert_done(python).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn npm_pg_asks_and_goes_on_after_errors() {
    let world = world().await;
    let mut node = world.client("node");
    node.env("NODE_PATH", given("HUILIU_TEST_SERVE").join("npm/node_modules"));
    node.arg(script("pg.js"));
    assert_done(node).await;
}

/// What SQLAlchemy 1.4 asks about the table with this number, as Superset has it do, and the answer.
fn reflected(table: &str) -> Vec<(String, &'static str)> {
    let columns = "SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), ( \
         SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid) FROM pg_catalog.pg_attrdef d \
         WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.atthasdef ) AS DEFAULT, \
         a.attnotnull, pgd.description as comment, a.attgenerated as generated, \
         (SELECT json_build_object('always', a.attidentity = 'a', 'start', s.seqstart) \
         FROM pg_catalog.pg_sequence s JOIN pg_catalog.pg_class c on s.seqrelid = c.\"oid\" \
         WHERE c.relkind = 'S' AND a.attidentity != '' AND s.seqrelid = \
         pg_catalog.pg_get_serial_sequence(a.attrelid::regclass::text, a.attname)::regclass::oid \
         ) as identity_options FROM pg_catalog.pg_attribute a \
         LEFT JOIN pg_catalog.pg_description pgd ON ( \
         pgd.objoid = a.attrelid AND pgd.objsubid = a.attnum) \
         WHERE a.attrelid = TABLE_OID AND a.attnum BETWEEN 3 AND 5 AND NOT a.attisdropped \
         ORDER BY a.attnum";
    let enums = "SELECT n.nspname as \"schema\", t.typname as \"name\", e.enumlabel as \"label\" \
         FROM pg_catalog.pg_type t LEFT JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace \
         LEFT JOIN pg_catalog.pg_enum e ON t.oid = e.enumtypid WHERE t.typtype = 'e' \
         ORDER BY \"schema\", \"name\", e.oid";
    let key = "SELECT a.attname FROM pg_attribute a JOIN ( \
         SELECT unnest(ix.indkey) attnum, generate_subscripts(ix.indkey, 1) ord \
         FROM pg_index ix WHERE ix.indrelid = TABLE_OID AND ix.indisprimary ) k \
         ON a.attnum=k.attnum WHERE a.attrelid = TABLE_OID ORDER BY k.ord";
    let foreign = "SELECT r.conname, pg_catalog.pg_get_constraintdef(r.oid, true) as condef, \
         n.nspname as conschema FROM pg_catalog.pg_constraint r, pg_namespace n, pg_class c \
         WHERE r.conrelid = TABLE_OID AND r.contype = 'f' AND c.oid = confrelid AND \
         n.oid = c.relnamespace ORDER BY 1";
    let indexes = "SELECT i.relname as relname, ix.indisunique, ix.indexprs, ix.indpred, \
         a.attname, a.attnum, c.conrelid, ix.indkey::varchar, ix.indoption::varchar, \
         i.reloptions, am.amname, pg_get_expr(ix.indpred, ix.indrelid), \
         ix.indnkeyatts as indnkeyatts FROM pg_class t \
         join pg_index ix on t.oid = ix.indrelid join pg_class i on i.oid = ix.indexrelid \
         left outer join pg_attribute a on t.oid = a.attrelid and a.attnum = ANY(ix.indkey) \
         left outer join pg_constraint c on (ix.indrelid = c.conrelid and \
         ix.indexrelid = c.conindid and c.contype in ('p', 'u', 'x')) \
         left outer join pg_am am on i.relam = am.oid \
         WHERE t.relkind IN ('r', 'v', 'f', 'm', 'p') and t.oid = TABLE_OID \
         and ix.indisprimary = 'f' ORDER BY t.relname, i.relname";
    let unique = "SELECT cons.conname as name, cons.conkey as key, a.attnum as col_num, \
         a.attname as col_name FROM pg_catalog.pg_constraint cons \
         join pg_attribute a on cons.conrelid = a.attrelid AND a.attnum = ANY(cons.conkey) \
         WHERE cons.conrelid = TABLE_OID AND cons.contype = 'u'";
    let comment = "SELECT pgd.description as table_comment FROM pg_catalog.pg_description pgd \
         WHERE pgd.objsubid = 0 AND pgd.objoid = TABLE_OID";
    let names = "SELECT conname FROM pg_catalog.pg_constraint r \
         WHERE r.conrelid = TABLE_OID AND r.contype = 'p' ORDER BY 1";
    let asked = [
        (columns, "day|date||f|||\nfee|numeric||f|||\ndone|boolean||f|||"),
        (enums, ""),
        (key, ""),
        (names, ""),
        (foreign, ""),
        (indexes, ""),
        (unique, ""),
        (comment, ""),
    ];
    asked.into_iter().map(|(sql, answer)| (sql.replace("TABLE_OID", table), answer)).collect()
}

/// What Superset asks about databases, schemas and tables.
const LOOKS: [(&str, &str); 12] = [
    ("SELECT datname FROM pg_database\nWHERE datistemplate = false;\n", "huiliu"),
    ("select current_schema()", "standard"),
    ("show standard_conforming_strings", "on"),
    ("show transaction isolation level", "repeatable read"),
    (
        "SELECT t.oid, typarray FROM pg_type t JOIN pg_namespace ns ON typnamespace = ns.oid \
         WHERE typname = 'hstore';",
        "",
    ),
    (
        "SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg_%' ORDER BY nspname",
        "audits\ncodes\ncurrent\nhistory\nmetrics\nops\nquarantine\nraw\nreconciled\nstandard",
    ),
    (
        "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = 'current' AND c.relkind in ('r', 'p') ORDER BY 1",
        "cases\npayments\npeople",
    ),
    (
        "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = 'current' AND c.relkind = 'f'",
        "",
    ),
    (
        "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = 'raw' AND c.relkind IN ('v', 'm') ORDER BY 1",
        "cases\npayments\npeople",
    ),
    (
        "select relname from pg_class c join pg_namespace n on n.oid=c.relnamespace \
         where n.nspname='current' and relname='payments'",
        "payments",
    ),
    (
        "SELECT pg_get_viewdef(c.oid) view_def FROM pg_class c \
         JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'raw' \
         AND c.relname = 'payments' AND c.relkind IN ('v', 'm')",
        "",
    ),
    ("SELECT * FROM (SELECT id, fee FROM current.payments) AS virtual_table LIMIT 0", ""),
];

/// What Superset's charts ask of data.
const CHARTS: [(&str, &str); 6] = [
    (
        "SELECT done AS done, count(*) AS count FROM current.payments \
         WHERE paid >= TO_TIMESTAMP('2018-01-11 00:00:00.000000', 'YYYY-MM-DD HH24:MI:SS.US') \
         AND day < TO_DATE('2018-01-12', 'YYYY-MM-DD') \
         GROUP BY done ORDER BY count DESC, done LIMIT 10000",
        "f|5\nt|5",
    ),
    (
        "SELECT id AS id, sum(fee) AS \"SUM(fee)\" FROM (SELECT * FROM current.payments) \
         AS virtual_table WHERE note LIKE '%备注24%' GROUP BY id ORDER BY \"SUM(fee)\" DESC LIMIT 2",
        "P248|248.25\nP247|247.25",
    ),
    (
        "SELECT DATE_TRUNC('day', paid) + INTERVAL '6 hours' * FLOOR(EXTRACT(HOUR FROM paid) / 6) \
         AS __timestamp, count(*) FROM current.payments WHERE day = '2018-01-11' \
         GROUP BY DATE_TRUNC('day', paid) + INTERVAL '6 hours' * FLOOR(EXTRACT(HOUR FROM paid) / 6) \
         ORDER BY 1",
        "2018-01-11 00:00:00|6\n2018-01-11 06:00:00|4",
    ),
    (
        "SELECT max(CAST((timestamp 'epoch' + 1515628800 * interval '1 second') AS DATE)) \
         FROM current.payments",
        "2018-01-11",
    ),
    (
        "SELECT to_char(paid, 'YYYY-MM-DD HH24:MI') FROM current.payments WHERE id = 'P249'",
        "2018-01-11 09:00",
    ),
    ("SELECT count(DISTINCT day) AS \"COUNT_DISTINCT(day)\" FROM current.payments", "11"),
];

#[tokio::test(flavor = "multi_thread")]
async fn superset_lists_probes_and_charts() {
    let world = world().await;
    for (sql, expected) in LOOKS.into_iter().chain(CHARTS) {
        assert_eq!(world.rows(sql).await, expected, "{sql}");
    }
    assert!(world.rows("select pg_catalog.version()").await.starts_with("PostgreSQL 16.6"));
    let oid = "SELECT c.oid FROM pg_catalog.pg_class c \
               LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
               WHERE (n.nspname = 'current') AND c.relname = 'payments' \
               AND c.relkind in ('r', 'v', 'm', 'f', 'p')";
    for (sql, expected) in reflected(&world.rows(oid).await) {
        assert_eq!(world.rows(&sql).await, expected, "{sql}");
    }
    let (hour, day) = ("2018-01-11 09:00:00|249.25", "|2447.50");
    for (grain, expected) in [
        ("second", hour.to_owned()),
        ("minute", hour.to_owned()),
        ("hour", hour.to_owned()),
        ("day", format!("2018-01-11 00:00:00{day}")),
        ("week", format!("2018-01-08 00:00:00{day}")),
        ("month", format!("2018-01-01 00:00:00{day}")),
        ("quarter", format!("2018-01-01 00:00:00{day}")),
        ("year", format!("2018-01-01 00:00:00{day}")),
    ] {
        let sql = format!(
            "SELECT DATE_TRUNC('{grain}', paid) AS __timestamp, sum(fee) AS \"SUM(fee)\" \
             FROM current.payments WHERE day >= '2018-01-11' \
             GROUP BY DATE_TRUNC('{grain}', paid) ORDER BY \"SUM(fee)\" DESC LIMIT 1"
        );
        assert_eq!(world.rows(&sql).await, expected, "{sql}");
    }
    let explained = world.rows("EXPLAIN SELECT * FROM current.payments").await;
    assert!(explained.contains("payments"), "{explained}");
    let process = world.rows("SELECT pg_backend_pid()").await;
    assert!(process.parse::<i32>().is_ok(), "{process}");
}

#[tokio::test(flavor = "multi_thread")]
async fn superset_names_the_schema_before_it_asks() {
    let world = world().await;
    let asked =
        ["set search_path = \"current\"", "show search_path", "select count(*) from payments"];
    let asked = asked.into_iter().flat_map(|sql| ["-c", sql]);
    let output = world.psql(&["-Atq"].into_iter().chain(asked).collect::<Vec<_>>()).await;
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "current\n250\n");
    let refusal = world.refusal("set search_path = nowhere").await;
    assert!(refusal.contains("22023") && refusal.contains("standard"), "{refusal}");
    // One message, in which the second statement reads what the first one set.
    let both = "set search_path = \"current\"; select count(*) from payments";
    assert_eq!(world.rows(both).await, "SET\n250");
    assert!(world.refusal("select count(*) from payments").await.contains("42P01"));
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_describes_more_and_lists_sizes_rights_and_types() {
    let world = world().await;
    for (command, part) in [
        ("\\d+ current.payments", "fee|numeric|"),
        ("\\d+ raw.payments", "fee|numeric|"),
        ("\\dt+ current.*", "current|payments|table|huiliu|"),
        ("\\dv+ raw.*", "raw|payments|view|huiliu|"),
        ("\\dn+", "current|huiliu|"),
        ("\\dp current.*", "current|payments|table|"),
        ("\\l+", "huiliu|"),
        ("\\df", ""),
        ("\\dT", ""),
        ("\\du", ""),
        ("\\dx", ""),
    ] {
        let output = world.psql(&["-At", "-v", "ON_ERROR_STOP=1", "-c", command]).await;
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !errors.contains("ERROR"), "{command}: {errors}");
        let shown = String::from_utf8(output.stdout).unwrap();
        assert!(shown.contains(part), "{command}: {shown}");
    }
}
