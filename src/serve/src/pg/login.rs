//! Login: the token is the password of any user, proven with SCRAM-SHA-256.
//!
//! The token never crosses the wire. The client's proof is bound to a nonce that is used once, so
//! how long its comparison takes tells nothing about the token, and the work is the same for every
//! user name.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use aes_gcm::aead::OsRng;
use aes_gcm::aead::rand_core::RngCore;
use async_trait::async_trait;
use datafusion_postgres::pgwire::api::auth::sasl::SASLAuthStartupHandler;
use datafusion_postgres::pgwire::api::auth::sasl::scram::{
    SCRAM_ITERATIONS, ScramAuth, gen_salted_password,
};
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
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::failure::{fatal, state};
use super::limit::Running;
use super::server::MAX_CONNECTIONS;

/// By process id: what a request to cancel must know, and what it stops.
type Cancellable = Arc<Mutex<HashMap<i32, (SecretKey, Arc<Running>)>>>;

/// Who may come in, how many are in, and whose statements can be cancelled.
pub(crate) struct Gatekeeper {
    token: Arc<SaltedToken>,
    places: Arc<Semaphore>,
    process_ids: Arc<RandomPidSecretKeyGenerator>,
    running: Cancellable,
}

/// The token as SCRAM needs it.
struct SaltedToken {
    salt: Vec<u8>,
    salted: Vec<u8>,
}

/// The login of one connection.
pub(crate) struct Login {
    scram: SASLAuthStartupHandler<DefaultServerParameterProvider>,
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
    pub(crate) fn new(token: &str) -> Self {
        let mut salt = vec![0_u8; 16];
        OsRng.fill_bytes(&mut salt);
        let salted = gen_salted_password(token, &salt, SCRAM_ITERATIONS);
        Self {
            token: Arc::new(SaltedToken { salt, salted }),
            places: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
            process_ids: Arc::default(),
            running: Arc::default(),
        }
    }

    /// A login for one connection, whose statements are tracked in `running`.
    pub(crate) fn login(&self, running: Arc<Running>) -> Login {
        let token: Arc<SaltedToken> = Arc::clone(&self.token);
        let process_ids: Arc<RandomPidSecretKeyGenerator> = Arc::clone(&self.process_ids);
        let mut parameters = DefaultServerParameterProvider::default();
        parameters.server_version = concat!("16.6 (huiliu ", env!("CARGO_PKG_VERSION"), ")").into();
        parameters.search_path = "standard".to_owned();
        parameters.is_superuser = false;
        parameters.default_transaction_read_only = true;
        Login {
            scram: SASLAuthStartupHandler::new(Arc::new(parameters))
                .with_scram(ScramAuth::new(token))
                .with_pid_secret_key_generator(process_ids),
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

impl fmt::Debug for SaltedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SaltedToken").finish_non_exhaustive()
    }
}

#[async_trait]
impl AuthSource for SaltedToken {
    async fn get_password(&self, _login: &LoginInfo) -> PgWireResult<Password> {
        Ok(Password::new(Some(self.salt.clone()), self.salted.clone()))
    }
}

impl Login {
    /// Whether the client has proven that it knows the token.
    pub(crate) fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }
}

#[async_trait]
impl StartupHandler for Login {
    async fn on_startup<C>(
        &self,
        client: &mut C,
        message: PgWireFrontendMessage,
    ) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: fmt::Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        if self.places.available_permits() == 0 {
            return Err(full());
        }
        self.scram.on_startup(client, message).await.map_err(login_error)?;
        if !matches!(client.state(), PgWireConnectionState::ReadyForQuery) {
            return Ok(());
        }
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
        _ => fatal(
            state::LOGIN,
            "password authentication failed: the token is wrong or missing",
            "the password is the hub's token, with any user name",
        ),
    }
}

fn full() -> PgWireError {
    fatal(
        state::TOO_MANY,
        format!("too many connections: {MAX_CONNECTIONS} are open already"),
        "close one and connect again",
    )
}
