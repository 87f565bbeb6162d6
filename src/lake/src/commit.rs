//! The commit: DuckLake's rows for one snapshot over any number of tables, written inside a
//! transaction that the caller adds its own rows to and ends.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use arrow::datatypes::Schema;
use datafusion_ducklake::types::arrow_to_ducklake_type;
use fail::fail_point;
use huiliu_sdk::{Error, ErrorKind, Result};
use huiliu_store::{Tx, database_error};

use crate::file::sync_folder;
use crate::{LakeTable, NewDataFile, NewDeleteFile};

/// What one snapshot changes in one table.
#[derive(Debug)]
pub struct TableChange {
    /// The table.
    pub table: LakeTable,
    /// Whether all rows the table had are gone.
    pub replace: bool,
    /// New files, each with the positions in it that are deleted already.
    pub added: Vec<(NewDataFile, Option<NewDeleteFile>)>,
    /// New deletes in older files: data file, its delete file so far, all deletes from now on.
    pub deleted: Vec<(i64, Option<i64>, NewDeleteFile)>,
}

impl TableChange {
    /// A change of `table` that does nothing yet.
    pub fn new(table: LakeTable) -> Self {
        Self { table, replace: false, added: Vec::new(), deleted: Vec::new() }
    }

    /// Whether it does nothing.
    pub fn is_empty(&self) -> bool {
        !self.replace && self.added.is_empty() && self.deleted.is_empty()
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

    /// Writes the snapshot's rows into `tx` and returns its number. All files must be synced;
    /// their folders are synced here. The caller commits `tx`.
    pub async fn write(&self, tx: &mut Tx) -> Result<i64> {
        for change in self.changes.iter().filter(|change| !change.is_empty()) {
            sync_folder(&change.table.folder)?;
        }
        fail_point!("lake::synced");
        let mut ids = Ids::load(tx).await?;
        let snapshot = ids.snapshot + 1;
        let mut done = Vec::new();
        for change in self.changes.iter().filter(|change| !change.is_empty()) {
            write_change(tx, change, snapshot, &mut ids).await?;
            let table = change.table.table_id;
            if change.replace || !change.deleted.is_empty() {
                done.push(format!("deleted_from_table:{table}"));
            }
            if !change.added.is_empty() {
                done.push(format!("inserted_into_table:{table}"));
            }
            fail_point!("lake::table");
        }
        insert_snapshot(tx, snapshot, &ids, &done.join(","), &self.author, &self.message).await?;
        fail_point!("lake::snapshot");
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
        let (snapshot, schema_version, next_catalog, next_file) = sqlx::query_as(
            "select snapshot_id, schema_version, next_catalog_id, next_file_id
             from ducklake_snapshot order by snapshot_id desc limit 1",
        )
        .fetch_one(tx.connection())
        .await
        .map_err(|e| database_error("read the latest snapshot", e))?;
        Ok(Self { snapshot, schema_version, next_catalog, next_file })
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
    sqlx::query(
        "insert into ducklake_snapshot
           (snapshot_id, snapshot_time, schema_version, next_catalog_id, next_file_id)
         values (?, strftime('%Y-%m-%d %H:%M:%f', 'now') || '+00', ?, ?, ?)",
    )
    .bind(snapshot)
    .bind(ids.schema_version)
    .bind(ids.next_catalog)
    .bind(ids.next_file)
    .execute(tx.connection())
    .await
    .map_err(|e| database_error("insert a snapshot", e))?;
    sqlx::query(
        "insert into ducklake_snapshot_changes
           (snapshot_id, changes_made, author, commit_message) values (?, ?, ?, ?)",
    )
    .bind(snapshot)
    .bind(changes)
    .bind(author)
    .bind(message)
    .execute(tx.connection())
    .await
    .map_err(|e| database_error("insert a snapshot", e))?;
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
    let stats: Option<(i64, i64, i64)> = sqlx::query_as(
        "select record_count, next_row_id, file_size_bytes from ducklake_table_stats
         where table_id = ?",
    )
    .bind(table)
    .fetch_optional(tx.connection())
    .await
    .map_err(|e| database_error("read table statistics", e))?;
    let (mut records, mut next_row, mut bytes) = stats.unwrap_or((0, 0, 0));
    if change.replace {
        (records, bytes) = (0, 0);
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
    fail_point!("lake::files");
    sqlx::query(
        "insert or replace into ducklake_table_stats
           (table_id, record_count, next_row_id, file_size_bytes) values (?, ?, ?, ?)",
    )
    .bind(table)
    .bind(records)
    .bind(next_row)
    .bind(bytes)
    .execute(tx.connection())
    .await
    .map_err(|e| database_error("store table statistics", e))?;
    roll_up_statistics(tx, change).await
}

async fn retire_files(tx: &mut Tx, table: i64, snapshot: i64) -> Result<()> {
    sqlx::query(
        "update ducklake_data_file set end_snapshot = ?
         where table_id = ? and end_snapshot is null",
    )
    .bind(snapshot)
    .bind(table)
    .execute(tx.connection())
    .await
    .map_err(|e| database_error("retire data files", e))?;
    sqlx::query(
        "update ducklake_delete_file set end_snapshot = ?
         where table_id = ? and end_snapshot is null",
    )
    .bind(snapshot)
    .bind(table)
    .execute(tx.connection())
    .await
    .map_err(|e| database_error("retire delete files", e))?;
    sqlx::query("delete from ducklake_table_column_stats where table_id = ?")
        .bind(table)
        .execute(tx.connection())
        .await
        .map_err(|e| database_error("reset table statistics", e))?;
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
    let live: Option<i64> = sqlx::query_scalar(
        "select data_file_id from ducklake_data_file
         where data_file_id = ? and table_id = ? and end_snapshot is null",
    )
    .bind(data_file)
    .bind(table)
    .fetch_optional(tx.connection())
    .await
    .map_err(|e| database_error("check a data file", e))?;
    let current: Option<i64> = sqlx::query_scalar(
        "select delete_file_id from ducklake_delete_file
         where data_file_id = ? and end_snapshot is null",
    )
    .bind(data_file)
    .fetch_optional(tx.connection())
    .await
    .map_err(|e| database_error("check a delete file", e))?;
    if live.is_none() || current != previous {
        return Err(Error::new(
            ErrorKind::Conflict,
            "E-LAKE-CONFLICT",
            "the table was changed by another writer since this one looked",
        )
        .hint("nothing was committed; run it again"));
    }
    sqlx::query("update ducklake_delete_file set end_snapshot = ? where delete_file_id = ?")
        .bind(snapshot)
        .bind(current)
        .execute(tx.connection())
        .await
        .map_err(|e| database_error("retire a delete file", e))?;
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
    sqlx::query(
        "insert into ducklake_data_file
           (data_file_id, table_id, begin_snapshot, path, path_is_relative, file_format,
            record_count, file_size_bytes, footer_size, row_id_start)
         values (?, ?, ?, ?, 1, 'parquet', ?, ?, ?, ?)",
    )
    .bind(id)
    .bind(table)
    .bind(snapshot)
    .bind(file_name(&file.path)?)
    .bind(file.record_count)
    .bind(file.size_bytes)
    .bind(file.footer_bytes)
    .bind(row_id_start)
    .execute(tx.connection())
    .await
    .map_err(|e| database_error("insert a data file", e))?;
    for stat in &file.statistics {
        sqlx::query(
            "insert into ducklake_file_column_stats
               (data_file_id, table_id, column_id, column_size_bytes, value_count, null_count,
                min_value, max_value, contains_nan)
             values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(id)
        .bind(table)
        .bind(stat.column_id)
        .bind(stat.column_size_bytes)
        .bind(stat.value_count)
        .bind(stat.null_count)
        .bind(&stat.min_value)
        .bind(&stat.max_value)
        .bind(stat.contains_nan)
        .execute(tx.connection())
        .await
        .map_err(|e| database_error("insert file statistics", e))?;
    }
    Ok(())
}

async fn insert_delete_file(
    tx: &mut Tx,
    id: i64,
    table: i64,
    data_file: i64,
    file: &NewDeleteFile,
    snapshot: i64,
) -> Result<()> {
    sqlx::query(
        "insert into ducklake_delete_file
           (delete_file_id, table_id, begin_snapshot, data_file_id, path, path_is_relative,
            format, delete_count, file_size_bytes, footer_size)
         values (?, ?, ?, ?, ?, 1, 'parquet', ?, ?, ?)",
    )
    .bind(id)
    .bind(table)
    .bind(snapshot)
    .bind(data_file)
    .bind(file_name(&file.path)?)
    .bind(file.delete_count)
    .bind(file.size_bytes)
    .bind(file.footer_bytes)
    .execute(tx.connection())
    .await
    .map_err(|e| database_error("insert a delete file", e))?;
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
        let earlier: Option<(Option<bool>, Option<bool>)> = sqlx::query_as(
            "select contains_null, contains_nan from ducklake_table_column_stats
             where table_id = ? and column_id = ?",
        )
        .bind(change.table.table_id)
        .bind(column)
        .fetch_optional(tx.connection())
        .await
        .map_err(|e| database_error("read column statistics", e))?;
        let (null_before, nan_before) = earlier.unwrap_or((Some(false), None));
        let nan = contains_nan.get(&column).copied().flatten();
        sqlx::query("delete from ducklake_table_column_stats where table_id = ? and column_id = ?")
            .bind(change.table.table_id)
            .bind(column)
            .execute(tx.connection())
            .await
            .map_err(|e| database_error("store column statistics", e))?;
        sqlx::query(
            "insert into ducklake_table_column_stats
               (table_id, column_id, contains_null, contains_nan) values (?, ?, ?, ?)",
        )
        .bind(change.table.table_id)
        .bind(column)
        .bind(has_null || null_before.unwrap_or(true))
        .bind(nan.or(nan_before))
        .execute(tx.connection())
        .await
        .map_err(|e| database_error("store column statistics", e))?;
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
    let schema_id: Option<i64> = sqlx::query_scalar(
        "select schema_id from ducklake_schema where schema_name = ? and end_snapshot is null",
    )
    .bind(schema)
    .fetch_optional(tx.connection())
    .await
    .map_err(|e| database_error("look a schema up", e))?;
    let schema_id = schema_id.ok_or_else(|| {
        Error::new(ErrorKind::Config, "E-SCHEMA-NAME", format!("the lake has no schema {schema}"))
            .hint("use current, history, standard, reconciled or metrics")
    })?;
    sqlx::query(
        "insert into ducklake_table
           (table_id, table_uuid, begin_snapshot, schema_id, table_name, path, path_is_relative)
         values (?, ?, ?, ?, ?, ?, 1)",
    )
    .bind(table_id)
    .bind(uuid::Uuid::new_v4().to_string())
    .bind(snapshot)
    .bind(schema_id)
    .bind(name)
    .bind(folder_name(name))
    .execute(tx.connection())
    .await
    .map_err(|e| database_error("insert a table", e))?;
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
    let highest: i64 = sqlx::query_scalar(
        "select coalesce(max(column_id), 0) from ducklake_column where table_id = ?",
    )
    .bind(table.table_id)
    .fetch_one(tx.connection())
    .await
    .map_err(|e| database_error("read a table's columns", e))?;
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
    let column_type = arrow_to_ducklake_type(field.data_type()).map_err(|e| {
        Error::new(
            ErrorKind::Schema,
            "E-TYPE",
            format!("column {}: the lake cannot hold {}", field.name(), field.data_type()),
        )
        .cause(e)
    })?;
    sqlx::query(
        "insert into ducklake_column
           (column_id, begin_snapshot, table_id, column_order, column_name, column_type,
            nulls_allowed)
         values (?, ?, ?, ?, ?, ?, 1)",
    )
    .bind(id)
    .bind(snapshot)
    .bind(table)
    .bind(order)
    .bind(field.name())
    .bind(column_type.replace(", ", ","))
    .execute(tx.connection())
    .await
    .map_err(|e| database_error("insert a column", e))?;
    Ok(())
}

pub(crate) async fn insert_schema_version(
    tx: &mut Tx,
    table: i64,
    snapshot: i64,
    schema_version: i64,
) -> Result<()> {
    sqlx::query(
        "insert into ducklake_schema_versions (begin_snapshot, schema_version, table_id)
         values (?, ?, ?)",
    )
    .bind(snapshot)
    .bind(schema_version)
    .bind(table)
    .execute(tx.connection())
    .await
    .map_err(|e| database_error("insert a schema version", e))?;
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
