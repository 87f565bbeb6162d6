//! Looking at a database without reading its data.

use huiliu_sdk::{ColumnSpec, ColumnType, Cx, Probe, Result, StreamSpec, says_when_changed};
use sqlx::{AssertSqlSafe, Row, SqliteConnection};

use crate::config::Settings;
use crate::database::{self, Purpose, fault, quote};
use crate::schema::{self, Column, Table, column_type, type_name};

const TABLES: &str = "select name from sqlite_schema where type in ('table', 'view') \
                      and name not like 'sqlite\\_%' escape '\\' order by name";

/// Opens the database and counts its tables.
pub(crate) async fn probe(settings: &Settings) -> Result<Probe> {
    let mut db = database::open(&settings.path, Purpose::Read).await?;
    let version: String = sqlx::query("select sqlite_version()")
        .fetch_one(&mut db)
        .await
        .and_then(|row| row.try_get(0))
        .map_err(|cause| fault("asking for the version", cause))?;
    let count = table_names(&mut db).await?.len();
    let noun = if count == 1 { "table" } else { "tables" };
    Ok(Probe { summary: format!("SQLite {version}, {count} {noun}") })
}

/// Lists the tables and views.
pub(crate) async fn streams(settings: &Settings, cx: &Cx) -> Result<Vec<StreamSpec>> {
    let mut db = database::open(&settings.path, Purpose::Read).await?;
    let mut streams = Vec::new();
    for name in table_names(&mut db).await? {
        cx.check()?;
        let Some(table) = schema::table(&mut db, &name).await? else { continue };
        let row_estimate = estimate(&mut db, &name, &table).await?;
        streams.push(describe(name, &table, row_estimate));
    }
    Ok(streams)
}

async fn table_names(db: &mut SqliteConnection) -> Result<Vec<String>> {
    let failed = |cause| fault("listing the tables", cause);
    let rows = sqlx::query(TABLES).fetch_all(db).await.map_err(failed)?;
    rows.iter().map(|row| row.try_get(0).map_err(failed)).collect()
}

/// The greatest row number, which costs one look at the end of the table.
async fn estimate(db: &mut SqliteConnection, name: &str, table: &Table) -> Result<Option<u64>> {
    let Some(rowid) = table.rowid else { return Ok(None) };
    let sql = format!("select max(t.{rowid}) from main.{} as t", quote(name));
    let failed = |cause| fault(format!("estimating the rows of `{name}`"), cause);
    let row =
        sqlx::query(AssertSqlSafe(sql)).persistent(false).fetch_one(db).await.map_err(failed)?;
    let greatest: Option<i64> = row.try_get(0).map_err(failed)?;
    Ok(Some(u64::try_from(greatest.unwrap_or(0)).unwrap_or(0)))
}

fn describe(name: String, table: &Table, row_estimate: Option<u64>) -> StreamSpec {
    let columns = table
        .columns
        .iter()
        .map(|column| {
            let spec = ColumnSpec {
                data_type: Some(type_name(column_type(&column.declared))),
                tag: None,
                nullable: column.not_null.then_some(false),
            };
            (column.name.clone(), spec)
        })
        .collect();
    let key = table.primary_key().into_iter().map(|column| column.name.clone()).collect();
    let mut cursors: Vec<&Column> =
        table.columns.iter().filter(|column| can_be_cursor(column)).collect();
    // The likeliest first: a name that says when the row changed.
    cursors.sort_by_key(|column| !says_when_changed(&column.name));
    let cursors: Vec<String> = cursors.into_iter().map(|column| column.name.clone()).collect();
    StreamSpec {
        options: serde_json::json!({ "table": name }),
        name,
        columns,
        key,
        changed: cursors.first().filter(|name| says_when_changed(name)).cloned(),
        cursors,
        row_estimate,
    }
}

fn can_be_cursor(column: &Column) -> bool {
    match column_type(&column.declared) {
        ColumnType::Timestamp => true,
        ColumnType::Text | ColumnType::Date => says_when_changed(&column.name),
        _ => false,
    }
}
