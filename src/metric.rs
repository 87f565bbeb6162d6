//! The verbs on figures: show them, open them, explain, seal and verify them.

use arrow::record_batch::RecordBatch;
use huiliu_core::model::Unit;
use huiliu_core::policy::exit;
use huiliu_engine::{Breakdown, Explanation, Figure};
use huiliu_runner::{Deed, Hub, SealCheck, verdict_text};
use huiliu_store::SealedFigure;
use serde_json::json;

use crate::cli::{MetricCommand, Part};
use crate::operate::stated;
use crate::output::Printer;
use crate::query::DOOR;
use crate::setup::{Failure, Setup};

/// Does what was asked with figures.
pub(crate) async fn metric(setup: &Setup, command: MetricCommand) -> Result<u8, Failure> {
    let hub = setup.open_existing().await?;
    let printer = setup.printer;
    let mut code = exit::DONE;
    match command {
        MetricCommand::Show { key: Some(key), snapshot, by } if !by.is_empty() => {
            let session = hub.engine.session(snapshot).await?;
            let metric = hub.metric(&key)?;
            let breakdown = session.breakdown(metric, &hub.today(), &by).await?;
            print_breakdown(printer, &breakdown);
        }
        MetricCommand::Show { key, snapshot, by: _ } => {
            let session = hub.engine.session(snapshot).await?;
            let figures = match key {
                Some(key) => vec![session.figure(hub.metric(&key)?, &hub.today()).await?],
                None => hub.figures(&session).await?,
            };
            if snapshot.is_none() {
                for figure in &figures {
                    note_audits(printer, &hub, &figure.key).await?;
                }
            }
            if printer.is_json() {
                printer.json(&json!({ "figures": figures }));
            } else {
                figures.iter().for_each(|figure| print_figure(printer, figure));
            }
        }
        MetricCommand::Rows { key, of, limit, snapshot } => {
            let session = hub.engine.session(snapshot).await?;
            let numerator = of == Part::Numerator;
            let metric = hub.metric(&key)?;
            let rows = session.figure_rows(metric, &hub.today(), numerator, Some(limit)).await?;
            let what = json!({ "door": DOOR, "columns": names(&rows), "rows": count(&rows) });
            hub.note_read(&setup.who(), "read", &format!("metrics.{key}"), what).await?;
            printer.rows(&rows)?;
        }
        MetricCommand::Explain { key, from, to } => {
            let explanation = hub.explain_figure(&key, &from, to.as_deref()).await?;
            print_explanation(printer, &explanation);
        }
        MetricCommand::Seal { key, snapshot, reason } => {
            let who = setup.who();
            let deed = Deed { who: &who, reason: stated(&reason)? };
            let seal = hub.seal_figure(&key, snapshot, &deed).await?;
            if printer.is_json() {
                printer.json(&json!(seal));
            } else {
                print_seal(printer, &seal);
            }
        }
        MetricCommand::Seals { key } => {
            let seals = hub.seals(key.as_deref()).await?;
            if printer.is_json() {
                printer.json(&json!({ "seals": seals }));
            } else {
                seals.iter().for_each(|seal| print_seal(printer, seal));
            }
        }
        MetricCommand::Verify { which } => {
            let checks = hub.verify_seals(which.as_deref()).await?;
            if checks.iter().any(|check| !check.faults.is_empty()) {
                code = exit::FAILED;
            }
            if printer.is_json() {
                printer.json(&json!({ "seals": checks }));
            } else {
                checks.iter().for_each(|check| print_check(printer, check));
            }
        }
    }
    hub.close().await;
    Ok(code)
}

/// The columns of rows, for the audit.
pub(crate) fn names(rows: &[RecordBatch]) -> Vec<String> {
    let first = rows.first().map(RecordBatch::schema);
    let names = first.iter().flat_map(|schema| schema.fields().iter());
    names.map(|field| field.name().clone()).collect()
}

/// How many rows there are.
pub(crate) fn count(rows: &[RecordBatch]) -> usize {
    rows.iter().map(RecordBatch::num_rows).sum()
}

/// Says which audits keep a figure from being computed by runs: what is shown counts their rows.
async fn note_audits(printer: Printer, hub: &Hub, key: &str) -> Result<(), Failure> {
    for verdict in hub.held_back(key).await? {
        printer.note(&format!(
            "{key}: {} {}: {}",
            printer.pick("held back by", "核验未通过，不予发布："),
            verdict.audit,
            verdict_text(&verdict)
        ));
    }
    Ok(())
}

fn sign(unit: Unit) -> &'static str {
    if unit == Unit::Percent { " %" } else { "" }
}

