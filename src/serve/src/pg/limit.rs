//! How long a statement may run, and who may stop it earlier.

use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::failure::{refuse, state};

/// When one statement must stop.
#[derive(Debug, Clone)]
pub(crate) struct Limit {
    deadline: Instant,
    cancelled: CancellationToken,
}

impl Limit {
    /// When it ends.
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Waits for `work`, but not longer than allowed.
    pub(crate) async fn wait<T>(&self, work: impl Future<Output = T>) -> PgWireResult<T> {
        tokio::select! {
            biased;
            () = self.cancelled.cancelled() => Err(cancelled()),
            () = tokio::time::sleep_until(self.deadline) => Err(timed_out()),
            done = work => Ok(done),
        }
    }
}

/// The statement a connection is running, so that it can be stopped from elsewhere.
#[derive(Debug, Default)]
pub(crate) struct Running {
    current: Mutex<CancellationToken>,
}

impl Running {
    /// Begins a statement that may take `timeout`.
    pub(crate) fn begin(&self, timeout: Duration) -> Limit {
        self.until(Instant::now() + timeout)
    }

    /// Goes on with a statement after others had their turn, unless it was stopped meanwhile.
    pub(crate) fn go_on(&self, limit: &Limit) -> PgWireResult<Limit> {
        if limit.cancelled.is_cancelled() {
            return Err(cancelled());
        }
        Ok(self.until(limit.deadline))
    }

    fn until(&self, deadline: Instant) -> Limit {
        let cancelled = CancellationToken::new();
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        *current = cancelled.clone();
        Limit { deadline, cancelled }
    }

    /// Stops the statement that runs now.
    pub(crate) fn cancel(&self) {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).cancel();
    }
}

fn cancelled() -> PgWireError {
    refuse(state::CANCELLED, "canceling statement due to user request", "")
}

fn timed_out() -> PgWireError {
    refuse(
        state::CANCELLED,
        "canceling statement due to statement timeout",
        "ask for less at once, or let a model compute it during a run",
    )
}
