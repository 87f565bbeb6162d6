//! `huiliu discover`: what a system offers, as lines for its file or as the file itself.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use huiliu_core::preset::Recognised;
use huiliu_runner::{Project, System};
use huiliu_sdk::{Capabilities, Error, ErrorKind, Spec, StreamSpec};
use serde_json::{Value, json};

use crate::cli::DiscoverArgs;
use crate::inspect::{endpoint, find_system, within_limits};
use crate::registry::registry;
use crate::setup::{Failure, Setup};
use crate::toml::{comment, quote, toml_value};

mod fill;
mod head;

pub(crate) use fill::init_system;

/// Lists what a system offers, or writes it into the system's file.
pub(crate) async fn discover(setup: &Setup, args: DiscoverArgs) -> Result<u8, Failure> {
    let project = setup.load()?;
    let file = project.root.join("config/systems").join(format!("{}.toml", args.system));
    let (system, head) = match &args.kind {
        None => (find_system(&project, &args.system)?.clone(), None),
        Some(kind) => {
            head::refuse_existing(&file)?;
            let head = head::head(setup, &args.new, &spec(kind)?, &args.system)?;
            let system = parse(setup, &project, &file, &head)?;
            (system, Some(head))
        }
    };
    let endpoint = endpoint(&system)?;
    let (probe, mut streams) = within_limits(setup, &project, &system, "discover", async |cx| {
        Ok((endpoint.probe(&cx).await?, endpoint.discover(&cx).await?))
    })
    .await?;
    streams.retain(|stream| is_wanted(stream, &args.table));
    let mut written = None;
    let mut text = String::new();
    if args.write || head.is_some() {
        let known = known_options(&system);
        streams.retain(|stream| !known.iter().any(|known| selects(known, &stream.options)));
    }
    let capabilities = capabilities(&system.config.kind);
    let mut names: BTreeSet<String> = match (&head, args.write) {
        (None, false) => BTreeSet::new(),
        _ => system.config.streams.iter().map(|(stream, _)| stream.name.clone()).collect(),
    };
    for stream in &streams {
        let name = stream_name(&stream.name, &mut names);
        let table = stream.options.get("table").and_then(Value::as_str);
        let columns: Vec<&str> = stream.columns.iter().map(|(name, _)| name.as_str()).collect();
        let known = table.and_then(|table| project.presets.recognise(table, &columns));
        text += &match known {
            Some(known) => preset_toml(&name, stream, &known, capabilities),
            None => stream_toml(&name, stream, capabilities),
        };
    }
    if args.write {
        written = Some(write(setup, &project, &file, head.as_deref(), &text)?);
    }
    if setup.printer.is_json() {
        setup.printer.json(&json!({ "probe": probe, "streams": streams, "written": written }));
        return Ok(0);
    }
    if let Some(written) = written {
        let more = setup.printer.pick("streams added; next", "个数据流已写入；下一步");
        setup.printer.line(&format!(
            "{}: {} {more}: huiliu check, huiliu preview {}.STREAM",
            written.display(),
            streams.len(),
            args.system
        ));
        return Ok(0);
    }
    if let Some(head) = &head {
        setup.printer.line(head.trim_end());
    }
    setup.printer.line(&format!("# {}: {}", system.config.title, probe.summary));
    setup.printer.line(text.trim_end());
    Ok(0)
}

/// What a kind of system is.
fn spec(kind: &str) -> Result<Spec, Error> {
    let registry = registry();
    let found = registry.find(kind).map(huiliu_sdk::Connector::spec);
    found.ok_or_else(|| {
        let message = format!("there is no kind of system called `{kind}`");
        Error::new(ErrorKind::Config, "E-SYSTEM", message)
            .hint(format!("there are: {}", fill::kinds()))
    })
}

fn capabilities(kind: &str) -> Capabilities {
    registry().find(kind).map(|connector| connector.spec().capabilities).unwrap_or_default()
}

fn parse(setup: &Setup, project: &Project, file: &Path, text: &str) -> Result<System, Failure> {
    System::parse(file, text, project, &registry(), &setup.resolver()?).map_err(Failure::Faults)
}

/// Puts a new file in its place, or the text behind the file that is there; either only if the
/// whole is valid.
fn write(
    setup: &Setup,
    project: &Project,
    file: &Path,
    head: Option<&str>,
    streams: &str,
) -> Result<PathBuf, Failure> {
    let before = match head {
        Some(head) => head.to_owned(),
        None => std::fs::read_to_string(file).map_err(|error| unwritten(file, error))?,
    };
    let mut text = before;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text += streams;
    parse(setup, project, file, &text)?;
    save(file, &text)?;
    Ok(file.to_owned())
}

