//! What the catalog says about a table: columns, live files, deletes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use chrono::{DateTime, Utc};
use datafusion_ducklake::types::ducklake_to_arrow_type;
use huiliu_sdk::{Error, Result};
use huiliu_store::{Reader, Row, Tx, args};

use crate::history::Superseded;
use crate::{Lake, storage_schema};

/// One column of a lake table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableColumn {
    /// Its id, which is also the Parquet field id.
    pub column_id: i64,
    /// Its name.
    pub name: String,
    /// Its DuckLake type.
    pub column_type: String,
}

/// A table as of the latest snapshot.
#[derive(Debug, Clone)]
pub struct LakeTable {
    /// Its id.
    pub table_id: i64,
    /// The schema it is in.
    pub schema_name: String,
    /// Its name.
    pub name: String,
    /// Folder of its files.
    pub folder: PathBuf,
    /// Its columns in order.
    pub columns: Vec<TableColumn>,
    /// The Arrow schema of its rows, with Parquet field ids.
    pub schema: SchemaRef,
}

/// A live data file.
#[derive(Debug, Clone)]
pub struct DataFile {
    /// Its id.
    pub data_file_id: i64,
    /// Where it is.
    pub path: PathBuf,
    /// Rows in it, deleted ones included.
    pub record_count: i64,
    /// Its delete file: id and place.
    pub deletes: Option<(i64, PathBuf)>,
}

impl Lake {
    /// Looks a table up.
    pub async fn table(&self, schema: &str, name: &str) -> Result<Option<LakeTable>> {
        find_table(self, &mut self.store().into(), schema, name).await
    }

    /// The table `schema.name` with at least the columns of `rows`: made when it is not there,
    /// given the missing columns when it is. A column keeps its type for ever.
    pub async fn ensure_table(
        &self,
        tx: &mut Tx,
        schema: &str,
        name: &str,
        rows: &Schema,
    ) -> Result<LakeTable> {
        let wanted = storage_schema(rows);
        match find_table(self, &mut Reader::Tx(tx), schema, name).await? {
            None => crate::commit::create_table(tx, schema, name, &wanted).await?,
            Some(table) => crate::commit::add_columns(tx, &table, &wanted).await?,
        }
        find_table(self, &mut Reader::Tx(tx), schema, name)
            .await?
            .ok_or_else(|| Error::internal("a table that was just made is not there"))
    }

    /// The table that [`Self::ensure_table`] would give, without making or changing anything. Its
    /// files belong into `folder`, and into no snapshot.
    pub async fn sketch_table(
        &self,
        schema: &str,
        name: &str,
        rows: &Schema,
        folder: PathBuf,
    ) -> Result<LakeTable> {
        let held = self.table(schema, name).await?;
        let table_id = held.as_ref().map_or(0, |table| table.table_id);
        let mut columns = held.map_or_else(Vec::new, |table| table.columns);
        let highest = columns.iter().map(|column| column.column_id).max().unwrap_or(0);
        let wanted = storage_schema(rows);
        let is_new = |field: &&Arc<Field>| !columns.iter().any(|c| c.name == *field.name());
        let missing: Vec<&Arc<Field>> = wanted.fields().iter().filter(is_new).collect();
        for (column_id, field) in (highest + 1..).zip(missing) {
            let column_type = crate::commit::column_type(field)?;
            columns.push(TableColumn { column_id, name: field.name().clone(), column_type });
        }
        let arrow_schema = schema_of(&columns)?;
        Ok(LakeTable {
            table_id,
            schema_name: schema.to_owned(),
            name: name.to_owned(),
            folder,
            columns,
            schema: arrow_schema,
        })
    }

    /// The live data files of a table.
    pub async fn data_files(&self, table: &LakeTable) -> Result<Vec<DataFile>> {
        let rows = self
            .store()
            .all(
                "list data files",
                "select f.data_file_id, f.path, f.record_count, d.delete_file_id, d.path
                 from ducklake_data_file f
                 left join ducklake_delete_file d
                   on d.data_file_id = f.data_file_id and d.end_snapshot is null
                 where f.table_id = ? and f.end_snapshot is null
                 order by f.data_file_id",
                args![table.table_id],
            )
            .await?;
        rows.iter()
            .map(|row| {
                let deletes: Option<i64> = row.get(3)?;
                let delete_path: Option<String> = row.get(4)?;
                Ok(DataFile {
                    data_file_id: row.get(0)?,
                    path: table.folder.join(row.get::<String>(1)?),
                    record_count: row.get(2)?,
                    deletes: deletes.zip(delete_path.map(|path| table.folder.join(path))),
                })
            })
            .collect()
    }

