//! Metrics: figures computed by their definition, the rows behind them, and why they moved.

mod breakdown;
mod explain;
mod page;
mod ratio;
mod seal;
mod stored;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, StringArray};
use arrow::datatypes::{Field, Schema};
use arrow::record_batch::RecordBatch;
use huiliu_core::model::{Definition, Metric, Unit};
use huiliu_lake::{Commit, FileWriter, TableChange, storage_schema};
use huiliu_sdk::{Error, ErrorKind, Result};
use serde::Serialize;

use crate::failure::engine_error;
use crate::record_text;
use crate::session::{Engine, Session};

pub use breakdown::{Breakdown, Group};
pub(crate) use explain::{Counts, difference};
pub use explain::{Explanation, Step};
pub use ratio::Ratio;
pub use seal::{Content, Recount, SealPlan, SealedDefinition, SealedRows};

/// One computed figure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Figure {
    /// The metric's key.
    pub key: String,
    /// Its name.
    pub title: String,
    /// `percent`, `mean` or `count`.
    pub unit: Unit,
    /// The value as decimal text in the unit; none when the denominator is zero.
    pub value: Option<String>,
    /// What counts.
    pub numerator: i64,
    /// What it is counted against; none for counts.
    pub denominator: Option<i64>,
    /// The definition in words.
    pub definition: String,
    /// First day of the definition.
    pub valid_from: String,
    /// Who answers for it.
    pub owner: String,
    /// The snapshot it was computed from.
    pub snapshot: i64,
}

/// All figures as a lake table, ready to commit.
#[derive(Debug)]
pub struct FigureTable {
    /// What to commit.
    pub commit: Commit,
    /// Rows.
    pub row_count: i64,
}

impl Session {
    /// Computes a metric by the definition in force on `day` (`YYYY-MM-DD`).
    pub async fn figure(&self, metric: &Metric, day: &str) -> Result<Figure> {
        let definition = definition(metric, day)?;
        let sql = format!("select {} from {}", counts(definition), metric.from);
        let action = format!("metric {}", metric.key);
        let frame = self.query(&sql).await.map_err(|e| e.context(&action))?;
        let batches = frame.collect().await.map_err(|e| engine_error(&action, e))?;
        let read = |column: usize| {
            batches
                .iter()
                .find(|batch| batch.num_rows() > 0)
                .and_then(|batch| batch.column(column).as_any().downcast_ref::<Int64Array>())
                .map_or(0, |values| values.value(0))
        };
        let (denominator, numerator) = (read(0), read(1));
        let denominator = metric.unit.is_ratio().then_some(denominator);
        let value = ratio::value(metric.unit, metric.digits(), numerator, denominator);
        Ok(Figure {
            key: metric.key.clone(),
            title: metric.title.clone(),
            unit: metric.unit,
            value,
            numerator,
            denominator,
            definition: definition.text.clone(),
            valid_from: definition.valid_from.clone(),
            owner: metric.owner.clone(),
            snapshot: self.snapshot(),
        })
    }

    /// The figures of `metrics.figures` by key, as they were computed last; none before the first.
    pub async fn stored_figures(&self) -> Result<BTreeMap<String, Figure>> {
        let mut figures = BTreeMap::new();
        if !self.context().table_exist("metrics.figures").unwrap_or(false) {
            return Ok(figures);
        }
        for batch in self.collect("select * from metrics.figures", None).await? {
            for row in 0..batch.num_rows() {
                let figure = stored_figure(record_text(&batch, row)?)?;
                figures.insert(figure.key.clone(), figure);
            }
        }
        Ok(figures)
    }

    /// The rows a metric counts: those of the numerator, or of the whole denominator.
    pub async fn figure_rows(
        &self,
        metric: &Metric,
        day: &str,
        numerator: bool,
        limit: Option<usize>,
    ) -> Result<Vec<RecordBatch>> {
        let definition = definition(metric, day)?;
        let predicate = if numerator {
            numerator_predicate(definition)
        } else {
            denominator_predicate(definition)
        };
        let sql = format!("select * from {} where {predicate}", metric.from);
        self.collect(&sql, limit).await.map_err(|e| e.context(format!("metric {}", metric.key)))
    }
}

