//! Reading streams: one thread asks the driver ahead of the caller, by at most a few batches.

use std::collections::BTreeMap;
use std::sync::Arc;

use huiliu_sdk::{
    Cell, ColumnType, Cx, Error, ErrorKind, Event, Ops, ROW_BYTES, ReadRequest, Rejected, Relay,
    Result, RowBuilder, Rows, Source, future_cursors, missing_cursors, original,
    wall_text_believed,
};
use odbc_api::parameter::VarWCharBox;
use odbc_api::{Connection, Cursor, CursorRow};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::config::{Settings, Stream};
use crate::connection::{connect, seconds};
use crate::cursor::{Mark, checkpoint};
use crate::discover;
use crate::fault::fault;
use crate::layout::{self, Layout};
use crate::marking::{FlaggedRelay, Pending};
use crate::value::{Parts, Value};
use crate::{flagged, statement};

/// Batches after which an incremental read offers a checkpoint.
const BATCHES_PER_CHECKPOINT: u64 = 8;

/// One stream to read.
struct Plan {
    stream: Stream,
    resume: Option<Mark>,
}

/// Starts to read the streams, one after the other.
pub(crate) fn start(
    settings: &Arc<Settings>,
    cx: &Cx,
    request: &ReadRequest,
) -> Result<Box<dyn Source>> {
    cx.check()?;
    let mut plans = Vec::with_capacity(request.streams.len());
    for wanted in &request.streams {
        let stream = settings.streams.iter().find(|s| s.id == wanted.stream).ok_or_else(|| {
            let message = format!("stream `{}` is not configured", wanted.stream);
            Error::new(ErrorKind::NotFound, "E-STREAM", message)
        })?;
        // Full and flagged reads start over, so they have no use for what an earlier one noted.
        let resume = match (&stream.cursor, &wanted.resume) {
            (Some(_), Some(checkpoint)) => Mark::of_checkpoint(checkpoint)
                .map_err(|error| error.context(format!("stream `{}`", stream.id)))?,
            _ => None,
        };
        plans.push(Plan { stream: stream.clone(), resume });
    }
    let is_flagged = plans.iter().any(|plan| plan.stream.flags.is_some());
    let pending = Arc::new(Pending::default());
    let (outlet_settings, marks) = (Arc::clone(settings), Arc::clone(&pending));
    let (cx, row_limit, runtime) = (cx.clone(), request.row_limit, Handle::current());
    let relay = Relay::start(move |sender| {
        Outlet { settings: outlet_settings, sender, cx, runtime, row_limit }.run(&plans, &marks);
    });
    if is_flagged {
        return Ok(Box::new(FlaggedRelay::new(relay, Arc::clone(settings), pending)));
    }
    Ok(Box::new(relay))
}

/// Where the reading thread puts its events.
pub(crate) struct Outlet {
    pub(crate) settings: Arc<Settings>,
    sender: mpsc::Sender<Result<Event>>,
    pub(crate) cx: Cx,
    runtime: Handle,
    pub(crate) row_limit: Option<u64>,
}

/// What a read has come to.
#[derive(Default)]
struct Progress {
    read: u64,
    batches: u64,
    /// Rows without a cursor.
    loose: u64,
    /// The greatest cursor that is believed.
    mark: Option<Mark>,
    has_future: bool,
    /// Whether it stopped before the last row.
    is_cut: bool,
}

impl Outlet {
    fn run(self, plans: &[Plan], pending: &Pending) {
        if let Err(error) = self.read_all(plans, pending) {
            // If nobody listens any more, nobody misses the error.
            drop(self.sender.blocking_send(Err(error)));
        }
    }

    fn read_all(&self, plans: &[Plan], pending: &Pending) -> Result<()> {
        let db = connect(&self.settings)?;
        for plan in plans {
            let done = match &plan.stream.flags {
                Some(flags) => flagged::read(self, &db, &plan.stream, flags, pending),
                None => self.read(&db, plan),
            };
            done.map_err(|error| error.context(format!("stream `{}`", plan.stream.id)))?;
        }
        Ok(())
    }

