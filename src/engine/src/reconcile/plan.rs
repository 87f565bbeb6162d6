//! What is read of each system: the key, the fields in one common type, and the fields as they
//! are compared, all as DataFusion expressions.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::record_batch::RecordBatch;
use datafusion::logical_expr::Expr;
use datafusion::prelude::{DataFrame, ident, lit};
use huiliu_core::config::closest;
use huiliu_core::reconcile::{
    Comparison, Normalise, ReconcileField, ReconcileSystem, Reconciliation,
};
use huiliu_lake::{storage_batch, storage_schema};
use huiliu_sdk::{Error, ErrorKind, Result};

use super::wanted::Wanted;
use crate::failure::engine_error;
use crate::hash::add_column;
use crate::session::Session;

/// Space that counts as such around a text.
const SPACE: &str = " \t\r\n\u{3000}";

/// Seeds of the columns that are no fields.
const COPIES_SEED: u64 = 1 << 32;
const ROW_SEED: u64 = 2 << 32;
const RUN_SEED: u64 = 3 << 32;
/// Set in the seed of a field's own value where another one is compared.
const OWN_VALUE: u64 = 4 << 32;

/// A reconciliation over the tables as they are now.
pub(super) struct Layout {
    pub(super) key_types: Vec<DataType>,
    pub(super) field_types: Vec<DataType>,
    /// Compared fields that the same systems have: the systems as bits, the fields.
    pub(super) groups: Vec<(u8, Vec<usize>)>,
    pub(super) systems: Vec<Arc<SystemLayout>>,
}

/// What is read of one system, and where it stands in its rows.
pub(super) struct SystemLayout {
    frame: DataFrame,
    schema: SchemaRef,
    keys: usize,
    copies: Option<usize>,
    pub(super) row: Option<usize>,
    pub(super) run: Option<usize>,
    /// Of each field, where its value is.
    pub(super) values: Vec<Option<usize>>,
    /// Of each field, where what is compared is; the value itself or another column.
    pub(super) compared: Vec<Option<usize>>,
    /// Of each field, where what rules match by is: normalised, whether it is compared or not.
    pub(super) matched: Vec<Option<usize>>,
    /// Keys of rows that have none of their own, by what tells the rows apart.
    pub(super) assigned: HashMap<String, u128>,
    /// Columns that hold sets, with the sign between their members.
    sets: Vec<(usize, String)>,
    /// For each group, the columns with their seeds.
    grouped: Vec<Vec<(usize, u64)>>,
    /// Columns beside the compared ones that make a row another row, with their seeds.
    others: Vec<(usize, u64)>,
}

/// The hashes of the rows of a batch.
pub(super) struct RowHashes {
    pub(super) keys: Vec<u128>,
    /// Over everything that is read.
    pub(super) full: Vec<u64>,
    /// Over what is compared, by group.
    pub(super) groups: Vec<Vec<u64>>,
    /// Rows that have a null in their key.
    pub(super) unkeyed: Vec<bool>,
    /// Rows that stand for more than one.
    pub(super) copied: Vec<bool>,
}

impl Layout {
    /// Gives rows without key those of the entities they belong to.
    pub(super) fn assign(&mut self, keys: BTreeMap<usize, HashMap<String, u128>>) -> Result<()> {
        for (number, keys) in keys {
            let system = self.systems.get_mut(number).and_then(Arc::get_mut);
            system.ok_or_else(|| Error::internal("rows are being read already"))?.assigned = keys;
        }
        Ok(())
    }

