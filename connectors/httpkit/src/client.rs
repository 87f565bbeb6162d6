//! Sending, within limits.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use huiliu_sdk::{Cx, Error, ErrorKind, Result};
use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING, RETRY_AFTER};
use reqwest::{Certificate, Response, header::HeaderMap};

use crate::failure::{Again, cut, of_refused, of_status, of_transport};
use crate::guard::{Guard, check_literal};
use crate::gzip::{Bad, expand};
use crate::pace::Pace;
use crate::retry::{Backoff, asked};
use crate::{Answer, Failure, Request};

/// The longest part of a refusal that is read.
const LONGEST_REFUSAL: u64 = 64 << 10;

/// The limits of a client.
#[derive(Debug, Clone)]
pub struct Settings {
    /// For making a connection.
    pub connect: Duration,
    /// For one attempt from start to the last byte.
    pub timeout: Duration,
    /// Between two reads of an answer.
    pub idle: Duration,
    /// The longest answer accepted, in bytes.
    pub max_response: u64,
    /// The most requests sent in a minute; none for no limit.
    pub requests_per_minute: Option<u32>,
    /// How often an idempotent request is sent in all.
    pub attempts: u32,
    /// The wait before the second attempt; it doubles for each further one.
    pub backoff: Duration,
    /// Whether the system is reached over https. A client that never is loads no certificates.
    pub tls: bool,
    /// The file with the certificates (PEM) of who may have signed the system's. Without it those that
    /// the operating system trusts.
    pub ca: Option<PathBuf>,
    /// Whether the system may be on this machine; see [`crate::is_loopback`].
    pub loopback: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            timeout: Duration::from_secs(60),
            idle: Duration::from_secs(30),
            max_response: 64 << 20,
            requests_per_minute: None,
            attempts: 4,
            backoff: Duration::from_millis(250),
            tls: true,
            ca: None,
            loopback: false,
        }
    }
}

/// A client for one system; all requests to it share the pace and the connections.
pub struct Client {
    inner: reqwest::Client,
    settings: Settings,
    pace: Pace,
    backoff: Backoff,
}

impl Client {
    /// A client within `settings`.
    pub fn new(settings: Settings) -> Result<Self> {
        // Fails only if a provider is installed already, which serves as well.
        drop(rustls::crypto::ring::default_provider().install_default());
        let mut builder = reqwest::Client::builder()
            .connect_timeout(settings.connect.min(settings.timeout))
            .timeout(settings.timeout)
            .read_timeout(settings.idle.min(settings.timeout))
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .dns_resolver(Arc::new(Guard { loopback: settings.loopback }))
            .no_proxy()
            .user_agent(concat!("huiliu/", env!("CARGO_PKG_VERSION")));
        if !settings.tls {
            builder = builder.tls_certs_only([]);
        } else if let Some(file) = &settings.ca {
            builder = builder.tls_certs_only(authorities(file)?);
        }
        let inner = builder.build().map_err(|error| match &settings.ca {
            // What is no certificate is seen only here.
            Some(file) => unusable(file).cause(error),
            None => {
                Error::new(ErrorKind::Internal, "E-CLIENT", "the http client could not be built")
                    .cause(error)
            }
        })?;
        let pace = Pace::new(settings.requests_per_minute);
        let backoff = Backoff::new(settings.backoff);
        Ok(Self { inner, settings, pace, backoff })
    }

    /// Sends `request` and reads the whole answer. An idempotent request is sent again after a
    /// failure that may pass.
    pub async fn send(&self, cx: &Cx, request: &Request) -> Result<Answer, Failure> {
        self.send_made(cx, || Ok(request.clone())).await
    }

