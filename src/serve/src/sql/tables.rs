//! Which tables may be asked, and which a statement reads.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::TableReference;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::{LogicalPlan, TableScan, TableType};
use huiliu_engine::Session;
use huiliu_sdk::{Error, ErrorKind, Result};

use super::{DATABASE, USUAL};

/// Schemas whose tables hold data, all of them guarded.
const DATA: [&str; 10] = [
    "audits",
    "codes",
    "current",
    "history",
    "metrics",
    "ops",
    "quarantine",
    "raw",
    "reconciled",
    "standard",
];
/// Schemas that only tell what there is.
const CATALOGS: [&str; 2] = ["information_schema", "pg_catalog"];
/// Tables of them that tell paths and limits, which is nobody's business.
const HIDDEN: [&str; 1] = ["df_settings"];

/// A table that may be asked.
pub(crate) struct Listed {
    pub(crate) schema: &'static str,
    pub(crate) name: String,
    pub(crate) is_view: bool,
    pub(crate) columns: SchemaRef,
}

/// The tables that hold data and may be asked, as `session` shows them.
pub(super) async fn list(session: &Session) -> Result<Vec<Listed>> {
    let catalog = session.context().catalog(DATABASE);
    let mut listed = Vec::new();
    for schema in DATA {
        let Some(provider) = catalog.as_ref().and_then(|catalog| catalog.schema(schema)) else {
            continue;
        };
        for name in provider.table_names() {
            if !may_be_asked(&TableReference::partial(schema, name.as_str())) {
                continue;
            }
            let table = provider.table(&name).await;
            let table = table.map_err(|e| huiliu_engine::engine_error("list the tables", e))?;
            if let Some(table) = table {
                let (is_view, columns) = (table.table_type() == TableType::View, table.schema());
                listed.push(Listed { schema, name, is_view, columns });
            }
        }
    }
    Ok(listed)
}

/// The schemas whose tables hold data.
pub(crate) fn schemas() -> [&'static str; 10] {
    DATA
}

/// Fails with `E-SQL-TABLE` when a plan reads anything but what may be asked.
pub(super) fn check(plan: &LogicalPlan) -> Result<()> {
    let mut wrong = None;
    each_scan(plan, |scan| {
        if wrong.is_none() && !may_be_asked(&scan.table_name) {
            wrong = Some(scan.table_name.to_string());
        }
    })?;
    match wrong {
        None => Ok(()),
        Some(name) => {
            let message = format!("permission denied for table {name}");
            Err(Error::new(ErrorKind::Permission, "E-SQL-TABLE", message)
                .hint("`show tables` lists what can be asked"))
        }
    }
}

/// The columns that a plan names of each table that holds data.
pub(super) fn read_by(plan: &LogicalPlan) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let mut read: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    each_scan(plan, |scan| {
        let schema = scan.table_name.schema().unwrap_or(USUAL);
        if is_function(&scan.table_name) || !DATA.contains(&schema) {
            return;
        }
        let columns = read.entry(format!("{schema}.{}", scan.table_name.table())).or_default();
        columns.extend(scan.projected_schema.fields().iter().map(|field| field.name().clone()));
    })?;
    // A plan that is not optimized scans all columns; what is used of them is named above.
    let mut used: BTreeSet<String> = BTreeSet::new();
    let walked = plan.apply_with_subqueries(|node| {
        if !matches!(node, LogicalPlan::TableScan(_)) {
            for expression in node.expressions() {
                used.extend(expression.column_refs().iter().map(|column| column.name.clone()));
            }
        }
        Ok(TreeNodeRecursion::Continue)
    });
    walked.map_err(|e| huiliu_engine::engine_error("the query", e))?;
    for columns in read.values_mut() {
        columns.retain(|column| used.contains(column));
    }
    Ok(read)
}

fn each_scan(plan: &LogicalPlan, mut tell: impl FnMut(&TableScan)) -> Result<()> {
    let walked = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            tell(scan);
        }
        Ok(TreeNodeRecursion::Continue)
    });
    walked.map(drop).map_err(|e| huiliu_engine::engine_error("the query", e))
}

fn may_be_asked(name: &TableReference) -> bool {
    if is_function(name) {
        return true;
    }
    let schema = name.schema().unwrap_or(USUAL);
    name.catalog().is_none_or(|catalog| catalog == DATABASE)
        && (DATA.contains(&schema) || CATALOGS.contains(&schema))
        && !HIDDEN.contains(&name.table())
}

/// Whether it is the rows of a function such as `generate_series`; only harmless ones are known
/// to a session.
fn is_function(name: &TableReference) -> bool {
    name.schema().is_none() && name.table().ends_with("()")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_listed_may_be_asked() {
        for name in ["current.cases", "cases", "huiliu.raw.a", "pg_catalog.pg_class", "ops.runs"] {
            assert!(may_be_asked(&TableReference::from(name)), "{name}");
        }
        for name in [
            "information_schema.df_settings",
            "other.current.cases",
            "secret.cases",
            "df_settings",
            "datafusion.public.t",
        ] {
            assert!(!may_be_asked(&TableReference::from(name)), "{name}");
        }
        assert!(may_be_asked(&TableReference::bare("generate_series()")));
        assert!(!may_be_asked(&TableReference::partial("secret", "generate_series()")));
    }
}
