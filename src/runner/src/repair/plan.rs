//! What would be corrected where, as things stand now.

use std::collections::{BTreeMap, HashSet};

use huiliu_core::config::{PushConfig, Stage};
use huiliu_core::reconcile::{ReconcileSystem, Reconciliation};
use huiliu_engine::reconcile::{Difference, read_differences};
use huiliu_engine::{Session, short_hash};
use huiliu_sdk::{Error, ErrorKind, Result};

use super::image::{Image, images};
use super::{
    LeftOut, RepairChange, RepairDifference, RepairPlan, RepairRecord, RepairScope, WhyLeftOut,
};
use crate::hub::Hub;
use crate::project::System;

/// Letters of a plan's hash.
const LETTERS: usize = 12;

impl Hub {
    /// The plan for `scope` as things stand now; nothing is noted.
    pub(crate) async fn repairs_now(&self, scope: RepairScope) -> Result<RepairPlan> {
        let session = self.engine.session(None).await?;
        let mut planning =
            Planning { hub: self, session: &session, records: Vec::new(), left: BTreeMap::new() };
        for rec in self.in_scope(&scope)? {
            if self.built(rec).await?.is_none() {
                continue;
            }
            let rows = read_differences(&self.engine, &session, rec).await?;
            for system in &rec.systems {
                let is_wanted = |row: &&Difference| {
                    let is_mendable = row.rule == "mismatch" || row.rule.starts_with("missing_in_");
                    let fits = |wanted: &Option<String>, value: &str| {
                        wanted.as_deref().is_none_or(|wanted| wanted == value)
                    };
                    row.state == "open"
                        && is_mendable
                        && row.system == system.name
                        && fits(&scope.system, &row.system)
                        && fits(&scope.rule, &row.rule)
                        && fits(&scope.key, &row.entity_key)
                };
                let rows: Vec<&Difference> = rows.iter().filter(is_wanted).collect();
                planning.system(rec, system, rows).await?;
            }
        }
        let Planning { mut records, left, .. } = planning;
        records.sort_by(|a, b| {
            (&a.reconciliation, &a.system, &a.key).cmp(&(&b.reconciliation, &b.system, &b.key))
        });
        let hash = (!records.is_empty()).then(|| hash(&records));
        Ok(RepairPlan { scope, hash, records, left_out: left.into_values().collect() })
    }

    /// The reconciliations that a scope names. A name that is none is an error, not an empty plan.
    fn in_scope(&self, scope: &RepairScope) -> Result<Vec<&Reconciliation>> {
        let all = self.engine.pipelines().reconciliations.values();
        let has_entity = |rec: &&Reconciliation| {
            scope.entity.as_ref().is_none_or(|entity| rec.entity == *entity || rec.name == *entity)
        };
        let named: Vec<&Reconciliation> = all.filter(has_entity).collect();
        let has_system = |rec: &&&Reconciliation| {
            scope.system.as_ref().is_none_or(|system| rec.system(system).is_some())
        };
        let found: Vec<&Reconciliation> = named.iter().filter(has_system).copied().collect();
        if !found.is_empty() {
            return Ok(found);
        }
        let missing = |what: &str, name: &Option<String>, known: Vec<&str>| {
            let message = format!("no {what} is called `{}`", name.as_deref().unwrap_or_default());
            Error::new(ErrorKind::Config, "E-RECONCILE", message)
                .hint(format!("there are: {}", known.join(", ")))
        };
        if named.is_empty() {
            let all = self.engine.pipelines().reconciliations.values();
            let known = all.map(|rec| rec.entity.as_str()).collect();
            return Err(missing("entity", &scope.entity, known));
        }
        let systems = named.iter().flat_map(|rec| &rec.systems);
        let known = systems.map(|system| system.name.as_str()).collect();
        Err(missing("system", &scope.system, known))
    }

