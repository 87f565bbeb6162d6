//! A hub with small sources and a target that knows every version of every row, and what the hub
//! must hold of them.

use std::process::Stdio;
use std::time::Duration;

use super::chance::Chance;
use super::expected::Expected;
use super::server::Schema;
use super::source::Sources;
use super::target::Target;
use crate::hub::{Done, Hub};
use crate::office::execute;

/// How long a run may take before it counts as stuck.
const STUCK: Duration = Duration::from_secs(120);

/// Reads all streams, builds, pushes.
pub(crate) const EVERYTHING: &[&str] = &["run"];

const OFFICE: &str = r#"version = 1
kind = "sqlite"
title = "窗口"
owner = "政务中心"
stage = "live"
path = "office.db"

[[streams]]
name = "cases"
table = "cases"
key = ["id"]
read = "incremental"
cursor = "at"
write = "upsert"
deletes = "soft"
deleted = "gone"
guard = { delete_percent = 100 }

[[streams]]
name = "ledger"
table = "ledger"
read = "full"
write = "append"

[[streams]]
name = "plan"
table = "plan"
key = ["id"]
read = "full"
write = "replace"
guard = { shrink_percent = 100 }
"#;

/// The same over the test's PostgreSQL, with `cases` fetched by a flag. The place of its address and
/// of its schema are left open.
const OFFICE_ON_POSTGRES: &str = r#"version = 1
kind = "postgres"
title = "窗口"
owner = "政务中心"
stage = "live"
url = "URL"
schema = "SCHEMA"
connect_timeout = "2s"
limits = { silence = "2s" }

[[streams]]
name = "cases"
table = "cases"
select = ["id", "version", "hash", "at", "gone"]
key = ["id"]
read = "flagged"
flag = "flag"
group = ["id"]
write = "upsert"
deletes = "soft"
deleted = "gone"
guard = { delete_percent = 100 }

[[streams]]
name = "ledger"
table = "ledger"
select = ["id", "version", "hash", "at", "gone"]
read = "full"
write = "append"

[[streams]]
name = "plan"
table = "plan"
select = ["id", "version", "hash", "at", "gone"]
key = ["id"]
read = "full"
write = "replace"
guard = { shrink_percent = 100 }
"#;

const MODEL: &str = r#"/* +++
kind = "table"
description = "要上报的办件"
key = ["id"]
+++ */
select id, version, hash from current.office_cases
"#;

/// A hub, its sources, its target.
pub(crate) struct Town {
    pub(crate) hub: Hub,
    pub(crate) target: Target,
    pub(crate) sources: Sources,
    pub(crate) expected: Expected,
    pub(crate) chance: Chance,
    /// Where the sources are, unless they are a file of SQLite.
    pub(crate) schema: Option<Schema>,
}

impl Town {
    /// A hub that has read nothing yet of sources with `rows` rows.
    pub(crate) async fn new(rows: usize, chance: Chance) -> Self {
        let town = Self::without_sources(rows, chance, None);
        town.describe(OFFICE);
        town.execute(&town.sources.script(None)).await;
        town
    }

    /// The same with sources in a PostgreSQL that is reached at `url`.
    pub(crate) async fn on_postgres(rows: usize, chance: Chance, url: &str) -> Self {
        let schema = Schema::named("town");
        let office = OFFICE_ON_POSTGRES.replace("URL", url).replace("SCHEMA", &schema.name);
        schema.execute(&format!("create schema {}", schema.name)).await;
        let town = Self::without_sources(rows, chance, Some(schema));
        town.describe(&office);
        town.execute(&town.sources.script(None)).await;
        town
    }

