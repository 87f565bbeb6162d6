//! Which columns show personal data, whatever a model calls them.
//!
//! A column is personal when its values come from a tagged column of a stream. Within one SELECT
//! columns are told apart by name alone, so a column may be taken for personal that is not, and
//! none the other way round.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::{Expr, LogicalPlan, Operator};
use huiliu_core::reconcile::Reconciliation;

/// The kind of personal data of what was computed from some. It has no mask of its own.
pub(crate) const DERIVED: &str = "derived";
/// Columns of a ledger that hold values of whatever field a row is about.
pub(crate) const LEDGER_VALUES: [&str; 3] = ["found", "expected", "all_values"];
/// Functions that give back what they are given, in another form.
const SAME_VALUE: [&str; 8] =
    ["trim", "btrim", "ltrim", "rtrim", "upper", "lower", "to_halfwidth", "coalesce"];
/// Aggregates that give one of the values they are given.
const ONE_OF_THEM: [&str; 5] = ["min", "max", "first_value", "last_value", "any_value"];

/// Kinds of personal data by column.
pub type Tags = BTreeMap<String, String>;

/// Kinds of personal data by table and column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Personal {
    tables: BTreeMap<String, Tags>,
    /// Of tables that hold values of many fields, those fields that are personal.
    fields: BTreeMap<String, BTreeSet<String>>,
}

impl Personal {
    /// What is known of streams: tags by `system_stream`.
    pub(crate) fn new(streams: &BTreeMap<String, Tags>) -> Self {
        let mut tables = BTreeMap::new();
        for (table, tags) in streams {
            for schema in ["current", "history", "raw"] {
                tables.insert(format!("{schema}.{table}"), tags.clone());
            }
        }
        Self { tables, fields: BTreeMap::new() }
    }

    /// The kinds of personal data in a table; none when nothing is known of the table.
    pub(crate) fn tags(&self, table: &str) -> Option<&Tags> {
        self.tables.get(table)
    }

    /// The personal fields of a ledger, in whose rows [`LEDGER_VALUES`] are personal.
    pub(crate) fn fields(&self, table: &str) -> Option<&BTreeSet<String>> {
        self.fields.get(table)
    }

    /// The kind of personal data in a column.
    pub(crate) fn tag(&self, table: &str, column: &str) -> Option<&str> {
        self.tables.get(table)?.get(column).map(String::as_str)
    }

    /// Learns of the table or view `name` from its SELECT.
    pub(crate) fn learn(&mut self, name: &str, select: &LogicalPlan) {
        let tags = self.of(select);
        self.tables.insert(name.to_owned(), tags);
    }

    /// Learns of all tables of a reconciliation.
    pub(crate) fn learn_reconciliation(&mut self, rec: &Reconciliation) {
        self.learn_golden(rec);
        let golden = self.tables.get(&rec.table()).cloned().unwrap_or_default();
        let is_personal = |name: &String| golden.contains_key(name);
        let has_personal_key = rec.key.iter().any(is_personal);
        let fields: BTreeSet<String> =
            rec.fields.iter().map(|field| field.name.clone()).filter(is_personal).collect();
        let mut values = Tags::new();
        if has_personal_key {
            values.insert("entity_key".into(), DERIVED.into());
        }
        // What a row without a key looks like is told as a whole.
        if !fields.is_empty() || has_personal_key {
            values.extend(LEDGER_VALUES.map(|column| (column.to_owned(), DERIVED.to_owned())));
        }
        for ledger in [rec.differences(), rec.events(), rec.ledger(), rec.repairs()] {
            self.tables.insert(ledger.clone(), values.clone());
            self.fields.insert(ledger, fields.clone());
        }
        let derived = |columns: &[&str], if_so: bool| -> Tags {
            let columns = columns.iter().filter(|_| if_so);
            columns.map(|column| ((*column).to_owned(), DERIVED.to_owned())).collect()
        };
        self.tables.insert(rec.coverage(), derived(&["code", "meaning"], !fields.is_empty()));
        let rows_tell = golden.keys().any(|column| column.ends_with("_row"));
        self.tables.insert(
            rec.matches(),
            derived(&["row_id", "entity_key"], has_personal_key || rows_tell),
        );
        self.tables.insert(rec.class_counts(), Tags::new());
    }

    /// Learns of the golden table of a reconciliation: a field is what it is in any system.
    pub(crate) fn learn_golden(&mut self, rec: &Reconciliation) {
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
        self.tables.insert(rec.table(), tags);
    }

    /// The personal columns that a plan gives.
    fn of(&self, plan: &LogicalPlan) -> Tags {
        if let LogicalPlan::TableScan(scan) = plan {
            let schema = scan.table_name.schema().unwrap_or("standard");
            let table = format!("{schema}.{}", scan.table_name.table());
            return self.tables.get(&table).cloned().unwrap_or_default();
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
            Expr::Alias(alias) => self.of_expression(&alias.expr, input),
            Expr::Column(column) => input.get(&column.name).cloned(),
            Expr::Cast(cast) => self.of_expression(&cast.expr, input),
            Expr::TryCast(cast) => self.of_expression(&cast.expr, input),
            // Whether something holds of a person is no value of theirs.
            Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::IsTrue(_)
            | Expr::IsFalse(_)
            | Expr::IsUnknown(_)
            | Expr::IsNotTrue(_)
            | Expr::IsNotFalse(_)
            | Expr::IsNotUnknown(_)
            | Expr::Not(_)
            | Expr::Between(_)
            | Expr::InList(_)
            | Expr::InSubquery(_)
            | Expr::Exists(_)
            | Expr::Like(_)
            | Expr::SimilarTo(_) => None,
            Expr::BinaryExpr(binary) if is_condition(binary.op) => None,
            Expr::Case(case) => {
                let results = case.when_then_expr.iter().map(|(_, then)| then);
                self.of_all(results.chain(&case.else_expr).map(Box::as_ref), input)
            }
            Expr::ScalarFunction(call) => {
                let name = call.func.name();
                if name.starts_with("mask_") || name.ends_with("_valid") {
                    None
                } else if SAME_VALUE.contains(&name) {
                    self.of_all(call.args.iter(), input)
                } else {
                    self.of_parts(expression, input)
                }
            }
            Expr::AggregateFunction(call) => {
                let name = call.func.name();
                if name.contains("count") || name == "approx_distinct" {
                    None
                } else if ONE_OF_THEM.contains(&name) {
                    self.of_all(call.params.args.iter(), input)
                } else {
                    self.of_parts(expression, input)
                }
            }
            _ => self.of_parts(expression, input),
        }
    }

    /// What one of several values is: of their kind, if they are of one.
    fn of_all<'a>(
        &self,
        expressions: impl Iterator<Item = &'a Expr>,
        input: &Tags,
    ) -> Option<String> {
        let mut kinds = expressions.filter_map(|each| self.of_expression(each, input));
        let first = kinds.next()?;
        Some(if kinds.all(|kind| kind == first) { first } else { DERIVED.to_owned() })
    }

    /// What is computed from whatever an expression names.
    fn of_parts(&self, expression: &Expr, input: &Tags) -> Option<String> {
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

fn is_condition(op: Operator) -> bool {
    op.is_logic_operator() || is_comparison(op)
}

/// Comparisons of two values, which are true or false whatever the values are.
pub(crate) fn is_comparison(op: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}
