//! The commit: DuckLake's rows for one snapshot over any number of tables, written inside a
//! transaction that the caller adds its own rows to and ends.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use arrow::datatypes::Schema;
use datafusion_ducklake::types::arrow_to_ducklake_type;
use huiliu_sdk::{Error, ErrorKind, Result};
use huiliu_store::{Tx, args};

use crate::file::{BOUND_BYTES, sync_with_parents};
use crate::retire::retire;
use crate::{LakeTable, NewDataFile, NewDeleteFile, fault_point};

/// Bytes from which on a bound may have been shortened to `BOUND_BYTES`, at the end of a character.
const SHORTENED: usize = BOUND_BYTES - 3;

/// What one snapshot changes in one table.
#[derive(Debug, Clone)]
pub struct TableChange {
    /// The table.
    pub table: LakeTable,
    /// Whether all rows the table had are gone.
    pub replace: bool,
    /// New files, each with the positions in it that are deleted already.
    pub added: Vec<(NewDataFile, Option<NewDeleteFile>)>,
    /// New deletes in older files: data file, its delete file so far, all deletes from now on.
    pub deleted: Vec<(i64, Option<i64>, NewDeleteFile)>,
    /// Files whose rows are in `added` now: data file and its delete file.
    pub retired: Vec<(i64, Option<i64>)>,
    /// Whether readers see the same rows afterwards, because rows were only moved.
    pub same_content: bool,
}

impl TableChange {
    /// A change of `table` that does nothing yet.
    pub fn new(table: LakeTable) -> Self {
        Self {
            table,
            replace: false,
            added: Vec::new(),
            deleted: Vec::new(),
            retired: Vec::new(),
            same_content: false,
        }
    }

    /// Whether it does nothing.
    pub fn is_empty(&self) -> bool {
        let moved = self.retired.is_empty() && self.added.is_empty();
        !self.replace && moved && self.deleted.is_empty()
    }
}

/// One snapshot in the making.
#[derive(Debug, Default)]
pub struct Commit {
    /// The tables it changes.
    pub changes: Vec<TableChange>,
    /// Who or what made it.
    pub author: String,
    /// Why.
    pub message: String,
}

impl Commit {
    /// Whether it changes nothing; then no snapshot must be made.
    pub fn is_empty(&self) -> bool {
        self.changes.iter().all(TableChange::is_empty)
    }

    /// Removes the files of a commit that was not made. Not for one whose answer was lost: the
    /// catalog may name them.
    pub fn discard(self) {
        for change in self.changes {
            let added = change.added.into_iter().flat_map(|(file, deletes)| {
                std::iter::once(file.path).chain(deletes.map(|deletes| deletes.path))
            });
            let deleted = change.deleted.into_iter().map(|(_, _, deletes)| deletes.path);
            for path in added.chain(deleted) {
                // What stays is in no snapshot, and maintenance removes it.
                drop(std::fs::remove_file(path));
            }
        }
    }

    /// Writes the snapshot's rows into `tx` and returns its number. All files must be synced;
    /// their folders are synced here. The caller commits `tx`.
    pub async fn write(&self, tx: &mut Tx) -> Result<i64> {
        // A table that only loses rows has no new file, and perhaps not even a folder yet.
        let has_files =
            |change: &&TableChange| !change.added.is_empty() || !change.deleted.is_empty();
        for change in self.changes.iter().filter(has_files) {
            sync_with_parents(&change.table.folder)?;
        }
        fault_point!("lake::synced");
        let mut ids = Ids::load(tx).await?;
        let snapshot = ids.snapshot + 1;
        let mut done = Vec::new();
        for change in self.changes.iter().filter(|change| !change.is_empty()) {
            write_change(tx, change, snapshot, &mut ids).await?;
            let table = change.table.table_id;
            if !change.retired.is_empty() {
                done.push(format!("compacted_table:{table}"));
                fault_point!("lake::table");
                continue;
            }
            if change.replace || !change.deleted.is_empty() {
                done.push(format!("deleted_from_table:{table}"));
            }
            if !change.added.is_empty() {
                done.push(format!("inserted_into_table:{table}"));
            }
            fault_point!("lake::table");
        }
        insert_snapshot(tx, snapshot, &ids, &done.join(","), &self.author, &self.message).await?;
        fault_point!("lake::snapshot");
        Ok(snapshot)
    }
}

pub(crate) struct Ids {
    pub(crate) snapshot: i64,
    pub(crate) schema_version: i64,
    next_catalog: i64,
    next_file: i64,
}

