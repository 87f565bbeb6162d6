//! `huiliu run` and how a run is shown.

use huiliu_runner::RunReport;
use huiliu_store::StepRow;
use serde_json::{Value, json};

use crate::output::Printer;
use crate::progress;
use crate::setup::{Failure, Setup};

/// Runs what `selector` names.
pub(crate) async fn run(setup: &Setup, selector: &str) -> Result<u8, Failure> {
    let hub = setup.open().await?;
    let listener = progress::listener(setup.printer);
    let report = hub.run(selector, None, setup.cancel.clone(), listener).await?;
    hub.close().await;
    if setup.printer.is_json() {
        setup.printer.json(&report_json(&report));
    } else {
        print_report(setup.printer, &report);
    }
    Ok(report.exit_code)
}

/// A run as JSON: streams and pushes with their balances, everything else as steps.
pub(crate) fn report_json(report: &RunReport) -> Value {
    let of = |kind: &str| -> Vec<&StepRow> {
        report.steps.iter().filter(|step| step.kind == kind).collect()
    };
    let pushes: Vec<Value> = of("push")
        .into_iter()
        .map(|step| {
            json!({
                "node": step.node, "state": step.state, "sent": step.balance.read,
                "accepted": step.balance.written, "rejected": step.balance.filtered,
                "waiting": step.balance.unchanged, "code": step.code, "message": step.message,
            })
        })
        .collect();
    json!({
        "run_id": report.run_id,
        "state": report.state,
        "exit_code": report.exit_code,
        "streams": of("stream"),
        "models": of("model"),
        "metrics": of("metric"),
        "pushes": pushes,
        "maintenance": of("maintain"),
        "outbox": report.outbox,
    })
}

/// A run as tables.
pub(crate) fn print_report(printer: Printer, report: &RunReport) {
    printer.line(&format!("run {}: {}", report.run_id, report.state.as_str()));
    print_steps(printer, &report.steps);
}

/// Steps with their balances, one a line.
pub(crate) fn print_steps(printer: Printer, steps: &[StepRow]) {
    let streams: Vec<&StepRow> = steps.iter().filter(|step| step.kind == "stream").collect();
    if !streams.is_empty() {
        printer.line(&format!(
            "  {:<28} {:<10} {:>9} {:>9} {:>9} {:>7} {:>6} {:>7}",
            "stream", "state", "read", "written", "unchanged", "dedup", "quar", "deleted"
        ));
    }
    for step in streams {
        let b = &step.balance;
        printer.line(&format!(
            "  {:<28} {:<10} {:>9} {:>9} {:>9} {:>7} {:>6} {:>7}",
            step.node,
            step.state,
            b.read,
            b.written,
            b.unchanged,
            b.deduplicated,
            b.quarantined,
            b.deleted
        ));
        print_failure(printer, step);
    }
    for step in steps.iter().filter(|step| step.kind == "model" || step.kind == "metric") {
        if step.state == "unchanged" && step.balance.read == 0 {
            continue;
        }
        printer
            .line(&format!("  {:<28} {:<10} {:>9} rows", step.node, step.state, step.balance.read));
        print_failure(printer, step);
    }
    for step in steps.iter().filter(|step| step.kind == "push") {
        let b = &step.balance;
        printer.line(&format!(
            "  {:<28} {:<10} sent {} = accepted {} + rejected {} + waiting {}",
            step.node, step.state, b.read, b.written, b.filtered, b.unchanged
        ));
        print_failure(printer, step);
    }
    print_upkeep(printer, steps);
}

/// What maintenance did to each table.
fn print_upkeep(printer: Printer, steps: &[StepRow]) {
    for step in steps.iter().filter(|step| step.kind == "maintain") {
        let b = &step.balance;
        printer.line(&format!(
            "  {:<28} {:<10} {:>9} rows, {} moved to history",
            step.node, step.state, b.read, b.deleted
        ));
        print_failure(printer, step);
    }
}

fn print_failure(printer: Printer, step: &StepRow) {
    // What is blocked has nothing of its own to say; the cause stands above it.
    if step.state == "blocked" {
        return;
    }
    if let (Some(code), Some(message)) = (&step.code, &step.message) {
        printer.step_failure(code, message, step.hint.as_deref());
    }
}
