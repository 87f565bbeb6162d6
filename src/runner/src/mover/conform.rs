//! Rows of the source under the columns of the lake, and the rows that do not fit them.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, UInt64Array};
use arrow::compute::{CastOptions, cast_with_options, take_record_batch};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use chrono_tz::Tz;
use huiliu_core::identifier::id_card_rounded;
use huiliu_lake::storage_batch;
use huiliu_sdk::{
    Cell, ColumnType, Op, Ops, ROW_BYTES, Result, RowBuilder, StreamSettings, type_word,
};

use super::contract::Layout;

/// A row that does not fit.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Misfit {
    /// Its place in the batch.
    pub(super) row: usize,
    /// Stable code.
    pub(super) code: &'static str,
    /// Why, without the value.
    pub(super) reason: String,
}

/// A batch under the columns of the lake.
pub(super) struct Conformed {
    /// All its rows, those that do not fit included.
    pub(super) batch: RecordBatch,
    /// The rows that do not fit, in order, each once.
    pub(super) misfits: Vec<Misfit>,
}

impl Conformed {
    /// The places of the rows that fit; `None` when all do.
    pub(super) fn fitting(&self) -> Option<Vec<usize>> {
        if self.misfits.is_empty() {
            return None;
        }
        let mut aside = self.misfits.iter().map(|misfit| misfit.row).peekable();
        let rows = 0..self.batch.num_rows();
        Some(rows.filter(|row| aside.next_if_eq(row).is_none()).collect())
    }
}

/// Puts `batch` under the columns of `layout`. Of `identities`, the columns that hold identity
/// numbers, numbers that a spreadsheet has rounded do not fit.
pub(super) fn conform(
    batch: &RecordBatch,
    layout: &Layout,
    identities: &[&str],
    zone: Tz,
) -> Result<Conformed> {
    let mut misfits: BTreeMap<usize, Misfit> = BTreeMap::new();
    let mut note = |row: usize, code: &'static str, reason: String| {
        misfits.entry(row).or_insert(Misfit { row, code, reason });
    };
    for (row, bytes) in large_rows(batch) {
        note(row, "E-ROW-SIZE", format!("the row has {} MiB", bytes >> 20));
    }
    for name in &layout.unwanted {
        let Some(column) = batch.column_by_name(name) else { continue };
        for row in (0..column.len()).filter(|row| column.is_valid(*row)) {
            note(
                row,
                "E-CONTRACT-COLUMN",
                format!("the column {name} is not agreed and has a value"),
            );
        }
    }
    for name in identities {
        let texts = batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
        for (row, text) in texts.into_iter().flatten().enumerate() {
            if text.is_some_and(id_card_rounded) {
                let reason = format!("the identity number in {name} was rounded by a spreadsheet");
                note(row, "E-EXCEL-ROUNDED", reason);
            }
        }
    }
    let mut fields: Vec<Arc<Field>> = Vec::with_capacity(batch.num_columns());
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(batch.num_columns());
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        let narrowed = layout.narrowed.contains(field.name());
        let (Some(wanted), true) = (layout.schema.column_with_name(field.name()), narrowed) else {
            fields.push(Arc::clone(field));
            columns.push(Arc::clone(column));
            continue;
        };
        let kind = wanted.1.data_type();
        let (cast, unfit) = cast_fitting(column, kind, zone)?;
        for row in unfit {
            let name = field.name();
            let kind = type_word(kind);
            note(row, "E-CONTRACT-TYPE", format!("the value of {name} does not fit {kind}"));
        }
        fields.push(Arc::new(Field::new(field.name(), kind.clone(), true)));
        columns.push(cast);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let batch =
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)?;
    let batch = storage_batch(&batch, &layout.schema)?;
    Ok(Conformed { batch, misfits: misfits.into_values().collect() })
}

/// The columns that hold identity numbers.
pub(super) fn identities(settings: &StreamSettings) -> Vec<&str> {
    let tagged = settings.columns.iter();
    let tagged = tagged.filter(|(_, spec)| spec.tag.as_deref() == Some("id_number"));
    tagged.map(|(name, _)| name.as_str()).collect()
}

/// What is done with the rows that are kept.
pub(super) fn ops_of(ops: Ops, kept: &[usize]) -> Ops {
    match ops {
        Ops::PerRow(each) => {
            Ops::PerRow(kept.iter().filter_map(|row| each.get(*row).copied()).collect())
        }
        same => same,
    }
}

/// The rows at `rows`.
pub(super) fn take_rows(batch: &RecordBatch, rows: &[usize]) -> Result<RecordBatch> {
    let indices = UInt64Array::from_iter_values(rows.iter().map(|row| *row as u64));
    Ok(take_record_batch(batch, &indices)?)
}

