//! Leases: who may write a table now. Each holder gets a higher epoch, which its commits carry.
//!
//! Leases run out by the database's clock, so a step of a hub's own clock changes nothing between
//! hubs on one Postgres. For SQLite the database's clock is that of the machine; there only one
//! process writes, by the data folder's lock. Whatever a clock says, the epoch decides in the
//! commit.

use huiliu_sdk::{Error, ErrorKind, Result};

use crate::database::{Dialect, Store, Tx};
use crate::{args, presence};

/// A lease that was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// What it covers.
    pub name: String,
    /// Higher than that of every earlier holder.
    pub epoch: i64,
}

impl Store {
    /// Takes the lease `name` for `ttl_ms`, or fails with `E-LEASE-BUSY` when another holder's
    /// has not run out.
    pub async fn take_lease(&self, name: &str, holder: &str, ttl_ms: i64) -> Result<Lease> {
        let mut tx = self.begin().await?;
        let lease = tx.take_lease(name, holder, ttl_ms).await?;
        tx.commit().await?;
        Ok(lease)
    }

    /// Keeps a lease for `ttl_ms` from now, if it is still ours.
    pub async fn renew_lease(&self, lease: &Lease, ttl_ms: i64) -> Result<()> {
        let mut tx = self.begin().await?;
        tx.check_lease(lease).await?;
        let now_ms = tx.now().await?.timestamp_millis();
        tx.run(
            "renew a lease",
            "update huiliu_lease set expires_at_ms = ? where name = ? and epoch = ?",
            args![now_ms.saturating_add(ttl_ms), &lease.name, lease.epoch],
        )
        .await?;
        tx.commit().await
    }

    /// Ends the leases of processes that are gone. Only for a process that knows that no other
    /// one writes to this data folder, because it holds the folder's lock; the leases of other
    /// hubs that are connected to the same Postgres stay, and so do those on jobs: a run is begun
    /// under one.
    pub async fn end_leases(&self) -> Result<()> {
        let sql = match self.dialect() {
            Dialect::Sqlite => {
                "update huiliu_lease set holder = null, expires_at_ms = 0
                 where name not like 'job %'"
            }
            Dialect::Postgres => concat!(
                "update huiliu_lease set holder = null, expires_at_ms = 0
                 where holder is not null and name not like 'job %' and ",
                presence::gone!("huiliu_lease"),
            ),
        };
        self.run("end leases", sql, args![]).await?;
        Ok(())
    }

    /// Gives a lease back; one that is no longer ours is left alone.
    pub async fn release_lease(&self, lease: &Lease) -> Result<()> {
        let mut tx = self.begin().await?;
        tx.free_lease(lease).await?;
        tx.commit().await
    }
}

impl Tx {
    pub(crate) async fn take_lease(
        &mut self,
        name: &str,
        holder: &str,
        ttl_ms: i64,
    ) -> Result<Lease> {
        let now_ms = self.now().await?.timestamp_millis();
        // Process numbers repeat between machines; the store's number tells hubs apart.
        let found = match self.dialect() {
            Dialect::Sqlite => {
                "select epoch, holder, expires_at_ms, true from huiliu_lease where name = ?"
            }
            Dialect::Postgres => {
                "select epoch, holder, expires_at_ms,
                        coalesce(instance = cast(current_setting('huiliu.instance') as bigint),
                                 false)
                 from huiliu_lease where name = ?"
            }
        };
        let found = self.one("read a lease", found, args![name]).await?;
        let epoch = match found {
            None => 1,
            Some(row) => {
                let (other, expires): (Option<String>, i64) = (row.get(1)?, row.get(2)?);
                let same_hub: bool = row.get(3)?;
                let other = other.filter(|other| !same_hub || other != holder);
                if let Some(other) = other.filter(|_| expires > now_ms) {
                    return Err(busy(name, &other, expires - now_ms));
                }
                row.get::<i64>(0)? + 1
            }
        };
        self.run(
            "take a lease",
            "insert into huiliu_lease (name, epoch, holder, expires_at_ms) values (?, ?, ?, ?)
             on conflict (name) do update set
               epoch = excluded.epoch, holder = excluded.holder,
               expires_at_ms = excluded.expires_at_ms",
            args![name, epoch, holder, now_ms.saturating_add(ttl_ms)],
        )
        .await?;
        if self.dialect() == Dialect::Postgres {
            self.run(
                "take a lease",
                "update huiliu_lease set instance = default where name = ?",
                args![name],
            )
            .await?;
        }
        Ok(Lease { name: name.to_owned(), epoch })
    }

    /// Gives a lease back; one that is no longer ours is left alone.
    pub(crate) async fn free_lease(&mut self, lease: &Lease) -> Result<()> {
        self.run(
            "release a lease",
            "update huiliu_lease set holder = null, expires_at_ms = 0
             where name = ? and epoch = ?",
            args![&lease.name, lease.epoch],
        )
        .await?;
        Ok(())
    }

    /// Fails unless `lease` is still the newest of its name, so that a holder that slept past
    /// its end cannot commit.
    pub async fn check_lease(&mut self, lease: &Lease) -> Result<()> {
        let row = self
            .one(
                "check a lease",
                "select epoch from huiliu_lease where name = ?",
                args![&lease.name],
            )
            .await?;
        if row.map(|row| row.get::<i64>(0)).transpose()? == Some(lease.epoch) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Conflict,
            "E-LEASE-LOST",
            format!("the lease on {} was taken over by another process", lease.name),
        )
        .hint("nothing was committed; the other process goes on with the work"))
    }
}

fn busy(name: &str, other: &str, left_ms: i64) -> Error {
    let left = (left_ms.max(0) + 999) / 1000;
    Error::new(ErrorKind::Conflict, "E-LEASE-BUSY", format!("{name} is being written by {other}"))
        .hint(format!("wait for it to end; the lease runs out in {left} s"))
}
