//! The command line, and everything the program takes from its environment.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::jobs::JobsCommand;
use crate::push::PushCommand;
use crate::repair::RepairCommand;
use crate::secret::SecretCommand;
use crate::user::UserCommand;

/// Huiliu (汇流): the data hub of a city's government-service data office.
#[derive(Debug, Parser)]
#[command(name = "huiliu", version, about, propagate_version = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Folder that holds `config/` and `pipelines/`.
    #[arg(long, global = true, default_value = ".", value_name = "DIR")]
    pub(crate) project: PathBuf,
    /// Folder for the hub's database and the lake. [default: data in the project]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// How results are printed.
    #[arg(long, global = true, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    /// Language of messages. [default: by LANG]
    #[arg(long, global = true, value_enum)]
    pub(crate) lang: Option<Language>,
    /// Log more: -v what happens, -vv details.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// How the log on stderr is written.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people.
    Text,
    /// A JSON object a line.
    Json,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Tables for people.
    Text,
    /// JSON for programs.
    Json,
}

/// Language of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Language {
    /// English.
    En,
    /// 中文.
    Zh,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a new project in an empty folder, or the file of a new system.
    #[command(args_conflicts_with_subcommands = true)]
    Init {
        /// The folder.
        #[arg(default_value = ".")]
        folder: PathBuf,
        #[command(subcommand)]
        what: Option<InitCommand>,
    },
    /// Check all configuration, models and metrics, without contacting anything.
    Check {
        /// Print what a system reads and writes with its presets put in, instead of the graph.
        #[arg(long, value_name = "SYSTEM")]
        expanded: Option<String>,
    },
    /// List the presets for front databases, or show one with its columns.
    Presets {
        /// A family, or a table of one.
        name: Option<String>,
    },
    /// List what a system offers as lines for its file, or write that file.
    Discover(DiscoverArgs),
    /// Show the first rows of a stream, personal data masked; nothing is stored.
    Preview {
        /// The stream, as `system.stream`.
        stream: String,
        /// How many rows.
        #[arg(long, default_value_t = 10)]
        rows: u64,
    },
    /// Show what edited files would do: which tables are built again, rows that come and go, how
    /// each figure would move. Writes nothing, and reads no system without --live.
    Plan {
        /// Read these streams or systems whole, or all, and show what they would change now.
        #[arg(long, value_name = "STREAM", num_args = 0..)]
        live: Option<Vec<String>>,
        /// At most this many rows of each kind for a table that changes.
        #[arg(long, default_value_t = 5, value_name = "N")]
        examples: usize,
    },
    /// Read streams, build models, audit them, compute metrics, send pushes.
    Run {
        /// What: names with `*`, `+` before for what they need, `+` after for what needs them.
        #[arg(default_values_t = ["*".to_owned()])]
        selector: Vec<String>,
        /// Let the plan of this hash pass, which a guard stopped and showed. Can be given often.
        #[arg(long, value_name = "HASH")]
        accept: Vec<String>,
        /// Read systems in their quiet hours too.
        #[arg(long)]
        during_quiet_hours: bool,
        /// Read incremental streams from the start once more, for rows that came later than their
        /// `overlap`; the step says how many were late.
        #[arg(long)]
        whole: bool,
        /// Compute exactly what the plan of this hash showed; read nothing and send nothing.
        #[arg(
            long,
            value_name = "HASH",
            conflicts_with_all = ["selector", "accept", "during_quiet_hours", "whole"]
        )]
        plan: Option<String>,
    },
    /// Read the past of an incremental stream again, a window of days at a time. One that was
    /// stopped goes on behind the last window that ended well.
    Backfill {
        /// The stream, as `system.stream`.
        stream: String,
        /// The first day.
        #[arg(long, value_name = "DAY")]
        from: chrono::NaiveDate,
        /// The day behind the last one.
        #[arg(long, value_name = "DAY")]
        to: chrono::NaiveDate,
        /// How many days one window has.
        #[arg(long, default_value_t = 31, value_name = "DAYS")]
        window: u32,
        /// Begin anew where an earlier one of the same days stopped.
        #[arg(long)]
        restart: bool,
        /// Do not build what is made from the stream at the end.
        #[arg(long)]
        no_build: bool,
    },
    /// Run one read-only SQL statement.
    Query {
        /// The statement.
        sql: String,
        /// At a snapshot instead of the latest one.
        #[arg(long)]
        snapshot: Option<i64>,
        /// At most this many rows.
        #[arg(long, default_value_t = 1000)]
        limit: usize,
    },
    /// The register of all systems: owner, stage, deadline, items integrated, last contact.
    Systems,
    /// Figures and the rows behind them.
    #[command(subcommand)]
    Metric(MetricCommand),
    /// What systems agree on and what they do not: classes, differences, one key.
    #[command(subcommand)]
    Reconcile(ReconcileCommand),
    /// What was sent to which target, and what to do with records of which nobody knows whether
    /// they arrived.
    #[command(subcommand)]
    Push(PushCommand),
    /// The whole life of one record over all systems: every version received, decision, push and
    /// outcome.
    Trace {
        /// Its key, such as a case number; columns of one key are joined by `|`.
        key: String,
        /// The reconciliation; needed when there are several.
        #[arg(long, value_name = "NAME")]
        of: Option<String>,
    },
    /// Run the cases of the pipelines: rows in, rows out. Touches no data.
    Test {
        /// Only files whose name contains this.
        filter: Option<String>,
        /// Write what came out into the files, as what is expected from now on.
        #[arg(long)]
        update: bool,
    },
    /// Pages and reports for people, each a file that needs nothing beside itself.
    Report(ReportArgs),
    /// Runs and their balances.
    Runs {
        #[command(subcommand)]
        command: Option<RunsCommand>,
    },
    /// Where each stream stands: from where it reads on.
    #[command(subcommand)]
    State(StateCommand),
    /// Rows that did not fit: find them, try them again, discard them.
    #[command(subcommand)]
    Quarantine(QuarantineCommand),
    /// Who did, changed and read what, each row chained to the one before.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Jobs of config/jobs.toml: when each runs next, how it last ended, running one by hand.
    #[command(subcommand)]
    Jobs(JobsCommand),
    /// What a person should know now, and trying the channels of config/alerts.toml.
    #[command(subcommand)]
    Alerts(AlertsCommand),
    /// Keep the schedule of config/jobs.toml, serve the console and the API, answer SQL over the
    /// Postgres wire and Arrow Flight.
    Serve {
        /// Address of the Postgres wire instead of the one in config/hub.toml.
        #[arg(long, value_name = "ADDRESS")]
        pgwire: Option<String>,
        /// Address of Arrow Flight SQL instead of the one in config/hub.toml, or `off`.
        #[arg(long, value_name = "ADDRESS")]
        flight: Option<String>,
        /// Address of the console and the API instead of the one in config/hub.toml, or `off`.
        #[arg(long, value_name = "ADDRESS")]
        web: Option<String>,
        /// Address of /metrics instead of the one in config/hub.toml, or `off`.
        #[arg(long, value_name = "ADDRESS")]
        metrics: Option<String>,
    },
    /// Answer the statements of analysts for the service, which starts this itself.
    #[command(hide = true)]
    Statements,
    /// What `${secret:NAME}` stands for in configuration, encrypted in the data folder.
    #[command(subcommand)]
    Secret(SecretCommand),
    /// The accounts of the service, and the tokens of programs.
    #[command(subcommand)]
    User(UserCommand),
    /// Print the description of the API (OpenAPI 3.1).
    Openapi,
    /// Join small files of the lake, move superseded rows to history, forget old snapshots, remove
    /// files that nobody needs.
    Maintain(MaintainArgs),
    /// Look whether every file of the lake is what its catalog says; contacts nothing.
    Doctor,
    /// Print or write the JSON Schemas of the configuration files.
    Schema {
        /// Write one file per schema into this folder.
        #[arg(long, value_name = "DIR")]
        write: Option<PathBuf>,
    },
    /// Print what each kind of system can do and every key of it, as docs/connectors.md has it.
    Connectors,
    /// Run the whole city in simulation and compare its figures with the 2018 report.
    #[cfg(feature = "demo")]
    Demo(DemoArgs),
}

