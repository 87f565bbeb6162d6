//! The ledger of differences: what each one is, and how it lives from run to run.
//!
//! A difference is one system's: it lacks an entity, has it twice, has a row without a key, or says
//! something else than the system that is trusted. It closes by itself when the systems agree and
//! opens again when they no longer do. What a person explained stays explained while the values
//! stay what they were.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{
    DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType,
};
use arrow::record_batch::RecordBatch;
use huiliu_lake::storage_batch;
use huiliu_sdk::{Error, Result};
use serde::Serialize;

/// A row of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Stays the same for the same rule, key, field and system.
    pub difference_id: String,
    /// The key as text, its columns joined by `|`; for a row without key, the row.
    pub entity_key: String,
    /// `missing_in_SYSTEM`, `duplicate_key`, `mismatch` or `unkeyed`.
    pub rule: String,
    /// The field, for a mismatch.
    pub field: Option<String>,
    /// The system whose difference it is.
    pub system: String,
    /// Who answers for it.
    pub owner: Option<String>,
    /// What that system says.
    pub found: Option<String>,
    /// What the golden table says.
    pub expected: Option<String>,
    /// Whose value that is.
    pub expected_from: Option<String>,
    /// What each system says, as JSON.
    pub all_values: Option<String>,
    /// `open`, `explained`, `fixed` or `closed`.
    pub state: String,
    /// How a person explained it.
    pub reason: Option<String>,
    /// When it was first seen, in microseconds of wall time.
    pub first_seen: i64,
    /// When it last became what it is.
    pub last_seen: i64,
    /// When it closed.
    pub closed_at: Option<i64>,
    /// The run that first saw it.
    pub first_run: i64,
    /// The run in which it became what it is.
    pub last_run: i64,
    /// How often it came back after it had closed.
    pub reopened: i64,
}

/// Something that happened to a difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DifferenceEvent {
    /// The difference.
    pub difference_id: String,
    /// Its key.
    pub entity_key: String,
    /// Its rule.
    pub rule: String,
    /// Its field.
    pub field: Option<String>,
    /// Its system.
    pub system: String,
    /// Its state before; none when it is new.
    pub from_state: Option<String>,
    /// Its state since.
    pub to_state: String,
    /// What the system said.
    pub found: Option<String>,
    /// What the golden table said.
    pub expected: Option<String>,
    /// When, in microseconds of wall time.
    pub at: i64,
    /// The run; none for what a person did.
    pub run: Option<i64>,
    /// Who.
    pub who: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

/// A difference as the systems show it now.
#[derive(Debug, Clone)]
pub(super) struct Finding {
    pub(super) entity_key: String,
    pub(super) rule: String,
    pub(super) field: Option<String>,
    pub(super) system: String,
    pub(super) owner: Option<String>,
    pub(super) found: Option<String>,
    pub(super) expected: Option<String>,
    pub(super) expected_from: Option<String>,
    pub(super) all_values: Option<String>,
}

impl Finding {
    /// Its identity within `entity`.
    pub(super) fn id(&self, entity: &str) -> String {
        let field = self.field.as_deref().unwrap_or_default();
        let parts = [entity, &self.rule, field, &self.system, &self.entity_key].join("\0");
        format!("{:032x}", xxhash_rust::xxh3::xxh3_128(parts.as_bytes()))
    }
}

/// When and in which run something happens.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) at: i64,
    pub(super) run: i64,
}

/// What a run did to the ledger.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct LedgerCounts {
    /// New differences.
    pub opened: u64,
    /// Differences that came back.
    pub reopened: u64,
    /// Differences whose values changed.
    pub changed: u64,
    /// Differences that are gone.
    pub closed: u64,
}

/// The ledger of a run in the making.
pub(super) struct Ledger {
    entity: String,
    moment: Moment,
    /// All rows that were there, by key.
    before: HashMap<String, Vec<Difference>>,
    /// Rows without key, which are looked at as a whole.
    pub(super) written: Vec<Difference>,
    pub(super) events: Vec<DifferenceEvent>,
    pub(super) counts: LedgerCounts,
}

