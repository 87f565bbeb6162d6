//! Rows as messages of the wire.
//!
//! How a column is written is chosen once for many rows: asking about each cell takes longer than
//! writing it. Common types are written here as PostgreSQL writes them; the rest, and the binary
//! format, are the wire crate's.

use std::sync::Arc;

use bytes::{BufMut, BytesMut};
use chrono::{DateTime, Datelike, NaiveDate, Timelike};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Decimal128Array, Int64Array, StringArray,
    StringViewArray, TimestampMicrosecondArray,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, TimeUnit};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion_postgres::arrow_pg::encoder::encode_value;
use datafusion_postgres::pgwire::api::Type;
use datafusion_postgres::pgwire::api::results::{DataRowEncoder, FieldFormat, FieldInfo};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::data::DataRow;

/// Rows that are encoded at a time: few enough that they stay near the processor.
const ROWS: usize = 512;
/// The length of a null.
const NULL: i32 = -1;
/// Days from the year 1 to 1970.
const DAYS_TO_1970: i32 = 719_163;

/// The rows of `batch`, a few at a time.
pub(super) fn encoded(
    fields: Arc<Vec<FieldInfo>>,
    batch: RecordBatch,
) -> impl Iterator<Item = PgWireResult<DataRow>> {
    let rows = batch.num_rows();
    (0..rows).step_by(ROWS).flat_map(move |from| {
        let some = batch.slice(from, ROWS.min(rows - from));
        match chunk(&fields, &some) {
            Ok(rows) => rows.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        }
    })
}

fn chunk(fields: &[FieldInfo], batch: &RecordBatch) -> PgWireResult<Vec<DataRow>> {
    let schema = batch.schema();
    let mut cells = Vec::with_capacity(fields.len());
    for ((shown, array), field) in fields.iter().zip(batch.columns()).zip(schema.fields()) {
        cells.push(Cells::new(shown, array, field)?);
    }
    let count = i16::try_from(fields.len()).unwrap_or(i16::MAX);
    let mut data = BytesMut::with_capacity(1 << 16);
    let mut rows = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        for cells in &mut cells {
            cells.write(row, &mut data)?;
        }
        rows.push(DataRow::new(data.split(), count));
    }
    Ok(rows)
}

