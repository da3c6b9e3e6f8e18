//! Access control: the web configuration, applied to every request.
//!
//! [`Access`] is made from a [`WebConfig`] at the start, and [`Access::replace`] applies a later one as
//! far as that works without a restart. [`service`](super::service) calls it for every request, and
//! [`server`](super::server) takes the TLS settings of every new connection from it.

use std::sync::Arc;

use arc_swap::ArcSwap;
use hyper::body::Body;
use hyper::header::{HeaderValue, WWW_AUTHENTICATE};
use hyper::{Request, StatusCode};
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;

use super::login::{LoginResult, Logins};
use super::rate_limit::RateLimiter;
use super::response::{BufferedResponse, overloaded, plain_text};
use crate::web_config::{Headers, RequestRate, ServerTls, Users, WebConfig};

/// The challenge for which browsers prompt for a name and a password.
const CHALLENGE: &str = "Basic realm=\"wazzup-exporter\", charset=\"UTF-8\"";

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
    pub fn new(config: Option<&WebConfig>) -> Self {
        let started = Started::of(config);
        let tls = config.and_then(|config| config.tls.as_ref());
        Self {
            tls: tls.map(|tls| ArcSwap::from_pointee(Encryption::new(tls, started.http2))),
            http2: started.http2,
            limit: started.limit.map(RateLimiter::new),
            rules: ArcSwap::from_pointee(Rules::of(config)),
            logins: Logins::new(),
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

    /// Checks the rate limit and the login of a request; the error is the response of a refusal. Not to
    /// be called for probes: they have no password, and a rate limit must not make them fail.
    pub(super) async fn admit<B: Body>(
        &self,
        request: &Request<B>,
    ) -> Result<(), BufferedResponse> {
        if self.limit.as_ref().is_some_and(|limit| !limit.take()) {
            let text = "Too many requests; the rate limit of this exporter is reached.\n";
            return Err(plain_text(StatusCode::TOO_MANY_REQUESTS, text));
        }
        let rules = self.rules.load_full();
        if rules.users.is_empty() {
            return Ok(());
        }
        match self.logins.check(request.headers(), &rules.users).await {
            LoginResult::Valid => Ok(()),
            LoginResult::Invalid => Err(unauthorized()),
            LoginResult::Busy => Err(overloaded()),
        }
    }

    /// Adds the configured headers; they replace our own of the same name.
    pub(super) fn add_headers(&self, response: &mut BufferedResponse) {
        for (name, value) in &self.rules.load().headers {
            response.headers_mut().insert(name, value.clone());
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

fn unauthorized() -> BufferedResponse {
    let mut refusal = plain_text(StatusCode::UNAUTHORIZED, "Unauthorized.\n");
    refusal.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE));
    refusal
}
