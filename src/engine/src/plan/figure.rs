//! How a figure would move: the one that is stored against the one that is planned.

use huiliu_core::model::Metric;
use huiliu_sdk::Result;
use serde::Serialize;

use super::{Rehearsal, quoted};
use crate::metric::{Counts, Figure, Ratio, difference};
use crate::record_text;

/// The table of the figures.
const FIGURES: &str = "metrics.figures";

/// A figure as it was last computed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoredFigure {
    /// The metric's key.
    pub key: String,
    /// Its name.
    pub title: String,
    /// `percent` or `count`.
    pub unit: String,
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
    /// The snapshot it was computed from.
    pub snapshot: i64,
}

/// How a figure moves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FigureMove {
    /// The figure as it was last computed; none when it is new.
    pub before: Option<StoredFigure>,
    /// The figure as it would be.
    pub after: Figure,
    /// The change in the metric's unit, rounded; none where a side has no value or another unit.
    pub change: Option<String>,
    /// The change as an exact fraction.
    pub exact_change: Option<Ratio>,
}

impl FigureMove {
    /// The move of `metric` from one figure to the other.
    pub fn of(metric: &Metric, before: Option<StoredFigure>, after: Figure) -> Self {
        let was = before.as_ref().filter(|figure| figure.unit == metric.unit.as_str());
        let (exact_change, change) = match was {
            None => (None, None),
            Some(was) => difference(
                metric,
                Counts { numerator: was.numerator, denominator: was.denominator.unwrap_or(1) },
                Counts { numerator: after.numerator, denominator: after.denominator.unwrap_or(1) },
            ),
        };
        Self { before, after, change, exact_change }
    }

    /// Whether what is printed or counted is another thing.
    pub fn is_moved(&self) -> bool {
        self.before.as_ref().is_none_or(|was| {
            let counts = (was.numerator, was.denominator, &was.value);
            counts != (self.after.numerator, self.after.denominator, &self.after.value)
        })
    }
}

impl Rehearsal<'_> {
    /// The figures as they were last computed.
    pub async fn stored_figures(&self) -> Result<Vec<StoredFigure>> {
        let mut figures = Vec::new();
        if !self.versions().contains_key(FIGURES) {
            return Ok(figures);
        }
        let sql = format!("select * from {} order by key", quoted(FIGURES));
        for batch in self.before.collect(&sql, None).await? {
            for row in 0..batch.num_rows() {
                let mut values = record_text(&batch, row)?;
                let mut take = |column: &str| -> Option<String> {
                    values.iter_mut().find(|(name, _)| name == column)?.1.take()
                };
                let number = |text: Option<String>| text.and_then(|text| text.parse().ok());
                figures.push(StoredFigure {
                    key: take("key").unwrap_or_default(),
                    title: take("title").unwrap_or_default(),
                    unit: take("unit").unwrap_or_default(),
                    value: take("value"),
                    numerator: number(take("numerator")).unwrap_or(0),
                    denominator: number(take("denominator")),
                    definition: take("definition").unwrap_or_default(),
                    valid_from: take("valid_from").unwrap_or_default(),
                    snapshot: number(take("snapshot_id")).unwrap_or(0),
                });
            }
        }
        Ok(figures)
    }
}