impl Ledger {
    pub(super) fn new(entity: &str, moment: Moment, rows: Vec<Difference>) -> Self {
        let mut before: HashMap<String, Vec<Difference>> = HashMap::new();
        for row in rows {
            before.entry(row.entity_key.clone()).or_default().push(row);
        }
        Self {
            entity: entity.to_owned(),
            moment,
            before,
            written: Vec::new(),
            events: Vec::new(),
            counts: LedgerCounts::default(),
        }
    }

    /// Whether there were no differences.
    pub(super) fn is_empty(&self) -> bool {
        self.before.is_empty()
    }

    /// Takes what the systems show of one key now. Rows without key are looked at by
    /// [`Self::meet_unkeyed`].
    pub(super) fn meet(&mut self, entity_key: &str, findings: Vec<Finding>) {
        let mut before = self.before.remove(entity_key).unwrap_or_default();
        let unkeyed: Vec<Difference> = before.extract_if(.., |row| row.rule == UNKEYED).collect();
        if !unkeyed.is_empty() {
            self.before.insert(entity_key.to_owned(), unkeyed);
        }
        self.compare(before, findings);
    }

    /// Takes it that keys that were not met have no differences.
    pub(super) fn meet_the_rest(&mut self) {
        let mut keys: Vec<String> = self.before.keys().cloned().collect();
        keys.sort_unstable();
        for key in keys {
            self.meet(&key, Vec::new());
        }
    }

    /// Takes all rows without key that the systems show now.
    pub(super) fn meet_unkeyed(&mut self, findings: Vec<Finding>) {
        let mut before = Vec::new();
        self.before.retain(|_, rows| {
            before.extend(rows.extract_if(.., |row| row.rule == UNKEYED));
            !rows.is_empty()
        });
        before.sort_by(|a, b| a.difference_id.cmp(&b.difference_id));
        self.compare(before, findings);
    }

    fn compare(&mut self, before: Vec<Difference>, findings: Vec<Finding>) {
        let mut now: BTreeMap<String, Finding> = BTreeMap::new();
        for finding in findings {
            now.insert(finding.id(&self.entity), finding);
        }
        for row in before {
            match now.remove(&row.difference_id) {
                Some(finding) => self.seen_again(row, finding),
                None => self.gone(row),
            }
        }
        for (id, finding) in now {
            self.counts.opened += 1;
            let Moment { at, run } = self.moment;
            let Finding { entity_key, rule, field, system, owner, .. } = finding;
            let row = Difference {
                difference_id: id,
                entity_key,
                rule,
                field,
                system,
                owner,
                found: finding.found,
                expected: finding.expected,
                expected_from: finding.expected_from,
                all_values: finding.all_values,
                state: OPEN.to_owned(),
                reason: None,
                first_seen: at,
                last_seen: at,
                closed_at: None,
                first_run: run,
                last_run: run,
                reopened: 0,
            };
            self.put(None, row);
        }
    }

    fn seen_again(&mut self, mut row: Difference, finding: Finding) {
        let was_closed = row.state == CLOSED;
        let same_values = row.found == finding.found
            && row.expected == finding.expected
            && row.all_values == finding.all_values;
        if !was_closed && same_values && row.owner == finding.owner {
            return;
        }
        let before = row.state.clone();
        row.owner = finding.owner;
        if was_closed {
            self.counts.reopened += 1;
            row.reopened += 1;
            row.closed_at = None;
        } else {
            self.counts.changed += 1;
        }
        // An explanation was of the values it was given for, and so was a repair.
        if was_closed || !same_values {
            OPEN.clone_into(&mut row.state);
            row.reason = None;
        }
        row.found = finding.found;
        row.expected = finding.expected;
        row.expected_from = finding.expected_from;
        row.all_values = finding.all_values;
        self.stamp(&mut row);
        self.put(Some(before), row);
    }