    /// Waits until the system may be sent one more statement.
    pub(crate) fn request(&self) -> Result<()> {
        self.runtime.block_on(self.cx.request())
    }

    fn read(&self, db: &Connection<'_>, plan: &Plan) -> Result<()> {
        let stream = &plan.stream;
        let mut progress = Progress { mark: plan.resume.clone(), ..Progress::default() };
        let declared = discover::declared(db, &stream.table);
        let mut has_schema = false;
        for (condition, parameter) in self.conditions(plan)? {
            if !progress.is_cut {
                let asked = (condition, parameter);
                self.rows(db, plan, &declared, asked, &mut progress, &mut has_schema)?;
            }
        }
        if let Some(cursor) = &stream.cursor {
            if progress.read == progress.loose && !progress.is_cut {
                self.refuse_rewound(db, plan, cursor)?;
            }
            if progress.has_future {
                self.send(Event::Note(stream.id.clone(), future_cursors(cursor)))?;
            }
            if progress.loose > 0 && !progress.is_cut {
                let note = missing_cursors(cursor, progress.loose);
                self.send(Event::Note(stream.id.clone(), note))?;
            }
        }
        let complete = plan.resume.is_none() && !progress.is_cut;
        self.send(Event::Checkpoint(checkpoint(&stream.id, progress.mark.as_ref())))?;
        self.send(Event::End { stream: stream.id.clone(), complete })
    }

    /// What the statements of a read ask for: everything, or the rows without a cursor and those
    /// from the mark on, the mark's own among them.
    fn conditions(&self, plan: &Plan) -> Result<Vec<(Option<String>, Option<VarWCharBox>)>> {
        let Some(cursor) = &plan.stream.cursor else { return Ok(vec![(None, None)]) };
        let column = statement::quote(&self.settings, cursor);
        let from = match &plan.resume {
            None => (format!("{column} is not null"), None),
            Some(mark) => {
                let low = mark.back_by(plan.stream.overlap)?;
                let (bound, parameter) = low.bound(&self.settings)?;
                (format!("{column} >= {bound}"), parameter)
            }
        };
        Ok(vec![(Some(format!("{column} is null")), None), (Some(from.0), from.1)])
    }

    fn rows(
        &self,
        db: &Connection<'_>,
        plan: &Plan,
        declared: &BTreeMap<String, ColumnType>,
        (condition, parameter): (Option<String>, Option<VarWCharBox>),
        progress: &mut Progress,
        has_schema: &mut bool,
    ) -> Result<()> {
        let stream = &plan.stream;
        self.request()?;
        let left = self.row_limit.map(|limit| limit.saturating_sub(progress.read));
        let is_ordered = condition.as_ref().is_some_and(|text| !text.ends_with("is null"));
        // One more than is wanted tells whether there are more.
        let sql = statement::select(
            &self.settings,
            stream,
            condition.as_deref(),
            is_ordered,
            left.map(|rows| rows.saturating_add(1)),
        );
        let timeout = seconds(self.settings.statement_timeout);
        let parameters: Vec<VarWCharBox> = parameter.into_iter().collect();
        let found = if parameters.is_empty() {
            db.execute(&sql, (), timeout)
        } else {
            db.execute(&sql, parameters.as_slice(), timeout)
        };
        let found = found.map_err(|cause| fault("reading rows", &cause))?;
        let mut cursor =
            found.ok_or_else(|| Error::internal("a query has given no rows and no end"))?;
        let layout = layout::layout(&mut cursor, stream, declared)?;
        let mut batch = Batch::new(self, stream, &layout);
        if !*has_schema {
            self.send(Event::Schema(stream.id.clone(), batch.builder.schema()))?;
            *has_schema = true;
        }
        let mut parts = Parts::new();
        loop {
            self.cx.check()?;
            let next = cursor.next_row().map_err(|cause| fault("reading rows", &cause))?;
            let Some(mut row) = next else { break };
            if self.row_limit.is_some_and(|limit| progress.read >= limit) {
                progress.is_cut = true;
                break;
            }
            progress.read += 1;
            let values = values(&mut row, &layout, &mut parts, &self.settings)?;
            self.note_cursor(plan, &layout, &values, progress);
            batch.push(progress.read, &layout, &values);
            if batch.is_full(&self.cx) {
                self.flush(&mut batch)?;
                progress.batches += 1;
                self.offer_checkpoint(plan, progress)?;
            }
        }
        self.flush(&mut batch)
    }