/// Rows of more than [`ROW_BYTES`], with their sizes.
fn large_rows(batch: &RecordBatch) -> Vec<(usize, usize)> {
    if batch.get_array_memory_size() <= ROW_BYTES {
        return Vec::new();
    }
    let mut sizes = vec![0_usize; batch.num_rows()];
    for column in batch.columns() {
        for (row, size) in sizes.iter_mut().enumerate() {
            *size += value_bytes(column, row);
        }
    }
    sizes.into_iter().enumerate().filter(|(_, size)| *size > ROW_BYTES).collect()
}

fn value_bytes(column: &ArrayRef, row: usize) -> usize {
    if column.is_null(row) {
        return 0;
    }
    match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().value(row).len(),
        DataType::LargeUtf8 => column.as_string::<i64>().value(row).len(),
        DataType::Utf8View => column.as_string_view().value(row).len(),
        DataType::Binary => column.as_binary::<i32>().value(row).len(),
        DataType::LargeBinary => column.as_binary::<i64>().value(row).len(),
        DataType::BinaryView => column.as_binary_view().value(row).len(),
        _ => 0,
    }
}

/// `column` as `kind`, with nulls where a value does not fit exactly, and the rows of those.
fn cast_fitting(column: &ArrayRef, kind: &DataType, zone: Tz) -> Result<(ArrayRef, Vec<usize>)> {
    if let (DataType::Utf8, Some(declared)) = (column.data_type(), declared(kind)) {
        return read_text(column, declared, zone);
    }
    let lenient = CastOptions { safe: true, ..Default::default() };
    let cast = cast_with_options(column, kind, &lenient)?;
    // What does not come back as it was has been rounded or cut.
    let back = cast_with_options(&cast, column.data_type(), &lenient)?;
    let same = arrow::compute::kernels::cmp::not_distinct(&back, column)?;
    let unfit: Vec<usize> = (0..column.len()).filter(|row| !same.value(*row)).collect();
    if unfit.is_empty() {
        return Ok((cast, unfit));
    }
    let fits = arrow::compute::not(&same)?;
    Ok((arrow::compute::nullif(&cast, &fits)?, unfit))
}

/// The type an operator would declare for `kind`.
pub(super) fn declared(kind: &DataType) -> Option<ColumnType> {
    Some(match kind {
        DataType::Utf8 => ColumnType::Text,
        DataType::Int64 => ColumnType::Int,
        DataType::Float64 => ColumnType::Float,
        DataType::Boolean => ColumnType::Bool,
        DataType::Date32 => ColumnType::Date,
        DataType::Timestamp(TimeUnit::Microsecond, None) => ColumnType::Timestamp,
        DataType::Decimal128(precision, scale) => ColumnType::Decimal(*precision, *scale),
        DataType::Binary => ColumnType::Binary,
        _ => return None,
    })
}

/// Text read by the same rules as a source's own.
fn read_text(column: &ArrayRef, kind: ColumnType, zone: Tz) -> Result<(ArrayRef, Vec<usize>)> {
    let mut builder = RowBuilder::new(&[("value".to_owned(), kind, true)], zone, zone);
    let mut unfit = Vec::new();
    for (row, text) in column.as_string::<i32>().iter().enumerate() {
        let cell = text.map_or(Cell::Null, Cell::Text);
        if builder.push(row as u64, &[cell]).is_err() {
            unfit.push(row);
            drop(builder.push(row as u64, &[Cell::Null]));
        }
    }
    let (batch, _) = builder.finish()?;
    Ok((Arc::clone(batch.column(0)), unfit))
}

/// What rows do, once those are deletes that `column` marks as deleted: true, or not zero, or,
/// for a time, not null.
pub(super) fn marked(batch: &RecordBatch, column: &str, ops: Ops) -> Result<Ops> {
    let Some(marks) = batch.column_by_name(column) else { return Ok(ops) };
    let kind = marks.data_type();
    let is_deleted: Box<dyn Fn(usize) -> bool> = if kind.is_temporal() {
        Box::new(|row| marks.is_valid(row))
    } else {
        let truth = arrow::compute::cast(marks, &DataType::Boolean)?;
        Box::new(move |row| truth.is_valid(row) && truth.as_boolean().value(row))
    };
    if !(0..batch.num_rows()).any(&is_deleted) {
        return Ok(ops);
    }
    let each = (0..batch.num_rows()).map(|row| {
        let delete = match &ops {
            Ops::Upsert => false,
            Ops::Delete => true,
            Ops::PerRow(each) => each.get(row) == Some(&Op::Delete),
        };
        if delete || is_deleted(row) { Op::Delete } else { Op::Upsert }
    });
    Ok(Ops::PerRow(each.collect()))
}

