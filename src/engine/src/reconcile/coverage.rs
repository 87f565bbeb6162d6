//! Which codes the systems use, and whether the code tables know them.

use std::sync::Arc;

use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use huiliu_core::reconcile::{Comparison, Reconciliation};
use huiliu_lake::storage_batch;
use huiliu_sdk::Result;

use super::state::quoted;
use crate::session::Session;

/// The columns of the coverage.
pub(super) fn schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    Arc::new(Schema::new(vec![
        text("field"),
        text("system"),
        text("code"),
        text("code_table"),
        text("meaning"),
        Field::new("is_known", DataType::Boolean, true),
        Field::new("row_count", DataType::Int64, true),
    ]))
}

/// Every code of every field that is compared by codes.
pub(super) async fn coverage(rec: &Reconciliation, session: &Session) -> Result<RecordBatch> {
    let literal = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let mut batches = Vec::new();
    for field in &rec.fields {
        let hub_table = match &field.compare {
            Comparison::Code(table) => Some(table),
            _ => None,
        };
        for system in &field.trust {
            let own_table = field.codes.get(system);
            let Some(table) = own_table.or(hub_table) else { continue };
            let config = &rec.systems[*system];
            let column =
                format!("cast(\"{}\" as varchar)", config.column(&field.name).replace('"', "\"\""));
            // The hub's own code is its own meaning, if the table has it.
            let meaning = match own_table {
                Some(table) => format!("code_map({}, {column})", literal(table)),
                None => column.clone(),
            };
            let known = match hub_table {
                Some(table) => format!("code_map({}, {meaning}) is not null", literal(table)),
                None => format!("{meaning} is not null"),
            };
            let sql = format!(
                "select {field} as field, {system} as system, code, {table} as code_table, \
                 meaning, is_known, row_count from (select {column} as code, {meaning} as meaning, \
                 {known} as is_known, count(*) as row_count from {from} group by 1, 2, 3) as c \
                 where code is not null order by code",
                field = literal(&field.name),
                system = literal(&config.name),
                table = literal(table),
                from = quoted(&config.table),
            );
            for batch in session.collect(&sql, None).await? {
                batches.push(storage_batch(&batch, &schema())?);
            }
        }
    }
    Ok(concat_batches(&schema(), &batches)?)
}
