//! What the hub and its statement processes say to each other over a socket.
//!
//! The hub sends messages of JSON, each behind its length. A process answers with frames: a byte
//! that says what it is, the length, the content. Rows are a stream of Arrow IPC, a batch a frame,
//! so that their buffers are used where they were read to.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use arrow_ipc::reader::StreamDecoder;
use arrow_ipc::writer::StreamWriter;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::buffer::{Buffer, MutableBuffer};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::ScalarValue;
use datafusion::error::DataFusionError;
use huiliu_core::access::Limits;
use huiliu_engine::engine_error;
use huiliu_sdk::{Error, ErrorKind};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::flow::Stopped;
use super::names::Names;

/// The largest frame: a batch is cut so that only a single row can need more.
pub(super) const MAX_FRAME: usize = 256 << 20;
/// The largest message of the hub: a text of SQL and its parameters.
const MAX_MESSAGE: usize = 64 << 20;
/// How many codes of errors are kept for good.
const MAX_CODES: usize = 1_000;

/// What a frame is.
const DESCRIBED: u8 = b'S';
const ROWS: u8 = b'R';
const DONE: u8 = b'D';
const FAILED: u8 = b'E';

/// The first message.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Hello {
    /// Where the process may write while it computes; removed after it.
    pub(super) spill: PathBuf,
}

/// A reading statement, of which snapshot it reads and as whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Statement {
    pub(super) sql: String,
    pub(super) snapshot: i64,
    pub(super) limits: Limits,
}

/// What a process is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Order {
    /// To plan a statement and say what it gives and reads.
    Describe { statement: Statement, names: Names },
    /// To run one.
    Run(Box<Run>),
}

/// A statement to run.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) statement: Statement,
    pub(super) names: Names,
    /// The columns that its rows are expected to have.
    pub(super) columns: String,
    /// What is bound to its parameters.
    pub(super) values: Option<String>,
    /// At most this many rows are computed.
    pub(super) rows: Option<usize>,
}

/// What a statement gives, takes and reads.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Described {
    pub(super) columns: String,
    pub(super) parameters: String,
    pub(super) reads: BTreeMap<String, BTreeSet<String>>,
}

/// What a process answers.
#[derive(Debug)]
pub(super) enum Answer {
    Described(Described),
    Rows(Buffer),
    Done,
    Failed(Told),
}

/// What kind of fault the engine met, as far as the Postgres wire tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Class {
    Syntax,
    Rule,
    Unsupported,
    Memory,
    Internal,
    Data,
}

/// An error that was told by a process.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Told {
    kind: ErrorKind,
    code: String,
    message: String,
    hint: Option<String>,
    /// What the engine itself said, and what kind of fault that is.
    engine: Option<(Class, String)>,
    /// Whether it is an error of the hub that travelled through the engine.
    through: bool,
}

impl Told {
    pub(super) fn of(error: &Error) -> Self {
        Self {
            kind: error.kind(),
            code: error.code().to_owned(),
            message: error.to_string(),
            hint: error.hint_text().map(str::to_owned),
            engine: None,
            through: false,
        }
    }

    /// Of an error that running a statement ended with.
    pub(super) fn of_engine(error: DataFusionError) -> Self {
        let root = error.find_root();
        if let DataFusionError::External(inner) = root
            && let Some(ours) = inner.downcast_ref::<Error>()
        {
            return Self { through: true, ..Self::of(ours) };
        }
        let class = match root {
            DataFusionError::SQL(..) => Class::Syntax,
            DataFusionError::Plan(_) | DataFusionError::SchemaError(..) => Class::Rule,
            DataFusionError::NotImplemented(_) => Class::Unsupported,
            DataFusionError::ResourcesExhausted(_) => Class::Memory,
            DataFusionError::Internal(_) => Class::Internal,
            _ => Class::Data,
        };
        let text = root.strip_backtrace().lines().next().unwrap_or_default().to_owned();
        Self { engine: Some((class, text)), ..Self::of(&engine_error("the query", error)) }
    }
}

