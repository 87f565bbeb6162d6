//! The cookie of a session.

use axum::http::header::COOKIE;
use axum::http::{HeaderMap, HeaderValue};
use huiliu_sdk::{Error, Result};

use super::WebSettings;

/// The name over TLS: such a cookie is only taken from this host over TLS, with the path `/`.
const SECURE: &str = "__Host-huiliu";
/// The name on loopback without TLS.
const PLAIN: &str = "huiliu";

fn name(settings: &WebSettings) -> &'static str {
    if settings.is_secure() { SECURE } else { PLAIN }
}

/// The value of a `Set-Cookie` header that begins a session.
pub fn session_cookie(settings: &WebSettings, secret: &str) -> Result<HeaderValue> {
    header(settings, secret, "")
}

/// The value of a `Set-Cookie` header that forgets a session.
pub fn clear_session(settings: &WebSettings) -> Result<HeaderValue> {
    header(settings, "", "; Max-Age=0")
}

fn header(settings: &WebSettings, value: &str, rest: &str) -> Result<HeaderValue> {
    let secure = if settings.is_secure() { "; Secure" } else { "" };
    let name = name(settings);
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{rest}");
    HeaderValue::from_str(&text).map_err(|e| Error::internal("a cookie cannot be sent").cause(e))
}

/// The secret of the session that a request comes with. Two cookies of the name are none: one of
/// them was put there by somebody else.
pub(crate) fn session_secret(settings: &WebSettings, headers: &HeaderMap) -> Option<String> {
    let name = name(settings);
    let texts = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut found = texts
        .flat_map(|text| text.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| value.to_owned());
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_goes_there_and_back() {
        let settings = WebSettings::default();
        let set = session_cookie(&settings, "abc").unwrap();
        assert_eq!(set, "huiliu=abc; Path=/; HttpOnly; SameSite=Lax");
        let secure = WebSettings { tls: true, ..WebSettings::default() };
        let set = session_cookie(&secure, "abc").unwrap();
        assert_eq!(set, "__Host-huiliu=abc; Path=/; HttpOnly; SameSite=Lax; Secure");
        let with = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(COOKIE, text.parse().unwrap());
            session_secret(&settings, &headers)
        };
        assert_eq!(with("a=1; huiliu=abc; b=2").as_deref(), Some("abc"));
        assert_eq!((with("a=1"), with("huiliu=abc; huiliu=def")), (None, None));
    }
}
