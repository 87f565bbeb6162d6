//! Reconciling systems, and what people ask and say about the differences found.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, NaiveDate};
use huiliu_core::reconcile::Reconciliation;
use huiliu_engine::reconcile::{
    Difference, DifferenceEvent, ReconcileRequest, event, read_differences, read_events,
};
use huiliu_engine::{Session, record_text};
use huiliu_lake::{Commit, RowStamp, TableChange};
use huiliu_sdk::{Cx, Error, ErrorKind, Result};
use huiliu_store::{Lease, ModelRow, StepRow};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::audit::{Change, Deed};
use crate::hub::Hub;
use crate::stop::until_stopped;

/// How a reconciliation ended.
pub(crate) struct Done {
    pub(crate) step: StepRow,
    pub(crate) changed: bool,
    /// Whether a class is above its warn level.
    pub(crate) is_finding: bool,
}

/// A reconciliation as it stands.
#[derive(Debug, Clone, Serialize)]
pub struct ReconcileSummary {
    /// Its name.
    pub name: String,
    /// Its name, for people.
    pub title: String,
    /// The golden table.
    pub table: String,
    /// The run that last looked, and when; none before the first.
    pub last_run: Option<i64>,
    /// When that was, UTC.
    pub last_run_at: Option<String>,
    /// Keys.
    pub keys: u64,
    /// Keys in each class, and rows without key.
    pub classes: BTreeMap<String, u64>,
    /// Classes above their warn level.
    pub findings: Vec<String>,
    /// Differences by state.
    pub states: BTreeMap<String, u64>,
    /// Differences that are not closed by owner, rule and field.
    pub by_owner: Vec<OwnerCount>,
    /// Codes that no code table knows.
    pub unknown_codes: Vec<Value>,
}

/// Differences of one kind that one owner has to look after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OwnerCount {
    /// Who.
    pub owner: String,
    /// The rule.
    pub rule: String,
    /// The field, for a mismatch.
    pub field: Option<String>,
    /// How many are not closed.
    pub differences: u64,
    /// Working days since the oldest was first seen; none in years without a calendar.
    pub oldest_workdays: Option<i64>,
}

/// A difference with its age.
#[derive(Debug, Clone, Serialize)]
pub struct AgedDifference {
    /// The row of the ledger.
    #[serde(flatten)]
    pub difference: Difference,
    /// Working days from when it was first seen until it closed, or until today.
    pub age_workdays: Option<i64>,
}

/// What one system says of a field.
#[derive(Debug, Clone, Serialize)]
pub struct FieldView {
    /// The field.
    pub field: String,
    /// Its name, for people.
    pub title: String,
    /// The value taken.
    pub value: Option<String>,
    /// Whose it is.
    pub from: Option<String>,
    /// Whether some system says something else; none where nothing is compared.
    pub differs: Option<bool>,
    /// What each system says; only of compared fields.
    pub values: Map<String, Value>,
}

/// What one system has of a key.
#[derive(Debug, Clone, Serialize)]
pub struct SystemView {
    /// The system.
    pub system: String,
    /// Its name, for people.
    pub title: String,
    /// Whether it has the key.
    pub present: bool,
    /// How many rows.
    pub copies: i64,
    /// The row that was taken.
    pub row: Option<String>,
    /// The run that received it.
    pub run: Option<String>,
}

/// Everything about one key.
#[derive(Debug, Clone, Serialize)]
pub struct Decided {
    /// The reconciliation.
    pub reconciliation: String,
    /// The key.
    pub key: String,
    /// Its class.
    pub class: String,
    /// The run that last computed it.
    pub run: Option<String>,
    /// What each system has.
    pub systems: Vec<SystemView>,
    /// What was taken, and what each system says.
    pub fields: Vec<FieldView>,
    /// Its differences, closed ones too.
    pub differences: Vec<AgedDifference>,
    /// What happened to them.
    pub events: Vec<DifferenceEvent>,
}

