//! Login: the password of a user is one of the user's tokens, proven with SCRAM-SHA-256.
//!
//! The token never crosses the wire. The client's proof is bound to a nonce that is used once, so
//! how long its comparison takes tells nothing about the token, and the work is the same for every
//! user name.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use async_trait::async_trait;
use datafusion_postgres::pgwire::api::auth::sasl::SASLAuthStartupHandler;
use datafusion_postgres::pgwire::api::auth::sasl::scram::ScramAuth;
use datafusion_postgres::pgwire::api::auth::{
    AuthSource, DefaultServerParameterProvider, LoginInfo, Password, StartupHandler,
};
use datafusion_postgres::pgwire::api::cancel::CancelHandler;
use datafusion_postgres::pgwire::api::{
    ClientInfo, PgWireConnectionState, RandomPidSecretKeyGenerator,
};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::cancel::CancelRequest;
use datafusion_postgres::pgwire::messages::startup::SecretKey;
use datafusion_postgres::pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};
use futures::Sink;
use huiliu_core::access::Permission;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::failure::{fatal, hub_error, state};
use super::limit::Running;
use super::server::MAX_CONNECTIONS;
use super::setting;
use crate::identity::{Accounts, Visitor};

/// By process id: what a request to cancel must know, and what it stops.
type Cancellable = Arc<Mutex<HashMap<i32, (SecretKey, Arc<Running>)>>>;

/// Who may come in, how many are in, and whose statements can be cancelled.
pub(crate) struct Gatekeeper {
    accounts: Accounts,
    places: Arc<Semaphore>,
    process_ids: Arc<RandomPidSecretKeyGenerator>,
    running: Cancellable,
}

/// Looks up what the proof of one connection is compared with.
struct TokenSource {
    accounts: Accounts,
    address: String,
    /// Whoever comes in when the proof holds.
    found: Arc<Mutex<Option<Visitor>>>,
}

/// The login of one connection.
pub(crate) struct Login {
    scram: SASLAuthStartupHandler<DefaultServerParameterProvider>,
    accounts: Accounts,
    address: String,
    found: Arc<Mutex<Option<Visitor>>>,
    visitor: Arc<OnceLock<Visitor>>,
    places: Arc<Semaphore>,
    entry: Entry,
    done: AtomicBool,
}

/// A connection's place, and its entry among those whose statement can be cancelled; both end
/// with it.
struct Entry {
    place: OnceLock<(OwnedSemaphorePermit, i32)>,
    running: Arc<Running>,
    all: Cancellable,
}

/// Answers requests to cancel a statement; they come on connections of their own.
pub(crate) struct Canceller {
    running: Cancellable,
}

impl Gatekeeper {
    pub(crate) fn new(accounts: Accounts) -> Self {
        Self {
            accounts,
            places: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
            process_ids: Arc::default(),
            running: Arc::default(),
        }
    }

    /// A login for one connection from `address`, whose statements are tracked in `running`.
    pub(crate) fn login(&self, address: String, running: Arc<Running>) -> Login {
        let found: Arc<Mutex<Option<Visitor>>> = Arc::default();
        let source = TokenSource {
            accounts: self.accounts.clone(),
            address: address.clone(),
            found: Arc::clone(&found),
        };
        let process_ids: Arc<RandomPidSecretKeyGenerator> = Arc::clone(&self.process_ids);
        let mut parameters = DefaultServerParameterProvider::default();
        parameters.server_version = concat!("16.6 (huiliu ", env!("CARGO_PKG_VERSION"), ")").into();
        parameters.search_path = "standard".to_owned();
        parameters.is_superuser = false;
        parameters.default_transaction_read_only = true;
        Login {
            scram: SASLAuthStartupHandler::new(Arc::new(parameters))
                .with_scram(ScramAuth::new(Arc::new(source)))
                .with_pid_secret_key_generator(process_ids),
            accounts: self.accounts.clone(),
            address,
            found,
            visitor: Arc::default(),
            places: Arc::clone(&self.places),
            entry: Entry { place: OnceLock::new(), running, all: Arc::clone(&self.running) },
            done: AtomicBool::new(false),
        }
    }

    /// The answer to requests to cancel.
    pub(crate) fn canceller(&self) -> Canceller {
        Canceller { running: Arc::clone(&self.running) }
    }
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSource").finish_non_exhaustive()
    }
}

