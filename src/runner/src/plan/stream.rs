//! Streams whose settings are others than when they were last read. A plan reads no source, so it
//! says what the next read will do otherwise and not what comes of it.

use std::collections::{BTreeMap, BTreeSet};

use huiliu_core::config::{Stage, SystemConfig};
use huiliu_sdk::{Result, StreamSettings};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::hub::Hub;

/// What the next read of a stream does otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StreamPlan {
    /// The stream, as `system.stream`.
    pub stream: String,
    /// What is known about it.
    pub state: StreamChange,
    /// The settings that are others.
    pub settings: Vec<SettingChange>,
}

/// What is known about a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamChange {
    /// It was never read.
    New,
    /// Some settings are others.
    Changed,
    /// It was read by a program that did not note its settings.
    Unknown,
    /// It was read and is in no file any more. Its tables stay.
    Removed,
}

/// A setting that is another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SettingChange {
    /// Its name, such as `key` or `columns.fee.type`.
    pub name: String,
    /// What it was; none where it was not set, or is never shown.
    pub before: Option<String>,
    /// What it is.
    pub after: Option<String>,
}

/// The settings of one stream as they are noted.
struct Noted {
    name: String,
    text: String,
}

impl Hub {
    /// Notes with which settings a run has read a stream.
    pub(crate) async fn note_settings(&self, node: &str, run: i64) -> Result<()> {
        let Some((system, stream)) = node.split_once('.') else { return Ok(()) };
        let Some(config) = self.project.systems.get(system).map(|system| &system.config) else {
            return Ok(());
        };
        let Some(noted) = self.noted(config).into_iter().find(|noted| noted.name == node) else {
            return Ok(());
        };
        self.lake().store().note_stream_settings(system, stream, &noted.text, run).await
    }

    /// The settings of a system's streams. What only its connector understands may hold a secret,
    /// so that is a pseudonym.
    fn noted(&self, config: &SystemConfig) -> Vec<Noted> {
        let text = |settings: &StreamSettings| {
            let raw = config.raw.streams.iter();
            let options =
                raw.filter(|raw| raw.settings.name == settings.name).map(|raw| &raw.options);
            let options = options.filter_map(Value::as_object).flatten();
            let options: Map<String, Value> = options
                .map(|(name, value)| (name.clone(), json!(self.key.pseudonym(&value.to_string()))))
                .collect();
            json!({ "settings": settings, "options": options }).to_string()
        };
        let streams = config.streams.iter().map(|(settings, _)| settings);
        let name = |settings: &StreamSettings| format!("{}.{}", config.id, settings.name);
        streams.map(|settings| Noted { name: name(settings), text: text(settings) }).collect()
    }

    /// The settings of all streams that a run reads, by name.
    pub(super) fn settings_now(&self) -> BTreeMap<String, String> {
        let in_use = self.project.systems.values().map(|system| &system.config);
        let in_use = in_use.filter(|config| config.stage != Stage::Survey);
        in_use.flat_map(|config| self.noted(config)).map(|noted| (noted.name, noted.text)).collect()
    }

    /// Streams that the next run reads otherwise.
    pub(super) async fn plan_streams(&self) -> Result<Vec<StreamPlan>> {
        let store = self.lake().store();
        let noted = store.stream_settings().await?;
        let states = store.stream_states().await?;
        let mut read: BTreeSet<String> =
            states.iter().map(|state| format!("{}.{}", state.system, state.stream)).collect();
        read.extend(noted.keys().cloned());
        let now = self.settings_now();
        let mut plans = Vec::new();
        for stream in now.keys().chain(read.iter().filter(|name| !now.contains_key(*name))) {
            let (state, settings) = match (noted.get(stream), now.get(stream)) {
                (_, None) => (StreamChange::Removed, Vec::new()),
                (None, Some(_)) if read.contains(stream) => (StreamChange::Unknown, Vec::new()),
                (None, Some(_)) => (StreamChange::New, Vec::new()),
                (Some(before), Some(after)) => {
                    let settings = changes(before, after);
                    if settings.is_empty() {
                        continue;
                    }
                    (StreamChange::Changed, settings)
                }
            };
            plans.push(StreamPlan { stream: stream.clone(), state, settings });
        }
        Ok(plans)
    }
}

fn changes(before: &str, after: &str) -> Vec<SettingChange> {
    let parsed = |text: &str| serde_json::from_str::<Value>(text).unwrap_or(Value::Null);
    let (before, after) = (parsed(before), parsed(after));
    let mut changes = compared(&flat(&before["settings"]), &flat(&after["settings"]));
    let hidden = compared(&flat(&before["options"]), &flat(&after["options"]));
    changes.extend(hidden.into_iter().map(|change| SettingChange {
        before: None,
        after: None,
        ..change
    }));
    changes
}

fn compared(
    before: &BTreeMap<String, String>,
    after: &BTreeMap<String, String>,
) -> Vec<SettingChange> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differs = |name: &&String| before.get(*name) != after.get(*name);
    names
        .into_iter()
        .filter(differs)
        .map(|name| SettingChange {
            name: name.clone(),
            before: before.get(name).cloned(),
            after: after.get(name).cloned(),
        })
        .collect()
}

/// The values of an object by their path; what is not set is left out.
fn flat(value: &Value) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut open = vec![(String::new(), value)];
    while let Some((path, value)) = open.pop() {
        match value {
            Value::Null => {}
            Value::Object(fields) => open.extend(fields.iter().map(|(name, value)| {
                let dot = if path.is_empty() { "" } else { "." };
                (format!("{path}{dot}{name}"), value)
            })),
            Value::String(text) => {
                found.insert(path, text.clone());
            }
            other => {
                found.insert(path, other.to_string());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_differ_are_named_and_those_of_the_connector_are_not_shown() {
        let before = r#"{"settings":{"key":["id"],"cursor":null,"columns":{"fee":{"type":"int"}}},
            "options":{"table":"p1"}}"#;
        let after = r#"{"settings":{"key":["id","no"],"cursor":"at","columns":{}},
            "options":{"table":"p2"}}"#;
        let change = |name: &str, before: Option<&str>, after: Option<&str>| SettingChange {
            name: name.to_owned(),
            before: before.map(str::to_owned),
            after: after.map(str::to_owned),
        };
        assert_eq!(
            changes(before, after),
            [
                change("columns.fee.type", Some("int"), None),
                change("cursor", None, Some("at")),
                change("key", Some(r#"["id"]"#), Some(r#"["id","no"]"#)),
                change("table", None, None),
            ]
        );
        assert!(changes(after, after).is_empty());
    }
}
