//! Snapshots that somebody reads, kept from expiring: the hub's maintenance knows of its own readers
//! only, not of those in other processes.

use std::any::Any;
use std::sync::Arc;

use huiliu_engine::Engine;
use huiliu_sdk::Result;
use tokio::sync::Mutex;

/// A snapshot that does not expire as long as somebody holds this.
pub(crate) struct Snapshot {
    number: i64,
    _kept: Box<dyn Any + Send + Sync>,
}

impl Snapshot {
    /// Its number.
    pub(crate) fn number(&self) -> i64 {
        self.number
    }
}

/// The snapshots of a lake.
pub(super) struct Snapshots {
    engine: Engine,
    newest: Mutex<Option<Arc<Snapshot>>>,
}

impl Snapshots {
    pub(super) fn new(engine: Engine) -> Self {
        Self { engine, newest: Mutex::default() }
    }

    /// The latest committed one.
    pub(super) async fn newest(&self) -> Result<Arc<Snapshot>> {
        let latest = self.engine.lake().latest_snapshot().await?;
        let mut newest = self.newest.lock().await;
        if let Some(snapshot) = newest.as_ref().filter(|snapshot| snapshot.number == latest) {
            return Ok(Arc::clone(snapshot));
        }
        let snapshot = self.at(latest).await?;
        *newest = Some(Arc::clone(&snapshot));
        Ok(snapshot)
    }

    /// An older one.
    pub(super) async fn at(&self, number: i64) -> Result<Arc<Snapshot>> {
        let kept = Box::pin(self.engine.lake().at(Some(number))).await?;
        Ok(Arc::new(Snapshot { number, _kept: Box::new(kept) }))
    }
}
