//! Reconciliations, differences, and single keys: all rows of a session that masks what is
//! personal.

use std::collections::BTreeMap;

use huiliu_core::reconcile::Reconciliation as Definition;
use huiliu_engine::{Session, record_text};
use huiliu_runner::{AgedDifference, TraceEntry as Entry};
use huiliu_sdk::Result;
use huiliu_serve::data::{
    Class, Cursor, Decided, DecidedField, DecidedSystem, Difference, DifferenceEvent,
    DifferenceQuery, OwnerCount, Page, PageQuery, Reconciliation, Trace, TraceDetail, TraceEntry,
    UnknownCode,
};

use super::{Doors, wrong};

/// The states of a difference.
const STATES: [&str; 4] = ["open", "explained", "fixed", "closed"];

/// When a difference was first seen, as finely as it is shown and as a cursor names it.
const SEEN: &str = "date_trunc('second', first_seen)";

/// A row of text by column.
type Cells = BTreeMap<String, Option<String>>;

impl Doors {
    pub(super) async fn all_reconciliations(&self) -> Result<Vec<Reconciliation>> {
        let mut all = Vec::new();
        for rec in self.hub.engine.pipelines().reconciliations.values() {
            all.push(self.reconciliation_of(rec).await?);
        }
        Ok(all)
    }

    async fn reconciliation_of(&self, rec: &Definition) -> Result<Reconciliation> {
        let systems = rec.systems.iter().map(|s| (s.name.clone(), s.title.clone())).collect();
        let empty = Reconciliation {
            name: rec.name.clone(),
            title: rec.title.clone(),
            table: rec.table(),
            last_run: None,
            last_run_at: None,
            keys: 0,
            classes: Vec::new(),
            states: BTreeMap::new(),
            by_owner: Vec::new(),
            unknown_codes: Vec::new(),
            systems,
        };
        let found = match self.hub.reconcile_summary(rec).await {
            Ok(found) => found,
            // It was not looked at yet.
            Err(error) if error.code() == "E-RECONCILE" => return Ok(empty),
            Err(error) => return Err(error),
        };
        let classes = rec.classes().into_iter().chain(["unkeyed".to_owned()]);
        let classes = classes.map(|class| Class {
            keys: found.classes.get(&class).copied().unwrap_or(0),
            is_above_level: found.findings.contains(&class),
            class,
        });
        let owner = |row: huiliu_runner::OwnerCount| OwnerCount {
            owner: row.owner,
            rule: row.rule,
            field: row.field,
            differences: row.differences,
            oldest_workdays: row.oldest_workdays,
        };
        Ok(Reconciliation {
            last_run: found.last_run,
            last_run_at: found.last_run_at,
            keys: found.keys,
            classes: classes.collect(),
            states: found.states,
            by_owner: found.by_owner.into_iter().map(owner).collect(),
            unknown_codes: self.unknown_codes(rec).await?,
            ..empty
        })
    }

    /// Codes that no table knows, as they may be seen.
    async fn unknown_codes(&self, rec: &Definition) -> Result<Vec<UnknownCode>> {
        let session = self.session().await?;
        let sql = format!(
            "select system, field, code, row_count from {} where not is_known \
             order by row_count desc, field, system, code limit 200",
            rec.coverage()
        );
        let rows = cells(&session, &sql).await?;
        let code = |mut row: Cells| {
            let mut text = |name: &str| row.remove(name).flatten().unwrap_or_default();
            UnknownCode {
                system: text("system"),
                field: text("field"),
                code: text("code"),
                rows: text("row_count").parse().unwrap_or(0),
            }
        };
        Ok(rows.into_iter().map(code).collect())
    }

    pub(super) async fn difference_page(
        &self,
        query: &DifferenceQuery,
        page: &PageQuery,
    ) -> Result<Page<Difference>> {
        let rec = self.hub.reconciliation(query.reconciliation.as_deref())?;
        if let Some(state) = query.state.as_deref().filter(|state| !STATES.contains(state)) {
            let message = format!("no difference is in the state `{state}`");
            return Err(wrong(message, "use open, explained, fixed or closed"));
        }
        let mut conditions = vec![match &query.state {
            Some(state) => format!("state = {}", literal(state)),
            None => "state <> 'closed'".to_owned(),
        }];
        let wanted = [
            ("rule", &query.rule),
            ("field", &query.field),
            ("owner", &query.owner),
            ("system", &query.system),
            ("entity_key", &query.key),
        ];
        for (column, value) in wanted {
            conditions.extend(value.as_ref().map(|value| format!("{column} = {}", literal(value))));
        }
        let session = self.session().await?;
        let table = rec.ledger();
        let count = format!("select count(*) as n from {table} where {}", conditions.join(" and "));
        if let Some(cursor) = &page.cursor {
            let place = Cursor::place(cursor, 2)?;
            let (time, id) = (literal(&place[0]), literal(&place[1]));
            conditions.push(format!(
                "({SEEN} > cast({time} as timestamp) \
                 or ({SEEN} = cast({time} as timestamp) and difference_id > {id}))"
            ));
        }
        let limit = page.limit() as usize;
        let sql = format!(
            "select * from {table} where {} order by {SEEN}, difference_id limit {}",
            conditions.join(" and "),
            limit + 1
        );
        let mut rows = cells(&session, &sql).await?;
        let is_more = rows.len() > limit;
        rows.truncate(limit);
        let items: Vec<Difference> = rows.into_iter().map(difference).collect();
        let last = items.last().filter(|_| is_more);
        let next = last.map(|last| Cursor::of(&[&last.first_seen, &last.difference_id]));
        let total = match page.cursor {
            Some(_) => None,
            None => {
                let row = cells(&session, &count).await?.pop();
                row.and_then(|mut row| row.remove("n").flatten()?.parse().ok())
            }
        };
        Ok(Page { items, next, total })
    }

