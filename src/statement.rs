//! The processes in which analysts' statements run: this program again, started by the service with
//! a hidden command.

use std::ffi::OsString;

use huiliu_core::duration::parse_size;
use huiliu_core::policy::exit;
use huiliu_sdk::{Error, ErrorKind};
use huiliu_serve::sql::{Opened, Program, serve_statements};

use crate::cli::LogFormat;
use crate::setup::{Failure, Setup};

/// A statement has this part of the hub's memory: a user may run two at once.
const PART: u64 = 2;

/// How the service starts such a process: as what it runs itself, also when the file was replaced
/// meanwhile, on the same project and data.
pub(crate) fn program(setup: &Setup) -> Program {
    let (project, data) = (setup.project.as_os_str(), setup.data.as_os_str());
    let mut arguments: Vec<OsString> =
        vec!["--project".into(), project.into(), "--data".into(), data.into()];
    if setup.log_format == LogFormat::Json {
        arguments.push("--log-format".into());
        arguments.push("json".into());
    }
    arguments.push("statements".into());
    let spill = setup.data.join("spill");
    Program { path: "/proc/self/exe".into(), arguments, folder: ".".into(), spill }
}

/// Answers the service's statements until it ends.
pub(crate) fn serve(setup: &Setup) -> u8 {
    let setup = setup.clone();
    match serve_statements(move || async move { Box::pin(open(&setup)).await }) {
        Ok(()) => exit::DONE,
        Err(error) => {
            tracing::error!(%error, "a process for statements failed");
            exit::FAILED
        }
    }
}

async fn open(setup: &Setup) -> Result<Opened, Error> {
    let mut project = setup.load().map_err(told)?;
    let memory_bytes = parse_size(&project.hub.memory)? / PART;
    project.hub.memory = format!("{memory_bytes}B");
    let hub = setup.open_project(project).await.map_err(told)?;
    Ok(Opened { engine: hub.engine.clone(), key: hub.seal_key().clone(), memory_bytes })
}

fn told(failure: Failure) -> Error {
    match failure {
        Failure::Error(error) => error,
        Failure::Faults(_) => {
            let message = "the project has faults, so no statement can be run";
            Error::new(ErrorKind::Config, "E-SQL-PROJECT", message)
                .hint("`huiliu check` says which; statements read the files as they are now")
        }
    }
}
