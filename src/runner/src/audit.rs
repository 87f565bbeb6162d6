//! What people change by hand is written down, in the chained audit of the store.

use huiliu_sdk::Result;
use huiliu_store::{AuditEntry, Tx};
use serde_json::Value;

use crate::hub::Hub;

pub use huiliu_store::AuditCheck;

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

impl Hub {
    /// Adds a row to the audit, in the transaction that changes what it is about.
    pub(crate) async fn note(
        &self,
        tx: &mut Tx,
        deed: &Deed<'_>,
        change: Change<'_>,
    ) -> Result<()> {
        let entry = AuditEntry {
            at: self.now(),
            who: deed.who.to_owned(),
            action: change.action.to_owned(),
            object: change.object.to_owned(),
            reason: deed.reason.to_owned(),
            before: change.before,
            after: change.after,
        };
        tx.note(entry).await.map(drop)
    }

    /// Notes that a secret was set or removed; never what it is.
    pub async fn note_secret(&self, action: &str, name: &str, deed: &Deed<'_>) -> Result<()> {
        let mut tx = self.lake().store().begin().await?;
        let change = Change { action, object: name, before: None, after: None };
        self.note(&mut tx, deed, change).await?;
        tx.commit().await
    }

    /// Checks the whole chain. `expected` is a hash that was noted earlier and must still be in
    /// it.
    pub async fn verify_audit(&self, expected: Option<&str>) -> Result<AuditCheck> {
        self.lake().store().verify_audit(expected).await
    }
}
