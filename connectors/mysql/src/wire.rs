//! The server's types and the bytes in which its binary protocol sends them.

use arrow::datatypes::{DataType, TimeUnit};
use chrono::{NaiveDate, NaiveDateTime};
use huiliu_sdk::Cell;

use crate::config::Oddities;

/// The most digits Arrow's 128 bits hold.
const DECIMAL_DIGITS: u32 = 38;

/// A type as the server declares it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    Int {
        width: usize,
        unsigned: bool,
    },
    Year,
    Float,
    Double,
    Decimal {
        precision: u32,
        scale: u32,
    },
    Text,
    Bytes,
    Bit {
        bits: u32,
    },
    Date,
    /// Wall time, with so many digits of a second.
    Datetime {
        digits: usize,
    },
    /// An instant.
    Timestamp {
        digits: usize,
    },
    /// A span of time of up to 838 hours either way.
    Time {
        digits: usize,
    },
}

impl Wire {
    /// The type that `data_type` names, with what the server's catalog says beside it.
    pub(crate) fn declared(
        data_type: &str,
        column_type: &str,
        precision: Option<u64>,
        scale: Option<u64>,
        digits: Option<u64>,
    ) -> Option<Self> {
        let unsigned = column_type.to_ascii_lowercase().contains("unsigned");
        let small = |number: Option<u64>| number.and_then(|n| u32::try_from(n).ok());
        let digits = usize::try_from(digits.unwrap_or(0)).ok()?;
        Some(match data_type.to_ascii_lowercase().as_str() {
            "tinyint" => Self::Int { width: 1, unsigned },
            "smallint" => Self::Int { width: 2, unsigned },
            "mediumint" | "int" => Self::Int { width: 4, unsigned },
            "bigint" => Self::Int { width: 8, unsigned },
            "year" => Self::Year,
            "float" => Self::Float,
            "double" => Self::Double,
            "decimal" => {
                Self::Decimal { precision: small(precision)?, scale: small(scale).unwrap_or(0) }
            }
            "bit" => Self::Bit { bits: small(precision)? },
            "date" => Self::Date,
            "datetime" => Self::Datetime { digits },
            "timestamp" => Self::Timestamp { digits },
            "time" => Self::Time { digits },
            "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" | "enum"
            | "set" | "json" | "inet4" | "inet6" | "uuid" => Self::Text,
            "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob"
            | "geometry" | "point" | "linestring" | "polygon" | "multipoint"
            | "multilinestring" | "multipolygon" | "geometrycollection" | "geomcollection"
            | "vector" => Self::Bytes,
            _ => return None,
        })
    }

    /// The narrowest Arrow type that holds every value exactly.
    pub(crate) fn arrow(self, oddities: Oddities) -> DataType {
        match self {
            Self::Int { width: 1 | 2, unsigned: false } | Self::Year => DataType::Int16,
            Self::Int { width: 1 | 2, .. } | Self::Int { width: 4, unsigned: false } => {
                DataType::Int32
            }
            Self::Int { width: 8, unsigned: true } => DataType::Decimal128(20, 0),
            Self::Bit { bits } if bits > 63 => DataType::Decimal128(20, 0),
            Self::Int { .. } | Self::Bit { .. } => DataType::Int64,
            Self::Float => DataType::Float32,
            Self::Double => DataType::Float64,
            Self::Decimal { precision, scale } => match decimal(precision, scale) {
                Some((precision, scale)) => DataType::Decimal128(precision, scale),
                None => DataType::Utf8,
            },
            Self::Date | Self::Datetime { .. } | Self::Timestamp { .. }
                if oddities == Oddities::Text =>
            {
                DataType::Utf8
            }
            Self::Date => DataType::Date32,
            Self::Datetime { .. } => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Timestamp { .. } => {
                DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
            }
            Self::Text | Self::Time { .. } => DataType::Utf8,
            Self::Bytes => DataType::Binary,
        }
    }

