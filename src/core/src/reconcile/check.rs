//! Checks what the schema cannot, and puts systems and fields into their order.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::compare;
use super::{
    Comparison, FieldKeys, Level, LevelKeys, MatchRule, ReconcileField, ReconcileKeys,
    ReconcileSystem, Reconciliation, SystemKeys,
};
use crate::config::{Document, Faults, closest};
use crate::duration::parse_duration;

struct Checker<'a> {
    document: &'a Document,
    faults: Faults,
}

impl Checker<'_> {
    fn fault(&mut self, path: &str, message: impl Into<String>, hint: Option<String>) {
        self.faults.0.push(self.document.fault(path, message.into(), hint));
    }

    /// The position of `name` among `known`, or a fault.
    fn find(&mut self, path: &str, what: &str, name: &str, known: &[String]) -> Option<usize> {
        let found = known.iter().position(|other| other == name);
        if found.is_none() {
            let hint = closest(name, known.iter().map(String::as_str))
                .map(|close| format!("did you mean `{close}`?"))
                .unwrap_or_else(|| format!("use one of: {}", known.join(", ")));
            self.fault(path, format!("no {what} is called `{name}`"), Some(hint));
        }
        found
    }

    fn table(&mut self, path: &str, table: &str) {
        let parts: Vec<&str> = table.split('.').collect();
        if parts.len() != 2 || parts.iter().any(|part| part.is_empty()) {
            let message = format!("`{table}` is no table");
            self.fault(path, message, Some("write it as standard.city_cases".into()));
        }
    }
}

