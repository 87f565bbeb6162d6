//! How far backfills have come, so that one that was stopped goes on.

use huiliu_sdk::Result;

use crate::args;
use crate::database::{Store, Tx};

/// A backfill of the days of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackfillRow {
    /// The stream, as `system.stream`.
    pub stream: String,
    /// Its first day.
    pub from_day: String,
    /// The day behind its last one.
    pub to_day: String,
    /// The day up to which all windows ended well.
    pub done_until: String,
}

const TABLE: &str = "create table if not exists huiliu_backfill (
       stream text not null,
       from_day text not null,
       to_day text not null,
       done_until text not null,
       updated_at text not null,
       primary key (stream, from_day, to_day)
     )";

/// Makes the table when it is not there.
pub(crate) async fn prepare(tx: &mut Tx) -> Result<()> {
    tx.run("make its tables", TABLE, args![]).await?;
    Ok(())
}

impl Store {
    /// The day up to which a backfill has come; none before its first window.
    pub async fn backfill(&self, stream: &str, from: &str, to: &str) -> Result<Option<String>> {
        let sql = "select done_until from huiliu_backfill
                   where stream = ? and from_day = ? and to_day = ?";
        let row = self.one("read a backfill", sql, args![stream, from, to]).await?;
        row.map(|row| row.get(0)).transpose()
    }

    /// Notes how far a backfill has come.
    pub async fn put_backfill(&self, row: &BackfillRow, now: &str) -> Result<()> {
        self.run(
            "note a backfill",
            "insert into huiliu_backfill (stream, from_day, to_day, done_until, updated_at)
             values (?, ?, ?, ?, ?)
             on conflict (stream, from_day, to_day) do update
             set done_until = excluded.done_until, updated_at = excluded.updated_at",
            args![&row.stream, &row.from_day, &row.to_day, &row.done_until, now],
        )
        .await?;
        Ok(())
    }
}
