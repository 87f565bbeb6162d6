//! Where the hub's database is.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use huiliu_sdk::{Error, ErrorKind, Result};
use sqlx::postgres::PgConnectOptions;

/// Schema of the hub's tables in Postgres unless another is named.
pub const DEFAULT_SCHEMA: &str = "huiliu";

/// Longest name that Postgres keeps whole.
const NAME_BYTES: usize = 63;

/// Where the hub's database is.
#[derive(Debug, Clone, Default)]
pub enum StoreAddress {
    /// A file of SQLite in the data folder.
    #[default]
    Sqlite,
    /// A schema of a Postgres database.
    Postgres(PostgresAddress),
}

/// A schema of a Postgres database. Its password never prints.
#[derive(Clone)]
pub struct PostgresAddress {
    url: String,
    schema: String,
}

impl fmt::Debug for PostgresAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresAddress").field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl PostgresAddress {
    /// The database at `url` (`postgresql://user:password@host:port/database`) and a schema in
    /// it. The schema is a plain name, since other programs must be told it too.
    pub fn new(url: &str, schema: &str) -> Result<Self> {
        let fault = |message: &str, hint: &str| {
            Error::new(ErrorKind::Config, "E-STORE-ADDRESS", message).hint(hint.to_owned())
        };
        let plain = schema.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
            && schema.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if !plain || schema.len() > NAME_BYTES || schema.starts_with("pg_") {
            return Err(fault(
                "the schema of the hub's database is not a plain name",
                "use small letters, digits and _, such as huiliu",
            ));
        }
        let known = url.starts_with("postgresql://") || url.starts_with("postgres://");
        // The parser's own message may quote the password.
        let Some(options) = PgConnectOptions::from_str(url).ok().filter(|_| known) else {
            return Err(fault(
                "the address of the hub's database is not one of Postgres",
                "write it as postgresql://user:password@host:5432/database",
            ));
        };
        let mut url = url.to_owned();
        match asked_mode(&url).as_deref() {
            None if !is_local(&options) => {
                url.push(if url.contains('?') { '&' } else { '?' });
                url.push_str("sslmode=verify-full");
            }
            // The last word of somebody who has said it; the others only look as if they protected.
            None | Some("verify-full" | "verify-ca" | "disable") => {}
            Some(_) if is_local(&options) => {}
            Some(_) => {
                return Err(fault(
                    "the sslmode of the hub's database does not check who answers",
                    "leave it out, which verifies the server, with sslrootcert=FILE for a \
                     certificate authority of your own; or write sslmode=disable, if the network \
                     is trusted as a whole",
                ));
            }
        }
        Ok(Self { url, schema: schema.to_owned() })
    }

    /// The schema.
    pub fn schema(&self) -> &str {
        &self.schema
    }

    /// The address with the schema as its search path, for readers that take an address only.
    pub fn url_with_schema(&self) -> String {
        let sign = if self.url.contains('?') { '&' } else { '?' };
        format!("{}{sign}options[search_path]={}", self.url, self.schema)
    }
}

/// Whether the server is this machine.
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
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .rfind(|(key, _)| matches!(*key, "sslmode" | "ssl-mode"))
        .map(|(_, value)| value.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_machine_is_reached_by_verified_tls_or_not_at_all() {
        let url = |url: &str| PostgresAddress::new(url, "huiliu").map(|address| address.url);
        assert_eq!(url("postgresql://h@127.0.0.1/d").unwrap(), "postgresql://h@127.0.0.1/d");
        for (given, kept) in [("", "?sslmode=verify-full"), ("?a=b", "?a=b&sslmode=verify-full")] {
            let kept = format!("postgresql://h@10.0.0.7/d{kept}");
            assert_eq!(url(&format!("postgresql://h@10.0.0.7/d{given}")).unwrap(), kept);
        }
        for mode in ["prefer", "allow", "require"] {
            let error = url(&format!("postgresql://h@10.0.0.7/d?sslmode={mode}")).unwrap_err();
            assert_eq!(error.code(), "E-STORE-ADDRESS", "{mode}");
        }
        assert!(url("postgresql://h@10.0.0.7/d?sslmode=disable").is_ok());
    }

    #[test]
    fn only_plain_schemas_and_postgres_urls_are_taken() {
        const URL: &str = "postgresql://hub:secret@db.local:5432/hub";
        let address = PostgresAddress::new(URL, "huiliu").unwrap();
        assert!(!format!("{address:?}").contains("secret"));
        for schema in ["", "Huiliu", "a b", "a;drop", "pg_x", "1a", &"x".repeat(64)] {
            assert_eq!(PostgresAddress::new(URL, schema).unwrap_err().code(), "E-STORE-ADDRESS");
        }
        for url in ["mysql://h/d", "hub.db", "postgresql://hub:secret@db:notaport/x"] {
            let error = PostgresAddress::new(url, "huiliu").unwrap_err();
            assert_eq!(error.code(), "E-STORE-ADDRESS");
            assert!(!format!("{error:?}").contains("secret"));
        }
    }
}
