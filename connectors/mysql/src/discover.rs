//! Looking at a database without reading its data.

use huiliu_sdk::{ColumnSpec, Cx, Probe, Result, StreamSpec, says_when_changed};
use sqlx::Row;

use crate::config::Settings;
use crate::database::{Purpose, open, query};
use crate::fault::fault;
use crate::schema::{COLUMNS, Column, Table, UNIQUE, column_of, index_of, table_of};
use crate::wire::{Wire, decimal};

const COUNT: &str = "select cast(version() as char), count(*) from information_schema.tables \
                     where table_schema = database()";

const TABLES: &str = "select cast(table_name as char), cast(engine as char), \
     cast(table_rows as unsigned) from information_schema.tables \
     where table_schema = database() order by table_name";

/// Connects and counts the tables.
pub(crate) async fn probe(settings: &Settings) -> Result<Probe> {
    let failed = |cause| fault("counting the tables", cause);
    let mut db = open(settings, Purpose::Read).await?;
    let row = sqlx::query(COUNT).fetch_one(&mut db).await.map_err(failed)?;
    let version: String = row.try_get(0).map_err(failed)?;
    let count: i64 = row.try_get(1).map_err(failed)?;
    let product = if version.contains("MariaDB") { "MariaDB" } else { "MySQL" };
    let number = version.split('-').next().unwrap_or_default();
    let noun = if count == 1 { "table" } else { "tables" };
    Ok(Probe { summary: format!("{product} {number}, {count} {noun}") })
}

/// Lists the tables and views.
pub(crate) async fn streams(settings: &Settings, cx: &Cx) -> Result<Vec<StreamSpec>> {
    let failed = |cause| fault("listing the tables", cause);
    let mut db = open(settings, Purpose::Read).await?;
    cx.request().await?;
    let rows = sqlx::query(TABLES).fetch_all(&mut db).await.map_err(failed)?;
    let mut tables: Vec<Table> =
        rows.iter().map(table_of).collect::<sqlx::Result<_>>().map_err(failed)?;
    let sql = format!("{COLUMNS} order by table_name, ordinal_position");
    for row in query(sql).fetch_all(&mut db).await.map_err(failed)? {
        let (owner, column) = column_of(&row).map_err(failed)?;
        if let Some(table) = tables.iter_mut().find(|table| table.name == owner) {
            table.columns.push(column);
        }
    }
    let sql = format!("{UNIQUE} and index_name = 'PRIMARY' order by table_name, seq_in_index");
    for row in query(sql).fetch_all(&mut db).await.map_err(failed)? {
        let (owner, index, column, _) = index_of(&row).map_err(failed)?;
        if let Some(table) = tables.iter_mut().find(|table| table.name == owner) {
            table.unique.entry(index).or_default().push(column);
        }
    }
    Ok(tables.into_iter().map(describe).collect())
}

fn describe(table: Table) -> StreamSpec {
    let columns = table
        .columns
        .iter()
        .map(|column| {
            let spec = ColumnSpec {
                data_type: column.wire.map(type_name),
                tag: None,
                nullable: (!column.nullable).then_some(false),
            };
            (column.name.clone(), spec)
        })
        .collect();
    let mut cursors: Vec<&Column> =
        table.columns.iter().filter(|column| can_be_cursor(column)).collect();
    // The likeliest first: a column the server itself moves, then a name that says so.
    cursors.sort_by_key(|column| (!is_moved(column), !says_when_changed(&column.name)));
    let changed =
        cursors.first().filter(|column| is_moved(column) || says_when_changed(&column.name));
    StreamSpec {
        changed: changed.map(|column| column.name.clone()),
        options: serde_json::json!({ "table": table.name }),
        columns,
        key: table.primary_key().to_vec(),
        cursors: cursors.into_iter().map(|column| column.name.clone()).collect(),
        row_estimate: table.row_estimate,
        name: table.name,
    }
}

/// The type as an operator would declare it.
fn type_name(wire: Wire) -> String {
    match wire {
        Wire::Int { width: 8, unsigned: true } => "decimal(20,0)".to_owned(),
        Wire::Bit { bits } if bits > 63 => "decimal(20,0)".to_owned(),
        Wire::Int { .. } | Wire::Year | Wire::Bit { .. } => "int".to_owned(),
        Wire::Float | Wire::Double => "float".to_owned(),
        Wire::Decimal { precision, scale } => match decimal(precision, scale) {
            Some(_) => format!("decimal({precision},{scale})"),
            None => "text".to_owned(),
        },
        Wire::Text | Wire::Time { .. } => "text".to_owned(),
        Wire::Bytes => "binary".to_owned(),
        Wire::Date => "date".to_owned(),
        Wire::Datetime { .. } | Wire::Timestamp { .. } => "timestamp".to_owned(),
    }
}

/// Whether the server itself moves it with every change of its row.
fn is_moved(column: &Column) -> bool {
    column.extra.to_ascii_lowercase().contains("on update")
}

fn can_be_cursor(column: &Column) -> bool {
    match column.wire {
        Some(Wire::Datetime { .. } | Wire::Timestamp { .. }) => true,
        Some(Wire::Text | Wire::Date) => says_when_changed(&column.name),
        _ => false,
    }
}
