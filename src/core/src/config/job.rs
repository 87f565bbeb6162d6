//! `config/jobs.toml`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// All jobs.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JobsFile {
    /// Version of this file's layout; 1.
    pub version: u32,
    /// The jobs.
    #[serde(default)]
    pub jobs: Vec<JobConfig>,
}

/// One job.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JobConfig {
    /// Its name.
    pub name: String,
    /// When: five fields with POSIX meaning, such as `30 6 * * 1-5`.
    pub cron: String,
    /// Zone of `cron`. Default: the hub's.
    #[serde(default)]
    pub zone: Option<String>,
    /// What happens with times that passed while the hub was down. Default: `latest`.
    #[serde(default)]
    pub catch_up: CatchUpWord,
    /// What runs: a selector such as `*` or `+metrics.*`, or `maintain`.
    pub run: String,
    /// Reads incremental streams from the start once more, for rows that came later than their
    /// `overlap`. Default: false.
    #[serde(default)]
    pub whole: bool,
}

/// What happens with times that passed while the hub was down.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CatchUpWord {
    /// Nothing.
    None,
    /// The latest one runs.
    #[default]
    Latest,
    /// Each one runs.
    All,
}