    /// Looks the tables up and says what is to be read of them.
    pub(super) async fn new(rec: &Reconciliation, session: &Session) -> Result<Self> {
        let mut frames = Vec::with_capacity(rec.systems.len());
        for system in &rec.systems {
            let quoted: Vec<String> = system
                .table
                .split('.')
                .map(|part| format!("\"{}\"", part.replace('"', "\"\"")))
                .collect();
            let sql = format!("select * from {}", quoted.join("."));
            let frame = session.query(&sql).await.map_err(|e| e.context(context(rec, system)))?;
            frames.push(frame);
        }
        let schemas: Vec<SchemaRef> =
            frames.iter().map(|frame| storage_schema(frame.schema().as_arrow())).collect();
        let all: Vec<usize> = (0..rec.systems.len()).collect();
        let mut key_types = Vec::with_capacity(rec.key.len());
        for column in &rec.key {
            let kind = common_type(rec, &schemas, column, &all)?;
            if kind.is_floating() {
                return Err(type_error(rec, column, "a float, by which rows cannot be told apart"));
            }
            key_types.push(kind);
        }
        let mut field_types = Vec::with_capacity(rec.fields.len());
        for field in &rec.fields {
            let kind = common_type(rec, &schemas, &field.name, &field.trust)?;
            check_comparison(rec, field, &kind)?;
            field_types.push(kind);
        }
        if let Some(time) = rec.time.as_deref().and_then(|time| rec.field(time))
            && !is_time(&field_types[time])
        {
            return Err(type_error(rec, &rec.fields[time].name, "no time"));
        }
        let mut groups: Vec<(u8, Vec<usize>)> = Vec::new();
        for (index, field) in rec.fields.iter().enumerate() {
            if field.compare == Comparison::None {
                continue;
            }
            let mask = field.trust.iter().fold(0_u8, |mask, system| mask | 1 << system);
            match groups.iter_mut().find(|(other, _)| *other == mask) {
                Some((_, fields)) => fields.push(index),
                None => groups.push((mask, vec![index])),
            }
        }
        let mut systems = Vec::with_capacity(rec.systems.len());
        for (index, frame) in frames.into_iter().enumerate() {
            let types = (&key_types[..], &field_types[..]);
            systems.push(Arc::new(SystemLayout::new(rec, index, frame, types, &groups, session)?));
        }
        Ok(Self { key_types, field_types, groups, systems })
    }
}

fn context(rec: &Reconciliation, system: &ReconcileSystem) -> String {
    format!("reconciliation {}, system {}", rec.name, system.name)
}

fn type_error(rec: &Reconciliation, column: &str, what: &str) -> Error {
    let message = format!("reconciliation {}: {column} is {what}", rec.name);
    Error::new(ErrorKind::Config, "E-RECONCILE-TYPE", message)
        .hint("cast it in the model that the reconciliation reads")
}

/// The type in which the systems' columns can be compared.
fn common_type(
    rec: &Reconciliation,
    schemas: &[SchemaRef],
    column: &str,
    systems: &[usize],
) -> Result<DataType> {
    let mut common: Option<DataType> = None;
    for index in systems {
        let system = &rec.systems[*index];
        let theirs = system.column(column);
        let field = schemas[*index].field_with_name(theirs).map_err(|_| {
            let known: Vec<&str> =
                schemas[*index].fields().iter().map(|f| f.name().as_str()).collect();
            let hint = closest(theirs, known.iter().copied())
                .map(|close| format!("did you mean `{close}`? name it in `columns` of the system"))
                .unwrap_or_else(|| format!("it has {}", known.join(", ")));
            let message = format!("{} has no column {theirs}", system.table);
            Error::new(ErrorKind::Config, "E-RECONCILE-COLUMN", message)
                .hint(hint)
                .context(context(rec, system))
        })?;
        common = Some(match common {
            None => field.data_type().clone(),
            Some(other) => joined(&other, field.data_type())
                .ok_or_else(|| type_error(rec, column, "a time with a zone in one system only"))?,
        });
    }
    Ok(common.unwrap_or(DataType::Utf8))
}

