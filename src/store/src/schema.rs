//! Making the tables, and what is checked before they are used.

use std::path::Path;

use huiliu_sdk::{Error, ErrorKind, Result};
use sqlx::AssertSqlSafe;

use crate::args;
use crate::database::{Dialect, Store, Tx};
use crate::table::statements;

/// Schemas of the lake, in the order of their ids.
const SCHEMAS: [&str; 6] = ["main", "current", "history", "standard", "reconciled", "metrics"];

/// Version of the `huiliu_*` layout this code reads and writes.
const LAYOUT: i64 = 2;

pub(crate) async fn prepare(store: &Store, data_path: &Path) -> Result<()> {
    let dialect = store.dialect();
    let mut tx = store.begin().await?;
    if !is_made(&mut tx, dialect).await? {
        create(&mut tx, dialect).await?;
    }
    crate::operation::prepare(&mut tx, dialect).await?;
    crate::alert::prepare(&mut tx, dialect).await?;
    crate::backfill::prepare(&mut tx).await?;
    crate::job::prepare(&mut tx, dialect).await?;
    crate::upkeep::prepare(&mut tx).await?;
    crate::account::prepare(&mut tx, dialect).await?;
    crate::answer::prepare(&mut tx).await?;
    crate::sealed_figure::prepare(&mut tx).await?;
    crate::verdict::prepare(&mut tx).await?;
    crate::repair::prepare(&mut tx, dialect).await?;
    crate::dispatch::prepare(&mut tx).await?;
    crate::echo::prepare(&mut tx, dialect).await?;
    crate::stream_settings::prepare(&mut tx).await?;
    let row = tx
        .one("read its layout", "select value from huiliu_meta where key = 'layout'", args![])
        .await?;
    let layout: Option<String> = row.map(|row| row.get(0)).transpose()?;
    if layout.as_deref() != Some(LAYOUT.to_string().as_str()) {
        return Err(Error::new(
            ErrorKind::Config,
            "E-STORE-LAYOUT",
            format!(
                "the hub's database has layout {}, this program knows layout {LAYOUT}",
                layout.as_deref().unwrap_or("unknown")
            ),
        )
        .hint("use the version of huiliu that wrote it, or another --data folder"));
    }
    set_folder(&mut tx, dialect, &format!("{}/", data_path.display())).await?;
    tx.commit().await
}

async fn is_made(tx: &mut Tx, dialect: Dialect) -> Result<bool> {
    let sql = match dialect {
        Dialect::Sqlite => "select count(*) > 0 from sqlite_master where name = 'huiliu_meta'",
        Dialect::Postgres => {
            "select count(*) > 0 from information_schema.tables
             where table_schema = current_schema() and table_name = 'huiliu_meta'"
        }
    };
    let row = tx.one("read its tables", sql, args![]).await?;
    row.map_or(Ok(false), |row| row.get(0))
}

/// The catalog names the lake's folder absolutely. A file of SQLite lies beside the folder, which
/// may have been moved or restored elsewhere. A Postgres database that knows another folder holds
/// the catalog of other files, or of these under another name that other hubs use.
async fn set_folder(tx: &mut Tx, dialect: Dialect, folder: &str) -> Result<()> {
    let row = tx
        .one(
            "read the lake's folder",
            "select value from ducklake_metadata where key = 'data_path'",
            args![],
        )
        .await?;
    let known: String = row.map_or(Ok(String::new()), |row| row.get(0))?;
    if known == folder {
        return Ok(());
    }
    if dialect == Dialect::Postgres && !known.is_empty() {
        return Err(Error::new(
            ErrorKind::Config,
            "E-STORE-FOLDER",
            format!("the hub's database belongs to the files in {known}, not to {folder}"),
        )
        .hint("name its data folder with --data, or give this hub a schema of its own"));
    }
    tx.run(
        "set the lake's folder",
        "update ducklake_metadata set value = ? where key = 'data_path'",
        args![folder],
    )
    .await?;
    Ok(())
}

async fn create(tx: &mut Tx, dialect: Dialect) -> Result<()> {
    for statement in statements(dialect) {
        tx.run("make its tables", AssertSqlSafe(statement), args![]).await?;
    }
    tx.run(
        "store its layout",
        "insert into huiliu_meta (key, value) values ('layout', ?)",
        args![LAYOUT.to_string()],
    )
    .await?;
    for (key, value) in [
        ("version", "1.0"),
        ("created_by", concat!("huiliu ", env!("CARGO_PKG_VERSION"))),
        ("encrypted", "false"),
        ("data_path", ""),
    ] {
        tx.run(
            "fill the catalog",
            "insert into ducklake_metadata (key, value) values (?, ?)",
            args![key, value],
        )
        .await?;
    }
    let now = tx.now().await?;
    tx.run(
        "fill the catalog",
        "insert into ducklake_snapshot
           (snapshot_id, snapshot_time, schema_version, next_catalog_id, next_file_id)
         values (0, ?, 0, ?, 0)",
        args![now, i64::try_from(SCHEMAS.len()).unwrap_or(i64::MAX)],
    )
    .await?;
    for (id, name) in (0_i64..).zip(SCHEMAS) {
        tx.run(
            "fill the catalog",
            "insert into ducklake_schema
               (schema_id, schema_uuid, begin_snapshot, schema_name, path, path_is_relative)
             values (?, ?, 0, ?, ?, true)",
            args![id, uuid::Uuid::new_v4().to_string(), name, format!("{name}/")],
        )
        .await?;
    }
    tx.run(
        "fill the catalog",
        "insert into ducklake_snapshot_changes (snapshot_id, changes_made)
         values (0, 'created_schema:\"main\"')",
        args![],
    )
    .await?;
    Ok(())
}