impl From<Told> for Stopped {
    fn from(told: Told) -> Self {
        let Told { kind, code, message, hint, engine, through } = told;
        let mut error = Error::new(kind, lasting(code), message);
        if let Some(hint) = hint {
            error = error.hint(hint);
        }
        match engine {
            Some((class, text)) => Self::Engine { error, class, text },
            None if through => Self::Through(error),
            None => Self::Hub(error),
        }
    }
}

/// The code for as long as the program runs; there are not many.
fn lasting(code: String) -> &'static str {
    static CODES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut codes = CODES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(&known) = codes.get(code.as_str()) {
        return known;
    }
    if codes.len() >= MAX_CODES {
        return "E-INTERNAL";
    }
    let lasting: &'static str = code.leak();
    codes.insert(lasting);
    lasting
}

/// Columns as text.
pub(super) fn schema_text(schema: &Schema) -> Result<String, ArrowError> {
    let writer = StreamWriter::try_new(Vec::new(), schema)?;
    Ok(STANDARD.encode(writer.into_inner()?))
}

/// The columns that a text says.
pub(super) fn schema_of(text: &str) -> Result<SchemaRef, ArrowError> {
    let mut decoder = StreamDecoder::new();
    decoder.decode(&mut bytes(text)?)?;
    decoder.schema().ok_or_else(|| ArrowError::IpcError("there are no columns".into()))
}

/// The types of parameters as columns; one whose type is not known has the name `?`.
pub(super) fn parameter_schema(types: &[Option<DataType>]) -> Schema {
    let field = |known: &Option<DataType>| match known {
        Some(known) => Field::new("$", known.clone(), true),
        None => Field::new("?", DataType::Null, true),
    };
    Schema::new(types.iter().map(field).collect::<Vec<_>>())
}

/// The types of parameters that columns say.
pub(super) fn parameter_types(schema: &Schema) -> Vec<Option<DataType>> {
    let known = |name: &str, known: &DataType| (name != "?").then(|| known.clone());
    schema.fields().iter().map(|field| known(field.name(), field.data_type())).collect()
}

/// Values as text; nothing where there are none.
pub(super) fn values_text(values: &[ScalarValue]) -> Result<Option<String>, DataFusionError> {
    if values.is_empty() {
        return Ok(None);
    }
    let arrays: Vec<ArrayRef> =
        values.iter().map(ScalarValue::to_array).collect::<Result<_, _>>()?;
    let fields: Vec<Field> =
        arrays.iter().map(|array| Field::new("$", array.data_type().clone(), true)).collect();
    let schema: SchemaRef = Schema::new(fields).into();
    let mut writer = StreamWriter::try_new(Vec::new(), &schema)?;
    writer.write(&RecordBatch::try_new(schema, arrays)?)?;
    Ok(Some(STANDARD.encode(writer.into_inner()?)))
}

/// The values that a text says.
pub(super) fn values_of(text: &str) -> Result<Vec<ScalarValue>, DataFusionError> {
    let mut decoder = StreamDecoder::new();
    let row = decoder.decode(&mut bytes(text)?)?;
    let row = row.ok_or_else(|| ArrowError::IpcError("there are no values".into()))?;
    row.columns().iter().map(|column| ScalarValue::try_from_array(column, 0)).collect()
}

fn bytes(text: &str) -> Result<Buffer, ArrowError> {
    let bytes = STANDARD.decode(text).map_err(|e| ArrowError::IpcError(e.to_string()))?;
    Ok(Buffer::from_vec(bytes))
}

fn too_long() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a message is longer than any can be")
}

/// Sends a message.
pub(super) async fn send(
    line: &mut (impl AsyncWrite + Unpin),
    message: &impl Serialize,
) -> io::Result<()> {
    let text = serde_json::to_vec(message)?;
    let length = u32::try_from(text.len()).map_err(|_| too_long())?;
    line.write_all(&length.to_le_bytes()).await?;
    line.write_all(&text).await?;
    line.flush().await
}

/// The next message; none at the end.
pub(super) fn read_message<T: DeserializeOwned>(line: &mut impl Read) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    match line.read_exact(&mut length) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    if length > MAX_MESSAGE {
        return Err(too_long());
    }
    let mut text = vec![0; length];
    line.read_exact(&mut text)?;
    Ok(Some(serde_json::from_slice(&text)?))
}

