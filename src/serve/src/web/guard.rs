//! Who is let in: stands before every handler.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequestParts, Request};
use axum::http::header::{AUTHORIZATION, LOCATION};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use huiliu_core::access::Permission;
use huiliu_sdk::{Error, ErrorKind, Result};
use serde_json::json;

use super::form::{CSRF, Form, MAX_FORM, read};
use super::{App, Face, Failure, FailureInfo, Language, Need, ReadNote, cookie, headers, repeat};
use crate::console;
use crate::identity::secret::is_same;
use crate::identity::{Entry, Visitor};

/// The header that programs in a browser send in the place of the form's field.
const CSRF_HEADER: &str = "x-csrf-token";

/// From where a request came; put there by the listener.
#[derive(Debug, Clone)]
pub(crate) struct Address(pub(crate) String);

/// What stands before one route.
#[derive(Clone)]
pub(super) struct Guard {
    pub(super) app: Arc<App>,
    pub(super) need: Need,
    /// Whether it answers somebody who sees only some rows.
    pub(super) is_within_limits: bool,
    pub(super) face: Face,
}

impl Guard {
    /// Lets a request through to its handler, or says why not.
    pub(super) async fn pass(self, request: Request, next: Next) -> Response {
        let language = Language::of(request.headers());
        let is_asked = request.method() == Method::GET;
        let mut visitor = None;
        let mut response = match self.check(request, &mut visitor).await {
            Ok(request) => Box::pin(self.answer(request, next, visitor.as_ref())).await,
            Err(error) => Err(error),
        }
        .unwrap_or_else(|error| Failure::from(error).into_response());
        let Some(info) = response.extensions_mut().remove::<FailureInfo>() else { return response };
        if self.face == Face::Api {
            return info.problem(&self.app, language);
        }
        if info.code == "E-SIGN-IN-FIRST" && is_asked {
            return redirect("/login");
        }
        if info.code == "E-PASSWORD-CHANGE" && is_asked {
            return redirect("/password");
        }
        let mut response = console::failure(&self.app, visitor.as_ref(), &info, language);
        *response.status_mut() = info.status;
        info.add_headers(&mut response);
        response
    }

    /// The answer of the handler; of what reads single records it is given out only when that is
    /// noted.
    async fn answer(
        &self,
        request: Request,
        next: Next,
        visitor: Option<&Visitor>,
    ) -> Result<Response> {
        let object = request.uri().path().to_owned();
        let query = request.uri().query().map(str::to_owned);
        // What only reads is read anew, so that each time is noted.
        let may_repeat = self.face == Face::Api && !self.need.only_reads();
        let key = may_repeat.then(|| repeat::key(&request)).flatten();
        let mut response = match (key, visitor) {
            (Some(key), Some(visitor)) => {
                repeat::once(self.app.accounts(), visitor, &key, request, next).await?
            }
            _ => next.run(request).await,
        };
        let note = response.extensions_mut().remove::<ReadNote>();
        let is_read = self.need == Need::Permission(Permission::Records);
        if let (Some(visitor), true) = (visitor, response.status().is_success() && is_read) {
            // Whoever was put out or given other limits meanwhile gets nothing of it.
            if !self.app.accounts().is_still_in(visitor).await? {
                return Err(sign_in_first());
            }
            let (rows, columns) = note.map(|note| (note.rows, note.columns)).unzip();
            let what = json!({ "query": query, "rows": rows, "columns": columns });
            self.app.accounts().note_read(visitor, "read", &object, what).await?;
        }
        Ok(response)
    }

    async fn check(&self, mut request: Request, seen: &mut Option<Visitor>) -> Result<Request> {
        let from = address(request.extensions());
        let found = self.visitor(request.headers(), &from).await?;
        seen.clone_from(&found);
        let is_change = !matches!(*request.method(), Method::GET | Method::HEAD);
        if is_change && matches!(&found, None | Some(Visitor { entry: Entry::Session(_), .. })) {
            request = self.sent_from_here(request, found.as_ref()).await?;
        }
        let Some(visitor) = found else {
            if self.need == Need::Nothing {
                return Ok(request);
            }
            return Err(sign_in_first());
        };
        let is_changing = matches!(self.need, Need::User | Need::Permission(_));
        if is_changing && visitor.must_change {
            let message = "the password must be changed first";
            return Err(Error::new(ErrorKind::Permission, "E-PASSWORD-CHANGE", message)
                .hint("set another one; then everything is as before"));
        }
        if let Need::Permission(permission) = self.need {
            visitor.require(permission)?;
        }
        if !self.is_within_limits {
            visitor.require_all_rows()?;
        }
        request.extensions_mut().insert(visitor);
        Ok(request)
    }

    async fn visitor(&self, headers: &HeaderMap, address: &str) -> Result<Option<Visitor>> {
        let accounts = self.app.accounts();
        if let Some(token) = bearer(headers).filter(|_| self.face == Face::Api) {
            return accounts.token_visitor(token, address).await;
        }
        match cookie::session_secret(self.app.settings(), headers) {
            Some(secret) => accounts.session_visitor(&secret, address).await,
            None => Ok(None),
        }
    }

    /// Whether a change was sent by a page of ours: by its origin, and within a session by what
    /// only our pages know.
    async fn sent_from_here(&self, request: Request, visitor: Option<&Visitor>) -> Result<Request> {
        let settings = self.app.settings();
        let host = headers::host(request.headers(), request.uri()).unwrap_or_default();
        if headers::is_foreign(settings, request.headers(), host) {
            return Err(forged());
        }
        let Some(visitor) = visitor else { return Ok(request) };
        let is_known = |sent: &str| is_same(sent.as_bytes(), visitor.csrf.as_bytes());
        let header = request.headers().get(CSRF_HEADER).and_then(|value| value.to_str().ok());
        if header.is_some_and(is_known) {
            return Ok(request);
        }
        if self.face == Face::Api {
            return Err(forged());
        }
        let (parts, body) = request.into_parts();
        let bytes = read(body, MAX_FORM).await?;
        if !Form::parse(&bytes).get(CSRF).is_some_and(is_known) {
            return Err(forged());
        }
        Ok(Request::from_parts(parts, Body::from(bytes)))
    }
}

fn sign_in_first() -> Error {
    Error::new(ErrorKind::Auth, "E-SIGN-IN-FIRST", "log in first")
        .hint("send a token as `Authorization: Bearer …`, or the cookie of a session")
}

fn forged() -> Error {
    let message = "this was not sent by a page of the hub";
    Error::new(ErrorKind::Permission, "E-CSRF", message).hint("load the page again and repeat it")
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// From where a request came.
pub(crate) fn address(extensions: &axum::http::Extensions) -> String {
    extensions.get::<Address>().map_or_else(|| "-".to_owned(), |address| address.0.clone())
}

fn redirect(to: &'static str) -> Response {
    (StatusCode::SEE_OTHER, [(LOCATION, HeaderValue::from_static(to))]).into_response()
}

impl<S: Send + Sync> FromRequestParts<S> for Visitor {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let visitor = parts.extensions.get::<Self>().cloned();
        visitor
            .ok_or_else(|| Error::internal("a handler asks for a visitor its row lets out").into())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Address {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(address(&parts.extensions)))
    }
}
