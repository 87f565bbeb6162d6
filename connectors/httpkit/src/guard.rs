//! Which addresses are never connected to, whatever a name, a link or a redirect says.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use huiliu_sdk::{RefusedAddress, check_addresses, is_this_machine};
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Looks up names and refuses them whole if one of their addresses is refused. What was checked
/// is what is connected to, so an answer that changes in between changes nothing.
pub(crate) struct Guard {
    pub(crate) loopback: bool,
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let loopback = self.loopback;
        Box::pin(async move {
            // Names under `localhost` mean this machine, whether a name server knows them or not.
            let found: Vec<SocketAddr> = if name.as_str().ends_with(".localhost") {
                vec![(Ipv4Addr::LOCALHOST, 0).into()]
            } else {
                tokio::net::lookup_host((name.as_str(), 0)).await?.collect()
            };
            check_addresses(name.as_str(), found.iter().map(SocketAddr::ip), loopback)?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Fails if the host of `url` is written as an address that is refused. Names are checked when
/// they are looked up.
pub(crate) fn check_literal(url: &Url, loopback: bool) -> Result<(), RefusedAddress> {
    let host = url.host_str().unwrap_or_default();
    let literal: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    check_addresses(host, literal, loopback)
}

/// Whether `url` itself says that the system is on this machine.
pub fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(is_this_machine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_refused_however_they_are_written() {
        for host in [
            "169.254.169.254",
            "2852039166",
            "0xA9FEA9FE",
            "0251.0376.0251.0376",
            "[::ffff:169.254.169.254]",
            "[64:ff9b::a9fe:a9fe]",
            "100.100.100.200",
            "[fd00:ec2::254]",
            "[fe80::1]",
            "0.0.0.0",
            "[::]",
            "255.255.255.255",
            "224.0.0.1",
        ] {
            let url = Url::parse(&format!("http://{host}/")).unwrap();
            assert!(check_literal(&url, true).is_err(), "{host}");
        }
        for host in ["127.0.0.1", "127.1", "2130706433", "[::1]", "[::ffff:127.0.0.1]"] {
            let url = Url::parse(&format!("http://{host}/")).unwrap();
            assert!(check_literal(&url, false).is_err(), "{host}");
            assert!(check_literal(&url, true).is_ok() && is_loopback(&url), "{host}");
        }
        for host in ["10.1.2.3", "192.168.0.1", "172.16.0.1", "[fd12::1]", "city.example"] {
            let url = Url::parse(&format!("http://{host}/")).unwrap();
            assert!(check_literal(&url, false).is_ok() && !is_loopback(&url), "{host}");
        }
    }
}
