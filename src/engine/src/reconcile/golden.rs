//! The golden table: one row per key, with whose values were taken and what the others say.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, Int64Array, StringArray, new_null_array};
use arrow::compute::interleave;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use huiliu_core::reconcile::{Comparison, Reconciliation};
use huiliu_lake::storage_schema;
use huiliu_sdk::Result;

use super::decide::{Decision, Judge};
use super::plan::Layout;
use super::rows::{Entity, Loaded, NONE};

/// The column with the hash of all that a row was computed from.
pub(super) const INPUTS: &str = "input_hash";

/// The columns of the golden table.
pub(super) fn schema(rec: &Reconciliation, layout: &Layout) -> SchemaRef {
    let mut fields = Vec::new();
    let mut add = |name: String, kind: DataType| fields.push(Field::new(name, kind, true));
    for (column, kind) in rec.key.iter().zip(&layout.key_types) {
        add(column.clone(), kind.clone());
    }
    add("class".into(), DataType::Utf8);
    for (field, kind) in rec.fields.iter().zip(&layout.field_types) {
        add(field.name.clone(), kind.clone());
        add(format!("{}_from", field.name), DataType::Utf8);
        if field.compare != Comparison::None {
            add(format!("{}_differs", field.name), DataType::Boolean);
            for system in &field.trust {
                let system = &rec.systems[*system].name;
                add(format!("{system}_{}", field.name), kind.clone());
            }
        }
    }
    for (system, read) in rec.systems.iter().zip(&layout.systems) {
        let name = &system.name;
        add(format!("in_{name}"), DataType::Boolean);
        add(format!("{name}_copies"), DataType::Int64);
        if read.row.is_some() {
            add(format!("{name}_row"), DataType::Utf8);
        }
        if read.run.is_some() {
            add(format!("{name}_run"), DataType::Int64);
        }
    }
    add(INPUTS.into(), DataType::Int64);
    storage_schema(&Schema::new(fields))
}

/// Rows of the golden table for some keys.
pub(super) struct Golden<'a> {
    pub(super) rec: &'a Reconciliation,
    pub(super) layout: &'a Layout,
    pub(super) loaded: &'a Loaded,
    pub(super) judge: &'a Judge<'a>,
    pub(super) schema: &'a SchemaRef,
    pub(super) classes: &'a [String],
}

impl Golden<'_> {
    /// The rows of these keys, in their order.
    pub(super) fn rows(&self, decided: &[(&Entity, &Decision)]) -> Result<RecordBatch> {
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
        for (place, kind) in self.layout.key_types.iter().enumerate() {
            let sources: Vec<Option<&ArrayRef>> =
                self.loaded.systems.iter().map(|rows| Some(rows.batch.column(place))).collect();
            columns.push(picked(&sources, kind, decided, |(entity, _)| {
                self.loaded.keyed(entity, self.rec.key.len())
            })?);
        }
        let class = |decision: &Decision| self.classes.get(usize::from(decision.class));
        let names = decided.iter().map(|(_, decision)| class(decision).map(String::as_str));
        columns.push(Arc::new(names.collect::<StringArray>()));
        for (number, field) in self.rec.fields.iter().enumerate() {
            let kind = &self.layout.field_types[number];
            let sources: Vec<Option<&ArrayRef>> =
                (0..self.rec.systems.len()).map(|s| self.judge.column(number, s)).collect();
            columns.push(picked(&sources, kind, decided, |(_, decision)| {
                decision.sources[number].map(usize::from)
            })?);
            let from = decided.iter().map(|(_, decision)| {
                let system = decision.sources[number]?;
                Some(self.rec.systems[usize::from(system)].name.as_str())
            });
            columns.push(Arc::new(from.collect::<StringArray>()));
            if field.compare == Comparison::None {
                continue;
            }
            let differs = decided.iter().map(|(_, d)| d.deviating[number].map(|s| s != 0));
            columns.push(Arc::new(differs.collect::<BooleanArray>()));
            for system in &field.trust {
                columns.push(picked(&sources, kind, decided, |_| Some(*system))?);
            }
        }
        for (number, read) in self.layout.systems.iter().enumerate() {
            let entities = || decided.iter().map(|(entity, _)| *entity);
            let present: BooleanArray =
                entities().map(|entity| Some(entity.rows[number] != NONE)).collect();
            columns.push(Arc::new(present));
            let copies: Int64Array = entities().map(|entity| Some(entity.copies[number])).collect();
            columns.push(Arc::new(copies));
            for (place, kind) in [(read.row, DataType::Utf8), (read.run, DataType::Int64)] {
                let Some(place) = place else { continue };
                let mut sources: Vec<Option<&ArrayRef>> = vec![None; self.rec.systems.len()];
                sources[number] = Some(self.loaded.systems[number].batch.column(place));
                columns.push(picked(&sources, &kind, decided, |_| Some(number))?);
            }
        }
        let inputs: Int64Array =
            decided.iter().map(|(entity, _)| Some(entity.inputs.cast_signed())).collect();
        columns.push(Arc::new(inputs));
        Ok(RecordBatch::try_new(Arc::clone(self.schema), columns)?)
    }
}

/// One column, each value out of the column of the system that `system` names.
fn picked(
    sources: &[Option<&ArrayRef>],
    kind: &DataType,
    decided: &[(&Entity, &Decision)],
    system: impl Fn(&(&Entity, &Decision)) -> Option<usize>,
) -> Result<ArrayRef> {
    let none = new_null_array(kind, 1);
    let nowhere = sources.len();
    let mut arrays: Vec<&dyn Array> = Vec::with_capacity(sources.len() + 1);
    for source in sources {
        arrays.push(source.map_or(none.as_ref(), |source| source.as_ref()));
    }
    arrays.push(none.as_ref());
    let mut places = Vec::with_capacity(decided.len());
    for pair in decided {
        let found = system(pair)
            .filter(|system| sources[*system].is_some() && pair.0.rows[*system] != NONE)
            .map(|system| (system, pair.0.rows[system] as usize));
        places.push(found.unwrap_or((nowhere, 0)));
    }
    Ok(interleave(&arrays, &places)?)
}
