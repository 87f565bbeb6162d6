//! What people change by hand is written down, in the chained audit of the store.

use huiliu_sdk::{Error, ErrorKind, Result};
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

    /// Notes what somebody reads, before it is shown: what cannot be noted is refused.
    pub async fn note_read(
        &self,
        who: &str,
        action: &str,
        object: &str,
        what: Value,
    ) -> Result<()> {
        let entry = AuditEntry {
            at: self.now(),
            who: who.to_owned(),
            action: action.to_owned(),
            object: object.to_owned(),
            after: Some(what),
            ..AuditEntry::default()
        };
        self.lake().store().note(entry).await.map(drop).map_err(|error| {
            Error::new(ErrorKind::Internal, "E-AUDIT-CLOSED", "this cannot be noted in the audit")
                .hint("nothing is given out that is not noted; see what the cause says")
                .cause(error)
        })
    }

    /// Checks the whole chain. `expected` is a hash that was noted earlier and must still be in
    /// it.
    pub async fn verify_audit(&self, expected: Option<&str>) -> Result<AuditCheck> {
        self.lake().store().verify_audit(expected).await
    }
}
