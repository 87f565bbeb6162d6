//! `huiliu reconcile` and `huiliu trace`: what systems agree on, what they do not, and why.

use std::collections::{BTreeMap, BTreeSet};

use huiliu_core::policy::exit;
use huiliu_runner::{AgedDifference, Decided, Deed, ReconcileSummary, TraceEntry};
use huiliu_sdk::{Error, ErrorKind};
use serde_json::{Value, json};

use crate::cli::{LedgerArgs, ReconcileCommand};
use crate::inspect::mask;
use crate::operate::stated;
use crate::output::Printer;
use crate::query::DOOR;
use crate::repair::repair;
use crate::setup::{Failure, Setup};

/// Shows a reconciliation, its ledger or one key.
pub(crate) async fn reconcile(setup: &Setup, command: ReconcileCommand) -> Result<u8, Failure> {
    let hub = setup.open_existing().await?;
    let printer = setup.printer;
    let code = match command {
        ReconcileCommand::Show { name } => {
            let rec = hub.reconciliation(name.as_deref())?;
            let summary = hub.reconcile_summary(rec).await?;
            if printer.is_json() {
                printer.json(&json!(summary));
            } else {
                print_summary(printer, &summary);
            }
            if summary.findings.is_empty() { exit::DONE } else { exit::FINDINGS }
        }
        ReconcileCommand::Ledger(args) => {
            ledger(setup, &hub, &args).await?;
            exit::DONE
        }
        ReconcileCommand::Repair(command) => {
            hub.close().await;
            return repair(setup, command).await;
        }
        ReconcileCommand::Explain { key, of, field, reason } => {
            let rec = hub.reconciliation(of.as_deref())?;
            if let Some(reason) = reason {
                let who = setup.who();
                let deed = Deed { who: &who, reason: stated(&reason)? };
                let explained = hub.explain(rec, &key, field.as_deref(), &deed).await?;
                if printer.is_json() {
                    printer.json(&json!({ "explained": explained }));
                } else {
                    let text = printer.pick("differences explained", "条差异已作说明");
                    printer.line(&format!("{key}: {} {text}", explained.len()));
                }
            } else {
                let decided = hub.decided(rec, &key).await?;
                let fields: BTreeSet<&str> =
                    decided.fields.iter().map(|field| field.field.as_str()).collect();
                let what = json!({ "door": DOOR, "columns": fields, "rows": 1 });
                let object = format!("{} {key}", decided.reconciliation);
                hub.note_read(&setup.who(), "read", &object, what).await?;
                if printer.is_json() {
                    printer.json(&json!(decided));
                } else {
                    print_decided(printer, &decided);
                }
            }
            exit::DONE
        }
    };
    hub.close().await;
    Ok(code)
}

async fn ledger(setup: &Setup, hub: &huiliu_runner::Hub, args: &LedgerArgs) -> Result<(), Failure> {
    let printer = setup.printer;
    let rec = hub.reconciliation(args.of.as_deref())?;
    let states = ["open", "explained", "fixed", "closed"];
    if let Some(state) = args.state.as_deref().filter(|state| !states.contains(state)) {
        let message = format!("no difference is in the state `{state}`");
        return Err(Error::new(ErrorKind::Config, "E-RECONCILE", message)
            .hint(format!("use one of: {}", states.join(", ")))
            .into());
    }
    let fits = |wanted: &Option<String>, value: Option<&str>| {
        wanted.is_none() || wanted.as_deref() == value
    };
    let mut rows = hub
        .ledger(rec, |row| {
            let by_state = match &args.state {
                Some(state) => row.state == *state,
                None => args.all || row.state != "closed",
            };
            by_state
                && fits(&args.rule, Some(&row.rule))
                && fits(&args.owner, row.owner.as_deref())
                && fits(&args.system, Some(&row.system))
        })
        .await?;
    let count = rows.len();
    rows.truncate(args.limit);
    let fields: BTreeSet<&str> =
        rows.iter().filter_map(|row| row.difference.field.as_deref()).collect();
    let what = json!({ "door": DOOR, "columns": fields, "rows": rows.len() });
    hub.note_read(&setup.who(), "read", &format!("ledger {}", rec.name), what).await?;
    if printer.is_json() {
        printer.json(&json!({ "count": count, "differences": rows }));
        return Ok(());
    }
    for row in &rows {
        print_difference(printer, row);
    }
    let text = printer.pick("differences", "条差异");
    printer.note(&format!("{} / {count} {text}", rows.len()));
    Ok(())
}

fn print_difference(printer: Printer, aged: &AgedDifference) {
    let row = &aged.difference;
    let what = match &row.field {
        Some(field) => format!(
            "{field}: {} {} {} {} ({})",
            row.system,
            row.found.as_deref().unwrap_or("-"),
            printer.pick("instead of", "应为"),
            row.expected.as_deref().unwrap_or("-"),
            row.expected_from.as_deref().unwrap_or("-"),
        ),
        None => row
            .found
            .as_ref()
            .map_or_else(|| row.system.clone(), |found| format!("{} {found}", row.system)),
    };
    let age = aged.age_workdays.map_or_else(|| "-".to_owned(), |days| days.to_string());
    let days = printer.pick("working days", "个工作日");
    let owner = row.owner.as_deref().unwrap_or("-");
    let reason = row.reason.as_ref().map_or_else(String::new, |reason| format!("  {reason}"));
    printer.line(&format!(
        "{:<9} {:<22} {:<22} {what}  {owner}  {age} {days}{reason}",
        row.state, row.entity_key, row.rule
    ));
}

