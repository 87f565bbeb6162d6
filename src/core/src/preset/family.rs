//! One preset file: a family of tables.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::config::{Document, Faults, schema_of};

use super::Spelling;

/// Keys of a stream or push, as a system file has them, in the lake's names.
pub(super) type Keys = Map<String, Value>;

/// A family of tables.
#[derive(Debug, Clone)]
pub struct Family {
    /// Its name: the file's.
    pub name: String,
    /// Its name, for people.
    pub title: String,
    /// What one has to know of it.
    pub note: Option<String>,
    /// How its columns are usually written.
    pub names: Spelling,
    /// Its tables, in the file's order.
    pub tables: Vec<Table>,
}

/// The preset of one table.
#[derive(Debug, Clone)]
pub struct Table {
    /// The preset's name.
    pub name: String,
    /// Its name, for people.
    pub title: String,
    /// The table's name at the source.
    pub table: String,
    /// The name of a stream over it.
    pub stream_name: String,
    /// Its columns in order.
    pub columns: Vec<Column>,
    /// What any stream over it has.
    pub(super) stream: Keys,
    /// What is added for `read = "incremental"`.
    pub(super) incremental: Keys,
    /// What is added for `read = "flagged"`.
    pub(super) flagged: Keys,
    /// What takes the place of how the table is read, for `receipts = true`.
    pub(super) receipts: Option<Keys>,
    /// What a push into it has; none where nothing is pushed.
    pub(super) push: Option<Keys>,
}

/// One column of a table.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its name in the lake.
    pub name: String,
    /// What it holds, for people.
    pub title: Option<String>,
    /// Kind of personal data.
    pub tag: Option<String>,
    /// Its wire name, where that follows no rule.
    pub(super) camel: Option<String>,
    /// What a stream declares of it.
    pub(super) declared: Keys,
}

/// A file under `config/presets`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FamilyFile {
    /// Version of this file's layout; 1.
    #[schemars(example = 1)]
    version: u32,
    /// What the family is, for people.
    #[schemars(example = &"不动产登记")]
    title: String,
    /// What one has to know of it.
    #[serde(default)]
    #[schemars(example = &"重新报送时时间不变。")]
    note: Option<String>,
    /// How its columns are usually written. Default: lower.
    #[serde(default)]
    names: Spelling,
    /// What all streams over its tables have.
    #[serde(default)]
    #[schemars(example = json!({ "key": ["id"], "read": "incremental" }))]
    stream: Keys,
    /// What is added for `read = "incremental"`.
    #[serde(default)]
    #[schemars(example = json!({ "cursor": "gxsj", "overlap": "10m" }))]
    incremental: Keys,
    /// What is added for `read = "flagged"`.
    #[serde(default)]
    #[schemars(example = json!({ "flag": "tbzt", "group": ["slbh"] }))]
    flagged: Keys,
    /// What pushes into its tables have, and `set`: columns with a fixed value, such as the flag.
    #[serde(default)]
    #[schemars(example = json!({ "key": ["id"], "set": { "tbzt": "0" } }))]
    push: Option<Keys>,
    /// Its tables, by the preset's name.
    #[schemars(example = json!({ "bdc_slxx": { "title": "受理信息", "columns": { "id": {} } } }))]
    tables: BTreeMap<String, TableFile>,
}

/// One table of a family.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TableFile {
    /// What the table holds, for people.
    #[schemars(example = &"受理信息")]
    title: String,
    /// Its name at the source. Default: the preset's, in the letters of `names`.
    #[serde(default)]
    #[schemars(example = &"BDC_SLXX")]
    table: Option<String>,
    /// The name of a stream over it. Default: the preset's without the family's.
    #[serde(default)]
    #[schemars(example = &"accepted")]
    name: Option<String>,
    /// What any stream over it has.
    #[serde(default)]
    #[schemars(example = json!({ "key": ["id"] }))]
    stream: Keys,
    /// What is added for `read = "incremental"`.
    #[serde(default)]
    #[schemars(example = json!({ "cursor": "gxsj" }))]
    incremental: Keys,
    /// What is added for `read = "flagged"`.
    #[serde(default)]
    #[schemars(example = json!({ "flag": "tbzt" }))]
    flagged: Keys,
    /// How the marks of what was pushed are read back, for `receipts = true`.
    #[serde(default)]
    #[schemars(example = json!({ "read": "full", "select": ["id", "tbzt"] }))]
    receipts: Option<Keys>,
    /// What a push into it has.
    #[serde(default)]
    #[schemars(example = json!({ "key": ["id"] }))]
    push: Keys,
    /// Its columns in order.
    #[schemars(example = json!({ "id": { "title": "主键", "nullable": false } }))]
    columns: BTreeMap<String, ColumnFile>,
}

/// One column of a table.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ColumnFile {
    /// What it holds, for people.
    #[serde(default)]
    #[schemars(example = &"申请人")]
    title: Option<String>,
    /// Its type, where the source's own will not do.
    #[serde(rename = "type", default)]
    #[schemars(example = &"timestamp")]
    data_type: Option<String>,
    /// Kind of personal data, such as `id_number`.
    #[serde(default)]
    #[schemars(example = &"name")]
    tag: Option<String>,
    /// Whether a row without a value here is valid.
    #[serde(default)]
    #[schemars(example = false, extend("default" = true))]
    nullable: Option<bool>,
    /// Its name under `names = "camel"`, where that follows no rule.
    #[serde(default)]
    #[schemars(example = &"Cd_time")]
    camel: Option<String>,
}

