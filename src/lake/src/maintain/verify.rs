//! Whether the lake's files are what the catalog says: there, of the recorded size, with the
//! recorded rows and bounds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use datafusion_ducklake::stats_collect::compute_column_stats;
use huiliu_sdk::{Error, ErrorKind, Result};
use huiliu_store::args;

use super::source::open;
use crate::Lake;
use crate::commit::exact_bound;

/// A file that is not what the catalog says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornFile {
    /// The table, as `schema.table`.
    pub table: String,
    /// The file.
    pub file: PathBuf,
    /// The snapshot that brought it.
    pub snapshot: i64,
    /// What is wrong with it.
    pub fault: String,
}

/// What was looked at and what was wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verification {
    /// Files looked at.
    pub files: u64,
    /// Their recorded size.
    pub bytes: i64,
    /// Those that are not what they should be.
    pub torn: Vec<TornFile>,
}

impl Verification {
    /// Fails with `E-LAKE-TORN` when a file is not what it should be.
    pub fn check(&self) -> Result<()> {
        let Some(first) = self.torn.first() else { return Ok(()) };
        let more = match self.torn.len() {
            1 => String::new(),
            count => format!("; and {} more", count - 1),
        };
        let message = format!(
            "{}: {} of snapshot {} {}{more}",
            first.table,
            first.file.display(),
            first.snapshot,
            first.fault
        );
        Err(Error::new(ErrorKind::Internal, "E-LAKE-TORN", message).hint(
            "`huiliu doctor` lists every file; put the files back, or restore the data folder from a backup",
        ))
    }
}

/// A file as the catalog has it.
struct Recorded {
    id: i64,
    table: String,
    snapshot: i64,
    path: PathBuf,
    rows: i64,
    bytes: i64,
    is_data: bool,
}

/// Recorded statistics of one column: nulls, values, least and greatest value.
type Statistics = (Option<i64>, Option<i64>, Option<String>, Option<String>);

const FILES: &str = "
select f.data_file_id, s.schema_name, t.table_name, f.begin_snapshot, s.path || t.path || f.path,
       f.record_count, f.file_size_bytes, true
from ducklake_data_file f
join ducklake_table t on t.table_id = f.table_id
join ducklake_schema s on s.schema_id = t.schema_id
where not ?1 or f.end_snapshot is null
union all
select f.delete_file_id, s.schema_name, t.table_name, f.begin_snapshot, s.path || t.path || f.path,
       f.delete_count, f.file_size_bytes, false
from ducklake_delete_file f
join ducklake_table t on t.table_id = f.table_id
join ducklake_schema s on s.schema_id = t.schema_id
where not ?1 or f.end_snapshot is null
order by 2, 3, 1";

impl Lake {
    /// Looks at every file of every snapshot: size, footer, number of rows, bounds of each
    /// column.
    pub async fn verify(&self) -> Result<Verification> {
        let mut verification = Verification::default();
        let mut statistics = self.recorded_statistics().await?;
        for file in self.recorded(false).await? {
            verification.files += 1;
            verification.bytes += file.bytes;
            let columns = statistics.remove(&file.id).filter(|_| file.is_data);
            let fault = match size_fault(&file) {
                Some(fault) => Some(fault),
                None => footer_fault(&file, &columns.unwrap_or_default()),
            };
            verification.torn.extend(fault.map(|fault| torn(&file, fault)));
        }
        Ok(verification)
    }

    /// Looks at the sizes of the files of the latest snapshot, which takes no time.
    pub async fn verify_sizes(&self) -> Result<Verification> {
        let mut verification = Verification::default();
        for file in self.recorded(true).await? {
            verification.files += 1;
            verification.bytes += file.bytes;
            verification.torn.extend(size_fault(&file).map(|fault| torn(&file, fault)));
        }
        Ok(verification)
    }

    async fn recorded(&self, live_only: bool) -> Result<Vec<Recorded>> {
        let mut files = Vec::new();
        for row in self.store().all("list files", FILES, args![live_only]).await? {
            files.push(Recorded {
                id: row.get(0)?,
                table: format!("{}.{}", row.get::<String>(1)?, row.get::<String>(2)?),
                snapshot: row.get(3)?,
                path: self.root().join(row.get::<String>(4)?),
                rows: row.get::<Option<i64>>(5)?.unwrap_or(0),
                bytes: row.get(6)?,
                is_data: row.get(7)?,
            });
        }
        Ok(files)
    }

    /// The recorded statistics of each data file by column id.
    async fn recorded_statistics(&self) -> Result<BTreeMap<i64, BTreeMap<i64, Statistics>>> {
        let rows = self
            .store()
            .all(
                "read file statistics",
                "select data_file_id, column_id, null_count, value_count, min_value, max_value
                 from ducklake_file_column_stats",
                args![],
            )
            .await?;
        let mut files: BTreeMap<i64, BTreeMap<i64, Statistics>> = BTreeMap::new();
        for row in rows {
            let columns = files.entry(row.get(0)?).or_default();
            let statistics = (row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?);
            columns.insert(row.get(1)?, statistics);
        }
        Ok(files)
    }
}

fn torn(file: &Recorded, fault: String) -> TornFile {
    let (table, path) = (file.table.clone(), file.path.clone());
    TornFile { table, file: path, snapshot: file.snapshot, fault }
}

fn size_fault(file: &Recorded) -> Option<String> {
    match std::fs::metadata(&file.path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Some("is not there".into()),
        Err(e) => Some(format!("cannot be looked at ({})", e.kind())),
        Ok(found) if i64::try_from(found.len()).ok() != Some(file.bytes) => {
            Some(format!("has {} bytes instead of {}", found.len(), file.bytes))
        }
        Ok(_) => None,
    }
}

fn footer_fault(file: &Recorded, recorded: &BTreeMap<i64, Statistics>) -> Option<String> {
    let Ok(opened) = open(&file.path) else { return Some("has no readable footer".into()) };
    let rows = opened.metadata().file_metadata().num_rows();
    if rows != file.rows {
        return Some(format!("has {rows} rows instead of {}", file.rows));
    }
    let differs = differing_column(&file.path, recorded)?;
    Some(format!("has other values in column {differs} than were written"))
}

/// The first column whose footer says something else than the catalog.
fn differing_column(path: &Path, recorded: &BTreeMap<i64, Statistics>) -> Option<String> {
    if recorded.is_empty() {
        return None;
    }
    let opened = open(path).ok()?;
    let schema = opened.schema();
    let id = |field: &arrow::datatypes::Field| -> Option<i64> {
        field.metadata().get("PARQUET:field_id")?.parse().ok()
    };
    let ids: Vec<i64> = schema.fields().iter().map(|field| id(field).unwrap_or(-1)).collect();
    let rows = opened.metadata().file_metadata().num_rows();
    let nans = vec![None; ids.len()];
    let found = compute_column_stats(schema, opened.metadata(), &ids, rows, &nans);
    for (statistics, field) in found.iter().zip(schema.fields()) {
        let Some((nulls, values, min, max)) = recorded.get(&statistics.column_id) else {
            return Some(field.name().clone());
        };
        // Bounds of floats depend on whether there are NaNs, which a footer does not say.
        let bounds_differ = !field.data_type().is_floating()
            && (min.as_deref() != exact_bound(statistics.min_value.as_deref())
                || max.as_deref() != exact_bound(statistics.max_value.as_deref()));
        if *nulls != statistics.null_count || *values != statistics.value_count || bounds_differ {
            return Some(field.name().clone());
        }
    }
    None
}
