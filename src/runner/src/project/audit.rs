//! What the audits of a project name must be there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use huiliu_core::audit::{Severity, audit_name};
use huiliu_core::config::{Fault, Faults, closest};
use huiliu_core::graph::Node;
use huiliu_engine::Pipelines;

use super::{LoadFailure, System, read_text};

/// Checks the names in audits and of audits, and that examples show no personal data.
pub(super) fn check(
    nodes: &[Node],
    systems: &BTreeMap<String, System>,
    pipelines: &Pipelines,
) -> Result<(), LoadFailure> {
    let mut faults = Faults::default();
    let tables: BTreeSet<&str> =
        nodes.iter().flat_map(|node| &node.makes).map(String::as_str).collect();
    for audit in pipelines.audits.values() {
        for table in pipelines.reads(&audit.name) {
            let of_hub = ["codes.", "ops.", "quarantine."];
            if tables.contains(table) || of_hub.iter().any(|schema| table.starts_with(schema)) {
                continue;
            }
            let message = format!("no stream, model or reconciliation makes the table `{table}`");
            let hint = did_you_mean(table, tables.iter().copied());
            let word = table.rsplit('.').next().unwrap_or(table);
            faults.0.push(fault_at(&audit.file, word, message, hint)?);
        }
        let is_personal = |name: &&String| systems.values().any(|system| system.is_personal(name));
        for column in audit.header.key.iter().filter(is_personal) {
            let message = format!("the column `{column}` holds personal data and cannot be shown");
            let hint = Some("take it out of `key`".to_owned());
            faults.0.push(fault_at(&audit.file, column, message, hint)?);
        }
    }
    let queued: BTreeSet<&str> = systems
        .values()
        .flat_map(|system| &system.config.pushes)
        .filter(|push| push.queues())
        .map(|push| push.from.as_str())
        .collect();
    for model in &pipelines.models {
        for name in &model.header.audits {
            let Some(audit) = pipelines.audits.get(&audit_name(name)) else {
                let message = format!("no audit is called `{name}`");
                let known = pipelines.audits.keys().filter_map(|known| known.split_once('.'));
                let hint = did_you_mean(name, known.map(|(_, known)| known));
                faults.0.push(fault_at(&model.file, name, message, hint)?);
                continue;
            };
            // They are queued in the commit that the audit has yet to look at.
            if audit.header.severity == Severity::Block && queued.contains(model.name.as_str()) {
                let message =
                    format!("records are queued from this model before the audit `{name}` is done");
                let hint = "name the audit in a model that this one reads, or make it \
                            `severity = \"warn\"`";
                faults.0.push(fault_at(&model.file, name, message, Some(hint.to_owned()))?);
            }
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(LoadFailure::Faults(faults)) }
}

fn did_you_mean<'a>(given: &str, words: impl Iterator<Item = &'a str>) -> Option<String> {
    closest(given, words).map(|close| format!("did you mean `{close}`?"))
}

/// A fault at the first place of `word` in a file that was read before.
fn fault_at(
    file: &Path,
    word: &str,
    message: String,
    hint: Option<String>,
) -> Result<Fault, LoadFailure> {
    let text = read_text(file)?;
    let found = text.lines().enumerate().find_map(|(line, content)| {
        content.find(word).map(|at| (line + 1, content[..at].chars().count() + 1, content))
    });
    let (line, column, content) = found.unwrap_or((1, 1, ""));
    let excerpt = (!content.is_empty()).then(|| (content.to_owned(), word.chars().count()));
    Ok(Fault { file: file.to_owned(), line, column, message, hint, excerpt })
}
