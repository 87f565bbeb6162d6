//! Columns of Arrow as rows. Every value passes the same checks as one that stood in text.

use std::borrow::Cow;
use std::ops::ControlFlow;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, make_array};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int64Type, Schema, TimeUnit,
    TimestampNanosecondType, UInt64Type,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use huiliu_sdk::{Cell, ColumnType, Error, ErrorKind, Result};

use super::{Field, Flow, Raw, Receiver, Refusal};
use crate::config::Stream;

/// Gives the fields of a schema to `receiver`, and says which columns they are.
pub(super) fn announce(
    schema: &Schema,
    stream: &Stream,
    file: &str,
    receiver: &mut dyn Receiver,
) -> Result<Vec<usize>> {
    let mut fields = Vec::with_capacity(schema.fields().len());
    let mut columns = Vec::with_capacity(schema.fields().len());
    for (index, field) in schema.fields().iter().enumerate() {
        let name = field.name();
        let is_wanted =
            stream.fields.is_empty() || stream.fields.iter().any(|(_, wanted)| wanted == name);
        if !is_wanted {
            continue;
        }
        let kind = kind(field.data_type()).ok_or_else(|| {
            Error::new(
                ErrorKind::Schema,
                "E-COLUMN-TYPE",
                format!("column `{name}` of file {file} is of type {}", field.data_type()),
            )
            .hint("choose the other columns by `fields`, or ask the sender for plain columns")
        })?;
        fields.push(Field { name: name.clone(), kind: Some(kind) });
        columns.push(index);
    }
    super::grid::check_names(
        &fields.iter().map(|field| field.name.clone()).collect::<Vec<_>>(),
        file,
    )?;
    receiver.header(&fields)?;
    Ok(columns)
}

/// The contract's type for one of Arrow; none for lists and the like.
fn kind(of: &DataType) -> Option<ColumnType> {
    Some(match of {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => {
            ColumnType::Text
        }
        DataType::Time32(_) | DataType::Time64(_) => ColumnType::Text,
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => ColumnType::Binary,
        DataType::Boolean => ColumnType::Bool,
        DataType::UInt64 => ColumnType::Decimal(20, 0),
        kind if kind.is_integer() => ColumnType::Int,
        DataType::Float16 | DataType::Float32 | DataType::Float64 => ColumnType::Float,
        DataType::Date32 | DataType::Date64 => ColumnType::Date,
        DataType::Timestamp(..) => ColumnType::Timestamp,
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
            if *scale >= 0 =>
        {
            ColumnType::Decimal(*precision, *scale)
        }
        DataType::Dictionary(_, value) => return kind(value),
        _ => return None,
    })
}

