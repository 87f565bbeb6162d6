//! The connector `lines`, over a real folder.

use std::path::PathBuf;

use arrow::datatypes::DataType;
use async_trait::async_trait;
use huiliu_sdk::{Connector, RawConfig, RawPush, RawStream, ReadMode};
use huiliu_testkit::{Refused, System, Table, Trouble};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::lines::LinesConnector;

huiliu_testkit::conformance!(lines: Folder);

pub(crate) struct Folder {
    folder: TempDir,
}

impl Folder {
    fn file(&self, table: &Table) -> PathBuf {
        self.folder.path().join(format!("{}.ndjson", table.name))
    }

    fn names(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    }
}

#[async_trait]
impl System for Folder {
    async fn fresh() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn connector(&self) -> Box<dyn Connector> {
        Box::new(LinesConnector)
    }

    fn config(&self) -> RawConfig {
        RawConfig {
            system: "test".into(),
            base_dir: self.folder.path().to_owned(),
            hub_zone: chrono_tz::Asia::Shanghai,
            options: json!({ "path": "." }),
            streams: Vec::new(),
            pushes: Vec::new(),
        }
    }

    fn stream(&self, table: &Table, read: ReadMode) -> RawStream {
        let mut stream = table.stream(read, json!({ "file": format!("{}.ndjson", table.name) }));
        table.declare(&mut stream);
        stream
    }

    async fn put(&mut self, table: &Table) -> Result<(), Refused> {
        let schema = table.batch.schema();
        let mut lines = Vec::new();
        for row in table.rows() {
            let mut record = Map::new();
            for (field, value) in schema.fields().iter().zip(&row) {
                let value = match (value, field.data_type()) {
                    (None, _) => Value::Null,
                    // Put in below, where it need not be text.
                    (Some(hex), DataType::Binary) if table.is_broken_text(field.name()) => {
                        format!("hex:{hex}").into()
                    }
                    (Some(text), _) => text.as_str().into(),
                };
                record.insert(field.name().clone(), value);
            }
            lines.extend(unhexed(&Value::Object(record).to_string()));
            lines.push(b'\n');
        }
        std::fs::write(self.file(table), lines).unwrap();
        Ok(())
    }

    async fn content(&mut self) -> String {
        let show = |path: &PathBuf| format!("{path:?} {:?}\n", std::fs::read(path).unwrap());
        self.names().iter().map(show).collect()
    }

    async fn vanish(&mut self) {
        for path in self.names() {
            std::fs::remove_file(path).unwrap();
        }
    }

    fn troubled(&self, trouble: Trouble) -> Option<RawConfig> {
        let options = json!({ "path": "no_such_folder" });
        (trouble == Trouble::Place).then(|| RawConfig { options, ..self.config() })
    }

    fn push(&self, table: &Table, _whole: bool) -> RawPush {
        let longest = 1 << 20;
        table.push(json!({ "file": format!("{}.ndjson", table.name), "longest": longest }))
    }

    async fn target(&mut self, table: &Table) {
        std::fs::write(self.file(table), "").unwrap();
    }

    async fn written(&mut self, table: &Table) -> Vec<String> {
        let text = std::fs::read_to_string(self.file(table)).unwrap();
        let id = |line: &str| serde_json::from_str::<Value>(line).unwrap()["id"].clone();
        text.lines().map(|line| id(line).as_str().unwrap().to_owned()).collect()
    }

    fn refused_name(&self) -> Option<String> {
        Some("long ".repeat(1 << 18))
    }
}

/// The bytes of a line, with what stands behind `hex:` as the bytes it means.
fn unhexed(line: &str) -> Vec<u8> {
    let Some((before, rest)) = line.split_once("hex:") else { return line.into() };
    let end = rest.find(|c: char| !c.is_ascii_hexdigit()).unwrap();
    let bytes = (0..end / 2).map(|at| u8::from_str_radix(&rest[2 * at..2 * at + 2], 16).unwrap());
    before.bytes().chain(bytes).chain(rest[end..].bytes()).collect()
}
