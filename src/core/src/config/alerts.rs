//! `config/alerts.toml`: what is watched, and whom the hub tells.

use std::time::Duration;

use chrono::NaiveTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::duration::parse_duration;

/// What is watched and who is told.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertsFile {
    /// Version of this file's layout; 1.
    #[schemars(example = 1)]
    pub version: u32,
    /// Language of the messages. Default: `zh`.
    #[serde(default)]
    pub language: AlertLanguage,
    /// The hours of a working day, in the hub's zone, in which new rows are expected. Default:
    /// `09:00-17:00`.
    #[serde(default = "default_hours")]
    #[schemars(example = &"08:30-18:00")]
    pub hours: String,
    /// Whom the hub tells.
    #[serde(default)]
    #[schemars(example = serde_json::json!([{ "name": "office", "kind": "wecom", "url": "${secret:office_robot}" }]))]
    pub channels: Vec<ChannelConfig>,
    /// What is expected of streams beyond what they used to do. The first that fits applies.
    #[serde(default)]
    #[schemars(example = serde_json::json!([{ "stream": "land.*", "fresh": "8h" }]))]
    pub streams: Vec<ExpectationConfig>,
}

impl Default for AlertsFile {
    fn default() -> Self {
        Self {
            version: 1,
            language: AlertLanguage::default(),
            hours: default_hours(),
            channels: Vec::new(),
            streams: Vec::new(),
        }
    }
}

fn default_hours() -> String {
    "09:00-17:00".into()
}

/// Language of messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlertLanguage {
    /// Chinese.
    #[default]
    Zh,
    /// English.
    En,
}

/// A way to tell somebody.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelConfig {
    /// Its name.
    #[schemars(example = &"office")]
    pub name: String,
    /// What kind of channel it is.
    pub kind: ChannelKind,
    /// Where messages are sent, for all kinds but `file`, such as `${secret:alert_webhook}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"${secret:alert_webhook}", extend("default" = serde_json::Value::Null))]
    pub url: Option<String>,
    /// What messages are signed with, for `dingtalk`, such as `${secret:dingtalk_sign}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"${secret:dingtalk_sign}", extend("default" = serde_json::Value::Null))]
    pub secret: Option<String>,
    /// The file, from the data folder, for `file`; each message is a line of JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"alerts.log", extend("default" = serde_json::Value::Null))]
    pub file: Option<String>,
}

/// Kinds of channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChannelKind {
    /// JSON is posted to an address.
    Webhook,
    /// A group robot of 企业微信.
    Wecom,
    /// A group robot of 钉钉.
    Dingtalk,
    /// A line is added to a file.
    File,
}

/// What is expected of streams.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectationConfig {
    /// The streams, as `system.stream`; `*` stands for any text.
    #[schemars(example = &"land.*")]
    pub stream: String,
    /// After how much working time without new rows the stream is late, such as `4h`. It is
    /// missing when it has never been late for so long. Default: half of the time that its longest
    /// pause took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"4h", extend("default" = serde_json::Value::Null))]
    pub fresh: Option<String>,
    /// Whether the stream is watched at all. Default: true.
    #[serde(default = "default_watched")]
    #[schemars(example = false)]
    pub watched: bool,
}

fn default_watched() -> bool {
    true
}

impl ExpectationConfig {
    /// Whether it is about `stream`.
    pub fn fits(&self, stream: &str) -> bool {
        crate::graph::matches(&self.stream, stream)
    }

    /// After how much working time the stream is late.
    pub fn fresh(&self) -> Option<Duration> {
        parse_duration(self.fresh.as_deref()?).ok()
    }
}

impl AlertsFile {
    /// The hours of a working day.
    pub fn hours(&self) -> Option<(NaiveTime, NaiveTime)> {
        let (from, to) = self.hours.split_once('-')?;
        let time = |text: &str| NaiveTime::parse_from_str(text.trim(), "%H:%M").ok();
        let (from, to) = (time(from)?, time(to)?);
        (from < to).then_some((from, to))
    }

    /// What the schema alone cannot say: the place of a key, what is wrong, what to do.
    pub fn faults(&self) -> Vec<(String, String, &'static str)> {
        let mut faults = Vec::new();
        if self.hours().is_none() {
            let message = format!("`{}` is no stretch of the day", self.hours);
            faults.push(("hours".into(), message, "write it such as 09:00-17:00"));
        }
        for (index, channel) in self.channels.iter().enumerate() {
            let mut fault = |key: &str, message: String, hint| {
                faults.push((format!("channels[{index}].{key}"), message, hint));
            };
            if self.channels[..index].iter().any(|other| other.name == channel.name) {
                fault("name", "two channels have this name".into(), "rename one of them");
            }
            let is_file = channel.kind == ChannelKind::File;
            if is_file == channel.file.is_none() {
                let message = if is_file { "is missing" } else { "is of kind `file` only" };
                fault(
                    "file",
                    message.into(),
                    "a channel of kind `file` has a `file`, others a `url`",
                );
            }
            if is_file == channel.url.is_some() {
                let message = if is_file { "is not of kind `file`" } else { "is missing" };
                fault(
                    "url",
                    message.into(),
                    "a channel of kind `file` has a `file`, others a `url`",
                );
            }
            if channel.secret.is_some() && channel.kind != ChannelKind::Dingtalk {
                fault("secret", "is of kind `dingtalk` only".into(), "take it out");
            }
            let escapes = |file: &String| file.starts_with('/') || file.contains("..");
            if channel.file.as_ref().is_some_and(escapes) {
                fault("file", "is outside the data folder".into(), "write it such as alerts.log");
            }
        }
        for (index, expected) in self.streams.iter().enumerate() {
            if let Some(Err(error)) = expected.fresh.as_deref().map(parse_duration) {
                let place = format!("streams[{index}].fresh");
                faults.push((place, error.to_string(), "write it such as 4h"));
            }
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let file: AlertsFile = toml_edit::de::from_str(&format!("version = 1\n{text}")).unwrap();
        file.faults().into_iter().map(|(place, ..)| place).collect()
    }

    #[test]
    fn channels_have_what_their_kind_needs() {
        let channel = |keys: &str| format!("[[channels]]\nname = \"a\"\n{keys}\n");
        for good in [
            "kind = \"file\"\nfile = \"alerts.log\"",
            "kind = \"webhook\"\nurl = \"${secret:hook}\"",
            "kind = \"dingtalk\"\nurl = \"u\"\nsecret = \"${secret:sign}\"",
        ] {
            assert!(faults(&channel(good)).is_empty(), "{good}");
        }
        for (bad, place) in [
            ("kind = \"file\"", "channels[0].file"),
            ("kind = \"wecom\"", "channels[0].url"),
            ("kind = \"webhook\"\nurl = \"u\"\nsecret = \"s\"", "channels[0].secret"),
            ("kind = \"file\"\nfile = \"../a\"", "channels[0].file"),
        ] {
            assert_eq!(faults(&channel(bad)), [place], "{bad}");
        }
    }

    #[test]
    fn hours_and_lengths_of_time_are_checked() {
        assert!(faults("").is_empty());
        assert_eq!(faults("hours = \"17:00-09:00\""), ["hours"]);
        let stream = "[[streams]]\nstream = \"a.*\"\nfresh = \"soon\"";
        assert_eq!(faults(stream), ["streams[0].fresh"]);
    }
}
