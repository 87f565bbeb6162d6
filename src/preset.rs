//! `huiliu presets` and `huiliu check --expanded`: what presets say, and what a system's file is
//! with them put in.

use huiliu_core::config::{SystemConfig, closest};
use huiliu_core::preset::{Family, Fields, Presets, Table};
use huiliu_sdk::{Error, ErrorKind};
use serde_json::{Map, Value, json};

use crate::inspect::find_system;
use crate::registry::registry;
use crate::setup::{Failure, Setup};
use crate::toml::{toml_key, toml_value};

/// Lists all presets, or shows a family or one of its tables.
pub(crate) fn presets(setup: &Setup, name: Option<&str>) -> Result<u8, Failure> {
    let project = setup.load()?;
    let presets = &project.presets;
    let shown: Vec<(&Family, Vec<&Table>)> = match name {
        None => presets.families().iter().map(|f| (f, f.tables.iter().collect())).collect(),
        Some(name) => match (presets.family(name), presets.table(name)) {
            (Some(family), _) => vec![(family, family.tables.iter().collect())],
            (None, Some((family, table))) => vec![(family, vec![table])],
            (None, None) => return Err(unknown(presets, name).into()),
        },
    };
    if setup.printer.is_json() {
        let families: Vec<Value> = shown.iter().map(|(family, t)| as_json(family, t)).collect();
        setup.printer.json(&json!({ "presets": families }));
        return Ok(0);
    }
    for (family, tables) in shown {
        setup.printer.line(&format!("{}  {}", family.name, family.title));
        for table in tables {
            setup.printer.line(&format!("  {}  {}", table.name, table.title));
            if name.is_some() {
                for line in table_lines(table) {
                    setup.printer.line(&format!("    {line}"));
                }
            }
        }
        if let (Some(_), Some(note)) = (name, &family.note) {
            setup.printer.line(&format!("  {note}"));
        }
    }
    Ok(0)
}

fn unknown(presets: &Presets, name: &str) -> Error {
    let families = presets.families().iter();
    let names = families.flat_map(|family| {
        std::iter::once(&family.name).chain(family.tables.iter().map(|table| &table.name))
    });
    let hint = match closest(name, names.map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`huiliu presets` lists all".to_owned(),
    };
    Error::new(ErrorKind::Config, "E-PRESET", format!("there is no preset `{name}`")).hint(hint)
}

fn table_lines(table: &Table) -> Vec<String> {
    let mut lines: Vec<String> = table
        .keys()
        .into_iter()
        .map(|(key, value)| format!("{} = {}", toml_key(&key), toml_value(&value)))
        .collect();
    for column in &table.columns {
        let title = column.title.as_deref().unwrap_or_default();
        let tag = column.tag.as_ref().map(|tag| format!("  [{tag}]")).unwrap_or_default();
        lines.push(format!("{}  {title}{tag}", column.name));
    }
    lines
}

fn as_json(family: &Family, tables: &[&Table]) -> Value {
    let tables: Vec<Value> = tables
        .iter()
        .map(|table| {
            let columns: Vec<Value> = (table.columns.iter())
                .map(|column| {
                    json!({ "name": column.name, "title": column.title, "tag": column.tag })
                })
                .collect();
            let keys: Map<String, Value> = table.keys().into_iter().collect();
            json!({
                "name": table.name, "title": table.title, "stream": table.stream_name,
                "keys": keys, "columns": columns,
            })
        })
        .collect();
    let names = family.names.word();
    json!({
        "family": family.name, "title": family.title, "note": family.note, "names": names,
        "tables": tables,
    })
}

/// Prints the streams and pushes of a system with presets put in. References stay as they are
/// written, so no secret is shown.
pub(crate) fn expanded(setup: &Setup, system: &str) -> Result<u8, Failure> {
    let project = setup.load()?;
    let config = &find_system(&project, system)?.config;
    let registry = registry();
    let spec = registry.find(&config.kind).map(|connector| connector.spec());
    if spec.is_none_or(|spec| spec.stream_schema.pointer("/properties/table").is_none()) {
        let message =
            format!("a system of kind {} has no tables, so it has no presets", config.kind);
        return Err(Error::new(ErrorKind::Config, "E-PRESET", message)
            .hint("read its file as it is")
            .into());
    }
    let streams: Vec<Map<String, Value>> = items(config, "streams")
        .map(|(item, name)| {
            let fields = config.fields.get(name).cloned().unwrap_or_default();
            effective(item, &fields, &Map::new())
        })
        .collect();
    let pushes: Vec<Map<String, Value>> = items(config, "pushes")
        .map(|(item, name)| {
            let push = config.pushes.iter().find(|push| push.name == name);
            let shape = push.map(|push| push.shape.clone()).unwrap_or_default();
            effective(item, &shape.fields, &shape.set)
        })
        .collect();
    if setup.printer.is_json() {
        setup.printer.json(&json!({ "streams": streams, "pushes": pushes }));
        return Ok(0);
    }
    for (list, items) in [("streams", streams), ("pushes", pushes)] {
        for item in items {
            setup.printer.line(&format!("[[{list}]]"));
            for (key, value) in &item {
                for line in key_lines(key, value) {
                    setup.printer.line(&line);
                }
            }
            setup.printer.line("");
        }
    }
    Ok(0)
}

/// The streams or pushes of a system, with their names.
fn items<'a>(
    config: &'a SystemConfig,
    list: &str,
) -> impl Iterator<Item = (&'a Map<String, Value>, &'a str)> {
    let items = config.expanded[list].as_array().into_iter().flatten();
    items
        .filter_map(Value::as_object)
        .map(|item| (item, item.get("name").and_then(Value::as_str).unwrap_or_default()))
}

/// Without the keys that have been followed, and with the names of columns that came of them.
fn effective(
    item: &Map<String, Value>,
    fields: &Fields,
    set: &Map<String, Value>,
) -> Map<String, Value> {
    let followed = ["preset", "suffix", "names", "without", "receipts", "fields", "set"];
    let mut out: Map<String, Value> = item
        .iter()
        .filter(|(key, _)| !followed.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if !fields.is_empty() {
        out.insert("fields".into(), fields.iter().map(|(k, v)| (k.to_owned(), json!(v))).collect());
    }
    if !set.is_empty() {
        out.insert("set".into(), Value::Object(set.clone()));
    }
    out
}

/// A key as lines of a file; what a table holds each on its own line.
fn key_lines(key: &str, value: &Value) -> Vec<String> {
    match value {
        Value::Object(entries) if matches!(key, "columns" | "fields" | "set") => entries
            .iter()
            .map(|(name, value)| format!("{key}.{} = {}", toml_key(name), toml_value(value)))
            .collect(),
        _ => vec![format!("{} = {}", toml_key(key), toml_value(value))],
    }
}
