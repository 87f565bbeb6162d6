//! One column of a batch, built from the server's binary values. Its kind is chosen once.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, BooleanBufferBuilder, Date32Array, Decimal128Array,
    Float32Array, Float64Array, Int16Array, Int32Array, Int64Array, NullBufferBuilder, StringArray,
    TimestampMicrosecondArray,
};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, TimeUnit};
use chrono_tz::Tz;
use huiliu_sdk::{Error, ErrorKind, Result};

use crate::moment;
use crate::numeric::{self, Unfit};

/// How a value comes over the wire and what it becomes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Wire {
    Bool,
    Int16,
    Int32,
    Int64,
    /// An unsigned number of 32 bits.
    Oid,
    Float32,
    Float64,
    Decimal(u8, i8),
    Text,
    Bytes,
    Date,
    /// A wall time, moved from the first zone to the second.
    WallTime(Tz, Tz),
    Instant,
    /// An instant that becomes a wall time of the zone.
    InstantAsWall(Tz),
}

impl Wire {
    /// The type it becomes.
    pub(crate) fn arrow(self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Int16 => DataType::Int16,
            Self::Int32 => DataType::Int32,
            Self::Int64 | Self::Oid => DataType::Int64,
            Self::Float32 => DataType::Float32,
            Self::Float64 => DataType::Float64,
            Self::Decimal(precision, scale) => DataType::Decimal128(precision, scale),
            Self::Text => DataType::Utf8,
            Self::Bytes => DataType::Binary,
            Self::Date => DataType::Date32,
            Self::WallTime(..) | Self::InstantAsWall(_) => {
                DataType::Timestamp(TimeUnit::Microsecond, None)
            }
            Self::Instant => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        }
    }
}

/// Why a value does not become one of the lake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Odd {
    /// A time before or after all that the lake can hold.
    Time,
    /// No number, or an infinite one, where a decimal is kept.
    NoNumber,
    /// More digits than the column's type has.
    Digits,
    /// Bytes that are not UTF-8.
    Encoding,
    /// The bytes are not of the type that was announced.
    Form,
}

impl Odd {
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Time | Self::NoNumber | Self::Digits => "E-ODDITY",
            Self::Encoding => "E-ENCODING",
            Self::Form => "E-TYPE",
        }
    }

    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Time => "a time that is infinite or too far away for the lake",
            Self::NoNumber => "not a number where a decimal is kept",
            Self::Digits => "a number of more digits than the column has",
            Self::Encoding => "text that is not UTF-8",
            Self::Form => "bytes that are not of the column's type",
        }
    }
}

pub(crate) struct Fixed<T> {
    values: Vec<T>,
    nulls: NullBufferBuilder,
}

impl<T: Copy + Default> Fixed<T> {
    fn new(capacity: usize) -> Self {
        Self { values: Vec::with_capacity(capacity), nulls: NullBufferBuilder::new(capacity) }
    }

    #[inline]
    fn push(&mut self, value: T) {
        self.values.push(value);
        self.nulls.append_non_null();
    }

    fn null(&mut self) {
        self.values.push(T::default());
        self.nulls.append_null();
    }

    fn truncate(&mut self, rows: usize) {
        self.values.truncate(rows);
        self.nulls.truncate(rows);
    }

    fn take(&mut self) -> (Vec<T>, Option<arrow::buffer::NullBuffer>) {
        let next = Vec::with_capacity(self.values.len());
        (std::mem::replace(&mut self.values, next), self.nulls.finish())
    }
}

pub(crate) struct Varied {
    offsets: Vec<i32>,
    data: Vec<u8>,
    nulls: NullBufferBuilder,
    /// Whether every value is to be proved UTF-8 on its own.
    checked: bool,
}

impl Varied {
    fn new(capacity: usize, checked: bool) -> Self {
        let mut offsets = Vec::with_capacity(capacity + 1);
        offsets.push(0);
        Self { offsets, data: Vec::new(), nulls: NullBufferBuilder::new(capacity), checked }
    }

    #[inline]
    fn push(&mut self, value: &[u8]) -> Result<(), Odd> {
        if self.checked && std::str::from_utf8(value).is_err() {
            return Err(Odd::Encoding);
        }
        self.data.extend_from_slice(value);
        self.offsets.push(i32::try_from(self.data.len()).map_err(|_| Odd::Form)?);
        self.nulls.append_non_null();
        Ok(())
    }

    fn null(&mut self) {
        self.offsets.push(self.offsets.last().copied().unwrap_or(0));
        self.nulls.append_null();
    }

