//! Expiry: snapshots that nobody needs are forgotten, with the files that only they saw. The
//! files stay on the disk for a while, for readers that have begun.

use std::collections::BTreeSet;
use std::path::{Component, Path};

use chrono::{DateTime, Utc};
use huiliu_sdk::Result;
use huiliu_store::{Row, Tx, args};

use crate::{Lake, fault_point, io_error};

/// Which snapshots are kept.
#[derive(Debug, Clone, Copy)]
pub struct ExpiryRules {
    /// Now.
    pub now: DateTime<Utc>,
    /// Snapshots made since then are kept.
    pub keep_since: DateTime<Utc>,
    /// At least this many of the newest are kept, whatever their age.
    pub keep_snapshots: u32,
    /// The run that asks, whose own reading needs nothing kept.
    pub own_run: Option<i64>,
}

/// What an expiry did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expiry {
    /// Snapshots that were forgotten.
    pub snapshots: Vec<i64>,
    /// Files put down for removal.
    pub files: u64,
    /// Their size.
    pub bytes: i64,
}

impl Lake {
    /// The snapshots that may be forgotten. Kept are young ones, the newest ones, those of
    /// stream states and model builds, pinned ones, those that runs in progress may read, and
    /// those that somebody in this process reads.
    pub async fn expirable(&self, rules: &ExpiryRules) -> Result<Vec<i64>> {
        let rows = self
            .store()
            .all(
                "list snapshots",
                "select s.snapshot_id from ducklake_snapshot s
                 where s.snapshot_time < ?1
                   and s.snapshot_id not in
                     (select n.snapshot_id from ducklake_snapshot n
                      order by n.snapshot_id desc limit ?2)
                   and s.snapshot_id not in (select snapshot_id from huiliu_state)
                   and s.snapshot_id not in (select snapshot_id from huiliu_model)
                   and s.snapshot_id not in
                     (select snapshot_id from huiliu_pin where until_ms is null or until_ms > ?3)
                 order by s.snapshot_id",
                args![
                    rules.keep_since,
                    i64::from(rules.keep_snapshots.max(1)),
                    rules.now.timestamp_millis()
                ],
            )
            .await?;
        let mut found: Vec<i64> = rows.iter().map(|row| row.get(0)).collect::<Result<_>>()?;
        if let Some(since) = self.store().oldest_running(rules.own_run).await? {
            // A run reads what was the latest snapshot when it began, or a later one.
            let base = self
                .store()
                .one(
                    "list snapshots",
                    "select coalesce(max(snapshot_id), 0) from ducklake_snapshot
                     where snapshot_time <= ?",
                    args![since],
                )
                .await?;
            let base: i64 = base.map(|row| row.get(0)).transpose()?.unwrap_or(0);
            found.retain(|snapshot| *snapshot < base);
        }
        let read: BTreeSet<i64> = self.readers.snapshots().into_iter().collect();
        found.retain(|snapshot| !read.contains(snapshot));
        Ok(found)
    }

    /// Forgets `snapshots`, which [`Lake::expirable`] named, and puts the files that no other
    /// snapshot sees down for removal. The caller commits `tx`.
    pub async fn expire(
        &self,
        tx: &mut Tx,
        snapshots: &[i64],
        now: DateTime<Utc>,
    ) -> Result<Expiry> {
        let mut expiry = Expiry::default();
        let read: BTreeSet<i64> = self.readers.snapshots().into_iter().collect();
        for snapshot in snapshots.iter().filter(|snapshot| !read.contains(snapshot)) {
            let gone = tx
                .run(
                    "forget a snapshot",
                    "delete from ducklake_snapshot where snapshot_id = ?1
                       and snapshot_id < (select max(snapshot_id) from ducklake_snapshot)
                       and not exists (select 1 from huiliu_pin p where p.snapshot_id = ?1
                                       and (p.until_ms is null or p.until_ms > ?2))",
                    args![*snapshot, now.timestamp_millis()],
                )
                .await?;
            if gone > 0 {
                expiry.snapshots.push(*snapshot);
            }
        }
        fault_point!("maintain::forgotten");
        if expiry.snapshots.is_empty() {
            return Ok(expiry);
        }
        for row in tx.all("list forgotten files", FORGOTTEN_DELETE_FILES, args![]).await? {
            schedule(tx, &row, now, &mut expiry).await?;
            let id: i64 = row.get(0)?;
            tx.run(
                "forget a delete file",
                "delete from ducklake_delete_file where delete_file_id = ?",
                args![id],
            )
            .await?;
        }
        for row in tx.all("list forgotten files", FORGOTTEN_DATA_FILES, args![]).await? {
            schedule(tx, &row, now, &mut expiry).await?;
            let id: i64 = row.get(0)?;
            tx.run(
                "forget a data file",
                "delete from ducklake_data_file where data_file_id = ?",
                args![id],
            )
            .await?;
        }
        for statement in LEFT_OVER {
            tx.run("forget what belonged to files", statement, args![]).await?;
        }
        fault_point!("maintain::scheduled");
        Ok(expiry)
    }

