//! Parameters of prepared statements: their types and their values.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ParamValues;
use datafusion::logical_expr::LogicalPlan;
use datafusion_postgres::arrow_pg::datatypes::df::deserialize_parameters_with_server_types;
use datafusion_postgres::arrow_pg::datatypes::into_pg_type;
use datafusion_postgres::pgwire::api::Type;
use datafusion_postgres::pgwire::api::portal::{Format, Portal};
use datafusion_postgres::pgwire::error::PgWireResult;

use super::failure::{engine_error, refuse, state};
use crate::sql::parameter::types;

/// The types of a plan's parameters in their order; unknown ones are text, as in Postgres.
pub(crate) fn wire_types(plan: &LogicalPlan) -> PgWireResult<Vec<Type>> {
    let known = types(plan).map_err(|e| engine_error(&e))?;
    known.iter().map(|known| known.as_ref().map_or(Ok(Type::TEXT), into_pg_type)).collect()
}

/// The values a portal binds to the parameters of `plan`.
pub(crate) fn values<S: Clone>(
    portal: &Portal<S>,
    plan: &LogicalPlan,
) -> PgWireResult<ParamValues> {
    let engine = types(plan).map_err(|e| engine_error(&e))?;
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
