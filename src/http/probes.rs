//! Health and readiness, for those who restart or route to the process.
//!
//! They are told on every listener, below the prefix and without it, and need no login. A listener
//! may be for them alone, where the others want client certificates: a kubelet has none.

use hyper::{Method, Request, StatusCode};

use super::prefix::{PathMatch, Prefix};
use super::response::{BufferedResponse, method_not_allowed, plain_text};
use crate::health::Health;

/// What may be asked about the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Probe {
    Healthy,
    Ready,
}

impl Probe {
    /// What is asked at a path: below the prefix, or at the root, so that who probes need not know
    /// how the exporter is reached from outside.
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

/// Answers a request on a listener that is for probes alone.
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
