//! Arrow values as SQLite keeps them: exactly, or not at all.
//!
//! SQLite takes anything into any column and turns what looks like a number into one. So what a
//! column would not keep as it is said is refused here, and so is what nobody could read from it as
//! the type it is declared with.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeZone};
use chrono_tz::Tz;
use huiliu_sdk::ColumnType;

use crate::schema::column_type;
use crate::stored::Stored;

/// Significant digits that survive as a float.
const DIGITS_OF_A_FLOAT: usize = 15;

/// A column that is written.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    pub(crate) name: String,
    kind: ColumnType,
    /// Whether SQLite keeps what looks like a number as one.
    makes_numbers: bool,
    /// Whether a column that is read as text is declared to hold numbers all the same.
    holds_numbers: bool,
}

impl Slot {
    pub(crate) fn new(name: &str, declared: &str) -> Self {
        let declared = declared.trim().to_ascii_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| declared.contains(word));
        // https://www.sqlite.org/datatype3.html#determination_of_column_affinity, in its order.
        let makes_numbers = has(&["int"])
            || !(has(&["char", "clob", "text"]) || declared.is_empty() || has(&["blob"]));
        let first = declared.split(['(', ' ']).next().unwrap_or_default();
        Self {
            name: name.to_owned(),
            kind: column_type(&declared),
            makes_numbers,
            holds_numbers: matches!(first, "decimal" | "numeric" | "number"),
        }
    }

    /// Whether every value of `kind` can be kept, or refused for itself.
    pub(crate) fn fits(&self, kind: &DataType) -> bool {
        let is_text = matches!(self.kind, ColumnType::Text | ColumnType::Json);
        match kind {
            DataType::Null => true,
            DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::UInt8
            | DataType::UInt16
            | DataType::UInt32
            | DataType::UInt64 => {
                is_text || matches!(self.kind, ColumnType::Int | ColumnType::Decimal(..))
            }
            DataType::Boolean => is_text || matches!(self.kind, ColumnType::Bool | ColumnType::Int),
            DataType::Float32 | DataType::Float64 => self.kind == ColumnType::Float,
            DataType::Decimal128(_, scale) => match self.kind {
                ColumnType::Decimal(_, room) => *scale <= room,
                ColumnType::Int => *scale == 0,
                _ => is_text,
            },
            // Records of a push are texts, whatever they were.
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                self.kind != ColumnType::Binary
            }
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
                self.kind == ColumnType::Binary
            }
            DataType::Date32 => {
                is_text || matches!(self.kind, ColumnType::Date | ColumnType::Timestamp)
            }
            DataType::Timestamp(..) => is_text || self.kind == ColumnType::Timestamp,
            _ => false,
        }
    }

    /// The value at `row`, or why it cannot be kept. Wall times are in `hub`.
    pub(crate) fn value(
        &self,
        array: &dyn Array,
        row: usize,
        hub: Tz,
    ) -> Result<Stored, &'static str> {
        if array.is_null(row) || array.data_type() == &DataType::Null {
            return Ok(Stored::Null);
        }
        Ok(match array.data_type() {
            DataType::Int8 => Stored::Int(array.as_primitive::<Int8Type>().value(row).into()),
            DataType::Int16 => Stored::Int(array.as_primitive::<Int16Type>().value(row).into()),
            DataType::Int32 => Stored::Int(array.as_primitive::<Int32Type>().value(row).into()),
            DataType::Int64 => Stored::Int(array.as_primitive::<Int64Type>().value(row)),
            DataType::UInt8 => Stored::Int(array.as_primitive::<UInt8Type>().value(row).into()),
            DataType::UInt16 => Stored::Int(array.as_primitive::<UInt16Type>().value(row).into()),
            DataType::UInt32 => Stored::Int(array.as_primitive::<UInt32Type>().value(row).into()),
            DataType::UInt64 => {
                let value = array.as_primitive::<UInt64Type>().value(row);
                Stored::Int(i64::try_from(value).map_err(|_| "a number is out of range")?)
            }
            DataType::Boolean => Stored::Int(array.as_boolean().value(row).into()),
            DataType::Float32 => real(array.as_primitive::<Float32Type>().value(row).into())?,
            DataType::Float64 => real(array.as_primitive::<Float64Type>().value(row))?,
            DataType::Decimal128(..) => {
                let text = array.as_primitive::<Decimal128Type>().value_as_string(row);
                match self.kind {
                    ColumnType::Int => whole(&text)?,
                    _ => self.decimal(&text, usize::MAX)?,
                }
            }
            DataType::Utf8 => self.text(array.as_string::<i32>().value(row))?,
            DataType::LargeUtf8 => self.text(array.as_string::<i64>().value(row))?,
            DataType::Utf8View => self.text(array.as_string_view().value(row))?,
            DataType::Binary => Stored::Blob(array.as_binary::<i32>().value(row).to_vec()),
            DataType::LargeBinary => Stored::Blob(array.as_binary::<i64>().value(row).to_vec()),
            DataType::BinaryView => Stored::Blob(array.as_binary_view().value(row).to_vec()),
            DataType::Date32 => {
                let date = array.as_primitive::<Date32Type>().value_as_date(row);
                let date = date.ok_or("a date is out of range")?;
                Stored::Text(date.format("%Y-%m-%d").to_string())
            }
            DataType::Timestamp(unit, zone) => {
                let micros = micros(array, row, *unit).ok_or("a time is finer than its column")?;
                time(micros, zone.is_some(), hub)?
            }
            _ => return Err("a value does not fit its column"),
        })
    }

    fn text(&self, value: &str) -> Result<Stored, &'static str> {
        match self.kind {
            ColumnType::Int => whole(value),
            ColumnType::Float => real(value.trim().parse().map_err(|_| "a text is no number")?),
            ColumnType::Bool => match value.trim() {
                "true" | "1" => Ok(Stored::Int(1)),
                "false" | "0" => Ok(Stored::Int(0)),
                _ => Err("a text is no truth value"),
            },
            ColumnType::Decimal(_, scale) => {
                self.decimal(value.trim(), usize::from(scale.unsigned_abs()))
            }
            ColumnType::Date if NaiveDate::parse_from_str(value, "%Y-%m-%d").is_err() => {
                Err("a text is no date such as 2018-06-12")
            }
            ColumnType::Timestamp if !is_time(value) => {
                Err("a text is no time such as 2018-06-12 09:30:00")
            }
            ColumnType::Binary => Err("a value does not fit its column"),
            ColumnType::Text | ColumnType::Json if self.holds_numbers => {
                self.decimal(value.trim(), usize::MAX)
            }
            ColumnType::Text | ColumnType::Json if self.makes_numbers && is_number(value) => {
                Err("the column would keep this text as a number")
            }
            ColumnType::Text | ColumnType::Json | ColumnType::Date | ColumnType::Timestamp => {
                Ok(Stored::Text(value.to_owned()))
            }
        }
    }

    /// Digits, at most `room` of them behind the point that are not zero.
    fn decimal(&self, value: &str, room: usize) -> Result<Stored, &'static str> {
        let digits = value.strip_prefix('-').unwrap_or(value);
        let (head, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let is_plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if head.is_empty() || !is_plain(head) || !is_plain(fraction) {
            return Err("a text is no number");
        }
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > room {
            return Err("a number is finer than its column");
        }
        let significant = format!("{head}{fraction}");
        let significant = significant.trim_start_matches('0');
        if self.makes_numbers && significant.len() > DIGITS_OF_A_FLOAT {
            // A whole number is kept as one while it has 64 bits.
            return match value.parse() {
                Ok(number) if fraction.is_empty() => Ok(Stored::Int(number)),
                _ => Err("a number has more digits than its column keeps"),
            };
        }
        Ok(Stored::Text(value.to_owned()))
    }
}

