//! Seals: what a published figure was counted from, kept so that it can be counted again.
//!
//! A seal holds the definition and, for each row that counts or is counted against, a pseudonym of its key and
//! the columns that the predicates look at. It names no person and needs no snapshot, so old
//! snapshots may expire and personal data may be purged.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use arrow::record_batch::RecordBatch;
use futures::StreamExt;
use huiliu_core::model::{Definition, Metric, Unit};
use huiliu_lake::{FileWriter, TableChange, storage_batch, storage_schema};
use huiliu_sdk::{Error, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Figure, definition, denominator_predicate, numerator_predicate, ratio, sum_of};
use crate::failure::engine_error;
use crate::pipeline::hex;
use crate::record_text;
use crate::session::{Engine, Session};

/// Rows of one file.
const FILE_ROWS: i64 = 1_000_000;
/// Columns that are in every table of sealed rows: the seal, the key's pseudonym, the pseudonym of
/// the value that counts once, and whether the row is above the line.
const OWN: [&str; 4] = ["_seal", "_row_key", "_value", "_counted"];

/// Columns that are in a table of sealed rows where rows count other than once each: what a row adds
/// above and below the line.
const AMOUNTS: [&str; 2] = ["_measure", "_weight"];

/// What is frozen of a metric.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedDefinition {
    /// The metric's key.
    pub metric: String,
    /// Its name.
    pub title: String,
    /// Its unit.
    pub unit: Unit,
    /// Digits after the point.
    pub digits: u8,
    /// Who answers for it.
    pub owner: String,
    /// The table it counts.
    pub from: String,
    /// The definition.
    pub definition: Definition,
    /// The predicates' columns, kept with each row. None where a predicate looks at personal
    /// data: then only its outcome is kept.
    pub columns: Option<Vec<String>>,
}

impl SealedDefinition {
    /// The table of the lake's schema `metrics` that has the rows.
    pub fn table(&self) -> String {
        format!("sealed_{}", self.metric)
    }

    /// The columns that are not those of the predicates.
    fn own_columns(&self) -> Vec<&'static str> {
        let amounts = amounts(&self.definition).map(|(name, _)| name);
        OWN.into_iter().chain(amounts).collect()
    }

    /// A hash over all of it.
    pub fn hash(&self) -> Result<String> {
        let text = serde_json::to_vec(self)
            .map_err(|e| Error::internal("a definition could not be hashed").cause(e))?;
        Ok(hex(&Sha256::digest(&text)))
    }
}

/// A figure that is to be sealed.
#[derive(Debug)]
pub struct SealPlan {
    /// The figure.
    pub figure: Figure,
    /// What is frozen of its metric.
    pub sealed: SealedDefinition,
    select: String,
}

/// The rows of a seal, written and not committed.
#[derive(Debug)]
pub struct SealedRows {
    /// What to commit.
    pub change: TableChange,
    /// How many, and the sum of their hashes.
    pub content: Content,
}

/// What the rows of a seal are, in whatever order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Content {
    /// How many.
    pub rows: i64,
    /// The sum of their hashes.
    pub sum: u128,
}

/// A sealed figure, counted again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recount {
    /// What counts.
    pub numerator: i64,
    /// What it is counted against; none for counts.
    pub denominator: Option<i64>,
    /// The rows it was counted from.
    pub content: Content,
}

