//! What connections must have in common to be shared, and what no request over them may do.

use std::time::Duration;

use hyper::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use reqwest::{Certificate, Proxy, redirect};
use url::Url;

use super::error::BuildError;
use crate::account::{Account, ProxyUrl, Tls};
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
    tls: Tls,
    /// Without one, the proxy that the usual variables name for the address, if any.
    proxy: Option<ProxyUrl>,
    /// Whether no proxy is used, because the loopback of a proxy is another one.
    direct: bool,
}

impl PoolKey {
    pub(super) fn of(account: &Account) -> Self {
        let direct = account.proxy.is_none() && is_loopback(&account.base_url);
        Self { tls: account.tls.clone(), proxy: account.proxy.clone(), direct }
    }

    pub(super) fn builder(&self) -> Result<reqwest::ClientBuilder, BuildError> {
        let builder = self.trusting()?;
        Ok(match &self.proxy {
            // Overrides the environment, NO_PROXY included.
            Some(proxy) => builder.proxy(Proxy::all(proxy.expose()).map_err(BuildError)?),
            None if self.direct => builder.no_proxy(),
            None => builder,
        })
    }

    /// The proxy that a request goes through, if any.
    pub(super) fn proxy_to(&self, url: &Url) -> Option<Intercept> {
        let matcher = match &self.proxy {
            Some(proxy) => Matcher::builder().all(proxy.expose()).build(),
            None if self.direct => return None,
            None => Matcher::from_system(),
        };
        matcher.intercept(&url.as_str().parse::<Uri>().ok()?)
    }

    fn trusting(&self) -> Result<reqwest::ClientBuilder, BuildError> {
        Ok(match &self.tls.ca {
            _ if self.tls.insecure_skip_verify => {
                bare_client().tls_danger_accept_invalid_certs(true)
            }
            Some(authorities) => {
                let certificates: Result<Vec<_>, _> =
                    authorities.certificates().map(Certificate::from_der).collect();
                bare_client().tls_certs_only(certificates.map_err(BuildError)?)
            }
            None => http_client()?,
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
