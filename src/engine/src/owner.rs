//! Whose the rows of tables are: which columns name a division or a department.
//!
//! A column names one where a stream says so, and where it is a plain copy of such a column. So a column
//! that does name one may be overlooked, which closes its table to people with limits, and none is
//! taken for one that is not.

use std::collections::BTreeMap;

use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::common::{JoinType, ScalarValue};
use datafusion::functions::string::expr_fn::starts_with;
use datafusion::functions::unicode::expr_fn::{character_length, substring};
use datafusion::logical_expr::utils::grouping_set_to_exprlist;
use datafusion::logical_expr::{Distinct, Expr, LogicalPlan};
use datafusion::prelude::{cast, ident, lit};
use huiliu_core::access::Limits;
use huiliu_core::reconcile::Reconciliation;
use huiliu_sdk::{Error, ErrorKind};

use crate::personal::Tags;

/// Of the hub's own tables those that tell no rows, only how runs, streams and pushes went.
const COUNTS: [&str; 5] = ["ops.runs", "ops.steps", "ops.streams", "ops.outbox", "ops.push_days"];
/// How long a unified social credit code is, and where in it the division stands.
const CREDIT_CODE: (i64, i64, i64) = (18, 3, 6);

/// What a column names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    Division,
    Department,
}

/// The columns of tables that say whose their rows are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Owners {
    tables: BTreeMap<String, BTreeMap<String, Owner>>,
}

/// Which rows of a table are seen.
#[derive(Debug)]
pub(crate) enum Owned {
    All,
    /// Those for which this holds.
    Those(Expr),
    /// None, because nothing says whose they are.
    Closed,
}

impl Owners {
    /// What streams (tags by `system_stream`) say.
    pub(crate) fn new(streams: &BTreeMap<String, Tags>) -> Self {
        let mut tables = BTreeMap::new();
        for (stream, tags) in streams {
            let columns = tags.iter().filter_map(|(name, tag)| Some((name.clone(), owner(tag)?)));
            let columns: BTreeMap<String, Owner> = columns.collect();
            for schema in ["current", "history", "raw"] {
                tables.insert(format!("{schema}.{stream}"), columns.clone());
            }
        }
        Self { tables }
    }

    fn of(&self, table: &str, column: &str) -> Option<Owner> {
        self.tables.get(table)?.get(column).copied()
    }

    /// Learns of the table `name` from its SELECT.
    pub(crate) fn learn(&mut self, name: &str, select: &LogicalPlan) {
        let fields = select.schema().fields().iter();
        let found = fields.zip(self.through(select));
        let columns = found.filter_map(|(field, owner)| Some((field.name().clone(), owner?)));
        let columns = columns.collect();
        self.tables.insert(name.to_owned(), columns);
    }

    /// Learns of the golden table of a reconciliation: a field says whose a row is if it does so in
    /// all systems that have it. Of the ledgers nothing is known.
    pub(crate) fn learn_reconciliation(&mut self, rec: &Reconciliation) {
        let mut columns = BTreeMap::new();
        for field in &rec.fields {
            let having = field.trust.iter().filter_map(|system| rec.systems.get(*system));
            let owners =
                having.clone().map(|system| self.of(&system.table, system.column(&field.name)));
            let Some(owner) = one_of(owners) else { continue };
            columns.insert(field.name.clone(), owner);
            columns.extend(having.map(|system| (format!("{}_{}", system.name, field.name), owner)));
        }
        self.tables.insert(rec.table(), columns);
    }

    /// Which rows of a table `limits` let through, as far as it has the columns in `schema`.
    pub(crate) fn rows(&self, table: &str, schema: Option<&Schema>, limits: &Limits) -> Owned {
        if limits.is_open() || COUNTS.contains(&table) {
            return Owned::All;
        }
        let named = |wanted: Owner| -> Vec<Expr> {
            let has = |name: &str| schema.is_none_or(|schema| schema.field_with_name(name).is_ok());
            let columns = self.tables.get(table).into_iter().flatten();
            columns
                .filter(|(name, owner)| **owner == wanted && has(name))
                .map(|(name, _)| cast(ident(name), DataType::Utf8))
                .collect()
        };
        let (divisions, departments) = (named(Owner::Division), named(Owner::Department));
        let mut all = Vec::new();
        if !limits.divisions.is_empty() {
            let prefixes = limits.prefixes();
            let within =
                |code: &Expr| any(prefixes.iter().map(|p| starts_with(code.clone(), lit(*p))));
            let rows = if divisions.is_empty() {
                // The credit code of a department tells in which division it was registered.
                let (length, start, digits) = CREDIT_CODE;
                own(&departments, |code| {
                    let is_code = character_length(code.clone()).eq(lit(length));
                    is_code.and(within(&substring(code.clone(), lit(start), lit(digits))))
                })
            } else {
                own(&divisions, within)
            };
            all.push(rows);
        }
        if !limits.departments.is_empty() {
            let names: Vec<Expr> =
                limits.departments.iter().map(|name| lit(name.as_str())).collect();
            all.push(own(&departments, |name| name.clone().in_list(names.clone(), false)));
        }
        match all
            .into_iter()
            .collect::<Option<Vec<Expr>>>()
            .map(|all| all.into_iter().reduce(Expr::and))
        {
            Some(Some(rows)) => Owned::Those(rows),
            _ => Owned::Closed,
        }
    }

    /// What each column of a plan names.
    fn through(&self, plan: &LogicalPlan) -> Vec<Option<Owner>> {
        let width = plan.schema().fields().len();
        let known = self.known(plan).filter(|owners| owners.len() == width);
        known.unwrap_or_else(|| vec![None; width])
    }