    fn gone(&mut self, mut row: Difference) {
        if row.state == CLOSED {
            return;
        }
        self.counts.closed += 1;
        let before = std::mem::replace(&mut row.state, CLOSED.to_owned());
        row.closed_at = Some(self.moment.at);
        self.stamp(&mut row);
        self.put(Some(before), row);
    }

    fn stamp(&self, row: &mut Difference) {
        row.last_seen = self.moment.at;
        row.last_run = self.moment.run;
    }

    fn put(&mut self, before: Option<String>, row: Difference) {
        let mut event = event(&row, before, self.moment.at);
        event.run = Some(self.moment.run);
        self.events.push(event);
        self.written.push(row);
    }
}

/// The event that made `row` what it is.
pub fn event(row: &Difference, before: Option<String>, at: i64) -> DifferenceEvent {
    DifferenceEvent {
        difference_id: row.difference_id.clone(),
        entity_key: row.entity_key.clone(),
        rule: row.rule.clone(),
        field: row.field.clone(),
        system: row.system.clone(),
        from_state: before,
        to_state: row.state.clone(),
        found: row.found.clone(),
        expected: row.expected.clone(),
        at,
        run: None,
        who: None,
        reason: row.reason.clone(),
    }
}

/// The rule of rows without a key.
pub(super) const UNKEYED: &str = "unkeyed";
const OPEN: &str = "open";
const CLOSED: &str = "closed";

fn text(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true)
}

fn number(name: &str) -> Field {
    Field::new(name, DataType::Int64, true)
}

fn time(name: &str) -> Field {
    Field::new(name, DataType::Timestamp(TimeUnit::Microsecond, None), true)
}

/// The columns of the ledger.
pub(super) fn difference_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        text("difference_id"),
        text("entity_key"),
        text("rule"),
        text("field"),
        text("system"),
        text("owner"),
        text("found"),
        text("expected"),
        text("expected_from"),
        text("all_values"),
        text("state"),
        text("reason"),
        time("first_seen"),
        time("last_seen"),
        time("closed_at"),
        number("first_run"),
        number("last_run"),
        number("reopened"),
    ]))
}

/// The columns of the events.
pub(super) fn event_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        text("difference_id"),
        text("entity_key"),
        text("rule"),
        text("field"),
        text("system"),
        text("from_state"),
        text("to_state"),
        text("found"),
        text("expected"),
        time("at"),
        number("run"),
        text("who"),
        text("reason"),
    ]))
}

fn texts<T>(rows: &[T], value: impl Fn(&T) -> Option<&str>) -> ArrayRef {
    Arc::new(rows.iter().map(value).collect::<StringArray>())
}

fn numbers<T>(rows: &[T], value: impl Fn(&T) -> Option<i64>) -> ArrayRef {
    Arc::new(rows.iter().map(value).collect::<Int64Array>())
}

fn times<T>(rows: &[T], value: impl Fn(&T) -> Option<i64>) -> ArrayRef {
    Arc::new(rows.iter().map(value).collect::<TimestampMicrosecondArray>())
}

/// Rows of the ledger as a batch.
pub(super) fn difference_batch(rows: &[Difference]) -> Result<RecordBatch> {
    let columns = vec![
        texts(rows, |r| Some(&r.difference_id)),
        texts(rows, |r| Some(&r.entity_key)),
        texts(rows, |r| Some(&r.rule)),
        texts(rows, |r| r.field.as_deref()),
        texts(rows, |r| Some(&r.system)),
        texts(rows, |r| r.owner.as_deref()),
        texts(rows, |r| r.found.as_deref()),
        texts(rows, |r| r.expected.as_deref()),
        texts(rows, |r| r.expected_from.as_deref()),
        texts(rows, |r| r.all_values.as_deref()),
        texts(rows, |r| Some(&r.state)),
        texts(rows, |r| r.reason.as_deref()),
        times(rows, |r| Some(r.first_seen)),
        times(rows, |r| Some(r.last_seen)),
        times(rows, |r| r.closed_at),
        numbers(rows, |r| Some(r.first_run)),
        numbers(rows, |r| Some(r.last_run)),
        numbers(rows, |r| Some(r.reopened)),
    ];
    Ok(RecordBatch::try_new(difference_schema(), columns)?)
}

