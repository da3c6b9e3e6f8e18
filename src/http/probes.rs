//! Health and readiness probes.
//!
//! Every listener but the admin listener serves them, below the prefix and without it, and without a
//! login: a probe needs no knowledge of the reverse proxy. A listener may serve them alone, in case the
//! others require client certificates: a kubelet has none.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use hyper::StatusCode;

use super::prefix::Prefix;
use super::response::plain_text;
use crate::health::Health;

/// The routes of the probes.
pub(super) fn routes(health: &Arc<Health>, prefix: &Prefix) -> Router {
    let root = Prefix::default();
    let prefixes = if *prefix == root { vec![&root] } else { vec![&root, prefix] };
    let mut routes = Router::new();
    for prefix in prefixes {
        routes = routes.route(&prefix.path("/-/healthy"), get(healthy));
        routes = routes.route(&prefix.path("/-/ready"), get(ready));
    }
    routes.with_state(Arc::clone(health))
}

/// What a listener for probes alone says of everything else.
pub(super) async fn not_found() -> Response {
    let text = "Not found: only /-/healthy and /-/ready are here.\n";
    plain_text(StatusCode::NOT_FOUND, text)
}

async fn healthy(State(health): State<Arc<Health>>) -> Response {
    health.wait_for_turn().await;
    respond(health.healthy(), "Healthy.\n", "Not healthy.\n")
}

async fn ready(State(health): State<Arc<Health>>) -> Response {
    health.wait_for_turn().await;
    respond(health.ready(), "Ready.\n", "Not ready.\n")
}

fn respond(good: bool, yes: &'static str, no: &'static str) -> Response {
    if good {
        plain_text(StatusCode::OK, yes)
    } else {
        plain_text(StatusCode::SERVICE_UNAVAILABLE, no)
    }
}
