//! Rows that did not fit, with reason and encrypted original.

use huiliu_sdk::Result;
use serde::Serialize;
use sqlx::Row;

use crate::SealKey;
use crate::database::{Store, Tx, database_error};

/// A row on its way into quarantine.
#[derive(Clone)]
pub struct QuarantinedRow {
    /// File, page or table it came from.
    pub origin: String,
    /// Position there.
    pub position: u64,
    /// Stable code.
    pub code: String,
    /// Why, without the value.
    pub reason: String,
    /// The original, encrypted.
    pub sealed: Vec<u8>,
}

/// A row in quarantine, without its original.
#[derive(Debug, Clone, Serialize)]
pub struct QuarantineRow {
    /// Its number.
    pub quarantine_id: i64,
    /// The run that set it aside.
    pub run_id: i64,
    /// The system.
    pub system: String,
    /// The stream.
    pub stream: String,
    /// File, page or table it came from.
    pub origin: String,
    /// Position there.
    pub position: i64,
    /// Stable code.
    pub code: String,
    /// Why.
    pub reason: String,
    /// When, UTC.
    pub quarantined_at: String,
}

impl Store {
    /// All rows in quarantine.
    pub async fn quarantine(&self) -> Result<Vec<QuarantineRow>> {
        let rows = sqlx::query(
            "select quarantine_id, run_id, system, stream, origin, position, code, reason,
                    quarantined_at
             from huiliu_quarantine order by quarantine_id",
        )
        .fetch_all(self.reader())
        .await
        .map_err(|e| database_error("list quarantined rows", e))?;
        Ok(rows
            .iter()
            .map(|row| QuarantineRow {
                quarantine_id: row.get(0),
                run_id: row.get(1),
                system: row.get(2),
                stream: row.get(3),
                origin: row.get(4),
                position: row.get(5),
                code: row.get(6),
                reason: row.get(7),
                quarantined_at: row.get(8),
            })
            .collect())
    }

    /// The decrypted original of one quarantined row.
    pub async fn quarantined_original(&self, id: i64, key: &SealKey) -> Result<Option<Vec<u8>>> {
        let sealed: Option<Vec<u8>> =
            sqlx::query_scalar("select raw from huiliu_quarantine where quarantine_id = ?")
                .bind(id)
                .fetch_optional(self.reader())
                .await
                .map_err(|e| database_error("read a quarantined row", e))?;
        sealed.map(|sealed| key.open(&sealed)).transpose()
    }
}

impl Tx {
    /// Sets rows of a stream aside. A row that is read again and still does not fit replaces
    /// its earlier entry.
    pub async fn put_quarantine(
        &mut self,
        run: i64,
        system: &str,
        stream: &str,
        rows: &[QuarantinedRow],
        now: &str,
    ) -> Result<()> {
        for row in rows {
            let position = i64::try_from(row.position).unwrap_or(i64::MAX);
            sqlx::query(
                "delete from huiliu_quarantine
                 where system = ? and stream = ? and origin = ? and position = ?",
            )
            .bind(system)
            .bind(stream)
            .bind(&row.origin)
            .bind(position)
            .execute(self.connection())
            .await
            .map_err(|e| database_error("replace a quarantined row", e))?;
            sqlx::query(
                "insert into huiliu_quarantine
                   (run_id, system, stream, origin, position, code, reason, raw, quarantined_at)
                 values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )
            .bind(run)
            .bind(system)
            .bind(stream)
            .bind(&row.origin)
            .bind(position)
            .bind(&row.code)
            .bind(&row.reason)
            .bind(&row.sealed)
            .bind(now)
            .execute(self.connection())
            .await
            .map_err(|e| database_error("quarantine a row", e))?;
        }
        Ok(())
    }
}
