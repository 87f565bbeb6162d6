//! Looking at a database without reading its data.

use std::collections::BTreeMap;

use huiliu_sdk::{
    ColumnSpec, ColumnType, Cx, Probe, Result, StreamSpec, says_when_changed, type_word,
};
use odbc_api::parameter::VarCharArray;
use odbc_api::sys::SqlDataType;
use odbc_api::{ColumnsRow, Connection, DataType, TablesRow};

use crate::config::Settings;
use crate::connection::connect;
use crate::fault::fault;
use crate::layout::declared_type;

/// Schemas of the databases themselves.
const SYSTEM: [&str; 6] =
    ["information_schema", "pg_catalog", "pg_toast", "sys", "sysdba_sys", "sys_catalog"];

/// A table as the driver lists it.
struct Table {
    schema: Option<String>,
    name: String,
}

/// Connects and counts the tables.
pub(crate) fn probe(settings: &Settings) -> Result<Probe> {
    let db = connect(settings)?;
    let name = db
        .database_management_system_name()
        .map_err(|cause| fault("asking for the name of the database", &cause))?;
    let count = tables(&db)?.len();
    let noun = if count == 1 { "table" } else { "tables" };
    Ok(Probe { summary: format!("{name}, {count} {noun}") })
}

/// Lists the tables and views.
pub(crate) fn streams(settings: &Settings, cx: &Cx) -> Result<Vec<StreamSpec>> {
    let db = connect(settings)?;
    let mut streams = Vec::new();
    for table in tables(&db)? {
        cx.check()?;
        let columns = columns(&db, &table)?;
        if !columns.is_empty() {
            streams.push(describe(&db, &table, columns));
        }
    }
    Ok(streams)
}

/// Tables whose names can be written as `schema.table`.
fn tables(db: &Connection<'_>) -> Result<Vec<Table>> {
    let listed = list_tables(db, "%")?;
    // To some drivers a pattern means only tables that have a schema.
    if listed.is_empty() { list_tables(db, "") } else { Ok(listed) }
}

fn list_tables(db: &Connection<'_>, schemas: &str) -> Result<Vec<Table>> {
    let failed = |cause: odbc_api::Error| fault("listing the tables", &cause);
    let mut tables = Vec::new();
    for row in db.tables("", schemas, "%", "TABLE,VIEW").map_err(failed)? {
        let row: TablesRow = row.map_err(failed)?;
        let schema = text(&row.schema);
        let is_systems = schema
            .as_ref()
            .is_some_and(|schema| SYSTEM.iter().any(|known| schema.eq_ignore_ascii_case(known)));
        let Some(name) = text(&row.table).filter(|_| !is_systems) else { continue };
        let has_dot = name.contains('.') || schema.as_ref().is_some_and(|s| s.contains('.'));
        if !has_dot {
            tables.push(Table { schema, name });
        }
    }
    Ok(tables)
}

/// The types of the columns of `name`, as the table itself declares them. Where a driver lists none,
/// what it says of a result has to do.
pub(crate) fn declared(db: &Connection<'_>, name: &str) -> BTreeMap<String, ColumnType> {
    let (schema, name) = match name.rsplit_once('.') {
        Some((schema, name)) => (Some(schema.to_owned()), name),
        None => (None, name),
    };
    let columns = columns(db, &Table { schema, name: name.to_owned() }).unwrap_or_default();
    columns.into_iter().map(|(name, kind, _)| (name, kind)).collect()
}

/// The columns of a table: name, type as a configuration has it, whether it may be null.
fn columns(db: &Connection<'_>, table: &Table) -> Result<Vec<(String, ColumnType, bool)>> {
    let failed = |cause: odbc_api::Error| fault("listing the columns", &cause);
    let schema = table.schema.as_deref().unwrap_or_default();
    let mut columns = Vec::new();
    for row in db.columns("", schema, &table.name, "%").map_err(failed)? {
        let row: ColumnsRow = row.map_err(failed)?;
        // The name is a pattern, in which `_` is any letter.
        if text(&row.table).as_deref() != Some(table.name.as_str()) {
            continue;
        }
        let Some(name) = text(&row.column_name) else { continue };
        let size = row.column_size.into_opt().and_then(|size| usize::try_from(size).ok());
        let digits = row.decimal_digits.into_opt().unwrap_or(0);
        let described = DataType::new(SqlDataType(row.data_type), size.unwrap_or(0), digits);
        let declared = text(&row.type_name).unwrap_or_default();
        columns.push((name, declared_type(described, &declared), row.nullable != 0));
    }
    Ok(columns)
}

fn describe(
    db: &Connection<'_>,
    table: &Table,
    columns: Vec<(String, ColumnType, bool)>,
) -> StreamSpec {
    let mut cursors: Vec<String> = columns
        .iter()
        .filter(|(name, kind, _)| match kind {
            ColumnType::Timestamp => true,
            ColumnType::Text | ColumnType::Date => says_when_changed(name),
            _ => false,
        })
        .map(|(name, ..)| name.clone())
        .collect();
    cursors.sort_by_key(|name| !says_when_changed(name));
    let columns = columns
        .into_iter()
        .map(|(name, kind, nullable)| {
            let spec = ColumnSpec {
                data_type: Some(type_word(&kind.arrow())),
                tag: None,
                nullable: (!nullable).then_some(false),
            };
            (name, spec)
        })
        .collect();
    let full = match &table.schema {
        Some(schema) => format!("{schema}.{}", table.name),
        None => table.name.clone(),
    };
    StreamSpec {
        options: serde_json::json!({ "table": full }),
        name: table.name.clone(),
        columns,
        key: key(db, table),
        changed: cursors.first().filter(|name| says_when_changed(name)).cloned(),
        cursors,
        row_estimate: None,
    }
}

/// The primary key, where the driver can tell it.
fn key(db: &Connection<'_>, table: &Table) -> Vec<String> {
    let Ok(rows) = db.primary_keys(None, table.schema.as_deref(), &table.name) else {
        return Vec::new();
    };
    let rows = rows.filter_map(std::result::Result::ok);
    let mut key: Vec<(i16, String)> =
        rows.filter_map(|row| Some((row.key_seq, text(&row.column)?))).collect();
    key.sort();
    key.into_iter().map(|(_, name)| name).collect()
}

fn text<const N: usize>(value: &VarCharArray<N>) -> Option<String> {
    let text = value.as_str().ok().flatten()?;
    (!text.is_empty()).then(|| text.to_owned())
}
