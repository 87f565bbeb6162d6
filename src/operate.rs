//! The operator's verbs: `state`, `audit`, `quarantine`.

use huiliu_runner::{Deed, Hub, OriginalView, ReplayReport, ResetTo, Selection, StreamView};
use huiliu_sdk::{Error, ErrorKind};
use huiliu_store::QuarantineRow;
use serde_json::{Value, json};

use crate::cli::{AuditCommand, QuarantineCommand, StateCommand};
use crate::inspect::mask;
use crate::output::Printer;
use crate::setup::{Failure, Setup};
use crate::work;

/// Shows where streams stand, or puts one elsewhere.
pub(crate) async fn state(setup: &Setup, command: StateCommand) -> Result<u8, Failure> {
    let hub = setup.open_existing().await?;
    let who = setup.who();
    let printer = setup.printer;
    match command {
        StateCommand::List => {
            let views = hub.stream_views().await?;
            if printer.is_json() {
                printer.json(&json!({ "streams": views }));
            } else {
                printer.line(&format!(
                    "{:<32} {:>6} {:>9} {:<24}  {}",
                    "stream", "commit", "snapshot", "at", "checkpoint"
                ));
                views.iter().for_each(|view| print_view(printer, view));
            }
        }
        StateCommand::Show { stream } => {
            let view = hub.stream_view(&stream).await?;
            if printer.is_json() {
                printer.json(&json!(view));
            } else {
                print_view(printer, &view);
                if let Some(checkpoint) = view.state.as_ref().and_then(|s| s.checkpoint.as_ref()) {
                    printer.json(&json!(checkpoint));
                }
                for commit in &view.commits {
                    printer.line(&format!(
                        "  commit {:>6}  snapshot {:>6}  run {:>5}  {}  {}",
                        commit.seq,
                        commit.snapshot_id,
                        commit.run_id,
                        commit.at,
                        notes(commit.checkpoint.as_ref())
                    ));
                }
            }
        }
        StateCommand::Set { stream, checkpoint, reason } => {
            let deed = Deed { who: &who, reason: stated(&reason)? };
            let state = hub.set_checkpoint(&stream, &checkpoint, &deed).await?;
            print_moved(printer, &stream, &json!(state), "reads on from there", "将从该处继续读取");
        }
        StateCommand::Reset { stream, to_snapshot, from_start: _, yes, reason } => {
            let deed = Deed { who: &who, reason: stated(&reason)? };
            let to = to_snapshot.map_or(ResetTo::Start, ResetTo::Snapshot);
            let state = hub.reset_stream(&stream, to, yes, &deed).await?;
            let (en, zh) = match to {
                ResetTo::Start => ("is read from the start next time", "下次将从头读取"),
                ResetTo::Snapshot(_) => {
                    ("goes on from the checkpoint of that commit", "将从该次提交的位置继续读取")
                }
            };
            print_moved(printer, &stream, &json!(state), en, zh);
        }
        StateCommand::Unpark { stream, reason } => {
            let deed = Deed { who: &who, reason: stated(&reason)? };
            hub.unpark_stream(&stream, &deed).await?;
            let unparked = json!({ "stream": stream, "parked": false });
            print_moved(printer, &stream, &unparked, "is tried again", "将重新尝试读取");
        }
    }
    hub.close().await;
    Ok(0)
}

/// A reason that says something.
pub(crate) fn stated(reason: &str) -> Result<&str, Error> {
    if reason.trim().is_empty() {
        return Err(Error::new(ErrorKind::Config, "E-REASON", "the reason is empty")
            .hint("say why in a few words: --reason \"restored the lake from last night\""));
    }
    Ok(reason.trim())
}

fn print_moved(printer: Printer, stream: &str, value: &Value, en: &'static str, zh: &'static str) {
    if printer.is_json() {
        printer.json(value);
    } else {
        printer.line(&format!("{stream} {}", printer.pick(en, zh)));
    }
}

fn print_view(printer: Printer, view: &StreamView) {
    let parked = if view.parked { printer.pick("  (parked)", "（已停放）") } else { "" };
    let gone = if view.configured {
        ""
    } else {
        printer.pick("  (not in the project)", "（已移出配置）")
    };
    match &view.state {
        Some(state) => printer.line(&format!(
            "{:<32} {:>6} {:>9} {:<24}  {}{parked}{gone}",
            view.stream,
            state.seq,
            state.snapshot_id,
            state.updated_at,
            notes(state.checkpoint.as_ref())
        )),
        None => printer.line(&format!(
            "{:<32} {:>6} {:>9} {:<24}  {}{parked}{gone}",
            view.stream,
            "-",
            "-",
            "-",
            printer.pick("never committed", "尚未提交过")
        )),
    }
}

/// A checkpoint on one line.
fn notes(checkpoint: Option<&huiliu_sdk::Checkpoint>) -> String {
    checkpoint.map_or_else(|| "-".to_owned(), |checkpoint| checkpoint.state.to_string())
}

/// Checks or lists the audit.
pub(crate) async fn audit(setup: &Setup, command: AuditCommand) -> Result<u8, Failure> {
    let hub = setup.open_existing().await?;
    let printer = setup.printer;
    match command {
        AuditCommand::List => {
            let rows = hub.lake().store().audit().await?;
            if printer.is_json() {
                printer.json(&json!({ "audit": rows }));
            } else {
                for row in &rows {
                    printer.line(&format!(
                        "{:>5}  {}  {:<20} {:<20} {}  {}",
                        row.audit_id, row.at, row.who, row.action, row.object, row.reason
                    ));
                }
            }
        }
        AuditCommand::Verify { expect } => {
            let check = hub.verify_audit(expect.as_deref()).await?;
            if printer.is_json() {
                printer.json(&json!(check));
            } else {
                printer.line(&format!(
                    "{}: {}  {}",
                    printer.pick("the audit holds", "审计记录完整"),
                    check.rows,
                    check.last_hash
                ));
            }
        }
    }
    hub.close().await;
    Ok(0)
}