    /// A push by its name `system.push`.
    pub(crate) fn find_push(&self, name: &str) -> Option<(&System, &PushConfig)> {
        let (system, push) = name.split_once('.')?;
        let system = self.project.systems.get(system)?;
        let push = system.config.pushes.iter().find(|config| config.name == push)?;
        Some((system, push))
    }

    /// Whether a blocking audit found rows in what a node reads when it looked last.
    async fn is_blocked(&self, node: &str) -> Result<bool> {
        let audits = &self.engine.pipelines().audits;
        for name in self.project.graph.needs(node).filter(|name| audits.contains_key(*name)) {
            let last = self.lake().store().last_verdict(name).await?;
            if last.is_some_and(|verdict| verdict.row_count > 0) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

struct Planning<'a> {
    hub: &'a Hub,
    session: &'a Session,
    records: Vec<RepairRecord>,
    left: BTreeMap<(String, String, WhyLeftOut), LeftOut>,
}

impl Planning<'_> {
    fn leave(
        &mut self,
        rows: &[&Difference],
        push: Option<&str>,
        why: impl Fn(&Difference) -> WhyLeftOut,
    ) {
        for row in rows {
            let why = why(row);
            let key = (row.system.clone(), row.rule.clone(), why);
            let left = self.left.entry(key).or_insert_with(|| LeftOut {
                system: row.system.clone(),
                rule: row.rule.clone(),
                why,
                push: push.map(str::to_owned),
                differences: 0,
                example: row.entity_key.clone(),
            });
            left.differences += 1;
        }
    }

    /// Takes in the open differences of one system.
    async fn system(
        &mut self,
        rec: &Reconciliation,
        system: &ReconcileSystem,
        rows: Vec<&Difference>,
    ) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        if !system.repair {
            self.leave(&rows, None, |_| WhyLeftOut::NoRepairs);
            return Ok(());
        }
        // What a push brings by itself is not brought a second time.
        let (brought, rows): (Vec<&Difference>, Vec<&Difference>) =
            rows.into_iter().partition(|row| row.rule != "mismatch" && system.push.is_some());
        self.leave(&brought, system.push.as_deref(), |_| WhyLeftOut::SentByItself);
        let Some(name) = system.correct.as_deref() else {
            self.leave(&rows, None, |_| WhyLeftOut::NoPush);
            return Ok(());
        };
        let Some((target, push)) = self.hub.find_push(name) else {
            return Err(Error::internal(format!("no push is called {name}")));
        };
        if target.config.stage != Stage::Live {
            self.leave(&rows, Some(name), |_| WhyLeftOut::NotLive);
            return Ok(());
        }
        if self.hub.is_blocked(&format!("push.{name}")).await? {
            self.leave(&rows, Some(name), |_| WhyLeftOut::Blocked);
            return Ok(());
        }
        let mut by_key: BTreeMap<&str, Vec<&Difference>> = BTreeMap::new();
        for row in rows {
            by_key.entry(&row.entity_key).or_default().push(row);
        }
        self.records_of(rec, system, (target, push), by_key).await
    }

