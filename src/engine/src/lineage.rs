//! Through which columns of a SELECT personal data comes out.
//!
//! Columns are followed by their place, because nodes of a plan give them other names. Within one
//! expression they are told apart by name alone. So a column may be taken for personal that is not,
//! and none the other way round.

use std::collections::BTreeMap;

use datafusion::catalog::cte_worktable::CteWorkTable;
use datafusion::common::JoinType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::source_as_provider;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::utils::grouping_set_to_exprlist;
use datafusion::logical_expr::{
    Distinct, Expr, Join, LogicalPlan, Operator, RecursiveQuery, TableScan,
};

use crate::personal::{DERIVED, Personal, Tags};

/// Functions that give back what they are given, in another form.
const SAME_VALUE: [&str; 8] =
    ["trim", "btrim", "ltrim", "rtrim", "upper", "lower", "to_halfwidth", "coalesce"];
/// Aggregates that give one of the values they are given.
const ONE_OF_THEM: [&str; 5] = ["min", "max", "first_value", "last_value", "any_value"];

/// The kind of personal data in each column of a plan, in their order.
type Kinds = Vec<Option<String>>;

/// The same for the columns that an expression can name.
type Scope<'p> = BTreeMap<&'p str, Option<String>>;

/// What a column is that has values of two: of their kind, if they are of one.
pub(crate) fn joined(one: Option<String>, other: Option<String>) -> Option<String> {
    match (one, other) {
        (Some(one), Some(other)) if one != other => Some(DERIVED.to_owned()),
        (one, other) => one.or(other),
    }
}

/// The personal columns that a plan gives.
pub(crate) fn personal_columns(personal: &Personal, plan: &LogicalPlan) -> Tags {
    let kinds = Lineage { personal, working: BTreeMap::new() }.of(plan);
    let named = scope(plan, &kinds).into_iter();
    named.filter_map(|(name, kind)| Some((name.to_owned(), kind?))).collect()
}

fn scope<'p>(plan: &'p LogicalPlan, kinds: &Kinds) -> Scope<'p> {
    let mut scope = Scope::new();
    for (field, kind) in plan.schema().fields().iter().zip(kinds) {
        let before = scope.remove(field.name().as_str()).flatten();
        scope.insert(field.name(), joined(before, kind.clone()));
    }
    scope
}

/// Follows columns through plans.
struct Lineage<'a> {
    personal: &'a Personal,
    /// What is in the tables of recursive queries, by their names.
    working: BTreeMap<String, Kinds>,
}

