//! `config/systems/*.toml`: one system each.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use huiliu_sdk::{LoadMode, RawConfig, RawPush, RawStream, Spec, StreamSettings, WriteMode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::duration::parse_duration;
use crate::preset::{Fields, Origins, Presets, PushShape, expand};

use super::merge::{expanded_schema, reads_tables, writes_tables};
use super::stream::{Echo, push_faults, stream_faults};
use super::{Budget, Document, Faults, Guard, Limits, Missing, Resolver, StreamLimits, shape};

/// How far the integration of a system is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Known, not connected.
    Survey,
    /// Pulled and compared, not counted, never pushed to.
    Trial,
    /// In service.
    #[default]
    Live,
}

/// Keys every system file has.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(super) struct SystemKeys {
    /// Version of this file's layout; 1.
    #[schemars(example = 1)]
    version: u32,
    /// Kind of system.
    kind: String,
    /// Its name, for people.
    #[schemars(example = &"市人社局业务系统")]
    title: String,
    /// The department that answers for it.
    #[schemars(example = &"市人社局")]
    owner: String,
    /// How far its integration is. Default: live.
    #[serde(default)]
    stage: Stage,
    /// How hard the system may be worked, shared by all jobs of all processes.
    #[serde(default)]
    limits: Limits,
}

/// Keys every stream has.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(super) struct StreamKeys {
    #[serde(flatten)]
    settings: StreamSettings,
    /// What the stream holds, for people.
    #[serde(default)]
    #[schemars(example = &"受理、办结的全部办件")]
    description: Option<String>,
    /// How many rows of one run may go to quarantine before it fails.
    #[serde(default)]
    quarantine: Budget,
    /// Beyond which losses the stream stops before its commit and asks.
    #[serde(default)]
    guard: Guard,
    /// Which of its rows are what pushes of ours brought to the system. Default: none.
    #[serde(default)]
    echo: Option<Echo>,
}

/// Keys every push has.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(super) struct PushKeys {
    /// Name of the push inside its system.
    #[schemars(example = &"fixes")]
    name: String,
    /// The table or model whose rows are pushed, such as `reconciled.province_push`.
    #[schemars(example = &"reconciled.province_push")]
    from: String,
    /// Columns that identify one record at the target. Only `load = "append"` and `"replace"` do
    /// without.
    #[serde(default)]
    #[schemars(example = ["project_no"])]
    key: Vec<String>,
    /// Sends the whole table whenever it has changed, instead of record by record. Default: record
    /// by record.
    #[serde(default)]
    load: Option<LoadMode>,
    /// Makes this a push of corrections: a record is sent only as part of a repair that a person
    /// has applied (`reconcile repair`). Names the model with the records as the target has them
    /// now, in the columns of `from`; they are kept, and an undone repair sends them back.
    #[serde(default)]
    #[schemars(example = &"reconciled.province_before")]
    before: Option<String>,
    /// Where the target says later what became of a record it took over. Default: its answer to
    /// the push is final.
    #[serde(default)]
    receipts: Option<ReceiptKeys>,
    /// What is pushed, for people.
    #[serde(default)]
    #[schemars(example = &"省平台缺少的办件")]
    description: Option<String>,
}

/// Where a target says later what became of records: a table of flags, receipt files, a list of
/// refused records, whatever a stream reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReceiptKeys {
    /// The table or model with the receipts, such as `current.exchange_accept_receipts`.
    #[schemars(example = &"current.exchange_accept_receipts")]
    pub from: String,
    /// Its columns that hold the record's key. Default: named like the push's `key`.
    #[serde(default)]
    #[schemars(example = ["project_no"])]
    pub key: Vec<String>,
    /// Its column that holds the record's idempotency key, instead of `key`.
    #[serde(default)]
    #[schemars(example = &"request_id")]
    pub id: Option<String>,
    /// Its column that says what became of the record. Without it every row is a refusal, as in a
    /// table of refused records.
    #[serde(default)]
    #[schemars(example = &"sync_status")]
    pub result: Option<String>,
    /// Results that mean the target has the record.
    #[serde(default)]
    #[schemars(example = ["1"])]
    pub accepted: Vec<String>,
    /// Results that mean the target refuses the record.
    #[serde(default)]
    #[schemars(example = ["2"])]
    pub rejected: Vec<String>,
    /// Its column with the code of a refusal.
    #[serde(default)]
    #[schemars(example = &"error_code")]
    pub code: Option<String>,
    /// Its column with the words of a refusal.
    #[serde(default)]
    #[schemars(example = &"sync_error_desc")]
    pub message: Option<String>,
}

/// One push.
#[derive(Debug, Clone)]
pub struct PushConfig {
    /// Its name.
    pub name: String,
    /// The table whose rows are pushed.
    pub from: String,
    /// Columns that identify one record.
    pub key: Vec<String>,
    /// How the whole table is sent; none where single records are.
    pub load: Option<LoadMode>,
    /// The model with the records as the target has them; its records are sent as repairs only.
    pub before: Option<String>,
    /// Where the target says later what became of a record.
    pub receipts: Option<ReceiptKeys>,
    /// What becomes of a record on its way.
    pub shape: PushShape,
}

