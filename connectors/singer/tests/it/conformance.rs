//! The suite that every connector passes, over a program that is a tap and a target of one folder.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

use arrow::datatypes::DataType;
use async_trait::async_trait;
use huiliu_connector_singer::SingerConnector;
use huiliu_sdk::{Connector, RawConfig, RawPush, RawStream, ReadMode};
use huiliu_testkit::{CANARY, Refused, System, Table, Text, Trouble};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::support::{fixture_command, raw};

huiliu_testkit::conformance!(suite: Store);

struct Store {
    folder: TempDir,
}

impl Store {
    fn tables(&self) -> PathBuf {
        self.folder.path().join("tables")
    }

    fn running(&self) -> PathBuf {
        self.folder.path().join("running")
    }

    fn path(&self, table: &Table) -> PathBuf {
        self.tables().join(format!("{}.table", table.name))
    }

    fn with(&self, command: Vec<String>, folder: PathBuf) -> RawConfig {
        let mut config = raw(
            json!({
                "command": command,
                "config": { "folder": folder, "running": self.running(), "password": CANARY },
            }),
            Vec::new(),
            Vec::new(),
        );
        config.base_dir = self.folder.path().to_owned();
        config
    }
}

fn command() -> Vec<String> {
    // Without the packages of its environment Python starts twice as fast.
    let mut command = fixture_command("store.py");
    command.insert(1, "-S".to_owned());
    command
}

/// A column as JSON Schema has it.
fn property(kind: &DataType, is_key: bool) -> Value {
    let (word, more) = match kind {
        DataType::Int32 | DataType::Int64 => ("integer", json!({})),
        DataType::Float64 => ("number", json!({})),
        DataType::Decimal128(_, scale) => {
            let places = usize::try_from(*scale).unwrap();
            let step: Value = serde_json::from_str(&format!("0.{:0>places$}", 1)).unwrap();
            ("number", json!({ "multipleOf": step }))
        }
        DataType::Boolean => ("boolean", json!({})),
        DataType::Date32 => ("string", json!({ "format": "date" })),
        DataType::Timestamp(..) => ("string", json!({ "format": "date-time" })),
        _ => ("string", json!({})),
    };
    let mut property = more;
    property["type"] = if is_key { json!([word]) } else { json!([word, "null"]) };
    property
}

fn value(text: &Text, kind: &DataType) -> Value {
    match (text, kind) {
        (None, _) => Value::Null,
        (
            Some(text),
            DataType::Utf8 | DataType::Binary | DataType::Date32 | DataType::Timestamp(..),
        ) => text.as_str().into(),
        (Some(text), _) => serde_json::from_str(text).unwrap(),
    }
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect()
}

/// The lines of the file of a table.
fn lines(table: &Table, rows: &[Vec<Text>]) -> Vec<u8> {
    let schema = table.batch.schema();
    let properties: Map<String, Value> = (schema.fields().iter())
        .map(|field| {
            let property = property(field.data_type(), table.key.contains(field.name()));
            (field.name().clone(), property)
        })
        .collect();
    let head = json!({
        "schema": { "type": "object", "properties": properties }, "key": table.key,
    });
    let mut content = format!("{head}\n").into_bytes();
    for row in rows {
        let mut record = Map::new();
        let mut broken = None;
        for (text, field) in row.iter().zip(schema.fields()) {
            let of = match text {
                Some(hex) if table.is_broken_text(field.name()) => {
                    broken = Some(unhex(hex));
                    "broken".into()
                }
                text => value(text, field.data_type()),
            };
            record.insert(field.name().clone(), of);
        }
        let line = Value::Object(record).to_string();
        match broken.as_ref().and_then(|bytes| Some((line.split_once("broken")?, bytes))) {
            Some(((before, behind), bytes)) => {
                content.extend([before.as_bytes(), bytes, behind.as_bytes()].concat());
            }
            None => content.extend(line.bytes()),
        }
        content.push(b'\n');
    }
    content
}

#[async_trait]
impl System for Store {
    async fn fresh() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("tables")).unwrap();
        Self { folder }
    }

    fn connector(&self) -> Box<dyn Connector> {
        Box::new(SingerConnector)
    }

    fn config(&self) -> RawConfig {
        self.with(command(), self.tables())
    }

    fn stream(&self, table: &Table, read: ReadMode) -> RawStream {
        let mut stream = table.stream(read, json!({}));
        // JSON has one kind of number.
        stream.settings.columns = (table.columns().into_iter())
            .filter(|(_, column)| {
                column.data_type.as_ref().is_some_and(|kind| kind.starts_with("decimal"))
            })
            .collect();
        stream
    }

    async fn put(&mut self, table: &Table) -> Result<(), Refused> {
        std::fs::write(self.path(table), lines(table, &table.rows())).unwrap();
        Ok(())
    }

    async fn content(&mut self) -> String {
        let mut paths: Vec<PathBuf> =
            std::fs::read_dir(self.tables()).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        let mut content = String::new();
        for path in paths {
            let mut hasher = DefaultHasher::new();
            std::fs::read(&path).unwrap().hash(&mut hasher);
            content += &format!("{} {:x}\n", path.display(), hasher.finish());
        }
        content
    }

    /// The tap is killed, as when the machine runs out of memory.
    async fn vanish(&mut self) {
        let process = std::fs::read_to_string(self.running()).unwrap();
        let killed = std::process::Command::new("kill").args(["-9", &process]).status().unwrap();
        assert!(killed.success());
    }

    fn troubled(&self, trouble: Trouble) -> Option<RawConfig> {
        match trouble {
            Trouble::Unreachable => Some(self.with(command(), self.folder.path().join("gone"))),
            Trouble::Place => Some(self.with(vec!["no/such/tap".to_owned()], self.tables())),
            // Why a tap ends is known to it alone.
            Trouble::Login => None,
        }
    }

    fn push(&self, table: &Table, _whole: bool) -> RawPush {
        table.push(json!({}))
    }

    async fn target(&mut self, table: &Table) {
        std::fs::write(self.path(table), lines(table, &[])).unwrap();
    }

    async fn written(&mut self, table: &Table) -> Vec<String> {
        let content = std::fs::read_to_string(self.path(table)).unwrap();
        let id = |line: &str| serde_json::from_str::<Value>(line).unwrap()["id"].clone();
        content.lines().skip(1).map(|line| id(line).as_str().unwrap().to_owned()).collect()
    }

    /// A target has records or does not; of single ones it says nothing.
    fn refused_name(&self) -> Option<String> {
        None
    }
}
