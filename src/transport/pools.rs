//! The connections to upstream.
//!
//! [`ConnectionPools`] keeps one HTTP client, and with it one pool of connections, for every
//! combination of trusted roots and proxy; accounts with the same combination share it. A connection
//! made without checking the certificate is never used for an account that requires the check.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex};

use super::error::BuildError;
use super::http_client::HttpClient;
use super::pool_key::PoolKey;
use crate::account::Account;
use crate::blocking::lock;

/// Connection pools, shared by all accounts. Clones hold the same pools.
#[derive(Clone, Default)]
pub struct ConnectionPools {
    pools: Arc<Mutex<HashMap<PoolKey, HttpClient>>>,
}

impl ConnectionPools {
    /// The client for an account's requests, the same for all accounts with the same trusted roots and
    /// proxy.
    ///
    /// # Errors
    /// When TLS or the proxy cannot be set up, which a validated configuration rules out.
    pub fn client_for(&self, account: &Account) -> Result<HttpClient, BuildError> {
        let key = PoolKey::of(account);
        if let Some(client) = lock(&self.pools).get(&key) {
            return Ok(client.clone());
        }
        // Without the lock: it may read the system's authorities from the disk.
        let client = HttpClient::new(key.clone(), key.builder()?)?;
        Ok(lock(&self.pools).entry(key).or_insert(client).clone())
    }

    /// A client for one request of an account that must not be sent twice: it shares no connection
    /// with any other request and keeps none, and speaks HTTP/1.1, in which a response is about the
    /// only request there is.
    ///
    /// # Errors
    /// As for [`client_for`](Self::client_for).
    pub fn single_use(account: &Account) -> Result<HttpClient, BuildError> {
        let key = PoolKey::of(account);
        let builder = key.builder()?.http1_only().pool_max_idle_per_host(0);
        HttpClient::new(key, builder)
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::time::Duration;

    use reqwest::Method;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::Barrier;
    use tokio::task::JoinSet;

    use crate::account::{Authorities, ProxyUrl, Tls, fixture};
    use crate::transport::pool_key::IDLE_MAX;

    use super::*;

    fn account(base_url: &str, tls: Tls, proxy: Option<&str>) -> Account {
        let proxy = proxy.map(|proxy| ProxyUrl::parse(proxy).unwrap());
        Account { base_url: base_url.parse().unwrap(), tls, proxy, ..fixture("acme", &["1"]) }
    }

    fn authority() -> Authorities {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::default().self_signed(&key).unwrap();
        Authorities::new(vec![certificate.der().to_vec()], "ca.pem".as_ref())
    }

    #[test]
    fn accounts_with_the_same_roots_and_proxy_share_a_client() {
        let transport = ConnectionPools::default();
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

    /// Answers a request once all have come, and stays until the client closes the connection.
    async fn answer_with_others(mut stream: TcpStream, all: Arc<Barrier>) {
        let mut request = [0; 4096];
        assert!(stream.read(&mut request).await.unwrap() > 0);
        all.wait().await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        while stream.read(&mut request).await.is_ok_and(|read| read > 0) {}
    }

    #[tokio::test]
    async fn of_many_connections_few_are_kept() {
        const MORE: usize = IDLE_MAX + 20;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let open = Arc::new(AtomicUsize::new(0));
        let (counted, all) = (Arc::clone(&open), Arc::new(Barrier::new(MORE)));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, SeqCst);
                let (counted, all) = (Arc::clone(&counted), Arc::clone(&all));
                tokio::spawn(async move {
                    answer_with_others(stream, all).await;
                    counted.fetch_sub(1, SeqCst);
                });
            }
        });
        let http =
            ConnectionPools::default().client_for(&account(&url, Tls::default(), None)).unwrap();
        let mut requests = JoinSet::new();
        for _ in 0..MORE {
            let (http, url) = (http.clone(), url.parse().unwrap());
            requests.spawn(async move {
                let request = http.request(Method::GET, url);
                http.send(request, Duration::from_mins(1)).await.unwrap().bytes().await.unwrap()
            });
        }
        requests.join_all().await;
        while open.load(SeqCst) > IDLE_MAX {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(open.load(SeqCst) > 0);
    }
}
