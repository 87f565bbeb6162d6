//! Counting distinct values by grouping.
//!
//! DataFusion keeps a set for each group and each `count(distinct)`, which is slow and large where
//! groups are many or met in no order. Grouping by the value first, then counting its groups,
//! gives the same number from one table that spills. DataFusion itself does so only where nothing
//! but sums and bounds stands beside a single distinct value.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, NullEquality, Result};
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::expr::{AggregateFunction, AggregateFunctionParams};
use datafusion::logical_expr::{
    Aggregate, AggregateUDF, Expr, ExprSchemable, JoinType, LogicalPlan, LogicalPlanBuilder, cast,
    ident, lit, when,
};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

/// The rule.
#[derive(Debug)]
pub(crate) struct CountDistinctByGroups;

impl OptimizerRule for CountDistinctByGroups {
    fn name(&self) -> &'static str {
        "count_distinct_by_groups"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Aggregate(aggregate) = &plan else { return Ok(Transformed::no(plan)) };
        let Some(counts) = Counts::of(aggregate) else { return Ok(Transformed::no(plan)) };
        let grouped = match counts.distinct.as_slice() {
            [value] if counts.plain_in_two_steps() => counts.in_two_steps(value)?,
            _ if may_run_again(aggregate) => counts.side_by_side()?,
            _ => return Ok(Transformed::no(plan)),
        };
        Ok(Transformed::yes(grouped))
    }
}

/// Whether an aggregation may run once for each distinct value: it is cheap, and gives the same
/// groups each time.
fn may_run_again(aggregate: &Aggregate) -> bool {
    let mut exprs = aggregate.group_expr.iter().chain(&aggregate.aggr_expr);
    !exprs.any(Expr::is_volatile) && reads_only(&aggregate.input)
}

fn reads_only(plan: &LogicalPlan) -> bool {
    let is_step = matches!(
        plan,
        LogicalPlan::TableScan(_)
            | LogicalPlan::Projection(_)
            | LogicalPlan::Filter(_)
            | LogicalPlan::SubqueryAlias(_)
    );
    let is_steady = !plan.expressions().iter().any(Expr::is_volatile);
    is_step && is_steady && plan.inputs().into_iter().all(reads_only)
}

/// The expressions of an aggregation that counts distinct values.
struct Counts<'a> {
    aggregate: &'a Aggregate,
    /// Values counted once each; null where a row does not count.
    distinct: Vec<Expr>,
    /// For each expression, in order, what it becomes.
    kinds: Vec<Kind<'a>>,
}

enum Kind<'a> {
    /// The distinct value with this number is counted.
    Distinct(usize),
    Plain(&'a Expr),
}

impl<'a> Counts<'a> {
    /// `None` when there is nothing distinct, or something that cannot be told apart so.
    fn of(aggregate: &'a Aggregate) -> Option<Self> {
        if matches!(aggregate.group_expr.first(), Some(Expr::GroupingSet(_))) {
            return None;
        }
        let mut distinct: Vec<Expr> = Vec::new();
        let mut kinds = Vec::with_capacity(aggregate.aggr_expr.len());
        for expr in &aggregate.aggr_expr {
            let AggregateFunction { func, params } = call_of(expr)?;
            if !params.distinct {
                kinds.push(Kind::Plain(expr));
                continue;
            }
            let [value] = params.args.as_slice() else { return None };
            if func.name() != "count" || !params.order_by.is_empty() {
                return None;
            }
            let value = match &params.filter {
                None => value.clone(),
                Some(filter) => when(filter.as_ref().clone(), value.clone()).end().ok()?,
            };
            let number = distinct.iter().position(|other| *other == value).unwrap_or_else(|| {
                distinct.push(value);
                distinct.len() - 1
            });
            kinds.push(Kind::Distinct(number));
        }
        (!distinct.is_empty()).then_some(Self { aggregate, distinct, kinds })
    }

    /// Whether all that is not distinct can be computed of parts.
    fn plain_in_two_steps(&self) -> bool {
        self.kinds.iter().all(|kind| match kind {
            Kind::Distinct(_) => true,
            Kind::Plain(expr) => parts(expr).is_some(),
        })
    }

