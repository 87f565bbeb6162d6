//! When each model table was last built, and from what.

use huiliu_sdk::Result;
use serde::Serialize;

use crate::args;
use crate::database::{Store, Tx};
use crate::sql::Row;

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
        let rows = self
            .all(
                "list models",
                "select name, fingerprint, snapshot_id, row_count, run_id, built_at
                 from huiliu_model order by name",
                args![],
            )
            .await?;
        rows.iter().map(model_row).collect()
    }
}

fn model_row(row: &Row) -> Result<ModelRow> {
    Ok(ModelRow {
        name: row.get(0)?,
        fingerprint: row.get(1)?,
        snapshot_id: row.get(2)?,
        row_count: row.get(3)?,
        run_id: row.get(4)?,
        built_at: row.get(5)?,
    })
}

impl Tx {
    /// Records a build.
    pub async fn put_model(&mut self, model: &ModelRow) -> Result<()> {
        self.run(
            "record a model",
            "insert into huiliu_model
               (name, fingerprint, snapshot_id, row_count, run_id, built_at)
             values (?, ?, ?, ?, ?, ?)
             on conflict (name) do update set
               fingerprint = excluded.fingerprint, snapshot_id = excluded.snapshot_id,
               row_count = excluded.row_count, run_id = excluded.run_id,
               built_at = excluded.built_at",
            args![
                &model.name,
                &model.fingerprint,
                model.snapshot_id,
                model.row_count,
                model.run_id,
                &model.built_at,
            ],
        )
        .await?;
        Ok(())
    }

    /// Forgets the build of a table that nothing builds any more.
    pub async fn forget_model(&mut self, name: &str) -> Result<()> {
        self.run("forget a model", "delete from huiliu_model where name = ?", args![name]).await?;
        Ok(())
    }
}
