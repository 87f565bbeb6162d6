//! Orphans: Parquet files that no row of the catalog names, left by processes that ended before
//! they committed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use huiliu_sdk::Result;
use huiliu_store::args;

use crate::{Lake, io_error};

impl Lake {
    /// The folders of Parquet files, as `schema/table` under the lake's root.
    pub fn folders(&self) -> Result<Vec<PathBuf>> {
        let mut folders = Vec::new();
        for schema in entries(self.root())? {
            if schema.is_dir() {
                folders.extend(entries(&schema)?.into_iter().filter(|path| path.is_dir()));
            }
        }
        folders.sort();
        Ok(folders)
    }

    /// The Parquet files in `folder` that no row of the catalog names and that were last changed
    /// before `before`. Only for the holder of the table's lease: a writer's own files look
    /// like this until it commits.
    pub async fn orphans(&self, folder: &Path, before: DateTime<Utc>) -> Result<Vec<PathBuf>> {
        // The folder first: a file that is committed after that is found in the catalog.
        let mut found = Vec::new();
        for path in entries(folder)? {
            if path.extension().is_none_or(|ending| ending != "parquet") {
                continue;
            }
            let changed = path.metadata().and_then(|metadata| metadata.modified());
            match changed {
                Ok(time) if DateTime::<Utc>::from(time) <= before => found.push(path),
                Ok(_) => {}
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => return Err(io_error("look at the lake file", &path, e)),
            }
        }
        if found.is_empty() {
            return Ok(found);
        }
        let named = self.named_files().await?;
        found.retain(|path| !named.contains(path));
        found.sort();
        Ok(found)
    }

    /// Removes files and says how many bytes they had.
    pub fn remove(&self, files: &[PathBuf]) -> Result<u64> {
        let mut bytes = 0;
        for path in files {
            bytes += path.metadata().map_or(0, |metadata| metadata.len());
            std::fs::remove_file(path).map_err(|e| io_error("remove the lake file", path, e))?;
        }
        Ok(bytes)
    }

    /// Every file that a row of the catalog names.
    async fn named_files(&self) -> Result<BTreeSet<PathBuf>> {
        let rows = self
            .store()
            .all(
                "list files",
                "select s.path || t.path || f.path from ducklake_data_file f
                 join ducklake_table t on t.table_id = f.table_id
                 join ducklake_schema s on s.schema_id = t.schema_id
                 union all
                 select s.path || t.path || f.path from ducklake_delete_file f
                 join ducklake_table t on t.table_id = f.table_id
                 join ducklake_schema s on s.schema_id = t.schema_id
                 union all
                 select path from ducklake_files_scheduled_for_deletion",
                args![],
            )
            .await?;
        rows.iter().map(|row| Ok(self.root().join(row.get::<String>(0)?))).collect()
    }
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let listed = match std::fs::read_dir(folder) {
        Ok(listed) => listed,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(io_error("list the folder", folder, e)),
    };
    let mut paths = Vec::new();
    for entry in listed {
        paths.push(entry.map_err(|e| io_error("list the folder", folder, e))?.path());
    }
    Ok(paths)
}
