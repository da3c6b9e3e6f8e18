//! Sends requests, and says what stood in the way: the HTTP client hides which proxy refused.

use std::time::Duration;

use reqwest::{ClientBuilder, Method, RequestBuilder, Response};
use url::Url;

use super::error::{BuildError, Error};
use super::pool_key::PoolKey;

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
                Err(self.not_connected(error.without_url(), &url))
            }
            response => response.map_err(|error| Error::sending(error, timeout)),
        }
    }

    fn not_connected(&self, source: reqwest::Error, url: &Url) -> Error {
        let Some(proxy) = self.key.proxy_to(url) else { return Error::Connect(source) };
        let address = proxy.uri();
        let host = address.host().unwrap_or_default();
        let proxy =
            address.port_u16().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        Error::Proxy { proxy, source }
    }
}
