//! Sends requests, and says what stood in the way: the HTTP client hides which proxy refused and how.

use std::time::Duration;

use hyper_util::client::proxy::matcher::Intercept;
use reqwest::header::PROXY_AUTHORIZATION;
use reqwest::{ClientBuilder, Method, RequestBuilder, Response, StatusCode};
use url::Url;

use super::error::{BuildError, Error, causes};
use super::pool_key::PoolKey;
use crate::blocking;

/// How long a proxy that has refused a tunnel has to say with which status.
const STATUS_TIMEOUT: Duration = Duration::from_secs(3);
/// What the HTTP client says of every refused tunnel.
const TUNNEL_REFUSED: [&str; 2] =
    ["tunnel error: unsuccessful", "tunnel error: proxy authorization required"];

/// Sends requests over one pool of connections, which clones share.
#[derive(Clone)]
pub struct HttpClient {
    client: reqwest::Client,
    key: PoolKey,
}

impl HttpClient {
    pub(super) fn new(key: PoolKey, builder: ClientBuilder) -> Result<Self, BuildError> {
        Ok(Self { client: builder.build().map_err(BuildError)?, key })
    }

    /// A request to be sent.
    pub(crate) fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.client.request(method, url)
    }

    /// Sends a request, which has `timeout` until its response is complete.
    ///
    /// # Errors
    /// When there is no response.
    pub(crate) async fn send(
        &self,
        request: RequestBuilder,
        timeout: Duration,
    ) -> Result<Response, Error> {
        let request =
            request.timeout(timeout).build().map_err(|error| Error::sending(error, timeout))?;
        let url = request.url().clone();
        match self.client.execute(request).await {
            Err(error) if error.is_connect() && !error.is_timeout() => {
                Err(self.not_connected(error.without_url(), &url).await)
            }
            response => response.map_err(|error| Error::sending(error, timeout)),
        }
    }

    async fn not_connected(&self, error: reqwest::Error, url: &Url) -> Error {
        let Some(proxy) = self.key.proxy_to(url) else { return Error::Connect(error) };
        let reason = causes(&error);
        let refused = TUNNEL_REFUSED.iter().any(|words| reason.contains(words));
        let status = if refused { self.tunnel_status(&proxy, url).await } else { None };
        let address = proxy.uri();
        let host = address.host().unwrap_or_default();
        let proxy =
            address.port_u16().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        Error::Proxy { proxy, status, source: error }
    }

    /// The status with which a proxy refuses a tunnel.
    async fn tunnel_status(&self, proxy: &Intercept, url: &Url) -> Option<StatusCode> {
        let (key, through) = (self.key.clone(), proxy.clone());
        // The system's certificates are read from disk.
        let client = blocking::run(move || key.through(&through)).await.ok()?;
        let tunnel = format!("http://{}:{}", url.host_str()?, url.port_or_known_default()?);
        let mut request = client.request(Method::CONNECT, tunnel).timeout(STATUS_TIMEOUT);
        if let Some(login) = proxy.basic_auth() {
            request = request.header(PROXY_AUTHORIZATION, login.clone());
        }
        let status = request.send().await.ok()?.status();
        (!status.is_success()).then_some(status)
    }
}
