//! Functions that clients call because PostgreSQL has them.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, AsArray, BooleanArray, Int32Array, IntervalMonthDayNanoArray, ListBuilder,
    StringArray, StringBuilder,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Field, Float64Type, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType,
    IntervalUnit,
};
use datafusion::common::{ScalarValue, exec_err};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarFunctionImplementation, ScalarUDF, ScalarUDFImpl,
    Signature, TypeSignature, Volatility, create_udf,
};

use crate::sql::{FIXED, USUAL};

/// Who owns everything.
const OWNER: &str = "huiliu";
/// What the server says that it is.
const VERSION: &str = concat!("PostgreSQL 16.6 (huiliu ", env!("CARGO_PKG_VERSION"), ")");
/// Functions that tell what nothing here has: comments, definitions, places.
const UNTOLD: [&str; 13] = [
    "col_description",
    "obj_description",
    "pg_get_constraintdef",
    "pg_get_expr",
    "pg_get_function_arguments",
    "pg_get_function_result",
    "pg_get_indexdef",
    "pg_get_ruledef",
    "pg_get_serial_sequence",
    "pg_get_triggerdef",
    "pg_get_viewdef",
    "pg_tablespace_location",
    "shobj_description",
];
/// Functions that tell sizes, which nobody has counted.
const SIZES: [&str; 5] = [
    "pg_database_size",
    "pg_indexes_size",
    "pg_relation_size",
    "pg_table_size",
    "pg_total_relation_size",
];
/// What is in no schema of its own is found everywhere.
const VISIBLE: [&str; 6] = [
    "pg_collation_is_visible",
    "pg_function_is_visible",
    "pg_opclass_is_visible",
    "pg_operator_is_visible",
    "pg_opfamily_is_visible",
    "pg_type_is_visible",
];
/// Functions that ask for rights.
const RIGHTS: [&str; 6] = [
    "has_any_column_privilege",
    "has_column_privilege",
    "has_database_privilege",
    "has_function_privilege",
    "has_schema_privilege",
    "has_table_privilege",
];
/// The rights of everybody, who sees only what may be read.
const GRANTED: [&str; 4] = ["CONNECT", "EXECUTE", "SELECT", "USAGE"];
/// Types by the names that `to_regtype` knows, with their numbers.
const TYPES: [(&str, i32); 30] = [
    ("bigint", 20),
    ("bool", 16),
    ("boolean", 16),
    ("bytea", 17),
    ("character varying", 1043),
    ("date", 1082),
    ("double precision", 701),
    ("float4", 700),
    ("float8", 701),
    ("int", 23),
    ("int2", 21),
    ("int4", 23),
    ("int8", 20),
    ("integer", 23),
    ("interval", 1186),
    ("json", 114),
    ("jsonb", 3802),
    ("name", 19),
    ("numeric", 1700),
    ("oid", 26),
    ("real", 700),
    ("smallint", 21),
    ("text", 25),
    ("time", 1083),
    ("timestamp", 1114),
    ("timestamp with time zone", 1184),
    ("timestamp without time zone", 1114),
    ("timestamptz", 1184),
    ("uuid", 2950),
    ("varchar", 1043),
];
/// Nanoseconds of a day, and days of a month that is not counted in the calendar.
const DAY: f64 = 86_400e9;
const DAYS_OF_MONTH: f64 = 30.0;

/// All of them.
pub(super) fn all() -> Vec<ScalarUDF> {
    let none = |name| Fixed::function(name, ScalarValue::Utf8(None));
    let size = |name| Fixed::function(name, ScalarValue::Int64(None));
    let visible = |name| Fixed::function(name, ScalarValue::Boolean(Some(true)));
    let text = |name, text: &str| Fixed::function(name, ScalarValue::Utf8(Some(text.to_owned())));
    let mut all: Vec<ScalarUDF> = UNTOLD.into_iter().map(none).collect();
    all.extend(SIZES.into_iter().map(size));
    all.extend(VISIBLE.into_iter().map(visible));
    all.extend(RIGHTS.into_iter().map(Right::function));
    all.extend([
        text("current_schema", USUAL),
        text("pg_get_userbyid", OWNER),
        text("session_user", OWNER),
        text("version", VERSION),
        Fixed::function("pg_has_role", ScalarValue::Boolean(Some(false))),
        Fixed::function("pg_is_in_recovery", ScalarValue::Boolean(Some(false))),
        ScalarUDF::new_from_impl(Setting::new()),
        current_schemas(),
        interval_times(),
        pg_size_pretty(),
        to_regtype(),
    ]);
    all
}

