//! Columns that change between two reads.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use huiliu_sdk::{ErrorKind, RawConfig, ReadMode};

use super::{capabilities, does_not_apply, put, reading};
use crate::value::same;
use crate::{Read, System, Table, cx, hazard, open, read, texts};

const OLD: usize = 30;
const NEW: usize = 36;

/// Columns of the table: those of `names`, and `size` as wide as `wide` says.
fn table(rows: usize, names: &[&str], wide: bool) -> Table {
    let cases = hazard::cases(0, rows);
    let mut fields: Vec<Field> = Vec::new();
    let mut arrays: Vec<ArrayRef> = Vec::new();
    for name in names {
        let array: ArrayRef = match *name {
            "extra" => Arc::new(StringArray::from_iter_values(
                (0..rows).map(|index| format!("extra {index}")),
            )),
            "size" if wide => Arc::new(Int64Array::from_iter_values(
                (0_i64..).take(rows).map(|index| index + 5_000_000_000),
            )),
            "size" => Arc::new(Int32Array::from_iter_values((0_i32..).take(rows))),
            other => Arc::clone(cases.batch.column_by_name(other).expect("a column of cases")),
        };
        fields.push(Field::new(*name, array.data_type().clone(), *name != "id"));
        arrays.push(array);
    }
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays);
    Table { batch: batch.expect("columns of one length"), ..cases }
}

/// A column that is added, dropped or widened between two reads is told by a new schema or a clear
/// error. Values that come are those of the source; of rows set aside nothing is asked.
pub async fn changed_columns_are_told_and_values_stay_right<S: System>() {
    let mut system = S::fresh().await;
    let declared = capabilities(&system);
    if !declared.source {
        return does_not_apply(system, "source").await;
    }
    let usual = ["id", "name", "size", "changed"];
    let old = table(OLD, &usual, false);
    let changes = [
        ("added", table(NEW, &["id", "name", "size", "changed", "extra"], false)),
        ("dropped", table(NEW, &["id", "size", "changed"], false)),
        ("widened", table(NEW, &usual, true)),
        ("moved", table(NEW, &["changed", "size", "name", "id"], false)),
    ];
    for (what, new) in changes {
        for mode in [ReadMode::Full, ReadMode::Incremental] {
            if mode == ReadMode::Incremental && !declared.incremental {
                continue;
            }
            put(&mut system, &old).await;
            let raw = reading(&system, &old, mode);
            let fixed = fixes_columns(&raw, &old);
            let endpoint = open(&system, raw);
            let first = read(&*endpoint, &cx(), &old.name, None).await.expect("a first read");
            put(&mut system, &new).await;
            let second = read(&*endpoint, &cx(), &old.name, first.resume()).await;
            let what = format!("{what}, {mode:?}");
            match second {
                Ok(second) => assert_right(&new, &second, fixed, &what),
                Err(error) => {
                    let clear = [
                        ErrorKind::Schema,
                        ErrorKind::Config,
                        ErrorKind::Data,
                        ErrorKind::Conflict,
                        ErrorKind::NotFound,
                    ];
                    assert!(clear.contains(&error.kind()), "{what}: {:?} {error}", error.kind());
                }
            }
        }
    }
    system.end().await;
}

/// Whether the configuration says which columns there are, so that no other one is looked at.
fn fixes_columns(raw: &RawConfig, table: &Table) -> bool {
    let columns = &raw.streams[0].settings.columns;
    table.names().iter().all(|name| columns.contains_key(name))
}

fn assert_right(new: &Table, second: &Read, fixed: bool, what: &str) {
    let schema = second.schemas.last().unwrap_or_else(|| panic!("{what}: no columns are told"));
    let names = new.names();
    for name in &names {
        let is_told = schema.field_with_name(name).is_ok();
        assert!(is_told || fixed, "{what}: column `{name}` is not told");
    }
    let kinds: Vec<DataType> =
        new.batch.schema().fields().iter().map(|field| field.data_type().clone()).collect();
    let id = names.iter().position(|name| name == "id").expect("rows have an id");
    let rows = new.rows();
    let mut came = 0;
    for found in texts(&second.batches, &names) {
        let row = rows.iter().find(|row| row[id] == found[id]);
        let row = row.unwrap_or_else(|| panic!("{what}: row {:?} is not there", found[id]));
        for (index, name) in names.iter().enumerate() {
            if schema.field_with_name(name).is_ok() {
                let is_right = same(&kinds[index], &row[index], &found[index]);
                assert!(is_right, "{what}: {name} {:?} came as {:?}", row[index], found[index]);
            }
        }
        came += 1;
    }
    // Columns that are gone have no values any more.
    for field in schema.fields().iter().filter(|field| !names.contains(field.name())) {
        let values = second.column(field.name());
        assert!(values.iter().all(Option::is_none), "{what}: `{}` has values", field.name());
    }
    assert!(came + second.rejected.len() >= NEW - OLD, "{what}: new rows are lost");
}
