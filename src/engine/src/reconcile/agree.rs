//! Whether two systems agree in a field.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, DynComparator, Int64Array, make_comparator};
use arrow::compute::{CastOptions, SortOptions, cast_with_options};
use arrow::datatypes::{DataType, Date32Type, Decimal128Type, Int64Type, TimeUnit};
use huiliu_core::calendar::Calendar;
use huiliu_core::reconcile::{Comparison, VALUE_SCALE};
use huiliu_sdk::{Error, Result};

/// Compares one field of the loaded rows.
pub(super) enum Agreement {
    /// Nothing is compared.
    Never,
    /// For each pair of systems.
    Equal(Vec<Vec<Option<DynComparator>>>),
    /// Microseconds of each system.
    Time(Vec<Option<Int64Array>>, i64),
    /// Decimals of each system.
    Value(Vec<Option<ArrayRef>>, i128),
    /// Days of each system.
    Workdays(Vec<Option<ArrayRef>>, i64, Arc<Calendar>),
}

fn converted(column: Option<&ArrayRef>, kind: &DataType) -> Result<Option<ArrayRef>> {
    let Some(column) = column else { return Ok(None) };
    let options = CastOptions { safe: true, ..CastOptions::default() };
    Ok(Some(cast_with_options(column, kind, &options)?))
}

impl Agreement {
    /// Over the columns of the systems; one that does not have the field has none.
    pub(super) fn new(
        compare: &Comparison,
        columns: &[Option<&ArrayRef>],
        calendar: &Arc<Calendar>,
    ) -> Result<Self> {
        let each = |kind: &DataType| -> Result<Vec<Option<ArrayRef>>> {
            columns.iter().map(|column| converted(*column, kind)).collect()
        };
        Ok(match compare {
            Comparison::None => Self::Never,
            Comparison::Exact | Comparison::Code(_) | Comparison::Set(_) => {
                let mut pairs = Vec::with_capacity(columns.len());
                for one in columns {
                    let mut row = Vec::with_capacity(columns.len());
                    for other in columns {
                        row.push(match (one, other) {
                            (Some(one), Some(other)) => {
                                Some(make_comparator(one, other, SortOptions::default())?)
                            }
                            _ => None,
                        });
                    }
                    pairs.push(row);
                }
                Self::Equal(pairs)
            }
            Comparison::Time(apart) => {
                let mut micros = Vec::with_capacity(columns.len());
                for column in each(&DataType::Timestamp(TimeUnit::Microsecond, None))? {
                    let wide = converted(column.as_ref(), &DataType::Int64)?;
                    micros.push(wide.map(|wide| wide.as_primitive::<Int64Type>().clone()));
                }
                Self::Time(micros, *apart)
            }
            Comparison::Value(apart) => {
                let scale = i8::try_from(VALUE_SCALE)
                    .map_err(|_| Error::internal("the scale of numbers is too large"))?;
                Self::Value(each(&DataType::Decimal128(38, scale))?, *apart)
            }
            Comparison::Workdays(days) => {
                let days = i64::from(*days);
                Self::Workdays(each(&DataType::Date32)?, days, Arc::clone(calendar))
            }
        })
    }

    /// Whether the rows of two systems (system and row) agree. A value and no value never do.
    pub(super) fn holds(&self, one: (usize, usize), other: (usize, usize)) -> bool {
        match self {
            Self::Never => true,
            Self::Equal(pairs) => {
                let comparator = pairs[one.0][other.0].as_ref();
                comparator.is_none_or(|compare| compare(one.1, other.1).is_eq())
            }
            Self::Time(micros, apart) => {
                let value = |(system, row): (usize, usize)| {
                    micros[system].as_ref().map(|m| m.is_valid(row).then(|| m.value(row)))
                };
                near(value(one), value(other), |a, b| a.abs_diff(b) <= apart.unsigned_abs())
            }
            Self::Value(decimals, apart) => {
                let value = |(system, row): (usize, usize)| {
                    decimals[system].as_ref().map(|column| {
                        let column = column.as_primitive::<Decimal128Type>();
                        column.is_valid(row).then(|| column.value(row))
                    })
                };
                near(value(one), value(other), |a, b| a.abs_diff(b) <= apart.unsigned_abs())
            }
            Self::Workdays(dates, most, calendar) => {
                let value = |(system, row): (usize, usize)| {
                    dates[system].as_ref().map(|column| {
                        let column = column.as_primitive::<Date32Type>();
                        column.is_valid(row).then(|| column.value(row))
                    })
                };
                // Days of a year whose working days nobody knows are near only to themselves.
                near(value(one), value(other), |a, b| {
                    let apart = calendar.workdays_between_epoch(a.min(b), a.max(b));
                    a == b || apart.is_ok_and(|apart| apart <= *most)
                })
            }
        }
    }
}

/// A system without the field agrees with everybody; no value agrees with no value only.
fn near<T>(
    one: Option<Option<T>>,
    other: Option<Option<T>>,
    is_near: impl Fn(T, T) -> bool,
) -> bool {
    match (one, other) {
        (None, _) | (_, None) | (Some(None), Some(None)) => true,
        (Some(Some(one)), Some(Some(other))) => is_near(one, other),
        _ => false,
    }
}
