//! The lake: Parquet files under a DuckLake catalog.
//!
//! Files are written and fsynced first; then one transaction in the hub's database makes them
//! visible together with the state, balance and quarantine that belong to them. Reading goes
//! through the `datafusion-ducklake` crate, and nothing outside this crate names it.
//! This crate must never import the engine, the runner or a connector.

mod commit;
pub mod fault;
mod file;
mod filter;
mod hash;
mod history;
mod live_rows;
mod lookup;
mod maintain;
mod merge;
mod parallel;
mod provider;
mod reader;
mod repeats;
mod retire;
mod row;
mod row_groups;
mod table;
mod widen;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use huiliu_sdk::{Error, ErrorKind, Result};
use huiliu_store::{Store, StoreAddress};

use provider::CatalogSource;

use crate::filter::FilterCache;
use crate::reader::Readers;

pub use commit::{Commit, TableChange};
pub(crate) use file::DeleteFileWriter;
pub use file::{FileWriter, NewDataFile, NewDeleteFile};
pub use lookup::StoredRow;
pub use maintain::{
    Compaction, CompactionPlan, CompactionPolicy, CompactionReport, CompactionTables, Expiry,
    ExpiryRules, FileFacts, LiveFile, Reason, TableFiles, TornFile, Verification,
};
pub use merge::{KeySet, Merge, MergePlan, MergeResult, Positions, SharedKeys, UnkeyedRow};
pub use parallel::Haste;
pub use provider::SnapshotCatalog;
pub use row::{META_COLUMNS, RowStamp, storage_batch, storage_schema};
pub use table::{DataFile, LakeTable, TableColumn};
pub use widen::held_schema;

/// The lake of one data folder.
#[derive(Clone, Debug)]
pub struct Lake {
    store: Store,
    catalog: CatalogSource,
    root: PathBuf,
    filters: FilterCache,
    readers: Arc<Readers>,
}

impl Lake {
    /// Opens the lake and the hub's database in `data`, making both when they are not there.
    pub async fn open(data: &Path) -> Result<Self> {
        Self::open_with(data, &StoreAddress::Sqlite).await
    }

    /// Opens the lake in `data` with the hub's database at `address`. Hubs that share a database
    /// share the folder too, under the same path.
    pub async fn open_with(data: &Path, address: &StoreAddress) -> Result<Self> {
        let root = data.join("lake");
        std::fs::create_dir_all(&root).map_err(|e| io_error("make the folder", &root, e))?;
        let root = root.canonicalize().map_err(|e| io_error("open the folder", &root, e))?;
        let database = data
            .canonicalize()
            .map_err(|e| io_error("open the folder", data, e))?
            .join("huiliu.db");
        let store = Store::open_at(address, &database, &root).await?;
        let catalog = CatalogSource::new(address, database);
        let (filters, readers) = (FilterCache::default(), Arc::default());
        Ok(Self { store, catalog, root, filters, readers })
    }

    /// The hub's database.
    pub fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn filters(&self) -> &FilterCache {
        &self.filters
    }

    /// The folder of the Parquet files.
    pub fn root(&self) -> &Path {
        &self.root
    }
}

pub(crate) fn io_error(action: &str, path: &Path, error: std::io::Error) -> Error {
    let (kind, code, hint) = match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            let hint = "free some space: the step is tried again a few times, and the next run \
                        goes on from what was committed";
            (ErrorKind::Unreachable, "E-DISK-FULL", hint)
        }
        std::io::ErrorKind::NotFound => (
            ErrorKind::Internal,
            "E-LAKE-TORN",
            "a file the catalog names is not there; restore the data folder from a backup",
        ),
        std::io::ErrorKind::PermissionDenied => {
            (ErrorKind::Permission, "E-LAKE-IO", "check who owns the data folder")
        }
        _ => (ErrorKind::Unreachable, "E-LAKE-IO", "check the disk that holds the data folder"),
    };
    Error::new(kind, code, format!("could not {action} {}", path.display())).hint(hint).cause(error)
}

pub(crate) fn parquet_error(
    action: &str,
    path: &Path,
    error: parquet::errors::ParquetError,
) -> Error {
    // A full disk reaches us wrapped, and is no damage to the file.
    if let parquet::errors::ParquetError::External(inner) = &error
        && let Some(code) = inner.downcast_ref::<std::io::Error>().and_then(|e| e.raw_os_error())
    {
        return io_error(action, path, std::io::Error::from_raw_os_error(code));
    }
    Error::new(
        ErrorKind::Internal,
        "E-LAKE-TORN",
        format!("could not {action} the lake file {}", path.display()),
    )
    .hint("if the file is damaged, restore the data folder from a backup")
    .cause(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_not_taken_for_a_damaged_file() {
        const NO_SPACE: i32 = 28;
        let inner = std::io::Error::from_raw_os_error(NO_SPACE);
        let wrapped = parquet::errors::ParquetError::External(Box::new(inner));
        let error = parquet_error("write", Path::new("x.parquet"), wrapped);
        assert_eq!(error.code(), "E-DISK-FULL");
        let damaged = parquet::errors::ParquetError::General("bad magic".into());
        assert_eq!(parquet_error("read", Path::new("x.parquet"), damaged).code(), "E-LAKE-TORN");
    }
}
