//! When each model table was last built, and from what.

use huiliu_sdk::Result;
use serde::Serialize;
use sqlx::Row;

use crate::database::{Store, Tx, database_error};

/// The last build of a model.
#[derive(Debug, Clone, Serialize)]
pub struct ModelRow {
    /// The model, as `schema.table`.
    pub name: String,
    /// Hash over its definition and the versions of its inputs.
    pub fingerprint: String,
    /// The snapshot in which the result was last written.
    pub snapshot_id: i64,
    /// Rows of the result.
    pub row_count: i64,
    /// The run that built it.
    pub run_id: i64,
    /// When, UTC.
    pub built_at: String,
}

impl Store {
    /// The last builds of all models.
    pub async fn models(&self) -> Result<Vec<ModelRow>> {
        let rows = sqlx::query(
            "select name, fingerprint, snapshot_id, row_count, run_id, built_at
             from huiliu_model order by name",
        )
        .fetch_all(self.reader())
        .await
        .map_err(|e| database_error("list models", e))?;
        Ok(rows
            .iter()
            .map(|row| ModelRow {
                name: row.get(0),
                fingerprint: row.get(1),
                snapshot_id: row.get(2),
                row_count: row.get(3),
                run_id: row.get(4),
                built_at: row.get(5),
            })
            .collect())
    }
}

impl Tx {
    /// Records a build.
    pub async fn put_model(&mut self, model: &ModelRow) -> Result<()> {
        sqlx::query(
            "insert or replace into huiliu_model
               (name, fingerprint, snapshot_id, row_count, run_id, built_at)
             values (?, ?, ?, ?, ?, ?)",
        )
        .bind(&model.name)
        .bind(&model.fingerprint)
        .bind(model.snapshot_id)
        .bind(model.row_count)
        .bind(model.run_id)
        .bind(&model.built_at)
        .execute(self.connection())
        .await
        .map_err(|e| database_error("record a model", e))?;
        Ok(())
    }
}
