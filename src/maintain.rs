//! `huiliu maintain` and `huiliu doctor`: keeping the lake in order, and looking whether it is
//! what it should be.

use huiliu_core::duration::parse_duration;
use huiliu_core::policy::exit;
use huiliu_runner::{MaintainOptions, MaintainReport};
use serde_json::{Value, json};

use crate::cli::MaintainArgs;
use crate::output::Printer;
use crate::setup::{Failure, Setup};

/// Brings the lake in order, or says what is due.
pub(crate) async fn maintain(setup: &Setup, args: MaintainArgs) -> Result<u8, Failure> {
    let grace = args.grace.as_deref().map(parse_duration).transpose()?;
    let options = MaintainOptions { table: args.table, dry_run: args.dry_run, grace };
    let hub = setup.open_existing().await?;
    let report = hub.maintain(&options, None, setup.cancel.clone()).await?;
    hub.close().await;
    if setup.printer.is_json() {
        let mut value = serde_json::to_value(&report).unwrap_or_default();
        value["dry_run"] = Value::Bool(options.dry_run);
        setup.printer.json(&value);
    } else {
        print(setup.printer, &report, options.dry_run);
    }
    Ok(report.exit_code)
}

fn print(printer: Printer, report: &MaintainReport, dry_run: bool) {
    if let Some(run) = report.run_id {
        printer.line(&format!("run {run}: {}", report.state.as_str()));
    }
    if !report.tables.is_empty() {
        printer.line(&format!(
            "  {:<36} {:>12} {:>10} {:>10} {:>15} {:>7} {:>7}  {}",
            "table", "files", "rows", "history", "MiB", "orphans", "s", "why"
        ));
    }
    for table in &report.tables {
        let after = |text: String| if dry_run { String::new() } else { text };
        printer.line(&format!(
            "  {:<36} {:>12} {:>10} {:>10} {:>15} {:>7} {:>7.2}  {}",
            table.table,
            format!("{}{}", table.files_before, after(format!(" > {}", table.files_after))),
            table.rows,
            table.moved,
            format!(
                "{}{}",
                mebibytes(table.bytes_before),
                after(format!(" > {}", mebibytes(table.bytes_after)))
            ),
            table.orphans,
            table.seconds,
            table.reasons.join(", ")
        ));
        if let (Some(code), Some(message)) = (&table.code, &table.message) {
            printer.step_failure(code, message, None);
        }
    }
    printer.line(&format!(
        "  {} {}, {} {}",
        report.snapshots_expired,
        match dry_run {
            true => printer.pick("snapshots to expire", "个快照将过期"),
            false => printer.pick("snapshots expired", "个快照已过期"),
        },
        report.files_removed,
        match dry_run {
            true => printer.pick("files to remove", "个文件将删除"),
            false => printer.pick("files removed", "个文件已删除"),
        },
    ));
}

fn mebibytes(bytes: i64) -> String {
    let tenths = bytes * 10 / (1 << 20);
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// Looks at every file of the lake and says which are not what they should be.
pub(crate) async fn doctor(setup: &Setup) -> Result<u8, Failure> {
    let hub = setup.open_existing().await?;
    let found = hub.lake().verify().await?;
    let latest = hub.lake().latest_snapshot().await?;
    hub.close().await;
    if setup.printer.is_json() {
        let torn: Vec<Value> = found
            .torn
            .iter()
            .map(|file| {
                json!({
                    "code": "E-LAKE-TORN", "table": file.table, "snapshot": file.snapshot,
                    "file": file.file.display().to_string(), "fault": file.fault,
                })
            })
            .collect();
        setup.printer.json(&json!({ "lake": {
            "files": found.files, "bytes": found.bytes, "snapshot": latest, "torn": torn,
        }}));
    } else {
        for file in &found.torn {
            setup.printer.line(&format!(
                "{}: snapshot {}: {} {}",
                file.table,
                file.snapshot,
                file.file.display(),
                file.fault
            ));
        }
        let words = setup.printer.pick("files of the lake looked at", "个数据湖文件已检查");
        setup.printer.line(&format!(
            "{} {words} ({} MiB, {} {latest}), {} {}",
            found.files,
            mebibytes(found.bytes),
            setup.printer.pick("latest snapshot", "最新快照"),
            found.torn.len(),
            setup.printer.pick("torn", "个损坏")
        ));
    }
    match found.check() {
        Ok(()) => Ok(exit::DONE),
        Err(error) => {
            if !setup.printer.is_json() {
                setup.printer.error(&error);
            }
            Ok(exit::FAILED)
        }
    }
}
