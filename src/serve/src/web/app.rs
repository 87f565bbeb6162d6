//! What every handler can reach.

use std::sync::Arc;

use crate::data::Hub;
use crate::identity::Accounts;
use crate::sql::Gate;

/// How the web is reached.
#[derive(Debug, Clone, Default)]
pub struct WebSettings {
    /// The address of a gateway with TLS before the hub, such as `https://hub.example.gov.cn`.
    pub public_url: Option<String>,
}

impl WebSettings {
    /// Whether browsers come over TLS.
    pub fn is_secure(&self) -> bool {
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
}

impl App {
    /// An app over its parts.
    pub fn new(hub: Arc<dyn Hub>, accounts: Accounts, gate: Gate, settings: WebSettings) -> Self {
        Self { hub, accounts, gate, settings }
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

    /// How the web is reached.
    pub fn settings(&self) -> &WebSettings {
        &self.settings
    }
}
