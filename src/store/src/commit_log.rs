//! The last commits of each stream with their checkpoints, so that a lake that was taken back
//! to an earlier snapshot can be followed; and what the catalog says about snapshots.

use huiliu_sdk::{Checkpoint, Error, Result};
use serde::Serialize;

use crate::{Row, Store, StreamState, Tx, args};

/// Commits that are kept of each stream.
const KEPT: i64 = 1000;

/// One commit of a stream.
#[derive(Debug, Clone, Serialize)]
pub struct StreamCommit {
    /// Its number in the stream.
    pub seq: i64,
    /// The snapshot it made, or the stream's last one before it.
    pub snapshot_id: i64,
    /// From where reading went on.
    pub checkpoint: Option<Checkpoint>,
    /// The run.
    pub run_id: i64,
    /// When, UTC.
    pub at: String,
}

fn stream_commit(row: &Row) -> Result<StreamCommit> {
    let checkpoint: Option<String> = row.get(2)?;
    Ok(StreamCommit {
        seq: row.get(0)?,
        snapshot_id: row.get(1)?,
        checkpoint: checkpoint
            .map(|text| serde_json::from_str(&text))
            .transpose()
            .map_err(|e| Error::internal("a stored checkpoint is not readable").cause(e))?,
        run_id: row.get(3)?,
        at: row.get(4)?,
    })
}

fn checkpoint_text(checkpoint: Option<&Checkpoint>) -> Result<Option<String>> {
    checkpoint
        .map(serde_json::to_string)
        .transpose()
        .map_err(|e| Error::internal("a checkpoint could not be stored").cause(e))
}

impl Store {
    /// The newest commit of a stream whose snapshot is `snapshot` or an earlier one.
    pub async fn commit_at(
        &self,
        system: &str,
        stream: &str,
        snapshot: i64,
    ) -> Result<Option<StreamCommit>> {
        let row = self
            .one(
                "read a stream's commits",
                "select seq, snapshot_id, checkpoint, run_id, at from huiliu_commit
                 where system = ? and stream = ? and snapshot_id <= ? order by seq desc limit 1",
                args![system, stream, snapshot],
            )
            .await?;
        row.as_ref().map(stream_commit).transpose()
    }

    /// The newest commits of a stream, newest first.
    pub async fn commits(
        &self,
        system: &str,
        stream: &str,
        limit: u32,
    ) -> Result<Vec<StreamCommit>> {
        let rows = self
            .all(
                "read a stream's commits",
                "select seq, snapshot_id, checkpoint, run_id, at from huiliu_commit
                 where system = ? and stream = ? order by seq desc limit ?",
                args![system, stream, limit],
            )
            .await?;
        rows.iter().map(stream_commit).collect()
    }

    /// The newest snapshot of the lake's catalog.
    pub async fn newest_snapshot(&self) -> Result<i64> {
        let sql = "select max(snapshot_id) from ducklake_snapshot";
        let row = self.one("read the latest snapshot", sql, args![]).await?;
        Ok(row.map(|row| row.get::<Option<i64>>(0)).transpose()?.flatten().unwrap_or(0))
    }

    /// What the snapshot says it was made for; nothing when it is not there or says nothing.
    pub async fn snapshot_message(&self, snapshot: i64) -> Result<Option<String>> {
        let sql = "select commit_message from ducklake_snapshot_changes where snapshot_id = ?";
        let row = self.one("read a snapshot", sql, args![snapshot]).await?;
        Ok(row.map(|row| row.get::<Option<String>>(0)).transpose()?.flatten())
    }

    /// The id of the live table `schema.name`.
    pub async fn live_table(&self, schema: &str, name: &str) -> Result<Option<i64>> {
        let row = self
            .one(
                "look a table up",
                "select t.table_id from ducklake_table t
                 join ducklake_schema s on s.schema_id = t.schema_id
                 where s.schema_name = ? and t.table_name = ? and t.end_snapshot is null",
                args![schema, name],
            )
            .await?;
        row.map(|row| row.get(0)).transpose()
    }
}

impl Tx {
    /// Notes the commit that made `state`; the oldest ones of the stream are forgotten.
    pub async fn log_commit(&mut self, state: &StreamState) -> Result<()> {
        self.run(
            "note a commit",
            "insert into huiliu_commit (system, stream, seq, snapshot_id, checkpoint, run_id, at)
             values (?, ?, ?, ?, ?, ?, ?)",
            args![
                &state.system,
                &state.stream,
                state.seq,
                state.snapshot_id,
                checkpoint_text(state.checkpoint.as_ref())?,
                state.run_id,
                &state.updated_at,
            ],
        )
        .await?;
        self.run(
            "forget old commits",
            "delete from huiliu_commit where system = ? and stream = ? and seq <= ?",
            args![&state.system, &state.stream, state.seq - KEPT],
        )
        .await?;
        Ok(())
    }

    /// Forgets the commits of a stream whose snapshots came after `snapshot`, because the lake
    /// was taken back behind them.
    pub async fn forget_commits_after(
        &mut self,
        system: &str,
        stream: &str,
        snapshot: i64,
    ) -> Result<()> {
        self.run(
            "forget commits",
            "delete from huiliu_commit where system = ? and stream = ? and snapshot_id > ?",
            args![system, stream, snapshot],
        )
        .await?;
        Ok(())
    }

    /// Puts a stream's state where a person wants it. The number of its last commit stays, so
    /// that no number is given twice.
    pub async fn place_state(&mut self, state: &StreamState) -> Result<()> {
        self.run(
            "place a stream's state",
            "update huiliu_state
             set table_id = ?, snapshot_id = ?, checkpoint = ?, updated_at = ?
             where system = ? and stream = ?",
            args![
                state.table_id,
                state.snapshot_id,
                checkpoint_text(state.checkpoint.as_ref())?,
                &state.updated_at,
                &state.system,
                &state.stream,
            ],
        )
        .await?;
        Ok(())
    }
}
