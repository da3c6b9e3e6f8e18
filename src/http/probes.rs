//! Health and readiness, for those who restart or route to the process.
//!
//! They are told on every listener and need no login. A listener may be for them alone, where the
//! others want client certificates: a kubelet has none.

use hyper::{Method, Request, StatusCode};

use super::answer::{Answer, plain};
use super::routes::{verdict, wrong_method};
use crate::health::Health;

const HEALTHY: &str = "/-/healthy";
const READY: &str = "/-/ready";

/// Whether a path is one of the two.
pub(super) fn are_asked(path: &str) -> bool {
    [HEALTHY, READY].contains(&path)
}

/// Answers a request on a listener that is for probes alone.
pub(super) fn answer<B>(health: &Health, request: &Request<B>) -> Answer {
    let path = request.uri().path();
    if !are_asked(path) {
        let text = "Not found: only /-/healthy and /-/ready are here.\n";
        return plain(StatusCode::NOT_FOUND, text);
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return wrong_method("GET, HEAD");
    }
    if path == HEALTHY {
        verdict(health.healthy(), "Healthy.\n", "Not healthy.\n")
    } else {
        verdict(health.ready(), "Ready.\n", "Not ready.\n")
    }
}
