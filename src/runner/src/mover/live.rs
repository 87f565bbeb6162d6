//! Reading a stream whole for a plan: under the lake's columns and by the stream's contract, like a
//! run, and into files beside the lake.

use arrow::array::{Array, BooleanArray};
use arrow::compute::filter_record_batch;
use arrow::record_batch::RecordBatch;
use huiliu_engine::{LiveRows, LiveWriter, Rehearsal};
use huiliu_lake::held_schema;
use huiliu_sdk::{
    Cx, Error, ErrorKind, Event, Op, Ops, ReadMode, ReadRequest, Result, Rows, Source, StreamId,
    StreamRequest, StreamSettings, WriteMode,
};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::conform::{conform, identities, marked, ops_of, take_rows};
use super::contract::{self, Layout};
use super::{data_columns, not_ready};
use crate::gate::{Quiet, quiet_error};
use crate::hub::Hub;
use crate::project::System;
use crate::stop::in_time;

/// Batches that wait to be written.
const WAITING: usize = 2;

/// What was read of a stream.
pub(crate) struct LiveRead {
    pub(crate) rows: LiveRows,
    /// Rows that a run would set aside.
    pub(crate) set_aside: u64,
}

/// Reads `settings` of `system`, all of it. Nothing is acknowledged, so the source is left as it
/// was.
pub(crate) async fn read_live(
    hub: &Hub,
    cx: &Cx,
    system: &System,
    settings: &StreamSettings,
    rehearsal: &Rehearsal<'_>,
) -> Result<LiveRead> {
    let endpoint = system.endpoint.as_ref().ok_or_else(|| not_ready(system))?;
    check(settings)?;
    let quiet = system.config.limits.quiet();
    if hub.is_quiet(quiet) {
        return Err(quiet_error(system, quiet, Quiet::NotBegun));
    }
    let protected = hub.protect(cx, system, "plan").await?;
    let read = async {
        let cx = &protected.cx;
        let stream = StreamId::new(settings.name.as_str());
        let request =
            ReadRequest { streams: vec![StreamRequest { stream, resume: None }], row_limit: None };
        let silence = system.config.limits.silence();
        let mut source = in_time(cx, silence, endpoint.source(cx, request)).await?;
        let live = Live { hub, system, settings, rehearsal, layout: None, taker: None, aside: 0 };
        live.drain(cx, source.as_mut()).await
    };
    let read = read.await;
    protected.end(hub).await?;
    read
}

/// Refuses what reading would change, or what a table is not made of.
fn check(settings: &StreamSettings) -> Result<()> {
    let what = match (settings.read, settings.write) {
        (ReadMode::Flagged, _) => "read = \"flagged\" marks what it reads",
        (_, WriteMode::Snapshot) => "write = \"snapshot\" keeps what was read at other times",
        (_, WriteMode::Scd2) => "write = \"scd2\" keeps what was read at other times",
        _ => return Ok(()),
    };
    Err(Error::new(
        ErrorKind::Unsupported,
        "E-PLAN-LIVE",
        format!("it cannot be read live: {what}"),
    )
    .hint("name other streams, or `huiliu run` it and plan without --live"))
}

/// A stream that is being read.
struct Live<'a> {
    hub: &'a Hub,
    system: &'a System,
    settings: &'a StreamSettings,
    rehearsal: &'a Rehearsal<'a>,
    layout: Option<Layout>,
    taker: Option<Taker>,
    aside: u64,
}

/// Writes batches while the next ones are read.
struct Taker {
    batches: mpsc::Sender<RecordBatch>,
    work: JoinHandle<Result<LiveRows>>,
}

impl Taker {
    fn start(mut writer: LiveWriter) -> Self {
        let (batches, mut waiting) = mpsc::channel(WAITING);
        let work = tokio::task::spawn_blocking(move || {
            while let Some(batch) = waiting.blocking_recv() {
                writer.write(&batch)?;
            }
            writer.finish()
        });
        Self { batches, work }
    }

    async fn finish(self) -> Result<LiveRows> {
        drop(self.batches);
        self.work.await.map_err(|e| Error::internal("writing rows ended early").cause(e))?
    }
}

