//! The suite that every connector passes, over real folders: for a format without types, for one of
//! records that name their fields, and for one with types and bytes.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

use arrow::array::AsArray;
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use huiliu_connector_files::FilesConnector;
use huiliu_sdk::{Connector, RawConfig, RawPush, RawStream, ReadMode};
use huiliu_testkit::{Refused, System, Table, Text, Trouble};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::support::raw;

huiliu_testkit::conformance!(in_csv: Folder<CSV>);
huiliu_testkit::conformance!(in_ndjson: Folder<NDJSON>);
huiliu_testkit::conformance!(in_parquet: Folder<PARQUET>);

const CSV: u8 = 0;
const NDJSON: u8 = 1;
const PARQUET: u8 = 2;

/// What stands in CSV for no value, so that the empty text is one.
const NULL: &str = "␀";

/// Files over which the rows of a table are spread.
const FILES: usize = 5;

struct Folder<const FORMAT: u8> {
    folder: TempDir,
}

impl<const FORMAT: u8> Folder<FORMAT> {
    fn format() -> &'static str {
        ["csv", "ndjson", "parquet"][usize::from(FORMAT)]
    }

    /// Keys that streams and pushes have alike.
    fn options(named: &str, name: String) -> Value {
        let mut options = json!({ named: name, "format": Self::format() });
        if FORMAT == CSV {
            options["null"] = json!(NULL);
        }
        options
    }

    fn paths(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.folder.path().join("drops")).unwrap();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    }

    /// The files of a table.
    fn files(&self, table: &Table) -> Vec<PathBuf> {
        let start = format!("{}_", table.name);
        let is_of = |path: &PathBuf| {
            path.file_name().unwrap().to_str().is_some_and(|name| name.starts_with(&start))
        };
        self.paths().into_iter().filter(is_of).collect()
    }

    fn file(table: &Table, rows: &[Vec<Text>], batch: &RecordBatch) -> Result<Vec<u8>, Refused> {
        let schema = table.batch.schema();
        let mut content = Vec::new();
        match FORMAT {
            CSV => {
                let names = table.names().into_iter().map(Some).collect::<Vec<Text>>();
                for row in std::iter::once(&names).chain(rows) {
                    for (index, (value, field)) in row.iter().zip(schema.fields()).enumerate() {
                        if index > 0 {
                            content.push(b',');
                        }
                        let is_broken = table.is_broken_text(field.name()) && row != &names;
                        match value {
                            None => content.extend(NULL.bytes()),
                            Some(hex) if is_broken => content.extend(unhex(hex)),
                            Some(text) => {
                                let quoted = format!("\"{}\"", text.replace('"', "\"\""));
                                content.extend(quoted.bytes());
                            }
                        }
                    }
                    content.extend(b"\r\n");
                }
            }
            NDJSON => {
                for row in rows {
                    let mut record = Map::new();
                    for (value, field) in row.iter().zip(schema.fields()) {
                        let value = match value {
                            None => Value::Null,
                            Some(hex) if table.is_broken_text(field.name()) => {
                                format!("hex:{hex}").into()
                            }
                            Some(text) => number(text, field.data_type()),
                        };
                        record.insert(field.name().clone(), value);
                    }
                    content.extend(unhexed(&Value::Object(record).to_string()));
                    content.push(b'\n');
                }
            }
            _ => {
                if table.names().iter().any(|name| table.is_broken_text(name)) {
                    return Err(Refused("text of Parquet is UTF-8".into()));
                }
                let mut writer = ArrowWriter::try_new(&mut content, batch.schema(), None).unwrap();
                writer.write(batch).unwrap();
                writer.close().unwrap();
            }
        }
        Ok(content)
    }
}

/// Numbers and truth values are JSON's own.
fn number(text: &str, kind: &DataType) -> Value {
    match kind {
        DataType::Utf8 | DataType::Binary | DataType::Date32 | DataType::Timestamp(..) => {
            text.into()
        }
        _ => serde_json::from_str(text).unwrap(),
    }
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect()
}