/// A function that answers the same, whatever it is asked.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Fixed {
    name: &'static str,
    signature: Signature,
    answer: ScalarValue,
}

impl Fixed {
    fn function(name: &'static str, answer: ScalarValue) -> ScalarUDF {
        let any = vec![TypeSignature::VariadicAny, TypeSignature::Nullary];
        let signature = Signature::one_of(any, Volatility::Stable);
        ScalarUDF::new_from_impl(Self { name, signature, answer })
    }
}

impl ScalarUDFImpl for Fixed {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(self.answer.data_type())
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(ColumnarValue::Scalar(self.answer.clone()))
    }
}

/// Whether a right that is named last is one of those that everybody has.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Right {
    name: &'static str,
    signature: Signature,
}

impl Right {
    fn function(name: &'static str) -> ScalarUDF {
        let signature = Signature::variadic_any(Volatility::Stable);
        ScalarUDF::new_from_impl(Self { name, signature })
    }
}

impl ScalarUDFImpl for Right {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let Some(rights) = arrays.last() else {
            return exec_err!("{} was not told which right", self.name);
        };
        let rights = cast(rights, &DataType::Utf8)?;
        let rights = rights.as_string::<i32>().iter();
        let held: BooleanArray = rights.map(|right| right.map(is_granted)).collect();
        Ok(ColumnarValue::Array(Arc::new(held)))
    }
}

/// Whether one of the rights in a list is held; the right to pass one on never is.
fn is_granted(rights: &str) -> bool {
    let mut rights = rights.split(',').map(|right| right.trim().to_ascii_uppercase());
    rights.any(|right| GRANTED.contains(&right.as_str()))
}

/// `current_setting`, of settings that are the same for everybody.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Setting {
    signature: Signature,
}

impl Setting {
    fn new() -> Self {
        let takes = vec![
            TypeSignature::Exact(vec![DataType::Utf8]),
            TypeSignature::Exact(vec![DataType::Utf8, DataType::Boolean]),
        ];
        Self { signature: Signature::one_of(takes, Volatility::Stable) }
    }
}

impl ScalarUDFImpl for Setting {
    fn name(&self) -> &str {
        "current_setting"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let may_be_missing = args.args.len() > 1;
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let mut values = Vec::new();
        for name in arrays[0].as_string::<i32>() {
            let Some(name) = name else {
                values.push(None);
                continue;
            };
            let name = name.to_lowercase();
            let value = FIXED.iter().find(|(fixed, _)| *fixed == name).map(|(_, value)| *value);
            if value.is_none() && !may_be_missing {
                return exec_err!("unrecognized configuration parameter \"{name}\"");
            }
            values.push(value);
        }
        Ok(ColumnarValue::Array(Arc::new(StringArray::from(values))))
    }
}

fn simple(
    name: &str,
    takes: Vec<DataType>,
    gives: DataType,
    compute: impl Fn(&[ArrayRef]) -> Result<ArrayRef> + Send + Sync + 'static,
) -> ScalarUDF {
    let body: ScalarFunctionImplementation = Arc::new(move |arguments: &[ColumnarValue]| {
        let arrays = ColumnarValue::values_to_arrays(arguments)?;
        Ok(ColumnarValue::Array(compute(&arrays)?))
    });
    create_udf(name, takes, gives, Volatility::Immutable, body)
}

/// The schemas in which tables without one are looked for.
fn current_schemas() -> ScalarUDF {
    let element = Field::new_list_field(DataType::Utf8, true);
    let gives = DataType::List(Arc::new(element));
    simple("current_schemas", vec![DataType::Boolean], gives, |arrays| {
        let mut lists = ListBuilder::new(StringBuilder::new());
        for with_catalog in arrays[0].as_boolean() {
            if with_catalog == Some(true) {
                lists.values().append_value("pg_catalog");
            }
            lists.values().append_value(USUAL);
            lists.append(true);
        }
        Ok(Arc::new(lists.finish()))
    })
}

/// A size as people read it.
fn pg_size_pretty() -> ScalarUDF {
    simple("pg_size_pretty", vec![DataType::Int64], DataType::Utf8, |arrays| {
        let sizes = arrays[0].as_primitive::<Int64Type>().iter();
        let shown: StringArray = sizes.map(|size| size.map(readable)).collect();
        Ok(Arc::new(shown))
    })
}

