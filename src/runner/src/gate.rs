//! Protection of a system that is used: its turns, its connections, its quiet hours. All of it
//! goes through the hub's database, so that all processes share it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use huiliu_core::config::QuietHours;
use huiliu_sdk::{Cx, Error, ErrorKind, Gate, Result};
use huiliu_store::{Slot, Store};

use crate::heartbeat::{Heartbeat, Watch};
use crate::hub::Hub;
use crate::project::System;

/// How long work waits for a connection.
const LONGEST_WAIT: Duration = Duration::from_secs(5 * 60);
/// How often it looks for a free one.
const LOOK: Duration = Duration::from_millis(500);

/// Lets requests to one system through at its pace.
struct SystemGate {
    store: Store,
    system: String,
    per_minute: u32,
}

#[async_trait]
impl Gate for SystemGate {
    async fn request(&self) -> Result<()> {
        let wait = self.store.take_turn(&self.system, self.per_minute).await?;
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        Ok(())
    }
}

/// A connection to a system, given back by [`Connection::end`]. Dropped, it runs out by itself.
pub(crate) struct Connection {
    slot: Slot,
    _watch: Watch,
}

impl Connection {
    async fn wait(
        heartbeat: &Heartbeat,
        store: &Store,
        cx: &Cx,
        system: &str,
        connections: u32,
        holder: &str,
        longest: Duration,
    ) -> Result<Self> {
        let mut begin = tokio::time::Instant::now();
        let mut is_told = false;
        loop {
            cx.check()?;
            let busy =
                match store.take_slot(system, connections, holder, heartbeat.hold_ms()).await? {
                    Ok(slot) => {
                        let watch = heartbeat.keep_slot(&slot)?;
                        return Ok(Self { slot, _watch: watch });
                    }
                    Err(holders) => holders,
                };
            if !is_told {
                tracing::info!(system, holder = busy, "waits for a connection");
                is_told = true;
            }
            // Streams of one run queue behind each other for as long as it takes.
            if busy.split(", ").all(|other| other == holder) {
                begin = tokio::time::Instant::now();
            }
            if begin.elapsed() >= longest {
                let message = format!(
                    "all {connections} connections to {system} are taken, by {busy}, for {} s now",
                    longest.as_secs()
                );
                return Err(Error::new(ErrorKind::Throttled, "E-SLOT-BUSY", message).hint(
                    "wait for the others to end, or raise connections under limits in the \
                     system file",
                ));
            }
            tokio::select! {
                () = cx.cancel.cancelled() => return Err(Error::cancelled()),
                () = tokio::time::sleep(LOOK.min(longest)) => {}
            }
        }
    }

    /// Gives the connection back.
    pub(crate) async fn end(self, hub: &Hub) -> Result<()> {
        hub.lake().store().release_slot(&self.slot).await
    }
}

/// A system while it is used.
pub struct Protected {
    /// The context for all calls into its connector.
    pub cx: Cx,
    connection: Option<Connection>,
}

impl Protected {
    /// Ends the use.
    pub async fn end(self, hub: &Hub) -> Result<()> {
        match self.connection {
            Some(connection) => connection.end(hub).await,
            None => Ok(()),
        }
    }
}

impl Hub {
    /// Waits until `system` may be used for `purpose` (such as `run` or `preview`) and says how.
    pub async fn protect(&self, cx: &Cx, system: &System, purpose: &str) -> Result<Protected> {
        let limits = &system.config.limits;
        let store = self.lake().store();
        let mut cx = cx.clone();
        if let Some(per_minute) = limits.requests_per_minute {
            let system = system.config.id.clone();
            cx.gate = Arc::new(SystemGate { store: store.clone(), system, per_minute });
        }
        let connection = match limits.connections {
            None => None,
            Some(connections) => {
                let holder = format!("{purpose} of {}", self.holder);
                let id = &system.config.id;
                let heartbeat = &self.heartbeat;
                let longest = LONGEST_WAIT;
                Some(
                    Connection::wait(heartbeat, store, &cx, id, connections, &holder, longest)
                        .await?,
                )
            }
        };
        Ok(Protected { cx, connection })
    }

    /// Whether `quiet` holds now, in the hub's zone.
    pub(crate) fn is_quiet(&self, quiet: Option<QuietHours>) -> bool {
        let now = self.clock.now().with_timezone(&self.project.zone).time();
        quiet.is_some_and(|quiet| quiet.holds(now))
    }
}

/// What quiet hours did to a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quiet {
    /// It was not begun.
    NotBegun,
    /// It ended, and what was read is committed.
    Kept,
    /// It ended, and what was read is dropped, because its table is written only as a whole.
    Discarded,
}

/// The error of a stream that waits for the end of its system's quiet hours.
pub(crate) fn quiet_error(system: &System, quiet: Option<QuietHours>, what: Quiet) -> Error {
    let what = match what {
        Quiet::NotBegun => "not read",
        Quiet::Kept => "ended at its last commit",
        Quiet::Discarded => "broken off with its table as it was",
    };
    let end = quiet.map_or_else(String::new, |quiet| format!(" until {}", quiet.end()));
    let message = format!("{what}, because {} has quiet hours{end}", system.config.id);
    Error::new(ErrorKind::Throttled, "E-QUIET-HOURS", message)
        .hint("the next run after them goes on; --during-quiet-hours reads nevertheless")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_system_names_its_holder() {
        let folder = tempfile::TempDir::new().unwrap();
        let store = Store::open(&folder.path().join("huiliu.db"), folder.path()).await.unwrap();
        let heartbeat = Heartbeat::new(store.clone(), Duration::from_secs(60));
        let take = |holder: &'static str| {
            let longest = Duration::from_millis(50);
            let (heartbeat, store) = (&heartbeat, &store);
            async move {
                Connection::wait(heartbeat, store, &Cx::new(), "city", 1, holder, longest).await
            }
        };
        let first = take("run of process 1").await.unwrap();
        let error = take("run of process 2").await.err().unwrap();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Throttled, "E-SLOT-BUSY"));
        assert!(error.message().contains("run of process 1"), "{error}");
        store.release_slot(&first.slot).await.unwrap();
        assert!(take("run of process 2").await.is_ok());
    }

    #[tokio::test]
    async fn turns_are_shared_by_all_who_use_the_database() {
        let folder = tempfile::TempDir::new().unwrap();
        let store = Store::open(&folder.path().join("huiliu.db"), folder.path()).await.unwrap();
        let gate = |store: Store| SystemGate { store, system: "city".into(), per_minute: 600 };
        let (one, other) = (gate(store.clone()), gate(store.twin().await.unwrap()));
        let begin = tokio::time::Instant::now();
        for _ in 0..4 {
            one.request().await.unwrap();
            other.request().await.unwrap();
        }
        // Eight requests at ten a second: the last one is seven tenths after the first.
        assert!(begin.elapsed() >= Duration::from_millis(690), "{:?}", begin.elapsed());
    }
}
