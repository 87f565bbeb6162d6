//! The tables.
//!
//! The `ducklake_*` tables are DuckLake 1.0's, with the columns that both DuckDB and the
//! `datafusion-ducklake` reader ask for. Identifiers are `INTEGER PRIMARY KEY`, because the
//! reader needs row ids there.

use std::path::Path;

use huiliu_sdk::{Error, ErrorKind, Result};

use crate::database::{Store, database_error};

/// Schemas of the lake, in the order of their ids.
const SCHEMAS: [&str; 6] = ["main", "current", "history", "standard", "reconciled", "metrics"];

/// Version of the `huiliu_*` layout this code reads and writes.
const LAYOUT: i64 = 1;

pub(crate) async fn prepare(store: &Store, data_path: &Path) -> Result<()> {
    let found: i64 =
        sqlx::query_scalar("select count(*) from sqlite_master where name = 'huiliu_meta'")
            .fetch_one(store.reader())
            .await
            .map_err(|e| database_error("read its tables", e))?;
    let mut tx = store.begin().await?;
    if found == 0 {
        create(&mut tx).await?;
    }
    crate::operation::prepare(&mut tx).await?;
    let layout: Option<String> =
        sqlx::query_scalar("select value from huiliu_meta where key = 'layout'")
            .fetch_optional(tx.connection())
            .await
            .map_err(|e| database_error("read its layout", e))?;
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
    // The folder may have been moved or restored elsewhere; the catalog names it absolutely.
    let data_path = format!("{}/", data_path.display());
    sqlx::query("update ducklake_metadata set value = ?1 where key = 'data_path' and value <> ?1")
        .bind(&data_path)
        .execute(tx.connection())
        .await
        .map_err(|e| database_error("set the lake's folder", e))?;
    tx.commit().await
}

async fn create(tx: &mut crate::Tx) -> Result<()> {
    for statement in TABLES.split(";\n") {
        if statement.trim().is_empty() {
            continue;
        }
        sqlx::query(sqlx::AssertSqlSafe(statement))
            .execute(tx.connection())
            .await
            .map_err(|e| database_error("make its tables", e))?;
    }
    sqlx::query("insert into huiliu_meta (key, value) values ('layout', ?)")
        .bind(LAYOUT.to_string())
        .execute(tx.connection())
        .await
        .map_err(|e| database_error("store its layout", e))?;
    for (key, value) in [
        ("version", "1.0"),
        ("created_by", concat!("huiliu ", env!("CARGO_PKG_VERSION"))),
        ("encrypted", "false"),
        ("data_path", ""),
    ] {
        sqlx::query("insert into ducklake_metadata (key, value) values (?, ?)")
            .bind(key)
            .bind(value)
            .execute(tx.connection())
            .await
            .map_err(|e| database_error("fill the catalog", e))?;
    }
    sqlx::query(
        "insert into ducklake_snapshot
           (snapshot_id, snapshot_time, schema_version, next_catalog_id, next_file_id)
         values (0, strftime('%Y-%m-%d %H:%M:%f', 'now') || '+00', 0, ?, 0)",
    )
    .bind(i64::try_from(SCHEMAS.len()).unwrap_or(i64::MAX))
    .execute(tx.connection())
    .await
    .map_err(|e| database_error("fill the catalog", e))?;
    for (id, name) in (0_i64..).zip(SCHEMAS) {
        sqlx::query(
            "insert into ducklake_schema
               (schema_id, schema_uuid, begin_snapshot, schema_name, path, path_is_relative)
             values (?, ?, 0, ?, ?, 1)",
        )
        .bind(id)
        .bind(uuid::Uuid::new_v4().to_string())
        .bind(name)
        .bind(format!("{name}/"))
        .execute(tx.connection())
        .await
        .map_err(|e| database_error("fill the catalog", e))?;
    }
    sqlx::query(
        "insert into ducklake_snapshot_changes (snapshot_id, changes_made)
         values (0, 'created_schema:\"main\"')",
    )
    .execute(tx.connection())
    .await
    .map_err(|e| database_error("fill the catalog", e))?;
    Ok(())
}