/// Puts a file in its place.
fn save(file: &Path, text: &str) -> Result<(), Error> {
    // Beside the file, so that nobody ever reads half of it.
    let draft = file.with_extension("toml.new");
    std::fs::write(&draft, text).map_err(|error| unwritten(file, error))?;
    std::fs::rename(&draft, file).map_err(|error| unwritten(file, error))
}

fn unwritten(file: &Path, error: std::io::Error) -> Error {
    let message = format!("{} cannot be written", file.display());
    Error::new(ErrorKind::Permission, "E-SYSTEM-FILE", message).cause(error)
}

/// The keys by which the streams in the file choose what they read.
fn known_options(system: &System) -> Vec<Value> {
    system.config.raw.streams.iter().map(|stream| stream.options.clone()).collect()
}

/// Whether a stream of the file reads what `offered` does: the same table, path, pattern or stream
/// of a tap.
fn selects(known: &Value, offered: &Value) -> bool {
    ["table", "pattern", "path", "stream"].iter().any(|key| {
        offered.get(key).is_some_and(|value| !value.is_null() && known.get(key) == Some(value))
    })
}

fn is_wanted(stream: &StreamSpec, wanted: &[String]) -> bool {
    let table = stream.options.get("table").and_then(Value::as_str).unwrap_or(&stream.name);
    wanted.is_empty()
        || wanted.iter().any(|wanted| fits(wanted, table) || fits(wanted, &stream.name))
}

/// Whether `text` fits a name in which `*` stands for any text.
fn fits(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(text) = text.strip_prefix(start) else { return false };
    (0..=text.len()).any(|at| text.get(at..).is_some_and(|text| fits(rest, text)))
}

/// A name of a-z, 0-9 and _ that no other stream has.
fn stream_name(offered: &str, taken: &mut BTreeSet<String>) -> String {
    let mut name = String::new();
    for c in offered.chars() {
        let c = c.to_ascii_lowercase();
        if c.is_ascii_lowercase() || c.is_ascii_digit() {
            name.push(c);
        } else if !name.ends_with('_') {
            name.push('_');
        }
    }
    let name: String = name.trim_matches('_').chars().take(60).collect();
    // A name in another script leaves nothing.
    let name = if name.is_empty() { "table".to_owned() } else { name };
    let free = std::iter::once(name.clone())
        .chain((2..).map(|number: u32| format!("{name}_{number}")))
        .find(|candidate| !taken.contains(candidate))
        .unwrap_or(name);
    taken.insert(free.clone());
    free
}

/// A discovered stream as lines for a system file. Types are left to the source, which knows them
/// better than this file could say.
fn stream_toml(name: &str, stream: &StreamSpec, can: Capabilities) -> String {
    let mut lines = vec![String::new(), "[[streams]]".to_owned()];
    lines.push(format!("name = {}", quote(name)));
    for (key, value) in stream.options.as_object().into_iter().flatten() {
        if !value.is_null() {
            lines.push(format!("{key} = {}", toml_value(value)));
        }
    }
    if let Some(rows) = stream.row_estimate {
        lines.push(format!("# about {rows} rows"));
    }
    let is_float = |name: &String| {
        let spec = stream.columns.iter().find(|(column, _)| column == name);
        spec.is_some_and(|(_, spec)| spec.data_type.as_deref() == Some("float"))
    };
    let has_key = !stream.key.is_empty() && !stream.key.iter().any(is_float);
    let changed = stream.changed.as_ref().filter(|_| has_key && can.incremental);
    if has_key {
        lines.push(format!("key = {}", toml_value(&json!(stream.key))));
    } else {
        lines.push("# no key is known, so the table is read and written whole".to_owned());
        lines.push("write = \"replace\"".to_owned());
    }
    let others: Vec<String> = (stream.cursors.iter())
        .filter(|cursor| Some(*cursor) != changed)
        .map(|cursor| quote(cursor))
        .collect();
    match changed {
        Some(cursor) => {
            lines.push("read = \"incremental\"".to_owned());
            lines.push(format!("cursor = {}", quote(cursor)));
            if !can.shared {
                lines.push("overlap = \"10m\"".to_owned());
            }
            if !others.is_empty() {
                comment(&mut lines, &format!("other cursors: {}", others.join(", ")));
            }
        }
        None if has_key && can.incremental && !others.is_empty() => comment(
            &mut lines,
            &format!(
                "read = \"incremental\" with a cursor, if every change of a row moves one of: {}",
                others.join(", ")
            ),
        ),
        None => {}
    }
    if let Some(flag) = flag(stream).filter(|_| has_key && can.flagged) {
        lines.push(format!(
            "# a front database (前置库)? then read = \"flagged\", flag = {}, without cursor",
            quote(flag)
        ));
    }
    let columns: Vec<String> = (stream.columns.iter())
        .map(|(name, spec)| match spec.data_type.as_deref() {
            Some(kind) => format!("{} {kind}", quote(name)),
            None => quote(name),
        })
        .collect();
    comment(&mut lines, &format!("columns: {}", columns.join(", ")));
    for (name, _) in &stream.columns {
        if let Some(tag) = personal(name) {
            let (name, tag) = (quote(name), quote(tag));
            lines.push(format!("# personal data? columns.{name} = {{ tag = {tag} }}"));
        }
    }
    lines.join("\n") + "\n"
}