/// A type that holds the values of both.
fn joined(one: &DataType, other: &DataType) -> Option<DataType> {
    use DataType::{Date32, Decimal128, Float64, Int64, Timestamp, Utf8};
    let is_decimal = |kind: &DataType| matches!(kind, Decimal128(..));
    let scale = |kind: &DataType| match kind {
        Decimal128(_, scale) => *scale,
        _ => 0,
    };
    Some(match (one, other) {
        (one, other) if one == other => one.clone(),
        (one, other) if one.is_integer() && other.is_integer() => Int64,
        (one, other)
            if (one.is_integer() || is_decimal(one))
                && (other.is_integer() || is_decimal(other)) =>
        {
            Decimal128(38, scale(one).max(scale(other)))
        }
        (one, other) if one.is_numeric() && other.is_numeric() => Float64,
        (Timestamp(_, one), Timestamp(_, other)) => {
            if one.is_some() != other.is_some() {
                return None;
            }
            Timestamp(TimeUnit::Microsecond, one.clone())
        }
        (Date32, Timestamp(_, None)) | (Timestamp(_, None), Date32) => {
            Timestamp(TimeUnit::Microsecond, None)
        }
        _ => Utf8,
    })
}

fn is_time(kind: &DataType) -> bool {
    matches!(kind, DataType::Date32 | DataType::Timestamp(..))
}

/// Refuses tolerances on types that have none.
fn check_comparison(rec: &Reconciliation, field: &ReconcileField, kind: &DataType) -> Result<()> {
    let is_time = is_time(kind);
    let is_text = *kind == DataType::Utf8;
    let fits = match &field.compare {
        Comparison::Exact | Comparison::None => field.normalise.is_empty() || is_text,
        Comparison::Code(_) | Comparison::Set(_) => is_text,
        Comparison::Time(_) | Comparison::Workdays(_) => is_time,
        Comparison::Value(_) => kind.is_numeric(),
    };
    if fits {
        return Ok(());
    }
    Err(type_error(rec, &field.name, &format!("{kind}, which cannot be compared like this")))
}

impl SystemLayout {
    fn new(
        rec: &Reconciliation,
        index: usize,
        frame: DataFrame,
        (key_types, field_types): (&[DataType], &[DataType]),
        groups: &[(u8, Vec<usize>)],
        session: &Session,
    ) -> Result<Self> {
        let system = &rec.systems[index];
        let schema = storage_schema(frame.schema().as_arrow());
        let mut select = Select { schema: &schema, exprs: Vec::new(), fields: Vec::new() };
        for (number, (column, kind)) in rec.key.iter().zip(key_types).enumerate() {
            select.column(&format!("k{number}"), system.column(column), kind);
        }
        let mut extra = |name: &str, column: &Option<String>, kind: DataType| {
            let Some(column) = column else { return Ok(None) };
            if schema.field_with_name(column).is_err() {
                let message = format!("{} has no column {column}", system.table);
                let known = schema.fields().iter().map(|field| field.name().as_str());
                let hint = closest(column, known).map(|close| format!("did you mean `{close}`?"));
                return Err(Error::new(ErrorKind::Config, "E-RECONCILE-COLUMN", message)
                    .hint(hint.unwrap_or_else(|| "correct the system in the file".into()))
                    .context(context(rec, system)));
            }
            Ok(Some(select.column(name, column, &kind)))
        };
        let copies = extra("copies", &system.copies, DataType::Int64)?;
        let row = extra("row", &system.row, DataType::Utf8)?;
        let run = extra("run", &system.run, DataType::Int64)?;
        let (mut values, mut compared, mut matched) = (Vec::new(), Vec::new(), Vec::new());
        let mut sets = Vec::new();
        let mut others = Vec::new();
        for (column, seed) in [(copies, COPIES_SEED), (row, ROW_SEED), (run, RUN_SEED)] {
            others.extend(column.map(|column| (column, seed)));
        }
        for (number, (field, kind)) in rec.fields.iter().zip(field_types).enumerate() {
            if !field.trust.contains(&index) {
                values.push(None);
                compared.push(None);
                matched.push(None);
                continue;
            }
            let seed = number as u64 + 1;
            let value = select.column(&format!("f{number}"), system.column(&field.name), kind);
            values.push(Some(value));
            let own = select.exprs[value].clone().unalias();
            let mut place = value;
            if let Some(expr) = normalised(field, index, own, session)? {
                place = select.expr(&format!("n{number}"), expr, DataType::Utf8);
                if let Comparison::Set(sign) = &field.compare {
                    sets.push((place, sign.clone()));
                }
            }
            matched.push(Some(place));
            let is_compared = field.compare != Comparison::None;
            compared.push(is_compared.then_some(place));
            if !is_compared || place != value {
                others.push((value, seed | OWN_VALUE));
            }
        }
        let grouped = groups
            .iter()
            .map(|(_, fields)| {
                let place = |field: &usize| Some((compared[*field]?, *field as u64 + 1));
                fields.iter().filter_map(place).collect()
            })
            .collect();
        let (exprs, schema) = (select.exprs, Arc::new(Schema::new(select.fields)));
        let action = context(rec, system);
        let frame = frame.select(exprs).map_err(|e| engine_error(&action, e))?;
        let keys = rec.key.len();
        Ok(Self {
            frame,
            schema,
            keys,
            copies,
            row,
            run,
            values,
            compared,
            matched,
            assigned: HashMap::new(),
            sets,
            grouped,
            others,
        })
    }

