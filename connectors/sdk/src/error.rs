//! One error type with a small closed kind: kinds exist to choose an action.

use std::fmt;

/// What a person or a policy can do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The configuration is wrong; nothing ran.
    Config,
    /// The credentials are missing, wrong or expired.
    Auth,
    /// The credentials are valid and not enough.
    Permission,
    /// The thing asked for does not exist there.
    NotFound,
    /// The system could not be reached.
    Unreachable,
    /// The system asked us to slow down.
    Throttled,
    /// The system did not answer in time.
    Timeout,
    /// The shape of the data is not the agreed one.
    Schema,
    /// The content of the data is not valid.
    Data,
    /// Somebody else holds or changed what we wanted to change.
    Conflict,
    /// The connector does not do this.
    Unsupported,
    /// The caller asked to stop.
    Cancelled,
    /// A fault of our own.
    Internal,
}

/// The result of a call into a connector or the hub.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong: a kind to act on, a stable code to look up, a message, a hint, the cause.
///
/// Messages are lower case, without full stop, and never hold secrets or personal data.
#[derive(Debug)]
pub struct Error {
    inner: Box<Inner>,
}

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    code: &'static str,
    message: String,
    hint: Option<String>,
    retry_after_ms: Option<u64>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of `kind` with a stable `code` (such as `E-CONTENT`) and a message.
    pub fn new(kind: ErrorKind, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            inner: Box::new(Inner {
                kind,
                code,
                message: message.into(),
                hint: None,
                retry_after_ms: None,
                source: None,
            }),
        }
    }

    /// A fault of our own.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, "E-INTERNAL", message)
    }

    /// The caller asked to stop.
    pub fn cancelled() -> Self {
        Self::new(ErrorKind::Cancelled, "E-CANCELLED", "stopped on request")
    }

    /// The connector does not do `what`.
    pub fn unsupported(what: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Unsupported, "E-UNSUPPORTED", format!("not supported: {what}"))
    }

    /// Says what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.inner.hint = Some(hint.into());
        self
    }

    /// Keeps the cause.
    #[must_use]
    pub fn cause(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.inner.source = Some(Box::new(source));
        self
    }

    /// The system said when to come back.
    #[must_use]
    pub fn retry_after_ms(mut self, ms: u64) -> Self {
        self.inner.retry_after_ms = Some(ms);
        self
    }

    /// Puts `context` before the message.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.inner.message = format!("{context}: {}", self.inner.message);
        self
    }

    /// The kind, by which policy decides what happens next.
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        self.inner.code
    }

    /// The message without code, hint and cause.
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// What to do about it, if that is known.
    pub fn hint_text(&self) -> Option<&str> {
        self.inner.hint.as_deref()
    }

    /// When the system said to come back.
    pub fn retry_after(&self) -> Option<std::time::Duration> {
        self.inner.retry_after_ms.map(std::time::Duration::from_millis)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.message)?;
        if let Some(source) = &self.inner.source {
            write!(f, ": {source}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.inner.source.as_ref().map(|source| source.as_ref() as _)
    }
}

impl From<arrow::error::ArrowError> for Error {
    fn from(error: arrow::error::ArrowError) -> Self {
        Self::new(ErrorKind::Internal, "E-ARROW", "arrow data could not be built").cause(error)
    }
}