impl Hub {
    /// Reconciles the node of a golden table.
    pub(crate) async fn reconcile(&self, cx: &Cx, table: &str, step: StepRow) -> Result<Done> {
        let rec = self
            .engine
            .pipelines()
            .reconciliation_of(table)
            .ok_or_else(|| Error::internal(format!("no reconciliation makes {table}")))?;
        let leases = self.ledger_leases(rec).await?;
        let done = self.reconcile_leased(cx, rec, step, &leases).await;
        self.give_back(leases).await?;
        done
    }

    async fn ledger_leases(&self, rec: &Reconciliation) -> Result<Vec<Lease>> {
        let mut leases = Vec::new();
        for table in rec.writes() {
            match self.table_lease(&table).await {
                Ok(lease) => leases.push(lease),
                Err(error) => {
                    self.give_back(leases).await?;
                    return Err(error);
                }
            }
        }
        Ok(leases)
    }

    async fn give_back(&self, leases: Vec<Lease>) -> Result<()> {
        for lease in &leases {
            self.lake().store().release_lease(lease).await?;
        }
        Ok(())
    }

    /// Now, in microseconds of wall time in the hub's zone.
    pub(crate) fn wall_time(&self) -> i64 {
        let local = self.clock.now().with_timezone(&self.project.zone).naive_local();
        local.and_utc().timestamp_micros()
    }

    async fn reconcile_leased(
        &self,
        cx: &Cx,
        rec: &Reconciliation,
        mut step: StepRow,
        leases: &[Lease],
    ) -> Result<Done> {
        let store = self.lake().store();
        let table = rec.table();
        let last = store.models().await?.into_iter().find(|row| row.name == table);
        let request = ReconcileRequest {
            reconciliation: rec,
            run: step.run_id,
            received_at: self.clock.now().timestamp_micros(),
            wall_time: self.wall_time(),
            last: last.as_ref().map(|row| row.fingerprint.as_str()),
            everything: false,
        };
        let reconciled = Box::pin(self.engine.reconcile(request));
        let Some(done) = until_stopped(cx, reconciled).await? else {
            let is_finding = !self.levels_passed(rec).await?.is_empty();
            return Ok(Done { step, changed: false, is_finding });
        };
        done.balance.check()?;
        let changed = !done.commit.is_empty();
        let mut tx = store.begin().await?;
        for lease in leases {
            tx.check_lease(lease).await?;
        }
        let snapshot_id = if changed {
            done.commit.write(&mut tx).await?
        } else {
            last.as_ref().map_or(0, |row| row.snapshot_id)
        };
        step.balance = done.balance;
        if changed {
            step.snapshot_id = Some(snapshot_id);
        }
        let report = &done.report;
        step.message = Some(format!(
            "{} keys, {} looked at; differences: {} opened, {} reopened, {} changed, {} closed",
            report.keys,
            report.recomputed,
            report.ledger.opened,
            report.ledger.reopened,
            report.ledger.changed,
            report.ledger.closed
        ));
        tx.put_model(&ModelRow {
            name: table,
            fingerprint: done.fingerprint.clone(),
            snapshot_id,
            row_count: i64::try_from(report.keys).unwrap_or(i64::MAX),
            run_id: step.run_id,
            built_at: self.now(),
        })
        .await?;
        tx.put_step(&step).await?;
        tx.commit().await?;
        let is_finding = !passed(rec, &report.classes).is_empty();
        Ok(Done { step, changed, is_finding })
    }

    async fn levels_passed(&self, rec: &Reconciliation) -> Result<Vec<String>> {
        if rec.warn.is_empty() {
            return Ok(Vec::new());
        }
        let session = self.engine.session(None).await?;
        let rows = read_differences(&self.engine, &session, rec).await?;
        Ok(passed(rec, &class_counts(&session, rec, unkeyed(&rows)).await?))
    }

