//! Kinds of systems for people: what each can do, where it ends, every key. One Markdown page.

use huiliu_sdk::{Bounds, Capabilities, ROW_BYTES, SchemaKey, Spec, schema_keys};
use serde_json::Value;

const HEAD: &str = "\
# Connectors

What each kind of system can do, where it ends, and every key of its own. This page is what `huiliu connectors` prints. Keys that
all kinds have in common are in [configuration](configuration.md); more on [files](connectors-files.md) and
[HTTP](connectors-http.md); a new kind of system begins with [adding a connector](adding-a-connector.md).

";

type Can = fn(&Capabilities) -> bool;

/// The columns of the table of capabilities.
const ABLE: [(&str, Can); 7] = [
    ("reads", |can| can.source),
    ("reads what changed", |can| can.incremental),
    ("front databases", |can| can.flagged),
    ("`discover`", |can| can.discover),
    ("takes records", |can| can.sink),
    ("once per key", |can| can.idempotent_sink),
    ("takes whole tables", |can| can.loader),
];

/// The page about all connectors.
pub fn connectors_page(connectors: &[(Spec, Bounds)]) -> String {
    let mut page = HEAD.to_owned();
    row(&mut page, std::iter::once("kind".to_owned()).chain(ABLE.map(|(name, _)| name.to_owned())));
    page += &format!("|---|{}\n", ":-:|".repeat(ABLE.len()));
    for (spec, _) in connectors {
        let able = ABLE.map(|(_, can)| if can(&spec.capabilities) { "yes" } else { "" }.to_owned());
        row(&mut page, std::iter::once(format!("[`{0}`](#{0})", spec.kind)).chain(able));
    }
    page += "\nOnce per key: a record that is sent twice under one key has one effect.\n";
    for (spec, bounds) in connectors {
        line(&mut page, &format!("\n## {}\n\n{}.\n", spec.kind, spec.title));
        for sentence in sentences(spec, bounds) {
            line(&mut page, &format!("- {sentence}"));
        }
        let parts = [
            ("The system", &spec.system_schema),
            ("`[[streams]]`", &spec.stream_schema),
            ("`[[pushes]]`", &spec.push_schema),
        ];
        for (title, schema) in parts {
            keys(&mut page, title, &schema_keys(schema));
        }
    }
    page
}

fn line(page: &mut String, text: &str) {
    page.push_str(text);
    page.push('\n');
}

fn row(page: &mut String, cells: impl Iterator<Item = String>) {
    let cells: Vec<String> = cells.map(|cell| cell.replace('|', "\\|")).collect();
    line(page, &format!("| {} |", cells.join(" | ")));
}

/// Where the kind ends.
fn sentences(spec: &Spec, bounds: &Bounds) -> Vec<String> {
    let mut sentences = Vec::new();
    if spec.capabilities.source {
        if let Some(columns) = bounds.columns {
            sentences.push(format!("A stream has {columns} columns at most."));
        }
        sentences.push(format!(
            "Rows up to {} MiB are read; a larger one is set aside or fails the read, and is never cut.",
            ROW_BYTES >> 20
        ));
    }
    if spec.capabilities.incremental {
        let again = match bounds.repeats_at_mark {
            true => "gives rows whose cursor is the mark itself once more",
            false => "gives no row twice",
        };
        sentences.push(format!("An incremental read that goes on {again}."));
    }
    let more = bounds.bytes.iter().chain(bounds.notes);
    sentences.extend(more.map(|text| sentence(text)));
    sentences
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    format!("{}{}.", first.unwrap_or_default(), letters.as_str())
}

fn keys(page: &mut String, title: &str, keys: &[SchemaKey<'_>]) {
    if keys.is_empty() {
        return;
    }
    line(page, &format!("\n### {title}\n"));
    row(page, ["key", "value", "default", "example", "what it is"].map(str::to_owned).into_iter());
    line(page, "|---|---|---|---|---|");
    for key in keys.iter().filter(|key| !key.is_tag()) {
        let name = match key.when {
            Some(kind) => format!("`{}` of type `{kind}`", key.path),
            None => format!("`{}`", key.path),
        };
        let default = match key.default() {
            _ if key.is_required => "required".to_owned(),
            None | Some(Value::Null) => String::new(),
            Some(default) => code(default),
        };
        let example = key.examples().first().map(code).unwrap_or_default();
        row(page, [name, value(key), default, example, key.description()].into_iter());
    }
}

fn code(value: &Value) -> String {
    format!("`{value}`")
}

/// What kind of value a key takes.
fn value(key: &SchemaKey<'_>) -> String {
    let choices = key.choices();
    if !choices.is_empty() && !key.is_table() {
        return choices.iter().map(|choice| format!("`{choice}`")).collect::<Vec<_>>().join(", ");
    }
    let mut words: Vec<&str> = Vec::new();
    for name in key.types() {
        words.push(match name {
            "string" => "text",
            "integer" => "whole number",
            "boolean" => "`true` or `false`",
            "array" => "list",
            "object" => "table",
            other => other,
        });
    }
    words.dedup();
    words.join(", ")
}
