//! Which columns show personal data, whatever a model calls them.
//!
//! A column is personal when its values come from a tagged column of a stream. Of a table of which
//! nothing is known every column is.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::arrow::datatypes::Schema;
use datafusion::logical_expr::LogicalPlan;
use huiliu_core::access::Limits;
use huiliu_core::reconcile::Reconciliation;
use huiliu_sdk::OWNER_TAGS;

use crate::lineage::{joined, personal_columns};
use crate::owner::{Owned, Owners};

/// The kind of personal data of what was computed from some. It has no mask of its own.
pub(crate) const DERIVED: &str = "derived";
/// The table of figures, which are published.
const FIGURES: &str = "metrics.figures";
/// Columns of a ledger that hold values of whatever field a row is about.
const LEDGER_VALUES: [&str; 3] = ["found", "expected", "all_values"];
/// Columns with hashes over all of a row. They have no key, so who guesses its values can tell that
/// he has guessed them.
const HASHES: [&str; 2] = ["_row_hash", "input_hash"];
/// Columns of the hub's own tables with texts that may quote rows.
const QUOTES: [(&str, &str); 3] =
    [("ops.steps", "message"), ("ops.audits", "examples"), ("quarantine.rows", "reason")];
/// What is known of a table without personal data.
static NOTHING: Tags = Tags::new();

/// Kinds of personal data by column.
pub type Tags = BTreeMap<String, String>;

/// Kinds of personal data by table and column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Personal {
    tables: BTreeMap<String, Tags>,
    /// By table and personal column, the rows in which that column holds no personal data.
    plain: BTreeMap<(String, &'static str), Rows>,
    /// The columns that say whose rows are.
    owners: Owners,
}

/// Rows of a table, told by the values of one of its columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rows {
    /// The column.
    pub(crate) by: &'static str,
    /// Its values.
    pub(crate) values: BTreeSet<String>,
}

impl Personal {
    /// What is known of streams (tags by `system_stream`) and of the hub's own tables.
    pub(crate) fn new(streams: &BTreeMap<String, Tags>) -> Self {
        let mut personal = Self { owners: Owners::new(streams), ..Self::default() };
        for (table, tags) in streams {
            let mut tags = tags.clone();
            tags.retain(|_, tag| !OWNER_TAGS.contains(&tag.as_str()));
            for schema in ["current", "history", "raw"] {
                personal.add(format!("{schema}.{table}"), tags.clone());
            }
        }
        for (table, column) in QUOTES {
            personal.add(table.to_owned(), derived(&[column]));
        }
        personal
    }

    /// The kinds of personal data in a table; none when nothing is known of the table.
    pub(crate) fn tags(&self, table: &str) -> Option<&Tags> {
        self.tables.get(table).or_else(|| {
            let is_own = ["ops.", "quarantine."].iter().any(|schema| table.starts_with(schema));
            (is_own || self.is_for_all(table)).then_some(&NOTHING)
        })
    }

    /// The kind of personal data in a column.
    pub(crate) fn tag(&self, table: &str, column: &str) -> Option<&str> {
        match self.tags(table) {
            Some(tags) => tags.get(column).map(String::as_str),
            None => Some(DERIVED),
        }
    }

    /// The rows in which a personal column holds no personal data.
    pub(crate) fn plain_rows(&self, table: &str, column: &str) -> Option<&Rows> {
        let mut of_table = self.plain.iter().filter(|((name, _), _)| name == table);
        of_table.find(|((_, of), _)| *of == column).map(|(_, rows)| rows)
    }

    /// Whether the rows of a table are nobody's in particular: those of code tables, and figures.
    pub(crate) fn is_for_all(&self, table: &str) -> bool {
        let is_named_so = table.starts_with("codes.") || table == FIGURES;
        is_named_so && !self.tables.contains_key(table)
    }

    /// Which rows of a table `limits` let through, as far as it has the columns in `schema`.
    pub(crate) fn rows(&self, table: &str, schema: Option<&Schema>, limits: &Limits) -> Owned {
        if self.is_for_all(table) { Owned::All } else { self.owners.rows(table, schema, limits) }
    }

    /// Expects to learn of a table. What is learned of others meanwhile takes nothing in it for
    /// personal, so all must be learned again until that changes nothing.
    pub(crate) fn expect(&mut self, name: &str) {
        self.tables.entry(name.to_owned()).or_default();
    }

    fn add(&mut self, table: String, tags: Tags) {
        let known = self.tables.entry(table).or_default();
        for (column, kind) in tags {
            let kind = joined(known.remove(&column), Some(kind));
            known.extend(kind.map(|kind| (column, kind)));
        }
        if !known.is_empty() {
            known.extend(derived(&HASHES));
        }
    }

