//! The connections to upstream: TLS roots, proxies, and what no request may do.

use reqwest::{Certificate, redirect};
use url::{Host, Url};

use super::error::BuildError;

/// Connection pools, shared by all accounts.
#[derive(Debug, Clone)]
pub struct Transport {
    /// Obeys the usual proxy variables of the environment.
    proxied: reqwest::Client,
    /// For loopback, which no proxy can reach for us.
    direct: reqwest::Client,
}

impl Transport {
    /// Sets up the pools; nothing is connected yet.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new() -> Result<Self, BuildError> {
        Ok(Self {
            proxied: http_client()?.build().map_err(BuildError)?,
            direct: http_client()?.no_proxy().build().map_err(BuildError)?,
        })
    }

    /// The pool for requests to `url`.
    pub(super) fn to(&self, url: &Url) -> reqwest::Client {
        if is_loopback(url) { self.direct.clone() } else { self.proxied.clone() }
    }
}

/// An HTTP client with our TLS roots that sends each request once and follows no redirect.
///
/// # Errors
/// When a built-in root certificate is not accepted, which a test rules out.
pub fn http_client() -> Result<reqwest::ClientBuilder, BuildError> {
    // Only the first call of a process installs it; the others find it there.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter();
    let roots: Result<Vec<_>, _> = roots.map(|root| Certificate::from_der(root)).collect();
    Ok(reqwest::Client::builder()
        .user_agent(concat!("wazzup-exporter/", env!("CARGO_PKG_VERSION")))
        // The system's roots, and Mozilla's where there are none, as in an empty container.
        .tls_certs_merge(roots.map_err(BuildError)?)
        // A redirect would carry the token to wherever it points.
        .redirect(redirect::Policy::none())
        .referer(false)
        // By default it sends again what HTTP/2 peers refused; the budget counts each request.
        .retry(reqwest::retry::never()))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_can_be_set_up() {
        Transport::new().unwrap();
    }

    #[test]
    fn only_loopback_goes_without_proxy() {
        for yes in ["http://127.0.0.1:1", "http://[::1]/", "http://localhost:8080"] {
            assert!(is_loopback(&yes.parse().unwrap()), "{yes}");
        }
        for no in ["https://tech.wazzup24.com", "http://10.0.0.1", "http://notlocalhost"] {
            assert!(!is_loopback(&no.parse().unwrap()), "{no}");
        }
    }
}
