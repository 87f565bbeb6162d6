//! `huiliu reconcile repair`: what would be corrected where, doing it, and taking it back.

use clap::{Args, Subcommand};
use huiliu_core::policy::exit;
use huiliu_runner::{
    LeftOut, RepairDone, RepairOrder, RepairPlan, RepairRecord, RepairScope, RepairStatus,
    RunOptions, RunReport, WhyLeftOut, WhyNotUndone,
};
use serde_json::json;

use crate::inspect::mask;
use crate::operate::stated;
use crate::output::Printer;
use crate::progress;
use crate::setup::{Failure, Setup};
use crate::work::{print_report, report_json};

#[derive(Debug, Subcommand)]
pub(crate) enum RepairCommand {
    /// Show what would be corrected where, with the hash that applies it. Sends nothing.
    Plan(PlanArgs),
    /// Send exactly what the plan of this hash showed; refused if it is no longer the present one.
    Apply {
        /// The plan's hash.
        hash: String,
        /// Why, for the audit.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Send back what the targets had before; records that changed since are left and named.
    Undo {
        /// The repair's hash.
        hash: String,
        /// Why, for the audit.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// The repairs that were planned and applied, and what became of their records.
    List,
}

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// Only differences of this entity, such as case.
    #[arg(long)]
    entity: Option<String>,
    /// Only those of this system.
    #[arg(long)]
    system: Option<String>,
    /// Only those of this rule, such as mismatch.
    #[arg(long)]
    rule: Option<String>,
    /// Only those of this key; columns of one key are joined by `|`.
    #[arg(long)]
    key: Option<String>,
    /// Print at most this many records; the hash is of all of them.
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

/// Plans, applies, undoes or lists repairs.
pub(crate) async fn repair(setup: &Setup, command: RepairCommand) -> Result<u8, Failure> {
    match command {
        RepairCommand::Plan(args) => plan(setup, args).await,
        RepairCommand::Apply { hash, reason } => send(setup, hash, false, &reason).await,
        RepairCommand::Undo { hash, reason } => send(setup, hash, true, &reason).await,
        RepairCommand::List => list(setup).await,
    }
}

async fn plan(setup: &Setup, args: PlanArgs) -> Result<u8, Failure> {
    let PlanArgs { entity, system, rule, key, limit } = args;
    let hub = setup.open_existing().await?;
    let mut plan = hub.plan_repair(RepairScope { entity, system, rule, key }).await?;
    hub.close().await;
    for change in plan.records.iter_mut().flat_map(|record| &mut record.changes) {
        let tag = change.tag.as_deref();
        change.before = change.before.take().map(|value| mask(tag, value));
        change.after = change.after.take().map(|value| mask(tag, value));
    }
    let count = plan.records.len();
    plan.records.truncate(limit);
    if setup.printer.is_json() {
        let mut json = json!(plan);
        json["count"] = json!(count);
        setup.printer.json(&json);
    } else {
        print_plan(setup.printer, &plan, count);
    }
    Ok(exit::DONE)
}

fn print_plan(printer: Printer, plan: &RepairPlan, count: usize) {
    plan.records.iter().for_each(|record| print_record(printer, record));
    for left in &plan.left_out {
        print_left(printer, left);
    }
    match &plan.hash {
        Some(hash) => {
            let records = printer.pick("records", "条记录");
            printer.line(&format!("{} / {count} {records}", plan.records.len()));
            let apply = printer.pick("to send them", "执行");
            printer.line(&format!("{apply}: huiliu reconcile repair apply {hash} --reason \"…\""));
        }
        None => printer.line(printer.pick("nothing to correct", "没有可以更正的记录")),
    }
}

fn print_record(printer: Printer, record: &RepairRecord) {
    let system = &record.system;
    printer.line(&format!("{}  {system}  {} -> {}", record.key, record.action, record.push));
    for row in &record.differences {
        let trusted = row.trusted.as_deref().unwrap_or("-");
        let reason = match &row.field {
            Some(_) => format!(
                "{} {trusted} ({})",
                printer.pick("trusted:", "以此为准："),
                row.trust.join(" > ")
            ),
            None => row.rule.clone(),
        };
        printer.line(&format!(
            "    {}: {} -> {}  {reason}",
            row.field.as_deref().unwrap_or(&row.rule),
            row.before.as_deref().unwrap_or("-"),
            row.after.as_deref().unwrap_or("-"),
        ));
    }
    for change in &record.changes {
        printer.line(&format!(
            "      {} {}: {} -> {}",
            printer.pick("sent", "发送"),
            change.column,
            change.before.as_deref().unwrap_or("-"),
            change.after.as_deref().unwrap_or("-"),
        ));
    }
    if let Some(refusal) = &record.refused_before {
        let text = printer.pick("the target refused it before:", "对方上次退回：");
        printer.line(&format!("      {text} {refusal}"));
    }
}

fn print_left(printer: Printer, left: &LeftOut) {
    let why = match left.why {
        WhyLeftOut::NoRepairs => printer.pick("no repairs are proposed to it", "该系统不代为更正"),
        WhyLeftOut::NoPush => printer.pick("no push corrects it", "没有可用的更正通道"),
        WhyLeftOut::SentByItself => printer.pick("a push brings it by itself", "由推送自动补报"),
        WhyLeftOut::NotLive => {
            printer.pick("the target is on trial, nothing goes there", "该系统尚在联调，不推送")
        }
        WhyLeftOut::Blocked => printer.pick("a blocking audit found rows", "阻断性检查未通过"),
        WhyLeftOut::OnItsWay => printer.pick("a record is on its way", "已有记录在途"),
        WhyLeftOut::NoRecord => {
            printer.pick("the push has no record for it", "推送的模型中没有这条记录")
        }
        WhyLeftOut::NothingToChange => {
            printer.pick("the target has the record already", "对方已是要发送的内容")
        }
    };
    let push = left.push.as_ref().map_or_else(String::new, |push| format!(" ({push})"));
    printer.line(&format!(
        "{} {}: {} {}: {why}{push}, {} {}",
        printer.pick("left out:", "不在内："),
        left.system,
        left.rule,
        left.differences,
        printer.pick("such as", "例如"),
        left.example
    ));
}

/// Applies a repair, or takes one back, in a run of the pushes it goes through.
async fn send(setup: &Setup, hash: String, undo: bool, reason: &str) -> Result<u8, Failure> {
    let reason = stated(reason)?.to_owned();
    let hub = setup.open_existing().await?;
    let order = RepairOrder { hash: hash.trim().to_owned(), undo, who: setup.who(), reason };
    let options = RunOptions { repair: Some(order), ..RunOptions::default() };
    let listener = progress::listener(setup.printer);
    let cancel = setup.cancel.clone();
    let report = Box::pin(hub.run_with("push.*", None, options, cancel, listener)).await?;
    hub.close().await;
    let printer = setup.printer;
    if printer.is_json() {
        let mut json = report_json(&report);
        json["repair"] = json!(report.repair);
        printer.json(&json);
    } else {
        print_sent(printer, &report);
    }
    let is_refused = report.repair.as_ref().is_some_and(|done| !done.refused.is_empty());
    Ok(if report.exit_code == exit::DONE && is_refused { exit::FINDINGS } else { report.exit_code })
}

fn print_sent(printer: Printer, report: &RunReport) {
    print_report(printer, report);
    let Some(RepairDone { hash, undo, queued, refused }) = &report.repair else { return };
    let what = if *undo {
        printer.pick("records sent back to what they were", "条记录已发回更正前的内容")
    } else {
        printer.pick("records sent", "条更正记录已发送")
    };
    printer.line(&format!("{hash}: {queued} {what}"));
    for record in refused {
        let why = match record.why {
            WhyNotUndone::Undone => printer.pick("undone already", "已经撤销过"),
            WhyNotUndone::Refused => {
                printer.pick("the target had refused it", "对方未接收，无需撤销")
            }
            WhyNotUndone::Open => printer.pick("no answer of the target yet", "对方尚未答复"),
            WhyNotUndone::HadNothing => printer.pick("was not there before", "更正前对方没有"),
            WhyNotUndone::Changed => printer.pick("has changed since", "之后又有变化"),
            WhyNotUndone::NotReadSince => printer.pick("was not read since", "更正后尚未重新读取"),
        };
        let left = printer.pick("left as it is:", "未撤销：");
        printer.line(&format!("  {left} {} ({}): {why}", record.key, record.push));
    }
}

async fn list(setup: &Setup) -> Result<u8, Failure> {
    let hub = setup.open_existing().await?;
    let repairs = hub.repairs().await?;
    hub.close().await;
    if setup.printer.is_json() {
        setup.printer.json(&json!({ "repairs": repairs }));
    } else {
        repairs.iter().for_each(|status| print_status(setup.printer, status));
    }
    Ok(exit::DONE)
}

fn print_status(printer: Printer, status: &RepairStatus) {
    let repair = &status.repair;
    let Some(at) = &repair.applied_at else {
        let planned = printer.pick("planned", "已拟定");
        printer.line(&format!("{}  {planned} {}", repair.hash, repair.planned_at));
        return;
    };
    printer.line(&format!(
        "{}  {} {at} {}: {} = {} {} + {} {} + {} {} + {} {}; {} {}  {}",
        repair.hash,
        printer.pick("applied", "已执行"),
        repair.applied_by.as_deref().unwrap_or("-"),
        status.records,
        printer.pick("accepted", "收下"),
        status.accepted,
        printer.pick("rejected", "退回"),
        status.rejected,
        printer.pick("waiting", "待答复"),
        status.waiting,
        printer.pick("unknown", "不明"),
        status.unknown,
        printer.pick("undone", "已撤销"),
        status.undone,
        repair.reason.as_deref().unwrap_or_default(),
    ));
}