/// The bytes of a line, with what stands behind `hex:` as the bytes it means.
fn unhexed(line: &str) -> Vec<u8> {
    let Some((before, rest)) = line.split_once("hex:") else { return line.into() };
    let end = rest.find(|c: char| !c.is_ascii_hexdigit()).unwrap();
    [before.as_bytes(), unhex(&rest[..end]).as_slice(), &rest.as_bytes()[end..]].concat()
}

#[async_trait]
impl<const FORMAT: u8> System for Folder<FORMAT> {
    async fn fresh() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("drops")).unwrap();
        Self { folder }
    }

    fn connector(&self) -> Box<dyn Connector> {
        Box::new(FilesConnector)
    }

    fn config(&self) -> RawConfig {
        raw(self.folder.path().to_owned(), json!({ "path": "drops" }), vec![])
    }

    fn stream(&self, table: &Table, read: ReadMode) -> RawStream {
        let pattern = format!("{}_*.{}", table.name, Self::format());
        let mut stream = table.stream(read, Self::options("pattern", pattern));
        if FORMAT != PARQUET {
            table.declare(&mut stream);
        }
        stream
    }

    async fn put(&mut self, table: &Table) -> Result<(), Refused> {
        let rows = table.rows();
        let size = rows.len().div_ceil(FILES).max(1);
        let mut contents = Vec::new();
        for start in (0..rows.len().max(1)).step_by(size) {
            let end = (start + size).min(rows.len());
            let batch = table.batch.slice(start, end - start);
            contents.push(Self::file(table, &rows[start..end], &batch)?);
        }
        for path in self.files(table) {
            std::fs::remove_file(path).unwrap();
        }
        for (number, content) in contents.iter().enumerate() {
            let name = format!("drops/{}_{}.{}", table.name, number + 1, Self::format());
            std::fs::write(self.folder.path().join(name), content).unwrap();
        }
        Ok(())
    }

    async fn content(&mut self) -> String {
        let mut content = String::new();
        for path in self.paths() {
            let mut hasher = DefaultHasher::new();
            std::fs::read(&path).unwrap().hash(&mut hasher);
            content += &format!("{} {:x}\n", path.display(), hasher.finish());
        }
        content
    }

    async fn vanish(&mut self) {
        for path in self.paths() {
            std::fs::remove_file(path).unwrap();
        }
    }

    fn troubled(&self, trouble: Trouble) -> Option<RawConfig> {
        let base = self.folder.path().to_owned();
        match trouble {
            Trouble::Place => Some(raw(base, json!({ "path": "no_such_folder" }), vec![])),
            Trouble::Unreachable | Trouble::Login => None,
        }
    }

    fn push(&self, table: &Table, whole: bool) -> RawPush {
        let part = if whole { "all" } else { "{time}" };
        let file = format!("{}_{part}.{}", table.name, Self::format());
        let mut options = Self::options("file", file);
        if FORMAT == CSV {
            options["formulas"] = json!("refuse");
        }
        table.push(options)
    }

    async fn target(&mut self, table: &Table) {
        for path in self.files(table) {
            std::fs::remove_file(path).unwrap();
        }
    }

    async fn written(&mut self, table: &Table) -> Vec<String> {
        let mut ids = Vec::new();
        for path in self.files(table) {
            let content = std::fs::read(&path).unwrap();
            match FORMAT {
                CSV => {
                    let text = String::from_utf8(content).unwrap();
                    let first = |line: &str| line.split(',').next().unwrap().to_owned();
                    ids.extend(text.lines().skip(1).map(first));
                }
                NDJSON => {
                    let text = String::from_utf8(content).unwrap();
                    let id =
                        |line: &str| serde_json::from_str::<Value>(line).unwrap()["id"].clone();
                    ids.extend(text.lines().map(|line| id(line).as_str().unwrap().to_owned()));
                }
                _ => {
                    let file = std::fs::File::open(&path).unwrap();
                    for batch in ParquetRecordBatchReader::try_new(file, 1_000).unwrap() {
                        let batch = batch.unwrap();
                        let texts = batch["id"].as_string::<i32>();
                        ids.extend(texts.iter().flatten().map(str::to_owned));
                    }
                }
            }
        }
        ids
    }

    fn refused_name(&self) -> Option<String> {
        // JSON and Parquet take every text; CSV need not take what a spreadsheet would run.
        (FORMAT == CSV).then(|| "=refused".to_owned())
    }
}
