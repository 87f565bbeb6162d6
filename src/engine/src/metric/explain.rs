//! Why a figure moved between two snapshots.
//!
//! The change is taken apart in a fixed order: the definition changed, rows are gone, rows were
//! corrected, rows are new. Each step is the exact difference of two fractions, each of which
//! begins where the one before ended, so the steps sum to the change.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;
use datafusion::catalog::{
    CatalogProvider, MemoryCatalogProvider, MemorySchemaProvider, SchemaProvider,
};
use huiliu_core::model::{Definition, Metric};
use huiliu_sdk::{Error, ErrorKind, Result};
use serde::Serialize;

use super::{Figure, Ratio, definition, denominator_predicate, numerator_predicate};
use crate::failure::engine_error;
use crate::session::{Engine, Session};

/// Why a figure moved.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    /// The figure as it was.
    pub from: Figure,
    /// The figure as it is.
    pub to: Figure,
    /// The change in the metric's unit, rounded; none where one side has no value.
    pub change: Option<String>,
    /// The change as an exact fraction.
    pub exact_change: Option<Ratio>,
    /// Its parts, in the order in which they are applied.
    pub steps: Vec<Step>,
}

/// One part of a change.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// `definition`, `gone`, `corrected` or `new`.
    pub step: &'static str,
    /// Rows (or distinct values) that it moves: into, out of, or across the line.
    pub rows: i64,
    /// What counts after it.
    pub numerator: i64,
    /// What that is counted against after it; none for counts.
    pub denominator: Option<i64>,
    /// What it adds in the metric's unit, rounded; none where a side has no value.
    pub change: Option<String>,
    /// What it adds as an exact fraction.
    pub exact_change: Option<Ratio>,
}

/// One count of rows: below and above the line.
#[derive(Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) denominator: i64,
    pub(crate) numerator: i64,
}

impl Engine {
    /// Explains how `metric` moved from the figure at one snapshot and day to that at another.
    pub async fn explain(
        &self,
        metric: &Metric,
        from: (i64, &str),
        to: (i64, &str),
    ) -> Result<Explanation> {
        let (before, after) = (self.session(Some(from.0)).await?, self.session(Some(to.0)).await?);
        let (old, new) = (definition(metric, from.1)?, definition(metric, to.1)?);
        let was = before.figure(metric, from.1).await?;
        let is = after.figure(metric, to.1).await?;
        let identity = self.identity(metric, old, new)?;
        let steps = after.steps(&before, metric, &identity, (old, new)).await?;
        let [definition, gone, corrected, newer] = steps;
        let start = Counts { denominator: was.denominator.unwrap_or(1), numerator: was.numerator };
        let mut at = start;
        let mut parts = Vec::with_capacity(4);
        for (name, (rows, counts)) in
            [("definition", definition), ("gone", gone), ("corrected", corrected), ("new", newer)]
        {
            let (exact_change, change) = difference(metric, at, counts);
            parts.push(Step {
                step: name,
                rows,
                numerator: counts.numerator,
                denominator: was.denominator.map(|_| counts.denominator),
                change,
                exact_change,
            });
            at = counts;
        }
        let end = (at.numerator, was.denominator.map(|_| at.denominator));
        if end != (is.numerator, is.denominator) {
            return Err(Error::internal(format!(
                "metric {}: the parts of the change end at {end:?}, the figure is {} of {:?}",
                metric.key, is.numerator, is.denominator
            )));
        }
        let (exact_change, change) = difference(metric, start, at);
        Ok(Explanation { from: was, to: is, change, exact_change, steps: parts })
    }

    /// The columns or the expression by which one row is found again at another snapshot.
    fn identity(&self, metric: &Metric, old: &Definition, new: &Definition) -> Result<Identity> {
        if old.distinct != new.distinct {
            let message = format!(
                "metric {}: its definitions of {} and {} count different things",
                metric.key, old.valid_from, new.valid_from
            );
            return Err(Error::new(ErrorKind::Unsupported, "E-METRIC", message)
                .hint("explain the time before and the time after the change each on its own"));
        }
        if let Some(expression) = &new.distinct {
            return Ok(Identity { columns: vec![format!("({expression})")], is_value: true });
        }
        let key = self.row_key(metric)?;
        let quoted = key.iter().map(|name| format!("\"{}\"", name.replace('"', "\"\"")));
        Ok(Identity { columns: quoted.collect(), is_value: false })
    }

    /// The columns that tell the rows of a metric's table apart.
    pub(crate) fn row_key<'a>(&'a self, metric: &'a Metric) -> Result<&'a [String]> {
        if !metric.row_key.is_empty() {
            return Ok(&metric.row_key);
        }
        match self.pipelines().model(&metric.from) {
            Some(model) if !model.header.key.is_empty() => Ok(&model.header.key),
            _ => {
                let message =
                    format!("metric {}: the rows of {} have no key", metric.key, metric.from);
                Err(Error::new(ErrorKind::Config, "E-METRIC", message)
                    .hint("give the metric `row_key`, or the model `key`"))
            }
        }
    }
}