    pub(super) async fn one_key(&self, name: Option<&str>, key: &str) -> Result<Decided> {
        let rec = self.hub.reconciliation(name)?;
        let session = self.session().await?;
        let found = self.hub.decided_in(&session, rec, key).await?;
        let system = |view: huiliu_runner::SystemView| DecidedSystem {
            system: view.system,
            title: view.title,
            is_present: view.present,
            copies: view.copies,
            row: view.row,
            run: view.run,
        };
        let field = |view: huiliu_runner::FieldView| DecidedField {
            field: view.field,
            title: view.title,
            value: view.value,
            from: view.from,
            differs: view.differs,
            values: view
                .values
                .into_iter()
                .map(|(system, value)| (system, value.as_str().map(str::to_owned)))
                .collect(),
        };
        let events = found.events.into_iter().map(|event| DifferenceEvent {
            difference_id: event.difference_id,
            at: wall_text(event.at),
            rule: event.rule,
            field: event.field,
            system: event.system,
            from_state: event.from_state,
            to_state: event.to_state,
            run: event.run,
            who: event.who,
            reason: event.reason,
        });
        Ok(Decided {
            reconciliation: found.reconciliation,
            key: found.key,
            class: found.class,
            run: found.run,
            systems: found.systems.into_iter().map(system).collect(),
            fields: found.fields.into_iter().map(field).collect(),
            differences: found.differences.into_iter().map(aged).collect(),
            events: events.collect(),
        })
    }

    pub(super) async fn life(&self, name: Option<&str>, key: &str) -> Result<Trace> {
        let rec = self.hub.reconciliation(name)?;
        let session = self.session().await?;
        let found = self.hub.trace_in(&session, rec, key).await?;
        let entry = |entry: Entry| TraceEntry {
            at: entry.at,
            kind: entry.kind.to_owned(),
            of: entry.of,
            run: entry.run,
            details: entry
                .details
                .into_iter()
                .map(|detail| TraceDetail { name: detail.name, value: detail.value })
                .collect(),
        };
        Ok(Trace {
            reconciliation: rec.name.clone(),
            key: key.to_owned(),
            entries: found.into_iter().map(entry).collect(),
        })
    }
}

/// A text as a literal of SQL.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

async fn cells(session: &Session, sql: &str) -> Result<Vec<Cells>> {
    let mut rows = Vec::new();
    for batch in session.collect(sql, None).await? {
        for row in 0..batch.num_rows() {
            rows.push(record_text(&batch, row)?.into_iter().collect());
        }
    }
    Ok(rows)
}

fn wall_text(micros: i64) -> String {
    chrono::DateTime::from_timestamp_micros(micros)
        .map_or_else(String::new, |time| time.format("%Y-%m-%d %H:%M:%S%.6f").to_string())
}

/// A row of the ledger with its age.
fn difference(mut row: Cells) -> Difference {
    let mut maybe = |name: &str| row.remove(name).flatten();
    let number = |text: Option<String>| text.and_then(|text| text.parse::<i64>().ok());
    Difference {
        difference_id: maybe("difference_id").unwrap_or_default(),
        key: maybe("entity_key").unwrap_or_default(),
        rule: maybe("rule").unwrap_or_default(),
        field: maybe("field"),
        system: maybe("system").unwrap_or_default(),
        owner: maybe("owner"),
        found: maybe("found"),
        expected: maybe("expected"),
        expected_from: maybe("expected_from"),
        state: maybe("state").unwrap_or_default(),
        reason: maybe("reason"),
        first_seen: maybe("first_seen").unwrap_or_default(),
        last_seen: maybe("last_seen").unwrap_or_default(),
        closed_at: maybe("closed_at"),
        first_run: number(maybe("first_run")).unwrap_or(0),
        last_run: number(maybe("last_run")).unwrap_or(0),
        reopened: number(maybe("reopened")).unwrap_or(0),
        age_workdays: number(maybe("age_workdays")),
    }
}

fn aged(aged: AgedDifference) -> Difference {
    let row = aged.difference;
    Difference {
        difference_id: row.difference_id,
        key: row.entity_key,
        rule: row.rule,
        field: row.field,
        system: row.system,
        owner: row.owner,
        found: row.found,
        expected: row.expected,
        expected_from: row.expected_from,
        state: row.state,
        reason: row.reason,
        first_seen: wall_text(row.first_seen),
        last_seen: wall_text(row.last_seen),
        closed_at: row.closed_at.map(wall_text),
        first_run: row.first_run,
        last_run: row.last_run,
        reopened: row.reopened,
        age_workdays: aged.age_workdays,
    }
}