/// A value with its parts: `99.97 % = 52337 / 52353`.
pub(crate) fn equation(
    unit: Unit,
    value: Option<&str>,
    numerator: i64,
    denominator: Option<i64>,
) -> String {
    let parts = match denominator {
        Some(denominator) => format!(" = {numerator} / {denominator}"),
        None => String::new(),
    };
    format!("{}{}{parts}", value.unwrap_or("-"), sign(unit))
}

fn of_figure(figure: &Figure) -> String {
    equation(figure.unit, figure.value.as_deref(), figure.numerator, figure.denominator)
}

fn print_figure(printer: Printer, figure: &Figure) {
    printer.line(&format!("{:<20} {}  {}", figure.key, figure.title, of_figure(figure)));
    printer.line(&format!("  {}", figure.definition));
    printer.line(&format!(
        "  {} {}; {} {}; {} {}",
        printer.pick("valid from", "生效日期"),
        figure.valid_from,
        printer.pick("owner", "负责"),
        figure.owner,
        printer.pick("snapshot", "快照"),
        figure.snapshot
    ));
}

fn print_breakdown(printer: Printer, breakdown: &Breakdown) {
    if printer.is_json() {
        printer.json(&json!(breakdown));
        return;
    }
    print_figure(printer, &breakdown.figure);
    for group in &breakdown.groups {
        let names: Vec<&str> = group.of.iter().map(|name| name.as_deref().unwrap_or("-")).collect();
        let unit = breakdown.figure.unit;
        let value = equation(unit, group.value.as_deref(), group.numerator, group.denominator);
        printer.line(&format!("  {:<32} {value}", names.join(" | ")));
    }
}

fn print_explanation(printer: Printer, explanation: &Explanation) {
    if printer.is_json() {
        printer.json(&json!(explanation));
        return;
    }
    let Explanation { from, to, .. } = explanation;
    let change = |rounded: Option<&str>, exact: Option<String>| match (rounded, exact) {
        (Some(rounded), Some(exact)) => {
            let plus = if exact.starts_with('-') || exact == "0" { "" } else { "+" };
            format!("{plus}{rounded}  ({plus}{exact})")
        }
        _ => "-".to_owned(),
    };
    printer.line(&format!("{}  {}", from.key, from.title));
    let row = |name: &str, rows: String, counts: String, change: String| {
        printer.line(&format!("  {name:<12} {rows:>10}  {counts:<36} {change}"));
    };
    row(
        printer.pick("before", "之前"),
        String::new(),
        of_figure(from),
        format!("{} {}", printer.pick("snapshot", "快照"), from.snapshot),
    );
    for step in &explanation.steps {
        let name = match step.step {
            "definition" => printer.pick("definition", "口径变更"),
            "gone" => printer.pick("gone", "消失"),
            "corrected" => printer.pick("corrected", "更正"),
            _ => printer.pick("new", "新增"),
        };
        let counts = match step.denominator {
            Some(denominator) => format!("{} / {denominator}", step.numerator),
            None => step.numerator.to_string(),
        };
        let exact = step.exact_change.map(|exact| exact.to_string());
        row(name, step.rows.to_string(), counts, change(step.change.as_deref(), exact));
    }
    let exact = explanation.exact_change.map(|exact| exact.to_string());
    row(
        printer.pick("after", "之后"),
        String::new(),
        of_figure(to),
        format!(
            "{} {}: {}",
            printer.pick("snapshot", "快照"),
            to.snapshot,
            change(explanation.change.as_deref(), exact)
        ),
    );
    if from.valid_from != to.valid_from {
        printer.line(&format!(
            "  {} ({}): {}",
            printer.pick("old definition", "原口径"),
            from.valid_from,
            from.definition
        ));
        printer.line(&format!(
            "  {} ({}): {}",
            printer.pick("new definition", "新口径"),
            to.valid_from,
            to.definition
        ));
    }
}

fn print_seal(printer: Printer, seal: &SealedFigure) {
    let parts = match seal.denominator {
        Some(denominator) => format!(" = {} / {denominator}", seal.numerator),
        None => String::new(),
    };
    printer.line(&format!(
        "{:>5}  {:<20} {}{parts}  {} {}  {} {}  {} {}  {}",
        seal.seal_id,
        seal.metric,
        seal.value.as_deref().unwrap_or("-"),
        printer.pick("snapshot", "快照"),
        seal.snapshot_id,
        printer.pick("rows", "行数"),
        seal.row_count,
        seal.sealed_at,
        seal.sealed_by,
        seal.reason
    ));
}

fn print_check(printer: Printer, check: &SealCheck) {
    print_seal(printer, &check.seal);
    if check.faults.is_empty() {
        printer.line(&format!(
            "       {} {}",
            printer.pick("holds, counted again:", "封存有效，重算结果："),
            check.recounted.as_deref().unwrap_or("-")
        ));
    }
    for fault in &check.faults {
        printer.line(&format!("       {} {fault}", printer.pick("does not hold:", "封存失效：")));
    }
}
