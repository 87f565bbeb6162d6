//! Arrow values as the server takes them: exactly, or not at all.

use std::borrow::Cow;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use chrono::{DateTime, TimeZone};
use chrono_tz::Tz;
use sqlx::MySql;
use sqlx::mysql::MySqlArguments;
use sqlx::query::Query;

use crate::wire::Wire;

/// A value to bind.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Bound<'a> {
    Null,
    Int(i64),
    Uint(u64),
    Float(f32),
    Double(f64),
    Text(Cow<'a, str>),
    Bytes(&'a [u8]),
}

impl<'a> Bound<'a> {
    pub(crate) fn bind(
        self,
        statement: Query<'a, MySql, MySqlArguments>,
    ) -> Query<'a, MySql, MySqlArguments> {
        match self {
            Self::Null => statement.bind(None::<i64>),
            Self::Int(value) => statement.bind(value),
            Self::Uint(value) => statement.bind(value),
            Self::Float(value) => statement.bind(value),
            Self::Double(value) => statement.bind(value),
            Self::Text(value) => statement.bind(value.into_owned()),
            Self::Bytes(value) => statement.bind(value),
        }
    }

    /// About how many bytes it takes on the wire.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Text(text) => text.len() + 9,
            Self::Bytes(bytes) => bytes.len() + 9,
            _ => 8,
        }
    }
}

/// Whether every value of `kind` can be sent to a column of `wire`, or refused for itself.
pub(crate) fn fits(kind: &DataType, wire: Wire) -> bool {
    match kind {
        DataType::Null => true,
        DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::UInt64 => matches!(
            wire,
            Wire::Int { .. } | Wire::Bit { .. } | Wire::Decimal { .. } | Wire::Year | Wire::Text
        ),
        DataType::Boolean => matches!(wire, Wire::Int { .. } | Wire::Bit { .. }),
        DataType::Float32 => matches!(wire, Wire::Float | Wire::Double),
        DataType::Float64 => wire == Wire::Double,
        DataType::Decimal128(_, scale) => match wire {
            // The server rounds what has more digits, and says nothing.
            Wire::Decimal { scale: room, .. } => i64::from(*scale) <= i64::from(room),
            Wire::Int { .. } | Wire::Bit { .. } => *scale == 0,
            Wire::Text => true,
            _ => false,
        },
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => matches!(
            wire,
            Wire::Text
                | Wire::Time { .. }
                | Wire::Date
                | Wire::Datetime { .. }
                | Wire::Timestamp { .. }
                | Wire::Decimal { .. }
                // Records of a push are texts, whatever they were.
                | Wire::Int { .. }
        ),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => wire == Wire::Bytes,
        DataType::Date32 => matches!(wire, Wire::Date | Wire::Datetime { .. } | Wire::Text),
        DataType::Timestamp(..) => {
            matches!(wire, Wire::Datetime { .. } | Wire::Timestamp { .. } | Wire::Text)
        }
        _ => false,
    }
}

/// The value at `row` for a column of `wire`, or why it cannot be sent. Wall times are in `hub`.
pub(crate) fn bound(
    array: &dyn Array,
    row: usize,
    wire: Wire,
    hub: Tz,
) -> Result<Bound<'_>, &'static str> {
    if array.is_null(row) || array.data_type() == &DataType::Null {
        return Ok(Bound::Null);
    }
    Ok(match array.data_type() {
        DataType::Int8 => Bound::Int(array.as_primitive::<Int8Type>().value(row).into()),
        DataType::Int16 => Bound::Int(array.as_primitive::<Int16Type>().value(row).into()),
        DataType::Int32 => Bound::Int(array.as_primitive::<Int32Type>().value(row).into()),
        DataType::Int64 => Bound::Int(array.as_primitive::<Int64Type>().value(row)),
        DataType::UInt8 => Bound::Int(array.as_primitive::<UInt8Type>().value(row).into()),
        DataType::UInt16 => Bound::Int(array.as_primitive::<UInt16Type>().value(row).into()),
        DataType::UInt32 => Bound::Int(array.as_primitive::<UInt32Type>().value(row).into()),
        DataType::UInt64 => Bound::Uint(array.as_primitive::<UInt64Type>().value(row)),
        DataType::Boolean => Bound::Int(array.as_boolean().value(row).into()),
        DataType::Float32 => {
            let value = array.as_primitive::<Float32Type>().value(row);
            finite(value.is_finite())?;
            Bound::Float(value)
        }
        DataType::Float64 => {
            let value = array.as_primitive::<Float64Type>().value(row);
            finite(value.is_finite())?;
            Bound::Double(value)
        }
        DataType::Decimal128(..) => {
            let decimals = array.as_primitive::<Decimal128Type>();
            match (wire, decimals.value(row)) {
                (Wire::Bit { .. }, value) => {
                    Bound::Uint(u64::try_from(value).map_err(|_| "a number is out of range")?)
                }
                _ => Bound::Text(decimals.value_as_string(row).into()),
            }
        }
        DataType::Utf8 => text(array.as_string::<i32>().value(row), wire)?,
        DataType::LargeUtf8 => text(array.as_string::<i64>().value(row), wire)?,
        DataType::Utf8View => text(array.as_string_view().value(row), wire)?,
        DataType::Binary => Bound::Bytes(array.as_binary::<i32>().value(row)),
        DataType::LargeBinary => Bound::Bytes(array.as_binary::<i64>().value(row)),
        DataType::BinaryView => Bound::Bytes(array.as_binary_view().value(row)),
        DataType::Date32 => {
            let date = array.as_primitive::<Date32Type>().value_as_date(row);
            let date = date.ok_or("a date is out of range")?;
            Bound::Text(date.format("%Y-%m-%d").to_string().into())
        }
        DataType::Timestamp(unit, zone) => {
            let micros = micros(array, row, *unit).ok_or("a time is finer than its column")?;
            time(micros, zone.is_some(), wire, hub)?
        }
        _ => return Err("a value does not fit its column"),
    })
}

