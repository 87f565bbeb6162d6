//! Types as the catalog holds them, and columns that get a wider one.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion_ducklake::types::{arrow_to_ducklake_type, ducklake_to_arrow_type};
use huiliu_sdk::{Error, Result};
use huiliu_store::{Reader, Tx, args};

use crate::commit::{Ids, insert_column, insert_schema_version, insert_snapshot};
use crate::table::find_table;
use crate::{Lake, LakeTable, storage_schema};

/// The schema under which rows of `schema` come back from the lake. It differs from
/// [`storage_schema`] where the catalog knows fewer types. A type the lake cannot hold stays, to
/// be refused when the table is made.
pub fn held_schema(schema: &Schema) -> SchemaRef {
    let held = |field: &Arc<Field>| {
        let kind = arrow_to_ducklake_type(field.data_type())
            .and_then(|name| ducklake_to_arrow_type(&name.replace(", ", ",")))
            .unwrap_or_else(|_| field.data_type().clone());
        Field::new(field.name(), kind, true)
    };
    let stored = storage_schema(schema);
    storage_schema(&Schema::new(stored.fields().iter().map(held).collect::<Vec<_>>()))
}

impl Lake {
    /// Gives columns of `table` the types they have in `wanted`, as a snapshot of its own inside
    /// `tx`. The caller knows that each type holds every value of the one before. A column keeps
    /// its id, by which readers find it in older files.
    pub async fn widen_columns(
        &self,
        tx: &mut Tx,
        table: &LakeTable,
        wanted: &Schema,
    ) -> Result<LakeTable> {
        let wanted = storage_schema(wanted);
        let mut changed = Vec::new();
        for (column, held) in table.columns.iter().zip(table.schema.fields()) {
            if let Ok(field) = wanted.field_with_name(&column.name)
                && field.data_type() != held.data_type()
            {
                changed.push((column.column_id, field));
            }
        }
        if changed.is_empty() {
            return Ok(table.clone());
        }
        let mut ids = Ids::load(tx).await?;
        let snapshot = ids.snapshot + 1;
        ids.schema_version += 1;
        for (column, field) in changed {
            let row = tx
                .one(
                    "read a table's columns",
                    "select column_order from ducklake_column
                     where table_id = ? and column_id = ? and end_snapshot is null",
                    args![table.table_id, column],
                )
                .await?
                .ok_or_else(|| Error::internal("a column of the table is not there"))?;
            let order: i64 = row.get(0)?;
            tx.run(
                "end a column",
                "update ducklake_column set end_snapshot = ?
                 where table_id = ? and column_id = ? and end_snapshot is null",
                args![snapshot, table.table_id, column],
            )
            .await?;
            insert_column(tx, table.table_id, (column, order), field, snapshot).await?;
        }
        insert_schema_version(tx, table.table_id, snapshot, ids.schema_version).await?;
        let changes = format!("altered_table:{}", table.table_id);
        insert_snapshot(tx, snapshot, &ids, &changes, "huiliu", "widen columns").await?;
        find_table(self, &mut Reader::Tx(tx), &table.schema_name, &table.name)
            .await?
            .ok_or_else(|| Error::internal("a table that was just changed is not there"))
    }
}