impl Ids {
    pub(crate) async fn load(tx: &mut Tx) -> Result<Self> {
        let row = tx
            .one(
                "read the latest snapshot",
                "select snapshot_id, schema_version, next_catalog_id, next_file_id
                 from ducklake_snapshot order by snapshot_id desc limit 1",
                args![],
            )
            .await?
            .ok_or_else(|| Error::internal("the catalog has no snapshot"))?;
        Ok(Self {
            snapshot: row.get(0)?,
            schema_version: row.get(1)?,
            next_catalog: row.get(2)?,
            next_file: row.get(3)?,
        })
    }
}

pub(crate) async fn insert_snapshot(
    tx: &mut Tx,
    snapshot: i64,
    ids: &Ids,
    changes: &str,
    author: &str,
    message: &str,
) -> Result<()> {
    let now = tx.now().await?;
    tx.run(
        "insert a snapshot",
        "insert into ducklake_snapshot
           (snapshot_id, snapshot_time, schema_version, next_catalog_id, next_file_id)
         values (?, ?, ?, ?, ?)",
        args![snapshot, now, ids.schema_version, ids.next_catalog, ids.next_file],
    )
    .await?;
    tx.run(
        "insert a snapshot",
        "insert into ducklake_snapshot_changes
           (snapshot_id, changes_made, author, commit_message) values (?, ?, ?, ?)",
        args![snapshot, changes, author, message],
    )
    .await?;
    Ok(())
}

async fn write_change(
    tx: &mut Tx,
    change: &TableChange,
    snapshot: i64,
    ids: &mut Ids,
) -> Result<()> {
    let table = change.table.table_id;
    if change.replace {
        retire_files(tx, table, snapshot).await?;
    }
    let stats = tx
        .one(
            "read table statistics",
            "select record_count, next_row_id, file_size_bytes from ducklake_table_stats
             where table_id = ?",
            args![table],
        )
        .await?;
    let (mut records, mut next_row, mut bytes): (i64, i64, i64) = match stats {
        Some(row) => (row.get(0)?, row.get(1)?, row.get(2)?),
        None => (0, 0, 0),
    };
    if change.replace {
        (records, bytes) = (0, 0);
    }
    let retired = retire(tx, table, &change.retired, snapshot).await?;
    (records, bytes) = (records - retired.rows, bytes - retired.bytes);
    if !change.same_content {
        tx.put_table_version(table, snapshot).await?;
    }
    for (data_file, previous, deletes) in &change.deleted {
        replace_deletes(tx, table, *data_file, *previous, snapshot).await?;
        let id = ids.next_file;
        ids.next_file += 1;
        insert_delete_file(tx, id, table, *data_file, deletes, snapshot).await?;
    }
    for (file, deletes) in &change.added {
        let id = ids.next_file;
        ids.next_file += 1;
        insert_data_file(tx, id, table, file, next_row, snapshot).await?;
        records += file.record_count;
        next_row += file.record_count;
        bytes += file.size_bytes;
        if let Some(deletes) = deletes {
            let delete_id = ids.next_file;
            ids.next_file += 1;
            insert_delete_file(tx, delete_id, table, id, deletes, snapshot).await?;
        }
    }
    fault_point!("lake::files");
    tx.run(
        "store table statistics",
        "insert into ducklake_table_stats
           (table_id, record_count, next_row_id, file_size_bytes) values (?, ?, ?, ?)
         on conflict (table_id) do update set
           record_count = excluded.record_count, next_row_id = excluded.next_row_id,
           file_size_bytes = excluded.file_size_bytes",
        args![table, records, next_row, bytes],
    )
    .await?;
    roll_up_statistics(tx, change).await
}

async fn retire_files(tx: &mut Tx, table: i64, snapshot: i64) -> Result<()> {
    tx.run(
        "retire data files",
        "update ducklake_data_file set end_snapshot = ?
         where table_id = ? and end_snapshot is null",
        args![snapshot, table],
    )
    .await?;
    tx.run(
        "retire delete files",
        "update ducklake_delete_file set end_snapshot = ?
         where table_id = ? and end_snapshot is null",
        args![snapshot, table],
    )
    .await?;
    tx.run(
        "reset table statistics",
        "delete from ducklake_table_column_stats where table_id = ?",
        args![table],
    )
    .await?;
    Ok(())
}

/// Ends the delete file that the new one takes over, after checking that nobody else changed
/// the data file since we looked.
async fn replace_deletes(
    tx: &mut Tx,
    table: i64,
    data_file: i64,
    previous: Option<i64>,
    snapshot: i64,
) -> Result<()> {
    let live = tx
        .one(
            "check a data file",
            "select data_file_id from ducklake_data_file
             where data_file_id = ? and table_id = ? and end_snapshot is null",
            args![data_file, table],
        )
        .await?;
    let current = tx
        .one(
            "check a delete file",
            "select delete_file_id from ducklake_delete_file
             where data_file_id = ? and end_snapshot is null",
            args![data_file],
        )
        .await?;
    let current: Option<i64> = current.map(|row| row.get(0)).transpose()?;
    if live.is_none() || current != previous {
        return Err(Error::new(
            ErrorKind::Conflict,
            "E-LAKE-CONFLICT",
            "the table was changed by another writer since this one looked",
        )
        .hint("nothing was committed; run it again"));
    }
    tx.run(
        "retire a delete file",
        "update ducklake_delete_file set end_snapshot = ? where delete_file_id = ?",
        args![snapshot, current],
    )
    .await?;
    Ok(())
}