#[async_trait]
impl AuthSource for TokenSource {
    async fn get_password(&self, login: &LoginInfo) -> PgWireResult<Password> {
        let name = login.user().unwrap_or_default();
        let verifier = self.accounts.verifier(name, &self.address).await;
        let verifier = verifier.map_err(|error| hub_error(&error))?;
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = verifier.visitor;
        Ok(Password::new(Some(verifier.salt), verifier.salted))
    }
}

impl Login {
    /// Whether the client has proven that it knows a token.
    pub(crate) fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }

    /// Whoever came in, once somebody has.
    pub(crate) fn visitor(&self) -> Arc<OnceLock<Visitor>> {
        Arc::clone(&self.visitor)
    }

    async fn note(&self, name: &str, is_in: bool) -> PgWireResult<()> {
        let noted = self.accounts.note_token_login(name, &self.address, "postgres", is_in).await;
        noted.map_err(|error| {
            tracing::error!(%error, code = error.code(), "a login could not be noted");
            fatal(state::INTERNAL, "the login cannot be noted in the audit", "see the hub's log")
        })
    }

    /// Lets the user in whose proof held.
    async fn enter(&self, name: &str) -> PgWireResult<()> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner).take();
        match found.filter(|visitor| visitor.may(Permission::Query)) {
            Some(visitor) => {
                self.note(name, true).await?;
                self.visitor.set(visitor).map_err(|_| wrong())
            }
            None => {
                self.note(name, false).await?;
                Err(wrong())
            }
        }
    }
}

#[async_trait]
impl StartupHandler for Login {
    async fn on_startup<C>(
        &self,
        client: &mut C,
        mut message: PgWireFrontendMessage,
    ) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: fmt::Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        if self.places.available_permits() == 0 {
            return Err(full());
        }
        // A client is told that it has come in as soon as its proof holds, so what it wants to be
        // set is looked at before.
        if let PgWireFrontendMessage::Startup(startup) = &mut message {
            let mut settings = std::mem::take(&mut startup.parameters).into_iter().collect();
            setting::begin(&mut settings)?;
            startup.parameters = settings.into_iter().collect();
        }
        let proven = self.scram.on_startup(client, message).await;
        let name = client.metadata().get("user").cloned().unwrap_or_default();
        if let Err(error) = proven {
            if matches!(error, PgWireError::InvalidPassword(_)) {
                self.note(&name, false).await?;
            }
            return Err(login_error(error));
        }
        if !matches!(client.state(), PgWireConnectionState::ReadyForQuery) {
            return Ok(());
        }
        self.enter(&name).await?;
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| full())?;
        let (process_id, secret) = client.pid_and_secret_key();
        self.entry.register(place, process_id, secret);
        self.done.store(true, Ordering::Release);
        Ok(())
    }
}

impl Entry {
    fn register(&self, place: OwnedSemaphorePermit, process_id: i32, secret: SecretKey) {
        if self.place.set((place, process_id)).is_ok() {
            let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
            all.insert(process_id, (secret, Arc::clone(&self.running)));
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let Some((_, process_id)) = self.place.get() {
            self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(process_id);
        }
    }
}

#[async_trait]
impl CancelHandler for Canceller {
    async fn on_cancel_request(&self, request: CancelRequest) {
        let all = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((secret, running)) = all.get(&request.pid)
            && secret.eq_value(&request.secret_key)
        {
            running.cancel();
        }
    }
}

/// Every failed login ends the connection, and a wrong token reads the same however it failed.
fn login_error(error: PgWireError) -> PgWireError {
    match error {
        PgWireError::UnsupportedProtocolVersion(..) => {
            fatal(state::PROTOCOL, error.to_string(), "use a client for Postgres 10 or newer")
        }
        _ => wrong(),
    }
}

fn wrong() -> PgWireError {
    fatal(
        state::LOGIN,
        "password authentication failed: the user or the token is wrong",
        "the password is a token of this user that may query; the console makes one, or \
         `huiliu user token create`",
    )
}

fn full() -> PgWireError {
    fatal(
        state::TOO_MANY,
        format!("too many connections: {MAX_CONNECTIONS} are open already"),
        "close one and connect again",
    )
}
