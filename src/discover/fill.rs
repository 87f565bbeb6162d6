//! `huiliu init system`: the file of a new system with all its keys, to be filled in.

use huiliu_sdk::{Capabilities, SchemaKey, schema_keys};
use serde_json::{Value, json};

use super::head::{named, refuse_existing};
use crate::cli::InitSystemArgs;
use crate::registry::registry;
use crate::setup::{Failure, Setup};
use crate::toml::{comment, toml_key, toml_value};

/// Writes the file; what has to be there holds an example, the rest stands in comments.
pub(crate) fn init_system(setup: &Setup, args: &InitSystemArgs) -> Result<u8, Failure> {
    let project = setup.load()?;
    let file = project.root.join("config/systems").join(format!("{}.toml", args.system));
    refuse_existing(&file)?;
    let spec = super::spec(&args.kind)?;
    let names = (args.title.as_deref(), args.owner.as_deref());
    let mut text = named(setup, names, spec.kind, &args.system);
    text += &keys(&spec.system_schema, None);
    let can = spec.capabilities;
    if can.source {
        text += &section("streams", &spec.stream_schema, &common_of_stream(can));
    }
    if can.sink || can.loader {
        let common = [("name", json!("fixes")), ("from", json!("standard.fixes"))];
        text += &section("pushes", &spec.push_schema, &common);
    }
    super::parse(setup, &project, &file, &text)?;
    super::save(&file, &text)?;
    let next = match can.discover {
        true => format!(
            "{} huiliu discover {} --write",
            setup.printer.pick("fill it in; next:", "请填写其中各项；下一步："),
            args.system
        ),
        false => setup
            .printer
            .pick(
                "fill it in, streams too; next: huiliu check",
                "请填写其中各项和数据流；下一步：huiliu check",
            )
            .to_owned(),
    };
    setup.printer.line(&format!("{}: {next}", file.display()));
    Ok(0)
}

/// The kinds there are, for a message.
pub(super) fn kinds() -> String {
    let registry = registry();
    let kinds: Vec<&str> = registry.0.iter().map(|connector| connector.spec().kind).collect();
    kinds.join(", ")
}

/// What streams of all kinds have.
fn common_of_stream(can: Capabilities) -> Vec<(&'static str, Value)> {
    let mut common = vec![("name", json!("cases")), ("key", json!(["id"]))];
    if can.incremental {
        common.push(("read", json!("full")));
    }
    common
}

/// The keys of the system, or as comments those of a table `within` it; those that have to be there
/// first.
fn keys(schema: &Value, within: Option<&str>) -> String {
    let mut lines = Vec::new();
    let all = schema_keys(schema);
    let own = || all.iter().filter(|key| !key.path.contains(['.', '[']) && key.when.is_none());
    for key in own().filter(|key| key.is_required) {
        comment(&mut lines, &key.description());
        let mark = if within.is_some() { "# " } else { "" };
        lines.push(format!("{mark}{}", line(key, within)));
    }
    // Behind the head of a table no key of the system itself could stand.
    for is_last in [false, true] {
        for key in own().filter(|key| !key.is_required && is_head(key) == is_last) {
            comment(&mut lines, &key.description());
            lines.push(format!("# {}", line(key, within)));
        }
    }
    lines.join("\n") + "\n"
}

/// Whether a key is a table that only its own keys give examples of.
fn is_head(key: &SchemaKey<'_>) -> bool {
    key.is_table() && key.examples().is_empty()
}

/// A key with an example of its value, or the head of its table.
fn line(key: &SchemaKey<'_>, within: Option<&str>) -> String {
    if is_head(key) {
        let within = within.map_or_else(String::new, |table| format!("{table}."));
        return format!("[{within}{}]", toml_key(&key.path));
    }
    let choice = || key.choices().first().map(|choice| json!(choice));
    let example = key.examples().first().cloned().or_else(choice);
    let example = example.or_else(|| key.default().cloned()).unwrap_or(Value::Null);
    format!("{} = {}", toml_key(&key.path), toml_value(&example))
}

/// A stream or push as a comment, since only the system itself knows which there are.
fn section(name: &str, schema: &Value, common: &[(&str, Value)]) -> String {
    let mut text = format!("\n# [[{name}]]\n");
    for (key, value) in common {
        text += &format!("# {key} = {}\n", toml_value(value));
    }
    text + &keys(schema, Some(name))
}
