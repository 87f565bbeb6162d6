//! To which addresses no connector connects, whatever a name, a link or a redirect says, and to
//! which ones an operator limits them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::OnceLock;

use crate::{Error, ErrorKind, Result};

/// Addresses at which clouds hand out credentials, beside the link-local one.
const METADATA_V4: Ipv4Addr = Ipv4Addr::new(100, 100, 100, 200);
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

/// What the operator allows; everything unless it was said when the process started.
static ALLOWED: OnceLock<AllowedHosts> = OnceLock::new();

/// Names, addresses and ranges of addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedHosts {
    names: Vec<String>,
    ranges: Vec<(IpAddr, u32)>,
}

impl AllowedHosts {
    /// Reads entries such as `10.0.0.0/8`, `10.1.2.3` and `db.city.gov`; fails with the first one
    /// that is none of these.
    pub fn parse(entries: &[String]) -> Result<Self, String> {
        let mut allowed = Self::default();
        for entry in entries {
            if let Some(range) = range(entry) {
                allowed.ranges.push(range);
            } else if is_name(entry) {
                allowed.names.push(entry.to_ascii_lowercase());
            } else {
                return Err(entry.clone());
            }
        }
        Ok(allowed)
    }

    /// Lets this process connect to these only. The first that were said stay until it ends.
    pub fn enforce(self) {
        ALLOWED.get_or_init(|| self);
    }

    fn holds(&self, host: &str, address: IpAddr) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        self.names.iter().any(|name| name.eq_ignore_ascii_case(host))
            || self.ranges.iter().any(|range| is_in(address, *range))
    }
}

/// An address that is not connected to, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefusedAddress {
    why: &'static str,
    hint: &'static str,
}

impl fmt::Display for RefusedAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the address is {}", self.why)
    }
}

impl std::error::Error for RefusedAddress {}

impl RefusedAddress {
    /// The error of `what` was about to connect there.
    pub fn of(self, what: &str) -> Error {
        Error::new(ErrorKind::Config, "E-FORBIDDEN-ADDRESS", format!("{what}: {self}"))
            .hint(self.hint)
    }
}

/// Fails if one of the addresses of `host` is never connected to or not allowed by the operator.
/// Only what is meant to be on this machine may be reached over `loopback`.
pub fn check_addresses(
    host: &str,
    addresses: impl IntoIterator<Item = IpAddr>,
    loopback: bool,
) -> Result<(), RefusedAddress> {
    let allowed = ALLOWED.get();
    addresses.into_iter().try_for_each(|address| check(host, plain(address), loopback, allowed))
}

/// Whether a host as it is written, a name or an address, is this machine.
pub fn is_this_machine(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    address.is_ok_and(|address| plain(address).is_loopback())
        || host == "localhost"
        || host.ends_with(".localhost")
}

