//! What maintenance must know and keep: pinned snapshots, and the snapshot in which the content
//! of each table last changed.

use chrono::{DateTime, Utc};
use huiliu_sdk::{Error, Result};

use crate::args;
use crate::database::{Store, Tx};

const TABLES: [&str; 2] = [
    "create table if not exists huiliu_pin (
       owner text not null,
       snapshot_id bigint not null,
       until_ms bigint,
       primary key (owner, snapshot_id)
     )",
    // Compaction writes files anew and changes no content, so the files' own snapshots cannot
    // say whether a model is out of date.
    "create table if not exists huiliu_table_version (
       table_id bigint primary key,
       snapshot_id bigint not null
     )",
];

/// Makes the tables that are not there.
pub(crate) async fn prepare(tx: &mut Tx) -> Result<()> {
    for table in TABLES {
        tx.run("make its tables", table, Vec::new()).await?;
    }
    Ok(())
}

impl Store {
    /// Keeps `snapshot` from expiring for `owner`, until a time or until it is unpinned.
    pub async fn pin(
        &self,
        snapshot: i64,
        owner: &str,
        until: Option<DateTime<Utc>>,
    ) -> Result<()> {
        let mut tx = self.begin().await?;
        let found = tx
            .one(
                "look a snapshot up",
                "select snapshot_id from ducklake_snapshot where snapshot_id = ?",
                args![snapshot],
            )
            .await?;
        if found.is_none() {
            return Err(Error::new(
                huiliu_sdk::ErrorKind::NotFound,
                "E-SNAPSHOT-GONE",
                format!("the lake has no snapshot {snapshot}"),
            )
            .hint("it has expired or never was; `maintenance` in hub.toml says how long snapshots are kept"));
        }
        tx.run(
            "pin a snapshot",
            "insert into huiliu_pin (owner, snapshot_id, until_ms) values (?, ?, ?)
             on conflict (owner, snapshot_id) do update set until_ms = excluded.until_ms",
            args![owner, snapshot, until.map(|time| time.timestamp_millis())],
        )
        .await?;
        tx.commit().await
    }

    /// Ends a pin; one that is not there is left alone.
    pub async fn unpin(&self, snapshot: i64, owner: &str) -> Result<()> {
        self.run(
            "unpin a snapshot",
            "delete from huiliu_pin where owner = ? and snapshot_id = ?",
            args![owner, snapshot],
        )
        .await?;
        Ok(())
    }

    /// When the oldest run began that is still in progress, leaving out `own`.
    pub async fn oldest_running(&self, own: Option<i64>) -> Result<Option<DateTime<Utc>>> {
        let row = self
            .one(
                "list runs in progress",
                "select min(started_at) from huiliu_run where state = 'running' and run_id <> ?",
                args![own.unwrap_or(-1)],
            )
            .await?;
        let Some(text) = row.map(|row| row.get::<Option<String>>(0)).transpose()?.flatten() else {
            return Ok(None);
        };
        let time = DateTime::parse_from_rfc3339(&text)
            .map_err(|e| Error::internal("the start of a run is no time").cause(e))?;
        Ok(Some(time.with_timezone(&Utc)))
    }
}

impl Tx {
    /// Notes that the content of a table changed in `snapshot`.
    pub async fn put_table_version(&mut self, table: i64, snapshot: i64) -> Result<()> {
        self.run(
            "note a change of a table",
            "insert into huiliu_table_version (table_id, snapshot_id) values (?, ?)
             on conflict (table_id) do update set snapshot_id = excluded.snapshot_id",
            args![table, snapshot],
        )
        .await?;
        Ok(())
    }
}
