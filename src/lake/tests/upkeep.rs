//! What the tests of maintenance share.

use chrono::{DateTime, TimeDelta, Utc};
use huiliu_lake::{Compaction, CompactionPolicy, CompactionTables, Expiry, ExpiryRules, Lake};
use huiliu_sdk::Result;

use crate::backend::Backend;
use crate::oracle::{through_datafusion, through_duckdb};
use crate::world::{expected, open};

/// Writes the files of a compaction of `schema.table` without committing; nothing when it is not
/// due.
pub(crate) async fn stage_compaction(
    lake: &Lake,
    name: &str,
    policy: CompactionPolicy,
) -> Result<Option<Compaction>> {
    let (schema, table) = name.split_once('.').unwrap();
    let Some(files) = lake.live_files(Some(name)).await?.pop() else { return Ok(None) };
    let Some(plan) = policy.plan(&files.facts()) else { return Ok(None) };
    let target = lake.table(schema, table).await?.unwrap();
    let history = match schema {
        "current" => lake.table("history", table).await?,
        _ => None,
    };
    let key = if schema == "current" { vec!["id".to_owned()] } else { Vec::new() };
    let tables = CompactionTables { table: target, history, key };
    let go_on = || Ok(());
    Compaction::write(lake, &tables, &files.files, &plan, &policy, &go_on).map(Some)
}

/// Commits a compaction.
pub(crate) async fn commit_compaction(lake: &Lake, compaction: &Compaction) -> Result<i64> {
    let mut tx = lake.store().begin().await?;
    let snapshot = compaction.commit("test").write(&mut tx).await?;
    tx.commit().await?;
    Ok(snapshot)
}

/// Compacts all that can be compacted.
pub(crate) async fn compact_all(lake: &Lake) {
    for schema in ["current", "history"] {
        for table in ["a", "b"] {
            let name = format!("{schema}.{table}");
            let everything = CompactionPolicy::everything();
            while let Some(staged) = stage_compaction(lake, &name, everything).await.unwrap() {
                commit_compaction(lake, &staged).await.unwrap();
            }
        }
    }
}

/// Rules under which everything that nobody needs expires.
pub(crate) fn strict() -> ExpiryRules {
    let now = Utc::now();
    ExpiryRules { now, keep_since: later(), keep_snapshots: 1, own_run: None }
}

/// A time that has not come.
pub(crate) fn later() -> DateTime<Utc> {
    Utc::now() + TimeDelta::hours(1)
}

/// Expires `snapshots`.
pub(crate) async fn expire(lake: &Lake, snapshots: &[i64]) -> Result<Expiry> {
    let mut tx = lake.store().begin().await?;
    let expiry = lake.expire(&mut tx, snapshots, Utc::now()).await?;
    tx.commit().await?;
    Ok(expiry)
}

/// The Parquet files on the disk.
pub(crate) fn files_on_disk(lake: &Lake) -> usize {
    let folders = lake.folders().unwrap();
    folders.iter().map(|folder| std::fs::read_dir(folder).unwrap().count()).sum()
}

/// Both readers see what `steps` steps leave, at a snapshot or at the latest one. DuckDB is asked
/// for the current tables, since superseded rows are in history for it once they were moved.
pub(crate) async fn expect_steps(backend: &Backend, snapshot: Option<i64>, steps: i64) {
    let wanted = expected(steps);
    let lake = open(backend).await;
    let seen = through_datafusion(&lake, snapshot).await;
    lake.store().close().await;
    assert_eq!(seen, wanted, "the reader crate at {snapshot:?}");
    let current: Vec<(i64, i64)> = wanted.iter().map(|(rows, sum, _)| (*rows, *sum)).collect();
    assert_eq!(through_duckdb(backend, snapshot), current, "DuckDB at {snapshot:?}");
}
