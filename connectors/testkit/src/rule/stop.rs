//! Reads that are stopped at any await.

use huiliu_sdk::{BatchLimits, Cx, ErrorKind};

use super::{capabilities, does_not_apply, joined, modes, put, reading};
use crate::stop::{Ended, Stop, moments, stop};
use crate::{System, cx, hazard, open, read};

fn small() -> Cx {
    Cx { limits: BatchLimits { rows: 25, ..BatchLimits::default() }, ..cx() }
}

/// Asked to stop before any of its polls, a read ends soon, as cancelled or because it was done;
/// nothing is marked or locked, and the next read gives all rows.
pub async fn a_read_cancelled_at_any_await_ends_and_leaves_nothing<S: System>() {
    stopped::<S>(Stop::Cancel).await;
}

/// A caller that goes away instead leaves as little.
pub async fn a_read_dropped_at_any_await_leaves_nothing<S: System>() {
    stopped::<S>(Stop::Drop).await;
}

async fn stopped<S: System>(how: Stop) {
    let mut system = S::fresh().await;
    let declared = capabilities(&system);
    if !declared.source {
        return does_not_apply(system, "source").await;
    }
    let table = hazard::cases(0, 150);
    put(&mut system, &table).await;
    let before = system.content().await;
    for mode in modes(declared) {
        let endpoint = open(&system, reading(&system, &table, mode));
        for at in moments() {
            let asked = small();
            let what = format!("{mode:?}, {how:?} at poll {at}");
            let is_done =
                match stop(how, at, &asked, read(&*endpoint, &asked, &table.name, None)).await {
                    Ended::Itself(outcome) => {
                        outcome.expect("a read that nobody stops goes well");
                        true
                    }
                    Ended::Asked(Err(error)) => {
                        assert_eq!(error.kind(), ErrorKind::Cancelled, "{what}: {error}");
                        false
                    }
                    Ended::Asked(Ok(outcome)) => {
                        let ids = joined(&outcome.ids());
                        assert_eq!(ids, joined(&table.ids()), "{what}: it ends well with less");
                        false
                    }
                    Ended::Dropped => false,
                };
            assert_eq!(system.content().await, before, "{what}: a stopped read has left something");
            let again = read(&*endpoint, &cx(), &table.name, None).await;
            let again = again.unwrap_or_else(|error| panic!("{what}: the next read: {error}"));
            assert_eq!(joined(&again.ids()), joined(&table.ids()), "{what}: the next read");
            if is_done {
                break;
            }
        }
    }
    system.end().await;
}