impl Engine {
    /// Writes figures as the table `metrics.figures`.
    pub async fn figure_table(&self, figures: &[Figure]) -> Result<FigureTable> {
        let text = |value: fn(&Figure) -> Option<&str>| -> ArrayRef {
            Arc::new(figures.iter().map(value).collect::<StringArray>())
        };
        let numerators: ArrayRef =
            Arc::new(figures.iter().map(|f| Some(f.numerator)).collect::<Int64Array>());
        let denominators: ArrayRef =
            Arc::new(figures.iter().map(|f| f.denominator).collect::<Int64Array>());
        let snapshots: ArrayRef =
            Arc::new(figures.iter().map(|f| Some(f.snapshot)).collect::<Int64Array>());
        let columns = vec![
            ("key", text(|f| Some(&f.key))),
            ("title", text(|f| Some(&f.title))),
            ("value", text(|f| f.value.as_deref())),
            ("unit", text(|f| Some(f.unit.as_str()))),
            ("numerator", numerators),
            ("denominator", denominators),
            ("definition", text(|f| Some(&f.definition))),
            ("valid_from", text(|f| Some(&f.valid_from))),
            ("owner", text(|f| Some(&f.owner))),
            ("snapshot_id", snapshots),
        ];
        let fields: Vec<Field> = columns
            .iter()
            .map(|(name, column)| Field::new(*name, column.data_type().clone(), true))
            .collect();
        let schema = storage_schema(&Schema::new(fields));
        let arrays = columns.into_iter().map(|(_, column)| column).collect();
        let batch = RecordBatch::try_new(Arc::clone(&schema), arrays)?;
        let mut tx = self.lake().store().begin().await?;
        let table = self.lake().ensure_table(&mut tx, "metrics", "figures", &schema).await?;
        tx.commit().await?;
        let mut writer = FileWriter::create(&table)?;
        writer.write(&batch)?;
        let mut change = TableChange::new(table);
        change.replace = true;
        change.added.push((writer.finish()?, None));
        let commit = Commit {
            changes: vec![change],
            author: "huiliu".into(),
            message: "compute figures".into(),
        };
        Ok(FigureTable { commit, row_count: i64::try_from(figures.len()).unwrap_or(i64::MAX) })
    }
}

/// A figure from its row in `metrics.figures`.
fn stored_figure(row: Vec<(String, Option<String>)>) -> Result<Figure> {
    let mut cells: BTreeMap<String, Option<String>> = row.into_iter().collect();
    let mut cell = |name: &str| cells.remove(name).flatten();
    let number = |text: Option<String>| text.and_then(|text| text.parse::<i64>().ok());
    let damaged = || Error::internal("a row of metrics.figures cannot be read");
    Ok(Figure {
        key: cell("key").ok_or_else(damaged)?,
        title: cell("title").unwrap_or_default(),
        unit: Unit::of(&cell("unit").unwrap_or_default()),
        value: cell("value"),
        numerator: number(cell("numerator")).ok_or_else(damaged)?,
        denominator: number(cell("denominator")),
        definition: cell("definition").unwrap_or_default(),
        valid_from: cell("valid_from").unwrap_or_default(),
        owner: cell("owner").unwrap_or_default(),
        snapshot: number(cell("snapshot_id")).ok_or_else(damaged)?,
    })
}

fn definition<'a>(metric: &'a Metric, day: &str) -> Result<&'a Definition> {
    metric.definition_on(day).ok_or_else(|| {
        let message = format!("metric {} has no definition", metric.key);
        Error::new(ErrorKind::Config, "E-METRIC", message)
    })
}

/// The two counts of a definition, as columns of a SELECT.
fn counts(definition: &Definition) -> String {
    // `case when` takes a row only where the predicate is true, never where it is unknown.
    let counted = |predicate: &str, amount: Option<&String>| match (&definition.distinct, amount) {
        (Some(expression), _) => {
            format!("count(distinct case when {predicate} then ({expression}) end)")
        }
        (None, Some(amount)) => sum_of(predicate, &format!("cast(({amount}) as bigint)")),
        (None, None) => format!("count(case when {predicate} then 1 end)"),
    };
    format!(
        "{} as denominator, {} as numerator",
        counted(&denominator_predicate(definition), definition.weight.as_ref()),
        counted(&numerator_predicate(definition), definition.measure.as_ref()),
    )
}

/// The sum of `amount`, a bigint, over the rows of which `predicate` is true.
fn sum_of(predicate: &str, amount: &str) -> String {
    format!("coalesce(sum(case when {predicate} then {amount} end), 0)")
}

fn denominator_predicate(definition: &Definition) -> String {
    match &definition.denominator {
        Some(predicate) => format!("({predicate})"),
        None => "true".to_owned(),
    }
}

fn numerator_predicate(definition: &Definition) -> String {
    let within = denominator_predicate(definition);
    match &definition.numerator {
        Some(predicate) => format!("({within} and ({predicate}))"),
        None => within,
    }
}