impl Engine {
    /// Plans to seal the figure of `metric` on `day` in `session`. `is_personal` tells the names
    /// of columns that hold personal data wherever they are; what a model calls such a column is
    /// followed beside.
    pub async fn plan_seal(
        &self,
        session: &Session,
        metric: &Metric,
        day: &str,
        is_personal: impl Fn(&str) -> bool,
    ) -> Result<SealPlan> {
        let action = format!("metric {}", metric.key);
        let definition = definition(metric, day)?;
        let figure = session.figure(metric, day).await?;
        let table = session.query(&format!("select * from {} limit 0", metric.from)).await?;
        let mut used = BTreeSet::new();
        let expressions = amounts(definition).map(|(_, expression)| expression);
        let predicates = definition.denominator.iter().chain(&definition.numerator);
        for predicate in predicates.chain(expressions) {
            let parsed = session
                .context()
                .parse_sql_expr(predicate, table.schema())
                .map_err(|e| engine_error(&action, e))?;
            used.extend(parsed.column_refs().into_iter().map(|column| column.name.clone()));
        }
        let personal = self.personal(session).await?;
        let is_hidden =
            |column: &String| is_personal(column) || personal.tag(&metric.from, column).is_some();
        let is_kept = !used.iter().any(is_hidden);
        let columns = is_kept.then(|| used.into_iter().collect::<Vec<_>>());
        let quoted = |name: &String| format!("\"{}\"", name.replace('"', "\"\""));
        let parts: Vec<String> = self
            .row_key(metric)?
            .iter()
            .map(|name| format!("coalesce(cast({} as varchar), '')", quoted(name)))
            .collect();
        let value = match &definition.distinct {
            Some(expression) => format!("cast(({expression}) as varchar)"),
            None => "cast(null as varchar)".to_owned(),
        };
        let kept: String =
            columns.iter().flatten().map(|name| format!(", {}", quoted(name))).collect();
        let added: String = amounts(definition)
            .map(|(name, expression)| format!(", cast(({expression}) as bigint) as \"{name}\""))
            .collect();
        let select = format!(
            "select concat_ws('\u{1f}', {}) as \"_row_key\", {value} as \"_value\",
               coalesce({}, false) as \"_counted\"{added}{kept}
             from {} where {}",
            parts.join(", "),
            numerator_predicate(definition),
            metric.from,
            // A count has nothing below the line.
            match metric.unit.is_ratio() {
                true => denominator_predicate(definition),
                false => numerator_predicate(definition),
            },
        );
        let sealed = SealedDefinition {
            metric: metric.key.clone(),
            title: metric.title.clone(),
            unit: metric.unit,
            digits: metric.digits(),
            owner: metric.owner.clone(),
            from: metric.from.clone(),
            definition: definition.clone(),
            columns,
        };
        Ok(SealPlan { figure, sealed, select })
    }

    /// Writes the rows of seal `seal`. `pseudonym` replaces keys and values.
    pub async fn seal_rows(
        &self,
        session: &Session,
        plan: &SealPlan,
        seal: i64,
        pseudonym: impl Fn(&str) -> Result<String>,
    ) -> Result<SealedRows> {
        let action = format!("seal of metric {}", plan.sealed.metric);
        let frame = session.query(&plan.select).await.map_err(|e| e.context(&action))?;
        let mut fields = vec![Field::new(OWN[0], DataType::Int64, true)];
        for field in frame.schema().as_arrow().fields() {
            let is_text = [OWN[1], OWN[2]].contains(&field.name().as_str());
            let kind = if is_text { DataType::Utf8 } else { field.data_type().clone() };
            fields.push(Field::new(field.name(), kind, true));
        }
        let schema = storage_schema(&Schema::new(fields));
        let mut tx = self.lake().store().begin().await?;
        let name = plan.sealed.table();
        let table = self.lake().ensure_table(&mut tx, "metrics", &name, &schema).await?;
        tx.commit().await?;
        let mut change = TableChange::new(table.clone());
        let mut content = Content::default();
        let mut writer: Option<FileWriter> = None;
        let mut stream = frame.execute_stream().await.map_err(|e| engine_error(&action, e))?;
        while let Some(batch) = stream.next().await {
            let batch = batch.map_err(|e| engine_error(&action, e))?;
            if batch.num_rows() == 0 {
                continue;
            }
            let mut columns: Vec<ArrayRef> =
                vec![Arc::new(Int64Array::from_value(seal, batch.num_rows()))];
            for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
                let is_text = [OWN[1], OWN[2]].contains(&field.name().as_str());
                columns.push(if is_text {
                    replaced(column, &pseudonym)?
                } else {
                    Arc::clone(column)
                });
            }
            let mut names = vec![Field::new(OWN[0], DataType::Int64, true)];
            for (field, column) in batch.schema().fields().iter().zip(&columns[1..]) {
                names.push(Field::new(field.name(), column.data_type().clone(), true));
            }
            let batch = RecordBatch::try_new(Arc::new(Schema::new(names)), columns)?;
            let batch = storage_batch(&batch, &schema)?;
            content.add(&batch)?;
            let mut open = match writer.take() {
                Some(open) => open,
                None => FileWriter::create(&table)?,
            };
            open.write(&batch)?;
            if open.rows() >= FILE_ROWS {
                change.added.push((open.finish()?, None));
            } else {
                writer = Some(open);
            }
        }
        if let Some(open) = writer {
            change.added.push((open.finish()?, None));
        }
        Ok(SealedRows { change, content })
    }
}

