//! Messages of a tap on their way to the hub, in bounded batches of each stream.
//!
//! A state covers everything that came before it, whatever the stream. So all rows are sent before
//! it is passed on, and the hub hands it back only when they are durable.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use huiliu_sdk::{Checkpoint, Error, ErrorKind, Event, Result};
use serde_json::Value;
use tokio::time::Instant;

use crate::catalog::Chosen;
use crate::config::{Settings, Stream};
use crate::message::Message;
use crate::source::Outlet;
use crate::state::Kept;

mod lane;

use lane::Lane;

/// A state is passed on when so many rows wait for it, or when the last one was passed on so long
/// ago: some taps send one behind each row. The last one is always passed on.
const STATE_ROWS: usize = 1000;
const STATE_AFTER: Duration = Duration::from_secs(1);

/// Names of streams that are told because nobody wants them.
const TOLD: usize = 10;
/// Characters of a name that are told.
const TOLD_CHARS: usize = 60;

/// Whether more messages are wanted.
pub(crate) enum Flow {
    More,
    Enough,
}

/// A stream that is wanted.
pub(crate) struct Wanted<'a> {
    pub(crate) stream: &'a Stream,
    pub(crate) chosen: Chosen,
    /// Whether it is read from its start.
    pub(crate) is_fresh: bool,
}

/// A read in progress.
pub(crate) struct Reading<'a> {
    outlet: &'a Outlet,
    settings: &'a Settings,
    lanes: Vec<Lane<'a>>,
    /// The tap's newest state.
    state: Option<Value>,
    serial: u64,
    passed_at: Option<Instant>,
    /// Records of streams that nobody wants.
    foreign: BTreeMap<String, u64>,
    /// Kinds of messages that nobody knows.
    unknown: BTreeSet<String>,
    warnings: Option<String>,
}

impl<'a> Reading<'a> {
    pub(crate) fn new(
        outlet: &'a Outlet,
        settings: &'a Settings,
        wanted: Vec<Wanted<'a>>,
        state: Option<Value>,
        serial: u64,
    ) -> Self {
        let origin: std::sync::Arc<str> = settings.program().into();
        let lanes = wanted.into_iter();
        let lanes = lanes.map(|wanted| Lane::new(wanted, origin.clone(), settings.hub_zone));
        Self {
            outlet,
            settings,
            lanes: lanes.collect(),
            state,
            serial,
            passed_at: None,
            foreign: BTreeMap::new(),
            unknown: BTreeSet::new(),
            warnings: None,
        }
    }

    /// Takes in one message, which stands at `line` of the tap's output.
    pub(crate) async fn take(&mut self, line: u64, message: Message<'_>) -> Result<Flow> {
        match message {
            Message::Record { stream, record, version } => {
                let Some(at) = self.lane(&stream) else {
                    self.count_foreign(&stream);
                    return Ok(Flow::More);
                };
                let lane = &mut self.lanes[at];
                if lane.is_open(self.outlet.row_limit) {
                    lane.take(line, record, version);
                    self.send_if_full(at).await?;
                } else {
                    lane.cut();
                }
                if !self.lanes.iter().any(|lane| lane.is_open(self.outlet.row_limit)) {
                    return Ok(Flow::Enough);
                }
            }
            Message::Schema { stream, schema } => {
                if let Some(at) = self.lane(&stream) {
                    let lane = &mut self.lanes[at];
                    lane.announce(self.outlet, &schema).await.map_err(|error| {
                        error.context(format!("stream `{}`", self.lanes[at].id()))
                    })?;
                }
            }
            Message::State(state) => {
                self.state = Some(state);
                let is_due = self.passed_at.is_none_or(|at| at.elapsed() >= STATE_AFTER);
                let waiting: usize = self.lanes.iter().map(Lane::waiting).sum();
                if self.outlet.row_limit.is_none() && (is_due || waiting >= STATE_ROWS) {
                    self.pass_state(false).await?;
                }
            }
            Message::Version { stream, version } => {
                if let Some(at) = self.lane(&stream) {
                    self.lanes[at].activate(version);
                }
            }
            Message::Batch => {
                let program = self.settings.program();
                let message = format!("{program} sends batches of records in files of their own");
                return Err(Error::new(ErrorKind::Unsupported, "E-SINGER-BATCH", message)
                    .hint("turn batches off in its configuration (`batch_config`)"));
            }
            Message::Other(kind) => {
                if self.unknown.len() < TOLD {
                    self.unknown.insert(short(kind));
                }
            }
        }
        Ok(Flow::More)
    }