    /// One pass: everything by group and value first, then by group.
    fn in_two_steps(&self, value: &Expr) -> Result<LogicalPlan> {
        let mut first = Vec::new();
        let mut second = Vec::new();
        for (number, kind) in self.kinds.iter().enumerate() {
            let outcome = match kind {
                Kind::Distinct(_) => call(count_udaf(), ident(VALUE)),
                Kind::Plain(expr) => {
                    let part = name("part", number);
                    first.push((*expr).clone().alias(&part));
                    let whole = parts(expr).unwrap_or_else(sum_udaf);
                    call(whole, ident(part))
                }
            };
            second.push(outcome.alias(name("outcome", number)));
        }
        let groups = self.groups().chain([value.clone().alias(VALUE)]);
        let by_value =
            LogicalPlanBuilder::from(Arc::clone(&self.aggregate.input)).aggregate(groups, first)?;
        let by_group = by_value.aggregate(self.group_columns(), second)?;
        self.renamed(by_group, |number| {
            let outcome = ident(name("outcome", number));
            match &self.kinds[number] {
                // A sum of no parts is null, a count of no rows is not.
                Kind::Plain(expr) if is_count(expr) => {
                    when(outcome.clone().is_null(), lit(0_i64)).otherwise(outcome)
                }
                _ => Ok(outcome),
            }
        })
    }

    /// A pass for each distinct value and one for the rest, joined by group.
    fn side_by_side(&self) -> Result<LogicalPlan> {
        let input = || LogicalPlanBuilder::from(Arc::clone(&self.aggregate.input));
        let mut sides = Vec::new();
        for (number, value) in self.distinct.iter().enumerate() {
            let groups = self.groups().chain([value.clone().alias(VALUE)]);
            let count = call(count_udaf(), ident(VALUE)).alias(name("distinct", number));
            let by_value = input().aggregate(groups, Vec::<Expr>::new())?;
            sides.push(by_value.aggregate(self.group_columns(), [count])?);
        }
        let plain: Vec<Expr> = self
            .kinds
            .iter()
            .enumerate()
            .filter_map(|(number, kind)| match kind {
                Kind::Distinct(_) => None,
                Kind::Plain(expr) => Some((*expr).clone().alias(name("plain", number))),
            })
            .collect();
        if !plain.is_empty() {
            sides.push(input().aggregate(self.groups(), plain)?);
        }
        let mut joined: Option<LogicalPlanBuilder> = None;
        for (number, side) in sides.into_iter().enumerate() {
            joined = Some(match joined {
                None => side,
                Some(joined) => self.join(joined, side, number)?,
            });
        }
        let Some(joined) = joined else { return Ok(self.aggregate.input.as_ref().clone()) };
        self.renamed(joined, |number| {
            Ok(match &self.kinds[number] {
                Kind::Distinct(value) => ident(name("distinct", *value)),
                Kind::Plain(_) => ident(name("plain", number)),
            })
        })
    }

    /// Every side has every group once, so nothing is lost or doubled.
    fn join(
        &self,
        left: LogicalPlanBuilder,
        side: LogicalPlanBuilder,
        number: usize,
    ) -> Result<LogicalPlanBuilder> {
        if self.aggregate.group_expr.is_empty() {
            return left.cross_join(side.build()?);
        }
        let renamed = |group: usize| name(&format!("side{number}_group"), group);
        let fields = side.schema().fields().iter().enumerate().map(|(at, field)| {
            let column = ident(field.name());
            if at < self.aggregate.group_expr.len() { column.alias(renamed(at)) } else { column }
        });
        let columns: Vec<Expr> = fields.collect();
        let side = side.project(columns)?;
        let groups = 0..self.aggregate.group_expr.len();
        let keys = groups.map(|group| {
            let (left, right) = (name("group", group), renamed(group));
            (Column::from_name(left), Column::from_name(right))
        });
        let keys = keys.unzip::<_, _, Vec<_>, Vec<_>>();
        left.join_detailed(side.build()?, JoinType::Inner, keys, None, NullEquality::NullEqualsNull)
    }

