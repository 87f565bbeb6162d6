//! `huiliu push`: what was sent to which target, and what people decide about records of which
//! nobody knows whether they arrived.

use std::collections::BTreeMap;

use clap::{Args, Subcommand, ValueEnum};
use huiliu_core::policy::exit;
use huiliu_runner::{Decision, Deed};
use huiliu_sdk::{Error, ErrorKind};
use huiliu_store::{PushDay, SentRow};
use serde_json::json;

use crate::operate::stated;
use crate::output::Printer;
use crate::setup::{Failure, Setup};

/// Days of a push that are printed.
const DAYS: usize = 7;

#[derive(Debug, Subcommand)]
pub(crate) enum PushCommand {
    /// Each target by day: sent = accepted + rejected + waiting + unknown.
    List,
    /// Records of a push, without their content.
    Show {
        /// The push, as `system.push`.
        push: String,
        /// Only those in this state: waiting, delivered, accepted, rejected or unknown.
        #[arg(long)]
        state: Option<String>,
        /// At most this many.
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Decide about records of which nobody knows whether they arrived.
    Decide(DecideArgs),
}

#[derive(Debug, Args)]
pub(crate) struct DecideArgs {
    /// The push, as `system.push`.
    push: String,
    /// The records' numbers, as `push show` prints them.
    #[arg(required = true)]
    records: Vec<i64>,
    /// What becomes of them.
    #[arg(long = "as", value_enum, value_name = "WHAT")]
    decision: DecisionWord,
    /// Why, for the audit.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DecisionWord {
    /// The target has it.
    Arrived,
    /// The target does not have it: it is sent again with the next run.
    Again,
    /// It is not sent again.
    Dropped,
}

/// Lists and shows pushes, or decides about records.
pub(crate) async fn push(setup: &Setup, command: PushCommand) -> Result<u8, Failure> {
    let hub = setup.open_existing().await?;
    let printer = setup.printer;
    let code = match command {
        PushCommand::List => {
            let days = hub.push_days().await?;
            if printer.is_json() {
                let names = hub.push_names();
                printer.json(&json!({ "pushes": names, "days": days }));
            } else {
                print_days(printer, &hub.push_names(), &days);
            }
            // Said as loudly as a run says it, after what there is was shown.
            hub.check_all_sent().await?;
            exit::DONE
        }
        PushCommand::Show { push, state, limit } => {
            known_state(state.as_deref())?;
            let records = hub.sent_records(&push, state.as_deref(), limit).await?;
            if printer.is_json() {
                printer.json(&json!({ "push": push, "records": records }));
            } else {
                records.iter().for_each(|record| print_sent(printer, record));
            }
            exit::DONE
        }
        PushCommand::Decide(DecideArgs { push, records, decision, reason }) => {
            let who = setup.who();
            let deed = Deed { who: &who, reason: stated(&reason)? };
            let decision = match decision {
                DecisionWord::Arrived => Decision::Arrived,
                DecisionWord::Again => Decision::Again,
                DecisionWord::Dropped => Decision::Dropped,
            };
            let decided = hub.decide_records(&push, &records, decision, &deed).await?;
            if printer.is_json() {
                printer.json(&json!({ "push": push, "decided": decided }));
            } else {
                let text = printer.pick("records decided", "条记录已处理");
                printer.line(&format!("{push}: {} {text}", decided.len()));
            }
            exit::DONE
        }
    };
    hub.close().await;
    Ok(code)
}

fn known_state(state: Option<&str>) -> Result<(), Error> {
    let states = ["waiting", "delivered", "accepted", "rejected", "unknown"];
    match state.filter(|state| !states.contains(state)) {
        None => Ok(()),
        Some(state) => {
            let message = format!("no record is in the state `{state}`");
            Err(Error::new(ErrorKind::Config, "E-SELECTOR", message)
                .hint(format!("use one of: {}", states.join(", "))))
        }
    }
}

fn print_days(printer: Printer, names: &[String], days: &[PushDay]) {
    let mut by_push: BTreeMap<String, Vec<&PushDay>> =
        names.iter().map(|name| (name.clone(), Vec::new())).collect();
    for day in days {
        by_push.entry(format!("{}.{}", day.system, day.push)).or_default().push(day);
    }
    for (push, days) in by_push {
        if days.is_empty() {
            printer.line(&format!("{push}: {}", printer.pick("nothing sent yet", "尚未发送")));
            continue;
        }
        printer.line(&push);
        for day in days.iter().rev().take(DAYS).rev() {
            let wrong =
                if day.missing() == 0 { "" } else { printer.pick("  DOES NOT ADD UP", "  不平") };
            printer.line(&format!(
                "  {}  {} {} = {} {} + {} {} + {} {} + {} {}{wrong}",
                day.day,
                printer.pick("sent", "发送"),
                day.sent,
                printer.pick("accepted", "收下"),
                day.accepted,
                printer.pick("rejected", "退回"),
                day.rejected,
                printer.pick("waiting", "待答复"),
                day.waiting,
                printer.pick("unknown", "不明"),
                day.unknown,
            ));
        }
    }
}

fn print_sent(printer: Printer, record: &SentRow) {
    let words = [record.code.as_deref(), record.message.as_deref()];
    let words: Vec<&str> = words.into_iter().flatten().collect();
    printer.line(&format!(
        "{:>8}  {:<9} {:<24} {} {}  {} {}  {}",
        record.outbox_id,
        record.state,
        record.record_key,
        printer.pick("queued", "入列"),
        record.created_at,
        printer.pick("attempts", "次数"),
        record.attempts,
        words.join(" ")
    ));
}