    /// The reconciliation called `name`; the only one without a name.
    pub fn reconciliation(&self, name: Option<&str>) -> Result<&Reconciliation> {
        let all = &self.engine.pipelines().reconciliations;
        let known = || all.keys().map(String::as_str).collect::<Vec<&str>>().join(", ");
        let missing = |message: String, hint: String| {
            Error::new(ErrorKind::Config, "E-RECONCILE", message).hint(hint)
        };
        match name {
            Some(name) => all.get(name).ok_or_else(|| {
                missing(
                    format!("no reconciliation is called `{name}`"),
                    format!("there are: {}", known()),
                )
            }),
            None if all.len() == 1 => {
                all.values().next().ok_or_else(|| Error::internal("a list of one is empty"))
            }
            None if all.is_empty() => Err(missing(
                "the project has no reconciliations".into(),
                "write one in pipelines/reconcile/".into(),
            )),
            None => Err(missing(
                "which reconciliation is meant?".into(),
                format!("name one with --of: {}", known()),
            )),
        }
    }

    /// Working days from one moment to another, in microseconds of wall time.
    fn workdays(&self, from: i64, to: i64) -> Option<i64> {
        let day = |micros: i64| -> Option<NaiveDate> {
            Some(DateTime::from_timestamp_micros(micros)?.date_naive())
        };
        self.project.calendar.workdays_between(day(from)?, day(to)?).ok()
    }

    /// A stored instant in microseconds of wall time in the hub's zone.
    pub(crate) fn wall_micros(&self, stored: &str) -> Option<i64> {
        let moment = DateTime::parse_from_rfc3339(stored).ok()?;
        let local = moment.with_timezone(&self.project.zone).naive_local();
        Some(local.and_utc().timestamp_micros())
    }

    fn aged(&self, difference: Difference) -> AgedDifference {
        let until = difference.closed_at.unwrap_or_else(|| self.wall_time());
        let age_workdays = self.workdays(difference.first_seen, until);
        AgedDifference { difference, age_workdays }
    }

    pub(crate) async fn built(&self, rec: &Reconciliation) -> Result<Option<ModelRow>> {
        let table = rec.table();
        Ok(self.lake().store().models().await?.into_iter().find(|row| row.name == table))
    }

    async fn looked_at(&self, rec: &Reconciliation) -> Result<Session> {
        if self.built(rec).await?.is_none() {
            let message = format!("{} was not reconciled yet", rec.name);
            return Err(Error::new(ErrorKind::Config, "E-RECONCILE", message)
                .hint(format!("`huiliu run +{}` does it", rec.table())));
        }
        self.engine.session(None).await
    }

    /// How a reconciliation stands.
    pub async fn reconcile_summary(&self, rec: &Reconciliation) -> Result<ReconcileSummary> {
        let session = self.looked_at(rec).await?;
        let built = self.built(rec).await?;
        let rows = read_differences(&self.engine, &session, rec).await?;
        let classes = class_counts(&session, rec, unkeyed(&rows)).await?;
        let keys = classes.iter().filter(|(class, _)| *class != "unkeyed").map(|(_, n)| n).sum();
        let mut states: BTreeMap<String, u64> = BTreeMap::new();
        let mut owners: BTreeMap<(String, String, Option<String>), (u64, i64)> = BTreeMap::new();
        for row in &rows {
            *states.entry(row.state.clone()).or_default() += 1;
            if row.state == "closed" {
                continue;
            }
            let owner = row.owner.clone().unwrap_or_default();
            let kind = (owner, row.rule.clone(), row.field.clone());
            let (count, oldest) = owners.entry(kind).or_insert((0, i64::MAX));
            *count += 1;
            *oldest = row.first_seen.min(*oldest);
        }
        let now = self.wall_time();
        let mut by_owner: Vec<OwnerCount> = owners
            .into_iter()
            .map(|((owner, rule, field), (differences, oldest))| OwnerCount {
                owner,
                rule,
                field,
                differences,
                oldest_workdays: self.workdays(oldest, now),
            })
            .collect();
        by_owner.sort_by_key(|owner| std::cmp::Reverse(owner.differences));
        let sql = format!(
            "select field, system, code, code_table, row_count from {} where not is_known \
             order by row_count desc, field, system, code",
            rec.coverage()
        );
        let mut unknown_codes = Vec::new();
        for batch in session.collect(&sql, None).await? {
            for row in 0..batch.num_rows() {
                let values: Map<String, Value> = record_text(&batch, row)?
                    .into_iter()
                    .map(|(name, value)| (name, json!(value)))
                    .collect();
                unknown_codes.push(Value::Object(values));
            }
        }
        Ok(ReconcileSummary {
            name: rec.name.clone(),
            title: rec.title.clone(),
            table: rec.table(),
            last_run: built.as_ref().map(|row| row.run_id),
            last_run_at: built.map(|row| row.built_at),
            keys,
            findings: passed(rec, &classes),
            classes,
            states,
            by_owner,
            unknown_codes,
        })
    }