    fn truncate(&mut self, rows: usize) {
        self.offsets.truncate(rows + 1);
        let end = self.offsets.last().copied().unwrap_or(0);
        self.data.truncate(usize::try_from(end).unwrap_or(0));
        self.nulls.truncate(rows);
    }

    fn take(&mut self) -> (OffsetBuffer<i32>, Buffer, Option<arrow::buffer::NullBuffer>) {
        let mut offsets = Vec::with_capacity(self.offsets.len());
        offsets.push(0);
        let offsets = std::mem::replace(&mut self.offsets, offsets);
        // One large value must not reserve as much for every batch that follows.
        let data = Vec::with_capacity(self.data.len().min(8 << 20));
        let data = std::mem::replace(&mut self.data, data);
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        (offsets, Buffer::from_vec(data), self.nulls.finish())
    }
}

enum Values {
    Bool(BooleanBufferBuilder, NullBufferBuilder),
    Int16(Fixed<i16>),
    Int32(Fixed<i32>),
    Int64(Fixed<i64>),
    Oid(Fixed<i64>),
    Float32(Fixed<f32>),
    Float64(Fixed<f64>),
    Decimal(Fixed<i128>, i32, i128),
    Text(Varied),
    Bytes(Varied),
    Date(Fixed<i32>),
    Wall(Fixed<i64>),
    MovedWall(Fixed<i64>, Tz, Tz),
    Instant(Fixed<i64>),
    InstantAsWall(Fixed<i64>, Tz),
}

/// A column being built.
pub(crate) struct Column {
    wire: Wire,
    values: Values,
}

impl Column {
    /// An empty column. `checked` says whether text has to be proved UTF-8 value by value.
    pub(crate) fn new(wire: Wire, capacity: usize, checked: bool) -> Self {
        let values = match wire {
            Wire::Bool => {
                Values::Bool(BooleanBufferBuilder::new(capacity), NullBufferBuilder::new(capacity))
            }
            Wire::Int16 => Values::Int16(Fixed::new(capacity)),
            Wire::Int32 => Values::Int32(Fixed::new(capacity)),
            Wire::Int64 => Values::Int64(Fixed::new(capacity)),
            Wire::Oid => Values::Oid(Fixed::new(capacity)),
            Wire::Float32 => Values::Float32(Fixed::new(capacity)),
            Wire::Float64 => Values::Float64(Fixed::new(capacity)),
            Wire::Decimal(precision, scale) => Values::Decimal(
                Fixed::new(capacity),
                i32::from(scale),
                10_i128.saturating_pow(u32::from(precision)),
            ),
            Wire::Text => Values::Text(Varied::new(capacity, checked)),
            Wire::Bytes => Values::Bytes(Varied::new(capacity, false)),
            Wire::Date => Values::Date(Fixed::new(capacity)),
            Wire::WallTime(from, to) if from == to => Values::Wall(Fixed::new(capacity)),
            Wire::WallTime(from, to) => Values::MovedWall(Fixed::new(capacity), from, to),
            Wire::Instant => Values::Instant(Fixed::new(capacity)),
            Wire::InstantAsWall(zone) => Values::InstantAsWall(Fixed::new(capacity), zone),
        };
        Self { wire, values }
    }