    /// Like [`Client::send`], with a request that is made anew for each attempt: a signature that
    /// holds the time is refused the second time.
    pub async fn send_made(
        &self,
        cx: &Cx,
        make: impl Fn() -> Result<Request> + Send + Sync,
    ) -> Result<Answer, Failure> {
        let mut attempt = 1;
        let mut lost = false;
        loop {
            let request = &make()?;
            let mut failure = match self.attempt(cx, request).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            // An earlier attempt may have had its effect although this one did not get through.
            lost |= failure.lost;
            failure.lost = lost;
            let wait = match failure.again {
                Again::Never => return Err(failure),
                Again::Later => self.backoff.wait(attempt),
                Again::After(wait) => wait,
            };
            if !request.idempotent || attempt >= self.settings.attempts {
                return Err(failure);
            }
            attempt += 1;
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = cx.cancel.cancelled() => return Err(stopped(lost)),
            }
        }
    }

    async fn attempt(&self, cx: &Cx, request: &Request) -> Result<Answer, Failure> {
        tokio::select! {
            biased;
            () = cx.cancel.cancelled() => return Err(stopped(false)),
            () = self.pace.turn() => {}
        }
        // The system's own limit is shared with others; nothing was sent while it waits.
        cx.request().await?;
        tokio::select! {
            answer = self.exchange(cx, request) => answer,
            () = cx.cancel.cancelled() => Err(stopped(true)),
        }
    }

    async fn exchange(&self, cx: &Cx, request: &Request) -> Result<Answer, Failure> {
        check_literal(&request.url, self.settings.loopback)
            .map_err(|refused| of_refused(request, refused))?;
        let mut outgoing = self.inner.request(request.method.clone(), request.url.clone());
        outgoing = outgoing.header(ACCEPT_ENCODING, "gzip");
        for (name, value) in &request.headers {
            outgoing = outgoing.header(name, value);
        }
        if let Some(body) = &request.body {
            outgoing = outgoing.body(body.clone());
        }
        let response = outgoing.send().await.map_err(|error| of_transport(request, error))?;
        let status = response.status();
        let headers = response.headers().clone();
        if !status.is_success() {
            let wait = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
            let wait = wait.and_then(|text| asked(text, cx.clock.now()));
            // What a refusal says helps people; that it cannot be read is no error of its own.
            let body = self.body(request, response, LONGEST_REFUSAL).await.unwrap_or_default();
            let answer = answer(request, status.as_u16(), headers, body);
            return Err(of_status(request, status, answer, wait));
        }
        let body = self.body(request, response, self.settings.max_response).await?;
        Ok(answer(request, status.as_u16(), headers, body))
    }

    /// Reads the body up to the limit, whatever length the server claims.
    async fn body(
        &self,
        request: &Request,
        mut response: Response,
        limit: u64,
    ) -> Result<Bytes, Failure> {
        let packing = response.headers().get(CONTENT_ENCODING).cloned();
        let claimed = response.content_length();
        if claimed.is_some_and(|length| length > limit) {
            return Err(self.too_large(request));
        }
        let start = claimed.unwrap_or(0).min(1 << 20);
        let mut body = BytesMut::with_capacity(usize::try_from(start).unwrap_or(0));
        while let Some(chunk) =
            response.chunk().await.map_err(|error| of_transport(request, error))?
        {
            if (body.len() + chunk.len()) as u64 > limit {
                return Err(self.too_large(request));
            }
            body.extend_from_slice(&chunk);
        }
        let body = body.freeze();
        match packing.as_ref().map(|value| value.as_bytes()) {
            None | Some(b"" | b"identity") => Ok(body),
            Some(b"gzip" | b"x-gzip") => expand(&body, limit).map_err(|bad| match bad {
                Bad::Cut => cut(request),
                Bad::TooLarge => self.too_large(request),
            }),
            Some(_) => Err(Error::new(
                ErrorKind::Schema,
                "E-CONTENT",
                format!("{}: the answer is packed in a way nobody asked for", request.name()),
            )
            .into()),
        }
    }

    fn too_large(&self, request: &Request) -> Failure {
        let limit = self.settings.max_response;
        let error = Error::new(
            ErrorKind::Data,
            "E-TOO-LARGE",
            format!("{}: the answer is larger than {limit} bytes", request.name()),
        )
        .hint("ask for smaller pages, or raise max_response");
        error.into()
    }
}

/// The certificates in a file.
fn authorities(file: &Path) -> Result<Vec<Certificate>> {
    let text = std::fs::read(file).map_err(|error| unusable(file).cause(error))?;
    let found = Certificate::from_pem_bundle(&text).map_err(|error| unusable(file).cause(error))?;
    if found.is_empty() { Err(unusable(file)) } else { Ok(found) }
}

fn unusable(file: &Path) -> Error {
    let message = format!("{} holds no certificates that can be used", file.display());
    Error::new(ErrorKind::Config, "E-TLS", message).hint("`ca` names a file of certificates in PEM")
}

fn answer(request: &Request, status: u16, headers: HeaderMap, body: Bytes) -> Answer {
    Answer { request: request.name(), status, headers, body, converted: false }
}

fn stopped(lost: bool) -> Failure {
    Failure { lost, ..Error::cancelled().into() }
}
