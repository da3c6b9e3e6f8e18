//! Which addresses stay on this machine.

use std::net::IpAddr;

use url::{Host, Url};

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

#[cfg(test)]
mod tests {
    use super::*;

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
