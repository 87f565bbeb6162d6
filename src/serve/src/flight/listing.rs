//! Questions about the catalog, answered as batches.

use std::sync::Arc;

use arrow_flight::error::Result as FlightResult;
use arrow_flight::sql::metadata::{SqlInfoData, SqlInfoDataBuilder, XdbcTypeInfoDataBuilder};
use arrow_flight::sql::{Command, SqlInfo, SqlSupportedTransaction};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::record_batch::RecordBatch;
use huiliu_sdk::{Error, Result};

use super::rows::plain;
use crate::sql::{DATABASE, Listed, schemas};

/// How tables and views are called.
const KINDS: [&str; 2] = ["TABLE", "VIEW"];

/// Whether `command` asks for tables.
pub(super) fn asks_for_tables(command: &Command) -> bool {
    matches!(command, Command::CommandGetTables(_))
}

/// The answer to a question about the catalog, which has `tables`; nothing when it is none.
pub(super) fn answer(command: Command, tables: &[Listed]) -> Result<Option<RecordBatch>> {
    listed(command, tables)
        .transpose()
        .map_err(|e| Error::internal("a list of the catalog could not be made").cause(e))
}

fn listed(command: Command, tables: &[Listed]) -> Option<FlightResult<RecordBatch>> {
    Some(match command {
        Command::CommandGetCatalogs(command) => {
            let mut catalogs = command.into_builder();
            catalogs.append(DATABASE);
            catalogs.build()
        }
        Command::CommandGetDbSchemas(command) => {
            let mut builder = command.into_builder();
            schemas().iter().for_each(|schema| builder.append(DATABASE, schema));
            builder.build()
        }
        Command::CommandGetTables(command) => {
            let mut builder = command.into_builder();
            let added = tables.iter().try_for_each(|table| {
                let kind = KINDS[usize::from(table.is_view)];
                let columns = plain(&table.columns);
                builder.append(DATABASE, table.schema, &table.name, kind, &columns)
            });
            added.and_then(|()| builder.build())
        }
        Command::CommandGetTableTypes(command) => {
            let mut kinds = command.into_builder();
            KINDS.iter().for_each(|kind| kinds.append(kind));
            kinds.build()
        }
        Command::CommandGetSqlInfo(command) => {
            about().and_then(|about| command.into_builder(&about).build())
        }
        Command::CommandGetXdbcTypeInfo(command) => XdbcTypeInfoDataBuilder::new()
            .build()
            .and_then(|types| command.into_builder(&types).build()),
        // The lake declares no keys that clients could rely on.
        Command::CommandGetPrimaryKeys(_) => Ok(RecordBatch::new_empty(Arc::new(primary_keys()))),
        Command::CommandGetExportedKeys(_)
        | Command::CommandGetImportedKeys(_)
        | Command::CommandGetCrossReference(_) => {
            Ok(RecordBatch::new_empty(Arc::new(foreign_keys())))
        }
        _ => return None,
    })
}

/// What the door can do.
fn about() -> FlightResult<SqlInfoData> {
    let mut about = SqlInfoDataBuilder::new();
    about.append(SqlInfo::FlightSqlServerName, "huiliu");
    about.append(SqlInfo::FlightSqlServerVersion, env!("CARGO_PKG_VERSION"));
    about.append(SqlInfo::FlightSqlServerReadOnly, true);
    about.append(SqlInfo::FlightSqlServerSql, true);
    about.append(SqlInfo::FlightSqlServerSubstrait, false);
    about.append(SqlInfo::FlightSqlServerTransaction, SqlSupportedTransaction::None as i32);
    about.append(SqlInfo::FlightSqlServerCancel, false);
    about.append(SqlInfo::SqlDdlCatalog, false);
    about.append(SqlInfo::SqlDdlSchema, false);
    about.append(SqlInfo::SqlDdlTable, false);
    about.append(SqlInfo::SqlIdentifierQuoteChar, "\"");
    about.build()
}

fn text(name: &str, is_nullable: bool) -> Field {
    Field::new(name, DataType::Utf8, is_nullable)
}

fn primary_keys() -> Schema {
    Schema::new(vec![
        text("catalog_name", true),
        text("db_schema_name", true),
        text("table_name", false),
        text("column_name", false),
        text("key_name", true),
        Field::new("key_sequence", DataType::Int32, false),
    ])
}

fn foreign_keys() -> Schema {
    let rule = |name: &str| Field::new(name, DataType::UInt8, false);
    Schema::new(vec![
        text("pk_catalog_name", true),
        text("pk_db_schema_name", true),
        text("pk_table_name", false),
        text("pk_column_name", false),
        text("fk_catalog_name", true),
        text("fk_db_schema_name", true),
        text("fk_table_name", false),
        text("fk_column_name", false),
        Field::new("key_sequence", DataType::Int32, false),
        text("fk_key_name", true),
        text("pk_key_name", true),
        rule("update_rule"),
        rule("delete_rule"),
    ])
}
