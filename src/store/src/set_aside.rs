//! What operators do with rows in quarantine: find, show, try again, discard.

use huiliu_sdk::Result;
use serde::Serialize;

use crate::{QuarantineRow, Row, Store, Tx, args};

/// Which rows in quarantine are meant; what is not given does not matter.
#[derive(Debug, Clone, Default)]
pub struct QuarantineFilter {
    /// The system.
    pub system: Option<String>,
    /// The stream.
    pub stream: Option<String>,
    /// The run that set them aside.
    pub run: Option<i64>,
}

/// How many rows of a stream are in quarantine for one reason.
#[derive(Debug, Clone, Serialize)]
pub struct QuarantineCount {
    /// The system.
    pub system: String,
    /// The stream.
    pub stream: String,
    /// The code.
    pub code: String,
    /// How many rows.
    pub rows: i64,
}

/// A row in quarantine with its encrypted original.
#[derive(Clone)]
pub struct SealedRow {
    /// What is known of it.
    pub row: QuarantineRow,
    /// The original, encrypted.
    pub sealed: Vec<u8>,
}

const COLUMNS: &str = "quarantine_id, run_id, system, stream, origin, position, code, reason, \
                       quarantined_at";

pub(crate) fn quarantine_row(row: &Row) -> Result<QuarantineRow> {
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

impl Store {
    /// Rows in quarantine, newest first.
    pub async fn quarantined(
        &self,
        filter: &QuarantineFilter,
        limit: u32,
    ) -> Result<Vec<QuarantineRow>> {
        let sql = format!(
            "select {COLUMNS} from huiliu_quarantine
             where (?1 is null or system = ?1) and (?2 is null or stream = ?2)
               and (?3 is null or run_id = ?3)
             order by quarantine_id desc limit ?4"
        );
        let args = args![filter.system.as_ref(), filter.stream.as_ref(), filter.run, limit];
        let rows = self.all("list quarantined rows", crate::AssertSqlSafe(sql), args).await?;
        rows.iter().map(quarantine_row).collect()
    }

    /// How many rows of which stream are in quarantine, by code.
    pub async fn quarantine_counts(
        &self,
        filter: &QuarantineFilter,
    ) -> Result<Vec<QuarantineCount>> {
        let rows = self
            .all(
                "count quarantined rows",
                "select system, stream, code, count(*) from huiliu_quarantine
                 where (?1 is null or system = ?1) and (?2 is null or stream = ?2)
                   and (?3 is null or run_id = ?3)
                 group by system, stream, code order by system, stream, code",
                args![filter.system.as_ref(), filter.stream.as_ref(), filter.run],
            )
            .await?;
        rows.iter()
            .map(|row| {
                Ok(QuarantineCount {
                    system: row.get(0)?,
                    stream: row.get(1)?,
                    code: row.get(2)?,
                    rows: row.get(3)?,
                })
            })
            .collect()
    }

    /// One row with its original.
    pub async fn sealed_row(&self, id: i64) -> Result<Option<SealedRow>> {
        let sql = format!("select {COLUMNS}, raw from huiliu_quarantine where quarantine_id = ?");
        let action = "read a quarantined row";
        let row = self.one(action, crate::AssertSqlSafe(sql), args![id]).await?;
        row.as_ref().map(sealed_row).transpose()
    }

    /// Rows of a stream with their originals, from the one after `after` on.
    pub async fn sealed_rows(
        &self,
        system: &str,
        stream: &str,
        after: i64,
        limit: u32,
    ) -> Result<Vec<SealedRow>> {
        let sql = format!(
            "select {COLUMNS}, raw from huiliu_quarantine
             where system = ? and stream = ? and quarantine_id > ?
             order by quarantine_id limit ?"
        );
        let action = "read quarantined rows";
        let args = args![system, stream, after, limit];
        let rows = self.all(action, crate::AssertSqlSafe(sql), args).await?;
        rows.iter().map(sealed_row).collect()
    }
}

fn sealed_row(row: &Row) -> Result<SealedRow> {
    Ok(SealedRow { row: quarantine_row(row)?, sealed: row.get(9)? })
}

impl Tx {
    /// Takes a row out of quarantine; false when it is not there any more.
    pub async fn leave_quarantine(&mut self, id: i64) -> Result<bool> {
        let sql = "delete from huiliu_quarantine where quarantine_id = ?";
        Ok(self.run("take a row out of quarantine", sql, args![id]).await? == 1)
    }

    /// Notes why a row stays in quarantine.
    pub async fn keep_in_quarantine(&mut self, id: i64, code: &str, reason: &str) -> Result<()> {
        let sql = "update huiliu_quarantine set code = ?, reason = ? where quarantine_id = ?";
        self.run("keep a row in quarantine", sql, args![code, reason, id]).await?;
        Ok(())
    }
}
