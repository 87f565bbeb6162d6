//! Sessions that are as new as the lake, for what the hub itself asks.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use huiliu_core::access::Limits;
use huiliu_engine::{Engine, Session, Viewer};
use huiliu_sdk::Result;
use tokio::sync::Mutex;

/// How old a session may get while the lake stands still: the hub's own tables (`ops`,
/// `quarantine`) change without a new snapshot.
const MAX_AGE: Duration = Duration::from_secs(1);
/// For how many limits the sessions are kept.
const MAX_LIMITS: usize = 32;

/// The newest session of each limits, shared by the statements that run on its snapshot.
pub(crate) struct Sessions {
    engine: Engine,
    viewer: Viewer,
    shared: std::sync::Mutex<HashMap<Limits, Arc<Shared>>>,
}

/// What those share who see the same rows.
struct Shared {
    viewer: Viewer,
    newest: Mutex<Option<(Arc<Session>, Instant)>>,
    used: std::sync::Mutex<Instant>,
}

impl Sessions {
    pub(crate) fn new(engine: Engine, viewer: Viewer) -> Result<Self> {
        Ok(Self { engine: engine.sharing_memory()?, viewer, shared: std::sync::Mutex::default() })
    }

    /// A session at the latest committed snapshot for people with these limits.
    pub(crate) async fn newest(&self, limits: &Limits) -> Result<Arc<Session>> {
        let shared = self.shared(limits);
        let mut newest = shared.newest.lock().await;
        let latest = self.engine.lake().latest_snapshot().await?;
        if let Some((session, made)) = newest.as_ref()
            && session.snapshot() == latest
            && made.elapsed() < MAX_AGE
        {
            return Ok(Arc::clone(session));
        }
        let made = Instant::now();
        let session = Box::pin(self.engine.session_for(None, &shared.viewer)).await?;
        let session = Arc::new(session);
        *newest = Some((Arc::clone(&session), made));
        Ok(session)
    }

    fn shared(&self, limits: &Limits) -> Arc<Shared> {
        let mut all = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if let Some(shared) = all.get(limits) {
            *shared.used.lock().unwrap_or_else(PoisonError::into_inner) = now;
            return Arc::clone(shared);
        }
        let used = |shared: &Shared| *shared.used.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = all.iter().min_by_key(|(_, shared)| used(shared)).map(|(key, _)| key.clone());
        if let Some(oldest) = oldest.filter(|_| all.len() >= MAX_LIMITS) {
            all.remove(&oldest);
        }
        let shared = Arc::new(Shared {
            viewer: Viewer { limits: limits.clone(), ..self.viewer.clone() },
            newest: Mutex::default(),
            used: std::sync::Mutex::new(now),
        });
        all.insert(limits.clone(), Arc::clone(&shared));
        shared
    }

    /// A session at an older snapshot, made anew each time: kept, it would hold up its expiry.
    pub(crate) async fn at(&self, snapshot: i64, limits: &Limits) -> Result<Arc<Session>> {
        let shared = self.shared(limits);
        let session = Box::pin(self.engine.session_for(Some(snapshot), &shared.viewer)).await?;
        Ok(Arc::new(session))
    }
}