/// How rows of two snapshots are told to be the same.
struct Identity {
    columns: Vec<String>,
    /// Whether it is a value that counts once, however many rows have it.
    is_value: bool,
}

/// The change from one count to the next: exact, and rounded in the metric's unit.
pub(crate) fn difference(
    metric: &Metric,
    from: Counts,
    to: Counts,
) -> (Option<Ratio>, Option<String>) {
    let ratio = |counts: Counts| match metric.unit.is_ratio() {
        false => Ratio::of(counts.numerator, 1),
        true => Ratio::of(counts.numerator, counts.denominator),
    };
    let change = ratio(to).zip(ratio(from)).map(|(to, from)| to.minus(from));
    (change, change.map(|change| change.decimal(metric.unit, metric.digits())))
}

impl Session {
    /// The rows moved by each step, and the counts after it.
    async fn steps(
        &self,
        before: &Self,
        metric: &Metric,
        identity: &Identity,
        (old, new): (&Definition, &Definition),
    ) -> Result<[(i64, Counts); 4]> {
        let action = format!("metric {}", metric.key);
        let failed = |e| engine_error(&action, e);
        let keys: Vec<String> = (0..identity.columns.len()).map(|n| format!("k{n}")).collect();
        let selected: Vec<String> = identity
            .columns
            .iter()
            .zip(&keys)
            .map(|(column, name)| format!("cast({column} as varchar) as {name}"))
            .collect();
        let below = |definition: &Definition, name: &str| {
            let amount = amount(definition.weight.as_ref());
            let predicate = denominator_predicate(definition);
            format!("case when {predicate} then {amount} else 0 end as {name}")
        };
        let above = |definition: &Definition, name: &str| {
            let amount = amount(definition.measure.as_ref());
            let predicate = numerator_predicate(definition);
            format!("case when {predicate} then {amount} else 0 end as {name}")
        };
        let rows = |definitions: [&Definition; 2]| {
            let [first, second] = definitions;
            format!(
                "select {}, {}, {}, {}, {} from {}",
                selected.join(", "),
                below(first, "d0"),
                above(first, "n0"),
                below(second, "d1"),
                above(second, "n1"),
                metric.from,
            )
        };
        // Both sides become views of one session. Grouping spills where a join would not.
        let sides = Arc::new(MemorySchemaProvider::new());
        for (session, sql, name) in
            [(before, rows([old, new]), "before"), (self, rows([new, new]), "after")]
        {
            let frame = session.query(&sql).await.map_err(|e| e.context(&action))?;
            sides.register_table(name.to_owned(), frame.into_view()).map_err(failed)?;
        }
        let catalog = Arc::new(MemoryCatalogProvider::new());
        catalog.register_schema("rows", sides).map_err(failed)?;
        self.context().register_catalog("explained", catalog);
        // Rows that have one key count each; a value counts once.
        let gather = if identity.is_value { "max" } else { "sum" };
        let found = format!(
            "with rows as (
               select {keys}, 1 as b, 0 as a, d0, n0, d1, n1, 0 as d2, 0 as n2 from explained.rows.before
               union all
               select {keys}, 0 as b, 1 as a, 0 as d0, 0 as n0, 0 as d1, 0 as n1, d1 as d2, n1 as n2
               from explained.rows.after),
             each as (
               select max(b) as b, max(a) as a, {sums} from rows group by {keys})
             select sum(d1), sum(n1), sum(case when d0 <> d1 or n0 <> n1 then 1 else 0 end),
               sum(a * d1), sum(a * n1), sum(case when a = 0 and (d1 <> 0 or n1 <> 0) then 1 else 0 end),
               sum(b * d2), sum(b * n2),
               sum(case when a = 1 and b = 1 and (d1 <> d2 or n1 <> n2) then 1 else 0 end),
               sum(d2), sum(n2), sum(case when b = 0 and (d2 <> 0 or n2 <> 0) then 1 else 0 end)
             from each",
            keys = keys.join(", "),
            sums = ["d0", "n0", "d1", "n1", "d2", "n2"]
                .map(|name| format!("cast({gather}({name}) as bigint) as {name}"))
                .join(", "),
        );
        // A null is no value, so it does not count; as part of a key it is like any other.
        let found = match identity.is_value {
            true => found.replace("from rows group by", "from rows where k0 is not null group by"),
            false => found,
        };
        let batches = self.query(&found).await?.collect().await.map_err(failed)?;
        let sum = |column: usize| {
            batches.iter().find(|batch| batch.num_rows() > 0).map_or(0, |batch| {
                let sums = batch.column(column).as_primitive::<Int64Type>();
                if sums.is_null(0) { 0 } else { sums.value(0) }
            })
        };
        Ok([0, 3, 6, 9]
            .map(|at| (sum(at + 2), Counts { denominator: sum(at), numerator: sum(at + 1) })))
    }
}

/// What a row adds to a count.
fn amount(expression: Option<&String>) -> String {
    expression.map_or_else(|| "1".to_owned(), |e| format!("coalesce(cast(({e}) as bigint), 0)"))
}
