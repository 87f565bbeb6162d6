//! Repairs: what people had corrected in a system, and what the system had before.

use huiliu_sdk::Result;
use serde::Serialize;

use crate::args;
use crate::database::{Dialect, Store, Tx};
use crate::sql::Row;

const TABLES: [&str; 3] = [
    "create table if not exists huiliu_repair (
       hash text primary key,
       scope text not null,
       planned_at text not null,
       applied_at text,
       applied_by text,
       reason text
     )",
    "create table if not exists huiliu_repair_item (
       hash text not null,
       item bigint not null,
       reconciliation text not null,
       system text not null,
       push text not null,
       record_key text not null,
       differences text not null,
       before_hash text,
       before_image blob,
       after_hash text not null,
       sent_key text not null,
       undo_key text,
       primary key (hash, item)
     )",
    "create index if not exists huiliu_repair_item_by_push on huiliu_repair_item (system, push)",
];

/// A repair as it was planned, and whether it was applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RepairRow {
    /// Its hash.
    pub hash: String,
    /// What it was asked to correct, as JSON.
    pub scope: String,
    /// When it was first planned, UTC.
    pub planned_at: String,
    /// When it was applied, UTC; none for one that was only planned.
    pub applied_at: Option<String>,
    /// Who applied it.
    pub applied_by: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

/// One record of a repair.
#[derive(Clone)]
pub struct RepairItem {
    /// The repair.
    pub hash: String,
    /// Its number in it.
    pub item: i64,
    /// The reconciliation whose differences it mends.
    pub reconciliation: String,
    /// The target system.
    pub system: String,
    /// The push that it goes through.
    pub push: String,
    /// The record.
    pub record_key: String,
    /// The differences it mends, as JSON.
    pub differences: String,
    /// Hash of what the target had.
    pub before_hash: Option<String>,
    /// What the target had, encrypted; none when it had nothing.
    pub before_image: Option<Vec<u8>>,
    /// Hash of what was sent.
    pub after_hash: String,
    /// Under which key it was sent.
    pub sent_key: String,
    /// Under which key what the target had was sent back.
    pub undo_key: Option<String>,
}

/// How a record stands in the outbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sending {
    /// `waiting`, `delivered`, `accepted`, `rejected` or `unknown`.
    pub state: String,
    /// The target's code, when it refused.
    pub code: Option<String>,
    /// What the target said.
    pub message: Option<String>,
}

/// Records of repairs with how they and what was sent back stand in the outbox.
macro_rules! sent_items {
    ($rest:literal) => {
        concat!(
            "select i.hash, i.item, i.reconciliation, i.system, i.push, i.record_key,
                    i.differences, i.before_hash, i.item, i.after_hash, i.sent_key, i.undo_key,
                    s.state, s.code, s.message, u.state, u.code, u.message
             from huiliu_repair_item i
             join huiliu_outbox s on s.idempotency_key = i.sent_key
             left join huiliu_outbox u on u.idempotency_key = i.undo_key ",
            $rest
        )
    };
}

/// Makes the tables if they are not there.
pub(crate) async fn prepare(tx: &mut Tx, dialect: Dialect) -> Result<()> {
    for table in TABLES {
        let statement = match dialect {
            Dialect::Sqlite => table.to_owned(),
            Dialect::Postgres => table.replace(" blob", " bytea"),
        };
        tx.run("make its tables", crate::AssertSqlSafe(statement), args![]).await?;
    }
    Ok(())
}

impl Store {
    /// All repairs that were planned, newest first.
    pub async fn repairs(&self) -> Result<Vec<RepairRow>> {
        let rows = self
            .all(
                "list repairs",
                "select hash, scope, planned_at, applied_at, applied_by, reason from huiliu_repair
                 order by coalesce(applied_at, planned_at) desc, hash",
                args![],
            )
            .await?;
        rows.iter().map(repair).collect()
    }

    /// One repair.
    pub async fn repair(&self, hash: &str) -> Result<Option<RepairRow>> {
        let row = self
            .one(
                "read a repair",
                "select hash, scope, planned_at, applied_at, applied_by, reason from huiliu_repair
                 where hash = ?",
                args![hash],
            )
            .await?;
        row.as_ref().map(repair).transpose()
    }

    /// The records of a repair, in order.
    pub async fn repair_items(&self, hash: &str) -> Result<Vec<RepairItem>> {
        let rows = self
            .all(
                "read a repair",
                "select hash, item, reconciliation, system, push, record_key, differences,
                        before_hash, before_image, after_hash, sent_key, undo_key
                 from huiliu_repair_item where hash = ? order by item",
                args![hash],
            )
            .await?;
        rows.iter().map(item).collect()
    }

