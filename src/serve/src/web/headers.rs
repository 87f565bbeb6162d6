//! Headers of every answer, and which requests are for this hub at all.

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, HeaderName, HeaderValue, ORIGIN, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, Uri};

use super::WebSettings;

/// Nothing but our own files; no script or style within a page; no page within another's.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";

const FIXED: [(HeaderName, &str); 6] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Adds the headers that every answer has. A public name is reached over TLS only.
pub(super) fn add(headers: &mut HeaderMap, is_public: bool) {
    for (name, value) in FIXED {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // Only files of the program itself say that they may be kept.
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if is_public {
        let year = HeaderValue::from_static("max-age=31536000");
        headers.insert(STRICT_TRANSPORT_SECURITY, year);
    }
}

/// The host a request is for.
pub(super) fn host<'h>(headers: &'h HeaderMap, uri: &'h Uri) -> Option<&'h str> {
    let named = headers.get(HOST).and_then(|value| value.to_str().ok());
    named.or_else(|| uri.authority().map(|authority| authority.as_str()))
}

/// Whether a request is for this hub: by the name of the gateway, or by a loopback name. A page of
/// another site whose name was made to point here is told apart by this.
pub(super) fn is_ours(settings: &WebSettings, host: Option<&str>) -> bool {
    let Some(host) = host else { return false };
    if let Some(ours) = settings.host() {
        return host.eq_ignore_ascii_case(ours);
    }
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    };
    let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok());
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = name.eq_ignore_ascii_case("localhost")
        || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    is_port && is_loopback
}

/// Whether another site sent a request, as far as the browser says.
pub(super) fn is_foreign(settings: &WebSettings, headers: &HeaderMap, host: &str) -> bool {
    let text = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    if let Some(origin) = text(&ORIGIN) {
        let scheme = if settings.is_secure() { "https" } else { "http" };
        return !origin.eq_ignore_ascii_case(&format!("{scheme}://{host}"));
    }
    let site = text(&HeaderName::from_static("sec-fetch-site"));
    !matches!(site, None | Some("same-origin" | "none"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_names_are_answered() {
        let loopback = WebSettings::default();
        for host in
            ["localhost", "localhost:18080", "127.0.0.1:18080", "127.9.9.9", "[::1]:80", "[::1]"]
        {
            assert!(is_ours(&loopback, Some(host)), "{host}");
        }
        for host in ["evil.example", "127.0.0.1.evil.example", "10.0.0.1", "localhost:x", "", ":80"]
        {
            assert!(!is_ours(&loopback, Some(host)), "{host}");
        }
        assert!(!is_ours(&loopback, None));
        let gateway = WebSettings {
            public_url: Some("https://hub.example:8443/".into()),
            ..WebSettings::default()
        };
        assert!(is_ours(&gateway, Some("hub.example:8443")));
        assert!(!is_ours(&gateway, Some("hub.example")));
        assert!(!is_ours(&gateway, Some("localhost")));
    }

    #[test]
    fn what_another_site_sends_is_told_apart() {
        let settings = WebSettings::default();
        let sent = |name: &'static str, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            is_foreign(&settings, &headers, "localhost:18080")
        };
        assert!(!sent("origin", "http://localhost:18080"));
        assert!(sent("origin", "http://localhost:18081"));
        assert!(sent("origin", "https://localhost:18080"));
        assert!(sent("origin", "null"));
        assert!(!sent("sec-fetch-site", "same-origin"));
        assert!(sent("sec-fetch-site", "cross-site"));
        assert!(sent("sec-fetch-site", "same-site"));
        assert!(!sent("accept", "*/*"));
    }
}
