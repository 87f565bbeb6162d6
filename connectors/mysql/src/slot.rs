//! Columns being built: from the bytes of the protocol to Arrow, by a way chosen once per column.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, Date32Builder, Decimal128Builder, Float32Builder, Float64Builder,
    Int16Builder, Int32Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, TimeUnit};
use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeZone};
use chrono_tz::Tz;
use huiliu_sdk::{Cell, ColumnType, RowBuilder};

use crate::config::Oddities;
use crate::wire::{Moment, Shown, Wire, parse_decimal, time_text};

const NOT_IN_CALENDAR: &str = "the calendar has no such day";

/// Why a value refuses its row.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) code: &'static str,
    pub(crate) reason: String,
}

fn refusal(code: &'static str, reason: impl Into<String>) -> Refusal {
    Refusal { code, reason: reason.into() }
}

/// One column being built.
pub(crate) struct Slot {
    pub(crate) name: String,
    pub(crate) wire: Wire,
    nullable: bool,
    oddities: Oddities,
    zones: (Tz, Tz),
    builder: Builder,
}

enum Builder {
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Decimal(Decimal128Builder, u8, i8),
    Text(StringBuilder),
    Bytes(BinaryBuilder),
    Date(Date32Builder),
    Micros(TimestampMicrosecondBuilder),
    /// A column the operator declares to be of another type than the server does.
    Declared(Box<RowBuilder>, ColumnType),
}

impl Slot {
    /// A column of the server's type, or of the `declared` one. Wall times are read in the first
    /// of the `zones` and kept in the second.
    pub(crate) fn new(
        name: &str,
        wire: Wire,
        declared: Option<ColumnType>,
        nullable: bool,
        oddities: Oddities,
        zones: (Tz, Tz),
    ) -> Self {
        let own = wire.arrow(oddities);
        let builder = match declared {
            Some(kind) if kind.arrow() != own => {
                let column = [(name.to_owned(), kind, true)];
                Builder::Declared(Box::new(RowBuilder::new(&column, zones.0, zones.1)), kind)
            }
            _ => Builder::new(&own),
        };
        Self { name: name.to_owned(), wire, nullable, oddities, zones, builder }
    }

    pub(crate) fn field(&self) -> Field {
        let kind = match &self.builder {
            Builder::Declared(_, kind) => kind.arrow(),
            _ => self.wire.arrow(self.oddities),
        };
        Field::new(&self.name, kind, self.nullable)
    }

    /// Adds one value, and a null in its place if it is refused. Says how many bytes it took.
    pub(crate) fn push(&mut self, value: Option<&[u8]>) -> Result<usize, Refusal> {
        let added = match value {
            Some(bytes) => self.add(bytes),
            None => Ok(None),
        };
        let refused = match added {
            Ok(Some(size)) => return Ok(size),
            Ok(None) if self.nullable => None,
            Ok(None) => Some(refusal("E-NULL", "no value where one is required")),
            Err(refused) => Some(refused),
        };
        self.builder.push_null();
        refused.map_or(Ok(1), Err)
    }

