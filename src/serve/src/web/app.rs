//! What every handler can reach.

use std::sync::Arc;

use huiliu_sdk::Result;
use huiliu_store::AuditFilter;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::data::{AuditQuery, AuditRecord, AuditState, Cursor, Hub, Page, PageQuery};
use crate::identity::Accounts;
use crate::sql::Gate;

/// How many may watch something at once.
const MAX_WATCHING: usize = 32;

/// How the web is reached.
#[derive(Debug, Clone, Default)]
pub struct WebSettings {
    /// The address that browsers know, of the hub's own TLS or of a gateway before it, such as
    /// `https://hub.example.gov.cn`.
    pub public_url: Option<String>,
    /// Whether the hub itself speaks TLS.
    pub tls: bool,
}

impl WebSettings {
    /// Whether browsers come over TLS.
    pub fn is_secure(&self) -> bool {
        self.tls || self.is_public()
    }

    /// Whether they come over TLS to a name of its own, which may be told to remember that.
    pub(crate) fn is_public(&self) -> bool {
        self.public_url.as_ref().is_some_and(|url| url.starts_with("https://"))
    }

    /// The host, with its port if it has one, that requests are for; any loopback name without.
    pub(crate) fn host(&self) -> Option<&str> {
        let (_, host) = self.public_url.as_ref()?.split_once("://")?;
        Some(host.trim_end_matches('/'))
    }
}

/// What every handler can reach.
pub struct App {
    hub: Arc<dyn Hub>,
    accounts: Accounts,
    gate: Gate,
    settings: WebSettings,
    watching: Arc<Semaphore>,
}

/// A place among those who watch something; free again when it is dropped.
pub struct Watching {
    _place: OwnedSemaphorePermit,
}

impl App {
    /// An app over its parts.
    pub fn new(hub: Arc<dyn Hub>, accounts: Accounts, gate: Gate, settings: WebSettings) -> Self {
        Self { hub, accounts, gate, settings, watching: Arc::new(Semaphore::new(MAX_WATCHING)) }
    }

    /// The hub.
    pub fn hub(&self) -> &dyn Hub {
        self.hub.as_ref()
    }

    /// The accounts, and the audit.
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// Where analysts' SQL goes through.
    pub fn sql(&self) -> &Gate {
        &self.gate
    }

    /// A place for one more who watches; none when all are taken.
    pub fn watch(&self) -> Option<Watching> {
        let place = Arc::clone(&self.watching).try_acquire_owned().ok()?;
        Some(Watching { _place: place })
    }

    /// How the web is reached.
    pub fn settings(&self) -> &WebSettings {
        &self.settings
    }
}

impl App {
    /// The audit, newest first.
    pub async fn audit(&self, query: &AuditQuery, page: &PageQuery) -> Result<Page<AuditRecord>> {
        let before = page.cursor.as_deref().map(Cursor::number).transpose()?;
        let (who, action) = (query.who.clone(), query.action.clone());
        let filter = AuditFilter { before, who, action };
        let mut rows = self.accounts.store().audit_page(&filter, page.limit() + 1).await?;
        let next = Cursor::cut(&mut rows, page.limit(), |row| row.audit_id);
        let items = rows.into_iter().map(|row| AuditRecord {
            id: row.audit_id,
            at: row.at,
            who: row.who,
            action: row.action,
            object: row.object,
            reason: row.reason,
            before: row.before,
            after: row.after,
            hash: row.hash,
        });
        Ok(Page { items: items.collect(), next, total: None })
    }

    /// Checks the chain of the audit; a hash that was noted earlier must still be in it.
    pub async fn verify_audit(&self, expected: Option<&str>) -> Result<AuditState> {
        let check = self.accounts.store().verify_audit(expected).await?;
        let (last_id, last_hash) = (check.last_id, check.last_hash);
        Ok(AuditState { rows: check.rows as u64, last_id, last_hash })
    }
}