    /// Learns of the table or view `name` from its SELECT.
    pub(crate) fn learn(&mut self, name: &str, select: &LogicalPlan) {
        let tags = personal_columns(self, select);
        self.add(name.to_owned(), tags);
        self.owners.learn(name, select);
    }

    /// Expects to learn of a reconciliation.
    pub(crate) fn expect_reconciliation(&mut self, rec: &Reconciliation) {
        for table in rec.makes() {
            self.expect(&table);
        }
    }

    /// Learns of all tables of a reconciliation.
    pub(crate) fn learn_reconciliation(&mut self, rec: &Reconciliation) {
        let golden = self.golden(rec);
        let is_personal = |name: &String| golden.contains_key(name);
        let (hidden, shown): (Vec<_>, Vec<_>) =
            rec.fields.iter().map(|field| field.name.clone()).partition(is_personal);
        let has_personal_key = rec.key.iter().any(is_personal);
        // A row without a key is called by what tells it apart, or by a hash over all of it.
        let rows_tell = rec.systems.iter().any(|system| match &system.row {
            Some(row) => self.tag(&system.table, row).is_some(),
            None => !golden.is_empty(),
        });
        let fields = Rows { by: "field", values: shown.into_iter().collect() };
        let with_key = ["duplicate_key".to_owned(), "mismatch".to_owned()];
        let missing = rec.systems.iter().map(|system| format!("missing_in_{}", system.name));
        let with_key = Rows { by: "rule", values: with_key.into_iter().chain(missing).collect() };
        let hides_owner =
            rec.systems.iter().filter_map(|system| system.owner_field.as_ref()).any(is_personal);

        let mut tags = Tags::new();
        let mut plain: Vec<(&'static str, &Rows)> = Vec::new();
        if !hidden.is_empty() || has_personal_key || rows_tell {
            // What a row without a key looks like is told as a whole, and reasons are free text.
            tags.extend(derived(&LEDGER_VALUES));
            tags.extend(derived(&["reason"]));
            plain.extend(LEDGER_VALUES.map(|column| (column, &fields)));
        }
        if has_personal_key {
            // The identifier is a hash of the key.
            tags.extend(derived(&["entity_key", "difference_id", "from_state"]));
            // A row that finds another entity comes from the key of the one before.
            plain.push(("from_state", &with_key));
        } else if rows_tell {
            tags.extend(derived(&["entity_key", "difference_id"]));
            plain.extend([("entity_key", &with_key), ("difference_id", &with_key)]);
        }
        if hides_owner {
            tags.extend(derived(&["owner"]));
        }
        for ledger in [rec.differences(), rec.events(), rec.ledger()] {
            self.plain.retain(|(table, _), _| *table != ledger);
            for (column, rows) in &plain {
                self.plain.insert((ledger.clone(), *column), (*rows).clone());
            }
            self.add(ledger, tags.clone());
        }
        // Only of what has a key repairs are proposed.
        let mut repairs = tags;
        if !has_personal_key {
            repairs.retain(|column, _| column != "entity_key" && column != "difference_id");
        }
        for column in LEDGER_VALUES {
            self.plain.insert((rec.repairs(), column), fields.clone());
        }
        self.add(rec.repairs(), repairs);
        let coverage = if hidden.is_empty() { Tags::new() } else { derived(&["code", "meaning"]) };
        self.add(rec.coverage(), coverage);
        let rows = has_personal_key || rows_tell;
        let matches = if rows { derived(&["row_id", "entity_key"]) } else { Tags::new() };
        self.add(rec.matches(), matches);
        self.add(rec.class_counts(), Tags::new());
        self.add(rec.table(), golden);
        self.owners.learn_reconciliation(rec);
    }

    /// The personal columns of a golden table: a field is what it is in any system.
    fn golden(&self, rec: &Reconciliation) -> Tags {
        let mut tags = Tags::new();
        let fields = rec.fields.iter().map(|field| &field.name);
        for name in rec.key.iter().chain(fields) {
            let kinds = rec
                .systems
                .iter()
                .map(|system| self.tag(&system.table, system.column(name)).map(str::to_owned));
            let Some(tag) = kinds.fold(None, joined) else { continue };
            for system in &rec.systems {
                tags.insert(format!("{}_{name}", system.name), tag.clone());
            }
            tags.insert(name.clone(), tag);
        }
        for system in &rec.systems {
            let row = system.row.as_deref().and_then(|row| self.tag(&system.table, row));
            if let Some(tag) = row {
                tags.insert(format!("{}_row", system.name), tag.to_owned());
            }
        }
        tags
    }
}

/// Columns that were computed from personal data.
fn derived(columns: &[&str]) -> Tags {
    columns.iter().map(|column| ((*column).to_owned(), DERIVED.to_owned())).collect()
}
