//! The one way all requests to a system go: its client, its credentials.

use std::sync::{Mutex, PoisonError};

use huiliu_httpkit::{Answer, Client, Failure, Request, Settings};
use huiliu_sdk::{Cx, Error, ErrorKind, Result};
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::auth::{Auth, Token};
use crate::pointer::Pointer;

/// The longest words of a remote system that go into a message.
const LONGEST_WORDS: usize = 200;

/// A system as requests see it. Not `Debug`, because it holds secrets.
pub(crate) struct Session {
    settings: Settings,
    /// Made with the first request, because certificates are read from the disk.
    client: OnceCell<Client>,
    auth: Auth,
    secrets: Vec<String>,
    issued: Mutex<Option<String>>,
}

impl Session {
    /// A session. `secrets` are kept out of every message.
    pub(crate) fn new(settings: Settings, auth: Auth, secrets: Vec<String>) -> Self {
        Self { settings, client: OnceCell::new(), auth, secrets, issued: Mutex::new(None) }
    }

    /// Sends `request` with credentials. A login's token that is refused is renewed once.
    pub(crate) async fn send(&self, cx: &Cx, request: &Request) -> Result<Answer, Failure> {
        let settings = self.settings.clone();
        let client = self.client.get_or_try_init(async || Client::new(settings)).await?;
        let (allowed, token) = self.allow(cx, client, request, None).await?;
        match client.send(cx, &allowed).await {
            Err(failure) if failure.status == Some(401) && token.is_some() => {
                let refused = token.as_ref().map(|token| token.text.as_str());
                let (allowed, _) = self.allow(cx, client, request, refused).await?;
                client.send(cx, &allowed).await
            }
            other => other,
        }
    }

    async fn allow(
        &self,
        cx: &Cx,
        client: &Client,
        request: &Request,
        refused: Option<&str>,
    ) -> Result<(Request, Option<Token>), Failure> {
        match &self.auth {
            Auth::None => Ok((request.clone(), None)),
            Auth::Fixed(name, value) => {
                Ok((request.clone().header(name.clone(), value.clone()), None))
            }
            Auth::Login(login) => {
                let token = login.token(cx, client, refused).await?;
                let value = login.carried(&token)?;
                *self.issued.lock().unwrap_or_else(PoisonError::into_inner) =
                    Some(token.text.clone());
                Ok((request.clone().header(login.header.clone(), value), Some(token)))
            }
        }
    }

    /// Words of the remote system, without our secrets and cut to a bearable length.
    pub(crate) fn quote(&self, words: &str) -> String {
        let mut words = words.to_owned();
        let issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for secret in self.secrets.iter().chain(&issued) {
            if !secret.is_empty() {
                words = words.replace(secret, "***");
            }
        }
        if let Some((cut, _)) = words.char_indices().nth(LONGEST_WORDS) {
            words.truncate(cut);
        }
        words
    }
}

/// What must hold in an answer.
#[derive(Clone, Default)]
pub(crate) struct Success {
    /// Places and the texts that must be there.
    pub(crate) conditions: Vec<(Pointer, String)>,
    /// Place of the system's words when they are not.
    pub(crate) message: Option<Pointer>,
}

impl Success {
    /// Fails with what the system said instead.
    pub(crate) fn check(&self, session: &Session, request: &str, content: &Value) -> Result<()> {
        for (pointer, wanted) in &self.conditions {
            let found = pointer.text(content);
            if found.as_ref() == Some(wanted) {
                continue;
            }
            // Many systems answer 200 and put what HTTP would say into their own code.
            let kind = match found.as_deref() {
                Some("401") => ErrorKind::Auth,
                Some("403") => ErrorKind::Permission,
                _ => ErrorKind::Data,
            };
            let found = found.map_or_else(
                || "nothing".to_owned(),
                |found| format!("`{}`", session.quote(&found).chars().take(40).collect::<String>()),
            );
            let place = pointer.0.join("/");
            let mut message = format!("{request}: /{place} is {found} instead of `{wanted}`");
            let words = self.message.as_ref().and_then(|pointer| pointer.text(content));
            if let Some(words) = words {
                message.push_str(&format!(", the system says: {}", session.quote(&words)));
            }
            let error = Error::new(kind, "E-REMOTE", message);
            return Err(match kind {
                ErrorKind::Data => error,
                _ => error.hint("check the credentials in the system file's [auth]"),
            });
        }
        Ok(())
    }
}
