//! Who comes in: users and their passwords, sessions in a browser, tokens of programs.
//!
//! Of secrets only hashes are kept. What somebody may do is looked up with each request, so that
//! a change holds at once. Whatever is done to an account is noted in the audit by the same
//! transaction.

mod account;
mod first;
mod password;
mod second_factor;
pub(crate) mod secret;
mod session;
mod throttle;
mod token;
mod visitor;

use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use huiliu_core::access::password::PasswordProfile;
use huiliu_sdk::{Clock, Error, ErrorKind, Result};
use huiliu_store::{AuditEntry, SealKey, Store, Tx};
use serde_json::Value;

use self::password::Hasher;
use self::throttle::Throttle;

pub use first::FirstAdmin;
pub use session::LoggedIn;
pub use token::MadeToken;
pub use visitor::{Entry, Visitor};

/// Wrong passwords of one account before it has to wait.
const FREE_OF_ACCOUNT: u32 = 5;
/// Wrong passwords from one address before it has to wait; several people may share one.
const FREE_OF_ADDRESS: u32 = 50;

/// The accounts of the hub.
#[derive(Clone)]
pub struct Accounts {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    key: SealKey,
    clock: Arc<dyn Clock>,
    profile: PasswordProfile,
    office: String,
    hasher: Hasher,
    by_account: Throttle,
    by_address: Throttle,
    by_token: Throttle,
}

/// Who does something to accounts, and why, for the audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    /// Who.
    pub who: String,
    /// From where.
    pub address: String,
    /// Why.
    pub reason: String,
}

impl By {
    /// A visitor, who gives no reason.
    pub fn visitor(visitor: &Visitor) -> Self {
        let (who, address) = (visitor.user.clone(), visitor.address.clone());
        Self { who, address, reason: String::new() }
    }

    /// The same with a reason.
    #[must_use]
    pub fn because(self, reason: &str) -> Self {
        Self { reason: reason.to_owned(), ..self }
    }
}

impl Accounts {
    /// The accounts in `store`. `key` seals what the Postgres wire compares proofs with; `office`
    /// is a name that passwords must not hold.
    pub fn new(
        store: Store,
        key: SealKey,
        clock: Arc<dyn Clock>,
        profile: PasswordProfile,
        office: String,
    ) -> Result<Self> {
        let inner = Inner {
            store,
            key,
            clock,
            profile,
            office,
            hasher: Hasher::new()?,
            by_account: Throttle::new(FREE_OF_ACCOUNT),
            by_address: Throttle::new(FREE_OF_ADDRESS),
            by_token: Throttle::new(FREE_OF_ADDRESS),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The hub's database.
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// The key of what is stored sealed.
    pub(crate) fn key(&self) -> &SealKey {
        &self.inner.key
    }

    /// Now.
    pub(crate) fn clock_now(&self) -> DateTime<Utc> {
        self.inner.clock.now()
    }

    /// Now, as it is stored.
    pub(crate) fn now(&self) -> String {
        stored(self.clock_now())
    }

    /// Notes something in the transaction that does it.
    async fn note_in(
        &self,
        tx: &mut Tx,
        by: &By,
        action: &str,
        object: &str,
        (before, after): (Option<Value>, Option<Value>),
    ) -> Result<()> {
        let after = with_address(after, &by.address);
        let entry = AuditEntry {
            at: self.now(),
            who: by.who.clone(),
            action: action.to_owned(),
            object: object.to_owned(),
            reason: by.reason.clone(),
            before,
            after: Some(after),
        };
        tx.note(entry).await.map(drop)
    }

    /// Notes what a visitor reads, before it is given out: what cannot be noted is refused.
    pub async fn note_read(
        &self,
        visitor: &Visitor,
        action: &str,
        object: &str,
        what: Value,
    ) -> Result<()> {
        let entry = AuditEntry {
            at: self.now(),
            who: visitor.user.clone(),
            action: action.to_owned(),
            object: object.to_owned(),
            reason: String::new(),
            before: None,
            after: Some(with_address(Some(what), &visitor.address)),
        };
        self.store().note(entry).await.map(drop).map_err(|error| {
            tracing::error!(%error, code = error.code(), "the audit could not be written");
            Error::new(ErrorKind::Internal, "E-AUDIT-CLOSED", "this cannot be noted in the audit")
                .hint("nothing is given out that is not noted; see the hub's log")
                .cause(error)
        })
    }
}

fn with_address(what: Option<Value>, address: &str) -> Value {
    let mut what = match what {
        Some(Value::Object(what)) => what,
        Some(other) => [("value".to_owned(), other)].into_iter().collect(),
        None => serde_json::Map::new(),
    };
    what.insert("address".into(), address.into());
    Value::Object(what)
}

/// An instant as it is stored; such texts sort as the instants do.
pub(crate) fn stored(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}
