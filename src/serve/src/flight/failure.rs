//! What the door tells a client that something failed: the status of gRPC, the stable code, what to
//! do.

use huiliu_sdk::{Error, ErrorKind};
use tonic::{Code, Status};

use crate::web::FailureInfo;

/// The most letters of a message. It travels in a header, which clients cap.
const MAX_LETTERS: usize = 1_000;

/// An error of the hub. Which kinds there are is decided for all answers in one place, as statuses
/// of HTTP.
pub(super) fn status(error: &Error) -> Status {
    let info = FailureInfo::of(error);
    let code = match info.status.as_u16() {
        _ if error.kind() == ErrorKind::Unsupported => Code::Unimplemented,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::NotFound,
        409 => Code::Aborted,
        429 => Code::ResourceExhausted,
        503 => Code::Unavailable,
        504 => Code::DeadlineExceeded,
        400..500 => Code::InvalidArgument,
        _ => Code::Internal,
    };
    let message: String = info.message.chars().take(MAX_LETTERS).collect();
    let hint = info.hint.map(|hint| format!("; {hint}")).unwrap_or_default();
    Status::new(code, format!("{}: {message}{hint}", info.code))
}

/// Why a request of a client is none.
pub(super) fn wrong(message: impl Into<String>, hint: &str) -> Error {
    Error::new(ErrorKind::Config, "E-INPUT", message).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_learns_what_it_can_mend_and_nothing_of_the_hub() {
        let refused = Error::new(ErrorKind::Permission, "E-SQL-READ-ONLY", "it only reads");
        let refused = status(&refused.hint("send a SELECT"));
        assert_eq!(refused.code(), Code::PermissionDenied);
        assert_eq!(refused.message(), "E-SQL-READ-ONLY: it only reads; send a SELECT");
        let fault = status(&Error::internal("/srv/hub/huiliu.db is malformed"));
        assert_eq!(fault.code(), Code::Internal);
        assert!(!fault.message().contains("huiliu.db"), "{}", fault.message());
        let long = status(&wrong("x".repeat(1 << 20), ""));
        assert!(long.message().len() < 2_000);
    }
}
