//! Keeps leases and connections of running work alive, from a thread with a runtime and database
//! connections of its own: whatever blocks the program's runtime cannot starve it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use huiliu_sdk::{Error, ErrorKind, Result};
use huiliu_store::{Lease, Slot, Store};
use tokio_util::sync::CancellationToken;

/// What is kept.
#[derive(Debug, Clone)]
enum Kept {
    Lease(Lease),
    Slot(Slot),
}

struct Watched {
    id: u64,
    kept: Kept,
    /// Stops the work whose lease was lost.
    stop: CancellationToken,
    lost: Arc<AtomicBool>,
}

#[derive(Default)]
struct Shared {
    watched: Mutex<Vec<Watched>>,
    next: AtomicU64,
}

impl Shared {
    fn list(&self) -> MutexGuard<'_, Vec<Watched>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The beat of one process.
pub(crate) struct Heartbeat {
    store: Store,
    hold: Duration,
    shared: Arc<Shared>,
    started: AtomicBool,
    end: CancellationToken,
}

impl Heartbeat {
    /// A beat over `store`; its thread starts with the first thing to keep. A lease or a connection
    /// holds for `hold` without a beat.
    pub(crate) fn new(store: Store, hold: Duration) -> Self {
        let shared = Arc::default();
        Self { store, hold, shared, started: AtomicBool::new(false), end: CancellationToken::new() }
    }

    /// For how long a lease or a connection is taken, in milliseconds.
    pub(crate) fn hold_ms(&self) -> i64 {
        i64::try_from(self.hold.as_millis()).unwrap_or(i64::MAX)
    }

    /// Keeps a lease until the watch is dropped. When it is lost, `stop` is set.
    pub(crate) fn keep_lease(&self, lease: &Lease, stop: CancellationToken) -> Result<Watch> {
        self.keep(Kept::Lease(lease.clone()), stop)
    }

    /// Keeps a connection until the watch is dropped.
    pub(crate) fn keep_slot(&self, slot: &Slot) -> Result<Watch> {
        self.keep(Kept::Slot(slot.clone()), CancellationToken::new())
    }

    fn keep(&self, kept: Kept, stop: CancellationToken) -> Result<Watch> {
        self.start()?;
        let id = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let lost = Arc::new(AtomicBool::new(false));
        let watched = Watched { id, kept, stop, lost: Arc::clone(&lost) };
        self.shared.list().push(watched);
        Ok(Watch { id, lost, shared: Arc::clone(&self.shared) })
    }

