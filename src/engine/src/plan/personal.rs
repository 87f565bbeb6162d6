//! Which columns show personal data, whatever a model calls them.
//!
//! A column is personal when its values come from a tagged column of a stream. Within one SELECT
//! columns are told apart by name alone, so a column may be taken for personal that is not, and
//! none the other way round.

use std::collections::BTreeMap;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::{Expr, LogicalPlan};
use huiliu_core::reconcile::Reconciliation;

/// The kind of personal data of what was computed from some. It has no mask of its own.
const DERIVED: &str = "derived";

/// Kinds of personal data by column.
pub type Tags = BTreeMap<String, String>;

/// Kinds of personal data by table and column.
#[derive(Debug, Clone, Default)]
pub(super) struct Personal(BTreeMap<String, Tags>);

impl Personal {
    /// What is known of streams: tags by `system_stream`.
    pub(super) fn new(streams: &BTreeMap<String, Tags>) -> Self {
        let mut tables = BTreeMap::new();
        for (table, tags) in streams {
            for schema in ["current", "history", "raw"] {
                tables.insert(format!("{schema}.{table}"), tags.clone());
            }
        }
        Self(tables)
    }

    /// The kind of personal data in a column.
    pub(super) fn tag(&self, table: &str, column: &str) -> Option<&str> {
        self.0.get(table)?.get(column).map(String::as_str)
    }

    /// Learns of the table or view `name` from its SELECT.
    pub(super) fn learn(&mut self, name: &str, select: &LogicalPlan) {
        let tags = self.of(select);
        self.0.insert(name.to_owned(), tags);
    }

    /// Learns of the golden table of a reconciliation: a field is what it is in any system.
    pub(super) fn learn_golden(&mut self, rec: &Reconciliation) {
        let mut tags = Tags::new();
        let fields = rec.fields.iter().map(|field| &field.name);
        for name in rec.key.iter().chain(fields) {
            let found = rec
                .systems
                .iter()
                .find_map(|system| self.tag(&system.table, system.column(name)).map(str::to_owned));
            let Some(tag) = found else { continue };
            for system in &rec.systems {
                tags.insert(format!("{}_{name}", system.name), tag.clone());
            }
            tags.insert(name.clone(), tag);
        }
        for system in &rec.systems {
            let row = system.row.as_deref().and_then(|row| self.tag(&system.table, row));
            if let Some(tag) = row.map(str::to_owned) {
                tags.insert(format!("{}_row", system.name), tag);
            }
        }
        self.0.insert(rec.table(), tags);
    }

    /// The personal columns that a plan gives.
    fn of(&self, plan: &LogicalPlan) -> Tags {
        if let LogicalPlan::TableScan(scan) = plan {
            let schema = scan.table_name.schema().unwrap_or("standard");
            let table = format!("{schema}.{}", scan.table_name.table());
            return self.0.get(&table).cloned().unwrap_or_default();
        }
        let mut input = Tags::new();
        for (number, part) in plan.inputs().into_iter().enumerate() {
            let tags = self.of(part);
            // The columns of a union have the names of its first part.
            if number > 0 && matches!(plan, LogicalPlan::Union(_)) {
                let names = plan.schema().fields().iter().zip(part.schema().fields());
                for (ours, theirs) in names {
                    if let Some(tag) = tags.get(theirs.name()) {
                        input.entry(ours.name().clone()).or_insert_with(|| tag.clone());
                    }
                }
            } else {
                input.extend(tags);
            }
        }
        let mut output = Tags::new();
        for field in plan.schema().fields() {
            if let Some(tag) = input.get(field.name()) {
                output.insert(field.name().clone(), tag.clone());
            }
        }
        for expression in plan.expressions() {
            if let Some(tag) = self.of_expression(&expression, &input) {
                let name = expression.schema_name().to_string();
                output.entry(name).or_insert(tag);
            }
        }
        output
    }

    fn of_expression(&self, expression: &Expr, input: &Tags) -> Option<String> {
        match expression {
            Expr::Alias(alias) => return self.of_expression(&alias.expr, input),
            Expr::Column(column) => return input.get(&column.name).cloned(),
            _ => {}
        }
        let mut is_personal = expression.column_refs().iter().any(|c| input.contains_key(&c.name));
        let walked: DataFusionResult<TreeNodeRecursion> = expression.apply(|part| {
            if let Expr::ScalarSubquery(inner) = part {
                is_personal |= !self.of(&inner.subquery).is_empty();
            }
            Ok(TreeNodeRecursion::Continue)
        });
        (is_personal || walked.is_err()).then(|| DERIVED.to_owned())
    }
}
