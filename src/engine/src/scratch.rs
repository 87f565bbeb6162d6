//! Tables beside the lake: written as the lake's own, read by one session, in no snapshot, gone with
//! the process.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{
    ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl,
};
use huiliu_lake::{FileWriter, Lake, LakeTable};
use huiliu_sdk::{Error, ErrorKind, Result};
use tempfile::TempDir;

use crate::build::FILE_ROWS;
use crate::failure::engine_error;

/// A folder for tables beside the lake, readable by its owner only.
pub(crate) struct Scratch(TempDir);

impl Scratch {
    /// A new folder in `parent`.
    pub(crate) fn new(parent: &Path) -> Result<Self> {
        let made = tempfile::Builder::new().prefix("plan-").tempdir_in(parent);
        made.map(Self).map_err(|e| {
            let message = format!("no folder could be made in {}", parent.display());
            Error::new(ErrorKind::Permission, "E-DATA", message)
                .hint("check the folder's rights and the space that is left")
                .cause(e)
        })
    }

    /// A place for a file of that name.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A table that is written like `name` of the lake, with the columns that has and those of `rows`.
    pub(crate) async fn table(
        &self,
        lake: &Lake,
        name: &str,
        rows: &Schema,
    ) -> Result<ScratchWriter> {
        let (schema, table) = name.split_once('.').unwrap_or(("standard", name));
        let folder = self.0.path().join(schema).join(table);
        let table = lake.sketch_table(schema, table, rows, folder).await?;
        Ok(ScratchWriter { table, open: None, files: Vec::new() })
    }
}

/// A table beside the lake, being written.
pub(crate) struct ScratchWriter {
    table: LakeTable,
    open: Option<FileWriter>,
    files: Vec<PathBuf>,
}

impl ScratchWriter {
    /// Adds rows; columns are matched by name.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let mut open = match self.open.take() {
            Some(open) => open,
            None => FileWriter::create(&self.table)?,
        };
        open.write(batch)?;
        if open.rows() >= FILE_ROWS {
            self.files.push(open.finish()?.path);
        } else {
            self.open = Some(open);
        }
        Ok(())
    }

    /// Ends the files.
    pub(crate) fn finish(mut self) -> Result<ScratchTable> {
        if let Some(open) = self.open.take() {
            self.files.push(open.finish()?.path);
        }
        let fields: Vec<_> = self
            .table
            .schema
            .fields()
            .iter()
            .map(|field| field.as_ref().clone().with_metadata(std::collections::HashMap::new()))
            .collect();
        Ok(ScratchTable { schema: Arc::new(Schema::new(fields)), files: self.files })
    }
}

/// A table beside the lake.
pub(crate) struct ScratchTable {
    schema: SchemaRef,
    files: Vec<PathBuf>,
}

impl ScratchTable {
    /// The table for DataFusion.
    pub(crate) fn provider(&self) -> Result<Arc<dyn TableProvider>> {
        listing(&self.schema, &self.files, Arc::new(ParquetFormat::default()), ".parquet")
    }
}

/// A table of files whose names have the ending `extension`.
pub(crate) fn listing(
    schema: &SchemaRef,
    files: &[PathBuf],
    format: Arc<dyn FileFormat>,
    extension: &str,
) -> Result<Arc<dyn TableProvider>> {
    let failed = |e| engine_error("a table beside the lake", e);
    if files.is_empty() {
        let table = MemTable::try_new(Arc::clone(schema), vec![Vec::new()]);
        return Ok(Arc::new(table.map_err(failed)?));
    }
    let mut urls = Vec::with_capacity(files.len());
    for file in files {
        urls.push(ListingTableUrl::parse(file_url(file)?).map_err(failed)?);
    }
    let options = ListingOptions::new(format).with_file_extension(extension);
    let config = ListingTableConfig::new_with_multi_paths(urls)
        .with_listing_options(options)
        .with_schema(Arc::clone(schema));
    Ok(Arc::new(ListingTable::try_new(config).map_err(failed)?))
}

/// The URL of a file. A plain path would be taken for a pattern where it has `*`, `?` or `[`.
fn file_url(path: &Path) -> Result<String> {
    let failed = |e| Error::internal("a temporary file has no path").cause(e);
    let path = path.canonicalize().map_err(failed)?;
    let mut url = "file://".to_owned();
    for byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(byte) {
            url.push(char::from(*byte));
        } else {
            url.push_str(&format!("%{byte:02X}"));
        }
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_like_patterns_are_plain_names() {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("数据 [1]*.parquet");
        std::fs::write(&file, "x").unwrap();
        let url = file_url(&file).unwrap();
        assert!(url.ends_with("%E6%95%B0%E6%8D%AE%20%5B1%5D%2A.parquet"), "{url}");
        assert!(ListingTableUrl::parse(&url).unwrap().get_glob().is_none());
    }
}
