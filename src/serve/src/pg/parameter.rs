//! Parameters of prepared statements: their types and their values.

use std::collections::HashMap;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ParamValues;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion_postgres::arrow_pg::datatypes::df::deserialize_parameters_with_server_types;
use datafusion_postgres::arrow_pg::datatypes::into_pg_type;
use datafusion_postgres::pgwire::api::Type;
use datafusion_postgres::pgwire::api::portal::{Format, Portal};
use datafusion_postgres::pgwire::error::PgWireResult;

use super::failure::{engine_error, refuse, state};

/// The types of a plan's parameters in their order; unknown ones are text, as in Postgres.
pub(crate) fn wire_types(plan: &LogicalPlan) -> PgWireResult<Vec<Type>> {
    let types = engine_types(plan).map_err(|e| engine_error(&e))?;
    types.iter().map(|known| known.as_ref().map_or(Ok(Type::TEXT), into_pg_type)).collect()
}

/// The values a portal binds to the parameters of `plan`.
pub(crate) fn values<S: Clone>(
    portal: &Portal<S>,
    plan: &LogicalPlan,
) -> PgWireResult<ParamValues> {
    let engine = engine_types(plan).map_err(|e| engine_error(&e))?;
    if engine.len() != portal.parameters.len() {
        let message =
            format!("{} parameters were bound to {}", portal.parameters.len(), engine.len());
        return Err(refuse(state::PROTOCOL, message, ""));
    }
    if let Format::Individual(formats) = &portal.parameter_format
        && formats.len() != engine.len()
    {
        let message = "the formats are not as many as the parameters";
        return Err(refuse(state::PROTOCOL, message, ""));
    }
    let wire = wire_types(plan)?;
    let engine: Vec<Option<&DataType>> = engine.iter().map(Option::as_ref).collect();
    let wire: Vec<Option<&Type>> = wire.iter().map(Some).collect();
    deserialize_parameters_with_server_types(portal, &engine, &wire)
}

/// The types the engine found, from `$1` on; a parameter it could not place has the type it is
/// cast to.
fn engine_types(plan: &LogicalPlan) -> Result<Vec<Option<DataType>>> {
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
