//! One table as its viewer sees it.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Column, DFSchema, ScalarValue, ToDFSchema};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionImplementation, TableProviderFilterPushDown, TableType,
    Volatility, create_udf, when,
};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::prelude::{ident, lit};
use huiliu_core::identifier::mask_tagged;

use super::closed::{ClosedExec, Errors};
use super::{Pseudonym, Viewer};
use crate::lineage::is_comparison;
use crate::personal::Personal;

/// The kind of personal data that has pseudonyms.
const NUMBERS: &str = "id_number";

/// A column that is seen.
#[derive(Debug, Clone)]
struct Seen {
    field: Field,
    /// What it shows, over the columns of the table.
    shows: Expr,
    /// Whether that is the column as it is.
    is_plain: bool,
}

/// A table whose personal columns are masked and whose rows are filtered.
#[derive(Debug)]
pub(super) struct GuardedTable {
    inner: Arc<dyn TableProvider>,
    columns: Vec<Seen>,
    schema: SchemaRef,
    rows: Option<Expr>,
    errors: Errors,
}

impl GuardedTable {
    /// A table of which only some rows are seen, as they are.
    pub(super) fn filtered(name: String, inner: Arc<dyn TableProvider>, rows: Expr) -> Self {
        let schema = inner.schema();
        let plain = |field: &Arc<Field>| Seen {
            field: field.as_ref().clone(),
            shows: ident(field.name()),
            is_plain: true,
        };
        let columns = schema.fields().iter().map(plain).collect();
        let errors = Errors { table: name, are_told: false };
        Self { inner, columns, schema, rows: Some(rows), errors }
    }

    /// A table whose personal columns are masked.
    pub(super) fn masked(
        name: String,
        inner: Arc<dyn TableProvider>,
        personal: &Personal,
        viewer: &Viewer,
    ) -> Self {
        let source = inner.schema();
        let mut columns: Vec<Seen> = Vec::with_capacity(source.fields().len());
        for field in source.fields() {
            let plain = ident(field.name());
            let kind = personal.tag(&name, field.name()).filter(|_| !viewer.unmasked);
            let Some(kind) = kind else {
                let field = field.as_ref().clone();
                columns.push(Seen { field, shows: plain, is_plain: true });
                continue;
            };
            let mut shows = under_mask(kind, field.data_type(), plain.clone());
            if let Some(rows) = personal.plain_rows(&name, field.name())
                && !rows.values.is_empty()
                && source.field_with_name(rows.by).is_ok()
            {
                let values = rows.values.iter().map(|value| lit(value.as_str())).collect();
                let is_plain = ident(rows.by).in_list(values, false);
                shows = when(is_plain, plain).otherwise(shows.clone()).unwrap_or(shows);
            }
            let field = field.as_ref().clone().with_nullable(true);
            columns.push(Seen { field, shows, is_plain: false });
        }
        if let Some(pseudonym) = viewer.pseudonym.as_ref().filter(|_| !viewer.unmasked) {
            for field in source.fields() {
                let is_number = personal.tag(&name, field.name()) == Some(NUMBERS);
                let beside = format!("{}_pseudonym", field.name());
                let is_taken = source.field_with_name(&beside).is_ok();
                if is_number && is_text(field.data_type()) && !is_taken {
                    columns.push(Seen {
                        field: Field::new(&beside, DataType::Utf8, true),
                        shows: pseudonymised(pseudonym, ident(field.name())),
                        is_plain: false,
                    });
                }
            }
        }
        let schema = Schema::new(columns.iter().map(|seen| seen.field.clone()).collect::<Vec<_>>());
        let errors = Errors { table: name, are_told: viewer.sees_all() };
        Self { inner, columns, schema: Arc::new(schema), rows: None, errors }
    }

    /// Whether a filter of the query may be tried on the table itself: it names only columns that are
    /// shown as they are and cannot fail, and there are no hidden rows that it would meet.
    fn may_pass(&self, filter: &Expr) -> bool {
        let is_plain = |column: &Column| {
            self.columns.iter().any(|seen| seen.is_plain && seen.field.name() == &column.name)
        };
        self.rows.is_none() && is_simple(filter) && filter.column_refs().into_iter().all(is_plain)
    }