    fn groups(&self) -> impl Iterator<Item = Expr> + '_ {
        let groups = self.aggregate.group_expr.iter().enumerate();
        groups.map(|(number, group)| group.clone().alias(name("group", number)))
    }

    fn group_columns(&self) -> Vec<Expr> {
        (0..self.aggregate.group_expr.len()).map(|number| ident(name("group", number))).collect()
    }

    /// The columns under the names and in the types that the aggregation has.
    fn renamed(
        &self,
        plan: LogicalPlanBuilder,
        outcome: impl Fn(usize) -> Result<Expr>,
    ) -> Result<LogicalPlan> {
        let schema = &self.aggregate.schema;
        let outcomes = (0..self.kinds.len()).map(outcome);
        let mut columns = Vec::with_capacity(schema.fields().len());
        let groups = self.group_columns().into_iter().map(Ok);
        for (at, column) in groups.chain(outcomes).enumerate() {
            let column = column?;
            let (qualifier, field) = schema.qualified_field(at);
            let wanted = field.data_type();
            // Sums of sums of decimals have more digits than sums.
            let column = if column.get_type(plan.schema())? == *wanted {
                column
            } else {
                cast(column, wanted.clone())
            };
            columns.push(column.alias_qualified(qualifier.cloned(), field.name()));
        }
        plan.project(columns)?.build()
    }
}

/// The column of the value that is counted once.
const VALUE: &str = "__value";

fn name(what: &str, number: usize) -> String {
    format!("__{what}{number}")
}

fn call(function: Arc<AggregateUDF>, argument: Expr) -> Expr {
    let call = AggregateFunction::new_udf(function, vec![argument], false, None, vec![], None);
    Expr::AggregateFunction(call)
}

fn is_count(expr: &Expr) -> bool {
    call_of(expr).is_some_and(|call| call.func.name() == "count")
}

/// The call itself, under whatever names the optimizer gave it.
fn call_of(expr: &Expr) -> Option<&AggregateFunction> {
    match expr {
        Expr::AggregateFunction(call) => Some(call),
        Expr::Alias(named) => call_of(&named.expr),
        _ => None,
    }
}