/// Shows rows in quarantine, tries them again or discards one.
pub(crate) async fn quarantine(setup: &Setup, command: QuarantineCommand) -> Result<u8, Failure> {
    let hub = setup.open_existing().await?;
    let who = setup.who();
    let mut code = 0;
    match command {
        QuarantineCommand::List { stream, run, limit } => {
            let selection = Selection { stream, run, ids: Vec::new() };
            list_rows(setup.printer, &hub, &selection, limit).await?;
        }
        QuarantineCommand::Show { id, reveal, reason } => {
            let deed = Deed { who: &who, reason: reason.as_deref().unwrap_or_default() };
            show_row(setup.printer, &hub, id, reveal, &deed).await?;
        }
        QuarantineCommand::Replay { ids, stream, reason } => {
            let deed = Deed { who: &who, reason: reason.as_deref().unwrap_or_default() };
            let selection = Selection { stream, run: None, ids };
            let reports = hub.replay(&selection, &deed).await?;
            print_replays(setup.printer, &reports);
            if reports.iter().any(|report| report.step.balance.quarantined > 0) {
                code = huiliu_core::policy::exit::FINDINGS;
            }
        }
        QuarantineCommand::Discard { id, reason } => {
            let deed = Deed { who: &who, reason: stated(&reason)? };
            let row = hub.discard(id, &deed).await?;
            let (en, zh) = ("is out of quarantine for good", "已从隔离区永久移除");
            print_moved(setup.printer, &format!("#{id}"), &json!(row), en, zh);
        }
    }
    hub.close().await;
    Ok(code)
}

async fn list_rows(
    printer: Printer,
    hub: &Hub,
    selection: &Selection,
    limit: u32,
) -> Result<(), Error> {
    let store = hub.lake().store();
    let filter = selection.filter(hub)?;
    let counts = store.quarantine_counts(&filter).await?;
    let rows = store.quarantined(&filter, limit).await?;
    if printer.is_json() {
        printer.json(&json!({ "counts": counts, "rows": rows }));
        return Ok(());
    }
    for count in &counts {
        let stream = format!("{}.{}", count.system, count.stream);
        printer.line(&format!("{:>8}  {stream:<32} {}", count.rows, count.code));
    }
    for row in &rows {
        printer.line(&row_line(row));
    }
    let all: i64 = counts.iter().map(|count| count.rows).sum();
    if i64::try_from(rows.len()).unwrap_or(i64::MAX) < all {
        printer.note(&format!("({} of {all}; --limit shows more)", rows.len()));
    }
    Ok(())
}

fn row_line(row: &QuarantineRow) -> String {
    format!(
        "#{}  {}.{}  {}:{}  {}  {}  {}",
        row.quarantine_id,
        row.system,
        row.stream,
        row.origin,
        row.position,
        row.code,
        row.quarantined_at,
        row.reason
    )
}

/// The columns of a row in quarantine, personal data masked unless it is revealed.
pub(crate) fn shown_columns(
    hub: &Hub,
    view: &mut OriginalView,
    reveal: bool,
) -> Option<Vec<(String, Value)>> {
    let node = format!("{}.{}", view.row.system, view.row.stream);
    let settings = hub.find_stream(&node).map(|(_, settings)| settings.clone()).ok();
    let shown = |(name, value): (String, Option<String>)| {
        let tag = match &settings {
            Some(settings) => settings.columns.get(&name).and_then(|spec| spec.tag.as_deref()),
            // Nobody says any more which columns are personal data.
            None => Some(""),
        };
        let tag = tag.filter(|_| !reveal);
        let value = value.map_or(Value::Null, |value| Value::String(mask(tag, value)));
        (name, value)
    };
    view.columns.take().map(|columns| columns.into_iter().map(shown).collect())
}

async fn show_row(
    printer: Printer,
    hub: &Hub,
    id: i64,
    reveal: bool,
    deed: &Deed<'_>,
) -> Result<(), Error> {
    let mut view = hub.quarantined_original(id).await?;
    if reveal {
        hub.note_reveal(&view, deed).await?;
    }
    let shown: Value = match shown_columns(hub, &mut view, reveal) {
        Some(columns) => columns.into_iter().collect(),
        None if reveal => Value::String(view.text),
        // A line without columns may hold anything.
        None => Value::String("***".into()),
    };
    if printer.is_json() {
        printer.json(&json!({ "row": view.row, "values": shown, "masked": !reveal }));
        return Ok(());
    }
    printer.line(&row_line(&view.row));
    match shown {
        Value::Object(columns) => {
            for (name, value) in columns {
                printer.line(&format!("  {name} = {value}"));
            }
        }
        other => printer.line(&format!("  {other}")),
    }
    Ok(())
}

fn print_replays(printer: Printer, reports: &[ReplayReport]) {
    if printer.is_json() {
        printer.json(&json!({ "replays": reports }));
        return;
    }
    if reports.is_empty() {
        printer.line(printer.pick("nothing is in quarantine", "隔离区中没有数据"));
    }
    for report in reports {
        let steps = std::slice::from_ref(&report.step);
        printer.line(&format!("run {}: {}", report.run_id, report.step.state));
        work::print_steps(printer, steps);
        work::print_sums(printer, steps);
        if report.not_replayable > 0 {
            printer.note(&format!(
                "{} {}",
                report.not_replayable,
                printer.pick(
                    "rows could not be told apart into columns when they came, so they cannot be \
                     tried again",
                    "行在接收时无法拆分为列，不能重试"
                )
            ));
        }
    }
}