fn real(value: f64) -> Result<Stored, &'static str> {
    // SQLite would keep no value in its place.
    if value.is_nan() { Err("SQLite has no such number") } else { Ok(Stored::Real(value)) }
}

fn whole(value: &str) -> Result<Stored, &'static str> {
    value.trim().parse().map(Stored::Int).map_err(|_| "a text is no whole number")
}

/// Whether SQLite may take a text for a number.
fn is_number(text: &str) -> bool {
    let text = text.trim();
    text.bytes().any(|byte| byte.is_ascii_digit()) && text.parse::<f64>().is_ok()
}

fn is_time(text: &str) -> bool {
    let forms = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"];
    forms.iter().any(|form| NaiveDateTime::parse_from_str(text, form).is_ok())
        || NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok()
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

/// Instants become the hub's wall time; SQLite has no others.
fn time(micros: i64, is_instant: bool, hub: Tz) -> Result<Stored, &'static str> {
    let time = DateTime::from_timestamp_micros(micros).ok_or("a time is out of range")?.naive_utc();
    let time = if is_instant { hub.from_utc_datetime(&time).naive_local() } else { time };
    let form = if micros % 1_000_000 == 0 { "%Y-%m-%d %H:%M:%S" } else { "%Y-%m-%d %H:%M:%S%.6f" };
    Ok(Stored::Text(time.format(form).to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(declared: &str, text: &str) -> Result<Stored, &'static str> {
        Slot::new("c", declared).text(text)
    }

    fn text(text: &str) -> Result<Stored, &'static str> {
        Ok(Stored::Text(text.to_owned()))
    }

    #[test]
    fn texts_are_kept_as_what_their_column_is_or_refused() {
        assert_eq!(kept("int(10)", "-12"), Ok(Stored::Int(-12)));
        assert_eq!(kept("double", "0.1"), Ok(Stored::Real(0.1)));
        assert_eq!(kept("boolean", "true"), Ok(Stored::Int(1)));
        assert_eq!(kept("decimal(12,2)", "12.50"), text("12.50"));
        assert_eq!(kept("varchar(20)", "007"), text("007"));
        assert_eq!(kept("", "007"), text("007"));
        assert_eq!(kept("datetime", "2018-06-12 09:30:00"), text("2018-06-12 09:30:00"));
        assert_eq!(kept("uuid", "a7"), text("a7"));
        assert_eq!(kept("numeric", "12.50"), text("12.50"));
        for (declared, refused) in [
            ("int", "12.0"),
            ("int", ""),
            ("real", "much"),
            ("boolean", "yes"),
            ("decimal(12,2)", "1.234"),
            ("decimal(12,2)", "1e3"),
            ("decimal(20,4)", "123456789012.3456"),
            ("numeric", "12345678901234567890"),
            ("datetime", "20180612"),
            ("date", "soon"),
            // What SQLite keeps as a number is 7.
            ("string", "007"),
            ("uuid", "1e5"),
            ("blob", "x"),
        ] {
            assert!(kept(declared, refused).is_err(), "{declared}: {refused}");
        }
    }

    #[test]
    fn columns_take_what_they_can_keep() {
        let fits = |declared: &str, kind: DataType| Slot::new("c", declared).fits(&kind);
        assert!(fits("text", DataType::Utf8) && fits("int", DataType::Utf8));
        assert!(fits("decimal(12,2)", DataType::Decimal128(38, 2)));
        assert!(!fits("decimal(12,2)", DataType::Decimal128(12, 3)));
        assert!(!fits("text", DataType::Float64) && fits("real", DataType::Float64));
        assert!(!fits("blob", DataType::Utf8) && fits("blob", DataType::Binary));
        assert!(!fits("date", DataType::Timestamp(TimeUnit::Microsecond, None)));
    }

    #[test]
    fn instants_become_the_hubs_wall_times() {
        let hub = chrono_tz::Asia::Shanghai;
        assert_eq!(time(0, true, hub), text("1970-01-01 08:00:00"));
        assert_eq!(time(1, false, hub), text("1970-01-01 00:00:00.000001"));
    }
}