    /// Rows come in the order of the cursor, so the last one that is believed is the greatest.
    fn note_cursor(&self, plan: &Plan, layout: &Layout, values: &[Value], progress: &mut Progress) {
        let Some((index, kind)) = layout.cursor else { return };
        let text = match &values[index] {
            Value::Text(text) => text.clone(),
            Value::Float(number) if number.is_finite() => number.to_string(),
            Value::Null => {
                progress.loose += 1;
                return;
            }
            // Such a row is set aside or read again; nothing can be compared with it.
            Value::Float(_) | Value::Bytes(_) | Value::Garbled(_) | Value::TooLarge => return,
        };
        let now = self.cx.clock.now();
        if wall_text_believed(&text, now, plan.stream.zone).is_some() {
            progress.has_future = true;
        } else {
            progress.mark = Some(Mark::new(text, kind));
        }
    }

    /// A read that breaks off goes on from the last checkpoint, whose own cursor is read again.
    fn offer_checkpoint(&self, plan: &Plan, progress: &mut Progress) -> Result<()> {
        let due = progress.batches >= BATCHES_PER_CHECKPOINT && progress.mark != plan.resume;
        if !due || plan.stream.cursor.is_none() || progress.has_future {
            return Ok(());
        }
        progress.batches = 0;
        self.send(Event::Checkpoint(checkpoint(&plan.stream.id, progress.mark.as_ref())))
    }

    /// Nothing at or behind the mark: either nothing is there at all, or the source has gone back.
    fn refuse_rewound(&self, db: &Connection<'_>, plan: &Plan, cursor: &str) -> Result<()> {
        if plan.resume.is_none() {
            return Ok(());
        }
        self.request()?;
        let sql = statement::greatest(&self.settings, &plan.stream, cursor);
        let failed = |cause: odbc_api::Error| fault("asking for the greatest cursor", &cause);
        let timeout = seconds(self.settings.statement_timeout);
        let Some(mut found) = db.execute(&sql, (), timeout).map_err(failed)? else { return Ok(()) };
        let Some(mut row) = found.next_row().map_err(failed)? else { return Ok(()) };
        let mut text = Vec::new();
        if !row.get_text(1, &mut text).map_err(failed)? {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Conflict,
            "E-SOURCE-REWOUND",
            format!("the greatest `{cursor}` lies before the one that was already read"),
        )
        .hint(
            "the source was restored or its rows were deleted; ask its owner, then read it from \
             the start: `huiliu state reset SYSTEM.STREAM --from-start --reason TEXT`",
        ))
    }

    pub(crate) fn flush(&self, batch: &mut Batch<'_>) -> Result<()> {
        match batch.take()? {
            Some(rows) => self.send(Event::Rows(rows)),
            None => Ok(()),
        }
    }

    pub(crate) fn send(&self, event: Event) -> Result<()> {
        self.cx.check()?;
        self.sender.blocking_send(Ok(event)).map_err(|_| Error::cancelled())
    }
}