    /// Adds a value, or says why not and changes nothing.
    #[inline]
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), Odd> {
        match &mut self.values {
            Values::Text(column) | Values::Bytes(column) => return column.push(bytes),
            Values::Bool(column, nulls) => {
                let [value] = fixed::<1>(bytes)?;
                column.append(value != 0);
                nulls.append_non_null();
            }
            Values::Int16(column) => column.push(i16::from_be_bytes(fixed(bytes)?)),
            Values::Int32(column) => column.push(i32::from_be_bytes(fixed(bytes)?)),
            Values::Int64(column) => column.push(i64::from_be_bytes(fixed(bytes)?)),
            Values::Oid(column) => column.push(i64::from(u32::from_be_bytes(fixed(bytes)?))),
            Values::Float32(column) => column.push(f32::from_be_bytes(fixed(bytes)?)),
            Values::Float64(column) => column.push(f64::from_be_bytes(fixed(bytes)?)),
            Values::Decimal(column, scale, limit) => {
                let value =
                    numeric::decode(bytes, *scale, *limit).map_err(|unfit| match unfit {
                        Unfit::NoNumber => Odd::NoNumber,
                        Unfit::Digits => Odd::Digits,
                        Unfit::Form => Odd::Form,
                    })?;
                column.push(value);
            }
            Values::Date(column) => {
                let day = i32::from_be_bytes(fixed(bytes)?);
                column.push(moment::day(day).ok_or(Odd::Time)?);
            }
            Values::Wall(column) | Values::Instant(column) => column.push(micros(bytes)?),
            Values::MovedWall(column, from, to) => {
                column.push(moment::moved(micros(bytes)?, *from, *to).ok_or(Odd::Time)?);
            }
            Values::InstantAsWall(column, zone) => {
                column.push(moment::wall(micros(bytes)?, *zone).ok_or(Odd::Time)?);
            }
        }
        Ok(())
    }

    /// Adds no value.
    #[inline]
    pub(crate) fn null(&mut self) {
        match &mut self.values {
            Values::Bool(column, nulls) => {
                column.append(false);
                nulls.append_null();
            }
            Values::Int16(column) => column.null(),
            Values::Int32(column) | Values::Date(column) => column.null(),
            Values::Int64(column)
            | Values::Oid(column)
            | Values::Wall(column)
            | Values::MovedWall(column, ..)
            | Values::Instant(column)
            | Values::InstantAsWall(column, _) => column.null(),
            Values::Float32(column) => column.null(),
            Values::Float64(column) => column.null(),
            Values::Decimal(column, ..) => column.null(),
            Values::Text(column) | Values::Bytes(column) => column.null(),
        }
    }

    /// Forgets what came after the first `rows` values.
    pub(crate) fn truncate(&mut self, rows: usize) {
        match &mut self.values {
            Values::Bool(column, nulls) => {
                column.truncate(rows);
                nulls.truncate(rows);
            }
            Values::Int16(column) => column.truncate(rows),
            Values::Int32(column) | Values::Date(column) => column.truncate(rows),
            Values::Int64(column)
            | Values::Oid(column)
            | Values::Wall(column)
            | Values::MovedWall(column, ..)
            | Values::Instant(column)
            | Values::InstantAsWall(column, _) => column.truncate(rows),
            Values::Float32(column) => column.truncate(rows),
            Values::Float64(column) => column.truncate(rows),
            Values::Decimal(column, ..) => column.truncate(rows),
            Values::Text(column) | Values::Bytes(column) => column.truncate(rows),
        }
    }

    /// Takes the values and starts anew.
    pub(crate) fn take(&mut self) -> Result<ArrayRef> {
        Ok(match &mut self.values {
            Values::Bool(column, nulls) => {
                Arc::new(BooleanArray::new(column.finish(), nulls.finish()))
            }
            Values::Int16(column) => {
                let (values, nulls) = column.take();
                Arc::new(Int16Array::new(values.into(), nulls))
            }
            Values::Int32(column) => {
                let (values, nulls) = column.take();
                Arc::new(Int32Array::new(values.into(), nulls))
            }
            Values::Date(column) => {
                let (values, nulls) = column.take();
                Arc::new(Date32Array::new(values.into(), nulls))
            }
            Values::Int64(column) | Values::Oid(column) => {
                let (values, nulls) = column.take();
                Arc::new(Int64Array::new(values.into(), nulls))
            }
            Values::Wall(column)
            | Values::MovedWall(column, ..)
            | Values::InstantAsWall(column, _) => {
                let (values, nulls) = column.take();
                Arc::new(TimestampMicrosecondArray::new(values.into(), nulls))
            }
            Values::Instant(column) => {
                let (values, nulls) = column.take();
                let instants = TimestampMicrosecondArray::new(values.into(), nulls);
                Arc::new(instants.with_timezone("UTC"))
            }
            Values::Float32(column) => {
                let (values, nulls) = column.take();
                Arc::new(Float32Array::new(values.into(), nulls))
            }
            Values::Float64(column) => {
                let (values, nulls) = column.take();
                Arc::new(Float64Array::new(values.into(), nulls))
            }
            Values::Decimal(column, ..) => {
                let (values, nulls) = column.take();
                let decimals = Decimal128Array::new(values.into(), nulls);
                Arc::new(decimals.with_data_type(self.wire.arrow()))
            }
            Values::Text(column) => {
                let (offsets, data, nulls) = column.take();
                // The server has checked every text of a database that has an encoding.
                let text = StringArray::try_new(offsets, data, nulls).map_err(|cause| {
                    Error::new(
                        ErrorKind::Data,
                        "E-ENCODING",
                        "the database sent text that is not UTF-8",
                    )
                    .cause(cause)
                })?;
                Arc::new(text)
            }
            Values::Bytes(column) => {
                let (offsets, data, nulls) = column.take();
                Arc::new(BinaryArray::try_new(offsets, data, nulls)?)
            }
        })
    }
}

#[inline]
fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Odd> {
    bytes.try_into().map_err(|_| Odd::Form)
}

#[inline]
fn micros(bytes: &[u8]) -> Result<i64, Odd> {
    moment::micros(i64::from_be_bytes(fixed(bytes)?)).ok_or(Odd::Time)
}