/// Events as a batch.
pub(super) fn event_batch(rows: &[DifferenceEvent]) -> Result<RecordBatch> {
    let columns = vec![
        texts(rows, |r| Some(&r.difference_id)),
        texts(rows, |r| Some(&r.entity_key)),
        texts(rows, |r| Some(&r.rule)),
        texts(rows, |r| r.field.as_deref()),
        texts(rows, |r| Some(&r.system)),
        texts(rows, |r| r.from_state.as_deref()),
        texts(rows, |r| Some(&r.to_state)),
        texts(rows, |r| r.found.as_deref()),
        texts(rows, |r| r.expected.as_deref()),
        times(rows, |r| Some(r.at)),
        numbers(rows, |r| r.run),
        texts(rows, |r| r.who.as_deref()),
        texts(rows, |r| r.reason.as_deref()),
    ];
    Ok(RecordBatch::try_new(event_schema(), columns)?)
}

/// Reads columns of a batch by name.
struct Columns<'a>(&'a RecordBatch);

impl Columns<'_> {
    fn array(&self, name: &str) -> Result<&ArrayRef> {
        let column = self.0.column_by_name(name);
        column.ok_or_else(|| Error::internal(format!("the ledger has no column {name}")))
    }

    fn text(&self, name: &str, row: usize) -> Result<Option<String>> {
        let values = self.array(name)?.as_string::<i32>();
        Ok(values.is_valid(row).then(|| values.value(row).to_owned()))
    }

    fn word(&self, name: &str, row: usize) -> Result<String> {
        Ok(self.text(name, row)?.unwrap_or_default())
    }

    fn number(&self, name: &str, row: usize) -> Result<Option<i64>> {
        let values = self.array(name)?.as_primitive::<Int64Type>();
        Ok(values.is_valid(row).then(|| values.value(row)))
    }

    fn time(&self, name: &str, row: usize) -> Result<Option<i64>> {
        let values = self.array(name)?.as_primitive::<TimestampMicrosecondType>();
        Ok(values.is_valid(row).then(|| values.value(row)))
    }
}

/// Rows of the ledger out of a batch that was read.
pub(super) fn differences(batch: &RecordBatch) -> Result<Vec<Difference>> {
    let batch = storage_batch(batch, &difference_schema())?;
    let columns = Columns(&batch);
    let mut rows = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        rows.push(Difference {
            difference_id: columns.word("difference_id", row)?,
            entity_key: columns.word("entity_key", row)?,
            rule: columns.word("rule", row)?,
            field: columns.text("field", row)?,
            system: columns.word("system", row)?,
            owner: columns.text("owner", row)?,
            found: columns.text("found", row)?,
            expected: columns.text("expected", row)?,
            expected_from: columns.text("expected_from", row)?,
            all_values: columns.text("all_values", row)?,
            state: columns.word("state", row)?,
            reason: columns.text("reason", row)?,
            first_seen: columns.time("first_seen", row)?.unwrap_or_default(),
            last_seen: columns.time("last_seen", row)?.unwrap_or_default(),
            closed_at: columns.time("closed_at", row)?,
            first_run: columns.number("first_run", row)?.unwrap_or_default(),
            last_run: columns.number("last_run", row)?.unwrap_or_default(),
            reopened: columns.number("reopened", row)?.unwrap_or_default(),
        });
    }
    Ok(rows)
}