fn is_plain(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// The reconciliation, or all that is wrong with it.
pub(super) fn build(
    document: &Document,
    name: &str,
    file: &Path,
    keys: ReconcileKeys,
    system_names: &[String],
    field_names: &[String],
) -> Result<Reconciliation, Faults> {
    let mut checker = Checker { document, faults: Faults::default() };
    check_head(&mut checker, &keys, system_names, field_names);
    let mut systems = Vec::new();
    for system in system_names {
        if let Some(written) = keys.systems.get(system) {
            systems.push(read_system(&mut checker, system, written, &keys, field_names));
        }
    }
    let mut fields = Vec::new();
    for field in field_names {
        if let Some(written) = keys.fields.get(field) {
            fields.extend(read_field(&mut checker, field, written, system_names));
        }
    }
    if keys.time.is_none() && systems.iter().any(|system| system.lag_micros.is_some()) {
        let hint = "name the field that says when an entity came to be, such as accept_time";
        checker.fault("", "a system with a `lag` needs `time`", Some(hint.into()));
    }
    if let Some(time) = &keys.time {
        checker.find("time", "field", time, field_names);
    }
    let as_of = keys.as_of.as_ref();
    let as_of = as_of.and_then(|system| checker.find("as_of", "system", system, system_names));
    let mut reconciliation = Reconciliation {
        name: name.to_owned(),
        file: file.to_owned(),
        entity: keys.entity,
        title: keys.title,
        key: keys.key,
        time: keys.time,
        golden: keys.golden,
        as_of,
        systems,
        fields,
        warn: BTreeMap::new(),
    };
    read_levels(&mut checker, &mut reconciliation, &keys.warn);
    check_columns(&mut checker, &reconciliation);
    if checker.faults.is_empty() { Ok(reconciliation) } else { Err(checker.faults) }
}

fn check_head(
    checker: &mut Checker<'_>,
    keys: &ReconcileKeys,
    system_names: &[String],
    field_names: &[String],
) {
    if keys.version != 1 {
        checker.fault("version", "this program reads version 1 of reconcile files", None);
    }
    if !is_plain(&keys.entity) {
        let message = format!("the entity `{}` must be of a-z, 0-9 and _", keys.entity);
        checker.fault("entity", message, None);
    }
    if keys.key.is_empty() {
        checker.fault("key", "a reconciliation needs a `key`", None);
    }
    let mut seen = BTreeSet::new();
    for (index, column) in keys.key.iter().enumerate() {
        if !seen.insert(column) {
            checker.fault(&format!("key[{index}]"), format!("`{column}` is named twice"), None);
        }
    }
    if !(2..=8).contains(&system_names.len()) {
        let message = format!("{} systems are compared; it must be 2 to 8", system_names.len());
        checker.fault("systems", message, None);
    }
    for (table, names) in [("systems", system_names), ("fields", field_names)] {
        for name in names.iter().filter(|name| !is_plain(name)) {
            let message = format!("the name `{name}` must be of a-z, 0-9 and _");
            checker.fault(&format!("{table}.{name}"), message, None);
        }
    }
    for field in field_names.iter().filter(|field| keys.key.contains(field)) {
        let message = format!("`{field}` is in the key already");
        checker.fault(&format!("fields.{field}"), message, None);
    }
}

fn read_system(
    checker: &mut Checker<'_>,
    name: &str,
    written: &SystemKeys,
    keys: &ReconcileKeys,
    field_names: &[String],
) -> ReconcileSystem {
    let at = |key: &str| format!("systems.{name}.{key}");
    checker.table(&at("table"), &written.table);
    let mut lag_micros = None;
    if let Some(lag) = &written.lag {
        match parse_duration(lag) {
            Ok(lag) => lag_micros = i64::try_from(lag.as_micros()).ok(),
            Err(error) => {
                let hint = error.hint_text().map(str::to_owned);
                checker.fault(&at("lag"), error.message(), hint);
            }
        }
    }
    if let Some(expects) = &written.expects {
        checker.find(&at("expects.field"), "field", &expects.field, field_names);
        checker.table(&at("expects.from"), &expects.from);
    }
    if let Some(field) = &written.owner_field {
        checker.find(&at("owner_field"), "field", field, field_names);
    }
    let ours: Vec<String> = keys.key.iter().chain(field_names).cloned().collect();
    for column in written.columns.keys() {
        checker.find(&at(&format!("columns.{column}")), "key column or field", column, &ours);
    }
    if written.correct.is_some() && !written.repair {
        checker.fault(&at("correct"), "cannot stand beside `repair = false`", None);
    }
    let rules = read_rules(checker, name, written, field_names);
    let title = written.title.clone().unwrap_or_else(|| name.to_owned());
    ReconcileSystem {
        name: name.to_owned(),
        owner: written.owner.clone().unwrap_or_else(|| title.clone()),
        title,
        table: written.table.clone(),
        owner_field: written.owner_field.clone(),
        lag_micros,
        expects: written.expects.clone(),
        columns: written.columns.clone(),
        row: written.row.clone(),
        run: written.run.clone(),
        copies: written.copies.clone(),
        repair: written.repair,
        push: written.push.clone(),
        correct: written.correct.clone(),
        rules,
    }
}

fn read_rules(
    checker: &mut Checker<'_>,
    name: &str,
    written: &SystemKeys,
    field_names: &[String],
) -> Vec<MatchRule> {
    if !written.rules.is_empty() && written.row.is_none() {
        let path = format!("systems.{name}.match");
        checker.fault(&path, "`match` needs `row`, which tells its rows apart", None);
    }
    let mut rules = Vec::with_capacity(written.rules.len());
    for (index, rule) in written.rules.iter().enumerate() {
        let path = format!("systems.{name}.match[{index}]");
        for field in rule.on.iter().chain(&rule.day).chain(rule.within.keys()) {
            checker.find(&path, "field", field, field_names);
        }
        if rule.on.is_empty() {
            checker.fault(&path, "a rule needs fields in `on`", None);
        }
        let mut within = Vec::with_capacity(rule.within.len());
        for (field, apart) in &rule.within {
            match parse_duration(apart) {
                Ok(apart) => {
                    let micros = i64::try_from(apart.as_micros()).unwrap_or(i64::MAX);
                    within.push((field.clone(), micros));
                }
                Err(error) => {
                    let hint = error.hint_text().map(str::to_owned);
                    checker.fault(&path, error.message(), hint);
                }
            }
        }
        rules.push(MatchRule { on: rule.on.clone(), day: rule.day.clone(), within });
    }
    rules
}

fn read_field(
    checker: &mut Checker<'_>,
    name: &str,
    written: &FieldKeys,
    system_names: &[String],
) -> Option<ReconcileField> {
    let at = |key: &str| format!("fields.{name}.{key}");
    let compare = match compare::read(&written.compare) {
        Ok(compare) => Some(compare),
        Err((message, hint)) => {
            checker.fault(&at("compare"), message, hint);
            None
        }
    };
    let mut trust = Vec::new();
    let find = |checker: &mut Checker<'_>, key: &str, list: &[String]| -> Vec<usize> {
        let mut found = Vec::new();
        for system in list {
            if let Some(position) = checker.find(&at(key), "system", system, system_names) {
                if found.contains(&position) {
                    checker.fault(&at(key), format!("`{system}` is named twice"), None);
                } else {
                    found.push(position);
                }
            }
        }
        found
    };
    let having = match &written.systems {
        Some(systems) => find(checker, "systems", systems),
        None => (0..system_names.len()).collect(),
    };
    for position in find(checker, "trust", &written.trust) {
        if having.contains(&position) {
            trust.push(position);
        } else {
            let message = format!("`{}` does not have the field", system_names[position]);
            checker.fault(&at("trust"), message, None);
        }
    }
    for position in &having {
        if !trust.contains(position) {
            trust.push(*position);
        }
    }
    if trust.is_empty() {
        checker.fault(&at("systems"), "no system has the field", None);
    }
    let mut codes = BTreeMap::new();
    for (system, table) in &written.codes {
        let path = at(&format!("codes.{system}"));
        if let Some(position) = checker.find(&path, "system", system, system_names) {
            codes.insert(position, table.clone());
        }
    }
    if let Some(compare) = &compare
        && !compare.is_by_equality()
        && *compare != Comparison::None
        && !(written.normalise.is_empty() && codes.is_empty())
    {
        let message = "a tolerance is for times and numbers, which have no `normalise` or `codes`";
        checker.fault(&at("compare"), message, None);
    }
    let mut normalise = written.normalise.clone();
    normalise.sort_unstable();
    normalise.dedup();
    Some(ReconcileField {
        name: name.to_owned(),
        title: written.title.clone().unwrap_or_else(|| name.to_owned()),
        compare: compare?,
        trust,
        normalise,
        codes,
    })
}

