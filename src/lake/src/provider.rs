//! The lake's tables as DataFusion sees them, all at one snapshot.

use std::sync::Arc;

use datafusion::catalog::{CatalogProvider, SchemaProvider};
use datafusion_ducklake::{
    DuckLakeCatalog, DuckLakeError, MetadataProvider, SqliteMetadataProvider,
};
use huiliu_sdk::{Error, Result};

use crate::Lake;

/// All tables of the lake at one snapshot.
#[derive(Debug, Clone)]
pub struct SnapshotCatalog {
    catalog: Arc<DuckLakeCatalog>,
    snapshot: i64,
}

impl Lake {
    /// The lake as of `snapshot`, or as of the latest one.
    pub async fn at(&self, snapshot: Option<i64>) -> Result<SnapshotCatalog> {
        let snapshot = match snapshot {
            Some(snapshot) => snapshot,
            None => self.latest_snapshot().await?,
        };
        let url = format!("sqlite://{}?mode=ro", self.database().display());
        let provider = SqliteMetadataProvider::new(&url).await.map_err(catalog_error)?;
        let provider: Arc<dyn MetadataProvider> = Arc::new(provider);
        let catalog = DuckLakeCatalog::with_snapshot(provider, snapshot).map_err(catalog_error)?;
        Ok(SnapshotCatalog { catalog: Arc::new(catalog), snapshot })
    }
}

impl SnapshotCatalog {
    /// The snapshot's number.
    pub fn snapshot(&self) -> i64 {
        self.snapshot
    }

    /// The tables of one schema.
    pub fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        self.catalog.schema(name)
    }
}

fn catalog_error(error: DuckLakeError) -> Error {
    Error::internal("the lake's catalog could not be read").cause(error)
}
