//! The domain's own SQL functions: working days, identifiers, masks, codes.
//!
//! A null argument gives a null result (for `multi_has` see there). What cannot be answered, such
//! as a working day in a year without a calendar, is an error and never a null.

mod body;
mod definition;
mod input;
mod udf;

use std::sync::Arc;

use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::ScalarUDF;
use datafusion::prelude::SessionContext;
use huiliu_core::calendar::Calendar;
use huiliu_core::code_table::CodeTables;

pub use definition::FunctionDefinition;

/// What the functions know beside their arguments.
#[derive(Debug, Clone)]
pub struct DomainFunctions {
    /// The working-day calendar.
    pub calendar: Arc<Calendar>,
    /// The code tables of `code_map`.
    pub codes: Arc<CodeTables>,
}

/// Makes all functions known to `ctx`.
pub fn register(ctx: &SessionContext, functions: &DomainFunctions) -> Result<()> {
    for definition in &definition::FUNCTIONS {
        let function = udf::DomainFunction::new(definition, functions.clone());
        ctx.register_udf(ScalarUDF::from(function));
    }
    Ok(())
}

/// All functions, each with its name, how it is called and what it gives.
pub fn names() -> &'static [FunctionDefinition] {
    &definition::FUNCTIONS
}

/// Carries an error of ours through DataFusion, where it can be found again by its type.
fn external(error: huiliu_sdk::Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

#[cfg(test)]
mod tests;