impl PushConfig {
    /// Whether records are queued as its table is built.
    pub fn queues(&self) -> bool {
        self.load.is_none() && self.before.is_none()
    }

    /// The tables it reads.
    pub fn reads(&self) -> impl Iterator<Item = &str> {
        let receipts = self.receipts.as_ref().map(|receipts| receipts.from.as_str());
        [Some(self.from.as_str()), self.before.as_deref(), receipts].into_iter().flatten()
    }
}

/// One system, ready for its connector.
#[derive(Clone)]
pub struct SystemConfig {
    /// The file's name without ending.
    pub id: String,
    /// The file.
    pub file: PathBuf,
    /// Kind of system.
    pub kind: String,
    /// Its name.
    pub title: String,
    /// Who answers for it.
    pub owner: String,
    /// How far its integration is.
    pub stage: Stage,
    /// How hard it may be worked.
    pub limits: Limits,
    /// Its streams' settings and limits.
    pub streams: Vec<(StreamSettings, StreamLimits)>,
    /// Per stream the columns that have another name at the source.
    pub fields: BTreeMap<String, Fields>,
    /// Per stream, which rows are what pushes of ours brought.
    pub echoes: BTreeMap<String, Echo>,
    /// Its pushes.
    pub pushes: Vec<PushConfig>,
    /// Its file with presets put in, and references as they are written.
    pub expanded: Value,
    /// Where in its file each part of that comes from.
    pub origins: Origins,
    /// What its connector gets.
    pub raw: RawConfig,
    /// References without a value; with any, the system is not ready.
    pub missing: Vec<Missing>,
}

impl std::fmt::Debug for SystemConfig {
    // `raw` holds resolved secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SystemConfig({} of kind {})", self.id, self.kind)
    }
}

