//! A read: the tap runs as long as it has something to say, and the hub takes it at its own pace.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use huiliu_sdk::{Checkpoint, Cx, Error, ErrorKind, Event, ReadRequest, Relay, Result};
use tokio::sync::mpsc;

use crate::catalog::{self, Chosen};
use crate::config::{CatalogUse, Settings, Stream};
use crate::fault::{failed, no_message};
use crate::folder::Folder;
use crate::message;
use crate::process::{Output, Program};
use crate::reading::{Flow, Reading, Wanted};
use crate::state::{self, Resume, Standing};

/// Starts to read streams, all of them by one run of the tap.
pub(crate) fn start(settings: &Arc<Settings>, cx: &Cx, request: &ReadRequest) -> Result<Relay> {
    cx.check()?;
    let mut plans = Vec::with_capacity(request.streams.len());
    for wanted in &request.streams {
        let known = settings.streams.iter().find(|stream| stream.id == wanted.stream);
        let stream = known.ok_or_else(|| {
            let message = format!("stream `{}` is not configured", wanted.stream);
            Error::new(ErrorKind::NotFound, "E-STREAM", message)
        })?;
        plans.push(Plan { stream: stream.clone(), resume: wanted.resume.clone() });
    }
    let (settings, cx, row_limit) = (Arc::clone(settings), cx.clone(), request.row_limit);
    let runtime = tokio::runtime::Handle::current();
    // Decoding is work for a thread, and the tap's output arrives through a future.
    Ok(Relay::start(move |sender| {
        let outlet = Outlet { sender, cx, row_limit };
        runtime.block_on(Box::pin(async {
            if let Err(error) = read(&outlet, &settings, &plans).await {
                // If nobody listens any more, nobody misses the error.
                drop(outlet.sender.send(Err(error)).await);
            }
        }));
    }))
}

/// One stream to read.
struct Plan {
    stream: Stream,
    resume: Option<Checkpoint>,
}

/// Where a reader puts its events.
pub(crate) struct Outlet {
    sender: mpsc::Sender<Result<Event>>,
    pub(crate) cx: Cx,
    pub(crate) row_limit: Option<u64>,
}

impl Outlet {
    pub(crate) async fn send(&self, event: Event) -> Result<()> {
        self.cx.check()?;
        self.sender.send(Ok(event)).await.map_err(|_| Error::cancelled())
    }

    /// Waits for `step`, unless the caller asks to stop or goes away.
    async fn unless_stopped<T>(&self, step: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.cx.cancel.cancelled() => Err(Error::cancelled()),
            () = self.sender.closed() => Err(Error::cancelled()),
            done = step => done,
        }
    }
}

async fn read(outlet: &Outlet, settings: &Settings, plans: &[Plan]) -> Result<()> {
    let streams: Vec<&Stream> = plans.iter().map(|plan| &plan.stream).collect();
    let mut entries = match settings.catalog {
        CatalogUse::None => Vec::new(),
        CatalogUse::Catalog | CatalogUse::Properties => {
            outlet.unless_stopped(catalog::discover(settings, &outlet.cx)).await?
        }
    };
    let chosen: Vec<Chosen> = match settings.catalog {
        CatalogUse::None => streams.iter().map(|stream| Chosen::unlisted(stream)).collect(),
        CatalogUse::Catalog | CatalogUse::Properties => catalog::choose(&mut entries, &streams)?,
    };
    let standings: Vec<Standing<'_>> = plans
        .iter()
        .zip(&chosen)
        .map(|(plan, chosen)| Standing {
            names: [&chosen.id, &chosen.name],
            is_full: plan.stream.is_full,
            resume: plan.resume.as_ref(),
        })
        .collect();
    let resume = state::resume(&standings)?;
    outlet.cx.request().await?;
    let folder = Folder::new()?;
    let mut arguments: Vec<OsString> = Vec::new();
    let mut add = |flag: &str, file: PathBuf| arguments.extend([OsString::from(flag), file.into()]);
    add("--config", folder.put("config.json", &settings.config)?);
    match settings.catalog {
        CatalogUse::None => {}
        CatalogUse::Catalog => {
            add("--catalog", folder.put("catalog.json", &catalog::written(&entries))?);
        }
        CatalogUse::Properties => {
            add("--properties", folder.put("catalog.json", &catalog::written(&entries))?);
        }
    }
    if let Some(state) = &resume.state {
        add("--state", folder.put("state.json", state)?);
    }
    let Resume { state, serial, fresh } = resume;
    let wanted = streams.iter().copied().zip(chosen).zip(fresh);
    let wanted: Vec<Wanted<'_>> =
        wanted.map(|((stream, chosen), is_fresh)| Wanted { stream, chosen, is_fresh }).collect();
    let mut reading = Reading::new(outlet, settings, wanted, state, serial);
    let (mut tap, mut output) = Program::start(settings, folder, &arguments, Stdio::null())?;
    let taken = outlet.unless_stopped(take_all(settings, &mut output, &mut reading)).await;
    match taken {
        Err(error) => Err(tap.give_up(settings, error).await),
        Ok(Flow::Enough) => {
            tap.stop().await?;
            let resume = plans.iter().find_map(|plan| plan.resume.clone());
            reading.break_off(resume).await
        }
        Ok(Flow::More) => {
            let status = tap.exit().await?;
            if !status.success() {
                return Err(failed(settings.program(), status, &tap.said(settings).await));
            }
            if let Some((count, last)) = tap.warnings(settings).await {
                reading.note_warnings(count, &last);
            }
            reading.finish().await
        }
    }
}

/// Takes messages until there are no more, or no more are wanted.
async fn take_all(
    settings: &Settings,
    output: &mut Output,
    reading: &mut Reading<'_>,
) -> Result<Flow> {
    while let Some((number, line)) = output.next().await? {
        let read = message::read(line);
        let read = read.map_err(|what| no_message(settings.program(), number, what))?;
        if let Flow::Enough = reading.take(number, read).await? {
            return Ok(Flow::Enough);
        }
    }
    Ok(Flow::More)
}
