//! Which addresses are never connected to, whatever a name, a link or a redirect says.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Addresses at which clouds hand out credentials, beside the link-local one.
const METADATA_V4: Ipv4Addr = Ipv4Addr::new(100, 100, 100, 200);
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

/// An address that is never connected to, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused(&'static str);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the address is {}", self.0)
    }
}

impl std::error::Error for Refused {}

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
            for address in &found {
                check(address.ip(), loopback)?;
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Fails if the host of `url` is written as an address that is refused. Names are checked when
/// they are looked up.
pub(crate) fn check_literal(url: &Url, loopback: bool) -> Result<(), Refused> {
    match literal(url) {
        Some(address) => check(address, loopback),
        None => Ok(()),
    }
}

/// Whether `url` itself says that the system is on this machine.
pub fn is_loopback(url: &Url) -> bool {
    literal(url).is_some_and(|address| plain(address).is_loopback())
        || url.host_str().is_some_and(|host| host == "localhost" || host.ends_with(".localhost"))
}

fn literal(url: &Url) -> Option<IpAddr> {
    url.host_str()?.trim_matches(['[', ']']).parse().ok()
}

/// The IPv4 address that an IPv6 address stands for, if it does.
fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let [a, b, c, d, e, f, ..] = v6.segments();
    let embeds = [a, b, c, d, e] == [0; 5] && (f == 0xffff || f == 0)
        || [a, b, c, d, e, f] == [0x64, 0xff9b, 0, 0, 0, 0];
    if !embeds || v6.is_loopback() || v6.is_unspecified() {
        return address;
    }
    let [.., w, x, y, z] = v6.octets();
    IpAddr::V4(Ipv4Addr::new(w, x, y, z))
}

fn check(address: IpAddr, loopback: bool) -> Result<(), Refused> {
    let address = plain(address);
    let link_local = match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    let reason = if address == METADATA_V4 || address == METADATA_V6 {
        "one at which a cloud hands out credentials"
    } else if link_local {
        "link-local"
    } else if address.is_unspecified() || address.is_multicast() || address == Ipv4Addr::BROADCAST {
        "of no single machine"
    } else if address.is_loopback() && !loopback {
        "this machine's own, which only the url itself may name"
    } else {
        return Ok(());
    };
    Err(Refused(reason))
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
