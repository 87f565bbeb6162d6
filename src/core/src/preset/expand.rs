//! Putting presets under the streams and pushes of a system file.

use serde_json::{Map, Value, json};

use crate::config::{Document, Fault, Faults, closest};

use super::family::{Family, Keys, Table, merged};
use super::fields::{Fields, PushShape};
use super::origin::{Origin, Origins};
use super::template::{self, Variant};
use super::{Presets, Spelling};

/// A system file with its presets put in.
#[derive(Debug, Clone, Default)]
pub(crate) struct Expanded {
    /// The whole file.
    pub(crate) value: Value,
    /// Per stream the names of its columns at the source.
    pub(crate) streams: Vec<Fields>,
    /// Per push what becomes of its records.
    pub(crate) pushes: Vec<PushShape>,
    /// Where each of them comes from.
    pub(crate) origins: Origins,
}

/// Puts presets into `file`, the content of `document`. Of a kind of system that has no tables to
/// read (`streams`) or to write (`pushes`), that part stays as it is.
pub(crate) fn expand(
    presets: &Presets,
    document: &Document,
    file: &Value,
    streams: bool,
    pushes: bool,
) -> Result<Expanded, Faults> {
    let mut expansion =
        Expansion { presets, document, faults: Vec::new(), out: Expanded::default() };
    let mut value = file.clone();
    if streams && is_list(file, "streams") {
        let head = expansion.head(file);
        let done = expansion.all_streams(head, list(file, "streams"));
        if file.get("streams").is_some() || !done.is_empty() {
            value["streams"] = done.into();
        }
    }
    if pushes && is_list(file, "pushes") && file.get("pushes").is_some() {
        let names = spelling(file.get("names"));
        let pushes = list(file, "pushes").iter().enumerate();
        let done: Vec<Value> = pushes
            .map(|(index, push)| expansion.push(format!("pushes[{index}]"), push, names))
            .collect();
        value["pushes"] = done.into();
    }
    if !expansion.faults.is_empty() {
        return Err(Faults(expansion.faults));
    }
    Ok(Expanded { value, ..expansion.out })
}

/// Whether `key` holds a list or nothing; the schema refuses anything else.
fn is_list(file: &Value, key: &str) -> bool {
    file.is_object() && file.get(key).is_none_or(Value::is_array)
}

fn list<'a>(file: &'a Value, key: &str) -> &'a [Value] {
    file.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// What the top of a file says about presets.
struct Head {
    /// The streams it asks for.
    wanted: Vec<Wanted>,
    suffixes: Vec<String>,
    names: Option<Spelling>,
}

/// One stream over the table of a preset.
struct Wanted {
    /// Its name, if it is not the preset's own.
    name: Option<String>,
    preset: String,
    suffix: String,
}

struct Expansion<'a> {
    presets: &'a Presets,
    document: &'a Document,
    faults: Vec<Fault>,
    out: Expanded,
}

impl<'a> Expansion<'a> {
    fn fault(&mut self, path: &str, message: String, hint: Option<String>) {
        self.faults.push(self.document.fault(path, message, hint));
    }

    fn head(&mut self, file: &Value) -> Head {
        let suffixes = texts(file.get("suffix"));
        let mut wanted = Vec::new();
        for name in texts(file.get("preset")) {
            let tables: Vec<&Table> = match (self.presets.family(&name), self.presets.table(&name))
            {
                (Some(family), _) => family.tables.iter().collect(),
                (None, Some((_, table))) => vec![table],
                (None, None) => {
                    let hint = self.presets.advice_for_systems(&name);
                    self.fault("preset", format!("there is no preset `{name}`"), Some(hint));
                    continue;
                }
            };
            for table in tables {
                for suffix in or_none(&suffixes) {
                    let name = Some(table.stream_name(&suffix));
                    wanted.push(Wanted { name, preset: table.name.clone(), suffix });
                }
            }
        }
        Head { wanted, suffixes, names: spelling(file.get("names")) }
    }

    /// The streams of the file, then those that only its top asks for.
    fn all_streams(&mut self, head: Head, own: &[Value]) -> Vec<Value> {
        let mut done = Vec::new();
        for (index, stream) in own.iter().enumerate() {
            let place = format!("streams[{index}]");
            let keys = stream.as_object().cloned().unwrap_or_default();
            let wanted = wanted(&head, &keys);
            if wanted.is_empty() {
                done.push(self.plain(place.clone(), stream));
            }
            for wanted in wanted {
                done.push(self.stream(place.clone(), &keys, wanted, head.names));
            }
        }
        let written: Vec<Value> = done.iter().map(|stream| stream["name"].clone()).collect();
        for wanted in head.wanted {
            if !written.iter().any(|name| name.as_str() == wanted.name.as_deref()) {
                done.push(self.stream(String::new(), &Keys::new(), wanted, head.names));
            }
        }
        done
    }

    /// A stream without a preset.
    fn plain(&mut self, place: String, stream: &Value) -> Value {
        self.out.streams.push(template::fields(Vec::new(), renamed(stream)));
        let origin = Origin { place, own: stream.clone(), preset: None };
        self.out.origins.streams.push(origin);
        stream.clone()
    }