fn file_name(path: &Path) -> Result<String> {
    path.file_name()
        .and_then(|name| name.to_str())
        .map(str::to_owned)
        .ok_or_else(|| Error::internal("a lake file has no name"))
}

async fn insert_data_file(
    tx: &mut Tx,
    id: i64,
    table: i64,
    file: &NewDataFile,
    row_id_start: i64,
    snapshot: i64,
) -> Result<()> {
    tx.run(
        "insert a data file",
        "insert into ducklake_data_file
           (data_file_id, table_id, begin_snapshot, path, path_is_relative, file_format,
            record_count, file_size_bytes, footer_size, row_id_start)
         values (?, ?, ?, ?, true, 'parquet', ?, ?, ?, ?)",
        args![
            id,
            table,
            snapshot,
            file_name(&file.path)?,
            file.record_count,
            file.size_bytes,
            file.footer_bytes,
            row_id_start,
        ],
    )
    .await?;
    for stat in &file.statistics {
        tx.run(
            "insert file statistics",
            "insert into ducklake_file_column_stats
               (data_file_id, table_id, column_id, column_size_bytes, value_count, null_count,
                min_value, max_value, contains_nan)
             values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            args![
                id,
                table,
                stat.column_id,
                stat.column_size_bytes,
                stat.value_count,
                stat.null_count,
                exact_bound(stat.min_value.as_deref()),
                exact_bound(stat.max_value.as_deref()),
                stat.contains_nan,
            ],
        )
        .await?;
    }
    Ok(())
}

/// A bound that every catalog database can hold as it is and that a file has not shortened.
/// Readers take a missing one as unknown.
pub(crate) fn exact_bound(bound: Option<&str>) -> Option<&str> {
    bound.filter(|text| !text.contains('\0') && text.len() < SHORTENED)
}

async fn insert_delete_file(
    tx: &mut Tx,
    id: i64,
    table: i64,
    data_file: i64,
    file: &NewDeleteFile,
    snapshot: i64,
) -> Result<()> {
    tx.run(
        "insert a delete file",
        "insert into ducklake_delete_file
           (delete_file_id, table_id, begin_snapshot, data_file_id, path, path_is_relative,
            format, delete_count, file_size_bytes, footer_size)
         values (?, ?, ?, ?, ?, true, 'parquet', ?, ?, ?)",
        args![
            id,
            table,
            snapshot,
            data_file,
            file_name(&file.path)?,
            file.delete_count,
            file.size_bytes,
            file.footer_bytes,
        ],
    )
    .await?;
    Ok(())
}

/// Widens the table's column statistics by those of the added files. Bounds are left out (which
/// readers take as unknown) where the encoded text does not order like the value.
async fn roll_up_statistics(tx: &mut Tx, change: &TableChange) -> Result<()> {
    let mut contains_null: BTreeMap<i64, bool> = BTreeMap::new();
    let mut contains_nan: BTreeMap<i64, Option<bool>> = BTreeMap::new();
    for (file, _) in &change.added {
        for stat in &file.statistics {
            *contains_null.entry(stat.column_id).or_default() |= stat.null_count != Some(0);
            let nan = contains_nan.entry(stat.column_id).or_default();
            *nan = match (*nan, stat.contains_nan) {
                (Some(a), Some(b)) => Some(a || b),
                (a, b) => a.or(b),
            };
        }
    }
    for (column, has_null) in contains_null {
        let table = change.table.table_id;
        let earlier = tx
            .one(
                "read column statistics",
                "select contains_null, contains_nan from ducklake_table_column_stats
                 where table_id = ? and column_id = ?",
                args![table, column],
            )
            .await?;
        let (null_before, nan_before): (Option<bool>, Option<bool>) = match earlier {
            Some(row) => (row.get(0)?, row.get(1)?),
            None => (Some(false), None),
        };
        let nan = contains_nan.get(&column).copied().flatten();
        tx.run(
            "store column statistics",
            "delete from ducklake_table_column_stats where table_id = ? and column_id = ?",
            args![table, column],
        )
        .await?;
        tx.run(
            "store column statistics",
            "insert into ducklake_table_column_stats
               (table_id, column_id, contains_null, contains_nan) values (?, ?, ?, ?)",
            args![table, column, has_null || null_before.unwrap_or(true), nan.or(nan_before)],
        )
        .await?;
    }
    Ok(())
}

