//! Forms of pages. Who sent them was checked before, by `guard`.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest, Request};
use huiliu_sdk::{Error, ErrorKind, Result};
use maud::{Markup, html};

use super::Failure;
use crate::identity::Visitor;

/// The most bytes of a form.
pub(crate) const MAX_FORM: usize = 64 << 10;
/// How long a body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(20);
/// The field that holds what no other site knows.
pub(crate) const CSRF: &str = "csrf";

/// The hidden field that every form of a page holds.
pub fn csrf_field(visitor: &Visitor) -> Markup {
    html! { input type="hidden" name=(CSRF) value=(visitor.csrf); }
}

/// The fields of a form that was sent.
#[derive(Clone, Default)]
pub struct Form {
    fields: Vec<(String, String)>,
}

impl Form {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let fields = form_urlencoded::parse(bytes);
        Self { fields: fields.map(|(name, value)| (name.into(), value.into())).collect() }
    }

    /// The first value of a field, if it is there and not blank.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(field, _)| field == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.trim().is_empty())
    }

    /// The first value of a field that must be there, without blanks around it.
    pub fn text(&self, name: &str) -> Result<&str> {
        self.get(name).map(str::trim).ok_or_else(|| {
            let message = format!("the field `{name}` is missing");
            Error::new(ErrorKind::Config, "E-INPUT", message).hint("fill it in")
        })
    }

    /// All values of a field.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let named = self.fields.iter().filter(|(field, _)| field == name);
        named.map(|(_, value)| value.as_str()).collect()
    }
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> std::result::Result<Self, Failure> {
        Ok(Self::parse(&read(request.into_body(), MAX_FORM).await?))
    }
}

/// A body of at most `limit` bytes, which must come soon.
pub(crate) async fn read(body: Body, limit: usize) -> Result<axum::body::Bytes> {
    let refused = || {
        let message = format!("the body is longer than {limit} bytes, too slow, or broke off");
        Error::new(ErrorKind::Config, "E-BODY", message).hint("send less at once")
    };
    match tokio::time::timeout(BODY_TIMEOUT, to_bytes(body, limit)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        _ => Err(refused()),
    }
}
