//! Readers of a snapshot against its expiry. A snapshot that somebody in this process reads is
//! kept; one that another process expired is found out before rows are missing.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{SchemaProvider, Session, TableProvider};
use datafusion::common::{Constraints, Statistics};
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::logical_expr::{Expr, LogicalPlan, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use huiliu_sdk::{Error, ErrorKind, Result};
use huiliu_store::{Store, args};
use tokio::task::unconstrained;

use crate::history::Superseded;
use crate::live_rows::{DeleteFiles, with_marks};

/// The snapshots that are read in this process, each with the number of its readers.
#[derive(Debug, Default)]
pub(crate) struct Readers(Mutex<BTreeMap<i64, usize>>);

impl Readers {
    fn enter(&self, snapshot: i64) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(snapshot).or_default() += 1;
    }

    fn leave(&self, snapshot: i64) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&snapshot) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&snapshot);
            }
        }
    }

    /// The snapshots in use.
    pub(crate) fn snapshots(&self) -> Vec<i64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }
}

/// One reader of a snapshot.
#[derive(Debug)]
pub(crate) struct Reading {
    readers: Arc<Readers>,
    store: Store,
    snapshot: i64,
}

impl Reading {
    /// Begins to read `snapshot`, which must be there.
    pub(crate) async fn begin(
        readers: &Arc<Readers>,
        store: &Store,
        snapshot: i64,
    ) -> Result<Arc<Self>> {
        readers.enter(snapshot);
        let reading =
            Arc::new(Self { readers: Arc::clone(readers), store: store.clone(), snapshot });
        reading.check().await?;
        Ok(reading)
    }

    /// Fails when the snapshot has expired. What the catalog said before is then worth nothing,
    /// because files may have been missing from it.
    async fn check(&self) -> Result<()> {
        let found = self
            .store
            .one(
                "look a snapshot up",
                "select max(snapshot_id),
                        cast(max(case when snapshot_id = ? then 1 else 0 end) as bigint)
                 from ducklake_snapshot",
                args![self.snapshot],
            )
            .await?
            .ok_or_else(|| Error::internal("the lake has no snapshots"))?;
        let (latest, there): (i64, i64) = (found.get(0)?, found.get(1)?);
        if there == 1 {
            return Ok(());
        }
        let message = if self.snapshot > latest {
            format!("the lake has no snapshot {} yet; the latest is {latest}", self.snapshot)
        } else {
            format!("snapshot {} has expired", self.snapshot)
        };
        Err(Error::new(ErrorKind::NotFound, "E-SNAPSHOT-GONE", message).hint(
            "read the latest snapshot; `maintenance` in hub.toml says how long snapshots are kept",
        ))
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.readers.leave(self.snapshot);
    }
}

/// Asks the reader crate, which waits for the catalog's answers without giving its thread back.
///
/// A task that has used up its share of the thread is told to go on when the scheduler has had its
/// turn. On a runtime of one thread that is never, so nothing is taken from its share here.
pub(crate) fn asked<T>(ask: impl FnOnce() -> T) -> T {
    let mut asked = pin!(unconstrained(async { ask() }));
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(answer) = asked.as_mut().poll(&mut context) {
            return answer;
        }
    }
}

/// A schema whose tables know that their snapshot may expire.
#[derive(Debug)]
pub(crate) struct WatchedSchema {
    pub(crate) inner: Arc<dyn SchemaProvider>,
    /// The files that have deleted rows, by table, where the hub itself leaves those out.
    pub(crate) deletes: Option<Arc<BTreeMap<String, Vec<Superseded>>>>,
    pub(crate) reading: Arc<Reading>,
}

#[async_trait]
impl SchemaProvider for WatchedSchema {
    fn owner_name(&self) -> Option<&str> {
        self.inner.owner_name()
    }

    fn table_names(&self) -> Vec<String> {
        asked(|| self.inner.table_names())
    }

    async fn table(&self, name: &str) -> DataFusionResult<Option<Arc<dyn TableProvider>>> {
        // See `asked`.
        let Some(inner) = unconstrained(self.inner.table(name)).await? else {
            self.reading.check().await.map_err(external)?;
            return Ok(None);
        };
        let reading = Arc::clone(&self.reading);
        let files = self.deletes.as_ref().and_then(|tables| tables.get(name));
        let deletes = Arc::new(DeleteFiles::new(files.map_or(&[][..], Vec::as_slice)));
        Ok(Some(Arc::new(WatchedTable { inner, deletes, reading })))
    }

    async fn table_type(&self, name: &str) -> DataFusionResult<Option<TableType>> {
        unconstrained(self.inner.table_type(name)).await
    }

    fn table_exist(&self, name: &str) -> bool {
        asked(|| self.inner.table_exist(name))
    }
}

/// A table that asks, after its files were listed, whether its snapshot is still there.
#[derive(Debug)]
struct WatchedTable {
    inner: Arc<dyn TableProvider>,
    deletes: Arc<DeleteFiles>,
    reading: Arc<Reading>,
}

#[async_trait]
impl TableProvider for WatchedTable {
    fn schema(&self) -> SchemaRef {
        self.inner.schema()
    }

    fn constraints(&self) -> Option<&Constraints> {
        self.inner.constraints()
    }

    fn table_type(&self) -> TableType {
        self.inner.table_type()
    }

    fn get_table_definition(&self) -> Option<&str> {
        self.inner.get_table_definition()
    }

    fn get_logical_plan(&'_ self) -> Option<Cow<'_, LogicalPlan>> {
        self.inner.get_logical_plan()
    }

    fn get_column_default(&self, column: &str) -> Option<&Expr> {
        self.inner.get_column_default(column)
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let plan = unconstrained(self.inner.scan(state, projection, filters, limit)).await;
        // First the reason, then what came of it.
        self.reading.check().await.map_err(external)?;
        with_marks(plan?, &self.deletes)
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> DataFusionResult<Vec<TableProviderFilterPushDown>> {
        self.inner.supports_filters_pushdown(filters)
    }

    fn statistics(&self) -> Option<Statistics> {
        asked(|| self.inner.statistics())
    }
}

fn external(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use tokio::task::coop::{has_budget_remaining, poll_proceed};

    use super::*;
    use crate::Lake;

    #[test]
    fn a_task_that_has_used_up_its_share_is_answered_on_a_runtime_of_one_thread() {
        let (sender, answers) = channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let folder = tempfile::tempdir().unwrap();
                let lake = Lake::open(folder.path()).await.unwrap();
                let snapshot = lake.at(None).await.unwrap();
                poll_fn(|context| {
                    while has_budget_remaining() {
                        if let Poll::Ready(progress) = poll_proceed(context) {
                            progress.made_progress();
                        }
                    }
                    Poll::Ready(())
                })
                .await;
                sender.send(snapshot.schema("current").is_some()).unwrap();
            });
        });
        assert!(answers.recv_timeout(Duration::from_secs(60)).is_ok(), "it is never answered");
    }
}
