//! The audit: who did what to what, each row chained to the one before by its hash, so that a row
//! that was edited, removed or put in between shows.

use huiliu_sdk::{Error, ErrorKind, Result};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{Row, Store, Tx, args};

/// How many rows are checked at a time.
const CHUNK: i64 = 5_000;

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

/// What is to be written into the audit.
#[derive(Debug, Clone, Default)]
pub struct AuditEntry {
    /// When, UTC.
    pub at: String,
    /// Who.
    pub who: String,
    /// What was done.
    pub action: String,
    /// What it was done to.
    pub object: String,
    /// Why.
    pub reason: String,
    /// How it was.
    pub before: Option<Value>,
    /// How it is, or what was read.
    pub after: Option<Value>,
}

/// Which rows of the audit are wanted, newest first.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Older than the row of this number.
    pub before: Option<i64>,
    /// Of this person.
    pub who: Option<String>,
    /// Of this action.
    pub action: Option<String>,
}

/// What a check of the audit found.
#[derive(Debug, Clone, Serialize)]
pub struct AuditCheck {
    /// Rows that hold.
    pub rows: usize,
    /// Number of the newest row.
    pub last_id: i64,
    /// Hash of the newest row; kept elsewhere, it shows later that no rows were cut off.
    pub last_hash: String,
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

    /// The newest rows of the audit that `filter` wants, at most `limit`.
    pub async fn audit_page(&self, filter: &AuditFilter, limit: u32) -> Result<Vec<AuditRow>> {
        let sql = format!(
            "select {COLUMNS} from huiliu_audit
             where (?1 is null or audit_id < ?1) and (?2 is null or who = ?2)
               and (?3 is null or action = ?3)
             order by audit_id desc limit ?4"
        );
        let args = args![filter.before, &filter.who, &filter.action, limit];
        let rows = self.all("read the audit", crate::AssertSqlSafe(sql), args).await?;
        rows.iter().map(audit_row).collect()
    }

    /// Writes a row into the audit by itself. What cannot be written down must not be done.
    pub async fn note(&self, entry: AuditEntry) -> Result<AuditRow> {
        let mut tx = self.begin().await?;
        let row = tx.note(entry).await?;
        tx.commit().await?;
        Ok(row)
    }

    /// Checks the whole chain. `expected` is a hash that was noted earlier and must still be in
    /// it.
    pub async fn verify_audit(&self, expected: Option<&str>) -> Result<AuditCheck> {
        let sql = format!(
            "select {COLUMNS} from huiliu_audit where audit_id > ? order by audit_id limit ?"
        );
        let (mut hash, mut number) = (String::new(), 0_i64);
        let mut is_found = expected.is_none();
        loop {
            let sql = crate::AssertSqlSafe(sql.clone());
            let rows = self.all("read the audit", sql, args![number, CHUNK]).await?;
            let is_last = i64::try_from(rows.len()).unwrap_or(CHUNK) < CHUNK;
            for row in &rows {
                let row = audit_row(row)?;
                number += 1;
                if row.audit_id != number {
                    return Err(broken(format!("row {number} is missing")));
                }
                if chained(&hash, &row) != row.hash {
                    return Err(broken(format!("row {number} is not what was written")));
                }
                hash.clone_from(&row.hash);
                is_found |= expected == Some(hash.as_str());
            }
            if is_last {
                break;
            }
        }
        if !is_found {
            let message = format!("no row of {number} has the expected hash: rows were cut off");
            return Err(broken(message));
        }
        Ok(AuditCheck {
            rows: usize::try_from(number).unwrap_or(0),
            last_id: number,
            last_hash: hash,
        })
    }
}

impl Tx {
    /// Adds a row to the audit, in the transaction that changes what it is about.
    pub async fn note(&mut self, entry: AuditEntry) -> Result<AuditRow> {
        let last = self.last_audit().await?;
        // A database that cannot hold this character would give back other text than was hashed.
        let text = |text: String| text.replace('\0', "\u{fffd}");
        let mut row = AuditRow {
            audit_id: last.as_ref().map_or(1, |last| last.audit_id + 1),
            at: entry.at,
            who: text(entry.who),
            action: text(entry.action),
            object: text(entry.object),
            reason: text(entry.reason),
            before: entry.before.map(|value| value.to_string()),
            after: entry.after.map(|value| value.to_string()),
            hash: String::new(),
        };
        row.hash = chained(last.map_or_else(String::new, |last| last.hash).as_str(), &row);
        self.put_audit(&row).await?;
        Ok(row)
    }

    async fn last_audit(&mut self) -> Result<Option<AuditRow>> {
        let sql = format!("select {COLUMNS} from huiliu_audit order by audit_id desc limit 1");
        let row = self.one("read the audit", crate::AssertSqlSafe(sql), args![]).await?;
        row.as_ref().map(audit_row).transpose()
    }

    async fn put_audit(&mut self, row: &AuditRow) -> Result<()> {
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

fn broken(message: String) -> Error {
    Error::new(ErrorKind::Data, "E-AUDIT", format!("the audit does not hold: {message}")).hint(
        "somebody changed the hub's database by hand; compare it with the last backup that holds",
    )
}

/// The hash of a row: over the hash before it and its own values in a fixed order.
fn chained(before: &str, row: &AuditRow) -> String {
    let canonical = serde_json::json!([
        row.audit_id,
        row.at,
        row.who,
        row.action,
        row.object,
        row.reason,
        row.before,
        row.after
    ]);
    let mut hasher = Sha256::new();
    hasher.update(before.as_bytes());
    hasher.update(canonical.to_string().as_bytes());
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
