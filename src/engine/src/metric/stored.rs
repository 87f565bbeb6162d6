//! Figures as they were stored, now or at an earlier snapshot.

use huiliu_sdk::Result;

use super::{Figure, stored_figure};
use crate::failure::engine_error;
use crate::session::Engine;
use crate::text::record_text;

impl Engine {
    /// The figures that `metrics.figures` held at `snapshot`, or holds now; none when they were
    /// not computed yet.
    pub async fn stored_figures(&self, snapshot: Option<i64>) -> Result<Vec<Figure>> {
        const ACTION: &str = "read stored figures";
        let lake = self.lake().at(snapshot).await?;
        let Some(schema) = lake.schema("metrics") else { return Ok(Vec::new()) };
        let table = schema.table("figures").await.map_err(|e| engine_error(ACTION, e))?;
        let Some(table) = table else { return Ok(Vec::new()) };
        let frame = self.context()?.read_table(table).map_err(|e| engine_error(ACTION, e))?;
        let batches = frame.collect().await.map_err(|e| engine_error(ACTION, e))?;
        let mut figures = Vec::new();
        for batch in &batches {
            for row in 0..batch.num_rows() {
                figures.push(stored_figure(record_text(batch, row)?)?);
            }
        }
        Ok(figures)
    }
}
