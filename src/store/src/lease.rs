//! Leases: who may write a table now. Each holder gets a higher epoch, which its commits carry.

use huiliu_sdk::{Error, ErrorKind, Result};

use crate::database::{Store, Tx, database_error};

/// A lease that was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// What it covers.
    pub name: String,
    /// Higher than that of every earlier holder.
    pub epoch: i64,
}

impl Store {
    /// Takes the lease `name` until `now_ms + ttl_ms`, or fails with `E-LEASE-BUSY` when another
    /// holder's has not run out.
    pub async fn take_lease(
        &self,
        name: &str,
        holder: &str,
        now_ms: i64,
        ttl_ms: i64,
    ) -> Result<Lease> {
        let mut tx = self.begin().await?;
        let found: Option<(i64, Option<String>, i64)> =
            sqlx::query_as("select epoch, holder, expires_at_ms from huiliu_lease where name = ?")
                .bind(name)
                .fetch_optional(tx.connection())
                .await
                .map_err(|e| database_error("read a lease", e))?;
        let epoch = match found {
            None => 1,
            Some((_, Some(other), expires)) if expires > now_ms && other != holder => {
                return Err(Error::new(
                    ErrorKind::Conflict,
                    "E-LEASE-BUSY",
                    format!("{name} is being written by {other}"),
                )
                .hint(format!(
                    "wait for it to end; the lease runs out in {} s",
                    (expires - now_ms) / 1000 + 1
                )));
            }
            Some((epoch, ..)) => epoch + 1,
        };
        sqlx::query(
            "insert or replace into huiliu_lease (name, epoch, holder, expires_at_ms)
             values (?, ?, ?, ?)",
        )
        .bind(name)
        .bind(epoch)
        .bind(holder)
        .bind(now_ms + ttl_ms)
        .execute(tx.connection())
        .await
        .map_err(|e| database_error("take a lease", e))?;
        tx.commit().await?;
        Ok(Lease { name: name.to_owned(), epoch })
    }

    /// Keeps a lease longer, if it is still ours.
    pub async fn renew_lease(&self, lease: &Lease, now_ms: i64, ttl_ms: i64) -> Result<()> {
        let mut tx = self.begin().await?;
        tx.check_lease(lease).await?;
        sqlx::query("update huiliu_lease set expires_at_ms = ? where name = ? and epoch = ?")
            .bind(now_ms + ttl_ms)
            .bind(&lease.name)
            .bind(lease.epoch)
            .execute(tx.connection())
            .await
            .map_err(|e| database_error("renew a lease", e))?;
        tx.commit().await
    }

    /// Ends all leases. Only for a process that knows that no other one writes, because it
    /// holds the data folder's lock.
    pub async fn end_leases(&self) -> Result<()> {
        let mut tx = self.begin().await?;
        sqlx::query("update huiliu_lease set holder = null, expires_at_ms = 0")
            .execute(tx.connection())
            .await
            .map_err(|e| database_error("end leases", e))?;
        tx.commit().await
    }

    /// Gives a lease back; one that is no longer ours is left alone.
    pub async fn release_lease(&self, lease: &Lease) -> Result<()> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "update huiliu_lease set holder = null, expires_at_ms = 0
             where name = ? and epoch = ?",
        )
        .bind(&lease.name)
        .bind(lease.epoch)
        .execute(tx.connection())
        .await
        .map_err(|e| database_error("release a lease", e))?;
        tx.commit().await
    }
}

impl Tx {
    /// Fails unless `lease` is still the newest of its name, so that a holder that slept past
    /// its end cannot commit.
    pub async fn check_lease(&mut self, lease: &Lease) -> Result<()> {
        let epoch: Option<i64> =
            sqlx::query_scalar("select epoch from huiliu_lease where name = ?")
                .bind(&lease.name)
                .fetch_optional(self.connection())
                .await
                .map_err(|e| database_error("check a lease", e))?;
        if epoch == Some(lease.epoch) {
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
