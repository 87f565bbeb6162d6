//! One stream of a run with everything around its read: quiet hours, parking, a connection,
//! retries.

use huiliu_core::policy::{self, NextStep};
use huiliu_sdk::{Cx, Error, ErrorKind, Result};
use huiliu_store::StepRow;

use crate::chance::{Chance, FullJitter};
use crate::gate::{Quiet, quiet_error};
use crate::hub::Hub;
use crate::mover::{Guards, not_ready, sync_stream};
use crate::project::System;
use crate::run::Progress;

/// What all streams of a run share.
#[derive(Clone, Copy)]
pub(crate) struct Job<'a> {
    pub(crate) hub: &'a Hub,
    pub(crate) guards: &'a Guards,
    pub(crate) during_quiet_hours: bool,
    /// Whether incremental streams are read from the start once more.
    pub(crate) whole: bool,
    pub(crate) progress: &'a dyn Progress,
}

/// Reads the stream of `step`. However it ends, `step` has what was committed.
pub(crate) async fn stream_step(job: Job<'_>, cx: &Cx, step: &mut StepRow) -> Result<()> {
    let hub = job.hub;
    let node = step.node.clone();
    let (system, stream) =
        node.split_once('.').ok_or_else(|| Error::internal("a stream without a system"))?;
    let system = hub
        .project
        .systems
        .get(system)
        .ok_or_else(|| Error::internal("a stream of an unknown system"))?;
    if system.endpoint.is_none() {
        return Err(system.blame(&node, not_ready(system)));
    }
    let quiet = system.config.limits.quiet().filter(|_| !job.during_quiet_hours);
    if hub.is_quiet(quiet) {
        return Err(quiet_error(system, quiet, Quiet::NotBegun).context(&node));
    }
    let id = &system.config.id;
    let store = hub.lake().store();
    let park_after = i64::from(hub.project.hub.park_after);
    let died = store.attempts(id, stream).await?;
    if park_after > 0 && died >= park_after {
        return Err(parked(&node, died));
    }
    let protected = hub.protect(cx, system, "run").await.map_err(|e| e.context(&node))?;
    store.begin_attempt(id, stream, step.run_id, &hub.now()).await?;
    let ended = read(job, &protected.cx, system, stream, step).await;
    // A full disk must not hide how the read ended.
    for closing in [store.end_attempt(id, stream).await, protected.end(hub).await] {
        if let Err(error) = closing {
            tracing::warn!(%error, node, "the end of a read could not be noted");
        }
    }
    ended.map_err(
        |error| if policy::is_postponed(&error) { error } else { system.blame(&node, error) },
    )
}

/// Reads until it works, the tries are used up, or trying again is of no use. Each try goes on
/// from the last committed checkpoint.
async fn read(
    job: Job<'_>,
    cx: &Cx,
    system: &System,
    stream: &str,
    step: &mut StepRow,
) -> Result<()> {
    let mut attempt = 1;
    loop {
        let error = match sync_stream(job, cx, system, stream, step).await {
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
