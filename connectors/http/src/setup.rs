//! From a system file's options to a session, with all faults at once.

mod credentials;

use std::collections::BTreeMap;

use huiliu_httpkit::{HeaderName, HeaderValue, Settings, Url, base_url, is_loopback};
use huiliu_sdk::{ConfigErrors, RawConfig};

use crate::config::{PushOptions, Secret, StreamOptions, SystemOptions, schema};
use crate::endpoint::HttpEndpoint;
use crate::faults;
use crate::hosts::Hosts;
use crate::plan::{StreamPlan, Timing, time};
use crate::push::{PushPlan, header_name};
use crate::quantity;
use crate::session::{Session, Surroundings};
use crate::sign::SignPlan;
use crate::sign::encrypt::EncryptPlan;

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
    let session = system.and_then(|system| session(system, &base, raw, &mut errors));
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
    check_parents(&streams, &mut errors);
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

/// A parent is a stream that has no parent itself and is no file.
fn check_parents(streams: &[StreamPlan], errors: &mut ConfigErrors) {
    for (index, stream) in streams.iter().enumerate() {
        let Some(parent) = &stream.parent else { continue };
        let found = streams.iter().find(|other| other.id.as_str() == parent.stream);
        if !found.is_some_and(|found| found.parent.is_none() && found.job.is_none()) {
            errors.push_with_hint(
                format!("streams[{index}].parent.stream"),
                format!("`{}` is no stream that can be a parent", parent.stream),
                "name a stream of this system that has neither parent nor job",
            );
        }
    }
}

fn session(
    options: SystemOptions,
    base: &Url,
    raw: &RawConfig,
    errors: &mut ConfigErrors,
) -> Option<Session> {
    let zone = raw.hub_zone;
    let mut settings = Settings {
        // Other hosts may be reached over https even where the system is not.
        tls: base.scheme() == "https" || !options.hosts.is_empty(),
        ca: options.ca.map(|file| raw.base_dir.join(file)),
        loopback: is_loopback(base),
        ..Settings::default()
    };
    if settings.ca.is_some() && !settings.tls {
        let hint = "write https in `url`, or remove `ca`";
        errors.push_with_hint("ca", "has no use without https", hint);
    }
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
    let hosts = Hosts::new(base.clone(), &options.hosts, errors);
    let headers = headers(options.headers, &mut secrets, errors);
    let auth = credentials::auth(options.auth, base, &mut secrets, errors);
    let sign = options.sign.and_then(|sign| SignPlan::new(sign, base, zone, &mut secrets, errors));
    let encrypt =
        options.encrypt.and_then(|encrypt| EncryptPlan::new(&encrypt, &mut secrets, errors));
    let around = Surroundings { hosts, headers, auth: auth?, sign, encrypt, secrets };
    Some(Session::new(settings, around))
}

fn headers(
    headers: BTreeMap<String, Secret>,
    secrets: &mut Vec<String>,
    errors: &mut ConfigErrors,
) -> Vec<(HeaderName, HeaderValue)> {
    let mut read = Vec::new();
    for (name, value) in headers {
        let at = faults::under("headers", &name);
        let name = header_name(&name, &at, errors);
        match HeaderValue::from_str(&value.0) {
            Ok(value) => read.extend(name.map(|name| (name, value))),
            Err(_) => errors.push(at, "does not fit into a header"),
        }
        secrets.extend(Some(value.0).filter(|value| value.len() >= 8));
    }
    read
}
