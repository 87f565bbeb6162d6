//! `huiliu serve`: keeps the schedule and answers SQL over the Postgres wire.

use std::sync::Arc;
use std::time::Duration;

use huiliu_core::policy::exit;
use huiliu_runner::{Hub, RunOptions, Silent, Ticker};
use huiliu_sdk::{Error, ErrorKind};
use huiliu_serve::PgOptions;

use crate::setup::{Failure, Setup};
use crate::work::print_report;

/// How often the schedule is looked at; jobs are to the minute.
const TICK: Duration = Duration::from_secs(15);
/// How long a job waits before it looks again whether the data folder is free.
const BUSY_PAUSE: Duration = Duration::from_secs(2);
/// How long one statement may take.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(60);

/// Serves until a signal comes.
pub(crate) async fn serve(setup: &Setup, pgwire: Option<String>) -> Result<u8, Failure> {
    let hub = setup.open().await?;
    hub.lake().verify_sizes().await?.check()?;
    let address = pgwire.unwrap_or_else(|| hub.project.hub.serve.pgwire.clone());
    let address = address.parse().map_err(|_| {
        Error::new(ErrorKind::Config, "E-ADDRESS", format!("`{address}` is no address"))
            .hint("write it such as 127.0.0.1:15432")
    })?;
    let token_file = setup.data.join("token");
    let token = huiliu_serve::token::load_or_create(&token_file)?;
    let options = PgOptions { address, token, statement_timeout: STATEMENT_TIMEOUT };
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
    let ticker = Ticker::new(&hub)?;
    for (job, next) in ticker.upcoming(hub.clock().now()) {
        printer.note(&format!("{job}: {} {next}", printer.pick("next", "下次运行")));
    }
    tokio::join!(door, keep_schedule(setup, &hub, &ticker));
    hub.close().await;
    Ok(exit::INTERRUPTED)
}

async fn keep_schedule(setup: &Setup, hub: &Arc<Hub>, ticker: &Ticker) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = setup.cancel.cancelled() => return,
            _ = ticks.tick() => run_due(setup, hub, ticker).await,
        }
    }
}

/// Runs what is due. A job that fails is reported and the service goes on.
async fn run_due(setup: &Setup, hub: &Arc<Hub>, ticker: &Ticker) {
    let due = match ticker.due(hub).await {
        Ok(due) => due,
        Err(error) => return setup.printer.error(&error),
    };
    for job in due {
        tracing::info!(job = job.name, scheduled_at = %job.scheduled_at, "job starts");
        let report = loop {
            let cancel = setup.cancel.clone();
            let options = RunOptions { whole: job.whole, ..RunOptions::default() };
            let (name, silent) = (Some(job.name.as_str()), Arc::new(Silent));
            match Box::pin(hub.run_with(&job.selector, name, options, cancel, silent)).await {
                // Its time is claimed, so it waits for the run that somebody started by hand.
                Err(error) if error.code() == "E-LEASE-BUSY" && !setup.cancel.is_cancelled() => {
                    tokio::time::sleep(BUSY_PAUSE).await;
                }
                ended => break ended,
            }
        };
        match report {
            Ok(report) => {
                setup.printer.line(&format!("{} ({})", job.name, job.scheduled_at));
                print_report(setup.printer, &report);
            }
            Err(error) => setup.printer.error(&error),
        }
    }
}
