//! Parameters of prepared statements: their types and their values.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{ParamValues, ScalarValue};
use datafusion_postgres::arrow_pg::datatypes::df::deserialize_parameters_with_server_types;
use datafusion_postgres::arrow_pg::datatypes::into_pg_type;
use datafusion_postgres::pgwire::api::Type;
use datafusion_postgres::pgwire::api::portal::{Format, Portal};
use datafusion_postgres::pgwire::error::PgWireResult;

use super::failure::{refuse, state};

/// The length of a day as text, such as `2018-06-27`.
const DAY: usize = 10;

/// The types of parameters in their order; unknown ones are text, as in Postgres.
pub(crate) fn wire_types(known: &[Option<DataType>]) -> PgWireResult<Vec<Type>> {
    known.iter().map(|known| known.as_ref().map_or(Ok(Type::TEXT), into_pg_type)).collect()
}

/// The values a portal binds to the parameters of these types.
pub(crate) fn values<S: Clone>(
    portal: &Portal<S>,
    known: &[Option<DataType>],
) -> PgWireResult<Vec<ScalarValue>> {
    if known.len() != portal.parameters.len() {
        let message =
            format!("{} parameters were bound to {}", portal.parameters.len(), known.len());
        return Err(refuse(state::PROTOCOL, message, ""));
    }
    if let Format::Individual(formats) = &portal.parameter_format
        && formats.len() != known.len()
    {
        let message = "the formats are not as many as the parameters";
        return Err(refuse(state::PROTOCOL, message, ""));
    }
    let (wire, day) = (wire_types(known)?, Type::DATE);
    let each = known.iter().zip(&wire).enumerate().map(|(position, (known, wire))| {
        let value = portal.parameters.get(position).and_then(Option::as_ref);
        let declared = portal.statement.parameter_types.get(position).and_then(Option::as_ref);
        // Where a time is wanted, a day may come as text of no type.
        let is_day = declared.is_none()
            && is_text(&portal.parameter_format, position)
            && value.is_some_and(|value| value.len() == DAY)
            && matches!(known, Some(DataType::Timestamp(..)));
        let wire = if is_day { &day } else { wire };
        let sent = declared.unwrap_or(wire);
        (known.as_ref().filter(|known| is_exact(sent, known)), Some(wire))
    });
    let (engine, wire): (Vec<Option<&DataType>>, Vec<Option<&Type>>) = each.unzip();
    match deserialize_parameters_with_server_types(portal, &engine, &wire)? {
        ParamValues::List(values) => {
            let values = values.into_iter().zip(known);
            Ok(values.map(|(bound, known)| exactly(bound.value, known.as_ref())).collect())
        }
        ParamValues::Map(_) => Err(refuse(state::INTERNAL, "parameters came by name", "")),
    }
}

fn is_text(format: &Format, position: usize) -> bool {
    match format {
        Format::UnifiedText => true,
        Format::UnifiedBinary => false,
        Format::Individual(formats) => formats.get(position) == Some(&0),
    }
}

/// Whether the wire crate turns what is sent into the engine's type without rounding it or refusing
/// it.
fn is_exact(sent: &Type, known: &DataType) -> bool {
    match *sent {
        Type::INT2 | Type::INT4 | Type::INT8 => known.is_integer(),
        Type::FLOAT4 | Type::FLOAT8 => known.is_floating(),
        Type::NUMERIC => false,
        Type::TIMESTAMP | Type::TIMESTAMPTZ => matches!(known, DataType::Timestamp(..)),
        _ => true,
    }
}

/// A value as one of the engine's type where it is the same, else as it is: 5.5 is not rounded to be
/// compared with whole numbers.
fn exactly(value: ScalarValue, known: Option<&DataType>) -> ScalarValue {
    let value = match value {
        // A number of 0.05 has fewer digits than are behind its point.
        ScalarValue::Decimal128(number, digits, scale) => {
            let least = u8::try_from(scale).unwrap_or(0).max(1);
            ScalarValue::Decimal128(number, digits.max(least), scale)
        }
        value => value,
    };
    let Some(known) = known.filter(|known| **known != value.data_type()) else { return value };
    let same = value.cast_to(known).ok().filter(|cast| {
        let back = cast.cast_to(&value.data_type());
        back.is_ok_and(|back| back == value)
    });
    same.unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_turned_into_the_type_of_its_column_only_where_it_stays_the_same() {
        let money = DataType::Decimal128(12, 2);
        let decimal = |number, digits, scale| ScalarValue::Decimal128(Some(number), digits, scale);
        let whole = |number| ScalarValue::Int64(Some(number));
        for (value, known, expected) in [
            (whole(5), &money, decimal(500, 12, 2)),
            (ScalarValue::Float64(Some(5.5)), &money, decimal(550, 12, 2)),
            (decimal(5555, 4, 3), &money, decimal(5555, 4, 3)),
            (decimal(5, 1, 2), &money, decimal(5, 12, 2)),
            (decimal(50, 2, 1), &DataType::Int64, whole(5)),
            (decimal(57, 2, 1), &DataType::Int64, decimal(57, 2, 1)),
            (ScalarValue::Float64(Some(5.5)), &DataType::Int64, ScalarValue::Float64(Some(5.5))),
            (ScalarValue::Decimal128(None, 0, 0), &DataType::Int64, ScalarValue::Int64(None)),
        ] {
            assert_eq!(exactly(value, Some(known)), expected);
        }
        assert_eq!(exactly(decimal(5, 1, 2), None), decimal(5, 2, 2));
    }
}
