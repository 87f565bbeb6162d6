//! Looking at what the hub wrote without the hub: DuckDB on the lake, SQLite on the rest.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions};

use crate::hub::root;

/// Rows of each query, by DuckDB reading the lake; the cells of a row have tabs between them.
pub(crate) fn duckdb(database: &Path, queries: &[String]) -> Vec<String> {
    let python = std::env::var_os("HUILIU_TEST_PYTHON").unwrap_or_else(|| "python3".into());
    let output = Command::new(&python)
        .arg(root().join("tests/duckdb_oracle.py"))
        .arg(database)
        .args(queries)
        .output()
        .unwrap_or_else(|e| panic!("{python:?} does not start ({e}); ./test prepares it"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "DuckDB: {errors}; ./test prepares {python:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// The columns of every table of the lake, by `schema.table`.
pub(crate) fn tables(database: &Path) -> BTreeMap<String, Vec<String>> {
    let sql = "select table_schema, table_name, column_name from information_schema.columns \
               where table_catalog = 'lake' order by all";
    let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in duckdb(database, &[sql.to_owned()]) {
        let [schema, table, column] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("no column: {line}");
        };
        tables.entry(format!("{schema}.{table}")).or_default().push(column.to_owned());
    }
    tables
}

/// The number of rows of each table, by DuckDB.
pub(crate) fn counts(database: &Path) -> BTreeMap<String, i64> {
    let tables = tables(database);
    let queries: Vec<String> =
        tables.keys().map(|table| format!("select count(*) from lake.{table}")).collect();
    let counts = duckdb(database, &queries);
    tables.into_keys().zip(counts.iter().map(|count| count.parse().unwrap())).collect()
}

/// Whether a column says which run something is of, or when that was.
fn is_of_a_run(column: &str) -> bool {
    column.starts_with('_')
        || column.ends_with("_run")
        || column.ends_with("_seen")
        || ["snapshot_id", "run", "at", "closed_at", "input_hash"].contains(&column)
}

/// What every table holds, whatever run and snapshot it is from: rows, different rows, a sum
/// over all cells.
pub(crate) fn content(database: &Path) -> BTreeMap<String, String> {
    let tables = tables(database);
    let queries: Vec<String> = tables
        .iter()
        .map(|(table, columns)| {
            let cells: Vec<String> = columns
                .iter()
                .filter(|column| !is_of_a_run(column))
                .map(|column| format!("\"{column}\""))
                .collect();
            let row = format!("hash({})", cells.join(", "));
            format!("select count(*), count(distinct {row}), sum({row}::hugeint) from lake.{table}")
        })
        .collect();
    tables.into_keys().zip(duckdb(database, &queries)).collect()
}

/// A database that is only read.
pub(crate) async fn sqlite(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(path).connect().await.unwrap()
}

/// One number.
pub(crate) async fn number(connection: &mut SqliteConnection, sql: &'static str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(connection).await.unwrap()
}

/// All rows of all tables of the hub's database, as text.
pub(crate) async fn database_rows(path: &Path) -> BTreeMap<String, Vec<String>> {
    let mut database = sqlite(path).await;
    let mut texts = async |sql: String| -> Vec<String> {
        sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&mut database).await.unwrap()
    };
    let mut rows = BTreeMap::new();
    for table in texts("select name from sqlite_master where type = 'table'".into()).await {
        let columns =
            texts(format!("select 'quote(\"' || name || '\")' from pragma_table_info('{table}')"))
                .await;
        let row = columns.join(" || ' ' || ");
        let sql = format!("select {row} as r from \"{table}\" order by r");
        rows.insert(table, texts(sql).await);
    }
    rows
}

/// What the province has received in pushes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Received {
    /// Rows.
    pub(crate) records: i64,
    /// Different cases.
    pub(crate) cases: i64,
    /// Taken.
    pub(crate) accepted: i64,
    /// Refused.
    pub(crate) rejected: i64,
}

/// What the province of a city has received.
pub(crate) async fn received(city: &Path) -> Received {
    let mut province = sqlite(&city.join("province.db")).await;
    Received {
        records: number(&mut province, "select count(*) from received").await,
        cases: number(&mut province, "select count(distinct project_no) from received").await,
        accepted: number(&mut province, "select count(*) from received where result = 'accepted'")
            .await,
        rejected: number(&mut province, "select count(*) from received where result = 'rejected'")
            .await,
    }
}

/// The newest snapshot of the lake.
pub(crate) async fn newest_snapshot(database: &Path) -> i64 {
    number(&mut sqlite(database).await, "select max(snapshot_id) from ducklake_snapshot").await
}
