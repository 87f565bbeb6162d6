//! One function of the list as DataFusion sees it.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{exec_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;

use super::DomainFunctions;
use super::definition::{Argument, FunctionDefinition};

#[derive(Debug)]
pub(super) struct DomainFunction {
    definition: &'static FunctionDefinition,
    known: DomainFunctions,
    signature: Signature,
}

impl DomainFunction {
    pub(super) fn new(definition: &'static FunctionDefinition, known: DomainFunctions) -> Self {
        Self { definition, known, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl PartialEq for DomainFunction {
    fn eq(&self, other: &Self) -> bool {
        self.definition.name == other.definition.name
            && self.known.calendar == other.known.calendar
            && self.known.codes == other.known.codes
    }
}

impl Eq for DomainFunction {}

impl Hash for DomainFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.definition.name.hash(state);
    }
}

impl ScalarUDFImpl for DomainFunction {
    fn name(&self) -> &str {
        self.definition.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(self.definition.returns.clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        if let Some(position) = self.definition.body.constant_argument() {
            let Some(constant) = args.scalar_arguments.get(position).copied().flatten() else {
                return plan_err!(
                    "argument {} of {} must be a constant; hint: call it as {}",
                    position + 1,
                    self.definition.name,
                    self.definition.call
                );
            };
            if let Some(Some(text)) = constant.try_as_str() {
                self.definition.body.check_constant(text, &self.known)?;
            }
        }
        Ok(Arc::new(Field::new(self.name(), self.definition.returns.clone(), true)))
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let FunctionDefinition { name, call, arguments, repeats, .. } = self.definition;
        let fits =
            arg_types.len() == arguments.len() || *repeats && arg_types.len() > arguments.len();
        if !fits {
            return plan_err!("{name} was given {} arguments: {call}", arg_types.len());
        }
        let expected = arguments.iter().chain(arguments.last().into_iter().cycle());
        arg_types
            .iter()
            .zip(expected)
            .enumerate()
            .map(|(position, (given, expected))| match coerce(given, *expected) {
                Some(coerced) => Ok(coerced),
                None => plan_err!("argument {} of {name} is {given}: {call}", position + 1),
            })
            .collect()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let all_constant =
            args.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let rows = if all_constant { 1 } else { args.number_rows };
        let result = self.definition.body.compute(&args.args, rows, &self.known)?;
        if !all_constant {
            return Ok(ColumnarValue::Array(result));
        }
        if result.is_empty() {
            return exec_err!("{} gave no value", self.definition.name);
        }
        Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?))
    }
}

/// The type an argument is cast to before the call, or nothing if it does not fit.
fn coerce(given: &DataType, expected: Argument) -> Option<DataType> {
    use DataType::{Date32, Date64, Dictionary, Int64, LargeUtf8, Null, Timestamp, Utf8, Utf8View};
    match (expected, given) {
        (Argument::Text, Utf8 | LargeUtf8 | Utf8View) => Some(given.clone()),
        (Argument::Text, Null) => Some(Utf8),
        // A number is refused: it has lost its leading zeros.
        (Argument::Text, Dictionary(_, value)) => {
            matches!(**value, Utf8 | LargeUtf8 | Utf8View).then(|| (**value).clone())
        }
        // The cast takes the wall time of the column's zone.
        (Argument::Date, Date32 | Date64 | Timestamp(_, _) | Null) => Some(Date32),
        (Argument::Date, Utf8 | LargeUtf8 | Utf8View) => Some(Date32),
        (Argument::Integer, given) if given.is_integer() || *given == Null => Some(Int64),
        _ => None,
    }
}
