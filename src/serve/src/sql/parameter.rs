//! The types of a statement's parameters.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};

/// The types the engine found, from `$1` on; a parameter it could not place has the type it is
/// cast to, is a number of rows, or a list of what is looked for in it.
pub(super) fn types(plan: &LogicalPlan) -> Result<Vec<Option<DataType>>> {
    let mut found = plan.get_parameter_types()?;
    if found.values().any(Option::is_none) {
        let told = told_types(plan)?;
        for (name, known) in &mut found {
            if known.is_none() {
                *known = told.get(name).cloned();
            }
        }
    }
    let mut ordered: Vec<(usize, Option<DataType>)> = found
        .into_iter()
        .map(|(name, known)| (name.trim_start_matches('$').parse().unwrap_or(usize::MAX), known))
        .collect();
    ordered.sort_by_key(|(position, _)| *position);
    Ok(ordered.into_iter().map(|(_, known)| known).collect())
}

fn told_types(plan: &LogicalPlan) -> Result<HashMap<String, DataType>> {
    let mut told = HashMap::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Limit(limit) = node {
            for part in [&limit.skip, &limit.fetch].into_iter().flatten() {
                if let Expr::Placeholder(placeholder) = part.as_ref() {
                    told.insert(placeholder.id.clone(), DataType::Int64);
                }
            }
        }
        node.apply_expressions(|expression| {
            expression.apply(|part| {
                if let Expr::Cast(cast) = part
                    && let Expr::Placeholder(placeholder) = cast.expr.as_ref()
                {
                    told.insert(placeholder.id.clone(), cast.field.data_type().clone());
                }
                if let Some((list, element)) = list_looked_in(node, part) {
                    let element = Field::new_list_field(element, true);
                    told.entry(list).or_insert(DataType::List(Arc::new(element)));
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(told)
}

/// The parameter in `x = any($1)`, and the type of `x`.
fn list_looked_in(node: &LogicalPlan, part: &Expr) -> Option<(String, DataType)> {
    let Expr::ScalarFunction(call) = part else { return None };
    let [Expr::Placeholder(list), element] = call.args.as_slice() else { return None };
    if call.name() != "array_has" {
        return None;
    }
    let inputs = node.inputs();
    let known = inputs.iter().find_map(|input| element.get_type(input.schema()).ok())?;
    (known != DataType::Null).then(|| (list.id.clone(), known))
}
