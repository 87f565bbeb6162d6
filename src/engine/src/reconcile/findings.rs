//! The differences of one key, each with the system whose it is and who answers for it.

use std::collections::BTreeSet;

use arrow::util::display::{ArrayFormatter, FormatOptions};
use huiliu_core::reconcile::Reconciliation;
use huiliu_sdk::Result;
use serde_json::{Map, Value};

use super::decide::{Decision, Judge};
use super::ledger::Finding;
use super::rows::{Entity, Loaded, NONE};

/// Writes keys as text.
pub(super) struct KeyText<'a> {
    loaded: &'a Loaded,
    systems: Vec<Vec<ArrayFormatter<'a>>>,
}

impl<'a> KeyText<'a> {
    pub(super) fn new(
        rec: &Reconciliation,
        loaded: &'a Loaded,
        options: &'a FormatOptions<'a>,
    ) -> Result<Self> {
        let mut systems = Vec::with_capacity(loaded.systems.len());
        for rows in &loaded.systems {
            let mut columns = Vec::with_capacity(rec.key.len());
            for place in 0..rec.key.len() {
                let column = rows.batch.column(place);
                columns.push(ArrayFormatter::try_new(column.as_ref(), options)?);
            }
            systems.push(columns);
        }
        Ok(Self { loaded, systems })
    }

    /// The key of an entity.
    pub(super) fn of(&self, entity: &Entity) -> Result<String> {
        let columns = self.systems.first().map_or(0, Vec::len);
        let Some(system) = self.loaded.keyed(entity, columns) else { return Ok(String::new()) };
        let mut parts = Vec::with_capacity(columns);
        for column in &self.systems[system] {
            parts.push(column.value(entity.rows[system] as usize).try_to_string()?);
        }
        Ok(joined_key(parts))
    }
}

/// The columns of a key as one text, as records to push are named too.
pub(super) fn joined_key(parts: Vec<String>) -> String {
    let escaped = parts.into_iter().map(|part| part.replace('\\', "\\\\").replace('|', "\\|"));
    escaped.collect::<Vec<String>>().join("|")
}

/// The differences that a decision found.
pub(super) fn findings(
    rec: &Reconciliation,
    judge: &Judge<'_>,
    entity: &Entity,
    decision: &Decision,
    key: &str,
) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    let finding = |system: usize, rule: String| -> Result<Finding> {
        Ok(Finding {
            entity_key: key.to_owned(),
            rule,
            field: None,
            system: rec.systems[system].name.clone(),
            owner: owner(rec, judge, entity, decision, system)?,
            found: None,
            expected: None,
            expected_from: None,
            all_values: None,
        })
    };
    for (number, system) in rec.systems.iter().enumerate() {
        if entity.copies[number] > 1 {
            let mut repeated = finding(number, "duplicate_key".into())?;
            repeated.found = Some(entity.copies[number].to_string());
            repeated.expected = Some("1".into());
            found.push(repeated);
        } else if decision.missing & (1 << number) != 0 {
            found.push(finding(number, format!("missing_in_{}", system.name))?);
        }
    }
    for (number, field) in rec.fields.iter().enumerate() {
        let deviating = decision.deviating[number].unwrap_or_default();
        if deviating == 0 {
            continue;
        }
        let mut all = Map::new();
        for system in field.trust.iter().filter(|system| entity.rows[**system] != NONE) {
            let value = judge.text(entity, number, *system)?;
            let value = value.map_or(Value::Null, Value::String);
            all.insert(rec.systems[*system].name.clone(), value);
        }
        let all = Value::Object(all).to_string();
        for system in (0..rec.systems.len()).filter(|system| deviating & (1 << system) != 0) {
            let mut mismatch = finding(system, "mismatch".into())?;
            mismatch.field = Some(field.name.clone());
            mismatch.found = judge.text(entity, number, system)?;
            mismatch.expected = judge.golden_text(entity, number, &decision.sources)?;
            mismatch.expected_from = decision.sources[number]
                .map(|source| rec.systems[usize::from(source)].name.clone());
            mismatch.all_values = Some(all.clone());
            found.push(mismatch);
        }
    }
    Ok(found)
}

/// Who answers for what `system` does: the department named by a field, or the system's owner.
fn owner(
    rec: &Reconciliation,
    judge: &Judge<'_>,
    entity: &Entity,
    decision: &Decision,
    system: usize,
) -> Result<Option<String>> {
    let config = &rec.systems[system];
    if let Some(field) = config.owner_field.as_deref().and_then(|field| rec.field(field))
        && let Some(owner) = judge.golden_text(entity, field, &decision.sources)?
    {
        return Ok(Some(owner));
    }
    Ok(Some(config.owner.clone()))
}

/// A row without a complete key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Unkeyed {
    pub(super) system: usize,
    /// What tells it apart, or its hash.
    pub(super) row: String,
    /// Who answers for it, where the row says.
    pub(super) owner: Option<String>,
}

/// The findings of rows without key.
pub(super) fn unkeyed(rec: &Reconciliation, rows: &BTreeSet<Unkeyed>) -> Vec<Finding> {
    rows.iter()
        .map(|unkeyed| Finding {
            entity_key: unkeyed.row.clone(),
            rule: super::ledger::UNKEYED.to_owned(),
            field: None,
            system: rec.systems[unkeyed.system].name.clone(),
            owner: unkeyed
                .owner
                .clone()
                .or_else(|| Some(rec.systems[unkeyed.system].owner.clone())),
            found: None,
            expected: None,
            expected_from: None,
            all_values: None,
        })
        .collect()
}
