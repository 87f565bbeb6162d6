//! All routes together, built from their rows.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use huiliu_sdk::{Error, ErrorKind};
use tokio::sync::Semaphore;

use super::guard::{Guard, address};
use super::rate::Rates;
use super::{App, Face, FailureInfo, Language, Route, headers};
use crate::{api, console};

/// Requests that are answered at once; more are told to come again.
const AT_ONCE: usize = 64;
/// Of them, requests of people who come in: passwords are checked slowly, and those who are inside
/// should not wait for it.
const LOGINS_AT_ONCE: usize = 16;
/// Where people come in.
const ENTRIES: [&str; 4] = ["/login", "/setup", "/api/v1/login", "/api/v1/first-admin"];
/// How long the answer of a request may take to begin. Longer than a query may run.
const LONGEST: Duration = Duration::from_secs(90);
/// The most bytes of a body.
pub(crate) const MAX_BODY: usize = 2 << 20;

/// Everything that is served over HTTP.
pub fn router(app: &Arc<App>) -> Router {
    let mut router = Router::new();
    router = add(router, app, Face::Api, api::operations().iter().map(|operation| operation.route));
    router = add(router, app, Face::Page, console::ROUTES.iter().copied());
    let outer = Arc::new(Outer {
        app: Arc::clone(app),
        rates: Rates::default(),
        places: Semaphore::new(AT_ONCE),
        logins: Semaphore::new(LOGINS_AT_ONCE),
    });
    router
        .route("/health", get(|| async { "ok\n" }))
        .fallback(|| async { nothing_there() })
        .method_not_allowed_fallback(|| async { nothing_there() })
        .layer(axum::extract::DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn(move |request: Request, next: Next| {
            let outer = Arc::clone(&outer);
            async move { outer.pass(request, next).await }
        }))
        .with_state(Arc::clone(app))
}

fn add(
    mut router: Router<Arc<App>>,
    app: &Arc<App>,
    face: Face,
    routes: impl Iterator<Item = Route>,
) -> Router<Arc<App>> {
    for route in routes {
        let is_within_limits = route.is_within_limits();
        let guard = Guard { app: Arc::clone(app), need: route.need, is_within_limits, face };
        let guarded = from_fn(move |request: Request, next: Next| {
            let guard = guard.clone();
            async move { guard.pass(request, next).await }
        });
        router = router.route(route.path, (route.handler)().route_layer(guarded));
    }
    router
}

fn nothing_there() -> Response {
    let error = Error::new(ErrorKind::NotFound, "E-NO-PAGE", "there is nothing at this address")
        .hint("see `/api/v1/openapi.json` for what there is");
    super::Failure::from(error).into_response()
}

/// What stands before all routes.
struct Outer {
    app: Arc<App>,
    rates: Rates,
    places: Semaphore,
    logins: Semaphore,
}

impl Outer {
    async fn pass(&self, request: Request, next: Next) -> Response {
        let language = Language::of(request.headers());
        let is_api = request.uri().path().starts_with("/api/");
        let mut response = self.answer(request, next).await;
        // What no route has told yet.
        if let Some(info) = response.extensions_mut().remove::<FailureInfo>() {
            response = if is_api {
                info.problem(&self.app, language)
            } else {
                let mut page = console::failure(&self.app, None, &info, language);
                *page.status_mut() = info.status;
                info.add_headers(&mut page);
                page
            };
        }
        headers::add(response.headers_mut(), self.app.settings().is_public());
        response
    }

    async fn answer(&self, request: Request, next: Next) -> Response {
        let failed = |kind, code, message: &str, hint: &str| {
            super::Failure::from(Error::new(kind, code, message).hint(hint)).into_response()
        };
        // Whoever asks whether the hub lives need not know its name.
        let is_health = request.uri().path() == "/health";
        let host = headers::host(request.headers(), request.uri());
        if !is_health && !headers::is_ours(self.app.settings(), host) {
            return StatusCode::MISDIRECTED_REQUEST.into_response();
        }
        if !self.rates.admit(&address(request.extensions()), Instant::now()) {
            let message = "too many requests from this address";
            return failed(ErrorKind::Throttled, "E-RATE", message, "wait a second");
        }
        let busy = || {
            let message = "the hub is busy with other requests";
            failed(ErrorKind::Throttled, "E-BUSY", message, "try again in a moment")
        };
        let is_login = request.method() == Method::POST && ENTRIES.contains(&request.uri().path());
        let _login = match is_login.then(|| self.logins.try_acquire()) {
            Some(Err(_)) => return busy(),
            Some(Ok(place)) => Some(place),
            None => None,
        };
        let Ok(_place) = self.places.try_acquire() else { return busy() };
        match tokio::time::timeout(LONGEST, next.run(request)).await {
            Ok(response) => response,
            Err(_elapsed) => {
                let message = "the answer took too long";
                failed(ErrorKind::Timeout, "E-SLOW", message, "ask for less at once")
            }
        }
    }
}