impl Lineage<'_> {
    fn of(&self, plan: &LogicalPlan) -> Kinds {
        let width = plan.schema().fields().len();
        // Of a node that has other columns than it should nothing is known.
        self.known(plan)
            .filter(|kinds| kinds.len() == width)
            .unwrap_or_else(|| vec![Some(DERIVED.to_owned()); width])
    }

    /// The columns of a plan, as far as something is known of its kind.
    fn known(&self, plan: &LogicalPlan) -> Option<Kinds> {
        Some(match plan {
            LogicalPlan::TableScan(scan) => self.table(scan)?,
            LogicalPlan::EmptyRelation(empty) => vec![None; empty.schema.fields().len()],
            LogicalPlan::Values(values) => {
                let nothing = Scope::new();
                let column = |place: usize| {
                    let cells = values.values.iter().filter_map(|row| row.get(place));
                    self.of_all(cells, &nothing)
                };
                (0..values.schema.fields().len()).map(column).collect()
            }
            LogicalPlan::Filter(node) => self.of(&node.input),
            LogicalPlan::Sort(node) => self.of(&node.input),
            LogicalPlan::Limit(node) => self.of(&node.input),
            LogicalPlan::Repartition(node) => self.of(&node.input),
            LogicalPlan::Subquery(node) => self.of(&node.subquery),
            LogicalPlan::SubqueryAlias(node) => self.of(&node.input),
            LogicalPlan::Distinct(Distinct::All(input)) => self.of(input),
            LogicalPlan::Distinct(Distinct::On(node)) => self.over(&node.select_expr, &node.input),
            LogicalPlan::Projection(node) => self.over(&node.expr, &node.input),
            LogicalPlan::Window(node) => {
                let mut kinds = self.of(&node.input);
                let found = self.each(&node.window_expr, &scope(&node.input, &kinds));
                kinds.extend(found);
                kinds
            }
            LogicalPlan::Aggregate(node) => {
                let input = self.of(&node.input);
                let scope = scope(&node.input, &input);
                let mut kinds = self.each(grouping_set_to_exprlist(&node.group_expr).ok()?, &scope);
                if matches!(node.group_expr.as_slice(), [Expr::GroupingSet(_)]) {
                    // By which columns a row was grouped.
                    kinds.push(None);
                }
                kinds.extend(self.each(&node.aggr_expr, &scope));
                kinds
            }
            LogicalPlan::Join(node) => self.join(node),
            LogicalPlan::Union(node) => {
                let mut parts = node.inputs.iter().map(|part| self.of(part));
                let first = parts.next()?;
                parts.try_fold(first, both)?
            }
            LogicalPlan::RecursiveQuery(node) => self.recursive(node)?,
            LogicalPlan::Unnest(node) => {
                let input = self.of(&node.input);
                let places = node.dependency_indices.iter();
                places.map(|place| input.get(*place).cloned()).collect::<Option<_>>()?
            }
            // Nodes of others, and statements that no SELECT is made of.
            LogicalPlan::Extension(_)
            | LogicalPlan::Statement(_)
            | LogicalPlan::Explain(_)
            | LogicalPlan::Analyze(_)
            | LogicalPlan::Dml(_)
            | LogicalPlan::Ddl(_)
            | LogicalPlan::Copy(_)
            | LogicalPlan::DescribeTable(_) => return None,
        })
    }

    fn table(&self, scan: &TableScan) -> Option<Kinds> {
        let provider = source_as_provider(&scan.source).ok();
        let work = provider.as_ref().and_then(|provider| provider.downcast_ref::<CteWorkTable>());
        if let Some(work) = work {
            let kinds = self.working.get(work.name())?;
            return match &scan.projection {
                None => Some(kinds.clone()),
                Some(places) => places.iter().map(|place| kinds.get(*place).cloned()).collect(),
            };
        }
        let schema = scan.table_name.schema().unwrap_or("standard");
        let name = format!("{schema}.{}", scan.table_name.table());
        let fields = scan.projected_schema.fields().iter();
        Some(
            fields.map(|field| self.personal.tag(&name, field.name()).map(str::to_owned)).collect(),
        )
    }

    fn join(&self, join: &Join) -> Kinds {
        let mut kinds = match join.join_type {
            JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => self.of(&join.right),
            _ => self.of(&join.left),
        };
        match join.join_type {
            JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => {
                kinds.extend(self.of(&join.right));
            }
            JoinType::LeftSemi | JoinType::LeftAnti | JoinType::RightSemi | JoinType::RightAnti => {
            }
            // The mark says whether there is a row on the other side.
            JoinType::LeftMark | JoinType::RightMark => kinds.push(None),
        }
        kinds
    }

    /// A query that reads its own rows: what is found in them is put into them until that is no
    /// more.
    fn recursive(&self, query: &RecursiveQuery) -> Option<Kinds> {
        let mut kinds = self.of(&query.static_term);
        loop {
            let mut working = self.working.clone();
            working.insert(query.name.clone(), kinds.clone());
            let inside = Lineage { personal: self.personal, working };
            let more = both(kinds.clone(), inside.of(&query.recursive_term))?;
            if more == kinds {
                return Some(kinds);
            }
            kinds = more;
        }
    }

    /// What expressions over the columns of `input` are.
    fn over(&self, expressions: &[Expr], input: &LogicalPlan) -> Kinds {
        self.each(expressions, &scope(input, &self.of(input)))
    }

    fn each<'e>(
        &self,
        expressions: impl IntoIterator<Item = &'e Expr>,
        scope: &Scope<'_>,
    ) -> Kinds {
        expressions.into_iter().map(|each| self.of_expression(each, scope)).collect()
    }

    fn of_expression(&self, expression: &Expr, scope: &Scope<'_>) -> Option<String> {
        match expression {
            Expr::Alias(alias) => self.of_expression(&alias.expr, scope),
            Expr::Column(column) => of_column(&column.name, scope),
            Expr::Cast(cast) => self.of_expression(&cast.expr, scope),
            Expr::TryCast(cast) => self.of_expression(&cast.expr, scope),
            // Whether something holds of a person is no value of theirs.
            Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::IsTrue(_)
            | Expr::IsFalse(_)
            | Expr::IsUnknown(_)
            | Expr::IsNotTrue(_)
            | Expr::IsNotFalse(_)
            | Expr::IsNotUnknown(_)
            | Expr::Not(_)
            | Expr::Between(_)
            | Expr::InList(_)
            | Expr::InSubquery(_)
            | Expr::Exists(_)
            | Expr::Like(_)
            | Expr::SimilarTo(_) => None,
            Expr::BinaryExpr(binary) if is_condition(binary.op) => None,
            Expr::Case(case) => {
                let results = case.when_then_expr.iter().map(|(_, then)| then);
                self.of_all(results.chain(&case.else_expr).map(Box::as_ref), scope)
            }
            Expr::ScalarFunction(call) => {
                let name = call.func.name();
                if name.starts_with("mask_") || name.ends_with("_valid") {
                    None
                } else if SAME_VALUE.contains(&name) {
                    self.of_all(call.args.iter(), scope)
                } else {
                    self.of_parts(expression, scope)
                }
            }
            Expr::AggregateFunction(call) => {
                let name = call.func.name();
                if name.contains("count") || name == "approx_distinct" {
                    None
                } else if ONE_OF_THEM.contains(&name) {
                    self.of_all(call.params.args.iter(), scope)
                } else {
                    self.of_parts(expression, scope)
                }
            }
            _ => self.of_parts(expression, scope),
        }
    }

    /// What one of several values is.
    fn of_all<'e>(
        &self,
        expressions: impl Iterator<Item = &'e Expr>,
        scope: &Scope<'_>,
    ) -> Option<String> {
        expressions.map(|each| self.of_expression(each, scope)).fold(None, joined)
    }

    /// What is computed from whatever an expression names.
    fn of_parts(&self, expression: &Expr, scope: &Scope<'_>) -> Option<String> {
        let mut is_personal = false;
        let walked: DataFusionResult<TreeNodeRecursion> = expression.apply(|part| {
            is_personal |= match part {
                Expr::Column(column) => of_column(&column.name, scope).is_some(),
                // What stands around a subquery is not followed into it.
                Expr::OuterReferenceColumn(..) => true,
                Expr::ScalarSubquery(inner) => self.of(&inner.subquery).iter().any(Option::is_some),
                _ => false,
            };
            Ok(TreeNodeRecursion::Continue)
        });
        (is_personal || walked.is_err()).then(|| DERIVED.to_owned())
    }
}

/// Of a column that is not among those of the input nothing is known.
fn of_column(name: &str, scope: &Scope<'_>) -> Option<String> {
    scope.get(name).cloned().unwrap_or_else(|| Some(DERIVED.to_owned()))
}

/// The columns of two parts that are put below each other.
fn both(one: Kinds, other: Kinds) -> Option<Kinds> {
    let is_even = one.len() == other.len();
    is_even.then(|| one.into_iter().zip(other).map(|(one, other)| joined(one, other)).collect())
}

fn is_condition(op: Operator) -> bool {
    op.is_logic_operator() || is_comparison(op)
}

/// Comparisons of two values, which are true or false whatever the values are.
pub(crate) fn is_comparison(op: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}