    /// How many files wait for removal that were put down before `before`.
    pub async fn removable(&self, before: DateTime<Utc>) -> Result<u64> {
        let row = self
            .store()
            .one(
                "count forgotten files",
                "select count(*) from ducklake_files_scheduled_for_deletion
                 where schedule_start <= ?",
                args![before],
            )
            .await?;
        let count: i64 = row.map(|row| row.get(0)).transpose()?.unwrap_or(0);
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// Removes the files that were put down for removal before `before`, and says how many.
    pub async fn remove_forgotten(&self, before: DateTime<Utc>) -> Result<u64> {
        let rows = self
            .store()
            .all(
                "list forgotten files",
                "select data_file_id, path from ducklake_files_scheduled_for_deletion
                 where schedule_start <= ? and path_is_relative",
                args![before],
            )
            .await?;
        let mut removed = Vec::new();
        for row in rows {
            let (id, path): (i64, String) = (row.get(0)?, row.get(1)?);
            let inside = Path::new(&path).components().all(|c| matches!(c, Component::Normal(_)));
            if !inside {
                continue;
            }
            let file = self.root().join(&path);
            match std::fs::remove_file(&file) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(io_error("remove the lake file", &file, e));
                }
                _ => removed.push((id, path)),
            }
        }
        fault_point!("maintain::removed");
        if removed.is_empty() {
            return Ok(0);
        }
        let mut tx = self.store().begin().await?;
        for (id, path) in &removed {
            tx.run(
                "note a removed file",
                "delete from ducklake_files_scheduled_for_deletion
                 where data_file_id = ? and path = ?",
                args![*id, path],
            )
            .await?;
        }
        tx.commit().await?;
        Ok(removed.len() as u64)
    }
}

/// Puts a file (id, path from the lake's folder, size) down for removal.
async fn schedule(tx: &mut Tx, row: &Row, now: DateTime<Utc>, expiry: &mut Expiry) -> Result<()> {
    let (id, path, bytes): (i64, String, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
    expiry.files += 1;
    expiry.bytes += bytes;
    tx.run(
        "put a file down for removal",
        "insert into ducklake_files_scheduled_for_deletion
           (data_file_id, path, path_is_relative, schedule_start) values (?, ?, true, ?)",
        args![id, path, now],
    )
    .await?;
    Ok(())
}

/// Data files that no snapshot sees.
const FORGOTTEN_DATA_FILES: &str = "
select f.data_file_id, s.path || t.path || f.path, f.file_size_bytes
from ducklake_data_file f
join ducklake_table t on t.table_id = f.table_id
join ducklake_schema s on s.schema_id = t.schema_id
where f.end_snapshot is not null and not exists
  (select 1 from ducklake_snapshot n
   where n.snapshot_id >= f.begin_snapshot and n.snapshot_id < f.end_snapshot)
order by f.data_file_id";

/// Delete files that no snapshot sees.
const FORGOTTEN_DELETE_FILES: &str = "
select f.delete_file_id, s.path || t.path || f.path, f.file_size_bytes
from ducklake_delete_file f
join ducklake_table t on t.table_id = f.table_id
join ducklake_schema s on s.schema_id = t.schema_id
where f.end_snapshot is not null and not exists
  (select 1 from ducklake_snapshot n
   where n.snapshot_id >= f.begin_snapshot and n.snapshot_id < f.end_snapshot)
order by f.delete_file_id";

/// What goes with snapshots and files.
const LEFT_OVER: [&str; 6] = [
    "delete from ducklake_snapshot_changes
     where snapshot_id not in (select snapshot_id from ducklake_snapshot)",
    "delete from ducklake_file_column_stats
     where data_file_id not in (select data_file_id from ducklake_data_file)",
    "delete from ducklake_file_variant_stats
     where data_file_id not in (select data_file_id from ducklake_data_file)",
    "delete from ducklake_file_partition_value
     where data_file_id not in (select data_file_id from ducklake_data_file)",
    "delete from ducklake_column
     where end_snapshot is not null and not exists
       (select 1 from ducklake_snapshot n where n.snapshot_id >= ducklake_column.begin_snapshot
                                            and n.snapshot_id < ducklake_column.end_snapshot)",
    "delete from ducklake_table
     where end_snapshot is not null and not exists
       (select 1 from ducklake_snapshot n where n.snapshot_id >= ducklake_table.begin_snapshot
                                            and n.snapshot_id < ducklake_table.end_snapshot)",
];