fn print_summary(printer: Printer, summary: &ReconcileSummary) {
    let run = summary.last_run.map_or_else(|| "-".to_owned(), |run| run.to_string());
    printer.line(&format!(
        "{} {} ({}): {} {}; {} {run}, {}",
        summary.name,
        summary.title,
        summary.table,
        summary.keys,
        printer.pick("keys", "个键"),
        printer.pick("run", "运行"),
        summary.last_run_at.as_deref().unwrap_or("-"),
    ));
    for (class, count) in summary.classes.iter().filter(|(_, count)| **count > 0) {
        let is_finding = summary.findings.contains(class);
        let note = if is_finding {
            printer.pick("  above its warn level", "  超过预警线")
        } else {
            ""
        };
        printer.line(&format!("  {class:<24} {count:>9}{note}"));
    }
    let states: Vec<String> =
        summary.states.iter().map(|(state, count)| format!("{state} {count}")).collect();
    printer.line(&format!("{}: {}", printer.pick("ledger", "差异台账"), states.join(", ")));
    for row in &summary.by_owner {
        let field = row.field.as_deref().unwrap_or_default();
        let oldest = row.oldest_workdays.map_or_else(|| "-".to_owned(), |days| days.to_string());
        printer.line(&format!(
            "  {:>7}  {} {field}  {}  {} {oldest} {}",
            row.differences,
            row.rule,
            row.owner,
            printer.pick("oldest", "最早的已"),
            printer.pick("working days", "个工作日"),
        ));
    }
    for code in &summary.unknown_codes {
        let text = |name: &str| code[name].as_str().unwrap_or_default().to_owned();
        printer.line(&format!(
            "  {}: {} {} `{}` ({} {})",
            printer.pick("unknown code", "未收录的代码"),
            text("system"),
            text("field"),
            text("code"),
            text("row_count"),
            printer.pick("rows", "行"),
        ));
    }
}

fn print_decided(printer: Printer, decided: &Decided) {
    printer.line(&format!(
        "{}: {}  ({} {})",
        decided.key,
        decided.class,
        printer.pick("computed by run", "由运行算出："),
        decided.run.as_deref().unwrap_or("-"),
    ));
    for system in &decided.systems {
        let state = if system.present {
            let row = system.row.as_deref().unwrap_or("-");
            let run = system.run.as_deref().unwrap_or("-");
            format!(
                "{} {row}, {} {run}, {} {}",
                printer.pick("row", "行"),
                printer.pick("run", "运行"),
                printer.pick("copies", "份数"),
                system.copies
            )
        } else {
            printer.pick("does not have it", "没有").to_owned()
        };
        printer.line(&format!("  {} ({}): {state}", system.system, system.title));
    }
    for field in &decided.fields {
        let mark = if field.differs == Some(true) { "*" } else { " " };
        let each: Vec<String> = field
            .values
            .iter()
            .map(|(system, value)| format!("{system}={}", value.as_str().unwrap_or("-")))
            .collect();
        printer.line(&format!(
            " {mark}{} ({}): {} <- {}  {}",
            field.field,
            field.title,
            field.value.as_deref().unwrap_or("-"),
            field.from.as_deref().unwrap_or("-"),
            each.join(" "),
        ));
    }
    for difference in &decided.differences {
        print_difference(printer, difference);
    }
}

/// Shows the whole life of one record.
pub(crate) async fn trace(setup: &Setup, key: &str, of: Option<&str>) -> Result<u8, Failure> {
    let hub = setup.open_existing().await?;
    let rec = hub.reconciliation(of)?;
    let mut entries = hub.trace(rec, key).await?;
    let mut columns: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for entry in &entries {
        let names = entry.details.iter().map(|detail| detail.name.as_str());
        columns.entry(entry.of.as_str()).or_default().extend(names);
    }
    let what = json!({ "door": DOOR, "columns": columns, "rows": entries.len() });
    hub.note_read(&setup.who(), "read", &format!("trace {} {key}", rec.name), what).await?;
    hub.close().await;
    for detail in entries.iter_mut().flat_map(|entry| &mut entry.details) {
        if let (Some(tag), Value::String(value)) = (&detail.tag, &detail.value) {
            detail.value = Value::String(mask(Some(tag), value.clone()));
        }
    }
    if setup.printer.is_json() {
        setup.printer.json(&json!({ "key": key, "entries": entries }));
    } else {
        entries.iter().for_each(|entry| print_entry(setup.printer, entry));
    }
    Ok(exit::DONE)
}

fn print_entry(printer: Printer, entry: &TraceEntry) {
    let kind = match entry.kind {
        "version" => printer.pick("received", "收到"),
        "decision" => printer.pick("decided", "认定"),
        "difference" => printer.pick("difference", "差异"),
        _ => printer.pick("push", "推送"),
    };
    let run = entry.run.map_or_else(String::new, |run| format!(" #{run}"));
    printer.line(&format!("{}  {kind} {}{run}", entry.at, entry.of));
    let details: Vec<String> = entry
        .details
        .iter()
        .map(|detail| match &detail.value {
            Value::String(text) => format!("{}={text}", detail.name),
            Value::Object(taken) => format!(
                "{}={} <- {}",
                detail.name,
                taken["value"].as_str().unwrap_or("-"),
                taken["from"].as_str().unwrap_or("-")
            ),
            other => format!("{}={other}", detail.name),
        })
        .collect();
    printer.line(&format!("    {}", details.join("  ")));
}