    /// Reads the columns at the places of `projection`.
    async fn read(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let all: Vec<usize> = (0..self.columns.len()).collect();
        let chosen: Vec<&Seen> = projection
            .unwrap_or(&all)
            .iter()
            .filter_map(|index| self.columns.get(*index))
            .collect();
        let source = self.inner.schema();
        let mut needed: Vec<usize> = Vec::new();
        for expr in chosen.iter().map(|seen| &seen.shows).chain(&self.rows) {
            for column in expr.column_refs() {
                needed.push(source.index_of(&column.name)?);
            }
        }
        needed.sort_unstable();
        needed.dedup();
        let passed: Vec<Expr> = filters
            .iter()
            .filter(|filter| self.may_pass(filter))
            .map(unqualified)
            .collect::<Result<_>>()?;
        let allowed = self.inner.supports_filters_pushdown(&passed.iter().collect::<Vec<_>>())?;
        let passed: Vec<Expr> = passed
            .into_iter()
            .zip(allowed)
            .filter(|(_, allowed)| *allowed != TableProviderFilterPushDown::Unsupported)
            .map(|(filter, _)| filter)
            .collect();
        // Rows are filtered after the scan, by the rows' filter and by the query.
        let limit = limit.filter(|_| self.rows.is_none() && filters.is_empty());
        let mut plan = self.inner.scan(state, Some(&needed), &passed, limit).await?;
        let schema: DFSchema = plan.schema().to_dfschema()?;
        if let Some(rows) = &self.rows {
            let predicate = state.create_physical_expr(rows.clone(), &schema)?;
            plan = Arc::new(FilterExec::try_new(predicate, plan)?);
        }
        let mut shown = Vec::with_capacity(chosen.len());
        for seen in chosen {
            let expr = state.create_physical_expr(seen.shows.clone(), &schema)?;
            shown.push(ProjectionExpr { expr, alias: seen.field.name().clone() });
        }
        let plan = ProjectionExec::try_new(shown, plan)?;
        Ok(Arc::new(plan))
    }
}

fn is_text(kind: &DataType) -> bool {
    matches!(kind, DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8)
}

/// Comparisons that cannot fail, whatever the values are.
fn is_simple(filter: &Expr) -> bool {
    let is_value = |expr: &Expr| matches!(expr, Expr::Column(_) | Expr::Literal(..));
    match filter {
        Expr::BinaryExpr(binary) if binary.op.is_logic_operator() => {
            is_simple(&binary.left) && is_simple(&binary.right)
        }
        Expr::BinaryExpr(binary) if is_comparison(binary.op) => {
            is_value(&binary.left) && is_value(&binary.right)
        }
        Expr::InList(list) => is_value(&list.expr) && list.list.iter().all(is_value),
        Expr::Between(between) => {
            is_value(&between.expr) && is_value(&between.low) && is_value(&between.high)
        }
        Expr::IsNull(inner) | Expr::IsNotNull(inner) => is_value(inner),
        _ => false,
    }
}

/// `column` under the mask of its kind, in its own type; what is no text is not shown at all.
fn under_mask(kind: &str, data_type: &DataType, column: Expr) -> Expr {
    if !is_text(data_type) {
        return lit(ScalarValue::try_from(data_type).unwrap_or(ScalarValue::Null));
    }
    let tag = kind.to_owned();
    let mask = changed(&format!("masked_{kind}"), column, move |text| mask_tagged(&tag, text));
    datafusion::prelude::cast(mask, data_type.clone())
}

fn pseudonymised(pseudonym: &Pseudonym, column: Expr) -> Expr {
    let pseudonym = Arc::clone(pseudonym);
    changed("pseudonym", column, move |text| pseudonym(text))
}

/// `column` changed by a function that is called nowhere but here.
fn changed(
    name: &str,
    column: Expr,
    body: impl Fn(&str) -> String + Send + Sync + 'static,
) -> Expr {
    let body: ScalarFunctionImplementation = Arc::new(move |arguments: &[ColumnarValue]| {
        let arrays = ColumnarValue::values_to_arrays(arguments)?;
        let texts = cast(&arrays[0], &DataType::Utf8)?;
        let texts = texts.as_string::<i32>();
        let changed: StringArray = texts.iter().map(|text| text.map(&body)).collect();
        Ok(ColumnarValue::Array(Arc::new(changed) as ArrayRef))
    });
    let function =
        create_udf(name, vec![DataType::Utf8], DataType::Utf8, Volatility::Immutable, body);
    function.call(vec![datafusion::prelude::cast(column, DataType::Utf8)])
}

#[async_trait]
impl TableProvider for GuardedTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        self.inner.table_type()
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        let passes = |filter: &&Expr| match self.may_pass(filter) {
            // The query filters again, so what passes may be more than it asks for.
            true => TableProviderFilterPushDown::Inexact,
            false => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(passes).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let read = self.read(state, projection, filters, limit).await;
        let plan = read.map_err(|error| self.errors.told(error))?;
        Ok(Arc::new(ClosedExec::new(plan, self.errors.clone())))
    }
}

/// A filter over the columns of the table by their names alone.
fn unqualified(filter: &Expr) -> Result<Expr> {
    use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
    filter
        .clone()
        .transform(|expr| match expr {
            Expr::Column(column) => Ok(Transformed::yes(ident(column.name))),
            other => Ok(Transformed::no(other)),
        })
        .data()
}