pub(super) fn schema() -> Value {
    schema_of::<FamilyFile>()
}

impl Family {
    /// Reads the family `name` from its file.
    pub(super) fn read(name: &str, document: &Document) -> Result<Self, Faults> {
        let file: FamilyFile = document.read(&schema())?;
        if file.version != 1 {
            let message = "this program reads version 1 of preset files".to_owned();
            return Err(Faults(vec![document.fault("version", message, None)]));
        }
        // The order of the file, which the typed maps have lost.
        let raw = document.to_json();
        let order = |value: &Value| -> Vec<String> {
            value.as_object().into_iter().flat_map(Map::keys).cloned().collect()
        };
        let mut known = file.tables;
        let mut tables = Vec::with_capacity(known.len());
        for preset in order(&raw["tables"]) {
            let Some(mut table) = known.remove(&preset) else { continue };
            let columns = order(&raw["tables"][&preset]["columns"])
                .into_iter()
                .filter_map(|name| table.columns.remove(&name).map(|column| (name, column)))
                .map(|(name, column)| read_column(name, column))
                .collect();
            let above = |family: &Keys, own: &Keys| merged(family, own);
            let push = match (&file.push, table.push.is_empty()) {
                (None, true) => None,
                (family, _) => Some(merged(family.as_ref().unwrap_or(&Keys::new()), &table.push)),
            };
            let prefix = format!("{name}_");
            let short = preset.strip_prefix(&prefix).unwrap_or(&preset).to_owned();
            tables.push(Table {
                title: table.title,
                table: table.table.unwrap_or_else(|| file.names.table(&preset)),
                stream_name: table.name.unwrap_or(short),
                columns,
                stream: above(&file.stream, &table.stream),
                incremental: above(&file.incremental, &table.incremental),
                flagged: above(&file.flagged, &table.flagged),
                receipts: table.receipts,
                push,
                name: preset,
            });
        }
        let family = Self {
            name: name.to_owned(),
            title: file.title,
            note: file.note,
            names: file.names,
            tables,
        };
        let faults = family.faults(document);
        if faults.is_empty() { Ok(family) } else { Err(faults) }
    }

    /// Names of columns that the table does not list.
    fn faults(&self, document: &Document) -> Faults {
        let mut faults = Faults::default();
        for table in &self.tables {
            let sections = [
                Some(&table.stream),
                Some(&table.incremental),
                Some(&table.flagged),
                table.receipts.as_ref(),
                table.push.as_ref(),
            ];
            for (key, column) in sections.into_iter().flatten().flat_map(named_columns) {
                if !table.columns.iter().any(|known| known.name == column) {
                    let place = format!("tables.{}", table.name);
                    let message = format!("`{key}` names `{column}`, which is no column of it");
                    faults.0.push(document.fault(&place, message, None));
                }
            }
        }
        faults
    }
}

impl Table {
    /// What the preset says, by key: those of every stream, and what is added for a way of reading,
    /// for receipts and for pushes.
    pub fn keys(&self) -> Vec<(String, Value)> {
        let mut keys = vec![("table".to_owned(), json!(self.table))];
        keys.extend(self.stream.iter().map(|(key, value)| (key.clone(), value.clone())));
        let sections = [
            ("incremental", Some(&self.incremental)),
            ("flagged", Some(&self.flagged).filter(|keys| keys.contains_key("flag"))),
            ("receipts", self.receipts.as_ref()),
            ("push", self.push.as_ref()),
        ];
        for (name, section) in sections {
            if let Some(section) = section.filter(|section| !section.is_empty()) {
                keys.push((name.to_owned(), Value::Object(section.clone())));
            }
        }
        keys
    }
}

/// The columns that some keys name.
fn named_columns(keys: &Keys) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (key, value) in keys {
        let names: Vec<String> = match (key.as_str(), value) {
            ("cursor" | "flag" | "version" | "deleted", Value::String(name)) => vec![name.clone()],
            ("key" | "group" | "select", Value::Array(names)) => {
                names.iter().filter_map(Value::as_str).map(str::to_owned).collect()
            }
            ("set", Value::Object(set)) => set.keys().cloned().collect(),
            _ => continue,
        };
        found.extend(names.into_iter().map(|name| (key.clone(), name)));
    }
    found
}

fn read_column(name: String, column: ColumnFile) -> Column {
    let mut declared = Keys::new();
    if let Some(data_type) = column.data_type {
        declared.insert("type".into(), json!(data_type));
    }
    if let Some(tag) = &column.tag {
        declared.insert("tag".into(), json!(tag));
    }
    if let Some(nullable) = column.nullable {
        declared.insert("nullable".into(), json!(nullable));
    }
    Column { name, title: column.title, tag: column.tag, camel: column.camel, declared }
}

/// `over` on top of `under`: tables key by key, anything else as a whole.
pub(super) fn merged(under: &Keys, over: &Keys) -> Keys {
    let mut out = under.clone();
    for (key, value) in over {
        let joined = match (out.get(key), value) {
            (Some(Value::Object(under)), Value::Object(over)) => Value::Object(merged(under, over)),
            _ => value.clone(),
        };
        out.insert(key.clone(), joined);
    }
    out
}