/// Events out of a batch that was read.
pub(super) fn events(batch: &RecordBatch) -> Result<Vec<DifferenceEvent>> {
    let batch = storage_batch(batch, &event_schema())?;
    let columns = Columns(&batch);
    let mut rows = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        rows.push(DifferenceEvent {
            difference_id: columns.word("difference_id", row)?,
            entity_key: columns.word("entity_key", row)?,
            rule: columns.word("rule", row)?,
            field: columns.text("field", row)?,
            system: columns.word("system", row)?,
            from_state: columns.text("from_state", row)?,
            to_state: columns.word("to_state", row)?,
            found: columns.text("found", row)?,
            expected: columns.text("expected", row)?,
            at: columns.time("at", row)?.unwrap_or_default(),
            run: columns.number("run", row)?,
            who: columns.text("who", row)?,
            reason: columns.text("reason", row)?,
        });
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(found: &str) -> Finding {
        Finding {
            entity_key: "1".into(),
            rule: "mismatch".into(),
            field: Some("status".into()),
            system: "province".into(),
            owner: Some("省".into()),
            found: Some(found.into()),
            expected: Some("50".into()),
            expected_from: Some("city".into()),
            all_values: Some(format!("{{\"city\":\"50\",\"province\":\"{found}\"}}")),
        }
    }

    /// The rows after a run that shows `findings`, and how many were written.
    fn run(
        number: i64,
        rows: Vec<Difference>,
        findings: Vec<Finding>,
    ) -> (Vec<Difference>, LedgerCounts, usize) {
        let moment = Moment { at: number * 1000, run: number };
        let mut ledger = Ledger::new("case", moment, rows.clone());
        ledger.meet("1", findings);
        assert_eq!(ledger.events.len(), ledger.written.len());
        let mut after = rows;
        for row in &ledger.written {
            after.retain(|other| other.difference_id != row.difference_id);
            after.push(row.clone());
        }
        (after, ledger.counts, ledger.written.len())
    }

    #[test]
    fn a_difference_opens_closes_and_comes_back() {
        let (rows, counts, _) = run(1, Vec::new(), vec![finding("51")]);
        assert_eq!((rows.len(), rows[0].state.as_str(), counts.opened), (1, "open", 1));
        let id = rows[0].difference_id.clone();
        let (rows, counts, written) = run(2, rows, vec![finding("51")]);
        assert_eq!((counts, written), (LedgerCounts::default(), 0));
        assert_eq!(rows[0].last_run, 1);
        let (rows, counts, _) = run(3, rows, Vec::new());
        assert_eq!(
            (rows[0].state.as_str(), rows[0].closed_at, counts.closed),
            ("closed", Some(3000), 1)
        );
        let (rows, _, written) = run(4, rows, Vec::new());
        assert_eq!(written, 0, "closed stays closed");
        let (rows, counts, _) = run(5, rows, vec![finding("52")]);
        assert_eq!((counts.reopened, counts.opened), (1, 0));
        let row = &rows[0];
        assert_eq!((row.state.as_str(), row.first_seen, row.closed_at), ("open", 1000, None));
        assert_eq!((&row.difference_id, row.reopened, row.last_run), (&id, 1, 5));
    }

    #[test]
    fn an_explanation_holds_while_the_values_do() {
        let (mut rows, _, _) = run(1, Vec::new(), vec![finding("51")]);
        rows[0].state = "explained".into();
        rows[0].reason = Some("转办".into());
        let (rows, _, written) = run(2, rows, vec![finding("51")]);
        assert_eq!((written, rows[0].state.as_str()), (0, "explained"));
        let (rows, counts, _) = run(3, rows, vec![finding("52")]);
        assert_eq!((rows[0].state.as_str(), &rows[0].reason), ("open", &None));
        assert_eq!((counts.changed, rows[0].first_run), (1, 1));
    }

    #[test]
    fn batches_give_back_what_they_were_given() {
        let (rows, _, _) = run(7, Vec::new(), vec![finding("51")]);
        assert_eq!(differences(&difference_batch(&rows).unwrap()).unwrap(), rows);
        let event = event(&rows[0], Some("open".into()), 9);
        let read = events(&event_batch(std::slice::from_ref(&event)).unwrap()).unwrap();
        assert_eq!(read, [event]);
    }
}
