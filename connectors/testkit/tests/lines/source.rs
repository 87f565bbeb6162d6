//! Reading: a thread of its own goes through the lines, at most a few batches ahead of the caller.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::sync::Arc;

use huiliu_sdk::{
    Cell, Checkpoint, ColumnType, Cx, Error, ErrorKind, Event, Ops, ReadRequest, Rejected, Relay,
    Result, RowBuilder, Rows, Scope, original, original_line,
};
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc::Sender;

use super::config::{Settings, Stream};

const VERSION: u16 = 1;

/// Starts to read the streams, one after the other.
pub(crate) fn start(settings: &Arc<Settings>, cx: &Cx, request: ReadRequest) -> Result<Relay> {
    let mut plans = Vec::with_capacity(request.streams.len());
    for wanted in &request.streams {
        let stream = settings.streams.iter().find(|stream| stream.id == wanted.stream);
        let stream = stream.ok_or_else(|| {
            let message = format!("stream `{}` is not configured", wanted.stream);
            Error::new(ErrorKind::NotFound, "E-STREAM", message)
        })?;
        // A full read starts over, so it has no use for what an earlier one noted.
        let read_before = match &wanted.resume {
            Some(checkpoint) if stream.incremental => lines_of(checkpoint)?,
            _ => 0,
        };
        plans.push((stream.clone(), read_before));
    }
    let (cx, zone, row_limit) = (cx.clone(), settings.hub_zone, request.row_limit);
    Ok(Relay::start(move |sender| {
        for (stream, read_before) in plans {
            let reader = Reader { sender: &sender, cx: &cx, stream: &stream };
            if let Err(error) = reader.read(read_before, zone, row_limit) {
                let error = error.context(format!("stream `{}`", stream.id));
                // If nobody listens any more, nobody misses the error.
                drop(sender.blocking_send(Err(error)));
                return;
            }
        }
    }))
}

fn lines_of(checkpoint: &Checkpoint) -> Result<u64> {
    let lines = checkpoint.state["lines"].as_u64().filter(|_| checkpoint.version == VERSION);
    lines.ok_or_else(|| {
        Error::new(ErrorKind::Data, "E-STATE", "the checkpoint cannot be read")
            .hint("run `huiliu state reset` for the stream to read it from the start")
    })
}

/// Reads one stream.
struct Reader<'a> {
    sender: &'a Sender<Result<Event>>,
    cx: &'a Cx,
    stream: &'a Stream,
}

type Columns = Vec<(String, ColumnType, bool)>;

/// The rows for the next event.
struct Batch {
    builder: RowBuilder,
    rejected: Vec<Rejected>,
    rejected_bytes: usize,
}

