//! Sessions that are as new as the lake.

use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::error::DataFusionError;
use huiliu_engine::{Engine, Session, Viewer};
use huiliu_sdk::{Error, Result};
use tokio::sync::Mutex;

use super::catalog::PgCatalog;

/// How old a session may get while the lake stands still: the hub's own tables (`ops`,
/// `quarantine`) change without a new snapshot.
const MAX_AGE: Duration = Duration::from_secs(1);

/// The newest session, shared by the statements that run on its snapshot.
pub(crate) struct Sessions {
    engine: Engine,
    viewer: Viewer,
    pg_catalog: PgCatalog,
    newest: Mutex<Option<(Arc<Session>, Instant)>>,
}

impl Sessions {
    pub(crate) fn new(engine: Engine, viewer: Viewer) -> Result<Self> {
        let pg_catalog = PgCatalog::new().map_err(|e: DataFusionError| {
            Error::internal("the Postgres catalog could not be set up").cause(e)
        })?;
        Ok(Self { engine: engine.sharing_memory()?, viewer, pg_catalog, newest: Mutex::new(None) })
    }

    /// A session at the latest committed snapshot.
    pub(crate) async fn newest(&self) -> Result<Arc<Session>> {
        let mut newest = self.newest.lock().await;
        let latest = self.engine.lake().latest_snapshot().await?;
        if let Some((session, made)) = newest.as_ref()
            && session.snapshot() == latest
            && made.elapsed() < MAX_AGE
        {
            return Ok(Arc::clone(session));
        }
        let made = Instant::now();
        let session = Box::pin(self.engine.session_for(None, &self.viewer)).await?;
        self.pg_catalog.install(session.context());
        let session = Arc::new(session);
        *newest = Some((Arc::clone(&session), made));
        Ok(session)
    }
}