    /// For each table of `current` by name, its files that had deleted rows at `snapshot`.
    pub(crate) async fn superseded_files(
        &self,
        snapshot: i64,
    ) -> Result<BTreeMap<String, Vec<Superseded>>> {
        let rows = self
            .store()
            .all(
                "list superseded rows",
                "select t.table_name, s.path, t.path, f.path, d.path, f.data_file_id
                 from ducklake_delete_file d
                 join ducklake_data_file f on f.data_file_id = d.data_file_id
                 join ducklake_table t on t.table_id = f.table_id
                 join ducklake_schema s on s.schema_id = t.schema_id
                 where s.schema_name = 'current' and t.end_snapshot is null
                   and d.begin_snapshot <= ?1 and (d.end_snapshot is null or d.end_snapshot > ?1)
                   and f.begin_snapshot <= ?1 and (f.end_snapshot is null or f.end_snapshot > ?1)
                 order by f.data_file_id",
                args![snapshot],
            )
            .await?;
        let mut files: BTreeMap<String, Vec<Superseded>> = BTreeMap::new();
        for row in &rows {
            let path = |index| row.get::<String>(index);
            let folder = self.root().join(path(1)?).join(path(2)?);
            files.entry(path(0)?).or_default().push(Superseded {
                data_file_id: row.get(5)?,
                data: folder.join(path(3)?),
                deletes: folder.join(path(4)?),
            });
        }
        Ok(files)
    }

    /// The latest snapshot.
    pub async fn latest_snapshot(&self) -> Result<i64> {
        let row = self
            .store()
            .one(
                "read the latest snapshot",
                "select max(snapshot_id) from ducklake_snapshot",
                args![],
            )
            .await?;
        row.ok_or_else(|| Error::internal("the catalog has no snapshot"))?.get(0)
    }

    /// When a snapshot was made; none when it is not there or was forgotten.
    pub async fn snapshot_time(&self, snapshot: i64) -> Result<Option<DateTime<Utc>>> {
        let sql = "select snapshot_time from ducklake_snapshot where snapshot_id = ?";
        let row = self.store().one("look a snapshot up", sql, args![snapshot]).await?;
        row.map(|row| row.get(0)).transpose()
    }

    /// The last snapshot made before `time` that is still there.
    pub async fn snapshot_before(&self, time: DateTime<Utc>) -> Result<Option<i64>> {
        let sql = "select max(snapshot_id) from ducklake_snapshot where snapshot_time < ?";
        let row = self.store().one("look a snapshot up", sql, args![time]).await?;
        row.map_or(Ok(None), |row| row.get(0))
    }

    /// For each table by `schema.name`, the snapshot in which its content last changed.
    pub async fn table_versions(&self) -> Result<BTreeMap<String, i64>> {
        let rows = self
            .store()
            .all(
                "read table versions",
                "select s.schema_name || '.' || t.table_name,
                        coalesce(v.snapshot_id, t.begin_snapshot)
                 from ducklake_table t
                 join ducklake_schema s on s.schema_id = t.schema_id
                 left join huiliu_table_version v on v.table_id = t.table_id
                 where t.end_snapshot is null",
                args![],
            )
            .await?;
        let mut versions = BTreeMap::new();
        for row in &rows {
            versions.insert(row.get::<String>(0)?, row.get::<i64>(1)?);
        }
        // Superseded rows in the files of a current table belong to its history.
        let current: Vec<(String, i64)> = versions
            .iter()
            .filter_map(|(name, version)| Some((name.strip_prefix("current.")?, version)))
            .map(|(name, version)| (format!("history.{name}"), *version))
            .collect();
        for (history, version) in current {
            if let Some(own) = versions.get_mut(&history) {
                *own = version.max(*own);
            }
        }
        Ok(versions)
    }
}

pub(crate) async fn find_table(
    lake: &Lake,
    reader: &mut Reader<'_>,
    schema: &str,
    name: &str,
) -> Result<Option<LakeTable>> {
    let found = reader
        .one(
            "look a table up",
            "select t.table_id, s.path, t.path
             from ducklake_table t join ducklake_schema s on s.schema_id = t.schema_id
             where s.schema_name = ? and t.table_name = ? and t.end_snapshot is null",
            args![schema, name],
        )
        .await?;
    let Some(found) = found else { return Ok(None) };
    let (table_id, schema_path, table_path): (i64, String, String) =
        (found.get(0)?, found.get(1)?, found.get(2)?);
    let rows = reader
        .all(
            "read a table's columns",
            "select column_id, column_name, column_type from ducklake_column
             where table_id = ? and end_snapshot is null order by column_order",
            args![table_id],
        )
        .await?;
    let columns: Vec<TableColumn> = rows.iter().map(table_column).collect::<Result<_>>()?;
    let arrow_schema = schema_of(&columns)?;
    Ok(Some(LakeTable {
        table_id,
        schema_name: schema.to_owned(),
        name: name.to_owned(),
        folder: lake.root().join(schema_path).join(table_path),
        columns,
        schema: arrow_schema,
    }))
}

/// The schema of rows with these columns, with the Parquet field ids.
fn schema_of(columns: &[TableColumn]) -> Result<SchemaRef> {
    let mut fields = Vec::with_capacity(columns.len());
    for column in columns {
        let data_type = ducklake_to_arrow_type(&column.column_type)
            .map_err(|e| Error::internal("the catalog names an unknown type").cause(e))?;
        fields.push(Field::new(&column.name, data_type, true));
    }
    let with_ids: Vec<Field> = storage_schema(&Schema::new(fields))
        .fields()
        .iter()
        .zip(columns)
        .map(|(field, column)| {
            field.as_ref().clone().with_metadata(
                [("PARQUET:field_id".to_owned(), column.column_id.to_string())].into(),
            )
        })
        .collect();
    Ok(Arc::new(Schema::new(with_ids)))
}

fn table_column(row: &Row) -> Result<TableColumn> {
    Ok(TableColumn { column_id: row.get(0)?, name: row.get(1)?, column_type: row.get(2)? })
}