fn check(
    host: &str,
    address: IpAddr,
    loopback: bool,
    allowed: Option<&AllowedHosts>,
) -> Result<(), RefusedAddress> {
    let link_local = match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    let why = if address == METADATA_V4 || address == METADATA_V6 {
        "one at which a cloud hands out credentials"
    } else if link_local {
        "link-local"
    } else if address.is_unspecified() || address.is_multicast() || address == Ipv4Addr::BROADCAST {
        "of no single machine"
    } else if address.is_loopback() && !loopback {
        "this machine's own, which only the configuration itself may name"
    } else if allowed.is_some_and(|allowed| !allowed.holds(host, address)) {
        let hint = "if that is meant, an administrator adds it to `allow` under [network] in \
                    config/hub.toml";
        return Err(RefusedAddress { why: "outside of what the hub may connect to", hint });
    } else {
        return Ok(());
    };
    Err(RefusedAddress { why, hint: "write the address of the system itself" })
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

/// An address and how many of its first bits count.
fn range(entry: &str) -> Option<(IpAddr, u32)> {
    let (address, length) = match entry.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (entry, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let longest = bits(address).1;
    let length = length.map_or(Some(longest), |length| length.parse().ok())?;
    (length <= longest).then_some((address, length))
}

fn is_in(address: IpAddr, (base, length): (IpAddr, u32)) -> bool {
    let ((ours, longest), (theirs, other)) = (bits(address), bits(base));
    let start = |bits: u128| bits.checked_shr(longest - length.min(longest)).unwrap_or(0);
    longest == other && start(ours) == start(theirs)
}

/// The bits of an address, and how many there are.
fn bits(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(v4) => (u32::from(v4).into(), 32),
        IpAddr::V6(v6) => (v6.into(), 128),
    }
}

/// Whether `entry` can be the name of a host. The last part of one is no number, so that a mistyped
/// address is no name.
fn is_name(entry: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_'))
    };
    let last = entry.rsplit('.').next().unwrap_or_default();
    entry.split('.').all(is_part) && !last.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(entries: &[&str]) -> AllowedHosts {
        let entries: Vec<String> = entries.iter().map(|entry| (*entry).to_owned()).collect();
        AllowedHosts::parse(&entries).unwrap()
    }

    #[test]
    fn some_addresses_are_never_connected_to() {
        for address in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "100.100.100.200",
            "fd00:ec2::254",
            "fe80::1",
            "febf::1",
            "0.0.0.0",
            "::",
            "255.255.255.255",
            "224.0.0.1",
            "ff02::1",
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert!(check_addresses("db", [address], true).is_err(), "{address}");
            // Whatever is allowed beside them.
            let all = allowed(&["0.0.0.0/0", "::/0", "db"]);
            assert!(check("db", plain(address), true, Some(&all)).is_err(), "{address}");
        }
        for address in ["10.1.2.3", "192.168.0.1", "172.16.0.1", "fd12::1", "8.8.8.8"] {
            let address: IpAddr = address.parse().unwrap();
            assert!(check_addresses("db", [address], false).is_ok(), "{address}");
        }
        for address in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            assert!(is_this_machine(address));
            let address: IpAddr = address.parse().unwrap();
            assert!(check_addresses("db", [address], true).is_ok(), "{address}");
            assert!(check_addresses("db", [address], false).is_err(), "{address}");
        }
        // One such address is enough.
        let found = ["10.1.2.3", "169.254.169.254"].map(|address| address.parse().unwrap());
        assert!(check_addresses("db", found, true).is_err());
    }

    #[test]
    fn what_is_not_on_the_list_is_refused() {
        let list = allowed(&["10.0.0.0/8", "192.168.7.9", "fd12::/16", "DB.city.gov"]);
        let is_allowed =
            |host, address: &str| check(host, address.parse().unwrap(), true, Some(&list)).is_ok();
        for address in ["10.255.0.1", "192.168.7.9", "fd12:3::4"] {
            assert!(is_allowed("any", address), "{address}");
        }
        for address in ["11.0.0.1", "192.168.7.10", "fd13::4", "127.0.0.1"] {
            assert!(!is_allowed("any", address), "{address}");
            assert!(is_allowed("db.city.gov.", address), "a name may be anywhere: {address}");
        }
        let error = check("any", "11.0.0.1".parse().unwrap(), true, Some(&list)).unwrap_err();
        let error = error.of("connecting");
        assert_eq!((error.kind(), error.code()), (ErrorKind::Config, "E-FORBIDDEN-ADDRESS"));
        assert!(error.hint_text().unwrap().contains("[network]"));
        let nothing = allowed(&[]);
        assert!(check("any", "10.0.0.1".parse().unwrap(), true, Some(&nothing)).is_err());
    }

    #[test]
    fn entries_that_say_nothing_are_told() {
        for entry in ["", "10.0.0.300", "10.0.0.0/33", "10.0.0.0/x", "a b", "http://a", "a:1", "*"]
        {
            assert_eq!(AllowedHosts::parse(&[entry.to_owned()]).unwrap_err(), entry);
        }
        assert!(is_in("8.8.8.8".parse().unwrap(), range("0.0.0.0/0").unwrap()));
        assert!(!is_in("8.8.8.8".parse().unwrap(), range("::/0").unwrap()));
    }
}