    fn known(&self, plan: &LogicalPlan) -> Option<Vec<Option<Owner>>> {
        Some(match plan {
            LogicalPlan::TableScan(scan) => {
                let schema = scan.table_name.schema().unwrap_or("standard");
                let name = format!("{schema}.{}", scan.table_name.table());
                let fields = scan.projected_schema.fields().iter();
                fields.map(|field| self.of(&name, field.name())).collect()
            }
            LogicalPlan::Filter(node) => self.through(&node.input),
            LogicalPlan::Sort(node) => self.through(&node.input),
            LogicalPlan::Limit(node) => self.through(&node.input),
            LogicalPlan::Repartition(node) => self.through(&node.input),
            LogicalPlan::SubqueryAlias(node) => self.through(&node.input),
            LogicalPlan::Distinct(Distinct::All(input)) => self.through(input),
            LogicalPlan::Distinct(Distinct::On(node)) => self.over(&node.select_expr, &node.input),
            LogicalPlan::Projection(node) => self.over(&node.expr, &node.input),
            LogicalPlan::Window(node) => {
                let mut owners = self.through(&node.input);
                owners.extend(node.window_expr.iter().map(|_| None));
                owners
            }
            // A group is of the one that it is grouped by.
            LogicalPlan::Aggregate(node) => {
                if matches!(node.group_expr.as_slice(), [Expr::GroupingSet(_)]) {
                    return None;
                }
                let groups = grouping_set_to_exprlist(&node.group_expr).ok()?;
                let input = self.through(&node.input);
                let of = |group: &&Expr| expression(group, &node.input, &input);
                let mut owners: Vec<Option<Owner>> = groups.iter().map(of).collect();
                owners.extend(node.aggr_expr.iter().map(|_| None));
                owners
            }
            LogicalPlan::Join(node) => match node.join_type {
                JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => {
                    let mut owners = self.through(&node.left);
                    owners.extend(self.through(&node.right));
                    owners
                }
                JoinType::LeftSemi | JoinType::LeftAnti => self.through(&node.left),
                JoinType::RightSemi | JoinType::RightAnti => self.through(&node.right),
                JoinType::LeftMark | JoinType::RightMark => return None,
            },
            LogicalPlan::Union(node) => {
                let parts: Vec<_> = node.inputs.iter().map(|part| self.through(part)).collect();
                let width = node.schema.fields().len();
                let column = |place: usize| {
                    one_of(parts.iter().map(|part| part.get(place).copied().flatten()))
                };
                (0..width).map(column).collect()
            }
            _ => return None,
        })
    }

    fn over(&self, expressions: &[Expr], input: &LogicalPlan) -> Vec<Option<Owner>> {
        let owners = self.through(input);
        expressions.iter().map(|each| expression(each, input, &owners)).collect()
    }
}

/// What a copy of a column names; anything computed names nothing.
fn expression(expr: &Expr, input: &LogicalPlan, owners: &[Option<Owner>]) -> Option<Owner> {
    match expr {
        Expr::Alias(alias) => expression(&alias.expr, input, owners),
        Expr::Column(column) => {
            let place = input.schema().maybe_index_of_column(column)?;
            owners.get(place).copied().flatten()
        }
        Expr::Cast(cast) if *cast.field.data_type() == DataType::Utf8 => {
            expression(&cast.expr, input, owners)
        }
        Expr::ScalarFunction(call) if call.func.name() == "coalesce" => {
            one_of(call.args.iter().map(|each| expression(each, input, owners)))
        }
        Expr::ScalarFunction(call)
            if matches!(call.func.name(), "trim" | "btrim") && call.args.len() == 1 =>
        {
            expression(call.args.first()?, input, owners)
        }
        // An empty code names nobody, whether it is kept as such or not.
        Expr::ScalarFunction(call) if call.func.name() == "nullif" => match call.args.as_slice() {
            [value, Expr::Literal(ScalarValue::Utf8(Some(empty)), _)] if empty.is_empty() => {
                expression(value, input, owners)
            }
            _ => None,
        },
        _ => None,
    }
}

/// What all of them name, if it is the same.
fn one_of(mut owners: impl Iterator<Item = Option<Owner>>) -> Option<Owner> {
    let first = owners.next()??;
    owners.all(|owner| owner == Some(first)).then_some(first)
}

/// Rows in which every one of `columns` that has a value has one of the viewer's, and at least one
/// has a value. None without columns.
fn own(columns: &[Expr], is_own: impl Fn(&Expr) -> Expr) -> Option<Expr> {
    let each = |column: &Expr| match columns.len() {
        1 => is_own(column),
        _ => column.clone().is_null().or(is_own(column)),
    };
    let all = columns.iter().map(each).reduce(Expr::and)?;
    let has_one = any(columns.iter().map(|column| column.clone().is_not_null()));
    Some(if columns.len() == 1 { all } else { has_one.and(all) })
}

fn any(conditions: impl Iterator<Item = Expr>) -> Expr {
    conditions.reduce(Expr::or).unwrap_or_else(|| lit(false))
}

fn owner(tag: &str) -> Option<Owner> {
    match tag {
        "division" => Some(Owner::Division),
        "department" => Some(Owner::Department),
        _ => None,
    }
}

/// What somebody with limits is told of a table that is closed.
pub(crate) fn closed(table: &str, why: &str) -> Error {
    let message = format!("{table} is closed to an account with limits: {why}");
    Error::new(ErrorKind::Permission, "E-LIMITS", message).hint(
        "ask a table with a column that names the division or the department; an administrator can \
         change the limits",
    )
}

/// Why a table is closed of which nothing is known.
pub(crate) const NOBODY: &str = "none of its columns says whose a row is";
