//! The one way all requests to a system go: its client, its credentials, its signatures.

use std::sync::{Mutex, PoisonError};

use huiliu_httpkit::{Answer, Client, Failure, HeaderName, HeaderValue, Method, Request, Settings};
use huiliu_sdk::{Cx, ErrorKind, Result};
use tokio::sync::OnceCell;

use crate::auth::{Auth, Token};
use crate::body::AnswerPlan;
use crate::call::Draft;
use crate::hosts::Hosts;
use crate::sign::encrypt::EncryptPlan;
use crate::sign::{Key, SignPlan};

/// The longest words of a remote system that go into a message.
const LONGEST_WORDS: usize = 200;
/// How often in a row a request is redirected before that counts as a loop.
const MOST_REDIRECTS: u32 = 3;

/// What stands around all requests of a system.
pub(crate) struct Surroundings {
    pub(crate) hosts: Hosts,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) auth: Auth,
    pub(crate) sign: Option<SignPlan>,
    pub(crate) encrypt: Option<EncryptPlan>,
    /// What is kept out of every message.
    pub(crate) secrets: Vec<String>,
}

/// A system as requests see it. Not `Debug`, because it holds secrets.
pub(crate) struct Session {
    settings: Settings,
    /// Made with the first request, because certificates are read from the disk.
    client: OnceCell<Client>,
    around: Surroundings,
    /// The last token and key that the system itself gave out.
    issued: Mutex<[Option<String>; 2]>,
}

impl Session {
    pub(crate) fn new(settings: Settings, around: Surroundings) -> Self {
        Self { settings, client: OnceCell::new(), around, issued: Mutex::default() }
    }

    /// Where requests may go.
    pub(crate) fn hosts(&self) -> &Hosts {
        &self.around.hosts
    }

    /// Sends a request and reads its answer. A token or key that is refused, by HTTP or by what
    /// `read` finds in the answer, is renewed once.
    pub(crate) async fn ask<T>(
        &self,
        cx: &Cx,
        draft: &Draft,
        plan: &AnswerPlan,
        read: impl Fn(&Answer) -> Result<T> + Send + Sync,
    ) -> Result<T, Failure> {
        let settings = self.settings.clone();
        let client = self.client.get_or_try_init(async || Client::new(settings)).await?;
        let mut refused = None;
        loop {
            let ready = self.ready(cx, client, refused.as_ref()).await?;
            let failure = match self.exchange(cx, client, draft, &ready).await {
                Ok(answer) => {
                    let status = Some(answer.status());
                    match self.opened(answer, plan).and_then(|answer| read(&answer)) {
                        Ok(done) => return Ok(done),
                        Err(error) => {
                            let mut failure = Failure::from(error);
                            failure.status = status;
                            failure
                        }
                    }
                }
                Err(failure) => self.explained(failure, plan),
            };
            let can_renew = ready.token.is_some() || ready.is_exchanged;
            if failure.error.kind() != ErrorKind::Auth || refused.is_some() || !can_renew {
                return Err(failure);
            }
            refused = Some(ready);
        }
    }

    fn opened(&self, answer: Answer, plan: &AnswerPlan) -> Result<Answer> {
        let answer = plan.read(answer, &|words| self.quote(words))?;
        match &self.around.encrypt {
            Some(encrypt) if !plan.is_raw() => encrypt.open(answer),
            _ => Ok(answer),
        }
    }

    /// A SOAP fault comes with a status of its own, and says more than that.
    fn explained(&self, mut failure: Failure, plan: &AnswerPlan) -> Failure {
        let answer = failure.answer.as_deref().filter(|_| plan.soap.is_some()).cloned();
        match answer.map(|answer| plan.read(answer, &|words| self.quote(words))) {
            Some(Err(error)) if error.code() == "E-SOAP-FAULT" => failure.error = error,
            _ => {}
        }
        failure
    }

