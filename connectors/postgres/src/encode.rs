//! From batches to the bytes of a binary `copy`, exactly, or not at all.

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array,
    Float32Array, Float64Array, Int16Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, TimeUnit, TimestampNanosecondType};
use chrono_tz::Tz;
use huiliu_sdk::{Error, ErrorKind, Result};

use crate::catalog::Declared;
use crate::layout::precision;
use crate::{moment, numeric};

/// What stands before the first row.
pub(crate) const HEADER: [u8; 19] = *b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What stands behind the last.
pub(crate) const TRAILER: [u8; 2] = [0xff; 2];

/// How the values of one column are written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Pack {
    Null,
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    /// With the target's precision and scale, if it has them.
    Numeric(Option<(u8, i8)>),
    Text,
    /// Text behind a version number.
    Jsonb,
    Bytes,
    Date,
    Micros,
    /// An instant as the wall time of a zone.
    ToWall(Tz),
    /// A wall time of a zone as an instant.
    ToInstant(Tz),
}

/// A column to write.
pub(crate) struct Writing {
    name: String,
    pack: Pack,
    /// Whether it travels as text, which the server reads as the column's type.
    pub(crate) is_staged: bool,
}

/// The type in which values of a type are written, as several of them hold the same.
fn normal(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Int8 | DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 => DataType::Int64,
        DataType::UInt64 => DataType::Decimal128(20, 0),
        DataType::Float16 => DataType::Float32,
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            DataType::Binary
        }
        DataType::Dictionary(_, values) => normal(values),
        DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
        other => other.clone(),
    }
}

/// How values of `data_type` are written to `target`; refused if that could change them.
pub(crate) fn writing(data_type: &DataType, target: &Declared, hub_zone: Tz) -> Result<Writing> {
    let oid = target.type_oid;
    let pack = match (normal(data_type), oid) {
        (DataType::Null, _) => Some(Pack::Null),
        (DataType::Boolean, 16) => Some(Pack::Bool),
        (DataType::Int16 | DataType::Int32 | DataType::Int64, 21) => Some(Pack::Int2),
        (DataType::Int16 | DataType::Int32 | DataType::Int64, 23) => Some(Pack::Int4),
        (DataType::Int16 | DataType::Int32 | DataType::Int64, 20) => Some(Pack::Int8),
        (DataType::Float32, 700) => Some(Pack::Float4),
        (DataType::Float32 | DataType::Float64, 701) => Some(Pack::Float8),
        (DataType::Int16 | DataType::Int32 | DataType::Int64, 1700) => {
            numeric_pack(target).map(Pack::Numeric)
        }
        (DataType::Decimal128(_, 0..), 1700) => numeric_pack(target).map(Pack::Numeric),
        (DataType::Utf8, 25 | 1043 | 1042 | 19 | 114) => Some(Pack::Text),
        (DataType::Utf8, 3802) => Some(Pack::Jsonb),
        (DataType::Utf8, _) if target.is_enum => Some(Pack::Text),
        (DataType::Binary, 17) => Some(Pack::Bytes),
        (DataType::Date32, 1082) => Some(Pack::Date),
        (DataType::Timestamp(_, None), 1114) | (DataType::Timestamp(_, Some(_)), 1184) => {
            Some(Pack::Micros)
        }
        (DataType::Timestamp(_, Some(_)), 1114) => Some(Pack::ToWall(hub_zone)),
        (DataType::Timestamp(_, None), 1184) => Some(Pack::ToInstant(hub_zone)),
        _ => None,
    };
    let name = target.name.clone();
    match pack {
        Some(pack) => Ok(Writing { name, pack, is_staged: false }),
        // Text can be anything; whether it is, the server says.
        None if normal(data_type) == DataType::Utf8 => {
            Ok(Writing { name, pack: Pack::Text, is_staged: true })
        }
        None => Err(Error::new(
            ErrorKind::Schema,
            "E-TYPE",
            format!(
                "column `{name}`: values of type {data_type} do not surely fit {}",
                target.shown
            ),
        )
        .hint("cast the column in what is pushed, or change the target's column")),
    }
}