const TABLES: &str = "
create table huiliu_meta (key text primary key, value text not null);

create table huiliu_run (
  run_id integer primary key autoincrement,
  job text,
  selector text not null,
  state text not null,
  holder text not null,
  started_at text not null,
  finished_at text,
  exit_code integer
);

create table huiliu_step (
  run_id integer not null references huiliu_run(run_id),
  node text not null,
  kind text not null,
  state text not null,
  read integer not null default 0,
  written integer not null default 0,
  unchanged integer not null default 0,
  deduplicated integer not null default 0,
  filtered integer not null default 0,
  quarantined integer not null default 0,
  deleted integer not null default 0,
  snapshot_id integer,
  code text,
  message text,
  hint text,
  started_at text not null,
  finished_at text,
  primary key (run_id, node)
);

create table huiliu_state (
  system text not null,
  stream text not null,
  seq integer not null,
  table_id integer not null,
  snapshot_id integer not null,
  checkpoint text,
  run_id integer not null,
  updated_at text not null,
  primary key (system, stream)
);

create table huiliu_lease (
  name text primary key,
  epoch integer not null,
  holder text,
  expires_at_ms integer not null
);

create table huiliu_quarantine (
  quarantine_id integer primary key autoincrement,
  run_id integer not null,
  system text not null,
  stream text not null,
  origin text not null,
  position integer not null,
  code text not null,
  reason text not null,
  raw blob not null,
  quarantined_at text not null
);

create table huiliu_outbox (
  outbox_id integer primary key autoincrement,
  system text not null,
  push text not null,
  record_key text not null,
  record_hash text not null,
  idempotency_key text not null unique,
  payload blob not null,
  state text not null,
  attempts integer not null default 0,
  code text,
  message text,
  run_id integer not null,
  created_at text not null,
  settled_at text
);

create index huiliu_outbox_waiting on huiliu_outbox (system, push, state);

create table huiliu_model (
  name text primary key,
  fingerprint text not null,
  snapshot_id integer not null,
  row_count integer not null,
  run_id integer not null,
  built_at text not null
);

create table huiliu_occurrence (
  job text not null,
  scheduled_at text not null,
  run_id integer,
  primary key (job, scheduled_at)
);

create table ducklake_metadata (
  key varchar not null, value varchar not null, scope varchar, scope_id integer
);

create table ducklake_snapshot (
  snapshot_id integer primary key,
  snapshot_time timestamp default current_timestamp,
  schema_version integer not null default 0,
  next_catalog_id integer not null default 0,
  next_file_id integer not null default 0
);

create table ducklake_snapshot_changes (
  snapshot_id integer primary key,
  changes_made varchar, author varchar, commit_message varchar, commit_extra_info varchar
);

create table ducklake_schema (
  schema_id integer primary key,
  schema_uuid varchar,
  begin_snapshot integer not null, end_snapshot integer,
  schema_name varchar not null,
  path varchar not null default '', path_is_relative boolean not null default 1
);

create table ducklake_table (
  table_id integer primary key,
  table_uuid varchar,
  begin_snapshot integer not null, end_snapshot integer,
  schema_id integer not null,
  table_name varchar not null,
  path varchar not null default '', path_is_relative boolean not null default 1
);

create table ducklake_view (
  view_id bigint, view_uuid varchar, begin_snapshot bigint, end_snapshot bigint, schema_id bigint,
  view_name varchar, dialect varchar, sql varchar, column_aliases varchar
);

create table ducklake_column (
  column_id bigint, begin_snapshot bigint, end_snapshot bigint, table_id bigint,
  column_order bigint, column_name varchar, column_type varchar, initial_default varchar,
  default_value varchar, nulls_allowed boolean, parent_column bigint,
  default_value_type varchar, default_value_dialect varchar
);

create index huiliu_column_by_table on ducklake_column (table_id);