/// The next frame.
pub(super) async fn receive(line: &mut (impl AsyncRead + Unpin)) -> io::Result<Answer> {
    let mut head = [0; 5];
    line.read_exact(&mut head).await?;
    let [kind, length @ ..] = head;
    let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    if length > MAX_FRAME {
        return Err(too_long());
    }
    // Aligned, so that columns are used where they lie.
    let mut content = MutableBuffer::from_len_zeroed(length);
    line.read_exact(content.as_slice_mut()).await?;
    match kind {
        DESCRIBED => Ok(Answer::Described(serde_json::from_slice(&content)?)),
        ROWS => Ok(Answer::Rows(content.into())),
        DONE => Ok(Answer::Done),
        FAILED => Ok(Answer::Failed(serde_json::from_slice(&content)?)),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "a frame is of no known kind")),
    }
}

/// Answers what a statement gives.
pub(super) fn write_described(line: &mut impl Write, described: &Described) -> io::Result<()> {
    write_frame(line, DESCRIBED, &[&serde_json::to_vec(described)?])
}

/// Answers rows: a part of a stream of Arrow IPC that is not larger than `MAX_FRAME`.
pub(super) fn write_rows(line: &mut impl Write, parts: &[Buffer]) -> io::Result<()> {
    let parts: Vec<&[u8]> = parts.iter().map(Buffer::as_slice).collect();
    write_frame(line, ROWS, &parts)
}

/// Answers that all was answered.
pub(super) fn write_done(line: &mut impl Write) -> io::Result<()> {
    write_frame(line, DONE, &[])
}

/// Answers an error.
pub(super) fn write_failed(line: &mut impl Write, told: &Told) -> io::Result<()> {
    write_frame(line, FAILED, &[&serde_json::to_vec(told)?])
}

fn write_frame(line: &mut impl Write, kind: u8, parts: &[&[u8]]) -> io::Result<()> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let length = u32::try_from(length).map_err(|_| too_long())?;
    line.write_all(&[kind])?;
    line.write_all(&length.to_le_bytes())?;
    for part in parts {
        line.write_all(part)?;
    }
    line.flush()
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::TimeUnit;

    use super::*;

    #[test]
    fn columns_parameters_and_values_come_back_as_they_were() {
        let zone = Some("Asia/Shanghai".into());
        let schema = Schema::new(vec![
            Field::new("a", DataType::Utf8View, true),
            Field::new("b", DataType::Decimal128(10, 2), false),
            Field::new("c", DataType::Timestamp(TimeUnit::Microsecond, zone), true),
        ]);
        let text = schema_text(&schema).unwrap();
        assert_eq!(schema_of(&text).unwrap().as_ref(), &schema);
        assert!(schema_of("").is_err() && schema_of("!").is_err());

        let types = [Some(DataType::Int64), None, Some(DataType::Null)];
        assert_eq!(parameter_types(&parameter_schema(&types)), types);

        let values = [ScalarValue::from("值"), ScalarValue::Int64(None), ScalarValue::Null];
        let text = values_text(&values).unwrap().unwrap();
        assert_eq!(values_of(&text).unwrap(), values);
        assert_eq!(values_text(&[]).unwrap(), None);
    }

    #[test]
    fn errors_come_back_as_they_were() {
        let ours = || Error::new(ErrorKind::Permission, "E-LIMITS", "closed").hint("ask");
        let Stopped::Hub(error) = Stopped::from(Told::of(&ours())) else { panic!("no error") };
        assert_eq!((error.code(), error.hint_text()), ("E-LIMITS", Some("ask")));
        let external = DataFusionError::External(Box::new(ours()));
        let through = Error::from(Stopped::from(Told::of_engine(external)));
        let direct = engine_error("the query", DataFusionError::External(Box::new(ours())));
        assert_eq!(through.to_string(), direct.to_string());
        let exhausted = || DataFusionError::ResourcesExhausted("all of it".into());
        let told = Stopped::from(Told::of_engine(exhausted()));
        let Stopped::Engine { error, class, text } = told else { panic!("no error") };
        let direct = engine_error("the query", exhausted());
        assert_eq!((error.code(), error.to_string()), (direct.code(), direct.to_string()));
        assert_eq!((class, text), (Class::Memory, exhausted().strip_backtrace()));
    }
}