/// Precision and scale of a `numeric`; none at all if they are beyond what can be checked.
fn numeric_pack(target: &Declared) -> Option<Option<(u8, i8)>> {
    match (target.modifier, precision(target.modifier)) {
        (_, Some(known)) => Some(Some(known)),
        (modifier, None) if modifier < 4 => Some(None),
        _ => None,
    }
}

/// Writes the rows of a batch behind `out`.
pub(crate) fn encode(batch: &RecordBatch, columns: &[Writing], out: &mut Vec<u8>) -> Result<()> {
    let arrays = (batch.columns().iter().zip(columns))
        .map(|(array, column)| normalized(array, column))
        .collect::<Result<Vec<ArrayRef>>>()?;
    let cells = arrays.iter().map(Cells::of).collect::<Result<Vec<Cells<'_>>>>()?;
    let count = i16::try_from(columns.len())
        .map_err(|_| Error::internal("a table has more columns than a row can have"))?
        .to_be_bytes();
    for row in 0..batch.num_rows() {
        out.extend_from_slice(&count);
        for ((array, cells), column) in arrays.iter().zip(&cells).zip(columns) {
            if array.is_null(row) || column.pack == Pack::Null {
                out.extend_from_slice(&[0xff; 4]);
                continue;
            }
            let at = out.len();
            out.extend_from_slice(&[0; 4]);
            value(cells, row, column, out)?;
            let length = i32::try_from(out.len() - at - 4)
                .map_err(|_| unfit(column, "a value that is too large"))?;
            out[at..at + 4].copy_from_slice(&length.to_be_bytes());
        }
    }
    Ok(())
}

fn normalized(array: &ArrayRef, column: &Writing) -> Result<ArrayRef> {
    let wanted = normal(array.data_type());
    if wanted == *array.data_type() {
        return Ok(ArrayRef::clone(array));
    }
    if let Some(nanos) = array.as_primitive_opt::<TimestampNanosecondType>()
        && nanos.iter().flatten().any(|nanos| nanos % 1000 != 0)
    {
        return Err(unfit(column, "a time finer than a microsecond"));
    }
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(array, &wanted, &strict)
        .map_err(|_| unfit(column, "a value that does not fit"))
}

fn unfit(column: &Writing, what: &str) -> Error {
    Error::new(ErrorKind::Data, "E-RANGE", format!("column `{}` holds {what}", column.name))
        .hint("nothing was written; correct the value, or change the target's column")
}

