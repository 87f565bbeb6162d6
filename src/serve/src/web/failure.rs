//! What a visitor is told when something fails.
//!
//! A fault of our own tells nothing but a number, under which the log has the rest.

use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use huiliu_sdk::{Error, ErrorKind};
use serde_json::json;

use super::{App, Language};
use crate::identity::secret::random_id;

/// Codes of what is not there, though their kind is that of a wrong configuration on the command
/// line.
const NOT_THERE: [&str; 10] = [
    "E-JOB-NAME",
    "E-METRIC",
    "E-NO-ROW",
    "E-NO-RUN",
    "E-NO-STATE",
    "E-RECONCILE-KEY",
    "E-REPAIR",
    "E-SELECTOR",
    "E-SNAPSHOT-GONE",
    "E-SYSTEM",
];

/// Something a handler could not do.
#[derive(Debug)]
pub struct Failure(Error);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

/// What is told of a failure. It travels with the answer until it is known how to tell it.
#[derive(Debug, Clone)]
pub struct FailureInfo {
    /// The status of the answer.
    pub status: StatusCode,
    /// Stable code, such as `E-FORBIDDEN`.
    pub code: &'static str,
    /// What went wrong, in English.
    pub message: String,
    /// What can be done, in English.
    pub hint: Option<String>,
    /// The number under which the log tells more; only of faults of our own.
    pub id: Option<String>,
    /// After how many seconds to try again.
    pub retry_after: Option<u64>,
}

impl FailureInfo {
    /// What is told of `error`, which is logged where that is not all.
    pub fn of(error: &Error) -> Self {
        let status = status(error);
        let retry_after = error.retry_after().map(|wait| wait.as_secs().max(1));
        let mut info = Self {
            status,
            code: error.code(),
            message: error.message().to_owned(),
            hint: error.hint_text().map(str::to_owned),
            id: None,
            retry_after,
        };
        if status.is_server_error() {
            let id = random_id(12);
            let cause = std::error::Error::source(error).map(ToString::to_string);
            tracing::error!(%error, code = error.code(), cause, id, "a request failed");
            if error.kind() == ErrorKind::Internal && error.code() != "E-AUDIT-CLOSED" {
                "something went wrong in the hub".clone_into(&mut info.message);
                info.hint = Some(format!("the hub's log tells more under {id}"));
            }
            info.id = Some(id);
        }
        info
    }

    /// What went wrong and what can be done, in `language` where there is such a text.
    pub fn texts(&self, app: &App, language: Language) -> (String, Option<String>) {
        let known = app.hub().meaning(self.code).filter(|_| language == Language::Zh);
        match known {
            Some((meaning, hint)) => (meaning.to_owned(), Some(hint.to_owned())),
            None => (self.message.clone(), self.hint.clone()),
        }
    }

    /// As a problem document (RFC 9457).
    pub(crate) fn problem(&self, app: &App, language: Language) -> Response {
        let (title, hint) = self.texts(app, language);
        let mut body = json!({
            "type": format!("urn:huiliu:error:{}", self.code),
            "title": title,
            "status": self.status.as_u16(),
            "code": self.code,
            "detail": self.message,
        });
        if let Some(hint) = hint {
            body["hint"] = hint.into();
        }
        if let Some(id) = &self.id {
            body["id"] = id.as_str().into();
        }
        let mut response = (self.status, body.to_string()).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(CONTENT_TYPE, kind);
        self.add_headers(&mut response);
        response
    }

    /// Adds the headers that go with the status.
    pub(crate) fn add_headers(&self, response: &mut Response) {
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(axum::http::header::WWW_AUTHENTICATE, scheme);
        }
    }
}

fn status(error: &Error) -> StatusCode {
    match (error.kind(), error.code()) {
        (_, "E-BODY") => StatusCode::PAYLOAD_TOO_LARGE,
        (_, "E-SIGN-IN-SLOW" | "E-RATE" | "E-SQL-BUSY") => StatusCode::TOO_MANY_REQUESTS,
        (_, "E-BUSY" | "E-AUDIT-CLOSED") => StatusCode::SERVICE_UNAVAILABLE,
        (_, code) if NOT_THERE.contains(&code) => StatusCode::NOT_FOUND,
        (ErrorKind::NotFound, _) => StatusCode::NOT_FOUND,
        (ErrorKind::Auth, "E-SIGN-IN" | "E-SIGN-IN-FIRST") => StatusCode::UNAUTHORIZED,
        (ErrorKind::Auth, "E-PASSWORD-WRONG" | "E-FIRST-TOKEN") => StatusCode::FORBIDDEN,
        (ErrorKind::Permission, _) => StatusCode::FORBIDDEN,
        (ErrorKind::Config | ErrorKind::Unsupported, _) => StatusCode::BAD_REQUEST,
        (ErrorKind::Data | ErrorKind::Schema, _) => StatusCode::UNPROCESSABLE_ENTITY,
        (ErrorKind::Conflict, _) => StatusCode::CONFLICT,
        (ErrorKind::Throttled, _) => StatusCode::TOO_MANY_REQUESTS,
        (ErrorKind::Timeout, _) => StatusCode::GATEWAY_TIMEOUT,
        (ErrorKind::Unreachable | ErrorKind::Auth | ErrorKind::Cancelled, _) => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        (ErrorKind::Internal, _) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let info = FailureInfo::of(&self.0);
        let mut response = info.status.into_response();
        response.extensions_mut().insert(info);
        response
    }
}