    fn start(&self) -> Result<()> {
        if self.started.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let failed = |e| {
            Error::new(ErrorKind::Internal, "E-INTERNAL", "the heartbeat's thread did not start")
                .cause(e)
        };
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let (store, shared) = (self.store.clone(), Arc::clone(&self.shared));
        let (end, pause) = (self.end.clone(), self.hold / 3);
        let hold_ms = self.hold_ms();
        std::thread::Builder::new()
            .name("heartbeat".into())
            .spawn(move || runtime.block_on(beat(store, &shared, &end, pause, hold_ms)))
            .map_err(failed)?;
        Ok(())
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

async fn beat(
    store: Store,
    shared: &Shared,
    end: &CancellationToken,
    pause: Duration,
    hold_ms: i64,
) {
    let mut own: Option<Store> = None;
    loop {
        tokio::select! {
            () = end.cancelled() => break,
            () = tokio::time::sleep(pause) => {}
        }
        let open = match own.take() {
            Some(open) => open,
            None => match store.twin().await {
                Ok(open) => open,
                Err(error) => {
                    tracing::warn!(%error, "the heartbeat has no database");
                    continue;
                }
            },
        };
        let kept: Vec<(u64, Kept)> =
            shared.list().iter().map(|watched| (watched.id, watched.kept.clone())).collect();
        for (id, kept) in kept {
            let renewed = renew(&open, &kept, hold_ms).await;
            if let Err(error) = renewed {
                tracing::warn!(%error, "a heartbeat was missed");
                if error.code() == "E-LEASE-LOST" {
                    lose(shared, id);
                }
            }
        }
        own = Some(open);
    }
    if let Some(open) = own {
        open.close().await;
    }
}

async fn renew(store: &Store, kept: &Kept, hold_ms: i64) -> Result<()> {
    match kept {
        Kept::Lease(lease) => store.renew_lease(lease, hold_ms).await,
        // A connection that was given to somebody else is no harm to the data.
        Kept::Slot(slot) => store.renew_slot(slot, hold_ms).await.map(|_| ()),
    }
}

fn lose(shared: &Shared, id: u64) {
    for watched in shared.list().iter().filter(|watched| watched.id == id) {
        watched.lost.store(true, Ordering::Release);
        watched.stop.cancel();
    }
}

/// Something that is kept alive until this is dropped.
pub(crate) struct Watch {
    id: u64,
    lost: Arc<AtomicBool>,
    shared: Arc<Shared>,
}

impl Watch {
    /// Whether it was lost to somebody else.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.list().retain(|watched| watched.id != self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn store(folder: &tempfile::TempDir) -> Store {
        Store::open(&folder.path().join("huiliu.db"), folder.path()).await.unwrap()
    }

    /// Blocks this thread, as careless work on the runtime does.
    fn block(time: Duration) {
        let (_sender, receiver) = std::sync::mpsc::channel::<()>();
        assert!(receiver.recv_timeout(time).is_err());
    }

    #[tokio::test]
    async fn a_blocked_runtime_does_not_lose_its_lease() {
        let folder = tempfile::TempDir::new().unwrap();
        let store = store(&folder).await;
        let hold = Duration::from_millis(900);
        let heartbeat = Heartbeat::new(store.clone(), hold);
        let lease = store.take_lease("a.b", "process 1", heartbeat.hold_ms()).await.unwrap();
        let stop = CancellationToken::new();
        let watch = heartbeat.keep_lease(&lease, stop.clone()).unwrap();
        block(hold * 3);
        let error = store.take_lease("a.b", "process 2", 1000).await.unwrap_err();
        assert_eq!(error.code(), "E-LEASE-BUSY");
        assert!(!watch.is_lost() && !stop.is_cancelled());
    }

    #[tokio::test]
    async fn work_whose_lease_is_lost_is_stopped() {
        let folder = tempfile::TempDir::new().unwrap();
        let store = store(&folder).await;
        let heartbeat = Heartbeat::new(store.clone(), Duration::from_millis(300));
        let lease = store.take_lease("a.b", "process 1", 1).await.unwrap();
        let stop = CancellationToken::new();
        let watch = heartbeat.keep_lease(&lease, stop.clone()).unwrap();
        // The lease of one millisecond runs out before the first beat could renew it.
        tokio::time::sleep(Duration::from_millis(20)).await;
        store.take_lease("a.b", "process 2", 10_000).await.unwrap();
        let stopped = tokio::time::timeout(Duration::from_secs(20), stop.cancelled()).await;
        assert!(stopped.is_ok() && watch.is_lost());
    }

    #[tokio::test]
    async fn a_connection_is_kept_and_given_back() {
        let folder = tempfile::TempDir::new().unwrap();
        let store = store(&folder).await;
        let heartbeat = Heartbeat::new(store.clone(), Duration::from_millis(900));
        let hold_ms = heartbeat.hold_ms();
        let slot = store.take_slot("city", 1, "run 1", hold_ms).await.unwrap().unwrap();
        let watch = heartbeat.keep_slot(&slot).unwrap();
        block(Duration::from_millis(2_700));
        let busy = store.take_slot("city", 1, "run 2", hold_ms).await.unwrap();
        assert_eq!(busy.unwrap_err(), "run 1");
        drop(watch);
        store.release_slot(&slot).await.unwrap();
        assert!(store.take_slot("city", 1, "run 2", hold_ms).await.unwrap().is_ok());
    }
}
