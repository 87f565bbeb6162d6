//! Stopping in time: work that was asked to stop and does not is left behind.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;
use std::time::Duration;

use huiliu_sdk::{Cx, Error, ErrorKind, Result};
use huiliu_store::Lease;

use crate::heartbeat::Watch;

/// How long one step may go on after it was asked to stop. The whole program ends within 30 s.
const GRACE: Duration = Duration::from_secs(15);

/// Waits for `work` of a system that may say nothing for as long as `silence`; once it was asked
/// to stop, for no longer than a while. What it would have committed is not.
pub(crate) async fn in_time<T>(
    cx: &Cx,
    silence: Duration,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    within(cx, GRACE, silence, work).await
}

async fn within<T>(
    cx: &Cx,
    grace: Duration,
    silence: Duration,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let overdue = async {
        cx.cancel.cancelled().await;
        tokio::time::sleep(grace).await;
    };
    tokio::select! {
        biased;
        done = work => done,
        () = overdue => Err(Error::cancelled()),
        () = tokio::time::sleep(silence) => Err(silent(silence)),
    }
}

/// Waits for `work` until it is asked to stop, and then leaves it at once: for work that commits
/// nothing by itself, such as a query whose rows go into files of no snapshot.
pub(crate) async fn until_stopped<T>(cx: &Cx, work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        biased;
        done = work => done,
        () = cx.cancel.cancelled() => Err(Error::cancelled()),
    }
}

/// The error for a system that does not say anything any more, not even that it is at an end.
fn silent(silence: Duration) -> Error {
    let message = format!("the system has said nothing for {} s", silence.as_secs());
    Error::new(ErrorKind::Timeout, "E-SILENT", message).hint(
        "check the network to it; if it needs so long for an answer, raise silence under limits \
         in the system file",
    )
}

/// Does `work`, so that a panic in it is an error of this work alone.
pub(crate) async fn unbroken<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let mut work = std::pin::pin!(work);
    std::future::poll_fn(|cx| {
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx)));
        polled.unwrap_or_else(|_| Poll::Ready(Err(panicked())))
    })
    .await
}

/// The error for a task that did not come to its end.
pub(crate) fn broken_off(error: tokio::task::JoinError) -> Error {
    if error.is_cancelled() {
        return Error::cancelled();
    }
    tracing::error!(%error, "a task broke off");
    panicked()
}

fn panicked() -> Error {
    Error::new(ErrorKind::Internal, "E-PANIC", "the work failed in an unforeseen way")
        .hint("please report it with the log of this run")
}

/// The result of work that was stopped because its lease was lost, as what it is.
pub(crate) fn until_lost(watch: &Watch, lease: &Lease, result: Result<()>) -> Result<()> {
    match result {
        Err(error) if watch.is_lost() && error.kind() == ErrorKind::Cancelled => {
            let message = format!("{}: the lease was lost to another process", lease.name);
            Err(Error::new(ErrorKind::Conflict, "E-LEASE-LOST", message)
                .hint("what was not committed is read again by whoever has the lease now"))
        }
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_source_that_stalls_holds_nobody_up_for_long() {
        let cx = Cx::new();
        let (grace, long) = (Duration::from_millis(30), Duration::from_secs(600));
        let done = within(&cx, grace, long, async { Ok(7) }).await;
        assert_eq!(done.unwrap(), 7);
        let silent = within(&cx, grace, grace, std::future::pending::<Result<()>>()).await;
        assert_eq!(silent.unwrap_err().code(), "E-SILENT");
        cx.cancel.cancel();
        let stalled = within(&cx, grace, long, std::future::pending::<Result<()>>()).await;
        assert_eq!(stalled.unwrap_err().kind(), ErrorKind::Cancelled);
        let left = until_stopped(&cx, std::future::pending::<Result<()>>()).await;
        assert_eq!(left.unwrap_err().kind(), ErrorKind::Cancelled);
        // What ends in time keeps its result.
        let late = within(&cx, grace, long, async { Ok(8) }).await;
        assert_eq!(late.unwrap(), 8);
    }

    #[tokio::test]
    async fn a_panic_is_an_error_of_its_work_alone() {
        let broken = unbroken(async {
            tokio::task::yield_now().await;
            assert!(Cx::new().cancel.is_cancelled(), "on purpose");
            Ok(())
        });
        assert_eq!(broken.await.unwrap_err().code(), "E-PANIC");
        assert_eq!(unbroken(async { Ok(3) }).await.unwrap(), 3);
    }
}
