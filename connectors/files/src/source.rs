//! Reading streams: one thread reads ahead of the caller, by at most a few batches.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use chrono_tz::Tz;
use huiliu_sdk::{
    Cell, Cx, Error, ErrorKind, Event, Ops, ReadRequest, Rejected, Relay, Result, RowBuilder, Rows,
    original, original_line,
};
use tokio::sync::mpsc;

use crate::config::{Settings, Stream};
use crate::control;
use crate::csv::{Hashing, Record, Records};
use crate::encoding;
use crate::folder::Folder;
use crate::ledger::{Fingerprint, Ledger};
use crate::schema::{self, Layout};

/// Records after which a pass without events looks whether it should stop.
const RECORDS_PER_CHECK: u64 = 4096;

/// One stream to read, and the files that need not be read again.
struct Plan {
    stream: Stream,
    ledger: Ledger,
}

/// Starts to read the streams, one after the other.
pub(crate) fn start(settings: &Arc<Settings>, cx: &Cx, request: ReadRequest) -> Result<Relay> {
    let mut plans = Vec::with_capacity(request.streams.len());
    for wanted in &request.streams {
        let stream = settings.streams.iter().find(|s| s.id == wanted.stream).ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                "E-STREAM",
                format!("stream `{}` is not configured", wanted.stream),
            )
        })?;
        // A full read starts over, so it has no use for what an earlier one noted.
        let ledger = match &wanted.resume {
            Some(checkpoint) if stream.incremental => Ledger::of_checkpoint(checkpoint)
                .map_err(|error| error.context(format!("stream `{}`", stream.id)))?,
            _ => Ledger::default(),
        };
        plans.push(Plan { stream: stream.clone(), ledger });
    }
    let (cx, settings) = (cx.clone(), Arc::clone(settings));
    Ok(Relay::start(move |sender| {
        let hub_zone = settings.hub_zone;
        let outlet = Outlet { sender, cx, hub_zone, row_limit: request.row_limit };
        outlet.run(&settings, plans);
    }))
}

/// Where the reader puts its events.
struct Outlet {
    sender: mpsc::Sender<Result<Event>>,
    cx: Cx,
    hub_zone: Tz,
    row_limit: Option<u64>,
}

/// How far the read of one stream has come.
struct Progress {
    schema: Option<SchemaRef>,
    rows: u64,
}

impl Outlet {
    fn run(self, settings: &Settings, plans: Vec<Plan>) {
        let folder = Folder::open(&settings.path);
        let done = folder.and_then(|folder| {
            for plan in plans {
                let id = plan.stream.id.clone();
                self.read(&folder, plan)
                    .map_err(|error| error.context(format!("stream `{id}`")))?;
            }
            Ok(())
        });
        if let Err(error) = done {
            // If nobody listens any more, nobody misses the error.
            drop(self.sender.blocking_send(Err(error)));
        }
    }

    fn read(&self, folder: &Folder, plan: Plan) -> Result<()> {
        let Plan { stream, mut ledger } = plan;
        let mut progress = Progress { schema: None, rows: 0 };
        if !stream.fields.is_empty() {
            let columns = schema::named_columns(&stream);
            let builder = RowBuilder::new(&columns, stream.zone, self.hub_zone);
            self.announce(&stream, &builder, &mut progress)?;
        }
        let names = folder.names(|name| stream.takes(name))?;
        let mut complete = !names.is_empty();
        let mut is_saved = false;
        for name in &names {
            let Some(found) = self.due(folder, &stream, name, &ledger)? else {
                complete = false;
                continue;
            };
            is_saved = false;
            if !self.read_file(folder, &stream, name, &found, &mut progress)? {
                complete = false;
                break;
            }
            ledger.add(name, found);
            self.send(Event::Checkpoint(ledger.checkpoint(&stream.id)))?;
            is_saved = true;
        }
        if !is_saved {
            self.send(Event::Checkpoint(ledger.checkpoint(&stream.id)))?;
        }
        self.send(Event::End { stream: stream.id.clone(), complete })
    }

    /// What the file `name` holds, or nothing if it need not or must not be read now.
    fn due(
        &self,
        folder: &Folder,
        stream: &Stream,
        name: &str,
        ledger: &Ledger,
    ) -> Result<Option<Fingerprint>> {
        self.cx.check()?;
        let control = match &stream.control {
            None => None,
            Some(options) => match control::read(folder, name, options)? {
                None => return Ok(None),
                control => control,
            },
        };
        let found = Hashing::new(folder.file(name)?).finish(name)?;
        if stream.incremental && ledger.holds(name, &found) {
            return Ok(None);
        }
        if let Some(control) = control {
            control.check_digest(name, &found)?;
            let mut input = Hashing::new(folder.file(name)?);
            let mut records = Records::open(&mut input, name, stream)?;
            let mut count = 0_u64;
            while records.next()?.is_some() {
                count += 1;
                if count.is_multiple_of(RECORDS_PER_CHECK) {
                    self.cx.check()?;
                }
            }
            // The header is no row.
            control.check_rows(name, count.saturating_sub(1))?;
        }
        Ok(Some(found))
    }

