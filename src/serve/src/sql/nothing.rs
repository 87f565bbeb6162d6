//! What clients ask about things that the hub's tables do not have: keys, indexes, defaults,
//! comments, sequences, functions of a database.
//!
//! Drivers ask it in the hardest SQL there is, such as arrays of column numbers that functions
//! spread over rows. The answer is known without planning any of it: a SELECT that joins one of these
//! tables has no rows, a subquery over one has no value. Parameters are kept, because the client
//! binds them.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::mem;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    AccessExpr, Array, ArrayElemTypeDef, BinaryOperator, CaseWhen, CastKind, DataType, Expr,
    Function, FunctionArguments, GroupByExpr, Ident, JoinConstraint, JoinOperator, ObjectName,
    Query, Select, SelectItem, SetExpr, TableFactor, UnaryOperator, Value, Visit, Visitor,
    visit_expressions,
};

use super::dialect::{call, last_name};

/// The tables of `pg_catalog` that have no rows here, though another server's would.
pub(super) const TABLES: [&str; 37] = [
    "pg_attrdef",
    "pg_auth_members",
    "pg_authid",
    "pg_collation",
    "pg_constraint",
    "pg_db_role_setting",
    "pg_default_acl",
    "pg_depend",
    "pg_description",
    "pg_enum",
    "pg_event_trigger",
    "pg_extension",
    "pg_foreign_data_wrapper",
    "pg_foreign_server",
    "pg_foreign_table",
    "pg_index",
    "pg_inherits",
    "pg_init_privs",
    "pg_largeobject",
    "pg_largeobject_metadata",
    "pg_partitioned_table",
    "pg_policy",
    "pg_proc",
    "pg_publication",
    "pg_publication_namespace",
    "pg_publication_rel",
    "pg_rewrite",
    "pg_seclabel",
    "pg_sequence",
    "pg_shdepend",
    "pg_shdescription",
    "pg_shseclabel",
    "pg_statistic_ext",
    "pg_statistic_ext_data",
    "pg_subscription",
    "pg_trigger",
    "pg_user_mapping",
];

/// Functions that give a row where there are none.
const AGGREGATES: [&str; 12] = [
    "array_agg",
    "avg",
    "bool_and",
    "bool_or",
    "count",
    "every",
    "json_agg",
    "jsonb_agg",
    "max",
    "min",
    "string_agg",
    "sum",
];

/// Empties a SELECT that joins what has no rows, and the outer joins of what has none.
pub(super) fn settle(select: &mut Select) {
    let mut is_empty = false;
    for table in &mut select.from {
        let mut left = has_no_rows(&table.relation);
        for join in &mut table.joins {
            let right = has_no_rows(&join.relation);
            match &mut join.join_operator {
                JoinOperator::Join(_) | JoinOperator::Inner(_) | JoinOperator::CrossJoin(_) => {
                    left |= right;
                }
                JoinOperator::Left(JoinConstraint::On(on))
                | JoinOperator::LeftOuter(JoinConstraint::On(on))
                    if right =>
                {
                    let kept = parameters(&*on);
                    *on = never(kept);
                }
                JoinOperator::Left(_) | JoinOperator::LeftOuter(_) => {}
                JoinOperator::Right(_) | JoinOperator::RightOuter(_) => left = right,
                JoinOperator::FullOuter(_) => left &= right,
                _ => return,
            }
        }
        is_empty |= left;
    }
    if !is_empty || gives_a_row(select) {
        return;
    }
    let Some(columns) = columns(&select.projection) else { return };
    let kept = parameters(&*select);
    select.projection = columns;
    select.selection = Some(never(kept));
    select.from.clear();
    select.distinct = None;
    select.group_by = GroupByExpr::Expressions(Vec::new(), Vec::new());
    select.having = None;
    select.named_window.clear();
}