    fn without_sources(rows: usize, mut chance: Chance, schema: Option<Schema>) -> Self {
        let hub = Hub::edited();
        for folder in ["config/systems", "pipelines"] {
            std::fs::remove_dir_all(hub.project().join(folder)).unwrap();
        }
        std::fs::remove_file(hub.project().join("config/jobs.toml")).unwrap();
        std::fs::create_dir_all(hub.project().join("config/systems")).unwrap();
        std::fs::create_dir_all(hub.project().join("pipelines/models/standard")).unwrap();
        // Processes die here on purpose, and maintenance is done when a test wants it.
        let settings = "park_after = 0\nparallel = 4\n[maintenance]\nauto = false\nkeep_days = 0\n\
                        keep_snapshots = 1\ngrace = \"0s\"\n";
        let file = "config/hub.toml";
        hub.edit(file, "parallel = 4\n", "");
        hub.edit(file, "[serve]", &format!("{settings}\n[serve]"));
        let target = Target::start();
        let sources = Sources::new(rows, &mut chance);
        let town = Self { hub, target, sources, expected: Expected::default(), chance, schema };
        town.aim(&town.target.url);
        let model = town.hub.project().join("pipelines/models/standard/outgoing.sql");
        std::fs::write(model, MODEL).unwrap();
        town
    }

    /// Another system file of the sources.
    pub(crate) fn describe(&self, office: &str) {
        std::fs::write(self.hub.project().join("config/systems/office.toml"), office).unwrap();
    }

    async fn execute(&self, sql: &str) {
        match &self.schema {
            None => execute(&self.hub.project().join("office.db"), sql).await,
            Some(schema) => schema.execute(sql).await,
        }
    }

    /// The target is reached at `url` and knows nothing of keys.
    pub(crate) fn aim_without_keys(&self, url: &str) {
        self.aim(url);
        let file = "config/systems/above.toml";
        self.hub.edit(file, "idempotency_field = \"requestId\"\n", "");
        self.hub.edit(file, "id = \"/requestId\"\n", "");
    }

    /// The target is reached at `url`.
    pub(crate) fn aim(&self, url: &str) {
        let text = format!(
            "version = 1\nkind = \"http\"\ntitle = \"上级\"\nowner = \"省局\"\nstage = \"live\"\n\
             url = \"{url}\"\ntimeout = \"2s\"\nattempts = 2\n\n[[pushes]]\nname = \"cases\"\n\
             from = \"standard.outgoing\"\nkey = [\"id\"]\npath = \"/push\"\nrecords = \"/records\"\n\
             idempotency_field = \"requestId\"\n\n[pushes.outcomes]\nlist = \"/data\"\n\
             id = \"/requestId\"\nresult = \"/result\"\naccepted = [\"accepted\"]\n"
        );
        std::fs::write(self.hub.project().join("config/systems/above.toml"), text).unwrap();
    }

    /// Something happens at the sources.
    pub(crate) async fn change(&mut self) {
        let before = self.sources.clone();
        self.sources.change(&mut self.chance);
        self.execute(&self.sources.script(Some(&before))).await;
    }

    /// Runs a command to its end, which must come; with faults, if any are named.
    pub(crate) async fn run(&self, arguments: &[&str], faults: Option<&str>) -> Done {
        let mut command = self.hub.command(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(faults) = faults {
            command.env("FAILPOINTS", faults);
        }
        let command = tokio::process::Command::from(command).kill_on_drop(true).output();
        let ended = tokio::time::timeout(STUCK, command).await;
        let output = ended.unwrap_or_else(|_| panic!("{arguments:?} is stuck, with {faults:?}"));
        Done::of(output.unwrap(), arguments)
    }

    /// Starts a command and kills it after `moment`; says whether it was still running.
    pub(crate) async fn kill(&self, arguments: &[&str], moment: Duration) -> bool {
        use std::os::unix::process::ExitStatusExt;
        let mut command = self.hub.command(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = tokio::process::Command::from(command).kill_on_drop(true).spawn().unwrap();
        if let Ok(ended) = tokio::time::timeout(moment, child.wait()).await {
            let ended = ended.unwrap();
            assert!(ended.success(), "{arguments:?} was not killed and ended with {ended}");
            return false;
        }
        child.start_kill().unwrap();
        child.wait().await.unwrap().signal() == Some(9)
    }
}
