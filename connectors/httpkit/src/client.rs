//! Sending, within limits.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use huiliu_sdk::{Cx, Error, ErrorKind, Result};
use reqwest::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};

use crate::failure::{Again, of_status, of_transport};
use crate::pace::Pace;
use crate::retry::{Backoff, asked};
use crate::{Answer, Failure, Request};

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
            .no_proxy()
            .user_agent(concat!("huiliu/", env!("CARGO_PKG_VERSION")));
        if !settings.tls {
            builder = builder.tls_certs_only([]);
        }
        let inner = builder.build().map_err(|error| {
            Error::new(ErrorKind::Internal, "E-CLIENT", "the http client could not be built")
                .cause(error)
        })?;
        let pace = Pace::new(settings.requests_per_minute);
        let backoff = Backoff::new(settings.backoff);
        Ok(Self { inner, settings, pace, backoff })
    }

    /// Sends `request` and reads the whole answer. An idempotent request is sent again after a
    /// failure that may pass.
    pub async fn send(&self, cx: &Cx, request: &Request) -> Result<Answer, Failure> {
        let mut attempt = 1;
        let mut lost = false;
        loop {
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
        let mut outgoing = self.inner.request(request.method.clone(), request.url.clone());
        for (name, value) in &request.headers {
            outgoing = outgoing.header(name, value);
        }
        if let Some(body) = &request.body {
            outgoing = outgoing.body(body.clone());
        }
        let response = outgoing.send().await.map_err(|error| of_transport(request, error))?;
        let status = response.status();
        if !status.is_success() {
            let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
            let wait = header(RETRY_AFTER).and_then(|text| asked(text, cx.clock.now()));
            return Err(of_status(request, status, header(LOCATION), wait));
        }
        let html = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.to_ascii_lowercase().starts_with("text/html"));
        let body = self.body(request, response).await?;
        Ok(Answer { request: request.name(), status: status.as_u16(), html, body })
    }

    /// Reads the body up to the limit, whatever length the server claims.
    async fn body(
        &self,
        request: &Request,
        mut response: reqwest::Response,
    ) -> Result<Bytes, Failure> {
        let limit = self.settings.max_response;
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
        Ok(body.freeze())
    }

    fn too_large(&self, request: &Request) -> Failure {
        let limit = self.settings.max_response;
        let error = Error::new(
            ErrorKind::Data,
            "E-TOO-LARGE",
            format!("{}: the answer is larger than {limit} bytes", request.name()),
        )
        .hint("ask for smaller pages, or raise max_response");
        Failure { error, lost: false, status: None, again: Again::Never }
    }
}

fn stopped(lost: bool) -> Failure {
    Failure { error: Error::cancelled(), lost, status: None, again: Again::Never }
}
