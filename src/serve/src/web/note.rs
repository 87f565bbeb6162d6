//! What the audit notes of an answer that shows single records: how many, and which columns of what.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::data::{
    Decided, Difference, Page, PushRecord, QuarantineDetail, QuarantinedRow, RepairPlan, Table,
    Trace,
};

/// How many records an answer shows, and which columns of them; an extension of the answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadNote {
    /// How many.
    pub rows: usize,
    /// The columns, by the figure, system, stream, table or push whose they are.
    pub columns: BTreeMap<String, BTreeSet<String>>,
}

impl ReadNote {
    /// Rows of a figure.
    pub fn of_rows(figure: &str, page: &Page<Table>) -> Self {
        let mut note = Self::default();
        for table in &page.items {
            note.rows += table.rows.len();
            table.columns.iter().for_each(|column| note.shows(figure, &column.name));
        }
        note
    }

    /// Differences: what a system says of a field, and whose value stands against it.
    pub fn of_differences(differences: &[Difference]) -> Self {
        let mut note = Self { rows: differences.len(), ..Self::default() };
        differences.iter().for_each(|difference| note.shows_difference(difference));
        note
    }

    /// What was decided about a key.
    pub fn of_decided(decided: &Decided) -> Self {
        let mut note = Self { rows: 1, ..Self::default() };
        for field in &decided.fields {
            note.shows(&decided.reconciliation, &field.field);
            field.values.keys().for_each(|system| note.shows(system, &field.field));
        }
        decided.differences.iter().for_each(|difference| note.shows_difference(difference));
        note
    }

    /// The life of a record, and what was decided about it.
    pub fn of_trace(trace: &Trace, decided: Option<&Decided>) -> Self {
        let mut note = decided.map(Self::of_decided).unwrap_or_default();
        note.rows = trace.entries.len();
        for entry in &trace.entries {
            entry.details.iter().for_each(|detail| note.shows(&entry.of, &detail.name));
        }
        note
    }

    /// What repairs would change.
    pub fn of_repairs(plan: &RepairPlan) -> Self {
        let mut note = Self { rows: plan.records.len(), ..Self::default() };
        for record in &plan.records {
            record.changes.iter().for_each(|change| note.shows(&record.push, &change.column));
        }
        note
    }

    /// Rows in quarantine, of which a list shows where they are from and why, and no value.
    pub fn of_quarantine(rows: &[QuarantinedRow]) -> Self {
        let mut note = Self { rows: rows.len(), ..Self::default() };
        for row in rows {
            for column in ["origin", "position", "code", "reason"] {
                note.shows(&row.stream, column);
            }
        }
        note
    }

    /// One row in quarantine with its original.
    pub fn of_original(detail: &QuarantineDetail) -> Self {
        let mut note = Self { rows: 1, ..Self::default() };
        for column in detail.columns.iter().flatten() {
            note.shows(&detail.row.stream, &column.name);
        }
        note
    }

    /// Records that were pushed, with what their targets said.
    pub fn of_pushed(records: &[PushRecord]) -> Self {
        let mut note = Self { rows: records.len(), ..Self::default() };
        for record in records {
            for column in ["key", "code", "message"] {
                note.shows(&record.push, column);
            }
        }
        note
    }

    /// As the audit keeps it.
    pub fn what(&self) -> Value {
        json!({ "rows": self.rows, "columns": self.columns })
    }

    fn shows_difference(&mut self, difference: &Difference) {
        let field = difference.field.as_deref().unwrap_or("key");
        self.shows(&difference.system, field);
        if let Some(trusted) = &difference.expected_from {
            self.shows(trusted, field);
        }
    }