    /// Rows of the ledger that `wanted` takes, oldest first.
    pub async fn ledger(
        &self,
        rec: &Reconciliation,
        wanted: impl Fn(&Difference) -> bool,
    ) -> Result<Vec<AgedDifference>> {
        let session = self.looked_at(rec).await?;
        let mut rows = read_differences(&self.engine, &session, rec).await?;
        rows.retain(wanted);
        rows.sort_by(|a, b| {
            (a.first_seen, &a.entity_key, &a.rule, &a.field, &a.system).cmp(&(
                b.first_seen,
                &b.entity_key,
                &b.rule,
                &b.field,
                &b.system,
            ))
        });
        Ok(rows.into_iter().map(|row| self.aged(row)).collect())
    }

    /// Everything about one key.
    pub async fn decided(&self, rec: &Reconciliation, key: &str) -> Result<Decided> {
        let session = self.looked_at(rec).await?;
        self.decided_in(&session, rec, key).await
    }

    /// Everything about one key that `session` shows.
    pub async fn decided_in(
        &self,
        session: &Session,
        rec: &Reconciliation,
        key: &str,
    ) -> Result<Decided> {
        let record = golden_row(session, rec, key).await?;
        let value = |name: &str| record.get(name).cloned().flatten();
        let rows = read_differences(&self.engine, session, rec).await?;
        let mut differences: Vec<AgedDifference> = rows
            .into_iter()
            .filter(|row| row.entity_key == key)
            .map(|row| self.aged(row))
            .collect();
        differences.sort_by(|a, b| a.difference.difference_id.cmp(&b.difference.difference_id));
        if record.is_empty() && differences.is_empty() {
            return Err(no_such_key(rec, key));
        }
        let systems = rec
            .systems
            .iter()
            .map(|system| SystemView {
                system: system.name.clone(),
                title: system.title.clone(),
                present: value(&format!("in_{}", system.name)).as_deref() == Some("true"),
                copies: value(&format!("{}_copies", system.name))
                    .and_then(|copies| copies.parse().ok())
                    .unwrap_or(0),
                row: value(&format!("{}_row", system.name)),
                run: value(&format!("{}_run", system.name)),
            })
            .collect();
        let fields = rec
            .fields
            .iter()
            .map(|field| {
                let of = |system: &usize| {
                    let system = &rec.systems[*system].name;
                    let column = format!("{system}_{}", field.name);
                    record.get(&column).map(|value| (system.clone(), json!(value)))
                };
                FieldView {
                    field: field.name.clone(),
                    title: field.title.clone(),
                    value: value(&field.name),
                    from: value(&format!("{}_from", field.name)),
                    differs: value(&format!("{}_differs", field.name)).map(|v| v == "true"),
                    values: field.trust.iter().filter_map(of).collect(),
                }
            })
            .collect();
        Ok(Decided {
            reconciliation: rec.name.clone(),
            key: key.to_owned(),
            class: value("class").unwrap_or_else(|| "gone".into()),
            run: value("_run"),
            systems,
            fields,
            differences,
            events: read_events(&self.engine, session, rec, key).await?,
        })
    }