/// Gives a subquery over what has no rows its value. One that looks outward, of which the engine
/// knows only aggregates, is made one.
pub(super) fn settle_subquery(expr: &mut Expr) {
    let value = match expr {
        Expr::Subquery(query) if is_nothing(query) => no_value(parameters(&**query)),
        Expr::Exists { subquery, negated } if is_nothing(subquery) => {
            let never = Expr::Nested(Box::new(never(parameters(&**subquery))));
            if *negated {
                Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(never) }
            } else {
                never
            }
        }
        Expr::Function(function) => match subquery_of_array(function) {
            Some(query) if is_nothing(query) || looks_outward(query) => no_elements(),
            _ => return,
        },
        Expr::Subquery(query) => {
            if looks_outward(query) {
                make_single(query);
            }
            return;
        }
        _ => return,
    };
    *expr = value;
}

/// Whether a query was emptied.
pub(super) fn is_nothing(query: &Query) -> bool {
    let SetExpr::Select(select) = &*query.body else { return false };
    let all_null = select.projection.iter().all(|item| match item {
        SelectItem::ExprWithAlias { expr, .. } => *expr == null_text(),
        _ => false,
    });
    all_null && select.from.is_empty() && select.selection.as_ref().is_some_and(is_false)
}

fn is_false(expr: &Expr) -> bool {
    match expr {
        Expr::Value(value) => value.value == Value::Boolean(false),
        Expr::BinaryOp { left, op: BinaryOperator::And, .. } => is_false(left),
        _ => false,
    }
}

fn has_no_rows(factor: &TableFactor) -> bool {
    match factor {
        TableFactor::Table { name, args: None, .. } => is_listed(name),
        TableFactor::Derived { subquery, .. } => is_nothing(subquery),
        _ => false,
    }
}

fn is_listed(name: &ObjectName) -> bool {
    let in_catalog = match name.0.as_slice() {
        [_] => true,
        [.., schema, _] => schema.as_ident().is_some_and(|schema| schema.value == "pg_catalog"),
        [] => false,
    };
    in_catalog && last_name(name).is_some_and(|name| TABLES.contains(&name.as_str()))
}

/// Whether it aggregates without groups, which gives one row over none.
fn gives_a_row(select: &Select) -> bool {
    let has_groups = match &select.group_by {
        GroupByExpr::All(_) => true,
        GroupByExpr::Expressions(expressions, _) => !expressions.is_empty(),
    };
    if has_groups {
        return false;
    }
    let mut aggregates = select.having.is_some();
    let ControlFlow::Continue(()) = visit_expressions(&select.projection, |expr| {
        if let Expr::Function(Function { name, over: None, .. }) = expr {
            let name = last_name(name).unwrap_or_default();
            aggregates |= AGGREGATES.contains(&name.as_str());
        }
        ControlFlow::<Infallible>::Continue(())
    });
    aggregates
}

/// The same columns without values; none where their names are not told.
fn columns(projection: &[SelectItem]) -> Option<Vec<SelectItem>> {
    let mut used = BTreeSet::new();
    let column = |(position, item): (usize, &SelectItem)| {
        let name = match item {
            SelectItem::ExprWithAlias { alias, .. } => alias.clone(),
            SelectItem::UnnamedExpr(expr) => output_name(expr),
            _ => return None,
        };
        let alias = if used.insert(name.value.clone()) {
            name
        } else {
            Ident::with_quote('"', format!("{}_{}", name.value, position + 1))
        };
        Some(SelectItem::ExprWithAlias { expr: null_text(), alias })
    };
    projection.iter().enumerate().map(column).collect()
}

/// What Postgres calls a column without an alias.
pub(super) fn output_name(expr: &Expr) -> Ident {
    let named = match expr {
        Expr::Identifier(name) => Some(name.clone()),
        Expr::CompoundIdentifier(names) => names.last().cloned(),
        Expr::Function(function) => {
            last_name(&function.name).map(|name| Ident::with_quote('"', name))
        }
        Expr::Cast { expr, .. } | Expr::Nested(expr) => Some(output_name(expr)),
        Expr::CompoundFieldAccess { access_chain, .. } => match access_chain.last() {
            Some(AccessExpr::Dot(Expr::Identifier(name))) => Some(name.clone()),
            _ => None,
        },
        _ => None,
    };
    named.unwrap_or_else(|| Ident::with_quote('"', "?column?"))
}

