//! Which addresses stay on this machine, and which belong together.

use std::net::{IpAddr, Ipv6Addr};

use rustix::process::{Resource, getrlimit};
use url::{Host, Url};

/// How many descriptors the process may have open.
pub fn descriptors() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// An address without the user name and the password in it.
pub fn without_login(address: &Url) -> Url {
    let mut bare = address.clone();
    // Only addresses without a host refuse this, and they cannot carry a login.
    let _ = bare.set_username("");
    let _ = bare.set_password(None);
    bare
}

/// Whether a host name or an IP address without brackets is this machine. Of names only `localhost` is:
/// whether `*.localhost` stays here is up to the resolver.
pub fn is_loopback_host(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// Whether a URL leads to this machine.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => is_loopback_host(name),
        None => false,
    }
}

/// The network by which clients are distinguished: an address of IPv4, or a /64 of IPv6, of which one client
/// has a whole one.
pub fn client_network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_distinguished_by_ipv4_addresses_and_by_64_bits_of_ipv6() {
        for (address, network) in [
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("2001:db8:1:3::", "2001:db8:1:3::"),
        ] {
            let [address, network] = [address, network].map(|text| text.parse().unwrap());
            assert_eq!(client_network(address), network);
        }
    }

    #[test]
    fn only_what_cannot_leave_the_machine_is_loopback() {
        for yes in ["127.0.0.1", "127.8.8.8", "::1", "localhost"] {
            assert!(is_loopback_host(yes), "{yes}");
        }
        for yes in ["http://127.0.0.1:1", "http://[::1]/", "http://LOCALHOST:8080"] {
            assert!(is_loopback(&yes.parse().unwrap()), "{yes}");
        }
        for no in [
            "https://tech.wazzup24.com",
            "http://10.0.0.1",
            "http://notlocalhost",
            "http://api.localhost",
            "http://localhost.example",
        ] {
            assert!(!is_loopback(&no.parse().unwrap()), "{no}");
        }
    }
}
