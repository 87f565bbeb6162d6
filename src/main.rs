//! Huiliu (汇流), the data hub of a city's government-service data office: parse the arguments,
//! wire the crates together, run one command.

mod cases;
mod cli;
mod daemon;
#[cfg(feature = "demo")]
mod demo;
mod discover;
mod doors;
mod inspect;
mod jobs;
mod language;
mod log;
mod maintain;
mod metric;
mod operate;
mod output;
mod pairs;
mod plan;
mod preset;
mod progress;
mod push;
mod query;
mod reconcile;
mod registry;
mod repair;
mod report;
mod secret;
mod setup;
mod statement;
mod systems;
mod toml;
mod user;
mod watch;
mod work;

use std::process::ExitCode;

use clap::Parser;
use huiliu_core::policy::{self, exit};
use tokio_util::sync::CancellationToken;

use crate::cli::{Cli, Command, Environment, InitCommand};
use crate::output::Printer;
use crate::setup::{Failure, Setup};

fn main() -> ExitCode {
    let _faults = huiliu_lake::fault::Faults::of_environment();
    let cli = Cli::parse();
    let environment = Environment::of_process();
    let printer = Printer::new(cli.global.output, environment.language(cli.global.lang));
    log::start(&cli, &environment);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            printer.error(&huiliu_sdk::Error::internal("the runtime could not start").cause(error));
            return ExitCode::from(exit::FAILED);
        }
    };
    let code = runtime.block_on(async {
        let cancel = CancellationToken::new();
        let signals = tokio::spawn(setup::listen_for_signals(cancel.clone()));
        let setup = Setup::new(&cli.global, environment, printer, cancel.clone());
        // The future of a whole command is large; the heap is the place for it.
        let result = Box::pin(dispatch(cli.command, setup)).await;
        let code = match result {
            Ok(code) => code,
            Err(Failure::Faults(faults)) => {
                printer.faults(&faults);
                exit::CONFIG
            }
            Err(Failure::Error(error)) => {
                printer.error(&error);
                policy::exit_code(&error)
            }
        };
        if cancel.is_cancelled() && code == exit::INTERRUPTED {
            return signals.await.unwrap_or(exit::INTERRUPTED);
        }
        code
    });
    // Work that was told to stop and is on a blocking thread must not hold the exit up.
    runtime.shutdown_background();
    ExitCode::from(code)
}

async fn dispatch(command: Command, setup: Setup) -> Result<u8, Failure> {
    match command {
        Command::Init { what: Some(InitCommand::System(args)), .. } => {
            discover::init_system(&setup, &args)
        }
        Command::Init { folder, what: None } => inspect::init(&setup, &folder),
        Command::Check { expanded: None } => inspect::check(&setup),
        Command::Check { expanded: Some(system) } => preset::expanded(&setup, &system),
        Command::Presets { name } => preset::presets(&setup, name.as_deref()),
        Command::Discover(args) => discover::discover(&setup, args).await,
        Command::Preview { stream, rows } => inspect::preview(&setup, &stream, rows).await,
        Command::Plan { live, examples } => plan::plan(&setup, live, examples).await,
        Command::Run { selector, accept, during_quiet_hours, whole, plan } => {
            let options = huiliu_runner::RunOptions {
                during_quiet_hours,
                accepted: accept,
                whole,
                plan,
                ..Default::default()
            };
            work::run(&setup, &selector.join(" "), options).await
        }
        Command::Backfill { stream, from, to, window, restart, no_build } => {
            let build = !no_build;
            let options =
                huiliu_runner::BackfillOptions { stream, from, to, days: window, restart, build };
            work::backfill(&setup, &options).await
        }
        Command::Query { sql, snapshot, limit } => {
            query::query(&setup, &sql, snapshot, limit).await
        }
        Command::Systems => systems::systems(&setup).await,
        Command::Metric(command) => metric::metric(&setup, command).await,
        Command::Test { filter, update } => cases::test(&setup, filter.as_deref(), update).await,
        Command::Push(command) => push::push(&setup, command).await,
        Command::Reconcile(command) => reconcile::reconcile(&setup, command).await,
        Command::Trace { key, of } => reconcile::trace(&setup, &key, of.as_deref()).await,
        Command::Report(command) => report::report(&setup, command).await,
        Command::Runs { command } => query::runs(&setup, command).await,
        Command::State(command) => operate::state(&setup, command).await,
        Command::Quarantine(command) => operate::quarantine(&setup, command).await,
        Command::Audit(command) => operate::audit(&setup, command).await,
        Command::Jobs(command) => jobs::jobs(&setup, command).await,
        Command::Alerts(command) => watch::alerts(&setup, command).await,
        Command::Serve { pgwire, flight, web, metrics } => {
            daemon::serve(&setup, daemon::Addresses { pgwire, flight, web, metrics }).await
        }
        Command::Statements => Ok(statement::serve(&setup)),
        Command::Secret(command) => secret::secret(&setup, command).await,
        Command::User(command) => user::user(&setup, command).await,
        Command::Openapi => {
            setup.printer.json(&huiliu_serve::openapi());
            Ok(exit::DONE)
        }
        Command::Maintain(args) => maintain::maintain(&setup, args).await,
        Command::Doctor => maintain::doctor(&setup).await,
        Command::Schema { write } => inspect::schema(&setup, write.as_deref()),
        Command::Connectors => inspect::connectors(&setup),
        #[cfg(feature = "demo")]
        Command::Demo(args) => demo::demo(&setup, args).await,
    }
}
