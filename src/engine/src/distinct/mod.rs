//! Counting distinct values.
//!
//! DataFusion keeps a set for each group and each `count(distinct)`, which is slow and large where
//! groups are many or met in no order. Where groups are counted, one set for all of them takes its
//! place. Where a single value is counted, or the whole, grouping by the value first, then counting
//! its groups, gives the same number from one table that spills; DataFusion itself does so only
//! where nothing but sums and bounds stands beside a single distinct value.

mod accumulator;
mod batches;
mod together;

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::expr::{AggregateFunction, AggregateFunctionParams};
use datafusion::logical_expr::{
    Aggregate, AggregateUDF, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, cast, ident,
    lit, when,
};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

use self::accumulator::count_distinct_pairs;
pub(crate) use self::together::CountWhereGroupsAre;

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
            _ if !aggregate.group_expr.is_empty() => counts.by_pairs()?,
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

    /// One pass, in which all distinct values of all groups are kept.
    fn by_pairs(&self) -> Result<LogicalPlan> {
        let distinct = self.distinct.iter().enumerate().map(|(number, value)| {
            call(count_distinct_pairs(), value.clone()).alias(name("distinct", number))
        });
        let calls: Vec<Expr> = distinct.chain(self.plain()).collect();
        let counted = LogicalPlanBuilder::from(Arc::clone(&self.aggregate.input))
            .aggregate(self.groups(), calls)?;
        self.named_by_kind(counted)
    }

    /// A pass for each distinct value and one for the rest, which give one row each.
    fn side_by_side(&self) -> Result<LogicalPlan> {
        let input = || LogicalPlanBuilder::from(Arc::clone(&self.aggregate.input));
        let mut sides = Vec::new();
        for (number, value) in self.distinct.iter().enumerate() {
            let count = call(count_udaf(), ident(VALUE)).alias(name("distinct", number));
            let by_value = input().aggregate([value.clone().alias(VALUE)], Vec::<Expr>::new())?;
            sides.push(by_value.aggregate(Vec::<Expr>::new(), [count])?);
        }
        let plain: Vec<Expr> = self.plain().collect();
        if !plain.is_empty() {
            sides.push(input().aggregate(Vec::<Expr>::new(), plain)?);
        }
        let mut joined: Option<LogicalPlanBuilder> = None;
        for side in sides {
            joined = Some(match joined {
                None => side,
                Some(joined) => joined.cross_join(side.build()?)?,
            });
        }
        match joined {
            Some(joined) => self.named_by_kind(joined),
            None => Ok(self.aggregate.input.as_ref().clone()),
        }
    }

    /// What is not distinct, named by its number.
    fn plain(&self) -> impl Iterator<Item = Expr> + '_ {
        self.kinds.iter().enumerate().filter_map(|(number, kind)| match kind {
            Kind::Distinct(_) => None,
            Kind::Plain(expr) => Some((*expr).clone().alias(name("plain", number))),
        })
    }

    fn named_by_kind(&self, plan: LogicalPlanBuilder) -> Result<LogicalPlan> {
        self.renamed(plan, |number| {
            Ok(match &self.kinds[number] {
                Kind::Distinct(value) => ident(name("distinct", *value)),
                Kind::Plain(_) => ident(name("plain", number)),
            })
        })
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
mod tests;
