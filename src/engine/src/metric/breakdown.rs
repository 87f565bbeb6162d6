//! A figure by its dimensions: level, division, department, month.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Int64Type};
use huiliu_core::config::closest;
use huiliu_core::model::Metric;
use huiliu_sdk::{Error, ErrorKind, Result};
use serde::Serialize;

use super::{Figure, counts, definition, ratio};
use crate::failure::engine_error;
use crate::session::Session;

/// A figure and its groups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Breakdown {
    /// The figure over all rows.
    #[serde(flatten)]
    pub figure: Figure,
    /// The dimensions, in the order that was asked for.
    pub by: Vec<String>,
    /// The groups in the order of their dimensions; rows without one come first.
    pub groups: Vec<Group>,
}

/// One group of a figure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    /// The dimensions' values.
    pub of: Vec<Option<String>>,
    /// The value as decimal text in the unit; none when the denominator is zero.
    pub value: Option<String>,
    /// What counts.
    pub numerator: i64,
    /// What it is counted against; none for counts.
    pub denominator: Option<i64>,
}

impl Session {
    /// A figure broken down by dimensions of the metric. Groups in which nothing counts, above
    /// or below the line, are left out.
    pub async fn breakdown(&self, metric: &Metric, day: &str, by: &[String]) -> Result<Breakdown> {
        let figure = self.figure(metric, day).await?;
        let mut columns = String::new();
        for name in by {
            let expression = metric.dimensions.get(name).ok_or_else(|| unknown(metric, name))?;
            columns.push_str(&format!("cast(({expression}) as varchar) as \"{name}\", "));
        }
        let positions: Vec<String> = (1..=by.len()).map(|position| position.to_string()).collect();
        let positions = positions.join(", ");
        let sql = format!(
            "select {columns}{} from {} group by {positions} order by {positions} nulls first",
            counts(definition(metric, day)?),
            metric.from,
        );
        let action = format!("metric {}", metric.key);
        let frame = self.query(&sql).await.map_err(|e| e.context(&action))?;
        let batches = frame.collect().await.map_err(|e| engine_error(&action, e))?;
        let mut groups = Vec::new();
        for batch in batches {
            let mut names = Vec::with_capacity(by.len());
            for column in &batch.columns()[..by.len()] {
                names.push(arrow::compute::cast(column, &DataType::Utf8)?);
            }
            let count = |index: usize, row: usize| {
                batch.column(by.len() + index).as_primitive::<Int64Type>().value(row)
            };
            for row in 0..batch.num_rows() {
                let (denominator, numerator) = (count(0, row), count(1, row));
                if denominator == 0 && numerator == 0 {
                    continue;
                }
                let denominator = metric.unit.is_ratio().then_some(denominator);
                let text = |column: &arrow::array::ArrayRef| {
                    let texts = column.as_string::<i32>();
                    (!texts.is_null(row)).then(|| texts.value(row).to_owned())
                };
                groups.push(Group {
                    of: names.iter().map(text).collect(),
                    value: ratio::value(metric.unit, metric.digits(), numerator, denominator),
                    numerator,
                    denominator,
                });
            }
        }
        Ok(Breakdown { figure, by: by.to_vec(), groups })
    }
}

fn unknown(metric: &Metric, name: &str) -> Error {
    let known: Vec<&str> = metric.dimensions.keys().map(String::as_str).collect();
    let hint = match closest(name, known.iter().copied()) {
        Some(close) => format!("did you mean `{close}`?"),
        None if known.is_empty() => "give it `dimensions` in its file".to_owned(),
        None => format!("there are: {}", known.join(", ")),
    };
    let message = format!("metric {} has no dimension `{name}`", metric.key);
    Error::new(ErrorKind::Config, "E-METRIC", message).hint(hint)
}