    /// A value as text, number or bytes; nothing if its bytes are not of this type.
    pub(crate) fn show(self, bytes: &[u8]) -> Option<Shown> {
        Some(match self {
            Self::Int { .. } | Self::Year | Self::Bit { .. } => Shown::Int(self.integer(bytes)?),
            Self::Float => Shown::Text(f32::from_le_bytes(bytes.try_into().ok()?).to_string()),
            Self::Double => Shown::Float(f64::from_le_bytes(bytes.try_into().ok()?)),
            Self::Decimal { .. } | Self::Text => match std::str::from_utf8(bytes) {
                Ok(text) => Shown::Text(text.to_owned()),
                Err(_) => Shown::Bytes(bytes.to_vec()),
            },
            Self::Bytes => Shown::Bytes(bytes.to_vec()),
            Self::Date => Shown::Text(Moment::read(bytes)?.day_text()),
            Self::Datetime { digits } | Self::Timestamp { digits } => {
                Shown::Text(Moment::read(bytes)?.text(digits))
            }
            Self::Time { digits } => Shown::Text(time_text(bytes, digits)?),
        })
    }

    /// A whole number of any width.
    pub(crate) fn integer(self, bytes: &[u8]) -> Option<i128> {
        Some(match self {
            Self::Int { width: 1, unsigned: false } => {
                i8::from_le_bytes(bytes.try_into().ok()?).into()
            }
            Self::Int { width: 1, .. } => u8::from_le_bytes(bytes.try_into().ok()?).into(),
            Self::Int { width: 2, unsigned: false } => {
                i16::from_le_bytes(bytes.try_into().ok()?).into()
            }
            Self::Int { width: 2, .. } | Self::Year => {
                u16::from_le_bytes(bytes.try_into().ok()?).into()
            }
            Self::Int { width: 4, unsigned: false } => {
                i32::from_le_bytes(bytes.try_into().ok()?).into()
            }
            Self::Int { width: 4, .. } => u32::from_le_bytes(bytes.try_into().ok()?).into(),
            Self::Int { unsigned: false, .. } => i64::from_le_bytes(bytes.try_into().ok()?).into(),
            Self::Int { .. } => u64::from_le_bytes(bytes.try_into().ok()?).into(),
            // Bits come as the shortest whole bytes, greatest first.
            Self::Bit { .. } if bytes.len() <= 8 => {
                bytes.iter().fold(0_i128, |value, byte| (value << 8) | i128::from(*byte))
            }
            _ => return None,
        })
    }
}

/// Precision and scale as Arrow has them, if 128 bits are enough.
pub(crate) fn decimal(precision: u32, scale: u32) -> Option<(u8, i8)> {
    if precision > DECIMAL_DIGITS {
        return None;
    }
    Some((u8::try_from(precision).ok()?, i8::try_from(scale).ok()?))
}

/// A value that stands for itself.
#[derive(Clone, PartialEq)]
pub(crate) enum Shown {
    Null,
    Int(i128),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
}

impl Shown {
    /// Numbers beyond 64 bits become text, so that a cell can hold every value.
    pub(crate) fn fit(self) -> Self {
        match self {
            Self::Int(value) if i64::try_from(value).is_err() => Self::Text(value.to_string()),
            other => other,
        }
    }

    /// The value as a cell; see [`Shown::fit`].
    pub(crate) fn cell(&self) -> Cell<'_> {
        match self {
            Self::Null => Cell::Null,
            Self::Int(value) => i64::try_from(*value).map_or(Cell::Null, Cell::Int),
            Self::Float(value) => Cell::Float(*value),
            Self::Text(text) => Cell::Text(text),
            Self::Bytes(bytes) => Cell::Bytes(bytes),
        }
    }
}

/// A date and time as the server keeps it, which need not exist in any calendar.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Moment {
    year: u16,
    month: u8,
    day: u8,
    hour: u8,
    minute: u8,
    second: u8,
    micros: u32,
}

