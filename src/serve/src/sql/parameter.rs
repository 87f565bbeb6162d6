//! The types of a statement's parameters.

use std::collections::HashMap;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan};

/// The types the engine found, from `$1` on; a parameter it could not place has the type it is
/// cast to.
pub(crate) fn types(plan: &LogicalPlan) -> Result<Vec<Option<DataType>>> {
    let mut found = plan.get_parameter_types()?;
    if found.values().any(Option::is_none) {
        let casts = cast_types(plan)?;
        for (name, known) in &mut found {
            if known.is_none() {
                *known = casts.get(name).cloned();
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

fn cast_types(plan: &LogicalPlan) -> Result<HashMap<String, DataType>> {
    let mut casts = HashMap::new();
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expression| {
            expression.apply(|part| {
                if let Expr::Cast(cast) = part
                    && let Expr::Placeholder(placeholder) = cast.expr.as_ref()
                {
                    casts.insert(placeholder.id.clone(), cast.field.data_type().clone());
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(casts)
}