    /// Sends a request; a GET follows redirects to hosts that are allowed.
    async fn exchange(
        &self,
        cx: &Cx,
        client: &Client,
        draft: &Draft,
        ready: &Ready,
    ) -> Result<Answer, Failure> {
        let mut draft = draft.clone();
        let mut redirects = 0;
        loop {
            let make = || {
                if self.around.hosts.is_own(&draft.url) {
                    return self.made(&draft, ready, cx, self.around.encrypt.as_ref());
                }
                self.around.hosts.check(draft.method.as_str(), &draft.url)?;
                Ok(draft.finish())
            };
            let failure = match client.send_made(cx, make).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let is_redirect = matches!(failure.status, Some(301 | 302 | 303 | 307 | 308));
            let follows = is_redirect && draft.method == Method::GET && redirects < MOST_REDIRECTS;
            match failure.location.as_deref() {
                Some(url) if follows && self.around.hosts.is_allowed(url) => {
                    draft.url = url.clone();
                    redirects += 1;
                }
                _ => return Err(failure),
            }
        }
    }

    /// The credentials for the next request.
    async fn ready(
        &self,
        cx: &Cx,
        client: &Client,
        refused: Option<&Ready>,
    ) -> Result<Ready, Failure> {
        let key = self.around.sign.as_ref().map(|sign| sign.key.clone());
        let mut ready = Ready { token: None, key, is_exchanged: false };
        if let Auth::Token(plan) = &self.around.auth {
            let refused = refused.and_then(|refused| refused.token.as_ref());
            let refused = refused.map(|token| token.text.as_str());
            let make = |draft: &Draft| self.made(draft, &ready, cx, None);
            let token = plan.token(cx, client, refused, make).await?;
            self.note(0, &token.text);
            ready.token = Some(token);
        }
        let exchange =
            self.around.sign.as_ref().and_then(|sign| Some((sign, sign.exchange.as_ref()?)));
        let Some((sign, exchange)) = exchange else { return Ok(ready) };
        ready.is_exchanged = true;
        let mut held = exchange.held.lock().await;
        let refused = refused.and_then(|refused| refused.key.as_ref());
        if let Some(held) = held.as_ref()
            && held.is_young(cx.clock.now())
            && refused != Some(&held.key)
        {
            ready.key = Some(held.key.clone());
            return Ok(ready);
        }
        let make = || self.made(&exchange.request, &ready, cx, None);
        let answer = client.send_made(cx, make).await.map_err(|failure| failure.error)?;
        let (fetched, text) = exchange.read(&answer, |text| sign.key_of(text))?;
        self.note(1, &text);
        ready.key = Some(fetched.key.clone());
        *held = Some(fetched);
        Ok(ready)
    }

    /// The request with everything that stands around it.
    fn made(
        &self,
        draft: &Draft,
        ready: &Ready,
        cx: &Cx,
        encrypt: Option<&EncryptPlan>,
    ) -> Result<Request> {
        let mut draft = draft.clone();
        draft.headers.extend(self.around.headers.iter().cloned());
        match &self.around.auth {
            Auth::None => {}
            Auth::Fixed(carrier, credential) => carrier.carry(&mut draft, credential)?,
            Auth::Token(plan) => {
                if let Some(token) = &ready.token {
                    plan.carrier.carry(&mut draft, &token.text)?;
                }
            }
        }
        let plain = draft.text().into_owned();
        if let Some(encrypt) = encrypt {
            encrypt.close(&mut draft)?;
        }
        if let (Some(sign), Some(key)) = (&self.around.sign, &ready.key) {
            let token = ready.token.as_ref().map_or("", |token| token.text.as_str());
            sign.sign(&mut draft, key, &plain, token, cx.clock.now())?;
        }
        Ok(draft.finish())
    }

    fn note(&self, place: usize, secret: &str) {
        let mut issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        issued[place] = Some(secret.to_owned());
    }

    /// Words of the remote system, without our secrets and cut to a bearable length.
    pub(crate) fn quote(&self, words: &str) -> String {
        let mut words = words.to_owned();
        let issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for secret in self.around.secrets.iter().chain(issued.iter().flatten()) {
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

/// The credentials of a request.
struct Ready {
    token: Option<Token>,
    key: Option<Key>,
    /// Whether the key was given out by the system, and another one can be asked for.
    is_exchanged: bool,
}