/// What makes a whole of an aggregate's parts; none if there is no such function.
fn parts(expr: &Expr) -> Option<Arc<AggregateUDF>> {
    let AggregateFunction { func, params } = call_of(expr)?;
    let AggregateFunctionParams { distinct: false, order_by, .. } = params else { return None };
    match func.name() {
        _ if !order_by.is_empty() => None,
        "count" => Some(sum_udaf()),
        "sum" | "min" | "max" => Some(Arc::clone(func)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Decimal128Array, Int64Array, RecordBatch, StringArray};
    use arrow::datatypes::{DataType, Field, Schema};
    use arrow::util::pretty::pretty_format_batches;
    use datafusion::prelude::{SessionConfig, SessionContext};
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    /// Rows with nulls everywhere, in no order.
    fn rows(seed: u64, count: usize) -> RecordBatch {
        let mut random = StdRng::seed_from_u64(seed);
        let mut text = |values: u32| -> StringArray {
            let value = |_| (!random.random_bool(0.1)).then(|| random.random_range(0..values));
            (0..count).map(value).map(|v| v.map(|v| format!("v{v}"))).collect()
        };
        let (division, person, item) = (text(7), text(200), text(30));
        let mut random = StdRng::seed_from_u64(seed + 1);
        let days: Int64Array = (0..count)
            .map(|_| random.random_bool(0.9).then(|| random.random_range(0..40)))
            .collect();
        let fees: Decimal128Array = (0..count)
            .map(|_| random.random_bool(0.9).then(|| random.random_range(0..9999)))
            .collect();
        let fees = fees.with_precision_and_scale(12, 2).unwrap();
        let fields = vec![
            Field::new("division", DataType::Utf8, true),
            Field::new("person", DataType::Utf8, true),
            Field::new("item", DataType::Utf8, true),
            Field::new("days", DataType::Int64, true),
            Field::new("fee", DataType::Decimal128(12, 2), true),
        ];
        RecordBatch::try_new(
            Arc::new(Schema::new(fields)),
            vec![
                Arc::new(division),
                Arc::new(person),
                Arc::new(item),
                Arc::new(days),
                Arc::new(fees),
            ],
        )
        .unwrap()
    }

    async fn answer(with_rule: bool, batch: &RecordBatch, sql: &str) -> (String, bool) {
        let context =
            SessionContext::new_with_config(SessionConfig::new().with_target_partitions(2));
        if with_rule {
            context.add_optimizer_rule(Arc::new(CountDistinctByGroups));
        }
        context.register_batch("cases", batch.clone()).unwrap();
        let frame = context.sql(sql).await.unwrap();
        let plan = frame.clone().into_optimized_plan().unwrap();
        let plan = plan.display_indent().to_string();
        let mut steps = plan.lines().map(str::trim).filter(|step| step.starts_with("Aggregate:"));
        let has_sets = steps.any(|step| step.contains("count(DISTINCT"));
        (pretty_format_batches(&frame.collect().await.unwrap()).unwrap().to_string(), has_sets)
    }

    #[tokio::test]
    async fn grouping_counts_as_sets_do() {
        let queries = [
            "select division, count(*), count(days), sum(days), min(days), max(fee), sum(fee), \
             count(distinct person) from cases group by division order by division",
            "select division, days / 10 as decade, avg(days) as mean, count(distinct person) as people, \
             count(distinct item) as items, sum(case when days > 3 then 1 else 0 end) as late \
             from cases where days is distinct from 7 group by 1, 2 order by 1, 2",
            "select count(distinct person), count(distinct item), count(*) from cases",
            "select division, count(distinct person) as p, count(distinct item) as i, \
             avg(case when days >= 3 then 1.0 else 0.0 end) as share from cases \
             group by division order by division",
            "select count(distinct case when days > 3 then person end) as a, \
             count(distinct case when days > 9 then person end) as b from cases",
            "select division, count(distinct person) filter (where days > 20), sum(days) filter (where days < 9) \
             from cases group by division order by division",
            "select division as d, count(distinct division) as one, count(distinct item) as many \
             from cases as c group by division order by d",
            "select count(distinct person) as people, count(*) as n, sum(fee) as fee from cases where days > 99",
            "select count(distinct person) as people, count(distinct item) as items, avg(days) as m \
             from cases where days > 99",
            "select division, count(distinct person) as p, count(distinct item) as i from cases \
             where days > 99 group by division",
            "select division, count(distinct person) as p, count(distinct item) as i from cases \
             group by division having count(*) > 10 order by count(distinct person), division",
        ];
        for seed in [1, 2] {
            let batch = rows(seed, 3000);
            for sql in queries {
                let (expected, _) = answer(false, &batch, sql).await;
                let (found, has_sets) = answer(true, &batch, sql).await;
                assert_eq!(found, expected, "seed {seed}: {sql}");
                assert!(!has_sets, "the rule did not apply: {sql}");
            }
        }
    }

    #[tokio::test]
    async fn what_it_cannot_do_stays_as_it_is() {
        let batch = rows(3, 1000);
        for sql in [
            "select division, sum(distinct days) as s, count(distinct item) as i from cases group by 1 order by 1",
            "select division, item, count(distinct person) as p, count(distinct days) as d from cases \
             group by rollup (division, item) order by 1, 2",
            // Two passes would see other rows.
            "select division, count(distinct person) as p, count(distinct item) as i from cases \
             where random() >= 0 group by 1 order by 1",
            // Its input would be computed twice.
            "select k, count(distinct person) as p, count(distinct item) as i from (select a.division as k, \
             a.person, b.item from cases as a inner join cases as b on a.person = b.person) as j group by k order by k",
        ] {
            let (found, has_sets) = answer(true, &batch, sql).await;
            assert_eq!(found, answer(false, &batch, sql).await.0, "{sql}");
            assert!(has_sets, "the rule applied: {sql}");
        }
    }
}