/// The values of a row, asked for in the order of the columns as all drivers want it.
pub(crate) fn values(
    row: &mut CursorRow<'_>,
    layout: &Layout,
    parts: &mut Parts,
    settings: &Settings,
) -> Result<Vec<Value>> {
    let mut values = Vec::with_capacity(layout.forms.len());
    for ((column, form), (_, kind, _)) in (1..).zip(&layout.forms).zip(&layout.columns) {
        let value = parts.value(row, column, *form, settings.text)?;
        values.push(match (kind, value) {
            (ColumnType::Decimal(..), Value::Text(text)) => Value::Text(in_digits(text)),
            (_, value) => value,
        });
    }
    Ok(values)
}

/// A number without its exponent, with which some drivers write small ones.
pub(crate) fn in_digits(number: String) -> String {
    let Some((digits, exponent)) = number.split_once(['e', 'E']) else { return number };
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", digits),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let Ok(exponent @ -300..=300) = exponent.parse::<i32>() else { return number };
    let digits = format!("{whole}{fraction}");
    let point = i32::try_from(whole.len()).unwrap_or(0) + exponent;
    match usize::try_from(point) {
        Ok(point) if point < digits.len() => {
            format!("{sign}{}.{}", &digits[..point], &digits[point..])
        }
        Ok(point) => format!("{sign}{digits:0<point$}"),
        Err(_) => format!("{sign}0.{}{digits}", "0".repeat(point.unsigned_abs() as usize)),
    }
}

/// The rows collected for the next event.
pub(crate) struct Batch<'a> {
    pub(crate) builder: RowBuilder,
    rejected: Vec<Rejected>,
    rejected_bytes: usize,
    origin: Arc<str>,
    stream: &'a Stream,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(outlet: &Outlet, stream: &'a Stream, layout: &Layout) -> Self {
        Self {
            builder: RowBuilder::new(&layout.columns, stream.zone, outlet.settings.hub_zone),
            rejected: Vec::new(),
            rejected_bytes: 0,
            origin: stream.table.as_str().into(),
            stream,
        }
    }

    pub(crate) fn push(&mut self, position: u64, layout: &Layout, values: &[Value]) {
        let Some((code, reason)) = self.refusal(position, layout, values) else { return };
        let names = layout.columns.iter().map(|(name, ..)| name.as_str());
        let raw = original(names.zip(values.iter().map(Value::cell)));
        self.rejected_bytes += raw.len();
        self.rejected.push(Rejected { position, code, reason, raw });
    }

    /// Takes a row, or says why not.
    fn refusal(
        &mut self,
        position: u64,
        layout: &Layout,
        values: &[Value],
    ) -> Option<(&'static str, String)> {
        let bytes: usize = values.iter().map(Value::bytes).sum();
        if bytes > ROW_BYTES || values.contains(&Value::TooLarge) {
            return Some(("E-ROW-SIZE", "the row is larger than 64 MiB".to_owned()));
        }
        for (value, (name, ..)) in values.iter().zip(&layout.columns) {
            if matches!(value, Value::Garbled(_)) {
                let reason = format!("column `{name}`: bytes that are no text in `text`");
                return Some(("E-ENCODING", reason));
            }
        }
        let cells: Vec<Cell<'_>> = values.iter().map(Value::cell).collect();
        match self.builder.push(position, &cells) {
            Ok(()) => None,
            Err(refused) => {
                Some((refused.code, format!("column `{}`: {}", refused.column, refused.reason)))
            }
        }
    }

    pub(crate) fn is_full(&self, cx: &Cx) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_with_an_exponent_is_written_in_digits() {
        for (text, digits) in [
            ("1e-05", "0.00001"),
            ("-1.25e-3", "-0.00125"),
            ("1.5e+3", "1500"),
            ("12.345e1", "123.45"),
            ("7", "7"),
            ("1e9999", "1e9999"),
        ] {
            assert_eq!(in_digits(text.to_owned()), digits, "{text}");
        }
    }
}