/// Reads a system file. `base_dir` is the folder for its relative paths.
pub fn parse_system(
    document: &Document,
    file: &Path,
    spec: &Spec,
    presets: &Presets,
    resolver: &Resolver,
    base_dir: &Path,
    hub_zone: chrono_tz::Tz,
) -> Result<SystemConfig, Faults> {
    let written = document.to_json();
    let expanded = expand(presets, document, &written, reads_tables(spec), writes_tables(spec))?;
    let origins = expanded.origins;
    let fault = |path: &str, message: String, hint: Option<String>| {
        origins.fault(document, path, message, hint)
    };
    let mut value = expanded.value;
    let schema = expanded_schema(spec);
    let mut faults = Faults::default();
    for (path, message, hint) in shape::check(&schema, &schema, &value, "") {
        faults.0.push(fault(&path, message, hint));
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let unresolved = value.clone();
    let mut missing = resolver.resolve(&mut value);
    for missing in &mut missing {
        missing.line = fault(&missing.path, String::new(), None).line;
    }
    let id = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or("system").to_owned();
    let bad = |path: &str, error: &dyn std::fmt::Display| {
        Faults(vec![fault(path, error.to_string(), None)])
    };
    if value["version"] != 1 {
        return Err(bad("version", &"this program reads version 1 of system files"));
    }
    let plain = |text: &str| {
        !text.is_empty()
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    if !plain(&id) {
        return Err(bad("", &format!("the file name `{id}` must be of a-z, 0-9 and _")));
    }
    let keys: SystemKeys = serde_json::from_value(value.clone()).map_err(|e| bad("", &e))?;
    if let Some(text) = &keys.limits.quiet_hours
        && keys.limits.quiet().is_none()
    {
        let message = format!("`{text}` is not a stretch of the day");
        let hint = "write it such as 08:00-18:00".to_owned();
        faults.0.push(document.fault("limits.quiet_hours", message, Some(hint)));
    }
    if let Some(text) = &keys.limits.silence
        && !parse_duration(text).is_ok_and(|silence| !silence.is_zero())
    {
        let message = format!("`{text}` is not a length of time");
        let hint = "write it such as 30m".to_owned();
        faults.0.push(document.fault("limits.silence", message, Some(hint)));
    }
    let mut streams = Vec::new();
    let (mut fields, mut echoes) = (BTreeMap::new(), BTreeMap::new());
    let mut names = expanded.streams.into_iter();
    let mut raw_streams = Vec::new();
    for (index, stream) in value["streams"].as_array().into_iter().flatten().enumerate() {
        let path = format!("streams[{index}]");
        let keys: StreamKeys =
            serde_json::from_value(stream.clone()).map_err(|e| bad(&path, &e))?;
        for (field, message) in stream_faults(&keys.settings, spec) {
            faults.0.push(fault(&format!("{path}.{field}"), message, None));
        }
        if !plain(&keys.settings.name) {
            let message = "a stream's name must be of a-z, 0-9 and _".to_owned();
            faults.0.push(fault(&format!("{path}.name"), message, None));
        }
        if streams
            .iter()
            .any(|(s, _): &(StreamSettings, StreamLimits)| s.name == keys.settings.name)
        {
            let message = format!("a second stream is called `{}`", keys.settings.name);
            faults.0.push(fault(&format!("{path}.name"), message, None));
        }
        let limits = StreamLimits { budget: keys.quarantine, guard: keys.guard };
        if let Some(echo) = keys.echo {
            for (field, message) in echo_faults(&echo, &keys.settings, &value) {
                faults.0.push(fault(&format!("{path}.echo.{field}"), message, None));
            }
            echoes.insert(keys.settings.name.clone(), echo);
        }
        let there = names.next().unwrap_or_default();
        raw_streams.push(RawStream {
            settings: there.settings(&keys.settings),
            options: there.options(own_keys(stream, &spec.stream_schema)),
        });
        if !there.is_empty() {
            fields.insert(keys.settings.name.clone(), there);
        }
        streams.push((keys.settings, limits));
    }
    let mut shapes = expanded.pushes.into_iter();
    let mut pushes = Vec::new();
    let mut raw_pushes = Vec::new();
    for (index, push) in value["pushes"].as_array().into_iter().flatten().enumerate() {
        let path = format!("pushes[{index}]");
        let keys: PushKeys = serde_json::from_value(push.clone()).map_err(|e| bad(&path, &e))?;
        for (field, message) in push_faults(keys.load, &keys.key, spec) {
            faults.0.push(fault(&format!("{path}.{field}"), message, None));
        }
        for (field, message) in record_faults(&keys) {
            faults.0.push(fault(&format!("{path}.{field}"), message, None));
        }
        let shape = shapes.next().unwrap_or_default();
        raw_pushes.push(RawPush {
            name: keys.name.clone(),
            key: keys.key.iter().map(|column| shape.fields.at_source(column)).collect(),
            options: own_keys(push, &spec.push_schema),
        });
        pushes.push(PushConfig {
            name: keys.name,
            from: keys.from,
            key: keys.key,
            load: keys.load,
            before: keys.before,
            receipts: keys.receipts,
            shape,
        });
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let raw = RawConfig {
        system: id.clone(),
        base_dir: base_dir.to_owned(),
        hub_zone,
        options: own_keys(&value, &spec.system_schema),
        streams: raw_streams,
        pushes: raw_pushes,
    };
    Ok(SystemConfig {
        id,
        file: file.to_owned(),
        kind: keys.kind,
        title: keys.title,
        owner: keys.owner,
        stage: keys.stage,
        limits: keys.limits,
        streams,
        fields,
        echoes,
        pushes,
        expanded: unresolved,
        origins,
        raw,
        missing,
    })
}

/// What is wrong with what a stream says of echoes.
fn echo_faults(
    echo: &Echo,
    settings: &StreamSettings,
    system: &Value,
) -> Vec<(&'static str, String)> {
    let mut faults = Vec::new();
    if echo.pushes.is_empty() && echo.mark.is_empty() {
        faults.push(("pushes", "is missing, and so is `mark`".to_owned()));
    }
    let pushes = || system["pushes"].as_array().into_iter().flatten();
    for name in &echo.pushes {
        match pushes().find(|push| push["name"] == name.as_str()) {
            None => faults.push(("pushes", format!("this system has no push `{name}`"))),
            Some(push) if !push["load"].is_null() => {
                faults.push(("pushes", format!("`{name}` sends a whole table, not records")));
            }
            Some(_) => {}
        }
    }
    if !matches!(settings.write, WriteMode::Upsert | WriteMode::Append) {
        faults.push(("pushes", "is for `write = \"upsert\"` and `\"append\"`".to_owned()));
    }
    faults
}

/// What is wrong with keys that are about single records.
fn record_faults(keys: &PushKeys) -> Vec<(&'static str, String)> {
    let mut faults = Vec::new();
    if keys.load.is_some() {
        let given = [("before", keys.before.is_some()), ("receipts", keys.receipts.is_some())];
        for (field, _) in given.into_iter().filter(|(_, is_given)| *is_given) {
            faults
                .push((field, format!("`{field}` is about single records, and `load` sends all")));
        }
    }
    let Some(receipts) = &keys.receipts else { return faults };
    if receipts.id.is_some() && !receipts.key.is_empty() {
        faults.push(("receipts.id", "cannot stand beside `key`".to_owned()));
    }
    if receipts.id.is_none() && !receipts.key.is_empty() && receipts.key.len() != keys.key.len() {
        let message = format!("has {} columns, the push {}", receipts.key.len(), keys.key.len());
        faults.push(("receipts.key", message));
    }
    if receipts.result.is_some() && receipts.accepted.is_empty() {
        faults.push(("receipts.accepted", "is missing beside `result`".to_owned()));
    }
    if receipts.result.is_none() && !(receipts.accepted.is_empty() && receipts.rejected.is_empty())
    {
        faults.push(("receipts.result", "is missing beside `accepted` and `rejected`".to_owned()));
    }
    faults
}

/// The entries of `value` that belong to the connector.
fn own_keys(value: &Value, schema: &Value) -> Value {
    let known = schema.get("properties").and_then(Value::as_object);
    let own: Map<String, Value> = value
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(key, _)| known.is_some_and(|known| known.contains_key(*key)))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    Value::Object(own)
}