/// The cells of one column.
enum Cells<'a> {
    Text(&'a StringArray),
    TextView(&'a StringViewArray),
    Truth(&'a BooleanArray),
    Whole(Int64Array),
    /// Numbers, with the digits behind their point.
    Decimal(&'a Decimal128Array, usize),
    Date(&'a Date32Array, Box<Other<'a>>),
    Time(&'a TimestampMicrosecondArray, Box<Other<'a>>),
    /// Instants, written in UTC.
    Instant(&'a TimestampMicrosecondArray, Box<Other<'a>>),
    Other(Box<Other<'a>>),
}

/// Cells that the wire crate writes.
struct Other<'a> {
    array: &'a ArrayRef,
    field: &'a Field,
    shown: &'a FieldInfo,
    encoder: DataRowEncoder,
}

impl<'a> Cells<'a> {
    fn new(shown: &'a FieldInfo, array: &'a ArrayRef, field: &'a Field) -> PgWireResult<Self> {
        let encoder = DataRowEncoder::new(Arc::new(vec![shown.clone()]));
        let other = Box::new(Other { array, field, shown, encoder });
        if shown.format() != FieldFormat::Text {
            return Ok(Self::Other(other));
        }
        let is_iso = shown.format_options().date_style.to_lowercase().starts_with("iso");
        let kind = shown.datatype();
        Ok(match array.data_type() {
            DataType::Utf8 if is_text(kind) => Self::Text(array.as_string()),
            DataType::Utf8View if is_text(kind) => Self::TextView(array.as_string_view()),
            DataType::Boolean if *kind == Type::BOOL => Self::Truth(array.as_boolean()),
            DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64
                if [Type::INT2, Type::INT4, Type::INT8].contains(kind) =>
            {
                let wide = cast(array, &DataType::Int64);
                let wide = wide.map_err(|e| PgWireError::ApiError(Box::new(e)))?;
                Self::Whole(wide.as_primitive().clone())
            }
            DataType::Decimal128(_, scale) if *kind == Type::NUMERIC && *scale >= 0 => {
                Self::Decimal(array.as_primitive(), usize::try_from(*scale).unwrap_or(0))
            }
            DataType::Date32 if *kind == Type::DATE && is_iso => {
                Self::Date(array.as_primitive(), other)
            }
            DataType::Timestamp(TimeUnit::Microsecond, None)
                if *kind == Type::TIMESTAMP && is_iso =>
            {
                Self::Time(array.as_primitive(), other)
            }
            DataType::Timestamp(TimeUnit::Microsecond, Some(zone))
                if *kind == Type::TIMESTAMPTZ && is_iso && ["UTC", "+00:00"].contains(&&**zone) =>
            {
                Self::Instant(array.as_primitive(), other)
            }
            _ => Self::Other(other),
        })
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Text(array) => array.is_null(row),
            Self::TextView(array) => array.is_null(row),
            Self::Truth(array) => array.is_null(row),
            Self::Whole(array) => array.is_null(row),
            Self::Decimal(array, _) => array.is_null(row),
            Self::Date(array, _) => array.is_null(row),
            Self::Time(array, _) | Self::Instant(array, _) => array.is_null(row),
            // The crate writes its nulls itself.
            Self::Other(_) => false,
        }
    }

    /// Adds the cell of `row` to `data`: its length and its text.
    fn write(&mut self, row: usize, data: &mut BytesMut) -> PgWireResult<()> {
        if self.is_null(row) {
            data.put_i32(NULL);
            return Ok(());
        }
        let start = data.len();
        data.put_i32(0);
        match self {
            Self::Text(array) => data.put_slice(array.value(row).as_bytes()),
            Self::TextView(array) => data.put_slice(array.value(row).as_bytes()),
            Self::Truth(array) => data.put_slice(if array.value(row) { b"t" } else { b"f" }),
            Self::Whole(array) => {
                data.put_slice(itoa::Buffer::new().format(array.value(row)).as_bytes());
            }
            Self::Decimal(array, scale) => decimal(array.value(row), *scale, data),
            Self::Date(array, other) => {
                let days = array.value(row).checked_add(DAYS_TO_1970);
                let day = days.and_then(NaiveDate::from_num_days_from_ce_opt);
                match day.filter(has_four_digits) {
                    Some(day) => date(&day, data),
                    None => return other.instead(start, row, data),
                }
            }
            Self::Time(array, other) => match time(array.value(row)) {
                Some(time) => date_and_clock(&time, data),
                None => return other.instead(start, row, data),
            },
            Self::Instant(array, other) => match time(array.value(row)) {
                Some(time) => {
                    date_and_clock(&time, data);
                    data.put_slice(b"+00");
                }
                None => return other.instead(start, row, data),
            },
            Self::Other(other) => return other.instead(start, row, data),
        }
        let length = i32::try_from(data.len() - start - 4);
        let length = length.map_err(|e| PgWireError::ApiError(Box::new(e)))?;
        data[start..start + 4].copy_from_slice(&length.to_be_bytes());
        Ok(())
    }
}

impl Other<'_> {
    /// Writes the cell of `row` in the place of what begins at `start`.
    fn instead(&mut self, start: usize, row: usize, data: &mut BytesMut) -> PgWireResult<()> {
        data.truncate(start);
        encode_value(&mut self.encoder, self.array, row, self.field, self.shown)?;
        data.put_slice(&self.encoder.take_row().data);
        Ok(())
    }
}

fn is_text(kind: &Type) -> bool {
    [Type::TEXT, Type::VARCHAR, Type::BPCHAR, Type::NAME, Type::UNKNOWN].contains(kind)
}

/// The time `micros` after 1970, if it is one that is written here.
fn time(micros: i64) -> Option<DateTime<chrono::Utc>> {
    DateTime::from_timestamp_micros(micros).filter(has_four_digits)
}

/// Years that are written in four digits.
fn has_four_digits(day: &impl Datelike) -> bool {
    (1..=9999).contains(&day.year())
}

fn date(day: &impl Datelike, data: &mut BytesMut) {
    let year = u32::try_from(day.year()).unwrap_or(0);
    two_digits(year / 100, data);
    two_digits(year % 100, data);
    data.put_u8(b'-');
    two_digits(day.month(), data);
    data.put_u8(b'-');
    two_digits(day.day(), data);
}

fn date_and_clock(time: &(impl Datelike + Timelike), data: &mut BytesMut) {
    date(time, data);
    data.put_u8(b' ');
    clock(time, data);
}

/// The time of day, with as many digits of its second as it needs.
fn clock(time: &impl Timelike, data: &mut BytesMut) {
    two_digits(time.hour(), data);
    data.put_u8(b':');
    two_digits(time.minute(), data);
    data.put_u8(b':');
    two_digits(time.second(), data);
    let micros = time.nanosecond() / 1000;
    if micros > 0 {
        data.put_u8(b'.');
        for part in [micros / 10_000, micros / 100 % 100, micros % 100] {
            two_digits(part, data);
        }
        while data.last() == Some(&b'0') {
            data.truncate(data.len() - 1);
        }
    }
}

fn two_digits(number: u32, data: &mut BytesMut) {
    let digit = |number: u32| b'0' + u8::try_from(number % 10).unwrap_or(0);
    data.put_slice(&[digit(number / 10), digit(number)]);
}

/// `value` with its last `scale` digits behind a point.
fn decimal(value: i128, scale: usize, data: &mut BytesMut) {
    if value < 0 {
        data.put_u8(b'-');
    }
    let mut buffer = itoa::Buffer::new();
    let digits = match u64::try_from(value.unsigned_abs()) {
        Ok(short) => buffer.format(short),
        Err(_) => buffer.format(value.unsigned_abs()),
    };
    let (whole, part) = digits.split_at(digits.len().saturating_sub(scale));
    data.put_slice(if whole.is_empty() { "0" } else { whole }.as_bytes());
    if scale > 0 {
        data.put_u8(b'.');
        data.put_bytes(b'0', scale - part.len());
        data.put_slice(part.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Float64Array, Int16Array};
    use datafusion::arrow::datatypes::Schema;
    use datafusion_postgres::arrow_pg::datatypes::arrow_schema_to_pg_fields;
    use datafusion_postgres::pgwire::api::portal::Format;

    use super::*;

    /// The cells of all rows as text.
    fn texts(columns: Vec<ArrayRef>) -> Vec<Vec<Option<String>>> {
        let fields: Vec<Field> = columns
            .iter()
            .enumerate()
            .map(|(number, column)| {
                Field::new(format!("c{number}"), column.data_type().clone(), true)
            })
            .collect();
        let schema = Arc::new(Schema::new(fields));
        let shown = arrow_schema_to_pg_fields(&schema, &Format::UnifiedText, None).unwrap();
        let batch = RecordBatch::try_new(schema, columns).unwrap();
        encoded(Arc::new(shown), batch)
            .map(|row| {
                let row = row.unwrap();
                let mut data = &row.data[..];
                let mut cells = Vec::new();
                while let Some((length, rest)) = data.split_first_chunk::<4>() {
                    let length = usize::try_from(i32::from_be_bytes(*length)).ok();
                    let (cell, rest) = rest.split_at(length.unwrap_or(0));
                    cells.push(length.map(|_| String::from_utf8(cell.to_vec()).unwrap()));
                    data = rest;
                }
                assert_eq!(cells.len(), usize::try_from(row.field_count).unwrap());
                cells
            })
            .collect()
    }

    fn column(array: impl Array + 'static) -> Vec<Option<String>> {
        texts(vec![Arc::new(array)]).into_iter().map(|mut row| row.remove(0)).collect()
    }

    fn some(texts: &[&str]) -> Vec<Option<String>> {
        let text = |text: &&str| (*text != "null").then(|| (*text).to_owned());
        texts.iter().map(text).collect()
    }

    #[test]
    fn cells_are_written_as_postgresql_writes_them() {
        let words = vec![Some("马鞍山"), None, Some("")];
        assert_eq!(column(StringArray::from(words.clone())), some(&["马鞍山", "null", ""]));
        assert_eq!(column(StringViewArray::from(words)), some(&["马鞍山", "null", ""]));
        let truths = BooleanArray::from(vec![Some(true), None, Some(false)]);
        assert_eq!(column(truths), some(&["t", "null", "f"]));
        let numbers = Int64Array::from(vec![Some(i64::MIN), Some(0), None]);
        assert_eq!(column(numbers), some(&["-9223372036854775808", "0", "null"]));
        assert_eq!(column(Int16Array::from(vec![-7])), some(&["-7"]));
        assert_eq!(column(Float64Array::from(vec![Some(0.5), None])), some(&["0.5", "null"]));
    }

    #[test]
    fn decimals_keep_all_their_digits() {
        let decimals = |values: Vec<Option<i128>>, scale| {
            Decimal128Array::from(values).with_precision_and_scale(38, scale).unwrap()
        };
        let values = vec![Some(0), Some(5), Some(-5), Some(12_345), None, Some(-12_345)];
        assert_eq!(
            column(decimals(values, 2)),
            some(&["0.00", "0.05", "-0.05", "123.45", "null", "-123.45"])
        );
        let most = 10_i128.pow(38) - 1;
        assert_eq!(
            column(decimals(vec![Some(-most)], 0)),
            some(&[&format!("-{}", "9".repeat(38))])
        );
        assert_eq!(
            column(decimals(vec![Some(most)], 38)),
            some(&[&format!("0.{}", "9".repeat(38))])
        );
    }

    #[test]
    fn times_have_the_digits_they_need_and_far_ones_are_written_too() {
        let micros = |text: &str| {
            chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f")
                .unwrap()
                .and_utc()
                .timestamp_micros()
        };
        let shown = [
            "2018-06-27 09:05:03",
            "2018-06-27 23:59:59.000001",
            "1969-12-31 23:59:59.5",
            "0001-01-01 00:00:00.12",
            "9999-12-31 23:59:59.999999",
        ];
        let times = TimestampMicrosecondArray::from_iter_values(shown.iter().map(|t| micros(t)));
        assert_eq!(column(times.clone()), some(&shown));
        let instants: Vec<String> = shown.iter().map(|time| format!("{time}+00")).collect();
        let instants: Vec<&str> = instants.iter().map(String::as_str).collect();
        assert_eq!(column(times.clone().with_timezone("UTC")), some(&instants));
        let elsewhere = column(times.slice(0, 1).with_timezone("Asia/Shanghai"));
        assert_eq!(elsewhere, some(&["2018-06-27 17:05:03.000000+08"]));
        let far = column(TimestampMicrosecondArray::from(vec![
            micros("9999-12-31 23:59:59") + 1_000_000,
        ]));
        assert!(far[0].as_ref().unwrap().contains("10000-01-01"), "{far:?}");
        let days = Date32Array::from(vec![Some(0), Some(-1), None, Some(17_709), Some(2_932_896)]);
        let shown = ["1970-01-01", "1969-12-31", "null", "2018-06-27", "9999-12-31"];
        assert_eq!(column(days), some(&shown));
    }

    #[test]
    fn rows_of_many_chunks_come_in_order_and_whole() {
        let count = i64::try_from(3 * ROWS + 1).unwrap();
        let rows = texts(vec![
            Arc::new(Int64Array::from_iter_values(0..count)),
            Arc::new(StringArray::from_iter_values((0..=3 * ROWS).map(|n| "长".repeat(n % 99)))),
        ]);
        assert_eq!(rows.len(), 3 * ROWS + 1);
        for (number, row) in rows.iter().enumerate() {
            assert_eq!(row[0], Some(number.to_string()));
            assert_eq!(row[1], Some("长".repeat(number % 99)));
        }
    }
}
