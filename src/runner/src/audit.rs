//! What people change by hand is written down, each row chained to the one before, so that a row
//! that was edited, removed or put in between shows.

use huiliu_sdk::{Error, ErrorKind, Result};
use huiliu_store::{AuditRow, Tx};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::hub::Hub;

/// Who does something, and why.
#[derive(Debug, Clone)]
pub struct Deed<'a> {
    /// Who.
    pub who: &'a str,
    /// Why.
    pub reason: &'a str,
}

/// What was done to what.
pub(crate) struct Change<'a> {
    pub(crate) action: &'a str,
    pub(crate) object: &'a str,
    pub(crate) before: Option<Value>,
    pub(crate) after: Option<Value>,
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

impl Hub {
    /// Adds a row to the audit, in the transaction that changes what it is about.
    pub(crate) async fn note(
        &self,
        tx: &mut Tx,
        deed: &Deed<'_>,
        change: Change<'_>,
    ) -> Result<()> {
        let last = tx.last_audit().await?;
        let mut row = AuditRow {
            audit_id: last.as_ref().map_or(1, |last| last.audit_id + 1),
            at: self.now(),
            who: deed.who.to_owned(),
            action: change.action.to_owned(),
            object: change.object.to_owned(),
            reason: deed.reason.to_owned(),
            before: change.before.map(|value| value.to_string()),
            after: change.after.map(|value| value.to_string()),
            hash: String::new(),
        };
        row.hash = chained(last.map_or_else(String::new, |last| last.hash).as_str(), &row);
        tx.put_audit(&row).await
    }

    /// Checks the whole chain. `expected` is a hash that was noted earlier and must still be in
    /// it.
    pub async fn verify_audit(&self, expected: Option<&str>) -> Result<AuditCheck> {
        let rows = self.lake().store().audit().await?;
        let mut hash = String::new();
        let mut is_found = expected.is_none();
        for (number, row) in (1_i64..).zip(&rows) {
            if row.audit_id != number {
                return Err(broken(format!("row {number} is missing")));
            }
            if chained(&hash, row) != row.hash {
                return Err(broken(format!("row {number} is not what was written")));
            }
            hash.clone_from(&row.hash);
            is_found |= expected == Some(hash.as_str());
        }
        if !is_found {
            let message =
                format!("no row of {} has the expected hash: rows were cut off", rows.len());
            return Err(broken(message));
        }
        Ok(AuditCheck {
            rows: rows.len(),
            last_id: rows.last().map_or(0, |row| row.audit_id),
            last_hash: hash,
        })
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