#[derive(Debug, Args)]
pub(crate) struct DiscoverArgs {
    /// The system's id.
    pub(crate) system: String,
    /// For a system without a file: what kind it is.
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: Option<String>,
    #[command(flatten)]
    pub(crate) new: NewSystem,
    /// Only tables of these names, in which * stands for any text. Can be given often.
    #[arg(long, value_name = "NAME")]
    pub(crate) table: Vec<String>,
    /// Write the new file, or add the tables that the file does not have yet to its end.
    #[arg(long)]
    pub(crate) write: bool,
}

/// What is said of a system that has no file yet.
#[derive(Debug, Args)]
pub(crate) struct NewSystem {
    /// Where the new system is, without a password.
    #[arg(long, value_name = "URL", requires = "kind")]
    pub(crate) url: Option<String>,
    /// Which reference holds the address of the new system, such as `secret:plan_url`.
    #[arg(long, value_name = "REFERENCE", requires = "kind", conflicts_with = "url")]
    pub(crate) url_from: Option<String>,
    /// File or folder of the new system, for `sqlite` and `files`.
    #[arg(long, value_name = "PATH", requires = "kind", conflicts_with_all = ["url", "url_from"])]
    pub(crate) path: Option<String>,
    /// Any key of its file, such as `config.host=10.1.2.3`. Can be given often.
    #[arg(long, value_name = "KEY=VALUE", requires = "kind")]
    pub(crate) set: Vec<String>,
    /// Name of the new system, for people. [default: its id]
    #[arg(long, value_name = "TEXT", requires = "kind")]
    pub(crate) title: Option<String>,
    /// Who answers for the new system. [default: to be filled in]
    #[arg(long, value_name = "TEXT", requires = "kind")]
    pub(crate) owner: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum InitCommand {
    /// Write the file of a new system with every key it can have, to be filled in.
    System(InitSystemArgs),
}

#[derive(Debug, Args)]
pub(crate) struct InitSystemArgs {
    /// The system's id.
    pub(crate) system: String,
    /// What kind it is.
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: String,
    /// Name of the new system, for people. [default: its id]
    #[arg(long, value_name = "TEXT")]
    pub(crate) title: Option<String>,
    /// Who answers for the new system. [default: to be filled in]
    #[arg(long, value_name = "TEXT")]
    pub(crate) owner: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct MaintainArgs {
    /// Only this table.
    #[arg(long, value_name = "SCHEMA.TABLE")]
    pub(crate) table: Option<String>,
    /// Say what is due and do nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// How long files that nobody needs stay, such as `1h`. [default: as in config/hub.toml]
    #[arg(long, value_name = "DURATION")]
    pub(crate) grace: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MetricCommand {
    /// Compute figures: value, numerator, denominator, definition.
    Show {
        /// The metric's key; all without one.
        key: Option<String>,
        /// At a snapshot instead of the latest one.
        #[arg(long)]
        snapshot: Option<i64>,
        /// Broken down by these dimensions of the metric, separated by commas.
        #[arg(long, value_name = "DIMENSION", value_delimiter = ',', requires = "key")]
        by: Vec<String>,
    },
    /// The rows a figure counts.
    Rows {
        /// The metric's key.
        key: String,
        /// Which rows.
        #[arg(long, value_enum, default_value_t = Part::Numerator)]
        of: Part,
        /// At most this many rows.
        #[arg(long, default_value_t = 1000)]
        limit: usize,
        /// At a snapshot instead of the latest one.
        #[arg(long)]
        snapshot: Option<i64>,
    },
    /// Why a figure moved: changed definition, rows that are gone, corrected or new.
    Explain {
        /// The metric's key.
        key: String,
        /// From a snapshot's number, or from the end of a day such as 2018-12-13.
        #[arg(long, value_name = "SNAPSHOT|DAY")]
        from: String,
        /// To a snapshot or a day; to the latest snapshot without it.
        #[arg(long, value_name = "SNAPSHOT|DAY")]
        to: Option<String>,
    },
    /// Keep what a published figure was counted from, so that it can be counted again for ever.
    Seal {
        /// The metric's key.
        key: String,
        /// At a snapshot instead of the latest one.
        #[arg(long)]
        snapshot: Option<i64>,
        /// Why, for the audit.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Sealed figures.
    Seals {
        /// Of this metric.
        key: Option<String>,
    },
    /// Count sealed figures again from what was kept.
    Verify {
        /// A metric's key or a seal's number; all without it.
        which: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ReconcileCommand {
    /// How a reconciliation stands: classes, differences by owner, codes nobody knows.
    Show {
        /// Its name; needed when there are several.
        name: Option<String>,
    },
    /// The differences, oldest first.
    Ledger(LedgerArgs),
    /// Correct what systems have wrong, by the hash of a plan, and take it back.
    #[command(subcommand)]
    Repair(RepairCommand),
    /// Why a key is in its class; with --reason, note why its differences are as they should be.
    Explain {
        /// The key; columns of one key are joined by `|`.
        key: String,
        /// The reconciliation; needed when there are several.
        #[arg(long, value_name = "NAME")]
        of: Option<String>,
        /// Only the differences of this field.
        #[arg(long, requires = "reason")]
        field: Option<String>,
        /// Why, for the ledger and the audit.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// `daily`, the page of the day: what needs a person, figures, balances, differences by
    /// department, what is late; or a report of pipelines/reports/, as HTML and as Excel.
    pub(crate) name: String,
    /// The file of the page of the day, stdout without it; the folder of a report, by default
    /// `reports` in the data folder.
    #[arg(long, value_name = "PATH")]
    pub(crate) out: Option<PathBuf>,
    /// The last day of the report's period. [default: that of the newest whole one]
    #[arg(long, value_name = "DATE")]
    pub(crate) end: Option<chrono::NaiveDate>,
}

#[derive(Debug, Args)]
pub(crate) struct LedgerArgs {
    /// The reconciliation; needed when there are several.
    #[arg(long, value_name = "NAME")]
    pub(crate) of: Option<String>,
    /// Only those in this state: open, explained, fixed or closed. [default: all but closed]
    #[arg(long)]
    pub(crate) state: Option<String>,
    /// Closed ones too.
    #[arg(long, conflicts_with = "state")]
    pub(crate) all: bool,
    /// Only those of this rule, such as missing_in_province.
    #[arg(long)]
    pub(crate) rule: Option<String>,
    /// Only those this owner answers for.
    #[arg(long)]
    pub(crate) owner: Option<String>,
    /// Only those of this system.
    #[arg(long)]
    pub(crate) system: Option<String>,
    /// At most this many.
    #[arg(long, default_value_t = 100)]
    pub(crate) limit: usize,
}

/// A part of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Rows that count.
    Numerator,
    /// Rows they are counted against.
    Denominator,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RunsCommand {
    /// One run with the balance of each step.
    Show {
        /// Its number.
        run: i64,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum StateCommand {
    /// All streams.
    List,
    /// One stream, with its checkpoint and its last commits.
    Show {
        /// The stream, as `system.stream`.
        stream: String,
    },
    /// Put a stream's checkpoint where you want it.
    Set {
        /// The stream, as `system.stream`.
        stream: String,
        /// The checkpoint as JSON, as `state show` prints it.
        #[arg(long, value_name = "JSON")]
        checkpoint: String,
        /// Why, for the audit.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Read a stream from the start, or follow a lake that was taken back. Rows in the lake stay.
    Reset {
        /// The stream, as `system.stream`.
        stream: String,
        /// Read it from the start; this is what happens without --to-snapshot.
        #[arg(long, conflicts_with = "to_snapshot")]
        from_start: bool,
        /// Go on from the checkpoint that was committed with this snapshot, or before it.
        #[arg(long, value_name = "N")]
        to_snapshot: Option<i64>,
        /// Reset a stream that appends, although its rows will be there twice.
        #[arg(long)]
        yes: bool,
        /// Why, for the audit.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Try a stream again that was parked, because the process kept ending in the middle of it.
    Unpark {
        /// The stream, as `system.stream`.
        stream: String,
        /// Why, for the audit.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum QuarantineCommand {
    /// How many rows of which stream, and the newest of them.
    List {
        /// Of this stream, as `system.stream`.
        #[arg(long, value_name = "STREAM")]
        stream: Option<String>,
        /// Set aside by this run.
        #[arg(long, value_name = "N")]
        run: Option<i64>,
        /// At most this many rows.
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// One row, personal data masked.
    Show {
        /// Its number.
        id: i64,
        /// Show it as it came; that is noted in the audit.
        #[arg(long)]
        reveal: bool,
        /// Why, for the audit.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Try rows again without asking the source, after the configuration was corrected.
    Replay {
        /// Their numbers; all without any.
        ids: Vec<i64>,
        /// Those of this stream, as `system.stream`.
        #[arg(long, value_name = "STREAM", conflicts_with = "ids")]
        stream: Option<String>,
        /// Why, for the audit.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Take a row out for good.
    Discard {
        /// Its number.
        id: i64,
        /// Why, for the audit.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum AlertsCommand {
    /// Jobs that failed, streams that are missing, and how each stream stands.
    List,
    /// Send a test message.
    Test {
        /// The channel; all without it.
        channel: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// All rows.
    List,
    /// Check that no row was edited, removed or put in between.
    Verify {
        /// A hash that was noted earlier and must still be there, against rows cut off at the end.
        #[arg(long, value_name = "HASH")]
        expect: Option<String>,
    },
}

#[cfg(feature = "demo")]
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Seed of the simulated city.
    #[arg(long, default_value_t = 2018)]
    pub(crate) seed: u64,
    /// Size of the city; 1.0 has the report's numbers.
    #[arg(long, default_value_t = 1.0)]
    pub(crate) scale: f64,
    /// Keep the city's endpoints running until Ctrl-C.
    #[arg(long)]
    pub(crate) keep: bool,
    /// Put the front databases on PostgreSQL and MariaDB, at HUILIU_DEMO_POSTGRES_URL and
    /// HUILIU_DEMO_MYSQL_URL or at their usual places on this machine.
    #[arg(long)]
    pub(crate) with_servers: bool,
    #[command(subcommand)]
    pub(crate) command: Option<DemoCommand>,
}

#[cfg(feature = "demo")]
#[derive(Debug, Subcommand)]
pub(crate) enum DemoCommand {
    /// Edit rows of the city platform's case database, as its users would.
    Change {
        /// How many rows.
        #[arg(long, default_value_t = 100)]
        rows: u64,
    },
    /// Let the systems' night pass: they take in what was pushed to them, and answer for it.
    Night,
}

/// What the program takes from its environment, read once.
#[derive(Debug, Clone)]
pub(crate) struct Environment {
    variables: BTreeMap<String, String>,
}

impl Environment {
    /// The process's environment. Variables that are not Unicode are left out.
    pub(crate) fn of_process() -> Self {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self { variables }
    }

    /// All variables.
    pub(crate) fn variables(&self) -> &BTreeMap<String, String> {
        &self.variables
    }

    /// The language messages are in: what was asked for, else by the locale.
    pub(crate) fn language(&self, asked: Option<Language>) -> Language {
        asked.unwrap_or_else(|| {
            let locale = ["LC_ALL", "LC_MESSAGES", "LANG"]
                .iter()
                .find_map(|name| self.variables.get(*name).filter(|value| !value.is_empty()));
            match locale {
                Some(locale) if locale.starts_with("zh") => Language::Zh,
                _ => Language::En,
            }
        })
    }

    /// The key file that `HUILIU_KEY_FILE` names.
    pub(crate) fn key_file(&self) -> Option<PathBuf> {
        self.variables.get("HUILIU_KEY_FILE").map(PathBuf::from)
    }

    /// The user who runs the program, as the environment says.
    pub(crate) fn user(&self) -> Option<&str> {
        ["LOGNAME", "USER"]
            .iter()
            .find_map(|name| self.variables.get(*name).filter(|value| !value.is_empty()))
            .map(String::as_str)
    }

    /// What `HUILIU_LOG` asks the log for.
    pub(crate) fn log(&self) -> Option<&str> {
        self.variables.get("HUILIU_LOG").map(String::as_str)
    }
}