    async fn records_of(
        &mut self,
        rec: &Reconciliation,
        system: &ReconcileSystem,
        (target, push): (&System, &PushConfig),
        by_key: BTreeMap<&str, Vec<&Difference>>,
    ) -> Result<()> {
        let name = format!("{}.{}", target.config.id, push.name);
        let keys: Vec<&str> = by_key.keys().copied().collect();
        let mut after = images(self.session, &push.from, &push.key, &keys).await?;
        let before_table = push.before.as_deref().unwrap_or(&push.from);
        let mut before = images(self.session, before_table, &push.key, &keys).await?;
        let store = self.hub.lake().store();
        let open: HashSet<String> = store.open_keys(&target.config.id, &push.name).await?;
        let mut tried: BTreeMap<String, (usize, Option<String>)> = BTreeMap::new();
        for (item, sent, _) in store.repairs_through(&target.config.id, &push.name).await? {
            let (tries, refusal) = tried.entry(item.record_key).or_default();
            *tries += 1;
            *refusal = (sent.state == "rejected").then(|| {
                let parts = [sent.code, sent.message].into_iter().flatten();
                parts.collect::<Vec<String>>().join(" ")
            });
        }
        for (key, rows) in by_key {
            let (after, before) = (after.remove(key), before.remove(key));
            let Some(after) = after else {
                self.leave(&rows, Some(&name), |_| WhyLeftOut::NoRecord);
                continue;
            };
            if open.contains(key) {
                self.leave(&rows, Some(&name), |_| WhyLeftOut::OnItsWay);
                continue;
            }
            check_columns(push, &name, before.as_ref(), &after)?;
            let changes = changes(target, before.as_ref(), &after);
            if changes.is_empty() {
                self.leave(&rows, Some(&name), |_| WhyLeftOut::NothingToChange);
                continue;
            }
            self.records.push(RepairRecord {
                reconciliation: rec.name.clone(),
                system: system.name.clone(),
                push: name.clone(),
                key: key.to_owned(),
                tries: tried.get(key).map_or(0, |(tries, _)| *tries),
                refused_before: tried.get(key).and_then(|(_, refusal)| refusal.clone()),
                action: if before.is_some() { "update" } else { "insert" },
                differences: rows.iter().map(|row| mended(rec, row)).collect(),
                changes,
                before,
                after,
            });
        }
        Ok(())
    }
}

fn mended(rec: &Reconciliation, row: &Difference) -> RepairDifference {
    let field = row.field.as_deref().and_then(|name| rec.field(name));
    let trust = field.map(|field| &rec.fields[field].trust).into_iter().flatten();
    RepairDifference {
        difference_id: row.difference_id.clone(),
        rule: row.rule.clone(),
        field: row.field.clone(),
        before: row.found.clone(),
        after: row.expected.clone(),
        trusted: row.expected_from.clone(),
        trust: trust.map(|system| rec.systems[*system].name.clone()).collect(),
        last_seen: row.last_seen,
    }
}

/// What would be sent back must have the columns of what is sent.
fn check_columns(
    push: &PushConfig,
    name: &str,
    before: Option<&Image>,
    after: &Image,
) -> Result<()> {
    let Some(before) = before else { return Ok(()) };
    if before.0.keys().eq(after.0.keys()) {
        return Ok(());
    }
    let before_table = push.before.as_deref().unwrap_or_default();
    let message = format!("push {name}: {before_table} and {} have other columns", push.from);
    Err(Error::new(ErrorKind::Config, "E-REPAIR-COLUMNS", message)
        .hint("both must have the same columns, because an undone repair sends the one back"))
}

fn changes(target: &System, before: Option<&Image>, after: &Image) -> Vec<RepairChange> {
    let nothing = None;
    let had = |column: &str| before.and_then(|before| before.0.get(column)).unwrap_or(&nothing);
    let tag = |column: &str| {
        let mut streams = target.config.streams.iter();
        streams.find_map(|(stream, _)| stream.columns.get(column)?.personal().map(str::to_owned))
    };
    let changed = after.0.iter().filter(|(column, value)| had(column) != *value);
    changed
        .map(|(column, value)| RepairChange {
            column: column.clone(),
            before: had(column).clone(),
            after: value.clone(),
            tag: tag(column),
        })
        .collect()
}

/// Over what would be sent, what is there, and which differences that is about as they stand.
fn hash(records: &[RepairRecord]) -> String {
    let mut parts = Vec::new();
    for record in records {
        parts.push(format!("{} {} {}", record.reconciliation, record.push, record.key));
        parts.push(record.tries.to_string());
        parts.push(record.before.as_ref().map(Image::hash).unwrap_or_default());
        parts.push(record.after.hash());
        for row in &record.differences {
            parts.push(format!("{} {}", row.difference_id, row.last_seen));
        }
    }
    let mut hash = short_hash(&parts.iter().map(String::as_str).collect::<Vec<&str>>());
    hash.truncate(LETTERS);
    hash
}