#[cfg(test)]
mod tests {
    use arrow::array::{Date32Array, Float64Array, Int64Array, StringArray};
    use huiliu_sdk::{Contract, Policy};

    use super::super::contract::plan;
    use super::*;

    const CHINA: Tz = chrono_tz::Asia::Shanghai;

    fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        RecordBatch::try_from_iter(columns).unwrap()
    }

    #[test]
    fn values_that_do_not_fit_exactly_are_set_aside_one_by_one() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("7"), Some("x"), None]));
        let (cast, unfit) = cast_fitting(&texts, &DataType::Int64, CHINA).unwrap();
        assert_eq!(unfit, [1]);
        assert_eq!(cast.as_ref(), &Int64Array::from(vec![Some(7), None, None]) as &dyn Array);
        let floats: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 1.5, 1e30]));
        let (cast, unfit) = cast_fitting(&floats, &DataType::Int64, CHINA).unwrap();
        assert_eq!(unfit, [1, 2]);
        assert_eq!(cast.null_count(), 2);
        let decimals: ArrayRef = Arc::new(StringArray::from(vec!["1.50", "1.505"]));
        let (_, unfit) = cast_fitting(&decimals, &DataType::Decimal128(5, 2), CHINA).unwrap();
        assert_eq!(unfit, [1]);
        let wide: ArrayRef = Arc::new(Int64Array::from(vec![1, i64::MAX]));
        let (_, unfit) = cast_fitting(&wide, &DataType::Int32, CHINA).unwrap();
        assert_eq!(unfit, [1]);
    }

    #[test]
    fn a_value_in_a_column_nobody_agreed_to_sets_its_row_aside() {
        let table = Schema::new(vec![Field::new("id", DataType::Int64, true)]);
        let rows = batch(vec![
            ("id", Arc::new(Int64Array::from(vec![1, 2]))),
            ("note", Arc::new(StringArray::from(vec![None, Some("x")]))),
        ]);
        let contract = Contract { columns: Policy::Quarantine, ..Contract::default() };
        let (layout, drift) = plan(contract, Some(&table), &rows.schema());
        assert_eq!(drift, None);
        let conformed = conform(&rows, &layout, &[], CHINA).unwrap();
        assert_eq!(conformed.batch.num_columns(), 1);
        assert_eq!(conformed.fitting(), Some(vec![0]));
        assert_eq!(conformed.misfits[0].code, "E-CONTRACT-COLUMN");
    }

    #[test]
    fn identity_numbers_that_a_spreadsheet_rounded_are_set_aside() {
        let numbers = [
            "110101199003070000", // rounded
            "11010119900307109X", // as it should be
            "110101199003071000", // ends in zeros and has the wrong check digit
            "",
        ];
        let rows = batch(vec![("id_no", Arc::new(StringArray::from(numbers.to_vec())))]);
        let (layout, _) = plan(Contract::default(), None, &rows.schema());
        let conformed = conform(&rows, &layout, &["id_no", "gone"], CHINA).unwrap();
        assert_eq!(conformed.fitting(), Some(vec![1, 3]));
        assert_eq!(conformed.misfits[0].code, "E-EXCEL-ROUNDED");
        assert_eq!(conform(&rows, &layout, &[], CHINA).unwrap().fitting(), None);
    }

    #[test]
    fn a_row_larger_than_the_limit_is_set_aside() {
        let huge = "x".repeat(ROW_BYTES + 1);
        let rows = batch(vec![
            ("id", Arc::new(Int64Array::from(vec![1, 2]))),
            ("text", Arc::new(StringArray::from(vec!["small", huge.as_str()]))),
        ]);
        let (layout, _) = plan(Contract::default(), None, &rows.schema());
        let conformed = conform(&rows, &layout, &[], CHINA).unwrap();
        assert_eq!(conformed.fitting(), Some(vec![0]));
        assert_eq!(conformed.misfits[0].code, "E-ROW-SIZE");
    }

    #[test]
    fn marks_of_every_kind_become_deletes() {
        let flags: ArrayRef = Arc::new(Int64Array::from(vec![Some(0), Some(2), None]));
        let days: ArrayRef = Arc::new(Date32Array::from(vec![None, Some(0), None]));
        let truth: ArrayRef = Arc::new(arrow::array::BooleanArray::from(vec![false, true, false]));
        for marks in [flags, days, truth] {
            let rows = batch(vec![("gone", marks)]);
            let ops = marked(&rows, "gone", Ops::Upsert).unwrap();
            assert_eq!(ops, Ops::PerRow(vec![Op::Upsert, Op::Delete, Op::Upsert]));
        }
        let alive = batch(vec![("gone", Arc::new(Int64Array::from(vec![0, 0])))]);
        assert_eq!(marked(&alive, "gone", Ops::Upsert).unwrap(), Ops::Upsert);
    }
}