    /// Notes why differences of a key are as they should be; how many they were.
    pub async fn explain(
        &self,
        rec: &Reconciliation,
        key: &str,
        field: Option<&str>,
        deed: &Deed<'_>,
    ) -> Result<Vec<AgedDifference>> {
        // The same lock as a run's: the ledger has one writer.
        let _lock = crate::lock::FolderLock::take(&self.data, &self.holder)?;
        let session = self.looked_at(rec).await?;
        let rows = read_differences(&self.engine, &session, rec).await?;
        let mut chosen: Vec<Difference> = rows
            .into_iter()
            .filter(|row| row.entity_key == key && row.state != "closed")
            .filter(|row| field.is_none() || row.field.as_deref() == field)
            .collect();
        if chosen.is_empty() {
            return Err(no_such_key(rec, key));
        }
        let now = self.wall_time();
        let mut events = Vec::with_capacity(chosen.len());
        for row in &mut chosen {
            let before = std::mem::replace(&mut row.state, "explained".to_owned());
            row.reason = Some(deed.reason.to_owned());
            let mut event = event(row, Some(before), now);
            event.who = Some(deed.who.to_owned());
            events.push(event);
        }
        self.change_ledger(rec, &chosen, &events, Some(deed)).await?;
        Ok(chosen.into_iter().map(|row| self.aged(row)).collect())
    }

    /// Marks differences as fixed whose repair the target of `push` (as `system.push`) accepted.
    pub(crate) async fn mark_fixed(&self, push: &str, run: i64) -> Result<()> {
        let reconciliations = self.engine.pipelines().reconciliations.values();
        for rec in reconciliations {
            let is_target = |system: &&huiliu_core::reconcile::ReconcileSystem| {
                system.push.as_deref() == Some(push)
            };
            let Some(system) = rec.systems.iter().find(is_target) else { continue };
            if self.built(rec).await?.is_none() {
                continue;
            }
            let (target, name) = push.split_once('.').unwrap_or((push, ""));
            let accepted = self.lake().store().accepted_keys(target, name).await?;
            let accepted: HashSet<String> = accepted.into_iter().collect();
            let rule = format!("missing_in_{}", system.name);
            let session = self.engine.session(None).await?;
            let mut rows = read_differences(&self.engine, &session, rec).await?;
            rows.retain(|row| {
                row.state == "open" && row.rule == rule && accepted.contains(&row.entity_key)
            });
            if rows.is_empty() {
                continue;
            }
            let now = self.wall_time();
            let mut events = Vec::with_capacity(rows.len());
            for row in &mut rows {
                let before = std::mem::replace(&mut row.state, "fixed".to_owned());
                row.last_seen = now;
                row.last_run = run;
                let mut event = event(row, Some(before), now);
                event.run = Some(run);
                event.reason = Some(format!("accepted by {push}"));
                events.push(event);
            }
            self.change_ledger(rec, &rows, &events, None).await?;
        }
        Ok(())
    }

    pub(crate) async fn change_ledger(
        &self,
        rec: &Reconciliation,
        rows: &[Difference],
        events: &[DifferenceEvent],
        deed: Option<&Deed<'_>>,
    ) -> Result<()> {
        let leases = self.ledger_leases(rec).await?;
        let run = events.first().and_then(|event| event.run).unwrap_or(0);
        let received_at = self.clock.now().timestamp_micros();
        let stamp = RowStamp { run, seq: 1, received_at };
        let written = match self.engine.write_ledger(rec, rows, events, stamp).await {
            Ok(changes) => self.commit_ledger(rec, changes, rows, &leases, deed).await,
            Err(error) => Err(error),
        };
        self.give_back(leases).await?;
        written
    }

    async fn commit_ledger(
        &self,
        rec: &Reconciliation,
        changes: Vec<TableChange>,
        rows: &[Difference],
        leases: &[Lease],
        deed: Option<&Deed<'_>>,
    ) -> Result<()> {
        let commit = Commit {
            changes,
            author: deed.map_or_else(|| "huiliu".to_owned(), |deed| deed.who.to_owned()),
            message: format!("ledger of {}", rec.name),
        };
        let mut tx = self.lake().store().begin().await?;
        for lease in leases {
            tx.check_lease(lease).await?;
        }
        commit.write(&mut tx).await?;
        if let Some(deed) = deed {
            for row in rows {
                let after = json!({ "state": row.state, "found": row.found });
                let change = Change {
                    action: "reconcile explain",
                    object: &row.difference_id,
                    before: None,
                    after: Some(after),
                };
                self.note(&mut tx, deed, change).await?;
            }
        }
        tx.commit().await
    }
}