    /// Adds a value that is not null; nothing was added if it became one.
    fn add(&mut self, bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        let broken = || refusal("E-TYPE", "the server sent a value of another type");
        let wire = self.wire;
        let size = match &mut self.builder {
            Builder::Int16(to) => {
                let value = wire.integer(bytes).and_then(|value| i16::try_from(value).ok());
                to.append_value(value.ok_or_else(broken)?);
                2
            }
            Builder::Int32(to) => {
                let value = wire.integer(bytes).and_then(|value| i32::try_from(value).ok());
                to.append_value(value.ok_or_else(broken)?);
                4
            }
            Builder::Int64(to) => {
                let value = wire.integer(bytes).and_then(|value| i64::try_from(value).ok());
                to.append_value(value.ok_or_else(broken)?);
                8
            }
            Builder::Float32(to) => {
                to.append_value(f32::from_le_bytes(bytes.try_into().map_err(|_| broken())?));
                4
            }
            Builder::Float64(to) => {
                to.append_value(f64::from_le_bytes(bytes.try_into().map_err(|_| broken())?));
                8
            }
            Builder::Decimal(to, precision, scale) => {
                let value = match wire {
                    Wire::Decimal { .. } => parse_decimal(bytes, *precision, *scale),
                    _ => wire.integer(bytes),
                };
                to.append_value(value.ok_or_else(broken)?);
                16
            }
            Builder::Bytes(to) => {
                to.append_value(bytes);
                bytes.len() + 4
            }
            Builder::Text(_) => return self.add_text(bytes).map(Some),
            Builder::Date(_) | Builder::Micros(_) => return self.add_moment(bytes),
            Builder::Declared(..) => return self.add_declared(bytes),
        };
        Ok(Some(size))
    }

    fn add_text(&mut self, bytes: &[u8]) -> Result<usize, Refusal> {
        let broken = || refusal("E-TYPE", "the server sent a value of another type");
        let Builder::Text(to) = &mut self.builder else { return Err(broken()) };
        let made;
        let text = match self.wire {
            Wire::Time { digits } => {
                made = time_text(bytes, digits).ok_or_else(broken)?;
                made.as_str()
            }
            Wire::Date => {
                made = Moment::read(bytes).ok_or_else(broken)?.day_text();
                made.as_str()
            }
            Wire::Datetime { digits } | Wire::Timestamp { digits } => {
                made = Moment::read(bytes).ok_or_else(broken)?.text(digits);
                made.as_str()
            }
            _ => std::str::from_utf8(bytes)
                .map_err(|_| refusal("E-ENCODING", "text that is not UTF-8"))?,
        };
        if text.as_bytes().contains(&0) {
            return Err(refusal("E-NUL", "text holds a NUL character"));
        }
        to.append_value(text);
        Ok(text.len() + 4)
    }

    fn add_moment(&mut self, bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        let moment = Moment::read(bytes)
            .ok_or_else(|| refusal("E-TYPE", "the server sent a value of another type"))?;
        let odd = match self.oddities {
            Oddities::Null => Ok(None),
            Oddities::Quarantine | Oddities::Text => Err(refusal("E-ZERO-DATE", NOT_IN_CALENDAR)),
        };
        match &mut self.builder {
            Builder::Date(to) => {
                let Some(date) = moment.date() else { return odd };
                to.append_value(days(date));
                Ok(Some(4))
            }
            Builder::Micros(to) => {
                let Some(time) = moment.time() else { return odd };
                let time = match self.wire {
                    Wire::Datetime { .. } => moved(time, self.zones).ok_or_else(|| {
                        refusal("E-TYPE", "the clocks of its zone skip this time")
                    })?,
                    _ => time,
                };
                to.append_value(time.and_utc().timestamp_micros());
                Ok(Some(8))
            }
            _ => Err(refusal("E-TYPE", "the server sent a value of another type")),
        }
    }

    fn add_declared(&mut self, bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        let broken = || refusal("E-TYPE", "the server sent a value of another type");
        let Builder::Declared(to, kind) = &mut self.builder else { return Err(broken()) };
        if let Wire::Date | Wire::Datetime { .. } | Wire::Timestamp { .. } = self.wire {
            let odd = Moment::read(bytes).ok_or_else(broken)?.date().is_none();
            if odd && self.oddities == Oddities::Null {
                return Ok(None);
            }
            if odd && matches!(kind, ColumnType::Date | ColumnType::Timestamp) {
                return Err(refusal("E-ZERO-DATE", NOT_IN_CALENDAR));
            }
        }
        let mut shown = self.wire.show(bytes).ok_or_else(broken)?.fit();
        let text = matches!(kind, ColumnType::Text | ColumnType::Json);
        if text && matches!(self.wire, Wire::Bytes | Wire::Text) {
            shown = match std::str::from_utf8(bytes) {
                Ok(text) => Shown::Text(text.to_owned()),
                Err(_) => return Err(refusal("E-ENCODING", "text that is not UTF-8")),
            };
        }
        if let (Wire::Timestamp { .. }, ColumnType::Timestamp, Shown::Text(text)) =
            (self.wire, &kind, &mut shown)
        {
            text.push('Z');
        }
        let before = to.bytes();
        to.push(0, &[shown.cell()]).map_err(|error| refusal(error.code, error.reason))?;
        Ok(Some(to.bytes().saturating_sub(before)))
    }

