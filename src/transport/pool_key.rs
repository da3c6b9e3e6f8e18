//! What connections must have in common to be shared, and what no request over them may do.

use std::time::Duration;

use hyper::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use reqwest::{Certificate, Proxy, redirect};
use url::Url;

use super::error::BuildError;
use crate::account::{Account, Authorities, ProxyUrl};
use crate::net::is_loopback;

/// How long an HTTP/2 connection may be silent before it is asked whether it still works; gateways
/// punish those who ask more often.
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// How long the response may take before the connection is closed. A request that times out ends only
/// itself, so without this every account behind a hung connection would be blind until a restart.
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// Most idle connections to one host that are kept, by HTTP/1.1: a sweep without a pause opens hundreds, of
/// which each takes 47 KB, and one that is spread uses few of them again.
pub(super) const IDLE_MAX: usize = 64;

/// What connections must have in common to be shared.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct PoolKey {
    trust: TrustedRoots,
    proxy: ProxyChoice,
}

/// Which server certificates are accepted.
#[derive(Clone, PartialEq, Eq, Hash)]
enum TrustedRoots {
    System,
    Only(Authorities),
    AnyCertificate,
}

/// Which proxy is used.
#[derive(Clone, PartialEq, Eq, Hash)]
enum ProxyChoice {
    /// The proxy that the usual variables name for the address, if any.
    FromEnvironment,
    /// None, because the loopback of a proxy is another one.
    Direct,
    Given(ProxyUrl),
}

impl PoolKey {
    pub(super) fn of(account: &Account) -> Self {
        let trust = match &account.tls.ca {
            _ if account.tls.insecure_skip_verify => TrustedRoots::AnyCertificate,
            Some(authorities) => TrustedRoots::Only(authorities.clone()),
            None => TrustedRoots::System,
        };
        let proxy = match &account.proxy {
            Some(proxy) => ProxyChoice::Given(proxy.clone()),
            None if is_loopback(&account.base_url) => ProxyChoice::Direct,
            None => ProxyChoice::FromEnvironment,
        };
        Self { trust, proxy }
    }

    pub(super) fn builder(&self) -> Result<reqwest::ClientBuilder, BuildError> {
        let builder = self.trusting()?;
        Ok(match &self.proxy {
            ProxyChoice::FromEnvironment => builder,
            ProxyChoice::Direct => builder.no_proxy(),
            // Overrides the environment, NO_PROXY included.
            ProxyChoice::Given(proxy) => {
                builder.proxy(Proxy::all(proxy.expose()).map_err(BuildError)?)
            }
        })
    }

    /// A client with the trusted roots that uses this proxy, whatever it is asked for.
    pub(super) fn through(&self, proxy: &Intercept) -> Result<reqwest::Client, BuildError> {
        let proxy = Proxy::all(proxy.uri().to_string()).map_err(BuildError)?;
        self.trusting()?.proxy(proxy).http1_only().build().map_err(BuildError)
    }

    /// The proxy that a request goes through, if any.
    pub(super) fn proxy_to(&self, url: &Url) -> Option<Intercept> {
        let matcher = match &self.proxy {
            ProxyChoice::FromEnvironment => Matcher::from_system(),
            ProxyChoice::Direct => return None,
            ProxyChoice::Given(proxy) => Matcher::builder().all(proxy.expose()).build(),
        };
        matcher.intercept(&url.as_str().parse::<Uri>().ok()?)
    }

    fn trusting(&self) -> Result<reqwest::ClientBuilder, BuildError> {
        Ok(match &self.trust {
            TrustedRoots::System => http_client()?,
            TrustedRoots::Only(authorities) => {
                let certificates: Result<Vec<_>, _> =
                    authorities.certificates().map(Certificate::from_der).collect();
                bare_client().tls_certs_only(certificates.map_err(BuildError)?)
            }
            TrustedRoots::AnyCertificate => bare_client().tls_danger_accept_invalid_certs(true),
        })
    }
}

/// An HTTP client with our TLS roots that sends each request once and follows no redirect.
///
/// # Errors
/// When a built-in root certificate is not accepted, which a test rules out.
pub fn http_client() -> Result<reqwest::ClientBuilder, BuildError> {
    let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter();
    let roots: Result<Vec<_>, _> = roots.map(|root| Certificate::from_der(root)).collect();
    // The system's roots, and Mozilla's where there are none, as in an empty container.
    Ok(bare_client().tls_certs_merge(roots.map_err(BuildError)?))
}

/// What all clients have in common; HTTP/2 is spoken where the server offers it.
fn bare_client() -> reqwest::ClientBuilder {
    // Only the first call of a process installs it; the others find it there.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .user_agent(concat!("wazzup-exporter/", env!("CARGO_PKG_VERSION")))
        // A redirect would carry the token to wherever it points.
        .redirect(redirect::Policy::none())
        .referer(false)
        // By default it sends again what HTTP/2 peers refused; the budget counts each request.
        .retry(reqwest::retry::never())
        .pool_max_idle_per_host(IDLE_MAX)
        .http2_keep_alive_interval(PING_INTERVAL)
        .http2_keep_alive_timeout(PING_TIMEOUT)
        // An idle connection that hangs would cost the next sweep.
        .http2_keep_alive_while_idle(true)
}