    /// What to execute.
    pub(super) fn frame(&self) -> DataFrame {
        self.frame.clone()
    }

    /// What to execute for the rows with wanted keys of a range of buckets; a few others may come
    /// along.
    pub(super) fn frame_of(&self, wanted: &Wanted, range: &Range<usize>) -> Result<DataFrame> {
        wanted.narrow(self.frame(), self.keys, range, !self.assigned.is_empty())
    }

    /// The columns of the rows, keys first.
    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// A batch as it came, in the common types.
    pub(super) fn typed(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        storage_batch(&self.sorted_sets(batch)?, &self.schema)
    }

    fn sorted_sets(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        if self.sets.is_empty() {
            return Ok(batch.clone());
        }
        let mut columns = batch.columns().to_vec();
        let mut fields: Vec<Field> =
            batch.schema().fields().iter().map(|field| field.as_ref().clone()).collect();
        for (place, sign) in &self.sets {
            let sorted = sorted_set(&columns[*place], sign)?;
            fields[*place] = Field::new(fields[*place].name(), sorted.data_type().clone(), true);
            columns[*place] = sorted;
        }
        Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
    }

    /// The hashes of the keys of a batch's rows, and which rows have none. Rows that were matched
    /// have the keys of their entities.
    pub(super) fn keys(&self, batch: &RecordBatch) -> Result<(Vec<u128>, Vec<bool>)> {
        let (mut keys, mut unkeyed) = self.own_keys(batch)?;
        let (Some(place), false) = (self.row, self.assigned.is_empty()) else {
            return Ok((keys, unkeyed));
        };
        let names = cast(batch.column(place), &DataType::Utf8)?;
        let names = names.as_string::<i32>();
        for row in (0..batch.num_rows()).filter(|row| names.is_valid(*row)) {
            if !unkeyed[row] {
                continue;
            }
            if let Some(key) = self.assigned.get(names.value(row)) {
                keys[row] = *key;
                unkeyed[row] = false;
            }
        }
        Ok((keys, unkeyed))
    }

    /// The hashes of the rows' own keys.
    pub(super) fn own_keys(&self, batch: &RecordBatch) -> Result<(Vec<u128>, Vec<bool>)> {
        let mut keys = vec![0_u128; batch.num_rows()];
        let mut unkeyed = vec![false; batch.num_rows()];
        for (column, seed) in batch.columns()[..self.keys].iter().zip(1..) {
            add_column(&mut keys, column, seed)?;
            if let Some(nulls) = column.logical_nulls() {
                for (row, unkeyed) in unkeyed.iter_mut().enumerate() {
                    *unkeyed |= nulls.is_null(row);
                }
            }
        }
        Ok((keys, unkeyed))
    }

