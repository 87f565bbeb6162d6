//! Records that a push brought to a system and that came back when it was read.

use huiliu_sdk::Result;

use crate::args;
use crate::database::{Dialect, Store, Tx};
use crate::sql::AssertSqlSafe;

const TABLE: &str = "create table if not exists huiliu_echo (
   outbox_id bigint primary key,
   system text not null,
   stream text not null,
   run_id bigint not null,
   seen_at text not null
 )";

/// What came before and after a record is asked for by its key.
const BY_KEY: &str = "create index if not exists huiliu_outbox_key
                      on huiliu_outbox (system, push, record_key)";

/// A record whose echo may come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Its number.
    pub outbox_id: i64,
    /// The business key of the record.
    pub record_key: String,
}

/// Makes the table and the column if they are not there.
pub(crate) async fn prepare(tx: &mut Tx, dialect: Dialect) -> Result<()> {
    tx.run("make its tables", TABLE, args![]).await?;
    let found = match dialect {
        Dialect::Sqlite => "select 1 from pragma_table_info('huiliu_step') where name = 'echoed'",
        Dialect::Postgres => {
            "select 1 from information_schema.columns
             where table_schema = current_schema() and table_name = 'huiliu_step'
               and column_name = 'echoed'"
        }
    };
    if tx.one("read its tables", found, args![]).await?.is_none() {
        let sql = "alter table huiliu_step add column echoed bigint not null default 0";
        tx.run("make its tables", sql, args![]).await?;
    }
    tx.run("make its tables", BY_KEY, args![]).await?;
    Ok(())
}

impl Store {
    /// Records of a push that were sent, may have arrived, and did not come back yet. One after
    /// which a newer one of its key was sent is not waited for: the target has that.
    pub async fn unseen(&self, system: &str, push: &str) -> Result<Vec<Sent>> {
        let rows = self
            .all(
                "read what was sent",
                "select outbox_id, record_key from huiliu_outbox o
                 where system = ? and push = ? and state <> 'rejected' and attempts > 0
                   and not exists (select 1 from huiliu_echo e where e.outbox_id = o.outbox_id)
                   and not exists (
                     select 1 from huiliu_outbox n
                     where n.system = o.system and n.push = o.push
                       and n.record_key = o.record_key and n.outbox_id > o.outbox_id
                       and n.attempts > 0 and n.state <> 'rejected')
                 order by outbox_id",
                args![system, push],
            )
            .await?;
        rows.iter()
            .map(|row| Ok(Sent { outbox_id: row.get(0)?, record_key: row.get(1)? }))
            .collect()
    }

    /// The encrypted content of records, by number.
    pub async fn payloads(&self, ids: &[i64]) -> Result<Vec<(i64, Vec<u8>)>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let list: Vec<String> = ids.iter().map(i64::to_string).collect();
        let sql = format!(
            "select outbox_id, payload from huiliu_outbox where outbox_id in ({})",
            list.join(", ")
        );
        let rows = self.all("read what was sent", AssertSqlSafe(sql), args![]).await?;
        rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
    }
}

impl Tx {
    /// Records that records came back; those of which nobody knew whether they arrived, did. Each
    /// comes with whether a receipt is to say what becomes of it: that it is there says less.
    pub async fn note_echoes(
        &mut self,
        system: &str,
        stream: &str,
        run: i64,
        ids: &[(i64, bool)],
        now: &str,
    ) -> Result<()> {
        for (id, has_receipt) in ids {
            self.run(
                "record that a record came back",
                "insert into huiliu_echo (outbox_id, system, stream, run_id, seen_at)
                 values (?, ?, ?, ?, ?) on conflict (outbox_id) do nothing",
                args![id, system, stream, run, now],
            )
            .await?;
            if *has_receipt {
                self.run(
                    "settle a record",
                    "update huiliu_outbox
                     set state = 'delivered', code = null, message = ?, settled_at = created_at
                     where outbox_id = ? and state in ('unknown', 'waiting')",
                    args![format!("read back from {system}.{stream} in run {run}"), id],
                )
                .await?;
                continue;
            }
            self.run(
                "settle a record",
                "update huiliu_outbox
                 set state = 'accepted', code = null, message = ?, settled_at = ?
                 where outbox_id = ? and state in ('unknown', 'waiting')",
                args![format!("read back from {system}.{stream} in run {run}"), now, id],
            )
            .await?;
        }
        Ok(())
    }
}
