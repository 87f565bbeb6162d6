//! Records to push, written in the commit that caused them and sent afterwards.

use std::collections::{HashMap, HashSet};

use huiliu_sdk::Result;
use serde::Serialize;

use crate::args;
use crate::database::{Store, Tx};
use crate::sql::Row;

/// How an outbox record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OutboxState {
    /// To be sent, or sent and not answered yet.
    Waiting,
    /// The target took it over and will say later, by a receipt, what became of it.
    Delivered,
    /// The target has it.
    Accepted,
    /// The target refused it.
    Rejected,
    /// It was sent, nobody knows whether it arrived, and it must not be sent twice.
    Unknown,
}

impl OutboxState {
    /// The word it is stored as.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Unknown => "unknown",
        }
    }
}

/// One record on its way out.
#[derive(Clone)]
pub struct OutboxRow {
    /// Its number, 0 before it is stored.
    pub outbox_id: i64,
    /// The business key of the record.
    pub record_key: String,
    /// Hash of its content; the same key with other content is sent again.
    pub record_hash: String,
    /// Stays the same over all attempts.
    pub idempotency_key: String,
    /// The record, encrypted.
    pub payload: Vec<u8>,
    /// How often it was sent.
    pub attempts: i64,
}

/// Records of one push in one state.
#[derive(Debug, Clone, Serialize)]
pub struct OutboxCount {
    /// The target system.
    pub system: String,
    /// The push.
    pub push: String,
    /// `waiting`, `delivered`, `accepted`, `rejected` or `unknown`.
    pub state: String,
    /// How many.
    pub records: i64,
    /// How many attempts they took together.
    pub attempts: i64,
}

/// A record of the outbox without its content.
#[derive(Debug, Clone, Serialize)]
pub struct SentRow {
    /// Its number.
    pub outbox_id: i64,
    /// The business key of the record.
    pub record_key: String,
    /// The target system.
    pub system: String,
    /// The push.
    pub push: String,
    /// Under which key it is sent.
    pub idempotency_key: String,
    /// `waiting`, `delivered`, `accepted`, `rejected` or `unknown`.
    pub state: String,
    /// How often it was sent.
    pub attempts: i64,
    /// The run that queued it.
    pub run_id: i64,
    /// When it was queued, UTC.
    pub created_at: String,
    /// The target's code, when it refused.
    pub code: Option<String>,
    /// What the target said.
    pub message: Option<String>,
    /// When the target answered, UTC.
    pub settled_at: Option<String>,
}

/// The newest record of a key that the target did not refuse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewestRow {
    /// Its number.
    pub outbox_id: i64,
    /// Hash of its content.
    pub record_hash: String,
    /// Under which key it is sent.
    pub idempotency_key: String,
    /// `waiting`, `delivered`, `accepted` or `unknown`.
    pub state: String,
}

/// A record that the target took over, or may have, and of which a receipt says what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipted {
    /// Its number.
    pub outbox_id: i64,
    /// The business key of the record.
    pub record_key: String,
    /// Under which key it was sent.
    pub idempotency_key: String,
    /// When the target took it over, UTC; when it was queued, if it was sent more than once or
    /// nobody knows whether it arrived.
    pub delivered_at: String,
}

/// The columns of a [`SentRow`].
macro_rules! select_sent {
    ($rest:literal) => {
        concat!(
            "select outbox_id, record_key, system, push, idempotency_key, state, attempts, run_id,
                    created_at, code, message, settled_at
             from huiliu_outbox ",
            $rest
        )
    };
}
pub(crate) use select_sent;

impl Tx {
    /// Queues a record unless the same key with the same content is already there; says
    /// whether it was new.
    pub async fn enqueue(
        &mut self,
        run: i64,
        system: &str,
        push: &str,
        row: &OutboxRow,
        now: &str,
    ) -> Result<bool> {
        let queued = self
            .run(
                "queue a record",
                "insert into huiliu_outbox
                   (system, push, record_key, record_hash, idempotency_key, payload, state,
                    run_id, created_at)
                 values (?, ?, ?, ?, ?, ?, 'waiting', ?, ?)
                 on conflict (idempotency_key) do nothing",
                args![
                    system,
                    push,
                    &row.record_key,
                    &row.record_hash,
                    &row.idempotency_key,
                    &row.payload,
                    run,
                    now,
                ],
            )
            .await?;
        Ok(queued == 1)
    }