impl Moment {
    /// Reads the protocol's form: a length and as many parts as are not zero.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (length, parts) = bytes.split_first()?;
        if parts.len() != usize::from(*length) || !matches!(parts.len(), 0 | 4 | 7 | 11) {
            return None;
        }
        let mut moment = Self::default();
        if parts.len() >= 4 {
            moment.year = u16::from_le_bytes([parts[0], parts[1]]);
            (moment.month, moment.day) = (parts[2], parts[3]);
        }
        if parts.len() >= 7 {
            (moment.hour, moment.minute, moment.second) = (parts[4], parts[5], parts[6]);
        }
        if parts.len() == 11 {
            moment.micros = u32::from_le_bytes(parts[7..11].try_into().ok()?);
        }
        Some(moment)
    }

    /// The day, if the calendar has it.
    pub(crate) fn date(self) -> Option<NaiveDate> {
        NaiveDate::from_ymd_opt(self.year.into(), self.month.into(), self.day.into())
    }

    /// The wall time, if the calendar has it.
    pub(crate) fn time(self) -> Option<NaiveDateTime> {
        let (hour, minute, second) = (self.hour.into(), self.minute.into(), self.second.into());
        self.date()?.and_hms_micro_opt(hour, minute, second, self.micros)
    }

    pub(crate) fn day_text(self) -> String {
        format!("{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }

    pub(crate) fn text(self, digits: usize) -> String {
        let mut text = self.day_text();
        let (hour, minute, second) = (self.hour, self.minute, self.second);
        text.push_str(&format!(" {hour:02}:{minute:02}:{second:02}"));
        text.push_str(&fraction(self.micros, digits));
        text
    }
}

/// A span of time as the server writes it, such as `-838:59:59`.
pub(crate) fn time_text(bytes: &[u8], digits: usize) -> Option<String> {
    let (length, parts) = bytes.split_first()?;
    if parts.len() != usize::from(*length) {
        return None;
    }
    if parts.is_empty() {
        return Some(format!("00:00:00{}", fraction(0, digits)));
    }
    if !matches!(parts.len(), 8 | 12) {
        return None;
    }
    let sign = if parts[0] == 0 { "" } else { "-" };
    let days = u32::from_le_bytes(parts[1..5].try_into().ok()?);
    let hours = u64::from(days) * 24 + u64::from(parts[5]);
    let micros = match parts.get(8..12) {
        Some(micros) => u32::from_le_bytes(micros.try_into().ok()?),
        None => 0,
    };
    Some(format!("{sign}{hours:02}:{:02}:{:02}{}", parts[6], parts[7], fraction(micros, digits)))
}

fn fraction(micros: u32, digits: usize) -> String {
    if digits == 0 {
        return String::new();
    }
    let all = format!("{micros:06}");
    format!(".{}", &all[..digits.min(6)])
}

/// Reads plain decimal text into units of the scale, or not at all if a digit would be lost.
pub(crate) fn parse_decimal(text: &[u8], precision: u8, scale: i8) -> Option<i128> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let scale = u32::try_from(scale).ok()?;
    let mut value: i128 = 0;
    let mut after_point: Option<u32> = None;
    for byte in digits {
        match byte {
            b'.' if after_point.is_none() => after_point = Some(0),
            b'0'..=b'9' => {
                value = value.checked_mul(10)?.checked_add(i128::from(byte - b'0'))?;
                if let Some(count) = &mut after_point {
                    *count += 1;
                }
            }
            _ => return None,
        }
    }
    let missing = scale.checked_sub(after_point.unwrap_or(0))?;
    value = value.checked_mul(10_i128.checked_pow(missing)?)?;
    if digits.is_empty() || value >= 10_i128.checked_pow(precision.into())? {
        return None;
    }
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact_or_refused() {
        assert_eq!(parse_decimal(b"12.30", 5, 2), Some(1230));
        assert_eq!(parse_decimal(b"-0.5", 5, 2), Some(-50));
        assert_eq!(parse_decimal(b"7", 5, 2), Some(700));
        for wrong in [&b""[..], b"-", b"1.234", b"1000", b"1.2.3", b"1e3"] {
            assert_eq!(parse_decimal(wrong, 5, 2), None);
        }
        let greatest = "9".repeat(38);
        let units = parse_decimal(greatest.as_bytes(), 38, 0);
        assert_eq!(units, Some(10_i128.pow(38) - 1));
    }

    #[test]
    fn moments_keep_what_no_calendar_has() {
        let zero = Moment::read(&[0]).unwrap();
        assert_eq!((zero.date(), zero.text(3)), (None, "0000-00-00 00:00:00.000".to_owned()));
        let partial = Moment::read(&[4, 0xe8, 0x07, 0, 10]).unwrap();
        assert_eq!((partial.date(), partial.day_text()), (None, "2024-00-10".to_owned()));
        assert_eq!(Moment::read(&[4, 1]), None);
        assert_eq!(Moment::read(&[]), None);
    }

    #[test]
    fn spans_of_time_are_text() {
        assert_eq!(time_text(&[0], 0).unwrap(), "00:00:00");
        assert_eq!(time_text(&[8, 1, 34, 0, 0, 0, 22, 59, 59], 0).unwrap(), "-838:59:59");
        let micros = 120_000_u32.to_le_bytes();
        let bytes = [&[12, 0, 0, 0, 0, 0, 1, 2, 3][..], &micros].concat();
        assert_eq!(time_text(&bytes, 2).unwrap(), "01:02:03.12");
        assert_eq!(time_text(&[8, 1], 0), None);
    }
}