impl Live<'_> {
    async fn drain(mut self, cx: &Cx, source: &mut dyn Source) -> Result<LiveRead> {
        let silence = self.system.config.limits.silence();
        while let Some(event) = in_time(cx, silence, source.next(cx)).await? {
            match event {
                Event::Schema(_, schema) => {
                    let incoming = held_schema(&schema);
                    self.begin(&incoming).await?;
                }
                Event::Rows(rows) => self.take(rows).await?,
                Event::Keys(..) | Event::Note(..) | Event::Checkpoint(_) | Event::End { .. } => {}
            }
        }
        let taker = self.taker.ok_or_else(|| Error::internal("the source named no columns"))?;
        Ok(LiveRead { rows: taker.finish().await?, set_aside: self.aside })
    }

    async fn begin(&mut self, incoming: &arrow::datatypes::Schema) -> Result<()> {
        contract::check_columns(self.settings, incoming)?;
        let name = format!("{}_{}", self.system.config.id, self.settings.name);
        let table = self.hub.lake().table("current", &name).await?;
        let held = table.map(|table| data_columns(&table, self.settings.write));
        let (layout, drift) = contract::plan(self.settings.contract, held.as_ref(), incoming);
        if let Some(drift) = drift {
            let message = format!("the columns are not those agreed: {}", drift.what.join("; "));
            return Err(Error::new(ErrorKind::Schema, "E-DRIFT", message)
                .hint("a run would stop here too; ask the source's owner"));
        }
        match &self.layout {
            None => {
                let write = self.settings.write;
                let key: &[String] =
                    if write == WriteMode::Append { &[] } else { &self.settings.key };
                let writer = self.rehearsal.live_writer(&name, &layout.schema, write, key)?;
                self.taker = Some(Taker::start(writer));
            }
            Some(before) if before.schema == layout.schema => {}
            Some(_) => {
                return Err(Error::new(
                    ErrorKind::Schema,
                    "E-DRIFT",
                    "the columns changed in the middle of the read",
                )
                .hint("plan again"));
            }
        }
        self.layout = Some(layout);
        Ok(())
    }

    async fn take(&mut self, rows: Rows) -> Result<()> {
        self.aside += rows.rejected.len() as u64;
        let (Some(layout), Some(taker)) = (&self.layout, &self.taker) else {
            return Err(Error::internal("the source sent rows before their columns"));
        };
        let conformed =
            conform(&rows.batch, layout, &identities(self.settings), self.hub.project.zone)?;
        self.aside += conformed.misfits.len() as u64;
        let (mut fitting, mut ops) = (conformed.batch.clone(), rows.ops);
        if let Some(kept) = conformed.fitting() {
            fitting = take_rows(&conformed.batch, &kept)?;
            ops = ops_of(ops, &kept);
        }
        if let Some(column) = &self.settings.deleted {
            ops = marked(&fitting, column, ops)?;
        }
        let (batch, keyless) = self.living(fitting, &ops)?;
        self.aside += keyless;
        if taker.batches.send(batch).await.is_ok() {
            return Ok(());
        }
        // The writer has ended, and its error says why.
        match self.taker.take() {
            Some(taker) => taker.finish().await.map(|_| ()),
            None => Ok(()),
        }
    }

    /// The rows that are there and have a key, and how many have none.
    fn living(&self, batch: RecordBatch, ops: &Ops) -> Result<(RecordBatch, u64)> {
        let key = self.settings.key.iter().filter_map(|name| batch.column_by_name(name));
        let key: Vec<_> = match self.settings.write {
            WriteMode::Append => Vec::new(),
            _ => key.filter(|column| column.null_count() > 0).cloned().collect(),
        };
        if key.is_empty() && *ops == Ops::Upsert {
            return Ok((batch, 0));
        }
        let mut keyless = 0;
        let mask: BooleanArray = (0..batch.num_rows())
            .map(|row| {
                let is_keyless = key.iter().any(|column| column.is_null(row));
                keyless += u64::from(is_keyless);
                let lives = match ops {
                    Ops::Upsert => true,
                    Ops::Delete => false,
                    Ops::PerRow(each) => each.get(row) != Some(&Op::Delete),
                };
                Some(lives && !is_keyless)
            })
            .collect();
        Ok((filter_record_batch(&batch, &mask)?, keyless))
    }
}