/// A discovered table that a preset describes. It is read without changing anything there.
fn preset_toml(name: &str, stream: &StreamSpec, known: &Recognised, can: Capabilities) -> String {
    let mut lines = vec![String::new(), "[[streams]]".to_owned()];
    lines.push(format!("name = {}", quote(name)));
    lines.push(format!("preset = {}", quote(&known.preset)));
    if let Some(table) = &known.table {
        lines.push(format!("table = {}", quote(table)));
    }
    if !known.suffix.is_empty() {
        lines.push(format!("suffix = {}", quote(&known.suffix)));
    }
    if let Some(names) = known.names {
        lines.push(format!("names = {}", quote(names.word())));
    }
    if !known.without.is_empty() {
        lines.push(format!("without = {}", toml_value(&json!(known.without))));
    }
    if let Some(read) = known.read {
        lines.push(format!("read = {}", quote(read)));
    }
    if let Some(rows) = stream.row_estimate {
        lines.push(format!("# about {rows} rows"));
    }
    if known.is_flagged && can.flagged {
        let text = "read = \"flagged\" marks cases there as fetched (前置库); first make sure that no \
                    other reader waits for the same mark";
        comment(&mut lines, text);
    }
    lines.join("\n") + "\n"
}

/// The column that looks like the mark of a front database.
fn flag(stream: &StreamSpec) -> Option<&str> {
    let known = ["is_sync", "issync", "sync_flag", "sync_status", "syncflag", "is_read", "tbzt"];
    let mut names = stream.columns.iter().map(|(name, _)| name.as_str());
    names.find(|name| known.contains(&name.to_lowercase().as_str()))
}

/// The kind of personal data that a column's name speaks of.
fn personal(name: &str) -> Option<&'static str> {
    let name = name.to_lowercase();
    let is = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
    if is(&["id_card", "idcard", "id_number", "sfzh", "cert_no", "page_code", "身份证"]) {
        Some("id_number")
    } else if is(&["mobile", "phone", "sjhm", "手机"]) {
        Some("mobile")
    } else if is(&["address", "住址", "地址"]) {
        Some("address")
    } else if is(&["applyer_name", "applicant_name", "contact_name", "legal_name", "姓名"]) {
        Some("name")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_streams_are_plain_and_different() {
        let mut taken = BTreeSet::new();
        for (offered, name) in [
            ("UP_PRO_ACCEPT", "up_pro_accept"),
            ("办件", "table"),
            ("事项", "table_2"),
            ("a\"; drop table x; --", "a_drop_table_x"),
            ("up_pro accept", "up_pro_accept_2"),
            ("select", "select"),
        ] {
            assert_eq!(stream_name(offered, &mut taken), name);
        }
        assert_eq!(stream_name(&"x".repeat(200), &mut taken).len(), 60);
    }

    #[test]
    fn tables_are_chosen_by_name() {
        assert!(fits("up_*", "up_pro") && fits("*pro*", "up_pro_v3") && fits("办件*", "办件表"));
        assert!(!fits("up_", "up_pro") && !fits("*v4", "up_pro_v3") && fits("**", ""));
    }

    #[test]
    fn what_is_written_is_toml_whatever_the_names_are() {
        let spec = |data_type: &str| huiliu_sdk::ColumnSpec {
            data_type: Some(data_type.into()),
            ..Default::default()
        };
        let odd = "a\"b'\n\\\u{7f}\u{1}办🏛 #=[]";
        let stream = StreamSpec {
            name: odd.into(),
            options: json!({ "table": odd, "control": { "suffix": "x" }, "none": null }),
            columns: vec![(odd.into(), spec("text")), ("is_sync".into(), spec("int"))],
            key: vec![odd.into()],
            cursors: vec![odd.into(), "other".into()],
            changed: Some(odd.into()),
            row_estimate: Some(7),
        };
        let can = Capabilities { incremental: true, flagged: true, ..Default::default() };
        let text = stream_toml("s", &stream, can);
        let read: toml_edit::DocumentMut = text.parse().unwrap();
        let stream = &read["streams"][0];
        assert_eq!(stream["table"].as_str(), Some(odd));
        assert_eq!(stream["key"][0].as_str(), Some(odd));
        assert_eq!(stream["cursor"].as_str(), Some(odd));
        assert!(text.contains("flag = \"is_sync\""), "{text}");
    }
}
