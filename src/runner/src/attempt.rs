//! Streams of a run with everything around their read: quiet hours, parking, a connection,
//! retries.

use huiliu_core::policy::{self, NextStep};
use huiliu_sdk::{Cx, Error, ErrorKind, Result, Window};
use huiliu_store::StepRow;

use crate::chance::{Chance, FullJitter};
use crate::gate::{Protected, Quiet, quiet_error};
use crate::hub::Hub;
use crate::mover::{Guards, not_ready, sync_stream};
use crate::project::System;
use crate::run::Progress;
use crate::stop::unbroken;
use crate::together::{Seat, Table, repeated};

/// What all streams of a run share.
#[derive(Clone, Copy)]
pub(crate) struct Job<'a> {
    pub(crate) hub: &'a Hub,
    pub(crate) guards: &'a Guards,
    pub(crate) during_quiet_hours: bool,
    /// Whether incremental streams are read from the start once more.
    pub(crate) whole: bool,
    /// The part of its stream that is read instead of what is new.
    pub(crate) window: Option<&'a Window>,
    pub(crate) progress: &'a dyn Progress,
}

/// Reads the stream of `step`. However it ends, `step` has what was committed.
pub(crate) async fn stream_step(job: Job<'_>, cx: &Cx, step: &mut StepRow) -> Result<()> {
    let system = readable(job, &step.node).await?;
    let protected = job.hub.protect(cx, system, "run").await.map_err(|e| e.context(&step.node))?;
    let ended = attempt(job, &protected.cx, system, None, step).await;
    give_back(job, protected).await;
    ended
}

/// Reads the streams of `steps`, which are of one system, by one source, over one connection.
/// However they end, the steps have what was committed.
pub(crate) async fn shared_steps(
    job: Job<'_>,
    cx: &Cx,
    steps: Vec<StepRow>,
) -> Vec<(StepRow, Result<()>)> {
    let mut ended = Vec::with_capacity(steps.len());
    let mut ready = Vec::with_capacity(steps.len());
    for step in steps {
        match readable(job, &step.node).await {
            Ok(system) => ready.push((system, step)),
            Err(error) => ended.push((step, Err(error))),
        }
    }
    let Some((system, _)) = ready.first() else { return ended };
    let system = *system;
    let Some(endpoint) = &system.endpoint else { return ended };
    let protected = match job.hub.protect(cx, system, "run").await {
        Ok(protected) => protected,
        Err(error) => {
            let refused = ready.into_iter().map(|(_, step)| {
                let error = repeated(&error).context(&step.node);
                (step, Err(error))
            });
            ended.extend(refused);
            return ended;
        }
    };
    let (table, seats) = Table::for_streams(ready.len());
    let reads = ready.into_iter().zip(seats).map(|((_, mut step), seat)| {
        let cx = &protected.cx;
        Box::pin(async move {
            let read = attempt(job, cx, system, Some(&seat), &mut step);
            let result = unbroken(Box::pin(read)).await;
            // Whoever still reads need not wait for this one.
            drop(seat);
            (step, result)
        })
    });
    let served = table.serve(&protected.cx, system.config.limits.silence(), endpoint.as_ref());
    let (read, ()) = futures::future::join(futures::future::join_all(reads), served).await;
    ended.extend(read);
    give_back(job, protected).await;
    ended
}

/// The system of a stream that may be read now.
async fn readable<'h>(job: Job<'h>, node: &str) -> Result<&'h System> {
    let hub = job.hub;
    let (system, stream) = names(node)?;
    let system = hub
        .project
        .systems
        .get(system)
        .ok_or_else(|| Error::internal("a stream of an unknown system"))?;
    if system.endpoint.is_none() {
        return Err(system.blame(node, not_ready(system)));
    }
    let quiet = system.config.limits.quiet().filter(|_| !job.during_quiet_hours);
    if hub.is_quiet(quiet) {
        return Err(quiet_error(system, quiet, Quiet::NotBegun).context(node));
    }
    let park_after = i64::from(hub.project.hub.park_after);
    let died = hub.lake().store().attempts(&system.config.id, stream).await?;
    if park_after > 0 && died >= park_after {
        return Err(parked(node, died));
    }
    Ok(system)
}

fn names(node: &str) -> Result<(&str, &str)> {
    node.split_once('.').ok_or_else(|| Error::internal("a stream without a system"))
}

/// Reads a stream over a connection that is open.
async fn attempt(
    job: Job<'_>,
    cx: &Cx,
    system: &System,
    seat: Option<&Seat>,
    step: &mut StepRow,
) -> Result<()> {
    let (hub, node) = (job.hub, step.node.clone());
    let (id, stream) = names(&node)?;
    let store = hub.lake().store();
    store.begin_attempt(id, stream, step.run_id, &hub.now()).await?;
    let ended = read(job, cx, system, stream, seat, step).await;
    // A full disk must not hide how the read ended.
    if let Err(error) = store.end_attempt(id, stream).await {
        tracing::warn!(%error, node, "the end of a read could not be noted");
    }
    ended.map_err(
        |error| if policy::is_postponed(&error) { error } else { system.blame(&node, error) },
    )
}

async fn give_back(job: Job<'_>, protected: Protected) {
    if let Err(error) = protected.end(job.hub).await {
        tracing::warn!(%error, "a connection could not be given back");
    }
}

/// Reads until it works, the tries are used up, or trying again is of no use. Each try goes on
/// from the last committed checkpoint.
async fn read(
    job: Job<'_>,
    cx: &Cx,
    system: &System,
    stream: &str,
    seat: Option<&Seat>,
    step: &mut StepRow,
) -> Result<()> {
    let mut attempt = 1;
    loop {
        let error = match sync_stream(job, cx, system, stream, seat, step).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        let NextStep::Retry(longest) = policy::next_step(&error, attempt) else {
            return Err(error);
        };
        if attempt > job.hub.project.hub.retries || cx.cancel.is_cancelled() {
            return Err(error);
        }
        // Whoever said when to come back is obeyed.
        let wait = error.retry_after().unwrap_or_else(|| FullJitter.part(longest));
        tracing::warn!(%error, node = step.node, attempt, ?wait, "the read is tried again");
        attempt += 1;
        tokio::select! {
            () = cx.cancel.cancelled() => return Err(error),
            () = tokio::time::sleep(wait) => {}
        }
    }
}

fn parked(node: &str, died: i64) -> Error {
    let message = format!("{node} is parked: the process ended {died} times in the middle of it");
    Error::new(ErrorKind::Internal, "E-PARKED", message).hint(format!(
        "see the log and the memory of this machine, then `huiliu state unpark {node} --reason \
         TEXT`"
    ))
}