/// The parameters in a part of a statement, each with the type it is cast to.
fn parameters(part: &impl Visit) -> BTreeMap<String, Expr> {
    let mut found = BTreeMap::new();
    let ControlFlow::Continue(()) = visit_expressions(part, |expr| {
        if let Expr::Cast { expr: inner, .. } = expr
            && let Some(id) = placeholder(inner)
        {
            found.insert(id, expr.clone());
        } else if let Some(id) = placeholder(expr) {
            found.entry(id).or_insert_with(|| expr.clone());
        }
        ControlFlow::<Infallible>::Continue(())
    });
    found
}

fn placeholder(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Placeholder(id) => Some(id.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// A condition that never holds and still has its parameters.
fn never(kept: BTreeMap<String, Expr>) -> Expr {
    let never = Expr::Value(Value::Boolean(false).with_empty_span());
    kept.into_values().fold(never, |never, parameter| Expr::BinaryOp {
        left: Box::new(never),
        op: BinaryOperator::And,
        right: Box::new(Expr::IsNull(Box::new(parameter))),
    })
}

fn null() -> Expr {
    Expr::Value(Value::Null.with_empty_span())
}

fn null_text() -> Expr {
    cast(null(), DataType::Text)
}

fn cast(expr: Expr, data_type: DataType) -> Expr {
    let expr = Box::new(expr);
    Expr::Cast { kind: CastKind::Cast, expr, data_type, array: false, format: None }
}

/// Null, whatever its type, with its parameters.
fn no_value(kept: BTreeMap<String, Expr>) -> Expr {
    if kept.is_empty() {
        return null();
    }
    Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![CaseWhen { condition: never(kept), result: null() }],
        else_result: None,
    }
}

/// The query of `array(select …)`.
fn subquery_of_array(function: &Function) -> Option<&Query> {
    match &function.args {
        FunctionArguments::Subquery(query) if last_name(&function.name)? == "array" => {
            Some(&**query)
        }
        _ => None,
    }
}

fn no_elements() -> Expr {
    let texts = ArrayElemTypeDef::SquareBracket(Box::new(DataType::Text), None);
    cast(Expr::Array(Array { elem: Vec::new(), named: true }), DataType::Array(texts))
}

/// The names by which the tables of a query are called within it.
#[derive(Default)]
struct Within(BTreeSet<String>);

impl Visitor for Within {
    type Break = Infallible;

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Infallible> {
        match factor {
            TableFactor::Table { alias: Some(alias), .. }
            | TableFactor::Derived { alias: Some(alias), .. } => {
                self.0.insert(alias.name.value.to_lowercase());
            }
            TableFactor::Table { name, alias: None, .. } => self.0.extend(last_name(name)),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// Whether a subquery names columns of what is around it.
fn looks_outward(query: &Query) -> bool {
    let mut within = Within::default();
    let ControlFlow::Continue(()) = query.visit(&mut within);
    let mut outward = false;
    let ControlFlow::Continue(()) = visit_expressions(query, |expr| {
        if let Expr::CompoundIdentifier(names) = expr
            && let [.., table, _] = names.as_slice()
        {
            outward |= !within.0.contains(&table.value.to_lowercase());
        }
        ControlFlow::<Infallible>::Continue(())
    });
    outward
}

/// Has a subquery of one column give the largest value, which is its only one.
fn make_single(query: &mut Query) {
    let SetExpr::Select(select) = &mut *query.body else { return };
    let has_groups =
        !matches!(&select.group_by, GroupByExpr::Expressions(groups, _) if groups.is_empty());
    if has_groups || gives_a_row(select) || query.limit_clause.is_some() {
        return;
    }
    if let [SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }] =
        select.projection.as_mut_slice()
    {
        let only = mem::replace(expr, null());
        *expr = call("max", vec![only]);
        query.order_by = None;
    }
}
