//! `huiliu run` and how a run is shown.

use huiliu_runner::{BackfillOptions, GuardPlan, RunOptions, RunReport};
use huiliu_store::StepRow;
use serde_json::{Value, json};

use crate::output::Printer;
use crate::progress;
use crate::setup::{Failure, Setup};

/// Runs what `selector` names; plans with one of the accepted hashes pass the guards.
pub(crate) async fn run(setup: &Setup, selector: &str, options: RunOptions) -> Result<u8, Failure> {
    let hub = setup.open().await?;
    let listener = progress::listener(setup.printer);
    let cancel = setup.cancel.clone();
    let report = Box::pin(hub.run_with(selector, None, options, cancel, listener)).await?;
    hub.close().await;
    if setup.printer.is_json() {
        setup.printer.json(&report_json(&report));
    } else {
        print_report(setup.printer, &report);
    }
    Ok(report.exit_code)
}

/// Reads the past of a stream again, a window at a time.
pub(crate) async fn backfill(setup: &Setup, options: &BackfillOptions) -> Result<u8, Failure> {
    let hub = setup.open().await?;
    let listener = progress::listener(setup.printer);
    let report = Box::pin(hub.backfill(options, setup.cancel.clone(), listener)).await?;
    hub.close().await;
    let printer = setup.printer;
    if printer.is_json() {
        let windows: Vec<Value> = report
            .windows
            .iter()
            .map(|w| {
                let (from, to) = (w.from.to_string(), w.to.to_string());
                json!({ "from": from, "to": to, "run": report_json(&w.run) })
            })
            .collect();
        printer.json(&json!({
            "resumed_at": report.resumed_at.to_string(),
            "windows": windows,
            "built": report.built.as_ref().map(report_json),
            "exit_code": report.exit_code,
        }));
        return Ok(report.exit_code);
    }
    if report.resumed_at > options.from {
        let note = printer.pick("goes on from", "从上次停止处继续：");
        printer.line(&format!("{note} {}", report.resumed_at));
    }
    for window in &report.windows {
        printer.line(&format!("{} .. {}", window.from, window.to));
        print_report(printer, &window.run);
    }
    if let Some(built) = &report.built {
        print_report(printer, built);
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
        "reconciliations": of("reconcile"),
        "audits": of("audit").into_iter().map(|step| audit_json(report, step)).collect::<Vec<_>>(),
        "metrics": of("metric"),
        "pushes": pushes,
        "maintenance": of("maintain"),
        "reports": of("report"),
        "outbox": report.outbox,
        "plans": report.plans,
        "unused_accepts": report.unused_accepts,
    })
}

/// An audit's step with what it found; null where it could not look.
fn audit_json(report: &RunReport, step: &StepRow) -> Value {
    let verdict = report.audits.iter().find(|verdict| verdict.audit == step.node);
    let examples = verdict.and_then(|v| serde_json::from_str::<Value>(&v.examples).ok());
    json!({
        "node": step.node, "state": step.state,
        "severity": verdict.map(|v| &v.severity), "rows": verdict.map(|v| v.row_count),
        "examples": examples, "found_in_run": verdict.map(|v| v.run_id),
        "code": step.code, "message": step.message, "hint": step.hint,
    })
}

/// A run as tables.
pub(crate) fn print_report(printer: Printer, report: &RunReport) {
    printer.line(&format!("run {}: {}", report.run_id, report.state.as_str()));
    print_steps(printer, &report.steps);
    for plan in &report.plans {
        let mut what = plan.changes.clone();
        if plan.kind != "drift" {
            let GuardPlan { rows_before, rows_after, deleted, .. } = plan;
            what.insert(0, format!("{rows_before} -> {rows_after} rows, {deleted} deleted"));
        }
        printer.line(&format!(
            "  {} {} ({}): {}",
            printer.pick("stopped:", "已拦截："),
            plan.node,
            plan.kind,
            what.join("; ")
        ));
        printer.line(&format!("    --accept {}", plan.hash));
    }
    for hash in &report.unused_accepts {
        let note = printer.pick(
            "no plan of this run has the accepted hash; its numbers, or the table, have changed:",
            "本次运行没有与所放行的哈希相符的计划（行数或数据表已变化）：",
        );
        printer.line(&format!("  {note} {hash}"));
    }
}

/// Steps with their balances, one a line.
pub(crate) fn print_steps(printer: Printer, steps: &[StepRow]) {
    let is_read = |step: &&StepRow| matches!(step.kind.as_str(), "stream" | "replay");
    let streams: Vec<&StepRow> = steps.iter().filter(is_read).collect();
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
    for step in steps.iter().filter(|step| step.kind == "reconcile") {
        let b = &step.balance;
        printer.line(&format!(
            "  {:<28} {:<10} {:>9} keys = written {} + unchanged {}",
            step.node, step.state, b.read, b.written, b.unchanged
        ));
        print_failure(printer, step);
    }
    for step in steps.iter().filter(|step| step.kind == "audit") {
        printer.line(&format!("  {:<28} {}", step.node, step.state));
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
    for step in steps.iter().filter(|step| step.kind == "report") {
        printer.line(&format!("  {:<28} {:<10}", step.node, step.state));
        print_failure(printer, step);
    }
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
    if step.state == "blocked" && step.code.as_deref() == Some("E-BLOCKED") {
        return;
    }
    match (&step.code, &step.message) {
        (Some(code), Some(message)) => {
            printer.step_failure(code, message, step.hint.as_deref());
        }
        (None, Some(message)) => {
            printer.line(&format!("    {} {message}", printer.pick("note:", "提示：")));
        }
        _ => {}
    }
}

/// The balance of each stream as the sum it has to be; says whether all of them hold.
pub(crate) fn print_sums(printer: Printer, steps: &[StepRow]) -> bool {
    let mut hold = true;
    for step in steps.iter().filter(|step| matches!(step.kind.as_str(), "stream" | "replay")) {
        let b = &step.balance;
        let is_even = b.check().is_ok();
        hold &= is_even;
        let verdict = if is_even { "" } else { printer.pick("  DOES NOT BALANCE", "  不平") };
        printer.line(&format!(
            "  {}: read {} = written {} + unchanged {} + deduplicated {} + filtered {} + \
             quarantined {}{}{verdict}",
            step.node,
            b.read,
            b.written,
            b.unchanged,
            b.deduplicated,
            b.filtered,
            b.quarantined,
            // Only streams of systems that are also targets have any.
            if b.echoed == 0 { String::new() } else { format!(" + echoed {}", b.echoed) }
        ));
    }
    hold
}
