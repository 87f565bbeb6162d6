//! Limits of systems, shared by all who use this database: how many requests a minute, how many
//! connections at once. Time is the database's, and only time that passed counts.

use std::time::Duration;

use huiliu_sdk::Result;

use crate::{Store, Tx, args};

const MINUTE_US: i64 = 60_000_000;

/// A connection to a system that was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// The system.
    pub system: String,
    /// Its number there.
    pub number: i64,
    /// Who has it.
    pub holder: String,
}

impl Store {
    /// The time on the database's clock, in milliseconds since 1970.
    pub async fn clock_ms(&self) -> Result<i64> {
        Ok(self.begin().await?.now().await?.timestamp_millis())
    }

    /// Takes the next turn of a request to `system` and says how long to wait for it. Turns are
    /// evenly apart, so that no minute ever holds more than `per_minute`.
    pub async fn take_turn(&self, system: &str, per_minute: u32) -> Result<Duration> {
        let mut tx = self.begin().await?;
        let now = tx.now().await?.timestamp_micros();
        let found = tx
            .one(
                "read a system's limit",
                "select backlog_us, at_us from huiliu_limit where system = ?",
                args![system],
            )
            .await?;
        let (backlog, at) = match found {
            Some(row) => (row.get::<i64>(0)?, row.get::<i64>(1)?),
            None => (0, now),
        };
        // A clock that was set back has not passed any time.
        let passed = (now - at).max(0);
        let wait = (backlog - passed).max(0);
        let next = wait + MINUTE_US / i64::from(per_minute.max(1));
        tx.run(
            "keep a system's limit",
            "insert into huiliu_limit (system, backlog_us, at_us) values (?, ?, ?)
             on conflict (system) do update
             set backlog_us = excluded.backlog_us, at_us = excluded.at_us",
            args![system, next, now],
        )
        .await?;
        tx.commit().await?;
        Ok(Duration::from_micros(u64::try_from(wait).unwrap_or(0)))
    }

    /// Takes one of `connections` to a system for `ttl_ms`, or says who has them.
    pub async fn take_slot(
        &self,
        system: &str,
        connections: u32,
        holder: &str,
        ttl_ms: i64,
    ) -> Result<Result<Slot, String>> {
        let mut tx = self.begin().await?;
        let now_ms = tx.now().await?.timestamp_millis();
        tx.run(
            "clear connections",
            "delete from huiliu_slot where expires_at_ms <= ?",
            args![now_ms],
        )
        .await?;
        let taken = tx
            .all(
                "read connections",
                "select slot, holder from huiliu_slot where system = ? order by slot",
                args![system],
            )
            .await?;
        let mut numbers: Vec<i64> = Vec::new();
        let mut holders: Vec<String> = Vec::new();
        for row in &taken {
            numbers.push(row.get(0)?);
            holders.push(row.get(1)?);
        }
        let free = (0..i64::from(connections.max(1))).find(|number| !numbers.contains(number));
        let Some(number) = free else { return Ok(Err(holders.join(", "))) };
        tx.run(
            "take a connection",
            "insert into huiliu_slot (system, slot, holder, expires_at_ms) values (?, ?, ?, ?)",
            args![system, number, holder, now_ms + ttl_ms],
        )
        .await?;
        tx.commit().await?;
        Ok(Ok(Slot { system: system.to_owned(), number, holder: holder.to_owned() }))
    }

    /// Keeps a connection longer; false when it was given to somebody else.
    pub async fn renew_slot(&self, slot: &Slot, ttl_ms: i64) -> Result<bool> {
        let mut tx = self.begin().await?;
        let now_ms = tx.now().await?.timestamp_millis();
        let kept = tx
            .run(
                "keep a connection",
                "update huiliu_slot set expires_at_ms = ?
                 where system = ? and slot = ? and holder = ?",
                args![now_ms + ttl_ms, &slot.system, slot.number, &slot.holder],
            )
            .await?;
        tx.commit().await?;
        Ok(kept == 1)
    }

    /// Gives a connection back.
    pub async fn release_slot(&self, slot: &Slot) -> Result<()> {
        let mut tx = self.begin().await?;
        release(&mut tx, slot).await?;
        tx.commit().await
    }

    /// Gives back the connections of holders whose name begins with `prefix`. Only for a process
    /// that knows that they are dead.
    pub async fn end_slots(&self, prefix: &str) -> Result<()> {
        let length = i64::try_from(prefix.chars().count()).unwrap_or(i64::MAX);
        self.run(
            "end connections",
            "delete from huiliu_slot where substr(holder, 1, cast(? as integer)) = ?",
            args![length, prefix],
        )
        .await?;
        Ok(())
    }
}

async fn release(tx: &mut Tx, slot: &Slot) -> Result<()> {
    tx.run(
        "give a connection back",
        "delete from huiliu_slot where system = ? and slot = ? and holder = ?",
        args![&slot.system, slot.number, &slot.holder],
    )
    .await?;
    Ok(())
}
