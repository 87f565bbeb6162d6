//! Figures as they were stored, now or at an earlier snapshot.

use std::collections::BTreeMap;

use huiliu_core::model::Unit;
use huiliu_sdk::{Error, Result};

use super::Figure;
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
                figures.push(figure(record_text(batch, row)?.into_iter().collect())?);
            }
        }
        Ok(figures)
    }
}

fn figure(mut row: BTreeMap<String, Option<String>>) -> Result<Figure> {
    let mut text = |name: &str| row.remove(name).flatten();
    let number = |text: Option<String>| {
        let parsed = text.map(|text| text.parse::<i64>()).transpose();
        parsed.map_err(|e| Error::internal("a stored figure is no number").cause(e))
    };
    let unit = Unit::of(&text("unit").unwrap_or_default());
    Ok(Figure {
        key: text("key").unwrap_or_default(),
        title: text("title").unwrap_or_default(),
        unit,
        value: text("value"),
        numerator: number(text("numerator"))?.unwrap_or(0),
        denominator: number(text("denominator"))?,
        definition: text("definition").unwrap_or_default(),
        valid_from: text("valid_from").unwrap_or_default(),
        owner: text("owner").unwrap_or_default(),
        snapshot: number(text("snapshot_id"))?.unwrap_or(0),
    })
}
