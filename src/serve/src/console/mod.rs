//! The pages of the console.

use axum::response::{IntoResponse, Response};

use crate::identity::Visitor;
use crate::web::{App, FailureInfo, Language, Route};

/// The pages, each with whom it is for.
pub(crate) const ROUTES: &[Route] = &[];

/// The page that tells of a failure; its status is set by the caller.
pub(crate) fn failure(
    app: &App,
    _visitor: Option<&Visitor>,
    info: &FailureInfo,
    language: Language,
) -> Response {
    let (message, hint) = info.texts(app, language);
    format!("{} {message}\n{}\n", info.code, hint.unwrap_or_default()).into_response()
}
