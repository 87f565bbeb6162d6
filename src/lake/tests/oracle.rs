//! Two readers that share no code with the commit: the reader crate and DuckDB.

use std::process::Command;
use std::sync::Arc;

use arrow::array::{Array, Int64Array};
use datafusion::catalog::SchemaProvider;
use datafusion::prelude::SessionContext;
use huiliu_lake::Lake;

use crate::backend::{Backend, server};

/// Per table: rows, sum of amounts, history rows, through the reader crate.
pub(crate) async fn through_datafusion(lake: &Lake, snapshot: Option<i64>) -> Vec<(i64, i64, i64)> {
    let catalog = lake.at(snapshot).await.unwrap();
    let context = SessionContext::new();
    let mut out = Vec::new();
    for table in ["a", "b"] {
        let current = provider(&catalog, "current", table).await;
        let history = provider(&catalog, "history", table).await;
        let (Some(current), Some(history)) = (current, history) else {
            out.push((0, 0, 0));
            continue;
        };
        context.register_table(format!("{table}_current"), current).unwrap();
        context.register_table(format!("{table}_history"), history).unwrap();
        let sums = query(
            &context,
            &format!("select count(*), coalesce(sum(amount), 0) from {table}_current"),
        )
        .await;
        let history = query(&context, &format!("select count(*) from {table}_history")).await;
        out.push((sums[0], sums[1], history[0]));
    }
    out
}

/// One number, asked of `a_current` and `a_history`.
pub(crate) async fn count(lake: &Lake, sql: &str) -> i64 {
    let catalog = lake.at(None).await.unwrap();
    let context = SessionContext::new();
    for schema in ["current", "history"] {
        let table = provider(&catalog, schema, "a").await.unwrap();
        context.register_table(format!("a_{schema}"), table).unwrap();
    }
    query(&context, sql).await[0]
}

async fn provider(
    catalog: &huiliu_lake::SnapshotCatalog,
    schema: &str,
    table: &str,
) -> Option<Arc<dyn datafusion::catalog::TableProvider>> {
    let schema: Arc<dyn SchemaProvider> = catalog.schema(schema)?;
    schema.table(table).await.unwrap()
}

async fn query(context: &SessionContext, sql: &str) -> Vec<i64> {
    let batches = context.sql(sql).await.unwrap().collect().await.unwrap();
    let batch = &batches[0];
    (0..batch.num_columns())
        .map(|index| {
            let column =
                arrow::compute::cast(batch.column(index), &arrow::datatypes::DataType::Int64)
                    .unwrap();
            let column = column.as_any().downcast_ref::<Int64Array>().unwrap().clone();
            if column.is_null(0) { 0 } else { column.value(0) }
        })
        .collect()
}

/// Rows and sum of amounts per table through DuckDB, which attaches the catalog read-only. It sees
/// superseded rows in `history` only after maintenance has moved them there.
pub(crate) fn through_duckdb(backend: &Backend, snapshot: Option<i64>) -> Vec<(i64, i64)> {
    let query = |table: &str| {
        format!("select count(*), coalesce(sum(amount), 0) from lake.current.{table}")
    };
    duckdb(backend, snapshot, query).iter().map(|line| (line[0], line[1])).collect()
}

/// Rows of history per table through DuckDB: those that maintenance has moved there.
pub(crate) fn moved_through_duckdb(backend: &Backend) -> Vec<i64> {
    let query = |table: &str| format!("select count(*) from lake.history.{table}");
    duckdb(backend, None, query).iter().map(|line| line[0]).collect()
}

/// One line of numbers for each table.
fn duckdb(
    backend: &Backend,
    snapshot: Option<i64>,
    query: impl Fn(&str) -> String,
) -> Vec<Vec<i64>> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/duckdb_oracle.py");
    let python = std::env::var("HUILIU_TEST_PYTHON").expect(
        "HUILIU_TEST_PYTHON must name a python with duckdb 1.5.5; `./test` installs it and sets this",
    );
    let mut command = Command::new(python);
    command.arg(script);
    match backend.schema() {
        None => command.arg(backend.data().join("huiliu.db")),
        Some(schema) => command.args([&server(), "--schema", schema]),
    };
    if let Some(snapshot) = snapshot {
        command.arg("--snapshot").arg(snapshot.to_string());
    }
    for table in ["a", "b"] {
        command.arg(query(table));
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| line.split('\t').map(|value| value.parse().unwrap()).collect())
        .collect()
}