fn read_levels(
    checker: &mut Checker<'_>,
    reconciliation: &mut Reconciliation,
    written: &BTreeMap<String, LevelKeys>,
) {
    let mut classes = reconciliation.classes();
    classes.retain(|class| class != "matched");
    classes.push("unkeyed".into());
    for (class, level) in written {
        let path = format!("warn.{class}");
        if checker.find(&path, "class", class, &classes).is_none() {
            continue;
        }
        let level = match level {
            LevelKeys::Count(count) => Some(Level::Count(*count)),
            LevelKeys::Share(text) => read_share(text).map(Level::Share),
        };
        match level {
            Some(level) => {
                reconciliation.warn.insert(class.clone(), level);
            }
            None => {
                let hint = "write a number of entities, or a share such as \"0.5%\"";
                checker.fault(&path, "this is no warn level", Some(hint.into()));
            }
        }
    }
}

/// A share in ten-thousandths.
fn read_share(text: &str) -> Option<u64> {
    let scaled = compare::scaled(text.trim().strip_suffix('%')?.trim_end())?;
    let unit = 10_i128.pow(compare::VALUE_SCALE - 2);
    (scaled % unit == 0).then_some(scaled / unit).and_then(|share| u64::try_from(share).ok())
}

/// No two columns of the golden table may have one name.
fn check_columns(checker: &mut Checker<'_>, reconciliation: &Reconciliation) {
    let mut seen: BTreeSet<String> = reconciliation.key.iter().cloned().collect();
    seen.insert("class".into());
    for system in &reconciliation.systems {
        let name = &system.name;
        for column in [format!("in_{name}"), format!("{name}_copies"), format!("{name}_row")] {
            seen.insert(column);
        }
        seen.insert(format!("{name}_run"));
    }
    for field in &reconciliation.fields {
        let name = &field.name;
        let mut columns = vec![name.clone(), format!("{name}_from")];
        if field.compare != Comparison::None {
            columns.push(format!("{name}_differs"));
            let of =
                |position: &usize| format!("{}_{name}", reconciliation.systems[*position].name);
            columns.extend(field.trust.iter().map(of));
        }
        for column in columns {
            if !seen.insert(column.clone()) {
                let message = format!("the golden table would have two columns `{column}`");
                checker.fault(&format!("fields.{name}"), message, Some("rename the field".into()));
            }
        }
    }
}