    /// The records of all repairs that went through a push, oldest first, without what the target
    /// had: each with how it stands, and how what was sent back does.
    pub async fn repairs_through(
        &self,
        system: &str,
        push: &str,
    ) -> Result<Vec<(RepairItem, Sending, Option<Sending>)>> {
        let sql = sent_items!("where i.system = ? and i.push = ? order by s.outbox_id");
        let rows = self.all("read the repairs of a push", sql, args![system, push]).await?;
        rows.iter().map(sent_item).collect()
    }

    /// The records of one repair, in order, as [`Self::repairs_through`] has them.
    pub async fn repair_records(
        &self,
        hash: &str,
    ) -> Result<Vec<(RepairItem, Sending, Option<Sending>)>> {
        let sql = sent_items!("where i.hash = ? order by i.item");
        let rows = self.all("read the records of a repair", sql, args![hash]).await?;
        rows.iter().map(sent_item).collect()
    }
}

fn sent_item(row: &Row) -> Result<(RepairItem, Sending, Option<Sending>)> {
    let sent = Sending { state: row.get(12)?, code: row.get(13)?, message: row.get(14)? };
    let undone: Option<String> = row.get(15)?;
    let undone = match undone {
        Some(state) => Some(Sending { state, code: row.get(16)?, message: row.get(17)? }),
        None => None,
    };
    Ok((bare_item(row)?, sent, undone))
}

fn repair(row: &Row) -> Result<RepairRow> {
    Ok(RepairRow {
        hash: row.get(0)?,
        scope: row.get(1)?,
        planned_at: row.get(2)?,
        applied_at: row.get(3)?,
        applied_by: row.get(4)?,
        reason: row.get(5)?,
    })
}

fn bare_item(row: &Row) -> Result<RepairItem> {
    Ok(RepairItem {
        hash: row.get(0)?,
        item: row.get(1)?,
        reconciliation: row.get(2)?,
        system: row.get(3)?,
        push: row.get(4)?,
        record_key: row.get(5)?,
        differences: row.get(6)?,
        before_hash: row.get(7)?,
        before_image: None,
        after_hash: row.get(9)?,
        sent_key: row.get(10)?,
        undo_key: row.get(11)?,
    })
}

fn item(row: &Row) -> Result<RepairItem> {
    Ok(RepairItem { before_image: row.get(8)?, ..bare_item(row)? })
}

impl Tx {
    /// Records that a repair was planned. One that was planned before and not applied is from now on
    /// looked at again by this scope, which gives the same records.
    pub async fn put_repair_plan(&mut self, hash: &str, scope: &str, now: &str) -> Result<()> {
        self.run(
            "record a planned repair",
            "insert into huiliu_repair (hash, scope, planned_at) values (?, ?, ?)
             on conflict (hash) do update set scope = excluded.scope
             where huiliu_repair.applied_at is null",
            args![hash, scope, now],
        )
        .await?;
        Ok(())
    }

    /// Records that a planned repair was applied; says whether it had not been before.
    pub async fn apply_repair(
        &mut self,
        hash: &str,
        who: &str,
        reason: &str,
        now: &str,
    ) -> Result<bool> {
        let applied = self
            .run(
                "record a repair",
                "update huiliu_repair set applied_at = ?, applied_by = ?, reason = ?
                 where hash = ? and applied_at is null",
                args![now, who, reason, hash],
            )
            .await?;
        Ok(applied == 1)
    }

    /// Records one record of a repair.
    pub async fn put_repair_item(&mut self, item: &RepairItem) -> Result<()> {
        self.run(
            "record a repair",
            "insert into huiliu_repair_item
               (hash, item, reconciliation, system, push, record_key, differences, before_hash,
                before_image, after_hash, sent_key)
             values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            args![
                &item.hash,
                item.item,
                &item.reconciliation,
                &item.system,
                &item.push,
                &item.record_key,
                &item.differences,
                &item.before_hash,
                item.before_image.clone(),
                &item.after_hash,
                &item.sent_key,
            ],
        )
        .await?;
        Ok(())
    }

    /// Records that what the target had before is sent back.
    pub async fn undo_repair_item(&mut self, hash: &str, item: i64, undo_key: &str) -> Result<()> {
        self.run(
            "record that a repair is undone",
            "update huiliu_repair_item set undo_key = ? where hash = ? and item = ?",
            args![undo_key, hash, item],
        )
        .await?;
        Ok(())
    }
}