impl Reader<'_> {
    fn read(
        &self,
        read_before: u64,
        hub_zone: chrono_tz::Tz,
        row_limit: Option<u64>,
    ) -> Result<()> {
        let mut lines = self.lines()?;
        let mut line = Vec::new();
        let mut more = next(&mut lines, &mut line)?;
        let columns = self.columns(&line)?;
        let builder = RowBuilder::new(&columns, self.stream.zone, hub_zone);
        self.send(Event::Schema(self.stream.id.clone(), builder.schema()))?;
        let mut batch = Batch { builder, rejected: Vec::new(), rejected_bytes: 0 };
        let (mut number, mut rows) = (0_u64, 0_u64);
        let mut complete = read_before == 0;
        while more {
            if is_unfinished(&line) {
                let note = "the last line is not finished and is left for the next read".to_owned();
                self.send(Event::Note(self.stream.id.clone(), note))?;
                complete = false;
                break;
            }
            if number >= read_before {
                if row_limit.is_some_and(|limit| rows >= limit) {
                    complete = false;
                    break;
                }
                self.push(&mut batch, &columns, &line, number + 1);
                rows += 1;
            }
            number += 1;
            if self.is_full(&batch) {
                self.flush(&mut batch)?;
                self.checkpoint(number)?;
            }
            more = next(&mut lines, &mut line)?;
        }
        if number < read_before {
            let message =
                format!("the file has {number} lines, and {read_before} were read before");
            return Err(Error::new(ErrorKind::Conflict, "E-SOURCE-REWOUND", message)
                .hint("ask who writes the file; `huiliu state reset` reads it from the start"));
        }
        self.flush(&mut batch)?;
        self.checkpoint(number)?;
        self.send(Event::End { stream: self.stream.id.clone(), complete })
    }

    fn lines(&self) -> Result<BufReader<File>> {
        let file = File::open(&self.stream.path).map_err(|cause| unreadable("the file", cause))?;
        Ok(BufReader::new(file))
    }

    /// The columns: the fields of the first line, and those declared.
    fn columns(&self, first: &[u8]) -> Result<Columns> {
        let declared = &self.stream.columns;
        let first: Map<String, Value> = serde_json::from_slice(first).unwrap_or_default();
        let mut names: Vec<&String> = first.keys().collect();
        names.extend(declared.keys().filter(|name| !first.contains_key(*name)));
        for name in &self.stream.key {
            if !names.contains(&name) {
                let message = format!("the first line has no field `{name}`");
                return Err(Error::new(ErrorKind::Schema, "E-COLUMN-MISSING", message)
                    .hint("correct `key` of the stream"));
            }
        }
        let column = |name: &String| match declared.get(name) {
            Some(column) => {
                (name.clone(), column.kind.unwrap_or(ColumnType::Text), column.nullable)
            }
            None => (name.clone(), ColumnType::Text, true),
        };
        Ok(names.into_iter().map(column).collect())
    }

    /// Adds a line to the batch, or sets it aside.
    fn push(&self, batch: &mut Batch, columns: &Columns, line: &[u8], position: u64) {
        let mut reject = |code: &'static str, reason: String, raw: Vec<u8>| {
            batch.rejected_bytes += raw.len();
            batch.rejected.push(Rejected { position, code, reason, raw });
        };
        let Ok(record) = serde_json::from_slice::<Map<String, Value>>(line) else {
            return reject("E-JSON", "the line is no JSON object".into(), original_line(line));
        };
        let texts: Vec<(&str, Option<String>)> =
            record.iter().map(|(name, value)| (name.as_str(), text(value))).collect();
        let raw = || original(texts.iter().map(|(name, text)| (*name, cell(text.as_deref()))));
        if let Some(new) =
            record.keys().find(|name| !columns.iter().any(|(known, ..)| known == *name))
        {
            return reject("E-FIELD", format!("field `{new}` is no column"), raw());
        }
        let cells: Vec<Cell<'_>> = columns
            .iter()
            .map(|(name, ..)| texts.iter().find(|(field, _)| field == name))
            .map(|found| cell(found.and_then(|(_, text)| text.as_deref())))
            .collect();
        if let Err(refused) = batch.builder.push(position, &cells) {
            let reason = format!("column `{}`: {}", refused.column, refused.reason);
            reject(refused.code, reason, raw());
        }
    }

    fn is_full(&self, batch: &Batch) -> bool {
        let limits = self.cx.limits;
        batch.builder.len() + batch.rejected.len() >= limits.rows
            || batch.builder.bytes() + batch.rejected_bytes >= limits.bytes
    }

    fn flush(&self, batch: &mut Batch) -> Result<()> {
        if batch.builder.is_empty() && batch.rejected.is_empty() {
            return Ok(());
        }
        let (rows, positions) = batch.builder.finish()?;
        batch.rejected_bytes = 0;
        self.send(Event::Rows(Rows {
            stream: self.stream.id.clone(),
            batch: rows,
            ops: Ops::Upsert,
            origin: self.stream.id.as_str().into(),
            positions,
            rejected: std::mem::take(&mut batch.rejected),
        }))
    }

    fn checkpoint(&self, lines: u64) -> Result<()> {
        self.send(Event::Checkpoint(Checkpoint {
            scope: Scope::Stream(self.stream.id.clone()),
            version: VERSION,
            state: json!({ "lines": lines }),
        }))
    }

    fn send(&self, event: Event) -> Result<()> {
        self.cx.check()?;
        self.sender.blocking_send(Ok(event)).map_err(|_| Error::cancelled())
    }
}

/// Reads the next line; false at the end.
fn next(lines: &mut BufReader<File>, line: &mut Vec<u8>) -> Result<bool> {
    line.clear();
    let read = lines.read_until(b'\n', line).map_err(|cause| unreadable("the file", cause))?;
    Ok(read > 0)
}

/// Whether somebody is still writing the line.
fn is_unfinished(line: &[u8]) -> bool {
    !line.ends_with(b"\n") && serde_json::from_slice::<IgnoredAny>(line).is_err()
}

/// A value as the text that the column's type is read from.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn cell(text: Option<&str>) -> Cell<'_> {
    text.map_or(Cell::Null, Cell::Text)
}

pub(crate) fn unreadable(what: &str, cause: std::io::Error) -> Error {
    let (kind, code) = match cause.kind() {
        std::io::ErrorKind::NotFound => (ErrorKind::NotFound, "E-FILE-MISSING"),
        std::io::ErrorKind::PermissionDenied => (ErrorKind::Permission, "E-FILE-PERMISSION"),
        _ => (ErrorKind::Unreachable, "E-FILE"),
    };
    Error::new(kind, code, format!("{what} cannot be read"))
        .hint("check `path` of the system and `file` of the stream")
        .cause(cause)
}
