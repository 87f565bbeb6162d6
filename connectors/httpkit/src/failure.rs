//! What went wrong, told apart by what to do about it.

use std::time::Duration;

use huiliu_sdk::{Error, ErrorKind, RefusedAddress};
use reqwest::header::LOCATION;
use reqwest::{StatusCode, Url};

use crate::{Answer, Request};

/// A request that did not succeed.
#[derive(Debug)]
pub struct Failure {
    /// The error.
    pub error: Error,
    /// The system may have acted on the request, and its answer was lost: the outcome is
    /// unknown.
    pub lost: bool,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// Where the system redirects to.
    pub location: Option<Box<Url>>,
    /// The answer, if there was one.
    pub answer: Option<Box<Answer>>,
    pub(crate) again: Again,
}

/// Whether another attempt makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    Never,
    Later,
    After(Duration),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let (location, answer) = (None, None);
        Self { error, lost: false, status: None, location, answer, again: Again::Never }
    }
}

/// The innermost cause in its own words: the system's, which quote neither address nor body.
#[derive(Debug)]
struct Root(String);

impl std::fmt::Display for Root {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Root {}

fn root(error: reqwest::Error) -> Root {
    let error = error.without_url();
    let mut inner: &dyn std::error::Error = &error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    Root(inner.to_string())
}

/// A request that never got a complete answer.
pub(crate) fn of_transport(request: &Request, error: reqwest::Error) -> Failure {
    let name = request.name();
    if error.is_builder() {
        let error = Error::new(ErrorKind::Config, "E-REQUEST", format!("{name}: cannot be sent"))
            .cause(root(error));
        return error.into();
    }
    if let Some(refused) = refused_in(&error) {
        return of_refused(request, refused);
    }
    if error.is_connect() && is_of_tls(&error) {
        let message = format!("{name}: no connection that can be trusted");
        let error = Error::new(ErrorKind::Unreachable, "E-TLS", message)
            .hint(
                "check the system's certificate and the name in the url; `ca` names who signed it",
            )
            .cause(root(error));
        return Failure { again: Again::Later, ..error.into() };
    }
    if error.is_connect() {
        let error =
            Error::new(ErrorKind::Unreachable, "E-CONNECT", format!("{name}: no connection"))
                .hint("check the url, and that the system is up and reachable from here")
                .cause(root(error));
        return Failure { again: Again::Later, ..error.into() };
    }
    let error = if error.is_timeout() {
        Error::new(ErrorKind::Timeout, "E-TIMEOUT", format!("{name}: no answer in time"))
            .hint("raise timeout, or ask for smaller pages")
    } else {
        Error::new(ErrorKind::Unreachable, "E-CUT", format!("{name}: the answer was cut short"))
            .hint("the system or something between closed the connection early")
            .cause(root(error))
    };
    Failure { lost: true, again: Again::Later, ..error.into() }
}

/// An answer that is not whole, although the connection ended well.
pub(crate) fn cut(request: &Request) -> Failure {
    let message = format!("{}: the packed answer is cut short or damaged", request.name());
    let error = Error::new(ErrorKind::Unreachable, "E-CUT", message)
        .hint("the system or something between closed the connection early");
    Failure { lost: true, again: Again::Later, ..error.into() }
}

/// A request to an address that is never connected to.
pub(crate) fn of_refused(request: &Request, refused: RefusedAddress) -> Failure {
    refused.of(&request.name()).into()
}

/// Whether TLS is what went wrong. An error of the socket may hold one that its `source` passes over.
fn is_of_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    if error.is::<rustls::Error>() {
        return true;
    }
    let held = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    held.is_some_and(|held| is_of_tls(held)) || error.source().is_some_and(is_of_tls)
}

fn refused_in(error: &reqwest::Error) -> Option<RefusedAddress> {
    let mut inner: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = inner {
        if let Some(refused) = error.downcast_ref::<RefusedAddress>() {
            return Some(*refused);
        }
        inner = error.source();
    }
    None
}

/// An answer whose status is not success.
pub(crate) fn of_status(
    request: &Request,
    status: StatusCode,
    answer: Answer,
    wait: Option<Duration>,
) -> Failure {
    let name = request.name();
    let number = status.as_u16();
    let made = |kind, code, hint: &str| {
        Error::new(kind, code, format!("{name}: HTTP {number}")).hint(hint)
    };
    let ill = || {
        let hint = "the system or what stands before it is in trouble; try again later, and ask its \
                    operators if it stays";
        made(ErrorKind::Unreachable, "E-STATUS", hint)
    };
    let retry = wait.map_or(Again::Later, Again::After);
    let location =
        answer.header(LOCATION.as_str()).and_then(|text| request.url.join(text).ok()).map(Box::new);
    // A SOAP fault is an answer, not an accident.
    let is_fault = answer.content_type().contains("xml");
    let (error, lost, again) = match number {
        300..=399 => {
            let target = location.as_deref().and_then(Url::host_str).unwrap_or("an unnamed host");
            let error = Error::new(
                ErrorKind::Schema,
                "E-REDIRECT",
                format!("{name}: HTTP {number}, redirected to {target}"),
            )
            .hint("only redirects of a GET to the same host or to one under hosts are followed: set url to the final address, or log in first");
            (error, false, Again::Never)
        }
        401 => (
            made(ErrorKind::Auth, "E-AUTH", "check the credentials under [auth]"),
            false,
            Again::Never,
        ),
        403 => (
            made(
                ErrorKind::Permission,
                "E-PERMISSION",
                "the credentials are known there and not enough: ask the system's owner",
            ),
            false,
            Again::Never,
        ),
        404 => {
            (made(ErrorKind::NotFound, "E-NOT-FOUND", "check url and path"), false, Again::Never)
        }
        408 => {
            let hint =
                "the system waited too long for the request; check the network and try again";
            (made(ErrorKind::Timeout, "E-TIMEOUT", hint), true, Again::Later)
        }
        409 => {
            let hint = "the system holds something else under the same key; ask its owner";
            (made(ErrorKind::Conflict, "E-CONFLICT", hint), false, Again::Never)
        }
        429 => {
            let mut error = made(
                ErrorKind::Throttled,
                "E-THROTTLED",
                "lower requests_per_minute for this system",
            );
            if let Some(wait) = wait {
                error = error.retry_after_ms(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
            }
            (error, false, retry)
        }
        502 | 504 => (ill(), true, retry),
        500..=599 if is_fault && number != 503 => (ill(), false, Again::Never),
        500..=599 => (ill(), false, retry),
        _ => (
            made(ErrorKind::Data, "E-STATUS", "the system refuses the request as it is"),
            false,
            Again::Never,
        ),
    };
    let answer = Some(Box::new(answer));
    Failure { error, lost, status: Some(number), location, answer, again }
}
