//! What every command starts from: where things are, which values references have.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use huiliu_core::config::{Faults, Resolver};
use huiliu_core::policy::exit;
use huiliu_runner::{Hub, HubOptions, LoadFailure, Project};
use huiliu_sdk::{AllowedHosts, Error, ErrorKind, SystemClock};
use huiliu_store::StoreAddress;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::cli::{Environment, Global, LogFormat};
use crate::output::Printer;
use crate::pairs;
use crate::registry::registry;
use crate::secret::Secrets;

/// Why a command failed as a whole.
pub(crate) enum Failure {
    /// Files with faults.
    Faults(Faults),
    /// Anything else.
    Error(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<LoadFailure> for Failure {
    fn from(failure: LoadFailure) -> Self {
        match failure {
            LoadFailure::Faults(faults) => Self::Faults(faults),
            LoadFailure::Error(error) => Self::Error(error),
        }
    }
}

/// Where a command works and what it may use.
#[derive(Clone)]
pub(crate) struct Setup {
    /// The project's folder.
    pub(crate) project: PathBuf,
    /// The data folder.
    pub(crate) data: PathBuf,
    /// How the log is written.
    pub(crate) log_format: LogFormat,
    /// Prints results and errors.
    pub(crate) printer: Printer,
    /// Set by a signal.
    pub(crate) cancel: CancellationToken,
    environment: Environment,
}

impl Setup {
    pub(crate) fn new(
        global: &Global,
        environment: Environment,
        printer: Printer,
        cancel: CancellationToken,
    ) -> Self {
        let project = global.project.clone();
        let data = global.data.clone().unwrap_or_else(|| project.join("data"));
        let log_format = global.log_format;
        Self { project, data, log_format, printer, cancel, environment }
    }

    /// The values of references: the process's environment first, then the data folder's `env`
    /// file; secrets from its `secrets` file.
    pub(crate) fn resolver(&self) -> Result<Resolver, Error> {
        let mut environment: BTreeMap<String, String> =
            pairs::read(&self.data.join("env"))?.into_iter().collect();
        environment.extend(self.environment.variables().clone());
        Ok(Resolver::new(environment, self.secrets().read()?))
    }

    /// The data folder's secrets.
    pub(crate) fn secrets(&self) -> Secrets {
        let key = self.environment.key_file().unwrap_or_else(|| self.data.join("key"));
        Secrets::new(self.data.join("secrets"), key)
    }

    /// The same for another project.
    #[cfg(feature = "demo")]
    pub(crate) fn in_project(&self, project: PathBuf) -> Self {
        Self { project, ..self.clone() }
    }

    /// A variable of the process's environment.
    #[cfg(feature = "demo")]
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.environment.variables().get(name).map(String::as_str)
    }

    /// Who is at work, for the audit: the user's name as the environment says it, and the number
    /// under which the system knows who owns this process.
    pub(crate) fn who(&self) -> String {
        use std::os::unix::fs::MetadataExt;
        let uid = std::fs::metadata("/proc/self").map(|metadata| metadata.uid()).ok();
        let uid = uid.map_or_else(|| "unknown".to_owned(), |uid| uid.to_string());
        match self.environment.user() {
            Some(user) => format!("{user} (uid {uid})"),
            None => format!("uid {uid}"),
        }
    }

    /// Reads and checks the project.
    pub(crate) fn load(&self) -> Result<Project, Failure> {
        let project = Project::load(&self.project, &registry(), &self.resolver()?)?;
        if let Some(network) = &project.hub.network {
            let allowed = AllowedHosts::parse(&network.allow).map_err(no_host)?;
            allowed.enforce();
        }
        Ok(project)
    }

    /// Reads the project and opens its data.
    pub(crate) async fn open(&self) -> Result<Arc<Hub>, Failure> {
        self.open_project(self.load()?).await
    }

    /// Opens the data of a project.
    pub(crate) async fn open_project(&self, project: Project) -> Result<Arc<Hub>, Failure> {
        let options = HubOptions {
            data: self.data.clone(),
            key_file: self.environment.key_file(),
            clock: Arc::new(SystemClock),
            meaning: crate::language::meaning,
        };
        Ok(Arc::new(Hub::open(project, options).await?))
    }

    /// Whether a hub was at work here before.
    pub(crate) fn has_data(&self, project: &Project) -> bool {
        // A hub on Postgres keeps only the lake's files in its folder.
        let first = match project.store {
            Ok(StoreAddress::Postgres(_)) => "lake",
            _ => "huiliu.db",
        };
        self.data.join(first).exists()
    }

    /// Opens data that must already be there, for commands that only read.
    pub(crate) async fn open_existing(&self) -> Result<Arc<Hub>, Failure> {
        let project = self.load()?;
        if !self.has_data(&project) {
            let message = format!("there is no data in {}", self.data.display());
            return Err(Error::new(ErrorKind::Config, "E-NO-DATA", message)
                .hint("run `huiliu run` or `huiliu demo` first, or name the folder with --data")
                .into());
        }
        self.open_project(project).await
    }
}

fn no_host(entry: String) -> Error {
    let message = format!("`{entry}` in `allow` under [network] of config/hub.toml is no host");
    Error::new(ErrorKind::Config, "E-NETWORK", message)
        .hint("write ranges such as 10.0.0.0/8, addresses, and names without a scheme and a port")
}

/// Sets `cancel` on Ctrl-C or SIGTERM and says which exit code that is. It listens from the
/// moment of the call, not of the first poll: a signal that comes early must not kill.
pub(crate) fn listen_for_signals(cancel: CancellationToken) -> impl Future<Output = u8> {
    let interrupted = signal(SignalKind::interrupt());
    let terminated = signal(SignalKind::terminate());
    async move {
        let code = tokio::select! {
            () = received(interrupted) => exit::INTERRUPTED,
            () = received(terminated) => exit::TERMINATED,
        };
        cancel.cancel();
        code
    }
}

async fn received(signal: std::io::Result<Signal>) {
    match signal {
        Ok(mut signal) => {
            signal.recv().await;
        }
        Err(_) => std::future::pending().await,
    }
}
