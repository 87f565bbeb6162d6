//! `huiliu jobs`: when each job runs next, how it last ended, running one by hand.

use clap::Subcommand;
use huiliu_runner::{Deed, Hub, JobView};
use huiliu_sdk::{Clock, SystemClock};
use serde_json::json;

use crate::operate::stated;
use crate::output::Printer;
use crate::progress;
use crate::setup::{Failure, Setup};
use crate::work::{print_report, report_json};

/// What `huiliu jobs` does.
#[derive(Debug, Subcommand)]
pub(crate) enum JobsCommand {
    /// The next times, of all jobs or of one.
    Next {
        /// The job; all without it.
        job: Option<String>,
        /// How many.
        #[arg(long, default_value_t = 10, value_name = "N")]
        count: usize,
    },
    /// All jobs: next time, how each stands, how it last ended.
    List,
    /// What became of each time of a job, newest first.
    History {
        /// The job; all without it.
        job: Option<String>,
        /// How many.
        #[arg(long, default_value_t = 20, value_name = "N")]
        limit: u32,
    },
    /// Run what a job runs, now.
    Run {
        /// The job.
        job: String,
    },
    /// Let a job run again that was parked because its process ended in the middle of it.
    Unpark {
        /// The job.
        job: String,
        /// Why, for the audit.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

/// Looks at the jobs, or runs one.
pub(crate) async fn jobs(setup: &Setup, command: JobsCommand) -> Result<u8, Failure> {
    let printer = setup.printer;
    match command {
        JobsCommand::Next { job, count } => next(setup, job.as_deref(), count),
        JobsCommand::List => {
            let hub = setup.open().await?;
            let views = hub.job_views().await?;
            if printer.is_json() {
                printer.json(&json!({ "jobs": views }));
            } else {
                list(printer, &views);
            }
            hub.close().await;
            Ok(0)
        }
        JobsCommand::History { job, limit } => {
            let hub = setup.open().await?;
            history(printer, &hub, job.as_deref(), limit).await?;
            hub.close().await;
            Ok(0)
        }
        JobsCommand::Run { job } => {
            let hub = setup.open().await?;
            let listener = progress::listener(printer);
            let report = Box::pin(hub.run_job(&job, setup.cancel.clone(), listener)).await?;
            hub.close().await;
            if printer.is_json() {
                printer.json(&report_json(&report));
            } else {
                print_report(printer, &report);
            }
            Ok(report.exit_code)
        }
        JobsCommand::Unpark { job, reason } => {
            let hub = setup.open_existing().await?;
            let who = setup.who();
            hub.unpark_job(&job, &Deed { who: &who, reason: stated(&reason)? }).await?;
            if printer.is_json() {
                printer.json(&json!({ "job": job, "parked": false }));
            } else {
                let done = printer.pick("runs again at its next time", "将在下一次到点时运行");
                printer.line(&format!("{job} {done}"));
            }
            hub.close().await;
            Ok(0)
        }
    }
}

/// Needs no data: the times follow from the configuration alone.
fn next(setup: &Setup, job: Option<&str>, count: usize) -> Result<u8, Failure> {
    let project = setup.load()?;
    let now = SystemClock.now();
    let runs = project.next_runs(job, now, count)?;
    let warnings = project.calendar_warnings(now);
    if setup.printer.is_json() {
        let warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
        setup.printer.json(&json!({ "next": runs, "warnings": warnings }));
    } else {
        for run in &runs {
            setup.printer.line(&format!("{}  {}", run.at.format("%Y-%m-%d %a %H:%M %Z"), run.job));
        }
        warnings.iter().for_each(|error| setup.printer.error(error));
    }
    Ok(0)
}

fn list(printer: Printer, views: &[JobView]) {
    printer.line(&format!(
        "{:<24} {:<18} {:<22} {:<10} {:<22}  {}",
        "job", "cron", "next", "state", "last", "result"
    ));
    for view in views {
        let next = view.next.map_or("-".into(), |at| at.format("%Y-%m-%d %H:%M %Z").to_string());
        let state = match (&view.parked_at, &view.open) {
            (Some(_), _) => "parked",
            (None, Some(open)) => open.state.as_str(),
            (None, None) => "-",
        };
        let (last, result) = match &view.last {
            None => ("-", "-".to_owned()),
            Some(last) => {
                let code = last.code.as_deref().map(|code| format!(" {code}"));
                let run = last.run_id.map(|run| format!(" (run {run})"));
                let parts = [Some(last.state.clone()), code, run];
                (last.occurrence.scheduled_at.as_str(), parts.into_iter().flatten().collect())
            }
        };
        printer.line(&format!(
            "{:<24} {:<18} {next:<22} {state:<10} {last:<22}  {result}",
            view.job, view.cron
        ));
        if let Some(warning) = &view.warning {
            printer.line(&format!("    {} {warning}", printer.pick("note:", "提示：")));
        }
        if view.parked_at.is_some() {
            let hint = printer.pick("runs again after", "恢复运行：");
            printer.line(&format!("    {hint} `huiliu jobs unpark {} --reason TEXT`", view.job));
        }
    }
}

async fn history(
    printer: Printer,
    hub: &Hub,
    job: Option<&str>,
    limit: u32,
) -> Result<(), Failure> {
    let rows = hub.lake().store().occurrences(job, limit).await?;
    if printer.is_json() {
        printer.json(&json!({ "occurrences": rows }));
        return Ok(());
    }
    for row in rows {
        let run = row.run_id.map_or(String::new(), |run| format!("run {run}"));
        let missed = match row.missed {
            0 => String::new(),
            missed => format!("  {missed} {}", printer.pick("missed before it", "次错过")),
        };
        printer.line(&format!(
            "{}  {:<24} {:<10} {} × {:<10} {}{missed}",
            row.occurrence.scheduled_at,
            row.occurrence.job,
            row.state,
            row.attempts,
            run,
            row.code.as_deref().unwrap_or_default()
        ));
    }
    Ok(())
}
