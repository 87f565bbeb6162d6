//! `huiliu serve`: keeps the schedule and opens the doors.

use std::sync::Arc;

use huiliu_core::policy::exit;
use huiliu_runner::JobEvent;
use huiliu_sdk::{Error, ErrorKind};
use tokio::sync::Notify;

use huiliu_serve::PgOptions;

use crate::output::Printer;
use crate::setup::{Failure, Setup};
use crate::watch;
use crate::work::print_report;

/// Serves until a signal comes.
pub(crate) async fn serve(
    setup: &Setup,
    pgwire: Option<String>,
    metrics: Option<String>,
) -> Result<u8, Failure> {
    let hub = setup.open().await?;
    let _one = hub.serve_alone()?;
    hub.lake().verify_sizes().await?.check()?;
    let address = pgwire.unwrap_or_else(|| hub.project.hub.serve.pgwire.clone());
    let address = address.parse().map_err(|_| {
        Error::new(ErrorKind::Config, "E-ADDRESS", format!("`{address}` is no address"))
            .hint("write it such as 127.0.0.1:15432")
    })?;
    let token_file = setup.data.join("token");
    let token = huiliu_serve::token::load_or_create(&token_file)?;
    let options = PgOptions::new(address, token);
    let (server, door) =
        huiliu_serve::start(hub.engine.clone(), options, setup.cancel.clone()).await?;
    let printer = setup.printer;
    printer.note(&format!(
        "psql -h {} -p {} -U huiliu huiliu   ({} {})",
        server.address.ip(),
        server.address.port(),
        printer.pick("the password is the token in", "密码为令牌，见文件"),
        token_file.display()
    ));
    for job in &hub.project.jobs.jobs {
        match hub.next_runs(Some(&job.name), 1) {
            Ok(next) => {
                for next in next {
                    let at = next.at.format("%Y-%m-%d %H:%M %Z");
                    let label = printer.pick("next", "下次运行");
                    printer.note(&format!("{}: {label} {at}", job.name));
                }
            }
            // One whose calendar has ended leaves the others alone.
            Err(error) => printer.error(&error),
        }
    }
    let now = hub.clock().now();
    hub.project.calendar_warnings(now).iter().for_each(|warning| printer.error(warning));
    let address = metrics.as_ref().unwrap_or(&hub.project.hub.serve.metrics);
    let listener = match watch::metrics::open(address).await {
        Ok(listener) => listener,
        // A place that was asked for must be there; the work does not wait for the usual one.
        Err(error) if metrics.is_some() => return Err(error.into()),
        Err(error) => {
            printer.error(&error);
            None
        }
    };
    if let Some(listener) = &listener {
        printer.note(&format!("http://{}/metrics", listener.address));
    }
    let changed = Arc::new(Notify::new());
    let told = Arc::clone(&changed);
    let scheduler = hub.scheduler(move |event| {
        tell(printer, event);
        told.notify_one();
    })?;
    tokio::join!(
        door,
        scheduler.serve(setup.cancel.clone()),
        watch::watch(&hub, &changed, setup.cancel.clone()),
        watch::metrics::show(listener, &hub, setup.cancel.clone()),
    );
    hub.close().await;
    Ok(exit::INTERRUPTED)
}

/// Says what happened to a job.
fn tell(printer: Printer, event: JobEvent) {
    match event {
        JobEvent::Started { occurrence, attempt } => {
            let scheduled_at = occurrence.scheduled_at;
            tracing::info!(job = occurrence.job, scheduled_at, attempt, "job starts");
        }
        JobEvent::Ended { occurrence, state, report, error } => {
            let (job, at) = (&occurrence.job, &occurrence.scheduled_at);
            tracing::info!(job, scheduled_at = at, state = state.as_str(), "job ended");
            printer.line(&format!("{job} ({at}): {}", state.as_str()));
            if let Some(report) = report {
                print_report(printer, &report);
            }
            if let Some(error) = error {
                printer.error(&error);
            }
        }
        JobEvent::LeftOut { occurrence, state } => {
            let (job, at, state) = (occurrence.job, occurrence.scheduled_at, state.as_str());
            tracing::warn!(job, scheduled_at = at, state, "a time of a job is left out");
        }
        JobEvent::Missed { occurrence, count } => {
            let (job, at) = (occurrence.job, occurrence.scheduled_at);
            tracing::warn!(job, scheduled_at = at, count, "times passed that are not run");
        }
        JobEvent::Parked { job, deaths } => {
            let message = format!("the job {job} is parked: its process ended {deaths} times");
            printer.error(&Error::new(ErrorKind::Internal, "E-JOB-PARKED", message).hint(format!(
                "see the log and the memory of this machine, then `huiliu jobs unpark {job} \
                 --reason TEXT`"
            )));
        }
        JobEvent::Unknown { error, .. } => printer.error(&error),
    }
}