fn finite(is_finite: bool) -> Result<(), &'static str> {
    if is_finite { Ok(()) } else { Err("the server has no such number") }
}

/// Text is sent as it is, unless the server would silently round what it says.
fn text(value: &str, wire: Wire) -> Result<Bound<'_>, &'static str> {
    let room = match wire {
        Wire::Int { .. } => {
            let number = value.parse().map(Bound::Int).ok();
            let number = number.or_else(|| value.parse().map(Bound::Uint).ok());
            return number.ok_or("a text is no whole number");
        }
        Wire::Decimal { scale, .. } => usize::try_from(scale).unwrap_or(usize::MAX),
        Wire::Datetime { digits } | Wire::Timestamp { digits } | Wire::Time { digits } => digits,
        _ => return Ok(Bound::Text(value.into())),
    };
    let fraction = value.split_once('.').map_or("", |(_, fraction)| fraction);
    if fraction.trim_end_matches('0').len() > room {
        return Err("a value is finer than its column");
    }
    if matches!(wire, Wire::Decimal { .. }) && value.contains(['e', 'E']) {
        return Err("a value does not fit its column");
    }
    Ok(Bound::Text(value.into()))
}

fn micros(array: &dyn Array, row: usize, unit: TimeUnit) -> Option<i64> {
    match unit {
        TimeUnit::Second => {
            array.as_primitive::<TimestampSecondType>().value(row).checked_mul(1_000_000)
        }
        TimeUnit::Millisecond => {
            array.as_primitive::<TimestampMillisecondType>().value(row).checked_mul(1_000)
        }
        TimeUnit::Microsecond => Some(array.as_primitive::<TimestampMicrosecondType>().value(row)),
        TimeUnit::Nanosecond => {
            let nanos = array.as_primitive::<TimestampNanosecondType>().value(row);
            (nanos % 1_000 == 0).then_some(nanos / 1_000)
        }
    }
}

/// Instants become the hub's wall time in a column of wall times; wall times become instants in a
/// column of instants, whose session is in UTC.
fn time(
    micros: i64,
    is_instant: bool,
    wire: Wire,
    hub: Tz,
) -> Result<Bound<'static>, &'static str> {
    let time = DateTime::from_timestamp_micros(micros).ok_or("a time is out of range")?.naive_utc();
    let (time, digits) = match wire {
        Wire::Timestamp { digits } if !is_instant => {
            let instant = hub.from_local_datetime(&time).earliest();
            (instant.ok_or("the clocks of its zone skip this time")?.naive_utc(), digits)
        }
        Wire::Timestamp { digits } => (time, digits),
        Wire::Datetime { digits } if is_instant => {
            (hub.from_utc_datetime(&time).naive_local(), digits)
        }
        Wire::Datetime { digits } => (time, digits),
        _ => (time, 6),
    };
    let lost = 10_i64.pow(u32::try_from(6_usize.saturating_sub(digits)).unwrap_or(0));
    if micros % lost != 0 {
        return Err("a time is finer than its column");
    }
    let form = if micros % 1_000_000 == 0 { "%Y-%m-%d %H:%M:%S" } else { "%Y-%m-%d %H:%M:%S%.6f" };
    Ok(Bound::Text(time.format(form).to_string().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_rounded() {
        let decimal = Wire::Decimal { precision: 10, scale: 2 };
        assert!(text("1.230", decimal).is_ok());
        assert!(text("1.234", decimal).is_err());
        assert!(text("1e-9", decimal).is_err());
        assert!(text("2024-01-01 00:00:00.5", Wire::Datetime { digits: 0 }).is_err());
        assert!(!fits(&DataType::Decimal128(10, 3), decimal));
        assert!(!fits(&DataType::Float64, Wire::Float));
        let int = Wire::Int { width: 4, unsigned: false };
        assert!(fits(&DataType::Utf8, int));
        assert!(matches!(text("-12", int), Ok(Bound::Int(-12))));
        assert!(text("12.0", int).is_err() && text("", int).is_err());
    }

    #[test]
    fn instants_and_wall_times_keep_their_meaning() {
        let hub = chrono_tz::Asia::Shanghai;
        let shown = |instant, wire| match time(0, instant, wire, hub).unwrap() {
            Bound::Text(text) => text.into_owned(),
            _ => String::new(),
        };
        let (wall, instant) = (Wire::Datetime { digits: 0 }, Wire::Timestamp { digits: 0 });
        assert_eq!(shown(true, wall), "1970-01-01 08:00:00");
        assert_eq!(shown(false, wall), "1970-01-01 00:00:00");
        assert_eq!(shown(true, instant), "1970-01-01 00:00:00");
        assert_eq!(shown(false, instant), "1969-12-31 16:00:00");
        assert!(time(1, false, wall, hub).is_err());
    }
}
