//! Stopping in time: work that was asked to stop and does not is left behind.

use std::time::Duration;

use huiliu_sdk::{Cx, Error, ErrorKind, Result};
use huiliu_store::Lease;

use crate::heartbeat::Watch;

/// How long one step may go on after it was asked to stop. The whole program ends within 30 s.
const GRACE: Duration = Duration::from_secs(15);

/// Waits for `work`; once it was asked to stop, for no longer than a while. What it would have
/// committed is not.
pub(crate) async fn in_time<T>(cx: &Cx, work: impl Future<Output = Result<T>>) -> Result<T> {
    within(cx, GRACE, work).await
}

async fn within<T>(cx: &Cx, grace: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
    let overdue = async {
        cx.cancel.cancelled().await;
        tokio::time::sleep(grace).await;
    };
    tokio::select! {
        biased;
        done = work => done,
        () = overdue => Err(Error::cancelled()),
    }
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
        let grace = Duration::from_millis(30);
        let done = within(&cx, grace, async { Ok(7) }).await;
        assert_eq!(done.unwrap(), 7);
        cx.cancel.cancel();
        let stalled = within(&cx, grace, std::future::pending::<Result<()>>()).await;
        assert_eq!(stalled.unwrap_err().kind(), ErrorKind::Cancelled);
        // What ends in time keeps its result.
        let late = within(&cx, grace, async { Ok(8) }).await;
        assert_eq!(late.unwrap(), 8);
    }
}
