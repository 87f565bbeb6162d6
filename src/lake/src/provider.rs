//! The lake's tables as DataFusion sees them, all at one snapshot.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, SchemaProvider, TableProvider};
use datafusion::error::Result as DataFusionResult;
use datafusion_ducklake::{
    DuckLakeCatalog, DuckLakeError, MetadataProvider, PostgresMetadataProvider,
    SqliteMetadataProvider,
};
use huiliu_sdk::{Error, Result};
use huiliu_store::{PostgresAddress, StoreAddress, postgres_readers, sqlite_readers};
use tokio::sync::OnceCell;

use crate::Lake;
use crate::history::{HistoryTable, Superseded};
use crate::reader::{Reading, WatchedSchema, asked};

/// From where the reader crate reads the catalog, over connections of the store's making.
#[derive(Debug, Clone)]
pub(crate) enum CatalogSource {
    Sqlite(PathBuf),
    /// The reader's connections are kept, because making them takes longer than a query.
    Postgres(PostgresAddress, Arc<OnceCell<Arc<dyn MetadataProvider>>>),
}

impl CatalogSource {
    pub(crate) fn new(address: &StoreAddress, file: PathBuf) -> Self {
        match address {
            StoreAddress::Sqlite => Self::Sqlite(file),
            StoreAddress::Postgres(address) => Self::Postgres(address.clone(), Arc::default()),
        }
    }

    async fn provider(&self) -> Result<Arc<dyn MetadataProvider>> {
        match self {
            Self::Sqlite(file) => {
                Ok(Arc::new(SqliteMetadataProvider::from_pool(sqlite_readers(file))))
            }
            Self::Postgres(address, kept) => {
                let provider = kept
                    .get_or_try_init(|| async {
                        let provider =
                            PostgresMetadataProvider::from_pool(postgres_readers(address)?);
                        Ok::<_, Error>(Arc::new(provider) as Arc<dyn MetadataProvider>)
                    })
                    .await?;
                Ok(Arc::clone(provider))
            }
        }
    }
}

/// All tables of the lake at one snapshot.
#[derive(Debug, Clone)]
pub struct SnapshotCatalog {
    catalog: Arc<DuckLakeCatalog>,
    snapshot: i64,
    /// Files of each table of `current` that have deleted rows, by the table's name.
    superseded: Arc<BTreeMap<String, Vec<Superseded>>>,
    reading: Arc<Reading>,
}

impl Lake {
    /// The lake as of `snapshot`, or as of the latest one.
    pub async fn at(&self, snapshot: Option<i64>) -> Result<SnapshotCatalog> {
        let snapshot = match snapshot {
            Some(snapshot) => snapshot,
            None => self.latest_snapshot().await?,
        };
        let reading = Reading::begin(&self.readers, self.store(), snapshot).await?;
        let provider = self.catalog.provider().await?;
        let catalog = asked(|| DuckLakeCatalog::with_snapshot(provider, snapshot));
        let catalog = catalog.map_err(catalog_error)?;
        let superseded = Arc::new(self.superseded_files(snapshot).await?);
        Ok(SnapshotCatalog { catalog: Arc::new(catalog), snapshot, superseded, reading })
    }
}

impl SnapshotCatalog {
    /// The snapshot's number.
    pub fn snapshot(&self) -> i64 {
        self.snapshot
    }

    /// The tables of one schema.
    pub fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let schema = asked(|| self.catalog.schema(name))?;
        let inner = if name == "history" {
            Arc::new(HistorySchema { schema, superseded: Arc::clone(&self.superseded) })
        } else {
            schema
        };
        let deletes = (name == "current").then(|| Arc::clone(&self.superseded));
        Some(Arc::new(WatchedSchema { inner, deletes, reading: Arc::clone(&self.reading) }))
    }
}

/// The tables of `history`, each with the rows that are still to be moved into it.
#[derive(Debug)]
struct HistorySchema {
    schema: Arc<dyn SchemaProvider>,
    superseded: Arc<BTreeMap<String, Vec<Superseded>>>,
}

#[async_trait]
impl SchemaProvider for HistorySchema {
    fn table_names(&self) -> Vec<String> {
        self.schema.table_names()
    }

    async fn table(&self, name: &str) -> DataFusionResult<Option<Arc<dyn TableProvider>>> {
        let Some(stored) = self.schema.table(name).await? else { return Ok(None) };
        let files = self.superseded.get(name).cloned().unwrap_or_default();
        Ok(Some(Arc::new(HistoryTable::new(stored, files)?)))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.schema.table_exist(name)
    }
}

fn catalog_error(error: DuckLakeError) -> Error {
    Error::internal("the lake's catalog could not be read").cause(error)
}
