//! `config/jobs.toml`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::duration::parse_duration;

/// All jobs.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JobsFile {
    /// Version of this file's layout; 1.
    #[schemars(example = 1)]
    pub version: u32,
    /// The jobs.
    #[serde(default)]
    #[schemars(example = serde_json::json!([{ "name": "morning", "cron": "30 6 * * *", "run": "*" }]))]
    pub jobs: Vec<JobConfig>,
}

/// One job.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JobConfig {
    /// Its name.
    #[schemars(example = &"morning")]
    pub name: String,
    /// When: five fields with POSIX meaning, such as `30 6 * * 1-5`.
    #[schemars(example = &"30 6 * * 1-5")]
    pub cron: String,
    /// Zone of `cron`. Default: the hub's.
    #[serde(default)]
    #[schemars(example = &"Asia/Shanghai")]
    pub zone: Option<String>,
    /// `workdays`: only on the working days of the hub's calendar, make-up days among them. Days
    /// of a year that is not in the calendar are an error. Default: on every day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = serde_json::Value::Null))]
    pub calendar: Option<CalendarWord>,
    /// What happens with times that passed while the hub was down. Default: `latest`.
    #[serde(default)]
    pub catch_up: CatchUpWord,
    /// What happens when its time comes and it has not ended. Default: `skip`, and `queue` where
    /// `catch_up` is `all`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "skip"))]
    pub overlap: Option<OverlapWord>,
    /// How often it is run again after it failed. Default: 0; streams have retries of their own.
    #[serde(default)]
    #[schemars(example = 2)]
    pub retries: u32,
    /// How long it waits before it is run again, such as `5m`. Default: `5m`.
    #[serde(default = "default_retry_after")]
    #[schemars(example = &"15m")]
    pub retry_after: String,
    /// After which time it is stopped and has failed, such as `2h`. Default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"2h", extend("default" = serde_json::Value::Null))]
    pub timeout: Option<String>,
    /// What runs: a selector such as `*` or `+metrics.*`, or `maintain`.
    #[schemars(example = &"+metrics.*")]
    pub run: String,
    /// Reads incremental streams from the start once more, for rows that came later than their
    /// `overlap`. Default: false.
    #[serde(default)]
    #[schemars(example = true)]
    pub whole: bool,
}

/// On which days a job runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CalendarWord {
    /// On working days.
    Workdays,
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
    /// Each one runs, in order.
    All,
}

/// What happens when the time of a job comes and it has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OverlapWord {
    /// That time is left out.
    Skip,
    /// It runs once more when it has ended.
    Queue,
    /// It is stopped and begins anew.
    Kill,
}

fn default_retry_after() -> String {
    "5m".into()
}

impl JobConfig {
    /// What happens when its time comes and it has not ended.
    pub fn overlap(&self) -> OverlapWord {
        self.overlap.unwrap_or(match self.catch_up {
            CatchUpWord::All => OverlapWord::Queue,
            CatchUpWord::None | CatchUpWord::Latest => OverlapWord::Skip,
        })
    }

    /// How long it waits before it is run again.
    pub fn retry_after(&self) -> Duration {
        parse_duration(&self.retry_after).unwrap_or_default()
    }

    /// After which time it is stopped.
    pub fn timeout(&self) -> Option<Duration> {
        parse_duration(self.timeout.as_deref()?).ok()
    }

    /// What the schema alone cannot say: a key, what is wrong with it and what to do.
    pub fn faults(&self) -> Vec<(&'static str, String, &'static str)> {
        let mut faults = Vec::new();
        for (key, text) in
            [("retry_after", Some(&self.retry_after)), ("timeout", self.timeout.as_ref())]
        {
            let length = text.map(|text| parse_duration(text));
            if let Some(Err(error)) = &length {
                faults.push((key, error.to_string(), "write it such as 5m or 2h"));
            }
            if key == "timeout" && matches!(length, Some(Ok(Duration::ZERO))) {
                faults.push((key, "no job ends at once".into(), "leave it out for no limit"));
            }
        }
        if self.catch_up == CatchUpWord::All && self.overlap() != OverlapWord::Queue {
            let message = "`catch_up = \"all\"` runs every time, so none may be left out".into();
            faults.push(("overlap", message, "use \"queue\", or another `catch_up`"));
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(keys: &str) -> JobConfig {
        let text = format!("name = \"a\"\ncron = \"* * * * *\"\nrun = \"*\"\n{keys}");
        toml_edit::de::from_str(&text).unwrap()
    }

    #[test]
    fn every_time_runs_only_where_none_is_left_out() {
        assert_eq!(job("").overlap(), OverlapWord::Skip);
        assert_eq!(job("catch_up = \"all\"").overlap(), OverlapWord::Queue);
        assert!(job("catch_up = \"all\"").faults().is_empty());
        let faults = job("catch_up = \"all\"\noverlap = \"skip\"").faults();
        assert_eq!(faults[0].0, "overlap");
    }

    #[test]
    fn lengths_of_time_are_checked() {
        let read = job("retry_after = \"30s\"\ntimeout = \"2h\"");
        assert_eq!(read.retry_after(), Duration::from_secs(30));
        assert_eq!(read.timeout(), Some(Duration::from_secs(7200)));
        assert_eq!(job("").timeout(), None);
        let keys = |keys: &str| job(keys).faults().iter().map(|f| f.0).collect::<Vec<_>>();
        assert_eq!(keys("retry_after = \"soon\"\ntimeout = \"2\""), ["retry_after", "timeout"]);
        assert_eq!(keys("timeout = \"0s\""), ["timeout"]);
    }
}
