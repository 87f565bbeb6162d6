//! Whole tables that were sent: which version of a table a target has, and loads of which nobody
//! knows whether they arrived.

use huiliu_sdk::Result;
use serde::Serialize;

use crate::args;
use crate::database::{Store, Tx};

/// One load of a whole table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LoadRow {
    /// The system.
    pub system: String,
    /// The push.
    pub push: String,
    /// The snapshot in which the table had last changed.
    pub version: i64,
    /// The snapshot it was read at.
    pub snapshot_id: i64,
    /// Rows sent.
    pub rows: i64,
    /// The run.
    pub run_id: i64,
    /// When, UTC.
    pub at: String,
}

impl Store {
    /// The last load of a push that arrived.
    pub async fn last_load(&self, system: &str, push: &str) -> Result<Option<LoadRow>> {
        self.load(system, push, true).await
    }

    /// The load of a push of which nobody knows whether it arrived.
    pub async fn open_load(&self, system: &str, push: &str) -> Result<Option<LoadRow>> {
        self.load(system, push, false).await
    }

    async fn load(&self, system: &str, push: &str, arrived: bool) -> Result<Option<LoadRow>> {
        let row = self
            .one(
                "read a load",
                "select version, snapshot_id, row_count, run_id, loaded_at from huiliu_load
                 where system = ? and push = ? and arrived = ?",
                args![system, push, arrived],
            )
            .await?;
        row.map(|row| {
            Ok(LoadRow {
                system: system.to_owned(),
                push: push.to_owned(),
                version: row.get(0)?,
                snapshot_id: row.get(1)?,
                rows: row.get(2)?,
                run_id: row.get(3)?,
                at: row.get(4)?,
            })
        })
        .transpose()
    }
}

impl Tx {
    /// Records a load that arrived; none is open then.
    pub async fn put_load(&mut self, load: &LoadRow) -> Result<()> {
        self.forget_open_load(&load.system, &load.push).await?;
        self.store_load(load, true).await
    }

    /// Records a load that is about to become visible at the target.
    pub async fn put_open_load(&mut self, load: &LoadRow) -> Result<()> {
        self.store_load(load, false).await
    }

    /// Forgets the open load of a push: it is known what became of it.
    pub async fn forget_open_load(&mut self, system: &str, push: &str) -> Result<()> {
        self.run(
            "forget a load",
            "delete from huiliu_load where system = ? and push = ? and arrived = false",
            args![system, push],
        )
        .await?;
        Ok(())
    }

    async fn store_load(&mut self, load: &LoadRow, arrived: bool) -> Result<()> {
        self.run(
            "record a load",
            "insert into huiliu_load
               (system, push, arrived, version, snapshot_id, row_count, run_id, loaded_at)
             values (?, ?, ?, ?, ?, ?, ?, ?)
             on conflict (system, push, arrived) do update set
               version = excluded.version, snapshot_id = excluded.snapshot_id,
               row_count = excluded.row_count, run_id = excluded.run_id,
               loaded_at = excluded.loaded_at",
            args![
                &load.system,
                &load.push,
                arrived,
                load.version,
                load.snapshot_id,
                load.rows,
                load.run_id,
                &load.at,
            ],
        )
        .await?;
        Ok(())
    }
}
