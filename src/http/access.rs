//! Access control: the web configuration, applied to every request.
//!
//! [`Access`] is made from a [`WebConfig`] at the start, and [`Access::replace`] applies a later one as
//! far as that works without a restart. [`admit`] is the middleware of the routes that need access, and
//! [`connection`](super::connection) takes the TLS settings of every new connection from it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Extension;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hyper::header::{HeaderValue, ORIGIN, WWW_AUTHENTICATE};
use hyper::{HeaderMap, StatusCode};
use tokio::time::Instant;

use super::login::{Logins, NoAccess};
use super::response::{overloaded, plain_text};
use crate::blocking::lock;
use crate::metrics::ProcessMetrics;
use crate::web_config::{RequestRate, ServerTls, WebConfig};

/// The challenge for which browsers prompt for a name and a password.
const CHALLENGE: &str = "Basic realm=\"wazzup-exporter\", charset=\"UTF-8\"";

/// The header in which browsers state the origin of a request relative to its target.
const SITE: &str = "sec-fetch-site";

/// The access rules of a listener.
pub struct Access {
    /// As at the start. Whether there is TLS, HTTP/2 and the rate limit stay as they are here.
    started: WebConfig,
    current: ArcSwap<WebConfig>,
    limit: Option<RateLimiter>,
    logins: Logins,
}

impl Access {
    /// The rules of a configuration; without one, plain HTTP and no authentication.
    pub fn new(config: Option<&WebConfig>, process: Arc<ProcessMetrics>) -> Self {
        let started = config.cloned().unwrap_or_default();
        Self {
            current: ArcSwap::from_pointee(started.clone()),
            limit: started.rate_limit.map(RateLimiter::new),
            logins: Logins::new(process),
            started,
        }
    }

    /// Applies another configuration: certificates, client authentication, users and headers.
    /// Returns the changed settings that need a restart.
    pub fn replace(&self, config: &WebConfig) -> Vec<&'static str> {
        let started = &self.started;
        let mut current = config.clone();
        current.tls = match &config.tls {
            _ if started.tls.is_none() => None,
            Some(tls) => Some(tls.with_http2(started.http2)),
            None => self.tls(),
        };
        self.current.store(Arc::new(current));
        needing_restart(started, config)
    }

    /// The TLS settings for a new connection.
    pub(super) fn tls(&self) -> Option<ServerTls> {
        self.current.load().tls.clone()
    }

    /// Checks the rate limit and the login of a request from `peer`. Not to be called for probes: they
    /// have no password, and a rate limit must not make them fail.
    pub(super) async fn check(
        &self,
        headers: &HeaderMap,
        peer: SocketAddr,
    ) -> Result<(), NoAccess> {
        if self.limit.as_ref().is_some_and(|limit| !limit.take()) {
            return Err(NoAccess::RateLimited);
        }
        let config = self.current.load_full();
        if config.users.is_empty() {
            return Ok(());
        }
        self.logins.check(headers, &config.users, peer).await
    }

    /// Adds the configured headers; they replace our own of the same name.
    pub(super) fn add_headers(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.current.load().headers {
            headers.insert(name, value.clone());
        }
    }
}

/// The settings that differ and are as they were at the start.
fn needing_restart(started: &WebConfig, config: &WebConfig) -> Vec<&'static str> {
    let mut settings = Vec::new();
    if config.tls.is_some() != started.tls.is_some() {
        settings.push(if config.tls.is_some() { "turning TLS on" } else { "turning TLS off" });
    }
    if config.http2 != started.http2 && started.tls.is_some() {
        settings.push("http2");
    }
    if config.rate_limit != started.rate_limit {
        settings.push("rate_limit");
    }
    settings
}

/// Whether a browser sent this. Browsers send `Origin` with every POST, and modern ones send
/// `Sec-Fetch-Site`; other clients send neither.
pub(super) fn is_from_browser(headers: &HeaderMap) -> bool {
    headers.contains_key(ORIGIN) || headers.contains_key(SITE)
}

/// Lets a request through, or refuses it.
pub(super) async fn admit(
    State(access): State<Arc<Access>>,
    Extension(peer): Extension<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    match access.check(request.headers(), peer).await {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

impl IntoResponse for NoAccess {
    fn into_response(self) -> Response {
        match self {
            Self::RateLimited => {
                let text = "Too many requests; the rate limit of this exporter is reached.\n";
                plain_text(StatusCode::TOO_MANY_REQUESTS, text)
            }
            Self::LoginRequired => {
                let mut refusal = plain_text(StatusCode::UNAUTHORIZED, "Unauthorized.\n");
                let challenge = HeaderValue::from_static(CHALLENGE);
                refusal.headers_mut().insert(WWW_AUTHENTICATE, challenge);
                refusal
            }
            Self::Busy => overloaded(),
        }
    }
}

/// A token bucket, full at the start.
pub(super) struct RateLimiter {
    limit: RequestRate,
    /// When the bucket will be full again.
    full: Mutex<Instant>,
}

impl RateLimiter {
    pub(super) fn new(limit: RequestRate) -> Self {
        Self { limit, full: Mutex::new(Instant::now()) }
    }

    /// Takes a token; `false` if there is none.
    pub(super) fn take(&self) -> bool {
        let RequestRate { interval, burst } = self.limit;
        let Some(others) = burst.checked_sub(1) else { return false };
        let now = Instant::now();
        let mut full = lock(&self.full);
        let missing = full.saturating_duration_since(now);
        let good = missing <= interval.checked_mul(others).unwrap_or(Duration::MAX);
        if good {
            // On overflow the interval is practically infinite; the limit stays as it is.
            *full = (now + missing).checked_add(interval).unwrap_or(*full);
        }
        good
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn taken(bucket: &RateLimiter, times: usize) -> usize {
        (0..times).filter(|_| bucket.take()).count()
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_and_then_one_per_interval() {
        let bucket = RateLimiter::new(RequestRate { interval: SECOND, burst: 3 });
        assert_eq!(taken(&bucket, 10), 3);
        advance(Duration::from_millis(999)).await;
        assert_eq!(taken(&bucket, 10), 0);
        advance(Duration::from_millis(1)).await;
        assert_eq!(taken(&bucket, 10), 1);
        advance(2 * SECOND).await;
        assert_eq!(taken(&bucket, 10), 2);
        advance(100 * SECOND).await;
        assert_eq!(taken(&bucket, 10), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn an_empty_bucket_stays_empty() {
        let bucket = RateLimiter::new(RequestRate { interval: SECOND, burst: 0 });
        advance(100 * SECOND).await;
        assert_eq!(taken(&bucket, 10), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_largest_limits_do_not_overflow() {
        let long = Duration::from_nanos(i64::MAX as u64);
        let bucket = RateLimiter::new(RequestRate { interval: long, burst: u32::MAX });
        assert_eq!(taken(&bucket, 1000), 1000);
        let bucket = RateLimiter::new(RequestRate { interval: long, burst: 2 });
        assert_eq!(taken(&bucket, 1000), 2);
    }
}
