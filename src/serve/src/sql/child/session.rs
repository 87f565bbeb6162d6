//! Sessions of a statement process, at the snapshots that the hub names.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::error::DataFusionError;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use huiliu_core::access::Limits;
use huiliu_engine::{Engine, Session, Viewer, engine_error};
use huiliu_sdk::{Error, Result};

use super::catalog::PgCatalog;
use crate::sql::names::Names;

/// How old a session may get: the hub's own tables (`ops`, `quarantine`) change without a new
/// snapshot.
const MAX_AGE: Duration = Duration::from_secs(1);
/// For how many limits the sessions are kept.
const MAX_LIMITS: usize = 8;

/// The newest session of each limits.
pub(super) struct Sessions {
    engine: Engine,
    viewer: Viewer,
    spill: PathBuf,
    runtime: Option<Arc<RuntimeEnv>>,
    kept: HashMap<Limits, Kept>,
}

/// What is kept for those who see the same rows.
struct Kept {
    /// It lists only the tables they may ask.
    pg_catalog: PgCatalog,
    /// How many lists of names `pg_catalog` has numbered.
    numbered: usize,
    newest: Option<(Arc<Session>, Instant)>,
    used: Instant,
}

impl Kept {
    fn new() -> Result<Self> {
        let pg_catalog = PgCatalog::new().map_err(no_catalog)?;
        Ok(Self { pg_catalog, numbered: 0, newest: None, used: Instant::now() })
    }
}

impl Sessions {
    pub(super) fn new(engine: Engine, viewer: Viewer, spill: PathBuf) -> Result<Self> {
        let engine = engine.sharing_memory()?;
        Ok(Self { engine, viewer, spill, runtime: None, kept: HashMap::new() })
    }

    /// A session at the latest snapshot for people without limits, before anybody asks.
    pub(super) async fn warm_up(&mut self) -> Result<()> {
        let latest = self.engine.lake().latest_snapshot().await?;
        self.at(latest, &Limits::default(), &Names::new()).await?;
        Ok(())
    }

    /// A session at `snapshot` for people with these limits, whose `pg_catalog` numbers tables in
    /// the order of `names`.
    pub(super) async fn at(
        &mut self,
        snapshot: i64,
        limits: &Limits,
        names: &Names,
    ) -> Result<Arc<Session>> {
        self.make_room(limits);
        let mut kept = match self.kept.remove(limits) {
            Some(kept) => kept,
            None => Kept::new()?,
        };
        if kept.numbered < names.len() {
            // Anew, because what was numbered in between would shift the rest.
            kept = Kept::new()?;
            Box::pin(kept.pg_catalog.number(names)).await.map_err(no_catalog)?;
            kept.numbered = names.len();
        }
        kept.used = Instant::now();
        let fresh = kept
            .newest
            .as_ref()
            .filter(|(session, made)| session.snapshot() == snapshot && made.elapsed() < MAX_AGE);
        let session = match fresh {
            Some((session, _)) => Arc::clone(session),
            None => {
                let made = Instant::now();
                let session = Arc::new(self.make(snapshot, limits).await?);
                kept.pg_catalog.describe(session.context());
                kept.pg_catalog.install(session.context());
                kept.newest = Some((Arc::clone(&session), made));
                session
            }
        };
        self.kept.insert(limits.clone(), kept);
        Ok(session)
    }

    async fn make(&mut self, snapshot: i64, limits: &Limits) -> Result<Session> {
        let viewer = Viewer { limits: limits.clone(), ..self.viewer.clone() };
        let session = Box::pin(self.engine.session_for(Some(snapshot), &viewer)).await?;
        let runtime = self.runtime(&session)?;
        let state = session.context().state_ref();
        let mut state = state.write();
        *state =
            SessionStateBuilder::new_from_existing(state.clone()).with_runtime_env(runtime).build();
        drop(state);
        Ok(session)
    }

    /// The memory of the engine, and this process's own folder to spill to, which is removed with
    /// it.
    fn runtime(&mut self, session: &Session) -> Result<Arc<RuntimeEnv>> {
        if let Some(runtime) = &self.runtime {
            return Ok(Arc::clone(runtime));
        }
        let spill = DiskManagerMode::Directories(vec![self.spill.clone()]);
        let spill = DiskManagerBuilder::default().with_mode(spill);
        let runtime = RuntimeEnvBuilder::from_runtime_env(&session.context().runtime_env())
            .with_disk_manager_builder(spill)
            .build_arc()
            .map_err(|e| engine_error("start the engine", e))?;
        self.runtime = Some(Arc::clone(&runtime));
        Ok(runtime)
    }

    fn make_room(&mut self, limits: &Limits) {
        if self.kept.len() < MAX_LIMITS || self.kept.contains_key(limits) {
            return;
        }
        let oldest = self.kept.iter().min_by_key(|(_, kept)| kept.used).map(|(key, _)| key.clone());
        if let Some(oldest) = oldest {
            self.kept.remove(&oldest);
        }
    }
}

fn no_catalog(error: DataFusionError) -> Error {
    Error::internal("the Postgres catalog could not be set up").cause(error)
}