    fn shows(&mut self, of: &str, column: &str) {
        self.columns.entry(of.to_owned()).or_default().insert(column.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{
        Column, DecidedField, OriginalColumn, RepairChange, RepairRecord, RepairScope, TraceDetail,
        TraceEntry,
    };

    fn columns(note: &ReadNote, of: &str) -> Vec<String> {
        note.columns.get(of).into_iter().flatten().cloned().collect()
    }

    fn difference(field: Option<&str>) -> Difference {
        Difference {
            difference_id: "1".into(),
            key: "K1".into(),
            rule: "mismatch".into(),
            field: field.map(str::to_owned),
            system: "portal".into(),
            owner: None,
            found: Some("a".into()),
            expected: Some("b".into()),
            expected_from: Some("province".into()),
            state: "open".into(),
            reason: None,
            first_seen: String::new(),
            last_seen: String::new(),
            closed_at: None,
            first_run: 1,
            last_run: 1,
            reopened: 0,
            age_workdays: None,
        }
    }

    #[test]
    fn rows_of_a_figure_name_the_columns_that_are_shown() {
        let column = |name: &str| Column { name: name.into(), data_type: "Utf8".into() };
        let table = Table {
            columns: vec![column("project_no"), column("applicant_name")],
            rows: vec![vec![json!("K1"), json!("张**")], vec![json!("K2"), json!("李*")]],
            ..Table::default()
        };
        let page = Page { items: vec![table], next: None, total: None };
        let note = ReadNote::of_rows("cases_ytd", &page);
        assert_eq!(columns(&note, "cases_ytd"), ["applicant_name", "project_no"]);
        assert_eq!(
            note.what(),
            json!({ "rows": 2, "columns": { "cases_ytd": ["applicant_name", "project_no"] } })
        );
    }

    #[test]
    fn differences_name_the_field_at_both_systems() {
        let note = ReadNote::of_differences(&[difference(Some("mobile")), difference(None)]);
        assert_eq!(note.rows, 2);
        assert_eq!(columns(&note, "portal"), ["key", "mobile"]);
        assert_eq!(columns(&note, "province"), ["key", "mobile"]);
    }

    #[test]
    fn a_trace_names_what_each_entry_shows_and_what_was_decided() {
        let decided = Decided {
            reconciliation: "cases".into(),
            key: "K1".into(),
            class: "consistent".into(),
            run: None,
            systems: Vec::new(),
            fields: vec![DecidedField {
                field: "applicant_id".into(),
                title: "证件号码".into(),
                value: None,
                from: None,
                differs: None,
                values: [("portal".to_owned(), None)].into(),
            }],
            differences: vec![difference(Some("mobile"))],
            events: Vec::new(),
        };
        let entry = TraceEntry {
            at: String::new(),
            kind: "version".into(),
            of: "portal.cases".into(),
            run: Some(1),
            details: vec![TraceDetail { name: "cert_no".into(), value: json!("x") }],
        };
        let trace =
            Trace { reconciliation: "cases".into(), key: "K1".into(), entries: vec![entry] };
        let note = ReadNote::of_trace(&trace, Some(&decided));
        assert_eq!(note.rows, 1);
        assert_eq!(columns(&note, "portal.cases"), ["cert_no"]);
        assert_eq!(columns(&note, "cases"), ["applicant_id"]);
        assert_eq!(columns(&note, "portal"), ["applicant_id", "mobile"]);
        assert!(!ReadNote::of_trace(&trace, None).columns.contains_key("cases"));
    }

    #[test]
    fn originals_repairs_and_pushes_name_their_columns() {
        let row = QuarantinedRow {
            id: 1,
            run: 1,
            stream: "office.cases".into(),
            origin: "cases".into(),
            position: 3,
            code: "E-NULL".into(),
            reason: String::new(),
            quarantined_at: String::new(),
        };
        let name = OriginalColumn { name: "name".into(), value: None, is_masked: true };
        let detail = QuarantineDetail { row: row.clone(), columns: Some(vec![name]) };
        assert_eq!(columns(&ReadNote::of_original(&detail), "office.cases"), ["name"]);
        let list = ReadNote::of_quarantine(&[row]);
        assert_eq!(list.rows, 1);
        assert_eq!(columns(&list, "office.cases"), ["code", "origin", "position", "reason"]);
        let change = RepairChange { column: "mobile".into(), before: None, after: None };
        let record = RepairRecord {
            reconciliation: "cases".into(),
            system: "province".into(),
            push: "province.corrections".into(),
            key: "K1".into(),
            action: "update".into(),
            refused_before: None,
            differences: Vec::new(),
            changes: vec![change],
        };
        let plan = RepairPlan {
            scope: RepairScope::default(),
            hash: None,
            count: 1,
            records: vec![record],
            left_out: Vec::new(),
        };
        assert_eq!(columns(&ReadNote::of_repairs(&plan), "province.corrections"), ["mobile"]);
        let pushed = PushRecord {
            id: 1,
            push: "province.cases".into(),
            key: "K1".into(),
            idempotency_key: "k".into(),
            state: "rejected".into(),
            attempts: 1,
            run: 1,
            created_at: String::new(),
            code: None,
            message: None,
            settled_at: None,
        };
        let note = ReadNote::of_pushed(&[pushed]);
        assert_eq!((note.rows, columns(&note, "province.cases").len()), (1, 3));
    }
}
