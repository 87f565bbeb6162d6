//! Who is let in: stands before every call.

use std::collections::HashSet;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use arrow_flight::flight_service_server::FlightServiceServer;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, Request, Response};
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use huiliu_core::access::Permission;
use huiliu_sdk::{Error, ErrorKind, Result};
use hyper::body::Incoming;
use tokio::sync::Mutex;
use tonic::body::Body;
use tonic::codegen::Service;

use super::failure::status;
use super::service::Flight;
use crate::identity::{Accounts, Entry, Visitor};
use crate::web::Rates;

/// How this door is called in the audit.
pub(super) const DOOR: &str = "flight";
/// With or without `=` at the end: some clients leave it out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The calls of one connection.
#[derive(Clone)]
pub(super) struct Guard {
    pub(super) flight: FlightServiceServer<Flight>,
    pub(super) accounts: Accounts,
    pub(super) rates: Arc<Rates>,
    pub(super) client: Arc<Client>,
}

/// Who is at the other end of a connection.
pub(super) struct Client {
    address: String,
    is_known: AtomicBool,
    /// The tokens whose login is in the audit.
    noted: Mutex<HashSet<String>>,
}

/// What a call brings along.
pub(super) struct Credentials {
    user: Option<String>,
    pub(super) token: String,
}

impl Credentials {
    /// `Bearer TOKEN`, or `Basic` with a user and a token.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let (scheme, rest) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
        if scheme.eq_ignore_ascii_case("bearer") {
            return Some(Self { user: None, token: rest.trim().to_owned() });
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let text = String::from_utf8(BASE64.decode(rest.trim()).ok()?).ok()?;
        let (user, token) = text.split_once(':')?;
        Some(Self { user: Some(user.to_owned()), token: token.to_owned() })
    }
}

impl Client {
    pub(super) fn new(address: String) -> Self {
        Self { address, is_known: AtomicBool::new(false), noted: Mutex::default() }
    }

    /// Whether a good token came over this connection.
    pub(super) fn is_known(&self) -> bool {
        self.is_known.load(Ordering::Acquire)
    }

    /// Notes the login of each token once; what cannot be noted is no login.
    async fn enter(&self, accounts: &Accounts, visitor: &Visitor) -> Result<()> {
        let Entry::Token(id) = &visitor.entry else {
            return Err(Error::internal("somebody came in without a token"));
        };
        let mut noted = self.noted.lock().await;
        if !noted.contains(id) {
            let login = accounts.note_token_login(&visitor.user, &self.address, DOOR, true).await;
            login.map_err(|error| {
                let message = "the login cannot be noted in the audit";
                Error::new(ErrorKind::Internal, "E-AUDIT-CLOSED", message)
                    .hint("nobody comes in who is not noted; see the hub's log")
                    .cause(error)
            })?;
            noted.insert(id.clone());
        }
        self.is_known.store(true, Ordering::Release);
        Ok(())
    }
}

impl Guard {
    async fn check(&self, headers: &HeaderMap) -> Result<Visitor> {
        let address = &self.client.address;
        if !self.rates.admit(address, Instant::now()) {
            let message = "too many requests from this address";
            return Err(Error::new(ErrorKind::Throttled, "E-RATE", message).hint("wait a second"));
        }
        let Some(Credentials { user, token }) = Credentials::of(headers) else {
            return Err(Error::new(ErrorKind::Auth, "E-SIGN-IN-FIRST", "log in first").hint(
                "send `authorization: Bearer TOKEN`, or the user's name and a token as its password",
            ));
        };
        let visitor = self.accounts.token_login(user.as_deref(), &token, address, DOOR).await?;
        visitor.require(Permission::Query)?;
        self.client.enter(&self.accounts, &visitor).await?;
        Ok(visitor)
    }
}

impl hyper::service::Service<Request<Incoming>> for Guard {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let mut guard = self.clone();
        Box::pin(async move {
            match guard.check(request.headers()).await {
                Ok(visitor) => {
                    request.extensions_mut().insert(visitor);
                    guard.flight.call(request).await
                }
                Err(error) => Ok(status(&error).into_http()),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: &str) -> Option<(Option<String>, String)> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, value.parse().unwrap());
        Credentials::of(&headers).map(|found| (found.user, found.token))
    }

    #[test]
    fn a_token_comes_in_two_ways() {
        let named = Some((Some("zhang.wei".to_owned()), "hl_1_a:b".to_owned()));
        assert_eq!(of("Bearer hl_1_a"), Some((None, "hl_1_a".to_owned())));
        assert_eq!(of("Basic emhhbmcud2VpOmhsXzFfYTpi"), named);
        assert_eq!(of("basic emhhbmcud2VpOmhsXzFfYTpi"), named);
        // "ab:cd" with and without its padding.
        let short = Some((Some("ab".to_owned()), "cd".to_owned()));
        assert_eq!((of("Basic YWI6Y2Q="), of("Basic YWI6Y2Q")), (short.clone(), short));
        for nothing in ["", "hl_1_a", "Basic", "Basic ***", "Basic YWI=", "Digest YWI6Y2Q="] {
            assert_eq!(of(nothing), None, "{nothing}");
        }
    }
}
