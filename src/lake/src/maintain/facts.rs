//! What the catalog says about the live files of all tables, in one question.

use std::path::PathBuf;

use huiliu_sdk::Result;
use huiliu_store::args;

use super::policy::FileFacts;
use crate::Lake;

/// A live data file and its deletes.
#[derive(Debug, Clone)]
pub struct LiveFile {
    /// What a policy asks about it.
    pub facts: FileFacts,
    /// Where it is.
    pub path: PathBuf,
    /// Its delete file: id and place.
    pub deletes: Option<(i64, PathBuf)>,
}

/// The live files of one table.
#[derive(Debug, Clone)]
pub struct TableFiles {
    /// The table's id.
    pub table_id: i64,
    /// The schema it is in.
    pub schema_name: String,
    /// Its name.
    pub name: String,
    /// Folder of its files.
    pub folder: PathBuf,
    /// Its files in the order they were written.
    pub files: Vec<LiveFile>,
}

impl TableFiles {
    /// The files as a policy sees them.
    pub fn facts(&self) -> Vec<FileFacts> {
        self.files.iter().map(|file| file.facts).collect()
    }
}

impl Lake {
    /// The live files of all tables, or of the one called `only` (as `schema.table`).
    pub async fn live_files(&self, only: Option<&str>) -> Result<Vec<TableFiles>> {
        let rows = self
            .store()
            .all(
                "list data files",
                "select t.table_id, s.schema_name, t.table_name, s.path, t.path, f.data_file_id,
                        f.path, f.record_count, f.file_size_bytes, d.delete_file_id, d.path,
                        d.delete_count
                 from ducklake_table t
                 join ducklake_schema s on s.schema_id = t.schema_id
                 left join ducklake_data_file f
                   on f.table_id = t.table_id and f.end_snapshot is null
                 left join ducklake_delete_file d
                   on d.data_file_id = f.data_file_id and d.end_snapshot is null
                 where t.end_snapshot is null
                 order by s.schema_name, t.table_name, f.data_file_id",
                args![],
            )
            .await?;
        let mut tables: Vec<TableFiles> = Vec::new();
        for row in rows {
            let (schema_name, name): (String, String) = (row.get(1)?, row.get(2)?);
            if only.is_some_and(|only| only != format!("{schema_name}.{name}")) {
                continue;
            }
            let table_id = row.get(0)?;
            if tables.last().is_none_or(|table| table.table_id != table_id) {
                let folder = self.root().join(row.get::<String>(3)?).join(row.get::<String>(4)?);
                tables.push(TableFiles { table_id, schema_name, name, folder, files: Vec::new() });
            }
            let (Some(table), Some(data_file_id)) = (tables.last_mut(), row.get(5)?) else {
                continue;
            };
            let path = table.folder.join(row.get::<String>(6)?);
            let deletes: Option<i64> = row.get(9)?;
            let delete_path: Option<String> = row.get(10)?;
            table.files.push(LiveFile {
                facts: FileFacts {
                    data_file_id,
                    rows: row.get(7)?,
                    bytes: row.get(8)?,
                    deleted: row.get::<Option<i64>>(11)?.unwrap_or(0),
                },
                path,
                deletes: deletes.zip(delete_path.map(|path| table.folder.join(path))),
            });
        }
        Ok(tables)
    }
}
