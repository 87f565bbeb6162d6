//! The configuration: what an operator writes, checked without starting anything.

mod field;
mod stream;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono_tz::Tz;
use huiliu_sdk::{ConfigErrors, Overlap, RawConfig, RawPush, StreamId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::redact::Redactor;
use field::{join, optional};
pub(crate) use stream::Stream;
pub use stream::{Replication, StreamOptions};

/// Keys of a system file with `kind = "singer"`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct SystemOptions {
    /// The tap or target and its arguments, one text each. No shell reads them. A program with a
    /// `/` in its name is found from the folder of the project, one without in the usual folders.
    /// `--config`, `--discover`, `--catalog` and `--state` are added as they are needed.
    #[schemars(example = serde_json::json!(["venvs/tap-postgres/bin/tap-postgres"]))]
    pub command: Vec<String>,
    /// The configuration of the tap or target, as its own manual has it. It is given as a private
    /// file that is removed afterwards. Default: an empty one.
    #[serde(default)]
    #[schemars(example = serde_json::json!({
        "host": "10.1.2.3", "user": "reader", "password": "${secret:plan_password}"
    }))]
    pub config: Option<Map<String, Value>>,
    /// Variables of its environment, which has else only `PATH`, `HOME`, `TMPDIR` and `LANG`.
    /// Default: none more.
    #[serde(default)]
    #[schemars(example = serde_json::json!({ "HTTPS_PROXY": "${env:HTTPS_PROXY}" }))]
    pub environment: Option<BTreeMap<String, String>>,
    /// How a tap is told which streams and columns to read: `catalog` (`--catalog`), `properties`
    /// (`--properties`, as old ones want it), or `none` for one that lists no streams. Default:
    /// `catalog`.
    #[serde(default)]
    #[schemars(example = &"properties")]
    pub catalog: CatalogUse,
    /// How long it may say nothing before it is ended. Default: `10m`.
    #[serde(default)]
    #[schemars(example = &"30m", extend("default" = "10m"))]
    pub idle: Option<String>,
    /// The longest message, in MiB. Default: 64.
    #[serde(default)]
    #[schemars(example = &16, range(min = 1), extend("default" = 64))]
    pub line_mib: Option<u64>,
}

/// How a tap is told which streams and columns to read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CatalogUse {
    /// By `--catalog`.
    #[default]
    Catalog,
    /// By `--properties`.
    Properties,
    /// Not at all: it reads what its configuration says.
    None,
}

/// Keys of one push to a system with `kind = "singer"`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct PushOptions {
    /// The stream as the target is to call it, which is its table or file in most of them.
    /// Default: the push's own name.
    #[serde(default)]
    #[schemars(example = &"coverage")]
    pub to: Option<String>,
    /// Whether a record that is sent again replaces the one of its key there. Most targets that
    /// write to databases do so; those that write files do not. Default: false.
    #[serde(default)]
    #[schemars(example = &true)]
    pub repeatable: bool,
}

/// A checked system file. It holds secrets and never prints.
pub(crate) struct Settings {
    /// The program and its own arguments.
    pub(crate) command: Vec<String>,
    pub(crate) config: Map<String, Value>,
    pub(crate) environment: BTreeMap<String, String>,
    /// The folder it works in.
    pub(crate) base: PathBuf,
    pub(crate) catalog: CatalogUse,
    pub(crate) idle: Duration,
    pub(crate) line_bytes: usize,
    pub(crate) redactor: Redactor,
    pub(crate) hub_zone: Tz,
    pub(crate) streams: Vec<Stream>,
    pub(crate) pushes: Vec<Push>,
}

impl Settings {
    /// The program's name without its folder.
    pub(crate) fn program(&self) -> &str {
        let first = self.command.first().map_or("", String::as_str);
        first.rsplit('/').next().unwrap_or(first)
    }
}

/// A checked push.
#[derive(Debug, Clone)]
pub(crate) struct Push {
    pub(crate) id: StreamId,
    pub(crate) stream: String,
    pub(crate) key: Vec<String>,
    pub(crate) repeatable: bool,
}

const DEFAULT_IDLE: Duration = Duration::from_secs(600);
const DEFAULT_LINE_MIB: u64 = 64;
const LINE_MIB_AT_MOST: u64 = 1024;

