//! What is sent, and how it is named in messages.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use huiliu_sdk::{Error, ErrorKind, Result};
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Method, Url};

/// One request. Not `Debug`, because headers and bodies may hold secrets.
#[derive(Clone)]
pub struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Option<Bytes>,
    pub(crate) idempotent: bool,
    pub(crate) path_shown: Option<String>,
}

impl Request {
    /// A request without headers and body. It counts as idempotent if its method is safe.
    pub fn new(method: Method, url: Url) -> Self {
        let idempotent = method.is_safe();
        Self { method, url, headers: Vec::new(), body: None, idempotent, path_shown: None }
    }

    /// Names `path` in messages instead of the address's own, which may hold values of records.
    #[must_use]
    pub fn shown_as(mut self, path: &str) -> Self {
        self.path_shown = Some(path.to_owned());
        self
    }

    /// Adds a query parameter.
    #[must_use]
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.url.query_pairs_mut().append_pair(name, value);
        self
    }

    /// Adds a header. Its value never reaches a message.
    #[must_use]
    pub fn header(mut self, name: HeaderName, mut value: HeaderValue) -> Self {
        value.set_sensitive(true);
        self.headers.push((name, value));
        self
    }

    /// Sends `body` as JSON.
    #[must_use]
    pub fn json(self, body: impl Into<Bytes>) -> Self {
        self.content(HeaderValue::from_static("application/json"), body)
    }

    /// Sends `body` as what `kind` says.
    #[must_use]
    pub fn content(mut self, kind: HeaderValue, body: impl Into<Bytes>) -> Self {
        self.headers.push((CONTENT_TYPE, kind));
        self.body = Some(body.into());
        self
    }

    /// Declares whether sending this twice has the effect of sending it once. Only then is it
    /// sent again after a failure.
    #[must_use]
    pub fn idempotent(mut self, idempotent: bool) -> Self {
        self.idempotent = idempotent;
        self
    }

    /// Method and address as messages name them.
    pub(crate) fn name(&self) -> String {
        let mut url = self.url.clone();
        if let Some(path) = &self.path_shown {
            url.set_path(path);
            // The braces of placeholders, which a path cannot hold as they are.
            return format!(
                "{} {}",
                self.method,
                shown(&url).replace("%7B", "{").replace("%7D", "}")
            );
        }
        format!("{} {}", self.method, shown(&url))
    }
}

/// An address as messages name it: without user and password, and with the names of its query
/// parameters but not their values.
pub fn shown(url: &Url) -> String {
    let mut text = format!("{}://{}", url.scheme(), url.host_str().unwrap_or("?"));
    if let Some(port) = url.port() {
        text.push_str(&format!(":{port}"));
    }
    text.push_str(url.path());
    for (index, (name, _)) in url.query_pairs().enumerate() {
        text.push(if index == 0 { '?' } else { '&' });
        text.push_str(&name);
    }
    text
}

/// Reads the base address of a system: http or https, a host, no user, no query.
pub fn base_url(text: &str) -> Result<Url> {
    let wrong = |message: &str, hint: &str| {
        Error::new(ErrorKind::Config, "E-URL", message.to_owned()).hint(hint)
    };
    // The parser's own words may quote the text, which may hold a password.
    let url = Url::parse(text).map_err(|_| {
        wrong("the address is not a url", "write it like http://host:port or https://host/path")
    })?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("the address is neither http nor https", "use http:// or https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong(
            "the address holds a user or password",
            "put credentials under [auth] as ${secret:name}",
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("the address has a query or fragment", "put parameters under params"));
    }
    Ok(url)
}

/// The value of `Authorization` that carries a user and a password.
pub fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", BASE64.encode(format!("{user}:{password}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_password_are_base64() {
        assert_eq!(basic("Aladdin", "open sesame"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(basic("a", "b"), "Basic YTpi");
        assert_eq!(basic("a", "bc"), "Basic YTpiYw==");
    }

    #[test]
    fn an_address_is_shown_without_values_and_users() {
        let url = Url::parse("http://u:p@h:8/a/b?token=s3cret&page=2").unwrap();
        assert_eq!(shown(&url), "http://h:8/a/b?token&page");
    }

    #[test]
    fn addresses_with_users_or_other_schemes_are_refused_without_quoting_them() {
        for bad in ["http://u:s3cret@h/", "ftp://s3cret/", "s3cret", "http://h/?s3cret=1"] {
            let error = base_url(bad).unwrap_err();
            assert_eq!(error.code(), "E-URL");
            assert!(!format!("{error}{error:?}").contains("s3cret"));
        }
    }
}