    fn lane(&self, name: &str) -> Option<usize> {
        let by_id = self.lanes.iter().position(|lane| lane.has_id(name));
        by_id.or_else(|| {
            let mut named = (0..self.lanes.len()).filter(|at| self.lanes[*at].has_name(name));
            named.next().filter(|_| named.next().is_none())
        })
    }

    fn count_foreign(&mut self, name: &str) {
        if let Some(count) = self.foreign.get_mut(name) {
            *count += 1;
        } else if self.foreign.len() < TOLD {
            self.foreign.insert(name.to_owned(), 1);
        }
    }

    /// Sends what waits once one batch, or all of them together, are as large as they may be.
    async fn send_if_full(&mut self, at: usize) -> Result<()> {
        let limits = self.outlet.cx.limits;
        if self.lanes[at].waiting() >= limits.rows {
            return self.lanes[at].flush(self.outlet).await;
        }
        let bytes: usize = self.lanes.iter().map(Lane::bytes).sum();
        if bytes >= limits.bytes { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<()> {
        for lane in &mut self.lanes {
            lane.flush(self.outlet).await?;
        }
        Ok(())
    }

    /// Sends everything before the newest state, and then the state.
    async fn pass_state(&mut self, ended: bool) -> Result<()> {
        self.flush().await?;
        let singer = self.state.clone().unwrap_or(Value::Null);
        let kept = Kept { singer, serial: self.serial, ended };
        self.outlet.send(Event::Checkpoint(kept.checkpoint()?)).await?;
        self.serial += 1;
        self.passed_at = Some(Instant::now());
        Ok(())
    }

    /// Notes that the tap gave warnings.
    pub(crate) fn note_warnings(&mut self, count: u64, last: &str) {
        let program = self.settings.program();
        self.warnings = Some(format!("{program} gave {count} warnings; the last one: {last}"));
    }

    /// The tap has said everything.
    pub(crate) async fn finish(mut self) -> Result<()> {
        self.flush().await?;
        let mut notes: Vec<String> = self.warnings.take().into_iter().collect();
        if !self.foreign.is_empty() {
            let counts = self.foreign.iter();
            let counts: Vec<String> =
                counts.map(|(name, count)| format!("{} ({count})", short(name.into()))).collect();
            notes.push(format!(
                "records of streams that this system does not have were passed over: {}",
                counts.join(", ")
            ));
        }
        if !self.unknown.is_empty() {
            let kinds: Vec<&str> = self.unknown.iter().map(String::as_str).collect();
            notes.push(format!("messages of unknown kinds were passed over: {}", kinds.join(", ")));
        }
        // What is said of the tap as a whole is said once.
        if let Some(first) = self.lanes.first() {
            for note in notes {
                self.outlet.send(Event::Note(first.id().clone(), note)).await?;
            }
        }
        for lane in &self.lanes {
            for note in lane.notes() {
                self.outlet.send(Event::Note(lane.id().clone(), note)).await?;
            }
        }
        self.pass_state(true).await?;
        for lane in &self.lanes {
            let complete = lane.is_complete();
            self.outlet.send(Event::End { stream: lane.id().clone(), complete }).await?;
        }
        Ok(())
    }

    /// As many rows were read as are wanted.
    pub(crate) async fn break_off(mut self, resume: Option<Checkpoint>) -> Result<()> {
        self.flush().await?;
        let nothing = Kept { singer: Value::Null, serial: 0, ended: false };
        let checkpoint = match resume {
            Some(checkpoint) => checkpoint,
            None => nothing.checkpoint()?,
        };
        self.outlet.send(Event::Checkpoint(checkpoint)).await?;
        for lane in &self.lanes {
            let stream = lane.id().clone();
            self.outlet.send(Event::End { stream, complete: false }).await?;
        }
        Ok(())
    }
}

/// A name of the tap's, as long as one may be.
fn short(name: Cow<'_, str>) -> String {
    let plain = name.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.take(TOLD_CHARS).collect()
}