    /// The hashes of a batch's rows.
    pub(super) fn hashes(&self, batch: &RecordBatch) -> Result<RowHashes> {
        let (keys, unkeyed) = self.keys(batch)?;
        let batch = self.sorted_sets(batch)?;
        let rows = batch.num_rows();
        let mut full = vec![0_u64; rows];
        for (column, seed) in &self.others {
            add_column(&mut full, batch.column(*column), *seed)?;
        }
        let mut groups = Vec::with_capacity(self.grouped.len());
        for columns in &self.grouped {
            let mut sums = vec![0_u64; rows];
            for (column, seed) in columns {
                add_column(&mut sums, batch.column(*column), *seed)?;
            }
            for (full, sum) in full.iter_mut().zip(&sums) {
                *full = full.wrapping_add(*sum);
            }
            groups.push(sums);
        }
        let mut copied = vec![false; rows];
        if let Some(place) = self.copies {
            let wide = cast(batch.column(place), &DataType::Int64)?;
            let counts = wide.as_primitive::<arrow::datatypes::Int64Type>();
            for (row, copied) in copied.iter_mut().enumerate() {
                *copied = counts.is_valid(row) && counts.value(row) > 1;
            }
        }
        Ok(RowHashes { keys, full, groups, unkeyed, copied })
    }

    /// How many rows a row of a typed batch stands for.
    pub(super) fn copies(&self, batch: &RecordBatch, row: usize) -> i64 {
        let counts = self.copies.and_then(|place| {
            batch.column(place).as_primitive_opt::<arrow::datatypes::Int64Type>()
        });
        counts.filter(|counts| counts.is_valid(row)).map_or(1, |counts| counts.value(row).max(1))
    }
}

/// The columns of one system's SELECT.
struct Select<'a> {
    schema: &'a SchemaRef,
    exprs: Vec<Expr>,
    fields: Vec<Field>,
}

impl Select<'_> {
    /// Adds a column of the table in type `kind`, and says where it is.
    fn column(&mut self, name: &str, column: &str, kind: &DataType) -> usize {
        let stored = self.schema.field_with_name(column).map(|field| field.data_type());
        let expr = match stored {
            Ok(stored) if stored == kind => ident(column),
            _ => datafusion::prelude::cast(ident(column), kind.clone()),
        };
        self.expr(name, expr, kind.clone())
    }

    fn expr(&mut self, name: &str, expr: Expr, kind: DataType) -> usize {
        self.exprs.push(expr.alias(name));
        self.fields.push(Field::new(name, kind, true));
        self.exprs.len() - 1
    }
}

/// What is compared instead of the value, if it is something else.
fn normalised(
    field: &ReconcileField,
    system: usize,
    value: Expr,
    session: &Session,
) -> Result<Option<Expr>> {
    let call = |name: &str, arguments: Vec<Expr>| {
        let function = session.context().state().scalar_functions().get(name).cloned();
        function
            .map(|function| function.call(arguments))
            .ok_or_else(|| Error::internal(format!("there is no function {name}")))
    };
    let mut expr = value;
    let mut is_other = matches!(field.compare, Comparison::Set(_));
    for step in &field.normalise {
        is_other = true;
        expr = match step {
            Normalise::Width => call("to_halfwidth", vec![expr])?,
            Normalise::Trim => call("btrim", vec![expr, lit(SPACE)])?,
            Normalise::Spaces => call("regexp_replace", vec![expr, lit("\\s"), lit(""), lit("g")])?,
            Normalise::Case => call("lower", vec![expr])?,
            Normalise::Empty => call("nullif", vec![expr, lit("")])?,
        };
    }
    if let Some(table) = field.codes.get(&system) {
        is_other = true;
        // A code that the table lacks stays as it is: it differs from every hub code, and the
        // coverage names it.
        let mapped = call("code_map", vec![lit(table.as_str()), expr.clone()])?;
        expr = call("coalesce", vec![mapped, expr])?;
    }
    Ok(is_other.then_some(expr))
}

/// Each text with its members in order and none twice.
fn sorted_set(column: &ArrayRef, sign: &str) -> Result<ArrayRef> {
    let texts = cast(column, &DataType::Utf8)?;
    let sorted: StringArray = texts
        .as_string::<i32>()
        .iter()
        .map(|text| {
            text.map(|text| {
                let mut members: Vec<&str> =
                    text.split(sign).map(str::trim).filter(|member| !member.is_empty()).collect();
                members.sort_unstable();
                members.dedup();
                members.join(sign)
            })
        })
        .collect();
    Ok(Arc::new(sorted))
}
