//! Changes that are asked for under a key (`Idempotency-Key`): each is done once, however often
//! its request arrives.

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use chrono::TimeDelta;
use huiliu_sdk::{Error, ErrorKind, Result};
use serde_json::json;

use super::form::read;
use super::router::MAX_BODY;
use super::{Failure, FailureInfo};
use crate::identity::secret::{fingerprint, from_hex, to_hex};
use crate::identity::{Accounts, Visitor, stored};

const HEADER: &str = "idempotency-key";
/// How long answers are kept.
const KEPT: TimeDelta = TimeDelta::hours(24);

/// The key of a request that changes something.
pub(super) fn key(request: &Request) -> Option<String> {
    let key = request.headers().get(HEADER)?.to_str().ok()?;
    let fits = (1..=128).contains(&key.len()) && *request.method() == Method::POST;
    fits.then(|| key.to_owned())
}

/// Does what is asked, or gives the answer that was given to it before.
pub(super) async fn once(
    accounts: &Accounts,
    visitor: &Visitor,
    key: &str,
    request: Request,
    next: Next,
) -> Result<Response> {
    let (parts, body) = request.into_parts();
    let body = read(body, MAX_BODY).await?;
    let path = parts.uri.path();
    let key = fingerprint(&json!([visitor.user, path, key]).to_string());
    // An answer that was given under other limits is not given again.
    let limits = json!(visitor.limits);
    let asked = fingerprint(&format!("{path} {} {} {limits}", to_hex(&body), parts.uri));
    let store = accounts.store();
    let now = accounts.clock_now();
    let kept = store.begin_answer(&key, &asked, &stored(now), &stored(now - KEPT)).await?;
    if let Some(kept) = kept {
        if kept.request_hash != asked {
            return Err(conflict("this key was used for something else", "take a new key"));
        }
        let (Some(status), Some(body)) = (kept.status, kept.body) else {
            return Err(conflict("the request of this key is being done", "ask again in a moment"));
        };
        let unreadable = || Error::internal("a kept answer is not readable");
        let body = accounts.key().open(&from_hex(&body).ok_or_else(unreadable)?)?;
        let status = u16::try_from(status).ok().and_then(|code| StatusCode::from_u16(code).ok());
        let kind = HeaderValue::from_static("application/json");
        let status = status.ok_or_else(unreadable)?;
        return Ok((status, [(CONTENT_TYPE, kind)], Body::from(body)).into_response());
    }
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    // What failed may be tried again under the same key.
    if response.extensions().get::<FailureInfo>().is_some() || !response.status().is_success() {
        store.forget_answer(&key).await?;
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let body = match read(body, MAX_BODY).await {
        Ok(body) => body,
        Err(error) => return Ok(Failure::from(error).into_response()),
    };
    let sealed = to_hex(&accounts.key().seal(&body)?);
    store.keep_answer(&key, i64::from(parts.status.as_u16()), &sealed).await?;
    Ok(Response::from_parts(parts, Body::from(body)))
}

fn conflict(message: &str, hint: &str) -> Error {
    Error::new(ErrorKind::Conflict, "E-IDEMPOTENCY", message).hint(hint)
}