impl Session {
    /// Counts a sealed figure again, from the rows that were kept.
    pub async fn recount(&self, sealed: &SealedDefinition, seal: i64) -> Result<Recount> {
        let action = format!("seal {seal} of metric {}", sealed.metric);
        let table = format!("metrics.\"{}\"", sealed.table());
        let kept: String = sealed
            .columns
            .iter()
            .flatten()
            .map(|name| format!(", \"{}\"", name.replace('"', "\"\"")))
            .collect();
        let own = sealed.own_columns().into_iter().map(|name| format!("\"{name}\""));
        let own = own.collect::<Vec<String>>().join(", ");
        let rows = format!("select {own}{kept} from {table} where \"_seal\" = {seal}");
        let mut content = Content::default();
        let frame = self.query(&rows).await.map_err(|e| e.context(&action))?;
        let mut stream = frame.execute_stream().await.map_err(|e| engine_error(&action, e))?;
        while let Some(batch) = stream.next().await {
            content.add(&batch.map_err(|e| engine_error(&action, e))?)?;
        }
        // Where the predicates' columns were kept, the predicates decide again.
        let definition = &sealed.definition;
        let (denominator, numerator) = match sealed.columns {
            Some(_) => (denominator_predicate(definition), numerator_predicate(definition)),
            None => ("true".to_owned(), "\"_counted\"".to_owned()),
        };
        let counted = |predicate: &str, amount: Option<&str>| match (&definition.distinct, amount) {
            (Some(_), _) => format!("count(distinct case when {predicate} then \"_value\" end)"),
            (None, Some(amount)) => sum_of(predicate, &format!("\"{amount}\"")),
            (None, None) => format!("count(case when {predicate} then 1 end)"),
        };
        let [measure, weight] = AMOUNTS;
        let sql = format!(
            "select {}, {} from ({rows}) as sealed",
            counted(&denominator, definition.weight.as_ref().map(|_| weight)),
            counted(&numerator, definition.measure.as_ref().map(|_| measure)),
        );
        let frame = self.query(&sql).await.map_err(|e| e.context(&action))?;
        let batches = frame.collect().await.map_err(|e| engine_error(&action, e))?;
        let count = |column: usize| {
            batches
                .iter()
                .find(|batch| batch.num_rows() > 0)
                .map_or(0, |batch| batch.column(column).as_primitive::<Int64Type>().value(0))
        };
        let denominator = sealed.unit.is_ratio().then(|| count(0));
        Ok(Recount { numerator: count(1), denominator, content })
    }
}

impl Recount {
    /// The value as decimal text in the unit of `sealed`; none when the denominator is zero.
    pub fn value(&self, sealed: &SealedDefinition) -> Option<String> {
        ratio::value(sealed.unit, sealed.digits, self.numerator, self.denominator)
    }
}

impl Content {
    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        for row in 0..batch.num_rows() {
            let mut hash = Sha256::new();
            for (name, value) in record_text(batch, row)? {
                hash.update(name.as_bytes());
                hash.update([0, u8::from(value.is_some())]);
                hash.update(value.unwrap_or_default().as_bytes());
                hash.update([0]);
            }
            let hash = hash.finalize();
            let mut half = [0; 16];
            half.copy_from_slice(&hash[..16]);
            self.sum = self.sum.wrapping_add(u128::from_be_bytes(half));
            self.rows += 1;
        }
        Ok(())
    }
}

/// What rows add in place of 1, by the column that keeps it.
fn amounts(definition: &Definition) -> impl Iterator<Item = (&'static str, &String)> {
    let [measure, weight] = AMOUNTS;
    let both = [(measure, &definition.measure), (weight, &definition.weight)];
    both.into_iter().filter_map(|(name, expression)| Some((name, expression.as_ref()?)))
}

fn replaced(column: &ArrayRef, pseudonym: impl Fn(&str) -> Result<String>) -> Result<ArrayRef> {
    let texts = cast(column, &DataType::Utf8)?;
    let texts = texts.as_string::<i32>();
    let replaced = texts.iter().map(|text| text.map(&pseudonym).transpose());
    let replaced: StringArray = replaced.collect::<Result<_>>()?;
    Ok(Arc::new(replaced))
}