create table ducklake_data_file (
  data_file_id integer primary key,
  table_id integer not null,
  begin_snapshot integer not null, end_snapshot integer,
  file_order integer,
  path varchar not null, path_is_relative boolean not null default 1,
  file_format varchar not null default 'parquet',
  record_count integer, file_size_bytes integer not null, footer_size integer,
  row_id_start integer, partition_id integer, encryption_key varchar, mapping_id integer,
  partial_max integer
);

create index huiliu_data_file_by_table on ducklake_data_file (table_id);

create table ducklake_delete_file (
  delete_file_id integer primary key,
  table_id integer not null,
  begin_snapshot integer not null, end_snapshot integer,
  data_file_id integer not null,
  path varchar not null, path_is_relative boolean not null default 1,
  format varchar not null default 'parquet',
  delete_count integer, file_size_bytes integer not null, footer_size integer,
  encryption_key varchar, partial_max integer
);

create index huiliu_delete_file_by_data_file on ducklake_delete_file (data_file_id);

create table ducklake_files_scheduled_for_deletion (
  data_file_id integer not null, path varchar not null,
  path_is_relative boolean not null default 1, schedule_start timestamp default current_timestamp
);

create table ducklake_inlined_data_tables (
  table_id integer, table_name varchar, schema_version integer
);

create table ducklake_table_stats (
  table_id integer primary key, record_count integer not null default 0,
  next_row_id integer not null default 0, file_size_bytes integer not null default 0
);

create table ducklake_table_column_stats (
  table_id integer not null, column_id integer not null, contains_null boolean,
  contains_nan boolean, min_value varchar, max_value varchar, extra_stats varchar
);

create table ducklake_file_column_stats (
  data_file_id integer not null, table_id integer not null, column_id integer not null,
  column_size_bytes integer, value_count integer, null_count integer,
  min_value varchar, max_value varchar, contains_nan boolean, extra_stats varchar
);

create index huiliu_file_stats_by_table on ducklake_file_column_stats (table_id, column_id);

create table ducklake_file_variant_stats (
  data_file_id bigint, table_id bigint, column_id bigint, variant_path varchar,
  shredded_type varchar, column_size_bytes bigint, value_count bigint, null_count bigint,
  min_value varchar, max_value varchar, contains_nan boolean, extra_stats varchar
);

create table ducklake_partition_info (
  partition_id integer not null, table_id integer not null, begin_snapshot integer not null,
  end_snapshot integer
);

create table ducklake_partition_column (
  partition_id integer not null, table_id integer not null, partition_key_index integer not null,
  column_id integer not null, transform varchar not null
);

create table ducklake_file_partition_value (
  data_file_id integer not null, table_id integer not null,
  partition_key_index integer not null, partition_value varchar
);

create table ducklake_sort_info (
  sort_id integer not null, table_id integer not null, begin_snapshot integer not null,
  end_snapshot integer
);

create table ducklake_sort_expression (
  sort_id integer not null, table_id integer not null, sort_key_index integer not null,
  expression varchar not null, dialect varchar not null, sort_direction varchar not null,
  null_order varchar not null
);

create table ducklake_tag (
  object_id bigint, begin_snapshot bigint, end_snapshot bigint, key varchar, value varchar
);

create table ducklake_column_tag (
  table_id bigint, column_id bigint, begin_snapshot bigint, end_snapshot bigint,
  key varchar, value varchar
);

create table ducklake_schema_versions (
  begin_snapshot integer not null, schema_version integer not null, table_id integer not null,
  unique (table_id, begin_snapshot)
);

create table ducklake_column_mapping (mapping_id bigint, table_id bigint, type varchar);

create table ducklake_name_mapping (
  mapping_id bigint, column_id bigint, source_name varchar, target_field_id bigint,
  parent_column bigint, is_partition boolean
);

create table ducklake_macro (
  schema_id bigint, macro_id bigint, macro_name varchar, begin_snapshot bigint,
  end_snapshot bigint
);

create table ducklake_macro_impl (
  macro_id bigint, impl_id bigint, dialect varchar, sql varchar, type varchar
);

create table ducklake_macro_parameters (
  macro_id bigint, impl_id bigint, column_id bigint, parameter_name varchar,
  parameter_type varchar, default_value varchar, default_value_type varchar
);
";
