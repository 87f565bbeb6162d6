//! Reading streams: one thread reads ahead of the caller, by at most a few batches.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::sync::Arc;

use async_trait::async_trait;
use huiliu_sdk::{
    Checkpoint, Cx, Error, ErrorKind, Event, ReadRequest, Relay, Result, Scope, Source, StreamId,
};

use crate::arrival::is_settled;
use crate::config::{Settings, Stream, Twins};
use crate::content;
use crate::control::{self, Control};
use crate::delivery::{Counting, Counts, Delivery, Outlet, Progress};
use crate::digest::fingerprint;
use crate::fault::unreadable;
use crate::ledger::{Fingerprint, Ledger, Taken};
use crate::place::{Entry, Place};
use crate::{read, receipt, schema};

/// Of so many files in the ledger one may be read again after a read that broke off.
const FILES_UNSAVED: usize = 16;

/// One stream to read, and the files that need not be read again.
struct Plan {
    stream: Stream,
    ledger: Ledger,
}

/// Starts to read the streams, one after the other.
pub(crate) fn start(
    settings: &Arc<Settings>,
    cx: &Cx,
    request: ReadRequest,
) -> Result<FilesSource> {
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
    let (cx, own) = (cx.clone(), Arc::clone(settings));
    let relay = Relay::start(move |sender| {
        let hub_zone = own.hub_zone;
        let outlet = Outlet { sender, cx, hub_zone, row_limit: request.row_limit };
        let done = own.place(&outlet.cx).and_then(|place| run(&outlet, &*place, plans));
        if let Err(error) = done {
            // If nobody listens any more, nobody misses the error.
            drop(outlet.sender.blocking_send(Err(error)));
        }
    });
    Ok(FilesSource { relay, settings: Arc::clone(settings), receipts: BTreeMap::new() })
}

/// A read in progress.
pub(crate) struct FilesSource {
    relay: Relay,
    settings: Arc<Settings>,
    /// The content for which each receipt was written.
    receipts: BTreeMap<(StreamId, String), Fingerprint>,
}

#[async_trait]
impl Source for FilesSource {
    async fn next(&mut self, cx: &Cx) -> Result<Option<Event>> {
        self.relay.next(cx).await
    }

    /// Tells the senders what was committed.
    async fn acknowledge(&mut self, cx: &Cx, checkpoint: &Checkpoint) -> Result<()> {
        let Scope::Stream(id) = &checkpoint.scope else { return Ok(()) };
        let stream = self.settings.streams.iter().find(|stream| stream.id == *id);
        let Some(options) = stream.and_then(|stream| stream.receipt.clone()) else {
            return Ok(());
        };
        let ledger = Ledger::of_checkpoint(checkpoint)?;
        let mut owed = Vec::new();
        for name in &ledger.latest {
            let Some(taken) = ledger.files.get(name) else { continue };
            let key = (id.clone(), name.clone());
            if self.receipts.get(&key) != Some(&taken.content) {
                owed.push((name.clone(), taken.clone()));
                self.receipts.insert(key, taken.content.clone());
            }
        }
        if owed.is_empty() {
            return Ok(());
        }
        let (settings, cx) = (Arc::clone(&self.settings), cx.clone());
        crate::blocking(move || {
            let (place, at) = (settings.place(&cx)?, cx.clock.now());
            for (name, taken) in owed {
                receipt::write(&*place, &name, &taken, &options, (at, settings.hub_zone))?;
            }
            Ok(())
        })
        .await
    }
}

fn run(outlet: &Outlet, place: &dyn Place, plans: Vec<Plan>) -> Result<()> {
    for plan in plans {
        let id = plan.stream.id.clone();
        Reader { outlet, place, stream: &plan.stream }
            .read(plan.ledger)
            .map_err(|error| error.context(format!("stream `{id}`")))?;
    }
    Ok(())
}

/// Reads one stream.
struct Reader<'a> {
    outlet: &'a Outlet,
    place: &'a dyn Place,
    stream: &'a Stream,
}

/// Why a file is not read now.
enum Left {
    /// It was read.
    Known,
    /// Its control file is not there yet.
    Uncontrolled,
    /// It has changed just now.
    Unsettled,
}

