//! From a system file's options to a session, with all faults at once.

use huiliu_httpkit::{HeaderValue, Method, Request, Settings, Url, base_url, basic};
use huiliu_sdk::{ConfigErrors, RawConfig};
use serde_json::Value;
use tokio::sync::Mutex;

use crate::auth::{Auth, Login};
use crate::config::{AuthOptions, PushOptions, StreamOptions, SystemOptions, schema};
use crate::endpoint::HttpEndpoint;
use crate::faults;
use crate::plan::{StreamPlan, Timing, address, place, time};
use crate::pointer::Pointer;
use crate::push::{PushPlan, header_name};
use crate::quantity;
use crate::session::Session;

/// An endpoint of a configuration, or all its faults.
pub(crate) fn endpoint(raw: &RawConfig) -> Result<HttpEndpoint, ConfigErrors> {
    let mut errors = ConfigErrors::default();
    let system: Option<SystemOptions> =
        faults::read(&schema::<SystemOptions>(), &raw.options, "", &mut errors);
    // The address is looked at even when something else in the table is wrong.
    let url = system.as_ref().map(|system| system.url.as_str()).or(raw.options["url"].as_str());
    let base = url.map(base_url);
    // Streams and pushes are checked even when the address is wrong, against one that is not.
    let stand_in = || Url::parse("http://localhost/").ok();
    let base = match base {
        Some(Ok(base)) => Some(base),
        Some(Err(error)) => {
            errors.push_with_hint("url", error.message(), error.hint_text().unwrap_or_default());
            stand_in()
        }
        None => stand_in(),
    };
    let Some(base) = base else { return Err(errors) };
    let session = system.and_then(|system| session(system, &base, &mut errors));
    let (stream_schema, push_schema) = (schema::<StreamOptions>(), schema::<PushOptions>());
    let mut streams = Vec::new();
    for (index, stream) in raw.streams.iter().enumerate() {
        let at = format!("streams[{index}]");
        let options = faults::read(&stream_schema, &stream.options, &at, &mut errors);
        let Some(options) = options else {
            // The common settings are looked at even when the stream's own keys are wrong.
            Timing::new(raw.hub_zone, stream, &at, &mut errors);
            continue;
        };
        streams.extend(StreamPlan::new(&base, raw.hub_zone, stream, options, &at, &mut errors));
    }
    let mut pushes = Vec::new();
    for (index, push) in raw.pushes.iter().enumerate() {
        let at = format!("pushes[{index}]");
        let options = faults::read(&push_schema, &push.options, &at, &mut errors);
        pushes.extend(
            options.and_then(|options| PushPlan::new(&base, push, options, &at, &mut errors)),
        );
    }
    match session {
        Some(session) if errors.0.is_empty() => {
            Ok(HttpEndpoint::new(session, base, raw.hub_zone, streams, pushes))
        }
        _ => Err(errors),
    }
}

fn session(options: SystemOptions, base: &Url, errors: &mut ConfigErrors) -> Option<Session> {
    let mut settings = Settings { tls: base.scheme() == "https", ..Settings::default() };
    if let Some(timeout) = time(options.timeout.as_deref(), "timeout", errors) {
        if timeout.is_zero() {
            errors.push("timeout", "is zero");
        }
        settings.timeout = timeout;
        settings.idle = timeout;
    }
    if let Some(text) = &options.max_response {
        match quantity::size(text) {
            Some(size) if size > 0 => settings.max_response = size,
            _ => errors.push_with_hint("max_response", "is not a size", "write it like 64MB"),
        }
    }
    settings.requests_per_minute = options.requests_per_minute;
    settings.attempts = options.attempts.unwrap_or(settings.attempts);
    let mut secrets = Vec::new();
    let auth = auth(options.auth, base, &mut secrets, errors)?;
    Some(Session::new(settings, auth, secrets))
}

fn auth(
    options: AuthOptions,
    base: &Url,
    secrets: &mut Vec<String>,
    errors: &mut ConfigErrors,
) -> Option<Auth> {
    match options {
        AuthOptions::None => Some(Auth::None),
        AuthOptions::Bearer { token } => {
            let value = header_value(&format!("Bearer {}", token.0), "auth.token", errors);
            secrets.push(token.0);
            Some(Auth::Fixed(huiliu_httpkit::header::AUTHORIZATION, value?))
        }
        AuthOptions::Basic { user, password } => {
            let value = header_value(&basic(&user, &password.0), "auth.password", errors);
            secrets.push(password.0);
            Some(Auth::Fixed(huiliu_httpkit::header::AUTHORIZATION, value?))
        }
        AuthOptions::ApiKey { header, value } => {
            let name = header_name(&header, "auth.header", errors);
            let carried = header_value(&value.0, "auth.value", errors);
            secrets.push(value.0);
            Some(Auth::Fixed(name?, carried?))
        }
        AuthOptions::Login { path, body, token, header, prefix, ttl } => {
            let url = address(base, &path, std::iter::empty(), "auth", errors);
            let header = header_name(&header, "auth.header", errors);
            let ttl = time(ttl.as_deref(), "auth.ttl", errors);
            let token: Pointer = place(&token, "auth.token", errors);
            // Short values such as `1` are no secrets, and would blot out half of each message.
            secrets.extend(
                body.values()
                    .filter_map(Value::as_str)
                    .filter(|text| text.len() >= 4)
                    .map(str::to_owned),
            );
            let request = Request::new(Method::POST, url?)
                .json(Value::Object(body).to_string())
                .idempotent(true);
            let held = Mutex::new(None);
            let login = Login { request, token, header: header?, prefix, ttl, held };
            Some(Auth::Login(Box::new(login)))
        }
    }
}

fn header_value(text: &str, at: &str, errors: &mut ConfigErrors) -> Option<HeaderValue> {
    let value = HeaderValue::from_str(text).ok();
    if value.is_none() || text.trim().is_empty() {
        errors.push(at, "does not fit into a header");
    }
    value
}
