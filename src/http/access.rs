//! Access control: the web configuration, applied to every request.
//!
//! [`Access`] is made from a [`WebConfig`] at the start, and [`Access::replace`] applies a later one as
//! far as that works without a restart. [`admit`] is the middleware of the routes that need access, and
//! [`connection`](super::connection) takes the TLS settings of every new connection from it.

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::Extension;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hyper::header::{HeaderValue, ORIGIN, WWW_AUTHENTICATE};
use hyper::{HeaderMap, StatusCode};
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;

use super::login::{LoginResult, Logins};
use super::rate_limit::RateLimiter;
use super::response::{overloaded, plain_text};
use crate::metrics::ProcessMetrics;
use crate::web_config::{Headers, RequestRate, ServerTls, Users, WebConfig};

/// The challenge for which browsers prompt for a name and a password.
const CHALLENGE: &str = "Basic realm=\"wazzup-exporter\", charset=\"UTF-8\"";

/// The header in which browsers state the origin of a request relative to its target.
const SITE: &str = "sec-fetch-site";

/// The access rules of a listener.
#[derive(Debug)]
pub struct Access {
    /// Whether there is TLS is fixed at the start, as are HTTP/2 and the limit; the certificates are not.
    tls: Option<ArcSwap<Encryption>>,
    http2: bool,
    limit: Option<RateLimiter>,
    rules: ArcSwap<Rules>,
    logins: Logins,
    started: Started,
}

/// Why a request is not let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoAccess {
    RateLimited,
    LoginRequired,
    /// Too many passwords are being checked.
    Busy,
}

/// The settings that cannot change without a restart, as they were at the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Started {
    tls: bool,
    http2: bool,
    limit: Option<RequestRate>,
}

/// How connections are encrypted.
#[derive(Debug)]
pub(super) struct Encryption {
    server: Arc<ServerConfig>,
    tls: ServerTls,
}

#[derive(Debug)]
struct Rules {
    headers: Headers,
    users: Users,
}

impl Access {
    /// The rules of a configuration; without one, plain HTTP and no authentication.
    pub fn new(config: Option<&WebConfig>, process: Arc<ProcessMetrics>) -> Self {
        let started = Started::of(config);
        let tls = config.and_then(|config| config.tls.as_ref());
        Self {
            tls: tls.map(|tls| ArcSwap::from_pointee(Encryption::new(tls, started.http2))),
            http2: started.http2,
            limit: started.limit.map(RateLimiter::new),
            rules: ArcSwap::from_pointee(Rules::of(config)),
            logins: Logins::new(process),
            started,
        }
    }

    /// Applies another configuration: certificates, client authentication, users and headers.
    /// Returns the changed settings that need a restart.
    pub fn replace(&self, config: &WebConfig) -> Vec<&'static str> {
        if let (Some(current), Some(tls)) = (&self.tls, &config.tls) {
            current.store(Arc::new(Encryption::new(tls, self.http2)));
        }
        self.rules.store(Arc::new(Rules::of(Some(config))));
        let wanted = Started::of(Some(config));
        let mut waiting = Vec::new();
        if wanted.tls != self.started.tls {
            waiting.push(if wanted.tls { "turning TLS on" } else { "turning TLS off" });
        }
        if wanted.http2 != self.started.http2 && self.started.tls {
            waiting.push("http2");
        }
        if wanted.limit != self.started.limit {
            waiting.push("rate_limit");
        }
        waiting
    }

    /// The TLS settings for a new connection.
    pub(super) fn encryption(&self) -> Option<Arc<Encryption>> {
        self.tls.as_ref().map(ArcSwap::load_full)
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
        let rules = self.rules.load_full();
        if rules.users.is_empty() {
            return Ok(());
        }
        match self.logins.check(headers, &rules.users, peer).await {
            LoginResult::Valid => Ok(()),
            LoginResult::Invalid => Err(NoAccess::LoginRequired),
            LoginResult::Busy => Err(NoAccess::Busy),
        }
    }

    /// Adds the configured headers; they replace our own of the same name.
    pub(super) fn add_headers(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.rules.load().headers {
            headers.insert(name, value.clone());
        }
    }
}

impl Started {
    fn of(config: Option<&WebConfig>) -> Self {
        Self {
            tls: config.is_some_and(|config| config.tls.is_some()),
            http2: config.is_some_and(|config| config.http2),
            limit: config.and_then(|config| config.rate_limit),
        }
    }
}

impl Encryption {
    fn new(tls: &ServerTls, http2: bool) -> Self {
        Self { server: tls.server(http2), tls: tls.clone() }
    }

    /// The settings for rustls.
    pub(super) fn server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.server)
    }

    /// Whether the certificate that a client sent when its session began is still accepted.
    pub(super) fn still_good(
        &self,
        shown: Option<&[CertificateDer<'_>]>,
    ) -> Result<(), rustls::Error> {
        self.tls.still_good(shown)
    }
}

impl Rules {
    fn of(config: Option<&WebConfig>) -> Self {
        config.map_or_else(
            || Self { headers: Headers::new(), users: Users::default() },
            |config| Self { headers: config.headers.clone(), users: config.users.clone() },
        )
    }
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