    /// Counts an attempt for each record before it is sent.
    pub async fn count_attempts(&mut self, ids: &[i64]) -> Result<()> {
        for id in ids {
            self.run(
                "count an attempt",
                "update huiliu_outbox set attempts = attempts + 1 where outbox_id = ?",
                args![id],
            )
            .await?;
        }
        Ok(())
    }

    /// Takes an attempt back that did not leave the hub.
    pub async fn uncount_attempt(&mut self, id: i64) -> Result<()> {
        self.run(
            "take an attempt back",
            "update huiliu_outbox set attempts = attempts - 1 where outbox_id = ? and attempts > 0",
            args![id],
        )
        .await?;
        Ok(())
    }

    /// Lets a record be sent as if it never had been.
    pub async fn send_again(&mut self, id: i64) -> Result<()> {
        self.run(
            "queue a record again",
            "update huiliu_outbox
             set state = 'waiting', attempts = 0, code = null, message = null, settled_at = null
             where outbox_id = ?",
            args![id],
        )
        .await?;
        Ok(())
    }

    /// Records that the target took a record over. What says what became of it comes later than
    /// that; than when it was queued, if it `was_sent` before and may have arrived then.
    pub async fn deliver(&mut self, id: i64, was_sent: bool, now: &str) -> Result<()> {
        let since = if was_sent { None } else { Some(now) };
        self.run(
            "settle a record",
            "update huiliu_outbox
             set state = 'delivered', code = null, message = null,
                 settled_at = coalesce(?, created_at)
             where outbox_id = ?",
            args![since, id],
        )
        .await?;
        Ok(())
    }

    /// Records what became of a record.
    pub async fn settle(
        &mut self,
        id: i64,
        state: OutboxState,
        code: Option<&str>,
        message: Option<&str>,
        now: &str,
    ) -> Result<()> {
        self.run(
            "settle a record",
            "update huiliu_outbox set state = ?, code = ?, message = ?, settled_at = ?
             where outbox_id = ?",
            args![state.as_str(), code, message, now, id],
        )
        .await?;
        Ok(())
    }
}

impl Store {
    /// Records of a push that wait, oldest first, with numbers above `after`. A record waits on
    /// when it is not known whether an earlier one of its key arrived.
    pub async fn waiting(
        &self,
        system: &str,
        push: &str,
        after: i64,
        limit: u32,
    ) -> Result<Vec<OutboxRow>> {
        let rows = self
            .all(
                "read the outbox",
                "select outbox_id, record_key, record_hash, idempotency_key, payload, attempts
                 from huiliu_outbox o
                 where system = ? and push = ? and state = 'waiting' and outbox_id > ?
                   and not exists (
                     select 1 from huiliu_outbox u
                     where u.system = o.system and u.push = o.push and u.state = 'unknown'
                       and u.record_key = o.record_key and u.outbox_id < o.outbox_id)
                 order by outbox_id limit ?",
                args![system, push, after, limit],
            )
            .await?;
        rows.iter().map(outbox_row).collect()
    }

