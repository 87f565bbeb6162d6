//! The audit: what people changed by hand, each row chained to the one before by its hash. The
//! hashes are made by whoever writes the rows.

use huiliu_sdk::Result;
use serde::Serialize;

use crate::{Row, Store, Tx, args};

/// One row of the audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditRow {
    /// Its number; the next one is one higher.
    pub audit_id: i64,
    /// When, UTC.
    pub at: String,
    /// Who.
    pub who: String,
    /// What was done, such as `state reset`.
    pub action: String,
    /// What it was done to.
    pub object: String,
    /// Why.
    pub reason: String,
    /// How it was, as JSON.
    pub before: Option<String>,
    /// How it is, as JSON.
    pub after: Option<String>,
    /// Hash over the previous row's hash and this row.
    pub hash: String,
}

const COLUMNS: &str = "audit_id, at, who, action, object, reason, before_json, after_json, hash";

fn audit_row(row: &Row) -> Result<AuditRow> {
    Ok(AuditRow {
        audit_id: row.get(0)?,
        at: row.get(1)?,
        who: row.get(2)?,
        action: row.get(3)?,
        object: row.get(4)?,
        reason: row.get(5)?,
        before: row.get(6)?,
        after: row.get(7)?,
        hash: row.get(8)?,
    })
}

impl Store {
    /// All rows of the audit in their order.
    pub async fn audit(&self) -> Result<Vec<AuditRow>> {
        let sql = format!("select {COLUMNS} from huiliu_audit order by audit_id");
        let rows = self.all("read the audit", crate::AssertSqlSafe(sql), args![]).await?;
        rows.iter().map(audit_row).collect()
    }
}

impl Tx {
    /// The newest row of the audit.
    pub async fn last_audit(&mut self) -> Result<Option<AuditRow>> {
        let sql = format!("select {COLUMNS} from huiliu_audit order by audit_id desc limit 1");
        let row = self.one("read the audit", crate::AssertSqlSafe(sql), args![]).await?;
        row.as_ref().map(audit_row).transpose()
    }

    /// Adds a row to the audit.
    pub async fn put_audit(&mut self, row: &AuditRow) -> Result<()> {
        self.run(
            "write the audit",
            "insert into huiliu_audit
               (audit_id, at, who, action, object, reason, before_json, after_json, hash)
             values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            args![
                row.audit_id,
                &row.at,
                &row.who,
                &row.action,
                &row.object,
                &row.reason,
                &row.before,
                &row.after,
                &row.hash,
            ],
        )
        .await?;
        Ok(())
    }
}