/// Gives the rows of a batch to `receiver`; the first is row `first` of the file.
pub(super) fn give(
    batch: &RecordBatch,
    columns: &[usize],
    first: u64,
    receiver: &mut dyn Receiver,
) -> Flow {
    let columns: Vec<Column> =
        columns.iter().map(|index| Column::of(batch.column(*index))).collect::<Result<_>>()?;
    let options = FormatOptions::new();
    let formatters: Vec<ArrayFormatter<'_>> = (columns.iter())
        .map(|column| Ok(ArrayFormatter::try_new(&column.array, &options)?))
        .collect::<Result<_>>()?;
    for row in 0..batch.num_rows() {
        let values: Vec<Result<Held<'_>, Refusal>> = (columns.iter().zip(&formatters))
            .map(|(column, formatter)| column.value(row, formatter))
            .collect();
        let cells: Vec<Cell<'_>> = values
            .iter()
            .map(|value| match value {
                Ok(Held::Cell(cell)) => *cell,
                Ok(Held::Text(text)) => Cell::Text(text),
                Err(_) => Cell::Null,
            })
            .collect();
        let position = first + row as u64;
        let flow = match values.iter().find_map(|value| value.as_ref().err()) {
            None => receiver.row(position, &cells)?,
            Some(refusal) => receiver.refused(position, refusal.clone(), Raw::Cells(&cells))?,
        };
        if flow.is_break() {
            return Ok(flow);
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// A value that stands in the column, or that was made from it.
enum Held<'a> {
    Cell(Cell<'a>),
    Text(Cow<'a, str>),
}

/// A column in one of few types.
struct Column {
    array: ArrayRef,
}

impl Column {
    fn of(array: &ArrayRef) -> Result<Self> {
        let plain = |of: &DataType| match of {
            DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => Some(DataType::Utf8),
            DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
                Some(DataType::Binary)
            }
            kind if kind.is_integer() && *kind != DataType::UInt64 => Some(DataType::Int64),
            DataType::Float16 => Some(DataType::Float32),
            DataType::Date64 => Some(DataType::Date32),
            // To the finest unit, so that nothing is cut without being noticed.
            DataType::Timestamp(unit, zone) if *unit != TimeUnit::Nanosecond => {
                let coarse = matches!(unit, TimeUnit::Second | TimeUnit::Millisecond);
                coarse.then(|| DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))
            }
            DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
                Some(DataType::Decimal128(*precision, *scale))
            }
            _ => None,
        };
        let mut array = ArrayRef::clone(array);
        if let DataType::Dictionary(_, value) = array.data_type() {
            array = cast(&array, &value.clone())?;
        }
        if let Some(target) = plain(array.data_type()) {
            array = cast(&array, &target)?;
        }
        if let DataType::Timestamp(unit, Some(_)) = array.data_type() {
            // The same instants, written with a zone that needs no list of names.
            let utc = DataType::Timestamp(*unit, Some("+00:00".into()));
            array = make_array(array.to_data().into_builder().data_type(utc).build()?);
        }
        Ok(Self { array })
    }

    fn value<'a>(
        &'a self,
        row: usize,
        formatter: &ArrayFormatter<'_>,
    ) -> Result<Held<'a>, Refusal> {
        let array = &self.array;
        if array.is_null(row) {
            return Ok(Held::Cell(Cell::Null));
        }
        Ok(Held::Cell(match array.data_type() {
            DataType::Utf8 => Cell::Text(array.as_string::<i32>().value(row)),
            DataType::Binary => Cell::Bytes(array.as_binary::<i32>().value(row)),
            DataType::Boolean => Cell::Bool(array.as_boolean().value(row)),
            DataType::Int64 => Cell::Int(array.as_primitive::<Int64Type>().value(row)),
            DataType::UInt64 => {
                let number = array.as_primitive::<UInt64Type>().value(row);
                return Ok(Held::Text(number.to_string().into()));
            }
            DataType::Float32 => {
                Cell::Float(f64::from(array.as_primitive::<Float32Type>().value(row)))
            }
            DataType::Float64 => Cell::Float(array.as_primitive::<Float64Type>().value(row)),
            DataType::Date32 => {
                // Other calendars than ours begin or end here.
                let days = array.as_primitive::<Date32Type>().value(row);
                if !(-719_162..=2_932_896).contains(&days) {
                    return Err(("E-RANGE", "a date before the year 1 or after 9999".into()));
                }
                return Ok(Held::Text(formatter.value(row).to_string().into()));
            }
            DataType::Timestamp(unit, _) => {
                let is_fine = *unit == TimeUnit::Nanosecond
                    && array.as_primitive::<TimestampNanosecondType>().value(row) % 1000 != 0;
                if is_fine {
                    return Err(("E-RANGE", "a time with more than six digits of a second".into()));
                }
                let text = formatter.value(row).try_to_string();
                let text = text.map_err(|_| ("E-RANGE", "a time that is none".to_owned()))?;
                return Ok(Held::Text(text.into()));
            }
            DataType::Decimal128(..) => {
                let decimal = array.as_primitive::<Decimal128Type>();
                return Ok(Held::Text(decimal.value_as_string(row).into()));
            }
            _ => {
                let text = formatter.value(row).try_to_string();
                let text = text.map_err(|_| ("E-RANGE", "a value that is none".to_owned()))?;
                return Ok(Held::Text(text.into()));
            }
        }))
    }
}