    pub(crate) fn finish(&mut self) -> huiliu_sdk::Result<ArrayRef> {
        Ok(match &mut self.builder {
            Builder::Int16(from) => Arc::new(from.finish()),
            Builder::Int32(from) => Arc::new(from.finish()),
            Builder::Int64(from) => Arc::new(from.finish()),
            Builder::Float32(from) => Arc::new(from.finish()),
            Builder::Float64(from) => Arc::new(from.finish()),
            Builder::Decimal(from, ..) => Arc::new(from.finish()),
            Builder::Text(from) => Arc::new(from.finish()),
            Builder::Bytes(from) => Arc::new(from.finish()),
            Builder::Date(from) => Arc::new(from.finish()),
            Builder::Micros(from) => Arc::new(from.finish()),
            Builder::Declared(from, _) => Arc::clone(from.finish()?.0.column(0)),
        })
    }
}

impl Builder {
    fn new(kind: &DataType) -> Self {
        match kind {
            DataType::Int16 => Self::Int16(Int16Builder::new()),
            DataType::Int32 => Self::Int32(Int32Builder::new()),
            DataType::Int64 => Self::Int64(Int64Builder::new()),
            DataType::Float32 => Self::Float32(Float32Builder::new()),
            DataType::Float64 => Self::Float64(Float64Builder::new()),
            DataType::Decimal128(precision, scale) => {
                let to = Decimal128Builder::new().with_data_type(kind.clone());
                Self::Decimal(to, *precision, *scale)
            }
            DataType::Binary => Self::Bytes(BinaryBuilder::new()),
            DataType::Date32 => Self::Date(Date32Builder::new()),
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                let to = TimestampMicrosecondBuilder::new().with_data_type(kind.clone());
                Self::Micros(to)
            }
            // `Wire::arrow` gives nothing else.
            _ => Self::Text(StringBuilder::new()),
        }
    }

    fn push_null(&mut self) {
        match self {
            Self::Int16(to) => to.append_null(),
            Self::Int32(to) => to.append_null(),
            Self::Int64(to) => to.append_null(),
            Self::Float32(to) => to.append_null(),
            Self::Float64(to) => to.append_null(),
            Self::Decimal(to, ..) => to.append_null(),
            Self::Text(to) => to.append_null(),
            Self::Bytes(to) => to.append_null(),
            Self::Date(to) => to.append_null(),
            Self::Micros(to) => to.append_null(),
            Self::Declared(to, _) => {
                // A column of one nullable value never refuses null.
                drop(to.push(0, &[Cell::Null]));
            }
        }
    }
}

fn days(date: NaiveDate) -> i32 {
    // Days of years 0 to 9999 fit into 32 bits many times over.
    let days = date.signed_duration_since(DateTime::UNIX_EPOCH.date_naive()).num_days();
    i32::try_from(days).unwrap_or_default()
}

/// A wall time of the first zone in the second. A repeated wall time means its first occurrence.
fn moved(time: NaiveDateTime, (from, to): (Tz, Tz)) -> Option<NaiveDateTime> {
    if from == to {
        return Some(time);
    }
    Some(from.from_local_datetime(&time).earliest()?.with_timezone(&to).naive_local())
}