    fn stream(
        &mut self,
        place: String,
        own: &Keys,
        wanted: Wanted,
        names: Option<Spelling>,
    ) -> Value {
        let own_value = Value::Object(own.clone());
        let Some((family, table)) = self.find(&place, &wanted.preset) else {
            return self.plain(place, &own_value);
        };
        let variant = self.variant(&place, own, table, wanted.suffix, names);
        self.has_one_table(&place, own, "table");
        let mode = own.get("read").and_then(Value::as_str);
        let keys = match (own.get("receipts") == Some(&Value::Bool(true)), &table.receipts) {
            (false, _) => table.stream_keys(&variant, mode),
            (true, Some(receipts)) => table.receipt_keys(&variant, receipts),
            (true, None) => {
                let message =
                    format!("rows of `{}` have no marks that could be read back", table.name);
                self.fault(&format!("{place}.receipts"), message, None);
                Keys::new()
            }
        };
        let fields = template::fields(table.fields(family, &variant), renamed(&own_value));
        self.out.streams.push(fields);
        let preset = Some(wanted.preset);
        self.out.origins.streams.push(Origin { place, own: own_value, preset });
        let mut own = own.clone();
        if let Some(name) = wanted.name {
            own.insert("name".into(), json!(name));
        }
        Value::Object(merged(&keys, &own))
    }

    fn push(&mut self, place: String, push: &Value, names: Option<Spelling>) -> Value {
        let own = push.as_object().cloned().unwrap_or_default();
        let preset = own.get("preset").and_then(Value::as_str).map(str::to_owned);
        let mut set = own.get("set").and_then(Value::as_object).cloned().unwrap_or_default();
        let mut keys = Keys::new();
        let mut pairs = Vec::new();
        if let Some(preset) = &preset
            && let Some((family, table)) = self.find(&place, preset)
        {
            let suffix = texts(own.get("suffix")).into_iter().next().unwrap_or_default();
            let variant = self.variant(&place, &own, table, suffix, names);
            self.has_one_table(&place, &own, "to");
            match table.push_keys(&variant) {
                Some(push) => keys = push,
                None => {
                    let message = format!("nothing is pushed into the table of `{preset}`");
                    self.fault(&format!("{place}.preset"), message, None);
                }
            }
            set = merged(&table.set(), &set);
            set.retain(|column, _| !variant.without.contains(column));
            pairs = table.fields(family, &variant);
        }
        let fields = template::fields(pairs, renamed(push));
        for (column, _) in set.iter().filter(|(_, value)| !is_plain(value)) {
            let message = "must be text, a whole number, true or false".to_owned();
            self.fault(&format!("{place}.set.{column}"), message, None);
        }
        let set = set.into_iter().map(|(name, value)| (fields.at_source(&name), value)).collect();
        self.out.pushes.push(PushShape { fields, set });
        self.out.origins.pushes.push(Origin { place, own: push.clone(), preset });
        match push {
            Value::Object(own) => Value::Object(merged(&keys, own)),
            other => other.clone(),
        }
    }

    fn find(&mut self, place: &str, preset: &str) -> Option<(&'a Family, &'a Table)> {
        let found = self.presets.table(preset);
        if found.is_none() {
            let hint = self.presets.advice(preset);
            let message = format!("there is no preset `{preset}`");
            self.fault(&format!("{place}.preset"), message, Some(hint));
        }
        found
    }

    fn variant(
        &mut self,
        place: &str,
        own: &Keys,
        table: &Table,
        suffix: String,
        names: Option<Spelling>,
    ) -> Variant {
        let without = texts(own.get("without"));
        for name in &without {
            let columns = || table.columns.iter().map(|column| column.name.as_str());
            if !columns().any(|known| known == name) {
                let message = format!("`{}` has no column `{name}`", table.name);
                let hint = closest(name, columns()).map(|near| format!("did you mean `{near}`?"));
                self.fault(&format!("{place}.without"), message, hint);
            }
        }
        Variant { suffix, names: spelling(own.get("names")).or(names), without }
    }

    fn has_one_table(&mut self, place: &str, own: &Keys, key: &str) {
        if own.contains_key(key) && own.contains_key("suffix") {
            let message = format!("`{key}` is a whole name, to which `suffix` adds nothing");
            let hint = "leave one of the two out".to_owned();
            self.fault(&format!("{place}.suffix"), message, Some(hint));
        }
    }
}

/// The tables a stream of the file stands for: several where it has several suffixes, none where it
/// has no preset.
fn wanted(head: &Head, own: &Keys) -> Vec<Wanted> {
    let Some(preset) = own.get("preset").and_then(Value::as_str) else { return Vec::new() };
    let name = own.get("name").and_then(Value::as_str);
    let suffixes = match own.get("suffix") {
        None if own.contains_key("table") => Vec::new(),
        None => head.suffixes.clone(),
        given => texts(given),
    };
    let suffixes = or_none(&suffixes);
    let is_one = suffixes.len() == 1;
    let named = |suffix: &str| {
        name.map(|name| match is_one {
            true => name.to_owned(),
            false => format!("{name}{}", suffix.to_lowercase()),
        })
    };
    suffixes
        .into_iter()
        .map(|suffix| Wanted { name: named(&suffix), preset: preset.to_owned(), suffix })
        .collect()
}

/// A text, or the texts of a list.
fn texts(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(items)) => {
            items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

/// The suffixes, or the one that adds nothing.
fn or_none(suffixes: &[String]) -> Vec<String> {
    if suffixes.is_empty() { vec![String::new()] } else { suffixes.to_vec() }
}

fn spelling(value: Option<&Value>) -> Option<Spelling> {
    value.and_then(|value| serde_json::from_value(value.clone()).ok())
}

/// The names that the operator gives to columns at the source.
fn renamed(value: &Value) -> Vec<(String, String)> {
    let fields: Option<&Map<String, Value>> = value.get("fields").and_then(Value::as_object);
    fields
        .into_iter()
        .flatten()
        .filter_map(|(lake, there)| Some((lake.clone(), there.as_str()?.to_owned())))
        .collect()
}

fn is_plain(value: &Value) -> bool {
    match value {
        Value::String(_) | Value::Bool(_) => true,
        Value::Number(number) => number.is_i64(),
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}
