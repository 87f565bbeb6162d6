//! How requests get in.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use huiliu_httpkit::{Answer, Client, Failure, HeaderName, HeaderValue};
use huiliu_sdk::{Cx, Error, ErrorKind, Result};
use serde_json::Value;
use tokio::sync::Mutex;

use crate::body::AnswerPlan;
use crate::call::Draft;
use crate::pointer::Pointer;

/// The part of a token's life in which it is not used any more, so that none runs out on its way.
const LAST_PART: i32 = 10;

/// How requests get in. Not `Debug`, because it holds secrets.
pub(crate) enum Auth {
    None,
    Fixed(Carrier, String),
    Token(Box<TokenPlan>),
}

/// Where a credential goes.
pub(crate) enum Carrier {
    /// A header, with a text before the credential.
    Header(HeaderName, String),
    /// A parameter of the address.
    Query(String),
    /// A field of the body.
    Field(String),
}

impl Carrier {
    /// Puts `credential` into the request.
    pub(crate) fn carry(&self, draft: &mut Draft, credential: &str) -> Result<()> {
        match self {
            Self::Header(name, prefix) => {
                let value = HeaderValue::from_str(&format!("{prefix}{credential}"));
                let value =
                    value.map_err(|_| unfit("the token received does not fit into a header"))?;
                draft.headers.push((name.clone(), value));
            }
            Self::Query(name) => draft.query(name, credential),
            Self::Field(name) => {
                if !draft.put(name, credential.into()) {
                    return Err(unfit("a request without fields cannot carry the token in one"));
                }
            }
        }
        Ok(())
    }
}

fn unfit(what: &str) -> Error {
    Error::new(ErrorKind::Auth, "E-LOGIN", what).hint("check the keys under auth")
}

/// A token that is fetched, used until it is old or refused, and fetched again.
pub(crate) struct TokenPlan {
    pub(crate) request: Draft,
    pub(crate) answer: AnswerPlan,
    pub(crate) token: Pointer,
    /// Where the answer says for how many seconds the token is valid.
    pub(crate) expires_in: Option<Pointer>,
    pub(crate) ttl: Option<Duration>,
    pub(crate) carrier: Carrier,
    pub(crate) held: Mutex<Option<Token>>,
}

/// A token in use.
#[derive(Clone)]
pub(crate) struct Token {
    pub(crate) text: String,
    until: Option<DateTime<Utc>>,
}

impl TokenPlan {
    /// The token in use, or a new one. A token equal to `refused` is not used any more.
    pub(crate) async fn token(
        &self,
        cx: &Cx,
        client: &Client,
        refused: Option<&str>,
        make: impl Fn(&Draft) -> Result<huiliu_httpkit::Request> + Send + Sync,
    ) -> Result<Token, Failure> {
        let mut held = self.held.lock().await;
        let now = cx.clock.now();
        if let Some(token) = held.as_ref() {
            let young = token.until.is_none_or(|until| now < until);
            if young && refused != Some(token.text.as_str()) {
                return Ok(token.clone());
            }
        }
        // A login that got lost has no effect worth knowing, so only its error is kept.
        let answer = client.send_made(cx, || make(&self.request)).await;
        let answer = answer.map_err(|failure| failure.error)?;
        let answer = self.answer.read(answer, &|_| "***".to_owned())?;
        let token = self.read(&answer, now)?;
        *held = Some(token.clone());
        Ok(token)
    }

    fn read(&self, answer: &Answer, now: DateTime<Utc>) -> Result<Token> {
        let content: Value = answer.json()?;
        let token = self.token.text(&content).filter(|token| !token.is_empty());
        let text = token.ok_or_else(|| {
            let place = self.token.0.join("/");
            let message = format!("{}: the answer holds no token at /{place}", answer.request());
            Error::new(ErrorKind::Auth, "E-LOGIN", message)
                .hint("check the credentials under auth and where the token is")
        })?;
        let said = self.expires_in.as_ref().and_then(|place| place.text(&content));
        let said = said.and_then(|text| text.parse::<i64>().ok()).and_then(TimeDelta::try_seconds);
        let life = self.ttl.and_then(|ttl| TimeDelta::from_std(ttl).ok());
        let life = life.or(said.map(|said| said - said / LAST_PART));
        Ok(Token { text, until: life.and_then(|life| now.checked_add_signed(life)) })
    }
}