/// The values of one column, whose kind is found once for a batch.
enum Cells<'a> {
    None,
    Bool(&'a BooleanArray),
    Int16(&'a Int16Array),
    Int32(&'a Int32Array),
    Int64(&'a Int64Array),
    Float32(&'a Float32Array),
    Float64(&'a Float64Array),
    Decimal(&'a Decimal128Array),
    Text(&'a StringArray),
    Bytes(&'a BinaryArray),
    Date(&'a Date32Array),
    Micros(&'a TimestampMicrosecondArray),
}

impl<'a> Cells<'a> {
    fn of(array: &'a ArrayRef) -> Result<Self> {
        Ok(match array.data_type() {
            DataType::Null => Self::None,
            DataType::Boolean => Self::Bool(array.as_boolean()),
            DataType::Int16 => Self::Int16(array.as_primitive()),
            DataType::Int32 => Self::Int32(array.as_primitive()),
            DataType::Int64 => Self::Int64(array.as_primitive()),
            DataType::Float32 => Self::Float32(array.as_primitive()),
            DataType::Float64 => Self::Float64(array.as_primitive()),
            DataType::Decimal128(..) => Self::Decimal(array.as_primitive()),
            DataType::Utf8 => Self::Text(array.as_string()),
            DataType::Binary => Self::Bytes(array.as_binary()),
            DataType::Date32 => Self::Date(array.as_primitive()),
            DataType::Timestamp(TimeUnit::Microsecond, _) => Self::Micros(array.as_primitive()),
            other => {
                return Err(Error::internal(format!("values of type {other} are not written")));
            }
        })
    }

    /// The whole number in a row of any of the integer types.
    fn int(&self, row: usize) -> Result<i64> {
        match self {
            Self::Int16(values) => Ok(values.value(row).into()),
            Self::Int32(values) => Ok(values.value(row).into()),
            Self::Int64(values) => Ok(values.value(row)),
            _ => Err(other_kind()),
        }
    }
}

fn other_kind() -> Error {
    Error::internal("a column is not of the type that was agreed")
}

fn value(cells: &Cells<'_>, row: usize, column: &Writing, out: &mut Vec<u8>) -> Result<()> {
    let range = || unfit(column, "a number that is too large for the target's column");
    match (column.pack, cells) {
        (Pack::Text, Cells::Text(values)) => {
            out.extend_from_slice(without_nul(values.value(row).as_bytes(), column)?);
        }
        (Pack::Jsonb, Cells::Text(values)) => {
            out.push(1);
            out.extend_from_slice(without_nul(values.value(row).as_bytes(), column)?);
        }
        (Pack::Bool, Cells::Bool(values)) => out.push(u8::from(values.value(row))),
        (Pack::Int2, cells) => {
            let value = i16::try_from(cells.int(row)?).map_err(|_| range())?;
            out.extend_from_slice(&value.to_be_bytes());
        }
        (Pack::Int4, cells) => {
            let value = i32::try_from(cells.int(row)?).map_err(|_| range())?;
            out.extend_from_slice(&value.to_be_bytes());
        }
        (Pack::Int8, cells) => out.extend_from_slice(&cells.int(row)?.to_be_bytes()),
        (Pack::Float4, Cells::Float32(values)) => {
            out.extend_from_slice(&values.value(row).to_be_bytes());
        }
        (Pack::Float8, Cells::Float64(values)) => {
            out.extend_from_slice(&values.value(row).to_be_bytes());
        }
        (Pack::Float8, Cells::Float32(values)) => {
            out.extend_from_slice(&f64::from(values.value(row)).to_be_bytes());
        }
        (Pack::Numeric(limits), cells) => {
            let (value, scale) = match cells {
                Cells::Decimal(values) => (values.value(row), values.scale()),
                other => (other.int(row)?.into(), 0),
            };
            if let Some((precision, target)) = limits
                && !fits(value, scale, precision, target)
            {
                return Err(unfit(column, "a number with more digits than the target's column"));
            }
            numeric::encode(value, scale.unsigned_abs().into(), out);
        }
        (Pack::Bytes, Cells::Bytes(values)) => out.extend_from_slice(values.value(row)),
        (Pack::Date, Cells::Date(values)) => {
            let day = moment::server_day(values.value(row));
            out.extend_from_slice(&day.ok_or_else(range)?.to_be_bytes());
        }
        (Pack::Micros | Pack::ToWall(_) | Pack::ToInstant(_), Cells::Micros(values)) => {
            let micros = values.value(row);
            let moved = match column.pack {
                Pack::ToWall(zone) => moment::wall(micros, zone),
                Pack::ToInstant(zone) => moment::moved(micros, zone, chrono_tz::UTC),
                _ => Some(micros),
            };
            let moved = moved.and_then(moment::server_micros).ok_or_else(range)?;
            out.extend_from_slice(&moved.to_be_bytes());
        }
        _ => return Err(other_kind()),
    }
    Ok(())
}

fn without_nul<'a>(text: &'a [u8], column: &Writing) -> Result<&'a [u8]> {
    if text.contains(&0) {
        return Err(Error::new(
            ErrorKind::Data,
            "E-NUL",
            format!("column `{}` holds text with a NUL character", column.name),
        )
        .hint("PostgreSQL keeps no such text; remove the character"));
    }
    Ok(text)
}

/// Whether a number keeps all its digits in a column of `precision` and `target` scale.
pub(crate) fn fits(value: i128, scale: i8, precision: u8, target: i8) -> bool {
    let power = |digits: i32| 10_i128.checked_pow(digits.unsigned_abs());
    let more = i32::from(scale) - i32::from(target);
    let scaled = if more > 0 {
        match power(more) {
            Some(divisor) if value % divisor == 0 => Some(value / divisor),
            None if value == 0 => Some(0),
            _ => None,
        }
    } else {
        power(more).and_then(|factor| value.checked_mul(factor))
    };
    scaled.is_some_and(|scaled| {
        power(precision.into()).is_some_and(|limit| scaled.unsigned_abs() < limit.unsigned_abs())
    })
}