/// Makes a table, as a snapshot of its own inside `tx`.
pub(crate) async fn create_table(
    tx: &mut Tx,
    schema: &str,
    name: &str,
    columns: &Schema,
) -> Result<()> {
    let mut ids = Ids::load(tx).await?;
    let snapshot = ids.snapshot + 1;
    let table_id = ids.next_catalog;
    ids.next_catalog += 1;
    ids.schema_version += 1;
    let found = tx
        .one(
            "look a schema up",
            "select schema_id from ducklake_schema where schema_name = ? and end_snapshot is null",
            args![schema],
        )
        .await?;
    let schema_id: Option<i64> = found.map(|row| row.get(0)).transpose()?;
    let schema_id = schema_id.ok_or_else(|| {
        Error::new(ErrorKind::Config, "E-SCHEMA-NAME", format!("the lake has no schema {schema}"))
            .hint("use current, history, standard, reconciled or metrics")
    })?;
    tx.run(
        "insert a table",
        "insert into ducklake_table
           (table_id, table_uuid, begin_snapshot, schema_id, table_name, path, path_is_relative)
         values (?, ?, ?, ?, ?, ?, true)",
        args![
            table_id,
            uuid::Uuid::new_v4().to_string(),
            snapshot,
            schema_id,
            name,
            folder_name(name),
        ],
    )
    .await?;
    for (order, field) in (1_i64..).zip(columns.fields()) {
        insert_column(tx, table_id, (order, order), field, snapshot).await?;
    }
    insert_schema_version(tx, table_id, snapshot, ids.schema_version).await?;
    let changes = format!("created_table:\"{schema}\".\"{}\"", name.replace('"', "\"\""));
    insert_snapshot(tx, snapshot, &ids, &changes, "huiliu", "create table").await
}

/// Adds the columns of `wanted` that `table` lacks, as a snapshot of its own inside `tx`.
pub(crate) async fn add_columns(tx: &mut Tx, table: &LakeTable, wanted: &Schema) -> Result<()> {
    let missing: Vec<_> = wanted
        .fields()
        .iter()
        .filter(|field| table.schema.field_with_name(field.name()).is_err())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut ids = Ids::load(tx).await?;
    let snapshot = ids.snapshot + 1;
    ids.schema_version += 1;
    let row = tx
        .one(
            "read a table's columns",
            "select coalesce(max(column_id), 0) from ducklake_column where table_id = ?",
            args![table.table_id],
        )
        .await?;
    let highest: i64 = row.map_or(Ok(0), |row| row.get(0))?;
    for (order, field) in (highest + 1..).zip(missing) {
        insert_column(tx, table.table_id, (order, order), field, snapshot).await?;
    }
    insert_schema_version(tx, table.table_id, snapshot, ids.schema_version).await?;
    let changes = format!("altered_table:{}", table.table_id);
    insert_snapshot(tx, snapshot, &ids, &changes, "huiliu", "add columns").await
}

/// Inserts a column under its id and order.
pub(crate) async fn insert_column(
    tx: &mut Tx,
    table: i64,
    (id, order): (i64, i64),
    field: &arrow::datatypes::Field,
    snapshot: i64,
) -> Result<()> {
    let column_type = column_type(field)?;
    tx.run(
        "insert a column",
        "insert into ducklake_column
           (column_id, begin_snapshot, table_id, column_order, column_name, column_type,
            nulls_allowed)
         values (?, ?, ?, ?, ?, ?, true)",
        args![id, snapshot, table, order, field.name(), column_type],
    )
    .await?;
    Ok(())
}

/// The type under which the catalog holds a column.
pub(crate) fn column_type(field: &arrow::datatypes::Field) -> Result<String> {
    let name = arrow_to_ducklake_type(field.data_type()).map_err(|e| {
        Error::new(
            ErrorKind::Schema,
            "E-TYPE",
            format!("column {}: the lake cannot hold {}", field.name(), field.data_type()),
        )
        .cause(e)
    })?;
    Ok(name.replace(", ", ","))
}

pub(crate) async fn insert_schema_version(
    tx: &mut Tx,
    table: i64,
    snapshot: i64,
    schema_version: i64,
) -> Result<()> {
    tx.run(
        "insert a schema version",
        "insert into ducklake_schema_versions (begin_snapshot, schema_version, table_id)
         values (?, ?, ?)",
        args![snapshot, schema_version, table],
    )
    .await?;
    Ok(())
}

/// A folder name that is safe whatever the table is called.
fn folder_name(table: &str) -> String {
    let plain = table.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let folder = if plain && !table.is_empty() && table.len() <= 100 {
        table.to_owned()
    } else {
        format!("t-{}", uuid::Uuid::new_v4())
    };
    PathBuf::from(folder).display().to_string() + "/"
}
