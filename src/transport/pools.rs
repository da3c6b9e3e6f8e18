//! The connections to upstream: TLS roots, proxies, and what no request may do.
//!
//! [`ConnectionPools`] keeps one HTTP client, and with it one pool of connections, for every
//! combination of trusted roots and proxy; accounts with the same combination share it. A connection
//! made without checking the certificate is never used for an account that requires the check.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::{Certificate, Proxy, redirect};

use super::error::BuildError;
use crate::account::{Account, Authorities, ProxyUrl};
use crate::blocking::lock;
use crate::net::is_loopback;

/// How long an HTTP/2 connection may be silent before it is asked whether it still works; gateways
/// punish those who ask more often.
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// How long the response may take before the connection is closed. A request that times out ends only
/// itself, so without this every account behind a hung connection would be blind until a restart.
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// Connection pools, shared by all accounts. Clones hold the same pools.
#[derive(Clone, Default)]
pub struct ConnectionPools {
    pools: Arc<Mutex<HashMap<PoolKey, reqwest::Client>>>,
}

/// What connections must have in common to be shared.
#[derive(Clone, PartialEq, Eq, Hash)]
struct PoolKey {
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

impl ConnectionPools {
    /// No pools yet; each is set up when the first account needs it.
    pub fn new() -> Self {
        Self::default()
    }

    /// The client for an account's requests, the same for all accounts with the same trusted roots and
    /// proxy.
    ///
    /// # Errors
    /// When TLS or the proxy cannot be set up, which a validated configuration rules out.
    pub fn client_for(&self, account: &Account) -> Result<reqwest::Client, BuildError> {
        let key = PoolKey::of(account);
        let mut pools = lock(&self.pools);
        if let Some(client) = pools.get(&key) {
            return Ok(client.clone());
        }
        let client = key.client()?;
        pools.insert(key, client.clone());
        Ok(client)
    }

    /// A client for one request of an account that must not be sent twice: it shares no connection
    /// with any other request and keeps none, and speaks HTTP/1.1, in which a response is about the
    /// only request there is.
    ///
    /// # Errors
    /// As for [`client_for`](Self::client_for).
    pub fn single_use(account: &Account) -> Result<reqwest::Client, BuildError> {
        let builder = PoolKey::of(account).builder()?;
        builder.http1_only().pool_max_idle_per_host(0).build().map_err(BuildError)
    }

    /// Drops the pools that none of `accounts` uses. Requests that are open in them are not cancelled.
    pub fn retain_for(&self, accounts: &[Arc<Account>]) {
        let keys: HashSet<PoolKey> = accounts.iter().map(|account| PoolKey::of(account)).collect();
        let mut pools = lock(&self.pools);
        pools.retain(|key, _| keys.contains(key));
    }
}

impl fmt::Debug for ConnectionPools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pools = lock(&self.pools).len();
        f.debug_struct("ConnectionPools").field("pools", &pools).finish()
    }
}

impl PoolKey {
    fn of(account: &Account) -> Self {
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

    fn client(&self) -> Result<reqwest::Client, BuildError> {
        self.builder()?.build().map_err(BuildError)
    }

    fn builder(&self) -> Result<reqwest::ClientBuilder, BuildError> {
        let builder = match &self.trust {
            TrustedRoots::System => http_client()?,
            TrustedRoots::Only(authorities) => {
                let certificates: Result<Vec<_>, _> =
                    authorities.certificates().map(Certificate::from_der).collect();
                bare_client().tls_certs_only(certificates.map_err(BuildError)?)
            }
            TrustedRoots::AnyCertificate => bare_client().tls_danger_accept_invalid_certs(true),
        };
        Ok(match &self.proxy {
            ProxyChoice::FromEnvironment => builder,
            ProxyChoice::Direct => builder.no_proxy(),
            // Overrides the environment, NO_PROXY included.
            ProxyChoice::Given(proxy) => {
                builder.proxy(Proxy::all(proxy.expose()).map_err(BuildError)?)
            }
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
        .http2_keep_alive_interval(PING_INTERVAL)
        .http2_keep_alive_timeout(PING_TIMEOUT)
        // An idle connection that hangs would cost the next sweep.
        .http2_keep_alive_while_idle(true)
}

#[cfg(test)]
mod tests {
    use crate::account::{Tls, fixture};

    use super::*;

    fn account(base_url: &str, tls: Tls, proxy: Option<&str>) -> Account {
        let proxy = proxy.map(|proxy| ProxyUrl::parse(proxy).unwrap());
        Account { base_url: base_url.parse().unwrap(), tls, proxy, ..fixture("acme", &["1"]) }
    }

    fn authority() -> Authorities {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::default().self_signed(&key).unwrap();
        Authorities::new(vec![certificate.der().to_vec()])
    }

    #[test]
    fn accounts_with_the_same_roots_and_proxy_share_a_client() {
        let transport = ConnectionPools::new();
        let remote = "https://tech.wazzup24.com";
        let (one, other) = (authority(), authority());
        let tls = |ca: &Authorities| Tls { ca: Some(ca.clone()), insecure_skip_verify: false };
        let any = Tls { ca: None, insecure_skip_verify: true };
        let keys = [
            account(remote, Tls::default(), None),
            account("http://127.0.0.1:1", Tls::default(), None),
            account(remote, tls(&one), None),
            account(remote, tls(&other), None),
            account(remote, any, None),
            account(remote, Tls::default(), Some("http://proxy:3128")),
            account(remote, Tls::default(), Some("http://user:password@proxy:3128")),
        ];
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for account in &keys {
                        transport.clone().client_for(account).unwrap();
                    }
                });
            }
        });
        assert_eq!(
            format!("{transport:?}"),
            format!("ConnectionPools {{ pools: {} }}", keys.len())
        );
        let elsewhere = account("https://example.com/prefix", tls(&one), None);
        transport.client_for(&elsewhere).unwrap();
        assert_eq!(transport.pools.lock().unwrap().len(), keys.len());
        transport.retain_for(&[Arc::new(elsewhere)]);
        assert_eq!(transport.pools.lock().unwrap().len(), 1);
    }
}
