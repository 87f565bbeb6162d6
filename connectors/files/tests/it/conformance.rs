//! The suite that every connector passes, over real folders: for formats without types, for those of
//! records that name their fields, and for those with types and bytes.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, BooleanArray, StringArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use arrow_ipc::reader::FileReader;
use arrow_ipc::writer::FileWriter;
use async_trait::async_trait;
use huiliu_connector_files::FilesConnector;
use huiliu_sdk::{Connector, LoadMode, RawConfig, RawPush, RawStream, ReadMode};
use huiliu_testkit::{Refused, System, Table, Text, Trouble, cx, open, read};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use quick_xml::escape::escape;
use rust_xlsxwriter::Workbook;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::support::{Drops, raw};
use crate::writing::load;

huiliu_testkit::conformance!(in_csv: Folder<CSV>);
huiliu_testkit::conformance!(in_ndjson: Folder<NDJSON>);
huiliu_testkit::conformance!(in_parquet: Folder<PARQUET>);
huiliu_testkit::conformance!(in_json: Folder<JSON>);
huiliu_testkit::conformance!(in_xml: Folder<XML>);
huiliu_testkit::conformance!(in_xlsx: Folder<XLSX>);
huiliu_testkit::conformance!(in_arrow: Folder<ARROW>);
huiliu_testkit::conformance!(in_xls: Folder<XLS>);

const CSV: u8 = 0;
const NDJSON: u8 = 1;
const PARQUET: u8 = 2;
const JSON: u8 = 3;
const XML: u8 = 4;
const XLSX: u8 = 5;
const ARROW: u8 = 6;
const XLS: u8 = 7;

/// What stands in CSV for no value, so that the empty text is one.
const NULL: &str = "␀";

/// Files over which the rows of a table are spread.
const FILES: usize = 5;

/// Characters that a cell of a sheet can hold.
const CELL: usize = 32_767;

struct Folder<const FORMAT: u8> {
    folder: TempDir,
}

