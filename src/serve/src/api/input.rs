//! What handlers take from a request; what does not fit is a problem document too.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use huiliu_sdk::{Error, ErrorKind};
use serde::de::DeserializeOwned;

use crate::web::{Failure, read};

/// The most bytes of a JSON body.
const MAX_JSON: usize = 1 << 20;

fn wrong(message: String) -> Failure {
    Error::new(ErrorKind::Config, "E-INPUT", message)
        .hint("see `/api/v1/openapi.json` for what this takes")
        .into()
}

/// The parameters after `?`.
pub(super) struct Query<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        match axum::extract::Query::try_from_uri(&parts.uri) {
            Ok(axum::extract::Query(query)) => Ok(Self(query)),
            Err(rejection) => Err(wrong(rejection.body_text())),
        }
    }
}

/// What varies in the path.
pub(super) struct Path<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(path)) => Ok(Self(path)),
            Err(rejection) => Err(wrong(rejection.body_text())),
        }
    }
}

/// A JSON body.
pub(super) struct Json<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        // A form of another site cannot have this type, so it is asked for.
        if !kind.is_some_and(|kind| kind.to_ascii_lowercase().starts_with("application/json")) {
            return Err(wrong("the body is no `application/json`".into()));
        }
        let bytes = read(request.into_body(), MAX_JSON).await?;
        serde_json::from_slice(&bytes).map(Self).map_err(|e| wrong(format!("the body: {e}")))
    }
}
