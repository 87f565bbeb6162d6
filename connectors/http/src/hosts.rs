//! Where requests may go: to the system itself, and to hosts that are named.

use huiliu_httpkit::{Url, shown};
use huiliu_sdk::{ConfigErrors, Error, ErrorKind, Result};

/// The system's own address and the other hosts to which links may lead.
pub(crate) struct Hosts {
    own: Url,
    others: Vec<(String, Option<u16>)>,
}

impl Hosts {
    /// Checks the names of hosts.
    pub(crate) fn new(own: Url, others: &[String], errors: &mut ConfigErrors) -> Self {
        let mut read = Vec::new();
        for (index, text) in others.iter().enumerate() {
            let url = Url::parse(&format!("http://{text}")).ok();
            let plain = url.filter(|url| url.path() == "/" && url.query().is_none());
            match plain.as_ref().and_then(|url| Some((url.host_str()?.to_owned(), url.port()))) {
                Some(host) => read.push(host),
                None => errors.push_with_hint(
                    format!("hosts[{index}]"),
                    "is not a host",
                    "write it like files.city.example or files.city.example:8080",
                ),
            }
        }
        Self { own, others: read }
    }

    /// Whether credentials may be sent to `url`: only to the system itself.
    pub(crate) fn is_own(&self, url: &Url) -> bool {
        self.own.origin() == url.origin()
    }

    /// Whether requests without credentials may be sent to `url`.
    pub(crate) fn is_allowed(&self, url: &Url) -> bool {
        let same = |(host, port): &(String, Option<u16>)| {
            let port_fits = match port {
                Some(port) => url.port_or_known_default() == Some(*port),
                None => url.port().is_none(),
            };
            url.host_str() == Some(host.as_str()) && port_fits
        };
        matches!(url.scheme(), "http" | "https")
            && (self.is_own(url) || self.others.iter().any(same))
    }

    /// Fails if no requests may be sent to `url`, to which an answer of `request` led.
    pub(crate) fn check(&self, request: &str, url: &Url) -> Result<()> {
        if self.is_allowed(url) {
            return Ok(());
        }
        let mut host = url.clone();
        // The path may hold a ticket; the host is what has to be decided on.
        host.set_path("/");
        host.set_query(None);
        let message = format!("{request}: the answer leads to another host, {}", shown(&host));
        Err(Error::new(ErrorKind::Schema, "E-FOREIGN-HOST", message)
            .hint("if that is meant, add the host to hosts; no credentials are sent there"))
    }
}