impl<const FORMAT: u8> Folder<FORMAT> {
    fn format() -> &'static str {
        ["csv", "ndjson", "parquet", "json", "xml", "xlsx", "arrow", "xls"][usize::from(FORMAT)]
    }

    /// Keys that streams and pushes have alike.
    fn options(named: &str, name: String) -> Value {
        let mut options = json!({ named: name, "format": Self::format() });
        match FORMAT {
            CSV => options["null"] = json!(NULL),
            XML => options["record"] = json!("record"),
            _ => {}
        }
        options
    }

    /// Whether the files say themselves of what types their columns are.
    fn is_typed() -> bool {
        matches!(FORMAT, PARQUET | ARROW)
    }

    /// The text as the format can hold it, if at all.
    fn held(text: &str) -> Option<String> {
        let text: String = match FORMAT {
            // Blanks around text are no part of it.
            XML => text.trim().to_owned(),
            _ => text.chars().take(CELL / 2).collect(),
        };
        Some(text).filter(|text| !text.is_empty())
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
                    content.extend(record(table, row));
                    content.push(b'\n');
                }
            }
            JSON => {
                let records: Vec<Vec<u8>> = rows.iter().map(|row| record(table, row)).collect();
                content = [b"[".as_slice(), records.join(&b',').as_slice(), b"]"].concat();
            }
            XML => {
                let names = elements(table);
                content.extend(b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<records>");
                for row in rows {
                    content.extend(b"\n<record>");
                    for ((value, name), field) in row.iter().zip(&names).zip(schema.fields()) {
                        // A column that no record names is missing, so none is left out.
                        let Some(text) = value else {
                            content.extend(format!("<{name}/>").bytes());
                            continue;
                        };
                        if text.contains('\0') {
                            return Err(Refused("XML has no such character".into()));
                        }
                        content.extend(format!("<{name}>").bytes());
                        match table.is_broken_text(field.name()) {
                            true => content.extend(unhex(text)),
                            false => {
                                let text = escape(text.as_str()).replace('\r', "&#13;");
                                content.extend(text.bytes());
                            }
                        }
                        content.extend(format!("</{name}>").bytes());
                    }
                    content.extend(b"</record>");
                }
                content.extend(b"\n</records>\n");
            }
            XLSX => {
                check_cells(table, rows)?;
                let names = table.names().into_iter().map(Some).collect::<Vec<Text>>();
                let mut book = Workbook::new();
                let sheet = book.add_worksheet();
                for (row, values) in (0_u32..).zip(std::iter::once(&names).chain(rows)) {
                    for (column, value) in (0_u16..).zip(values) {
                        if let Some(text) = value {
                            sheet.write_string(row, column, text.as_str()).unwrap();
                        }
                    }
                }
                content = book.save_to_buffer().unwrap();
            }
            ARROW => {
                if table.names().iter().any(|name| table.is_broken_text(name)) {
                    return Err(Refused("text of Arrow is UTF-8".into()));
                }
                let mut writer = FileWriter::try_new(&mut content, &batch.schema()).unwrap();
                writer.write(batch).unwrap();
                writer.finish().unwrap();
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

/// A workbook of 97 to 2003, by the connector itself, whose workbooks other tests hold to another
/// reader.
async fn old_workbook(table: &Table, rows: &[Vec<Text>]) -> Result<Vec<u8>, Refused> {
    check_cells(table, rows)?;
    let columns = table.names().into_iter().enumerate().map(|(at, name)| {
        let texts: StringArray = rows.iter().map(|row| row[at].as_deref()).collect();
        (name, Arc::new(texts) as ArrayRef, true)
    });
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let drops = Drops::new();
    let endpoint = drops.pushing(json!({ "file": "a.xls", "format": "xls" }));
    load(&*endpoint, &cx(), LoadMode::Replace, &[batch]).await.unwrap();
    Ok(std::fs::read(drops.path("a.xls")).unwrap())
}

/// Refuses what a cell of a workbook cannot hold.
fn check_cells(table: &Table, rows: &[Vec<Text>]) -> Result<(), Refused> {
    let is_broken = table.names().iter().any(|name| table.is_broken_text(name));
    let is_unfit = |text: &String| text.contains('\0') || text.encode_utf16().count() > CELL;
    if is_broken || rows.iter().flatten().flatten().any(is_unfit) {
        return Err(Refused("a cell holds text of Unicode, up to 32,767 units".into()));
    }
    Ok(())
}

/// The names of the elements of a record: those of the columns, if all can be that.
fn elements(table: &Table) -> Vec<String> {
    let is_plain = |name: &String| {
        name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let names = table.names();
    match names.iter().all(is_plain) {
        true => names,
        false => (0..names.len()).map(|index| format!("c{index}")).collect(),
    }
}

/// A record of JSON.
fn record(table: &Table, row: &[Text]) -> Vec<u8> {
    let schema = table.batch.schema();
    let mut record = Map::new();
    for (value, field) in row.iter().zip(schema.fields()) {
        let value = match value {
            None => Value::Null,
            Some(hex) if table.is_broken_text(field.name()) => format!("hex:{hex}").into(),
            Some(text) => number(text, field.data_type()),
        };
        record.insert(field.name().clone(), value);
    }
    unhexed(&Value::Object(record).to_string())
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
        if !Self::is_typed() {
            table.declare(&mut stream);
        }
        let (names, elements) = (table.names(), elements(table));
        if FORMAT == XML && names != elements {
            let elements = elements.into_iter().map(Value::from);
            stream.options["fields"] =
                names.into_iter().zip(elements).collect::<Map<_, _>>().into();
        }
        stream
    }

    fn memory(&self) -> Option<usize> {
        // Held is a batch or row group of a file.
        let more = if matches!(FORMAT, ARROW | PARQUET) { 32 << 20 } else { 0 };
        Some((48 << 20) + more)
    }

    fn columns(&self) -> Option<usize> {
        (FORMAT == XLS).then_some(256)
    }

    fn storable(&self, mut table: Table) -> Table {
        if !matches!(FORMAT, XML | XLSX | XLS) {
            return table;
        }
        let columns: Vec<ArrayRef> = (table.batch.columns().iter())
            .map(|array| match array.data_type() {
                DataType::Utf8 => {
                    let texts = array.as_string::<i32>().iter();
                    let held = texts.map(|text| text.and_then(Self::held));
                    Arc::new(held.collect::<StringArray>()) as ArrayRef
                }
                DataType::Binary => {
                    let bytes = array.as_binary::<i32>().iter();
                    let held = bytes.map(|bytes| bytes.filter(|bytes| !bytes.is_empty()));
                    Arc::new(held.collect::<BinaryArray>())
                }
                _ => Arc::clone(array),
            })
            .collect();
        table.batch = RecordBatch::try_new(table.batch.schema(), columns).unwrap();
        if matches!(FORMAT, XLSX | XLS) {
            // A row without values is no row of a sheet.
            let has_value =
                |row: usize| table.batch.columns().iter().any(|array| !array.is_null(row));
            let kept: BooleanArray =
                (0..table.batch.num_rows()).map(|row| Some(has_value(row))).collect();
            table.batch = filter_record_batch(&table.batch, &kept).unwrap();
        }
        table
    }

    async fn put(&mut self, table: &Table) -> Result<(), Refused> {
        let rows = table.rows();
        let size = rows.len().div_ceil(FILES).max(1);
        let mut contents = Vec::new();
        for start in (0..rows.len().max(1)).step_by(size) {
            let end = (start + size).min(rows.len());
            let batch = table.batch.slice(start, end - start);
            contents.push(match FORMAT {
                XLS => old_workbook(table, &rows[start..end]).await?,
                _ => Self::file(table, &rows[start..end], &batch)?,
            });
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
        if matches!(FORMAT, XLSX | XLS) {
            // Other rules hold the reading of workbooks to those of another writer.
            let mut raw = self.config();
            raw.streams.push(self.stream(table, ReadMode::Full));
            let endpoint = open(&*self, raw);
            let outcome = read(&*endpoint, &cx(), &table.name, None).await.unwrap();
            return outcome.ids();
        }
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
                JSON => {
                    let records: Vec<Value> = serde_json::from_slice(&content).unwrap();
                    let id = |record: &Value| record["id"].as_str().unwrap().to_owned();
                    ids.extend(records.iter().map(id));
                }
                XML => {
                    let text = String::from_utf8(content).unwrap();
                    let id = |rest: &str| rest.split_once("</id>").unwrap().0.to_owned();
                    ids.extend(text.split("<id>").skip(1).map(id));
                }
                ARROW => {
                    let file = std::fs::File::open(&path).unwrap();
                    for batch in FileReader::try_new(file, None).unwrap() {
                        let batch = batch.unwrap();
                        let texts = batch["id"].as_string::<i32>();
                        ids.extend(texts.iter().flatten().map(str::to_owned));
                    }
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
        // The others take every text; CSV need not take what a spreadsheet would run.
        (FORMAT == CSV).then(|| "=refused".to_owned())
    }
}
