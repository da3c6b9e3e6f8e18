//! Health and readiness, for those who restart or route to the process.
//!
//! They are told on every listener, below the prefix and without it, and need no login. A listener
//! may be for them alone, where the others want client certificates: a kubelet has none.

use hyper::{Method, Request, StatusCode};

use super::answer::{Answer, plain, wrong_method};
use super::prefix::{Place, Prefix};
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
        let within = match prefix.place(path) {
            Place::Within(path) => path,
            _ => path,
        };
        [within, path].into_iter().find_map(|path| match path {
            "/-/healthy" => Some(Self::Healthy),
            "/-/ready" => Some(Self::Ready),
            _ => None,
        })
    }

    pub(super) fn answer(self, health: &Health) -> Answer {
        let (good, yes, no) = match self {
            Self::Healthy => (health.healthy(), "Healthy.\n", "Not healthy.\n"),
            Self::Ready => (health.ready(), "Ready.\n", "Not ready.\n"),
        };
        if good { plain(StatusCode::OK, yes) } else { plain(StatusCode::SERVICE_UNAVAILABLE, no) }
    }
}

/// Answers a request on a listener that is for probes alone.
pub(super) fn answer<B>(health: &Health, prefix: &Prefix, request: &Request<B>) -> Answer {
    let Some(probe) = Probe::at(request.uri().path(), prefix) else {
        let text = "Not found: only /-/healthy and /-/ready are here.\n";
        return plain(StatusCode::NOT_FOUND, text);
    };
    match *request.method() {
        Method::GET | Method::HEAD => probe.answer(health),
        _ => wrong_method("GET, HEAD"),
    }
}
