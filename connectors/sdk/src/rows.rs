//! Building Arrow batches from loosely typed rows, strictly: a value that does not fit its
//! column refuses the whole row, and nothing is rounded, cut or turned into null.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder,
    Int64Builder, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeZone};
use chrono_tz::Tz;

use crate::{ColumnType, Result, type_word};

/// A row of more bytes is set aside: nothing the lake is for has such rows, and a handful of them
/// at once would not fit into memory.
pub const ROW_BYTES: usize = 64 << 20;

/// Why a row was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowError {
    /// The column.
    pub column: String,
    /// Stable code.
    pub code: &'static str,
    /// Why, without the value.
    pub reason: String,
}

/// A value as a source gives it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    /// No value.
    Null,
    /// Text, read as the column's type.
    Text(&'a str),
    /// A whole number.
    Int(i64),
    /// A float.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// Bytes.
    Bytes(&'a [u8]),
}

impl Cell<'_> {
    /// Bytes of a text or of bytes; other values are small.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::Null | Self::Int(_) | Self::Float(_) | Self::Bool(_) => 0,
        }
    }
}

enum Typed<'a> {
    Null,
    Text(std::borrow::Cow<'a, str>),
    Int(i64),
    Float(f64),
    Bool(bool),
    Date(i32),
    Timestamp(i64),
    Decimal(i128),
    Bytes(&'a [u8]),
}

enum Builder {
    Text(StringBuilder),
    Int(Int64Builder),
    Float(Float64Builder),
    Bool(BooleanBuilder),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
    Decimal(Decimal128Builder),
    Bytes(BinaryBuilder),
}

struct Column {
    name: String,
    kind: ColumnType,
    nullable: bool,
    builder: Builder,
}

/// Collects rows into batches of one schema.
pub struct RowBuilder {
    columns: Vec<Column>,
    schema: SchemaRef,
    source_zone: Tz,
    hub_zone: Tz,
    positions: Vec<u64>,
    bytes: usize,
}

impl RowBuilder {
    /// A builder for `columns` (name, type, nullable). Wall times are read in `source_zone` and
    /// kept in `hub_zone`.
    pub fn new(columns: &[(String, ColumnType, bool)], source_zone: Tz, hub_zone: Tz) -> Self {
        let fields: Vec<Field> = columns
            .iter()
            .map(|(name, kind, nullable)| Field::new(name, kind.arrow(), *nullable))
            .collect();
        let columns = columns
            .iter()
            .map(|(name, kind, nullable)| Column {
                name: name.clone(),
                kind: *kind,
                nullable: *nullable,
                builder: new_builder(*kind),
            })
            .collect();
        Self {
            columns,
            schema: Arc::new(Schema::new(fields)),
            source_zone,
            hub_zone,
            positions: Vec::new(),
            bytes: 0,
        }
    }

    /// The schema of the batches.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Rows collected so far.
    pub fn len(&self) -> usize {
        self.positions.len()
    }

    /// Whether nothing was collected.
    pub fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }

    /// About how many bytes were collected.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a row, or refuses it and changes nothing. `cells` has one value per column.
    pub fn push(&mut self, position: u64, cells: &[Cell<'_>]) -> Result<(), RowError> {
        if cells.len() != self.columns.len() {
            return Err(RowError {
                column: String::new(),
                code: "E-RAGGED",
                reason: format!("{} values for {} columns", cells.len(), self.columns.len()),
            });
        }
        let bytes: usize = cells.iter().map(Cell::bytes).sum();
        if bytes > ROW_BYTES {
            let (_, column) =
                cells.iter().zip(&self.columns).max_by_key(|(cell, _)| cell.bytes()).unzip();
            return Err(RowError {
                column: column.map_or_else(String::new, |column: &Column| column.name.clone()),
                code: "E-ROW-SIZE",
                reason: format!("the row has {} MiB", bytes >> 20),
            });
        }
        let mut typed = Vec::with_capacity(cells.len());
        for (cell, column) in cells.iter().zip(&self.columns) {
            let value = convert(*cell, column.kind, self.source_zone, self.hub_zone)
                .map_err(|(code, reason)| RowError { column: column.name.clone(), code, reason })?;
            if matches!(value, Typed::Null) && !column.nullable {
                return Err(RowError {
                    column: column.name.clone(),
                    code: "E-NULL",
                    reason: "no value where one is required".into(),
                });
            }
            typed.push(value);
        }
        for (value, column) in typed.into_iter().zip(&mut self.columns) {
            self.bytes += append(&mut column.builder, value);
        }
        self.positions.push(position);
        Ok(())
    }

    /// Takes the rows collected so far, with the position of each.
    pub fn finish(&mut self) -> Result<(RecordBatch, Vec<u64>)> {
        let arrays: Vec<ArrayRef> =
            self.columns.iter_mut().map(|column| finish_builder(&mut column.builder)).collect();
        let positions = std::mem::take(&mut self.positions);
        self.bytes = 0;
        let options =
            arrow::record_batch::RecordBatchOptions::new().with_row_count(Some(positions.len()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)?;
        Ok((batch, positions))
    }
}

fn new_builder(kind: ColumnType) -> Builder {
    match kind {
        ColumnType::Text | ColumnType::Json => Builder::Text(StringBuilder::new()),
        ColumnType::Int => Builder::Int(Int64Builder::new()),
        ColumnType::Float => Builder::Float(Float64Builder::new()),
        ColumnType::Bool => Builder::Bool(BooleanBuilder::new()),
        ColumnType::Date => Builder::Date(Date32Builder::new()),
        ColumnType::Timestamp => Builder::Timestamp(TimestampMicrosecondBuilder::new()),
        ColumnType::Decimal(..) => {
            Builder::Decimal(Decimal128Builder::new().with_data_type(kind.arrow()))
        }
        ColumnType::Binary => Builder::Bytes(BinaryBuilder::new()),
    }
}

fn finish_builder(builder: &mut Builder) -> ArrayRef {
    match builder {
        Builder::Text(b) => Arc::new(b.finish()),
        Builder::Int(b) => Arc::new(b.finish()),
        Builder::Float(b) => Arc::new(b.finish()),
        Builder::Bool(b) => Arc::new(b.finish()),
        Builder::Date(b) => Arc::new(b.finish()),
        Builder::Timestamp(b) => Arc::new(b.finish()),
        Builder::Decimal(b) => Arc::new(b.finish()),
        Builder::Bytes(b) => Arc::new(b.finish()),
    }
}

/// Appends a converted value and returns about how many bytes it takes.
fn append(builder: &mut Builder, value: Typed<'_>) -> usize {
    match (builder, value) {
        (Builder::Text(b), Typed::Text(v)) => {
            b.append_value(&v);
            v.len() + 4
        }
        (Builder::Bytes(b), Typed::Bytes(v)) => {
            b.append_value(v);
            v.len() + 4
        }
        (Builder::Int(b), Typed::Int(v)) => {
            b.append_value(v);
            8
        }
        (Builder::Float(b), Typed::Float(v)) => {
            b.append_value(v);
            8
        }
        (Builder::Bool(b), Typed::Bool(v)) => {
            b.append_value(v);
            1
        }
        (Builder::Date(b), Typed::Date(v)) => {
            b.append_value(v);
            4
        }
        (Builder::Timestamp(b), Typed::Timestamp(v)) => {
            b.append_value(v);
            8
        }
        (Builder::Decimal(b), Typed::Decimal(v)) => {
            b.append_value(v);
            16
        }
        // `convert` yields the builder's own type or null, so the rest is null.
        (builder, _) => {
            match builder {
                Builder::Text(b) => b.append_null(),
                Builder::Int(b) => b.append_null(),
                Builder::Float(b) => b.append_null(),
                Builder::Bool(b) => b.append_null(),
                Builder::Date(b) => b.append_null(),
                Builder::Timestamp(b) => b.append_null(),
                Builder::Decimal(b) => b.append_null(),
                Builder::Bytes(b) => b.append_null(),
            }
            8
        }
    }
}

type Refusal = (&'static str, String);

fn convert(cell: Cell<'_>, kind: ColumnType, source: Tz, hub: Tz) -> Result<Typed<'_>, Refusal> {
    let mismatch = |what: &str| {
        ("E-TYPE", format!("{what} does not fit the column's type {}", type_word(&kind.arrow())))
    };
    let value = match (kind, cell) {
        (_, Cell::Null) => Typed::Null,
        (ColumnType::Text | ColumnType::Json, Cell::Text(text)) => {
            if text.contains('\0') {
                return Err(("E-NUL", "text holds a NUL character".into()));
            }
            Typed::Text(text.into())
        }
        (ColumnType::Text | ColumnType::Json, Cell::Int(v)) => Typed::Text(v.to_string().into()),
        (ColumnType::Text | ColumnType::Json, Cell::Float(v)) => Typed::Text(v.to_string().into()),
        (ColumnType::Text | ColumnType::Json, Cell::Bool(v)) => Typed::Text(v.to_string().into()),
        (ColumnType::Binary, Cell::Bytes(v)) => Typed::Bytes(v),
        (ColumnType::Binary, Cell::Text(v)) => Typed::Bytes(v.as_bytes()),
        (_, Cell::Text(text)) if text.trim().is_empty() => Typed::Null,
        (ColumnType::Int, Cell::Int(v)) => Typed::Int(v),
        (ColumnType::Int, Cell::Text(text)) => {
            Typed::Int(text.trim().parse().map_err(|_| mismatch("text"))?)
        }
        (ColumnType::Float, Cell::Float(v)) => Typed::Float(v),
        #[allow(clippy::cast_precision_loss)] // checked to be exact below
        (ColumnType::Float, Cell::Int(v)) if v.unsigned_abs() <= 1 << 53 => Typed::Float(v as f64),
        (ColumnType::Float, Cell::Text(text)) => {
            let parsed: f64 = text.trim().parse().map_err(|_| mismatch("text"))?;
            if parsed.is_infinite() && !text.to_ascii_lowercase().contains("inf") {
                return Err(("E-RANGE", "number is out of a float's range".into()));
            }
            Typed::Float(parsed)
        }
        (ColumnType::Bool, Cell::Bool(v)) => Typed::Bool(v),
        (ColumnType::Bool, Cell::Int(0)) => Typed::Bool(false),
        (ColumnType::Bool, Cell::Int(1)) => Typed::Bool(true),
        (ColumnType::Bool, Cell::Text(text)) => match text.trim() {
            "0" | "false" | "f" | "否" => Typed::Bool(false),
            "1" | "true" | "t" | "是" => Typed::Bool(true),
            _ => return Err(mismatch("text")),
        },
        (ColumnType::Date, Cell::Text(text)) => {
            Typed::Date(parse_date(text.trim()).ok_or_else(|| mismatch("text"))?)
        }
        (ColumnType::Timestamp, Cell::Text(text)) => Typed::Timestamp(
            parse_timestamp(text.trim(), source, hub).ok_or_else(|| mismatch("text"))?,
        ),
        (ColumnType::Decimal(precision, scale), Cell::Text(text)) => Typed::Decimal(
            parse_decimal(text.trim(), precision, scale).ok_or_else(|| mismatch("text"))?,
        ),
        (ColumnType::Decimal(precision, scale), Cell::Int(v)) => Typed::Decimal(
            parse_decimal(&v.to_string(), precision, scale).ok_or_else(|| mismatch("a number"))?,
        ),
        (_, Cell::Int(_) | Cell::Float(_)) => return Err(mismatch("a number")),
        (_, Cell::Bool(_)) => return Err(mismatch("a truth value")),
        (_, Cell::Bytes(_)) => return Err(mismatch("bytes")),
    };
    Ok(value)
}

fn parse_date(text: &str) -> Option<i32> {
    let date = ["%Y-%m-%d", "%Y/%m/%d", "%Y%m%d"]
        .iter()
        .find_map(|format| NaiveDate::parse_from_str(text, format).ok())?;
    let epoch = NaiveDate::from_ymd_opt(1970, 1, 1)?;
    i32::try_from((date - epoch).num_days()).ok()
}

/// Reads the commonest form, `YYYY-MM-DD HH:MM:SS`, without the general parser, which takes ten
/// times as long and most of a read.
fn parse_plain_timestamp(text: &str) -> Option<NaiveDateTime> {
    let bytes = text.as_bytes();
    let separated = bytes.len() == 19
        && (bytes[4], bytes[7], bytes[13], bytes[16]) == (b'-', b'-', b':', b':')
        && matches!(bytes[10], b' ' | b'T');
    if !separated {
        return None;
    }
    let number = |from: usize, to: usize| {
        bytes[from..to].iter().try_fold(0_u32, |value, byte| {
            byte.is_ascii_digit().then(|| value * 10 + u32::from(byte - b'0'))
        })
    };
    let year = i32::try_from(number(0, 4)?).ok()?;
    let date = NaiveDate::from_ymd_opt(year, number(5, 7)?, number(8, 10)?)?;
    date.and_hms_opt(number(11, 13)?, number(14, 16)?, number(17, 19)?)
}

fn parse_timestamp(text: &str, source: Tz, hub: Tz) -> Option<i64> {
    if source == hub
        && let Some(plain) = parse_plain_timestamp(text)
    {
        return Some(plain.and_utc().timestamp_micros());
    }
    if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
        return Some(instant.with_timezone(&hub).naive_local().and_utc().timestamp_micros());
    }
    let naive = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y/%m/%d %H:%M:%S%.f"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .or_else(|| NaiveDateTime::parse_from_str(text, "%Y%m%d%H%M%S").ok())
        .or_else(|| {
            let date = ["%Y-%m-%d", "%Y/%m/%d", "%Y%m%d"]
                .iter()
                .find_map(|format| NaiveDate::parse_from_str(text, format).ok())?;
            Some(date.and_time(NaiveTime::MIN))
        })?;
    let wall = if source == hub {
        naive
    } else {
        // A repeated wall time means its first occurrence; a skipped one does not exist.
        source.from_local_datetime(&naive).earliest()?.with_timezone(&hub).naive_local()
    };
    Some(wall.and_utc().timestamp_micros())
}

/// Reads plain decimal text exactly, or not at all when digits would be lost.
fn parse_decimal(text: &str, precision: u8, scale: i8) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let scale = usize::from(scale.unsigned_abs());
    let fraction = if fraction.len() > scale {
        let (kept, cut) = fraction.split_at_checked(scale)?;
        if cut.bytes().any(|b| b != b'0') {
            return None;
        }
        kept
    } else {
        fraction
    };
    let mut value: i128 = 0;
    for byte in whole.bytes().chain(fraction.bytes()) {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(i128::from(byte - b'0'))?;
    }
    for _ in fraction.len()..scale {
        value = value.checked_mul(10)?;
    }
    if value >= 10_i128.checked_pow(u32::from(precision))? {
        return None;
    }
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHINA: Tz = chrono_tz::Asia::Shanghai;

    #[test]
    fn decimals_are_exact_or_refused() {
        assert_eq!(parse_decimal("12.30", 5, 2), Some(1230));
        assert_eq!(parse_decimal("-0.5", 5, 2), Some(-50));
        assert_eq!(parse_decimal("12.340", 5, 2), Some(1234));
        assert_eq!(parse_decimal("12.345", 5, 2), None);
        assert_eq!(parse_decimal("1000", 5, 2), None);
        assert_eq!(parse_decimal(".", 5, 2), None);
        assert_eq!(parse_decimal("1e3", 5, 2), None);
    }

    #[test]
    fn wall_times_move_to_the_hubs_zone() {
        let in_utc = parse_timestamp("2018-06-12 01:00:00", chrono_tz::UTC, CHINA);
        let in_china = parse_timestamp("2018-06-12 09:00:00", CHINA, CHINA);
        let with_offset = parse_timestamp("2018-06-12T01:00:00Z", CHINA, CHINA);
        assert!(in_china.is_some());
        assert_eq!(in_utc, in_china);
        assert_eq!(with_offset, in_china);
        assert_eq!(parse_timestamp("0000-00-00 00:00:00", CHINA, CHINA), None);
        assert_eq!(parse_timestamp("2018-02-30 00:00:00", CHINA, CHINA), None);
        for text in ["2018-06-12 09:30:01", "2018-06-12T23:59:59", "1969-12-31 00:00:00"] {
            let plain = parse_timestamp(text, CHINA, CHINA);
            assert!(plain.is_some());
            assert_eq!(plain, parse_timestamp(&format!("{text}.000"), CHINA, CHINA), "{text}");
        }
    }

    #[test]
    fn a_row_that_is_too_large_is_refused_before_it_is_copied() {
        let columns =
            [("id".to_owned(), ColumnType::Int, false), ("x".to_owned(), ColumnType::Text, true)];
        let mut builder = RowBuilder::new(&columns, CHINA, CHINA);
        let text = "x".repeat(ROW_BYTES + 1);
        let error = builder.push(1, &[Cell::Int(1), Cell::Text(&text)]).unwrap_err();
        assert_eq!((error.code, error.column.as_str()), ("E-ROW-SIZE", "x"));
        assert!(builder.is_empty());
        builder.push(2, &[Cell::Int(2), Cell::Text(&text[1..])]).unwrap();
    }

    #[test]
    fn a_refused_row_leaves_no_trace() {
        let columns = vec![
            ("name".to_owned(), ColumnType::Text, false),
            ("count".to_owned(), ColumnType::Int, true),
        ];
        let mut builder = RowBuilder::new(&columns, CHINA, CHINA);
        builder.push(1, &[Cell::Text("一"), Cell::Text("1")]).unwrap();
        let error = builder.push(2, &[Cell::Text("二"), Cell::Text("x")]).unwrap_err();
        assert_eq!((error.column.as_str(), error.code), ("count", "E-TYPE"));
        assert_eq!(builder.push(3, &[Cell::Null, Cell::Int(1)]).unwrap_err().code, "E-NULL");
        assert_eq!(builder.push(4, &[Cell::Null]).unwrap_err().code, "E-RAGGED");
        let (batch, positions) = builder.finish().unwrap();
        assert_eq!(batch.num_rows(), 1);
        assert_eq!(positions, [1]);
    }
}
