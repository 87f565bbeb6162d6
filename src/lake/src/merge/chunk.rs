//! A chunk being merged, and what is stored with the rows it meets.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Date32Type, Field, Schema, TimeUnit};
use arrow::record_batch::RecordBatch;
use huiliu_sdk::{Error, ErrorKind, Result, WriteMode};

use super::{Incoming, Positions};

/// A chunk of rows with all that is computed of it.
pub(super) struct Chunk<'a> {
    pub(super) data: RecordBatch,
    pub(super) hashes: Vec<u128>,
    pub(super) keys: Vec<u128>,
    pub(super) versions: Option<Vec<Box<[u8]>>>,
    /// The column of the versions.
    pub(super) version: Option<ArrayRef>,
    pub(super) positions: &'a Positions,
}

impl Chunk<'_> {
    pub(super) fn version(&self, row: usize) -> Option<&[u8]> {
        self.versions.as_ref().map(|versions| versions[row].as_ref())
    }

    /// Whether the row says that its key is deleted of a version older than `other`. Deletes that
    /// bring no version are of now.
    pub(super) fn is_late_delete(&self, incoming: Incoming, other: Option<&[u8]>) -> bool {
        let has_version = |column: &ArrayRef| column.is_valid(incoming.row);
        incoming.delete
            && self.version.as_ref().is_some_and(has_version)
            && self.version(incoming.row) < other
    }
}

/// What is stored with rows that were found.
pub(super) struct Stored {
    pub(super) hashes: Vec<u128>,
    pub(super) versions: Option<Vec<Box<[u8]>>>,
    pub(super) valid_to: Option<ArrayRef>,
}

impl Stored {
    pub(super) fn version(&self, index: usize) -> Option<&[u8]> {
        self.versions.as_ref().map(|versions| versions[index].as_ref())
    }

    /// Whether the row's period has ended, so that it is no current state of its key.
    pub(super) fn closed(&self, index: usize) -> bool {
        self.valid_to.as_ref().is_some_and(|ends| ends.is_valid(index))
    }
}

/// Joins the marks of a target's batches.
pub(super) fn gather_marks(
    mut all: Vec<(usize, Vec<bool>)>,
    (target, marks): (usize, Vec<Vec<bool>>),
) -> Vec<(usize, Vec<bool>)> {
    let marks = marks.into_iter().flatten();
    match all.last_mut() {
        Some((last, earlier)) if *last == target => earlier.extend(marks),
        _ => all.push((target, marks.collect())),
    }
    all
}

/// Whether a row was taken on `day`; without one, all were.
pub(super) fn on_day(batch: &RecordBatch, day: Option<i32>) -> Result<impl Fn(usize) -> bool> {
    let days = match day {
        None => None,
        Some(_) => column(batch, "_snapshot")?.as_primitive_opt::<Date32Type>().cloned(),
    };
    Ok(move |row: usize| match (&days, day) {
        (Some(days), Some(day)) => days.is_valid(row) && days.value(row) == day,
        _ => true,
    })
}

/// The columns a write mode adds.
pub(super) fn mode_fields(mode: WriteMode) -> Vec<Field> {
    let instant = || DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    match mode {
        WriteMode::Snapshot => vec![Field::new("_snapshot", DataType::Date32, true)],
        WriteMode::Scd2 => vec![
            Field::new("_valid_from", instant(), true),
            Field::new("_valid_to", instant(), true),
        ],
        WriteMode::Append | WriteMode::Upsert | WriteMode::Replace => Vec::new(),
    }
}

/// Refuses keys whose equality is not clear: NaN, and 0 against -0.
pub(super) fn check_key_types(schema: &Schema, key: &[String]) -> Result<()> {
    for name in key {
        if schema.field_with_name(name)?.data_type().is_floating() {
            return Err(Error::new(
                ErrorKind::Config,
                "E-KEY-TYPE",
                format!("the key column {name} is a floating-point number"),
            )
            .hint("declare the column as text, int or decimal in the system file"));
        }
    }
    Ok(())
}

pub(super) fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    batch.column_by_name(name).ok_or_else(|| {
        Error::new(ErrorKind::Schema, "E-COLUMN-MISSING", format!("no column {name}"))
    })
}
