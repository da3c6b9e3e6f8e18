//! Health and readiness probes.
//!
//! Every listener but the admin listener serves them, below the prefix and without it, and without a
//! login. A listener may serve them alone, in case the others require client certificates: a kubelet
//! has none.

use hyper::{Method, Request, StatusCode};

use super::prefix::{PathMatch, Prefix};
use super::response::{BufferedResponse, method_not_allowed, plain_text};
use crate::health::Health;

/// A probe of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Probe {
    Healthy,
    Ready,
}

impl Probe {
    /// The probe at a path: below the prefix, or at the root, so that a probe needs no knowledge of the
    /// reverse proxy.
    pub(super) fn at(path: &str, prefix: &Prefix) -> Option<Self> {
        let within = match prefix.match_path(path) {
            PathMatch::Below(path) => path,
            _ => path,
        };
        [within, path].into_iter().find_map(|path| match path {
            "/-/healthy" => Some(Self::Healthy),
            "/-/ready" => Some(Self::Ready),
            _ => None,
        })
    }

    pub(super) fn respond(self, health: &Health) -> BufferedResponse {
        let (good, yes, no) = match self {
            Self::Healthy => (health.healthy(), "Healthy.\n", "Not healthy.\n"),
            Self::Ready => (health.ready(), "Ready.\n", "Not ready.\n"),
        };
        if good {
            plain_text(StatusCode::OK, yes)
        } else {
            plain_text(StatusCode::SERVICE_UNAVAILABLE, no)
        }
    }
}

/// Responds to a request on a listener for probes alone.
pub(super) fn respond<B>(
    health: &Health,
    prefix: &Prefix,
    request: &Request<B>,
) -> BufferedResponse {
    let Some(probe) = Probe::at(request.uri().path(), prefix) else {
        let text = "Not found: only /-/healthy and /-/ready are here.\n";
        return plain_text(StatusCode::NOT_FOUND, text);
    };
    match *request.method() {
        Method::GET | Method::HEAD => probe.respond(health),
        _ => method_not_allowed("GET, HEAD"),
    }
}