impl Reader<'_> {
    fn read(&self, mut ledger: Ledger) -> Result<()> {
        let (outlet, stream) = (self.outlet, self.stream);
        let mut progress = Progress::default();
        if let Some(columns) = schema::named_columns(stream) {
            progress.announce(outlet, stream, &columns)?;
        }
        let now = outlet.cx.clock.now();
        if let Some(options) = stream.receipt.as_ref().filter(|_| outlet.row_limit.is_none()) {
            receipt::write_owed(self.place, &ledger, options, (now, outlet.hub_zone))?;
        }
        let entries = self.place.list(&|name| stream.takes(name))?;
        let mut complete = !entries.is_empty();
        let (mut uncontrolled, mut unsettled) = (0_u64, 0_u64);
        let mut contents: HashMap<Fingerprint, String> = (ledger.files.iter())
            .map(|(name, taken)| (taken.content.clone(), name.clone()))
            .collect();
        // Files since the last checkpoint.
        let mut unsaved = 0;
        let mut is_first = true;
        for entry in &entries {
            let name = entry.name.as_str();
            let due = self.due(entry, &ledger);
            // A checkpoint holds the whole ledger; with many files not each of them has its own.
            let is_much = unsaved > ledger.files.len() / FILES_UNSAVED;
            if unsaved > 0 && (due.is_err() || (is_much && matches!(due, Ok(Ok(_))))) {
                outlet.send(Event::Checkpoint(ledger.checkpoint(&stream.id)))?;
                unsaved = 0;
            }
            let (file, found) = match due? {
                Ok(due) => due,
                Err(left) => {
                    complete = false;
                    uncontrolled += u64::from(matches!(left, Left::Uncontrolled));
                    unsettled += u64::from(matches!(left, Left::Unsettled));
                    continue;
                }
            };
            let twin = contents.get(&found).filter(|other| *other != name);
            let counts = if self.is_twin_to_skip(name, twin)? {
                Some(Counts::default())
            } else {
                self.read_file(&file, name, &found, &mut progress)?
            };
            let Some(counts) = counts else {
                complete = false;
                break;
            };
            if std::mem::take(&mut is_first) {
                ledger.latest.clear();
            }
            contents.entry(found.clone()).or_insert_with(|| name.to_owned());
            ledger.add(name, Taken { content: found, rows: counts.rows, refused: counts.refused });
            unsaved += 1;
        }
        if uncontrolled > 0 {
            self.note(format!("waiting for their control file: {uncontrolled}"))?;
        }
        if unsettled > 0 {
            self.note(format!("waiting until they stay as they are: {unsettled}"))?;
        }
        outlet.send(Event::Checkpoint(ledger.checkpoint(&stream.id)))?;
        outlet.send(Event::End { stream: stream.id.clone(), complete })
    }

    fn note(&self, note: String) -> Result<()> {
        self.outlet.send(Event::Note(self.stream.id.clone(), note))
    }

    /// The file and what it holds, or why it need not or must not be read now.
    fn due(&self, entry: &Entry, ledger: &Ledger) -> Result<Result<(File, Fingerprint), Left>> {
        let (cx, stream, name) = (&self.outlet.cx, self.stream, entry.name.as_str());
        cx.check()?;
        if stream.stable.is_some_and(|stable| !is_settled(entry, stable, cx.clock.now())) {
            return Ok(Err(Left::Unsettled));
        }
        let control = match &stream.control {
            None => None,
            Some(options) => match control::read(self.place, name, options)? {
                None => return Ok(Err(Left::Uncontrolled)),
                Some(control) => Some((control, options)),
            },
        };
        let file = self.place.open(name)?.ok_or_else(|| {
            unreadable(std::path::Path::new(name), std::io::ErrorKind::NotFound.into())
        })?;
        let algorithm = control.as_ref().map(|(_, options)| options.algorithm);
        let (found, digest) = fingerprint(&file, name, algorithm, cx)?;
        if stream.incremental && ledger.holds(name, &found) {
            return Ok(Err(Left::Known));
        }
        if let Some((control, options)) = control {
            control.check_digest(name, &digest, options)?;
            self.check_rows(&control, &file, name)?;
        }
        if stream.incremental && ledger.files.contains_key(name) {
            self.note(format!("file {name} was replaced and is read again"))?;
        }
        Ok(Ok((file, found)))
    }

    fn check_rows(&self, control: &Control, file: &File, name: &str) -> Result<()> {
        if !control.promises_rows() {
            return Ok(());
        }
        let mut counting = Counting { cx: &self.outlet.cx, rows: 0 };
        content::each(file, name, self.stream, |content| {
            read::read(content, self.stream, &mut counting).map(drop)
        })?;
        control.check_rows(name, counting.rows)
    }

    /// Says that the content was read before under another name; true if it is to be left out.
    fn is_twin_to_skip(&self, name: &str, twin: Option<&String>) -> Result<bool> {
        let Some(other) = twin else { return Ok(false) };
        let is_skipped = self.stream.twins == Twins::Skip;
        let what = if is_skipped { "is left out: it" } else { "" };
        let note = format!("file {name} {what} has the content of {other}, which was read before");
        self.note(note.replace("  ", " "))?;
        Ok(is_skipped)
    }

    /// Sends the rows of one file; nothing means that the row limit cut it short.
    fn read_file(
        &self,
        file: &File,
        name: &str,
        expected: &Fingerprint,
        progress: &mut Progress,
    ) -> Result<Option<Counts>> {
        let mut counts = Counts::default();
        let mut is_whole = true;
        let sent = content::each(file, name, self.stream, |content| {
            if !is_whole {
                return Ok(());
            }
            let (outlet, stream) = (self.outlet, self.stream);
            let mut delivery = Delivery::new(outlet, stream, progress, &mut counts, content.name());
            is_whole = read::read(content, stream, &mut delivery)?.is_continue();
            delivery.finish()
        });
        // A fault may come from a change; then that is what has to be told.
        let was_stopped = sent.as_ref().is_err_and(|e| e.kind() == ErrorKind::Cancelled);
        if !was_stopped && fingerprint(file, name, None, &self.outlet.cx)?.0 != *expected {
            return Err(Error::new(
                ErrorKind::Conflict,
                "E-FILE-CHANGED",
                format!("file {name} changed while it was read"),
            )
            .hint("let the sender write under another name and rename the file when it is done"));
        }
        sent?;
        for note in std::mem::take(&mut counts.notes) {
            self.note(note)?;
        }
        if counts.skipped > 0 {
            let noun = if counts.skipped == 1 { "row" } else { "rows" };
            let skipped = counts.skipped;
            self.note(format!("{skipped} {noun} of file {name} left out by `skip`"))?;
        }
        Ok(is_whole.then_some(counts))
    }
}
