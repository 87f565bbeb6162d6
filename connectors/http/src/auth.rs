//! How requests get in.

use chrono::{DateTime, Utc};
use huiliu_httpkit::{Answer, Client, Failure, HeaderName, HeaderValue, Request};
use huiliu_sdk::{Cx, Error, ErrorKind};
use serde_json::Value;
use tokio::sync::Mutex;

use crate::pointer::Pointer;

/// How requests get in. Not `Debug`, because it holds secrets.
pub(crate) enum Auth {
    None,
    Fixed(HeaderName, HeaderValue),
    Login(Box<Login>),
}

/// A token that is fetched, used until it is old or refused, and fetched again.
pub(crate) struct Login {
    pub(crate) request: Request,
    pub(crate) token: Pointer,
    pub(crate) header: HeaderName,
    pub(crate) prefix: String,
    pub(crate) ttl: Option<std::time::Duration>,
    pub(crate) held: Mutex<Option<Token>>,
}

/// A token in use.
#[derive(Clone)]
pub(crate) struct Token {
    pub(crate) text: String,
    fetched: DateTime<Utc>,
}

impl Login {
    /// The token in use, or a new one. A token equal to `refused` is not used any more.
    pub(crate) async fn token(
        &self,
        cx: &Cx,
        client: &Client,
        refused: Option<&str>,
    ) -> Result<Token, Failure> {
        let mut held = self.held.lock().await;
        let now = cx.clock.now();
        if let Some(token) = held.as_ref() {
            let age = (now - token.fetched).to_std().unwrap_or_default();
            let young = self.ttl.is_none_or(|ttl| age < ttl);
            if young && refused != Some(token.text.as_str()) {
                return Ok(token.clone());
            }
        }
        // A login that got lost has no effect worth knowing, so only its error is kept.
        let answer = client.send(cx, &self.request).await.map_err(|failure| failure.error)?;
        let token = Token { text: self.read(&answer)?, fetched: now };
        *held = Some(token.clone());
        Ok(token)
    }

    fn read(&self, answer: &Answer) -> Result<String, Error> {
        let content: Value = answer.json()?;
        let token = self.token.text(&content).filter(|token| !token.is_empty());
        token.ok_or_else(|| {
            Error::new(
                ErrorKind::Auth,
                "E-LOGIN",
                format!(
                    "{}: the answer holds no token at /{}",
                    answer.request(),
                    self.token.0.join("/")
                ),
            )
            .hint("check the credentials in auth.body and the pointer auth.token")
        })
    }

    /// The header that carries `token`.
    pub(crate) fn carried(&self, token: &Token) -> Result<HeaderValue, Error> {
        HeaderValue::from_str(&format!("{}{}", self.prefix, token.text)).map_err(|_| {
            Error::new(ErrorKind::Auth, "E-LOGIN", "the token received does not fit into a header")
        })
    }
}
