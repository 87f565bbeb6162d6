//! Stopping work at a given await.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use huiliu_sdk::Cx;

/// Work that was stopped ends within this time, on a slow machine too.
const SOON: Duration = Duration::from_secs(20);

/// How work is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The caller asks it to stop, and waits.
    Cancel,
    /// The caller goes away.
    Drop,
}

/// How work ended.
pub(crate) enum Ended<T> {
    /// By itself, before it was to be stopped.
    Itself(T),
    /// After it was asked to stop.
    Asked(T),
    /// It was dropped.
    Dropped,
}

/// Does `work` and stops it just before it is polled for the time `at`.
pub(crate) async fn stop<T>(
    how: Stop,
    at: usize,
    cx: &Cx,
    work: impl Future<Output = T>,
) -> Ended<T> {
    let mut work = Box::pin(work);
    let (mut polls, mut asked) = (0, false);
    let stopped = poll_fn(|context| {
        polls += 1;
        if polls == at {
            match how {
                Stop::Drop => return Poll::Ready(None),
                Stop::Cancel => {
                    cx.cancel.cancel();
                    asked = true;
                }
            }
        }
        work.as_mut().poll(context).map(Some)
    });
    let ended = tokio::time::timeout(SOON, stopped).await.expect("work ends soon once stopped");
    drop(work);
    match ended {
        None => Ended::Dropped,
        Some(done) if asked => Ended::Asked(done),
        Some(done) => Ended::Itself(done),
    }
}

/// The polls at which to stop: each of the first ones, then ever fewer.
pub(crate) fn moments() -> impl Iterator<Item = usize> {
    std::iter::successors(Some(1), |at| Some(at + 1 + at / 8))
}