    /// Sends the rows of one file; false means that the row limit cut it short.
    fn read_file(
        &self,
        folder: &Folder,
        stream: &Stream,
        name: &str,
        expected: &Fingerprint,
        progress: &mut Progress,
    ) -> Result<bool> {
        let mut input = Hashing::new(folder.file(name)?);
        let mut records = Records::open(&mut input, name, stream)?;
        let layout = schema::layout(stream, records.next()?, name)?;
        let builder = RowBuilder::new(&layout.columns, stream.zone, self.hub_zone);
        self.announce(stream, &builder, progress)?;
        let mut batch =
            Batch { builder, rejected: Vec::new(), rejected_bytes: 0, origin: name.into(), stream };
        while let Some(record) = records.next()? {
            if self.row_limit.is_some_and(|limit| progress.rows >= limit) {
                self.flush(&mut batch)?;
                return Ok(false);
            }
            progress.rows += 1;
            batch.push(record, &layout);
            if batch.is_full(&self.cx) {
                self.flush(&mut batch)?;
            }
        }
        self.flush(&mut batch)?;
        drop(records);
        if input.finish(name)? != *expected {
            return Err(Error::new(
                ErrorKind::Conflict,
                "E-FILE-CHANGED",
                format!("file {name} changed while it was read"),
            )
            .hint("let the sender write under another name and rename the file when it is done"));
        }
        Ok(true)
    }

    /// Sends the schema if it is not the one that was sent last.
    fn announce(
        &self,
        stream: &Stream,
        builder: &RowBuilder,
        progress: &mut Progress,
    ) -> Result<()> {
        let schema = builder.schema();
        if progress.schema.as_ref() == Some(&schema) {
            return Ok(());
        }
        progress.schema = Some(Arc::clone(&schema));
        self.send(Event::Schema(stream.id.clone(), schema))
    }

    fn flush(&self, batch: &mut Batch<'_>) -> Result<()> {
        match batch.take()? {
            Some(rows) => self.send(Event::Rows(rows)),
            None => Ok(()),
        }
    }

    fn send(&self, event: Event) -> Result<()> {
        self.cx.check()?;
        self.sender.blocking_send(Ok(event)).map_err(|_| Error::cancelled())
    }
}

/// The rows collected for the next event.
struct Batch<'a> {
    builder: RowBuilder,
    rejected: Vec<Rejected>,
    rejected_bytes: usize,
    origin: Arc<str>,
    stream: &'a Stream,
}

impl Batch<'_> {
    fn push(&mut self, record: &Record, layout: &Layout) {
        let Err((code, reason)) = self.try_push(record, layout) else { return };
        let raw = self.original(record, layout);
        self.rejected_bytes += raw.len();
        self.rejected.push(Rejected { position: record.line, code, reason, raw });
    }

    /// What quarantine keeps of a refused record: its columns, or the line where it has none.
    fn original(&self, record: &Record, layout: &Layout) -> Vec<u8> {
        if record.width() != layout.width {
            return original_line(record.raw());
        }
        let encoding = self.stream.record_encoding();
        let fields: Vec<&[u8]> = record.fields().collect();
        let texts: Vec<Option<Cow<'_, str>>> =
            fields.iter().map(|bytes| encoding::field(bytes, encoding)).collect();
        let columns = layout.columns.iter().zip(&layout.fields);
        original(columns.map(|((name, ..), field)| {
            let cell = match &texts[*field] {
                None => Cell::Bytes(fields[*field]),
                Some(text) if *text == self.stream.null => Cell::Null,
                Some(text) => Cell::Text(text),
            };
            (name.as_str(), cell)
        }))
    }

    fn try_push(&mut self, record: &Record, layout: &Layout) -> Result<(), (&'static str, String)> {
        if record.width() != layout.width {
            let reason = format!("{} fields where the header has {}", record.width(), layout.width);
            return Err(("E-RAGGED", reason));
        }
        let encoding = self.stream.record_encoding();
        let mut texts = Vec::with_capacity(layout.width);
        for (index, bytes) in record.fields().enumerate() {
            let text = encoding::field(bytes, encoding).ok_or_else(|| {
                let expected = self.stream.encoding.name();
                ("E-ENCODING", format!("field {} is not {expected}", index + 1))
            })?;
            texts.push(text);
        }
        let cells: Vec<Cell<'_>> = layout
            .fields
            .iter()
            .map(|field| match &*texts[*field] {
                text if text == self.stream.null => Cell::Null,
                text => Cell::Text(text),
            })
            .collect();
        self.builder.push(record.line, &cells).map_err(|refused| {
            (refused.code, format!("column `{}`: {}", refused.column, refused.reason))
        })
    }

    fn is_full(&self, cx: &Cx) -> bool {
        self.builder.len() + self.rejected.len() >= cx.limits.rows
            || self.builder.bytes() + self.rejected_bytes >= cx.limits.bytes
    }

    fn take(&mut self) -> Result<Option<Rows>> {
        if self.builder.is_empty() && self.rejected.is_empty() {
            return Ok(None);
        }
        let (batch, positions) = self.builder.finish()?;
        self.rejected_bytes = 0;
        Ok(Some(Rows {
            stream: self.stream.id.clone(),
            batch,
            ops: Ops::Upsert,
            origin: Arc::clone(&self.origin),
            positions,
            rejected: std::mem::take(&mut self.rejected),
        }))
    }
}