/// The classes above their warn level.
/// Entities in each class, and rows without key, of which there are `unkeyed`.
pub(crate) async fn class_counts(
    session: &Session,
    rec: &Reconciliation,
    unkeyed: u64,
) -> Result<BTreeMap<String, u64>> {
    let mut counts: BTreeMap<String, u64> =
        rec.classes().into_iter().map(|class| (class, 0)).collect();
    let sql = format!("select class, keys from {}", rec.class_counts());
    for (class, count) in pairs(session, &sql).await? {
        counts.insert(class, count.parse().unwrap_or(0));
    }
    counts.insert("unkeyed".into(), unkeyed);
    Ok(counts)
}

/// How many rows without key are not closed.
fn unkeyed(differences: &[Difference]) -> u64 {
    let is_unkeyed = |row: &&Difference| row.rule == "unkeyed" && row.state != "closed";
    differences.iter().filter(is_unkeyed).count() as u64
}

/// The classes that are above their warn level.
pub(crate) fn passed(rec: &Reconciliation, counts: &BTreeMap<String, u64>) -> Vec<String> {
    let all = counts.iter().filter(|(class, _)| *class != "unkeyed").map(|(_, n)| n).sum();
    let is_passed = |(class, level): &(&String, &huiliu_core::reconcile::Level)| {
        level.is_passed(counts.get(*class).copied().unwrap_or(0), all)
    };
    rec.warn.iter().filter(is_passed).map(|(class, _)| class.clone()).collect()
}

fn no_such_key(rec: &Reconciliation, key: &str) -> Error {
    let message = format!("{} has nothing about `{key}`", rec.name);
    Error::new(ErrorKind::Config, "E-RECONCILE-KEY", message)
        .hint("write the key as the golden table has it; columns of one key are joined by |")
}

async fn pairs(session: &Session, sql: &str) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for batch in session.collect(sql, None).await? {
        for row in 0..batch.num_rows() {
            let mut values = record_text(&batch, row)?.into_iter().map(|(_, value)| value);
            let mut next = || values.next().flatten().unwrap_or_default();
            found.push((next(), next()));
        }
    }
    Ok(found)
}

/// The condition for a key given as text.
pub(crate) fn key_condition(columns: &[&str], key: &str) -> Option<String> {
    let mut parts = vec![String::new()];
    let mut letters = key.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => parts.last_mut()?.extend(letters.next()),
            '|' => parts.push(String::new()),
            other => parts.last_mut()?.push(other),
        }
    }
    if parts.len() != columns.len() {
        return None;
    }
    let each = columns.iter().zip(parts).map(|(column, part)| {
        format!(
            "cast(\"{}\" as varchar) = '{}'",
            column.replace('"', "\"\""),
            part.replace('\'', "''")
        )
    });
    Some(each.collect::<Vec<String>>().join(" and "))
}

/// The golden row of a key by column; empty when there is none.
pub(crate) async fn golden_row(
    session: &Session,
    rec: &Reconciliation,
    key: &str,
) -> Result<BTreeMap<String, Option<String>>> {
    let columns: Vec<&str> = rec.key.iter().map(String::as_str).collect();
    let Some(condition) = key_condition(&columns, key).filter(|_| rec.golden) else {
        return Ok(BTreeMap::new());
    };
    let sql = format!("select * from {} where {condition}", rec.table());
    for batch in session.collect(&sql, Some(1)).await? {
        if batch.num_rows() > 0 {
            return Ok(record_text(&batch, 0)?.into_iter().collect());
        }
    }
    Ok(BTreeMap::new())
}
