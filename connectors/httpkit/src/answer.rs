//! A complete answer and its content.

use std::fmt;

use bytes::Bytes;
use huiliu_sdk::{Error, ErrorKind, Result};
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde::de::DeserializeOwned;

/// The complete answer to a request.
#[derive(Clone)]
pub struct Answer {
    pub(crate) request: String,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) converted: bool,
}

impl fmt::Debug for Answer {
    // Headers and body may hold secrets and personal data, so they never print.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer({} {})", self.request, self.status)
    }
}

impl Answer {
    /// The HTTP status: between 200 and 299, unless the answer belongs to a failure.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Method and address as messages name them.
    pub fn request(&self) -> &str {
        &self.request
    }

    /// The first header of that name, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// All headers of that name that are text.
    pub fn headers(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers.get_all(name).iter().filter_map(|value| value.to_str().ok())
    }

    /// What the server says the body is, in small letters.
    pub fn content_type(&self) -> String {
        self.header(CONTENT_TYPE.as_str()).unwrap_or_default().to_ascii_lowercase()
    }

    /// The same answer with its body written as JSON in UTF-8.
    #[must_use]
    pub fn converted(mut self, json: impl Into<Bytes>) -> Self {
        self.body = json.into();
        self.converted = true;
        self
    }

    /// The same answer with its body decoded to UTF-8.
    #[must_use]
    pub fn decoded(mut self, text: impl Into<Bytes>) -> Self {
        self.body = text.into();
        self
    }

    /// The body as it came, or as it was converted.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Fails if the answer is a web page.
    pub fn refuse_web_page(&self) -> Result<()> {
        let first = self.body.iter().find(|byte| !byte.is_ascii_whitespace());
        let html = self.content_type().starts_with("text/html");
        if self.converted || !html && first != Some(&b'<') {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Schema,
            "E-CONTENT",
            format!("{}: a web page instead of data", self.request),
        )
        .hint(
            "the address answers with a web page: check the url, a login page or proxy may be in \
             between",
        ))
    }

    /// The body as text that should be JSON: not a web page, not empty, valid UTF-8.
    pub fn text(&self) -> Result<&str> {
        self.refuse_web_page()?;
        let body = self.body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&self.body);
        let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
        if first.is_none() {
            return Err(Error::new(
                ErrorKind::Data,
                "E-JSON",
                format!("{}: an empty answer instead of JSON", self.request),
            ));
        }
        std::str::from_utf8(body).map_err(|error| {
            Error::new(
                ErrorKind::Data,
                "E-JSON",
                format!("{}: not valid UTF-8 at byte {}", self.request, error.valid_up_to()),
            )
        })
    }

    /// The body read as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_str(self.text()?).map_err(|error| self.malformed(&error))
    }

    /// The error for a body that is not the JSON that was expected: where, but not what, because
    /// the parser's own words quote values.
    pub fn malformed(&self, error: &serde_json::Error) -> Error {
        Error::new(
            ErrorKind::Data,
            "E-JSON",
            format!(
                "{}: not valid JSON at line {} column {}",
                self.request,
                error.line(),
                error.column()
            ),
        )
    }
}