/// Checks a whole system file and names every fault.
pub(crate) fn settings(raw: &RawConfig) -> Result<Settings, ConfigErrors> {
    let mut faults = ConfigErrors::default();
    let options = &raw.options;
    let command = read_command(options, &raw.base_dir, &mut faults);
    let config: Option<Map<String, Value>> = optional(options, "", "config", &mut faults);
    let environment: Option<BTreeMap<String, String>> =
        optional(options, "", "environment", &mut faults);
    let (config, environment) = (config.unwrap_or_default(), environment.unwrap_or_default());
    for (name, value) in &environment {
        let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if name.is_empty() || !is_name {
            faults.push("environment", format!("`{name}` is no name of a variable"));
        }
        if value.contains('\0') {
            faults.push(format!("environment.{name}"), "must not hold a NUL character");
        }
    }
    let catalog = optional(options, "", "catalog", &mut faults).unwrap_or_default();
    let idle = read_idle(options, &mut faults);
    let line_mib = read_line_mib(options, &mut faults);
    if !raw.streams.is_empty() && !raw.pushes.is_empty() {
        faults.push_with_hint(
            "command",
            "is either a tap, which has streams, or a target, which has pushes",
            "write a second system file for the other one",
        );
    }
    let mut streams = Vec::with_capacity(raw.streams.len());
    let mut taken = BTreeSet::new();
    for (index, stream) in raw.streams.iter().enumerate() {
        let at = format!("streams[{index}]");
        let stream = stream::read(stream, &at, catalog, raw.hub_zone, &mut faults);
        if !taken.insert(stream.name.clone()) {
            faults.push(
                join(&at, "stream"),
                format!("a second stream reads `{}` of the tap", stream.name),
            );
        }
        streams.push(stream);
    }
    let mut pushes = Vec::with_capacity(raw.pushes.len());
    for (index, push) in raw.pushes.iter().enumerate() {
        pushes.push(read_push(push, &format!("pushes[{index}]"), &mut faults));
    }
    let redactor = Redactor::new(config.values(), environment.values());
    faults.into_result(Settings {
        command,
        config,
        environment,
        base: raw.base_dir.clone(),
        catalog,
        idle,
        line_bytes: usize::try_from(line_mib << 20).unwrap_or(usize::MAX),
        redactor,
        hub_zone: raw.hub_zone,
        streams,
        pushes,
    })
}

/// The program and its arguments; a program in a folder is found from the project's.
fn read_command(options: &Value, base: &Path, faults: &mut ConfigErrors) -> Vec<String> {
    if options.get("command").is_none_or(Value::is_null) {
        faults.push("command", "is required");
        return Vec::new();
    }
    let Some(mut command): Option<Vec<String>> = optional(options, "", "command", faults) else {
        return Vec::new();
    };
    if command.iter().any(|part| part.contains('\0')) {
        faults.push("command", "must not hold a NUL character");
    }
    match command.first_mut() {
        None => faults.push("command", "must not be empty"),
        Some(program) if program.is_empty() => faults.push("command[0]", "must not be empty"),
        Some(program) if program.contains(char::is_whitespace) && !program.contains('/') => {
            faults.push_with_hint(
                "command[0]",
                "is no name of a program",
                "write each argument as a text of its own: [\"tap-x\", \"--flag\"]",
            );
        }
        Some(program) if program.contains('/') => {
            if let Some(path) = base.join(&*program).to_str() {
                path.clone_into(program);
            }
        }
        Some(_) => {}
    }
    command
}

fn read_idle(options: &Value, faults: &mut ConfigErrors) -> Duration {
    let text: Option<String> = optional(options, "", "idle", faults);
    let Some(text) = text else { return DEFAULT_IDLE };
    let read = match Overlap::parse(&text) {
        Some(Overlap::Time(time)) => time.to_std().ok().filter(|time| !time.is_zero()),
        _ => None,
    };
    read.unwrap_or_else(|| {
        let message = format!("`{text}` is not a length of time");
        faults.push_with_hint("idle", message, "write it such as 10m");
        DEFAULT_IDLE
    })
}

fn read_line_mib(options: &Value, faults: &mut ConfigErrors) -> u64 {
    let mib = optional(options, "", "line_mib", faults).unwrap_or(DEFAULT_LINE_MIB);
    if mib == 0 {
        faults.push("line_mib", "the minimum is 1");
    } else if mib > LINE_MIB_AT_MOST {
        faults.push("line_mib", format!("the maximum is {LINE_MIB_AT_MOST}"));
    }
    mib.clamp(1, LINE_MIB_AT_MOST)
}

fn read_push(raw: &RawPush, at: &str, faults: &mut ConfigErrors) -> Push {
    let to: Option<String> = optional(&raw.options, at, "to", faults);
    if to.as_deref() == Some("") {
        faults.push(join(at, "to"), "must not be empty");
    }
    let repeatable = optional(&raw.options, at, "repeatable", faults).unwrap_or(false);
    if repeatable && raw.key.is_empty() {
        faults.push(join(at, "repeatable"), "needs a key");
    }
    Push {
        id: StreamId::new(raw.name.as_str()),
        stream: to.unwrap_or_else(|| raw.name.clone()),
        key: raw.key.clone(),
        repeatable,
    }
}
