//! Rows that did not fit, with reason and encrypted original.

use huiliu_sdk::Result;
use serde::Serialize;

use crate::database::{Store, Tx};
use crate::sql::Row;
use crate::{SealKey, args};

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
        let rows = self
            .all(
                "list quarantined rows",
                "select quarantine_id, run_id, system, stream, origin, position, code, reason,
                        quarantined_at
                 from huiliu_quarantine order by quarantine_id",
                args![],
            )
            .await?;
        rows.iter().map(quarantine_row).collect()
    }

    /// The decrypted original of one quarantined row.
    pub async fn quarantined_original(&self, id: i64, key: &SealKey) -> Result<Option<Vec<u8>>> {
        let row = self
            .one(
                "read a quarantined row",
                "select raw from huiliu_quarantine where quarantine_id = ?",
                args![id],
            )
            .await?;
        row.map(|row| key.open(&row.get::<Vec<u8>>(0)?)).transpose()
    }
}

fn quarantine_row(row: &Row) -> Result<QuarantineRow> {
    Ok(QuarantineRow {
        quarantine_id: row.get(0)?,
        run_id: row.get(1)?,
        system: row.get(2)?,
        stream: row.get(3)?,
        origin: row.get(4)?,
        position: row.get(5)?,
        code: row.get(6)?,
        reason: row.get(7)?,
        quarantined_at: row.get(8)?,
    })
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
            self.run(
                "replace a quarantined row",
                "delete from huiliu_quarantine
                 where system = ? and stream = ? and origin = ? and position = ?",
                args![system, stream, &row.origin, position],
            )
            .await?;
            self.run(
                "quarantine a row",
                "insert into huiliu_quarantine
                   (run_id, system, stream, origin, position, code, reason, raw, quarantined_at)
                 values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                args![
                    run,
                    system,
                    stream,
                    &row.origin,
                    position,
                    &row.code,
                    &row.reason,
                    &row.sealed,
                    now,
                ],
            )
            .await?;
        }
        Ok(())
    }
}
