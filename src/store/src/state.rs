//! Where each stream stands: the last committed checkpoint, in the commit that holds its rows.

use huiliu_sdk::{Checkpoint, Error, ErrorKind, Result};
use serde::Serialize;

use crate::args;
use crate::database::{Store, Tx};
use crate::sql::Row;

/// The committed state of one stream.
#[derive(Debug, Clone, Serialize)]
pub struct StreamState {
    /// The system.
    pub system: String,
    /// The stream.
    pub stream: String,
    /// Number of its last commit; the next one must be one higher.
    pub seq: i64,
    /// The lake table its rows are in.
    pub table_id: i64,
    /// The snapshot of its last commit.
    pub snapshot_id: i64,
    /// From where reading goes on.
    pub checkpoint: Option<Checkpoint>,
    /// The run that committed last.
    pub run_id: i64,
    /// When, UTC.
    pub updated_at: String,
}

impl Store {
    /// The state of one stream, if it was ever committed.
    pub async fn stream_state(&self, system: &str, stream: &str) -> Result<Option<StreamState>> {
        Ok(self
            .stream_states()
            .await?
            .into_iter()
            .find(|state| state.system == system && state.stream == stream))
    }

    /// The states of all streams.
    pub async fn stream_states(&self) -> Result<Vec<StreamState>> {
        let rows = self
            .all(
                "read stream states",
                "select system, stream, seq, table_id, snapshot_id, checkpoint, run_id, updated_at
                 from huiliu_state order by system, stream",
                args![],
            )
            .await?;
        rows.iter().map(stream_state).collect()
    }
}

fn stream_state(row: &Row) -> Result<StreamState> {
    let checkpoint: Option<String> = row.get(5)?;
    let checkpoint = checkpoint
        .map(|text| serde_json::from_str(&text))
        .transpose()
        .map_err(|e| Error::internal("a stored checkpoint is not readable").cause(e))?;
    Ok(StreamState {
        system: row.get(0)?,
        stream: row.get(1)?,
        seq: row.get(2)?,
        table_id: row.get(3)?,
        snapshot_id: row.get(4)?,
        checkpoint,
        run_id: row.get(6)?,
        updated_at: row.get(7)?,
    })
}

impl Tx {
    /// Moves a stream's state on. `next.seq` must follow the stored one without a gap, so that
    /// a commit that was overtaken by another writer changes nothing.
    pub async fn advance_state(&mut self, next: &StreamState) -> Result<()> {
        let stored = self
            .one(
                "read a stream's state",
                "select seq, table_id from huiliu_state where system = ? and stream = ?",
                args![&next.system, &next.stream],
            )
            .await?;
        let (seq, table_id) = match stored {
            Some(row) => (row.get(0)?, row.get(1)?),
            None => (0, next.table_id),
        };
        if seq + 1 != next.seq {
            return Err(Error::new(
                ErrorKind::Conflict,
                "E-SEQ",
                format!(
                    "{}.{}: commit {} does not follow commit {seq}",
                    next.system, next.stream, next.seq
                ),
            )
            .hint("another process moved this stream; run it again"));
        }
        // A stream that was reset without a table takes the one that is made for it.
        if table_id != 0 && table_id != next.table_id {
            return Err(Error::new(
                ErrorKind::Conflict,
                "E-TABLE-ID",
                format!("{}.{}: the lake table was made anew", next.system, next.stream),
            )
            .hint(format!(
                "read it from the start: `huiliu state reset {}.{} --from-start --reason TEXT`",
                next.system, next.stream
            )));
        }
        let checkpoint = next
            .checkpoint
            .as_ref()
            .map(serde_json::to_string)
            .transpose()
            .map_err(|e| Error::internal("a checkpoint could not be stored").cause(e))?;
        self.run(
            "store a stream's state",
            "insert into huiliu_state
               (system, stream, seq, table_id, snapshot_id, checkpoint, run_id, updated_at)
             values (?, ?, ?, ?, ?, ?, ?, ?)
             on conflict (system, stream) do update set
               seq = excluded.seq, table_id = excluded.table_id,
               snapshot_id = excluded.snapshot_id, checkpoint = excluded.checkpoint,
               run_id = excluded.run_id, updated_at = excluded.updated_at",
            args![
                &next.system,
                &next.stream,
                next.seq,
                next.table_id,
                next.snapshot_id,
                checkpoint,
                next.run_id,
                &next.updated_at,
            ],
        )
        .await?;
        Ok(())
    }
}
