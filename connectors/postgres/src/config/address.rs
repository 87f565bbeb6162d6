//! Where the database is, and how the way there is protected.

use std::net::IpAddr;
use std::path::Path;

use huiliu_sdk::ConfigErrors;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

/// Reads the address. Without TLS, or with TLS that would silently be left out, only this machine
/// is reached, unless the operator says so.
pub(super) fn read(
    url: Option<&str>,
    tls: Option<&str>,
    ca: Option<&Path>,
    faults: &mut ConfigErrors,
) -> PgConnectOptions {
    let nothing = PgConnectOptions::new_without_pgpass();
    let Some(url) = url else { return nothing };
    let scheme = url.starts_with("postgresql://") || url.starts_with("postgres://");
    // The parser's error could repeat the address, which may hold a password.
    let Some(options) = url.parse::<PgConnectOptions>().ok().filter(|_| scheme) else {
        faults.push_with_hint(
            "url",
            "is not the address of a PostgreSQL database",
            "write postgresql://user:password@host:5432/database",
        );
        return nothing;
    };
    let options = options.application_name("huiliu");
    let is_off = match tls {
        None => false,
        Some("off") => true,
        Some(other) => {
            faults.push_with_hint("tls", format!("`{other}` is not a choice"), "use `off` or none");
            false
        }
    };
    let local = is_local(&options);
    let asked = asked_mode(url);
    let mode = match asked.as_deref() {
        Some("require") if local && ca.is_none() => PgSslMode::Require,
        Some("verify-ca") => PgSslMode::VerifyCa,
        Some("verify-full") => PgSslMode::VerifyFull,
        Some("disable") if local || is_off => PgSslMode::Disable,
        Some("allow" | "prefer") if local && ca.is_none() => PgSslMode::Prefer,
        Some(_) => {
            faults.push_with_hint(
                "url",
                "its sslmode does not make sure who answers",
                "use sslmode=verify-full, with `ca` for a certificate authority of your own, or \
                 tls = \"off\" if the network is trusted",
            );
            PgSslMode::VerifyFull
        }
        None if is_off => PgSslMode::Disable,
        // Whoever names a certificate authority wants it used.
        None if local && ca.is_none() => PgSslMode::Prefer,
        None => PgSslMode::VerifyFull,
    };
    if is_off && !matches!(mode, PgSslMode::Disable) {
        faults.push_with_hint(
            "tls",
            "is `off` while the url asks for TLS",
            "remove `tls` or the sslmode in `url`",
        );
    }
    let options = options.ssl_mode(mode);
    match ca {
        Some(ca) => options.ssl_root_cert(ca),
        None => options,
    }
}

fn is_local(options: &PgConnectOptions) -> bool {
    let host = options.get_host().trim_matches(['[', ']']);
    options.get_socket().is_some()
        || host.starts_with('/')
        || host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The sslmode in the query of an address; the last one counts.
fn asked_mode(url: &str) -> Option<String> {
    let (_, query) = url.split_once('?')?;
    let query = query.split('#').next().unwrap_or_default();
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .rfind(|(key, _)| matches!(*key, "sslmode" | "ssl-mode"))
        .map(|(_, value)| value.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(url: &str, tls: Option<&str>) -> Option<String> {
        let mut faults = ConfigErrors::default();
        let options = read(Some(url), tls, None, &mut faults);
        faults.0.is_empty().then(|| format!("{:?}", options.get_ssl_mode()))
    }

    #[test]
    fn only_this_machine_is_reached_without_tls() {
        let is = |name: &str| Some(name.to_owned());
        assert_eq!(mode("postgresql://a@127.0.0.1/d", None), is("Prefer"));
        assert_eq!(mode("postgresql://a@[::1]:5432/d", None), is("Prefer"));
        assert_eq!(mode("postgresql://a@localhost/d?sslmode=disable", None), is("Disable"));
        assert_eq!(mode("postgresql://a@10.0.0.7/d", None), is("VerifyFull"));
        assert_eq!(mode("postgresql://a@127.0.0.1/d?sslmode=require", None), is("Require"));
        assert_eq!(mode("postgresql://a@db.example/d?sslmode=verify-ca", None), is("VerifyCa"));
        assert_eq!(mode("postgresql://a@db.example/d", Some("off")), is("Disable"));
        assert_eq!(mode("postgresql://a@127.0.0.1.example/d", None), is("VerifyFull"));
        for open in ["prefer", "allow", "disable", "require"] {
            assert_eq!(mode(&format!("postgresql://a@db.example/d?sslmode={open}"), None), None);
        }
        assert_eq!(mode("postgresql://a@db.example/d?sslmode=verify-full", Some("off")), None);
        assert_eq!(mode("postgresql://a@db.example/d", Some("maybe")), None);
        assert_eq!(mode("mysql://a@db.example/d", None), None);
    }
}