    /// Numbers of the records of a push of which nobody knows whether they arrived.
    pub async fn unknown_records(&self, system: &str, push: &str) -> Result<Vec<i64>> {
        let rows = self
            .all(
                "read the outbox",
                "select outbox_id from huiliu_outbox
                 where system = ? and push = ? and state = 'unknown' order by outbox_id",
                args![system, push],
            )
            .await?;
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// The keys of the records that the target of a push has accepted.
    pub async fn accepted_keys(&self, system: &str, push: &str) -> Result<Vec<String>> {
        let rows = self
            .all(
                "read the outbox",
                "select distinct record_key from huiliu_outbox
                 where system = ? and push = ? and state = 'accepted'",
                args![system, push],
            )
            .await?;
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// The idempotency keys of all records of a push, whatever became of them.
    pub async fn outbox_keys(&self, system: &str, push: &str) -> Result<HashSet<String>> {
        let rows = self
            .all(
                "read the keys of a push",
                "select idempotency_key from huiliu_outbox where system = ? and push = ?",
                args![system, push],
            )
            .await?;
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// The newest record of each key of a push, without those that the target refused.
    pub async fn newest_records(
        &self,
        system: &str,
        push: &str,
    ) -> Result<HashMap<String, NewestRow>> {
        let rows = self
            .all(
                "read the newest records of a push",
                "select o.record_key, o.outbox_id, o.record_hash, o.idempotency_key, o.state
                 from huiliu_outbox o join (
                   select max(outbox_id) as newest from huiliu_outbox
                   where system = ? and push = ? and state <> 'rejected'
                   group by record_key) n on n.newest = o.outbox_id",
                args![system, push],
            )
            .await?;
        let newest = |row: &Row| -> Result<(String, NewestRow)> {
            let newest = NewestRow {
                outbox_id: row.get(1)?,
                record_hash: row.get(2)?,
                idempotency_key: row.get(3)?,
                state: row.get(4)?,
            };
            Ok((row.get(0)?, newest))
        };
        rows.iter().map(newest).collect()
    }

    /// What became of the records with a key, of all pushes, oldest first.
    pub async fn outbox_of(&self, record_key: &str) -> Result<Vec<SentRow>> {
        let rows = self
            .all(
                "read the outbox",
                select_sent!("where record_key = ? order by outbox_id"),
                args![record_key],
            )
            .await?;
        rows.iter().map(sent_row).collect()
    }

    /// Records of a push in one state, or of all, oldest first.
    pub async fn sent_records(
        &self,
        system: &str,
        push: &str,
        state: Option<&str>,
        limit: u32,
    ) -> Result<Vec<SentRow>> {
        let rows = self
            .all(
                "read the outbox",
                select_sent!(
                    "where system = ? and push = ? and (? = '' or state = ?)
                     order by outbox_id limit ?"
                ),
                args![system, push, state.unwrap_or_default(), state.unwrap_or_default(), limit],
            )
            .await?;
        rows.iter().map(sent_row).collect()
    }

    /// Records of a push that the target took over and that wait for a receipt, and those that it
    /// may have without our knowing, oldest first.
    pub async fn without_receipt(&self, system: &str, push: &str) -> Result<Vec<Receipted>> {
        let rows = self
            .all(
                "read the outbox",
                "select outbox_id, record_key, idempotency_key,
                   case state when 'delivered' then settled_at else created_at end
                 from huiliu_outbox
                 where system = ? and push = ?
                   and (state in ('delivered', 'unknown') or (state = 'waiting' and attempts > 0))
                 order by outbox_id",
                args![system, push],
            )
            .await?;
        let receipted = |row: &Row| -> Result<Receipted> {
            let delivered_at: Option<String> = row.get(3)?;
            Ok(Receipted {
                outbox_id: row.get(0)?,
                record_key: row.get(1)?,
                idempotency_key: row.get(2)?,
                delivered_at: delivered_at.unwrap_or_default(),
            })
        };
        rows.iter().map(receipted).collect()
    }

    /// The keys of records of a push whose end is open: they wait, were taken over, or nobody knows
    /// whether they arrived.
    pub async fn open_keys(&self, system: &str, push: &str) -> Result<HashSet<String>> {
        let rows = self
            .all(
                "read the outbox",
                "select distinct record_key from huiliu_outbox
                 where system = ? and push = ? and state in ('waiting', 'delivered', 'unknown')",
                args![system, push],
            )
            .await?;
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// Records by push and state.
    pub async fn outbox_counts(&self) -> Result<Vec<OutboxCount>> {
        let rows = self
            .all(
                "count the outbox",
                "select system, push, state, count(*), cast(sum(attempts) as bigint)
                 from huiliu_outbox
                 group by system, push, state order by system, push, state",
                args![],
            )
            .await?;
        rows.iter().map(outbox_count).collect()
    }
}

fn outbox_row(row: &Row) -> Result<OutboxRow> {
    Ok(OutboxRow {
        outbox_id: row.get(0)?,
        record_key: row.get(1)?,
        record_hash: row.get(2)?,
        idempotency_key: row.get(3)?,
        payload: row.get(4)?,
        attempts: row.get(5)?,
    })
}

pub(crate) fn sent_row(row: &Row) -> Result<SentRow> {
    Ok(SentRow {
        outbox_id: row.get(0)?,
        record_key: row.get(1)?,
        system: row.get(2)?,
        push: row.get(3)?,
        idempotency_key: row.get(4)?,
        state: row.get(5)?,
        attempts: row.get(6)?,
        run_id: row.get(7)?,
        created_at: row.get(8)?,
        code: row.get(9)?,
        message: row.get(10)?,
        settled_at: row.get(11)?,
    })
}

fn outbox_count(row: &Row) -> Result<OutboxCount> {
    Ok(OutboxCount {
        system: row.get(0)?,
        push: row.get(1)?,
        state: row.get(2)?,
        records: row.get(3)?,
        attempts: row.get(4)?,
    })
}