fn readable(bytes: i64) -> String {
    let (mut size, mut unit) = (i128::from(bytes), "bytes");
    for next in ["kB", "MB", "GB", "TB"] {
        if size.unsigned_abs() < 10 << 10 {
            break;
        }
        (size, unit) = ((size + 512 * size.signum()) / 1024, next);
    }
    format!("{size} {unit}")
}

/// The number of a type by its name; none where there is none.
fn to_regtype() -> ScalarUDF {
    simple("to_regtype", vec![DataType::Utf8], DataType::Int32, |arrays| {
        let number = |name: &str| {
            let name = name.trim().to_lowercase();
            let name = name.strip_prefix("pg_catalog.").unwrap_or(&name);
            TYPES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
        };
        let names = arrays[0].as_string::<i32>().iter();
        let numbers: Int32Array = names.map(|name| name.and_then(number)).collect();
        Ok(Arc::new(numbers))
    })
}

/// An interval times a number, which the engine's `*` does not know.
fn interval_times() -> ScalarUDF {
    let interval = DataType::Interval(IntervalUnit::MonthDayNano);
    let takes = vec![interval.clone(), DataType::Float64];
    simple("interval_times", takes, interval, |arrays| {
        let intervals = arrays[0].as_primitive::<IntervalMonthDayNanoType>();
        let factors = arrays[1].as_primitive::<Float64Type>();
        let products = intervals.iter().zip(factors.iter()).map(|pair| match pair {
            (Some(interval), Some(factor)) => times(interval, factor).map(Some),
            _ => Ok(None),
        });
        let products: IntervalMonthDayNanoArray = products.collect::<Result<_>>()?;
        Ok(Arc::new(products))
    })
}

/// Parts of a month go to the days, parts of a day to the time, as in Postgres.
fn times(interval: IntervalMonthDayNano, factor: f64) -> Result<IntervalMonthDayNano> {
    let months = f64::from(interval.months) * factor;
    let days = f64::from(interval.days) * factor + months.fract() * DAYS_OF_MONTH;
    let nanoseconds = interval.nanoseconds as f64 * factor + days.fract() * DAY;
    let microseconds = (nanoseconds / 1e3).round();
    let fits = [months, days].iter().all(|part| part.abs() < f64::from(i32::MAX))
        && microseconds.abs() < 9.2e15;
    if !fits {
        return exec_err!("interval out of range");
    }
    // Whole now, and in range.
    let (months, days, microseconds) = (months as i32, days as i32, microseconds as i64);
    Ok(IntervalMonthDayNano::new(months, days, microseconds * 1_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_multiplied_as_in_postgres() {
        let (second, day) = (1_000_000_000, 86_400_000_000_000);
        for (interval, factor, expected) in [
            ((0, 0, 5 * second), 3.0, (0, 0, 15 * second)),
            ((0, 0, second), 1_530_090_000.0, (0, 0, 1_530_090_000 * second)),
            ((0, 1, 0), 1.5, (0, 1, day / 2)),
            ((1, 0, 0), 0.5, (0, 15, 0)),
            ((1, 2, second), -2.0, (-2, -4, -2 * second)),
        ] {
            let made =
                |(months, days, nanoseconds)| IntervalMonthDayNano::new(months, days, nanoseconds);
            assert_eq!(times(made(interval), factor).unwrap(), made(expected), "{interval:?}");
        }
        assert!(times(IntervalMonthDayNano::new(1, 0, 0), 1e10).is_err());
        assert!(times(IntervalMonthDayNano::new(1, 0, 0), f64::NAN).is_err());
    }

    #[test]
    fn sizes_are_told_in_their_unit() {
        for (bytes, shown) in [
            (0, "0 bytes"),
            (10_239, "10239 bytes"),
            (10_240, "10 kB"),
            (-20_480, "-20 kB"),
            (5 << 30, "5120 MB"),
            (i64::MAX, "8388608 TB"),
        ] {
            assert_eq!(readable(bytes), shown);
        }
    }

    #[test]
    fn everybody_may_read_and_nobody_may_write() {
        assert!(is_granted("SELECT") && is_granted("insert, select"));
        assert!(!is_granted("INSERT") && !is_granted("SELECT WITH GRANT OPTION"));
    }
}
