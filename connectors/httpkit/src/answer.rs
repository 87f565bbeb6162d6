//! A complete answer and its content.

use bytes::Bytes;
use huiliu_sdk::{Error, ErrorKind, Result};
use serde::de::DeserializeOwned;

/// The complete answer to a request. Not `Debug`, because the body may hold personal data.
#[derive(Clone)]
pub struct Answer {
    pub(crate) request: String,
    pub(crate) status: u16,
    pub(crate) html: bool,
    pub(crate) body: Bytes,
}

impl Answer {
    /// The HTTP status, between 200 and 299.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Method and address as messages name them.
    pub fn request(&self) -> &str {
        &self.request
    }

    /// The body as it came.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The body as text that should be JSON: not a web page, not empty, valid UTF-8.
    pub fn text(&self) -> Result<&str> {
        let body = self.body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&self.body);
        let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
        if self.html || first == Some(&b'<') {
            return Err(Error::new(
                ErrorKind::Schema,
                "E-CONTENT",
                format!("{}: a web page instead of JSON", self.request),
            )
            .hint(
                "the address answers with a web page: check the url, a login page or proxy may be \
                 in between",
            ));
        }
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
